"""A table to tune on: what each of 872 ways to build a review classifier from 500 rows scores, three repeats each.

Question   : how do automated searches compare at equal compute? The study `searches` replays them on this table, as
             NAS-Bench-101 (Ying et al. 2019) and HPO-B (Pineda Arango et al. 2021) do: what a trial would measure is
             looked up, so hundreds of searches cost minutes, and all meet the same outcomes.
Space      : model    TF-IDF, probe (frozen encoder), head, last, full (the encoder fine-tuned, see `finetuning`)
             data     which 500 of the pool's 5,474 rows: random, random among those that confident learning does not
                      suspect, agreement, agree_then_herd; for TF-IDF also with an edited copy of each row
             text     for TF-IDF and probe: stop words out, texts cut at 40 or 160 characters; for TF-IDF also normal
                      form, lower case
             settings length of character n-grams, C; learning rate, batch size, passes
Prediction : the model and the chosen rows matter most, lower case least; few of the 872 beat plain defaults by much.
Fair       : repeat r draws its pool with seed r, and is judged on the r-th third of the rows "valid" of `choosing`, by
             which a search goes, and on the r-th third of the rows "judged", which no search sees. Locked test rows
             are not read; `searches` reads them for what was found in the end, `locked` for ways to choose rows.
Columns    : one row of the table is a model, a choice of data and a repeat. `few`, `valid`, `other`, `seconds` hold one
             number for each of the model's settings, in the order of `settings(model)`: how many rows are right of the
             first 100 of "valid", of "valid" and of "judged"; processor time of reading, training and answering.
Needs      : jieba, for the runs that are missing
"""

import itertools
import tempfile
import time
from functools import cache, lru_cache

import numpy as np
import pandas as pd

from helpers import augmentation, cleaning, datasets, finetuning, pretrained
from helpers.runner import studies

DATA = ["reviews_zh"]
ROWS, REPEATS, FEW = 500, 3, 100
CHOOSE = ["random", "suspects out", "agreement", "agree_then_herd"]
SHAPE = {"stop_words": ["stay", "out"], "length": [40, 160]}
FORM = {"normal": [False, True], "lower": [False, True]}
SPACE = {  # what a row of the table settles, then what its columns run through
    "TF-IDF": ({"choose": CHOOSE, "copies": [0, 1]}, {**FORM, **SHAPE, "ngrams": [1, 2], "C": [1, 5, 25]}),
    "probe": ({"choose": CHOOSE, "copies": [0]}, {**SHAPE, "C": [0.3, 1, 3, 10]}),
    "head": ({"choose": CHOOSE, "copies": [0]}, {"rate": [1e-3, 1e-2], "batch_size": [16, 64], "epochs": [5, 20]}),
    "full": ({"choose": ["random", "agree_then_herd"], "copies": [0]}, {"rate": [3e-4, 1e-3], "epochs": [3]}),
    "last": ({"choose": ["random", "agree_then_herd"], "copies": [0]}, {"rate": [3e-4, 1e-3], "epochs": [3]}),
}


def combinations(space):
    """Every combination of {parameter: values}, as {parameter: value}."""
    return [dict(zip(space, values, strict=True)) for values in itertools.product(*space.values())]


GRID = [
    {"model": model, **data, "seed": seed}
    for model, (data_choices, _) in SPACE.items()
    for data in combinations(data_choices)
    for seed in range(REPEATS)
]
choosing, preprocessing = studies.module("choosing"), studies.module("preprocessing")


def settings(model):
    """The settings of a model, in the order of the columns: list of {parameter: value}."""
    return combinations(SPACE[model][1])


@cache
def chosen(choose, seed):
    """Numbers of the 500 rows that a way to choose takes from a seed's pool, and their labels."""
    before, method = ("suspects out", "random") if choose == "suspects out" else ("nothing", choose)
    return choosing.curated("zh", before, method, 0.0, ROWS, seed)[:2]


@cache
def judged_on(seed):
    """Numbers of the rows that a repeat is judged on: a third of "valid", a third of "judged"."""
    part = choosing.rows("zh")[3]
    valid, other = (np.random.default_rng(7).permutation(np.flatnonzero(part == one)) for one in ("valid", "judged"))
    return valid[seed::REPEATS], other[seed::REPEATS]


# ---- texts ----------------------------------------------------------------------------------------------------------


@cache
def shipped():
    """The texts as they were collected, by row id."""
    return datasets.load("reviews_zh")["text"]


normalised = cache(cleaning.normalise)


@cache
def without_stop_words(text):
    """The text without the commonest stop words, cut into words by jieba; negations stay."""
    import logging

    import jieba

    jieba.setLogLevel(logging.WARNING)
    out = set(preprocessing.STOP_WORDS.split()) - preprocessing.NEGATIONS
    return "".join(word for word in jieba.lcut(text) if word not in out)


def prepared(rows, normal=True, lower=False, stop_words="stay", length=160, **_):
    """Texts of rows (their numbers) after the switches of TEXT; a text that would be left empty stays whole."""
    texts = shipped()[choosing.rows("zh")[0].index[rows]].tolist()
    if normal:
        texts = [normalised(text) for text in texts]
    if stop_words == "out":
        texts = [without_stop_words(text) or text for text in texts]
    if lower:
        texts = [text.lower() for text in texts]
    return [text[:length] for text in texts]


# ---- models ---------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def counted(texts, others, ngrams):
    """TF-IDF of character n-grams of texts and of others (tuples), fitted on texts; and the processor time it took."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    start = time.process_time()
    vectoriser = TfidfVectorizer(analyzer="char", ngram_range=(1, ngrams), sublinear_tf=True, lowercase=False)
    return vectoriser.fit_transform(texts), vectoriser.transform(others), time.process_time() - start


@cache
def seconds_to_read():
    """Processor time in which the encoder reads one text of those judged on, its vectors not yet stored."""
    texts = prepared(np.concatenate(judged_on(0)))
    with tempfile.TemporaryDirectory() as empty:
        pretrained.embed(texts, "use", cache=empty)  # the first time, the encoder is also built
    with tempfile.TemporaryDirectory() as empty:
        start = time.process_time()
        pretrained.embed(texts, "use", cache=empty)
        return (time.process_time() - start) / len(texts)


def linear(x, labels, x_others, C, solver):
    """Classes of the others by logistic regression."""
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=C, solver=solver, max_iter=1000).fit(x, labels).predict(x_others)


def answers(config, seed, judged):
    """Classes that a configuration gives to the rows judged, trained on a seed's 500 rows; and the processor time.

    config : {"model", "choose", "copies"} and a setting of the model
    """
    model = config["model"]
    train, labels = chosen(config["choose"], seed)
    texts, others = prepared(train, **config), prepared(judged, **config)
    if config["copies"]:
        texts = texts + augmentation.delete(texts, "zh", seed=seed)
        labels = np.tile(labels, 2)
    seconds = 0.0
    if model == "TF-IDF":
        x, x_others, seconds = counted(tuple(texts), tuple(others), config["ngrams"])
    elif model in ("probe", "head"):  # vectors that never change are kept, so that reading them is timed apart
        x, x_others = (pretrained.embed(some, "use") for some in (texts, others))
        seconds = seconds_to_read() * (len(texts) + len(others))
    start = time.process_time()
    if model == "TF-IDF":
        found = linear(x, labels, x_others, config["C"], "liblinear")
    elif model == "probe":
        found = linear(x, labels, x_others, config["C"], "newton-cg")
    else:
        tuned = finetuning.fine_tune(
            texts,
            labels.tolist(),
            encoder="use",
            method=model,
            epochs=config["epochs"],
            learning_rate=config["rate"],
            batch_size=config.get("batch_size", 32),
            max_tokens=128 if model == "head" else 48,
            precision="float32" if model == "head" else finetuning.sixteen_bits(),
            seed=seed,
        )
        found = tuned.predict(others).argmax(axis=1)
    return found, seconds + time.process_time() - start


def run(model, choose, copies, seed):
    """All settings of a model on one choice of rows: counts of rows rightly judged, seconds."""
    valid, other = judged_on(seed)
    judged = np.concatenate([valid, other])
    truth = choosing.rows("zh")[2][judged]
    found = {"few": [], "valid": [], "other": [], "seconds": []}
    for setting in settings(model):
        predicted, seconds = answers({"model": model, "choose": choose, "copies": copies, **setting}, seed, judged)
        right = predicted == truth
        found["few"].append(right[:FEW].sum())
        found["valid"].append(right[: len(valid)].sum())
        found["other"].append(right[len(valid) :].sum())
        found["seconds"].append(round(seconds, 2))
    counts = {"n_valid": len(valid), "n_other": len(other)}
    return counts | {name: " ".join(map(str, values)) for name, values in found.items()}


# ---- the table ------------------------------------------------------------------------------------------------------


def table(stored):
    """The stored rows as one row a configuration and repeat: parameters, few, valid and other as accuracies, seconds.

    stored  : DataFrame of `studies.load("tuning")`
    returns : DataFrame; parameters that a model does not have are None; `config` numbers the configurations
    """
    rows = []
    for one in stored.to_dict("records"):
        data = {name: one[name] for name in ("model", "choose", "copies", "seed")}
        columns = {name: list(map(float, one[name].split())) for name in ("few", "valid", "other", "seconds")}
        for place, setting in enumerate(settings(one["model"])):
            got = {name: values[place] for name, values in columns.items()}
            got |= {"few": got["few"] / FEW, "valid": got["valid"] / one["n_valid"]}
            rows.append(data | setting | got | {"other": got["other"] / one["n_other"]})
    frame = pd.DataFrame(rows, dtype=object)
    frame = frame.where(frame.notna(), None)
    names = [name for name in frame if name not in ("seed", "few", "valid", "other", "seconds")]
    frame.insert(0, "config", frame.groupby(names, dropna=False, sort=False).ngroup())
    return frame.astype(dict.fromkeys(("few", "valid", "other", "seconds"), float))
