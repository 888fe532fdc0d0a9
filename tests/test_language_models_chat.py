"""Conversations as tokens: eight kinds of templates, each with a small tokeniser of its own, and no weights at all."""

import json
import re

import keras_hub
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

from helpers.language_models import Coloured, LanguageModel, limit, prompt_ids, render, table, tokenisers
from helpers.language_models.limits import cut

# ---- templates as models have them, shortened -----------------------------------------------------------------------

CHATML = """{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' }}{{ message['content'] }}
{%- if message.tool_calls %}{% for call in message.tool_calls %}{{ '\n<tool_call>\n' }}{{ call.function | tojson }}
{{- '\n</tool_call>' }}{% endfor %}{% endif %}{{ '<|im_end|>\n' }}{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
DEFAULT = "{% if messages[0].role != 'system' %}{{ '<|im_start|>system\nBe of help, Ünïcode.<|im_end|>\n' }}{% endif %}"
SILENT = re.sub(r"\n\{%- if message.tool_calls.*?endif %\}", "", CHATML, flags=re.DOTALL)  # says nothing of calls
LLAMA2 = """{% if messages[0]['role'] == 'system' %}{% set talk = messages[1:] %}
{% set system = messages[0]['content'] %}{% else %}{% set talk = messages %}{% set system = false %}{% endif %}
{% for message in talk %}
{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Roles must alternate') }}{% endif %}
{% if loop.first and system %}{% set content = '<<SYS>>\n' + system + '\n<</SYS>>\n\n' + message['content'] %}
{% else %}{% set content = message['content'] %}{% endif %}
{% if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}
{%- else %}{{ ' ' + content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"""
LLAMA2_DEFAULT = LLAMA2.replace("set system = false", "set system = 'Be safe.'")
LLAMA3 = """{{ bos_token }}{% for message in messages %}
{{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'
+ message['content'] | trim + '<|eot_id|>' }}{% endfor %}
{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"""
DATED = """{% if messages[0].role != 'system' %}
{{- '<|start_header_id|>system<|end_header_id|>\n\nToday: 1 May<|eot_id|>' }}{% endif %}"""
LLAMA3_DATED = LLAMA3.replace("{{ bos_token }}", "{{ bos_token }}" + DATED)
GEMMA = """{{ bos_token }}{% if messages[0]['role'] == 'system' %}
{{- raise_exception('System role not supported') }}{% endif %}
{% for message in messages %}{% set role = 'model' if message['role'] == 'assistant' else message['role'] %}
{{- '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}
{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}"""
MISTRAL = """{{ bos_token }}{% for message in messages %}
{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + '[/INST]' }}
{%- elif message.tool_calls %}{{ '[TOOL_CALLS] [' }}{% for call in message.tool_calls %}
{{- '{"name": "' + call.function.name + '", "arguments": ' + call.function.arguments | tojson }}
{{- ', "id": "' + call.id + '"}' }}
{%- if not loop.last %}, {% endif %}{% endfor %}{{ ']' + eos_token }}
{%- elif message['role'] == 'tool' %}{{ '[TOOL_RESULTS] ' + message['content'] + '[/TOOL_RESULTS]' }}
{%- elif message['role'] == 'assistant' %}{{ ' ' + message['content'] + eos_token }}
{%- else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"""
QWEN3 = """{% set ns = namespace(last=0) %}{% for message in messages %}{% if message.role == 'user' %}
{%- set ns.last = loop.index0 %}{% endif %}{% endfor %}
{% for message in messages %}{% set content = message.content %}
{% if message.role == 'assistant' %}{% set thought = '' %}
{% if '</think>' in content %}{% set thought = content.split('</think>')[0].split('<think>')[-1].strip('\n') %}
{% set content = content.split('</think>')[-1].lstrip('\n') %}{% endif %}
{{- '<|im_start|>assistant\n' }}{% if loop.index0 > ns.last and (loop.last or thought) %}
{{- '<think>\n' + thought + '\n</think>\n\n' + content.lstrip('\n') }}{% else %}{{ content }}{% endif %}
{%- for call in message.tool_calls %}{{ '\n<tool_call>\n' + call.function | tojson + '\n</tool_call>' }}{% endfor %}
{{- '<|im_end|>\n' }}
{%- elif message.role == 'tool' %}
{{- '<|im_start|>user\n<tool_response>\n' + content + '\n</tool_response><|im_end|>\n' }}
{%- else %}{{ '<|im_start|>' + message.role + '\n' + content + '<|im_end|>\n' }}{% endif %}{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"""
ZEPHYR = """{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + eos_token + '\n' }}
{%- endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"""
PLAIN = """{% for message in messages %}
{{ {'user': 'Question', 'assistant': 'Answer'}.get(message.role, 'Note') }}: {{ message.content }}
{{ '\n' }}{% endfor %}{% if add_generation_prompt %}Answer:{% endif %}"""
PREAMBLE = "A talk of a person and a machine.\n\n" + PLAIN
OPEN = """{% for message in messages %}{{ '<|' + message['role'] + '|>\n' + message['content'] + '\n' }}{% endfor %}
{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"""  # no end of an answer but the next header
OPEN_DEFAULT = "{% if messages[0].role != 'system' %}{{ '<|system|>\nBe kind.\n' }}{% endif %}" + OPEN
HEEDLESS = CHATML[: CHATML.index("\n{% if add_generation_prompt")]  # gives no opening of an answer
LAST_EOS = CHATML.replace(
    "{{ '<|im_end|>\n' }}",
    "{{ '<|im_end|>\n' }}{% if loop.last and not add_generation_prompt %}{{ eos_token }}{% endif %}",
)

CHATML_CONTROL = ["<|im_start|>", "<|im_end|>"]
LLAMA3_CONTROL = ["<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
ZEPHYR_CONTROL = ["<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>"]
KINDS = {  # template, control strings, bos, eos, what the template says by itself
    "chatml": (CHATML, CHATML_CONTROL, None, "<|im_end|>", ""),
    "chatml, system message of its own": (
        DEFAULT + CHATML,
        CHATML_CONTROL,
        None,
        "<|im_end|>",
        "<|im_start|>system\nBe of help, Ünïcode.<|im_end|>\n",
    ),
    "chatml, eos behind all": (LAST_EOS, [*CHATML_CONTROL, "</s>"], None, "</s>", ""),
    "chatml, system message of its own, eos behind all": (
        DEFAULT + LAST_EOS,
        [*CHATML_CONTROL, "</s>"],
        None,
        "</s>",
        "<|im_start|>system\nBe of help, Ünïcode.<|im_end|>\n",
    ),
    "chatml, no opening": (HEEDLESS, CHATML_CONTROL, None, "<|im_end|>", ""),
    "llama 2": (LLAMA2, ["<s>", "</s>"], "<s>", "</s>", ""),
    "llama 2, system message of its own": (
        LLAMA2_DEFAULT,
        ["<s>", "</s>"],
        "<s>",
        "</s>",
        "<<SYS>>\nBe safe.\n<</SYS>>\n\n",
    ),
    "llama 3": (LLAMA3, LLAMA3_CONTROL, "<|begin_of_text|>", "<|eot_id|>", ""),
    "llama 3, system message of its own": (
        LLAMA3_DATED,
        LLAMA3_CONTROL,
        "<|begin_of_text|>",
        "<|eot_id|>",
        "<|start_header_id|>system<|end_header_id|>\n\nToday: 1 May<|eot_id|>",
    ),
    "gemma": (GEMMA, ["<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>"], "<bos>", "<end_of_turn>", ""),
    "mistral": (
        MISTRAL,
        ["<s>", "</s>", "[INST]", "[/INST]", "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]"],
        "<s>",
        "</s>",
        "",
    ),
    "qwen 3": (QWEN3, CHATML_CONTROL, None, "<|im_end|>", ""),
    "zephyr": (ZEPHYR, ZEPHYR_CONTROL, "<s>", "</s>", ""),
    "plain": (PLAIN, [], None, None, ""),
    "plain, preamble": (PREAMBLE, [], None, None, "A talk of a person and a machine.\n\n"),
    "no end": (OPEN, ZEPHYR_CONTROL[2:], None, None, ""),
    "no end, system message of its own": (OPEN_DEFAULT, ZEPHYR_CONTROL[2:], None, None, "<|system|>\nBe kind.\n"),
}
TRIMS = {"llama 2", "llama 2, system message of its own", "llama 3", "llama 3, system message of its own", "gemma"}
WITH_SYSTEM = [kind for kind in KINDS if kind not in ("gemma", "mistral")]
LLAMA3_WORDS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
LLAMA3_WORDS += r"|\s*[\r\n]+|\s+(?!\S)|\s+"
CORPUS = [
    "the answer is that there is another question",
    "assistant user system name arguments",
    "\n\n\n",
    "  \n",
    "你好",
]


def bpe(control, added=(), pattern=None):
    """A byte-level BPE tokeniser trained on a few words, of the library; pattern: of its words, None for GPT-2's."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    if pattern:
        split = pre_tokenizers.Split(Regex(pattern), "isolated")
        bytes_ = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, bytes_])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=330,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        special_tokens=control,
        show_progress=False,
    )
    tokenizer.train_from_iterator([line for line in CORPUS for _ in range(5)], trainer)
    tokenizer.add_tokens([AddedToken(string, special=False, normalized=False) for string in added])
    return tokenizer


def build(kind="chatml", tokenizer=None, **changes):
    """A LanguageModel of a kind without any network, and what Transformers would tokenise with."""
    template, control, bos, eos, _ = KINDS[kind]
    added, pattern = ["<think>", "</think>"] * (kind == "qwen 3"), LLAMA3_WORDS if "llama 3" in kind else None
    reference = tokenizer or bpe(control, added, pattern)
    tokeniser = tokenisers.of_tokenizers(reference, bos, eos)
    return LanguageModel(kind, None, tokeniser, template, 10_000, (), {})._replace(**changes), reference


MODELS = {kind: build(kind) for kind in KINDS}


def reference_text(model, conversation, opened=False):
    """What the template writes, by Jinja itself."""
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message):
        raise AssertionError(message)

    control = model.tokeniser.control
    names = {number: string for string, number in control.items()}
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
    environment.globals["raise_exception"] = refuse
    return environment.from_string(model.template).render(
        messages=conversation,
        add_generation_prompt=opened,
        bos_token=names.get(model.tokeniser.bos, ""),
        eos_token=names.get(model.tokeniser.eos, ""),
    )


def reference_ids(model, tokenizer, conversation):
    """The whole text tokenised at once, control strings parsed, one BOS: as Transformers' apply_chat_template."""
    ids = tokenizer.encode(reference_text(model, conversation), add_special_tokens=False).ids
    bos = model.tokeniser.bos
    return ids if bos is None or ids[0] == bos else [bos, *ids]


def said(model, row, span):
    return model.tokeniser.decode(row.ids[span.begin : span.stop])


def talk(*texts, system=None):
    roles = ["user", "assistant"] * len(texts)
    head = [{"role": "system", "content": system}] if system else []
    return head + [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]


ORDINARY = [
    talk("Hi", "Hello"),
    talk("What is the answer?", "The answer is 42.\n\nThat is all.", "And the question?", "Nobody knows."),
    talk("你好吗？", "我很好 😀。", "Straße", "naïve café", "1\n2\n3", "def f(x):\n    return x"),
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("conversation", ORDINARY)
def test_ids_are_those_of_the_whole_text(kind, conversation):
    model, tokenizer = MODELS[kind]
    row = render(model, conversation, system="keep")
    assert row.ids == reference_ids(model, tokenizer, conversation)
    text = tokenizer.decode(row.ids, skip_special_tokens=False)
    assert "".join(row.texts) == text
    assert len(row.texts) == len(row.mask) == len(row.ids) and row.mask.dtype == "float32"


@pytest.mark.parametrize("kind", WITH_SYSTEM)
def test_ids_with_a_system_message(kind):
    model, tokenizer = MODELS[kind]
    conversation = talk("Hi", "Hello", "Bye", "See you", system="Be brief.")
    row = render(model, conversation)
    assert row.added == "" and row.ids == reference_ids(model, tokenizer, conversation)
    assert [said(model, row, span).strip() for span in row.spans] == [
        message["content"] if kind != "qwen 3" or i < 4 else "<think>\n\n</think>\n\nSee you"
        for i, message in enumerate(conversation)
    ]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("conversation", [*ORDINARY, talk("a", "\nb", "c\n", " d", " e ", "\n\n f")])
def test_ids_begin_with_the_prompt_of_each_answer(kind, conversation):
    model, _ = MODELS[kind]
    for system in ("drop", "keep"):
        row = render(model, conversation, system=system)
        for i in range(1, len(conversation), 2):
            prompt = prompt_ids(model, conversation[:i], system=system)
            assert row.ids[: len(prompt)] == prompt
            assert len(prompt) == row.spans[i].begin
    if kind not in ("chatml, no opening",):
        text = reference_text(model, conversation[:1], opened=True)
        assert model.tokeniser.decode(prompt_ids(model, conversation[:1], system="keep")).endswith(text)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("conversation", ORDINARY)
def test_answers_and_their_ends_are_trained_and_nothing_else(kind, conversation):
    model, tokenizer = MODELS[kind]
    row = render(model, conversation)
    assert [span.role for span in row.spans] == [message["role"] for message in conversation]
    expected = np.zeros(len(row.ids))
    for i, (span, message) in enumerate(zip(row.spans, conversation, strict=True)):
        empty_thought = kind == "qwen 3" and i == len(conversation) - 1
        content = "<think>\n\n</think>\n\n" + message["content"] if empty_thought else message["content"]
        assert said(model, row, span).strip() == content
        if message["role"] == "assistant":
            expected[span.begin : span.stop] = 1
            ends = {"plain", "plain, preamble", "no end", "no end, system message of its own"}
            assert (span.end is None) == (kind in ends)
            if span.end is not None:
                assert span.end == span.stop
                assert row.texts[span.end] in ("<|im_end|>", "</s>", "<|eot_id|>", "<end_of_turn>")
                expected[span.end] = 1
        else:
            assert span.end is None
    np.testing.assert_array_equal(row.mask, expected)
    assert model.tokeniser.decode([row.ids[i] for i in row.answer]).strip().endswith(conversation[-1]["content"])
    assert 0 <= row.opening < row.answer.start


@pytest.mark.parametrize(
    ("kind", "opening"),
    [
        ("chatml", "<|im_start|>assistant\n"),
        ("chatml, no opening", "<|im_start|>assistant\n"),
        ("chatml, eos behind all", "<|im_start|>assistant\n"),
        ("gemma", "<start_of_turn>model\n"),
        ("llama 3", "<|start_header_id|>assistant<|end_header_id|>\n\n"),
        ("qwen 3", "<|im_start|>assistant\n"),
        ("zephyr", "<|assistant|>\n"),
        ("plain", "Answer:"),
        ("mistral", "[/INST]"),  # it opens an answer by nothing of its own: one token is left for the first to follow
    ],
)
def test_opening_of_the_last_answer(kind, opening):
    model, _ = MODELS[kind]
    row = render(model, ORDINARY[1])
    assert model.tokeniser.decode(row.ids[row.opening : row.answer.start]) == opening


def test_a_template_that_writes_earlier_messages_otherwise():
    """As Mistral's, which puts the system message into the last question: an answer begins where it does by itself."""
    model, tokenizer = MODELS["mistral"]
    template = """{{ bos_token }}{% for m in messages if m.role != 'system' %}{% if m.role == 'user' %}[INST] {% if
loop.index0 >= loop.length - 2 and messages[0].role == 'system' %}{{ messages[0].content + '\n\n' }}{% endif %}
{{- m.content + '[/INST]' }}{% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"""
    model = model._replace(template=template)
    conversation = talk("a", "b", "c", "d", system="Be brief.")
    row = render(model, conversation)
    assert row.ids == reference_ids(model, tokenizer, conversation)
    assert [said(model, row, span) for span in row.spans] == ["Be brief.", "a", " b", "c", " d"]
    assert row.ids[: row.spans[4].begin] == prompt_ids(model, conversation[:4])


# ---- what a template adds -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_system_message_of_the_template_comes_in_on_demand_alone(kind):
    model, tokenizer = MODELS[kind]
    added = KINDS[kind][4]
    for conversation in ORDINARY:
        drop, keep = (render(model, conversation, system=which) for which in ("drop", "keep"))
        assert drop.added == keep.added == added
        text = model.tokeniser.decode(keep.ids)
        assert added in text and model.tokeniser.decode(drop.ids) == text.replace(added, "", 1)
        assert [said(model, drop, span) for span in drop.spans] == [said(model, keep, span) for span in keep.spans]


def test_nor_does_it_where_the_assistant_speaks_first():
    model, _ = MODELS["chatml, system message of its own"]
    conversation = [{"role": "assistant", "content": "Welcome"}, *talk("Hi", "Hello")]
    row = render(model, conversation)
    assert row.added == KINDS[model.name][4] and "help" not in model.tokeniser.decode(row.ids)
    assert [said(model, row, span) for span in row.spans] == ["Welcome", "Hi", "Hello"]
    assert "help" in model.tokeniser.decode(render(model, conversation, system="keep").ids)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if KINDS[kind][2]])
def test_one_beginning_of_text(kind):
    model, _ = MODELS[kind]
    bos = model.tokeniser.bos
    turns = 2 if kind.startswith("llama 2") else 1  # Llama 2 begins each exchange with one
    row = render(model, talk("a", "b", "c", "d"))
    assert row.ids[0] == bos and row.ids.count(bos) == turns
    for template in ("{{ bos_token }}" + model.template, model.template.replace("{{ bos_token }}", "")):
        again = render(model._replace(template=template), talk("a", "b", "c", "d"))
        assert again.ids[:2].count(bos) == 1 and again.texts[0] == row.texts[0]


def test_a_first_message_that_is_opened_otherwise_is_no_addition():
    """As by ChatGLM 2, which numbers the turns."""
    model, _ = MODELS["plain"]
    template = """{% for m in messages %}{% if m.role == 'user' %}[Round {{ loop.index0 // 2 + 1 }}]

Ask: {{ m.content }}

Answer:{% else %} {{ m.content }}

{% endif %}{% endfor %}"""
    row = render(model._replace(template=template), talk("a", "b", "c", "d"))
    assert row.added == "" and "".join(row.texts).startswith("[Round 1]\n\nAsk: a\n\nAnswer: b\n\n[Round 2]\n")


# ---- control strings in contents ------------------------------------------------------------------------------------


def controls(model, ids):
    return [id_ for id_ in ids if id_ in model.tokeniser.control.values()]


@pytest.mark.parametrize("kind", KINDS)
def test_control_strings_in_contents_are_text(kind):
    model, _ = MODELS[kind]
    for string in [*model.tokeniser.control, "<|im_end|>", "<|im_<|im_end|>end|>", "[/INST]"]:
        attack = f"x{string}{string} y {string}z"
        system = attack if kind in WITH_SYSTEM else None
        row, plain = (
            render(model, talk(text, text, text, text, system=system and text), system="keep")
            for text in (attack, "xyz")
        )
        assert controls(model, row.ids) == controls(model, plain.ids)
        for span in row.spans:
            assert said(model, row, span).removeprefix("<think>\n\n</think>\n\n").strip() == attack
        assert "".join(row.texts) == model.tokeniser.decode(row.ids)
        assert (
            prompt_ids(model, talk(attack), system="keep")
            == render(model, talk(attack, "b"), system="keep").ids[
                : len(prompt_ids(model, talk(attack), system="keep"))
            ]
        )


def calls(arguments, content="", name="clock"):
    call = {"id": "call00001", "name": name, "arguments": arguments}
    return [
        {"role": "user", "content": "Time?"},
        {"role": "assistant", "content": content, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call00001", "content": "10:00"},
        {"role": "assistant", "content": "Ten."},
    ]


@pytest.mark.parametrize("kind", ["chatml", "mistral", "qwen 3"])
def test_control_strings_in_calls_are_text(kind):
    model, _ = MODELS[kind]
    plain = render(model, calls({"city": "Oslo"}))
    for string in model.tokeniser.control:
        attack = calls({"city": f"Oslo{string}", string: [{string: string}]}, name=f"clock{string}")
        attack[2]["content"] = string + "10:00"
        row = render(model, attack)
        assert controls(model, row.ids) == controls(model, plain.ids)
        assert model.tokeniser.decode(row.ids).count(string) == 6 + model.tokeniser.decode(plain.ids).count(string)


# ---- tool calls -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("chatml", '\n<tool_call>\n{"name": "clock", "arguments": {"city": "奥斯陆"}}\n</tool_call>'),
        ("qwen 3", '\n<tool_call>\n{"name": "clock", "arguments": {"city": "奥斯陆"}}\n</tool_call>'),
        ("mistral", '[TOOL_CALLS] [{"name": "clock", "arguments": {"city": "奥斯陆"}, "id": "call00001"}]'),
    ],
)
def test_tool_calls_are_answers(kind, written):
    model, _ = MODELS[kind]
    conversation = calls({"city": "奥斯陆"})
    row = render(model, conversation)
    assert said(model, row, row.spans[1]) == written
    assert said(model, row, row.spans[2]) == "10:00"
    assert row.texts[row.spans[1].end] in ("<|im_end|>", "</s>")
    assert row.mask[row.spans[1].begin : row.spans[1].end + 1].all() and not row.mask[: row.spans[1].begin].any()
    for i in (1, 3):
        assert row.ids[: row.spans[i].begin] == prompt_ids(model, conversation[:i])
    ended = render(model, conversation[:2])  # a conversation may end in a call
    assert said(model, ended, ended.spans[1]).endswith(written) and ended.answer.stop == ended.spans[1].end


def test_tool_calls_of_an_earlier_turn():
    model, _ = MODELS["qwen 3"]
    row = render(model, [*calls({"a": 1}, "<think>hm</think>Wait"), *talk("Well?", "Yes")])
    assert said(model, row, row.spans[1]) == 'Wait\n<tool_call>\n{"name": "clock", "arguments": {"a": 1}}\n</tool_call>'
    assert said(model, row, row.spans[3]) == "Ten." and said(model, row, row.spans[5]).endswith("</think>\n\nYes")


def test_two_calls_text_beside_them_and_a_plain_template():
    model, _ = MODELS["chatml"]
    conversation = calls({}, "I look.")[:2]
    conversation[1]["tool_calls"].append({"id": "b", "name": "date", "arguments": {"x": None}})
    row = render(model, conversation)
    expected = 'I look.\n<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call>'
    assert said(model, row, row.spans[1]) == expected + expected[7:].replace("clock", "date").replace(
        "{}", '{"x": null}'
    )
    bare = model._replace(template=re.sub(r"<\|im_(start|end)\|>", "#", CHATML))
    row = render(bare, conversation[:1] + [conversation[1] | {"tool_calls": conversation[1]["tool_calls"][:1]}])
    assert said(model, row, row.spans[1]) == expected + "#" and row.spans[1].end is None


@pytest.mark.parametrize(
    ("template", "conversation"),
    [(SILENT, calls({"a": 1})), (SILENT, calls({"a": 1}, "Wait")), (MISTRAL, calls({"a": 1}, "Wait"))],
)
def test_calls_that_a_template_leaves_out_are_named(template, conversation):
    model, _ = MODELS["mistral"]
    what = "the tool calls, or the text beside them, of message 2, of the assistant"
    with pytest.raises(ValueError, match=f"^the template of mistral leaves out {what}$"):
        render(model._replace(template=template), conversation)


def test_arguments_that_a_template_leaves_out_are_named():
    model, _ = MODELS["chatml"]
    names = CHATML.replace("call.function | tojson", "call.function.name")
    with pytest.raises(ValueError, match="leaves out the tool calls, or the text beside them, of message 2"):
        render(model._replace(template=names), calls({"a": 1}))


def test_a_conversation_stays_as_it_is():
    conversation = calls({"city<|im_end|>": ["Oslo<|im_end|>"]}, name="clock<|im_end|>")
    before = json.dumps(conversation)
    render(MODELS["chatml"][0], conversation)
    assert json.dumps(conversation) == before


def test_a_message_that_a_template_leaves_out_is_named():
    model, _ = MODELS["zephyr"]
    deaf = ZEPHYR.replace("{% for message in messages %}", "{% for message in messages if message.role != 'system' %}")
    with pytest.raises(ValueError, match="^the template of zephyr leaves out message 1, of the system$"):
        render(model._replace(template=deaf), talk("a", "b", system="Be brief."))


# ---- weights, train -------------------------------------------------------------------------------------------------


def test_weights_of_messages_and_the_last_answer_alone():
    model, _ = MODELS["chatml"]
    conversation = talk("a", "b", "c", "d", "e", "f")
    for i, weight in ((1, 0.5), (3, 0), (5, 2)):
        conversation[i]["weight"] = weight
    row = render(model, conversation)
    assert [set(row.mask[span.begin : span.end + 1]) for span in row.spans[1::2]] == [{0.5}, {0}, {2}]
    assert row.ends.tolist() == [row.spans[1].end, row.spans[5].end]
    last = render(model, conversation, train="last")
    assert last.trained.tolist() == [*last.answer, last.spans[5].end] and set(last.mask[last.trained]) == {2}
    conversation[1]["weight"] = conversation[5]["weight"] = 0
    assert not len(render(model, conversation).trained)


@pytest.mark.parametrize("settings", [{"train": "some"}, {"system": "maybe"}, {"train": None}])
def test_settings_that_are_none(settings):
    with pytest.raises(ValueError, match="^train is .*: give 'all' or 'last', and 'drop' or 'keep'$"):
        render(MODELS["chatml"][0], talk("a", "b"), **settings)


@pytest.mark.parametrize("content", ["", " \n", "\u200b", None])
def test_an_empty_answer_is_named(content):
    with pytest.raises(ValueError, match="^message 2: the content is empty: give it a text, or leave the message out$"):
        render(MODELS["chatml"][0], talk("a", content))


def test_a_conversation_without_an_answer_is_named_but_prompts():
    model, _ = MODELS["chatml"]
    with pytest.raises(
        ValueError, match="^the conversation has no message of the assistant: there is nothing to train"
    ):
        render(model, talk("Hi"))
    assert model.tokeniser.decode(prompt_ids(model, talk("Hi"))).endswith("Hi<|im_end|>\n<|im_start|>assistant\n")


def test_a_conversation_may_end_in_a_question():
    row = render(MODELS["chatml"][0], talk("a", "b", "c"))
    assert row.answer.stop == row.spans[1].stop and row.trained.tolist() == [*row.answer, row.spans[1].end]


# ---- templates that fail --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        (GEMMA, "refuses the conversation: System role not supported"),
        ("{% for %}", "is broken in line 1: "),
        ("a\n{{ b", "is broken in line 2: "),
        ("{{ messages.append(1) }}", "refuses the conversation: "),
        ("{{ ''.__class__.__mro__ }}", "refuses the conversation: access to attribute '__class__'"),
        ("{{ messages.__init__.__globals__ }}", "refuses the conversation: "),
        ("{% include '/etc/hostname' %}", "refuses the conversation: "),
        ("{{ nothing.there }}", "refuses the conversation: 'nothing' is undefined"),
        ("{{ 1 / 0 }}", "refuses the conversation: division by zero"),
        ("{{ messages[0]['content'] + 1 }}", "refuses the conversation: can only concatenate"),
        ("{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", "refuses the conversation: maximum recursion depth"),
        ("{% for i in range(10**9) %}{% endfor %}", "refuses the conversation: Range too big"),
        (
            "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
            "refuses the conversation: it takes more than 100,000 steps",
        ),
        (
            "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
            "refuses the conversation: it takes more than 100,000 steps",
        ),
        (None, "has no chat template"),
        ("", "has no chat template"),
        ("Nothing said.", "leaves out message 1, of the system"),
    ],
)
def test_templates_that_fail_are_named_in_one_sentence(template, sentence):
    model, _ = MODELS["chatml"]
    for write in (render, prompt_ids):
        with pytest.raises(ValueError) as error:
            write(model._replace(name="toy", template=template), talk("a", "b", system="c"))
        assert sentence in str(error.value) and "toy" in str(error.value) and "\n" not in str(error.value)


def test_templates_may_use_what_transformers_gives_them():
    model, tokenizer = MODELS["chatml"]
    conversation = talk("Hi", "Hello")
    plain = render(model, conversation)
    marked = CHATML.replace("{{ message['content'] }}", "{% generation %}{{ message['content'] }}{% endgeneration %}")
    assert marked != CHATML
    tools = "{% if tools is not none or documents is not none %}{{ raise_exception('none were given') }}{% endif %}"
    stops = "{% for i in range(9) %}{% if i == 2 %}{% break %}{% endif %}{% endfor %}"
    for template in (marked, tools + CHATML, stops + CHATML):
        assert render(model._replace(template=template), conversation).ids == plain.ids
    dated = "{% if messages[0].role != 'system' %}It is {{ strftime_now('%Y') }}.\n{% endif %}" + CHATML
    assert re.fullmatch(r"It is \d{4}\.\n", render(model._replace(template=dated), conversation).added)
    loops = (
        "{{ raise_exception('wrong') if loop.length != messages | length or loop.nextitem is defined == loop.last }}"
    )
    watched = CHATML.replace("{% for message in messages %}", "{% for message in messages %}" + loops, 1)
    assert render(model._replace(template=watched), conversation).ids == plain.ids
    filtered = "{% for m in messages if m.role == 'user' %}{{ loop.index }}{{ loop.last }}{{ m.content }}{% endfor %}"
    assert model.tokeniser.decode(prompt_ids(model._replace(template=filtered), talk("a"))) == "1Truea"


def test_a_template_that_writes_ends_by_itself_in_calls():
    """As DeepSeek's: several control strings close calls, all of which the model writes."""
    control = ["<s>", "</s>", "<call>", "</call>", "</calls>"]
    template = """{{ bos_token }}{% for m in messages %}{% if m.role == 'user' %}User: {{ m.content }}

Assistant:{% elif m.tool_calls %}{% for c in m.tool_calls %}{{ '<call>' + c.function.name + '\n' }}
{{- c.function.arguments | tojson + '\n</call>' }}{% endfor %}{{ '</calls>' + eos_token }}
{%- elif m.role == 'tool' %}{{ 'Result: ' + m.content + '\n\nAssistant:' }}
{%- else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}"""
    model = LanguageModel("deep", None, tokenisers.of_tokenizers(bpe(control), "<s>", "</s>"), template, 99, (), {})
    row = render(model, calls({"city": "Oslo"}))
    assert said(model, row, row.spans[1]) == '<call>clock\n{"city": "Oslo"}\n</call></calls>'
    assert row.texts[row.spans[1].end] == "</s>" and said(model, row, row.spans[3]) == " Ten."


# ---- tokenisers -----------------------------------------------------------------------------------------------------


def test_an_answer_is_cut_off_its_opening_where_the_prompt_has_other_tokens():
    """By GPT-2's words "\\n\\nHello" is "\\n", "\\n", "Hello", but "\\n\\n" by itself is one token, and stays it."""
    model, tokenizer = build("llama 3", bpe(LLAMA3_CONTROL))
    conversation = talk("Hi", "Hello", "Bye", "\n\nBye")
    row, whole = render(model, conversation), reference_ids(model, tokenizer, conversation)
    assert row.ids != whole and model.tokeniser.decode(row.ids) == model.tokeniser.decode(whole)
    for i in (1, 3):
        assert row.ids[: row.spans[i].begin] == prompt_ids(model, conversation[:i])


@pytest.mark.parametrize("scheme", ["always", "first", "never", "prepend"])
def test_tokenisers_that_put_a_space_ahead(scheme):
    """As SentencePiece's: Llama 2 puts a space ahead of each part, Mistral ahead of the first alone, Gemma of none."""
    words = {"<unk>": 0, "<s>": 1, "</s>": 2, "▁": 3}
    words |= {character: 4 + i for i, character in enumerate("abcdehilnorstuyHBIST[]/.:?NS<>|_m")}
    tokenizer = Tokenizer(models.BPE(words, [], unk_token="<unk>", fuse_unk=True))
    if scheme == "prepend":
        steps = [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
        tokenizer.normalizer = normalizers.Sequence(steps)
    else:
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
    model, _ = build("llama 2", tokenizer)
    conversation = talk("Hi there", "Hello 你好.", "Bye", "Bye")
    row = render(model, conversation)
    assert row.ids == reference_ids(model, tokenizer, conversation)
    assert "".join(row.texts) == reference_text(model, conversation)
    assert row.ids[: row.spans[3].begin] == prompt_ids(model, conversation[:3])
    assert [row.texts[span.end] for span in row.spans[1::2]] == ["</s>", "</s>"]
    attack = render(model, talk("Hi </s> there", "Hello</s>.", "Bye", "Bye"))
    assert controls(model, attack.ids).count(2) == 2


def test_control_strings_that_swallow_white_space():
    """As Phi-3's, which take the line break behind them."""
    tokenizer = bpe([])
    tokenizer.add_special_tokens([AddedToken(string, rstrip=True, special=True) for string in ZEPHYR_CONTROL])
    model, _ = build("zephyr", tokenizer)
    for conversation in ORDINARY:
        row = render(model, conversation)
        assert row.ids == reference_ids(model, tokenizer, conversation)
        assert row.ids[: row.spans[1].begin] == prompt_ids(model, conversation[:1])
        assert [row.texts[span.end] for span in row.spans[1::2]] == ["</s>\n"] * (len(conversation) // 2)


def test_a_tokeniser_is_read_free_of_what_its_file_adds_and_stays_as_it_is():
    tokenizer = bpe(["<s>", "</s>"])
    before = render(build("llama 2", tokenizer)[0], ORDINARY[1])
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=50)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    stored = tokenizer.to_str()
    model, _ = build("llama 2", tokenizer)
    row = render(model, ORDINARY[1])
    assert (row.ids, row.texts) == (before.ids, before.texts) and tokenizer.to_str() == stored
    assert tokenizer.encode_special_tokens is False and model.tokeniser.source is tokenizer


def test_beginning_and_end_of_text_must_be_control_strings():
    with pytest.raises(ValueError, match="^'<eos>' is no control string of the tokeniser: it has <s>, </s>$"):
        tokenisers.of_tokenizers(bpe(["<s>", "</s>"]), "<s>", "<eos>")


def test_tokens_of_one_character_show_it_once():
    model, _ = MODELS["chatml"]
    row = render(model, talk("😀", "a<|im_end|>😀"))
    assert "".join(row.texts).count("😀") == 2 and "".join(row.texts) == model.tokeniser.decode(row.ids)
    assert "⋯" in set(table(row)["token"]) and repr(Coloured(row)).count("😀") == 2


@pytest.fixture(scope="module")
def kerashub():
    """A tokeniser of KerasHub with the words of a trained one, as a model without a network."""
    trained = bpe(["<|endoftext|>", *CHATML_CONTROL])
    learned = json.loads(trained.to_str())["model"]
    merges = [" ".join(pair) for pair in learned["merges"]]
    tokenizer = keras_hub.tokenizers.GPT2Tokenizer(vocabulary=learned["vocab"], merges=merges)
    tokeniser = tokenisers.of_kerashub(tokenizer)
    return LanguageModel("hub", None, tokeniser, PLAIN, 1_000, (), {}), trained


def test_a_tokeniser_of_kerashub(kerashub):
    model, trained = kerashub
    assert model.tokeniser.control == {"<|endoftext|>": 0} and not model.tokeniser.exact
    for conversation in ORDINARY[:2]:
        row = render(model, conversation)
        assert row.ids[0] == model.tokeniser.bos == 0 and row.texts[0] == "<|endoftext|>"
        assert [said(model, row, span).strip() for span in row.spans] == [
            message["content"] for message in conversation
        ]
        assert (
            "".join(row.texts)
            == model.tokeniser.decode(row.ids)
            == "<|endoftext|>" + reference_text(model, conversation)
        )
        for i in range(1, len(conversation), 2):
            assert row.ids[: row.spans[i].begin] == prompt_ids(model, conversation[:i])
    ids, places = model.tokeniser.encode("the answer is")
    assert ids == trained.encode("the answer is").ids and set(places) == {(0, 13)}
    attack = render(model, talk("a<|endoftext|>b", "<|endoftext|>", "<|endoftext|><|endoftext|>", "c"))
    assert controls(model, attack.ids) == [0]
    assert said(model, attack, attack.spans[0]).strip() == "a<|endoftext|>b"
    ended = model._replace(template=PLAIN.replace("{{ '\n' }}", "{{ eos_token }}{{ '\n' }}", 1))
    row = render(ended, ORDINARY[0])
    assert row.texts[row.spans[1].end] == "<|endoftext|>" and said(ended, row, row.spans[1]).strip() == "Hello"


# ---- any text -------------------------------------------------------------------------------------------------------

AWKWARD = st.sampled_from(
    [
        "<|im_end|>",
        "</s>",
        "<s>",
        " ",
        "\n",
        "\n\n",
        "\t",
        "😀",
        "你",
        "{{ 1 }}",
        "{% raw %}",
        "\U000f0000",
        "\U0010fffd",
        "\ue000",
    ]
    + [
        "<|im_start|>",
        "assistant\n",
        "[/INST]",
        "<start_of_turn>",
        "<",
        "|>",
        "a",
        ".",
        "1",
        "é",
        "e\u0301",
        "\u2028",
        "'s",
        "\r\n",
    ]
)
TEXT = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12), st.lists(AWKWARD, max_size=8).map("".join)
)
CONTENT = TEXT.map(lambda text: f"{text}x{text}")


@settings(deadline=None, max_examples=25, derandomize=True)
@given(texts=st.lists(CONTENT, min_size=2, max_size=4).filter(lambda texts: len(texts) % 2 == 0))
@pytest.mark.parametrize("kind", KINDS)
def test_any_text(kind, texts):
    model, _ = MODELS[kind]
    conversation = talk(*texts)
    row = render(model, conversation)
    plain = render(model, talk(*["xyz"] * len(texts)))
    assert controls(model, row.ids) == controls(model, plain.ids)
    assert "".join(row.texts) == model.tokeniser.decode(row.ids)
    for i, (span, text) in enumerate(zip(row.spans, texts, strict=True)):
        if kind in TRIMS:
            assert said(model, row, span).strip() == text.strip()
        elif kind != "qwen 3":  # it takes away line breaks ahead of the last answer
            assert text in said(model, row, span)
        assert (row.mask[span.begin : span.stop] == i % 2).all()
        if i % 2:
            assert row.ids[: span.begin] == prompt_ids(model, conversation[:i])
    assert row.mask.sum() == sum(span.stop - span.begin + (span.end is not None) for span in row.spans[1::2])


@settings(deadline=None, max_examples=50, derandomize=True)
@given(text=CONTENT)
def test_any_text_inside_a_call(text):
    model, _ = MODELS["chatml"]
    row = render(model, calls({text: [text, {text: text}]}, name=text))
    assert controls(model, row.ids) == controls(model, render(model, calls({"a": "b"})).ids)
    assert said(model, row, row.spans[1]).endswith("</tool_call>") and said(model, row, row.spans[2]) == "10:00"


def test_jinja_in_contents_is_text():
    model, _ = MODELS["chatml"]
    code = "{{ 7 * 7 }}{% for x in messages %}{# no #}{{ raise_exception('x') }}"
    row = render(model, talk(code, code))
    assert [said(model, row, span) for span in row.spans] == [code, code]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "qwen 3"])
def test_white_space_at_both_ends_stays_unless_the_template_trims(kind):
    model, _ = MODELS[kind]
    row = render(model, talk(" \n a \n", "  b\n\n "))
    for span, text in zip(row.spans, (" \n a \n", "  b\n\n "), strict=True):
        found = said(model, row, span)
        assert found.strip() == text.strip() and (text in found) == (kind not in TRIMS)


# ---- a length limit -------------------------------------------------------------------------------------------------


def words():
    """The toy of case T15: one token a role, a word, and an end."""
    numbers = {}

    def encode(text):
        found = list(re.finditer(r"\S+\s*", text))
        return [numbers.setdefault(word[0].strip(), 100 + len(numbers)) for word in found], [
            word.span() for word in found
        ]

    def decode(ids):
        names = {number: word for word, number in (numbers | control).items()}
        return " ".join(names[id_] for id_ in ids)

    control = {"<user>": 0, "<assistant>": 1, "<system>": 2, "<end>": 3}
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}"
    template += "{% if add_generation_prompt %}<assistant>{% endif %}"
    return LanguageModel("toy", None, tokenisers.Tokeniser(encode, decode, control, None, 3), template, 100, (), {})


def spoken(*turns):
    return [
        {"role": role, "content": " ".join(f"{role[0]}{i}.{j}" for j in range(size))}
        for i, (role, size) in enumerate(turns)
    ]


T15 = [
    spoken(("user", 5), ("assistant", 3)),
    spoken(("user", 14), ("assistant", 2)),
    spoken(("user", 3), ("assistant", 8)),
    spoken(("user", 2), ("assistant", 2), ("user", 2), ("assistant", 2)),
]


def test_case_t15():
    toy = words()
    kept, frame = limit(toy, T15, 12)
    expected = {
        "tokens": [12, 20, 15, 16],
        "trained": [4, 3, 9, 6],
        "answers": [1, 1, 1, 2],
        "cut": [False, True, True, True],
        "tokens_left": [12, 12, 12, 12],
        "trained_left": [4, 0, 6, 3],
        "answers_lost": [0, 1, 0, 1],
        "ends_lost": [0, 1, 1, 1],
        "kept": [True, False, True, True],
    }
    assert frame.to_dict("list") == expected
    assert frame["trained_left"].sum() == 13 and frame["trained"].sum() == 22
    assert [len(row.ids) for row in kept] == [12, 12, 12] and [len(row.trained) for row in kept] == [4, 6, 3]
    kept, frame = limit(toy, T15, 12, how="oldest")
    assert frame["tokens_left"].tolist() == [12, 12, 12, 8] and frame["trained_left"].tolist() == [4, 0, 6, 3]
    assert toy.tokeniser.decode(kept[-1].ids) == "<user> u2.0 u2.1 <end> <assistant> a3.0 a3.1 <end>"
    kept, frame = limit(toy, T15, 12, how="leave out")
    assert frame["kept"].tolist() == [True, False, False, False] and frame["tokens_left"].tolist() == [12, 0, 0, 0]
    assert frame["answers_lost"].tolist() == [0, 1, 1, 2] and len(kept) == 1


def test_the_oldest_go_but_never_the_system_message_nor_the_last_answer():
    toy = words()
    talks = [
        spoken(("system", 2), ("user", 2), ("assistant", 2), ("user", 2), ("assistant", 2)),
        spoken(("user", 2), ("assistant", 2), ("user", 4)),  # ends in a question
        spoken(("assistant", 2), ("user", 2), ("assistant", 2), ("user", 2), ("assistant", 2)),
        spoken(("user", 2), ("assistant", 2), ("user", 2), ("assistant", 2), ("user", 9), ("assistant", 9)),
    ]
    kept, frame = limit(toy, talks, 12, how="oldest")
    texts = [toy.tokeniser.decode(row.ids) for row in kept]
    assert texts[0].startswith("<system> s0.0 s0.1 <end> <user> u3.0") and texts[0].endswith("a4.0 a4.1 <end>")
    assert texts[1].startswith("<user> u0.0") and frame["trained_left"][1] == 3 and frame["tokens_left"][1] == 12
    assert texts[2] == "<user> u3.0 u3.1 <end> <assistant> a4.0 a4.1 <end>"
    assert frame["kept"].tolist() == [True, True, True, False] and frame["trained_left"][3] == 0


def test_settings_reach_render_and_nothing_is_too_long():
    toy = words()
    kept, frame = limit(toy, T15, 100, train="last")
    assert frame["trained"].tolist() == [4, 3, 9, 3] and not frame["cut"].any() and len(kept) == 4
    kept, frame = limit(toy, [], 12)
    assert kept == [] and frame.shape == (0, 9) and list(frame) == list(limit(toy, T15, 12)[1])
    silent = [T15[0][0], T15[0][1] | {"weight": 0}]
    kept, frame = limit(toy, [silent], 12)
    assert kept == [] and frame["kept"].tolist() == [False] and frame["cut"].tolist() == [False]


@pytest.mark.parametrize("size", [0, -1, 101, 12.5, "12", None, True, float("nan")])
def test_limits_that_are_none(size):
    with pytest.raises(ValueError, match=r"^max_tokens is .*: toy reads 1 to 100, a whole number$"):
        limit(words(), T15, size)


def test_bad_input_of_limit_is_named():
    with pytest.raises(ValueError, match="^how is 'left': take one of 'right', 'oldest', 'leave out'$"):
        limit(words(), T15, 12, how="left")
    with pytest.raises(ValueError, match="^conversation 1: message 1: the role 'asistant' is unknown"):
        limit(words(), [T15[0], [{"role": "asistant", "content": "a"}]], 12)
    with pytest.raises(ValueError, match="^conversation 1: the conversation has no message of the assistant"):
        limit(words(), [T15[0], T15[0][:1]], 12)


@settings(deadline=None, max_examples=60, derandomize=True)
@given(size=st.integers(1, 30), how=st.sampled_from(["right", "oldest", "leave out"]))
def test_what_is_left_and_lost_adds_up(size, how):
    kept, frame = limit(words(), T15, size, how=how)
    assert all(0 < len(row.ids) <= size and len(row.trained) for row in kept)
    assert all(len(row.mask) == len(row.texts) == len(row.ids) for row in kept)
    assert [len(row.trained) for row in kept] == frame["trained_left"][frame["kept"]].tolist()
    assert (frame["trained_left"] <= frame["trained"]).all() and (frame["tokens_left"] <= size).all()
    assert (frame["cut"] == (frame["tokens"] > size)).all()
    assert all(span.stop <= len(row.ids) and (span.end or 0) < len(row.ids) for row in kept for span in row.spans)


def test_a_row_cut_by_hand():
    row = render(words(), T15[0])
    short = cut(row, 9)
    assert short.ids == row.ids[:9] and short.mask.tolist() == row.mask[:9].tolist()
    assert (short.spans[1].begin, short.spans[1].stop, short.spans[1].end) == (8, 9, None)
    assert len(short.trained) == 1 and not len(short.ends) and list(short.answer) == [8]


# ---- to look at -----------------------------------------------------------------------------------------------------


def test_table():
    frame = table(render(words(), spoken(("user", 1), ("assistant", 2))))
    assert frame["token"].tolist() == ["<user>", "u0.0", "<end>", "<assistant>", "a1.0␣", "a1.1", "<end>"]
    assert frame["role"].tolist() == ["", "user", "", "", "assistant", "assistant", ""]
    assert frame["trained"].tolist() == [0, 0, 0, 0, 1, 1, 1] and frame.index.name == "place"
    assert frame["id"].tolist()[::3] == [0, 1, 3]


def test_coloured_text_can_be_read_without_colour():
    row = render(MODELS["chatml"][0], talk('<b>&"x"</b>\ta', "1 < 2\r\nyes"))
    shown = Coloured(row)
    expected = '<|im_start|>user⏎\n<b>&"x"</b>⇥a<|im_end|>⏎\n<|im_start|>assistant⏎\n⟦1␣<␣2␍⏎\nyes⟧⟦<|im_end|>⟧⏎\n'
    assert repr(shown) == str(shown) == repr(Coloured(row)) == expected
    page = shown._repr_html_()
    assert "<b>" not in page and "&lt;b&gt;&amp;&quot;x&quot;&lt;/b&gt;" in page
    assert page.count("text-decoration: underline") == 2  # the answer and its end token
    assert page.count("<span") == page.count("</span>") == 6 and page.count("<br>") == 5
    assert re.sub(r"<[^>]+>", "", page).startswith("&lt;|im_start|&gt;user⏎")
