"""Choosing 500 of 5,474 rows, ten seeds: `python -m benchmarks.selection` prints gains over random with 95% intervals.

Rows are shared out by the hash of their text (reviews_zh) or document (snippets_en): 40% locked test, 15% validation,
45% from which each seed draws its pool of 5,474. Methods were fixed on validation rows; only this reads the test rows.
`--validate` compares all methods there, with three seeds that the test does not use.
"""

import argparse
import hashlib

import numpy as np

from helpers import datasets, duplicates, evaluation, label_errors, pretrained, probe, selection

POOL, K, SEEDS = 5474, 500, 10
ENCODER = {"reviews_zh": "use", "snippets_en": "minilm"}


def rows(name):
    """Clean rows with an opinion, shuffled; their vectors, class numbers, documents and parts."""
    frame = datasets.load(name)
    frame = duplicates.clean(frame)[0] if name == "reviews_zh" else frame.query("label != 'neutral'")
    keys = frame["text"] if name == "reviews_zh" else frame["group"].astype(str)
    share = np.array([int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32 for key in keys])
    part = np.where(share < 0.4, "test", np.where(share < 0.55, "valid", "pool"))
    vectors = pretrained.embed(frame["text"].tolist(), ENCODER[name])
    return frame, vectors, (frame["label"] == "positive").to_numpy().astype(int), part


def chosen(method, vectors, labels, groups, judged, valid, seed):
    """Positions of the rows that a method picks in a pool; `valid` is (vectors, labels) of 500 validation rows."""
    trusted = {"labels": labels, "probabilities": judged}
    own = judged[np.arange(len(labels)), labels]
    given = {
        "stratified": {"labels": labels},
        "quality_diversity": {"quality": own},
        "el2n": {"labels": labels},
        "forgetting": {"labels": labels},
        "gradient_matching": {"labels": labels, "valid_vectors": valid[0], "valid_labels": valid[1]},
        "agreement": trusted,
        "gradient_herding": trusted,
    }
    return getattr(selection, method)(vectors, K, **given.get(method, {}), seed=seed)


def compare(name, methods, part_judged, seeds):
    """{method: correctness (seeds, rows)}, and the documents of the rows judged on."""
    frame, vectors, labels, part = rows(name)
    documents = frame["group"].to_numpy()
    judged_on = np.flatnonzero(part == part_judged)
    found = {method: [] for method in [*methods, "whole pool"]}
    for seed in seeds:
        pool = np.random.default_rng(seed).permutation(np.flatnonzero(part == "pool"))[:POOL]
        record = selection.manifest(frame, pool, "pool", seed=seed)
        digest = hashlib.sha256("".join(record["sha256"]).encode()).hexdigest()[:12]
        judged = label_errors.out_of_fold(vectors[pool], labels[pool], groups=documents[pool])
        valid = np.random.default_rng(seed).permutation(np.flatnonzero(part == "valid"))[:500]
        valid = vectors[valid], labels[valid]
        for method in found:
            train = pool
            if method != "whole pool":
                train = pool[chosen(method, vectors[pool], labels[pool], documents[pool], judged, valid, seed)]
            fitted = probe.fit(vectors[train], labels[train])
            found[method].append(fitted.predict(vectors[judged_on]) == labels[judged_on])
        print(f"{name} seed {seed}: pool {digest}", flush=True)
    return {method: np.array(right) for method, right in found.items()}, documents[judged_on]


def report(name, found, documents):
    groups = documents if name == "snippets_en" else None
    room = found["whole pool"].mean() - found["random"].mean()
    print(f"\n{name}: {K} of {POOL:,} rows, {len(found['random'])} seeds, {found['random'].shape[1]:,} rows judged")
    print(f"{'':20}{'accuracy':>9}{'gain':>9}{'low':>9}{'high':>9}{'of the gap':>12}")
    for method, right in found.items():
        line = f"{method:20}{right.mean():9.4f}"
        if method != "random":
            gain = evaluation.paired_difference(right, found["random"], groups=groups)
            line += f"{gain.effect:+9.4f}{gain.low:+9.4f}{gain.high:+9.4f}{gain.effect / room:12.0%}"
        print(line)
    if {"gradient_herding", "agreement"} <= set(found):
        gain = evaluation.paired_difference(found["gradient_herding"], found["random"], groups=groups)
        beside = evaluation.paired_difference(found["gradient_herding"], found["agreement"], groups=groups)
        print(f"bar: gain of gradient_herding over random, low end above .01: {gain.low:+.4f}")
        print(
            f"bar: no worse than agreement by .005: {beside.effect:+.4f} ({beside.low:+.4f} to {beside.high:+.4f})",
            flush=True,
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--validate", action="store_true", help="all methods, on validation rows, three other seeds")
    parser.add_argument("--data", nargs="*", default=list(ENCODER), choices=list(ENCODER))
    options = parser.parse_args()
    methods, part, seeds = ["random", "agreement", "gradient_herding"], "test", range(SEEDS)
    if options.validate:
        methods[1:1] = ["stratified", "prototypes", "k_center", "facility_location", "quality_diversity"]
        methods[6:6] = ["el2n", "forgetting", "gradient_matching"]
        part, seeds = "valid", range(100, 103)
    for name in options.data:
        report(name, *compare(name, methods, part, seeds))
