"""Data files, cards and splits against the facts measured on the originals."""

import hashlib
import itertools
import time

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from helpers import datasets
from helpers.datasets import DataError, split, text_key


@pytest.fixture(scope="module")
def reviews():
    return datasets.load("reviews_zh")


@pytest.fixture(scope="module")
def snippets():
    return datasets.load("snippets_en")


def test_reviews_are_what_their_card_says(reviews):
    assert len(reviews) == 35_123
    assert reviews["text"].nunique() == 17_410
    assert (reviews.groupby("text")["label"].nunique() > 1).sum() == 47
    contested = reviews.groupby("text")["label"].transform("nunique") > 1
    assert contested.sum() == 225
    assert reviews["label"].eq("negative").equals(reviews["source"].eq("neg.txt"))
    assert not reviews["text"].str.strip().ne(reviews["text"]).any()


def test_groups_of_reviews_are_the_texts_that_share_a_key(reviews):
    assert reviews["group"].nunique() == reviews["text"].map(text_key).nunique()
    assert (reviews["group"] == reviews.groupby(reviews["text"].map(text_key))["group"].transform("first")).all()


def test_snippets_are_what_their_card_says(snippets):
    assert snippets["source"].value_counts().to_dict() == {
        "film": 10_605,
        "editorials": 5_190,
        "tweets": 4_200,
        "amazon": 3_708,
    }
    others = snippets[snippets["source"] != "tweets"]
    assert np.allclose(others["ratings"].map(np.mean), others["score"], atol=1e-6)
    assert np.allclose(others["ratings"].map(np.std), others["spread"], atol=1e-4)
    assert snippets.loc[snippets["id"].eq("309_8") & snippets["source"].eq("amazon"), "group"].item() == "amazon/309"
    assert (np.sign(snippets["score"]) == snippets["label"].map({"positive": 1, "negative": -1, "neutral": 0})).all()


@pytest.mark.parametrize("name", datasets.names())
def test_card_describes_the_file(name):
    card, frame = datasets.card(name), datasets.load(name)
    assert card["rows"] == len(frame)
    assert set(card["columns"]) == set(frame.columns)
    assert {"title", "source", "licence", "flaws", "sha256"} <= set(card)
    assert hashlib.sha256((datasets.DATA / card["file"]).read_bytes()).hexdigest() == card["sha256"]


@pytest.fixture
def copied_data(tmp_path, monkeypatch):
    for path in datasets.DATA.glob("reviews_zh.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(datasets, "DATA", tmp_path)
    return tmp_path


def test_damaged_file_is_refused(copied_data):
    path = copied_data / "reviews_zh.csv.xz"
    raw = bytearray(path.read_bytes())
    raw[1000] ^= 1
    path.write_bytes(bytes(raw))
    with pytest.raises(DataError, match=r"reviews_zh.csv.xz is damaged.*restore it with"):
        datasets.load("reviews_zh")


def test_missing_file_and_unknown_name_are_refused(copied_data):
    (copied_data / "reviews_zh.csv.xz").unlink()
    with pytest.raises(DataError, match=r"reviews_zh.csv.xz is missing: restore it with"):
        datasets.load("reviews_zh")
    with pytest.raises(DataError, match="no data set named 'reviews'; there are reviews_zh"):
        datasets.load("reviews")


APART = {
    "Hindi": ["की", "का", "के", "कि", "क"],
    "Thai": ["ดี", "ดู", "ด", "ป่า", "ป้า"],
    "Bengali": ["কলা", "কালো"],
    "Tamil": ["கல்", "கால்"],
    "Burmese": ["မာ", "မား", "မ"],
    "Khmer": ["កា", "កី", "ក"],
    "Telugu": ["కల", "కాల", "కలి"],
    "Arabic": ["مدرسة", "مدرّسة"],
    "Hebrew": ["סֵפֶר", "סָפָר"],
    "emoji": ["great service 😀", "great service 😡", "great service", "great service 👍🏽", "great service 👍🏿"],
    "flags": ["🇩🇪", "🇫🇷"],
    "stars": ["★☆☆☆☆", "★★★★★"],
    "points": ["1.5 points", "15 points", "1,5 points", "1:5 points", "1/5 points", "1-5 points", "1~5 points"],
    "numbers apart": ["1 1/2 cups", "11/2 cups", "1 1 2 cups", "112 cups"],
    "numbers in a row": ["iPhone 5 5 stars", "iPhone 55 stars", "iPhone 5. 5 stars", "iPhone 5.5 stars"],
    "grades": ["B-", "B", "B+", "B*"],
    "grades in a sentence": ["I got a B- in maths", "I got a B in maths", "I got a B+ in maths"],
    "stars behind a number": ["5* hotel", "5 hotel", "5- hotel", "5+ hotel"],
    "hearts": ["</3", "<3"],
    "dotless": ["ılık", "ilik"],
    "spaced points": ["it was 3 : 0", "it was 30"],
    "below zero": ["-5 degrees", "5 degrees", "+5 degrees"],
    "languages": ["C++ developer", "C# developer", "C developer"],
    "signs": ["a < b", "a > b", "a = b", "a & b", "a b", "a @ b"],
    "prices": ["$5", "€5", "5%", "5‰", "5", "#5", "5°"],
    "currencies": ["¥100", "$100", "£100"],
}


@pytest.mark.parametrize("name", APART)
def test_what_says_something_counts_in_a_key(name):
    assert len(set(map(text_key, APART[name]))) == len(APART[name])


@pytest.mark.parametrize(
    "texts",
    [
        ("很好！", "很 好", "很好~~~", "很好～", "「很好」", "很\u3000好…", "很好\u200b", "\ufeff很好。。"),
        (
            "It's OK, fine",
            "its ok fine",
            "ＩＴＳ　ＯＫ　ＦＩＮＥ",
            "it´s ok; fine",
            "it’s (ok) fine ^_^",
            "its ok fine :(",
        ),
        ("covid-19", "COVID 19", "covid–19"),
        ("5-8", "5 – 8", "5—8", "5−8"),
        ("at -5 degrees", "at −5 degrees", "at (-5) degrees", "At\n–5 degrees"),
        ("- 5 rooms", "5 rooms", "——5 rooms", "* 5 rooms"),
        ("❤️", "❤", "❤!"),
        ("👨\u200d👩\u200d👧", "👨👩👧"),
        ("यह अच्छा है।", "यह अच्छा है"),
        ("می\u200cخواهم", "می خواهم"),
        ("J\u030cog", "ǰog"),
        ("1\u200b5", "15", "1\ufe0f5"),
        ("5 5", "5\n5", "5\u3000\t5", "５　５"),
        ("2*3", "2 * 3", "２＊３"),
        ("B- films", "b‐ films", "b\u2212 films"),
        ("good-", "good", "good -", "good*", "*good*"),
        ("wow *", "wow", "**wow**"),
        ("5-star", "5 star", "** 5-star"),
        ("İyi otel", "iyi otel", "IYI OTEL"),
        ("Straße", "STRASSE", "strasse"),
        ("ΟΔΟΣ", "οδος", "οδοσ"),
        ("-\u20605 °C", "-5 °C", "\u200b-\u200b5 °C", "-\ufe0f5 °C"),
        ("ab", "a\u034fb", "a\u3164b", "a\x00b"),
    ],
)
def test_what_only_parts_or_tunes_does_not(texts):
    assert len(set(map(text_key, texts))) == 1


def test_punctuation_alone_keeps_its_form():
    texts = ["！！", "…", "~~", " ? ", "：（", "\u200b？\u2060", "\u200b", "! )", "!  )"]
    assert [text_key(text) for text in texts] == ["!!", "...", "~~", "?", ":(", "?", "", "!)", "!)"]


PIECES = (
    "aAéßİΣςǅJ字각ᄀ\u1161ก\u0e34\u0e4cकी\u030c\u0301\u0316123½①٣.,:;/~!-–—−_+#%&@'´¨\"()^`$€°★* \u3000\t\n"
    "\u200b\u200d\u200c\ufe0f😀👍🏽\ud800゛ﬁ㎡…⁄\u034f\u0345"
)


@example("\u037a\u200f\u0301")
@example("\u00b4\u200b\u0f73")
@example("a B*- c")
@settings(deadline=None, max_examples=500)
@given(st.one_of(st.text(PIECES, max_size=12), st.text(max_size=12)))
def test_a_key_is_its_own_key(text):
    key = text_key(text)
    assert text_key(key) == key
    assert text_key(f" {text}\u3000") == key


@settings(deadline=None)
@given(
    st.text(PIECES, max_size=12), st.text(".,!?;:()~ \u3000\"'…", max_size=4), st.sampled_from(["ab", "好", "की", "😀"])
)
def test_punctuation_beside_a_letter_does_not_count(before, between, after):
    assert text_key(before + "好" + between + after) == text_key(before + "好" + after)


def test_keys_of_all_reviews_take_seconds(reviews):
    start = time.process_time()
    keys = reviews["text"].map(text_key)
    assert time.process_time() - start < 10
    assert keys.nunique() == 17_376


@pytest.mark.parametrize(
    ("name", "distinct"),
    [
        *(("dialogues", 1115), ("docs_qa", 13318), ("instructions", 61239), ("interface_strings", 7859)),
        *(("poems", 29149), ("snippets_en", 23449)),
    ],
)
def test_distinct_keys_of_the_courses_texts(name, distinct):
    assert datasets.load(name)["text"].map(text_key).nunique() == distinct


@pytest.mark.parametrize("name", ["reviews_zh", "snippets_en"])
@pytest.mark.parametrize("seed", range(2))
def test_no_text_and_no_group_on_two_sides(name, seed):
    frame = datasets.load(name)
    part = split(frame, seed=seed)
    for a, b in itertools.combinations(part.unique(), 2):
        left, right = frame[part == a], frame[part == b]
        assert not set(left["text"].map(text_key)) & set(right["text"].map(text_key))
        assert not set(left["group"]) & set(right["group"])
    shares = part.value_counts(normalize=True)
    assert abs(shares["train"] - 0.6) < 0.005
    assert abs(shares["test"] - 0.2) < 0.005
    rates = pd.crosstab(part, frame["label"], normalize="index")
    assert (rates.max() - rates.min()).max() < 0.005


def test_split_differs_by_seed_and_repeats_with_it(snippets):
    few = snippets.head(500)
    assert split(few, seed=1).equals(split(few, seed=1))
    assert not split(few, seed=1).equals(split(few, seed=2))


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 5), st.sampled_from("+-")), min_size=1, max_size=40),
    st.integers(0, 99),
)
def test_split_never_separates_what_belongs_together(rows, seed):
    frame = pd.DataFrame(rows, columns=["text", "group", "label"])
    try:
        part = split(frame, {"train": 0.5, "test": 0.5}, seed=seed)
    except DataError:
        return
    assert set(part) == {"train", "test"}
    for column in ("text", "group"):
        assert part.groupby(frame[column]).nunique().max() == 1


def test_split_joins_chains_of_text_and_group():
    frame = pd.DataFrame({"text": ["a", "a", "b", "c"], "group": [0, 1, 1, 2], "label": list("++--")})
    part = split(frame, {"train": 0.5, "test": 0.5})
    assert part[:3].nunique() == 1
    assert part[3] != part[0]


def test_split_refuses_what_cannot_be_split():
    frame = pd.DataFrame({"text": ["same"] * 9, "group": range(9), "label": ["a"] * 9})
    with pytest.raises(DataError, match="9 rows hold 1 separate texts or groups"):
        split(frame)
    with pytest.raises(DataError, match="must be positive and sum to 1"):
        split(frame, {"train": 0.9, "test": 0.2})
