"""What a pretrained model is worth in labels, and how much its settings matter: film sentences, five seeds.

Questions  : 1. How accurate are MiniLM fine-tuned in full, its head alone, the same network from random weights, the
             multilingual encoder, and TF-IDF with logistic regression, after 50 to 8,000 labels?
             2. What do learning rate and batch size change, chosen on 200 validation rows after training on 500?
Prediction : With few labels the pretrained models lead; the lead shrinks as labels grow. A rate ten times too high
             ruins a pretrained model, sensible ones differ little.
Fair       : all methods see the same rows within a seed and are tested on the same 1,000 rows; full and scratch take
             the same number of passes; TF-IDF chooses its regularisation by inner cross-validation.
Precision  : full and scratch train in mixed bfloat16 on every processor, also where that is slow: in 32 bits a cell
             moved by .58 of what another seed would move it.
"""

import hashlib
import os
import tempfile
from unittest import mock

import keras
import numpy as np
import pandas as pd

from helpers import datasets, finetuning
from helpers.runner.studies import pack

DATA = ["snippets_en"]
EPOCHS = {50: 20, 200: 6, 500: 3, 2000: 2, 8000: 1}
GRID = [
    {"n": n, "method": method, "learning_rate": rate, "batch_size": size, **more, "seed": seed}
    for n, method, rate, size, seeds, more in [
        (500, "full", 1e-4, 32, 5, {}),
        (500, "scratch", 5e-4, 32, 5, {}),
        *((n, "TF-IDF", None, None, 5, {}) for n in (50, 200, 500, 2000, 8000)),
        *((n, "head", None, 32, 5, {}) for n in (50, 200, 500, 2000)),
        (50, "full", 1e-4, 32, 5, {}),
        (500, "full", 1e-3, 32, 5, {}),
        (2000, "full", 1e-4, 32, 5, {}),
        (500, "full, multilingual", 1e-4, 32, 5, {}),
        (500, "full", 1e-4, 64, 5, {}),
        (50, "scratch", 5e-4, 32, 5, {}),
        (200, "full", 1e-4, 32, 5, {}),
        (500, "full", 3e-4, 32, 5, {}),
        (500, "lora", 1e-3, 32, 3, {}),
        (500, "lora", 1e-2, 32, 2, {}),
        (500, "last", 1e-3, 32, 2, {}),
        (500, "last", 3e-4, 32, 5, {}),
        (500, "lora", 3e-3, 32, 5, {}),
        (500, "head", 3e-3, 32, 5, {}),
        (500, "full", 3e-4, 32, 5, {"warmup": 0.0}),
        (500, "full", 3e-4, 32, 5, {"layer_decay": 0.8}),
        (500, "full", 1e-4, 16, 5, {}),
        (500, "full, multilingual", 1e-3, 32, 5, {}),
        (500, "scratch", 1e-4, 32, 5, {}),
        (500, "scratch", 2e-3, 32, 5, {}),
    ]
    for seed in range(seeds)
]


def film():
    """Film sentences with a positive or negative mean score: (pool, validation, test), the same rows in each run."""
    frame = datasets.load("snippets_en").query("source == 'film' and label != 'neutral'")
    part = datasets.split(frame, {"pool": 0.8, "test": 0.2})
    held_out = frame[part == "test"].sample(frac=1, random_state=0)  # the file is sorted by label
    return frame[part == "pool"], held_out.iloc[1000:1200], held_out.iloc[:1000]


def draw(pool, n, seed):
    """n rows of the pool, half of each label, in random order."""
    return pool.groupby("label").sample(n // 2, random_state=seed).sample(frac=1, random_state=seed)


def tfidf(texts, labels):
    """Words and pairs of words into logistic regression, its strength chosen by inner cross-validation."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegressionCV
    from sklearn.pipeline import make_pipeline

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    strength = LogisticRegressionCV(
        Cs=[1, 10, 100], cv=5, scoring="accuracy", l1_ratios=(0,), use_legacy_attributes=False
    )
    return make_pipeline(words, strength).fit(texts, labels)


def run(n, method, learning_rate, batch_size, seed, **more):
    """One run: train on n rows drawn by the seed, score the held-out rows. The vectors of the head are made afresh."""
    pool, valid, test = film()
    train, held_out = draw(pool, n, seed), pd.concat([valid, test])
    texts, labels = train["text"].tolist(), train["label"].tolist()
    result = {}
    if method == "TF-IDF":
        predicted = tfidf(texts, labels).predict(held_out["text"])
    else:
        kind, _, other = method.partition(", ")
        keras.mixed_precision.set_global_policy("float32" if kind == "head" else "mixed_bfloat16")
        with tempfile.TemporaryDirectory() as cache, mock.patch.dict(os.environ, COURSE_CACHE=cache):
            tuned = finetuning.fine_tune(
                texts,
                labels,
                method=kind,
                encoder="use" if other else "minilm",
                batch_size=batch_size,
                max_tokens=48,
                epochs=None if kind == "head" else EPOCHS[n],
                learning_rate=learning_rate,
                seed=seed,
                **more,
            )
            predicted = np.array(tuned.classes)[tuned.predict(held_out["text"].tolist()).argmax(axis=1)]
        losses = tuned.history["train_loss"]
        result = {"seconds": round(tuned.seconds, 2), "first_loss": losses.iloc[0], "last_loss": losses.iloc[-1]}
    in_valid, in_test = np.split(predicted == held_out["label"].to_numpy(), [len(valid)])
    rows = hashlib.sha256(np.sort(train.index).astype("<i8").tobytes()).hexdigest()[:16]
    result |= {
        "rows": rows,
        "valid_accuracy": in_valid.mean(),
        "accuracy": in_test.mean(),
        "correct": pack(in_test, test.index),
    }
    return result
