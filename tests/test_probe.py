"""The probe against scikit-learn and cases with a known answer."""

import numpy as np
import pytest
import sklearn.linear_model
from scipy import sparse
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score

from helpers import probe


def blobs(n=60, seed=0):
    """Rows around two centres, and the centre of each."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2
    return rng.normal(size=(n, 5)) + 2 * labels[:, None], labels


def test_fit_is_logistic_regression_at_the_chosen_strength():
    rows, labels = blobs()
    fitted = probe.fit(rows, labels)
    plain = LogisticRegression(C=fitted.best_params_["C"], max_iter=1000, tol=1e-10).fit(rows, labels)
    np.testing.assert_allclose(fitted.predict_proba(rows), plain.predict_proba(rows), atol=1e-3)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_fit_takes_dense_and_sparse_rows_and_several_classes(kind):
    rows, labels = blobs()
    labels = np.where(np.arange(60) % 4 == 0, "third", labels.astype(str))
    assert set(probe.fit(kind(rows), labels).classes_) == {"0", "1", "third"}


def test_a_tie_goes_to_the_smallest_strength():
    rows, labels = blobs()
    assert probe.fit(rows + 50 * labels[:, None], labels).best_params_ == {"C": 0.3}


@pytest.mark.parametrize("labels", [[0] * 9, [0] * 7 + [1] * 2])
def test_too_few_rows_of_a_class_are_named(labels):
    with pytest.raises(ValueError, match="at least 3 rows each"):
        probe.fit(np.eye(9), labels)


def test_tfidf_is_fitted_on_the_first_texts_alone():
    train, others = probe.tfidf(["房间 很好", "太差"], ["很好", "咖啡"], "zh")
    assert train.shape[1] == others.shape[1]
    norms = np.sqrt(others.multiply(others).sum(axis=1))
    np.testing.assert_allclose(np.ravel(norms), [1, 0])  # no character of the last text is known


def test_language_is_named_when_unknown():
    with pytest.raises(ValueError, match="language is 'fr'"):
        probe.tfidf(["a"], ["b"], "fr")


def test_beside_keeps_rows_and_adds_columns():
    joined = probe.beside(sparse.csr_array(np.eye(2)), np.array([[3.0], [4.0]]))
    np.testing.assert_array_equal(joined.toarray(), [[1, 0, 3], [0, 1, 4]])


# --- rows and what was made of them

LABELS = np.array([0, 1] * 6)
NONE = np.empty((0, 12)), np.empty((0, 2)), np.empty((0, 2), int)  # nothing is added


def twins(parents):
    """Added rows as `fit_augmented` takes them: half the vector of the row that each is of, and that row's label."""
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
    probe.fit_augmented(np.eye(12), LABELS, *twins([*range(12), *range(12)]), accuracy_score)
    assert len(fits) == 3 * len(probe.STRENGTHS) + 1
    for features, _ in fits:  # a row shows as 1, a copy of it as .5, each in the row's own column
        rows, copies = (set(np.nonzero(features == value)[1]) for value in (1, 0.5))
        assert rows == copies
        assert (features == 0.5).sum() == 2 * len(rows)
    assert [len(features) for features, _ in fits] == [3 * 8] * (len(fits) - 1) + [3 * 12]


def test_a_mixture_trains_where_both_of_its_rows_do(fits):
    halves, parents = np.full((1, 12), 0.1), np.array([[0, 1]])
    probe.fit_augmented(np.eye(12), LABELS, halves, np.array([[0.25, 0.75]]), parents, accuracy_score)
    for features, weights in fits:
        both = features[:, 0].max() == features[:, 1].max() == 1
        assert weights[(features == 0.1).all(axis=1)].tolist() == ([0.25, 0.75] if both else [])
    assert sum(len(weights) in (10, 14) for _, weights in fits) > 1  # a fold may hold out neither of the two


def test_plain_copies_change_nothing():
    rng = np.random.default_rng(0)
    own, labels = rng.normal(size=(30, 4)), np.arange(30) % 2
    rows = np.repeat(np.arange(30), 3)
    alone, C = probe.fit_augmented(own, labels, own[:0], *NONE[1:], accuracy_score)
    copied, again = probe.fit_augmented(
        own, labels, own[rows], np.eye(2)[labels[rows]], np.stack([rows, rows], 1), accuracy_score
    )
    assert again == C
    np.testing.assert_allclose(copied.coef_, alone.coef_, atol=1e-3)


def test_weights_are_repeats():
    rng = np.random.default_rng(1)
    own, labels = rng.normal(size=(30, 4)), np.r_[np.zeros(24, int), np.ones(6, int)]
    rare = np.repeat(np.arange(24, 30), 3)
    repeats = own[rare], np.eye(2)[labels[rare]], np.stack([rare, rare], axis=1)
    weighted, C = probe.fit_augmented(own, labels, own[:0], *NONE[1:], accuracy_score, np.where(labels == 1, 4.0, 1.0))
    repeated, again = probe.fit_augmented(own, labels, *repeats, accuracy_score)
    assert again == C
    np.testing.assert_allclose(weighted.coef_, repeated.coef_, atol=1e-3)
