"""domains: its marks and masks, its rows, what is changed and what stays."""

import re

import numpy as np
import pytest

from helpers.runner import studies

domains = studies.module("domains")


def test_masking_leaves_letters_and_at_most_twelve_words():
    assert domains.masked("RT @you: 100% GREAT :) &amp; http://url_removed #fun") == "rt great"
    assert domains.masked("one two three " * 9).split() == ["one", "two", "three"] * 4
    texts = domains.rows("source, masked")["text"]
    assert texts.map(lambda text: bool(re.fullmatch("[a-z]+( [a-z]+){4,11}", text))).all()


@pytest.mark.parametrize("task", [*domains.TASKS, "opinion"])
def test_no_document_and_no_author_stands_on_both_sides(task):
    frame = domains.rows(task)
    assert (frame.groupby("group")["part"].nunique() == 1).all()
    if task != "opinion":
        assert frame.groupby("part")["label"].value_counts().groupby("part").nunique().eq(1).all()


def test_length_and_form_say_nothing_of_the_dynasty():
    for _, part in domains.rows("dynasty").groupby("part"):
        lengths = part.groupby("label")["text"].agg(lambda texts: sorted(texts.str.len()))
        assert lengths["唐"] == lengths["宋"]
        assert not part["text"].str.contains(r"\W").any()


@pytest.mark.parametrize(("task", "train"), [("opinion", "film"), ("opinion", "all"), ("source", "all")])
def test_drawn_rows_are_of_the_pool_and_of_the_source(task, train):
    frame = domains.drawn(task, train, 400, 3)
    assert len(frame) == 400 and set(frame["part"]) == {"pool"}
    expected = {train: 400} if train != "all" else dict.fromkeys(domains.SOURCES, 100)
    assert frame["source"].value_counts().to_dict() == expected


def test_changed_labels_are_as_many_as_said_and_all_wrong():
    labels = np.array(["a", "b", "c"] * 20, object)
    new, wrong = domains.changed(labels, 0.2, 0)
    assert wrong.sum() == 12 and ((new != labels) == wrong).all()


@pytest.mark.parametrize("treatment", ["as they come", "at random", "contested out"])
def test_a_tenth_goes_and_the_most_contested_first(treatment):
    frame = domains.drawn("opinion", "all", 200, 0)
    stays = domains.kept(frame, frame["label"].to_numpy(), treatment, 0)
    assert stays.sum() == (200 if treatment == "as they come" else 180)
    if treatment == "contested out":
        doubt = domains.label_errors.rater_doubt(frame["ratings"].tolist(), frame["label"].tolist())
        assert doubt[~stays].min() >= doubt[stays].max()


def test_suspects_hold_more_wrong_labels_than_chance():
    frame = domains.drawn("source", "all", 400, 0)
    labels, wrong = domains.changed(frame["label"], 0.1, 0)
    assert wrong[~domains.kept(frame, labels, "suspects out", 0)].mean() > 0.3


def test_three_numbers_name_the_source_and_not_the_dynasty():
    where = {"model": "rule", "train": "all", "treatment": "as they come", "planted": 0.0, "n": 500, "seed": 0}
    assert domains.run("models", "source", **where)["accuracy"] > 0.5
    assert domains.run("models", "dynasty", **where)["accuracy"] < 0.55
