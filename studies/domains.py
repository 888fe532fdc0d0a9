"""Text classification: which kind of text, which dynasty, which opinion; sources to train on, labels to take out.

Questions  : models   Where a text comes from (four sources), the same with its surface marks masked, and whether a poem
                      is of the Tang or the Song: a rule of three features, word or character TF-IDF, a frozen encoder
                      and a fine-tuned one, on the same rows.
             sources  Opinions (positive, negative): trained on 400 rows of the target source, of another one, or on a
                      hundred of each of the four.
             raters   Opinions: the tenth of the rows on which the raters disagree most taken out, or any tenth.
             planted  Source, marks masked: labels changed on purpose; suspects taken out, as many at random, or none.
Prediction : Three features are enough for half of the first task and for none of the others. A row of the target source
             is worth more than one of another. Contested rows out does little; suspects out helps where labels are
             wrong.
Fair       : within a seed all arms draw from one shuffled pool; documents and authors stand on one side; the test rows
             are the same for all, as many of each class, and read last; C by inner cross-validation.
Dynasty    : poems of four forms, as many of each form in either dynasty, one line after another without punctuation, so
             that length and form say nothing.
"""

import re
from functools import cache

import numpy as np
import pandas as pd

from helpers import datasets, label_errors, pretrained, probe
from helpers.runner.studies import pack, unpack
from helpers.scenarios import classification

DATA = ["poems", "snippets_en"]
SOURCES = ["tweets", "amazon", "film", "editorials"]
FORMS = ["五言绝句", "七言绝句", "五言律诗", "七言律诗"]
TASKS = {"source": ("en", "minilm"), "source, masked": ("en", "minilm"), "dynasty": ("zh", "use")}
MODELS = ["rule", "TF-IDF", "characters", "frozen"]
POOL, TEST = 1_200, 300  # rows of each source
OUT = 0.1
RATE = {"minilm": 1e-4, "use": 1e-3}
SEEDS = range(10)
COLUMNS = ("question", "task", "model", "train", "treatment", "planted", "n", "seed")
GRID = [
    dict(zip(COLUMNS, cell, strict=True))
    for cell in [
        *(
            ("models", task, model, "all", "as they come", 0.0, n, seed)
            for seed in SEEDS
            for task in TASKS
            for model in MODELS
            for n in (200, 500, 2000)
        ),
        *(
            ("sources", "opinion", model, train, "as they come", 0.0, 400, seed)
            for seed in SEEDS
            for model in ("TF-IDF", "frozen")
            for train in [*SOURCES, "all"]
        ),
        *(
            ("raters", "opinion", model, "all", treatment, 0.0, 1000, seed)
            for seed in SEEDS
            for model in ("TF-IDF", "frozen")
            for treatment in ("as they come", "at random", "contested out")
        ),
        *(
            ("planted", "source, masked", model, "all", treatment, planted, 1000, seed)
            for seed in SEEDS
            for model in ("TF-IDF", "frozen")
            for planted in (0.0, 0.1, 0.2)
            for treatment in ("as they come", "at random", "suspects out")
        ),
        *(
            ("models", task, "full", "all", "as they come", 0.0, 500, seed)
            for seed in range(5)
            for task in ("source, masked", "dynasty")
        ),
        *(
            ("models", task, "both", "all", "as they come", 0.0, 500, seed)
            for seed in range(5)
            for task in ("source, masked", "dynasty")
        ),
    ]
]


# ---- rows -----------------------------------------------------------------------------------------------------------


def masked(text):
    """A text without its surface marks: names, links, hashtags, entities, digits, case and punctuation; 12 words.

    >>> masked("@anonymous It's GREAT!! http://url_removed #fun")
    'it s great'
    """
    text = re.sub(r"&\w+;|@\w+|#\w+|https?:\S+|[:;]-?[)(DPp]\b|\d", " ", text)
    return " ".join(re.findall("[a-z]+", text.lower())[:12])


@cache
def rows(task):
    """Rows of a task with text, label, group and part (pool or test); as many of each class in either part."""
    if task == "dynasty":
        frame = datasets.load("poems").query("repeat == '' and label in @FORMS")
        plain = frame["text"].str.replace(r"\W", "", regex=True)
        frame = frame.assign(text=plain, form=frame["label"], label=frame["dynasty"], source=frame["dynasty"])
        frame = frame.assign(part=datasets.split(frame, {"pool": 0.7, "test": 0.3}, stratify="form"))
        shuffled = frame.sample(frac=1, random_state=0)
        sizes = {"pool": 2 * POOL // len(FORMS), "test": 2 * TEST // len(FORMS)}
        drawn = [part.groupby(["label", "form"]).head(sizes[name]) for name, part in shuffled.groupby("part")]
        return pd.concat(drawn)
    frame = datasets.load("snippets_en")
    frame = frame.query("label != 'neutral'") if task == "opinion" else frame.assign(label=frame["source"])
    if task == "source, masked":
        frame = frame.assign(text=frame["text"].map(masked))
        frame = frame[frame["text"].str.count(" ") >= 4]
    frame = frame.assign(part=datasets.split(frame, {"pool": 0.7, "test": 0.3}, stratify="source"))
    shuffled = frame.sample(frac=1, random_state=0)
    sizes = {"pool": POOL, "test": TEST}
    return pd.concat([part.groupby("source").head(sizes[name]) for name, part in shuffled.groupby("part")])


@cache
def test_rows(task):
    """The rows that are scored, sorted by source."""
    return rows(task).query("part == 'test'").sort_values("source", kind="stable")


def drawn(task, train, n, seed):
    """n rows of the pool: of one source, or as many of each class (opinion: of each source)."""
    pool = rows(task).query("part == 'pool'").sample(frac=1, random_state=seed)
    if train != "all":
        return pool[pool["source"] == train].head(n)
    return pool.groupby("source").head(n // pool["source"].nunique())


def changed(labels, share, seed):
    """Labels, a share of them changed to another class, drawn at random; and which were."""
    rng = np.random.default_rng([seed, 2])
    labels, wrong = np.array(labels, object), np.zeros(len(labels), bool)
    classes = np.unique(labels)
    for i in rng.permutation(len(labels))[: round(share * len(labels))]:
        labels[i], wrong[i] = rng.choice(classes[classes != labels[i]]), True
    return labels, wrong


def classifier(model, task, texts, labels, *, seed=0):
    """Train one of the models for a task; returns a function from texts to labels."""
    language, encoder = TASKS.get(task, TASKS["source"])
    settings = {"epochs": 3, "learning_rate": RATE[encoder], "max_tokens": 64}
    predict, classes = classification.classifier(
        model, texts, labels, language=language, encoder=encoder, seed=seed, **settings
    )
    return lambda others: np.array(classes)[predict(others).argmax(axis=1)]


def kept(frame, labels, treatment, seed):
    """True for the training rows that stay: nine in ten, or all; and the ranking's doubt of each row (None for all)."""
    if treatment == "at random":
        doubt = np.random.default_rng([seed, 1]).random(len(frame))
    elif treatment == "contested out":
        doubt = label_errors.rater_doubt(frame["ratings"].tolist(), labels.tolist())
        doubt = doubt + np.random.default_rng([seed, 1]).random(len(frame)) * 1e-6  # ties fall by lot
    elif treatment == "suspects out":
        texts, groups = frame["text"].tolist(), frame["group"].to_numpy()
        views = [probe.tfidf(texts, texts[:1], "en")[0], pretrained.embed(texts, "minilm")]
        opinion = label_errors.stack(
            [label_errors.out_of_fold(view, labels, groups=groups) for view in views], labels, groups=groups
        )
        doubt = -label_errors.label_quality(opinion, np.unique(labels, return_inverse=True)[1])
    else:
        return np.ones(len(frame), bool)
    return np.argsort(np.argsort(-doubt, kind="stable"), kind="stable") >= round(OUT * len(frame))


def figures(row):
    """What follows from the classes that a run gave the test rows; "found" numbers the classes that occur in order."""
    from sklearn.metrics import f1_score

    test = test_rows(row["task"])
    truth, found = np.unique(test["label"], return_inverse=True)[1], unpack(row["found"], test.index)
    return {"accuracy": np.mean(found == truth), "macro_f1": f1_score(truth, found, average="macro")}


def run(question, task, model, train, treatment, planted, n, seed):
    """Train on one arm's rows and score the test rows."""
    from sklearn.metrics import f1_score

    frame = drawn(task, train, n, seed)
    labels, wrong = changed(frame["label"], planted, seed)
    stays = kept(frame, labels, treatment, seed)
    test = test_rows(task)
    found = classifier(model, task, frame["text"][stays].tolist(), labels[stays], seed=seed)(test["text"].tolist())
    truth = test["label"].to_numpy()
    return {
        "rows": int(stays.sum()),
        "culprits": float(wrong[~stays].mean()) if not stays.all() else float("nan"),
        "accuracy": float(np.mean(found == truth)),
        "macro_f1": float(f1_score(truth, found, average="macro")),
        "correct": pack(found == truth, test.index),
        "found": pack(np.searchsorted(np.unique(truth), found), test.index),
    }
