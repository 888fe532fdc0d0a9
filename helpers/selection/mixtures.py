"""Choose how many rows of which class or source, and record what was chosen."""

import hashlib
import numbers

import numpy as np
import pandas as pd

from helpers.selection.checks import checked_labels, checked_vectors


def stratified(vectors, k, *, labels, temperature=1.0, seed=0):
    """k rows drawn at random within each class; how many of which class, `mixture` says.

    temperature : 1 keeps the shares of the pool, inf gives each class as many rows as it has, up to an equal share
    """
    labels = checked_labels(labels, len(checked_vectors(vectors, k)))
    classes, sizes = np.unique(labels, return_counts=True)
    quota = mixture(dict(zip(classes, sizes, strict=True)), k, temperature=temperature)
    order = np.random.default_rng(seed).permutation(len(labels))
    rank = pd.Series(order).groupby(labels[order]).cumcount().to_numpy()
    return order[rank < np.array([quota[label] for label in labels[order]])]


def mixture(sizes, total, *, temperature=1.0, replay=None):
    """How many rows to take from each source: a share ∝ size^(1 / temperature), and fixed shares of earlier data.

    sizes       : {source: rows it has}, whole numbers ≥ 0
    total       : int, rows wanted, 1 ≤ total ≤ rows of all sources
    temperature : > 0; 1 keeps the proportions, inf makes them equal, near 0 the largest gives all; what a source has
                  not got the others make up for
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
    if not isinstance(total, numbers.Integral) or not 1 <= total <= have.sum():
        raise ValueError(f"total is {total!r}: take an int from 1 to what the sources can give, {have.sum()} rows")
    if not temperature > 0:
        raise ValueError(f"temperature is {temperature}: take a number above 0")
    if not set(replay) <= set(names) or any(share < 0 for share in replay.values()) or sum(replay.values()) > 1:
        raise ValueError(f"replay must give sources among {names} shares that sum to 1 at most, got {replay}")
    old = np.array([name in replay for name in names])
    fixed = np.array([min(round(replay.get(name, 0) * total), size) for name, size in sizes.items()])
    rest = total - fixed.sum()
    if not 0 <= rest <= have[~old].sum():
        raise ValueError(f"total is {total}: replay gives {fixed.sum()}, the other sources have {have[~old].sum()}")
    share, full = fixed.astype(float), old | (have == 0)
    while rest and not full.all():
        scale = have[~full].max() if temperature < 1 else 1  # so that no power overflows
        weight = (have[~full] / scale) ** (1 / temperature)
        share[~full] = (rest - have[full & ~old].sum()) * weight / weight.sum()
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
