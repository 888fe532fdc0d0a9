"""Out-of-fold probabilities, rankings and raters' doubt against cleanlab, loops and hand-worked cases."""

import doctest

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from helpers import label_errors


def blobs(n=120, d=6, turned=0, seed=0):
    """Rows on either side of the origin, their labels, of which the first `turned` are turned round."""
    labels = np.arange(n) % 2
    rows = np.random.default_rng(seed).normal(size=(n, d)) + 2 * (2 * labels[:, None] - 1)
    labels[:turned] = 1 - labels[:turned]
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), labels


class Memory(DummyClassifier):
    """Knows what it has seen: probability 1 for the label of a row it was trained on, even odds for others."""

    def fit(self, features, labels):
        self.seen = {bytes(row): label for row, label in zip(np.asarray(features), labels, strict=True)}
        return super().fit(features, labels)

    def predict_proba(self, features):
        known = [self.seen.get(bytes(row)) for row in np.asarray(features)]
        return np.array([[0.5, 0.5] if label is None else np.eye(2)[label] for label in known])


def test_examples_in_the_docstrings():
    assert doctest.testmod(label_errors).failed == 0


# ---- out of fold ----------------------------------------------------------------------------------------------------


def test_no_row_is_judged_by_a_model_that_saw_it_or_its_group():
    rows, labels = blobs(60)
    rows, labels, groups = np.tile(rows, (2, 1)), np.tile(labels, 2), np.tile(np.arange(60), 2)
    blind = label_errors.out_of_fold(rows, labels, groups=groups, model=Memory())
    np.testing.assert_array_equal(blind, 0.5)
    leaky = label_errors.out_of_fold(rows, labels, model=Memory())
    assert (leaky.max(axis=1) == 1).mean() > 0.5  # without groups the copy gives the label away


def test_probabilities_are_those_of_the_strength_with_the_least_log_loss():
    rows, labels = blobs(turned=12)
    tried = [
        label_errors.out_of_fold(rows, labels, model=LogisticRegression(C=c, tol=1e-8)) for c in label_errors.STRENGTHS
    ]
    loss = [-np.log(p[np.arange(len(labels)), labels]).mean() for p in tried]
    best = label_errors.out_of_fold(rows, labels)
    np.testing.assert_allclose(best, tried[int(np.argmin(loss))], atol=2e-3)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_out_of_fold_takes_dense_and_sparse_rows_and_several_named_classes(kind):
    rows, labels = blobs()
    named = np.where(np.arange(120) % 3 == 0, "third", labels.astype(str))
    found = label_errors.out_of_fold(kind(rows), named)
    assert found.shape == (120, 3)
    np.testing.assert_allclose(found.sum(axis=1), 1)


@pytest.mark.parametrize(
    ("labels", "groups", "message"),
    [
        (np.zeros(20, int), None, "two classes or more"),
        (np.arange(20) // 17, None, "in 5 groups each"),
        (np.arange(20) % 2, np.arange(20) % 4, "in 5 groups each"),
        (np.arange(19) % 2, None, "must match"),
        (np.arange(20) % 2, np.arange(19), "must match"),
    ],
)
def test_rows_that_cannot_be_folded_are_named(labels, groups, message):
    with pytest.raises(ValueError, match=message):
        label_errors.out_of_fold(np.eye(20), labels, groups=groups)


def test_four_opinions_and_their_stack_find_turned_labels():
    rows, labels = blobs(300, turned=20)
    tfidf = sparse.csr_array(np.abs(np.hstack([rows.clip(0), -rows.clip(None, 0)])))
    opinions = label_errors.opinions(tfidf, rows, labels)
    assert list(opinions) == ["TF-IDF", "encoder", "naive Bayes", "neighbours"]
    stacked = label_errors.stack(list(opinions.values()), labels)
    for one in [*opinions.values(), stacked]:
        np.testing.assert_allclose(one.sum(axis=1), 1)
        quality = label_errors.label_quality(one, labels)
        assert label_errors.precision_at(quality, np.arange(300) < 20, 20) > 0.8


def test_a_stack_follows_the_opinion_that_knows_and_not_the_one_that_guesses():
    labels = np.arange(400) % 2
    rng = np.random.default_rng(0)
    knows = np.clip(0.5 + 0.3 * (2 * labels - 1) + 0.2 * rng.normal(size=400), 0.02, 0.98)
    guess = rng.uniform(0.02, 0.98, 400)
    both = [np.column_stack([1 - p, p]) for p in (knows, guess)]
    stacked = label_errors.stack(both, labels)[:, 1]
    assert np.corrcoef(stacked, knows)[0, 1] > 0.9 > 0.2 > abs(np.corrcoef(stacked, guess)[0, 1])


def test_identical_vectors_leave_every_row_in_doubt_alike():
    labels = np.arange(40) % 2
    np.testing.assert_allclose(label_errors.out_of_fold(np.ones((40, 3)), labels), 0.5, atol=1e-6)


# ---- rankings -------------------------------------------------------------------------------------------------------


def test_rankings_by_hand():
    probabilities, labels = np.array([[0.7, 0.2, 0.1], [0.1, 0.5, 0.4]]), np.array([0, 2])
    np.testing.assert_allclose(label_errors.label_quality(probabilities, labels), [0.7, 0.4])
    margin = label_errors.label_quality(probabilities, labels, ranking="normalised margin")
    np.testing.assert_allclose(margin, [(0.7 - 0.2 + 1) / 2, (0.4 - 0.5 + 1) / 2])


def test_confident_issues_pass_the_average_of_the_other_class():
    """Of ten sure rows a class, one is surely of the other class; a row in doubt is no issue."""
    positive = np.r_[np.full(9, 0.1), 0.95, np.full(9, 0.9), 0.55]
    labels = np.repeat([0, 1], 10)
    flagged = label_errors.confident_issues(np.column_stack([1 - positive, positive]), labels)
    assert np.flatnonzero(flagged).tolist() == [9]


def test_suspects_come_worst_first_with_the_models_own_label():
    texts = ["", "好" * 100_000, "\ud800", "👍👍", "שלום עולם"]
    frame = pd.DataFrame(
        {"text": pd.Series(texts, dtype=object), "label": ["neg", "pos", "neg", "pos", "neg"]}
    ).set_axis(list("vwxyz"))
    positive = np.array([0.2, 0.9, 0.97, 0.4, 0.2])
    table = label_errors.suspects(frame, np.column_stack([1 - positive, positive]))
    assert table.index.tolist() == ["x", "y", "v", "z", "w"]
    assert table["suggested"].tolist() == ["pos", "neg", "neg", "neg", "pos"]
    np.testing.assert_allclose(table["quality"], [0.03, 0.4, 0.8, 0.8, 0.9], atol=1e-9)
    assert table["flagged"]["x"] and table.loc["x", "text"] == "\ud800"


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        (np.full((2, 2), 0.5), [0], "probabilities \\(n, 2 or more\\)"),
        (np.full((2, 2), 0.5), [0, 2], "column numbers from 0 to 1"),
        (np.full((2, 2), 0.5), ["a", "b"], "column numbers from 0 to 1"),
        (np.full((2, 2), 0.6), [0, 1], "sum to 1"),
        (np.full((2, 2), np.nan), [0, 1], "sum to 1"),
    ],
)
def test_probabilities_that_are_none_are_named(probabilities, labels, message):
    with pytest.raises(ValueError, match=message):
        label_errors.label_quality(probabilities, labels)


def test_an_unknown_ranking_and_a_missing_class_are_named():
    half = np.full((2, 2), 0.5)
    with pytest.raises(ValueError, match="ranking is 'best'"):
        label_errors.label_quality(half, [0, 1], ranking="best")
    with pytest.raises(ValueError, match="2 columns, but there are 1 classes"):
        label_errors.suspects(pd.DataFrame({"text": ["a", "b"], "label": ["x", "x"]}), half)


# ---- raters and precision -------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(-4, 4), min_size=1, max_size=20), min_size=1, max_size=8), st.data())
def test_rater_doubt_counts_raters_on_other_sides(ratings, data):
    sides = st.sampled_from(["positive", "negative", "neutral"])
    labels = data.draw(st.lists(sides, min_size=len(ratings), max_size=len(ratings)))
    expected = [
        sum(("positive" if r > 0 else "negative" if r < 0 else "neutral") != label for r in row) / len(row)
        for row, label in zip(ratings, labels, strict=True)
    ]
    np.testing.assert_allclose(label_errors.rater_doubt(ratings, labels), expected)


@pytest.mark.parametrize(
    ("ratings", "labels", "message"),
    [([[1]], ["good"], "'good' is no side"), ([[]], ["neutral"], "at least one rating")],
)
def test_raters_without_a_side_or_a_rating_are_named(ratings, labels, message):
    with pytest.raises(ValueError, match=message):
        label_errors.rater_doubt(ratings, labels)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=12), st.data())
def test_precision_at_is_the_mean_over_all_orders_of_ties(rows, data):
    k = data.draw(st.integers(1, len(rows)))
    scores, wrong = (np.array(column) for column in zip(*rows, strict=True))
    rng = np.random.default_rng(0)
    drawn = [wrong[np.lexsort([rng.random(len(rows)), scores])[:k]].mean() for _ in range(400)]
    assert label_errors.precision_at(scores, wrong, k) == pytest.approx(np.mean(drawn), abs=0.12)


@pytest.mark.parametrize("k", [0, 3])
def test_precision_at_more_rows_than_there_are_is_named(k):
    with pytest.raises(ValueError, match="1 ≤ k ≤ n"):
        label_errors.precision_at([0.1, 0.2], [True, False], k)
