"""Duplicates beside their peers and at scale: `python -m benchmarks.duplicates [rows]` prints tables, then the bars.

Seconds are of CPU, all threads together: a busy machine does not change them.
"""

import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pandas as pd

from benchmarks import generate
from helpers import cleaning, datasets, duplicates

THRESHOLD, N, PERMUTATIONS = 0.7, 5, 128


def seconds(function, *arguments):
    """(result, seconds of CPU)"""
    start = time.process_time()
    return function(*arguments), time.process_time() - start


def shingles(text):
    return {text[i : i + N] for i in range(len(text) - N + 1)}


# ---- ways to find near pairs: texts in, set of (first, second) out --------------------------------------------------


def brute_force(texts):
    """Every pair that shares a shingle, by a sparse product of all texts by all texts."""
    from scipy.sparse import csr_array, triu

    sets, column = [shingles(text) for text in texts], {}
    size = np.array([len(s) for s in sets])
    flat = [column.setdefault(s, len(column)) for row in sets for s in row]
    matrix = csr_array((np.ones(len(flat), np.int32), flat, np.concatenate([[0], np.cumsum(size)])))
    common = triu(matrix @ matrix.T, k=1).tocoo()
    near = common.data >= THRESHOLD * (size[common.row] + size[common.col] - common.data) - 1e-9
    return set(zip(common.row[near].tolist(), common.col[near].tolist(), strict=True))


def ours(texts):
    pairs = duplicates.near_pairs(texts, THRESHOLD, N)
    return set(zip(pairs["first"].tolist(), pairs["second"].tolist(), strict=True))


def banded(texts, bands=17, rows=4, seed=0):
    """MinHash in NumPy on the same hashes, pairs of one band confirmed in the same way: what the prefixes replace."""
    sets = duplicates._sets(texts, THRESHOLD, N)
    hashes = sets.indices.astype(np.uint64) << np.uint64(64 - duplicates.HASH_BITS)
    row = np.flatnonzero(np.diff(sets.indptr))
    factors = np.random.default_rng(seed).integers(2**63, size=(bands, rows), dtype=np.uint64) | np.uint64(1)
    token = np.empty((bands, len(row)), np.uint64)
    for band in range(bands):
        token[band] = band
        for factor in factors[band]:
            mixed = (hashes ^ hashes >> np.uint64(29)) * factor
            token[band] = token[band] * factor + np.minimum.reduceat(mixed, sets.indptr[row])
    index = np.stack([token.ravel().astype(np.int64), np.tile(row, bands), np.tile(np.diff(sets.indptr)[row], bands)])
    index = index[:, np.argsort(index[0], kind="stable")]
    pairs = duplicates._near(sets, index, index[1], THRESHOLD)
    return set(zip(pairs["first"].tolist(), pairs["second"].tolist(), strict=True))


def datasketch(texts):
    """Its own bands for the threshold, and its own estimate of the overlap from 128 hashes."""
    from datasketch import MinHash, MinHashLSH

    sketches = MinHash.bulk(([s.encode() for s in shingles(text)] for text in texts), num_perm=PERMUTATIONS)
    return _query(sketches, MinHashLSH(THRESHOLD, PERMUTATIONS), texts)


def rensa(texts):
    from rensa import RMinHash, RMinHashLSH

    sketches = RMinHash.from_token_sets([list(shingles(text)) for text in texts], PERMUTATIONS, 42)
    return _query(sketches, RMinHashLSH(THRESHOLD, PERMUTATIONS, 16), texts)


def _query(sketches, index, texts):
    """Pairs of an index of either package; texts without a shingle stay out, their sketches are all alike."""
    pairs = set()
    for i, sketch in enumerate(sketches):
        if len(texts[i]) >= N:
            pairs |= {(j, i) for j in index.query(sketch) if sketches[j].jaccard(sketch) >= THRESHOLD}
            index.insert(i, sketch)
    return pairs


def peers(rounds=3):
    """One row a method on the distinct reviews: median seconds of interleaved rounds, precision and recall."""
    texts = datasets.load("reviews_zh")["text"].drop_duplicates().map(cleaning.normalise).tolist()
    methods = {"ours": ours, "MinHash in NumPy": banded, "datasketch": datasketch, "rensa": rensa}
    truth = brute_force(texts)
    runs = [{name: seconds(method, texts) for name, method in methods.items()} for _ in range(rounds)]
    table = pd.DataFrame({"seconds": {name: np.median([run[name][1] for run in runs]) for name in methods}})
    found = {name: runs[0][name][0] for name in methods}
    table["pairs"] = pd.Series({name: len(pairs) for name, pairs in found.items()})
    right = pd.Series({name: len(pairs & truth) for name, pairs in found.items()})
    table["precision"], table["recall"] = right / table["pairs"], right / len(truth)
    table["time / datasketch"] = table["seconds"] / table.loc["datasketch", "seconds"]
    return table


# ---- scale ----------------------------------------------------------------------------------------------------------


def everything(frame):
    """Rows left after conflicts, exact and near repeats, without the quality rules, whose cost is plain."""
    frame = frame[~duplicates.conflicts(frame)]
    frame = frame[~duplicates.repeats(frame)]
    return int((~duplicates.near_repeats(frame, THRESHOLD, N)).sum())


def _measured(make, rows):
    frame = make(rows)
    if "label" not in frame:
        frame["label"] = 0
    left, cpu = seconds(everything, frame)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {"rows": rows, "left": left, "seconds": cpu, "peak GiB": peak}


def growth(sizes, make=generate.table):
    """One row a size, each measured in a process of its own; `exponent` is from the row before."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        table = pd.DataFrame([pool.submit(_measured, make, rows).result() for rows in sizes])
    table["exponent"] = np.log(table["seconds"]).diff() / np.log(table["rows"]).diff()
    return table


def on_dask():
    """Whether two worker processes remove the rows that `clean` removes, for the same reasons."""
    import dask.dataframe as dd
    from dask.distributed import Client, LocalCluster

    frame = datasets.load("reviews_zh")[["text", "label"]]
    rejected = duplicates.clean(frame, THRESHOLD, N)[1]["reason"].sort_index(kind="stable")
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        rows = duplicates.clean_dask(dd.from_pandas(frame, npartitions=4), THRESHOLD, N).compute()
    reason = rows["reason"].sort_index(kind="stable")
    return reason[reason != ""].equals(rejected) and len(rows) == len(frame)


def main(rows=1_000_000):
    """Print the tables, and last each bar beside what was measured; returns the bars as a DataFrame."""
    beside, giant = peers(), growth([5_000, 50_000], generate.giant)
    scale = growth(np.geomspace(10_000, rows, 3).round().astype(int).tolist())
    for table in (beside, scale, giant):
        print(table.round(3).to_string(), end="\n\n")
    reviews = datasets.load("reviews_zh")
    repeated, contested = duplicates.repeats(reviews, key=str), duplicates.conflicts(reviews, key=str)
    slope = np.log(scale["seconds"].iloc[-1] / scale["seconds"].iloc[0]) / np.log(rows / 10_000)
    bars = {
        "distinct texts of 35,123": ((~repeated).sum(), "=", 17_410),
        "texts with both labels": (reviews.loc[contested, "text"].nunique(), "=", 47),
        "precision": (beside.loc["ours", "precision"], "=", 1),
        "recall": (beside.loc["ours", "recall"], "≥", 0.99),
        "time / datasketch's": (beside.loc["ours", "time / datasketch"], "≤", 0.5),
        f"exponent from 10,000 to {rows:,} rows": (slope, "≤", 1.15),
        f"peak GiB at {rows:,} rows": (scale["peak GiB"].iloc[-1], "≤", 4),
        "rows left of one giant cluster": (giant["left"].iloc[-1], "=", 1),
        "exponent of the giant cluster": (giant["exponent"].iloc[-1], "≤", 1.15),
        "the same rows from Dask": (on_dask(), "=", True),
    }
    table = pd.DataFrame.from_dict(bars, orient="index", columns=["measured", "", "bar"])
    holds = {"=": np.equal, "≥": np.greater_equal, "≤": np.less_equal}
    table["holds"] = [bool(holds[sign](value, bar)) for value, sign, bar in bars.values()]
    print(table.to_string(float_format="{:.3f}".format))
    return table


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
