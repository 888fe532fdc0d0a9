"""Execute notebooks with papermill in a pool of processes, keep what is done already, store what is to be committed."""

import hashlib
import importlib.metadata
import json
import os
import re
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

from helpers.runner.parameters import declared
from helpers.runner.paths import code_hash, files_below, root, write_atomically
from helpers.runner.workers import finished, sentence

BAND = re.compile(r", band .+: (inside|outside)$", re.MULTILINE)


def stand_of_the_course():
    """sha256 over everything but the notebook that its outputs depend on: code, data, packages, Keras's backend."""
    top = root()
    code = [*files_below(top / "helpers"), *files_below(top / "studies")]
    data = [(path.name, hashlib.sha256(path.read_bytes()).hexdigest()) for path in files_below(top / "data")]
    packages = sorted(f"{package.name}=={package.version}" for package in importlib.metadata.distributions())
    parts = code_hash(code), data, packages, os.environ.get("KERAS_BACKEND")
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def source_hash(path):
    """sha256 over a notebook's cells without their outputs."""
    cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    sources = [
        (cell.get("id"), cell["cell_type"], "".join(cell["source"]), cell["metadata"].get("tags")) for cell in cells
    ]
    return hashlib.sha256(repr(sources).encode()).hexdigest()


def plan(runs, folder, update):
    """The jobs for runs (path, label, parameters) in rounds: ordinary notebooks, then each that reads executed ones.

    With `update` each notebook has an empty cache of its own, so that the minutes stored are those of a new machine.
    A job says where from, where to, with which parameters, and the key under which its result is kept. A notebook with
    a parameter `executed` comes last, gets the folder of this run (not with `update`: it reads the committed notebooks)
    and is never kept.
    """
    stand, first, readers = stand_of_the_course(), [], []
    for path, label, parameters in runs:
        parts = source_hash(path), stand, sorted(parameters.items())
        job = {
            "source": path,
            "folder": folder,
            "target": folder / label / path.name,
            "notebook": f"{path.stem} {label}".strip(),
            "parameters": parameters,
            "shipped": not parameters,
            "fresh": update,
            "key": hashlib.sha256(repr(parts).encode()).hexdigest(),
        }
        (readers if "executed" in declared(path) else first).append(job)
    for job in readers:
        job["key"] = None
        if first and not update:
            job["parameters"] = {"executed": str(job["target"].parent), **job["parameters"]}
    return [first, *([job] for job in sorted(readers, key=lambda job: job["source"].name))]


def kept(job):
    """The row of an earlier run with the same key, or None."""
    if not job["target"].exists():
        return None
    record = json.loads(job["target"].read_text(encoding="utf8"))["metadata"].get("course", {})
    if not job["key"] or record.get("key") != job["key"]:
        return None
    status = "kept" if record["row"]["status"] == "ok" else record["row"]["status"]
    return {**record["row"], "notebook": job["notebook"], "status": status}


@contextmanager
def peak_memory():
    """A list of one figure: the highest sum of resident memory (MiB) of this process's children, the kernel's tree."""
    import psutil

    peak, done = [0.0], threading.Event()

    def sample():
        while not done.wait(0.1):
            total = 0
            for child in psutil.Process().children(recursive=True):
                try:
                    total += child.memory_info().rss
                except psutil.NoSuchProcess:
                    continue
            peak[0] = max(peak[0], total / 2**20)

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        done.set()
        thread.join()


def execute(job):
    """Execute one notebook and write it and its HTML page; returns its row of the table. Runs in a worker process."""
    import nbformat
    import papermill

    from helpers.runner import pages

    source, target = job["source"], job["target"]
    for suffix in (".ipynb", ".html", ".error.txt"):
        target.with_suffix(suffix).unlink(missing_ok=True)
    started = time.perf_counter()
    with peak_memory() as peak, tempfile.TemporaryDirectory() as folder:
        os.environ["COURSE_VALUES"] = values = os.path.join(folder, "values")
        if job["fresh"]:
            os.environ["COURSE_CACHE"] = os.path.join(folder, "cache")
        try:
            executed = papermill.execute_notebook(
                source, None, parameters=job["parameters"], cwd=source.parent, progress_bar=False
            )
        except Exception as error:  # whatever stops one notebook must not stop the others
            return {**failure(job, error), **cost(started, peak)}
        reported = Path(values).read_text(encoding="utf8").splitlines() if Path(values).exists() else []
    row = {"notebook": job["notebook"], "status": "ok", "error": "", **cost(started, peak)}
    verdicts = [verdict for text in printed(executed) for verdict in BAND.findall(text)]
    row |= {verdict: verdicts.count(verdict) for verdict in ("inside", "outside")}
    row["values"] = dict(map(json.loads, reported))
    if row["outside"] and job["shipped"]:
        row |= {"status": "outside", "error": "a band says outside with the shipped parameters"}
    executed.metadata["course"] = {"key": job["key"], "row": row}
    top = "../" * len(target.parent.relative_to(job["folder"]).parts)
    write_atomically(target.with_suffix(".html"), pages.page(executed, job["notebook"], top))
    write_atomically(target, nbformat.writes(executed) + "\n")
    return row


def cost(started, peak):
    """What a run has taken so far."""
    return {"seconds": round(time.perf_counter() - started, 1), "peak_mib": round(peak[0])}


def failure(job, error):
    """The row of a notebook that did not run to its end, with the error in full in a file beside its target."""
    write_atomically(job["target"].with_suffix(".error.txt"), str(error))
    row = {"notebook": job["notebook"], "seconds": 0.0, "peak_mib": 0, "inside": 0, "outside": 0}
    return {**row, "status": "failed", "error": sentence(error)}


def printed(notebook):
    """The texts that a notebook's cells printed."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    return [output.text for output in outputs if output.output_type == "stream" and output.name == "stdout"]


def run_all(jobs, workers, progress, scheduler=None):
    """Run the jobs, those kept already not again; yields (job, row) as they finish, and tells the progress.

    progress  : a `progress.Progress`
    scheduler : see `workers.finished`
    """

    def under_way(tasks):
        progress.under_way([each for (each,) in tasks])

    waiting = []
    for each in jobs:
        if row := kept(each):
            progress.ended(each, row)
            yield each, row
        else:
            waiting.append(each)
    for (each,), future in finished(workers, execute, [(each,) for each in waiting], scheduler, under_way):
        row = failure(each, error) if (error := future.exception()) else future.result()
        progress.ended(each, row)
        yield each, row


def store(job):
    """Put the outputs of a run into the committed notebook: nothing else of it changes, and solutions are collapsed.

    returns : a sentence when a cell wrote to stderr (nothing is stored then), else ""
    """
    executed = {cell["id"]: cell for cell in json.loads(job["target"].read_text(encoding="utf8"))["cells"]}
    notebook = json.loads(job["source"].read_text(encoding="utf8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        cell["outputs"] = executed[cell["id"]]["outputs"]
        cell["execution_count"] = executed[cell["id"]]["execution_count"]
        if any(output.get("name") == "stderr" for output in cell["outputs"]):
            return f"cell [{cell['execution_count']}] wrote to stderr, so nothing is stored"
        for output in cell["outputs"]:
            output.get("data", {}).pop("application/vnd.jupyter.widget-view+json", None)  # it lives with its kernel
        if "solution" in cell["metadata"].get("tags", []):
            cell["metadata"]["jupyter"] = {"source_hidden": True}
    write_atomically(job["source"], json.dumps(notebook, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return ""
