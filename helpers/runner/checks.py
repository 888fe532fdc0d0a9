"""The conventions of notebooks: each function takes a notebook and returns what is wrong with it, as sentences.

A notebook here is its JSON as a dict, with sources and texts joined (nbformat.v4.reads, which repairs nothing). These
conventions hold for every notebook; those of helpers.runner.conventions have exceptions.
"""

import ast
import io
import json
import re
import tokenize

SECTIONS = ["Document section", "You will learn", "Needs", "摘要"]
TYPES = re.compile(r"(int|float|str|bool|list(\[(int|float|str|bool)\])?)")
NETWORK = {"requests", "urllib", "http", "httpx", "socket", "ftplib", "aiohttp"}
ABSOLUTE = re.compile(r"(?<![\w.:/<])/(home|Users|root|work|tmp|usr|opt|var|mnt|content)/|\b[A-Z]:\\")
HINT = re.compile(r"^<details><summary>Hint (\d+)</summary>\n\n\S.*?\n\n</details>$", re.MULTILINE | re.DOTALL)
MINUTES = re.compile(r"\b\d+(\.\d+)?\s*(minutes?|mins?)\b|\d+\s*分钟")


def code(notebook):
    """The code cells that hold anything."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def tagged(notebook, tag):
    """The code cells with this tag."""
    return [cell for cell in code(notebook) if tag in cell.metadata.get("tags", [])]


def outputs(notebook, kind=None):
    """The stored outputs of all code cells, or those of one type."""
    found = [output for cell in code(notebook) for output in cell.outputs]
    return [output for output in found if kind in (None, output.output_type)]


def parsed(cell):
    """The syntax tree of a code cell, empty if it does not parse (`syntax` reports that)."""
    try:
        return ast.parse(cell.source)
    except SyntaxError:
        return ast.Module([], [])


def named(cell):
    """How a sentence names a cell: by its id, and its first line."""
    return f"cell {cell.get('id', '?')} ({cell.source.strip().splitlines()[0][:40]})"


def header(notebook):
    """Cell 0: `# NN · Title` (a part: `# NNa`), a table of section, three to five objectives, needs and 摘要 in two
    sentences."""
    text = notebook.cells[0].source
    found = []
    if notebook.cells[0].cell_type != "markdown" or not re.match(r"# \d\d[a-z]? · \S", text):
        found.append("the first cell must start with `# NN · Title`, or for a part with `# NNa · Title`")
    rows = header_rows(text)
    found += [f"the table in the first cell lacks the row {name}" for name in SECTIONS if not rows.get(name)]
    if rows.get("You will learn") and not 3 <= count_objectives(notebook) <= 5:
        found.append(
            f"You will learn must hold three to five objectives separated by <br>, not {count_objectives(notebook)}"
        )
    sentences = len(re.findall("[。！？]", rows.get("摘要", "")))
    if rows.get("摘要") and sentences != 2:
        found.append(f"摘要 must hold two Chinese sentences, not {sentences}")
    return found


def count_objectives(notebook):
    """How many objectives the first cell states."""
    return len(re.split(r"<br\s*/?>", header_rows(notebook.cells[0].source).get("You will learn", "")))


def header_rows(text):
    """The two-column table of a first cell as {name: content}.

    >>> header_rows("| *Needs* | 00 |")
    {'Needs': '00'}
    """
    return dict(re.findall(r"^\|\s*[*_]*(.+?)[*_]*\s*\|\s*(.*?)\s*\|\s*$", text, re.MULTILINE))


def parameters(notebook):
    """Exactly one parameters cell: typed, each with a comment, a seed; the next code cell checks them."""
    cells = tagged(notebook, "parameters")
    if len(cells) != 1:
        return [f"exactly one cell must be tagged parameters, not {len(cells)}"]
    found, kinds = [], {}
    for node in parsed(cells[0]).body:
        name = ast.unparse(getattr(node, "target", node)).split(" =")[0]
        kinds[name] = ast.unparse(node.annotation) if isinstance(node, ast.AnnAssign) else ""
        if not TYPES.fullmatch(kinds[name]):
            found.append(f"parameter {name} must be declared as int, float, str, bool or list")
        if node.end_lineno not in comment_lines(cells[0].source):
            found.append(f"parameter {name} needs a trailing comment")
    if kinds.get("seed") != "int":
        found.append("the parameters must include `seed: int`")
    following = code(notebook)[code(notebook).index(cells[0]) + 1 :][:1]
    calls = [
        ast.unparse(node.func) for cell in following for node in ast.walk(parsed(cell)) if isinstance(node, ast.Call)
    ]
    if not {"check", "notebook.check"} & set(calls):
        found.append("the code cell after the parameters must check them with notebook.check")
    return found


def comment_lines(source):
    """Numbers of the lines that hold a comment."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {token.start[0] for token in tokens if token.type == tokenize.COMMENT}


def syntax(notebook):
    """Every code cell is plain Python."""
    found = []
    for cell in code(notebook):
        try:
            ast.parse(cell.source)
        except SyntaxError as error:
            found.append(f"{named(cell)} is not Python: {error.msg}")
    return found


def execution(notebook):
    """Run from top to bottom without an error and without a word on stderr."""
    counts = [cell.execution_count for cell in code(notebook)]
    found = []
    if counts != list(range(1, len(counts) + 1)):
        found.append(f"execution counts must run from 1 to {len(counts)}: run `course run NN --update`")
    if outputs(notebook, "error"):
        found.append("a stored output is an error")
    if any(output.name == "stderr" for output in outputs(notebook, "stream")):
        found.append("a stored output is on stderr")
    return found


def compared(notebook):
    """At most 40% of the cells with output escape nbval."""
    with_output = [cell for cell in code(notebook) if cell.outputs]
    escaped = [
        cell for cell in with_output if {"nbval-ignore-output", "nbval-skip"} & set(cell.metadata.get("tags", []))
    ]
    if len(escaped) > 0.4 * len(with_output):
        return [f"{len(escaped)} of {len(with_output)} cells with output escape nbval; at most 40% may"]
    return []


def binds(cell, name):
    """Whether a code cell assigns or defines a name."""
    nodes = list(ast.walk(parsed(cell)))
    assigned = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    return name in assigned | {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}


def exercises(notebook):
    """The exercises as {number: {"stub": cell, "solution": cell, "checker": cell}}; a missing cell is None."""
    names = re.findall(r"\b(?:answer|solution)_(\d+)\b", "\n".join(cell.source for cell in code(notebook)))
    solutions, checkers = tagged(notebook, "solution"), tagged(notebook, "checker")
    return {
        n: {
            "stub": next((c for c in code(notebook) if re.search(rf"^answer_{n} = None\b", c.source, re.M)), None),
            "solution": next((c for c in solutions if binds(c, f"solution_{n}")), None),
            "checker": next((c for c in checkers if re.search(rf"\banswer_{n} is not None\b", c.source)), None),
        }
        for n in sorted(set(map(int, names)))
    }


def exercise_cells(notebook):
    """An exercise or more, each with a stub, a collapsed solution and a checker that says which it tested."""
    found = [] if exercises(notebook) else ["it needs an exercise"]
    for n, cells in exercises(notebook).items():
        if not cells["stub"]:
            found.append(f"exercise {n} needs a stub cell with the line `answer_{n} = None`")
        if not cells["solution"]:
            found.append(f"exercise {n} needs a cell tagged solution that defines solution_{n}")
        elif not cells["solution"].metadata.get("jupyter", {}).get("source_hidden"):
            found.append(f"the solution of exercise {n} must be collapsed: `course run NN --update` does it")
        checker = cells["checker"]
        if not checker:
            found.append(f"exercise {n} needs a cell tagged checker that tests `answer_{n} is not None`")
        elif f"solution_{n}" not in checker.source or "print(" not in checker.source:
            found.append(f"the checker of exercise {n} must fall back on solution_{n} and print which it tested")
    return found


def hints(notebook):
    """Hints come in steps, where an exercise has any: folded, numbered from 1, below the exercise's own text.

    <details><summary>Hint 1</summary>, a line of its own, then a blank line, the hint, a blank line, and </details>
    """
    found = []
    for text in (cell.source for cell in notebook.cells if cell.cell_type == "markdown"):
        head, *tasks = re.split(r"^\*\*Exercise (?=\d)", text, flags=re.MULTILINE)
        if "<summary>Hint" in head:
            found.append("a hint stands outside of its exercise: put it below the text of **Exercise N**")
        for task in tasks:
            numbers = [int(n) for n in HINT.findall(task)]
            if len(numbers) != max(task.count("<details"), task.count("</details"), task.count("<summary>Hint")):
                found.append(f"a hint of exercise {task[0]} is not `<details><summary>Hint 1</summary>` … `</details>`")
            elif numbers != list(range(1, len(numbers) + 1)):
                found.append(f"the hints of exercise {task[0]} must be numbered from 1")
    return found


def closing(notebook):
    """The last cell holds the take-aways."""
    last = notebook.cells[-1]
    good = last.cell_type == "markdown" and last.source.startswith("## Take-aways")
    return [] if good else ["the last cell must start with `## Take-aways`"]


def offline(notebook):
    """No URL, installation or network module in code, and no absolute path in code or output."""
    found = []
    for cell in code(notebook):
        nodes = list(ast.walk(parsed(cell)))
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        for module in sorted({name.split(".")[0] for name in imported} & NETWORK):
            found.append(f"{named(cell)} imports {module}: notebooks use no network")
        if re.search(r"(https?|ftp)://", cell.source):
            found.append(f"{named(cell)} holds a URL")
        if re.search(r"\b(pip|conda)\s+install\b", cell.source):
            found.append(f"{named(cell)} installs a package")
        if ABSOLUTE.search(cell.source + json.dumps(cell.outputs, ensure_ascii=False)):
            found.append(f"{named(cell)} holds an absolute path")
    return found


def identity(notebook):
    """Every cell has an id of its own."""
    ids = [cell.get("id") for cell in notebook.cells]
    found = ["a cell has no id"] if None in ids else []
    return found + [
        f"two cells have the id {key}" for key in sorted({key for key in ids if key and ids.count(key) > 1})
    ]


def minutes(notebook):
    """Running times stand in the README alone."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "markdown" and MINUTES.search(cell.source)]
    return [f"{named(cell)} states minutes: they stand in the README alone" for cell in cells]


def figures(notebook):
    """Each figure has alt text, and the numbers that it shows as text in the same cell."""
    found = []
    for cell in code(notebook):
        images = [output for output in cell.outputs if "image/png" in output.get("data", {})]
        for image in images:
            if not image.metadata.get("image/png", {}).get("alt"):
                found.append(f"{named(cell)} shows a figure without alt text: use plots.show(figure, alt=…)")
        if len(images) == len(cell.outputs) and not all(map(table, images)):
            found.append(f"{named(cell)} shows a figure without the rounded table of its numbers")
    return found


def table(output):
    """The table that a figure's output carries as its text, "" if there is only what matplotlib calls the figure."""
    text = output.get("data", {}).get("text/plain", "")
    return "" if text.startswith("<Figure") else text


def claims(notebook, ledger=None):
    """Every claim that the notebook records, in code or in an output's metadata, is in the ledger.

    ledger : ids; read from helpers.claims if not given
    """
    recorded = {output.metadata["claim"]["id"] for output in outputs(notebook) if "claim" in output.get("metadata", {})}
    for cell in code(notebook):
        recorded |= set(re.findall(r"\brecord\(\s*[\"'](\w+)[\"']", cell.source))
    if recorded and ledger is None:
        from helpers.claims import ledger as read

        ledger = set(read().index)
    return [f"claim {claim} is not in the ledger" for claim in sorted(recorded - set(ledger or []))]
