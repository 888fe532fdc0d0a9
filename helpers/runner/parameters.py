"""Parameters of notebooks: what a notebook declares, what the reader asked for, refused before anything runs."""

import ast
import difflib
import itertools
import json
import re

import yaml

from helpers.runner.paths import Refused, root


def notebooks():
    """The course's notebooks as {number: path}, in order."""
    paths = sorted((root() / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    return {int(path.name[:2]): path for path in paths}


def select(numbers):
    """The notebooks with these numbers ("4" or "04"), all if there are none; Refused for a number that is not there."""
    there = notebooks()
    if not there:
        raise Refused(f"there are no notebooks in {root() / 'notebooks'}")
    for number in numbers:
        if not (number.isdecimal() and int(number) in there):
            have = ", ".join(f"{n:02}" for n in there)
            raise Refused(f"there is no notebook {number}; there are {have}")
    return {number: path for number, path in there.items() if not numbers or number in map(int, numbers)}


def declared(path):
    """What the cell tagged `parameters` declares, as {name: annotation}; read from its syntax tree, so at once."""
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    source = ["".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", [])]
    nodes = ast.parse("\n".join(source)).body
    return {node.target.id: ast.unparse(node.annotation) for node in nodes if isinstance(node, ast.AnnAssign)}


def convert(name, value, kind):
    """A value from the command line (text) or a profile, as the declared type; Refused if it is not one.

    >>> convert("n_train", "500", "int"), convert("rate", "1e-3", "float"), convert("sizes", "[50, 100]", "list[int]")
    (500, 0.001, [50, 100])
    """
    try:
        if kind.startswith("list"):
            items = yaml.safe_load(value) if isinstance(value, str) else value
            if not isinstance(items, list):
                raise ValueError
            inner = re.fullmatch(r"list\[(\w+)\]", kind)
            return [convert(name, item, inner[1]) for item in items] if inner else items
        if kind == "bool":
            return {"true": True, "false": False}[str(value).lower()]
        if kind == "str" and not isinstance(value, str):
            raise ValueError
        return {"int": int, "float": float, "str": str}[kind](str(value))
    except (ValueError, KeyError, yaml.YAMLError):
        raise Refused(f"parameter {name} takes {kind}, not {value!r}") from None


def parse_grid(axes):
    """Axes "seed=0..4" and "n_train=100,500" as {name: texts}.

    >>> parse_grid(["seed=0..2", "n_train=100,500"])
    {'seed': ['0', '1', '2'], 'n_train': ['100', '500']}
    """
    grid = {}
    for axis in axes:
        name, equals, values = axis.partition("=")
        span = re.fullmatch(r"(-?\d+)\.\.(-?\d+)", values)
        grid[name] = list(map(str, range(int(span[1]), int(span[2]) + 1))) if span else values.split(",")
        if not (name and equals and all(grid[name])):
            raise Refused(f"--grid takes name=0..4 or name=a,b, not {axis!r}")
    return grid


def read_profile(path):
    """A profile {"04": {name: value}, "all": {name: value}} as {number or "all": parameters}."""
    if not path.is_file():
        raise Refused(f"there is no profile {path}; those of the course are in notebooks/profiles")
    try:
        profile = yaml.safe_load(path.read_text(encoding="utf8")) or {}
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise Refused(f"profile {path} cannot be read: {' '.join(str(error).split())}") from None
    sections = {}
    if not (isinstance(profile, dict) and all(isinstance(values or {}, dict) for values in profile.values())):
        raise Refused(f'profile {path} must map notebook numbers or "all" to parameters')
    for section, values in profile.items():
        if section != "all" and not (str(section).isdecimal() and int(section) in notebooks()):
            raise Refused(f"profile {path} names notebook {section}, which is not there")
        sections["all" if section == "all" else int(section)] = values or {}
    return sections


def _require(name, known):
    if not any(name in kinds for kinds in known.values()):
        numbers = ", ".join(f"{number:02}" for number in known)
        have = ", ".join(sorted(set().union(*known.values()))) or "none"
        near = difflib.get_close_matches(name, sorted(set().union(*known.values())), n=1)
        guess = f"did you mean {near[0]}? There are" if near else "there are"
        raise Refused(f"there is no parameter {name} in {numbers}; {guess} {have}")


def combine(chosen, pairs=(), profile=None, axes=()):
    """The runs asked for: a list of (path, label of the grid cell, parameters), every name and type checked.

    chosen : {number: path}; pairs and axes reach the notebooks that declare the name, and at least one of them must
    order  : profile "all", profile of the notebook, pairs, grid; the later wins
    """
    profile, grid = profile or {}, parse_grid(axes)
    known = {number: declared(path) for number, path in (notebooks() if profile else chosen).items()}
    for name in [*(name for name, _ in pairs), *grid]:
        _require(name, {number: known[number] for number in chosen})
    for section, values in profile.items():
        for name in values:
            _require(name, known if section == "all" else {section: known[section]})
    runs = []
    for values in itertools.product(*grid.values()):
        cell = dict(zip(grid, values, strict=True))
        label = ",".join(f"{name}={value}" for name, value in cell.items())
        for number, path in chosen.items():
            kinds = known[number]
            wanted = {**profile.get("all", {}), **profile.get(number, {}), **dict(pairs), **cell}
            runs.append((path, label, {n: convert(n, v, kinds[n]) for n, v in wanted.items() if n in kinds}))
    return runs
