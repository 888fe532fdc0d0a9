"""scenarios.small_network: its training, scores and rebalancing; the equations of notebook 09, worked by hand."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from helpers import evaluation
from helpers.scenarios import small_network

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
    assert small_network.macro_f1(PREDICTED, TRUTH) == pytest.approx((rare + frequent) / 2)


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


@settings(deadline=None)
@given(labels, st.integers(0, 2**16))
def test_macro_f1_is_scikit_learns_weighted_or_not(y, seed):
    predicted = np.random.default_rng(seed).integers(0, 2, (3, len(y)))
    weight = np.where(y == 1, 0.05 / y.mean(), 0.95 / (1 - y.mean()))
    for rare, sample_weight in ((None, None), (0.05, weight)):
        ours = small_network.macro_f1(predicted, y, rare)
        theirs = [metrics.f1_score(y, row, average="macro", sample_weight=sample_weight) for row in predicted]
        assert ours == pytest.approx(theirs, abs=1e-12)


def test_cross_entropy_and_accuracy_are_scikit_learns():
    rng = np.random.default_rng(0)
    scores, y = rng.normal(0, 3, (2, 50)), rng.integers(0, 2, 50)
    for row, loss, share in zip(
        scores, small_network.cross_entropy(scores, y), small_network.accuracy(scores, y), strict=True
    ):
        assert loss == pytest.approx(metrics.log_loss(y, 1 / (1 + np.exp(-row))))
        assert share == metrics.accuracy_score(y, row > 0)


@pytest.mark.parametrize("share", [0.2, 0.5])
@pytest.mark.parametrize("remedy", ["oversampling", "undersampling", "class weights", "edited copies"])
def test_after_each_remedy_the_rare_class_has_its_share_of_the_loss(remedy, share):
    y = np.array([1] * 100 + [0] * 1900, "float32")
    x = np.arange(2, 2002, dtype="int32")[:, None] + np.zeros((1, 5), "int32")
    x_new, y_new, weights = small_network.rebalanced(remedy, x, y, share, np.random.default_rng(0))
    weights = np.ones(len(y_new)) if weights is None else weights
    assert weights[y_new == 1].sum() / weights.sum() == pytest.approx(share, abs=1e-3)
    assert weights.mean() == pytest.approx(1)
    row = x_new.max(axis=1) - 2  # which row each copy is of; −1 where every piece was blanked out
    assert (y[row[row >= 0]] == y_new[row >= 0]).all()
    assert set(range(100)) <= set(row.tolist())  # no rare row is lost
    assert (x_new == 1).any() == (remedy == "edited copies")


def test_blanking_out_touches_pieces_alone_and_about_as_many_as_asked():
    x = np.where(np.arange(40) < 25, 7, 0) + np.zeros((400, 1), "int32")
    blanked = small_network.blank_out(x, 0.3, np.random.default_rng(0))
    assert set(np.unique(blanked[:, :25])) == {1, 7} and not blanked[:, 25:].any()
    assert (blanked == 1).sum() / 10_000 == pytest.approx(0.3, abs=0.02)
    assert (small_network.blank_out(x, 0.0, np.random.default_rng(0)) == x).all()


def test_batches_hold_each_row_once_a_pass():
    stream = small_network.batches(100, np.random.default_rng(0))
    for _ in range(2):
        rows = np.concatenate([next(stream) for _ in range(3)])
        assert len(set(rows.tolist())) == 96


def test_training_learns_from_the_watched_rows_and_repeats_itself():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 200).astype("float32")
    x = np.where(rng.random((200, 40)) < 0.3, 2 + y[:, None].astype(int), 4).astype("int32")
    for seed in (0, 1):
        scores = small_network.train(x, y, 5, x, steps=60, checks=3, seed=seed)
        assert scores.shape == (3, 200) and small_network.accuracy(scores, y)[-1] == 1
        assert small_network.cross_entropy(scores, y)[-1] < 0.1  # about .001; chance: .69
    assert (scores == small_network.train(x, y, 5, x, steps=60, checks=3, seed=1)).all()
