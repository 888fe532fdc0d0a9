"""What pretraining knows, and what it is worth in labels: film sentences (English), reviews (Chinese), five seeds.

Questions  : 1. How accurate is a classifier on the vectors of a ready-made encoder, on TF-IDF, on both side by side,
             and a small network trained from scratch, after 20 to 5,000 labels?
             2. Is it the training of the encoder that helps, or its wiring? The same network with random weights, on
             the opinion of a text, and on whether its words stand in their order.
             3. Does a model of subwords gain from texts prepared as for a model of words: cut into words, freed of stop
             words, with parts of speech added?
Prediction : 1. The encoder leads while labels are few, TF-IDF comes close with thousands; both together is never worst.
             2. Random weights are far behind. 3. No; taking stop words out loses, because "not" is one of them.
Fair       : within a seed all arms see the same rows, half of each label, and the same 2,000 test rows (no relative of
             which is in the pool). C by the same inner cross-validation. The network from scratch holds a fifth of its
             rows back, at least ten, to choose its rate and when to stop.
Order      : texts without punctuation, and the same texts with their pieces shuffled; both on the same side of the
             split. With punctuation a full stop that is not the last piece would give the shuffled ones away. `last
             piece` is what knowing nothing but the last piece achieves.
Needs      : jieba, for the runs that are missing
"""

import re
from functools import cache

import keras
import numpy as np
from sklearn.preprocessing import OneHotEncoder

from helpers import datasets, duplicates, finetuning, pretrained, probe
from helpers.runner.studies import pack
from helpers.scenarios import pretraining

DATA = ["reviews_zh", "snippets_en"]
BUDGETS = [20, 50, 100, 200, 500, 1000, 2000, 5000]
ENCODER = {"en": "minilm", "zh": "use"}
GRID = [
    {"task": task, "language": language, "features": features, "texts": texts, "n": n, "seed": seed}
    for task, language, features, texts, budgets in [
        *(
            ("opinion", language, features, "as they are", BUDGETS)
            for features in ("encoder", "TF-IDF", "both")
            for language in ENCODER
        ),
        *(("opinion", "zh", "encoder", texts, [2000]) for texts in ("cut into words", "no stop words", "tagged")),
        *(("opinion", "en", "encoder", texts, [2000]) for texts in ("no punctuation", "no stop words")),
        *(
            ("opinion", language, "scratch", "as they are", n)
            for n in ([50, 200], [1000], [5000])
            for language in ENCODER
        ),
        *(
            (task, language, features, "as they are", [2000])
            for task, features in [
                ("order", "last piece"),
                ("order", "encoder"),
                ("order", "random weights"),
                ("opinion", "random weights"),
            ]
            for language in ENCODER
        ),
        *(("opinion", "en", "fine-tuned", texts, [500]) for texts in ("as they are", "no stop words")),
    ]
    for n in budgets
    for seed in range(5)
]
N_TEST = 2000
TOKENS = 128  # longer texts are cut; as `pretrained.embed` does
# of the stop-word list that comes with SnowNLP (MIT), the 40 words commonest in the reviews
STOP_WORDS = """
的 了 是 我 也 在 有 就 没有 和 这 我们 可以 到 还是 比较 要 就是 给 但 让 对 自己 用 非常 这个 他 但是
不是 你 能 多 时候 又 什么 她 有点 知道 觉得 而且
"""


@cache
def sides(language):
    """Pool and test rows: no copy or near copy of a test row stands in the pool."""
    if language == "en":
        frame = datasets.load("snippets_en").query("source == 'film' and label != 'neutral'")
    else:
        frame, _, _ = duplicates.clean(datasets.load("reviews_zh"))
    part = datasets.split(frame, {"pool": 0.8, "test": 0.2})
    test = frame[part == "test"].sample(frac=1, random_state=0)  # the film sentences are sorted by label
    return frame[part == "pool"], test.head(N_TEST)


def draw(pool, n, seed):
    """n rows of the pool, half of each label, in random order; of one seed, the smaller draw is part of the larger."""
    pool = pool.sample(frac=1, random_state=seed)
    return pool.groupby("label").head(n // 2)


def prepared(texts, how, language):
    """Texts as a pipeline for word models would hand them on."""
    if how == "as they are":
        return texts
    if language == "en":
        from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

        if how == "no punctuation":
            return [re.sub(r"[^\w\s]", " ", text) for text in texts]
        return [" ".join(word for word in text.split() if word.lower() not in ENGLISH_STOP_WORDS) for text in texts]
    import logging

    import jieba
    from jieba import posseg

    jieba.setLogLevel(logging.WARNING)
    if how == "tagged":
        return [" ".join(f"{pair.word}/{pair.flag}" for pair in posseg.cut(text)) for text in texts]
    if how == "cut into words":
        return [" ".join(jieba.cut(text)) for text in texts]
    out = set(STOP_WORDS.split())
    return ["".join(word for word in jieba.cut(text) if word not in out) for text in texts]


def shuffled(ids, rng):
    """The pieces of each text in random order, the special tokens at both ends where they were."""
    return [[row[0], *rng.permutation(row[1:-1]).tolist(), row[-1]] for row in ids]


def vectors(ids, language, seed, weights):
    """Sentence vectors of lists of token ids, by the encoder as it came or with random weights."""
    keras.utils.set_random_seed(seed)
    return pretrained.forward(pretrained.encoder(ENCODER[language], weights=weights), ids, batch_size=64)


def run(task, language, features, texts, n, seed):
    """One run: train on n rows drawn by the seed; correctness on the test rows."""
    pool, test = sides(language)
    train = draw(pool, n // 2 if task == "order" else n, seed)
    name = ENCODER[language]
    both = [prepared(rows["text"].tolist(), texts, language) for rows in (train, test)]
    answers = [(rows["label"] == "positive").to_numpy().astype(int) for rows in (train, test)]
    rows = test.index
    if task == "order" or features == "random weights":
        if task == "order":
            both = [[re.sub(r"[^\w\s]", " ", text) for text in side] for side in both]
        ids = [pretrained.tokenise(side, name, TOKENS) for side in both]
        if task == "order":
            rng = np.random.default_rng(seed)
            ids[1] = ids[1][: N_TEST // 2]
            answers = [np.repeat([1, 0], len(side)) for side in ids]
            ids = [side + shuffled(side, rng) for side in ids]
            rows = [f"{row} {order}" for order in ("as it is", "shuffled") for row in test.index[: N_TEST // 2]]
        if features == "last piece":
            last = [[[row[-2]] for row in side] for side in ids]
            known = OneHotEncoder(handle_unknown="ignore").fit(last[0])
            found = [known.transform(side) for side in last]
        else:
            found = [vectors(side, language, seed, features == "encoder") for side in ids]
    elif features in ("encoder", "both"):
        found = [pretrained.embed(side, name) for side in both]
    if features in ("TF-IDF", "both"):
        words = probe.tfidf(*both, language)
        found = words if features == "TF-IDF" else [probe.beside(*pair) for pair in zip(words, found, strict=True)]

    if features == "scratch":
        ids = [pretrained.tokenise(side, name, TOKENS) for side in both]
        predicted, chosen = pretraining.small_network(ids[0], answers[0], ids[1], seed)
    elif features == "fine-tuned":
        keras.mixed_precision.set_global_policy(finetuning.sixteen_bits())
        tuned = finetuning.fine_tune(
            both[0], answers[0].tolist(), epochs=3, learning_rate=1e-4, max_tokens=48, seed=seed
        )
        predicted, chosen = tuned.predict(both[1]).argmax(axis=1), {}
        keras.mixed_precision.set_global_policy("float32")
    else:
        fitted = probe.fit(found[0], answers[0])
        predicted, chosen = fitted.predict(found[1]), fitted.best_params_
    correct = predicted == answers[1]
    return {**chosen, "accuracy": correct.mean(), "correct": pack(correct, rows)}
