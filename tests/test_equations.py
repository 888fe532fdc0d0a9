"""Every displayed equation has a number, and every number a test marked with it (`@pytest.mark.equation`)."""

import ast
import re

import nbformat
import pytest

from helpers.runner import parameters
from helpers.runner.paths import root

NOTEBOOKS = parameters.notebooks()


def displayed(path):
    """The displayed equations of a notebook, as LaTeX."""
    cells = nbformat.read(path, 4).cells
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    return re.findall(r"\$\$(.+?)\$\$", text, re.DOTALL)


def numbers(path):
    """The numbers of a notebook's equations, in order; None for one without."""
    found = [re.search(r"\\tag\{([\d.]+)\}", equation) for equation in displayed(path)]
    return [match and match[1] for match in found]


def marked():
    """The numbers that tests are marked with."""
    nodes = [
        node for path in (root() / "tests").glob("test_*.py") for node in ast.walk(ast.parse(path.read_text("utf8")))
    ]
    calls = [node for node in nodes if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.equation"]
    return {argument.value for call in calls for argument in call.args}


@pytest.mark.parametrize("number", sorted({id[:2] for id in NOTEBOOKS}))
def test_displayed_equations_are_numbered_from_one_through_all_parts(number):
    found = [each for id in parameters.matching(number, NOTEBOOKS) for each in numbers(NOTEBOOKS[id])]
    assert found == [f"{int(number)}.{k}" for k in range(1, len(found) + 1)]


def test_every_equation_has_a_test_and_every_marked_test_an_equation():
    assert marked() == {number for path in NOTEBOOKS.values() for number in numbers(path)}
