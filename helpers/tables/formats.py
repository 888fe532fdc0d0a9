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
        _check_swallowed(lines, rows, separator, path.name)
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


def _check_swallowed(lines, rows, separator, name):
    """DataError where two lone quotation marks hold whole rows between them as if they were one text.

    A row over several lines is such a one when more than half of them look like rows by themselves: as many fields as
    the names or more, and in one, counted from either end, what a whole field of that column holds (a label).
    """
    ends = [line for line, _ in rows[1:]] + [len(lines) + 1]
    known = [{value.strip() for value in column} - {""} for column in zip(*(row for _, row in rows), strict=True)]

    def like_a_row(text):
        fields = [field.strip(' "\r\n') for field in text.split(separator)]
        both = [*zip(fields, known, strict=False), *zip(fields[::-1], known[::-1], strict=False)]
        return len(fields) >= len(known) and any(field in values for field, values in both)

    for number, ((line, _), end) in enumerate(zip(rows, ends, strict=True), 1):
        own = [text for text in lines[line - 1 : end - 1] if text.strip()]
        if len(own) > 1 and 2 * sum(map(like_a_row, own)) > len(own):
            raise DataError(
                f"{name}: a quotation mark in data row {number:,} (line {line:,}) takes in the rows up to line "
                f'{end - 1:,}: write "" for each quotation mark inside a quoted text'
            )


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
