"""Which question–answer pairs teach a search engine for documentation: MiniLM tuned on 512 of them, five seeds.

Task       : find the docstring that belongs to a summary line, among those of packages that were never trained on.
Questions  : 1. What does tuning on pairs add to the frozen encoder (and to BM25, which the notebook runs)?
             2. What do 20% swapped answers cost?
             3. Are pairs from eight packages worth more than as many from two, on other packages and on small talk?
             4. Is a cleaned pool worth more than a raw one, as it was found and with dirt planted in 30% of it?
             5. Does a batch from one package, whose wrong answers are harder to tell apart, teach more?
Prediction : 1. a few hundredths, since MiniLM saw a billion pairs before; 2. little, as nine batches in ten stay right
             for most rows; 3. eight packages win; 4. nothing as found, something with dirt; 5. harder ones help.
Fair       : every arm has the same number of pairs and steps, the same rate, the same test rows; rate chosen on the
             validation packages from the arm "random"; within a seed, arms with the same pool draw the same rows.
Method     : the top `layers` of six layers are trained; what the layers below say of a text never changes and is
             computed once. The loss is the softmax cross-entropy over the answers of the batch (InfoNCE: van den Oord
             et al. 2018, §2.3; with in-batch negatives: Karpukhin et al. 2020, §3.2).
"""

import functools
import re

import numpy as np
import pandas as pd

from helpers import cleaning, datasets, duplicates
from helpers.runner.studies import pack, unpack
from helpers.scenarios import retrieval

DATA = ["docs_qa", "dialogues"]
LONG = {"text": 24, "target": 128}  # of the arm "frozen, 128 pieces"
TEST_ROWS = 150  # a package
FEW = 2  # packages of the arm "few packages"
SWAPPED, DIRT = 0.2, 0.3
BOILERPLATE = (
    "This page is part of the reference manual. Use the search box or the module index to find a function, a class or "
    "a method. Copyright by the developers, all rights reserved. Last updated on the date of the release. "
)
ARMS = ["random", "few packages", "dirt", "dirt, cleaned", "cleaned", "swapped", "one package a batch"]
GRID = [
    dict(zip(("arm", "n", "layers", "rate", "part", "seed"), cell, strict=True))
    for rate in [2e-4]  # the best of three on the validation packages
    for cell in [
        *(("frozen", 0, 2, 0.0, part, 0) for part in ("valid", "test")),
        *(("random", 512, 2, tried, "valid", seed) for tried in (5e-5, 2e-4, 8e-4) for seed in range(2)),
        *((arm, 512, 2, rate, "test", seed) for arm in ARMS[:6] for seed in range(5)),
    ]
]


# ---- data -----------------------------------------------------------------------------------------------------------


@functools.cache
def parts():
    """{"train", "valid", "test"}: pairs of docs_qa, whole packages each; of valid and test 150 a package at most."""
    frame = datasets.load("docs_qa")
    part = datasets.split(frame, {"train": 0.5, "valid": 0.15, "test": 0.35}, stratify=None)
    found = {name: frame[part == name] for name in ("train", "valid", "test")}
    return {name: rows if name == "train" else at_most(rows, TEST_ROWS) for name, rows in found.items()}


def at_most(rows, n):
    """Up to n rows a package, the same in each run, in the order of the file."""
    shuffled = rows.sample(frac=1, random_state=0)
    return shuffled.groupby("group").head(n).sort_index(kind="stable")


def small_talk():
    """The English dialogues: distinct questions and answers, and bool (questions, answers): which answers which.

    A question with several answers is answered right by any of them.
    """
    frame = datasets.load("dialogues").query("source == 'english'")
    key = frame["text"].map(datasets.text_key)
    question, answer = pd.factorize(key)[0], pd.factorize(frame["target"])[0]
    relevant = np.zeros((question.max() + 1, answer.max() + 1), bool)
    relevant[question, answer] = True
    return frame["text"][~key.duplicated()], frame["target"].drop_duplicates().tolist(), relevant


def swap(rows, share, rng):
    """The pairs with the answers of a share of them passed round, so that none of these keeps its own."""
    chosen = rng.permutation(len(rows))[: round(share * len(rows))]
    answers = rows["target"].to_numpy(object).copy()
    answers[chosen] = np.roll(answers[chosen], 1)
    return rows.assign(target=answers)


def soil(rows, share, rng):
    """The pairs with dirt in a share of each package's rows, a third of it each of three sorts, named in `dirt`.

    copy        : five pairs of the package, said over and over, as ten questions are in the dialogues
    echo        : the answer says the question again, and nothing else
    boilerplate : the answer stands behind a page's header, which is all that a cut text shows of it
    """
    soiled = []
    for _, package in rows.groupby("group", sort=False):
        order = rng.permutation(len(package))
        size = round(share / 3 * len(package))
        copy, echo, header = (order[i * size : (i + 1) * size] for i in range(3))
        text, target = package["text"].to_numpy(object).copy(), package["target"].to_numpy(object).copy()
        originals = order[3 * size :][:5][np.arange(size) % 5]
        text[copy], target[copy] = text[originals], target[originals]
        target[echo] = [f"{question.rstrip('.')}." for question in text[echo]]
        target[header] = [BOILERPLATE + answer for answer in target[header]]
        dirt = np.full(len(package), "", object)
        dirt[copy], dirt[echo], dirt[header] = "copy", "echo", "boilerplate"
        soiled.append(package.assign(text=text, target=target, dirt=dirt))
    return pd.concat(soiled)


MARKUP = re.compile(r"``|:[a-z]+:`|\.\. [a-z]+::")


def clean(rows):
    """Rows that no rule removes, and the funnel; see `cleaning.funnel`. The rules know nothing of how dirt was made."""
    kept, _, table = cleaning.funnel(
        rows,
        {
            "question said before": duplicates.repeats,
            "answer near one before": lambda part: duplicates.near_repeats(part.assign(text=part["target"])),
            "answer says the question": lambda part: part.apply(_echoes, axis=1),
            "answer begins as ten others": lambda part: _beginnings(part) > 10,
            "markup in the question": lambda part: part["text"].str.contains(MARKUP),
        },
    )
    return kept, table


def _beginnings(rows):
    """How many answers share each one's first 40 characters."""
    return rows.groupby(rows["target"].str[:40])["target"].transform("size")


def _echoes(row):
    return set(re.findall(r"\w+", row["target"].lower())) <= set(re.findall(r"\w+", row["text"].lower()))


def draw(arm, n, seed):
    """n pairs of the training packages for one arm: as many from each package that it draws on."""
    rng = np.random.default_rng(seed)
    pool = parts()["train"]
    packages = pool["group"].unique()
    if arm in ("dirt", "dirt, cleaned"):
        pool = soil(pool, DIRT, rng)
    if arm in ("cleaned", "dirt, cleaned"):
        pool = clean(pool)[0]
    if arm == "few packages":
        packages = rng.choice(packages, FEW, replace=False)
    rows = pool[pool["group"].isin(packages)].groupby("group").sample(n // len(packages), random_state=seed)
    return swap(rows, SWAPPED, rng) if arm == "swapped" else rows


def figures(row):
    """What follows from the questions that found their answer first."""
    found = {"accuracy": unpack(row["right"]).mean()}
    return found | ({"talk_accuracy": unpack(row["talk_right"]).mean()} if row["part"] == "test" else {})


def run(arm, n, layers, rate, part, seed):
    """One run: accuracy (right answer first), MRR, recall@10, AUROC of "no answer"; per-row correctness, packed.

    On the test packages also accuracy and MRR on small talk.
    """
    losses = [np.nan]
    width = LONG if arm == "frozen, 128 pieces" else retrieval.WIDTH
    if arm.startswith("frozen"):
        retrieval.halves(layers)[1].set_weights(retrieval.halves(layers)[2])
    else:
        losses = retrieval.tune(draw(arm, n, seed), layers, rate, seed, one_package=arm == "one package a batch")
    rows = parts()[part]
    scores = (
        retrieval.vectors(rows["text"], "text", layers, width)
        @ retrieval.vectors(rows["target"], "target", layers, width).T
    )
    rank = retrieval.first_ranks(scores)
    result = {
        "accuracy": np.mean(rank == 1),
        "MRR": np.mean(1 / rank),
        "recall@10": np.mean(rank <= 10),
        "AUROC": retrieval.auroc(scores, rows["group"]),
        "right": pack(rank == 1, rows.index),
        "last_loss": np.mean(losses[-5:]),
    }
    if part == "test":
        questions, answers, relevant = small_talk()
        asked = retrieval.vectors(questions.tolist(), "text", layers, width)
        scores = asked @ retrieval.vectors(answers, "target", layers, width).T
        rank = retrieval.first_ranks(scores, relevant)
        result |= {"talk_accuracy": np.mean(rank == 1), "talk_MRR": np.mean(1 / rank)}
        result["talk_right"] = pack(rank == 1, questions.index)
    return result
