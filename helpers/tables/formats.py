"""One function a kind of file: path and encoding in, the table as it stands in the file out.

A reader gives a DataFrame whose columns are the names in the file, double ones and all; a cell is a string or what the
format itself knows (numbers, lists, None). It raises DataError for what only it can see; `tables.read` turns any other
exception into a sentence. A new kind is one more function and one more line in READERS.
"""

import csv
import json
import re
import sys
from collections import Counter
from contextlib import contextmanager
from itertools import pairwise

import pandas as pd

from helpers.datasets import DataError
from helpers.tables.encodings import decode

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


def _lines(path, encoding):
    """The physical lines of a file of text, each with its end: \\n, \\r\\n or \\r, whichever its first line has."""
    text = decode(path.read_bytes(), path.name, encoding)
    first = re.search("\r\n|\r|\n", text)
    end = "\r" if first and first[0] == "\r" else "\n"
    lines = [line + end for line in text.split(end)]
    if "\0" in text:
        line = next(number for number, line in enumerate(lines, 1) if "\0" in line)
        raise DataError(f"{path.name} has a NUL character in line {line:,}: it is no plain text, repair that line")
    return lines


def _csv(path, encoding):
    lines = _lines(path, encoding)
    stated = re.fullmatch(r'"?sep=(.)"?[\r\n]*', lines[0], re.IGNORECASE) if lines else None  # as Excel writes it
    if stated:
        lines[0] = "\n"
    head = next((line for line in lines if line.strip()), "")
    separator = stated[1] if stated else _separator(head, path.suffix.lower())
    records = _records(lines, separator, path.name)
    if not records:
        raise DataError(f"{path.name} holds no line of column names")
    (_, names), *rows = records
    for number, (line, row) in enumerate(rows, 1):
        if len(row) != len(names):
            said = "more" if len(row) > len(names) else "fewer"
            raise DataError(
                f"{path.name}: data row {number:,} (line {line:,}) has {len(row)} fields, {said} than the {len(names)} "
                f"column names: put quotation marks round texts with {SEPARATORS.get(separator, separator)}"
            )
    if rows:
        _check_swallowed(rows, separator, path.name)
    return pd.DataFrame([row for _, row in rows], columns=names, dtype=str)


def _separator(head, kind):
    """What parts most fields in the line of column names; of equals, tabs in a .tsv, else commas first."""
    order = sorted(SEPARATORS, key=lambda one: (one != "\t") == (kind == ".tsv"))
    return max(order, key=lambda one: len(next(csv.reader([head], delimiter=one), [])))


@contextmanager
def _fields_of_any_length():
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def _records(lines, separator, name):
    """The records as (physical line where it begins, fields), without empty lines; DataError for a lone quote."""
    records, start = [], 1
    reader = csv.reader(lines, delimiter=separator, strict=True)
    try:
        with _fields_of_any_length():
            for row in reader:
                if len(row) > 1 or "".join(row).strip():
                    records.append((start, row))
                start = reader.line_num + 1
    except csv.Error as error:
        where = f"data row {len(records):,} (line {start:,})" if records else "the line of column names"
        escaped = '\\"' in "".join(lines[start - 1 : reader.line_num])
        repair = 'write "" in place of \\"' if escaped else 'write "" for each quotation mark inside a quoted text'
        if str(error).startswith("new-line"):
            raise DataError(f"{name} has a line end inside {where}, outside quotation marks: repair it") from None
        raise DataError(
            f"{name}: a quotation mark in {where} is not closed, or not at the end of its field: {repair}"
        ) from None
    return records


LINE_END = re.compile("\r\n|\r|\n")
DECIMAL_COMMA = re.compile(r"(?<=\d),(?=\d)")


def _check_swallowed(rows, separator, name):
    """DataError where two lone quotation marks hold whole rows between them as if they were one text.

    The sign is a line end in a text that would end a row: a label stands before it, or right behind it. A label is a
    value of the columns behind the text, or before it, that two rows hold, written alike down to the white space:
    ", yes" ends no row where the others end ",yes". A number such as 3,5 ends one only where most texts end, or begin,
    with a digit.

    refused though right : a text with a line that ends in ",yes", where yes is a label
    read though wrong    : rows swallowed whose labels no two other rows hold, or which have other white space, or which
                           all look like 3,5 at the label where few others do
    """
    columns = list(zip(*(row for _, row in rows), strict=True))
    labels = [{value for value, n in Counter(column).items() if n > 1 and value.strip()} for column in columns]
    numbers = [2 * sum(bool(re.search(r"\A\d|\d\Z", text)) for text in column) > len(rows) for column in columns]
    for number, (line, row) in enumerate(rows, 1):
        for place, text in enumerate(row):
            if not LINE_END.search(text):
                continue
            lines = text if numbers[place] or separator != "," else DECIMAL_COMMA.sub(" ", text)
            if _has_row_end(lines, labels[:place], labels[place + 1 :], separator):
                end = line + sum(len(LINE_END.findall(field)) for field in row)
                raise DataError(
                    f"{name}: a quotation mark in data row {number:,} (line {line:,}) takes in the rows up to line "
                    f'{end:,}: write "" for each quotation mark inside a quoted text, or, if this is one text, a space '
                    f"behind its {SEPARATORS.get(separator, separator)}"
                )


def _has_row_end(text, before, behind, separator):
    """Whether a line end in a text would end a row, given the labels of the columns before and behind the text."""
    for line, following in pairwise(LINE_END.split(text)):
        last = line.split(separator)[1:]
        *first, begun = following.split(separator, len(before))
        ends = len(last) >= len(behind) and any(map(set.__contains__, behind[::-1], last[::-1]))
        begins = len(first) == len(before) and not begun[:1].isspace() and any(map(set.__contains__, before, first))
        if ends or begins:
            return True
    return False


def _jsonl(path, encoding):
    rows = []
    for number, line in enumerate(_lines(path, encoding), 1):
        if not rows and line.lstrip().startswith("["):
            raise DataError(f"{path.name} holds a JSON array: write one object a line, without brackets and commas")
        if line.strip():
            try:
                rows.append(json.loads(line, object_pairs_hook=_object))
            except ValueError as error:
                raise DataError(f"{path.name} cannot be read as a .jsonl file, line {number:,}: {error}") from None
            if not isinstance(rows[-1], dict):
                raise DataError(f'{path.name}: line {number:,} is no JSON object such as {{"text": …, "label": …}}')
    return pd.DataFrame(rows, dtype=object)


def _object(pairs):
    """A JSON object as a dict; ValueError where a name stands in it twice."""
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        raise ValueError(f"the name {Counter(names).most_common(1)[0][0]!r} stands twice in one object")
    return dict(pairs)


def _parquet(path, encoding):
    return pd.read_parquet(path)


def _excel(path, encoding):
    """The first sheet; its first row holds the names."""
    cells = pd.read_excel(path, header=None, dtype=str, keep_default_na=False)
    return cells[1:].set_axis(cells.iloc[0].tolist(), axis=1)


READERS = {".csv": _csv, ".tsv": _csv, ".jsonl": _jsonl, ".parquet": _parquet, ".xlsx": _excel}
