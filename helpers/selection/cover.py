"""Choose by the vectors alone: rows that lie all over the pool."""

import numpy as np
import pandas as pd

from helpers.selection.checks import checked_vectors

EXACT = 16_384  # rows up to which facility location compares all candidates at once: 1 GiB of similarities
BLOCK = 1_000  # candidates at a time beyond that: 400 MB of similarities at 100,000 rows


def random(vectors, k, *, seed=0):
    """k rows drawn at random: what every other method must beat."""
    return np.random.default_rng(seed).permutation(len(checked_vectors(vectors, k)))[:k]


def prototypes(vectors, k, *, clusters=25, seed=0):
    """The rows nearest the centres of k-means clusters: first the nearest of each cluster, then the second nearest …

    clusters : whole number ≥ 1; one cluster a pick (clusters = k) spreads the most
    cost     : O(n · clusters · d) a round of k-means
    source   : Sorscher et al. 2022, §5 (distance from the centre as a self-supervised measure of how typical a row is)
    """
    from sklearn.cluster import KMeans

    vectors = checked_vectors(vectors, k)
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
    vectors = checked_vectors(vectors, k)
    picks = [int(np.random.default_rng(seed).integers(len(vectors)))]
    nearest = vectors @ vectors[picks[0]]
    nearest[picks] = np.inf
    while len(picks) < k:
        picks.append(int(nearest.argmin()))
        np.maximum(nearest, vectors @ vectors[picks[-1]], out=nearest)
        nearest[picks[-1]] = np.inf
    return np.array(picks)


def herding(vectors, k, *, seed=0):
    """Rows whose mean follows the mean of all: each pick supplies most of what the picks before it still lack.

    seed   : unused, the rule draws nothing
    cost   : O(n · k · d)
    source : Welling 2009; Chen, Welling & Smola 2010
    """
    return np.array(follow_mean(checked_vectors(vectors, k), k))


def follow_mean(vectors, k):
    """k positions, in order, of herding; vectors (n, d) are taken as they are."""
    mean = vectors.mean(axis=0)
    lacking, free, picks = mean.copy(), np.zeros(len(vectors)), []
    for _ in range(k):
        picks.append(int((vectors @ lacking + free).argmax()))
        free[picks[-1]] = -np.inf
        lacking += mean - vectors[picks[-1]]
    return picks


def facility_value(vectors, rows):
    """Σ over all rows of the cosine with the nearest picked row, 0 if negative: what facility location maximises.

    cost : O(n · k · d) time, 1,000 · k cosines in memory

    >>> round(facility_value([[1, 0], [0, 1], [0.6, 0.8]], [2]), 4)
    2.4
    """
    vectors = checked_vectors(vectors, 1)
    picked = vectors[np.asarray(rows)].T
    blocks = (vectors[start : start + 1000] @ picked for start in range(0, len(vectors), 1000))
    return sum(float(block.max(1).clip(0).sum(dtype=float)) for block in blocks)


def facility_location(vectors, k, *, block=None, seed=0):
    """Rows that together lie near all rows of the pool: greedily, the row that raises `facility_value` the most.

    block  : candidates compared at a time. None is all of them, the greedy rule (at least 1 − 1/e of the best value,
             but gains within a part in 4,096 of each other count as equal), up to 16,384 rows, and 1,000 beyond. With
             blocks the pool is dealt at random into n / block parts (at most k), and each part gives its share of the
             k picks, chosen by their gain over all rows
    cost   : one product of all candidates by all rows, O(n² · d) time; 4 · n · block bytes
    source : Nemhauser, Wolsey & Fisher 1978; Minoux 1978 (a gain can only shrink, so old gains are upper bounds and
             few need a second look); Mirzasoleiman et al. 2015 (a random part of the candidates is enough for a pick)
    """
    vectors = checked_vectors(vectors, k)
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
    """k candidates, greedily; similarity (candidates, rows), nearest (rows,) best so far, raised in place.

    Candidates whose gains agree in their first bits are as good as each other, and the first of them is taken: two rows
    that are each other's nearest gain the same, and only rounding, which differs by processor, says which is more. So
    another processor takes other rows seldom; never would ask for gains without rounding.
    """
    ones = np.ones_like(nearest)

    def gains(candidates):
        parts = np.array_split(candidates, -(-len(candidates) // batch))
        sums = [np.maximum(similarity[part] - nearest, 0) @ ones for part in parts]  # a product is faster than .sum()
        return _first_bits(np.concatenate(sums))

    bound, picks = gains(np.arange(len(similarity))), []
    batch = min(batch, len(bound))
    while len(picks) < k:
        least = np.partition(bound, -batch)[-batch]
        above, level = np.flatnonzero(bound > least), np.flatnonzero((bound == least) & (bound > -np.inf))
        top = np.concatenate([above, level[: batch - len(above)]])  # what is picked, at −∞, stays out
        bound[top] = gains(top)
        best = int(bound.argmax())
        if best in top:  # else an old bound is the highest: look at it first
            picks.append(best)
            np.maximum(nearest, similarity[best], out=nearest)
            bound[best] = -np.inf
    return picks


def _first_bits(values, bits=12):
    """Each value rounded to its first `bits` binary digits."""
    fraction, exponent = np.frexp(values)
    return np.ldexp(np.round(fraction * 2**bits) / 2**bits, exponent)
