"""Collect: load the course's data, and split it, or a table of your own, without leaks.

Every file stands in data/ beside a card (NAME.yaml) that says what it is, where it comes from, what is wrong with it,
and the sha256 of the file. `data/build.py` rebuilds each from the package it came with.
"""

import hashlib
import re
import unicodedata
from functools import lru_cache
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


# signs that Unicode sorts with the punctuation although they say something, and the skin tones of emoji
SAYING = frozenset("#%&@\u066a\u2030\u2031\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff")
HYPHENS = "-\u2010\u2012\u2013"  # what stands for a minus; a longer dash does so between digits only
# what nobody sees: fillers, joined marks and variation selectors; besides, control and format characters
UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0001\U000e0100-\U000e01ef]"
)
FORMAT = map(chr, [*range(0x1D200), *range(0xE0000, 0xE0080)])
FORMAT = [c for c in FORMAT if unicodedata.category(c) in ("Cc", "Cf") and not c.isspace()]
FORMAT = re.compile(f"[{''.join(FORMAT)}]")
BESIDE_LETTERS = re.compile(r"[\W_]+")
GRADED = re.compile(r"\d|(?<!\S)[a-zα-ωа-я]")  # a digit, or a word of one letter, as in B- and A*


def text_key(text):
    """What is left of a text when case, width, white space and the punctuation that only parts or tunes do not count.

    counts  : letters with their vowel signs and tone marks, digits, emoji, signs (+ < = ° € ★ # % & @) but not ~;
              between two digits any punctuation (1.5, 3:0, 1/2, 8-10), and white space by itself or behind a point or
              comma (1 1/2); before a number a hyphen (-5), unless a letter or digit stands before it (covid-19);
              right behind a digit or a word of one letter an asterisk (5*), or a hyphen (B-) unless the word goes on
              (5-star); the stroke of </3. A dash that counts becomes a minus sign, whatever its length, and an asterisk
              the sign U+2217
    not     : faces of punctuation such as :), a sign behind a longer word (good-), and what nobody sees, such as the
              joiners within an emoji
    case    : as `str.casefold` has it (ß is ss), the Turkish İ as i; ı is a letter of its own
    returns : str, its own key; of a text of punctuation alone the NFKC form without white space, so that "！！" and "…"
              stay apart

    >>> text_key("很 好！"), text_key("ＯＫ, fine"), text_key("！！")
    ('很好', 'okfine', '!!')
    >>> text_key("-5 °C: 1.5 points, covid-19"), text_key("की") == text_key("का")
    ('−5°c1.5pointscovid19', False)
    """
    while (key := _key(text)) != text:  # again, for what comes together, such as a letter and its mark
        text = key
    return key


def _key(text):
    text = unicodedata.normalize("NFKC", UNSEEN.sub("", FORMAT.sub("", text)))
    text = unicodedata.normalize("NFKC", text.casefold().replace("i\u0307", "i"))
    return BESIDE_LETTERS.sub(_saying, text) or "".join(text.split())


def _saying(found):
    """What counts of a run without letters and digits."""
    text, (start, end) = found.string, found.span()
    after_digit, before_digit = text[start - 1 : start].isdecimal(), text[end : end + 1].isdecimal()
    graded = start > 0 and bool(GRADED.fullmatch(text, start - 1, start))
    return _counting(found[0], start == 0, end == len(text), after_digit, before_digit, graded)


@lru_cache(maxsize=1 << 12)
def _counting(run, first, last, after_digit, before_digit, graded):
    """What counts of a run of characters that are no letters or digits; a mark counts with what it stands on."""
    kept, on_letter, joins = [], not first, not first  # joins: a hyphen here would stand in a word, or in a dash
    between = after_digit and before_digit
    goes_on = len(run) == 1 and not last
    for i, character in enumerate(run):
        kind = unicodedata.category(character)
        mark, dash, written = kind[0] == "M", kind == "Pd", character
        minus = dash and before_digit and (after_digit or (i == len(run) - 1 and character in HYPHENS and not joins))
        if mark:
            counts = on_letter
        elif character.isspace():
            counts, written = between and (run.isspace() if not kept else kept in (["."], [","])), " "
        elif kind[0] == "P" or kind == "Sk" or character == "~":
            grade = graded and i == 0 and run[1:2] != character
            grade = grade and (character == "*" or (character in HYPHENS and not goes_on))
            counts = character in SAYING or between or minus or grade or run[i - 1 : i + 1] == "</"
            written = "\u2212" if dash else "\u2217" if character == "*" else character
        else:
            counts = True
        if counts:
            kept.append(written)
        on_letter, joins = counts, dash or (mark and joins)
    return "".join(kept)


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
