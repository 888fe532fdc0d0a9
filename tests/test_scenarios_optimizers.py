"""scenarios.optimizers: the rate that rises, each row once a pass, and a judge."""

import keras
import numpy as np
import pytest

from helpers.scenarios import optimizers


class Watched:
    """A model that only writes down what it is given."""

    def __init__(self):
        self.optimizer, self.seen = type("Optimizer", (), {})(), []

    def train_on_batch(self, batch, labels):
        self.seen.append((self.optimizer.learning_rate, batch["x"].tolist(), labels.tolist()))
        return len(self.seen)


def test_the_rate_rises_in_a_line_and_each_row_is_read_once_a_pass():
    model, rows = Watched(), np.arange(6)
    settings = {"learning_rate": 0.4, "warmup": 4, "batch_size": 2, "epochs": 2, "seed": 0}
    assert optimizers.train(model, {"x": rows}, rows, **settings) == [1, 2, 3, 4, 5, 6]
    rates, batches, labels = zip(*model.seen, strict=True)
    assert rates == pytest.approx((0.1, 0.2, 0.3, 0.4, 0.4, 0.4)) and batches == labels
    assert sorted(sum(batches[:3], [])) == sorted(sum(batches[3:], [])) == rows.tolist()


def test_the_judge_by_hand_and_where_the_training_blew_up():
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, use_bias=False)])
    model.set_weights([np.eye(2)])
    inputs, labels = np.array([[np.log(3), 0.0], [0.0, 0.0]], "float32"), np.array([0, 1])
    loss, accuracy = optimizers.judge(model, inputs, labels)  # p of the right class: 3/4 and 1/2
    assert loss == pytest.approx((np.log(4 / 3) + np.log(2)) / 2) and accuracy == 0.5
    model.set_weights([np.full((2, 2), np.nan)])
    assert optimizers.judge(model, inputs, labels)[0] == np.inf
