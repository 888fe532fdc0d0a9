"""The conventions from which notebooks that are older may be excepted, and all conventions together.

Each function takes a notebook as helpers.runner.checks does, and returns what is wrong with it; the last two take the
notebooks of one number: its parts (05a, 05b), or the one that is whole. exceptions.yaml only shrinks: tests hold it.
"""

import ast
import io
import re
import statistics
import subprocess
import sys
import tokenize
from pathlib import Path

import yaml
from nbformat import v4

from helpers.runner import checks
from helpers.runner.checks import code, count_objectives, exercises, named, parsed
from helpers.runner.parameters import NAME, identifier
from helpers.runner.paths import Refused

BAND = re.compile(r"\bband \S+: (inside|outside)$", re.MULTILINE)
VALUE_AND_BAND = re.compile(r" ≈ \S+, band \S+: (inside|outside)$", re.MULTILINE)
DECISION = re.compile(r"^\*\*Exercise (\d+) · decision\.\*\*", re.MULTILINE)
LAYOUT = {"COMMENT", "NL", "NEWLINE", "INDENT", "DEDENT", "ENDMARKER"}  # tokens that are not counted

# --- cells that can be read aloud -------------------------------------------------------------------------------------


def count_tokens(cell):
    """How many Python tokens a code cell holds: comments, newlines and indents aside, an f-string as one.

    In a cell tagged setup, imports and the call of notebook.check do not count.
    """
    free = set()
    for node in parsed(cell).body if "setup" in cell.metadata.get("tags", []) else []:
        if ast.unparse(node).startswith(("import ", "from ", "check(", "notebook.check(")):
            free |= set(range(node.lineno, node.end_lineno + 1))
    count = depth = 0
    for token in tokenize.generate_tokens(io.StringIO(cell.source).readline):
        kind = tokenize.tok_name[token.type]  # from Python 3.12 on, an f-string is a start, its pieces and an end
        count += not depth and kind not in LAYOUT and token.start[0] not in free
        depth += (kind == "FSTRING_START") - (kind == "FSTRING_END")
    return count


def tokens(notebook):
    """At most 160 Python tokens a code cell, the median of the cells at most 80 (`count_tokens`)."""
    counts = [(cell, count_tokens(cell)) for cell in code(notebook) if parsed(cell).body]
    median = statistics.median([n for _, n in counts] or [0])
    found = [f"the median of its code cells is {median:g} tokens; at most 80 are right"] if median > 80 else []
    return found + [f"{named(cell)} has {n} tokens; at most 160 are right" for cell, n in counts if n > 160]


def lines(notebook):
    """At most 110 characters a line of code."""
    wide = {named(cell): max(map(len, cell.source.splitlines())) for cell in code(notebook)}
    return [
        f"{cell} has a line of {width} characters; at most 110 are right" for cell, width in wide.items() if width > 110
    ]


def layout(notebook):
    """Code as ruff formats it, with lines of 110 characters."""
    if checks.syntax(notebook):
        return []  # which `syntax` reports
    command = [sys.executable, "-m", "ruff", "format", "--isolated", "--target-version=py311", "--line-length=110"]
    done = subprocess.run(
        [*command, "--diff", "--stdin-filename=x.ipynb", "-"], input=v4.writes(notebook), capture_output=True, text=True
    )
    places = [int(place) for place in re.findall(r"^--- x\.ipynb:cell (\d+)$", done.stdout, re.MULTILINE)]
    if done.returncode != bool(places):
        raise Refused(f"ruff cannot format a notebook ({done.stderr.strip()}): python -m pip install -e '.[dev]'")
    return [f"{named(notebook.cells[place - 1])} is not formatted by ruff with lines of 110" for place in places]


def one_output(notebook):
    """At most one figure or table a cell, its own text aside, and twelve printed lines."""
    found = []
    for cell in code(notebook):
        shown = [output for output in cell.outputs if set(output.get("data", {})) - {"text/plain"}]
        texts = [
            each.get("text", each.get("data", {}).get("text/plain", "")) for each in cell.outputs if each not in shown
        ]
        printed = sum(len(text.splitlines()) for text in texts)
        if len(shown) > 1:
            found.append(f"{named(cell)} shows {len(shown)} figures or tables; one is right")
        if printed > 12:
            found.append(f"{named(cell)} prints {printed} lines; at most 12 are right")
    return found


def carried(notebook):
    """Each figure carries the table of its numbers as its own text, which nbval compares."""
    bare = [
        cell
        for cell in code(notebook)
        if any("image/png" in output.get("data", {}) and not checks.table(output) for output in cell.outputs)
    ]
    return [f"{named(cell)} shows a figure without its table: use plots.show(figure, alt, table)" for cell in bare]


def bands(notebook):
    """Beside each band stands the value, after ≈."""
    printed = {named(cell): "\n".join(each.get("text", "") for each in cell.outputs) for cell in code(notebook)}
    wrong = [cell for cell, text in printed.items() if len(BAND.findall(text)) != len(VALUE_AND_BAND.findall(text))]
    return [f"{cell} prints a band without the value: use notebook.band, and run it again" for cell in wrong]


# --- notebooks that teach one thing -----------------------------------------------------------------------------------


def objectives(notebook):
    """Three objectives."""
    count = count_objectives(notebook)
    return [] if count == 3 else [f"You will learn must hold three objectives, not {count}"]


def words(notebook):
    """At most 4,500 words of prose: what stands between blanks in a markdown cell and holds a letter or a digit."""
    prose = [word for cell in notebook.cells if cell.cell_type == "markdown" for word in cell.source.split()]
    count = sum(bool(re.search(r"\w", word)) for word in prose)
    return [] if count <= 4500 else [f"it has {count:,} words; at most 4,500 are right: split it into parts"]


def formulas(notebook):
    """A displayed formula is followed by its code: one of the next two cells is code."""
    found = []
    for place, cell in enumerate(notebook.cells):
        following = {each.cell_type for each in notebook.cells[place + 1 : place + 3]}
        if cell.cell_type == "markdown" and "$$" in cell.source and "code" not in following:
            found.append(f"{named(cell)} displays a formula, and none of the next two cells is code")
    return found


def start(notebook):
    """A notebook starts from helpers: its code names no file of a part, such as 05a_rows."""
    named_parts = {named(cell): re.search(r"\b\d\d[a-z]_\w+", cell.source) for cell in code(notebook)}
    return [f"{cell} names {part[0]}: a part starts from helpers" for cell, part in named_parts.items() if part]


def two_exercises(number):
    """Two exercises or more in all parts of a number together."""
    count = sum(len(exercises(notebook)) for notebook in number)
    return [] if count >= 2 else [f"its number has {count} exercise; two or more are right"]


def decision(number):
    """One exercise of a number is a decision: its text starts with `**Exercise 2 · decision.**`."""
    for notebook in number:
        texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
        if set(map(int, DECISION.findall("\n\n".join(texts)))) & set(exercises(notebook)):
            return []
    return ["one exercise of its number must be a decision: `**Exercise N · decision.**`"]


# --- all of it --------------------------------------------------------------------------------------------------------

GATES = [
    checks.header,
    checks.parameters,
    checks.syntax,
    checks.execution,
    checks.compared,
    checks.exercise_cells,
    checks.hints,
    checks.closing,
    checks.offline,
    checks.identity,
    checks.minutes,
    checks.figures,
    checks.claims,
    tokens,
    lines,
    layout,
    one_output,
    carried,
    bands,
    objectives,
    words,
    formulas,
    start,
]
GATES_OF_A_NUMBER = [two_exercises, decision]


def exceptions():
    """The notebooks that are older than a convention, as {name of the gate: stems}."""
    return yaml.safe_load(Path(__file__).with_name("exceptions.yaml").read_text(encoding="utf8"))


def findings(path):
    """All that is wrong with a notebook file, as (name of the gate, sentence), exceptions among them."""
    numbered = [file for file in sorted(path.parent.glob("*.ipynb")) if NAME.fullmatch(file.name)]
    parts = [file for file in numbered if identifier(file)[:2] == identifier(path)[:2]] if path in numbered else [path]
    read = {file: v4.reads(file.read_text(encoding="utf8")) for file in parts}
    found = [(gate.__name__, sentence) for gate in GATES for sentence in gate(read[path])]
    found += [(gate.__name__, sentence) for gate in GATES_OF_A_NUMBER for sentence in gate(list(read.values()))]
    title = f"# {identifier(path)} · "
    if path in numbered and not read[path].cells[0].source.startswith(title):
        found.append(("header", f"the first cell must start with `{title}`, as the file's name does"))
    return found


def problems(path):
    """What is wrong with a notebook file, exceptions aside, as sentences."""
    allowed = exceptions()
    return [sentence for gate, sentence in findings(path) if path.stem not in allowed.get(gate, [])]
