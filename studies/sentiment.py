"""Sentiment: what fine-tuning, neutral rows, other domains, clean labels and stop words do, and who hears a "not".

Questions  : learning   TF-IDF, frozen encoder, both side by side, and fine-tuned encoder on the same rows.
             neutral    English: is a model better on positive and negative rows for having seen neutral ones?
             transfer   English: trained on 500 rows of one domain, tested on each of the four.
             noise      A tenth of the rows out: the most doubtful labels, the most contested ones, or any; with the
                        labels as they are, and with a tenth of them changed on purpose.
             stop words Out of training and test texts, all of them or all but the negations.
Prediction : Fine-tuning wins in English, and in Chinese only while rows are few. Neutral rows do not help to tell
             positive from negative. A model of editorials carries over worse than one of tweets. Suspects out helps
             where labels were planted, and not otherwise. Stop words cost little accuracy and all the negation.
Classes    : English: positive or negative where the mean rating lies more than two standard errors from 0, else
             neutral. Chinese: positive and negative, as the file has no third.
Fair       : within a seed all arms draw from one shuffled pool; 300 test rows a domain (Chinese: 1,200) are the same
             for all and read last, whole documents on one side; the rate of the Chinese encoder is chosen on
             validation rows; C of each linear model by inner cross-validation.
Probes     : pairs of sentences, one positive and one negative, that differ by a negation (written by hand, or made by a
             rule from test and validation rows) or by sarcasm (by hand). A pair is right when both sides are.
Needs      : jieba, for the Chinese runs with stop words
"""

import re
from functools import cache

import numpy as np
import pandas as pd

from helpers import datasets, duplicates, label_errors, pretrained, probe
from helpers.runner import studies
from helpers.runner.studies import pack, unpack
from helpers.scenarios import classification, sentiment

DATA = ["reviews_zh", "snippets_en"]
DOMAINS = ["tweets", "amazon", "film", "editorials"]
ENCODER = {"zh": "use", "en": "minilm"}
EPOCHS = {200: 4, 500: 2, 2000: 2}
RATE = {"zh": 1e-3, "en": 1e-4}
MAX_TOKENS = {"zh": 96, "en": 48}
N_TEST, N_VALID = 300, 75  # of each English domain; four times as many Chinese
OUT = 0.1  # share of the training rows that is taken out, or whose labels are changed
CHEAP, TWO, ENDS = ["TF-IDF", "frozen"], ["as many at random", "suspects out"], ["tweets", "editorials"]
COLUMNS = ("language", "train", "model", "n", "treatment", "planted", "rate", "seed")
GRID = [
    dict(zip(COLUMNS, cell, strict=True))
    for cell in [
        *(
            (language, "all", model, n, "as they come", 0.0, None, seed)
            for language in ENCODER
            for model in (*CHEAP, "both")
            for n in EPOCHS
            for seed in range(5)
        ),
        *(
            ("en", domain, model, 500, "as they come", 0.0, None, seed)
            for model in CHEAP
            for domain in DOMAINS
            for seed in range(5)
        ),
        *(
            ("en", "all", model, n, treatment, 0.0, None, seed)
            for model in CHEAP
            for n in (500, 2000)
            for treatment in ("opinions only", "neutral left out")
            for seed in range(5)
        ),
        *(
            (language, "all", model, 2000, treatment, planted, None, seed)
            for language in ENCODER
            for model in CHEAP
            for planted in (0.0, 0.1)
            for treatment in TWO
            for seed in range(5)
        ),
        *(("en", "all", model, 2000, "contested out", 0.0, None, seed) for model in CHEAP for seed in range(5)),
        *(
            (language, "all", "TF-IDF", 2000, treatment, 0.0, None, seed)
            for language in ENCODER
            for treatment in ("stop words out", "stop words but negation out")
            for seed in range(5)
        ),
        *((language, "all", "full", 500, "as they come", 0.0, None, seed) for language in ENCODER for seed in range(5)),
        *(("zh", "all", "full", 500, "as they come", 0.0, 1e-4, seed) for seed in range(5)),
    ]
]


@cache
def made(language):
    """Pairs made by rule of short positive rows outside the pool: list of (row id, text, its negation)."""
    frame = rows(language)
    longest = 75 if language == "en" else 20
    short = frame[(frame["part"] != "pool") & (frame["side"] == "positive") & (frame["text"].str.len() <= longest)]
    found = [(row, text, sentiment.negated(text, language)) for row, text in short["text"].items()]
    return [one for one in found if one[2]]


# ---- data -----------------------------------------------------------------------------------------------------------


@cache
def rows(language):
    """Clean rows with `side`, their class, and `part`: pool, valid or test; documents stand in one part."""
    if language == "zh":
        frame = duplicates.clean(datasets.load("reviews_zh"))[0]
        frame = frame.assign(side=frame["label"], kind=frame["label"])
    else:
        frame = datasets.load("snippets_en")
        means = frame["ratings"].map(np.mean)
        errors = frame["ratings"].map(lambda ratings: np.std(ratings, ddof=1) / np.sqrt(len(ratings)))
        frame = frame.assign(side=sentiment.side(means, errors))
        frame = frame.assign(kind=frame["source"] + frame["side"])
    return frame.assign(part=datasets.split(frame, {"pool": 0.6, "valid": 0.1, "test": 0.3}, stratify="kind"))


@cache
def held_out(language, part):
    """The rows that are scored: 300 test or 75 validation rows a domain, or four times as many Chinese ones."""
    n = {"test": N_TEST, "valid": N_VALID}[part]
    frame = rows(language).query("part == @part")
    if language == "zh":
        return frame.sample(4 * n, random_state=0)
    return pd.concat([frame[frame["source"] == one].sample(n, random_state=0) for one in DOMAINS])


def drawn(language, train, n, treatment, seed):
    """n rows of the pool: of one domain, or as many of each; "opinions only" draws no neutral ones."""
    pool = rows(language).query("part == 'pool'").sample(frac=1, random_state=seed)
    if treatment == "opinions only":
        pool = pool[pool["side"] != "neutral"]
    if train != "all":
        return pool[pool["source"] == train].head(n)
    taken = pool.head(n) if language == "zh" else pool.groupby("source").head(n // 4)
    if treatment == "neutral left out":
        taken = taken[taken["side"] != "neutral"]
    return taken


def changed(labels, share, seed):
    """Labels, a share of them changed to another class that occurs, drawn at random."""
    rng = np.random.default_rng(seed)
    labels, classes = np.array(labels, object), np.unique(labels)
    for i in rng.permutation(len(labels))[: round(share * len(labels))]:
        labels[i] = rng.choice(classes[classes != labels[i]])
    return labels


def kept(frame, labels, language, treatment, seed):
    """True for the training rows that stay: nine in ten, or all where nothing is to be taken out."""
    n_out = round(OUT * len(frame))
    if treatment == "as many at random":
        doubt = np.random.default_rng([seed, 1]).random(len(frame))
    elif treatment == "contested out":
        doubt = label_errors.rater_doubt(frame["ratings"].tolist(), labels.tolist())
    elif treatment == "suspects out":
        texts, groups = frame["text"].tolist(), frame["group"].to_numpy()
        words = probe.tfidf(texts, texts[:1], language)[0]
        vectors = pretrained.embed(texts, ENCODER[language])
        both = [label_errors.out_of_fold(one, labels, groups=groups) for one in (words, vectors)]
        opinion = label_errors.stack(both, labels, groups=groups)
        doubt = -label_errors.label_quality(opinion, np.unique(labels, return_inverse=True)[1])
    else:
        return np.ones(len(frame), bool)
    return np.argsort(np.argsort(-doubt, kind="stable"), kind="stable") >= n_out


NEGATIONS = {
    "zh": {"不", "没", "无", "没有", "不是", "不能", "不会", "不要"},
    "en": {"not", "no", "nor", "never", "none", "nobody", "nothing", "neither", "cannot", "hardly"},
}


@cache
def stop_words(language):
    """A list of stop words that holds the negations of NEGATIONS, as most published lists do."""
    if language == "zh":
        return set(studies.module("preprocessing").STOP_WORDS.split()) | NEGATIONS["zh"] | set("很都好上下又才")
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return set(ENGLISH_STOP_WORDS)


def without_stop_words(texts, language, treatment):
    """Texts less their stop words, or less those that are no negations; as they are under any other treatment."""
    if not treatment.startswith("stop words"):
        return texts
    out = stop_words(language) - (NEGATIONS[language] if "negation" in treatment else set())
    if language == "en":
        return [" ".join(word for word in re.findall(r"\w+", text.lower()) if word not in out) for text in texts]
    import logging

    import jieba

    jieba.setLogLevel(logging.WARNING)
    return ["".join(word for word in jieba.lcut(text) if word not in out) for text in texts]


# ---- runs -----------------------------------------------------------------------------------------------------------


def classifier(language, model, texts, labels, *, rate=None, seed=0):
    """Train one of the models; returns a function from texts to probabilities (n, 3) in the order of CLASSES."""
    n = min(EPOCHS, key=lambda size: abs(size - len(texts)))
    settings = {"epochs": EPOCHS[n], "learning_rate": rate or RATE[language], "max_tokens": MAX_TOKENS[language]}
    predict, classes = classification.classifier(
        model, texts, labels, language=language, encoder=ENCODER[language], seed=seed, **settings
    )
    return lambda others: sentiment.spread(predict(others), classes)


def run(language, train, model, n, treatment, planted, rate, seed):
    """One run: class numbers of the test rows as digits, which rows lean to the right side, and the pairs got right."""
    frame = drawn(language, train, n, treatment, seed)
    labels = changed(frame["side"], planted, seed)
    stay = kept(frame, labels, language, treatment, seed)
    texts, labels = frame["text"][stay].tolist(), labels[stay].astype(str)

    def plain(some):
        return without_stop_words(some, language, treatment)

    predict = classifier(language, model, plain(texts), labels, rate=rate, seed=seed)
    valid, test = held_out(language, "valid"), held_out(language, "test")
    of_rule, by_hand = made(language), sentiment.pairs(language)
    sides = [[pair[at] for pair in of_rule] for at in (1, 2)] + [[pair[at] for pair in by_hand] for at in (1, 2)]
    parts = [valid["text"].tolist(), test["text"].tolist(), *sides]
    found = np.split(predict(plain(sum(parts, []))), np.cumsum([len(part) for part in parts])[:-1])
    guess, truth = found[1].argmax(axis=1), test["side"].map(sentiment.CLASSES.index).to_numpy()
    rule_positive, rule_negative, positive, negative = (sentiment.leans(one) for one in found[2:])
    return {
        "rows": len(texts),
        "valid_accuracy": (found[0].argmax(axis=1) == valid["side"].map(sentiment.CLASSES.index)).mean(),
        **measures(truth, guess),
        "guess": pack(guess, test.index),
        "leaning": pack(sentiment.leans(found[1]) == (truth == 2), test.index),
        "rule_praise": pack(rule_positive, [row for row, _, _ in of_rule]),
        "rule_negated": pack(~rule_negative, [row for row, _, _ in of_rule]),
        "hand_positive": pack(positive, [text for _, text, _, _ in by_hand]),
        "hand_negative": pack(~negative, [text for _, text, _, _ in by_hand]),
    }


def measures(truth, guess):
    """Accuracy, macro F1 and Matthews' correlation of class numbers."""
    from sklearn.metrics import f1_score, matthews_corrcoef

    return {
        "accuracy": np.mean(guess == truth),
        "macro_f1": f1_score(truth, guess, average="macro"),
        "mcc": matthews_corrcoef(truth, guess),
    }


def figures(row):
    """What follows from the classes that a run gave the test rows."""
    test = held_out(row["language"], "test")
    return measures(test["side"].map(sentiment.CLASSES.index).to_numpy(), unpack(row["guess"], test.index))
