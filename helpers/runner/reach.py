"""The code that a function reaches, followed by name through the course's own modules.

What a study's results depend on is not a list that somebody keeps: it is read off the code. A function reaches the
functions, classes and constants that it names, those that they name, and so on, in helpers/ and studies/; and the rows
of a study that it loads. Where a module is used as a value (`getattr(selection, method)`), all of it is reached. What
a module runs on import counts where it is imported. Comments, docstrings and layout do not count, nor does
helpers.runner, which starts runs and stores them. What no name leads to is refused, with what to write instead.
"""

import ast
import functools
import hashlib

import pandas as pd

from helpers.runner.paths import Refused, canonical, files_below, root

OUTSIDE = "helpers.runner"
ALLOWED = {"helpers.runner": {"studies"}, "helpers.runner.studies": {"pack", "unpack", "stack"}}  # for import
NAMING = {"module", "load", "stored"}  # functions of `studies` that take the name of a study
QUIET = "helpers/__init__.py"  # it only keeps TensorFlow's log from the reader, so it does not count (a test)
WHERE = {("helpers/datasets.py", "DATA"), ("helpers/pretrained/__init__.py", "_cache_folder")}  # may read __file__


class Unfollowed(Refused):
    """Code that cannot be followed by name: one sentence that says where, and what to write instead."""


class Module:
    """A file's definitions {name: statements}, its imports {name: dotted names}, and its loose statements."""

    def __init__(self, path):
        self.path, self.defined, self.imported, self.loose = path, {}, {}, []
        tree = ast.parse(path.read_bytes())
        _refuse_hidden(tree, path)
        for node in ast.walk(tree):
            for name, dotted in _imports(node):
                self.imported.setdefault(name, set()).add(dotted)
        for node in tree.body:
            names = _bound(node)
            if names is None and not _is_docstring(node):
                self.loose.append(node)
            for name in names or []:
                self.defined.setdefault(name, []).append(node)
        for name in sorted(self.defined.keys() & self.imported.keys()):
            raise _unfollowed(path, self.defined[name][0], f"{name} is imported here too: give one another name")
        for node in [part for one in tree.body for part in (one, *(one.body if isinstance(one, ast.ClassDef) else ()))]:
            for decorator in getattr(node, "decorator_list", ()):
                name = ast.unparse(decorator).split("(")[0].split(".")[0]
                if name in self.defined or name in self.imported:
                    why = f"@{name} may enter {node.name} in a list: enter it by a statement"
                    raise _unfollowed(path, decorator, why)


def _unfollowed(path, node, why):
    return Unfollowed(f"{path.relative_to(root()).as_posix()}, line {node.lineno}: {why}")


def _refuse_hidden(tree, path):
    """Unfollowed where a file reaches something that it does not name."""
    known = set()  # the names `studies` that are part of what can be followed
    for node in ast.walk(tree):
        why = None
        if isinstance(node, ast.ImportFrom):
            outside = f"{node.module}.".startswith(f"{OUTSIDE}.")
            if node.level:
                why = "name the module in full, not relative to this one"
            elif any(alias.name == "*" for alias in node.names):
                why = "import by name, not *"
            elif any(
                alias.name not in ALLOWED.get(node.module, ()) or (alias.asname and alias.name == "studies")
                if outside
                else f"{node.module}.{alias.name}" == OUTSIDE
                for alias in node.names
            ):
                why = f"take `from {OUTSIDE} import studies` and name what is used of it, as in studies.load"
        elif isinstance(node, ast.Import) and any(f"{alias.name}.".startswith(f"{OUTSIDE}.") for alias in node.names):
            why = f"take `from {OUTSIDE} import studies` and name what is used of it, as in studies.load"
        elif _of_studies(node) in ALLOWED["helpers.runner.studies"]:
            known.add(node.value)
        elif _study(node) or _table(node):
            known.add(node.func.value)
        elif isinstance(node, ast.Name) and node.id in ("eval", "exec", "globals", "__import__", "import_module"):
            why = f"{node.id} reaches what nobody can follow: name it"
        if why:
            raise _unfollowed(path, node, why)
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id == "studies" and node not in known:
            raise _unfollowed(path, node, 'name the study by a literal, as in studies.module("choosing")')


def _imports(node):
    """(name, dotted name) of each part of the course that an import, or a call of studies.module, gives a name."""
    found = [(name, f"studies.{study}") for name, study in _named(node).items()]
    if isinstance(node, ast.ImportFrom):
        found = [(alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names]
    elif isinstance(node, ast.Import):
        plain = [alias.name for alias in node.names if not alias.asname]  # gives a name to the first part alone
        found = [(alias.asname, alias.name) for alias in node.names if alias.asname]
        found += [(part, part) for part in (name.split(".")[0] for name in plain)] + [("", name) for name in plain]
    return [
        (name, dotted)
        for name, dotted in found
        if dotted.split(".")[0] in ("helpers", "studies") and not f"{dotted}.".startswith(f"{OUTSIDE}.")
    ]


def _named(node):
    """{name: study} of an assignment that does nothing but give studies names, else {}."""
    found = {}
    for target in node.targets if isinstance(node, ast.Assign) else ():
        parts, values = getattr(target, "elts", [target]), getattr(node.value, "elts", [node.value])
        if len(parts) != len(values) or not all(isinstance(part, ast.Name) for part in parts):
            return {}
        found |= {part.id: _study(value) for part, value in zip(parts, values, strict=True)}
    return found if all(found.values()) else {}


def _study(node):
    """The name in a call studies.module("name"), else None."""
    return _literal(node, {"module"})


def _table(node):
    """The name in a call studies.load("name") or studies.stored("name"), else None."""
    return _literal(node, NAMING - {"module"})


def _literal(node, functions):
    if not isinstance(node, ast.Call) or _of_studies(node.func) not in functions:
        return None
    literal = not node.keywords and len(node.args) == 1 and isinstance(node.args[0], ast.Constant)
    return node.args[0].value if literal else None


def _of_studies(node):
    """The name in studies.name, else None."""
    named = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "studies"
    return node.attr if named else None


def _bound(node):
    """The names that a statement at the top of a module defines: [] for an import, None for any other statement."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)) or _named(node):
        return []
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    parts = [part for target in targets if target for part in ast.walk(target)]
    names = [part.id for part in parts if isinstance(part, ast.Name)]
    plain = all(isinstance(part, (ast.Name, ast.Tuple, ast.List, ast.expr_context)) for part in parts)
    return names if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)) and plain else None


def _is_docstring(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


@functools.cache
def _parsed(path, state):
    return Module(path)


def _module(path):
    """The module in a file, parsed once for each state of the file."""
    state = path.stat()
    return _parsed(path, (state.st_mtime_ns, state.st_size))


def _file(dotted):
    """The file of a module of the course, or None."""
    path = root().joinpath(*dotted.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def reached(path, start="run", skip=()):
    """What a function of a file reaches: {(file below the course's folder, name): syntax trees as nested lists}.

    path    : Path of the module
    start   : name of the function
    skip    : names of the module at `path` that it must not reach
    returns : name is "" for the statements of a module that define nothing and run when it is imported; of the table
              of a study that is loaded [hash of its rows]
    errors  : Unfollowed, one sentence, for what cannot be followed or must not be reached
    """
    seen, waiting, beside = {}, [(path, start)], _beside()
    while waiting:
        file, name = waiting.pop()
        if file == path and name in skip:
            raise Unfollowed(
                f"studies/{path.name}: {start} reads {name}, which does not count: give what it needs of it a name"
            )
        if (file, name) in seen:
            continue
        if file.suffix == ".csv":
            seen[file, name] = [_rows_hash(file)]
            continue
        module = _module(file)
        nodes = module.defined.get(name, []) if name else module.loose
        seen[file, name] = [canonical(node) for node in nodes]
        waiting.append((file, ""))
        if not name:
            waiting += _run_on_import(module)
        for node in nodes:
            for part in ast.walk(node):
                _refuse_beside(part, module, name, beside)
            waiting += _uses(node, module)
    return {(file.relative_to(root()).as_posix(), name): trees for (file, name), trees in seen.items() if trees}


def _rows_hash(file):
    """Hash of the rows of a study's table, without `stand`, which `studies.confirm` renews; "" if there are none."""
    if not file.exists():
        return ""
    rows = pd.read_csv(file, dtype=str, keep_default_na=False).drop(columns="stand")
    return hashlib.sha256(rows.to_csv(index=False).encode()).hexdigest()


def _run_on_import(module):
    """The loose statements of the modules that a module imports, and of the packages that they stand in."""
    dotted = {name for names in module.imported.values() for name in names}
    parents = {".".join(name.split(".")[:cut]) for name in dotted for cut in range(1, name.count(".") + 2)}
    package = module.path.parent / "__init__.py"
    files = {file for file in map(_file, parents) if file} | ({package} if package.is_file() else set())
    return [(file, "") for file in sorted(files) if file != root() / QUIET]


def _refuse_beside(node, module, name, beside):
    """Unfollowed where code names a file that stands `beside` it, or finds one from __file__."""
    named = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
    if named.rpartition("/")[2] in beside:
        raise _unfollowed(module.path, node, f"{named} stands beside the code: put what a study reads into data/")
    place = isinstance(node, ast.Name) and node.id == "__file__" and module.path.relative_to(root()).as_posix()
    if place and (place, name) not in WHERE:
        raise _unfollowed(module.path, node, "a file found from __file__ cannot be followed: put it into data/")


def _beside():
    """Names of the files in helpers/ and studies/ that are no Python."""
    files = [file for folder in ("helpers", "studies") for file in files_below(root() / folder)]
    return {file.name for file in files if file.suffix != ".py" and "runner" not in file.parts}


def _uses(node, module):
    """The (file, name) pairs that a syntax tree names."""
    if _named(node):
        return []  # a study is given a name; what is used of it counts
    if study := _table(node):
        return [(root() / "data" / "studies" / f"{study}.csv", "")]
    if dotted := _dotted(node, module):
        return [target for name in dotted for target in _targets(name)]
    read = isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in module.defined
    found = [(module.path, node.id)] if read else []
    return found + [use for child in ast.iter_child_nodes(node) for use in _uses(child, module)]


def _dotted(node, module):
    """The dotted names that a name or an attribute stands for, such as helpers.selection.k_center; empty if none."""
    if isinstance(node, ast.Name):
        return module.imported.get(node.id, set())
    if study := _study(node):
        return {f"studies.{study}"}
    if isinstance(node, ast.Attribute):
        return {f"{dotted}.{node.attr}" for dotted in _dotted(node.value, module)}
    return set()


def _targets(dotted):
    """The definitions that a dotted name stands for: one, or those of a whole module."""
    parts = dotted.split(".")
    if parts[:2] == OUTSIDE.split("."):
        raise Unfollowed(
            f"{dotted}: take `from {OUTSIDE} import studies` and name what is used of it, as in studies.load"
        )
    cut = next(cut for cut in range(len(parts), -1, -1) if cut == 0 or _file(".".join(parts[:cut])))
    if not cut:
        return []
    file, rest = _file(".".join(parts[:cut])), parts[cut:]
    module = _module(file)
    if not rest:
        return [(file, name) for name in ("", *module.defined)] + [
            target for names in module.imported.values() for name in names for target in _targets(name)
        ]
    further = [target for name in module.imported.get(rest[0], ()) for target in _targets(".".join([name, *rest[1:]]))]
    # a name that is not defined may be bound by a loose statement, such as try
    return [*further, (file, rest[0] if rest[0] in module.defined else "")]
