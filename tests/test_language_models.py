"""The shipped language model against a forward pass written in NumPy, and what is asked of any model."""

import importlib.util
from pathlib import Path

import gguf
import keras
import keras_hub
import numpy as np
import pytest
from scipy.special import log_softmax
from test_finetuning_language import tiny_llama
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from helpers import language_models
from helpers.finetuning import language
from helpers.language_models import smollm2, tokenisers

TEXTS = [
    "The capital of France is Paris.",
    "A",
    "def add(a, b):\n    return a + b\n",
    "Two and two make 4, and 12 times 12 makes 144.",
    "你好，世界",
    "List the files of a folder, the newest first: ls -t",
    "He said nothing. She said nothing. Nobody said anything at all, and so the evening went on and on until it ended.",
    "<html><body>&amp;</body></html>",
    "   spaces   and\ttabs\n\n\n",
    "Once upon a time there was a small model that could write a little.",
]


@pytest.fixture(scope="module")
def model():
    return language_models.load("smollm2")


# ---- the same network in NumPy, straight from the file: with its own order of rows, and rotation of neighbours ------


def numbers(tensor):
    """A tensor of the file as float32: Q4_1 by its definition, blocks of 32 numbers in 20 bytes, or as it is."""
    if tensor.tensor_type != gguf.GGMLQuantizationType.Q4_1:
        return gguf.quants.dequantize(tensor.data, tensor.tensor_type)
    blocks = tensor.data.reshape(-1, 20)
    step, offset = blocks[:, :4].copy().view("float16").astype("float32").T[..., None]
    low, high = blocks[:, 4:] & 15, blocks[:, 4:] >> 4
    return (np.concatenate([low, high], axis=1) * step + offset).reshape(tensor.shape[::-1])


def normed(x, scale):
    return x / np.sqrt((x**2).mean(axis=-1, keepdims=True) + 1e-5) * scale


def rotated(x):
    """Rotary positions on pairs of neighbours: x (tokens, heads, 64)."""
    angle = np.arange(len(x))[:, None, None] * 100_000.0 ** (-np.arange(0, 64, 2) / 64)
    even, odd = x[..., 0::2], x[..., 1::2]
    turned = even * np.cos(angle) - odd * np.sin(angle), even * np.sin(angle) + odd * np.cos(angle)
    return np.stack(turned, axis=-1).reshape(x.shape)


def forward(weights, ids):
    """Logits (tokens, vocabulary) of one row."""
    x = weights["token_embd.weight"][ids]
    future = np.triu(np.full((len(ids), len(ids)), -np.inf), 1)
    for block in range(30):
        w = {name: weights[f"blk.{block}.{name}.weight"] for name in smollm2.IN_BLOCK}
        h = normed(x, w["attn_norm"])
        q = rotated((h @ w["attn_q"].T).reshape(-1, 9, 64))
        k = rotated((h @ w["attn_k"].T).reshape(-1, 3, 64)).repeat(3, axis=1)
        v = (h @ w["attn_v"].T).reshape(-1, 3, 64).repeat(3, axis=1)
        scores = np.einsum("qhd,khd->hqk", q, k) / 8 + future
        seen = np.exp(scores - scores.max(axis=-1, keepdims=True))
        seen /= seen.sum(axis=-1, keepdims=True)
        x = x + np.einsum("hqk,khd->qhd", seen, v).reshape(len(ids), -1) @ w["attn_output"].T
        h = normed(x, w["ffn_norm"])
        gate = h @ w["ffn_gate"].T
        x = x + (gate / (1 + np.exp(-gate)) * (h @ w["ffn_up"].T)) @ w["ffn_down"].T
    return normed(x, weights["output_norm.weight"]) @ weights["token_embd.weight"].T


@pytest.fixture(scope="module")
def independent():
    tensors = gguf.GGUFReader(smollm2.weight_file()).tensors
    return {tensor.name: numbers(tensor) for tensor in tensors}


@pytest.mark.parametrize("text", TEXTS)
def test_logits_are_those_of_an_independent_forward_pass(model, independent, text):
    ids, _ = model.tokeniser.encode(text)
    inputs = {"token_ids": np.array([ids]), "padding_mask": np.ones((1, len(ids)), "int32")}
    ours = keras.ops.convert_to_numpy(model.lm(inputs))[0]
    theirs = forward(independent, ids)
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).mean() > 0.99  # a tie may fall otherwise


def test_wrong_epsilon_or_order_of_rows_would_be_seen(independent):
    ids = [1, 504, 2_000, 30]
    right = forward(independent, ids)
    name = "blk.0.attn_q.weight"
    turned = independent | {name: smollm2._rotated_by_halves(independent[name])}
    assert np.abs(forward(turned, ids) - right).max() > 0.1


def test_it_knows_english_and_order(model):
    """Perplexity of plain sentences, and of their words shuffled; 15.8 and 1,219 were measured on others."""
    plain = [
        "The capital of France is Paris, and it lies on the river Seine.",
        "Water boils at one hundred degrees and freezes at zero degrees.",
        "She opened the door, looked outside, and saw that it was raining.",
    ]
    shuffled = [" ".join(np.random.default_rng(0).permutation(text.split())) for text in plain]
    perplexities = []
    for texts in (plain, shuffled):
        ids = [[0, *model.tokeniser.encode(text)[0]] for text in texts]  # 0 is <|endoftext|>, behind which texts begin
        found = language_models.nats(model, ids, [range(1, len(row)) for row in ids])
        perplexities.append(np.exp(np.concatenate(found).mean()))
    assert perplexities[0] < 60 and perplexities[1] > 5 * perplexities[0]


def test_the_file_must_be_the_pinned_one(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(language_models.WeightsError, match="^the weights of 'smollm2' are not installed: run `pip"):
        smollm2.weight_file()
    monkeypatch.undo()
    damaged = tmp_path / smollm2.FOLDER
    damaged.mkdir()
    (damaged / smollm2.FILE).write_bytes(b"GGUF" + bytes(100))

    class Spec:
        submodule_search_locations = [str(damaged)]

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: Spec)
    with pytest.raises(language_models.WeightsError, match="is missing, damaged or of another version: run `pip"):
        smollm2.weight_file()
    assert Path(damaged / smollm2.FILE).exists()


# ---- scores ---------------------------------------------------------------------------------------------------------


def test_nats_alone_and_in_company(model):
    ids = [[1, *model.tokeniser.encode(text)[0]] for text in TEXTS]
    places = [list(range(1, len(row))) for row in ids]
    together = language_models.nats(model, ids, places)
    for row, wanted, found in zip(ids, places, together, strict=True):
        alone = language_models.nats(model, [row], [wanted])[0]
        np.testing.assert_allclose(found, alone, atol=1e-4)
    inputs = {"token_ids": np.array(ids[:1]), "padding_mask": np.ones((1, len(ids[0])), "int32")}
    by_hand = -log_softmax(keras.ops.convert_to_numpy(model.lm(inputs))[0], axis=1)
    expected = [by_hand[place - 1, ids[0][place]] for place in places[0]]
    np.testing.assert_allclose(together[0], expected, atol=1e-4)


def test_nats_of_no_place_is_empty(model):
    found = language_models.nats(model, [[1, 5, 6], [1, 7]], [[], [1]])
    assert [len(values) for values in found] == [0, 1]


def test_hidden_states_are_of_length_one_and_the_weighted_mean_leans_to_the_end(model):
    ids = [[1, *model.tokeniser.encode(text)[0]] for text in TEXTS[:4]]
    plain, weighted = (language_models.hidden(model, ids, weighted=which) for which in (False, True))
    np.testing.assert_allclose(np.linalg.norm(plain, axis=1), 1, atol=1e-5)
    last = language_models.states(keras.Model(model.backbone.input, model.backbone.output), ids[:1])[0]
    np.testing.assert_allclose(plain[0], last.mean(axis=0) / np.linalg.norm(last.mean(axis=0)), atol=1e-5)
    by_hand = (last * np.arange(1, len(last) + 1)[:, None]).sum(axis=0)
    np.testing.assert_allclose(weighted[0], by_hand / np.linalg.norm(by_hand), atol=1e-5)


# ---- new text -------------------------------------------------------------------------------------------------------


def test_greedy_text_does_not_depend_on_its_company(model):
    prompts = [
        [1, *model.tokeniser.encode(text)[0]] for text in ("The capital of France is", "One two three four", "A")
    ]
    together = language_models.generate(model, prompts, longest=6)
    for prompt, text in zip(prompts, together, strict=True):  # each token is the likeliest by itself too, ties aside
        scores = logits(model, [*prompt, *text])[0, len(prompt) - 1 : -1]
        assert (scores.max(axis=1) - scores[np.arange(len(text)), text]).max() < 1e-3
    assert "Paris" in model.tokeniser.decode(together[0])
    assert [len(text) for text in together] == [6, 6, 6]


def test_drawn_text_hangs_on_the_seed_alone(model):
    prompts = [[1, *model.tokeniser.encode("Once upon a time")[0]]] * 2
    settings = {"longest": 12, "temperature": 1.0, "top_p": 0.9}
    first, again, other = (language_models.generate(model, prompts, seed=seed, **settings) for seed in (0, 0, 1))
    assert first == again != other and first[0] != first[1]


# ---- any other model ------------------------------------------------------------------------------------------------

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TALK = [{"role": "user", "content": "Say hi"}, {"role": "assistant", "content": "hi"}]


def tiny_tokenizer():
    """Byte-level BPE of the 256 bytes alone, and two control strings."""
    bytes_ = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({token: id_ for id_, token in enumerate(bytes_)}, []))
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|im_start|>", "<|im_end|>"])
    return tokenizer


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny Llama as Hugging Face keeps one, and the model that was written there."""
    backbone = tiny_llama(258)
    tokeniser = tokenisers.of_tokenizers(tiny_tokenizer(), eos="<|im_end|>")
    lm = keras_hub.models.Llama3CausalLM(backbone)
    model = language_models.LanguageModel("tiny", lm, tokeniser, CHATML, 64, (257,), {})
    path = tmp_path_factory.mktemp("presets") / "tiny"
    language.export(model, path)
    return path, model


def logits(model, ids):
    return keras.ops.convert_to_numpy(model.lm({"token_ids": np.array([ids]), "padding_mask": np.ones((1, len(ids)))}))


def test_a_folder_of_hugging_face_comes_with_its_tokeniser_and_template(folder):
    path, written = folder
    read = language_models.load(path)
    row = language_models.render(read, TALK)
    assert row.ids == language_models.render(written, TALK).ids
    assert read.ends == (257,) and read.template == CHATML and read.context == 64
    np.testing.assert_allclose(logits(read, row.ids), logits(written, row.ids), atol=1e-5)
    texts = language_models.generate(read, [language_models.prompt_ids(read, TALK[:1])], longest=4)
    assert len(texts[0]) <= 4


def test_a_preset_of_kerashub_comes_without_a_template(tmp_path):
    tokens = ["<|endoftext|>", *"abcdefgh", "Ġ", "ef"]
    tokenizer = keras_hub.models.GPT2Tokenizer({token: i for i, token in enumerate(tokens)}, merges=["e f"])
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=len(tokens),
        num_layers=1,
        num_heads=2,
        hidden_dim=8,
        intermediate_dim=16,
        max_sequence_length=32,
    )
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=32)
    keras_hub.models.GPT2CausalLM(backbone, preprocessor).save_to_preset(tmp_path)
    model = language_models.load(tmp_path)
    with pytest.raises(ValueError, match="has no chat template: give load one, template=$"):
        language_models.render(model, TALK)
    template = "{% for message in messages %}{{ message.content }}{% if message.role == 'assistant' %}"
    model = language_models.load(tmp_path, template=template + "<|endoftext|>{% endif %}{% endfor %}")
    talk = [{"role": "user", "content": "abc"}, {"role": "assistant", "content": "efgh"}]
    row = language_models.render(model, talk)
    assert [tokens[id_] for id_ in row.ids if id_] == ["a", "b", "c", "ef", "g", "h"] and model.context == 32
    losses = language_models.losses(model, [row])
    assert losses["tokens"].tolist() == [3] and losses["ends"].tolist() == [1]


@pytest.mark.parametrize("name", ["no_such_preset", "/no/such/folder", 7])
def test_an_unknown_name_is_said_in_one_sentence(name):
    with pytest.raises(ValueError, match="is no language model that can be loaded .*: take 'smollm2', a causal preset"):
        language_models.load(name)
