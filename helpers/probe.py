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


def fit_augmented(own, labels, added, targets, parents, score, weights=None):
    """Logistic regression on rows and what was made of them; C by folds in which no held-out row has a copy.

    added, targets, parents : (m, d); (m, 2), how much each is of either class; (m, 2), the rows that it is made of
    score                   : of labels and predictions, higher is better
    weights                 : of the rows themselves
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    stack = sparse.vstack if sparse.issparse(own) else np.vstack
    weights = np.ones(len(labels)) if weights is None else weights

    def fit(C, rows):
        """Each added row is told once for each class that it has a part of."""
        one, of = np.nonzero(targets * np.isin(parents, rows).all(axis=1)[:, None])
        given = np.concatenate([weights[rows], targets[one, of]])
        model = LogisticRegression(C=C * len(rows) / given.sum(), solver="newton-cg", max_iter=1000)
        return model.fit(stack([own[rows], added[one]]), np.concatenate([labels[rows], of]), given)

    folds = list(StratifiedKFold(3, shuffle=True, random_state=0).split(labels, labels))
    found = [np.mean([score(labels[held], fit(C, rows).predict(own[held])) for rows, held in folds]) for C in STRENGTHS]
    C = STRENGTHS[int(np.argmax(found))]
    return fit(C, np.arange(len(labels))), C
