"""The ends of the lists in `remedies`: weaker penalties, stronger dropout, and a network that is wider and no more.

Questions  : 1. Validation rows often preferred the weakest L1 and L2 and the strongest dropout on the lists of
                `remedies`. Does a longer list, with doing nothing on it, help?
             2. Knowing all word pieces cured underfitting: more parameters and more input at once. Do more parameters
                alone, sixteen times the width over the same 100 pieces?
Prediction : 1. No penalty that helps. 2. No: what the network cannot see it cannot learn.
Fair       : rows, steps and network of `remedies`; its rows "nothing", "dropout", "L1" and "L2" complete the lists, and
             which entry of a list to take is for the validation rows to say.
"""

import numpy as np

from helpers.runner import studies
from helpers.runner.studies import pack
from helpers.scenarios import small_network

DATA = ["snippets_en"]
ARMS = {  # rows, pieces known, and what is different in the network
    "dropout .9": (1000, None, {"dropout": 0.9}),
    "L1 1e-6": (1000, None, {"l1": 1e-6}),
    "L2 1e-5": (1000, None, {"l2": 1e-5}),
    "small, wider": (4000, 100, {"width": 256}),
}
GRID = {"arm": list(ARMS), "seed": list(range(10))}
remedies = studies.module("remedies")


def run(arm, seed):
    """One arm's accuracy on training, validation and test rows."""
    n, known, settings = ARMS[arm]
    pool, valid, test = remedies.film()
    parts = [remedies.draw(pool, n, seed), valid, test]
    arrays, size = remedies.encode(parts, known)
    answers = [remedies.negative(part) for part in parts]
    scores = small_network.train(arrays[0], answers[0], size, np.concatenate(arrays), checks=1, seed=seed, **settings)
    on_parts = np.split(scores[0], np.cumsum([len(part) for part in parts[:2]]))
    names = ("train_accuracy", "valid_accuracy", "accuracy")
    result = {name: small_network.accuracy(on, y) for name, on, y in zip(names, on_parts, answers, strict=True)}
    return result | {"correct": pack((on_parts[2] > 0) == answers[2], test.index)}
