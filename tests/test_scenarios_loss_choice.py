"""scenarios.loss_choice: one step by hand, and descent that learns."""

import numpy as np

from helpers import losses
from helpers.scenarios import loss_choice

FEATURES, LABELS = np.array([[1.0, 1.0], [-2.0, 1.0]]), np.array([1.0, 0.0])


def test_one_step_by_hand():
    """From zero weights p is .5 in both rows: the gradient of the mean loss is (−.5 · 1 + .5 · −2, −.5 + .5) / 2."""
    weights, path = loss_choice.train(
        losses.binary_cross_entropy, FEATURES, LABELS, np.zeros(2), 2.0, (FEATURES, LABELS), steps=[0, 1]
    )
    np.testing.assert_allclose(weights, [1.5, 0.0])
    assert path == [0.5, 1.0]  # a score of 0 is no "yes"


def test_both_losses_learn_what_one_column_tells():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 100).astype(float)
    features = np.column_stack([2 * labels - 1 + rng.normal(0, 0.3, 100), rng.normal(size=100)])
    for loss in (losses.binary_cross_entropy, losses.mean_squared_error):
        path = loss_choice.train(loss, features, labels, np.zeros(2), 1.0, (features, labels), steps=[0, 50])[1]
        assert path[0] < 0.7 and path[1] > 0.95
