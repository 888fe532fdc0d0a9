"""Preprocess: personal data in Chinese and English texts found and masked.

Found: phone numbers, e-mail addresses, numbers of Chinese identity cards and of bank cards, QQ numbers. A pattern only
proposes; validators that others keep up to date decide. Not found: names, addresses, WeChat names, web and IP
addresses, numbers in words or broken over lines. Masking lowers a risk; it makes no text anonymous.
"""

import re

import pandas as pd

KINDS = ("email", "id", "card", "qq", "phone")  # where two overlap, the earlier one counts
REGIONS = ("CN", "US", "GB")

# one character for one, so that offsets stay: full-width forms, the many dashes, spaces that are not U+0020
NARROW = {wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)}
NARROW |= dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212"), "-")
NARROW |= dict.fromkeys(map(ord, "\u00a0\u2009\u200b\u202f\u3000\ufeff"), " ")

EMAIL = re.compile(r"(?<![\w+%-])\w[\w.+%-]{0,63}@(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}", re.ASCII | re.IGNORECASE)
QQ = re.compile(r"(?<![a-z])qq(?:号码?|群)?[是为 :]{0,3}([1-9]\d{4,10})(?!\d|\.\d)", re.ASCII | re.IGNORECASE)
# digits that no letter, decimal point or currency sign makes a part of something else
GROUP = re.compile(r"(?<![A-Za-z\d$¥£€])(?<!\d\.)\d+[Xx]?(?![A-Za-z\d%])(?!\.\d)", re.ASCII)
NUMBER = re.compile(r"(?<![A-Za-z\d$¥£€])(?<!\d\.)[(+]{0,2}\d[\d ()./+-]{5,}\d(?![A-Za-z\d%])", re.ASCII)
EXTENSION = re.compile(r"(?<=\d{8})-(?=\d{1,5}$)", re.ASCII)
DECIMAL = re.compile(r"\d+\.\d+", re.ASCII)
# libphonenumber takes any ten digits that begin with an area code; in China one dials, and writes, a 0 before it
CHINESE = re.compile(r"0(?:10|2\d|[3-9]\d\d)[2-8]\d{6,7}|1[3-9]\d{9}|[48]00\d{7}|(?:00)?86\d{10,11}", re.ASCII)

IDENTITY = re.compile(r"[1-9]\d{5}(?:18|19|20)\d{9}[\dXx]", re.ASCII)
CARD = re.compile(  # UnionPay and its forerunner, Visa, Mastercard, JCB, American Express
    r"62\d{14,17}|9558\d{15}|(?:4\d|5[1-5]|2[2-7]|35)\d{14}|3[47]\d{13}", re.ASCII
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
    """(kind, start, end) without overlaps, in reading order."""
    narrow = text.translate(NARROW)
    proposed = [*_emails(narrow), *_numbers(narrow), *_phones(narrow, regions)]
    proposed += [("qq", *match.span(1)) for match in QQ.finditer(narrow)]
    taken, free = [], bytearray(b"\1" * len(text))
    for kind, start, end in sorted(proposed, key=lambda span: (KINDS.index(span[0]), span[1] - span[2], span[1])):
        if all(free[start:end]):
            free[start:end] = bytes(end - start)
            taken.append((kind, start, end))
    return sorted(taken, key=lambda span: span[1])


def _emails(text):
    from email_validator import EmailNotValidError, validate_email

    for match in EMAIL.finditer(text):
        try:
            validate_email(match[0], check_deliverability=False)
        except EmailNotValidError:
            continue
        yield "email", *match.span()


def _numbers(text):
    """Numbers with a check digit: one group of digits, or several of three or more with a space or dash between."""
    groups = [match.span() for match in GROUP.finditer(text)]
    for i, (first, _) in enumerate(groups):
        number, begin, stop = "", 0, 0
        for start, end in groups[i : i + 7]:
            if number and (text[stop:start] not in (" ", "-") or stop - begin < 3):
                break
            number, begin, stop = number + text[start:end], start, end
            if kind := _kind(number):
                yield kind, first, end


def _kind(number):
    """What a number of digits is by its check digit: "id", "card" or None."""
    from stdnum import luhn

    if IDENTITY.fullmatch(number) and _is_identity(number.upper()):
        return "id"
    if CARD.fullmatch(number) and luhn.is_valid(number):
        return "card"
    return None


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

    for number in NUMBER.finditer(text):
        if DECIMAL.fullmatch(number[0]):
            continue
        written = EXTENSION.sub("x", number[0])
        for region in regions:
            leniency = Leniency.VALID if region == "CN" else Leniency.STRICT_GROUPING
            for match in PhoneNumberMatcher(written, region, leniency=leniency):
                if _is_written_as_phone(match.raw_string, region):
                    aside = match.raw_string.startswith("(") and ")" not in match.raw_string
                    yield "phone", number.start() + match.start + aside, number.start() + match.end


def _is_written_as_phone(written, region):
    """A country code with its plus, a Chinese trunk prefix, mobile or hotline, or anything but ten bare digits."""
    if "+" in written:
        return True
    if region == "CN":
        return bool(CHINESE.fullmatch(re.sub(r"x.*|\D", "", written)))
    return region != "US" or not written.strip("()").isdigit()
