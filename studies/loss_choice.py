"""Does it matter whether a classifier is trained with squared error or with cross-entropy? Film sentences, ten seeds.

Question   : A sigmoid head on frozen MiniLM sentence vectors is trained on 500 labels. How accurate is it with either
             loss, starting from zero weights, and starting from a head that is sure and wrong: one trained on 500 other
             sentences whose labels were coded the other way round?
Prediction : From zero the losses differ little. From the wrong head squared error is stuck, because its gradient with
             respect to the logit has the factor p (1 − p), which vanishes where the head is sure.
Fair       : both losses see the same rows within a seed and take 1,000 full-batch steps of plain gradient descent; the
             rate is chosen for each loss, start and seed on 200 validation rows, among ten from 0.3 to 10,000; all
             seeds are tested on the same 1,000 rows.
"""

import numpy as np

from helpers import datasets, losses, pretrained
from helpers.runner.studies import pack
from helpers.scenarios import loss_choice

DATA = ["snippets_en"]
LOSSES = {"cross-entropy": losses.binary_cross_entropy, "squared error": losses.mean_squared_error}
RATES = [0.3, 1, 3, 10, 30, 100, 300, 1_000, 3_000, 10_000]
STEPS = [0, 1, 3, 10, 30, 100, 300, 1_000]
GRID = {"start": ["zero", "wrong"], "loss": list(LOSSES), "seed": list(range(10))}


def film():
    """Film sentences with a positive or negative mean score: (pool, validation, test), the same rows in each run."""
    frame = datasets.load("snippets_en").query("source == 'film' and label != 'neutral'")
    part = datasets.split(frame, {"pool": 0.8, "test": 0.2})
    held_out = frame[part == "test"].sample(frac=1, random_state=0)  # the file is sorted by label
    return frame[part == "pool"], held_out.iloc[1000:1200], held_out.iloc[:1000]


def vectors(rows):
    """Sentence vectors with a column of ones for the bias, (n, 385), and labels, 1 for positive, (n,)."""
    found = pretrained.embed(rows["text"].tolist(), max_tokens=48).astype(float)
    return np.column_stack([found, np.ones(len(rows))]), rows["label"].eq("positive").to_numpy(float)


def run(start, loss, seed):
    """One run: train on 500 rows drawn by the seed at each rate, keep the best on the validation rows, test it."""
    pool, valid, test = film()
    drawn = pool.groupby("label").sample(500, random_state=seed).sample(frac=1, random_state=seed)
    features, labels = vectors(drawn.iloc[:500])
    rows = test.index
    valid, test = vectors(valid), vectors(test)
    weights = np.zeros(features.shape[1])
    if start == "wrong":
        others, their_labels = vectors(drawn.iloc[500:])
        weights, _ = loss_choice.train(
            LOSSES["cross-entropy"], others, 1 - their_labels, weights, 100, test, steps=STEPS
        )
    runs = {rate: loss_choice.train(LOSSES[loss], features, labels, weights, rate, test, steps=STEPS) for rate in RATES}
    scores = {rate: loss_choice.right(tuned, *valid).mean() for rate, (tuned, _) in runs.items()}
    best = max(scores, key=scores.get)
    tuned, path = runs[best]
    correct = loss_choice.right(tuned, *test)
    return {
        "start_logit": np.abs(features @ weights).mean(),
        "rate": best,
        "valid_accuracy": scores[best],
        "path": " ".join(f"{accuracy:.3f}" for accuracy in path),
        "accuracy": correct.mean(),
        "correct": pack(correct, rows),
    }
