"""What labels, sources and choice of rows do to a classifier on a ready-made encoder: five questions, equal budgets.

Questions  : noise      A share of the training labels is turned round, from none to all shuffled. What does it cost?
             raters     Is a training set better when its 20 raters agreed on each row, or when they did not?
             sources    Rows from one kind of text, or as many from three or four kinds: inside and outside those kinds?
             choice     Rows far apart (k-center), rows near the middle of clusters, labels mixed up within clusters:
                        against as many drawn at random. How many rows does each pick that raters contest?
             edits      Two edited copies of each row (a tenth of its words or characters dropped, one pair swapped)
                        against the rows alone. And what becomes of a score when copies are made before the split.
Prediction : Noise costs little up to a fifth. Agreed rows beat contested ones. Mixed sources lose inside and win
             outside. k-center loses to random and collects contested rows. Edits change little; copies before the
             split flatter.
Fair       : within a seed all arms draw from one pool and meet the same test rows; half of each label, but where rows
             are chosen by their vectors; C by the same inner cross-validation on the training rows as the arm has them,
             their copies left out. Documents stay on one side.
"""

from functools import cache

import numpy as np
import pandas as pd

from helpers import datasets, duplicates, evaluation, pretrained, probe
from helpers.runner.studies import pack

DATA = ["reviews_zh", "snippets_en"]
ENCODER = {"en": "minilm", "zh": "use"}
N_EACH = 480  # test rows of each kind of text
SOURCES = ["tweets", "amazon", "film", "editorials"]
MIXES = ["all four", *(f"all but {source}" for source in SOURCES)]
NOISE = ["0%", "5%", "10%", "20%", "30%", "40%", "shuffled"]
CHOICES = ["random", "k-center", "central", "labels mixed within clusters"]
GRID = [
    {"question": question, "language": language, "features": features, "arm": arm, "n": n, "seed": seed}
    for question, languages, kinds, arms, n, seeds in [
        ("noise", ["en", "zh"], ["encoder", "TF-IDF"], NOISE, 1000, 5),
        ("raters", ["en"], ["encoder", "TF-IDF"], ["random", "agreed", "contested"], 1000, 5),
        ("sources", ["en"], ["encoder"], SOURCES + MIXES, 900, 10),
        ("choice", ["en", "zh"], ["encoder"], CHOICES, 500, 10),
        ("edits", ["en", "zh"], ["encoder", "TF-IDF"], ["rows alone", "with edited copies"], 500, 10),
        ("edits", ["en", "zh"], ["encoder", "TF-IDF"], ["split, then copies", "copies, then split"], 500, 10),
    ]
    for language in languages
    for features in kinds
    for arm in arms
    for seed in range(seeds)
]


@cache
def rows(language, source="film"):
    """Opinionated rows of one kind, with the number of their pool row and, where raters are known, their agreement."""
    if language == "zh":
        return duplicates.clean(datasets.load("reviews_zh"))[0]
    frame = datasets.load("snippets_en").query("source == @source and label != 'neutral'")
    sign = np.where(frame["label"] == "positive", 1, -1)
    sides = [np.sign(ratings) * one for ratings, one in zip(frame["ratings"], sign, strict=True)]
    return frame.assign(
        agreement=[np.mean(side == 1) for side in sides], against=[np.mean(side == -1) for side in sides]
    )


@cache
def sides(language, source="film", n_test=2000):
    """Pool and test rows of one kind; no relative of a test row and no row of its document stands in the pool."""
    frame = rows(language, source)
    part = datasets.split(frame, {"pool": 0.8, "test": 0.2})
    test = frame[part == "test"].sample(frac=1, random_state=0)  # the file is sorted by label
    return frame[part == "pool"], test.head(n_test)


def draw(pool, n, seed):
    """n rows, half of each label, in random order."""
    return pool.sample(frac=1, random_state=seed).groupby("label").head(n // 2)


def turned(labels, share, rng):
    """The labels with a share of them turned round; "shuffled" deals them out anew."""
    labels = labels.to_numpy()
    if share == "shuffled":
        return rng.permutation(labels)
    wrong = rng.permutation(len(labels)) < round(len(labels) * float(share.rstrip("%")) / 100)
    return np.where(wrong, np.where(labels == "positive", "negative", "positive"), labels)


def k_center(vectors, k, rng):
    """Rows of which each is the farthest from those before it (Gonzalez 1985), the first one drawn."""
    picked = [rng.integers(len(vectors))]
    nearest = vectors @ vectors[picked[0]]
    while len(picked) < k:
        picked.append(int(nearest.argmin()))
        nearest = np.maximum(nearest, vectors @ vectors[picked[-1]])
    return picked


def clusters(vectors, k, seed):
    """Cluster of each row and its distance from the centre."""
    from sklearn.cluster import MiniBatchKMeans

    means = MiniBatchKMeans(k, random_state=seed, n_init=3).fit(vectors)
    return means.labels_, means.transform(vectors).min(axis=1)


def chosen(pool, arm, n, language, seed):
    """n rows of a pool, chosen by their vectors alone; labels are not looked at."""
    if arm in ("random", "labels mixed within clusters"):
        train = pool.sample(n, random_state=seed)
        if arm == "random":
            return train
        cluster, _ = clusters(vectors(train, language), 25, seed)
        return train.assign(label=train.groupby(cluster)["label"].transform(np.random.default_rng(seed).permutation))
    if arm == "k-center":
        return pool.iloc[k_center(vectors(pool, language), n, np.random.default_rng(seed))]
    cluster, distance = clusters(vectors(pool, language), 25, seed)
    rank = pd.Series(distance).groupby(cluster).rank(method="first")
    return pool.iloc[np.lexsort([distance, rank])[:n]]


def edited(text, language, rng):
    """The text with a tenth of its units dropped, at least one, and two neighbours swapped (Wei & Zou 2019)."""
    join = " " if language == "en" else ""
    units = text.split() if language == "en" else list(text)
    out = rng.permutation(len(units))[: max(1, len(units) // 10)]
    units = [unit for i, unit in enumerate(units) if i not in out] or units
    if len(units) > 1:
        i = rng.integers(len(units) - 1)
        units[i : i + 2] = units[i + 1], units[i]
    return join.join(units)


def with_copies(train, language, seed):
    """The rows and two edited copies of each."""
    rng = np.random.default_rng(seed)
    copies = [train.assign(text=[edited(text, language, rng) for text in train["text"]]) for _ in range(2)]
    return pd.concat([train, *copies], keys=range(3), names=["copy", "row"]).reset_index("copy")


def vectors(frame, language):
    """Sentence vectors of the rows, (n, d)."""
    return pretrained.embed(frame["text"].tolist(), ENCODER[language])


def measures(train, read):
    """Diversity of a training set: of its labels, its pairs of word pieces, its vectors."""
    pieces = [row[1:-1] for row in pretrained.tokenise(train["text"].tolist(), "minilm")]
    return {
        "label_entropy": evaluation.label_entropy(train["label"]),
        "distinct_2": evaluation.distinct_n(pieces, 2),
        "distance": evaluation.mean_distance(read),
        "vendi": evaluation.vendi_score(read),
    }


def noise(language, arm, n, seed):
    """Training rows with labels turned round, test rows with theirs as shipped."""
    pool, test = sides(language)
    train = draw(pool, n, seed)
    return train.assign(label=turned(train["label"], arm, np.random.default_rng(seed))), test


def raters(language, arm, n, seed):
    """Training rows from the third of each label that raters agreed on most, or least, or from all."""
    pool, test = sides(language)
    order = pool.groupby("label")["agreement"].rank(method="first", ascending=arm == "contested", pct=True)
    return draw(pool if arm == "random" else pool[order <= 1 / 3], n, seed), test


def sources(language, arm, n, seed):
    """Training rows from one kind of text or several; test rows from all four, one kind after the other."""
    named = {"all four": SOURCES, **{f"all but {one}": [s for s in SOURCES if s != one] for one in SOURCES}}
    named = named.get(arm, [arm])
    train = [draw(sides(language, source, N_EACH)[0], 2 * round(n / len(named) / 2), seed) for source in named]
    return pd.concat(train), pd.concat([sides(language, source, N_EACH)[1] for source in SOURCES])


def choice(language, arm, n, seed):
    """Training rows chosen from 5,000 of the pool."""
    pool, test = sides(language)
    return chosen(draw(pool, 5000, seed), arm, n, language, seed), test


def edits(language, arm, n, seed):
    """Training rows with or without copies; in the two arms about the split a fifth of these rows is what is tested."""
    pool, test = sides(language)
    train = draw(pool, n, seed)
    if arm == "with edited copies":
        return with_copies(train, language, seed), test
    if arm == "copies, then split":
        both = with_copies(train, language, seed).sample(frac=1, random_state=seed)
        return both.iloc[len(both) // 5 :], both.iloc[: len(both) // 5]
    if arm == "split, then copies":
        return with_copies(train.iloc[n // 5 :], language, seed), train.iloc[: n // 5]
    return train, test


def run(question, language, features, arm, n, seed):
    """One run: correctness on the test rows, and what else the question needs."""
    train, test = {"noise": noise, "raters": raters, "sources": sources, "choice": choice, "edits": edits}[question](
        language, arm, n, seed
    )
    if features == "TF-IDF":
        read = probe.tfidf(train["text"].tolist(), test["text"].tolist(), language)
    else:
        read = [vectors(side, language) for side in (train, test)]
    own = train["copy"].to_numpy() == 0 if "copy" in train else slice(None)
    fitted = probe.fit(read[0][own], train["label"].to_numpy()[own])
    if "copy" in train:  # tuned on the rows alone (folds would share copies); three times the rows, a third of C
        fitted = probe.fit(read[0], train["label"], strengths=[fitted.best_params_["C"] / 3])
    correct = fitted.predict(read[1]) == test["label"]
    tested = [f"{row} {copy}" for row, copy in test["copy"].items()] if "copy" in test else test.index
    result = {"C": fitted.best_params_["C"], "rows": len(train), "accuracy": correct.mean()}
    result["correct"] = pack(correct, tested)
    if "agreement" in train:
        result["agreement"] = train["agreement"].mean()
    if "against" in train and question == "choice":
        result["against"] = train["against"].mean()
    if question == "sources":
        result |= measures(train, read[0])
        parts = np.split(read[1], len(SOURCES))
        result |= {
            f"covers {name}": evaluation.coverage(read[0], part) for name, part in zip(SOURCES, parts, strict=True)
        }
    return result
