"""scenarios.generation: masks, cached sampling, nucleus and measures, by hand and by Keras; its rows and weights."""

import hashlib
from dataclasses import dataclass

import keras
import keras_hub
import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from helpers.scenarios import generation

SIZE = 12


@pytest.fixture(scope="module")
def tiny():
    """A GPT of two small blocks with random weights."""
    keras.utils.set_random_seed(0)
    return generation.gpt(SIZE, context=16, width=8, depth=2, heads=2)


def uniform(n):
    """A stand-in for a model: the same score for each of n tokens."""
    return lambda x, training=False: np.zeros((*x.shape, n), "float32")


# ---- mask and loss


def test_mask_weighs_the_answer_alone():
    x, y, weight = generation.masked([([5, 6, 7], [8, 9]), ([5], [6, 7])])
    assert x.shape == (2, 16)
    assert x[0, :4].tolist() == [5, 6, 7, 8] and y[0, :4].tolist() == [6, 7, 8, 9]
    assert weight[0].nonzero()[0].tolist() == [2, 3]  # where 8 and 9 are to be said
    assert weight[1].nonzero()[0].tolist() == [0, 1]
    assert generation.masked([([5, 6, 7], [8, 9])], mask=False)[2].sum() == 4


def test_pair_longer_than_the_context_is_refused():
    generation.masked([([1] * 48, [2] * 49)])
    with pytest.raises(ValueError, match="98 tokens and the context takes 97"):
        generation.masked([([1] * 48, [2] * 50)])


@pytest.mark.equation("14.1")
def test_loss_of_a_pair_by_hand_by_ours_and_by_keras(tiny):
    prompt, answer = [2, 3, 5], [6, 7, 2]
    x, y, weight = generation.masked([(prompt, answer)], length=16)
    scores = keras.ops.convert_to_numpy(tiny(x)).astype(float)[0]
    p = np.exp(scores) / np.exp(scores).sum(axis=-1, keepdims=True)
    by_hand = -(np.log(p[2, 6]) + np.log(p[3, 7]) + np.log(p[4, 2])) / 3
    nats, count = generation.losses(tiny, [(prompt, answer)])
    assert count.tolist() == [3]
    assert nats[0] / 3 == pytest.approx(by_hand, rel=1e-5)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    assert float(loss(y, tiny(x), sample_weight=weight / weight.mean())) == pytest.approx(by_hand, rel=1e-5)
    # four equally likely tokens: ln 4 each
    assert (np.divide(*generation.losses(uniform(4), [([1, 2], [3, 3])]))).tolist() == pytest.approx([np.log(4)])


@pytest.mark.equation("14.2")
def test_ifd_by_hand_and_by_perplexities(tiny, monkeypatch):
    @dataclass
    class Frame:
        asked: list
        bare: list

    frame = Frame(asked=[([2, 3, 5], [6, 7, 2])], bare=[([2], [6, 7, 2])])
    monkeypatch.setattr(generation, "pairs", lambda frame, asked: frame.asked if asked else frame.bare)

    def mean_loss(prompt, answer):
        scores = keras.ops.log_softmax(tiny(np.array([prompt + answer])), axis=-1)[0]
        places = range(len(prompt) - 1, len(prompt) + len(answer) - 1)
        return -np.mean([float(scores[i, token]) for i, token in zip(places, answer, strict=True)])

    by_hand = mean_loss(*frame.asked[0]) / mean_loss(*frame.bare[0])
    assert generation.ifd(tiny, frame) == pytest.approx([by_hand], rel=1e-5)
    # a model that hears nothing finds the answer as hard with the instruction as without
    assert generation.ifd(uniform(SIZE), frame) == pytest.approx([1])


def shuffled(weights, seed):
    """Another start: each array's numbers in another order."""
    rng = np.random.default_rng(seed)
    return [rng.permutation(weight.ravel()).reshape(weight.shape) for weight in weights]


def share_of_loss_left(model, examples, seed, **settings):
    """The loss of examples after tuning on them, over that before."""
    before = generation.losses(model, examples)[0].sum()
    generation.tune(model, examples, seed=seed, **settings)
    return generation.losses(model, examples)[0].sum() / before


def test_tuning_learns_what_it_saw_from_any_start_and_repeats():
    examples = [([2, 3, 5], [6, 7, 8, 2]), ([2, 3, 4], [9, 10, 11, 2])]
    model = generation.gpt(SIZE, context=16, width=8, depth=1, heads=2)
    start, left = model.get_weights(), []
    for seed in (0, 1, 2, 0):  # the last run must not see the optimizer or the dropout of those before
        model.set_weights(shuffled(start, seed))
        left.append(share_of_loss_left(model, examples, seed, steps=60, rate=0.02))
    assert max(left) < 0.4  # .04 to .15 over eight starts
    assert left[3] == left[0]


# ---- sampling


def test_cached_scores_are_those_of_the_whole_text(tiny):
    ids = np.array([[2, 5, 6, 7, 3, 9], [2, 9, 8, 7, 6, 5]])
    caches = [keras.ops.zeros((2, 2, 16, 2, 4)) for _ in range(2)]
    steps = [generation.step(tiny, ids[:, i], i, caches) for i in range(6)]
    np.testing.assert_allclose(np.stack(steps, 1), tiny(ids), atol=1e-5)


def test_cold_sampling_takes_the_likeliest_token_after_each_prompt(tiny, monkeypatch):
    monkeypatch.setattr(generation, "vocabulary", lambda: generation.SPECIAL + list("abcdefg"))
    prompts = [[2, 5, 6], [2, 7]]
    texts = generation.generate(tiny, prompts, temperature=1e-4, length=8)
    for prompt, text in zip(prompts, texts, strict=True):
        ids = list(prompt)
        while len(ids) < 8:
            scores = keras.ops.convert_to_numpy(tiny(np.array([ids])))[0, -1]
            scores[[generation.PAD, generation.UNK, generation.USER, generation.POET]] = -np.inf
            ids.append(int(scores.argmax()))
        assert text == generation.decode(ids[len(prompt) :])


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8, unique=True), st.floats(0.05, 1))
def test_nucleus_is_the_smallest_set_that_holds_top_p(scores, top_p):
    p = np.exp(scores) / np.sum(np.exp(scores))
    kept = generation.nucleus([scores], top_p=top_p)[0] > 0
    held = p[kept].sum()
    assert held >= top_p - 1e-9
    assert held - p[kept].min() < top_p + 1e-9  # without its least likely member it holds too little
    assert not kept.any() or p[kept].min() >= p[~kept].max(initial=0)


def test_nucleus_draws_what_keras_hub_draws():
    p = np.array([0.4, 0.3, 0.2, 0.1], "float32")
    sampler = keras_hub.samplers.TopPSampler(p=0.65, seed=0)
    drawn = keras.ops.convert_to_numpy(sampler.get_next_token(keras.ops.tile(p[None], (4000, 1))))
    expected = generation.nucleus(np.log(p)[None], top_p=0.65)[0]
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 4000, expected, atol=0.03)
    assert expected == pytest.approx([4 / 7, 3 / 7, 0, 0])


@pytest.mark.parametrize("bad", [{"temperature": 0}, {"top_p": 0}, {"top_p": 1.1}])
def test_bad_settings_of_sampling_are_refused(bad):
    with pytest.raises(ValueError, match="temperature must be above 0 and top_p in"):
        generation.nucleus([[0.0, 1.0]], **bad)


# ---- measures


def test_form_is_the_number_and_length_of_lines():
    quatrain = "床前明月光，疑是地上霜。举头望明月，低头思故乡。"
    assert generation.in_form(quatrain, "五言绝句")
    assert not generation.in_form(quatrain, "五言律诗")
    assert not generation.in_form(quatrain[:-7] + "低头思乡。", "五言绝句")
    with pytest.raises(ValueError, match="词 has no fixed lines"):
        generation.in_form(quatrain, "词")


def test_copied_share_by_hand():
    assert generation.copied(["abcde"], ["xxcdexx"], n=3) == 3 / 5
    assert generation.copied(["abc，de", "vw"], ["ab。cde"], n=5) == 5 / 7  # punctuation does not count
    assert generation.copied(["abcd", ""], ["abc"], n=4) == 0
    assert generation.copied([""], ["abc"]) == 0


def test_self_bleu_is_one_for_copies_and_none_for_strangers():
    assert generation.self_bleu(["春眠不觉晓"] * 3) == pytest.approx(1)
    assert generation.self_bleu(["春眠不觉晓", "白日依山尽", "千里莺啼绿"]) == pytest.approx(0, abs=0.05)


# ---- rows


def test_no_author_and_no_poem_stands_in_two_parts():
    frame = generation.poems()
    assert (frame.groupby("group")["part"].nunique() == 1).all()
    assert not frame["answer"].duplicated().any()
    assert set(frame["part"]) == {"pretrain", "tune", "valid", "test"}


def test_all_pairs_fit_the_context_and_come_back_from_their_ids():
    frame = generation.poems().query("part != 'pretrain'")
    assert max(len(prompt) + len(answer) for prompt, answer in generation.pairs(frame)) <= generation.CONTEXT + 1
    there, back = frame["answer"].iloc[0], generation.decode(generation.pairs(frame.head(1))[0][1])
    assert len(back) == len(there) and all(b in ("□", t) for b, t in zip(back, there, strict=True))
    assert generation.instruction("五言绝句", "静夜思", "") == "以《静夜思》为题写一首五言绝句"
    assert generation.instruction("词", "", "浣溪沙") == "按《浣溪沙》填一首词"


# ---- any KerasHub causal language model


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """A GPT-2 of one small block with random weights, saved as KerasHub saves a preset."""
    words = ["<|endoftext|>", *"abcdefgh", "Ġ", "ef"]
    tokenizer = keras_hub.models.GPT2Tokenizer({word: i for i, word in enumerate(words)}, merges=["e f"])
    settings = {"num_layers": 1, "num_heads": 2, "hidden_dim": 8, "intermediate_dim": 16, "max_sequence_length": 16}
    model = keras_hub.models.GPT2CausalLM(
        keras_hub.models.GPT2Backbone(vocabulary_size=len(words), **settings),
        keras_hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=16),
    )
    folder = tmp_path_factory.mktemp("preset")
    model.save_to_preset(folder)
    return str(folder)


def test_the_same_mask_tunes_any_causal_model(preset):
    model, encode, end = generation.causal_lm(preset)
    assert encode("ab") == [1, 2] and end == 0
    examples = [(encode("abc"), [*encode("dgfh"), end]), (encode("cba"), [*encode("hhhh"), end])]
    start = model.get_weights()
    for seed in range(3):
        model.set_weights(shuffled(start, seed))
        assert share_of_loss_left(model, examples, seed, steps=40, rate=0.02) < 0.4  # .06 to .11 over eight starts


# ---- weights


def test_weights_are_pinned_and_know_poems():
    card = yaml.safe_load(generation.WEIGHTS.with_suffix(".yaml").read_text(encoding="utf8"))
    assert hashlib.sha256(generation.WEIGHTS.read_bytes()).hexdigest() == card["sha256"] == generation.SHA256
    assert hashlib.sha256("".join(generation.vocabulary()).encode()).hexdigest() == card["vocabulary_sha256"]
    assert generation.WEIGHTS.stat().st_size < 8e6
    model = generation.pretrained()
    assert model.count_params() == card["parameters"]
    nats, count = generation.losses(model, generation.pairs(generation.rows("valid", 10), asked=False))
    assert nats.sum() / count.sum() < 5.8  # drawing characters by their frequency alone costs more; chance is ln 5,000
