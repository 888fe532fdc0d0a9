"""The recommended choice of 500 rows on rows that had no say in it: the locked 40 % of both languages.

Question   : Does agreement and then herding, fixed on other rows, beat random choice on the locked rows? What do
             agreement and herding do there by themselves, and the whole pool?
Prediction : It gains two to three points over random, and hardly differs from agreement alone.
Fair       : pools, rows and models are those of `choosing` at 500 rows, encoder features, ten seeds. The locked rows
             take no part in any choice of a method here. The Chinese ones are also read by `searches`, which holds
             agree_then_herd against random too; part of both by studies with a split of their own.
"""

import hashlib

import numpy as np

from helpers import probe
from helpers.runner import studies
from helpers.runner.studies import pack

DATA = ["reviews_zh", "snippets_en"]
ROWS = 500
METHODS = ["random", "agreement", "herding", "agree_then_herd", "whole pool"]
GRID = [
    {"language": language, "method": method, "seed": seed}
    for language in ("zh", "en")
    for method in METHODS
    for seed in range(10)
]
choosing = studies.module("choosing")


def run(language, method, seed):
    """One run: the rows chosen (hash), and which locked rows the model is right about."""
    frame, vectors, labels, part = choosing.rows(language)
    test = np.flatnonzero(part == "test")
    train, given, _ = choosing.curated(language, "nothing", method, 0.0, ROWS, seed)
    correct = probe.fit(vectors[train], given).predict(vectors[test]) == labels[test]
    return {
        "rows": hashlib.sha256(repr(frame.index[train].tolist()).encode()).hexdigest()[:12],
        "accuracy": correct.mean(),
        "correct": pack(correct, frame.index[test]),
    }
