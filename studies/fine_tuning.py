"""What a pretrained model is worth in labels: film sentences, growing training sets, five seeds.

Question   : how accurate is MiniLM fine-tuned in full, its head alone, the same network from random weights, the
             multilingual encoder fine-tuned in full, and TF-IDF with logistic regression, after 50 … 8,000 labels?
Prediction : with few labels the pretrained ones lead; the lead shrinks as labels grow.
Fair       : all methods see the same rows within a seed and are tested on the same 1,000 rows; full and scratch take
             the same number of passes, each at the learning rate that the study `fine_tuning_settings` chose on
             validation rows; TF-IDF chooses its regularisation by inner cross-validation.
"""

import hashlib
import os
import tempfile

import numpy as np

from helpers import datasets, finetuning
from helpers.runner.studies import pack

USES = ["datasets", "pretrained", "finetuning"]
DATA = ["snippets_en"]
GRID = [
    {"n": n, "method": method, "seed": seed}
    for n in (50, 200, 500, 2000, 8000)
    for method in ("TF-IDF", "head", "full", "scratch", "full, multilingual")
    for seed in range(5)
    if not (method == "scratch" and n == 8000 or method == "full, multilingual" and n != 500)
]
EPOCHS = {50: 20, 200: 6, 500: 3, 2000: 2, 8000: 1}
SETTINGS = {
    "head": {"method": "head"},
    "full": {"method": "full", "learning_rate": 1e-4},
    "full, multilingual": {"method": "full", "learning_rate": 1e-4, "encoder": "use"},
    "scratch": {"method": "scratch", "learning_rate": 5e-4},
}


def film():
    """Film sentences with a positive or negative mean score: (pool, validation, test), the same rows in each run."""
    frame = datasets.load("snippets_en").query("source == 'film' and label != 'neutral'")
    part = datasets.split(frame, {"pool": 0.8, "test": 0.2})
    held_out = frame[part == "test"]
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


def run(n, method, seed):
    """One run: train on n rows drawn by the seed, test on the fixed rows; the head's vectors are computed afresh."""
    pool, _, test = film()
    train = draw(pool, n, seed)
    texts, labels = train["text"].tolist(), train["label"].tolist()
    seconds = None
    if method == "TF-IDF":
        predicted = tfidf(texts, labels).predict(test["text"])
    else:
        epochs = None if method == "head" else EPOCHS[n]
        with tempfile.TemporaryDirectory() as cache:
            os.environ["COURSE_CACHE"] = cache
            tuned = finetuning.fine_tune(texts, labels, **SETTINGS[method], epochs=epochs, max_tokens=48, seed=seed)
            predicted = np.array(tuned.classes)[tuned.predict(test["text"].tolist()).argmax(axis=1)]
        seconds = round(tuned.seconds, 2)
    correct = predicted == test["label"].to_numpy()
    rows = hashlib.sha256(np.sort(train.index).astype("<i8").tobytes()).hexdigest()[:16]
    return {"accuracy": correct.mean(), "seconds": seconds, "rows": rows, "correct": pack(correct)}
