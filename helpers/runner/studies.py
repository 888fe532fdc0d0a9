"""Studies: comparisons too long for a notebook, run once as a grid of cells and stored one row a cell.

A study is a file studies/NAME.py with
    GRID  : {parameter: values}, of which every combination is a cell, or a list of cells {parameter: value}
    USES  : modules of helpers whose code its results depend on, such as ["selection", "evaluation"], and other studies
            that it builds on, such as "studies/choosing"
    DATA  : names of the data sets that it reads
    run(**cell) -> dict : the results of one cell
and is stored in data/studies/NAME.csv: the cell's parameters, its results, `cell` (hash of the parameters) and `stand`
(hash of code and data).
"""

import functools
import hashlib
import importlib.util
import io
import itertools
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import datasets
from helpers.runner.paths import Refused, code_hash, root, write_atomically


def names():
    """The studies of the course, in alphabetical order."""
    return sorted(path.stem for path in (root() / "studies").glob("[!_]*.py"))


def source(name):
    """The study's file; Refused if there is no such study."""
    if name not in names():
        raise Refused(f"there is no study {name}; there are {', '.join(names()) or 'none'}")
    return root() / "studies" / f"{name}.py"


def module(name):
    """The study's module, imported from its file."""
    specification = importlib.util.spec_from_file_location(f"studies.{name}", source(name))
    study = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(study)
    return study


def cells(study):
    """The grid as {hash of the parameters: parameters}."""
    grid = study.GRID
    if isinstance(grid, dict):
        grid = [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
    return {hashlib.sha256(json.dumps(cell, sort_keys=True).encode()).hexdigest()[:12]: cell for cell in grid}


def stand(study):
    """Hash of what the results depend on: the study's file, the modules that it uses and the data that it reads.

    The grid does not count (a longer grid leaves finished cells fresh), nor do comments and docstrings.
    """
    files = [Path(study.__file__)]
    for name in study.USES:
        path = root() / ("" if name.startswith("studies/") else "helpers") / name
        files += path.glob("*.py") if path.is_dir() else [path.with_suffix(".py")]
    parts = code_hash(files, skip="GRID"), [datasets.card(name)["sha256"] for name in study.DATA]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def stored(name):
    """The stored rows, fresh or not; an empty table if there are none."""
    path = table_path(name)
    return read(path) if path.exists() else pd.DataFrame(columns=["cell", "stand"])


def table_path(name):
    """Where a study's table stands."""
    return root() / "data" / "studies" / f"{name}.csv"


def read(file):
    """A study's table."""
    text = {"cell": str, "stand": str}
    return pd.read_csv(file, dtype=text, keep_default_na=False, na_values=[""])


def state(name):
    """Fresh rows, missing cells {hash: parameters}, and the number of stale rows."""
    study = module(name)
    wanted, now, rows = cells(study), stand(study), stored(name)
    fresh = rows[rows["cell"].isin(wanted) & (rows["stand"] == now)]
    missing = {key: cell for key, cell in wanted.items() if key not in set(fresh["cell"])}
    return fresh, missing, len(rows) - len(fresh)


def load(name):
    """The results of a study, one row a cell; Refused if none are stored."""
    rows = stored(source(name).stem)
    if rows.empty:
        raise Refused(f"study {name} has no results: fill it with `course study {name}`")
    return rows.drop(columns=["cell", "stand"])


def stale(name):
    """What is wrong with a study's stored results, as sentences; an empty list if they are complete and fresh."""
    _, missing, old = state(name)
    found = [f"study {name} lacks {len(missing)} cells: fill it with `course study {name}`"] if missing else []
    return found + ([f"study {name} holds {old} rows of other code, data or grid"] if old else [])


def overview():
    """A line for each study: cells done of all, and whether they are fresh."""
    lines = []
    for name in names():
        fresh, missing, old = state(name)
        lines.append(f"{name}: {len(fresh)} of {len(fresh) + len(missing)} cells, {'stale' if old else 'fresh'}")
    return "\n".join(lines) or "no studies"


def run_cell(name, cell, key):
    """A row of the table: one cell's parameters, its results and its hash. Runs in a worker process."""
    results = _module_once(name).run(**cell)
    plain = {column: value.item() if isinstance(value, np.generic) else value for column, value in results.items()}
    return {**cell, **plain, "cell": key}  # a float32 in a table of one row would be written with fewer digits


_module_once = functools.cache(module)  # what a study caches serves all cells of its process


def fill(name, jobs, scheduler=None):
    """Run the missing cells, storing the table as it grows, so that a killed study goes on where it stopped.

    Storing takes a twentieth of the time at most: a small table is stored after each cell, a long one less often.

    A cell that raises is reported and left out; the others go on. Rows of other code or data are dropped.
    scheduler : see `workers.finished`
    returns   : number of cells that failed
    """
    import tempfile

    from tqdm import tqdm

    from helpers.runner import kernels
    from helpers.runner.workers import finished, sentence

    study = module(name)
    order, now = {key: place for place, key in enumerate(cells(study))}, stand(study)
    fresh, missing, _ = state(name)
    rows, failed = fresh.to_dict("records"), 0
    tasks = [(name, cell, key) for key, cell in missing.items()]

    def store():
        start = time.monotonic()
        rows.sort(key=lambda row: order[row["cell"]])
        write_atomically(table_path(name), pd.DataFrame(rows).to_csv(index=False))
        return time.monotonic() + 20 * (time.monotonic() - start)

    due = time.monotonic()
    with tempfile.TemporaryDirectory() as ipython, tqdm(total=len(order), initial=len(rows), unit="cell") as bar:
        kernels.configure(ipython, threads=kernels.threads_for(jobs))
        for (_, cell, _), future in finished(jobs, run_cell, tasks, scheduler):
            bar.update()
            if error := future.exception():
                failed += 1
                bar.write(f"{name} {cell}: {sentence(error)}")
                continue
            rows.append({**future.result(), "stand": now})
            if time.monotonic() >= due:
                due = store()
    if rows:
        store()
    return failed


def sample(name, arms=None, only=""):
    """The first stored cell of arms (a cell's parameters but for `seed`), {arm: hash}.

    arms : at most so many, evenly spread over the grid; all without it
    only : take arms that hold this text in their parameters, such as those that a change of code reaches
    """
    wanted, first = cells(module(name)), {}
    for key in stored(name)["cell"]:
        if key in wanted:
            first.setdefault(repr({k: v for k, v in wanted[key].items() if k != "seed"}), key)
    first = [(arm, key) for arm, key in first.items() if only in arm]
    if not first:
        raise Refused(f"no stored cell of {name} holds {only!r} in its parameters")
    return dict(first[:: -(-len(first) // arms) if arms else 1])


def confirm(name, jobs, arms=None, only=""):
    """Keep stored rows after a change of code that should not change results, once a sample of them was run again.

    If each cell of `sample` gives its stored results to the last digit, `seconds` aside, all rows of the grid get the
    new hash; if one does not, nothing is changed.
    jobs    : as when the rows were made, since the threads of a worker change the last digits
    arms, only : see `sample`
    returns : parameters of the cells whose results differ
    """
    import tempfile

    from tqdm import tqdm

    from helpers.runner import kernels
    from helpers.runner.workers import finished

    study, rows = module(name), stored(name)
    wanted, now = cells(study), stand(study)
    rows = rows[rows["cell"].isin(wanted)]
    tasks = [(name, wanted[key], key) for key in sample(name, arms, only).values()]
    differ = []
    with tempfile.TemporaryDirectory() as ipython, tqdm(total=len(tasks), unit="cell") as bar:
        kernels.configure(ipython, threads=kernels.threads_for(jobs))
        for (_, cell, key), future in finished(jobs, run_cell, tasks):
            bar.update()
            again = read(io.StringIO(pd.DataFrame([future.result()]).to_csv(index=False)))
            again = again.drop(columns="seconds", errors="ignore")
            before = rows.loc[rows["cell"] == key, again.columns].reset_index(drop=True)
            if not again.astype(object).equals(before.astype(object)):
                differ.append(cell)
    if not differ:
        write_atomically(table_path(name), rows.assign(stand=now).to_csv(index=False))
    return differ


def pack(correct):
    """Per-row correctness (array of 0/1, length n) as the text "n:hex", for one column of a study's table.

    >>> pack([1, 0, 1])
    '3:a0'
    >>> unpack('3:a0')
    array([1, 0, 1], dtype=uint8)
    """
    return f"{len(correct)}:{np.packbits(np.asarray(correct, bool)).tobytes().hex()}"


def unpack(text):
    """The array of 0/1 that `pack` made a text of."""
    length, bits = text.split(":")
    return np.unpackbits(np.frombuffer(bytes.fromhex(bits), np.uint8))[: int(length)]
