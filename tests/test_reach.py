"""What a study depends on is read off its code."""

import ast
import shutil
from pathlib import Path

import pytest

from helpers.runner import paths, reach, studies

ONE = """
from helpers import two
from helpers.three import deep as far
from helpers.four import inner
other = studies.module("other")
LIMIT, (LOW, HIGH) = 1, (2, 3)


def run(seed):
    from helpers import five
    return two.used(LIMIT) + far() + five.late + inner.part.value + other.third.value + whole(inner)


def whole(module):
    return getattr(module, "part")


def never():
    return HIGH
"""
FILES = {
    "helpers/two.py": "def used(x):\n    return helper(x)\n\ndef helper(x):\n    return x\n\ndef unused():\n    pass\n",
    "helpers/three.py": "deep = 1\nshallow = 2\nprint(shallow)\n",
    "helpers/four/__init__.py": "from helpers.four import inner\n",
    "helpers/four/inner.py": "part = 1\nelse_ = 2\n",
    "helpers/five.py": "late = 1\nearly = 2\n",
    "studies/other.py": "third, fourth = studies.module('third'), studies.module('fourth')\n",
    "studies/third.py": "value = 1\n",
    "studies/fourth.py": "value = 1\n",
    "studies/one.py": ONE,
}


@pytest.fixture
def course(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_function_reaches_what_it_names_and_no_more(course):
    found = {(file, name) for file, name in reach.reached(course / "studies/one.py")}
    assert found == {
        ("studies/one.py", "run"),
        ("studies/one.py", "LIMIT"),
        ("studies/one.py", "whole"),
        ("helpers/two.py", "used"),
        ("helpers/two.py", "helper"),
        ("helpers/three.py", "deep"),
        ("helpers/three.py", "shallow"),  # named by the statement below
        ("helpers/three.py", ""),
        ("helpers/four/inner.py", "part"),
        ("helpers/four/inner.py", "else_"),  # the module is handed on as a value: all of it
        ("helpers/five.py", "late"),
        ("studies/third.py", "value"),
    }


def test_a_study_named_by_a_variable_is_refused(course):
    (course / "studies/one.py").write_text("def run(name):\n    return studies.module(name).value\n")
    with pytest.raises(ValueError, match="name the study by a literal"):
        reach.reached(course / "studies/one.py")


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The course's own code in another folder, to be edited."""
    for name in ("helpers", "studies", "pyproject.toml"):
        source = paths.root() / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stands():
    return {name: studies.stand(studies.module(name)) for name in studies.names()}


def edit(path, name, body):
    """Give a function of a file another docstring, or another body."""
    source = path.read_text(encoding="utf8")
    tree = ast.parse(source)
    function = next(node for node in tree.body if getattr(node, "name", "") == name)
    function.body = [
        ast.Expr(ast.Constant("Other words.")),
        *(function.body[1:] if body is None else ast.parse(body).body),
    ]
    path.write_text(ast.unparse(ast.fix_missing_locations(tree)), encoding="utf8")


def test_an_edit_makes_the_studies_stale_that_reach_it_and_no_other(copy):
    before = stands()
    edit(copy / "helpers/datasets.py", "text_key", None)  # its docstring
    assert stands() == before
    edit(copy / "helpers/datasets.py", "verify", "return 0")  # the data are hashed by their cards: read by `load`
    moved = {name for name, one in stands().items() if one != before[name]}
    assert moved == set(before)
    before = stands()
    edit(copy / "helpers/label_errors.py", "rater_doubt", "return 0")
    moved = {name for name, one in stands().items() if one != before[name]}
    assert moved == {"domains", "sentiment"} & moved and "sentiment" in moved
    edit(copy / "helpers/label_errors.py", "out_of_fold", "return 0")
    assert Path("studies/leakage.py").exists() and stands()["leakage"] == before["leakage"]


def test_no_study_reaches_what_only_notebooks_use(copy):
    before = stands()
    for name in ("kappa", "bootstrap"):
        source = copy / "helpers/evaluation.py"
        if f"def {name}(" in source.read_text(encoding="utf8"):
            edit(source, name, "return 0")
    (copy / "helpers/notebook.py").write_text("")
    (copy / "helpers/runner/run.py").write_text("")
    assert stands() == before
