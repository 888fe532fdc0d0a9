"""Where the course stands, how its files are written, and the hashes that tell whether a result is still fresh."""

import ast
import hashlib
import os
from pathlib import Path


class Refused(ValueError):
    """A request that cannot be carried out; the message says in one sentence which, and what would be right."""


def root():
    """The course's folder: the current one if it holds a course, else the folder that holds the package helpers."""
    here = Path.cwd()
    for folder in (here, Path(__file__).resolve().parents[2]):
        if all((folder / part).exists() for part in ("pyproject.toml", "notebooks", "helpers")):
            return folder
    raise Refused(f"{here} holds no course: go to the folder with pyproject.toml, notebooks and helpers")


def write_atomically(path, text):
    """Write a text file so that a reader sees the old one or the whole new one, never a part."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    part.write_text(text, encoding="utf8")
    part.replace(path)


def canonical(node):
    """A syntax tree as nested lists, the same on every Python version (ast.dump is not), without docstrings."""
    if isinstance(node, ast.Constant):
        return repr(node.value)
    if isinstance(node, list):
        return [canonical(item) for item in node]
    if not isinstance(node, ast.AST):
        return node
    fields = dict(ast.iter_fields(node))
    if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) and ast.get_docstring(node):
        fields["body"] = fields["body"][1:]
    return [
        type(node).__name__,
        *([name, canonical(value)] for name, value in fields.items() if value not in (None, [])),
    ]


def code_hash(files):
    """sha256 over files: Python by its syntax tree (comments, docstrings and layout do not count), others by bytes."""
    digest = hashlib.sha256()
    for path in sorted(files, key=lambda path: path.as_posix()):
        content = path.read_bytes()
        if path.suffix == ".py":
            content = repr(canonical(ast.parse(content))).encode()
        digest.update(path.name.encode() + b"\0" + content + b"\0")
    return digest.hexdigest()


def files_below(folder):
    """The files in a folder and its folders, without caches."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
