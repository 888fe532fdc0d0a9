"""Collect: load the course's data, and split it, or a table of your own, without leaks.

Every file stands in data/ beside a card (NAME.yaml) that says what it is, where it comes from, what is wrong with it,
and the sha256 of the file. `data/build.py` rebuilds each from the package it came with.
"""

import hashlib
import re
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

DATA = Path(__file__).resolve().parents[1] / "data"


class DataError(ValueError):
    """Data that cannot be used; the message says in one sentence which, and what would be right."""


def names():
    """The data sets that have a card, in alphabetical order."""
    return sorted(path.stem for path in DATA.glob("*.yaml"))


def card(name):
    """The data card as a dict: title, source, licence, rows, columns, flaws, file, sha256."""
    if name not in names():
        raise DataError(f"there is no data set named {name!r}; there are {', '.join(names())}")
    return yaml.safe_load((DATA / f"{name}.yaml").read_text(encoding="utf8"))


def verify(name):
    """Path of a data file whose bytes have the sha256 on its card; DataError when it is missing or damaged."""
    path, expected = DATA / card(name)["file"], card(name)["sha256"]
    repair = f"restore it with `git checkout -- data/{path.name}` or `python data/build.py {name}`"
    if not path.exists():
        raise DataError(f"data/{path.name} is missing: {repair}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
        raise DataError(f"data/{path.name} is damaged (its sha256 is not the one on its card): {repair}")
    return path


def load(name):
    """A data set of the course as a DataFrame: text, label, source, group and what the card names besides.

    The index is the row id: the position in the original file, 0 … n − 1. `group` holds what must stay together in a
    split: rows that repeat a text (reviews_zh), sentences of one document (snippets_en).
    """
    frame = pd.read_csv(verify(name), dtype={"text": str}, keep_default_na=False)
    if "ratings" in frame:
        frame["ratings"] = [[int(rating) for rating in row.split()] for row in frame["ratings"]]
    return frame.rename_axis("row")


def text_key(text):
    """What is left of a text when case, width, punctuation and white space do not count.

    A text of punctuation alone keeps its NFKC form, so that "！！" and "…" do not fall together.

    >>> text_key("很 好！"), text_key("ＯＫ, fine"), text_key("！！")
    ('很好', 'okfine', '!!')
    """
    folded = unicodedata.normalize("NFKC", text).lower()
    return re.sub(r"[\W_]+", "", folded) or folded.strip()


def _components(frame, group):
    """Component number of each row: rows are joined when they share a group or a text key (union of both)."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    texts = pd.factorize(frame["text"].map(text_key))[0]
    groups = pd.factorize(frame[group])[0] if group else np.arange(len(frame))
    n = max(texts.max(), groups.max()) + 1
    graph = coo_matrix((np.ones(len(frame)), (texts, groups)), shape=(n, n))
    # one vertex a text key and one a group: row i is the edge between them
    edges = coo_matrix((graph.data, (graph.row, graph.col + n)), shape=(2 * n, 2 * n))
    return connected_components(edges, directed=False)[1][texts]


def split(frame, fractions=None, *, group="group", stratify="label", seed=0):
    """Name a part ("train", "valid", "test") for each row so that no text and no group stands on two sides.

    fractions : {part: share}, shares sum to 1; default {"train": .6, "valid": .2, "test": .2}
    group     : column of what must stay together, or None; rows with the same `text_key` always stay together
    stratify  : column whose shares each part keeps as far as groups allow, or None
    returns   : Series of part names, aligned with the frame
    errors    : DataError if there are too few groups to fill every part
    method    : whole components, largest first and shuffled among equals, each to the part that lacks its labels most
    """
    fractions = fractions or {"train": 0.6, "valid": 0.2, "test": 0.2}
    if abs(sum(fractions.values()) - 1) > 1e-9 or min(fractions.values()) <= 0:
        raise DataError(f"the fractions {fractions} must be positive and sum to 1")
    component = _components(frame, group)
    labels = pd.factorize(frame[stratify])[0] if stratify else np.zeros(len(frame), int)
    counts = np.zeros((component.max() + 1, labels.max() + 1))
    np.add.at(counts, (component, labels), 1)
    if len(counts) < len(fractions):
        raise DataError(
            f"{len(frame)} rows hold {len(counts)} separate texts or groups: {len(fractions)} parts need more"
        )
    shares = np.array(list(fractions.values()))
    target = shares[:, None] * counts.sum(axis=0)
    filled = np.zeros_like(target)
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order].sum(axis=1), kind="stable")]
    part = np.empty(len(counts), int)
    for c in order:
        lack = (1 - filled / target) * counts[c]  # a matrix product would round equal lacks apart on some processors
        part[c] = np.argmax(lack.sum(axis=1))
        filled[part[c]] += counts[c]
    if len(np.unique(part)) < len(fractions):
        raise DataError(f"the groups are too large to fill all of {', '.join(fractions)}: lower the number of parts")
    return pd.Series(np.array(list(fractions))[part[component]], index=frame.index, name="part")
