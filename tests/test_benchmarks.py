"""The judge of benchmarks.duplicate_tools, on rows judged by hand, and the table that it stored."""

import sys

import pandas as pd
import pytest

from benchmarks import duplicate_tools

# ab is short: it repeats itself alone. The sets of 5-shingles of A, B and C are runs of the letters a … p:
# A has 12, B 10 of them and C 8 of those, so J(A, B) = 10/12, J(B, C) = 8/10, and J(A, C) = 8/12 < .7.
A, B, C = "abcdefghijklmnop", "abcdefghijklmn", "abcdefghijkl"
TEXTS = [A, "ab", B, "ab", C, "很好", "太差", "completely other"]


@pytest.fixture(scope="module")
def near():
    return duplicate_tools.same(TEXTS)


def test_same_by_hand(near):
    assert near[A] == {A, B}
    assert near[B] == {A, B, C}
    assert near[C] == {B, C}
    assert all(near[text] == {text} for text in ("ab", "很好", "太差", "completely other"))


@pytest.mark.parametrize(
    ("kept", "wrong", "extra"),
    [
        (range(8), [], [2, 3]),  # all: B repeats A and row 3 row 1; C repeats B alone, which does not stay
        ([0, 1, 4, 5, 6, 7], [], []),  # earliest first
        ([0, 1, 5, 6, 7], [4], []),  # the chain A–B–C taken for one cluster: nothing kept is near C
        ([2, 3, 5, 6, 7], [], []),  # the middle of the chain stands for all; the later copy is as good as the earlier
        ([0, 1, 2, 4, 5, 6, 7], [], [2]),
        ([0, 1, 4, 5, 7], [6], []),  # short texts taken for one
        ([7, 4, 3, 2, 1, 6, 5], [], [3, 4]),  # in any order; A went, B stays for it
        ([], list(range(8)), []),
    ],
)
def test_rows_judged_by_hand(near, kept, wrong, extra):
    assert duplicate_tools.wrongly_removed(TEXTS, kept, near) == wrong
    assert duplicate_tools.left_in(TEXTS, kept, near) == extra


def test_stored_table():
    """What needs no other tool is still so, and brute force is what the others are held to."""
    stored = pd.read_csv(duplicate_tools.STORED, dtype={"version": str})
    assert stored.columns.tolist() == duplicate_tools.COLUMNS
    assert set(stored["tool"]) == {"brute force", "helpers.duplicates", *duplicate_tools.TOOLS}
    assert (stored[["rows_left", "seconds"]] > 0).all(axis=None)
    live = duplicate_tools.table(duplicate_tools.sample(), {})
    counts = duplicate_tools.COLUMNS[2:6]
    pd.testing.assert_frame_equal(stored[counts].head(len(live)), live[counts])
    assert live.loc[live["tool"] == "brute force", ["wrongly_removed", "left_in"]].to_numpy().tolist() == [[0, 0]]


def test_a_failing_tool_is_named():
    with pytest.raises(RuntimeError, match="(?s)failed: .*No module named 'not_here'"):
        duplicate_tools.theirs(["很好"], sys.executable, "import not_here", "")
