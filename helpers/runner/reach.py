"""The code that a function reaches, followed by name through the course's own modules.

What a study's results depend on is not a list that somebody keeps: it is read off the code. A function reaches the
functions, classes and constants that it names, those that they name, and so on, in helpers/ and studies/. Where a
module is used as a value (`getattr(selection, method)`), all of it is reached. Comments, docstrings and layout do not
count, nor does helpers.runner, which starts runs and stores them.
"""

import ast
import functools

from helpers.runner.paths import canonical, root

OUTSIDE = "helpers.runner"


class Module:
    """A file's definitions {name: statements}, its imports {name: dotted names}, and its loose statements."""

    def __init__(self, path):
        self.path, self.defined, self.imported, self.loose = path, {}, {}, []
        tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree):
            for name, dotted in _imports(node):
                self.imported.setdefault(name, set()).add(dotted)
        for node in tree.body:
            names = _bound(node)
            if names is None and not _is_docstring(node):
                self.loose.append(node)
            for name in names or []:
                self.defined.setdefault(name, []).append(node)


def _imports(node):
    """(name, dotted name) of each part of the course that an import, or a call of studies.module, gives a name."""
    found = []
    if isinstance(node, ast.ImportFrom):
        found = [(alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names]
    elif isinstance(node, ast.Import):
        found = [(alias.asname or alias.name.split(".")[0], alias.name) for alias in node.names]
        found = [(name, dotted if name == dotted else dotted.split(".")[0]) for name, dotted in found]
    elif isinstance(node, ast.Assign):
        found = [(ast.unparse(target), f"studies.{_study(value)}") for target, value in _pairs(node) if _study(value)]
    return [
        (name, dotted)
        for name, dotted in found
        if dotted.split(".")[0] in ("helpers", "studies") and not f"{dotted}.".startswith(f"{OUTSIDE}.")
    ]


def _pairs(node):
    """(target, value) of an assignment, one by one where it unpacks as many values as it has targets."""
    target, value = node.targets[0], node.value
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


def _study(node):
    """The name in a call studies.module("name"), else None; ValueError where the name is no literal."""
    if not (isinstance(node, ast.Call) and ast.unparse(node.func) == "studies.module"):
        return None
    if not isinstance(node.args[0], ast.Constant):
        raise ValueError(f"{ast.unparse(node)}: name the study by a literal, so that what it holds can be followed")
    return node.args[0].value


def _bound(node):
    """The names that a statement at the top of a module defines: [] for an import, None for any other statement."""
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return [node.name]
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return []
    if isinstance(node, ast.Assign) and all(_study(value) for _, value in _pairs(node)):
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
    skip    : names of the module at `path` that do not count
    returns : name is "" for the statements of a module that define nothing and run when it is imported
    """
    seen, waiting = {}, [(path, start)]
    while waiting:
        file, name = waiting.pop()
        if (file, name) in seen or (file == path and name in skip):
            continue
        module = _module(file)
        nodes = module.defined.get(name, []) if name else module.loose
        seen[file, name] = [canonical(node) for node in nodes]
        waiting.append((file, ""))
        for node in nodes:
            waiting += _uses(node, module)
    return {(file.relative_to(root()).as_posix(), name): trees for (file, name), trees in seen.items() if trees}


def _uses(node, module):
    """The (file, name) pairs that a syntax tree names."""
    if isinstance(node, ast.Assign) and all(_study(value) for _, value in _pairs(node)):
        return []  # a study is given a name; what is used of it counts
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
    cut = next(cut for cut in range(len(parts), -1, -1) if cut == 0 or _file(".".join(parts[:cut])))
    if not cut:
        return []
    file, rest = _file(".".join(parts[:cut])), parts[cut:]
    module = _module(file)
    if not rest:
        return [(file, name) for name in module.defined] + [
            target for names in module.imported.values() for name in names for target in _targets(name)
        ]
    further = [target for name in module.imported.get(rest[0], ()) for target in _targets(".".join([name, *rest[1:]]))]
    return further + ([(file, rest[0])] if rest[0] in module.defined else [])
