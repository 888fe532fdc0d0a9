"""scenarios.remedies_tuned: training learns, repeats itself, and leaves no trace for the run after it."""

import keras
import numpy as np
import pandas as pd
import pytest

from helpers.finetuning import methods
from helpers.scenarios import remedies_tuned


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """A bag of token ids in place of an encoder; 20 letters in place of its tokens."""

    def classifier(encoder, method, n_classes):
        inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ("token_ids", "padding_mask")}
        table = keras.layers.Embedding(30, 4, name="table")(inputs["token_ids"])
        vector = keras.layers.GlobalAveragePooling1D()(table, mask=inputs["padding_mask"])
        head = [keras.layers.Rescaling(2.0), keras.layers.Dropout(0.1), keras.layers.Dense(n_classes)]
        return keras.Model(inputs, keras.Sequential(head, name="head")(vector))

    monkeypatch.setattr(methods, "classifier", classifier)
    monkeypatch.setattr(remedies_tuned, "RATE", 0.05)
    monkeypatch.setattr(
        remedies_tuned, "read", lambda texts, language: [[1 + ord(c) % 20 for c in text] for text in texts]
    )
    remedies_tuned.classifier.cache_clear()
    yield
    remedies_tuned.classifier.cache_clear()


def frame(n):
    """Texts of five letters, "a" only in negative ones."""
    label = np.where(np.arange(n) % 2 == 0, "negative", "positive")
    return pd.DataFrame({"text": ["aacde" if one == "negative" else "bbcde" for one in label], "label": label})


def negative(rows):
    """1 for a negative row, 0 for a positive one."""
    return (rows["label"] == "negative").to_numpy("float32")


def trained(steps, seed=0, passes=1, **settings):
    rows = frame(64)
    *_, model = remedies_tuned.train("en", [rows["text"].tolist()] * passes, negative(rows), steps, seed, **settings)
    return remedies_tuned.scores(model, rows, "en"), negative(rows)


def test_training_learns_and_what_ran_before_leaves_no_trace():
    first, y = trained(20)
    other = trained(20, seed=1)[0]
    for scores in (first, other):
        assert np.where(y == 1, scores, -scores).min() > 0.5  # about 1.5; chance: 0
    assert (other != first).any()
    assert (trained(20)[0] == first).all()
    trained(20, dropout=0.5)  # another model is compiled in between
    assert (trained(20)[0] == first).all()


def test_a_pass_yields_the_model_and_the_steps_are_kept():
    rows = frame(64)
    y = negative(rows)
    steps = []
    for model in remedies_tuned.train("en", [rows["text"].tolist()], y, 10, 0):  # 4 batches a pass
        steps.append(int(model.optimizer.iterations))
    assert steps == [4, 8, 10]


def test_dropout_is_set_in_every_layer():
    layers = [
        layer
        for layer in remedies_tuned.classifier("en", 0.4)[0]._flatten_layers()
        if "Dropout" in type(layer).__name__
    ]
    assert layers and all(layer.rate == 0.4 for layer in layers)


def test_smoothing_makes_the_model_less_sure_and_weights_move_it():
    plain, y = trained(60)
    assert np.abs(trained(60, smoothing=0.2)[0]).max() < np.abs(plain).max()
    assert np.log(0.9 / 0.1) == pytest.approx(np.abs(trained(300, smoothing=0.2)[0]).mean(), abs=0.3)  # its best score
    ignored, _ = trained(20, weights=np.where(y == 1, 0.0, 2.0))
    assert (ignored < 0).all()
