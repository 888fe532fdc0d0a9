"""Edited copies, mixtures and repeats of training rows: which keep the label, and what do they buy?

Questions  : label      500 texts, edited: does a teacher, trained on 4,974 others, still say what it said of the text?
             effect     Training on 100, 500 or 2,000 rows with copies beside them, or on the rows alone.
             imbalance  50 rows of one class, 450 of the other: weights, repeats, edited copies, mixtures of neighbours.
             tuned      The same edits in real fine-tuning; the gap between training and test accuracy.
Prediction : Weak edits keep the label, strong ones do not. Frozen vectors gain nothing from edits at any size; TF-IDF
             a little from dropped pieces at 100 rows. Balancing moves the border, by whatever means. In fine-tuning
             copies are more steps, and repeats of the rows themselves do as much.
Fair       : within a seed all arms have the same rows of the pools of `choosing` and meet the same rows. Every arm's C
             by the same inner cross-validation, where a copy is in training only if all rows that it was made from are;
             C is per row, so it is divided by how many times more rows an arm has. Tuned arms: five epochs at one
             rate, .0001, fixed beforehand; for the Chinese encoder `tuned_choices` prefers ten times that.
"""

from functools import cache

import keras
import numpy as np

from helpers import augmentation, finetuning, pretrained, probe
from helpers.runner import studies
from helpers.runner.studies import pack

DATA = ["reviews_zh", "snippets_en"]
EDITS = ["delete", "swap", "insert", "replace", "drop span"]
MIXTURES = ["mixup", "mixup of neighbours"]
TUNED = ["rows alone", "repeats", "delete", "replace"]
BALANCES = ["rows alone", "class weights", "repeats", "delete", "mixup of neighbours"]
GRID = [
    dict(zip(("question", "language", "features", "method", "strength", "n", "seed"), cell, strict=True))
    for cell in [
        *(
            ("label", language, "both", method, strength, 500, seed)
            for language in ("zh", "en")
            for method in EDITS
            for strength in (0.1, 0.2, 0.4)
            for seed in range(5)
        ),
        *(
            ("effect", language, features, method, 0.1, n, seed)
            for language in ("zh", "en")
            for features, more in (("encoder", MIXTURES), ("TF-IDF", []))
            for method in ["rows alone", *EDITS, *more]
            for n, seeds in ((100, 10), (500, 5), (2000, 5))
            for seed in range(seeds)
        ),
        *(
            ("imbalance", language, "encoder", method, 0.1, 500, seed)
            for language in ("zh", "en")
            for method in BALANCES
            for seed in range(10)
        ),
        *(
            ("tuned", language, "fine-tuned", method, 0.1, n, seed)
            for language, n in (("zh", 100), ("en", 100))
            for method in TUNED
            for seed in range(5)
        ),
    ]
]
COPIES = {100: 4, 500: 2, 2000: 1}  # as many as Wei & Zou find useful, or a little fewer
choosing = studies.module("choosing")


@cache
def teacher(language, seed):
    """A probe on vectors and TF-IDF of the pool but for its first 500 rows, and the texts it learned from."""
    frame, vectors, labels, _ = choosing.rows(language)
    rows = choosing.pool(language, "nothing", 0.0, seed)[0][500:]
    texts = frame["text"].iloc[rows].tolist()
    words, _ = probe.tfidf(texts, texts[:1], language)
    return probe.fit(probe.beside(words, vectors[rows]), labels[rows], strengths=[3, 10]), texts


def label(language, method, strength, n, seed):
    """What the teacher says of n texts before and after an edit."""
    frame, vectors, labels, _ = choosing.rows(language)
    rows = choosing.pool(language, "nothing", 0.0, seed)[0][:n]
    model, known = teacher(language, seed)
    texts = frame["text"].iloc[rows].tolist()
    changed = edited(texts, language, method, strength, 1, seed)
    there, then = vectors[rows], embed(changed, language)
    before, after = (
        model.predict(probe.beside(probe.tfidf(known, some, language)[1], dense))
        for some, dense in ((texts, there), (changed, then))
    )
    return {
        "kept": np.mean(before == after),
        "right_before": np.mean(before == labels[rows]),
        "right_after": np.mean(after == labels[rows]),
        "cosine": np.mean(np.sum(there * then, axis=1)),
    }


def edited(texts, language, method, strength, copies, seed):
    """Copies of each text; repeats are copies with nothing changed."""
    if method == "repeats":
        return [text for text in texts for _ in range(copies)]
    return augmentation.EDITS[method](texts, language, strength=strength, copies=copies, seed=seed)


def embed(texts, language):
    return pretrained.embed(texts, choosing.ENCODER[language])


def mixed(vectors, labels, near, copies, seed):
    """Mixtures of each row with others: vectors, targets (m, 2), and the two rows that each is made of."""
    rows, made = np.arange(len(labels)), []
    close = augmentation.neighbours(vectors, labels, copies) if near else None
    for copy in range(copies):
        partners = close[:, copy] if near else np.random.default_rng([seed, copy]).permutation(rows)
        both = augmentation.mixup(vectors, np.eye(2)[labels], alpha=1.0, partners=partners, seed=1000 * seed + copy)
        made.append((*both, np.stack([rows, partners], axis=1)))
    return [np.concatenate(parts) for parts in zip(*made, strict=True)]


def train_rows(language, n, seed):
    """The first n rows of the pool: texts, vectors, class numbers."""
    frame, vectors, labels, _ = choosing.rows(language)
    rows = choosing.pool(language, "nothing", 0.0, seed)[0][:n]
    return frame["text"].iloc[rows].tolist(), vectors[rows], labels[rows]


def test_rows(language):
    """The rows judged on: texts, vectors, class numbers."""
    frame, vectors, labels, _ = choosing.rows(language)
    rows = choosing.judged_on(language)
    return frame["text"].iloc[rows].tolist(), vectors[rows], labels[rows]


def test_ids(language):
    """Ids of the rows judged on."""
    return choosing.table(language)[0].index[choosing.judged_on(language)]


def effect(language, features, method, strength, n, seed):
    """Correctness of a probe on n rows and what the method adds to them."""
    from sklearn.metrics import accuracy_score

    texts, vectors, labels = train_rows(language, n, seed)
    test, test_vectors, answers = test_rows(language)
    own, judged = (vectors, test_vectors) if features == "encoder" else probe.tfidf(texts, test, language)
    added, targets, parents = own[:0], np.empty((0, 2)), np.empty((0, 2), int)
    if method in MIXTURES:
        added, targets, parents = mixed(vectors, labels, "neighbours" in method, COPIES[n], seed)
    elif method != "rows alone":
        copies = edited(texts, language, method, strength, COPIES[n], seed)
        if features == "encoder":
            added = embed(copies, language)
        else:  # words that only copies hold are words to learn, too
            own, both = probe.tfidf(texts + copies, texts + copies, language)
            own, added, judged = both[:n], both[n:], probe.tfidf(texts + copies, test, language)[1]
        rows = np.repeat(np.arange(n), COPIES[n])
        targets, parents = np.eye(2)[labels[rows]], np.stack([rows, rows], axis=1)
    model, C = probe.fit_augmented(own, labels, added, targets, parents, accuracy_score)
    correct = model.predict(judged) == answers
    return {"C": C, "accuracy": correct.mean(), "correct": pack(correct, test_ids(language))}


def imbalance(language, features, method, strength, n, seed):
    """Balanced accuracy of a probe on 450 rows of one class and 50 of the other."""
    from sklearn.metrics import balanced_accuracy_score, recall_score

    texts, vectors, labels = train_rows(language, choosing.POOL, seed)
    rows = np.concatenate([np.flatnonzero(labels == one)[:size] for one, size in ((0, n * 9 // 10), (1, n // 10))])
    texts, vectors, labels = [texts[i] for i in rows], vectors[rows], labels[rows]
    _, judged, answers = test_rows(language)
    rare, times = np.flatnonzero(labels == 1), 8  # copies of each rare row, so that both classes have as many
    added, parents = vectors[:0], np.empty((0, 2), int)
    weights = np.where(labels == 1, 9.0, 1.0) if method == "class weights" else None
    if method == "mixup of neighbours":
        added, _, pairs = mixed(vectors[rare], labels[rare], True, times, seed)
        parents = rare[pairs]
    elif method not in ("rows alone", "class weights"):
        added = embed(edited([texts[i] for i in rare], language, method, strength, times, seed), language)
        parents = np.stack([np.repeat(rare, times)] * 2, axis=1)
    targets = np.eye(2)[np.ones(len(parents), int)]
    model, C = probe.fit_augmented(vectors, labels, added, targets, parents, balanced_accuracy_score, weights)
    said = model.predict(judged)
    return {
        "C": C,
        "balanced": balanced_accuracy_score(answers, said),
        "rare_recall": recall_score(answers, said),
        "accuracy": np.mean(said == answers),
    }


def tuned(language, features, method, strength, n, seed):
    """Real fine-tuning on n rows and their copies: accuracy on the rows themselves and on the rows judged on."""
    keras.mixed_precision.set_global_policy(finetuning.sixteen_bits())
    texts, _, labels = train_rows(language, n, seed)
    test, _, answers = test_rows(language)
    half = len(test) // 2
    copies = [] if method == "rows alone" else edited(texts, language, method, strength, COPIES[n], seed)
    given = np.concatenate([labels, np.repeat(labels, len(copies) // n)]).tolist()
    settings = {"encoder": choosing.ENCODER[language], "epochs": 5, "learning_rate": 1e-4, "max_tokens": 48}
    model = finetuning.fine_tune(texts + copies, given, seed=seed, **settings)
    own = np.mean(model.predict(texts).argmax(axis=1) == labels)
    correct = model.predict(test[half:]).argmax(axis=1) == answers[half:]
    keras.mixed_precision.set_global_policy("float32")
    return {"train_accuracy": own, "accuracy": correct.mean(), "gap": own - correct.mean()} | {
        "correct": pack(correct, test_ids(language)[half:])
    }


def run(question, language, features, method, strength, n, seed):
    """One run of one of the four questions."""
    if question == "label":
        return label(language, method, strength, n, seed)
    return {"effect": effect, "imbalance": imbalance, "tuned": tuned}[question](
        language, features, method, strength, n, seed
    )
