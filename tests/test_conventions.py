"""Every notebook keeps the conventions; each convention is seen to fail once on a notebook broken on purpose."""

import copy
import subprocess
import sys

import nbformat
import pytest
from nbformat import v4

from helpers.runner import checks, conventions, parameters, student, studies

NOTEBOOKS = list(parameters.notebooks().values())

HEADER = """# 02 · Losses

| | |
|---|---|
| *Document section* | 数学模型 |
| *You will learn* | 1. to derive <br> 2. to check <br> 3. to compare |
| *Needs* | 01 |
| 摘要 | 本笔记本推导损失函数。每个梯度都用数值检验。 |
"""
FIRST = "**Exercise 1.** Double."
HINT = "\n\n<details><summary>Hint {}</summary>\n\nAdd it to itself.\n\n</details>\n\n"
CHECKER = """answer = answer_{n} if answer_{n} is not None else solution_{n}
assert answer(2) == 4
print("exercise {n}:", "your answer" if answer_{n} is not None else "the solution", "passes")"""


def good():
    """A notebook that keeps every convention: two exercises, a figure with its table, a band, one claim."""
    cells = [
        v4.new_markdown_cell(HEADER),
        v4.new_code_cell("seed: int = 0  # random seed\nn: int = 100  # rows", metadata={"tags": ["parameters"]}),
        v4.new_code_cell("from helpers import notebook\n\nnotebook.check(seed=(seed, 0, 9), n=(n, 1, 200))"),
        v4.new_code_cell("import math", metadata={"tags": ["setup"]}),
        v4.new_code_cell('print("plain")', outputs=[stream("plain\nx ≈ .15, band .1–.2: inside\n")]),
        v4.new_code_cell('print("varies")', outputs=[stream("1\n")], metadata={"tags": ["nbval-ignore-output"]}),
        v4.new_code_cell('plots.show(figure, "a line", table)\nprint(1)', outputs=[picture(), stream("1\n")]),
        v4.new_code_cell('claims.record("C01", effect=1)', outputs=[stream("C01: refuted\n", claim={"id": "C01"})]),
    ]
    for n in (1, 2):
        cells += [
            v4.new_code_cell(f"answer_{n} = None  # a function that doubles its argument"),
            v4.new_code_cell(f"def solution_{n}(x):\n    return 2 * x", metadata=folded()),
            v4.new_code_cell(CHECKER.format(n=n), outputs=[stream("ok\n")], metadata={"tags": ["checker"]}),
        ]
    cells += [v4.new_markdown_cell("**Exercise 2 · decision.** Which of the two would you take, and why?")]
    cells += [v4.new_markdown_cell(f"Paragraph {n}.") for n in range(15)]
    cells.append(v4.new_markdown_cell("## Take-aways\n\n- Check every gradient."))
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number}"
    for count, cell in enumerate((cell for cell in cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
    return v4.new_notebook(cells=cells)


def folded():
    """Metadata of a solution."""
    return {"tags": ["solution"], "jupyter": {"source_hidden": True}}


def stream(text, name="stdout", **metadata):
    """A printed output; with metadata, a display."""
    if metadata:
        return v4.new_output("display_data", {"text/plain": text}, metadata=metadata)
    return v4.new_output("stream", name=name, text=text)


def picture(text="   x\n0  1"):
    """A figure's output with alt text and its table."""
    data = {"image/png": "aGk=", "text/plain": text}
    return v4.new_output("display_data", data, metadata={"image/png": {"alt": "a line"}})


def bare():
    """The output of a figure without its table."""
    return picture("<Figure size 700x380 with 1 Axes>")


def broken(change):
    """The good notebook after a change."""
    notebook = copy.deepcopy(good())
    change(notebook.cells)
    return notebook


def edit(number, old, new):
    """A change that replaces text in a cell, which must be there."""

    def change(cells):
        assert old in cells[number].source
        cells[number].source = cells[number].source.replace(old, new)

    return change


def tags(number, *names):
    """A change that replaces a cell's tags."""
    return lambda cells: cells[number].metadata.update(tags=list(names))


def output(number, *outputs):
    """A change that replaces a cell's outputs."""
    return lambda cells: cells[number].update(outputs=list(outputs))


GATES = [gate for gate in conventions.GATES if gate is not checks.claims] + [
    lambda notebook, gate=gate: gate([notebook]) for gate in conventions.GATES_OF_A_NUMBER
]
BREAKS = {
    "no title": (checks.header, edit(0, "# 02 · Losses", "# Losses"), "first cell must start with"),
    "no section": (checks.header, edit(0, "*Document section*", "*Section*"), "lacks the row Document section"),
    "no needs": (checks.header, edit(0, "| 01 |", "| |"), "lacks the row Needs"),
    "two objectives": (checks.header, edit(0, "<br> 3. to compare", ""), "three to five objectives"),
    "six objectives": (checks.header, edit(0, "to compare", "a <br> b <br> c <br> d"), "three to five objectives"),
    "no 摘要": (checks.header, edit(0, "摘要", "要"), "lacks the row 摘要"),
    "one sentence": (checks.header, edit(0, "。每个", "，每个"), "two Chinese sentences, not 1"),
    "no parameters": (checks.parameters, tags(1), "exactly one cell must be tagged parameters, not 0"),
    "two parameters cells": (checks.parameters, tags(3, "parameters"), "exactly one cell must be tagged parameters"),
    "untyped": (checks.parameters, edit(1, "n: int", "n"), "parameter n must be declared"),
    "odd type": (checks.parameters, edit(1, "n: int", "n: dict"), "parameter n must be declared"),
    "no comment": (checks.parameters, edit(1, "  # rows", ""), "parameter n needs a trailing comment"),
    "no seed": (checks.parameters, edit(1, "seed", "start"), "must include `seed: int`"),
    "not checked": (checks.parameters, edit(2, "notebook.check", "print"), "must check them"),
    "not Python": (checks.syntax, edit(4, 'print("plain")', "%time print()"), "is not Python"),
    "never run": (checks.execution, lambda cells: cells[4].update(execution_count=None), "counts must run from 1"),
    "out of order": (checks.execution, lambda cells: cells[4].update(execution_count=9), "counts must run from 1"),
    "stored error": (checks.execution, output(4, v4.new_output("error", ename="E")), "is an error"),
    "stored stderr": (checks.execution, output(4, stream("log", name="stderr")), "is on stderr"),
    "too much ignored": (
        checks.compared,
        lambda cells: [tags(n, "nbval-ignore-output")(cells) for n in (4, 6)],
        "3 of 6 cells with output escape nbval",
    ),
    "no exercise": (checks.exercise_cells, lambda cells: [cells.pop(8) for _ in range(6)], "needs an exercise"),
    "no stub": (checks.exercise_cells, edit(8, "answer_1 = None", "answer_1 = 3"), "needs a stub cell"),
    "no solution": (checks.exercise_cells, tags(9), "needs a cell tagged solution"),
    "open solution": (checks.exercise_cells, lambda cells: cells[9].metadata.pop("jupyter"), "must be collapsed"),
    "no checker": (checks.exercise_cells, tags(10), "needs a cell tagged checker"),
    "silent checker": (checks.exercise_cells, edit(10, "print(", "str("), "print which it tested"),
    "hints from 2": (checks.hints, edit(20, "Paragraph", FIRST + HINT.format(2)), "must be numbered from 1"),
    "open hint": (
        checks.hints,
        edit(20, "Paragraph", FIRST + HINT.format(1).replace("</d", "")),
        "a hint of exercise 1 is not",
    ),
    "tight hint": (
        checks.hints,
        edit(20, "Paragraph", FIRST + HINT.format(1).replace("y>\n\nA", "y>\nA")),
        "a hint of exercise 1 is not",
    ),
    "lost hint": (checks.hints, edit(20, "Paragraph", HINT.format(1)), "outside of its exercise"),
    "no take-aways": (checks.closing, lambda cells: cells.pop(), "must start with `## Take-aways`"),
    "URL": (checks.offline, edit(4, "plain", "http" + "s://example.org"), "holds a URL"),
    "installs": (checks.offline, edit(4, 'print("plain")', "run('pip install x')"), "installs a package"),
    "network": (checks.offline, edit(4, 'print("plain")', "from urllib.request import urlopen"), "imports urllib"),
    "path in code": (checks.offline, edit(4, "plain", "/" + "home/me/x"), "holds an absolute path"),
    "path in output": (checks.offline, output(4, stream("/" + "home/me/x")), "holds an absolute path"),
    "no id": (checks.identity, lambda cells: cells[4].pop("id"), "has no id"),
    "same id": (checks.identity, lambda cells: cells[4].update(id="cell-5"), "two cells have the id cell-5"),
    "minutes": (checks.minutes, edit(20, "Paragraph", "It takes 3 minutes."), "states minutes"),
    "分钟": (checks.minutes, edit(20, "Paragraph", "大约需要3分钟"), "states minutes"),
    "no alt text": (checks.figures, lambda cells: cells[6].outputs[0].metadata.clear(), "without alt text"),
    "no table": (checks.figures, output(6, bare()), "without the rounded table"),
    "long cell": (conventions.tokens, edit(4, 'print("plain")', "x = 1\n" * 54), "has 162 tokens; at most 160"),
    "long setup": (conventions.tokens, edit(3, "import math", "x = 1\n" * 54), "has 162 tokens; at most 160"),
    "long cells": (
        conventions.tokens,
        lambda cells: [edit(n, cells[n].source, "x = 1\n" * 27)(cells) for n in (3, 4, 5, 6, 7, 8, 11)],
        "the median of its code cells is 81 tokens; at most 80",
    ),
    "wide": (conventions.lines, edit(4, "plain", "x" * 104), "a line of 113 characters"),
    "by hand": (conventions.layout, edit(10, "== 4", "==4"), "cell cell-10 (answer = answer_1"),
    "not wrapped": (conventions.layout, edit(4, "print(", "print(" + "1 + " * 30), "cell cell-4 (print("),
    "two figures": (conventions.one_output, output(6, picture(), picture()), "shows 2 figures or tables"),
    "much printed": (conventions.one_output, output(4, stream("1\n" * 13)), "prints 13 lines; at most 12"),
    "a long series": (conventions.one_output, output(4, stream("1\n" * 13, x=1)), "prints 13 lines; at most 12"),
    "table elsewhere": (conventions.carried, output(6, bare(), stream("   x\n0  1")), "a figure without its table"),
    "band alone": (conventions.bands, output(4, stream("x: band .1–.2: inside\n")), "a band without the value"),
    "four objectives": (conventions.objectives, edit(0, "to compare", "a <br> b"), "three objectives, not 4"),
    "long": (conventions.words, edit(20, "Paragraph", "word " * 4500), "words; at most 4,500 are right"),
    "formula alone": (conventions.formulas, edit(20, "Paragraph", "$$x$$"), "displays a formula, and none"),
    "leans on a part": (conventions.start, edit(4, "plain", "../out/05a_rows.csv"), "names 05a_rows"),
    "one exercise": (conventions.two_exercises, lambda cells: [cells.pop(8) for _ in range(3)], "two or more"),
    "no decision": (conventions.decision, edit(14, " · decision", ""), "must be a decision"),
    "decision on nothing": (conventions.decision, edit(14, "Exercise 2", "Exercise 3"), "must be a decision"),
}


def test_the_good_notebook_is_good():
    notebook = good()
    nbformat.validate(notebook)
    assert [problem for gate in GATES for problem in gate(notebook)] == []
    assert checks.claims(notebook, ledger={"C01"}) == []


@pytest.mark.parametrize("name", BREAKS)
def test_each_gate_goes_red(name):
    gate, change, sentence = BREAKS[name]
    found = gate([broken(change)] if gate in conventions.GATES_OF_A_NUMBER else broken(change))
    assert any(sentence in problem for problem in found), found


def test_hints_in_steps_are_good():
    text = FIRST + HINT.format(1) + HINT.format(2) + "\n\n**Exercise 2.** Halve." + HINT.format(1) + "\n\n"
    assert checks.hints(broken(edit(20, "Paragraph", text))) == []


def test_unknown_claims_are_found_in_code_and_in_outputs():
    in_code = broken(edit(7, "C01", "C98"))
    in_output = broken(lambda cells: cells[7].outputs[0].metadata.update(claim={"id": "C99"}))
    assert checks.claims(in_code, ledger={"C01"}) == ["claim C98 is not in the ledger"]
    assert checks.claims(in_output, ledger={"C01"}) == ["claim C99 is not in the ledger"]


def test_every_gate_was_seen_red():
    gates = {*conventions.GATES, *conventions.GATES_OF_A_NUMBER}
    assert {gate for gate, _, _ in BREAKS.values()} | {checks.claims} == gates


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_conventions(path):
    assert conventions.problems(path) == []


@pytest.mark.parametrize(
    ("source", "tags", "count"),
    [
        ("def f(x):\n    # why\n    return (x +\n            1)\n\n", [], 12),
        ('def f(x):\n    """What it does,\n    in two lines."""\n    return x', [], 9),
        ("print(f'{a} {b + f\"{c}\"}')", [], 4),
        ("import math\nfrom a import (\n    b,\n)\nnotebook.check(n=(n, 1,\n  2))\nx = 1", [], 26),
        ("import math\nfrom a import (\n    b,\n)\nnotebook.check(n=(n, 1,\n  2))\nx = 1", ["setup"], 3),
    ],
)
def test_tokens_by_hand(source, tags, count):
    assert conventions.count_tokens(v4.new_code_cell(source, metadata={"tags": tags})) == count


def test_a_figure_with_its_own_table_is_one_output():
    assert conventions.one_output(broken(output(6, picture(), stream("1\n" * 12)))) == []
    assert checks.figures(broken(output(6, picture()))) == []


@pytest.mark.parametrize(("between", "good"), [(0, True), (1, True), (2, False)])
def test_code_follows_a_formula_within_two_cells(between, good):
    prose = [v4.new_markdown_cell(text) for text in ["$$x$$", *["so"] * between]]
    notebook = broken(lambda cells: cells.__setitem__(slice(4, 4), prose))
    assert (conventions.formulas(notebook) == []) == good


# --- notebooks that are older than a convention ----------------------------------------------------------------------

OLD = [
    *("00_start_here", "01_concepts", "02_losses", "03_optimizers", "04_document_example", "05_data_pipeline"),
    *("06_data_selection", "07_data_augmentation", "08_fine_tuning", "09_evaluation", "10_question_answering"),
    *("11_text_classification", "12_machine_translation", "13_speech_recognition", "14_text_generation"),
    *("15_sentiment_analysis", "16_automated_tuning", "17_outlook", "18_questions_and_claims", "19_your_own_data"),
]
FROZEN = {  # what exceptions.yaml held when the conventions came: nothing is ever added here
    **dict.fromkeys(["tokens", "lines", "layout", "one_output", "carried", "objectives", "decision"], OLD),
    "words": ["03_optimizers", "05_data_pipeline", "06_data_selection", "09_evaluation"],
}


def grown(listed):
    """Exceptions that were not there when the conventions came."""
    return [(gate, stem) for gate, stems in listed.items() for stem in stems if stem not in FROZEN.get(gate, [])]


def test_exceptions_only_shrink():
    assert grown(conventions.exceptions()) == []
    listed = {"tokens": ["05_data_pipeline", "05a_rows"], "words": ["01_concepts"], "header": ["02_losses"]}
    assert grown(listed) == [("tokens", "05a_rows"), ("words", "01_concepts"), ("header", "02_losses")]


def needless(listed, paths):
    """Exceptions of notebooks that keep the convention, or that are gone."""
    broken = {(gate, path.stem) for path in paths for gate, _ in conventions.findings(path)}
    return [(gate, stem) for gate, stems in listed.items() for stem in stems if (gate, stem) not in broken]


def test_every_exception_is_needed():
    assert needless(conventions.exceptions(), NOTEBOOKS) == []
    kept = {"words": ["00_start_here", "05_data_pipeline"], "tokens": ["05z_gone"]}
    some = [path for path in NOTEBOOKS if path.stem in kept["words"]]
    assert needless(kept, some) == [("words", "00_start_here"), ("tokens", "05z_gone")]


def test_a_notebook_is_excepted_from_what_is_listed_and_no_more(tmp_path, monkeypatch):
    wide = edit(4, "print(", "# " + "x" * 111 + "\nprint(")
    change = [edit(0, "to compare", "a <br> b"), wide, edit(30, "## Take-aways", "## End")]
    notebook = broken(lambda cells: [each(cells) for each in change])
    path = tmp_path / "02_losses.ipynb"
    path.write_text(v4.writes(notebook), encoding="utf8")
    monkeypatch.setattr(conventions, "exceptions", lambda: {"lines": ["01_concepts"], "objectives": ["02_losses"]})
    closing, wide = conventions.problems(path)
    assert "the last cell must start with" in closing and "has a line of 113 characters" in wide


def test_parts_share_their_exercises_and_are_called_as_their_files(tmp_path):
    whole = good()
    for part, ours in (("02a", range(8, 11)), ("02b", range(11, 15))):
        cells = [cell for n, cell in enumerate(whole.cells) if n not in range(8, 15) or n in ours]
        text = v4.writes(v4.new_notebook(cells=cells)).replace("# 02 ·", "# 02a ·")
        (tmp_path / f"{part}_part.ipynb").write_text(text, encoding="utf8")
    first, second = (dict(conventions.findings(tmp_path / f"{part}_part.ipynb")) for part in ("02a", "02b"))
    assert not {"two_exercises", "decision", "header", "exercise_cells"} & set(first)
    assert second["header"] == "the first cell must start with `# 02b · `, as the file's name does"
    (tmp_path / "02b_part.ipynb").unlink()
    assert {"two_exercises", "decision"} <= set(dict(conventions.findings(tmp_path / "02a_part.ipynb")))


# --- exercises ------------------------------------------------------------------------------------------------------

LINES = """
import contextlib, io

def passes(number, *steps, checkers=checkers):
    space = dict(setup)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        try:
            for step in steps:
                exec(step, space)
            exec(checkers[number], space)
        except Exception:
            return False
    return printed.getvalue()

setup = {"__name__": "__main__"}
for source in sources:
    exec(source, setup)
for n in stubs:
    assert not passes(n, stubs[n]), f"the checker of exercise {n} passes an untouched stub"
    with_solution = passes(n, stubs[n], solutions[n])
    assert with_solution, f"the solution of exercise {n} does not pass"
    asked = passes(n, stubs[n], checkers=asking)
    assert not asked, f"in the student edition the checker of exercise {n} passes an untouched stub"
    alone = passes(n, solutions[n], f"answer_{n} = solution_{n}", f"del solution_{n}", checkers=asking)
    assert alone, f"in the student edition a right answer to exercise {n} does not pass"
    answered = passes(n, solutions[n], f"answer_{n} = solution_{n}")
    assert answered, f"the solution of exercise {n} does not pass as an answer"
    assert answered != with_solution, f"the checker of exercise {n} does not say which it tested"
    assert not passes(n, solutions[n], f"answer_{n} = object()"), f"the checker of exercise {n} passes a wrong answer"
"""


def run_exercises(notebook, folder):
    """Run an executed notebook's exercises with its parameters and its cells tagged setup alone; what went wrong.

    The stub must fail without the solution (the student's edition), and pass with the solution or a right answer.
    """
    cells = [cell for cell in checks.code(notebook) if {"parameters", "setup"} & set(cell.metadata.get("tags", []))]
    found = checks.exercises(notebook).items()
    kinds = {kind + "s": {n: part[kind].source for n, part in found} for kind in ("stub", "solution", "checker")}
    kinds["asking"] = {n: part["checker"].source for n, part in checks.exercises(student.edition(notebook)).items()}
    script = f"sources = {[cell.source for cell in cells]!r}\n"
    script += "".join(f"{name} = {values!r}\n" for name, values in kinds.items()) + LINES
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True)
    return done.stderr.strip().splitlines()[-1] if done.returncode else ""


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_exercises_fail_untouched_and_pass_solved(path):
    assert run_exercises(v4.reads(path.read_text(encoding="utf8")), path.parent) == ""


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda cells: None, ""),
        (edit(9, "2 * x", "3 * x"), "the solution of exercise 1 does not pass"),
        (edit(10, "assert answer(2) == 4", ""), "the checker of exercise 1 passes a wrong answer"),
        (edit(10, "else solution_1", "else (lambda x: 4)"), "the checker of exercise 1 passes an untouched stub"),
        (edit(13, '"your answer" if', '"the solution" if'), "the checker of exercise 2 does not say which it tested"),
        (edit(9, "2 * x", "math.floor(2 * x)"), ""),
        (edit(10, "== 4", "== solution_1(2)"), "in the student edition a right answer to exercise 1 does not pass"),
        (
            lambda cells: (edit(9, "2 * x", "math.floor(2 * x)")(cells), tags(3)(cells)),
            "solution of exercise 1 does not",
        ),
    ],
)
def test_the_exercise_runner_goes_red(change, sentence, tmp_path):
    found = run_exercises(broken(change), tmp_path)
    assert sentence in found and bool(sentence) == bool(found)


# --- studies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", studies.names())
def test_studies_are_complete_and_fresh(name):
    assert studies.stale(name) == []
