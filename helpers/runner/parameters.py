"""Parameters of notebooks: what a notebook declares, what the reader asked for, refused before anything runs."""

import ast
import difflib
import itertools
import json
import re
from pathlib import Path

import yaml

from helpers.runner.paths import Refused, root

NAME = re.compile(r"([0-9]{2}[a-z]?)_.+\.ipynb")
PATHS = {"table", "output", "folder", "executed"}  # parameters that name a file or a folder


def notebooks():
    """The course's notebooks as {id: path}, in order; an id is "05", or "05a" for a part of number 05.

    Refused where two files stand under one id, or a whole notebook beside parts of its number
    """
    found = {}
    for path in sorted((root() / "notebooks").glob("*.ipynb")):
        if not NAME.fullmatch(path.name):
            continue
        number = identifier(path)[:2]
        if other := found.get(identifier(path), found.get(number)):
            clash = f"{other.name} and {path.name} stand under one number"
            raise Refused(f"{clash}: give each a letter of its own, such as {number}a and {number}b")
        found[identifier(path)] = path
    return found


def identifier(path):
    """The id of a notebook's file: "05a" of 05a_rows.ipynb."""
    return path.name.partition("_")[0]


def normal(number):
    """A number or the id of a part as ids are written, "" if it is neither.

    >>> normal("5"), normal("05"), normal("5a"), normal("all")
    ('05', '05', '05a', '')
    """
    found = re.fullmatch(r"([0-9]+)([a-z]?)", str(number))
    return f"{int(found[1]):02}{found[2]}" if found else ""


def matching(number, ids):
    """Those of the ids that a number asks for: all parts of it, or the one that has this letter.

    >>> matching("5", ["05a", "05b", "06"]), matching("5b", ["05a", "05b", "06"])
    (['05a', '05b'], ['05b'])
    """
    return [id for id in ids if normal(number) in (id, id[:2])]


def select(numbers):
    """The notebooks that these ask for ("4", "04", "05a"), all if there are none; Refused for one that is not there."""
    there = notebooks()
    if not there:
        raise Refused(f"there are no notebooks in {root() / 'notebooks'}")
    for number in numbers:
        if not matching(number, there):
            raise Refused(f"there is no notebook {number}; there are {', '.join(there)}")
    wanted = {id for number in numbers or there for id in matching(number, there)}
    return {id: path for id, path in there.items() if id in wanted}


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


def located(name, value):
    """A path seen from the folder where the command starts (kernels start in notebooks/); other values as they are."""
    return str(Path(value).absolute()) if name in PATHS and value else value


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
        if not (name and equals and grid[name] and all(grid[name])):
            raise Refused(f"--grid takes name=0..4 or name=a,b, not {axis!r}")
    return grid


def read_profile(path):
    """A profile {"04": {name: value}, "05a": {…}, "all": {name: value}} as {number, id or "all": parameters}."""
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
        if section != "all" and not matching(section, notebooks()):
            raise Refused(f"profile {path} names notebook {section}, which is not there")
        sections["all" if section == "all" else normal(section)] = values or {}
    return sections


def _require(name, known):
    if not any(name in kinds for kinds in known.values()):
        have = ", ".join(sorted(set().union(*known.values()))) or "none"
        near = difflib.get_close_matches(name, sorted(set().union(*known.values())), n=1)
        guess = f"did you mean {near[0]}? There are" if near else "there are"
        raise Refused(f"there is no parameter {name} in {', '.join(known)}; {guess} {have}")


def combine(chosen, pairs=(), profile=None, axes=()):
    """The runs asked for: a list of (path, label of the grid cell, parameters), every name and type checked.

    chosen : {id: path}; pairs and axes reach the notebooks that declare the name, and at least one of them must
    order  : profile "all", profile of the number, of the part, pairs, grid; the later wins
    """
    profile, grid = profile or {}, parse_grid(axes)
    known = {id: declared(path) for id, path in (notebooks() if profile else chosen).items()}
    for name in [*(name for name, _ in pairs), *grid]:
        _require(name, {id: known[id] for id in chosen})
    for section, values in profile.items():
        for name in values:
            _require(name, known if section == "all" else {id: known[id] for id in matching(section, known)})
    runs = []
    for values in itertools.product(*grid.values()):
        cell = dict(zip(grid, values, strict=True))
        label = ",".join(f"{name}={value}" for name, value in cell.items())
        for id, path in chosen.items():
            kinds = known[id]
            of_profile = {**profile.get("all", {}), **profile.get(id[:2], {}), **profile.get(id, {})}
            wanted = {**of_profile, **dict(pairs), **cell}
            values = {n: located(n, convert(n, v, kinds[n])) for n, v in wanted.items() if n in kinds}
            runs.append((path, label, values))
    return runs
