"""Judge texts or vectors by what a linear classifier makes of them, its strength chosen within the training rows.

A probe is cheap enough for hundreds of runs, so comparisons of training sets and of representations use it first; what
it finds is then confirmed by real fine-tuning.
"""

import numpy as np
from scipy import sparse

STRENGTHS = (0.3, 1, 3, 10, 30)


def tfidf(texts, others, language):
    """TF-IDF of texts and of others, fitted on texts alone: single words and pairs ("en"), characters and pairs ("zh").

    returns : two sparse arrays, (n, terms) and (m, terms), rows of length 1 (0 where no term is known)
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    units = {"en": {"analyzer": "word"}, "zh": {"analyzer": "char"}}
    if language not in units:
        raise ValueError(f"language is {language!r}: take 'en' or 'zh'")
    vectoriser = TfidfVectorizer(**units[language], ngram_range=(1, 2), sublinear_tf=True)
    return vectoriser.fit_transform(texts), vectoriser.transform(others)


def beside(*features):
    """Several representations of the same rows side by side, each with equal weight: one sparse array."""
    return sparse.hstack(features, format="csr")


def fit(features, labels, *, strengths=STRENGTHS, folds=3):
    """Logistic regression with C chosen by stratified cross-validation on the rows given; the smallest C of the best.

    features : dense or sparse array (n, d), n ≥ 2 · folds
    labels   : array (n,), at least `folds` rows of each class, else ValueError
    returns  : fitted sklearn GridSearchCV, with `predict`, `predict_proba`, `best_params_`
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    counts = np.unique(np.asarray(labels), return_counts=True)[1]
    if len(counts) < 2 or counts.min() < folds:
        raise ValueError(f"a probe takes two classes or more with at least {folds} rows each, got {counts.tolist()}")
    model = LogisticRegression(solver="newton-cg", max_iter=1000)  # of the solvers by far the fastest on both kinds
    order = StratifiedKFold(folds, shuffle=True, random_state=0)
    return GridSearchCV(model, {"C": list(strengths)}, cv=order).fit(features, labels)
