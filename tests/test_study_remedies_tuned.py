"""The studies remedies_tuned and remedies_wider: their arms; the film labels that were read."""

import hashlib
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from helpers import datasets
from helpers.runner import studies
from helpers.scenarios import remedies_tuned, small_network

tuned, wider = studies.module("remedies_tuned"), studies.module("remedies_wider")
remedies = tuned.remedies


def frame(n):
    """Texts of five letters, "a" only in negative ones."""
    label = np.where(np.arange(n) % 2 == 0, "negative", "positive")
    return pd.DataFrame({"text": ["aacde" if one == "negative" else "bbcde" for one in label], "label": label})


def test_arms_differ_in_what_they_say_and_take_the_same_steps(monkeypatch):
    parts = [frame(n).assign(text="一二三四五六七八九十") for n in (600, 20, 20)]
    monkeypatch.setattr(tuned, "rows", lambda language: parts)
    seen = {}

    def train(language, passes, y, steps, seed, **settings):
        seen[arm] = len(passes), len(passes[0]), len(set(map(tuple, passes))), steps, settings
        yield SimpleNamespace(trainable_variables=[])

    monkeypatch.setattr(remedies_tuned, "train", train)
    monkeypatch.setattr(remedies_tuned, "scores", lambda model, part, language: np.zeros(len(part)))
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
    monkeypatch.setattr(remedies_tuned, "scores", lambda model, part, language: np.where(np.arange(40) < 30, 1.0, -3.0))
    monkeypatch.setattr(remedies_tuned, "train", lambda *args, **settings: iter([None]))
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
    train = small_network.train
    monkeypatch.setattr(small_network, "train", short)
    ours, theirs = wider.run("nothing", 0), wider.remedies.fitted(0, n=64, steps=20)
    assert ours == {name: theirs[name] for name in ours}


def test_the_film_labels_that_were_read_are_the_sample_on_the_card():
    card = datasets.card("snippets_en")["readings"]
    assert hashlib.sha256((datasets.DATA / card["file"]).read_bytes()).hexdigest() == card["sha256"]
    readings = pd.read_csv(datasets.DATA / card["file"])
    film = datasets.load("snippets_en").query("source == 'film' and label != 'neutral'")
    assert readings["row"].tolist() == sorted(film.sample(100, random_state=1).index)
    assert set(readings["first"]) | set(readings["second"]) == {"positive", "negative", "unclear"}
