"""Seeded tables of any size that look like the reviews, with planted duplicates: what scale is measured on."""

import numpy as np
import pandas as pd

from helpers import datasets


def texts(n, seed=0):
    """n distinct texts with the reviews' lengths, each character drawn given the two before it, as in the reviews.

    Texts of one to three characters run out as n grows: there are only so many. Returns a list of str.
    """
    rng = np.random.default_rng(seed)
    corpus = datasets.load("reviews_zh")["text"].drop_duplicates()
    letters = np.frombuffer("".join(corpus).encode("utf-32-le"), np.uint32).astype(np.int64)
    pairs = (letters << 32) | np.roll(letters, -1)
    place = np.argsort(pairs, kind="stable")  # places in the corpus, those of one pair of characters side by side
    first, after = (np.searchsorted(pairs[place], pairs, side) for side in ("left", "right"))
    found = {}
    while len(found) < n:
        length = rng.choice(corpus.str.len(), min(n - len(found), 20_000))
        at = rng.integers(len(letters), size=len(length))
        drawn = np.empty((len(length), length.max()), np.uint32)
        alive = np.argsort(-length, kind="stable")  # longest first: the texts still growing at a step are the first few
        for step in range(length.max()):
            alive = alive[: np.searchsorted(-length[alive], -step)]
            drawn[alive, step] = letters[at[alive]]
            low, high = first[at[alive]], after[at[alive]]
            at[alive] = (place[low + (rng.random(len(alive)) * (high - low)).astype(int)] + 1) % len(letters)
        rows = (row[:size].tobytes().decode("utf-32-le") for row, size in zip(drawn, length, strict=True))
        found |= dict.fromkeys(rows)
    return list(found)


def edited(text, rng):
    """The text with one character, at a place drawn at random, replaced by another that stands in it, or by ？."""
    at, other = rng.integers(len(text)), text[rng.integers(len(text))]
    return text[:at] + (other if other != text[at] else "？") + text[at + 1 :]


def table(rows, seed=0, exact=0.2, near=0.02, cluster=5):
    """A shuffled DataFrame text, label, origin: the row number of the text that a row repeats, its own where it is new.

    exact, near : shares of rows that repeat a text as it stands, and with one of its forty or more characters replaced
    cluster     : most rows of one origin
    """
    rng = np.random.default_rng([seed, 1])
    copies, edits = round(rows * exact), round(rows * near)
    new = texts(rows - copies - edits, seed)
    long = np.flatnonzero([len(text) >= 40 for text in new])
    edit_of = rng.choice(np.repeat(long, cluster - 1), edits, replace=False)
    room = cluster - 1 - np.bincount(edit_of, minlength=len(new))
    copy_of = rng.choice(np.repeat(np.arange(len(new)), room), copies, replace=False)
    origin = np.concatenate([np.arange(len(new)), copy_of, edit_of])
    text = [*new, *(new[i] for i in copy_of), *(edited(new[i], rng) for i in edit_of)]
    order = rng.permutation(rows)
    frame = pd.DataFrame({"text": text, "label": rng.integers(2, size=len(new))[origin], "origin": origin})
    return frame.assign(origin=np.argsort(order, kind="stable")[origin]).iloc[order].reset_index(drop=True)


def giant(rows, seed=0, length=100):
    """One text of `length` characters, `rows` times, each time with one character replaced: a DataFrame text."""
    rng = np.random.default_rng([seed, 2])
    text = next(text for text in texts(1000, seed) if len(text) >= length)[:length]
    return pd.DataFrame({"text": [edited(text, rng) for _ in range(rows)]})
