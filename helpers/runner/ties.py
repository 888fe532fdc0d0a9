"""Under test, no order hangs on ties: a sort that meets equal keys and is not stable fails.

NumPy has several routines for the same sort and takes the fastest that the processor offers; they leave equal keys in
different orders. A stable sort leaves them as they came, on every machine.
"""

import functools
import inspect
import sys
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[2]
OURS = ("helpers", "studies", "data", "benchmarks")
RIGHT = 'say kind="stable", or let the last key be unique'
RIGHT_FOR = {"argpartition": "take the first places of a stable argsort"}


@functools.cache
def _ours(file):
    """A file's path below the course's folder if it is the course's own code, else None."""
    path = Path(file)
    path = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
    return path.as_posix() if path.parts[0] in OURS else None


def _place(frame):
    """Where a frame of the course's code stands, "studies/one.py, line 7", or None if the code is a library's.

    A function that the course hands to `pipe` of pandas is called by the course.
    """
    while frame.f_code.co_name == "pipe" and frame.f_globals.get("__name__", "").startswith("pandas."):
        frame = frame.f_back
    if frame.f_globals.get("__name__") == "__main__":  # in a kernel, the cells
        return f"a cell, line {frame.f_lineno}"
    file = _ours(frame.f_code.co_filename)
    return file and f"{file}, line {frame.f_lineno}"


# ---- do keys tie? ---------------------------------------------------------------------------------------------------


def _array(values, axis=-1, **_):
    """Whether two values along an axis of an array are equal; two NaN are, and two that a mask hides."""
    if np.ma.isMaskedArray(values):
        values = values.filled(np.ma.minimum_fill_value(values))
    axis = -1 if axis is np._NoValue else axis
    values = np.sort(np.atleast_1d(values), axis=axis)
    values = values if axis is None else np.moveaxis(values, axis, -1)
    left, right = values[..., :-1], values[..., 1:]
    return bool(np.any((left == right) | ((left != left) & (right != right))))


def _border(values, kth, axis=-1, **_):
    """Whether a value equals the one that ends up at place `kth`: which of them stand before it is then open."""
    values = np.atleast_1d(values)
    border = np.take(np.partition(values, kth, axis=axis), np.atleast_1d(kth), axis=axis)
    return any(bool(np.any((values == one).sum(axis=axis) > 1)) for one in np.split(border, border.shape[axis], axis))


def _series(series, *, key=None, ignore_index=False, **_):
    """Whether values of a Series or an Index are equal; plain values, without an index, come out alike all the same."""
    keys = series if key is None else key(series)
    return bool(pd.Series(keys).duplicated().any()) and not (ignore_index and key is None)


def _index(index, *, key=None, return_indexer=False, **_):
    """Whether labels of an Index are equal, where that shows."""
    return _series(index, key=key, ignore_index=not return_indexer)


def _frame(frame, by, *, axis=0, key=None, **_):
    """Whether rows of a table (axis 1: columns) are equal in all that they are sorted by."""
    table = frame.T if axis in (1, "columns") else frame
    names = by if isinstance(by, list) else [by]
    keys = [pd.Series(table[name] if name in table else table.index.get_level_values(name)) for name in names]
    keys = [pd.Series(one if key is None else key(one)).reset_index(drop=True) for one in keys]
    return bool(pd.concat(keys, axis=1).duplicated().any()) if keys else False


def _labels(table, *, axis=0, key=None, **_):
    """Whether row labels of a table (axis 1: those of columns) are equal."""
    labels = table.axes[1 if axis in (1, "columns") else 0]
    return bool((labels if key is None else key(labels)).duplicated().any())


def _flat(labels, **_):
    """Whether labels of a MultiIndex, or values of a pandas array, are equal."""
    return bool(pd.Index(labels).duplicated().any())


# np.sort gives plain values, the same whatever the ties. np.lexsort is stable, and so are rank, nlargest, nsmallest
# and value_counts of pandas 3.1. Methods of an array cannot be replaced: tests/test_ties.py reads the source for them.
SORTS = [
    (np, "argsort", _array),
    (np, "argpartition", _border),
    (np.ma, "argsort", _array),
    (np.ma.MaskedArray, "argsort", _array),
    (pd.Series, "sort_values", _series),
    (pd.Series, "sort_index", _labels),
    (pd.Series, "argsort", _series),
    (pd.Index, "sort_values", _index),
    (pd.Index, "argsort", _series),
    (pd.MultiIndex, "argsort", _flat),
    (pd.Categorical, "argsort", _flat),
    (pd.api.extensions.ExtensionArray, "argsort", _flat),
    (pd.arrays.ArrowExtensionArray, "argsort", _flat),
    (pd.arrays.IntervalArray, "argsort", _flat),
    (pd.DataFrame, "sort_values", _frame),
    (pd.DataFrame, "sort_index", _labels),
]


def _guarded(sort, name, tie):
    signature = inspect.signature(sort)

    @functools.wraps(sort)
    def guarded(*args, **settings):
        found = sort(*args, **settings)  # first, so that a wrong call fails by itself
        if place := _place(sys._getframe(1)):
            (_, values), *named = signature.bind(*args, **settings).arguments.items()
            given = {key: value for key, value in named if key not in ("args", "kwargs")} | settings
            given.pop(next(iter(signature.parameters)), None)
            kinds = {given.get("kind"), *(one for one in args[1:] if isinstance(one, str) and "args" in dict(named))}
            if not (kinds & {"stable", "mergesort"} or given.get("stable")) and tie(values, **given):
                right = RIGHT_FOR.get(name, RIGHT)
                raise RuntimeError(
                    f"{place}: {name} meets ties, whose order differs from processor to processor: {right}"
                )
        return found

    guarded.refuses_ties = True
    return guarded


def refuse_ties():
    """From now on, and for the life of this process, an unstable sort that meets ties raises RuntimeError.

    What counts are sorts of NumPy and pandas in the course's own files and in a kernel's cells, no library's.
    """
    for owner, name, tie in SORTS:
        sort = vars(owner)[name]
        if not hasattr(sort, "refuses_ties"):
            setattr(owner, name, _guarded(sort, name, tie))
