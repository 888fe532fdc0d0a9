"""What fine-tuning has to beat: networks from random weights, each tuned, and probes of the frozen encoder.

Questions  : 1. How accurate is the best model from random weights that we can find, on the rows of `fine_tuning`?
             2. How accurate is logistic regression on the frozen encoder's vectors, and on these beside TF-IDF?
Prediction : 1. No network from random weights beats TF-IDF before some thousands of labels. 2. The probe is close to
             fine-tuning with few labels and behind it with many; TF-IDF beside it adds a point or two.
Fair       : training, validation and test rows are those of `fine_tuning`, seed by seed. Its full fine-tuning chooses a
             rate on the 200 validation rows; here they choose a rate, the kind and size of network, and the number of
             passes too, up to 60. Probes choose C by inner cross-validation.
Cost       : the average and the convolution take seconds, the small transformer half a minute, so the last learns from
             500 labels alone. MiniLM's six layers from random weights (in `fine_tuning`, three passes) would take five
             minutes for twenty passes: left out.
"""

from helpers import pretrained, probe
from helpers.runner import studies
from helpers.runner.studies import pack
from helpers.scenarios import from_scratch

rows_of = studies.module("fine_tuning")
DATA = rows_of.DATA
NETWORKS = [  # how it reads, labels, rates
    ("average", (50, 500, 2000), (3e-3, 1e-2, 3e-2)),
    ("convolution", (50, 500, 2000), (1e-3, 3e-3)),
    ("transformer", (500,), (3e-4, 1e-3)),
]
GRID = [
    {"arm": arm, "n": n, "rate": rate, "seed": seed}
    for arm, n, rate in [
        *((arm, n, None) for arm in ("probe", "probe beside TF-IDF") for n in (50, 200, 500, 2000)),
        *((arm, n, rate) for arm, sizes, rates in NETWORKS for n in sizes for rate in rates),
    ]
    for seed in range(5)
]
TOKENS, PASSES, PATIENCE = 48, 60, 8  # as `fine_tuning` cuts its texts


def run(arm, n, rate, seed):
    """One run: train on n rows drawn by the seed; accuracy on the validation rows, correctness on the test rows."""
    pool, valid, test = rows_of.film()
    parts = [rows_of.draw(pool, n, seed), valid, test]
    texts = [part["text"].tolist() for part in parts]
    truth = [(part["label"] == "positive").to_numpy().astype(int) for part in parts]
    if arm.startswith("probe"):
        found, chosen = probed(texts, truth[0], arm != "probe")
    else:
        ids = [pretrained.tokenise(some, "minilm", TOKENS) for some in texts]
        sides = [(some, answers.astype("float32")) for some, answers in zip(ids[:2], truth[:2], strict=True)]
        settings = {"rate": rate, "passes": PASSES, "patience": PATIENCE, "seed": seed}
        predict, best = from_scratch.train(arm, *sides, **settings)
        found, chosen = [predict(some) for some in ids[1:]], {"best_pass": best}
    right = [predicted == answers for predicted, answers in zip(found, truth[1:], strict=True)]
    return chosen | {
        "valid_accuracy": right[0].mean(),
        "accuracy": right[1].mean(),
        "correct": pack(right[1], test.index),
    }


def probed(texts, labels, with_words):
    """Predictions for validation and test rows by logistic regression on vectors, or on these beside TF-IDF; its C."""
    found = [pretrained.embed(some, max_tokens=TOKENS) for some in texts]
    if with_words:
        learnt, others = probe.tfidf(texts[0], texts[1] + texts[2], "en")
        words = [learnt, others[: len(texts[1])], others[len(texts[1]) :]]
        found = [probe.beside(*pair) for pair in zip(words, found, strict=True)]
    fitted = probe.fit(found[0], labels)
    return [fitted.predict(some) for some in found[1:]], {"C": fitted.best_params_["C"]}
