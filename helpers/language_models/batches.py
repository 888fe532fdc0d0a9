"""Rows of token ids as batches: of like length, with the places where the loss looks."""

import keras
import numpy as np

from helpers import pretrained

TOKENS = 2_048  # in a batch that is not trained on, padding counted


def compiles_each_shape():
    """Whether each new shape of a batch is compiled anew, so that few shapes pay: JAX does."""
    return keras.backend.backend() == "jax"


def by_length(lengths, tokens=TOKENS):
    """Group rows of like length, as many as fit into so many tokens with their padding, one row at least.

    lengths : int array (n,), tokens a row
    returns : list of int arrays of row numbers, shortest rows first

    >>> [rows.tolist() for rows in by_length([5, 2, 2, 9], 10)]
    [[1, 2], [0], [3]]
    """
    groups = []
    for row in np.argsort(lengths, kind="stable"):
        if not groups or (len(groups[-1]) + 1) * lengths[row] > tokens:
            groups.append([])
        groups[-1].append(row)
    return [np.array(group) for group in groups]


def padded(ids):
    """Rows of ids as arrays, see `pretrained.pad`; as wide as the longest but where each shape is compiled anew."""
    return pretrained.pad(ids, 16 if compiles_each_shape() else 1)


def collate(ids, places):
    """A batch as a language model takes it, and the tokens that come next where its scores are asked for.

    ids     : list of n lists of token ids
    places  : list of n lists of places in them, from 1 on, of the tokens that are to be guessed
    returns : {"token_ids", "padding_mask": int32 (n, width), "places": int32 (m,), rows and columns counted as one},
              and the tokens int32 (m,). Where each shape is compiled anew, width and m are rounded up; the last places
              and tokens are zeros then

    >>> inputs, following = collate([[1, 7, 8], [1, 9]], [[1, 2], [1]])
    >>> inputs["places"].tolist(), following.tolist()
    ([0, 1, 3], [7, 8, 9])
    """
    inputs = padded(ids)
    width = inputs["token_ids"].shape[1]
    before = [row * width + place - 1 for row, wanted in enumerate(places) for place in wanted]
    following = [tokens[place] for tokens, wanted in zip(ids, places, strict=True) for place in wanted]
    size = -(-len(before) // 256) * 256 if compiles_each_shape() else len(before)
    flat, targets = np.zeros((2, size), "int32")
    flat[: len(before)], targets[: len(before)] = before, following
    return inputs | {"places": flat}, targets
