"""scenarios.translation: masks, loss, decoding and chrF by hand, by Keras and by sacrebleu; its pairs and weights."""

import hashlib

import keras
import numpy as np
import pandas as pd
import pytest
import sacrebleu
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.scenarios import translation

SIZE = 12


@pytest.fixture
def tiny(monkeypatch):
    """A translator of two small blocks with random weights, over twelve pieces that are letters."""

    class Letters:
        """Pieces of the letters a to h, from id 4 on."""

        def encode(self, text):
            """Ids of the letters."""
            return [4 + "abcdefgh".index(letter) for letter in text]

        def decode(self, ids):
            """Letters of the ids."""
            return "".join("abcdefgh"[i - 4] for i in ids)

    monkeypatch.setattr(translation, "processor", Letters)
    keras.utils.set_random_seed(0)
    model = translation.translator(SIZE, width=8, depth=2, heads=2, dropout=0.0)
    model.set_weights([2 * weight for weight in model.get_weights()])  # farther from equal scores
    return model


# ---- model and loss


def test_scores_do_not_depend_on_padding_or_on_what_comes_later(tiny):
    source, target = np.array([[5, 6, 3]]), np.array([[2, 7, 8]])
    scores = np.array(tiny([source, target]))
    longer = np.array(tiny([np.pad(source, [(0, 0), (0, 5)]), np.pad(target, [(0, 0), (0, 5)])]))
    np.testing.assert_allclose(longer[:, :3], scores, atol=1e-5)
    assert np.abs(np.array(tiny([source[:, :2], target])) - scores).max() > 1e-3


@pytest.mark.equation("12.2")
def test_smoothed_loss_by_hand_and_by_keras():
    # p = (.5, .25, .25), said: the first; a tenth over three pieces
    by_hand = -0.9 * np.log(0.5) - 0.1 * (np.log(0.5) + 2 * np.log(0.25)) / 3
    scores = np.log([[[0.5, 0.25, 0.25]]]).astype("float32")
    assert float(translation.smoothed(np.array([[0]]), scores)[0, 0]) == pytest.approx(by_hand, rel=1e-5)
    rng = np.random.default_rng(0)
    scores, y = rng.normal(size=(2, 3, 7)).astype("float32"), rng.integers(7, size=(2, 3))
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1, reduction="none")
    np.testing.assert_allclose(translation.smoothed(y, scores), loss(np.eye(7)[y], scores), rtol=1e-5)


def test_training_learns_what_it_sees_from_any_start_and_repeats(tiny):
    """Two pairs by heart: the right pieces get .9 of the probability, as label smoothing asks; chance is .08."""
    frame = pd.DataFrame({"text": ["abc", "de"], "target": ["fe", "gh"]})
    source, target = map(translation.padded, zip(*translation.ids_of(frame), strict=True))
    said = target[:, 1:, None]
    model = translation.translator(SIZE, width=16, depth=1, heads=2, dropout=0.1)
    ends = []
    for seed in (0, 1, 1):
        keras.utils.set_random_seed(seed)
        model.set_weights(translation.translator(SIZE, width=16, depth=1, heads=2, dropout=0.1).get_weights())
        translation.train(model, frame, steps=60, rate=0.02, seed=seed)
        p = np.take_along_axis(np.array(keras.ops.softmax(model([source, target[:, :-1]]))), said, axis=2)
        assert p[said != translation.PAD].min() > 0.7
        assert translation.translate(model, frame["text"]) == ["fe", "gh"]
        ends.append(model.get_weights())
    for one, other in zip(*ends[1:], strict=True):
        np.testing.assert_array_equal(one, other)


# ---- decoding


def test_cached_scores_are_those_of_the_whole_target(tiny):
    source, target = np.array([[5, 6, 3, 0], [7, 8, 9, 3]]), np.array([[2, 7, 8], [2, 9, 4]])
    memory, real = translation.encode(tiny, source)
    caches = [[keras.ops.zeros((2, 2, 8, 2, 4)), keras.ops.zeros((2, 2, 4, 2, 4))] for _ in range(2)]
    steps = [translation.step(tiny, target[:, i], i, memory, real, caches) for i in range(3)]
    whole = keras.ops.log_softmax(tiny([source, target]), axis=-1)
    np.testing.assert_allclose(np.stack(steps, 1), whole, atol=1e-5)


def test_beams_find_a_likelier_text_than_greed_by_hand(tiny, monkeypatch):
    # greedy goes to b (.6), then ends at .4 at best: .24; beam finds c (.4), then END with .9: .36
    a, b, c, end = 4, 5, 6, translation.END
    after = {translation.START: {b: 0.6, c: 0.4}, b: {end: 0.4, a: 0.3, b: 0.3}, c: {end: 0.9, a: 0.1}, a: {end: 1.0}}

    def step(model, tokens, place, memory, real, caches):
        p = np.full((len(tokens), SIZE), 1e-12)
        for row, token in zip(p, tokens, strict=True):
            for piece, value in after.get(int(token), {end: 1.0}).items():
                row[piece] = value
        return np.log(p)

    monkeypatch.setattr(translation, "step", step)
    assert translation.translate(tiny, ["ab", "c"], beam=1) == ["b", "b"]
    assert translation.translate(tiny, ["ab", "c"], beam=3, length_power=0.0) == ["c", "c"]


def test_the_highest_scores_by_sorting_and_of_equal_ones_the_first():
    scores = np.random.default_rng(0).integers(0, 5, (50, 12)).astype(float)
    for k in (1, 4, 12):
        np.testing.assert_array_equal(translation.top(scores, k), np.argsort(-scores, axis=1, kind="stable")[:, :k])


def test_translations_come_back_in_the_order_of_their_texts(tiny, monkeypatch):
    monkeypatch.setattr(translation, "LONGEST", 8)
    texts = ["abcdefg", "a", "abc"]
    assert translation.translate(tiny, texts) == [translation.translate(tiny, [text])[0] for text in texts]


# ---- chrF


@pytest.mark.equation("12.1")
def test_chrf_by_hand():
    # characters 4 of 4 and 4 of 5, pairs 2 of 3 and 2 of 4, then 0 of 2 and 3, 0 of 1 and 2; no five in ours
    counts = translation.chrf_counts("保存文件", "保存 该文件")
    assert counts[:5].tolist() == [[4, 5, 4], [3, 4, 2], [2, 3, 0], [1, 2, 0], [0, 1, 0]]
    precision, recall = (1 + 2 / 3) / 4, (4 / 5 + 1 / 2) / 4
    by_hand = 100 * 5 * precision * recall / (4 * precision + recall)
    assert translation.chrf_of(counts) == pytest.approx(by_hand)
    assert sacrebleu.corpus_chrf(["保存文件"], [["保存 该文件"]]).score == pytest.approx(by_hand)


@settings(deadline=None)
@given(st.lists(st.tuples(st.text("ab c文", max_size=12), st.text("ab c文", max_size=12)), min_size=1, max_size=5))
def test_chrf_is_sacrebleus(lines):
    said, truth = [a for a, _ in lines], [b for _, b in lines]
    assert translation.chrf(said, truth) == pytest.approx(sacrebleu.corpus_chrf(said, [truth]).score, abs=1e-6)


def test_interval_counts_strings_and_seeds(monkeypatch):
    frame = pd.DataFrame({"target": ["保存", "打开文件", "关闭"], "group": [0, 1, 1]})
    monkeypatch.setattr(translation, "references", lambda domain: frame)
    right, half = ["保存", "打开文件", "关闭"], ["保存", "文件", "开启"]
    estimate, low, high = translation.interval([{"x": right}, {"x": half}], None, ["x"])
    mean = (100 + sacrebleu.corpus_chrf(half, [list(frame["target"])]).score) / 2
    assert estimate == pytest.approx(mean) and low < mean < high
    assert translation.interval([{"x": right}] * 2, [{"x": right}] * 2, ["x"]) == (0, 0, 0)


# ---- pairs


def test_no_text_of_valid_or_test_stands_in_what_a_model_learns():
    frame = translation.pairs()
    learned = frame["part"].isin(["pretrain", "tune"])
    assert not set(frame.loc[learned, "group"]) & set(frame.loc[~learned, "group"])
    assert not set(frame.loc[learned & ~frame["source"].isin(translation.DOMAINS), "part"]) - {"pretrain"}
    parts = frame[~learned].groupby(["source", "group"])["part"].nunique()
    assert (parts == 1).all()


# ---- weights


def test_weights_are_pinned_and_translate_better_than_the_wrong_lines():
    card = yaml.safe_load((translation.FOLDER / "translation.yaml").read_text(encoding="utf8"))
    assert hashlib.sha256(translation.WEIGHTS.read_bytes()).hexdigest() == card["sha256"] == translation.SHA256
    assert hashlib.sha256(translation.PIECES.read_bytes()).hexdigest() == card["pieces_sha256"]
    assert translation.WEIGHTS.stat().st_size < 8e6
    model = translation.pretrained_model()
    assert model.count_params() == card["parameters"]
    frame = translation.rows("valid", "wagtail", 60)
    said, truth = translation.translate(model, frame["text"]), list(frame["target"])
    chance = np.mean([translation.chrf(said, list(np.roll(truth, i))) for i in range(1, 11)])
    assert translation.chrf(said, truth) > 1.5 * chance


def test_pieces_give_a_text_back():
    frame = translation.rows("test", "jupyterlab", 50)
    assert [translation.processor().decode(translation.pieces(text)) for text in frame["target"]] == [
        " ".join(text.split()) for text in frame["target"]
    ]
