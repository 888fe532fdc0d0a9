"""The study of speech: what its arms train on, and how it stores errors."""

import numpy as np

from helpers.runner import studies
from helpers.scenarios import speech

study = studies.module("speech")


def test_an_even_draw_takes_all_kinds_alike_as_far_as_they_go():
    rows, keys = np.arange(100, 150), np.array(["a"] * 44 + ["b"] * 4 + ["c"] * 2)
    drawn = study.even(rows, keys, 12, np.random.default_rng(0))
    assert len(set(drawn)) == 12
    assert np.unique(keys[drawn - 100], return_counts=True)[1].tolist() == [6, 4, 2]


def test_arms_hold_what_they_are_named_for():
    table = speech.clips()[0]
    arms = {
        method: study.chosen("variety", method, 96, 0)
        for method in ("uniform", "stratified", "accents", "speeds", "noise")
    }
    for rows, levels, *_ in arms.values():
        assert len(set(rows.tolist())) == 96 and set(table["part"].iloc[rows]) == {"pool"} and len(levels) == 96
    kinds = {name: table.iloc[rows][["label", "speed"]].nunique().tolist() for name, (rows, *_) in arms.items()}
    assert kinds == {"uniform": [1, 1], "stratified": [4, 3], "accents": [4, 1], "speeds": [1, 3], "noise": [1, 1]}
    noisy = {name: sum(level is not None for level in levels) for name, (_, levels, *_) in arms.items()}
    assert noisy["uniform"] == noisy["accents"] == noisy["speeds"] == 0 and 30 < noisy["stratified"] < 66
    assert table["label"].iloc[arms["stratified"][0]].value_counts().min() >= 20


def test_noisy_arms_share_their_clips():
    kept, removed, half, noisy = (study.chosen("noisy", m, 96, 1) for m in study.ARMS["noisy"])
    assert (kept[0] == removed[0]).all() and (kept[0] == noisy[0]).all()
    quiet = [level is None for level in kept[1]]
    assert half[0].tolist() == kept[0][quiet].tolist() and not any(removed[1]) and None not in noisy[1]


def test_a_fifth_of_the_transcripts_is_anothers():
    truth = speech.clips()[0]["text"].to_numpy()
    kept, removed, never = (study.chosen("wrong", m, 96, 1) for m in ("kept", "removed", "never there"))
    wrong = kept[3] != truth[kept[0]]
    assert wrong.sum() == 19 and (never[3] == truth[never[0]]).all() and (kept[0] == never[0]).all()
    assert removed[0].tolist() == kept[0][~wrong].tolist() and (removed[3] == truth[removed[0]]).all()
