"""scenarios.from_scratch: each kind of network learns, does not see padding, and keeps its best pass."""

import keras
import numpy as np
import pytest

from helpers.scenarios import from_scratch

KINDS = ["average", "convolution", "transformer"]


def sentences(n, seed):
    """Lists of ids in which 7 stands for 1 and 8 for 0, among others that say nothing."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, 2, n)
    return [[1, *rng.integers(10, 20, rng.integers(3, 9)), 8 - label, 2] for label in truth], truth.astype("float32")


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind):
    keras.utils.set_random_seed(0)
    model = from_scratch.build(kind, 20)
    short = np.array([[3, 4, 5, 6, 0, 0]])
    scores = [keras.ops.convert_to_numpy(model(np.pad(short, ((0, 0), (0, more))))) for more in (0, 10)]
    if kind == "convolution":  # its highest value may come from the padding's own vector
        scores = [keras.ops.convert_to_numpy(model(np.pad(short, ((0, 0), (0, more))))) for more in (4, 10)]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_word_that_decides_is_learnt(kind):
    rows, valid, test = sentences(200, 0), sentences(60, 1), sentences(100, 2)
    predict, best = from_scratch.train(kind, rows, valid, rate=3e-3, passes=15, patience=5, seed=0)
    assert (predict(test[0]) == test[1]).mean() > 0.95
    assert 1 <= best <= 15


def test_labels_by_lot_are_not_learnt():
    """The best of the passes flatters the validation rows alone."""
    lots = np.random.default_rng(5).integers(0, 2, 300).astype("float32")
    (rows, _), (valid, _), (test, _) = sentences(100, 0), sentences(60, 1), sentences(140, 2)
    settings = {"rate": 1e-2, "passes": 10, "patience": 10, "seed": 0}
    predict, _ = from_scratch.train("average", (rows, lots[:100]), (valid, lots[100:160]), **settings)
    assert abs((predict(test) == lots[160:]).mean() - 0.5) < 0.15
