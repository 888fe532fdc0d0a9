"""Which rows to train on, and which to have labelled: every choosing method beside random, on frozen features.

Questions  : curation    All labels are known, the budget is the rows trained on. Which method beats random, where?
             noise       A share of the pool's labels is turned round first. What does it cost each method, and what is
                         it worth to look for wrong labels before choosing?
             cleaning    The rows as they were collected, repeats and contradictions among them, or the cleaned ones;
                         at random, or chosen (Chinese only: the English rows hold no repeats).
             annotation  No label is known until it is bought. Which rows to buy?
             mixture     English only: how many rows from each of the four kinds of text.
Prediction : Methods that distrust labels win by one to three points while rows are few; those that look for hard or
             far-off rows lose; at most of the pool nothing differs. Turned labels widen both. Cleaning is worth more
             for what is tested on than for what is trained on. Uncertainty helps only once the model is fair.
Fair       : within a seed all arms draw from one pool of 5,474 rows and meet the same rows; each arm's C by the same
             inner cross-validation. Gradient matching sees 500 labelled rows more, of neither part. Annotation counts
             the 50 labels it starts from. Shares by hash: 40 % locked test, which nothing here reads; 15 % judged on,
             the first half of them (`n_valid`) to choose a method by, the second to measure what was chosen.
"""

import hashlib
import time
from functools import cache

import numpy as np

from helpers import datasets, duplicates, label_errors, pretrained, probe, selection
from helpers.runner.studies import pack, unpack

DATA = ["reviews_zh", "snippets_en"]
NAMES = {"zh": "reviews_zh", "en": "snippets_en"}
ENCODER = {"zh": "use", "en": "minilm"}
POOL = 5474
BUDGETS, SOME = [50, 100, 200, 500, 1000, 2000, 5000], [100, 500, 2000]
DRAWN = ["random", "stratified"]
BY_VECTOR = ["prototypes", "k_center", "facility_location", "herding"]
BY_LABEL = ["longest", "quality", "quality_diversity", "el2n", "forgetting", "gradient_matching"]
TRUSTED = ["agreement", "agree_then_herd"]
METHODS = [*DRAWN, *BY_VECTOR, *BY_LABEL, "quality_spread", *TRUSTED]
SPREAD = 0.5  # cosine above which quality_spread skips a row: about half of its picks are then not those of quality
BOUGHT = ["random", *BY_VECTOR, "margin", "density_weighted"]  # with two classes entropy buys what margin buys
BEFORE = ["nothing", "suspects out", "suspects relabelled", "errors out"]
GRID = [
    dict(zip(("question", "language", "features", "before", "method", "noise", "n", "seed"), cell, strict=True))
    for cell in [
        *(
            ("curation", language, features, "nothing", method, 0.0, n, seed)
            for language in NAMES
            for features, budgets, seeds in [("encoder", BUDGETS, 10), ("TF-IDF", SOME, 5), ("both", SOME, 5)]
            for method in METHODS
            for n in budgets
            for seed in range(seeds)
        ),
        *(
            ("curation", language, features, "nothing", "whole pool", 0.0, POOL, seed)
            for language in NAMES
            for features, seeds in [("encoder", 10), ("TF-IDF", 5), ("both", 5)]
            for seed in range(seeds)
        ),
        *(
            ("curation", language, "encoder, C = 3", "nothing", method, 0.0, n, seed)
            for language in NAMES
            for method in ("random", *TRUSTED)
            for n in BUDGETS[:4]
            for seed in range(10)
        ),
        *(
            ("noise", language, "encoder", before, method, noise, n, seed)
            for language in NAMES
            for noise in (0.0, 0.05, 0.1, 0.2)
            for before, methods in [
                ("nothing", DRAWN[:1] + BY_VECTOR[1:] + BY_LABEL[1:] + TRUSTED),
                ("suspects out", ["random", "facility_location", "agree_then_herd"]),
                ("suspects relabelled", ["random", "agree_then_herd"]),
                ("errors out", ["random", "facility_location", "agree_then_herd"]),
            ]
            for method in methods
            for n in (500, 2000)
            for seed in range(10)
        ),
        *(
            ("cleaning", "zh", features, before, method, 0.0, n, seed)
            for features in ("encoder", "TF-IDF")
            for before in ("raw rows", "nothing")
            for method in ("random", "agreement", "agree_then_herd")
            for n in (200, 500, 2000)
            for seed in range(10)
        ),
        *(
            ("annotation", language, "encoder", "nothing", method, 0.0, n, seed)
            for language in NAMES
            for method in BOUGHT
            for n in BUDGETS[1:-1]
            for seed in range(10)
        ),
        *(
            ("mixture", "en", "encoder", "nothing", f"temperature {temperature}", 0.0, n, seed)
            for temperature in ("1", "2", "inf")
            for n in (200, 1000)
            for seed in range(10)
        ),
    ]
]
START = 50  # labels bought at random before a model can say what to buy next


def parts(keys):
    """Part of each key, by hash: "test" is locked, "valid" and "judged" are judged on, the rest is the pool."""
    share = np.array([int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) / 2**32 for key in keys])
    return np.select([share < 0.4, share < 0.475, share < 0.55], ["test", "valid", "judged"], "pool")


@cache
def table(language):
    """Clean rows with an opinion, and their parts. Documents stay in one part."""
    frame = datasets.load(NAMES[language])
    frame = duplicates.clean(frame)[0] if language == "zh" else frame.query("label != 'neutral'")
    return frame, parts(frame["text"] if language == "zh" else frame["group"].astype(str))


@cache
def rows(language):
    """The rows of `table`; their vectors, class numbers and parts."""
    frame, part = table(language)
    return frame, pretrained.embed(frame["text"].tolist(), ENCODER[language]), codes(frame), part


@cache
def raw_rows():
    """The Chinese rows as collected, each in the part of the clean row that it repeats, the rest in the pool."""
    frame = datasets.load("reviews_zh")
    kept, part = table("zh")
    family = duplicates.families(frame)
    known = dict(zip(family[kept.index], part, strict=True))
    part = family.map(known).fillna("pool").to_numpy()
    return frame, pretrained.embed(frame["text"].tolist(), ENCODER["zh"]), codes(frame), part


def codes(frame):
    """Class numbers: 1 is positive."""
    return (frame["label"] == "positive").to_numpy().astype(int)


@cache
def pool(language, before, noise, seed):
    """Row numbers of the pool, its labels after turning a share round, and 500 more rows to match gradients with."""
    _, _, labels, part = raw_rows() if before == "raw rows" else rows(language)
    drawn = np.random.default_rng(seed).permutation(np.flatnonzero(part == "pool"))
    given = labels[drawn[:POOL]].copy()
    turned = np.random.default_rng([seed, 1]).permutation(POOL) < round(noise * POOL)
    given[turned] = 1 - given[turned]
    return drawn[:POOL], given, turned, drawn[POOL : POOL + 500]


@cache
def judgement(language, before, noise, seed):
    """Out-of-fold probabilities of the pool by the encoder, and the seconds that they took."""
    frame, vectors, _, _ = raw_rows() if before == "raw rows" else rows(language)
    drawn, given, _, _ = pool(language, before, noise, seed)
    start = time.perf_counter()
    groups = frame["group"].to_numpy()[drawn]
    return label_errors.out_of_fold(vectors[drawn], given, groups=groups), time.perf_counter() - start


@cache
def suspected(language, noise, seed):
    """Which rows of the pool confident learning suspects, by four models stacked; the class that they suggest."""
    frame, vectors, _, _ = rows(language)
    drawn, given, _, _ = pool(language, "nothing", noise, seed)
    texts, groups = frame["text"].iloc[drawn].tolist(), frame["group"].to_numpy()[drawn]
    words, _ = probe.tfidf(texts, texts[:1], language)
    opinions = label_errors.opinions(words, vectors[drawn], given, groups=groups)
    stacked = label_errors.stack(list(opinions.values()), given, groups=groups)
    return label_errors.confident_issues(stacked, given), stacked.argmax(axis=1)


def chosen(method, k, frame, vectors, labels, judged, valid, seed):
    """Positions of the k rows that a curating method picks; `valid` is (vectors, labels) to match gradients with."""
    trusted = {"labels": labels, "probabilities": judged}
    own = judged[np.arange(len(labels)), labels]
    if method in ("longest", "quality"):
        score = frame["text"].str.len().to_numpy() if method == "longest" else own
        return np.lexsort([np.random.default_rng(seed).random(len(score)), -score])[:k]
    if method == "quality_spread":
        return selection.quality_diversity(vectors, k, quality=own, threshold=SPREAD)
    given = {
        "stratified": {"labels": labels},
        "quality_diversity": {"quality": own},
        "el2n": {"labels": labels},
        "forgetting": {"labels": labels},
        "gradient_matching": {"labels": labels, "valid_vectors": valid[0], "valid_labels": valid[1]},
        "agreement": trusted,
        "agree_then_herd": trusted,
    }
    return getattr(selection, method)(vectors, k, **given.get(method, {}), seed=seed)


def curated(language, before, method, noise, n, seed):
    """Row numbers to train on, their labels as given, and how long the choice took."""
    frame, vectors, labels, _ = raw_rows() if before == "raw rows" else rows(language)
    drawn, given, turned, more = pool(language, before, noise, seed)
    judged, seconds = judgement(language, before, noise, seed)
    start = time.perf_counter()
    stays = np.arange(POOL)
    if before == "errors out":
        stays = np.flatnonzero(~turned)
    if before.startswith("suspects"):
        suspect, suggested = suspected(language, noise, seed)
        if before == "suspects out":
            stays = np.flatnonzero(~suspect)
        else:
            given = np.where(suspect, suggested, given)
    if method == "whole pool":
        return drawn, given, 0.0
    mine, valid = drawn[stays], (vectors[more], labels[more])
    picked = chosen(method, n, frame.iloc[mine], vectors[mine], given[stays], judged[stays], valid, seed)
    used = seconds if method in ("quality", "quality_diversity", *TRUSTED) else 0.0
    return mine[picked], given[stays][picked], time.perf_counter() - start + used


def bought(language, method, n, seed):
    """Row numbers whose labels are bought; methods that ask a model double what they own, a purchase at a time."""
    _, vectors, labels, _ = rows(language)
    drawn, _, _, _ = pool(language, "nothing", 0.0, seed)
    start = time.perf_counter()
    if method in ("random", *BY_VECTOR):
        return drawn[getattr(selection, method)(vectors[drawn], n, seed=seed)], time.perf_counter() - start
    own = selection.random(vectors[drawn], START, seed=seed)
    while len(own) < n:
        rest = np.setdiff1d(np.arange(POOL), own)
        model = probe.fit(vectors[drawn[own]], labels[drawn[own]])
        ask = {"probabilities": model.predict_proba(vectors[drawn[rest]])}
        more = getattr(selection, method)(vectors[drawn[rest]], min(len(own), n - len(own)), **ask, seed=seed)
        own = np.concatenate([own, rest[more]])
    return drawn[own], time.perf_counter() - start


def mixed(temperature, n, seed):
    """Row numbers of a mixture of the four sources."""
    frame, vectors, _, _ = rows("en")
    drawn, _, _, _ = pool("en", "nothing", 0.0, seed)
    codes = frame["source"].iloc[drawn].astype("category").cat.codes.to_numpy().astype(int)
    return drawn[selection.stratified(vectors[drawn], n, labels=codes, temperature=temperature, seed=seed)]


def judged_on(language):
    """Numbers of the rows judged on, "valid" before "judged"."""
    part = table(language)[1]
    return np.concatenate([np.flatnonzero(part == one) for one in ("valid", "judged")])


def read(language, features, frame, vectors, train):
    """Features of the training rows (of the frame and vectors given) and of the rows judged on."""
    judged, kept = judged_on(language), rows(language)
    dense = vectors[train], kept[1][judged]
    if features.startswith("encoder"):
        return dense
    words = probe.tfidf(frame["text"].iloc[train].tolist(), kept[0]["text"].iloc[judged].tolist(), language)
    return words if features == "TF-IDF" else [probe.beside(*pair) for pair in zip(words, dense, strict=True)]


def predicted(train, labels, test, strengths=probe.STRENGTHS):
    """Predictions for the test rows, and the C chosen; of too few rows of a class, the other class throughout."""
    if np.bincount(labels, minlength=2).min() < 3:
        return np.full(test.shape[0], np.bincount(labels).argmax()), np.nan
    fitted = probe.fit(train, labels, strengths=strengths)
    return fitted.predict(test), fitted.best_params_["C"]


def run(question, language, features, before, method, noise, n, seed):
    """One run: the rows chosen (hash), the share of their labels that is wrong, which rows are then judged rightly."""
    frame, vectors, labels, _ = raw_rows() if before == "raw rows" else rows(language)
    if question == "annotation":
        train, seconds = bought(language, method, n, seed)
        given = labels[train]
    elif question == "mixture":
        train, seconds = mixed(float(method.split()[1]), n, seed), 0.0
        given = labels[train]
    else:
        train, given, seconds = curated(language, before, method, noise, n, seed)
    train_features, test_features = read(language, features, frame, vectors, train)
    strengths = [3] if features == "encoder, C = 3" else probe.STRENGTHS
    answers, C = predicted(train_features, given, test_features, strengths)
    judged = judged_on(language)
    correct = answers == rows(language)[2][judged]
    result = {
        "rows": hashlib.sha256(repr(frame.index[train].tolist()).encode()).hexdigest()[:12],
        "wrong": np.mean(given != labels[train]),
        "C": C,
        "accuracy": correct.mean(),
        "n_valid": np.sum(table(language)[1] == "valid"),
        "correct": pack(correct, table(language)[0].index[judged]),
        "seconds": round(seconds, 3),
    }
    return result | (by_source(table(language)[0].iloc[judged], correct) if question == "mixture" else {})


def by_source(frame, correct):
    """Accuracy on each kind of text."""
    source = frame["source"].to_numpy()
    return {f"accuracy {one}": correct[source == one].mean() for one in np.unique(source)}


def figures(row):
    """What follows from the rows that a run judged rightly: of mixtures the accuracy on each kind of text."""
    if row["question"] != "mixture":
        return {}
    judged = table("en")[0].iloc[judged_on("en")]
    return by_source(judged, unpack(row["correct"], judged.index))
