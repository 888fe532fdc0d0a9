"""augmenting: folds in which no held-out row has a copy, the weight of copies, and what mixtures are made of."""

import numpy as np
import pytest
import sklearn.linear_model
from sklearn.metrics import accuracy_score

from helpers.runner import studies

study = studies.module("augmenting")
LABELS = np.array([0, 1] * 6)
NONE = np.empty((0, 12)), np.empty((0, 2)), np.empty((0, 2), int)  # nothing is added


def twins(parents):
    """Added rows as `fitted` takes them: half the vector of the one row that each is made of, and that row's label."""
    rows = np.array(parents)
    return np.eye(12)[rows] / 2, np.eye(2)[LABELS[rows]], np.stack([rows, rows], axis=1)


@pytest.fixture
def fits(monkeypatch):
    """The features and weights of every fit that is made."""
    seen = []

    class Watched(sklearn.linear_model.LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            seen.append((X, sample_weight))
            return super().fit(X, y, sample_weight)

    monkeypatch.setattr(sklearn.linear_model, "LogisticRegression", Watched)
    return seen


def test_no_copy_of_a_held_out_row_trains(fits):
    study.fitted(np.eye(12), LABELS, *twins([*range(12), *range(12)]), accuracy_score)
    assert len(fits) == 3 * len(study.probe.STRENGTHS) + 1
    for features, _ in fits:  # a row shows as 1, a copy of it as .5, each in the row's own column
        rows, copies = (set(np.nonzero(features == value)[1]) for value in (1, 0.5))
        assert rows == copies
        assert (features == 0.5).sum() == 2 * len(rows)
    assert [len(features) for features, _ in fits] == [3 * 8] * (len(fits) - 1) + [3 * 12]


def test_a_mixture_trains_where_both_of_its_rows_do(fits):
    halves, parents = np.full((1, 12), 0.1), np.array([[0, 1]])
    study.fitted(np.eye(12), LABELS, halves, np.array([[0.25, 0.75]]), parents, accuracy_score)
    for features, weights in fits:
        both = features[:, 0].max() == features[:, 1].max() == 1
        assert weights[(features == 0.1).all(axis=1)].tolist() == ([0.25, 0.75] if both else [])
    assert sum(len(weights) in (10, 14) for _, weights in fits) > 1  # a fold may hold out neither of the two


def test_plain_copies_change_nothing():
    rng = np.random.default_rng(0)
    own, labels = rng.normal(size=(30, 4)), np.arange(30) % 2
    rows = np.repeat(np.arange(30), 3)
    alone, C = study.fitted(own, labels, own[:0], *NONE[1:], accuracy_score)
    copied, again = study.fitted(
        own, labels, own[rows], np.eye(2)[labels[rows]], np.stack([rows, rows], 1), accuracy_score
    )
    assert again == C
    np.testing.assert_allclose(copied.coef_, alone.coef_, atol=1e-3)


def test_weights_are_repeats():
    rng = np.random.default_rng(1)
    own, labels = rng.normal(size=(30, 4)), np.r_[np.zeros(24, int), np.ones(6, int)]
    rare = np.repeat(np.arange(24, 30), 3)
    repeats = own[rare], np.eye(2)[labels[rare]], np.stack([rare, rare], axis=1)
    weighted, C = study.fitted(own, labels, own[:0], *NONE[1:], accuracy_score, np.where(labels == 1, 4.0, 1.0))
    repeated, again = study.fitted(own, labels, *repeats, accuracy_score)
    assert again == C
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-3)


@pytest.mark.parametrize("near", [False, True])
def test_mixtures_name_the_rows_that_they_are_made_of(near):
    made, targets, parents = study.mixed(np.eye(12), LABELS, near, 3, seed=0)
    assert made.shape == (36, 12) and parents[:, 0].tolist() == 3 * list(range(12))
    np.testing.assert_allclose(targets, made @ np.eye(2)[LABELS])
    for row, pair in zip(made, parents, strict=True):
        assert set(np.nonzero(row)[0]) <= set(pair)
        assert not near or LABELS[pair[0]] == LABELS[pair[1]]
    assert near or (LABELS[parents[:, 0]] != LABELS[parents[:, 1]]).any()


def test_repeats_are_copies_with_nothing_changed():
    assert study.edited(["a b", "c"], "en", "repeats", 0.1, 2, 0) == ["a b", "a b", "c", "c"]
    assert study.edited(["a b"], "en", "swap", 0.1, 2, 0) == ["b a", "b a"]
