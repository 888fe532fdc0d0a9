"""A change of code that changes results by rounding alone: both versions run side by side, and how far they differ.

`studies.confirm` asks for the stored digits again, which another processor never gives, nor does a faster way of
computing the same. Here the code of a commit and the code of now run the same cells on this machine. What is rounding
at first is amplified by training, so a result may move; it must move less than another seed would move it.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.runner import kernels, studies
from helpers.runner.paths import Refused, root, write_atomically
from helpers.runner.workers import end, no_interrupts

LIMIT = 0.5  # of the distance of two seeds

PROGRAM = """
import json, sys
from tqdm import tqdm
from helpers.runner import studies
name, keys, file = json.loads(sys.argv[1])
study = studies.module(name)
wanted = studies.cells(study)
rows = [studies.run_cell(name, wanted[key], key) for key in tqdm(keys, unit="cell") if key in wanted]
json.dump({"stand": studies.stand(study), "rows": rows}, open(file, "w"))
"""


def compare(name, commit, arms=None, only=""):
    """Run a sample of the stored cells with a commit's code and with the present code; see `distances`.

    arms, only : see `studies.sample`
    returns : table of `distances`, the numbers of cells run and of those that are equal to the last digit
    errors  : Refused if there is no such commit, or if it is not the commit whose code made the stored rows
    """
    stored = studies.sound(name, studies.module(name))
    keys = list(studies.sample(name, arms, only).values())
    with tempfile.TemporaryDirectory() as before, tempfile.TemporaryDirectory() as ipython:
        kernels.configure(ipython, threads=kernels.threads_for(2))
        _extract(commit, before)
        files = [Path(ipython) / side for side in ("old.json", "new.json")]
        with no_interrupts():
            runs = [_start(folder, name, keys, file) for folder, file in zip((before, root()), files, strict=True)]
        try:
            failed = [run.wait() for run in runs]
        finally:
            end(runs)
        if any(failed):
            raise Refused(f"study {name} does not run through in both versions: see what it printed above")
        old, new = (json.loads(file.read_text()) for file in files)
    if set(stored["stand"]) != {old["stand"]}:
        raise Refused(
            f"the stored rows of {name} were not made by the code of {commit}: give the commit that made them"
        )
    old, new = (
        pd.DataFrame(side["rows"]).set_index("cell").drop(columns="seconds", errors="ignore") for side in (old, new)
    )
    return distances(name, old, new), len(keys), sum(old.loc[key].equals(new.loc[key]) for key in keys)


def distances(name, old, new):
    """How far numbers moved, beside how far apart two seeds of an arm are in the stored table.

    old, new : tables of the same cells by the two versions, with the cell's key as index
    returns  : DataFrame, a row a numeric result: moved and seeds (root mean squares), share (moved / seeds), mean (of
               new − old); results that no seed changes and no version moved are left out
    """
    study, stored = studies.module(name), studies.stored(name)
    wanted = studies.cells(study)
    parameters = {parameter for cell in wanted.values() for parameter in cell}
    arm = stored["cell"].map(lambda key: repr(_without_seed(wanted[key])) if key in wanted else None)
    found = []
    for column in new.columns.difference(list(parameters)):
        before, after, kept = (_numbers(table[column]) for table in (old, new, stored))
        if after is None:
            continue
        step = (after - before).dropna()
        seeds = np.sqrt(2 * kept.groupby(arm).var().mean())
        moved = np.sqrt((step**2).mean())
        if moved > 0 or seeds > 0:
            share = moved / seeds if seeds > 0 else np.inf
            found.append({"result": column, "moved": moved, "seeds": seeds, "share": share, "mean": step.mean()})
    return pd.DataFrame(found, columns=["result", "moved", "seeds", "share", "mean"]).set_index("result")


def _numbers(column):
    """A column as numbers; of texts that list numbers, such as "71 67 64", the mean of each; None if it is neither."""
    if pd.api.types.is_numeric_dtype(column):
        return column.astype(float)
    try:
        means = column.map(lambda text: np.mean([float(part) for part in text.split()]), na_action="ignore")
        return means.astype(float)  # cells of other questions hold nothing
    except (AttributeError, ValueError):
        return None


def keep(name):
    """Mark all stored rows of the grid as fresh; Refused where one is at fault (`studies.faults`)."""
    study = studies.module(name)
    stored = studies.sound(name, study)
    stored = stored[stored["cell"].isin(studies.cells(study))]
    write_atomically(studies.table_path(name), stored.assign(stand=studies.stand(study)).to_csv(index=False))


def _without_seed(cell):
    return {parameter: value for parameter, value in cell.items() if parameter != "seed"}


def _extract(commit, folder):
    """Put the files of a commit into a folder."""
    with tempfile.TemporaryFile() as archive:
        told = subprocess.run(["git", "archive", commit], cwd=root(), stdout=archive, stderr=subprocess.PIPE, text=True)
        if told.returncode:
            raise Refused(f"git has no commit {commit!r} here: {told.stderr.strip()}")
        archive.seek(0)
        subprocess.run(["tar", "-x", "-C", folder], stdin=archive, check=True)


def _start(folder, name, keys, file):
    """A process that runs cells by the code in a folder and writes them to a file."""
    # vectors in a store of its own: one side may compute them in 16 bits, and the course must not read those
    environment = os.environ | {"PYTHONPATH": str(folder), "COURSE_CACHE": str(file.with_suffix(""))}
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, json.dumps([name, keys, str(file)])], cwd=folder, env=environment
    )
