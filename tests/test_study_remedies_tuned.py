"""remedies_tuned and remedies_wider: their arms and their training; the film labels that were read."""

import hashlib

import keras
import numpy as np
import pandas as pd
import pytest

from helpers import datasets
from helpers.finetuning import methods
from helpers.runner import studies

tuned, wider = studies.module("remedies_tuned"), studies.module("remedies_wider")
remedies = tuned.remedies


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
    monkeypatch.setattr(tuned, "RATE", 0.05)
    monkeypatch.setattr(tuned, "read", lambda texts, language: [[1 + ord(c) % 20 for c in text] for text in texts])
    tuned.classifier.cache_clear()
    yield
    tuned.classifier.cache_clear()


def frame(n):
    """Texts of five letters, "a" only in negative ones."""
    label = np.where(np.arange(n) % 2 == 0, "negative", "positive")
    return pd.DataFrame({"text": ["aacde" if one == "negative" else "bbcde" for one in label], "label": label})


def trained(steps, seed=0, passes=1, **settings):
    rows = frame(64)
    *_, model = tuned.train("en", [rows["text"].tolist()] * passes, remedies.negative(rows), steps, seed, **settings)
    return tuned.scores(model, rows, "en"), remedies.negative(rows)


def test_training_learns_and_what_ran_before_leaves_no_trace():
    first, y = trained(20)
    assert remedies.accuracy(first, y) == 1
    other = trained(20, seed=1)[0]
    assert (other != first).any()
    assert (trained(20)[0] == first).all()
    trained(20, dropout=0.5)  # another model is compiled in between
    assert (trained(20)[0] == first).all()


def test_a_pass_yields_the_model_and_the_steps_are_kept():
    rows = frame(64)
    y = remedies.negative(rows)
    steps = []
    for model in tuned.train("en", [rows["text"].tolist()], y, 10, 0):  # 4 batches a pass
        steps.append(int(model.optimizer.iterations))
    assert steps == [4, 8, 10]


def test_dropout_is_set_in_every_layer():
    layers = [layer for layer in tuned.classifier("en", 0.4)[0]._flatten_layers() if "Dropout" in type(layer).__name__]
    assert layers and all(layer.rate == 0.4 for layer in layers)


def test_smoothing_makes_the_model_less_sure_and_weights_move_it():
    plain, y = trained(60)
    assert np.abs(trained(60, smoothing=0.2)[0]).max() < np.abs(plain).max()
    assert np.log(0.9 / 0.1) == pytest.approx(np.abs(trained(300, smoothing=0.2)[0]).mean(), abs=0.3)  # its best score
    ignored, _ = trained(20, weights=np.where(y == 1, 0.0, 2.0))
    assert (ignored < 0).all()


def test_arms_differ_in_what_they_say_and_take_the_same_steps(monkeypatch):
    parts = [frame(n).assign(text="一二三四五六七八九十") for n in (600, 20, 20)]
    monkeypatch.setattr(tuned, "rows", lambda language: parts)
    seen = {}

    def train(language, passes, y, steps, seed, **settings):
        seen[arm] = len(passes), len(passes[0]), len(set(map(tuple, passes))), steps, settings
        yield tuned.fresh(language, settings.get("dropout", 0.1), seed)

    monkeypatch.setattr(tuned, "train", train)
    for arm in tuned.ARMS:
        tuned.run("overfitting", "zh", arm, 0)
    assert seen == {
        "nothing": (1, 96, 1, 36, {}),
        "more data": (1, 288, 1, 36, {}),
        "longer": (1, 96, 1, 72, {}),
        "edited rows": (6, 96, 6, 36, {}),
        "label smoothing": (1, 96, 1, 36, {"smoothing": 0.2}),
        "dropout": (1, 96, 1, 36, {"dropout": 0.3}),
    }


def test_the_rare_class_is_scored_as_scikit_learn_does(monkeypatch):
    from sklearn.metrics import f1_score

    parts = frame(800), frame(40), frame(40)
    monkeypatch.setattr(tuned, "rows", lambda language: parts)
    y = remedies.negative(parts[2])
    monkeypatch.setattr(tuned, "scores", lambda model, part, language: np.where(np.arange(40) < 30, 1.0, -3.0))
    monkeypatch.setattr(tuned, "train", lambda *args, **settings: iter([None]))
    found = tuned.run("rare class", "en", "class weights", 0)
    assert (found["even_found"], found["even_accused"]) == (15, 15)
    called = np.arange(40) < 30
    assert found["even_macro_f1"] == pytest.approx(f1_score(y, called, average="macro"))
    weight = np.where(y == 1, 0.05, 0.95)
    assert found["skewed_macro_f1"] == pytest.approx(f1_score(y, called, average="macro", sample_weight=weight))
    assert found["skewed_moved_macro_f1"] >= found["skewed_macro_f1"] and found["skewed_moved_cut"] >= 1.0


def test_wider_trains_what_remedies_trains(monkeypatch):
    """The arm without a difference is "nothing" of `remedies`, to the last digit."""
    monkeypatch.setitem(wider.ARMS, "nothing", (64, None, {}))
    short = lambda *args, **settings: train(*args, **{**settings, "steps": 20, "checks": 1})  # noqa: E731
    train = wider.remedies.train
    monkeypatch.setattr(wider.remedies, "train", short)
    monkeypatch.setattr(remedies, "train", short)
    monkeypatch.setattr(remedies, "film", wider.remedies.film)
    ours, theirs = wider.run("nothing", 0), wider.remedies.fitted(0, n=64, steps=20)
    assert ours == {name: theirs[name] for name in ours}


def test_the_film_labels_that_were_read_are_the_sample_on_the_card():
    card = datasets.card("snippets_en")["readings"]
    assert hashlib.sha256((datasets.DATA / card["file"]).read_bytes()).hexdigest() == card["sha256"]
    readings = pd.read_csv(datasets.DATA / card["file"])
    film = datasets.load("snippets_en").query("source == 'film' and label != 'neutral'")
    assert readings["row"].tolist() == sorted(film.sample(100, random_state=1).index)
    assert set(readings["first"]) | set(readings["second"]) == {"positive", "negative", "unclear"}
