"""Choosing 500 of 5,474 rows, ten seeds: `python -m benchmarks.selection` prints gains over random with 95% intervals.

Pools and methods are those of the study `choosing`, which compares all methods on validation rows. The recommended
method was fixed there; this alone reads the 40% of rows that are locked by hash, and reads them for three methods only.
"""

import argparse
import hashlib

import numpy as np

from helpers import evaluation, probe, selection
from helpers.runner import studies

K, SEEDS = 500, 10
choosing = studies.module("choosing")


def compare(language, methods):
    """{method: correctness (seeds, rows)}, and the documents of the rows judged on."""
    frame, vectors, labels, part = choosing.rows(language)
    test = np.flatnonzero(part == "test")
    found = {method: [] for method in [*methods, "whole pool"]}
    for seed in range(SEEDS):
        pool = choosing.pool(language, "nothing", 0.0, seed)[0]
        record = selection.manifest(frame, pool, "pool", seed=seed)
        digest = hashlib.sha256("".join(record["sha256"]).encode()).hexdigest()[:12]
        for method in found:
            train, given, _ = choosing.curated(language, "nothing", method, 0.0, K, seed)
            fitted = probe.fit(vectors[train], given)
            found[method].append(fitted.predict(vectors[test]) == labels[test])
        print(f"{choosing.NAMES[language]} seed {seed}: pool {digest}", flush=True)
    return {method: np.array(right) for method, right in found.items()}, frame["group"].to_numpy()[test]


def report(language, found, documents):
    groups = documents if language == "en" else None
    room = found["whole pool"].mean() - found["random"].mean()
    seeds, judged = found["random"].shape
    print(f"\n{choosing.NAMES[language]}: {K} of {choosing.POOL:,} rows, {seeds} seeds, {judged:,} rows judged")
    print(f"{'':20}{'accuracy':>9}{'gain':>9}{'low':>9}{'high':>9}{'of the gap':>12}")
    for method, right in found.items():
        line = f"{method:20}{right.mean():9.4f}"
        if method != "random":
            gain = evaluation.paired_difference(right, found["random"], groups=groups)
            line += f"{gain.effect:+9.4f}{gain.low:+9.4f}{gain.high:+9.4f}{gain.effect / room:12.0%}"
        print(line)
    if {"herding", "agreement"} <= set(found):
        gain = evaluation.paired_difference(found["herding"], found["random"], groups=groups)
        beside = evaluation.paired_difference(found["herding"], found["agreement"], groups=groups)
        print(f"bar: gain of herding over random, low end above .01: {gain.low:+.4f}")
        print(
            f"bar: no worse than agreement by .005: {beside.effect:+.4f} ({beside.low:+.4f} to {beside.high:+.4f})",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=list(choosing.NAMES), choices=list(choosing.NAMES))
    options = parser.parse_args()
    for language in options.data:
        report(language, *compare(language, ["random", "agreement", "herding"]))
