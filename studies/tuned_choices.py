"""Does what holds on frozen features hold for real fine-tuning? The whole encoder is trained on what a method chose.

Questions  : rate      Which learning rate and how many epochs does validation prefer, for random rows, 500 Chinese and
                       200 English? `SETTINGS` holds its answer. The Chinese one stands in the corner of its grid:
                       beyond it nothing was tried.
             curation  The very rows of the study `choosing`, 500 Chinese or 200 English: do the methods rank alike?
             noise     The same with a fifth of the pool's labels turned round.
             replay    English only: a model tuned on 300 tweets goes on to 300 rows of which most are editorials. How
                       much of what it knew of tweets is gone, and what do a few tweets among the new rows save?
Prediction : The order stays: distrust of labels wins, hardest rows lose. Turned labels cost more, for all weights can
             learn them by heart. A twentieth of replay saves most of what would be forgotten.
Fair       : every arm at the rate and epochs that random rows prefer on the part "valid" (question rate); five seeds,
             pools of the first five of `choosing`; measured on the part "judged", which no choice of method has seen.
             Replay trains twice in a row, for two epochs at a rate fixed beforehand and for two more at half of it:
             some twenty steps, which may be too few to forget by.
"""

from functools import cache

import keras
import numpy as np

from helpers import finetuning, selection
from helpers.runner import studies
from helpers.runner.studies import pack, unpack
from helpers.scenarios import replay

DATA = ["reviews_zh", "snippets_en"]
METHODS = ["random", "k_center", "facility_location", "herding", "quality", "el2n", "agreement", "agree_then_herd"]
REPLAY = ["tweets alone", "0%", "5%", "20%", "both at once"]
SIZES = {"zh": 500, "en": 200}
TRIED = [(rate, epochs) for rate in (1e-4, 3e-4, 1e-3) for epochs in (2, 6)]
SETTINGS = {"zh": {"learning_rate": 1e-3, "epochs": 6}, "en": {"learning_rate": 1e-4, "epochs": 6}}
GRID = [
    {"question": "rate", "language": language, "method": "random", "noise": 0.0, "n": n, "seed": seed}
    | {"learning_rate": rate, "epochs": epochs}
    for language, n in SIZES.items()
    for rate, epochs in TRIED
    for seed in range(3)
]
GRID += [
    dict(zip(("question", "language", "method", "noise", "n", "seed"), cell, strict=True))
    for cell in [
        *(("curation", "zh", method, 0.0, SIZES["zh"], seed) for method in METHODS for seed in range(5)),
        *(
            ("noise", "zh", method, 0.2, SIZES["zh"], seed)
            for method in ("random", "facility_location", "agree_then_herd")
            for seed in range(5)
        ),
        *(("curation", "en", method, 0.0, SIZES["en"], seed) for method in METHODS for seed in range(5)),
        *(("replay", "en", arm, 0.0, 300, seed) for seed in range(5) for arm in REPLAY),
    ]
]
REPLAYED = {"learning_rate": 1e-4, "epochs": 2}
MAX_TOKENS = 48
choosing = studies.module("choosing")


def judged(language, on="judged"):
    """Rows of a part and their class numbers."""
    frame, part = choosing.table(language)
    return frame[part == on], choosing.codes(frame)[part == on]


def tune(language, texts, labels, seed, settings):
    """The encoder and a head, all of it trained on these rows."""
    encoder = choosing.ENCODER[language]
    return finetuning.fine_tune(texts, labels.tolist(), encoder=encoder, seed=seed, max_tokens=MAX_TOKENS, **settings)


@cache
def kinds(source, seed):
    """The pool's rows of one kind of text in random order: texts, class numbers."""
    frame, _, labels, part = choosing.rows("en")
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero((part == "pool") & (frame["source"] == source)))
    return frame["text"].iloc[drawn].tolist(), labels[drawn]


def replayed(arm, n, seed):
    """A model tuned on tweets and then on editorials, with a share of tweets among them."""
    tweets, editorials = kinds("tweets", seed), kinds("editorials", seed)
    if arm == "both at once":
        texts, labels = (list(a[:n]) + list(b[:n]) for a, b in zip(tweets, editorials, strict=True))
        return tune("en", texts, np.array(labels), seed, REPLAYED)
    tuned = tune("en", tweets[0][:n], tweets[1][:n], seed, REPLAYED)
    if arm != "tweets alone":
        share = {"tweets": float(arm.rstrip("%")) / 100}
        counts = selection.mixture({"tweets": n, "editorials": len(editorials[0])}, n, replay=share)
        texts, labels = (
            list(a[: counts["tweets"]]) + list(b[: counts["editorials"]])
            for a, b in zip(tweets, editorials, strict=True)
        )
        replay.go_on(tuned, texts, np.array(labels), seed=seed, max_tokens=MAX_TOKENS, **REPLAYED)
    return tuned


def run(question, language, method, noise, n, seed, learning_rate=None, epochs=None):
    """One run: correctness on the rows judged; of replay also the accuracy on each kind of text."""
    keras.mixed_precision.set_global_policy(finetuning.sixteen_bits())
    test, answers = judged(language, "valid" if question == "rate" else "judged")
    if question == "replay":
        tuned = replayed(method, n, seed)
    else:
        frame = choosing.rows(language)[0]
        train, given, _ = choosing.curated(language, "nothing", method, noise, n, seed)
        settings = {"learning_rate": learning_rate, "epochs": epochs} if epochs else SETTINGS[language]
        tuned = tune(language, frame["text"].iloc[train].tolist(), given, seed, settings)
    correct = tuned.predict(test["text"].tolist()).argmax(axis=1) == answers
    keras.mixed_precision.set_global_policy("float32")
    result = {"accuracy": correct.mean(), "correct": pack(correct, test.index), "seconds": round(tuned.seconds, 1)}
    return result | (choosing.by_source(test, correct) if question == "replay" else {})


def figures(row):
    """What follows from the rows that a run judged rightly: of replay the accuracy on each kind of text."""
    if row["question"] != "replay":
        return {}
    test = judged("en")[0]
    return choosing.by_source(test, unpack(row["correct"], test.index))
