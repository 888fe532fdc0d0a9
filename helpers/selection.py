"""Choose: which rows to train on, or to have labelled, when the budget is a number of rows.

Every choosing method is a function method(vectors, k, *, …, seed=0) that returns k row numbers in picking order:

    vectors       : array (n, d), finite, rows of length 1 (a cosine is then a product)
    k             : whole number of rows, 1 ≤ k ≤ n
    labels        : int array (n,), class numbers 0 … classes − 1
    probabilities : array (n, classes), of a model that did not train on the row (`label_errors.out_of_fold`)
    seed          : settles every draw and every tie

Anything else is a ValueError that names what is wrong. Curation knows all labels and pays for training; annotation
(margin, entropy, density_weighted) sees no labels and pays for each one: never rank the two together.
"""

import hashlib

import numpy as np
import pandas as pd
from scipy.special import entr, softmax

from helpers.label_errors import checked

EXACT = 16_384  # rows up to which facility location compares all candidates at once: 1 GiB of similarities
BLOCK = 1_000  # candidates at a time beyond that: 400 MB of similarities at 100,000 rows


# ---- without a model ------------------------------------------------------------------------------------------------


def random(vectors, k, *, seed=0):
    """k rows drawn at random: what every other method must beat."""
    return np.random.default_rng(seed).permutation(len(_checked(vectors, k)))[:k]


def stratified(vectors, k, *, labels, temperature=1.0, seed=0):
    """k rows drawn at random within each class; how many of which class, `mixture` says.

    temperature : 1 keeps the shares of the pool, inf gives each class as many rows as it has, up to an equal share
    """
    labels = _classes(labels, len(_checked(vectors, k)))
    classes, sizes = np.unique(labels, return_counts=True)
    quota = mixture(dict(zip(classes, sizes, strict=True)), k, temperature=temperature)
    order = np.random.default_rng(seed).permutation(len(labels))
    rank = pd.Series(order).groupby(labels[order]).cumcount().to_numpy()
    return order[rank < np.array([quota[label] for label in labels[order]])]


def prototypes(vectors, k, *, clusters=25, seed=0):
    """The rows nearest the centres of k-means clusters: first the nearest of each cluster, then the second nearest …

    clusters : whole number ≥ 1; one cluster a pick (clusters = k) spreads the most
    cost     : O(n · clusters · d) a round of k-means
    source   : Sorscher et al. 2022, §5 (distance from the centre as a self-supervised measure of how typical a row is)
    """
    from sklearn.cluster import KMeans

    vectors = _checked(vectors, k)
    clusters = min(clusters, len(np.unique(vectors, axis=0)))
    means = KMeans(clusters, n_init=1, random_state=seed).fit(vectors)
    distance = np.linalg.norm(vectors - means.cluster_centers_[means.labels_], axis=1)
    rank = pd.Series(distance).groupby(means.labels_).rank(method="first").to_numpy()
    return np.lexsort([distance, rank])[:k]


def k_center(vectors, k, *, seed=0):
    """Each row is the farthest from those picked before it, the first one drawn: no row of the pool is left far off.

    cost   : O(n · k · d) time, O(n) memory
    source : Sener & Savarese 2018, §4.2 (greedy rule of Gonzalez 1985: at most twice the least possible radius)
    """
    vectors = _checked(vectors, k)
    picks = [int(np.random.default_rng(seed).integers(len(vectors)))]
    nearest = vectors @ vectors[picks[0]]
    nearest[picks] = np.inf
    while len(picks) < k:
        picks.append(int(nearest.argmin()))
        np.maximum(nearest, vectors @ vectors[picks[-1]], out=nearest)
        nearest[picks[-1]] = np.inf
    return np.array(picks)


def facility_value(vectors, rows):
    """Σ over all rows of the cosine with the nearest picked row, 0 if negative: what facility location maximises.

    cost : O(n · k · d) time, 1,000 · k cosines in memory

    >>> round(facility_value([[1, 0], [0, 1], [0.6, 0.8]], [2]), 4)
    2.4
    """
    vectors = _checked(vectors, 1)
    picked = vectors[np.asarray(rows)].T
    blocks = (vectors[start : start + 1000] @ picked for start in range(0, len(vectors), 1000))
    return sum(float(block.max(1).clip(0).sum(dtype=float)) for block in blocks)


def facility_location(vectors, k, *, block=None, seed=0):
    """Rows that together lie near all rows of the pool: greedily, the row that raises `facility_value` the most.

    block  : candidates compared at a time. None is all of them, the exact greedy rule (at least 1 − 1/e of the best
             value), up to 16,384 rows, and 1,000 beyond. With blocks the pool is dealt at random into n / block parts
             (at most k), and each part gives its share of the k picks, chosen by their gain over all rows
    cost   : one product of all candidates by all rows, O(n² · d) time; 4 · n · block bytes
    source : Nemhauser, Wolsey & Fisher 1978; Minoux 1978 (a gain can only shrink, so old gains are upper bounds and
             few need a second look); Mirzasoleiman et al. 2015 (a random part of the candidates is enough for a pick)
    """
    vectors = _checked(vectors, k)
    n = len(vectors)
    block = block or (n if n <= EXACT else BLOCK)
    if block < 1:
        raise ValueError(f"block is {block}: take 1 candidate or more at a time")
    parts = np.array_split(np.random.default_rng(seed).permutation(n), min(-(-n // block), k))
    shares = np.diff(np.arange(len(parts) + 1) * k // len(parts))
    nearest, picks = np.zeros(n, np.float32), []
    for part, share in zip(parts, shares, strict=True):
        picks.extend(part[_lazy_greedy(vectors[part] @ vectors.T, nearest, min(share, len(part)))])
    return np.array(picks)


def _lazy_greedy(similarity, nearest, k, batch=16):
    """k candidates, greedily; similarity (candidates, rows), nearest (rows,) best so far, raised in place."""
    zeros, ones = np.zeros_like(nearest), np.ones_like(nearest)

    def gains(rows):
        rows = rows - nearest
        return np.maximum(rows, zeros, out=rows) @ ones  # a product sums several times as fast as .sum(axis=1)

    bound = np.concatenate([gains(similarity[i : i + batch]) for i in range(0, len(similarity), batch)])
    batch, picks = min(batch, len(bound)), []
    while len(picks) < k:
        top = np.argpartition(bound, -batch)[-batch:]
        top = top[bound[top] > -np.inf]  # what is picked stays out
        bound[top] = gains(similarity[top])
        best = top[bound[top].argmax()]
        if bound[best] >= bound.max():
            picks.append(best)
            np.maximum(nearest, similarity[best], out=nearest)
            bound[best] = -np.inf
    return picks


# ---- with scores or a model -----------------------------------------------------------------------------------------


def quality_diversity(vectors, k, *, quality, threshold=0.9, seed=0):
    """The best rows that are not too near a better one: by falling quality, skipping cosines above the threshold.

    quality : array (n,), more is better
    returns : where fewer than k rows are that far apart, the best of those skipped fill up
    cost    : O(n · k · d)
    source  : Liu et al. 2024 (DEITA), §2.5, score first, diversity aware: quality × complexity there, threshold .9
    """
    vectors, quality = _checked(vectors, k), np.asarray(quality, float)
    if quality.shape != (len(vectors),) or not np.isfinite(quality).all():
        raise ValueError(f"quality must be {len(vectors)} finite numbers, one a row, got shape {quality.shape}")
    order = _highest(quality, len(vectors), seed)
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
    vectors = _checked(vectors, 1)
    labels = _classes(labels, len(vectors))
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
    labels = _classes(labels, len(_checked(vectors, k)))
    traces = [training_trace(vectors, labels, epochs=2, seed=seed + 1000 * run)[-1] for run in range(runs)]
    target = np.eye(labels.max() + 1)[labels]
    return _highest(np.mean([np.linalg.norm(p - target, axis=1) for p in traces], axis=0), k, seed)


def forgetting(vectors, k, *, labels, epochs=10, seed=0):
    """The rows that training forgets most often: right when they came by, wrong the next time. Never right counts most.

    source : Toneva et al. 2019, §3
    """
    labels = _classes(labels, len(_checked(vectors, k)))
    right = training_trace(vectors, labels, epochs=epochs, seed=seed).argmax(axis=2) == labels
    events = (right[:-1] & ~right[1:]).sum(axis=0)
    return _highest(np.where(right.any(axis=0), events, epochs), k, seed)


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

    vectors, valid_vectors = _checked(vectors, k), _checked(valid_vectors, 1)
    labels, valid_labels = _classes(labels, len(vectors)), _classes(valid_labels, len(valid_vectors))
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
    return _highest(np.max(cosines, axis=0), k, seed)


def agreement(vectors, k, *, labels, probabilities, seed=0):
    """k rows drawn at random among those whose label the model agrees with; the nearest to agreement fill up."""
    probabilities, labels = checked(probabilities, _classes(labels, len(_checked(vectors, k))))
    return _agreed_first(probabilities, labels, seed)[0][:k]


def herding(vectors, k, *, labels, probabilities, seed=0):
    """The course's recommendation: rows whose label a model agrees with, and of them those that balance to their mean.

    Within each class, in the share that it has among the agreed rows, every pick turns the mean of the picks towards
    the mean vector of all agreed rows of the class: unusual rows come in where others make up for them.

    returns : each beginning of the list is balanced like the whole; where fewer than k rows agree, the rows that come
              closest to agreement join. Picks make up for each other, so cross-validation among a few dozen of them
              underrates every model: settle its strength by other rows
    cost    : O(n · k · d)
    source  : Welling 2009; Chen, Welling & Smola 2010 (herding); Rebuffi et al. 2017 (iCaRL), algorithm 4 (the rows of
              each class to keep)
    """
    vectors = _checked(vectors, k)
    probabilities, labels = checked(probabilities, _classes(labels, len(vectors)))
    order, n_agreed = _agreed_first(probabilities, labels, seed)
    agreed = order[: max(k, n_agreed)]
    classes, sizes = np.unique(labels[agreed], return_counts=True)
    quota = mixture(dict(zip(classes, sizes, strict=True)), k)
    picks, when = [], []
    for label in classes[[quota[label] > 0 for label in classes]]:
        rows = agreed[labels[agreed] == label]
        picks.extend(rows[_herd(vectors[rows], quota[label])])
        when.extend((np.arange(quota[label]) + 0.5) / quota[label])
    return np.array(picks)[np.argsort(when, kind="stable")]


def _herd(vectors, k):
    """k positions whose mean vector follows the mean of all."""
    mean = vectors.mean(axis=0)
    lacking, free, picks = mean.copy(), np.zeros(len(vectors)), []
    for _ in range(k):
        picks.append(int((vectors @ lacking + free).argmax()))
        free[picks[-1]] = -np.inf
        lacking += mean - vectors[picks[-1]]
    return picks


def margin(vectors, k, *, probabilities, seed=0):
    """The rows whose two most probable classes are nearest each other (Scheffer, Decomain & Wrobel 2001)."""
    two = np.sort(_unlabelled(probabilities, _checked(vectors, k)), axis=1)[:, -2:]
    return _highest(two[:, 0] - two[:, 1], k, seed)


def entropy(vectors, k, *, probabilities, seed=0):
    """The rows whose predicted classes have the highest entropy (Settles 2009, §3.1)."""
    return _highest(entr(_unlabelled(probabilities, _checked(vectors, k))).sum(axis=1), k, seed)


def density_weighted(vectors, k, *, probabilities, beta=1.0, seed=0):
    """The rows that are uncertain and typical: entropy × (mean cosine with the pool) ^ beta.

    cost   : O(n · d): the mean cosine with all rows is the cosine with their mean
    source : Settles & Craven 2008, eq. 13 (information density)
    """
    vectors = _checked(vectors, k)
    density = (vectors @ vectors.mean(axis=0)).clip(0)
    return _highest(entr(_unlabelled(probabilities, vectors)).sum(axis=1) * density**beta, k, seed)


def mixture(sizes, total, *, temperature=1.0, replay=None):
    """How many rows to take from each source: a share ∝ size^(1 / temperature), and fixed shares of earlier data.

    sizes       : {source: rows it has}, whole numbers ≥ 0
    total       : rows wanted, 1 ≤ total ≤ rows of all sources
    temperature : > 0; 1 keeps the proportions, inf makes them equal; what a source has not got the others make up for
    replay      : {source: share of total} for sources of earlier training, mixed in against forgetting and for no more
    returns     : {source: rows}, whole numbers that sum to total (largest remainders)
    source      : Arivazhagan et al. 2019, §4.2 (temperature); Ibrahim et al. 2024, §5 (replay of 5% and more)

    >>> mixture({"film": 900, "tweets": 100}, 100, temperature=2)
    {'film': 75, 'tweets': 25}
    >>> mixture({"film": 900, "tweets": 100, "earlier": 5000}, 100, replay={"earlier": 0.1})
    {'film': 81, 'tweets': 9, 'earlier': 10}
    """
    replay = replay or {}
    names, have = list(sizes), np.array(list(sizes.values()))
    if not names or (have < 0).any() or (have != have.astype(int)).any():
        raise ValueError(f"sizes must give each source a whole number of rows, 0 or more, got {sizes}")
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}: take a number above 0")
    if not set(replay) <= set(names) or any(share < 0 for share in replay.values()) or sum(replay.values()) > 1:
        raise ValueError(f"replay must give sources among {names} shares that sum to 1 at most, got {replay}")
    old = np.array([name in replay for name in names])
    fixed = np.array([min(round(replay.get(name, 0) * total), size) for name, size in sizes.items()])
    rest = total - fixed.sum()
    if total < 1 or total != int(total) or not 0 <= rest <= have[~old].sum():
        raise ValueError(
            f"total is {total}: take a whole number from 1 to what the sources can give, {have.sum()} rows"
        )
    weight = np.where(old | (have == 0), 0.0, np.maximum(have, 1) ** (1 / temperature))
    share, full = fixed.astype(float), weight == 0
    while rest and not full.all():
        share[~full] = (rest - have[full & ~old].sum()) * weight[~full] / weight[~full].sum()
        over = ~full & (share > have)
        share[over], full = have[over], full | over
        if not over.any():
            break
    counts = np.floor(share + 1e-9).astype(int)
    counts[np.argsort(counts - share, kind="stable")[: total - counts.sum()]] += 1
    return dict(zip(names, counts.tolist(), strict=True))


def manifest(frame, rows, method, *, seed=0):
    """A record of a chosen set: one line a pick, enough to find the same rows again and to see that they are the same.

    frame   : the pool, row ids in its index, columns text and label
    rows    : different positions in the frame, in picking order, else ValueError
    returns : DataFrame pick (0 …), row (id), method, seed, sha256 of text and label
    """
    rows = np.asarray(rows)
    if rows.ndim != 1 or len(np.unique(rows)) < len(rows) or not np.isin(rows, np.arange(len(frame))).all():
        raise ValueError(f"rows must be different positions from 0 to {len(frame) - 1}")
    chosen = frame.iloc[rows]
    said = (f"{text}\t{label}" for text, label in zip(chosen["text"], chosen["label"], strict=True))
    digest = [hashlib.sha256(one.encode("utf8", "surrogatepass")).hexdigest() for one in said]
    return pd.DataFrame(
        {"pick": np.arange(len(rows)), "row": chosen.index, "method": method, "seed": seed, "sha256": digest}
    )


def _checked(vectors, k):
    vectors = np.ascontiguousarray(vectors, np.float32)
    if vectors.ndim != 2 or not len(vectors):
        raise ValueError(f"vectors must be an array (n, d) of at least one row, got shape {vectors.shape}")
    wrong = np.flatnonzero(~(np.abs(np.einsum("nd,nd->n", vectors, vectors) - 1) < 1e-2))
    if len(wrong):
        raise ValueError(f"row {wrong[0]} of vectors is not of length 1: divide each row by its length")
    if k != int(k) or not 1 <= k <= len(vectors):
        raise ValueError(f"k is {k}: take a whole number from 1 to the {len(vectors)} rows there are")
    return vectors


def _classes(labels, n):
    labels = np.asarray(labels)
    if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise ValueError(f"labels must be {n} class numbers 0, 1, …, one a row, got {labels.dtype} of {labels.shape}")
    return labels


def _unlabelled(probabilities, vectors):
    return checked(probabilities, np.zeros(len(vectors), int))[0]


def _agreed_first(probabilities, labels, seed):
    """All rows: those that the model agrees with in random order, then the nearest to agreement; how many agree."""
    rows, others = np.arange(len(labels)), probabilities.copy()
    others[rows, labels] = -1
    lacking = (others.max(axis=1) - probabilities[rows, labels]).clip(0)
    draw = np.random.default_rng(seed).permutation(rows)
    return draw[np.argsort(lacking[draw], kind="stable")], np.sum(lacking == 0)


def _highest(scores, k, seed):
    """Positions of the k highest scores, highest first, ties in random order."""
    return np.lexsort([np.random.default_rng(seed).random(len(scores)), -scores])[:k]
