"""Planted label errors found: `python -m benchmarks.label_errors` prints AUROC and precision at k, ten seeds, paired.

A seed draws 4,000 rows and turns 5% of their labels round. cleanlab on out-of-fold TF-IDF probabilities is what is to
be beaten; k is the number of turned labels. Hits on errors that the data came with count against every ranking alike.
"""

import argparse

import numpy as np

from helpers import evaluation
from helpers.runner import studies

SHARE, SEEDS = 0.05, 10
wrong_labels = studies.module("wrong_labels")


def report(language, runs):
    print(
        f"\n{wrong_labels.KINDS[language][0]}: {SHARE:.0%} of {wrong_labels.ROWS:,} labels turned, {len(runs)} seeds; "
        "difference from cleanlab on TF-IDF, 95%"
    )
    print(f"{'':30}{'AUROC':>8}{'difference':>28}{'precision':>12}{'difference':>28}")
    for one in [name.removeprefix("AUROC ") for name in runs[0] if name.startswith("AUROC ")]:
        line = f"{'cleanlab on ' * (one == 'TF-IDF') + one:30}"
        for measure, width in (("AUROC", 8), ("precision", 12)):
            scores, base = (np.array([run[f"{measure} {name}"] for run in runs]) for name in (one, "TF-IDF"))
            line += f"{scores.mean():{width}.4f}"
            gain = evaluation.seeds_interval(scores - base)
            text = "" if one == "TF-IDF" else "{:+.4f} ({:+.4f} to {:+.4f})".format(*gain)
            line += f" {text:>27}"
        print(line)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=list(wrong_labels.KINDS), choices=list(wrong_labels.KINDS))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    for language in options.data:
        cells = [("found", language, "at random", SHARE, seed) for seed in range(options.seeds)]
        report(language, [wrong_labels.run(*cell) for cell in cells])
