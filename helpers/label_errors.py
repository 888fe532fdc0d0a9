"""Choose: rows whose label is probably wrong, found by models that did not see the row, and by raters who did.

A model that agrees with a label says little if it learned from that label, so every probability here is out of fold:
the rows are dealt into folds, whole groups to one fold, and each fold is judged by a model of the other folds.
"""

import numpy as np
import pandas as pd

STRENGTHS = (1, 3, 10)
RANKINGS = {
    "self-confidence": "self_confidence",
    "normalised margin": "normalized_margin",
    "confidence-weighted entropy": "confidence_weighted_entropy",
}


def out_of_fold(features, labels, *, groups=None, model=None, folds=5, seed=0):
    """Class probabilities of each row by a model that saw neither the row nor its group.

    features : dense or sparse array (n, d). TF-IDF weights may be fitted on all rows: they know no label
    labels   : array (n,); at least `folds` groups with each class, else ValueError
    groups   : array (n,) of what must stay on one side (documents, near duplicates), or None: each row by itself
    model    : scikit-learn classifier; None is logistic regression, its C the one with the least log loss out of fold
    returns  : float array (n, classes), columns in the order of np.unique(labels), rows sum to 1
    cost     : `folds` fits, for None `folds` a strength
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import log_loss
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict

    labels = np.asarray(labels)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    if features.shape[0] != len(labels) or groups.shape != labels.shape:
        raise ValueError(
            f"{features.shape[0]} rows of features, {len(labels)} labels, {len(groups)} groups: must match"
        )
    spread = pd.Series(groups).groupby(labels).nunique()
    if len(spread) < 2 or spread.min() < folds:
        raise ValueError(f"{folds} folds take two classes or more in {folds} groups each, got {spread.to_dict()}")
    cut = list(StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(labels, labels, groups))
    if not all(np.isin(spread.index, labels[train]).all() for train, _ in cut):
        raise ValueError("a class stands in so few groups that a fold would train without it: take fewer folds")
    models = [model]
    if model is None:
        models = [LogisticRegression(C=c, solver="newton-cg", max_iter=1000) for c in STRENGTHS]
    tried = [cross_val_predict(one, features, labels, cv=cut, method="predict_proba") for one in models]
    return min(tried, key=lambda one: log_loss(labels, one, labels=spread.index))


def opinions(tfidf, vectors, labels, *, groups=None, folds=5, seed=0):
    """Out-of-fold probabilities of four unlike models of the same rows: {name: array (n, classes)}.

    tfidf   : sparse array (n, terms), as from `probe.tfidf`
    vectors : array (n, d), rows of length 1, of a sentence encoder
    returns : "TF-IDF" and "encoder" by logistic regression, "naive Bayes" on TF-IDF, "neighbours" by the labels of the
              30 nearest vectors, with one more row of each class so that no share is 0
    """
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.neighbors import KNeighborsClassifier

    kept = {"groups": groups, "folds": folds, "seed": seed}
    classes = len(np.unique(labels))
    k = min(30, len(np.asarray(labels)) // 2)
    near = out_of_fold(vectors, labels, model=KNeighborsClassifier(k, metric="cosine"), **kept)
    return {
        "TF-IDF": out_of_fold(tfidf, labels, **kept),
        "encoder": out_of_fold(vectors, labels, **kept),
        "naive Bayes": out_of_fold(tfidf, labels, model=MultinomialNB(alpha=0.3), **kept),
        "neighbours": (near * k + 1) / (k + classes),
    }


def stack(probabilities, labels, *, groups=None, folds=5, seed=0):
    """One opinion from several: logistic regression on the log-probabilities of each, again out of fold.

    probabilities : sequence of arrays (n, classes), out of fold
    returns       : array (n, classes)
    source        : Wolpert 1992 (stacked generalisation)
    """
    from sklearn.linear_model import LogisticRegression

    logs = np.hstack([np.log(np.clip(one, 1e-6, 1)) for one in probabilities])
    logs -= logs.mean(axis=0)
    model = LogisticRegression(C=1.0, max_iter=1000)
    return out_of_fold(logs, labels, groups=groups, model=model, folds=folds, seed=seed)


def checked(probabilities, labels):
    """Both as arrays, if they are class probabilities (n, classes) and class numbers (n,); else ValueError."""
    probabilities, labels = np.asarray(probabilities, float), np.asarray(labels)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or probabilities.shape[1] < 2:
        raise ValueError(f"probabilities (n, 2 or more) and labels (n,), got {probabilities.shape} and {labels.shape}")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(f"labels must be column numbers from 0 to {probabilities.shape[1] - 1}")
    if not (probabilities >= 0).all() or not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        raise ValueError("each row of probabilities must be at least 0 everywhere and sum to 1")
    return probabilities, labels


def label_quality(probabilities, labels, *, ranking="self-confidence"):
    """How well a model's probabilities support each row's label: lowest first are the rows to look at.

    probabilities : array (n, classes), out of fold
    labels        : int array (n,), class numbers
    ranking       : "self-confidence" p(label); "normalised margin" (p(label) − best other + 1) / 2; or
                    "confidence-weighted entropy". With two classes all three order rows alike or nearly so
    returns       : float array (n,) in [0, 1], by cleanlab
    source        : Kuan & Mueller 2022, §3 (scores); Northcutt, Jiang & Chuang 2021 (cleanlab)
    """
    from cleanlab.rank import get_label_quality_scores

    if ranking not in RANKINGS:
        raise ValueError(f"ranking is {ranking!r}: take one of {', '.join(map(repr, RANKINGS))}")
    probabilities, labels = checked(probabilities, labels)
    return get_label_quality_scores(labels, probabilities, method=RANKINGS[ranking])


def confident_issues(probabilities, labels):
    """True for rows that confident learning calls label errors: the model is surer of another class than it is, on
    average, of rows that carry that class (cleanlab, filter "prune by noise rate").

    source : Northcutt, Jiang & Chuang 2021, §3.2
    """
    from cleanlab.filter import find_label_issues

    probabilities, labels = checked(probabilities, labels)
    return find_label_issues(labels, probabilities, n_jobs=1)


def suspects(frame, probabilities, *, ranking="self-confidence"):
    """The rows of a frame, the most doubtful label first.

    frame         : columns text, label
    probabilities : array (n, classes), out of fold, columns in the order of np.unique(frame["label"])
    returns       : DataFrame with the index of the frame: text, label, suggested (the model's class), quality (0 … 1,
                    low is doubtful), flagged (by confident learning); ties keep the order of the frame
    """
    classes, labels = np.unique(frame["label"], return_inverse=True)
    probabilities, labels = checked(probabilities, labels)
    if probabilities.shape[1] != len(classes):
        raise ValueError(f"probabilities has {probabilities.shape[1]} columns, but there are {len(classes)} classes")
    table = frame[["text", "label"]].assign(
        suggested=classes[probabilities.argmax(axis=1)],
        quality=label_quality(probabilities, labels, ranking=ranking),
        flagged=confident_issues(probabilities, labels),
    )
    return table.sort_values("quality", kind="stable")


def rater_doubt(ratings, labels):
    """Share of raters who put a row on another side than its label: 0 is agreement.

    ratings : sequence of lists of numbers, at least one a row; above 0 is positive, below negative, 0 neutral
    labels  : "positive", "negative" or "neutral" a row
    returns : float array (n,)

    >>> rater_doubt([[2, 1, -1, 3], [0, 0, 1, 0]], ["positive", "neutral"]).tolist()
    [0.25, 0.25]
    """
    sides = {"positive": 1, "negative": -1, "neutral": 0}
    if unknown := sorted(set(labels) - set(sides)):
        raise ValueError(f"the label {unknown[0]!r} is no side that raters take: {', '.join(sides)}")
    if len(ratings) != len(labels) or not all(len(row) for row in ratings):
        raise ValueError("every row needs a label and at least one rating")
    return np.array([np.mean(np.sign(row) != sides[label]) for row, label in zip(ratings, labels, strict=True)])


def precision_at(scores, wrong, k):
    """Share of truly wrong labels among the k rows with the lowest quality; ties at the border count by their share.

    >>> precision_at([0.1, 0.5, 0.5, 0.9], [True, True, False, False], 2)
    0.75
    """
    scores, wrong = np.asarray(scores, float), np.asarray(wrong, bool)
    if scores.shape != wrong.shape or not 1 <= k <= len(scores):
        raise ValueError(f"precision_at takes as many scores as rows and 1 ≤ k ≤ n, got {len(scores)} rows and k={k}")
    edge = np.partition(scores, k - 1)[k - 1]
    below, tied = scores < edge, scores == edge
    return float((wrong[below].sum() + wrong[tied].mean() * (k - below.sum())) / k)
