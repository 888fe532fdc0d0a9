"""A small network on word pieces, trained from random weights: its loop, its scores, and remedies for a rare class.

The network is a deep averaging network (Iyyer et al. 2015); label 1 is "negative", the rare class.
"""

from itertools import islice

import keras
import numpy as np

BATCH = 32
LENGTH = 40  # word pieces of a sentence that are read


def blank_out(x, share, rng):
    """An edited copy of each row: every piece becomes unknown with that chance."""
    return np.where((rng.random(x.shape) < share) & (x > 0), 1, x).astype("int32")


def network(size, width=16, dropout=0.0, l1=0.0, l2=0.0):
    """From word pieces (rows, LENGTH) to one score, above 0 for negative."""
    layers = keras.layers
    penalty = keras.regularizers.L1L2(l1, l2) if l1 or l2 else None
    return keras.Sequential(
        [
            keras.Input((LENGTH,), dtype="int32"),
            layers.Embedding(size, width, mask_zero=True, embeddings_regularizer=penalty),
            layers.GlobalAveragePooling1D(),
            layers.Dropout(dropout),
            layers.Dense(width, "relu", kernel_regularizer=penalty),
            layers.Dropout(dropout),
            layers.Dense(1, kernel_regularizer=penalty),
        ]
    )


def batches(n, rng):
    """Row numbers, BATCH at a time, from one random order after another, for ever."""
    while True:
        yield from rng.permutation(n)[: n // BATCH * BATCH].reshape(-1, BATCH)


def train(x, y, size, watch, *, steps=400, checks=20, weights=None, blank=0.0, seed=0, **settings):
    """Train a network; its scores of the rows in `watch` at each of so many checks: float array (checks, rows)."""
    keras.utils.set_random_seed(seed)
    rng = np.random.default_rng(seed)
    model = network(size, **settings)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(5e-3), loss, jit_compile=False)
    weights = np.ones(len(y)) if weights is None else weights
    scores = []
    for step, rows in enumerate(islice(batches(len(y), rng), steps), 1):
        model.train_on_batch(blank_out(x[rows], blank, rng), y[rows], sample_weight=weights[rows])
        if step % (steps // checks) == 0:
            scores.append(model.predict_on_batch(watch)[:, 0])
    return np.array(scores, "float64")


def cross_entropy(scores, y):
    """Mean loss of scores (…, rows) against 0 and 1."""
    return np.mean(np.logaddexp(0, scores) - y * scores, axis=-1)


def accuracy(scores, y):
    """Share of scores (…, rows) on the right side of 0."""
    return np.mean((scores > 0) == y, axis=-1)


def macro_f1(predicted, y, rare=None):
    """Macro F1 of predictions 0 or 1 (…, rows); rare: rows weighted so that this share of them is negative."""
    share = np.mean(y == 1)
    weight = np.where(y == 1, rare / share, (1 - rare) / (1 - share)) if rare else np.ones(len(y))
    both = [(predicted == label) & (y == label) for label in (0, 1)]
    sizes = [(predicted == label) @ weight + (y == label) @ weight for label in (0, 1)]
    return np.mean([2 * (hit @ weight) / size for hit, size in zip(both, sizes, strict=True)], axis=0)


def rebalanced(remedy, x, y, share, rng):
    """Training rows, labels and weights of one remedy after which the rare class makes up `share` of the loss."""
    rare, common = np.flatnonzero(y == 1), np.flatnonzero(y == 0)
    if remedy == "class weights":
        return x, y, np.where(y == 1, share / y.mean(), (1 - share) / (1 - y.mean()))
    if remedy == "undersampling":
        common = rng.choice(common, round(len(rare) * (1 - share) / share), replace=False)
        rows = np.concatenate([common, rare])
        return x[rows], y[rows], None
    more = rng.choice(rare, round(len(common) * share / (1 - share)) - len(rare))
    copies = blank_out(x[more], 0.2, rng) if remedy == "edited copies" else x[more]
    return np.concatenate([x, copies]), np.concatenate([y, y[more]]), None
