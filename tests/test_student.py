"""The student edition holds everything but the solutions, and its checkers ask for an answer."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

from helpers.runner import checks, cli, parameters, student
from helpers.runner.paths import Refused

NOTEBOOKS = list(parameters.notebooks().values())


def read(path):
    return v4.reads(path.read_text(encoding="utf8"))


def names(cell, context):
    """The names that a cell binds (ast.Store) or uses (ast.Load)."""
    nodes = list(ast.walk(checks.parsed(cell)))
    found = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, context)}
    if context is ast.Store:
        found |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
        found |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        found |= {a.asname or a.name for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names}
    return found


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_everything_but_the_solutions_stays(path):
    before, after = read(path), student.edition(read(path))
    nbformat.validate(after)
    assert checks.tagged(before, "solution") and not checks.tagged(after, "solution")
    exercises = checks.exercises(after).values()
    for part in exercises:
        assert part["solution"] is None
        assert part["checker"].outputs == part["stub"].outputs == []
        assert part["checker"].execution_count is part["stub"].execution_count is None
    emptied = [part[kind].id for part in exercises for kind in ("stub", "checker")]
    kept = {cell.id: cell for cell in after.cells}
    assert list(kept) == [cell.id for cell in before.cells if "solution" not in cell.metadata.get("tags", [])]
    assert kept[before.cells[0].id].source == before.cells[0].source + student.NOTE
    for cell in before.cells[1:]:
        if cell.id in kept and cell.id not in emptied:
            assert kept[cell.id].source == cell.source
            assert [o.get("data", o.get("text")) for o in kept[cell.id].get("outputs", [])] == [
                o.get("data", o.get("text")) for o in cell.get("outputs", [])
            ]
    counts = [cell.execution_count for cell in checks.code(after) if cell.id not in emptied]
    assert counts == list(range(1, len(counts) + 1))


def test_the_source_stays_as_it_is():
    before, again = read(NOTEBOOKS[0]), read(NOTEBOOKS[0])
    student.edition(before)
    assert before == again


def needs_a_solution(notebook):
    """Names that kept cells use and that solutions alone define; checkers may name solution_N."""
    kept = [cell for cell in checks.code(notebook) if "solution" not in cell.metadata.get("tags", [])]
    bound = {name for cell in kept for name in names(cell, ast.Store)}
    used = {
        name
        for cell in kept
        for name in names(cell, ast.Load)
        if not (name.startswith("solution_") and "checker" in cell.metadata.get("tags", []))
    }
    return {name for cell in checks.tagged(notebook, "solution") for name in names(cell, ast.Store)} & used - bound


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_other_cell_needs_a_solution(path):
    assert needs_a_solution(read(path)) == set()


def test_a_cell_that_needs_a_solution_is_found():
    solution = v4.new_code_cell("import math\n\nsolution_1 = math.pi", metadata={"tags": ["solution"]})
    later = v4.new_code_cell("print(math.e)")
    assert needs_a_solution(v4.new_notebook(cells=[solution, later])) == {"math"}


def test_an_untouched_checker_says_what_is_missing():
    path = NOTEBOOKS[0]
    checker = checks.exercises(student.edition(read(path)))[1]["checker"]
    with pytest.raises(AssertionError, match="^exercise 1: write answer_1 first$"):
        exec(checker.source, {"answer_1": None})


def test_command_writes_whole_notebooks_that_find_the_course(tmp_path, capsys):
    number = NOTEBOOKS[0].name[:2]
    assert cli.main(["student", number, "--out", str(tmp_path / "new")]) == 0
    assert "1 notebooks without solutions" in capsys.readouterr().out
    assert [file.name for file in (tmp_path / "new").iterdir()] == [NOTEBOOKS[0].name]
    assert read(tmp_path / "new" / NOTEBOOKS[0].name) == student.edition(read(NOTEBOOKS[0]))
    code = "from helpers import datasets; assert datasets.DATA.is_dir()"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path / "new", check=True)


def test_the_notebooks_themselves_are_never_overwritten(tmp_path, monkeypatch, capsys):
    for name in ("helpers", "notebooks"):
        (tmp_path / name).mkdir()
    (tmp_path / "pyproject.toml").touch()
    copied = Path(shutil.copy(NOTEBOOKS[0], tmp_path / "notebooks"))
    monkeypatch.chdir(tmp_path)
    assert cli.main(["student", "--out", "notebooks"]) == 2
    assert "choose another folder than notebooks/" in capsys.readouterr().err
    assert read(copied) == read(NOTEBOOKS[0])


def test_an_unfinished_exercise_is_refused():
    notebook = read(NOTEBOOKS[0])
    checks.exercises(notebook)[1]["checker"].metadata.tags = []
    with pytest.raises(Refused, match="exercise 1 has no checker"):
        student.edition(notebook)
