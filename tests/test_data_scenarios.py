"""The data of the scenarios, and instructions, against counts of the originals and the promises of their cards."""

import itertools
import json
import re

import pytest

from helpers import datasets
from helpers.datasets import split, text_key
from helpers.duplicates import families

TEXTS = ["interface_strings", "poems", "docs_qa", "dialogues", "instructions"]


@pytest.fixture(scope="module")
def tables():
    return {name: datasets.load(name) for name in TEXTS}


@pytest.mark.parametrize("name", TEXTS)
def test_no_value_is_missing_and_no_character_is_broken(tables, name):
    frame = tables[name]
    assert not frame.isna().any().any()
    for column in {"text", "target"} & set(frame):
        assert frame[column].str.strip().eq(frame[column]).all()
        assert frame[column].ne("").all()
        assert not frame[column].str.contains("\ufffd").any()
        known = 1 if column == "target" and name in ("interface_strings", "docs_qa") else 0  # both stand on the cards
        assert frame[column].str.contains(r"[\x00-\x08]").sum() == known


@pytest.mark.parametrize(
    ("name", "stratify"),
    [("interface_strings", "source"), ("docs_qa", None), ("dialogues", "label"), ("instructions", "task")],
)
def test_split_keeps_groups_apart(tables, name, stratify):
    frame = tables[name]
    part, keys = split(frame, stratify=stratify), frame["text"].map(text_key)
    for a, b in itertools.combinations(["train", "valid", "test"], 2):
        for key in (frame["group"], keys):
            assert not set(key[part == a]) & set(key[part == b])


def test_interface_strings(tables):
    frame = tables["interface_strings"]
    assert frame["source"].value_counts().to_dict() == {
        "jupyterlab": 3076,
        "oscar": 1700,
        "wagtail": 1377,
        "sphinx": 861,
        "django": 815,
        "cms": 479,
        "allauth": 372,
        "rest_framework": 139,
    }
    assert not frame.duplicated(["source", "text", "target"]).any()
    assert frame["target"].str.contains("[\u4e00-\u9fff]").all()
    jupyterlab = frame[frame["source"] == "jupyterlab"]
    assert jupyterlab.loc[jupyterlab["text"] == "Settings Editor", "target"].unique().tolist() == ["设置编辑器"]
    assert frame.loc[frame["placeholders"] == "%(name)s", "text"].str.contains("%(name)s", regex=False).all()


def test_groups_of_interface_strings_ignore_plural_case_and_punctuation(tables):
    frame = tables["interface_strings"]
    group = frame.drop_duplicates("text").set_index("text")["group"]
    assert group["Comments"] == group["Comment"]
    assert group["Search…"] == group["Search"]
    assert group["Redo"] != group["Undo"]
    assert (frame["group"] <= frame.index).all()


LINES = {"五言绝句": (4, 5), "七言绝句": (4, 7), "五言律诗": (8, 5), "七言律诗": (8, 7)}


def test_poems_have_the_form_on_their_label(tables):
    frame = tables["poems"]
    assert len(frame) == 29_805
    for label, (count, length) in LINES.items():
        lines = frame.loc[frame["label"] == label, "text"].map(lambda text: re.findall(r"[^，。？！；、\n]+", text))
        assert lines.map(len).eq(count).all()
        assert lines.explode().str.len().eq(length).all()
    assert set(frame["label"]) == {*LINES, "其他", "词"}
    assert frame["tune"].ne("").equals(frame["label"].eq("词"))
    dynasties = frame.groupby("source")["dynasty"].unique().map(list).to_dict()
    assert dynasties == {"全唐诗": ["唐"], "全宋诗": ["宋"], "全宋词": ["宋"]}


def test_poems_are_in_simplified_script(tables):
    frame = tables["poems"]
    assert not frame["text"].str.contains("[為風東國無長時來詩馬鳥魚車書]").any()
    spring = frame["text"].str.startswith("烟花零落过清明，异国光阴老客情。")
    assert frame.loc[spring, ["group", "label"]].to_numpy().tolist() == [["崔橹", "七言律诗"]]


def test_repeats_of_poems_are_flagged(tables):
    frame = tables["poems"]
    assert frame["repeat"].value_counts().to_dict() == {"": 28_000, "near": 1149, "exact": 656}
    assert frame["text"].map(text_key).duplicated().equals(frame["repeat"].eq("exact"))
    few = frame[frame["family"].isin(frame.loc[frame["repeat"] != "", "family"].unique()[:300])]
    again = families(few, threshold=0.6, n=3)
    assert few["family"].groupby(again).nunique().eq(1).all()
    assert again.groupby(few["family"]).nunique().eq(1).mean() > 0.98  # a chain may run over poems that were not drawn
    assert frame[frame["repeat"] == ""]["family"].is_unique


def test_docs_qa(tables):
    frame = tables["docs_qa"]
    assert len(frame) == 13_318
    assert frame["group"].nunique() == 16
    assert frame["group"].equals(frame["source"])
    question, answer = frame["text"].map(text_key), frame["target"].map(text_key)
    assert question.is_unique
    assert answer.is_unique
    assert not any(q in a for q, a in zip(question, answer, strict=True))
    assert frame["target"].str.len().between(80, 600).all()
    assert frame.groupby("source")["licence"].nunique().eq(1).all()
    ridder = frame.set_index("object").loc["scipy.optimize.ridder"]
    assert ridder["text"] == "Find a root of a function in an interval using Ridder's method."
    assert ridder["target"].startswith("Parameters f : function Python function returning a number.")


def test_dialogues(tables):
    frame = tables["dialogues"]
    assert frame.groupby("source").size().to_dict() == {"chinese": 467, "english": 2026}
    assert frame.groupby("source")["text"].nunique().to_dict() == {"chinese": 368, "english": 749}
    turns = frame["turns"].map(json.loads)
    assert turns.str[0].tolist() == frame["text"].tolist()
    assert turns.str[1].tolist() == frame["target"].tolist()
    support = frame[frame["label"] == "tech_support"]
    assert (len(support), support["text"].nunique()) == (1050, 10)
    assert frame.loc[frame["text"].str.contains("two little ducks"), "target"].tolist() == ["22"]
