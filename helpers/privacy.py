"""Preprocess: personal data in Chinese and English texts found and masked.

Found: phone numbers, e-mail addresses, numbers of Chinese identity cards and of bank cards, QQ numbers. A pattern only
proposes; validators that others keep up to date decide. Not found: names, addresses, WeChat names, web and IP
addresses, numbers in words or broken over lines. Before the @ in a script without spaces, up to four characters count:
a name of two takes its neighbours along. Masking lowers a risk; it makes no text anonymous.
"""

import re
import unicodedata

import pandas as pd

from helpers.datasets import UNSEEN

KINDS = ("email", "id", "card", "qq", "phone")  # where two overlap, the earlier one counts
REGIONS = ("CN", "US", "GB")

# one character for one, so that offsets stay: digits of all scripts, full-width forms, the many dashes, spaces that are
# not U+0020
NARROW = {code: str(unicodedata.decimal(chr(code))) for code in range(0x80, 0x20000) if chr(code).isdecimal()}
NARROW |= {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}
NARROW |= dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"), "-")
NARROW |= dict.fromkeys(map(ord, "\u00a0\u2009\u200b\u202f\u3000\ufeff"), " ")

# ---- e-mail addresses, of letters of all scripts ----
CHINA = "中国|中國|公司|网络|網絡|在线|集团|香港|台湾|台灣"  # the commonest endings in Chinese
DENSE = re.compile(
    "[\u0e00-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u9fff\uac00-\ud7ff\uf900-\ufaff\uff66-\uffdc\U00020000-\U0003ffff]"
)
LETTER_OR_MARK = ("Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc")
HAN = CHINA.replace("|", "")
LOCAL = rf"(?:(?<![\w+%é-])[\wé][\w.+%é-]{{0,63}}|[字{HAN}]{{1,4}})"
LABEL = rf"(?:[a-z0-9é-]{{1,63}}|[0-9字{HAN}-]{{1,63}})"
TOP = rf"(?:xn--[a-z0-9-]{{2,59}}|[a-z]{{2,24}}|é{{2,24}}|{CHINA})"
EMAIL = re.compile(rf"{LOCAL}@(?:{LABEL}\.){{1,8}}{TOP}", re.ASCII | re.IGNORECASE)


class _Letters(dict):
    """For `str.translate`: a letter or mark beyond ASCII as é, as 字 where its script has no spaces between words."""

    def __missing__(self, code):
        character = chr(code)
        letter = code >= 128 and unicodedata.category(character) in LETTER_OR_MARK
        letter = letter and character not in CHINA and not UNSEEN.match(character)
        self[code] = code if not letter else "字" if DENSE.match(character) else "é"
        return self[code]


LETTERS = _Letters()
QQ = re.compile(r"(?<![a-z])qq(?:号码?|群)?[是为 :]{0,3}([1-9]\d{4,10})(?!\d|\.\d)", re.ASCII | re.IGNORECASE)
# digits that no decimal point or currency sign makes a part of something else
GROUP = re.compile(r"(?<![\d$¥£€])\d+[Xx]?(?![\d%])(?!\.\d)", re.ASCII)
APART = re.compile(r"(?<![A-Za-z\d$¥£€])(?<!\d\.)[(+]{0,2}\d[\d ()./+-]{5,}\d(?![A-Za-z\d%])", re.ASCII)
NUMBER = re.compile(r"(?<![\d$¥£€])(?<!\d\.)[(+]{0,2}\d[\d ()./+-]{5,}\d(?![\d%])", re.ASCII)
EXTENSION = re.compile(r"(?<=\d{8})-(?=\d{1,5}$)", re.ASCII)
DECIMAL = re.compile(r"\d+\.\d+", re.ASCII)
# libphonenumber takes any ten digits that begin with an area code; in China one dials, and writes, a 0 before it
CHINESE = re.compile(r"0(?:10|2\d|[3-9]\d\d)[2-8]\d{6,7}|1[3-9]\d{9}|[48]00\d{7}|(?:00)?86\d{10,11}", re.ASCII)
MOBILE = re.compile(r"(?:(?:00)?86)?1[3-9]\d{9}", re.ASCII)
LISTED = re.compile(r"[1-9]\d?\.(?=1[3-9]\d{9}$)", re.ASCII)  # a mobile number behind that of its line: 3.138…

# ---- letters that touch a number ----
LETTER = re.compile("[A-Za-z]")
CALL = r"(?:tele|cell|mobile)?phone|tel|mobile|mob|cell|call|fax"
CHAT = "wx|vx|weixin|wechat|whatsapp|qq"
CALLED = re.compile(rf"(?<![a-z])(?:{CALL})$", re.IGNORECASE)
# a word that says that a telephone number follows, or that it ends: not even digits beside it make a code of it
SAID = re.compile(rf"(?<![a-z])(?:{CALL}|{CHAT})$|(?<!\w)[2-5]g$", re.ASCII | re.IGNORECASE)
SAID_BEHIND = re.compile(rf"{CALL}|{CHAT}", re.IGNORECASE)
# what makes it a part of something else: a few more digits (a product code), all hexadecimal (a hash), the ending of a
# file, a currency before it, a unit behind it
CODE = re.compile(r"(?<!\d)\d{1,4}(?!\d)", re.ASCII)
HEX = re.compile("[0-9a-f]*", re.IGNORECASE)
EXTENDED = re.compile(r"(?:ext|x)\d{1,5}", re.ASCII | re.IGNORECASE)
FILE = re.compile(
    r"\w*\.(?:jpe?g|png|gif|webp|pdf|docx?|xlsx?|pptx?|zip|rar|exe|apk|mp[34]|avi|mov|txt|csv|html?)\b", re.I
)
CURRENCY = re.compile("rmb|cny|usd|eur|gbp|hkd|jpy", re.IGNORECASE)
UNIT = re.compile(rf"{CURRENCY.pattern}|[kmgt]?i?bytes?|[kmgt]i?b|[kmg]?hz|km|kg|mm|cm|ms", re.IGNORECASE)
UUID = re.compile(r"(?<!\w)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?!\w)", re.ASCII | re.IGNORECASE)

IDENTITY = re.compile(r"[1-9]\d{5}(?:18|19|20)\d{9}[\dXx]", re.ASCII)
CARD = re.compile(
    r"62\d{14,17}|9558\d{15}"  # UnionPay and its forerunner
    r"|4\d{15}(?:\d{3})?|(?:5[1-5]|2[2-7]|35)\d{14}|3[47]\d{13}"  # Visa; Mastercard, JCB; American Express
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12,15}|(?:50(?:18|20|38)|5893|6304|6759|676[1-3])\d{11,15}",  # Discover; Maestro
    re.ASCII,
)
# Visa's old cards, Diners and short ones of Maestro; so few digits stand in one piece or, of Diners, as 4, 6 and 4
SHORT_CARD = re.compile(
    r"4\d{12}|3(?:0[0-5]|095|[689]\d)\d{11}|(?:50(?:18|20|38)|5893|6304|6759|676[1-3])\d{8,10}", re.ASCII
)


def find(texts, regions=REGIONS):
    """Every piece of personal data in the texts, in reading order.

    texts   : Series or sequence of str; anything else is a ValueError that names the row, not its content
    regions : countries whose phone numbers are known without a country code; with one, all are
    returns : DataFrame row (the Series' index label, or the position), kind (one of KINDS), start, end, text
              (= texts[row][start:end])
    cost    : O(characters)
    checks  : email: syntax, by email-validator. id: 18 digits with district, date of birth and check digit (GB
              11643-1999). card: issuer's prefix, length and Luhn's check digit, which one number in ten has by chance.
              qq: five to eleven digits after the letters QQ. phone: libphonenumber, and written as people there do; ten
              bare digits count as an order number, and a number without its area code is not known

    >>> find(["手机１３８-１２３４-５６７８，房价388", "mail me: jo@example.org"]).values.tolist()
    [[0, 'phone', 2, 15, '１３８-１２３４-５６７８'], [1, 'email', 9, 23, 'jo@example.org']]
    """
    rows = texts.index if isinstance(texts, pd.Series) else range(len(texts))
    found = []
    for row, text in zip(rows, texts, strict=True):
        if not isinstance(text, str):
            raise ValueError(f"row {row} holds a {type(text).__name__} where a text should stand")
        found += [(row, kind, start, end, text[start:end]) for kind, start, end in _spans(text, regions)]
    return pd.DataFrame(found, columns=["row", "kind", "start", "end", "text"]).astype({"start": int, "end": int})


def mask(text, regions=REGIONS):
    """The text with each piece of personal data replaced by its kind; all else stays as it is.

    >>> mask("联系QQ 302010040 我手机13800138000")
    '联系QQ [QQ] 我手机[PHONE]'
    """
    pieces, done = [], 0
    for kind, start, end in _spans(text, regions):
        pieces += [text[done:start], f"[{kind.upper()}]"]
        done = end
    return "".join([*pieces, text[done:]])


def _spans(text, regions):
    """(kind, start, end) without overlaps, in reading order.

    What is found may have hidden its neighbour, so the rest is searched again until nothing comes: to mask twice finds
    nothing more.
    """
    narrow, taken = UUID.sub("_" * 36, text.translate(NARROW)), []
    while found := _search(narrow, regions):
        taken += found
        pieces, done = [], 0
        for _, start, end in found:
            pieces += [narrow[done:start], "[", "_" * (end - start - 2), "]"]
            done = end
        narrow = "".join([*pieces, narrow[done:]])
    return sorted(taken, key=lambda span: span[1])


def _search(narrow, regions):
    """(kind, start, end) without overlaps, in reading order, of what is seen at once."""
    proposed = [*_emails(narrow), *_numbers(narrow), *_phones(narrow, regions)]
    proposed += [("qq", *match.span(1)) for match in QQ.finditer(narrow)]
    taken, free = [], bytearray(b"\1" * len(narrow))
    for kind, start, end in sorted(proposed, key=lambda span: (KINDS.index(span[0]), span[1] - span[2], span[1])):
        if all(free[start:end]):
            free[start:end] = bytes(end - start)
            taken.append((kind, start, end))
    return sorted(taken, key=lambda span: span[1])


def _emails(text):
    from email_validator import EmailNotValidError, validate_email

    for match in EMAIL.finditer(text.translate(LETTERS)):
        try:
            validate_email(text[slice(*match.span())], check_deliverability=False)
        except EmailNotValidError:
            continue
        yield "email", *match.span()


def _numbers(text):
    """Numbers with a check digit: one group of digits, or several of three or more with a space or dash between."""
    groups = [match.span() for match in GROUP.finditer(text)]
    for i, (first, _) in enumerate(groups):
        pieces, stop = [], 0
        for start, end in groups[i : i + 7]:
            if pieces and (text[stop:start] not in (" ", "-") or len(pieces[-1]) < 3):
                break
            pieces, stop = [*pieces, text[start:end]], end
            x = len(text[start:end]) - len(text[start:end].rstrip("Xx"))  # the check digit 10, or the letter behind
            for last in dict.fromkeys([end, end - x]):
                kind = _kind([*pieces[:-1], text[start:last]])
                if (
                    kind
                    and _stands_free(text, first, last, checked=True)
                    and (kind == "id" or text[first - 1 : first] != ".")
                ):
                    yield kind, first, last


def _kind(pieces):
    """What a number in pieces is by its check digit: "id", "card" or None."""
    from stdnum import ean, luhn

    number = "".join(pieces)
    if IDENTITY.fullmatch(number) and _is_identity(number.upper()):
        return "id"
    if CARD.fullmatch(number) and luhn.is_valid(number):
        return "card"
    if SHORT_CARD.fullmatch(number) and luhn.is_valid(number) and list(map(len, pieces)) in ([len(number)], [4, 6, 4]):
        return None if len(number) < 14 and ean.is_valid(number) else "card"  # goods have twelve or thirteen digits too
    return None


def _touched(text, start, end):
    """Whether a letter stands right before or behind."""
    return bool(LETTER.fullmatch(text[start - 1 : start]) or LETTER.fullmatch(text[end : end + 1]))


def _stands_free(text, start, end, checked=False):
    """Whether a number that a letter or a point may touch is one of its own, no part of a code, file name or price.

    checked : it has a check digit, which says more than other digits near it: only a hash has one by chance
    """
    if text[start - 1 : start] == "." and text[start - 2 : start - 1].isdecimal():
        return bool(re.search(r"(?<![\w.$¥£€])[1-9]\d?\.$", text[max(start - 4, 0) : start], re.ASCII))
    if not _touched(text, start, end):
        return True
    before = re.search(r"\w*$", text[max(start - 64, 0) : start], re.ASCII)[0]
    behind = text[end : end + 64]
    after = re.match(r"\w*", behind, re.ASCII)[0]
    if CURRENCY.fullmatch(before) or UNIT.fullmatch(after) or FILE.match(behind):
        return False
    coded = CODE.search(before) and not SAID.search(before)
    coded = coded or (CODE.search(after) and not SAID_BEHIND.match(after) and not EXTENDED.fullmatch(after))
    return not coded or (checked and not HEX.fullmatch(before + after))


def _is_identity(number):
    """Check digit, date of birth and district are right.

    `stdnum.cn.ric.validate` asks besides that the district existed when its holder was born. Cards came in 1984, so it
    refuses many older holders.
    """
    from stdnum import numdb
    from stdnum.cn import ric
    from stdnum.exceptions import InvalidComponent

    if ric.calc_check_digit(number) != number[-1]:
        return False
    try:
        ric.get_birth_date(number)
    except InvalidComponent:
        return False
    return all(place for _, place in numdb.get("cn/loc").info(number[:6]))


def _phones(text, regions):
    from phonenumbers import Leniency, PhoneNumberMatcher

    apart = [number.span() for number in APART.finditer(text)]
    touched = [number.span() for number in NUMBER.finditer(text) if _touched(text, *number.span())]
    for start, end in dict.fromkeys(apart + touched):
        if DECIMAL.fullmatch(text, start, end):
            listed = LISTED.match(text, start, end)
            if not listed:
                continue
            start = listed.end()
        if not _stands_free(text, start, end):
            continue
        known = not _touched(text, start, end) or CALLED.search(text, max(start - 16, 0), start)
        written = EXTENSION.sub("x", text[start:end])
        for region in regions:
            leniency = Leniency.VALID if region == "CN" else Leniency.STRICT_GROUPING
            for match in PhoneNumberMatcher(written, region, leniency=leniency):
                number = match.raw_string
                bare = number.split("x")[0]  # without an extension
                if _is_written_as_phone(number, region) and (known or not bare.isdigit() or MOBILE.fullmatch(bare)):
                    aside = number.startswith("(") and ")" not in number
                    yield "phone", start + match.start + aside, start + match.end


def _is_written_as_phone(written, region):
    """A country code with its plus, a Chinese trunk prefix, mobile or hotline, or anything but ten bare digits."""
    if "+" in written:
        return True
    if region == "CN":
        return bool(CHINESE.fullmatch(re.sub(r"x.*|\D", "", written)))
    return region != "US" or not written.strip("()").isdigit()
