"""Planted label errors found: `python -m benchmarks.label_errors` prints AUROC and precision at k, ten seeds, paired.

A seed draws 4,000 rows and turns 5% of their labels round. cleanlab on out-of-fold TF-IDF probabilities is what is to
be beaten; k is the number of turned labels. Hits on errors that the data came with count against every ranking alike.
"""

import argparse

import numpy as np
from sklearn.metrics import roc_auc_score

from helpers import datasets, duplicates, evaluation, label_errors, pretrained, probe

ROWS, SHARE, SEEDS = 4000, 0.05, 10
KINDS = {"reviews_zh": ("zh", "use"), "snippets_en": ("en", "minilm")}


def rankings(name, frame, vectors, seed):
    """{ranking: (AUROC, precision at k)} of one seed."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(frame))[:ROWS]
    labels = (frame["label"].to_numpy()[rows] == "positive").astype(int)
    wrong = rng.permutation(ROWS) < SHARE * ROWS
    given = np.where(wrong, 1 - labels, labels)
    groups = frame["group"].to_numpy()[rows]
    tfidf = probe.tfidf(frame["text"].iloc[rows], frame["text"].iloc[:1], KINDS[name][0])[0]
    opinions = label_errors.opinions(tfidf, vectors[rows], given, groups=groups)
    two = [opinions["TF-IDF"], opinions["encoder"]]
    opinions["TF-IDF and encoder, stacked"] = label_errors.stack(two, given, groups=groups)
    opinions["all four, stacked"] = label_errors.stack(list(opinions.values())[:4], given, groups=groups)
    quality = {
        "cleanlab on " * (one == "TF-IDF") + one: label_errors.label_quality(p, given) for one, p in opinions.items()
    }
    return {
        one: (roc_auc_score(wrong, -scores), label_errors.precision_at(scores, wrong, wrong.sum()))
        for one, scores in quality.items()
    }


def report(name, runs):
    found = {one: np.array([run[one] for run in runs]) for one in runs[0]}
    base = found["cleanlab on TF-IDF"]
    print(
        f"\n{name}: {SHARE:.0%} of {ROWS:,} labels turned, {len(runs)} seeds; difference from cleanlab on TF-IDF, 95%"
    )
    print(f"{'':30}{'AUROC':>8}{'difference':>28}{'precision':>12}{'difference':>28}")
    for one, scores in found.items():
        line = f"{one:30}"
        for column in (0, 1):
            line += f"{scores[:, column].mean():{8 if column == 0 else 12}.4f}"
            gain = evaluation.seeds_interval(scores[:, column] - base[:, column])
            text = "" if scores is base else "{:+.4f} ({:+.4f} to {:+.4f})".format(*gain)
            line += f" {text:>27}"
        print(line)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", nargs="*", default=list(KINDS), choices=list(KINDS))
    parser.add_argument("--seeds", type=int, default=SEEDS)
    options = parser.parse_args()
    for name in options.data:
        frame = datasets.load(name)
        frame = duplicates.clean(frame)[0] if name == "reviews_zh" else frame.query("label != 'neutral'")
        vectors = pretrained.embed(frame["text"].tolist(), KINDS[name][1])
        report(name, [rankings(name, frame, vectors, seed) for seed in range(options.seeds)])
