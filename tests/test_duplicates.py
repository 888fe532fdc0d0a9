"""Duplicates against brute force on small texts, cases worked by hand, and the facts measured on reviews_zh."""

import hashlib
import itertools
import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import distance

from helpers import cleaning, datasets, duplicates
from helpers.runner import studies

TEXTS = st.lists(st.text("ab好", max_size=9), max_size=12)


def shingles(text, n):
    return {text[i : i + n] for i in range(len(text) - n + 1)}


def jaccard(a, b, n):
    a, b = shingles(a, n), shingles(b, n)
    return len(a & b) / len(a | b) if a and b else 0.0


@settings(deadline=None)
@given(TEXTS, st.sampled_from([0.1, 0.5, 0.7, 1.0]), st.integers(1, 4), st.integers(1, 5))
def test_near_pairs_are_those_of_brute_force(texts, threshold, n, block):
    expected = {}
    for first, second in itertools.combinations(range(len(texts)), 2):
        value = jaccard(texts[first], texts[second], n)
        if value >= threshold:
            expected[first, second] = value
    found = duplicates.near_pairs(texts, threshold, n, block)
    assert [tuple(pair) for pair in found[["first", "second"]].to_numpy()] == sorted(expected)
    assert np.allclose(found["jaccard"], [expected[pair] for pair in sorted(expected)])


@pytest.mark.equation("5.2")
def test_near_pairs_by_hand():
    # shingles of two: abcd → ab bc cd; abce → ab bc ce; in common two of four
    assert 1 - distance.jaccard([1, 1, 1, 0], [1, 1, 0, 1]) == 0.5
    assert duplicates.near_pairs(["abcd", "abce", "xy"], 0.5, 2).to_dict("list") == {
        "first": [0],
        "second": [1],
        "jaccard": [0.5],
    }
    assert duplicates.near_pairs(["abcd", "abce", "xy"], 0.51, 2).empty


@settings(deadline=None)
@given(TEXTS, st.sampled_from([0.3, 0.7]), st.integers(1, 4))
def test_near_repeats_are_those_of_the_greedy_rule(texts, threshold, n):
    stays = []
    for i, text in enumerate(texts):
        if not any(jaccard(texts[j], text, n) >= threshold for j in stays):
            stays.append(i)
    frame = pd.DataFrame({"text": pd.Series(texts, dtype=str)}).rename(lambda i: i + 5)
    gone = duplicates.near_repeats(frame, threshold, n)
    assert gone.index.equals(frame.index)
    assert np.flatnonzero(~gone).tolist() == stays


@settings(deadline=None)
@given(TEXTS)
def test_families_are_the_components_of_brute_force(texts):
    n, threshold = 2, 0.5
    frame = pd.DataFrame({"text": pd.Series(texts, dtype=str)})
    family = list(range(len(texts)))

    def join(i, j):
        old, new = family[j], family[i]
        family[:] = [new if f == old else f for f in family]

    firsts = {}
    for i, text in enumerate(texts):
        join(firsts.setdefault(datasets.text_key(text), i), i)
    for i, j in itertools.combinations(firsts.values(), 2):
        if jaccard(texts[i], texts[j], n) >= threshold:
            join(i, j)
    found = duplicates.families(frame, threshold, n).tolist()
    for i, j in itertools.combinations(range(len(texts)), 2):
        assert (found[i] == found[j]) == (family[i] == family[j])


@settings(deadline=None, max_examples=50)
@given(TEXTS, st.sampled_from([0.3, 0.7]), st.integers(1, 3))
def test_halving_the_rows_changes_nothing(texts, threshold, n):
    frame = pd.DataFrame({"text": pd.Series(texts, dtype=str)})
    at_once = duplicates.near_repeats(frame, threshold, n), duplicates.families(frame, threshold, n)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(duplicates, "_few", lambda candidates, places: candidates <= 1)
        halved = duplicates.near_repeats(frame, threshold, n), duplicates.families(frame, threshold, n)
    assert all(a.equals(b) for a, b in zip(at_once, halved, strict=True))


LONG = "".join(chr(0x4E00 + i * i % 20_000) for i in range(100_000))
ODD = {
    "nothing": ["", "", ""],
    "one character": ["好", "好", "坏"],
    "very long": [LONG, LONG[:80_000], LONG[:60_000], LONG[::-1], "啊" * 100_000, "啊" * 50_000],
    "only emoji": ["😀😃😄😁😆😅", "😀😃😄😁😆😅🤣", "👨‍👩‍👧‍👦👍🏽", "👨‍👩‍👧‍👦👍🏾"],
    "right to left": ["الغرفة نظيفة جدا", "الغرفة نظيفة جداً", "החדר נקי מאוד", "החדר נקי מאוד!"],
    "lone surrogates": ["\ud83d\ude00abcdef", "\ud83d\ude00abcdefg", "😀abcdef", "\udfff" * 7, "\udfff" * 9],
    "null characters": ["\0" * 6, "\0" * 7, "a" + "\0" * 6],
    "all alike": ["房间很干净啊"] * 5,
}


@pytest.mark.parametrize("name", ODD)
def test_odd_texts(name):
    texts, n = ODD[name], 5
    values = {pair: jaccard(texts[pair[0]], texts[pair[1]], n) for pair in itertools.combinations(range(len(texts)), 2)}
    expected = {pair: value for pair, value in values.items() if value >= 0.6}
    found = duplicates.near_pairs(texts, 0.6, n)
    assert dict(zip(zip(found["first"], found["second"], strict=True), found["jaccard"], strict=True)) == expected
    frame = pd.DataFrame({"text": pd.Series(texts, dtype=object), "label": "+"})
    kept, rejected, _ = duplicates.clean(frame, 0.6, n)
    assert sorted([*kept.index, *rejected.index]) == list(frame.index)
    assert duplicates.families(frame, 0.6, n).nunique() <= frame["text"].nunique()
    assert duplicates.overlap(frame, frame).all()
    assert duplicates.ngram_overlap(frame, frame).eq(1).all()


@pytest.mark.parametrize("threshold", [0, -1, 1.01, float("nan")])
def test_threshold_out_of_range(threshold):
    with pytest.raises(ValueError, match="above 0 and at most 1"):
        duplicates.near_pairs(["abcdef"], threshold)


def test_bad_texts_and_lengths():
    with pytest.raises(ValueError, match="must be at least 1, got 0"):
        duplicates.near_pairs(["abc"], n=0)
    with pytest.raises(ValueError, match="must be a string, got None"):
        duplicates.near_pairs(["abc", None])


def test_short_texts_each_survive():
    frame = pd.DataFrame({"text": ["很好", "太差", "不错", "很好", "差"], "label": list("+-++-")})
    assert not duplicates.near_repeats(frame).any()
    assert duplicates.clean(frame)[0]["text"].tolist() == ["很好", "太差", "不错", "差"]


def test_repeats_and_conflicts_by_hand():
    texts = ["好！", "好", "ＯＫ", "ok.", "坏", "好", "！！", "??"]
    frame = pd.DataFrame({"text": texts, "label": list("+-++-+-+")}, index=list("abcdefgh"))
    assert duplicates.repeats(frame).to_dict() == dict(zip("abcdefgh", [0, 1, 0, 1, 0, 1, 0, 0], strict=True))
    assert duplicates.conflicts(frame).to_dict() == dict(zip("abcdefgh", [1, 1, 0, 0, 0, 1, 0, 0], strict=True))
    as_written = duplicates.conflicts(frame, key=str)
    assert as_written[as_written].index.tolist() == ["b", "f"]


DIFFERENT = [
    *("great service 😀", "great service 😡", "the score was 1.5 points", "the score was 15 points"),
    *("C++ developer", "C# developer", "चाय अच्छा था", "चाय अच्छी थी"),
]
HOTEL = "I would {}recommend this hotel to all of my friends and family without any doubt"


def test_signs_points_and_vowels_make_texts_of_their_own():
    frame = pd.DataFrame({"text": DIFFERENT, "label": list("abababab")})
    kept, rejected, _ = duplicates.clean(frame)
    assert not duplicates.conflicts(frame).any() and not duplicates.repeats(frame).any()
    assert rejected["reason"].to_dict() == {1: "near repeat, other label"}  # one face in fifteen characters
    assert kept.index.tolist() == [0, *range(2, 8)]


def test_a_near_repeat_with_the_other_label_is_shown_as_a_contradiction():
    texts = [HOTEL.format(""), HOTEL.format("not "), HOTEL.format("now "), HOTEL.format("not ") + "!", "short"]
    frame = pd.DataFrame({"text": texts, "label": list("+-++-")}, index=[7, 7, 8, 9, 4])  # an index need not be unique
    kept, rejected, table = duplicates.clean(frame)
    assert kept["text"].tolist() == [texts[0], "short"]
    # the text of the second row, with the other label and a "!", makes both a label conflict
    assert rejected["reason"].tolist() == ["label conflict", "label conflict", "near repeat"]
    kept, rejected, table = duplicates.clean(frame.iloc[[0, 1, 2, 4]])
    assert kept["text"].tolist() == [texts[0], "short"]
    assert rejected[["label", "reason"]].to_numpy().tolist() == [
        ["-", "near repeat, other label"],
        ["+", "near repeat"],
    ]
    assert table.set_index("step")["removed"].tail(2).to_dict() == {"near repeat, other label": 1, "near repeat": 1}


@settings(deadline=None, max_examples=50)
@given(TEXTS, st.data(), st.sampled_from([0.3, 0.7]), st.integers(1, 3), st.booleans())
def test_the_reason_looks_at_the_earliest_row_that_stays(texts, data, threshold, n, halved):
    labels = data.draw(st.lists(st.sampled_from("+-"), min_size=len(texts), max_size=len(texts)))
    stays, expected = [], []
    for i, text in enumerate(texts):
        near = [j for j in stays if jaccard(texts[j], text, n) >= threshold]
        stays += [] if near else [i]
        other = near and labels[near[0]] != labels[i]
        expected.append("near repeat, other label" if other else "near repeat" if near else "")
    frame = pd.DataFrame({"text": pd.Series(texts, dtype=str), "label": pd.Series(labels, dtype=str)})
    with pytest.MonkeyPatch.context() as patch:
        if halved:
            patch.setattr(duplicates, "_few", lambda candidates, places: candidates <= 1)
        assert duplicates.near_reasons(frame, threshold, n).tolist() == expected


def test_cleaning_exposes_nothing_that_was_masked():
    from helpers import own_data

    raw = pd.DataFrame({"text": ["write to jo&amp;#64;example.com please", "call &amp;#49;3812345678 now ok"]})
    prepared = own_data.prepare(raw["text"], True)
    assert prepared == ["write to [EMAIL] please", "call [PHONE] now ok"]
    assert duplicates.clean(raw.assign(text=prepared, label=["a", "b"]))[0]["text"].tolist() == prepared


def test_overlap_by_hand():
    train = pd.DataFrame({"text": ["房间很好", "太差"]})
    test = pd.DataFrame({"text": ["太差!!", "不错", "房间 很好"]}, index=[7, 8, 9])
    assert duplicates.overlap(train, test).to_dict() == {7: True, 8: False, 9: True}


@settings(deadline=None)
@given(TEXTS, TEXTS, st.integers(1, 4))
def test_ngram_overlap_is_that_of_brute_force(train, test, n):
    known = set().union(*(shingles(text, n) for text in train)) if train else set()
    expected = []
    for text in test:
        runs = [text[i : i + n] for i in range(len(text) - n + 1)]
        expected.append(sum(run in known for run in runs) / len(runs) if runs else float(text in train))
    frames = (pd.DataFrame({"text": pd.Series(texts, dtype=str)}) for texts in (train, test))
    assert np.allclose(duplicates.ngram_overlap(*frames, n, key=str), expected)


def test_clean_takes_conflicts_before_repeats():
    frame = pd.DataFrame({"text": ["一般", "一般", "优点：", "房间很干净", "房间很干净"], "label": list("+-+++")})
    kept, rejected, table = duplicates.clean(frame)
    assert kept.index.tolist() == [3]
    assert rejected["reason"].to_dict() == {
        2: "heading alone",
        0: "label conflict",
        1: "label conflict",
        4: "exact repeat",
    }
    steps = [*cleaning.RULES, "label conflict", "exact repeat", "near repeat, other label", "near repeat"]
    assert list(table["step"]) == steps


def test_clean_takes_an_empty_table():
    kept, rejected, table = duplicates.clean(
        pd.DataFrame({"text": pd.Series(dtype=str), "label": pd.Series(dtype=str)})
    )
    assert len(kept) == len(rejected) == table["removed"].sum() == 0


# ---- facts measured on reviews_zh by other means --------------------------------------------------------------------


@pytest.fixture(scope="module")
def reviews():
    return datasets.load("reviews_zh")


@pytest.fixture(scope="module")
def pairs(reviews):
    texts = reviews["text"].drop_duplicates().map(cleaning.normalise).tolist()
    return texts, duplicates.near_pairs(texts)


def bare(text):
    return "".join(c for c in unicodedata.normalize("NFKC", text) if unicodedata.category(c)[0] in "LN")


def test_exact_repeats_and_conflicts(reviews):
    assert duplicates.repeats(reviews, key=str).sum() == 17_713
    assert (~duplicates.repeats(reviews, key=bare)).sum() == 17_372
    assert (~duplicates.repeats(reviews)).sum() == 17_372 + 4  # five texts of punctuation alone stay apart
    contested = duplicates.conflicts(reviews, key=str)
    assert (contested.sum(), reviews.loc[contested, "text"].nunique()) == (225, 47)


def test_near_pairs_of_the_distinct_texts(pairs):
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import connected_components

    texts, found = pairs
    assert (len(texts), len(found)) == (17_410, 69)
    recomputed = [jaccard(texts[i], texts[j], 5) for i, j in found[["first", "second"]].to_numpy()]
    assert np.allclose(found["jaccard"], recomputed)
    graph = coo_matrix((np.ones(69), (found["first"], found["second"])), shape=(17_410, 17_410))
    assert 17_410 - connected_components(graph, directed=False)[0] == 65


@pytest.fixture(scope="module")
def cleaned(reviews):
    return duplicates.clean(reviews)


def test_cleaning_of_the_course(reviews, cleaned):
    kept, rejected, table = cleaned
    assert sorted([*kept.index, *rejected.index]) == list(reviews.index)
    assert table["removed"].sum() == len(rejected)
    assert len(kept) == 17_235
    near = rejected["reason"][rejected["reason"].str.startswith("near")].value_counts().to_dict()
    assert near == {"near repeat": 32, "near repeat, other label": 7}
    assert not duplicates.repeats(kept).any()
    assert not duplicates.conflicts(kept).any()
    assert duplicates.near_pairs(kept["text"].tolist()).empty


def test_readings_are_the_rows_drawn_from_the_cleaned_reviews(cleaned):
    readings = pd.read_csv(datasets.DATA / "reviews_zh_readings.csv")
    assert sorted(cleaned[0].sample(100, random_state=0).index) == readings["row"].tolist()


def test_edited_texts_that_were_read_are_the_sample_on_the_card(cleaned):
    readings = pd.read_csv(datasets.DATA / "reviews_zh_edited.csv")
    sample = cleaned[0][cleaned[0]["text"].str.len().between(10, 120)].sample(180, random_state=11)
    edits = ["delete", "swap", "insert", "replace", "drop span", "none"]
    assert dict(zip(sample.index, np.repeat(edits, 30), strict=True)) == dict(readings[["row", "edit"]].to_numpy())


def test_suspects_that_were_read_are_the_first_of_the_ranking():
    readings = pd.read_csv(datasets.DATA / "reviews_zh_suspects.csv").query("drawn == 'suspect'")
    found = studies.load("wrong_labels").query("question == 'top'")["top"].item()
    assert [f"{row}:{rank:.0f}" for row, rank in zip(readings["row"], readings["rank"], strict=True)] == found.split()


@pytest.mark.parametrize("part", ["readings", "suspects", "edited"])
def test_a_reading_is_the_file_that_its_card_names_and_the_card_says_what_read(part):
    card = datasets.card("reviews_zh")[part]
    assert "language model in two passes" in " ".join(card["what"].split())
    assert hashlib.sha256((datasets.DATA / card["file"]).read_bytes()).hexdigest() == card["sha256"]
