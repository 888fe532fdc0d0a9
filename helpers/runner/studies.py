"""Studies: comparisons too long for a notebook, run once as a grid of cells and stored one row a cell.

A study is a file studies/NAME.py with
    GRID  : {parameter: values}, of which every combination is a cell, or a list of cells {parameter: value}
    DATA  : names of the data sets that it reads
    run(**cell) -> dict : the results of one cell; what it finds of each row goes through `pack`, with the rows' ids
    figures(row) -> dict, if there is any : the results that follow from what a row of the table holds by row
and is stored in data/studies/NAME.csv: the cell's parameters, its results, `cell` (hash of the parameters) and `stand`
(hash of data and of the code that `run` reaches).
"""

import functools
import hashlib
import importlib.util
import io
import itertools
import json
import re
import time
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import datasets
from helpers.runner.paths import Refused, root, write_atomically
from helpers.runner.reach import reached


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
    """Hash of what the results depend on: the code that `run` reaches, the rows of studies that it loads, and its data.

    The grid does not count (a longer grid leaves finished cells fresh), nor do comments, docstrings and functions that
    `run` does not reach (`reach.reached`). Of data, see `data_hashes`.
    """
    code = sorted(reached(Path(study.__file__), skip={"GRID"}).items())
    parts = code, data_hashes(study.DATA, code)
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def data_hashes(names, code):
    """The sha256 of what code (items of `reach.reached`) can read of data sets, as a list.

    Of each data set the file that `datasets.load` reads; where code reads a card itself, as `audio.load_audio` does,
    all files of the cards; and any other file of data/ that code names, unless its text pins the hash (weights).
    """
    text = repr([trees for (file, _), trees in code if file != "helpers/datasets.py"])
    cards = [datasets.card(name) for name in names]
    found = [one for card in cards for one in (_hashes(card) if "'card'" in text else [card["sha256"]])]
    named = set(re.findall(r"[\w-]*\.\w+", text)) - {card["file"] for card in cards}
    for path in sorted(path for folder in ("", "weights") for path in (datasets.DATA / folder).glob("*.*")):
        if any(path.name.endswith(name) for name in named):
            own = hashlib.sha256(path.read_bytes()).hexdigest()
            found += [own] if own not in text and own not in found else []
    return found


def _hashes(card):
    """All sha256 of a card, those of its parts too."""
    found = [value for key, value in card.items() if key.endswith("sha256")]
    return found + [one for part in card.values() if isinstance(part, dict) for one in _hashes(part)]


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


def faults(name, study, rows):
    """{cell: sentence} for the cells that stand twice in a table, or whose parameters are not those of their hash."""
    wanted, found, again = cells(study), {}, f"run it again with `course study {name}`"
    for key in rows.loc[rows["cell"].duplicated(), "cell"]:
        found[key] = f"study {name}, cell {key} stands twice in its table: {again}"
    for row in rows.to_dict("records"):
        for parameter, value in wanted.get(row["cell"], {}).items():
            if not _same(row.get(parameter), value):
                says = f"says {parameter} = {row.get(parameter)!r}, and its hash stands for {value!r}"
                found.setdefault(row["cell"], f"study {name}, cell {row['cell']} {says}: {again}")
    return found


def _same(stored, value):
    """Whether what a table holds is a parameter's value: in a file 1 may be 1.0, None and "" are empty."""
    if value in (None, "") or pd.isna(stored):
        return value in (None, "") and pd.isna(stored)
    try:
        return str(stored) == str(value) or float(stored) == float(value)
    except (TypeError, ValueError):
        return False


def sound(name, study):
    """The stored rows; Refused where `faults` finds one."""
    rows = stored(name)
    for sentence in faults(name, study, rows).values():
        raise Refused(sentence)
    return rows


def state(name):
    """Fresh rows, missing cells {hash: parameters}, and the number of other rows: stale, or with `faults`."""
    study = module(name)
    wanted, now, rows = cells(study), stand(study), stored(name)
    fresh = rows[rows["cell"].isin(wanted.keys() - faults(name, study, rows)) & (rows["stand"] == now)]
    there = set(fresh["cell"])
    missing = {key: cell for key, cell in wanted.items() if key not in there}
    return fresh, missing, len(rows) - len(fresh)


def load(name):
    """The results of a study, one row a cell.

    errors : Refused if none are stored, if a cell stands twice or with other parameters than its hash, or if a stored
             figure that follows from what is stored by row comes out otherwise when it is computed again (`figures`
             of the study; for all studies accuracy, from `correct`)
    """
    if stored(source(name).stem).empty:
        raise Refused(f"study {name} has no results: fill it with `course study {name}`")
    rows, further = sound(name, module(name)), _figures(name)
    for row in rows.to_dict("records"):
        for column, value in [*accuracy(row).items(), *further(row).items()]:
            if not np.isclose(row[column], value, rtol=0, atol=1e-9, equal_nan=True):
                raise Refused(
                    f"study {name}, cell {row['cell']}: {column} is stored as {row[column]:.6g}, and what is stored by "
                    f"row gives {value:.6g}: run it again with `course study {name}`"
                )
    return rows.drop(columns=["cell", "stand"])


def _figures(name):
    """The study's function `figures`; one that finds nothing where it has none."""
    if re.search(r"^def figures\(", source(name).read_text(encoding="utf8"), re.MULTILINE):
        return _module_once(name).figures
    return lambda row: {}


def accuracy(row):
    """The share of rows that are right, where a row of a table says which are."""
    if isinstance(row.get("correct"), str) and pd.notna(row.get("accuracy")):
        return {"accuracy": unpack(row["correct"]).mean()}
    return {}


def stale(name):
    """What is wrong with a study's stored results, as sentences; an empty list if they are complete and fresh."""
    _, missing, old = state(name)
    found = list(faults(name, module(name), stored(name)).values())
    found += [f"study {name} lacks {len(missing)} cells: fill it with `course study {name}`"] if missing else []
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

    study = module(name)
    wanted, now, rows = cells(study), stand(study), sound(name, study)
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


# ---- results by row -------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=64)
def _rows(ids):
    """Hash of a set of row ids (a tuple), whatever their order, and the place of each among them when sorted."""
    if len(set(ids)) < len(ids):
        raise ValueError(f"{len(ids)} ids, {len(set(ids))} of them different: give each row an id of its own")
    order = sorted(ids)
    place = dict(zip(order, range(len(order)), strict=True))
    key = hashlib.sha256("\n".join(map(str, order)).encode()).hexdigest()[:8]
    return key, np.array([place[one] for one in ids], int)


def pack(values, ids):
    """One value a row as text for one column of a study's table: in the order of the ids, behind the hash of all ids.

    values  : (n,) of bool, of whole numbers from 0, or of str
    ids     : (n,) row ids, int or str, no two alike
    returns : "hash:n:hex" (bool), "hash:1 0 12" or "hash:[…]" (JSON)
    errors  : ValueError where two ids are alike, or there is not one value for each

    >>> pack(np.array([True, False, True]), [7, 5, 9])
    '6113b6b7:3:60'
    """
    key, place = _rows(tuple(ids))
    if len(place) != len(values):
        raise ValueError(f"{len(values)} values for {len(place)} rows: give one value a row")
    values = np.asarray(values)[np.argsort(place, kind="stable")]
    if values.dtype == bool:
        text = f"{len(values)}:{np.packbits(values).tobytes().hex()}"
    elif np.issubdtype(values.dtype, np.integer):
        text = " ".join(map(str, values))
    else:
        text = json.dumps(values.tolist(), ensure_ascii=False)
    return f"{key}:{text}"


def unpack(text, ids=None):
    """The values that `pack` made a text of, in the order of `ids`; without ids in that of the sorted ids.

    returns : (n,) of int or str; what was bool is 0 and 1, of which a difference can be taken
    errors : Refused where `ids` are not the ids of the rows that were packed
    """
    key, text = text.split(":", 1)
    if ids is not None and _rows(tuple(ids))[0] != key:
        raise Refused(
            f"what is stored by row belongs to other rows than these {len(ids)}: draw the rows as the study did, or "
            "run the study again"
        )
    if text.startswith("["):
        values = np.array(json.loads(text), str)
    elif ":" in text:
        length, bits = text.split(":")
        values = np.unpackbits(np.frombuffer(bytes.fromhex(bits), np.uint8))[: int(length)].astype(int)
    else:
        values = np.array(text.split(), int)
    return values if ids is None else values[_rows(tuple(ids))[1]]


def stack(texts, ids=None):
    """What several cells found of the same rows: array (cells, rows) as of `unpack`, by `ids` or by the sorted ids.

    errors : Refused where the cells were judged on different rows
    """
    texts = list(texts)
    keys = sorted({text.split(":", 1)[0] for text in texts})
    if len(keys) > 1:
        raise Refused(f"{len(texts)} cells were judged on {len(keys)} different sets of rows: compare cells of one set")
    return np.stack([unpack(text, ids) for text in texts])
