"""sentiment: its classes, planted errors, what is taken out, the pairs of sentences, and the interval of macro-F1."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from helpers.runner import studies

sentiment = studies.module("sentiment")


def test_neutral_reaches_two_standard_errors_on_both_sides():
    found = sentiment.side([0.41, 0.4, -0.4, -0.41, 0.0, 1.0], [0.2, 0.2, 0.2, 0.2, 0.0, 0.0])
    assert found.tolist() == ["positive", "neutral", "neutral", "negative", "neutral", "positive"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_so_many_labels_are_changed_each_to_another_class(share):
    labels = np.array(["negative", "neutral", "positive", "positive"] * 25)
    found = sentiment.changed(labels, share, 3)
    assert (found != labels).sum() == round(share * 100) and set(found) <= set(labels)


def test_a_tenth_goes_at_random_and_the_contested_go_first():
    frame = pd.DataFrame({"ratings": [[1, 1, 1, 1]] * 18 + [[1, -1, -1, 1]] * 2})
    labels = np.array(["positive"] * 20, object)
    assert sentiment.kept(frame, labels, "en", "as many at random", 0).sum() == 18
    assert np.flatnonzero(~sentiment.kept(frame, labels, "en", "contested out", 0)).tolist() == [18, 19]
    assert sentiment.kept(frame, labels, "en", "as they come", 0).all()


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "It's funny.", "It's not funny."),
        ("en", "The pictures are very good.", "The pictures are not very good."),
        ("en", "It is good and was great.", None),
        ("en", "It is good but slow.", None),
        ("zh", "非常方便", "不方便"),
        ("zh", "不是很好", None),
        ("zh", "他们很好像", None),
    ],
)
def test_one_praise_is_negated_and_nothing_else(language, text, expected):
    assert sentiment.negated(text, language) == expected


@pytest.mark.parametrize("language", ["en", "zh"])
def test_pairs_by_hand_differ_and_none_occurs_twice(language):
    pairs = sentiment.pairs(language)
    sentences = [text for pair in pairs for text in pair[1:3]]
    assert len(set(sentences)) == 2 * len(pairs) == 52
    assert [pair[0] for pair in pairs].count("sarcasm") == 10
    assert all(pair[3] for pair in pairs) or language == "en"


def test_stop_words_take_the_negation_along_unless_told_not_to():
    assert sentiment.without_stop_words(["This is not good"], "en", "stop words out") == ["good"]
    assert sentiment.without_stop_words(["This is not good"], "en", "stop words but negation out") == ["not good"]
    assert sentiment.without_stop_words(["This is not good"], "en", "as they come") == ["This is not good"]


def test_probabilities_go_to_their_class_and_lean_without_the_neutral_one():
    table = sentiment.spread(np.array([[0.3, 0.7], [0.6, 0.4]]), ["negative", "positive"])
    np.testing.assert_array_equal(table, [[0.3, 0, 0.7], [0.6, 0, 0.4]])
    assert sentiment.leans(np.array([[0.1, 0.7, 0.2], [0.2, 0.7, 0.1]])).tolist() == [True, False]


def test_macro_f1_is_that_of_scikit_learn_and_its_interval_covers():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    guess = np.where(rng.random((5, 300)) < 0.7, truth, rng.integers(0, 3, (5, 300)))
    groups = np.arange(300) // 3
    estimate, low, high = sentiment.macro_f1(truth, guess, groups)
    assert estimate == pytest.approx(np.mean([f1_score(truth, one, average="macro") for one in guess]))
    assert low < estimate < high and 0.02 < high - low < 0.2
    whole = sentiment.macro_f1(np.repeat(truth, 4), np.repeat(guess, 4, axis=1), np.repeat(np.arange(300), 4))
    alone = sentiment.macro_f1(np.repeat(truth, 4), np.repeat(guess, 4, axis=1), np.arange(1200))
    assert whole[2] - whole[1] > 1.3 * (alone[2] - alone[1])


def test_documents_stand_in_one_part_and_pairs_by_rule_outside_the_pool():
    frame = sentiment.rows("en")
    assert (frame.groupby("group")["part"].nunique() == 1).all()
    assert not (frame.loc[[row for row, _, _ in sentiment.made("en")], "part"] == "pool").any()
    assert sentiment.held_out("en", "test")["source"].value_counts().unique().tolist() == [300]
