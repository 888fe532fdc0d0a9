"""Normal form, quality rules and the audit funnel: cases worked by hand, properties, and the facts of reviews_zh."""

import html
import re
import time
import unicodedata

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers import cleaning, datasets

CHARACTERS = st.sampled_from("房间好 　\t\n。，！:：aＡ1①é\u0301\u200b\ufeff\u00ad ﬁ㎡")
TEXTS = st.text(CHARACTERS, max_size=30)


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("　很　好　", "很 好"),
        ("ＡＢＣ１２３，！", "ABC123,!"),
        ("好\u200b评\ufeff", "好评"),
        ("cafe\u200b\u0301", "café"),
        ("5&nbsp;&lt;&nbsp;10 &quot;好&quot;", '5 < 10 "好"'),
        ("第一行\r\n\t第二行", "第一行 第二行"),
        ("\u00ad \u200b", ""),
        ("Straße İ", "Straße İ"),  # case stays
        ("繁體字", "繁體字"),  # traditional characters stay
    ],
)
def test_normalise_by_hand(raw, normal):
    assert cleaning.normalise(raw) == normal


@settings(deadline=None)
@given(TEXTS)
def test_normal_form_is_one_form(text):
    normal = cleaning.normalise(text)
    assert cleaning.normalise(normal) == normal
    assert unicodedata.is_normalized("NFKC", normal)
    assert normal == normal.strip()
    assert not any(unicodedata.category(c) in ("Cc", "Cf") for c in normal)
    assert "  " not in normal


@pytest.mark.parametrize(
    "text",
    [
        "一家人\U0001f468\u200d\U0001f469\u200d\U0001f467真好",  # a family of three, joined
        "\u2764\ufe0f\u200d\U0001f525",  # a heart on fire
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",  # Persian: two parts of a word, kept apart
        "\u05e9\u05dc\u05d5\u05dd\u200f!",  # Hebrew, with the mark that turns the "!"
        "\u0915\u094d\u200d\u0937",  # Hindi: a half letter
        "好\ud800评\udfff",  # lone surrogates, which no encoding can write
    ],
)
def test_what_acts_on_its_neighbour_stays(text):
    assert cleaning.normalise(text) == text


@pytest.mark.parametrize("sign", ["\u200c", "\u200d", "\u200e", "\u200f", "\u202e", "\ufeff"])
def test_what_acts_on_nothing_goes(sign):
    assert cleaning.normalise(f"{sign}房间{sign}很好 ok{sign} ①{sign}{sign}") == "房间很好 ok 1"


ODD = st.sampled_from(
    "好aｅ①ﷺﬁم\u05e9\u200b\u200c\u200d\u200f\u202e\u0301\u0316\ud83d\udc68\ud800\ufe0f\U0001f468\u2764 　"
)


@settings(deadline=None)
@given(st.text(ODD, max_size=30))
def test_normal_form_is_one_form_for_odd_signs_too(text):
    normal = cleaning.normalise(text)
    assert cleaning.normalise(normal) == normal
    assert unicodedata.is_normalized("NFKC", normal)
    assert visible(normal) == visible(text)


def visible(text):
    shown = unicodedata.normalize("NFKC", re.sub("[\u200b-\u200f\u202e]", "", text))
    return re.sub(r"\s", "", shown)


def test_marks_up_to_thirty_stay_as_they_are_and_longer_runs_lose_none():
    marks = "\u0316" * 15 + "\u0301" * 15
    assert cleaning.normalise("好" + marks) == "好" + marks
    piled = cleaning.normalise("好" + marks * 5)
    assert piled.replace("\u034f", "") == "好" + marks * 5
    assert cleaning.normalise(piled) == piled


@pytest.mark.parametrize("escaped", ["&amp;amp;", "&#38;amp;", "&#x26;#38;", "＆amp;", "&amp;amp;amp;amp;", "&ampamp;"])
def test_entities_are_resolved_however_they_were_escaped(escaped):
    assert cleaning.normalise(f"jo{escaped}#64;example.com") == "jo@example.com"


@pytest.mark.parametrize("times", [1, 2, 5, 15])
def test_entities_are_resolved_however_often_they_were_escaped(times):
    text = "5 < 10 & 好"
    for _ in range(times):
        text = html.escape(text)
    assert cleaning.normalise(text) == "5 < 10 & 好"


ENTITIES = st.lists(
    st.sampled_from(
        ["&", "amp;", "amp", "#38;", "#x26;", "#", "38", "lt;", "num;", "semi;", "nbsp;", "＆", ";", "x", "\ud800"]
    ),
    max_size=30,
).map("".join)


@settings(deadline=None, max_examples=300)
@given(st.one_of(ENTITIES, st.text(max_size=20)))
def test_normalising_twice_changes_nothing(text):
    normal = cleaning.normalise(text)
    assert cleaning.normalise(normal) == normal
    assert html.unescape(normal) == normal


def test_an_endless_escape_ends():
    start = time.process_time()
    normal = cleaning.normalise("&" + "amp;" * 25_000 + "lt;b")
    assert time.process_time() - start < 5
    assert cleaning.normalise(normal) == normal
    assert "&" not in normal


@pytest.mark.parametrize("number", ["1" * 5000, "9" * 9, "x110000", "xD800", "x" + "f" * 5000])
def test_an_entity_that_names_no_character_becomes_the_mark_for_one(number):
    assert cleaning.normalise(f"a &#{number}; &amp; b") == "a \ufffd & b"


def test_zeros_in_front_of_a_number_change_nothing():
    assert cleaning.normalise(f"jo&#{'0' * 5000}64;example.com") == "jo@example.com"


@pytest.mark.parametrize(
    "sign", ["\u2066", "\u2067", "\u2068", "\u2069", "\u061c", "\u2061", "\u206a", "\u180e", "\ufff9"]
)
def test_more_that_nobody_sees_goes(sign):
    assert cleaning.normalise(f"{sign}x{sign}y{sign}") == "xy"


@pytest.mark.parametrize("sign", ["\u200c", "\u200d", "\u200e", "\u200f", "\u061c"])
@pytest.mark.parametrize("text", ["سلام", "שלום", "हाँ", "👍"])
def test_at_the_very_end_a_joiner_acts_on_nothing(text, sign):
    assert cleaning.normalise(f"{text}{sign}") == cleaning.normalise(f"{text}{sign}\u3164 ") == text
    assert cleaning.normalise(f"{text}{sign}!") == f"{text}{sign}!"


@settings(deadline=None, max_examples=300)
@given(st.text("\u200d\u200f\ufe0f\u034f\u1160\u3164\u2800\U000e0041\U0001f3f4\u00adab好❤e\u0301ש&;amp ", max_size=9))
def test_a_name_is_its_own_name(text):
    assert cleaning.name(cleaning.name(text)) == cleaning.name(text) == cleaning.name(text).strip()


def test_a_direction_mark_stays_behind_arabic_letters():
    assert cleaning.normalise("مرحبا\u061c!") == "مرحبا\u061c!"
    assert cleaning.normalise("\u2067مرحبا\u2069!") == "مرحبا!"


# the English texts that the file holds escaped twice; all others are as the first round leaves them
@pytest.mark.parametrize(("name", "changed"), [("reviews_zh", 0), ("snippets_en", 16), ("dialogues", 0)])
def test_texts_of_the_course_that_were_escaped_twice(name, changed):
    texts = datasets.load(name)["text"]
    assert sum(cleaning.normalise(text) != cleaning._normalised(text) for text in texts) == changed


# what each rule must take, and a near miss that it must leave
CASES = {
    "empty": (["", "。", "......", ":(", "————", "★★★"], ["好", "5", "a!"]),
    "heading alone": (["优点:", "优点：", "7、不足嘛:", "Pros:"], ["优点:好", "很好", "总体来说还是可以的:"]),
    "web address": (
        [
            *("http://a.com/b-1.html", "其他驱动到www.hp.com.cn去下载", ".com/thread-1368750-1-2.html"),
            *(
                "https://example.org",
                "http://bit.ly/abc",
                "www.bbc.co.uk",
                "HTTPS://EXAMPLE.ORG/#a+b",
                "见 www.bbc.co.uk",
            ),
        ],
        ["看www.hp.com.cn上的介绍,东西确实不错,推荐", "com", "3.5寸", "他说.net不好学,我看也是这样"],
    ),
    "page menu": (
        ["免费注册 网站导航 宾馆索引 服务说明 关于携程 诚聘英才 代理合作 广告业务 联系我们"],
        [
            *(
                "这个 房间 很 干净 服务 也 很 好",
                "早餐 太 少 了 下次 不会 再 来 了",
                "位置 方便 离 地铁站 很 近 价格 合理",
            ),
            *(
                "這個 房間 很 乾淨 服務 也 很 好",
                "房间 干净 服务 很好 下次 还来",
                "房间, 干净, 服务, 很好, 下次, 还来, 推荐, 大家",
                "a b c d e f g h i j",
            ),
        ],
    ),
    "one phrase repeated": (
        ["不错不错不错不错", "非常不错的" * 10, "太烫了!" * 4 + "真的", "ab" * 4],
        ["不错不错不错", "哈哈哈", "好!不错!好!不错!真好!", "太烫了!" * 4 + "但是除了这一点我还是很满意的"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_rules_by_hand(name):
    takes, leaves = CASES[name]
    assert [text for text in takes if not cleaning.RULES[name](text)] == []
    assert [text for text in leaves if cleaning.RULES[name](text)] == []


def test_every_rule_has_cases():
    assert set(CASES) == set(cleaning.RULES)


def test_audit_names_the_first_rule_broken():
    texts = pd.Series(["好", "。", "优点:", ""], index=[7, 3, 5, 1])
    assert cleaning.audit(texts).to_dict() == {7: "", 3: "empty", 5: "heading alone", 1: "empty"}
    order = {"short": lambda text: len(text) < 2, **cleaning.RULES}
    assert cleaning.audit(texts, order).to_dict() == {7: "short", 3: "short", 5: "heading alone", 1: "short"}


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a.",
        "http://",
        "x.com",
        "房间 ",
        "ab",
        "&amp",
        "&#1",
        "a\u0301\u0316" + "\u0301\u0316" * 50,
        "\u0301\u0316\u200b",
    ],
)
def test_linear_time(piece):
    text = (piece * 100_000)[:100_000]
    start = time.process_time()
    for long in (text, text[:-11] + "!" * 11, text[:50_000] + "!" + text[:49_999]):
        for function in (cleaning.normalise, *cleaning.RULES.values()):
            function(long)
    assert time.process_time() - start < 5


@example("a" * 9 + "!" * 10)
@example("a" * 11 + "!" * 10)
@settings(deadline=None, max_examples=300)
@given(
    st.builds(
        lambda phrase, times, tail: phrase * times + tail,
        st.text("ab", max_size=4),
        st.integers(0, 9),
        st.text("ab!\n", max_size=12),
    )
)
def test_repeated_is_what_a_regular_expression_says(text):
    assert cleaning.repeated(text) == bool(re.fullmatch(r"(.{2,}?)\1{3,}.{0,10}", text, flags=re.S))


@settings(deadline=None)
@given(st.text("优点:：.。 ac!,omwnt房间很好\n\ud800\U0001f600", max_size=40))
def test_rules_stand_to_their_words(text):
    assert cleaning.empty(text) == (not any(c.isalnum() for c in text))
    if cleaning.heading(text):
        assert len(text) <= 6 and text.strip()[-1] in ":："
    if cleaning.link(text):
        assert re.search(r"\.(com|cn|net|html?)", text)
        assert not cleaning.link(text + " 十个字以上的话就不是网址")
    if cleaning.menu(text):
        assert len(text.split()) >= 8 and not cleaning.menu(text + "。")
    texts = pd.Series([text], dtype=object)  # the default kind of text column cannot hold a lone surrogate
    assert cleaning.audit(texts)[0] == next((n for n, rule in cleaning.RULES.items() if rule(text)), "")


@settings(deadline=None)
@given(st.lists(st.text("优点:.com 好!\ud800", max_size=12), max_size=8))
def test_the_audit_balances(texts):
    frame = pd.DataFrame({"text": pd.Series(texts, dtype=object)})
    steps = {name: lambda rows, rule=rule: rows["text"].map(rule) for name, rule in cleaning.RULES.items()}
    kept, rejected, table = cleaning.funnel(frame, steps)
    reasons = cleaning.audit(frame["text"])
    assert len(kept) + len(rejected) == len(frame)
    assert kept.index.tolist() == reasons.index[reasons == ""].tolist()
    assert rejected["reason"].sort_index().equals(reasons[reasons != ""].rename("reason")) or rejected.empty
    assert table["removed"].tolist() == [(reasons == name).sum() for name in steps]
    assert table["rows_in"].tolist() == [len(frame), *table["rows_out"][:-1]]


@pytest.mark.parametrize(
    "text", ["a" * 50_000, "http://" * 10_000, "房间 " * 20_000], ids=["run", "addresses", "words"]
)
def test_rules_take_no_longer_than_a_text_deserves(text):
    start = time.perf_counter()
    for rule in cleaning.RULES.values():
        rule(text)
    assert time.perf_counter() - start < 10


@settings(deadline=None)
@given(st.lists(st.integers(0, 20), max_size=30), st.lists(st.integers(1, 7), min_size=1, max_size=5))
def test_funnel_loses_no_row(values, divisors):
    frame = pd.DataFrame({"value": values}, index=range(100, 100 + len(values)))
    steps = {f"divisible {i}": lambda rows, d=d: rows["value"] % d == 0 for i, d in enumerate(divisors)}
    kept, rejected, table = cleaning.funnel(frame, steps)
    assert sorted([*kept.index, *rejected.index]) == list(frame.index)
    assert list(table["step"]) == list(steps)
    assert (table["rows_in"] - table["removed"] == table["rows_out"]).all()
    assert [len(frame), *table["rows_out"]][:-1] == list(table["rows_in"])
    assert table["rows_out"].iloc[-1] == len(kept)
    # brute force: the first step whose divisor fits is the reason
    expected = {
        i: next((n for n, d in zip(steps, divisors, strict=True) if v % d == 0), None)
        for i, v in frame["value"].items()
    }
    assert rejected["reason"].to_dict() == {i: name for i, name in expected.items() if name}
    assert frame.loc[rejected.index, "value"].equals(rejected["value"])


def test_later_steps_see_only_what_earlier_ones_left():
    frame = pd.DataFrame({"text": ["a", "a", "b", "b"], "label": ["+", "-", "+", "+"]})
    conflict = lambda rows: rows.groupby("text")["label"].transform("nunique") > 1  # noqa: E731
    repeat = lambda rows: rows["text"].duplicated()  # noqa: E731
    first = cleaning.funnel(frame, {"conflict": conflict, "repeat": repeat})[0]
    second = cleaning.funnel(frame, {"repeat": repeat, "conflict": conflict})[0]
    assert first.index.tolist() == [2]
    assert second.index.tolist() == [0, 2]  # the conflict went unseen


@pytest.fixture(scope="module")
def reviews():
    frame = datasets.load("reviews_zh")
    return frame.assign(text=frame["text"].map(cleaning.normalise))


def test_the_menu_of_the_travel_site_stands_fifty_times(reviews):
    menu = reviews["text"].str.startswith("免费注册 网站导航") & reviews["text"].str.endswith("联系我们")
    assert menu.sum() == 50
    assert (cleaning.audit(reviews.loc[menu, "text"]) == "page menu").all()


def test_rules_take_few_reviews(reviews):
    counts = cleaning.audit(reviews["text"]).value_counts().to_dict()
    counts.pop("")
    assert counts == {"heading alone": 68, "page menu": 52, "one phrase repeated": 52, "web address": 9, "empty": 8}
