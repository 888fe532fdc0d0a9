"""No order hangs on ties: the guard that refuses unstable sorts under test, and the sorts that it cannot reach."""

import ast
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers.runner import ties

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [path for folder in ties.OURS for path in sorted((ROOT / folder).rglob("*.py"))]
SOURCES += sorted((ROOT / "notebooks").glob("*.ipynb"))
SORTS = ("argsort", "argpartition", "sort_values", "sort_index")
# ---- under test, in this process and in kernels ---------------------------------------------------------------------


def ours(code, **names):
    """The value of an expression that stands in a study."""
    return eval(compile(code, str(ROOT / "studies" / "one.py"), "eval"), {"np": np, "pd": pd, **names})


FRAME = pd.DataFrame({"text": list("abcd"), "source": [1, 0, 1, 0]}, index=[5, 5, 6, 7])
TIED = {
    "np.argsort(frame['source'].to_numpy())": [1, 3, 0, 2],
    "np.argsort(-frame['source'].to_numpy(), axis=0)": [0, 2, 1, 3],
    "np.argpartition(frame['source'].to_numpy(), 2)": None,
    "frame.sort_values('source')": list("bdac"),
    "frame.sort_values(['source'], ascending=False)": list("acbd"),
    "frame.sort_values('text', key=lambda text: text.isin(['a', 'c']))": list("bdac"),
    "frame.sort_index()": list("abcd"),
    "frame['source'].sort_values()": [0, 0, 1, 1],
    "frame['source'].argsort()": [1, 3, 0, 2],
    "frame['text'].sort_index()": list("abcd"),
    "frame.index.argsort()": [0, 1, 2, 3],
    "np.argsort(a=frame['source'].to_numpy())": [1, 3, 0, 2],
    "np.ma.array([1, 0, 1, 0]).argsort()": [1, 3, 0, 2],
    "np.ma.argsort(np.ma.array([1, 0, 1, 0]))": [1, 3, 0, 2],
    "pd.Categorical(list('baba')).argsort()": [1, 3, 0, 2],
    "pd.array([1, 0, 1, 0]).argsort()": [1, 3, 0, 2],
    "pd.DataFrame.sort_values(self=frame, by='source')": list("bdac"),
    "frame.pipe(pd.DataFrame.sort_values, 'source')": list("bdac"),
}
MORE = {  # no kind can be said, or it stands by position
    "pd.MultiIndex.from_tuples([(1, 1), (0, 1), (1, 1)]).argsort()",
    "np.argsort([1, 0, 1], -1, 'quicksort')",
    "np.argsort(np.ma.array([3, 1, 2], mask=[True, False, True]))",
    "np.argsort([1, 0, 1], axis=None)",
}


@pytest.mark.parametrize("code", [*TIED, *sorted(MORE)])
def test_ties_are_refused(code):
    right = (
        "take the first places of a stable argsort" if "argpartition" in code else 'say kind="stable", or let the last'
    )
    with pytest.raises(RuntimeError, match=rf"^studies/one.py, line 1: \w+ meets ties, whose .*: {right}"):
        ours(code, frame=FRAME)


@pytest.mark.parametrize("code", [code for code, order in TIED.items() if order and "frame.index" not in code])
def test_a_stable_sort_passes(code):
    found = ours(code[:-1] + ("" if code.endswith("()") else ", ") + "kind='stable')", frame=FRAME)
    assert (found["text"] if isinstance(found, pd.DataFrame) else pd.Series(found)).tolist() == TIED[code]


@pytest.mark.parametrize(
    "code",
    [
        "np.argsort([3, 1, 2])",
        "np.argsort([[1, 2], [1, 2]])",  # along the last axis there are no ties
        "np.argpartition([3, 3, 1, 2], 1)",  # the two that are equal end up on one side
        "np.sort([1, 1, 0])",
        "np.lexsort([[1, 1, 0]])",
        "frame.sort_values('text')",
        "frame.sort_values(['source', 'text'])",
        "frame.iloc[1:].sort_index()",
        "frame['source'].sort_values(ignore_index=True)",
        "frame.index.sort_values()",
        "np.argsort(5)",
        "np.argsort([1, 0, 1], -1, 'stable')",
        "np.argsort([1, 0, 1], -1, 'mergesort')",
        "frame.index.argsort(-1, 'stable')",
        "pd.DataFrame.sort_values(self=frame, by='text')",
        "frame.pipe(pd.DataFrame.sort_values, 'text')",
        "pd.MultiIndex.from_tuples([(1, 1), (0, 1)]).argsort()",
    ],
)
def test_without_ties_any_sort_passes(code):
    ours(code, frame=FRAME)


def test_a_wrong_call_fails_by_itself():
    with pytest.raises(TypeError, match=r"argsort\(\).*'a'"):
        ours("np.argsort()")
    with pytest.raises(KeyError, match="nowhere"):
        ours("frame.sort_values('nowhere')", frame=FRAME)


def test_a_library_may_sort_as_it_likes():
    assert np.argsort([1, 1, 0])[0] == 2  # this file is no part of the course's code
    assert ours("frame.groupby('source')['text'].first().tolist()", frame=FRAME) == ["b", "a"]


def test_stable_by_design():
    """What needs no word in this version of pandas: equal counts and values stay in the order in which they come."""
    names = np.random.default_rng(0).permutation(500)
    assert pd.Series(names).value_counts().index.tolist() == names.tolist()
    assert pd.Series(names.astype(str)).value_counts().index.tolist() == names.astype(str).tolist()
    equal = pd.Series(np.tile([1.0, 2.0], 250), names)
    assert equal.nlargest(100).index.tolist() == names[1::2][:100].tolist()
    assert equal.nsmallest(500).index.tolist() == [*names[::2], *names[1::2]]
    assert equal.to_frame("x").nlargest(100, "x").index.tolist() == names[1::2][:100].tolist()
    assert equal.rank(method="first")[names[::2]].tolist() == list(range(1, 251))


def test_kernels_of_nbval_refuse_ties():
    """In a kernel with the profile that conftest.py makes, a cell that sorts its ties fails, and names its line."""
    from jupyter_client.manager import start_new_kernel

    manager, client = start_new_kernel()
    try:
        code = "import pandas as pd\ntable = pd.DataFrame({'a': [1, 1]})\ntable.sort_values('a')"
        reply = client.execute_interactive(code, output_hook=lambda _: None, timeout=60)["content"]
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
    assert reply["status"] == "error"
    assert reply["evalue"].startswith("a cell, line 3: sort_values meets ties")


# ---- in the source, methods of arrays too ---------------------------------------------------------------------------


def unstable(code):
    """Sorts in Python code that do not say kind="stable", as "line N: name"; argpartition has no stable kind."""
    nodes = list(ast.walk(ast.parse(code)))
    stable = {
        node.func
        for node in nodes
        if isinstance(node, ast.Call) and {"kind='stable'", "stable=True"} & set(map(ast.unparse, node.keywords))
    }
    named = [node for node in nodes if getattr(node, "attr", None) in SORTS and node not in stable]
    return [f"line {node.lineno}: {node.attr}" for node in named]


def findings(path):
    """The unstable sorts of a file; in a notebook the lines are those of the cell that is named."""
    text = path.read_text(encoding="utf8")
    if path.suffix == ".py":
        return unstable(text)
    code = {cell["id"]: "".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"}
    return [f"cell {key}, {one}" for key, source in code.items() for one in unstable(source)]


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("a.argsort()", ["line 1: argsort"]),
        ("\nb.sort_values('x', kind='quicksort')", ["line 2: sort_values"]),
        ("c.pipe(pd.DataFrame.sort_index)", ["line 1: sort_index"]),
        ("np.argpartition(d, 3)", ["line 1: argpartition"]),
        ("a.argsort(kind='stable'), np.argsort(a, stable=True), b.sort_values('x', kind='stable')", []),
        ("a.argsort(kind='stable').argsort()", ["line 1: argsort"]),
    ],
)
def test_finder(code, found):
    assert unstable(code) == found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_sort_is_stable(path):
    """Say kind="stable"; in place of argpartition take the first places of a stable argsort."""
    assert not findings(path)
