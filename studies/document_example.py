"""The document's network on a real task: 200 reviews, ten seeds, beside TF-IDF and a pretrained encoder.

Question   : how accurate does the document's network get on 200 Chinese reviews, do other settings help it, and what
             are plain character counts and a pretrained encoder, frozen or fine-tuned, worth on the same rows?
Prediction : the network stays near chance; character counts beat it; the encoder leads only where labels are few.
Rows       : reviews after `duplicates.clean`; 500 validation and 2,000 test rows, the same in each run; a seed draws
             its own n training rows from the 10,340 others
Fair       : within a seed all arms see the same rows. Linear arms choose C by fivefold cross-validation inside the
             training rows. Networks store their accuracy on the validation rows: settings are picked by it, and the
             test rows are read last.
"""

import hashlib
from functools import cache

import numpy as np

from helpers import datasets, duplicates
from helpers.runner.studies import pack
from helpers.scenarios import document_example

DATA = ["reviews_zh"]
NETWORKS = {  # what differs from the document's network with characters as tokens and room for 60 of them
    "document's tokeniser": {"tokens": "words", "positions": 10},
    "network": {},
    "10 positions": {"positions": 10},
    "120 positions": {"positions": 120},
    "40 epochs": {"epochs": 40},
    "rate .003": {"rate": 0.003},
    "average": {"middle": "average"},
    "average, 120 positions": {"middle": "average", "positions": 120},
    "average, 120 positions, rate .01": {"middle": "average", "positions": 120, "rate": 0.01},
}
LINEAR = ["TF-IDF", "encoder", "both"]
FULL = {"full, rate .0005": 0.0005, "full, rate .002": 0.002}
# ten seeds where methods are compared, five for the learning curve; of FULL, the lower rate alone
GRID = [
    {"arm": arm, "n": n, "seed": seed}
    for n, seeds in ((200, 10), (50, 5), (800, 5))
    for arm in ([*NETWORKS, *LINEAR, "full, rate .0005"] if n == 200 else ["network", *LINEAR])
    for seed in range(seeds)
]


@cache
def reviews():
    """Cleaned reviews as (pool, validation, test), the same rows in each run."""
    kept = duplicates.clean(datasets.load("reviews_zh"))[0]
    part = datasets.split(kept)
    valid, test = kept[part == "valid"], kept[part == "test"]
    return kept[part == "train"], valid.sample(500, random_state=0), test.sample(2000, random_state=0)


def run(arm, n, seed):
    """One run: train on n rows drawn by the seed; accuracy on the validation rows, correctness on the test rows."""
    pool, valid, test = reviews()
    train = pool.sample(n, random_state=seed)
    if arm in NETWORKS:
        predict = document_example.network(train, seed, **NETWORKS[arm])
    elif arm in FULL:
        predict = document_example.full(train, seed, FULL[arm])
    else:
        predict = document_example.linear(train, arm)
    correct = predict(test["text"]) == test["label"].to_numpy()
    return {
        "accuracy": correct.mean(),
        "valid_accuracy": (predict(valid["text"]) == valid["label"].to_numpy()).mean(),
        "rows": hashlib.sha256(np.sort(train.index).astype("<i8").tobytes()).hexdigest()[:16],
        "correct": pack(correct, test.index),
    }
