"""Preprocess: texts said twice, labels that contradict each other, test rows that stand in training."""

import numpy as np
import pandas as pd

from helpers import cleaning
from helpers.datasets import text_key


def repeats(frame, key=text_key):
    """True for every row but the first of those whose texts have one key (default: case, width, punctuation aside)."""
    return frame["text"].map(key).duplicated()


def conflicts(frame, key=text_key):
    """True for every row whose text carries more than one label somewhere in the frame.

    >>> conflicts(pd.DataFrame({"text": ["好！", "好", "坏"], "label": ["+", "-", "-"]})).tolist()
    [True, True, False]
    """
    labels = frame.groupby(frame["text"].map(key))["label"].transform("nunique")
    return labels > 1


def near_pairs(texts, threshold=0.7, n=5, block=1000):
    """Every pair of texts whose sets of character n-grams ("shingles") overlap by `threshold` or more; exact.

    texts   : sequence of str; a text shorter than n has no shingle and is never paired
    returns : DataFrame first, second (positions, first < second), jaccard = |A ∩ B| / |A ∪ B|
    cost    : a sparse product of all texts by all texts, a block of rows at a time
    source  : Broder 1997, "On the resemblance and containment of documents", §1 (resemblance of shingle sets)
    """
    from scipy.sparse import csr_matrix, triu

    shingles = [{text[i : i + n] for i in range(len(text) - n + 1)} for text in texts]
    size = np.array([len(s) for s in shingles], dtype=int)
    column = {}
    flat = [column.setdefault(s, len(column)) for group in shingles for s in group]
    rows = np.repeat(np.arange(len(shingles)), size)
    matrix = csr_matrix((np.ones(len(flat), np.int32), (rows, flat)), shape=(len(shingles), max(len(column), 1)))
    found = []
    for start in range(0, max(len(shingles), 1), block):
        common = triu(matrix[start : start + block] @ matrix.T, k=start + 1).tocoo()
        first, second = common.row + start, common.col
        jaccard = common.data / (size[first] + size[second] - common.data)
        keep = jaccard >= threshold
        found.append(pd.DataFrame({"first": first[keep], "second": second[keep], "jaccard": jaccard[keep]}))
    return pd.concat(found).sort_values(["first", "second"], ignore_index=True)


def near_repeats(frame, threshold=0.7, n=5):
    """True for rows that are a near duplicate of an earlier row that stays (greedy, first come first kept)."""
    gone = np.zeros(len(frame), bool)
    for first, second in near_pairs(frame["text"].tolist(), threshold, n)[["first", "second"]].to_numpy():
        gone[second] |= not gone[first]
    return pd.Series(gone, index=frame.index)


def families(frame, threshold=0.7, n=5):
    """Number of the family of each row: rows whose texts share a key or are near duplicates, directly or by a chain.

    What to keep together in a split when copies stay in the frame.

    >>> families(pd.DataFrame({"text": ["房间很干净,下次还来", "太差", "房间很干净,下次还来住", "太差！"]})).tolist()
    [0, 1, 0, 1]
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    key = pd.factorize(frame["text"].map(text_key))[0]
    distinct = frame["text"][~pd.Series(key, frame.index).duplicated()]
    pairs = near_pairs(distinct.tolist(), threshold, n)
    edges = coo_matrix((np.ones(len(pairs)), (pairs["first"], pairs["second"])), shape=(len(distinct),) * 2)
    return pd.Series(connected_components(edges, directed=False)[1][key], index=frame.index, name="family")


def clean(frame, threshold=0.7, n=5):
    """The course's cleaning from end to end: normalise, quality rules, label conflicts, exact and near repeats.

    frame     : columns text, label; row ids in the index
    threshold : least Jaccard overlap of character n-grams at which a later row counts as a near repeat
    returns   : (kept, rejected, table) as `cleaning.funnel` does; conflicts go before repeats, because a repeat that is
                dropped takes its label along and the conflict can no longer be seen
    """
    steps = {name: lambda rows, breaks=breaks: rows["text"].map(breaks) for name, breaks in cleaning.RULES.items()}
    steps["label conflict"] = conflicts
    steps["exact repeat"] = repeats
    steps["near repeat"] = lambda rows: near_repeats(rows, threshold, n)
    return cleaning.funnel(frame.assign(text=frame["text"].map(cleaning.normalise)), steps)


def overlap(train, test, key=text_key):
    """True for every test row whose text stands in the training set too (Series aligned with `test`)."""
    return test["text"].map(key).isin(set(train["text"].map(key)))
