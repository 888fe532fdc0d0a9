"""Facility location beside its peers: `python -m benchmarks.facility_location [--large] [--peer PYTHON]` prints ratios.

Small: 5,000 sentence vectors × 384, k = 500, exact. Peers are apricot-select's lazy greedy and a plain lazy greedy in
NumPy. apricot needs NumPy 1, so it lives in an environment of its own (python -m venv, pip install 'numpy<2'
'scipy<1.14' scikit-learn apricot-select): give its interpreter with --peer, and its value and time are measured in this
run. Without it the stored measurement is printed, whose vectors must have the same hash.
Large: 100,000 × 384 vectors, k = 1,000: value over all rows against stochastic greedy with 1,000 candidates a step,
stored too and measured again with --slow.
Seconds are of CPU, all threads together: a busy machine does not change them.
"""

import argparse
import csv
import hashlib
import heapq
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

STORED = Path(__file__).with_name("facility_location_peers.csv")
APRICOT = "apricot-select 0.6.1, lazy, cosine"
STOCHASTIC = "stochastic greedy, 1,000 candidates a step"
FIELDS = ["peer", "rows", "k", "vectors", "value", "cpu_seconds", "cpu_seconds_here"]
PEER = """
import json, sys, time, numpy as np, apricot
vectors = np.load(sys.argv[1])
pick = apricot.FacilityLocationSelection(int(sys.argv[2]), metric="cosine", optimizer="lazy")
apricot.FacilityLocationSelection(5, metric="cosine", optimizer="lazy").fit(vectors[:100])  # compile first
start = time.process_time()
rows = pick.fit(vectors).ranking
print(json.dumps({"seconds": time.process_time() - start, "rows": [int(row) for row in rows]}))
"""


def sentence_vectors(n, seed=0):
    """n sentence vectors of snippets_en, drawn at random; beyond 20,000 each is the direction of a mix of two."""
    from helpers import datasets, pretrained

    texts = datasets.load("snippets_en").query("label != 'neutral'")["text"].tolist()
    rng = np.random.default_rng(seed)
    vectors = pretrained.embed(texts, "minilm")
    if n <= 20_000:
        return np.ascontiguousarray(vectors[rng.permutation(len(vectors))[:n]])
    first, second = rng.integers(len(vectors), size=(2, n))
    mixed = vectors[first] + rng.uniform(0, 1, (n, 1)).astype(np.float32) * vectors[second]
    return mixed / np.linalg.norm(mixed, axis=1, keepdims=True)


def lazy_greedy(vectors, k):
    """Minoux 1978 as textbooks print it: one heap of stale gains, one candidate looked at again at a time."""
    cosine = (vectors @ vectors.T).clip(0)
    nearest, picks = np.zeros(len(vectors), np.float32), []
    heap = [(-float(row.sum()), j) for j, row in enumerate(cosine)]
    heapq.heapify(heap)
    while len(picks) < k:
        _, j = heapq.heappop(heap)
        gain = float((cosine[j] - nearest).clip(0).sum())
        if not heap or gain >= -heap[0][0]:
            picks.append(j)
            np.maximum(nearest, cosine[j], out=nearest)
        else:
            heapq.heappush(heap, (-gain, j))
    return picks


def stochastic_greedy(vectors, k, candidates=1000, seed=0):
    """Mirzasoleiman et al. 2015: each pick is the best of some candidates drawn anew. Gains seen before are upper
    bounds, so a candidate whose bound lies below the best is not looked at again: the picks stay the same."""
    rng, n = np.random.default_rng(seed), len(vectors)
    bound, nearest, picks = np.full(n, np.inf), np.zeros(n, np.float32), []

    def look(rows):
        gain = vectors[rows] @ vectors.T
        gain -= nearest
        bound[rows] = np.maximum(gain, 0, out=gain).sum(axis=1)
        return bound[rows].max()

    for _ in range(k):
        drawn = rng.choice(n, candidates, replace=False)
        drawn = drawn[np.argsort(-bound[drawn], kind="stable")]
        best = 0.0
        for start in range(0, candidates, 32):
            rows = drawn[start : start + 32]
            if bound[rows[0]] <= best:
                break
            best = max(best, look(rows))
        picks.append(drawn[bound[drawn].argmax()])
        np.maximum(nearest, vectors @ vectors[picks[-1]], out=nearest)
        bound[picks[-1]] = -1
    return picks


def timed(function, *arguments, **named):
    start, cpu = time.perf_counter(), time.process_time()
    return function(*arguments, **named), time.process_time() - cpu, time.perf_counter() - start


def row(name, value, best, seconds, base, wall=float("nan")):
    print(f"{name:44}{value:12.2f}{value / best:9.4f}{seconds:11.2f}{wall:9.1f}{seconds / base:9.2f}")


def header(title):
    print(f"\n{title}\n{'':44}{'value':>12}{'ratio':>9}{'CPU s':>11}{'wall s':>9}{'times':>9}")


def apricot(vectors, k, interpreter):
    """Rows and seconds of apricot's lazy greedy, by another interpreter; stored for runs without it."""
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/vectors.npy", vectors)
        command = [interpreter, "-c", PEER, f"{folder}/vectors.npy", str(k)]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def digest(vectors):
    return hashlib.sha256(vectors.astype(np.float16).tobytes()).hexdigest()[:16]


def stored_runs():
    with STORED.open(encoding="utf8", newline="") as file:
        return {(run["peer"], int(run["rows"]), int(run["k"])): run for run in csv.DictReader(file)}


def store(peer, vectors, k, value, cpu, cpu_here):
    """Keep one measurement; a former one of the same peer, rows and k goes."""
    runs = stored_runs() if STORED.exists() else {}
    values = [peer, len(vectors), k, digest(vectors), round(value, 3), round(cpu, 3), round(cpu_here, 3)]
    runs[peer, len(vectors), k] = dict(zip(FIELDS, values, strict=True))
    with STORED.open("w", encoding="utf8", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(runs.values())


def recall(peer, vectors, k):
    """A stored measurement on these very vectors."""
    run = stored_runs().get((peer, len(vectors), k))
    if not run or run["vectors"] != digest(vectors):
        sys.exit(f"no measurement of {peer} on these vectors is stored: run again with --peer or --slow")
    return {name: float(run[name]) for name in FIELDS[4:]}


def small(peer, n=5000, k=500):
    from helpers import selection

    vectors = sentence_vectors(n)
    selection.facility_location(vectors[:100], 5)
    runs = [timed(selection.facility_location, vectors, k) for _ in range(3)]
    ours, seconds, wall = min(runs, key=lambda run: run[1])
    value = selection.facility_value(vectors, ours)
    plain, plain_seconds, plain_wall = timed(lazy_greedy, vectors, k)
    if peer:
        found = apricot(vectors, k, peer)
        store(APRICOT, vectors, k, selection.facility_value(vectors, found["rows"]), found["seconds"], seconds)
    stored = recall(APRICOT, vectors, k)
    header(f"exact, {n:,} × {vectors.shape[1]}, k = {k}")
    row("helpers.selection.facility_location", value, value, seconds, seconds, wall)
    row(
        "plain lazy greedy in NumPy",
        selection.facility_value(vectors, plain),
        value,
        plain_seconds,
        seconds,
        plain_wall,
    )
    row(APRICOT, stored["value"], value, stored["cpu_seconds"], stored["cpu_seconds_here"])
    print(f"bar: value at least 99.5% of the peer's: {value / stored['value']:.4f}")
    times = stored["cpu_seconds"] / stored["cpu_seconds_here"]
    print(f"bar: at least 5 times as fast as the peer, both timed in the run that measured it: {times:.1f}", flush=True)


def large(slow, n=100_000, k=1000):
    from helpers import selection

    vectors = sentence_vectors(n)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    ours, seconds, wall = timed(selection.facility_location, vectors, k)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    value = selection.facility_value(vectors, ours)
    if slow:
        rows, cpu, _ = timed(stochastic_greedy, vectors, k)
        store(STOCHASTIC, vectors, k, selection.facility_value(vectors, rows), cpu, seconds)
    stored = recall(STOCHASTIC, vectors, k)
    header(f"{n:,} × {vectors.shape[1]}, k = {k}")
    row("helpers.selection.facility_location", value, stored["value"], seconds, seconds, wall)
    row(STOCHASTIC, stored["value"], stored["value"], stored["cpu_seconds"], stored["cpu_seconds_here"])
    print(f"bar: value at least 99% of it: {value / stored['value']:.4f}")
    print(f"bar: under 2 GiB: peak of the process {peak:.2f} GiB ({before / 2**20:.2f} before choosing)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="Python interpreter that has apricot-select")
    parser.add_argument("--large", nargs="*", type=int, help="rows and k, if not 100000 1000")
    parser.add_argument(
        "--slow", action="store_true", help="with --large: run the stochastic greedy again and store it"
    )
    options = parser.parse_args()
    small(options.peer)
    if options.large is not None:
        large(options.slow, *options.large)
