"""Enlarge: edits that should keep a text's label, neighbours and mixtures of vectors, copies of rare classes.

Augment after the split, and the training rows alone: a copy of a training row in the test part is a leak. Every added
row names the row that it was made from in a column `origin`, so that folds can keep the two together.

Each text edit takes (texts, language, *, strength, copies, seed) and returns copies · len(texts) texts, those of the
first text first. What becomes of a text follows from that text, the number of the copy and the seed, not from its
place among the others; `replace` alone also asks which words the texts hold between them. Words ("en") come back with
single spaces between them. There is no dictionary of synonyms here: what `insert` and `replace` put in need not mean
the same as what stood there.
"""

import re
import zlib
from collections import Counter

import numpy as np
import pandas as pd

# a Latin word or number, or one character with the marks, variants and joiners that belong to it
_MARK = "[\u0300-\u036f\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]*"
UNITS = {"en": re.compile(r"\S+"), "zh": re.compile(f"[A-Za-z0-9]+{_MARK}|\\S{_MARK}(?:\u200d\\S{_MARK})*|\\s+")}
JOINT = {"en": " ", "zh": ""}


def units(text, language):
    """What an edit moves about: words ("en") or characters, Latin words whole ("zh").

    >>> units("ThinkPad T60很好", "zh"), units("I like it.", "en")
    (['ThinkPad', ' ', 'T60', '很', '好'], ['I', 'like', 'it.'])
    """
    if language not in UNITS:
        raise ValueError(f"language is {language!r}: take 'en' or 'zh'")
    if not isinstance(text, str):
        raise ValueError(f"each text must be a str, and one is a {type(text).__name__}")
    return UNITS[language].findall(text)


def delete(texts, language, *, strength=0.1, copies=1, seed=0):
    """Each unit goes with probability `strength`; one at least stays.

    source : Wei & Zou 2019 (EDA), §2, random deletion
    """

    def edit(old, rng):
        stays = rng.random(len(old)) >= strength
        stays[rng.integers(len(old))] |= not stays.any()
        return [unit for unit, here in zip(old, stays, strict=True) if here]

    return _edited(edit, texts, language, strength, copies, seed)


def swap(texts, language, *, strength=0.1, copies=1, seed=0):
    """Two units drawn at random change places, `strength` times as often as there are units, once at least.

    source : Wei & Zou 2019 (EDA), §2, random swap
    """

    def edit(old, rng):
        new, times = list(old), _times(strength, old)
        first = rng.integers(len(new), size=times)
        second = (first + rng.integers(1, max(len(new), 2), size=times)) % len(new)
        for i, j in zip(first, second, strict=True):
            new[i], new[j] = new[j], new[i]
        return new

    return _edited(edit, texts, language, strength, copies, seed)


def insert(texts, language, *, strength=0.1, copies=1, seed=0):
    """Units of the text itself are said again at places drawn at random, `strength` times the units, once at least.

    source : Wei & Zou 2019 (EDA), §2, random insertion, with the text's own units for synonyms
    """

    def edit(old, rng):
        said_again, places = rng.integers(len(old), size=(2, _times(strength, old)))
        before = [[] for _ in old]
        for unit, place in zip(said_again, places, strict=True):
            before[place].append(old[unit])
        return [unit for added, kept in zip(before, old, strict=True) for unit in (*added, kept)]

    return _edited(edit, texts, language, strength, copies, seed)


def replace(texts, language, *, strength=0.1, copies=1, seed=0):
    """Each unit gives way, with probability `strength`, to one drawn from all texts' units, each as often as it stands.

    source : Xie et al. 2017, unigram noising
    """
    texts = list(texts)
    counts = Counter(unit for text in texts for unit in units(text, language))
    vocabulary = sorted(counts)
    reach = np.cumsum([counts[unit] for unit in vocabulary])

    def edit(old, rng):
        goes = rng.random(len(old)) < strength
        drawn = np.searchsorted(reach, rng.integers(reach[-1], size=len(old)), side="right")
        return [vocabulary[j] if gone else unit for unit, gone, j in zip(old, goes, drawn, strict=True)]

    return _edited(edit, texts, language, strength, copies, seed)


def drop_span(texts, language, *, strength=0.1, copies=1, seed=0):
    """One run of neighbouring units goes, `strength` of the text long; one unit at least goes, one stays.

    source : Shen et al. 2020 (cutoff), span cutoff, on the text in place of its embeddings
    """

    def edit(old, rng):
        length = min(_times(strength, old), len(old) - 1)
        start = rng.integers(len(old) - length + 1)
        return old[:start] + old[start + length :]

    return _edited(edit, texts, language, strength, copies, seed)


EDITS = {"delete": delete, "swap": swap, "insert": insert, "replace": replace, "drop span": drop_span}


def _edited(edit, texts, language, strength, copies, seed):
    if not 0 <= strength <= 1:
        raise ValueError(f"strength is a share of the units, from 0 to 1, got {strength}")
    if not isinstance(copies, (int, np.integer)) or copies < 1:
        raise ValueError(f"copies is a whole number of at least 1, got {copies}")
    edited = []
    for text in texts:
        old, key = units(text, language), zlib.crc32(text.encode("utf8", "surrogatepass"))
        for copy in range(copies):
            new = edit(old, np.random.default_rng([seed, key, copy])) if old and strength else old
            edited.append(JOINT[language].join(new))
    return edited


def _times(strength, old):
    return max(1, round(strength * len(old)))


def augment(frame, edit, language, *, strength=0.1, copies=1, seed=0):
    """The rows and `copies` edited ones of each, which carry all other columns (label, group) of the row edited.

    frame   : training rows, column text, distinct whole numbers as row ids; with a column `part` other than "train"
              throughout, ValueError
    edit    : a function of this module's signature, such as `swap`
    returns : DataFrame, the given rows first; new rows have new ids, and `origin` is the id of the row that an edited
              one goes back to, through any number of edits (an unedited row's own)

    >>> rows = pd.DataFrame({"text": ["not bad at all", "bad"], "label": ["+", "-"]})
    >>> augment(rows, swap, "en", seed=1)[["label", "origin"]].values.tolist()
    [['+', 0], ['-', 1], ['+', 0], ['-', 1]]
    """
    texts = edit(frame["text"], language, strength=strength, copies=copies, seed=seed)
    return _with_copies(frame, np.repeat(np.arange(len(frame)), copies), texts)


def oversample(frame, *, label="label", seed=0):
    """The rows and, of every class but the largest, as many repeats as it takes to make all classes equally frequent.

    frame, returns : as in `augment`; rows of one class are repeated equally often, give or take once
    source         : Chawla et al. 2002, §4.1, here without replacement until all rows of a class are used up
    """
    if frame[label].isna().any():
        raise ValueError(f"{frame[label].isna().sum()} rows have no {label}: drop them first")
    rng = np.random.default_rng(seed)
    members = [np.flatnonzero(frame[label] == value) for value in frame[label].unique()]
    largest = max(map(len, members), default=0)
    repeats = [np.resize(rng.permutation(rows), largest - len(rows)) for rows in members]
    rows = np.sort(np.concatenate([np.zeros(0, int), *repeats]))
    return _with_copies(frame, rows, frame["text"].iloc[rows])


def _with_copies(frame, rows, texts):
    """The frame with rows (positions) added under new ids, their texts given."""
    if "part" in frame and not (frame["part"] == "train").all():
        others = sorted(set(map(str, frame["part"])) - {"train"})
        raise ValueError(f"only training rows may be augmented: the frame holds rows of the part {', '.join(others)}")
    if not (pd.api.types.is_integer_dtype(frame.index) and frame.index.is_unique):
        raise ValueError("the index must hold a row id, a distinct whole number, for each row: use reset_index first")
    frame = frame.assign(origin=np.asarray(frame.get("origin", frame.index)))
    ids = max(frame.index, default=-1) + 1 + np.arange(len(rows))
    texts = pd.Series(list(texts), ids, dtype=frame["text"].dtype)
    return pd.concat([frame, frame.iloc[rows].set_axis(ids).assign(text=texts)]).rename_axis(frame.index.name)


def neighbours(vectors, labels, k=1):
    """The k nearest rows of the same label, nearest first: what a row can be replaced by, or paired with in `mixup`.

    vectors : array (n, d), rows of length 1; nearest is the largest cosine, the earlier row where two are as near
    labels  : array (n,), more than k rows of each class, else ValueError
    returns : int array (n, k) of positions, never the row's own
    cost    : O(n²·(d + k)) time and O(1000·n) memory for a class of n rows
    source  : Chawla et al. 2002 (SMOTE), §4.2, which mixes a row with such a neighbour
    """
    vectors, labels = _floats(vectors), np.asarray(labels)
    if vectors.ndim != 2 or labels.shape != vectors.shape[:1]:
        raise ValueError(f"vectors (n, d) and labels (n,), got {vectors.shape} and {labels.shape}")
    if not np.allclose(np.square(vectors).sum(1), 1, atol=1e-3):
        raise ValueError("the vectors must be rows of length 1: divide each by its norm")
    nearest = np.empty((len(vectors), k), int)
    for label in pd.unique(labels):
        members = np.flatnonzero(labels == label)
        if not 1 <= k < len(members):
            raise ValueError(
                f"k must lie between 1 and {len(members) - 1}, as '{label}' has {len(members)} rows; got {k}"
            )
        for start in range(0, len(members), 1000):
            block = members[start : start + 1000]
            cosine = vectors[block] @ vectors[members].T
            here = np.arange(len(block))
            cosine[here, start + here] = -np.inf
            for j in range(k):
                best = cosine.argmax(axis=1)
                nearest[block, j] = members[best]
                cosine[here, best] = -np.inf
    return nearest


def mixup(vectors, targets, *, alpha=0.2, partners=None, seed=0):
    """Each row mixed with another, and their targets in the same proportion λ ~ Beta(alpha, alpha), drawn for each row.

    vectors  : array (n, d)
    targets  : array (n, c), one-hot labels or probabilities
    alpha    : > 0; near 0 a mixture is almost one of its two rows, at 1 every proportion is equally likely
    partners : int array (n,), the row to mix each with, such as neighbours(…)[:, 0]; default a random permutation
    returns  : (vectors, targets), λ·row + (1 − λ)·partner, of the shapes and kinds of float given
    source   : Zhang et al. 2018, §2 and figure 1
    """
    vectors, targets = _floats(vectors), _floats(targets)
    if vectors.ndim != 2 or targets.ndim != 2 or len(vectors) != len(targets):
        raise ValueError(f"vectors (n, d) and one-hot targets (n, c), got {vectors.shape} and {targets.shape}")
    if not alpha > 0:
        raise ValueError(f"alpha must be greater than 0, got {alpha}")
    rng = np.random.default_rng(seed)
    share = rng.beta(alpha, alpha, size=(len(vectors), 1))
    partners = rng.permutation(len(vectors)) if partners is None else np.asarray(partners)
    if partners.shape != (len(vectors),):
        raise ValueError(f"partners must name one row for each of {len(vectors)}, got the shape {partners.shape}")
    return tuple((share * x + (1 - share) * x[partners]).astype(x.dtype) for x in (vectors, targets))


def _floats(values):
    values = np.asarray(values)
    return values if np.issubdtype(values.dtype, np.floating) else values.astype(float)
