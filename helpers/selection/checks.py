"""What every choosing method asks of its arguments, and how it ranks rows whose scores tie."""

import numbers

import numpy as np


def checked_vectors(vectors, k):
    """The vectors as a float32 array (n, d), if their rows are of length 1 and k of them can be picked."""
    vectors = np.ascontiguousarray(vectors, np.float32)
    if vectors.ndim != 2 or not len(vectors):
        raise ValueError(f"vectors must be an array (n, d) of at least one row, got shape {vectors.shape}")
    wrong = np.flatnonzero(~(np.abs(np.einsum("nd,nd->n", vectors, vectors) - 1) < 1e-2))
    if len(wrong):
        raise ValueError(f"row {wrong[0]} of vectors is not of length 1: divide each row by its length")
    if not isinstance(k, numbers.Integral) or not 1 <= k <= len(vectors):
        raise ValueError(f"k is {k!r}: take an int from 1 to the {len(vectors)} rows there are")
    return vectors


def checked_labels(labels, n):
    """The labels as an array (n,), if they are class numbers."""
    labels = np.asarray(labels)
    if labels.shape != (n,) or not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0:
        raise ValueError(f"labels must be {n} class numbers 0, 1, …, one a row, got {labels.dtype} of {labels.shape}")
    return labels


def highest(scores, k, seed):
    """Positions of the k highest scores, highest first, ties in random order."""
    return np.lexsort([np.random.default_rng(seed).random(len(scores)), -scores])[:k]
