"""The encoding of a file of text: UTF-8 or UTF-16 where it is plainly that, else what reads as everyday language.

Each candidate decodes the lines beyond ASCII. A character that the candidate's language does not know, or that cannot
stand where it stands, costs 4; one that is known but not everyday costs 1; an everyday one nothing. The cheapest
candidate wins if it is cheaper by 4 than any that gives another text. Else the file is in doubt, and that is said.
"""

import codecs
import itertools
import random
import re
from collections import Counter
from functools import cache

from helpers.datasets import DataError

UNKNOWN, RARE, DOUBT = 4, 1, 4  # what a character costs, and the lead below which two candidates are in doubt
MOST = 1.5  # mean cost of a character beyond ASCII above which a text is in no language of these
ASCII = bytes(range(128))
SAMPLE = 400, 600  # lines beyond ASCII that are weighed, and bytes of each

# ---- what is everyday in which language ------------------------------------------------------------------------------

HAN = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事成方多经么去法"
    "学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日者意无力它与长把机十民第公此已工使情明性知全三又关点正业"
    "外将两高间由问很最重并物手应向头文体政美相见被利什二等产或新己制身果加西月话合回特代内信表化老给世位次度门任常先海通教儿原东声提"
    "立及比员解水名真论处走各入几口认条平系气题活更别打女变四总何电数安少报才结反受目太量再感建务做接必场件计管期市直资金指许保至便空"
    "科司五基眼书非则听白却界光放强即像难且完设式色路记品住告类求据程北边该交取觉术领共确传清今让识带导运错快买卖店房喜欢推荐差价贵服"
    "吃味质客餐厅饭菜酒床洗网影演谢爱坏棒净干环境态失望方便适舒建议希望每早晚夜朋友孩热冷慢送货收包装屏幕版本"
    "這個們來為國說時會對後裡裏過發經麼學現當沒動還進樣無與長機將兩間問從頭體見產實點業關門東聲員論處幾條氣題別變總電數報結務場計許則聽"
    "卻難書設記類據邊該覺術領確傳讓識帶導運錯買賣歡薦價貴質廳飯網謝愛壞淨環態適議熱貨裝嗎喔啦吧呢啊嘅係佢咗哋喺"
)
HANGUL = (
    "이다는을의에가고하은지한로도를사기자서어리인아시그대정나해일수부제있주보전들과라상관장구만원게성조유선여스동비국신안위경면우와소화으"
    "계생적용학공치중세내미방때문것등할음무업였었습니까요네데거좋았겠했합입됩된될되던더말모못바발법별불분살색설식실심알약양없열영예오온외운"
    "월작잘재저점족존종진집차찾처청체최추출취친크타터통트특파편평표품프항행향현형호환활회후히깨끗절직같감격결곳금급느늦달당덕돈두드란람래러"
    "렇레려력련루르른름릴림마많매맛먹명반받배번변복본볼빠빨쁘생셨순술쉽싶싸쓰씨엔연완왔움웠워잡져졌족좀죠줄즈질짜쪽째천춤층침카커컴코키탁태"
)
MORE_HAN = (
    "人生物語店屋駅客味飲食美味気楽円説読書話語映画見行来時間今日明年毎週朝昼夜部室風呂温泉良悪高安広狭静便利丁寧対応"
)

# quotation marks open or close at a word, the apostrophe stands anywhere, signs stand apart from letters beyond ASCII
LETTER, BEYOND = r"[^\W\d_]", r"[^\W\d_A-Za-z]"
QUOTES, SIGNS = "’‘—–…•\xa0“”„‚«»‹›", "°€£©®™§·½¼×±µ№"
MARKS = "|".join(
    [
        rf"[’‘…•\xa0]|(?<!{LETTER})[–—]|(?<={LETTER})—(?={LETTER})|(?<=[A-Za-z])–(?=[A-Z])",
        rf"(?<!{LETTER})[“”„‚«»‹›]|[“”«»‹›](?!{LETTER})",
        rf"(?<!{LETTER})[{SIGNS}](?!{BEYOND})|(?<!{BEYOND})[{SIGNS}](?!{LETTER})",
        rf"(?<!\w)[¿¡](?={LETTER})|(?<=[\dmx)])[²³](?!{LETTER})|(?<=[\dn])[ºª](?!{LETTER})",
    ]
)
CJK = "\u2014\u2018\u2019\u201c\u201d\u2026\u3000-\u30ff\u3400-\u9fff\uac00-\ud7a3\uff01-\uff5e\u00b7"
PUNCTUATION = "\u2014\u2018\u2019\u201c\u201d\u2026\u00b7" + "".join(
    map(chr, [*range(0x3000, 0x3020), *range(0xFF01, 0xFF5F)])
)


def _span(first, last):
    return "".join(map(chr, range(ord(first), ord(last) + 1)))


def _level(codec, first, last):
    """The characters on the rows of a double-byte codec that hold its everyday ideographs."""
    rows = (bytes(pair) for pair in itertools.product(range(first, last + 1), range(0x40, 0xFF)))
    return "".join(pair.decode(codec, "ignore") for pair in rows)


def _capitals(letters):
    return "".join(c for c in letters.replace("ı", "İ").upper() if not c.isascii())


def _with_capitals(letters):
    return letters + _capitals(letters) + QUOTES + SIGNS + "¿¡²³ºª"


def _latin(run, letters):
    """A pattern of the letters beyond ASCII as words of a Latin alphabet hold them.

    run : how many may stand side by side; they touch an ASCII letter, or are a word such as à; no capital follows a
          small letter
    """
    low, high = letters, _capitals(letters)
    touch = rf"(?:(?<=[A-Za-z])|(?=[{low}]{{1,{run}}}[A-Za-z]))"
    small = rf"(?<!{BEYOND}){touch}[{low}]{{1,{run}}}(?!{BEYOND})"
    capital = (
        rf"(?<![A-Za-z])(?<!{BEYOND})[{high}]+(?=[A-Za-z]|[{low}][A-Za-z])|(?<=[A-Z])[{high}]{{1,{run}}}(?![a-z{low}])"
    )
    alone = r"(?<!\w)[àéèÀÉÈ](?!\w)"
    return rf"{small}|{capital}|{alone}|{MARKS}"


def _alphabet(small, capital=""):
    """A pattern of words in an alphabet of its own: small, capital or with a capital first; a lone letter by a word."""
    word = rf"[{capital}]?[{small}]+|[{capital}]+" if capital else rf"[{small}]+"
    apart = rf"(?<!{LETTER})(?:{word})(?!{LETTER})"
    return rf"(?=[{small}{capital}]+[ -]?[{small}{capital}]){apart}|(?<=[{small}{capital}] ){apart}|{MARKS}"


WESTERN = ["àâçèéêëîïôùûü", "äöüß", "áéíñóúü", "ãáàâçéêíóôõú", "àèéìòù", "åäöæøé", "ëéïöü"]
SELDOM = "ðýþæœ"
CENTRAL = ["áčďéěíňóřšťúůýž", "ąćęłńóśźż", "áéíóöőúüű", "čćđšž", "ăâîşţ", "áäčďéíĺľňóôŕšťúýž", "äöüß"]
TURKISH = ["çğıöşüâîû"]
CYRILLIC = ["оеаинтсрвл", "оіаинтвре", "аиоетнрсв"]
ALPHABETS = {  # name: (pattern, known, everyday of each language)
    "western": (_latin(2, "".join(WESTERN) + SELDOM), "".join(WESTERN) + SELDOM, WESTERN),
    "central": (_latin(4, "".join(CENTRAL)), "".join(CENTRAL), CENTRAL),
    "turkish": (_latin(4, TURKISH[0]), TURKISH[0], TURKISH),
    "cyrillic": (_alphabet("а-яёіїєґў", "А-ЯЁІЇЄҐЎ"), _span("а", "я") + "ёіїєґў", CYRILLIC),
    "greek": (_alphabet("ά-ώΐ", "Α-ΩΆ-Ώ"), _span("ά", "ώ") + "ΐάέήίόύώ", ["αοιετσνηυρπκςάέίό"]),
    "hebrew": (_alphabet("א-ת"), _span("א", "ת"), ["יוהלארתבמשנ"]),
    "arabic": (_alphabet("ء-ْپچژکگ"), _span("ء", "ْ") + "پچژکگ", ["الينمورتبةعدسفهك"]),
    "thai": (
        rf"(?<![A-Za-z])(?=[ก-๎]{{2}})(?:[เ-ไ]?[ก-ฮ][ัิ-ฺ]?[็-๎]?[ะาำ]?[ๆฯ]?)+(?![A-Za-z])|{MARKS}",
        _span("ก", "๎"),
        ["านรอกเงมยลวดทสตะัปบคหจแไใโพข่้ีิืุู็์ำ"],
    ),
}


@cache
def _languages():
    """The languages as {name: (pattern, known, everyday of each)}; those with ideographs ask their codecs."""
    run = rf"[{CJK}]{{2,}}"
    kana = _span("ぁ", "ん") + _span("ァ", "ヶ") + "ー"
    han = _level("gb2312", 0xB0, 0xD7) + _level("big5", 0xA4, 0xC6)
    kanji = _level("euc_jp", 0xB0, 0xCF)
    wide = {
        "chinese": (run, han + HAN + PUNCTUATION, [HAN + PUNCTUATION]),
        "japanese": (run, kanji + kana + PUNCTUATION, [kana + PUNCTUATION + MORE_HAN]),
        "korean": (run, _span("가", "힣") + PUNCTUATION, [HANGUL + PUNCTUATION]),
    }
    marked = {
        name: (pattern, _with_capitals(known), [_with_capitals(one) for one in everyday])
        for name, (pattern, known, everyday) in ALPHABETS.items()
    }
    return {
        name: (re.compile(pattern), set(known), [set(one) for one in everyday])
        for name, (pattern, known, everyday) in (marked | wide).items()
    }


# candidates: (encoding, language, cost beforehand: a seldom one must read better than a common one by so much)
CANDIDATES = [
    *(("cp1252", "western", 0), ("gb18030", "chinese", 0), ("big5hkscs", "chinese", 0), ("cp932", "japanese", 0)),
    *(("euc_jp", "japanese", 0), ("cp949", "korean", 0), ("cp1251", "cyrillic", 0), ("koi8_u", "cyrillic", 0)),
    *(("cp1253", "greek", 0), ("cp1255", "hebrew", 0), ("cp1256", "arabic", 0), ("cp874", "thai", 0)),
    *(("cp1250", "central", 4), ("cp1254", "turkish", 4), ("iso8859_2", "central", 6), ("cp866", "cyrillic", 4)),
    *(("mac_roman", "western", 6), ("cp850", "western", 6)),
]


def cost(text, language):
    """What the characters of a text beyond ASCII cost in a language, by the rule above."""
    pattern, known, everyday = _languages()[language]
    beyond = sum(not c.isascii() for c in text)
    proper = Counter(c for found in pattern.finditer(text) for c in found[0] if not c.isascii())
    fit = sum(count for c, count in proper.items() if c in known)
    common = max(sum(count for c, count in proper.items() if c in one) for one in everyday)
    return UNKNOWN * (beyond - fit) + RARE * (fit - common)


# ---- the file --------------------------------------------------------------------------------------------------------


def decode(raw, name, encoding=None):
    """The text of a file's bytes.

    encoding : what the bytes are in; None: it is recognised
    errors   : DataError, one sentence, for an unknown encoding, a byte that does not belong to it (with its line), a
               file in two encodings, and one in doubt between several, which are named
    """
    if encoding is None:
        encoding = _recognise(raw, name)
    try:
        return raw.decode(encoding).removeprefix("\ufeff")
    except LookupError:
        raise DataError(f"encoding {encoding!r} is unknown: take one such as 'utf-8', 'gb18030' or 'cp1252'") from None
    except UnicodeDecodeError as error:
        line = len(re.split("\r\n|\r|\n", raw[: error.start].decode(encoding, "replace")))
        raise DataError(
            f"{name} is {_spoken(encoding)} but for a byte in line {line:,} (0x{raw[error.start]:02X}): repair the line"
        ) from None


def _spoken(encoding):
    return encoding.upper().replace("_", "-")


def _recognise(raw, name):
    if raw.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if b"\0" in raw and (wide := _wide(raw)):
        return wide
    numbered = [(number, line) for number, line in enumerate(raw.splitlines(), 1) if not line.isascii()]
    utf8 = [(number, line) for number, line in numbered if _is_utf8(line)]
    if 2 * len(utf8) >= len(numbered):  # most lines beyond ASCII are UTF-8: what is wrong in the others is named
        return "utf-8"
    encoding, language = _cheapest([line for _, line in numbered], name)
    for number, line in utf8:
        as_utf8 = min(cost(line.decode("utf-8"), one) for one in _languages())
        if cost(line.decode(encoding, "replace"), language) >= as_utf8 + DOUBT:
            raise DataError(
                f"{name} is in two encodings, line {number:,} is UTF-8 and others {_spoken(encoding)}: take one for all"
            )
    return encoding


def _wide(raw):
    """UTF-16 without its mark: its first line holds a mark that parts fields, each sign of two bytes."""
    for encoding in ("utf-16-le", "utf-16-be"):
        head = raw[: 2**16].decode(encoding, "ignore")
        if re.match(r"[^\r\n]*[,;\t|{][^\r\n]*[\r\n]", head):
            return encoding
    return None


def _is_utf8(line):
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _cheapest(lines, name):
    """(encoding, language) of the candidate that reads best; DataError where none does, or another nearly as well."""
    some = [_window(line) for line in _sample(lines)]
    found = {}  # {text: (cost with what is added beforehand, cost, place in the list, encoding, language)}
    for place, (encoding, language, seldom) in enumerate(CANDIDATES):
        text = "\n".join(codecs.getincrementaldecoder(encoding)("replace").decode(line) for line in some)
        own = cost(text, language)
        if text not in found:
            found[text] = own + seldom, own, place, encoding, language
        elif own + seldom < found[text][0]:  # the same text, read as another language
            found[text] = own + seldom, own, *found[text][2:4], language
    text = min(found, key=lambda text: (found[text][0], found[text][2]))
    least, _, _, encoding, language = found[text]
    if least > MOST * sum(not c.isascii() for c in text) + UNKNOWN:
        raise DataError(
            f"{name} is text in no encoding that could be recognised: save it as UTF-8, or name it with encoding="
        )
    near = sorted((one for one in found.values() if one[0] < least + DOUBT), key=lambda one: one[1:3])
    if len(near) > 1:
        names = " or ".join(_spoken(one[3]) for one in near[:4])
        raise DataError(f"{name} may be in {names}: save it as UTF-8, or name the right one with encoding=")
    return encoding, language


def _sample(lines):
    """The lines to weigh: all of few; else some at random, and each with a byte that no line above it holds."""
    if len(lines) <= SAMPLE[0]:
        return lines
    seen, first = set(), []
    for line in lines:
        new = set(line.translate(None, ASCII)) - seen
        if new:
            seen |= new
            first.append(line)
    return first + random.Random(0).sample(lines, SAMPLE[0])


def _window(line):
    """A line from shortly before its first byte beyond ASCII on."""
    first = re.search(rb"[^\0-\x7f]", line).start()
    return line[max(0, first - 20) : first + SAMPLE[1]]
