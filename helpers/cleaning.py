"""Preprocess: bring texts to one form, and remove rows by named rules, keeping every removed row and its reason."""

import html
import re
import unicodedata

import pandas as pd

from helpers.datasets import UNSEEN

# joiners and direction marks act on Hebrew, Arabic and Indian letters and on emoji: after those they stay
ACTED_ON = "\u0590-\u0fff\ufb1d-\ufdff\ufe70-\ufefc\u2190-\u21ff\u2600-\u27bf\u2b00-\u2bff\ufe0f\U0001f300-\U0001faff"
DIRECTION, JOINERS = "\u061c\u200e\u200f", "\u200c\u200d"
# control characters but tab and newline, zero-width characters, byte-order marks, soft hyphens, direction brackets,
# Khmer vowels and signs of music that show nothing, tags but those of a flag; what acts on nothing or ends the text
INVISIBLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\u00ad\u17b4\u17b5\u180e\u200b\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001]"
    "|(?<![\U0001f3f4\U000e0020-\U000e007f])[\U000e0020-\U000e007f]+"
    f"|(?<![{ACTED_ON}])[{DIRECTION}{JOINERS}]|[{DIRECTION}{JOINERS}]+\\Z"
)
BLANK = re.compile("[\u2800\u3164\uffa0]")  # white space to the eye: Braille without dots, the fillers of Hangul
NAMELESS = re.compile(f"{UNSEEN.pattern}|[{DIRECTION}]")
# marks that Unicode sorts by class, which takes quadratic time: its stream-safe form (UAX 15, §13) parts every thirty
MARKS = "".join(chr(code) for code in range(0x300, 0x1F000) if unicodedata.combining(chr(code)))
THIRTY = re.compile(f"([{MARKS}]{{30}})(?=[{MARKS}])")


# a number that may be too long for Python: of more than eight digits it names no character, and eight say so too
ENTITY = re.compile(r"(?<=&#)0*(\d{1,8})\d*", re.ASCII)
ROUNDS = 20  # entities escaped more often than this are no text that somebody wrote


def normalise(text):
    """One form for each text: HTML entities resolved, invisible characters out, Unicode NFKC, white space single.

    returns : str that stays as it is when it is normalised again: entities are resolved however often they were
              escaped; where ROUNDS do not do, the text loses its ampersands

    >>> normalise(" Tom &amp;amp; Ｊｅｒｒｙ\u200b \\n very　good ")
    'Tom & Jerry very good'
    """
    for left in range(2 * ROUNDS, 0, -1):
        before, text = text, _normalised(text if left > ROUNDS else text.replace("&", ""))
        if text == before:
            break
    return text


def _normalised(text):
    text = html.unescape(ENTITY.sub(r"\1", text))
    text = INVISIBLE.sub("", BLANK.sub(" ", text).strip())
    text = THIRTY.sub("\\1\u034f", text)
    text = unicodedata.normalize("NFKC", text)
    return " ".join(text.split())


def name(text):
    """A label or the name of a column in one form: normalised, without what shows nothing even where it acts.

    So "❤" is one name with and without its variation selector. Joiners stay within a word or an emoji.

    >>> name("yes\ufe0f") == name(" ｙｅｓ\u3164"), name("❤\ufe0f") == name("❤"), name("שלום\u200f!") == name("שלום!")
    (True, True, True)
    """
    return normalise(NAMELESS.sub("", normalise(text)))


# a run of address characters with a protocol, www. or a known ending; the look-behind keeps the search linear
ADDRESS = re.compile(
    r"(?<![\w./:?=&%#+@~-])[\w./:?=&%#+@~-]*"
    r"(?:https?://|\bwww\.|\.(?:com|cn|net|org|edu|gov|info|io|tv|uk|hk|tw|jp|html?)\b)[\w./:?=&%#+@~-]*",
    re.ASCII | re.IGNORECASE,
)


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
    """A web page's menu: eight short words or more between spaces, no sentence among them.

    Chinese cut into words is none: it has words of one character, such as 的, 很 and 了.
    """
    words = text.split()
    han = sum("\u4e00" <= c <= "\u9fff" for c in text)
    lengths = set(map(len, words))
    short = len(words) >= 8 and min(lengths) >= 2 and max(lengths) <= 6
    return short and han > len(text) / 2 and not re.search(r"[,.!?，。！？]", text)


def repeated(text):
    """One phrase of two or more characters said four times or more, and at most ten characters after it."""
    for end in range(len(text), max(len(text) - 11, 7), -1):
        period = (text[:end] * 2).find(text[:end], 1)  # how far a text must be turned round to be itself again
        if any(end % size == 0 for size in range(max(period, 2), end // 4 + 1, period)):
            return True
    return False


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
