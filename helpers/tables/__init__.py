"""Collect: a table of your own, in any common file and encoding, or one sentence why not.

`read` checks what a classifier needs; `formats` reads each kind of file, `encodings` finds what a file of text is in.
"""

import difflib
import os
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import cleaning
from helpers.datasets import DataError
from helpers.tables.formats import READERS

ROWS, LABELS, LEAST = (50, 1_000_000), (2, 50), 5  # what is taken; LEAST rows a label


def read(path, text_column="text", label_column="label", *, encoding=None):
    """A table as a DataFrame text, label; the index `row` counts its data rows from 1.

    path     : CSV or TSV (parted by commas, semicolons, tabs or bars), JSONL, Parquet or Excel (first sheet)
    columns  : names, compared without what nobody sees (`cleaning.name`); a whole number 0 names the column "0"
    encoding : of a file of text; None: UTF-8, UTF-16, or another common one where the text leaves no doubt
    labels   : become strings, compared like the names; "None" and "NA" are labels like others
    errors   : DataError, one sentence that names the culprit and what would be right: no such file, unknown ending,
               file empty or unreadable, encoding in doubt, a row whose quotation marks or fields do not fit (with its
               line), no such column or two of them, texts or labels that are empty or lists, fewer than 50 rows or more
               than a million, one label or more than fifty, a label with fewer than five rows
    """
    path = _path(path)
    wanted = {"text_column": _name("text_column", text_column), "label_column": _name("label_column", label_column)}
    if wanted["text_column"] == wanted["label_column"]:
        raise DataError(f"text_column and label_column are both {text_column!r}: name two different columns")
    table = _table(path, encoding)
    table.columns = [cleaning.name(str(name)) for name in table.columns]
    for parameter, column in wanted.items():
        count = list(table.columns).count(column)
        if not count:
            _check_names(table, path.name)
            raise DataError(f"{path.name} has no column {column!r}: {_nearest(column, list(table), parameter)}")
        if count > 1:
            raise DataError(f"{path.name} has two columns {column!r} or more: rename or remove all but one")
    frame = table[list(wanted.values())].set_axis(["text", "label"], axis=1).astype(object)
    frame.index = pd.RangeIndex(1, len(frame) + 1, name="row")
    for column, named in zip(frame, wanted.values(), strict=True):
        frame[column] = _strings(frame[column], f"{path.name}: column {named!r}")
    if not ROWS[0] <= len(frame) <= ROWS[1]:
        raise DataError(f"{path.name} has {len(frame):,} rows: {ROWS[0]} to {ROWS[1]:,} are right")
    check_labels(frame["label"], f"{path.name}, column {wanted['label_column']!r}")
    return frame


def check_labels(labels, where):
    """DataError, one sentence that begins with `where`, unless there are 2 to 50 labels with five rows or more each."""
    counts = pd.Series(labels).value_counts().sort_index(kind="stable").sort_values(kind="stable")
    rarest = counts.index[0]
    if len(counts) < LABELS[0]:
        raise DataError(f"{where}: every label is {rarest!r}, and a classifier needs two to fifty labels")
    if len(counts) > LABELS[1]:
        raise DataError(
            f"{where} holds {len(counts):,} different labels, such as {rarest[:30]!r}: two to fifty are right"
        )
    if counts.iloc[0] < LEAST:
        raise DataError(
            f"{where}: label {rarest!r} stands on {counts.iloc[0]} rows, and {LEAST} or more are right: "
            "add rows, join it to another label, or take it out"
        )


def _path(path):
    """The path of a file of a known kind that is there and holds something, as a Path."""
    if not isinstance(path, str | os.PathLike):
        raise DataError(f"the path of a table is text, such as 'my.csv', not {path!r}")
    path = Path(path)
    if path.is_dir():
        raise DataError(f"{path} is a folder: give the path of a table in it")
    if not path.is_file():
        raise DataError(f"there is no file {path}: give the path of a table, seen from the folder you start in")
    if path.suffix.lower() not in READERS:
        raise DataError(f"{path.name} ends in {path.suffix!r}: take a file that ends in {', '.join(READERS)}")
    if not path.stat().st_size:
        raise DataError(f"{path.name} is empty: take a table with a line of column names and {ROWS[0]} rows or more")
    return path


def _name(parameter, column):
    """The name of a column as text: papermill makes a whole number of 0."""
    if isinstance(column, bool) or not isinstance(column, str | int | np.integer):
        raise DataError(f"{parameter} takes the name of one column, such as 'text', not {column!r}")
    return cleaning.name(str(column))


def _table(path, encoding):
    kind = path.suffix.lower()
    try:
        return READERS[kind](path, encoding)
    except DataError:
        raise
    except Exception as error:  # whatever a parser finds wrong becomes one sentence
        reason = " ".join(str(error).split())[:150]
        raise DataError(f"{path.name} cannot be read as a {kind} file, save it anew: {reason}") from error


def _check_names(table, name):
    """DataError where a name stands among the values of its own column too, as in a table without a line of names."""
    if any(column and (table.iloc[:, place] == column).any() for place, column in enumerate(table)):
        first = ", ".join(table)[:80]
        raise DataError(f"{name} has no line of column names: its first line, {first}, looks like a row of data")


def _nearest(column, columns, parameter):
    """What would be right in place of a column that is not there."""
    lower = {name.lower(): name for name in columns}
    if near := difflib.get_close_matches(column.lower(), lower, n=1, cutoff=0.5):
        return f"did you mean {parameter}={lower[near[0]]!r}?"
    return f"set {parameter} to one of {', '.join(map(repr, columns[:10]))}"


def _strings(values, where):
    """A column as strings, labels in one form; DataError for a value that is empty, or a list, a struct or bytes."""
    held = values.map(lambda value: pd.api.types.is_scalar(value) and not isinstance(value, bytes)).astype(bool)
    if not held.all():
        row = held.idxmin()
        kind = type(values[row]).__name__
        raise DataError(f"{where} holds a {kind} in data row {row:,}: give each row one text or one label")
    texts = values.where(values.notna(), "").astype(str)
    if values.name == "label":
        forms = {text: cleaning.name(text) for text in texts.unique()}
        texts = texts.map(forms)
    empty = texts.str.strip() == ""
    if empty.any():
        raise DataError(
            f"{where} is empty in {empty.sum():,} of {len(values):,} rows, first in data row {empty.idxmax():,}: "
            "fill these in or take the rows out"
        )
    return texts
