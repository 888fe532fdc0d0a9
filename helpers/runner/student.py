"""The student edition: every notebook without its solutions, made from the one source."""

import copy

from nbformat import v4

from helpers.runner import checks
from helpers.runner.parameters import select
from helpers.runner.paths import Refused, root, write_atomically

NOTE = "\n\n*Student edition: the solution cells are left out. A checker fails until you have written its answer.*"


def edition(notebook):
    """A notebook (as nbformat reads it) as students get it; the one given stays as it is.

    Cells tagged `solution` go. Checkers ask for an answer and, like the stubs, lose their outputs. What the other
    cells have printed and drawn stays, so that the text can be read before anything is run; they count from 1.
    """
    notebook = copy.deepcopy(notebook)
    exercises = checks.exercises(notebook)
    for n, part in exercises.items():
        for kind, cell in part.items():
            if cell is None:
                raise Refused(f"{notebook.cells[0].source.splitlines()[0]}: exercise {n} has no {kind}")
        ask = f'assert answer_{n} is not None, "exercise {n}: write answer_{n} first"\n'
        part["checker"].source = ask + part["checker"].source
    open_cells = [part[kind].id for part in exercises.values() for kind in ("stub", "checker")]
    solutions = [cell.id for cell in checks.tagged(notebook, "solution")]
    notebook.cells = [cell for cell in notebook.cells if cell.id not in solutions]
    count = 0
    for cell in checks.code(notebook):
        if cell.id in open_cells:
            cell.update(outputs=[], execution_count=None)
        else:
            count += 1
            cell.execution_count = count
            for output in cell.outputs:
                if output.output_type == "execute_result":
                    output.execution_count = count
    notebook.cells[0].source += NOTE
    return notebook


def write(numbers, folder):
    """Write the student edition of these notebooks (all if there are none) into a folder; returns the files."""
    if folder.resolve() == (root() / "notebooks").resolve():
        raise Refused("the student edition would overwrite the notebooks: choose another folder than notebooks/")
    editions = {path.name: edition(v4.reads(path.read_text(encoding="utf8"))) for path in select(numbers).values()}
    for name, notebook in editions.items():
        write_atomically(folder / name, v4.writes(notebook) + "\n")
    return [folder / name for name in editions]
