"""Edits, neighbours, mixtures and copies: cases worked by hand, properties, brute force."""

from collections import Counter

import keras
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from helpers import augmentation

CHARACTERS = "房间很好不错差aT6 ，。\u200d\U0001f468\u0301\ud800ש\u200f"
TEXTS = st.lists(st.text(CHARACTERS, max_size=15), max_size=5)
LANGUAGE = st.sampled_from(["en", "zh"])
STRENGTH = st.sampled_from([0.0, 0.1, 0.5, 1.0])
EDITS = pytest.mark.parametrize("name", augmentation.EDITS)


def is_part(short, long):
    """Whether the units of short stand in long in that order."""
    rest = iter(long)
    return all(unit in rest for unit in short)


@given(st.text(CHARACTERS, max_size=20))
def test_units_lose_nothing(text):
    assert "".join(augmentation.units(text, "zh")) == text
    assert augmentation.units(text, "en") == text.split()


def test_units_by_hand():
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    assert augmentation.units(f"Café T60{family}\u2764\ufe0f👍🏽好 ", "zh") == [
        *("Caf", "é", " ", "T60", family, "\u2764\ufe0f", "👍🏽", "好", " ")
    ]
    assert augmentation.units("cafe\u0301!", "zh") == ["cafe\u0301", "!"]


@EDITS
@settings(deadline=None, max_examples=50)
@given(TEXTS, LANGUAGE, STRENGTH, st.integers(1, 3), st.integers(0, 99))
def test_every_edit(name, texts, language, strength, copies, seed):
    edit = augmentation.EDITS[name]
    edited = edit(texts, language, strength=strength, copies=copies, seed=seed)
    assert edited == edit(texts, language, strength=strength, copies=copies, seed=seed)
    assert len(edited) == copies * len(texts)
    # neither other copies nor the order of the rows matters
    assert edit(texts, language, strength=strength, seed=seed) == edited[::copies]
    backwards = edit(texts[::-1], language, strength=strength, copies=copies, seed=seed)
    blocks = [edited[i * copies : (i + 1) * copies] for i in range(len(texts))]
    assert [backwards[i * copies : (i + 1) * copies] for i in range(len(texts))] == blocks[::-1]
    vocabulary = {unit for text in texts for unit in augmentation.units(text, language)}
    for text, block in zip(texts, blocks, strict=True):
        old = augmentation.units(text, language)
        for new in block:
            if strength == 0 or not old:
                assert new == augmentation.JOINT[language].join(old)
            elif language == "en":  # words can be told apart again
                changed(name, old, new.split(), strength, vocabulary)


def changed(name, old, new, strength, vocabulary):
    times = max(1, round(strength * len(old)))
    if name == "delete":
        assert is_part(new, old) and len(new) >= 1
        assert strength < 1 or len(new) == 1
    elif name == "swap":
        assert Counter(new) == Counter(old)
        assert sum(a != b for a, b in zip(old, new, strict=True)) <= 2 * times
    elif name == "insert":
        assert is_part(old, new) and len(new) == len(old) + times and set(new) == set(old)
    elif name == "replace":
        assert len(new) == len(old) and set(new) <= vocabulary
    elif name == "drop span":
        gone = min(times, len(old) - 1)
        assert new in [old[:i] + old[i + gone :] for i in range(len(old) - gone + 1)]
    else:
        raise AssertionError(f"{name} is not tested")


def test_a_text_is_edited_alike_wherever_it_stands():
    for name, edit in augmentation.EDITS.items():
        if name != "replace":  # it draws on the other texts
            assert edit(["one two three", "four five six"], "en", seed=3)[1:] == edit(["four five six"], "en", seed=3)


@EDITS
def test_seeds_and_copies_differ(name):
    text = " ".join(map(str, range(2_000)))
    edit = augmentation.EDITS[name]
    versions = edit([text], "en", copies=3, seed=0) + edit([text], "en", copies=3, seed=1)
    assert len(set(versions)) == 6 and text not in versions


def test_deletion_and_replacement_are_as_frequent_as_asked():
    text = " ".join(map(str, range(20_000)))
    assert len(augmentation.delete([text], "en", strength=0.3)[0].split()) == pytest.approx(14_000, abs=300)
    new = augmentation.replace([text], "en", strength=0.3)[0].split()
    assert sum(a != b for a, b in zip(text.split(), new, strict=True)) == pytest.approx(6_000, abs=300)


def test_replacement_draws_words_as_often_as_they_stand():
    texts = ["a a a b"] * 2_000
    drawn = Counter(" ".join(augmentation.replace([*texts, "c " * 8_000], "en", strength=1.0)[:2_000]).split())
    # the same text is always edited alike, so this is one draw of four; the long one shows the shares
    assert sum(drawn.values()) == 8_000 and len(drawn) <= 4
    shares = Counter(augmentation.replace([*texts, "c " * 8_000], "en", strength=1.0)[-1].split())
    assert shares["a"] == pytest.approx(8_000 * 6 / 16, abs=200)
    assert shares["b"] == pytest.approx(8_000 * 2 / 16, abs=150)


@EDITS
@pytest.mark.parametrize("text", ["", "好", "😀" * 50, "\ud800\udfff", "שלום\u200f עולם", "好a" * 50_000])
def test_odd_texts(name, text):
    edited = augmentation.EDITS[name]([text, "很好"], "zh", copies=2)
    assert len(edited) == 4 and all(isinstance(new, str) for new in edited)
    assert bool(edited[0]) == bool(text)


@EDITS
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"strength": -0.1}, "strength is a share of the units, from 0 to 1, got -0.1"),
        ({"strength": float("nan")}, "strength is a share"),
        ({"copies": 0}, "copies is a whole number of at least 1, got 0"),
        ({"copies": 1.5}, "copies is a whole number"),
        ({"language": "fr"}, "language is 'fr': take 'en' or 'zh'"),
        ({"texts": ["好", None]}, "each text must be a str, and one is a NoneType"),
    ],
)
def test_what_an_edit_refuses(name, bad, message):
    with pytest.raises(ValueError, match=message):
        augmentation.EDITS[name](**{"texts": ["好"], "language": "zh", **bad})


# ---- frames ---------------------------------------------------------------------------------------------------------


def rows(n=6):
    texts = [f"row {i} is a text" for i in range(n)]
    return pd.DataFrame(
        {"text": texts, "label": list("++++--")[:n], "group": range(n)}, index=range(10, 10 + n)
    ).rename_axis("row")


def test_augment_keeps_rows_and_names_their_origin():
    frame = rows()
    more = augmentation.augment(frame, augmentation.insert, "en", copies=2, seed=5)
    pd.testing.assert_frame_equal(more.loc[frame.index, frame.columns], frame)
    assert more.index.tolist() == list(range(10, 28)) and more.index.name == "row"
    added = more.drop(frame.index)
    assert added["origin"].tolist() == [i for i in frame.index for _ in range(2)]
    assert added["text"].tolist() == augmentation.insert(frame["text"], "en", copies=2, seed=5)
    source = frame.loc[added["origin"], ["label", "group"]]
    np.testing.assert_array_equal(added[["label", "group"]], source)
    # what is made of a row does not depend on the others' order
    mixed = augmentation.augment(frame.sample(frac=1, random_state=0), augmentation.insert, "en", copies=2, seed=5)
    assert sorted(mixed[["origin", "text"]].values.tolist()) == sorted(more[["origin", "text"]].values.tolist())


def test_origin_leads_back_through_any_number_of_edits():
    frame = rows()
    twice = frame.pipe(augmentation.augment, augmentation.swap, "en").pipe(augmentation.oversample)
    assert set(twice["origin"]) == set(frame.index)
    assert (twice["group"] == twice["origin"] - 10).all()


@pytest.mark.parametrize(
    "enlarge", [lambda f: augmentation.augment(f, augmentation.swap, "en"), augmentation.oversample]
)
def test_only_training_rows_are_enlarged(enlarge):
    frame = rows().assign(part="train")
    assert len(enlarge(frame)) > len(frame)
    with pytest.raises(ValueError, match="the frame holds rows of the part test, valid"):
        enlarge(frame.assign(part=["train", "test", "valid", "train", "test", "train"]))
    with pytest.raises(ValueError, match="rows of the part nan"):
        enlarge(frame.assign(part=["train"] * 5 + [None]))
    with pytest.raises(ValueError, match="a distinct whole number, for each row"):
        enlarge(frame.set_axis([1, 1, 2, 3, 4, 5]))
    with pytest.raises(ValueError, match="a distinct whole number, for each row"):
        enlarge(frame.set_axis(list("abcdef")))
    assert enlarge(frame.iloc[:0]).empty


def test_lone_surrogates_pass_through_a_column_of_objects():
    frame = pd.DataFrame({"text": pd.Series(["\ud800 a", "b"], dtype=object), "label": ["+", "-"]})
    more = augmentation.augment(frame, augmentation.swap, "en")
    assert more["text"].tolist()[2] in ("\ud800 a", "a \ud800")


@given(st.lists(st.sampled_from("abc"), max_size=25), st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_oversampling_balances(labels, seed):
    frame = pd.DataFrame(
        {"text": pd.Series(map(str, range(len(labels))), dtype=str), "label": pd.Series(labels, dtype=str)}
    )
    more = augmentation.oversample(frame, seed=seed)
    largest = max(Counter(labels).values(), default=0)
    assert Counter(more["label"]) == dict.fromkeys(labels, largest)
    assert more.index.is_unique
    assert more["text"].tolist() == more["origin"].astype(str).tolist()
    for _, members in more.groupby("label"):
        times = Counter(members["origin"])
        assert max(times.values()) - min(times.values()) <= 1
    pd.testing.assert_frame_equal(more, augmentation.oversample(frame, seed=seed))


def test_oversampling_refuses_missing_labels():
    with pytest.raises(ValueError, match="1 rows have no label"):
        augmentation.oversample(rows().assign(label=["+", None, "-", "+", "-", "+"]))


# ---- vectors --------------------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(st.integers(0, 50), st.integers(1, 3))
def test_neighbours_are_those_of_brute_force(seed, k):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(8, 30))
    vectors = rng.integers(-1, 2, size=(n, 4)) + np.array([0, 0, 0, 3])  # many identical rows and ties
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = np.repeat(["+", "-"], [4, n - 4])
    found = augmentation.neighbours(vectors, labels, k)
    assert found.shape == (n, k)
    for i in range(n):
        others = [j for j in range(n) if labels[j] == labels[i] and j != i]
        assert len({i, *found[i]}) == k + 1 and set(found[i]) <= set(others)
        nearest = sorted(vectors[others] @ vectors[i], reverse=True)[:k]
        np.testing.assert_allclose(vectors[found[i]] @ vectors[i], nearest, atol=1e-12)


def test_neighbours_by_hand():
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [1, 0], [1, 0]])
    assert augmentation.neighbours(vectors, list("aaabb"), 1).tolist() == [[1], [2], [1], [4], [3]]
    assert augmentation.neighbours(np.eye(3, dtype=int), [0, 0, 0], 2).tolist() == [[1, 2], [0, 2], [0, 1]]  # all ties


def test_neighbours_span_blocks():
    angles = np.linspace(0, 1, 2_500, dtype=np.float32)  # neighbours on an arc
    found = augmentation.neighbours(
        np.c_[np.cos(200 * angles / 70), np.sin(200 * angles / 70)].astype(float), np.zeros(2_500)
    )
    assert (np.abs(found[:, 0] - np.arange(2_500)) == 1).all()


@pytest.mark.parametrize(
    ("vectors", "labels", "k", "message"),
    [
        (np.eye(4), list("aaab"), 1, "'b' has 1 rows; got 1"),
        (np.eye(4), list("aabb"), 2, "k must lie between 1 and 1"),
        (np.eye(4), list("aaaa"), 4, "k must lie between 1 and 3"),
        (np.eye(4), list("aaaa"), 0, "k must lie between 1 and 3"),
        (2 * np.eye(4), list("aaaa"), 1, "rows of length 1"),
        (np.eye(4) * np.nan, list("aaaa"), 1, "rows of length 1"),
        (np.eye(4), list("aaa"), 1, r"got \(4, 4\) and \(3,\)"),
    ],
)
def test_what_neighbours_refuses(vectors, labels, k, message):
    with pytest.raises(ValueError, match=message):
        augmentation.neighbours(vectors, labels, k)


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(0, 99), st.sampled_from([0.1, 1.0, 8.0]))
def test_mixup_mixes_two_rows_and_their_labels_alike(n, seed, alpha):
    classes = np.arange(n) % 3
    onehot = np.eye(3, dtype=np.float32)[classes]
    vectors = np.eye(n, dtype=np.float32)  # the mixture shows its rows and their shares
    mixed, targets = augmentation.mixup(vectors, onehot, alpha=alpha, seed=seed)
    assert mixed.dtype == targets.dtype == np.float32
    assert ((mixed > 0).sum(axis=1) <= 2).all()
    np.testing.assert_allclose(mixed.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(targets, mixed @ onehot, atol=1e-6)
    assert (((mixed > 0) & ~np.eye(n, dtype=bool)).sum(axis=0) <= 1).all()  # each row is the partner of one
    again = augmentation.mixup(vectors, onehot, alpha=alpha, seed=seed)
    np.testing.assert_array_equal(mixed, again[0])


def test_mixup_with_partners_by_hand():
    vectors, targets = np.array([[0.0], [10.0], [20.0]]), np.array([[1, 0], [0, 1], [0, 1]])
    mixed, soft = augmentation.mixup(vectors, targets, partners=[2, 1, 1], seed=0)
    share = soft[0, 0]  # of row 0 in its mixture with row 2
    assert 0 < share < 1
    np.testing.assert_allclose(mixed[:2], [[20 * (1 - share)], [10]])
    np.testing.assert_allclose(soft, [[share, 1 - share], [0, 1], [0, 1]])
    assert 10 < mixed[2, 0] < 20


@pytest.mark.parametrize(("alpha", "variance"), [(0.2, 1 / (4 * 1.4)), (1.0, 1 / 12), (5.0, 1 / (4 * 11))])
def test_mixup_draws_from_beta(alpha, variance):
    n = 20_000  # Beta(α, α) has mean 1/2 and variance 1 / (4 (2α + 1))
    shares = augmentation.mixup(np.ones((n, 1)), np.ones((n, 1)), alpha=alpha, partners=np.zeros(n, int))[0]
    np.testing.assert_allclose(shares, 1)  # a row mixed with its like is itself
    vectors = np.r_[0.0, np.ones(n - 1)][:, None]
    share = augmentation.mixup(vectors, vectors, alpha=alpha, partners=np.zeros(n, int))[0][1:, 0]
    assert share.mean() == pytest.approx(0.5, abs=0.01)
    assert share.var() == pytest.approx(variance, rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"alpha": 0}, "alpha must be greater than 0, got 0"),
        ({"alpha": float("nan")}, "alpha must be"),
        ({"targets": [0, 1]}, "one-hot targets"),
        ({"vectors": np.eye(3)}, r"got \(3, 3\) and \(2, 2\)"),
        ({"partners": [0]}, "partners must name one row for each of 2"),
    ],
)
def test_what_mixup_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        augmentation.mixup(**{"vectors": np.eye(2), "targets": np.eye(2), **arguments})


# ---- the equations of notebook 07 -----------------------------------------------------------------------------------


@pytest.mark.equation("7.1")
def test_mixup_is_its_equation():
    x, other = np.array([[0.0, 10.0], [20.0, 0.0]])
    np.testing.assert_allclose(0.25 * x + 0.75 * other, [15, 2.5])
    mixed, target = augmentation.mixup(np.stack([x, other]), np.eye(2), partners=[1, 0], seed=4)
    for row, (first, second), share in zip(mixed, [(x, other), (other, x)], np.diag(target), strict=True):
        np.testing.assert_allclose(row, share * first + (1 - share) * second)
    n = 5_000  # a 1 mixed with a 0 is its λ
    rows = np.r_[np.zeros((1, 1)), np.ones((n, 1))]
    shares = augmentation.mixup(rows, rows, alpha=0.4, partners=np.zeros(n + 1, int), seed=1)[0][1:, 0]
    assert stats.kstest(shares, stats.beta(0.4, 0.4).cdf).pvalue > 0.01


@pytest.mark.equation("7.2")
def test_a_weight_is_as_many_repeats():
    """Four negative rows and one positive: to weigh the one 4 is to have it 4 times."""
    frame = pd.DataFrame({"text": list("abcde"), "label": list("----+"), "score": [0.0, 1.0, -1.0, 2.0, 0.0]})
    more = augmentation.oversample(frame)
    weights = np.array([1, 1, 1, 1, 4.0])
    loss = [np.log1p(np.exp(score)) for score in (0, 1, -1, 2)]  # of a row labelled −, and of + at score 0: log 2
    by_hand = sum(loss) + 4 * np.log(2)
    assert by_hand == pytest.approx(0.693147 + 1.313262 + 0.313262 + 2.126928 + 2.772589, abs=2e-6)
    cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True, reduction="sum")
    for table, weight in ((frame, weights), (more, None)):
        truth, score = ((table["label"] == "+").to_numpy("float32"), table["score"].to_numpy("float32"))
        assert float(cross_entropy(truth[:, None], score[:, None], sample_weight=weight)) == pytest.approx(
            by_hand, rel=1e-5
        )
