"""scenarios.sentiment: its classes, their columns, and the pairs of sentences."""

import numpy as np
import pytest

from helpers.scenarios import sentiment


def test_neutral_reaches_two_standard_errors_on_both_sides():
    found = sentiment.side([0.41, 0.4, -0.4, -0.41, 0.0, 1.0], [0.2, 0.2, 0.2, 0.2, 0.0, 0.0])
    assert found.tolist() == ["positive", "neutral", "neutral", "negative", "neutral", "positive"]


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


def test_probabilities_go_to_their_class_and_lean_without_the_neutral_one():
    table = sentiment.spread(np.array([[0.3, 0.7], [0.6, 0.4]]), ["negative", "positive"])
    np.testing.assert_array_equal(table, [[0.3, 0, 0.7], [0.6, 0, 0.4]])
    assert sentiment.leans(np.array([[0.1, 0.7, 0.2], [0.2, 0.7, 0.1]])).tolist() == [True, False]
