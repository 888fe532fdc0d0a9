"""data/instructions: counts of its card, marks of tldr-pages all gone, both directions the same pairs, pages whole."""

import importlib.util
import re

import pandas as pd
import pytest

from helpers import datasets

SENTENCE = re.compile(r"Write a shell command that uses `([^`]+)`: (.+)")
QUESTION = "What does this shell command do?\n\n"


@pytest.fixture(scope="module")
def frame():
    return datasets.load("instructions")


@pytest.fixture(scope="module")
def pairs(frame):
    """One row a pair, read from the rows of task command, with the program, the description and the command apart."""
    asked = frame[frame["task"] == "command"]
    parts = asked["text"].map(lambda text: SENTENCE.fullmatch(text).groups())
    columns = asked[["page", "platform", "group", "repeat"]]
    return columns.assign(program=parts.str[0], description=parts.str[1], command=asked["target"])


@pytest.fixture(scope="module")
def build():
    specification = importlib.util.spec_from_file_location("build", datasets.DATA / "build.py")
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


# --- what the card says -----------------------------------------------------------------------------------------------


def test_pages_and_pairs(frame, pairs):
    assert len(frame) == 62_442 and len(pairs) == 31_221
    assert frame["task"].tolist() == ["command", "description"] * len(pairs)
    assert pairs["platform"].value_counts().to_dict() == {"common": 21_571, "linux": 8646, "osx": 1004}
    assert pairs["page"].nunique() == 7075
    assert pairs.groupby("page").size().agg(["min", "max"]).tolist() == [1, 20]
    assert set(frame["source"]) == {"tldr"} and set(frame["licence"]) == {"CC-BY-4.0"}


def test_both_directions_hold_the_same_pairs(frame, pairs):
    back = frame[frame["task"] == "description"]
    assert back["text"].str.startswith(QUESTION).all()
    assert back["text"].str.removeprefix(QUESTION).tolist() == pairs["command"].tolist()
    assert back["target"].tolist() == pairs["description"].tolist()
    for column in ("page", "platform", "group"):
        assert back[column].tolist() == pairs[column].tolist()


def test_marks_are_gone(pairs):
    assert not pairs["description"].str.contains(r"\[[A-Za-z0-9]\]|\{\{|\}\}").any()
    assert not pairs["command"].str.contains(r"\{\{\[|\\\{\\\{|\\\}\\\}|\[--?\w[\w-]*\|--").any()
    braces = pairs.loc[pairs["command"].str.contains(r"\{\{|\}\}"), "command"]
    assert len(braces) == 29  # braces of the command itself: JSON, EDN, and templates
    assert braces.str.contains(r"\{\{").sum() == 17 and "docker inspect --format '{{.LogPath}}' container" in set(
        braces
    )


def test_the_program_is_named_as_commands_write_it(pairs):
    program = pairs.drop_duplicates("page").set_index("page")["program"]
    pages = ["git-cherry-pick", "pacman-sync", "apt-get", "vboxmanage-list", "tar", "just.1", "."]
    assert program[pages].tolist() == ["git cherry-pick", "pacman", "apt-get", "VBoxManage list", "tar", "just", "."]
    own = pairs[(pairs["page"] == pairs["group"]) & (pairs["repeat"] != "pointer")]
    words = own.groupby("page")["command"].agg(" ".join).str.lower()
    unseen = [page for page, text in words.items() if f" {program[page].lower()} " not in f" {text} "]
    assert len(unseen) == 47 and [page for page in unseen if program[page] != page] == []


def test_alias_pages_go_with_the_page_they_point_to(pairs):
    pages = pairs.drop_duplicates("page").set_index("page")["group"]
    assert pages.ne(pages.index).sum() == 633 and pages.nunique() == 6442
    for alias, page in {
        "arch": "uname",
        "gnuarch": "uname",
        "egrep": "grep",
        "docker-run": "docker-container-run",
    }.items():
        assert pages[alias] == page
    assert pages[pages.unique()].eq(pages.unique()).all()  # the end of the chain


def test_repeats_are_flagged(frame):
    counts = frame.groupby(["task", "repeat"]).size().unstack()[["", "exact", "pointer", "prompt"]]
    assert counts.loc["command"].tolist() == [30_288, 101, 760, 72]
    assert counts.loc["description"].tolist() == [29_757, 409, 598, 457]
    assert frame.duplicated(["text", "target"]).equals(frame["repeat"] == "exact")
    assert frame.loc[frame["repeat"] == "", "text"].is_unique
    assert (
        frame.loc[frame["repeat"] == "pointer", ["text", "target"]].agg("\n".join, axis=1).str.contains("tldr ").all()
    )
    assert not frame.loc[frame["repeat"] == "", "target"].str.startswith("View documentation for the original").any()


def test_flaws_are_counted(frame, pairs):
    views = pairs["description"].value_counts()
    said = [views[f"View documentation for the {what} command"] for what in ("original", "current")]
    assert said == [562, 33] and (views["Display help"], views["Display version"]) == (787, 221)
    commands = pairs.groupby("description")["command"].transform("nunique")
    assert (commands > 1).sum() == 4237
    asked, answers = pairs.groupby(["program", "description"]), pairs.groupby("command")
    assert (asked["command"].nunique() > 1).sum() == 69 and (asked["command"].transform("nunique") > 1).sum() == 143
    assert (answers["description"].nunique() > 1).sum() == 369
    assert pairs["command"].str.startswith("<").sum() == 357
    assert pairs["description"].str.startswith("[Interactive]").sum() == 141
    absent = [program not in command for program, command in zip(pairs["program"], pairs["command"], strict=True)]
    assert (pd.Series(absent, pairs.index) & (pairs["repeat"] == "")).sum() == 888


def test_twins_on_other_pages_are_counted(frame, pairs):
    clean = pairs[pairs["repeat"] == ""]
    bare = [command.replace(program, "…") for program, command in zip(clean["program"], clean["command"], strict=True)]
    twin = pd.Series(list(zip(clean["description"], bare, strict=True)), clean.index)
    assert (clean["group"].groupby(twin).transform("nunique") > 1).sum() == 2180
    part = datasets.split(frame, stratify=None)[clean.index]
    assert 0.05 < twin[part == "test"].isin(set(twin[part == "train"])).mean() < 0.07


# --- how it was made --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("tar {{[-x|--extract]}} {{[-f|--file]}} {{path/to/file.tar}}", "tar --extract --file path/to/file.tar"),
        ("docker {{[ps|container ls]}} --format '\\{\\{.ID\\}\\}'", "docker container ls --format '{{.ID}}'"),
        ("feh {{path/to/image|url}} {{a|b}}", "feh path/to/image a"),
        ("echo ${{{array[@]}}}", "echo ${array[@]}"),
        ('aws --key \'{{{"ID": {"N": "1"\\}\\}}}\'', 'aws --key \'{"ID": {"N": "1"}}\''),
        ("net use {{domain}}\\{{user}}", "net use domain\\user"),
        ("watch '{{make | sed 10q}}'", "watch 'make | sed 10q'"),
        ("grep '{{^ca(t|r)$}}' | sort", "grep '^ca(t|r)$' | sort"),
        ("agate {{[::]:1965}}", "agate [::]:1965"),
        ("cut -d '{{|}}'", "cut -d '|'"),
    ],
)
def test_marks_of_a_command(build, marked, plain):
    assert build.unmarked_command(marked) == plain


@pytest.mark.parametrize(
    ("marked", "plain"),
    [
        ("[c]reate a `g[z]ipped` archive", "create a `gzipped` archive"),
        ("Test if it is [eq]ual/[n]ot [e]qual", "Test if it is equal/not equal"),
        ("Delete ([x]) job files", "Delete job files"),
        ("Bind `host[port]` and `[FILE]`", "Bind `host[port]` and `[FILE]`"),
        ("[Interactive] Quit", "[Interactive] Quit"),
    ],
)
def test_marks_of_a_description(build, marked, plain):
    assert build.unmarked_description(marked) == plain
