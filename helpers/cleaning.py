"""Preprocess: bring texts to one form, and remove rows by named rules, keeping every removed row and its reason."""

import html
import re
import unicodedata

import pandas as pd

# control characters but tab and newline, zero-width characters, byte-order marks, soft hyphens
INVISIBLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]")


def normalise(text):
    """One form for each text: HTML entities resolved, invisible characters out, Unicode NFKC, white space single.

    >>> normalise(" Tom &amp; Ｊｅｒｒｙ\u200b \\n very　good ")
    'Tom & Jerry very good'
    """
    text = unicodedata.normalize("NFKC", INVISIBLE.sub("", html.unescape(text)))
    return " ".join(text.split())


# a run of address characters with a known ending; the look-behind keeps the search linear on long runs without one
ADDRESS = re.compile(r"(?<![\w./:?=&%~-])[\w./:?=&%~-]*\.(?:com|cn|net|html?)\b[\w./:?=&%~-]*", re.ASCII)


def empty(text):
    """No letter, digit or ideograph: nothing to read."""
    return not re.search(r"[^\W_]", text)


def heading(text):
    """A field's name without its content, such as 优点： (advantages:)."""
    return len(text) <= 6 and text.rstrip().endswith((":", "："))


def link(text):
    """A web address with fewer than ten other characters."""
    rest, found = ADDRESS.subn("", text)
    return found > 0 and len(rest.strip()) < 10


def menu(text):
    """A web page's menu: eight short words or more between spaces, no sentence among them."""
    words = text.split()
    han = sum("\u4e00" <= c <= "\u9fff" for c in text)
    return (
        len(words) >= 8 and han > len(text) / 2 and max(map(len, words)) <= 6 and not re.search(r"[,.!?，。！？]", text)
    )


def repeated(text):
    """One phrase of two or more characters said four times or more, and at most ten characters after it."""
    return bool(re.fullmatch(r"(.{2,}?)\1{3,}.{0,10}", text, flags=re.S))


RULES = {
    "empty": empty,
    "heading alone": heading,
    "web address": link,
    "page menu": menu,
    "one phrase repeated": repeated,
}


def audit(texts, rules=RULES):
    """Name of the first rule that each text breaks, "" where none: Series aligned with `texts`."""
    return texts.map(lambda text: next((name for name, breaks in rules.items() if breaks(text)), ""))


def funnel(frame, steps):
    """Take the rows through named steps; nothing is lost, every removed row keeps its reason.

    steps   : {name: function(frame) -> bool Series, True where a row must go}
    returns : (kept, rejected, table): rejected has a column `reason`; table has a row a step:
              step, rows_in, removed, rows_out
    """
    kept, rejected, table = frame, [], []
    for name, must_go in steps.items():
        gone = must_go(kept).astype(bool)
        rejected.append(kept[gone].assign(reason=name))
        table.append({"step": name, "rows_in": len(kept), "removed": int(gone.sum()), "rows_out": int((~gone).sum())})
        kept = kept[~gone]
    return kept, pd.concat(rejected), pd.DataFrame(table)
