"""The probe against scikit-learn and cases with a known answer."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import LogisticRegression

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
