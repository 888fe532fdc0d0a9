"""Preprocess: texts said twice, labels that contradict each other, test rows that stand in training."""

import numpy as np
import pandas as pd

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
    size = np.array([len(s) for s in shingles])
    column = {}
    flat = [column.setdefault(s, len(column)) for group in shingles for s in group]
    rows = np.repeat(np.arange(len(shingles)), size)
    matrix = csr_matrix((np.ones(len(flat), np.int32), (rows, flat)), shape=(len(shingles), max(len(column), 1)))
    found = []
    for start in range(0, len(shingles), block):
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


def overlap(train, test, key=text_key):
    """True for every test row whose text stands in the training set too (Series aligned with `test`)."""
    return test["text"].map(key).isin(set(train["text"].map(key)))
