"""Which learning rate and batch size: 500 film sentences, chosen on 200 validation rows, then read off 1,000 test rows.

Question   : how much do learning rate and batch size matter, does what wins on validation win on test, and by how much
             does the winner's validation score flatter it?
Prediction : a rate ten times too high ruins a pretrained model; among sensible values the differences are small.
"""

import importlib.util
from pathlib import Path

from helpers import finetuning
from helpers.runner.studies import pack

USES = ["datasets", "pretrained", "finetuning"]
DATA = ["snippets_en"]
RUNS = [("full", rate, 32) for rate in (3e-5, 1e-4, 3e-4, 1e-3)]
RUNS += [("full", 1e-4, 8), ("full", 1e-4, 128)]
RUNS += [("scratch", rate, 32) for rate in (1e-4, 5e-4, 2e-3)]
GRID = [
    {"method": method, "learning_rate": rate, "batch_size": size, "seed": seed}
    for method, rate, size in RUNS
    for seed in range(5)
]


def sibling(name):
    """Another study's module, for its rows."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(method, learning_rate, batch_size, seed):
    """One run at one setting: correctness on validation and test rows."""
    rows = sibling("fine_tuning")
    pool, valid, test = rows.film()
    train = rows.draw(pool, 500, seed)
    tuned = finetuning.fine_tune(
        train["text"].tolist(), train["label"].tolist(), method=method, epochs=rows.EPOCHS[500],
        learning_rate=learning_rate, batch_size=batch_size, max_tokens=48, seed=seed,
    )  # fmt: skip
    result = {"first_loss": tuned.history["train_loss"].iloc[0], "last_loss": tuned.history["train_loss"].iloc[-1]}
    for name, part in (("valid", valid), ("test", test)):
        predicted = tuned.predict(part["text"].tolist()).argmax(axis=1)
        correct = predicted == part["label"].map(tuned.classes.index).to_numpy()
        result |= {f"{name}_accuracy": correct.mean(), f"{name}_correct": pack(correct)}
    return result
