"""Choose by a score of each row, or by what a model makes of it: good, hard, influential, agreed or uncertain rows."""

import numpy as np
import pandas as pd
from scipy.special import entr, softmax

from helpers.label_errors import checked
from helpers.selection.checks import checked_labels, checked_vectors, highest
from helpers.selection.cover import follow_mean
from helpers.selection.mixtures import mixture


def quality_diversity(vectors, k, *, quality, threshold=0.9, seed=0):
    """The best rows that are not too near a better one: by falling quality, skipping cosines above the threshold.

    quality : array (n,), more is better
    returns : where fewer than k rows are that far apart, the best of those skipped fill up
    cost    : O(n · k · d)
    source  : Liu et al. 2024 (DEITA), §2.5, score first, diversity aware: quality × complexity there, threshold .9
    """
    vectors, quality = checked_vectors(vectors, k), np.asarray(quality, float)
    if quality.shape != (len(vectors),) or not np.isfinite(quality).all():
        raise ValueError(f"quality must be {len(vectors)} finite numbers, one a row, got shape {quality.shape}")
    order = highest(quality, len(vectors), seed)
    ranked, free, picks = vectors[order], np.ones(len(order), bool), []
    while len(picks) < k and free.any():
        picks.append(int(free.argmax()))
        free[picks[-1]] = False
        free &= ranked @ ranked[picks[-1]] <= threshold
    rest = np.setdiff1d(np.arange(len(order)), picks)  # by falling quality
    return order[np.concatenate([picks, rest]).astype(int)[:k]]


def training_trace(vectors, labels, *, epochs=10, batch=32, rate=3.0, seed=0):
    """What a linear softmax classifier, in training by plain SGD, makes of each row just before it learns from it.

    returns : float32 array (epochs, n, classes) of probabilities
    cost    : O(epochs · n · d · classes)
    """
    vectors = checked_vectors(vectors, 1)
    labels = checked_labels(labels, len(vectors))
    target = np.eye(labels.max() + 1, dtype=np.float32)[labels]
    weights = np.zeros((vectors.shape[1], target.shape[1]), np.float32)
    trace = np.empty((epochs, *target.shape), np.float32)
    rng = np.random.default_rng(seed)
    for epoch in range(epochs):
        for rows in np.split(rng.permutation(len(vectors)), np.arange(batch, len(vectors), batch)):
            trace[epoch, rows] = softmax(vectors[rows] @ weights, axis=1)
            weights -= rate / len(rows) * vectors[rows].T @ (trace[epoch, rows] - target[rows])
    return trace


def el2n(vectors, k, *, labels, runs=5, seed=0):
    """The hardest rows early in training: length of (probabilities − label) in the second epoch, mean over runs.

    source : Paul, Ganguli & Dziugaite 2021, §2.2 (definition 2.2)
    """
    labels = checked_labels(labels, len(checked_vectors(vectors, k)))
    traces = [training_trace(vectors, labels, epochs=2, seed=seed + 1000 * run)[-1] for run in range(runs)]
    target = np.eye(labels.max() + 1)[labels]
    return highest(np.mean([np.linalg.norm(p - target, axis=1) for p in traces], axis=0), k, seed)


def forgetting(vectors, k, *, labels, epochs=10, seed=0):
    """The rows that training forgets most often: right when they came by, wrong the next time. Never right counts most.

    source : Toneva et al. 2019, §3
    """
    labels = checked_labels(labels, len(checked_vectors(vectors, k)))
    right = training_trace(vectors, labels, epochs=epochs, seed=seed).argmax(axis=2) == labels
    events = (right[:-1] & ~right[1:]).sum(axis=0)
    return highest(np.where(right.any(axis=0), events, epochs), k, seed)


def gradient_matching(vectors, k, *, labels, valid_vectors, valid_labels, warmup=0.05, seed=0):
    """The rows whose gradient points most nearly the way that of the validation rows of some class points.

    valid_vectors, valid_labels : arrays (m, d) and (m,), rows like those that the model is meant for
    warmup : share of the pool, drawn at random, that the probe is fitted on first (three rows of each class at least)
    cost   : O((n + m) · d · classes): the gradient of a linear softmax classifier is residual ⊗ vector, so the product
             of two of them is (residual · residual) × (vector · vector) and no gradient is ever written down
    source : Xia et al. 2024 (LESS), §3–4: cosine of gradients, largest over subtasks, here one a class; one
             checkpoint and plain gradients instead of four and Adam's
    """
    from helpers import probe

    vectors, valid_vectors = checked_vectors(vectors, k), checked_vectors(valid_vectors, 1)
    labels, valid_labels = checked_labels(labels, len(vectors)), checked_labels(valid_labels, len(valid_vectors))
    if not np.isin(valid_labels, labels).all():
        raise ValueError("valid_labels holds a class that labels lacks: leave its rows out")
    order = np.random.default_rng(seed).permutation(len(vectors))
    rank = pd.Series(order).groupby(labels[order]).cumcount().to_numpy()
    warm = order[(rank < 3) | (np.arange(len(order)) < warmup * len(order))]
    model = probe.fit(vectors[warm], labels[warm])
    one_hot, codes, valid_codes = np.eye(len(model.classes_)), *map(model.classes_.searchsorted, (labels, valid_labels))
    residual, cosines = model.predict_proba(vectors) - one_hot[codes], []
    valid_residual = model.predict_proba(valid_vectors) - one_hot[valid_codes]
    for one in np.unique(valid_labels):
        wanted = valid_vectors[valid_labels == one].T @ valid_residual[valid_labels == one]  # (d, classes)
        product = np.einsum("nc,nc->n", residual, vectors @ wanted)
        cosines.append(product / (np.linalg.norm(residual, axis=1) * np.linalg.norm(wanted) + 1e-12))
    return highest(np.max(cosines, axis=0), k, seed)


def agreement(vectors, k, *, labels, probabilities, seed=0):
    """k rows drawn at random among those whose label the model agrees with; the nearest to agreement fill up."""
    probabilities, labels = checked(probabilities, checked_labels(labels, len(checked_vectors(vectors, k))))
    return _agreed_first(probabilities, labels, seed)[0][:k]


def agree_then_herd(vectors, k, *, labels, probabilities, seed=0):
    """The course's recommendation: rows whose label a model agrees with, and of these `herding` within each class.

    Within each class, in the share that it has among the agreed rows, every pick turns the mean of the picks towards
    the mean vector of all agreed rows of the class: unusual rows come in where others make up for them.

    returns : each beginning of the list is balanced like the whole; where fewer than k rows agree, the rows that come
              closest to agreement join. Picks make up for each other, so cross-validation among a few dozen of them
              underrates every model: settle its strength by other rows
    cost    : O(n · k · d)
    source  : agreement as a filter, and herding as in Rebuffi et al. 2017 (iCaRL), algorithm 4 (the rows of each class
              to keep); the combination is ours
    """
    vectors = checked_vectors(vectors, k)
    probabilities, labels = checked(probabilities, checked_labels(labels, len(vectors)))
    order, n_agreed = _agreed_first(probabilities, labels, seed)
    agreed = order[: max(k, n_agreed)]
    classes, sizes = np.unique(labels[agreed], return_counts=True)
    quota = mixture(dict(zip(classes, sizes, strict=True)), k)
    picks, when = [], []
    for label in classes[[quota[label] > 0 for label in classes]]:
        rows = agreed[labels[agreed] == label]
        picks.extend(rows[follow_mean(vectors[rows], quota[label])])
        when.extend((np.arange(quota[label]) + 0.5) / quota[label])
    return np.array(picks)[np.argsort(when, kind="stable")]


def _agreed_first(probabilities, labels, seed):
    """All rows: those that the model agrees with in random order, then the nearest to agreement; how many agree."""
    rows, others = np.arange(len(labels)), probabilities.copy()
    others[rows, labels] = -1
    lacking = (others.max(axis=1) - probabilities[rows, labels]).clip(0)
    draw = np.random.default_rng(seed).permutation(rows)
    return draw[np.argsort(lacking[draw], kind="stable")], np.sum(lacking == 0)


def margin(vectors, k, *, probabilities, seed=0):
    """The rows whose two most probable classes are nearest each other (Scheffer, Decomain & Wrobel 2001)."""
    two = np.sort(_unlabelled(probabilities, checked_vectors(vectors, k)), axis=1)[:, -2:]
    return highest(two[:, 0] - two[:, 1], k, seed)


def entropy(vectors, k, *, probabilities, seed=0):
    """The rows whose predicted classes have the highest entropy (Settles 2009, §3.1)."""
    return highest(entr(_unlabelled(probabilities, checked_vectors(vectors, k))).sum(axis=1), k, seed)


def density_weighted(vectors, k, *, probabilities, beta=1.0, seed=0):
    """The rows that are uncertain and typical: entropy × (mean cosine with the pool) ^ beta.

    cost   : O(n · d): the mean cosine with all rows is the cosine with their mean
    source : Settles & Craven 2008, eq. 13 (information density)
    """
    vectors = checked_vectors(vectors, k)
    density = (vectors @ vectors.mean(axis=0)).clip(0)
    return highest(entr(_unlabelled(probabilities, vectors)).sum(axis=1) * density**beta, k, seed)


def _unlabelled(probabilities, vectors):
    return checked(probabilities, np.zeros(len(vectors), int))[0]
