"""remedies: its rows, scores and rebalancing, and the equations of notebook 09, worked by hand and by scikit-learn."""

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from helpers import evaluation
from helpers.runner import studies

remedies = studies.module("remedies")
TRUTH = np.array([1] * 10 + [0] * 90)  # ten rare rows of a hundred; eight found, six frequent ones accused
PREDICTED = np.array([1] * 8 + [0] * 2 + [1] * 6 + [0] * 84)
# both labels occur, so that no class is empty
labels = st.lists(st.integers(0, 1), min_size=4, max_size=40).map(lambda y: np.array([0, 1, *y]))


@pytest.mark.equation("9.1")
def test_precision_recall_and_f1():
    tp, fp, fn = 8, 6, 2
    by_hand = tp / (tp + fp), tp / (tp + fn), 2 * tp / (2 * tp + fp + fn)
    assert by_hand == pytest.approx((4 / 7, 4 / 5, 2 / 3))
    assert metrics.precision_recall_fscore_support(TRUTH, PREDICTED, average="binary")[:3] == pytest.approx(by_hand)
    measures = keras.metrics.Precision(), keras.metrics.Recall(), keras.metrics.F1Score(threshold=0.5)
    for measure, value in zip(measures, by_hand, strict=True):
        measure.update_state(TRUTH[:, None].astype("float32"), PREDICTED[:, None].astype("float32"))
        assert float(np.squeeze(measure.result())) == pytest.approx(value, rel=1e-6)


@pytest.mark.equation("9.2")
def test_macro_f1():
    rare, frequent = 16 / 24, 168 / 176  # 2 TP / (2 TP + FP + FN) of each class
    assert (rare + frequent) / 2 == pytest.approx(0.810606, abs=1e-6)
    assert metrics.f1_score(TRUTH, PREDICTED, average="macro") == pytest.approx((rare + frequent) / 2)
    assert remedies.macro_f1(PREDICTED, TRUTH, False) == pytest.approx((rare + frequent) / 2)


@pytest.mark.equation("9.3")
def test_matthews_correlation():
    by_hand = (8 * 84 - 6 * 2) / (14 * 10 * 90 * 86) ** 0.5
    assert by_hand == pytest.approx(660 / 1040.9611, abs=1e-6)
    assert metrics.matthews_corrcoef(TRUTH, PREDICTED) == pytest.approx(by_hand)
    assert np.corrcoef(TRUTH, PREDICTED)[0, 1] == pytest.approx(by_hand)


@pytest.mark.equation("9.4")
def test_calibration_error():
    """Confidence .9 on five rows, three of them right; .6 on five rows, all right."""
    second = np.array([0.9] * 5 + [0.6] * 5)
    truth = np.array([1, 1, 1, 0, 0] + [1] * 5)
    by_hand = 0.5 * abs(0.6 - 0.9) + 0.5 * abs(1.0 - 0.6)
    assert by_hand == pytest.approx(0.35)
    assert evaluation.calibration_error(truth, np.column_stack([1 - second, second])) == pytest.approx(by_hand)
    bins = [(truth[second == level].mean(), level, (second == level).mean()) for level in (0.6, 0.9)]
    assert sum(share * abs(right - sure) for right, sure, share in bins) == pytest.approx(by_hand)


@given(labels, st.integers(0, 2**16))
def test_macro_f1_is_scikit_learns_weighted_or_not(y, seed):
    predicted = np.random.default_rng(seed).integers(0, 2, (3, len(y)))
    weight = np.where(y == 1, remedies.RARE / y.mean(), (1 - remedies.RARE) / (1 - y.mean()))
    for skewed, sample_weight in ((False, None), (True, weight)):
        ours = remedies.macro_f1(predicted, y, skewed)
        theirs = [metrics.f1_score(y, row, average="macro", sample_weight=sample_weight) for row in predicted]
        assert ours == pytest.approx(theirs, abs=1e-12)


def test_cross_entropy_and_accuracy_are_scikit_learns():
    rng = np.random.default_rng(0)
    scores, y = rng.normal(0, 3, (2, 50)), rng.integers(0, 2, 50)
    for row, loss, share in zip(scores, remedies.cross_entropy(scores, y), remedies.accuracy(scores, y), strict=True):
        assert loss == pytest.approx(metrics.log_loss(y, 1 / (1 + np.exp(-row))))
        assert share == metrics.accuracy_score(y, row > 0)


@pytest.mark.parametrize("share", remedies.SHARES)
@pytest.mark.parametrize("remedy", ["oversampling", "undersampling", "class weights", "edited copies"])
def test_after_each_remedy_the_rare_class_has_its_share_of_the_loss(remedy, share):
    y = np.array([1] * 100 + [0] * 1900, "float32")
    x = np.arange(2, 2002, dtype="int32")[:, None] + np.zeros((1, 5), "int32")
    x_new, y_new, weights = remedies.rebalanced(remedy, x, y, share, np.random.default_rng(0))
    weights = np.ones(len(y_new)) if weights is None else weights
    assert weights[y_new == 1].sum() / weights.sum() == pytest.approx(share, abs=1e-3)
    assert weights.mean() == pytest.approx(1)
    row = x_new.max(axis=1) - 2  # which row each copy is of; −1 where every piece was blanked out
    assert (y[row[row >= 0]] == y_new[row >= 0]).all()
    assert set(range(100)) <= set(row.tolist())  # no rare row is lost
    assert (x_new == 1).any() == (remedy == "edited copies")


def test_the_parts_of_the_film_sentences_do_not_overlap_and_are_mixed():
    pool, valid, test = remedies.film()
    assert len(test) == 1400 and len(valid) > 500
    texts = [set(part["text"]) for part in (pool, valid, test)]
    assert not (texts[0] & texts[1] or texts[0] & texts[2] or texts[1] & texts[2])
    assert 0.4 < (test["label"].head(100) == "negative").mean() < 0.6


def test_draw_gives_the_share_asked_for_and_other_rows_for_another_seed():
    pool = remedies.film()[0]
    rows = remedies.draw(pool, 200, 3, 0.05)
    assert len(set(rows.index)) == 200 and (rows["label"] == "negative").sum() == 10
    assert remedies.draw(pool, 200, 3, 0.05).index.equals(rows.index)
    assert set(remedies.draw(pool, 200, 4, 0.05).index) != set(rows.index)


def test_encode_knows_the_commonest_pieces_of_the_training_rows_only():
    pool, valid, _ = remedies.film()
    rows = remedies.draw(pool, 200, 0)
    (x, x_valid), size = remedies.encode([rows, valid])
    assert (x != 1).all() and x.max() == size - 1 and (x_valid == 1).any()  # every training piece is known
    (few, _), small = remedies.encode([rows, valid], 10)
    assert small == 12 and few.max() == 11
    assert np.bincount(few.ravel())[2:].tolist() == sorted(np.bincount(x.ravel())[2:], reverse=True)[:10]
    assert ((few > 0) == (x > 0)).all()  # an unknown piece still takes its place
    cleaned = remedies.encode([rows, valid], cleaned=True)[0][0]
    assert (cleaned[:, 0] > 0).all() and (cleaned > 0).sum() < 0.8 * (x > 0).sum()


def test_blanking_out_touches_pieces_alone_and_about_as_many_as_asked():
    x = np.where(np.arange(40) < 25, 7, 0) + np.zeros((400, 1), "int32")
    blanked = remedies.blank_out(x, 0.3, np.random.default_rng(0))
    assert set(np.unique(blanked[:, :25])) == {1, 7} and not blanked[:, 25:].any()
    assert (blanked == 1).sum() / 10_000 == pytest.approx(0.3, abs=0.02)
    assert (remedies.blank_out(x, 0.0, np.random.default_rng(0)) == x).all()


def test_batches_hold_each_row_once_a_pass():
    stream = remedies.batches(100, np.random.default_rng(0))
    for _ in range(2):
        rows = np.concatenate([next(stream) for _ in range(3)])
        assert len(set(rows.tolist())) == 96


def test_training_learns_from_the_watched_rows_and_repeats_itself():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200).astype("float32")
    x = np.where(rng.random((200, 40)) < 0.3, 2 + y[:, None].astype(int), 4).astype("int32")
    scores = remedies.train(x, y, 5, x, steps=60, checks=3, seed=1)
    assert scores.shape == (3, 200) and remedies.accuracy(scores, y)[-1] > 0.95
    assert (scores == remedies.train(x, y, 5, x, steps=60, checks=3, seed=1)).all()


def test_wrong_labels_fall_on_both_classes_alike():
    y = remedies.negative(remedies.draw(remedies.film()[0], 1000, 3))
    wrong = remedies.wrong(1000, 0.2, 3)
    assert wrong.sum() == 200 and 70 < y[wrong].sum() < 130
