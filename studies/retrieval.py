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

import keras
import numpy as np
import pandas as pd

from helpers import cleaning, datasets, duplicates, finetuning, pretrained
from helpers.runner.studies import pack, unpack

DATA = ["docs_qa", "dialogues"]
WIDTH = {"text": 24, "target": 48}  # word pieces: one question in ten is longer, of the answers nine in ten
LONG = {"text": 24, "target": 128}  # of the arm "frozen, 128 pieces"
BATCH, EPOCHS, TEMPERATURE = 32, 2, 0.05
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
    return shuffled.groupby("group").head(n).sort_index()


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


def orders(rows, one_package, rng):
    """Batches of row numbers for one pass, BATCH each; with one_package, all of a batch from one."""
    groups = rows["group"].to_numpy()
    shuffled = rng.permutation(len(rows))
    if one_package:
        shuffled = shuffled[np.argsort(groups[shuffled], kind="stable")]
    batches = shuffled[: len(rows) // BATCH * BATCH].reshape(-1, BATCH)
    return rng.permutation(batches)


# ---- the encoder in two parts ---------------------------------------------------------------------------------------


@functools.cache
def halves(layers):
    """MiniLM cut in two: token ids to hidden states, never trained, and from there to vectors, with its start weights.

    layers : 1 to 6, how many of the six transformer layers belong to the upper part; 6 leaves the embeddings below
    """
    bert = pretrained.encoder("minilm").get_layer("bert")
    below, above = bert.transformer_layers[:-layers], bert.transformer_layers[-layers:]
    last = below[-1] if below else bert.get_layer("embeddings_dropout")
    lower = keras.Model(bert.input, last.output)
    hidden, mask = keras.Input((None, 384)), keras.Input((None,), dtype="int32")
    x = hidden
    for layer in above:
        x = layer(x, padding_mask=mask)
    mean = keras.layers.GlobalAveragePooling1D()(x, mask=mask)
    upper = keras.Model([hidden, mask], keras.layers.UnitNormalization(dtype="float32")(mean))
    return lower, upper, upper.get_weights()


_states = {}


def states(texts, column, layers, width=WIDTH):
    """Hidden states float16 (n, width, 384) below the trained layers and mask int32 (n, width); kept in memory."""
    width = width[column]
    ids = pretrained.tokenise(texts, max_tokens=width)
    mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in ids], "int32")
    lower = halves(layers)[0]
    new = list({tuple(row): row for row in ids if (layers, width, tuple(row)) not in _states}.values())
    for start in range(0, len(new), 64):
        some = new[start : start + 64]
        tokens = np.zeros((64, width), "int32")  # one shape, whatever the number of texts
        for row, one in zip(tokens, some, strict=False):
            row[: len(one)] = one
        inputs = {"token_ids": tokens, "padding_mask": (tokens > 0).astype("int32"), "segment_ids": 0 * tokens}
        for one, state in zip(some, lower.predict_on_batch(inputs), strict=False):
            _states[layers, width, tuple(one)] = state.astype("float16")
    return np.stack([_states[layers, width, tuple(row)] for row in ids]), mask


def vectors(texts, column, layers, width=WIDTH):
    """Vectors float32 (n, 384) of length 1 by the upper part as it is now."""
    hidden, mask = states(texts, column, layers, width)
    upper = halves(layers)[1]
    out = [upper.predict_on_batch([hidden[i : i + 64], mask[i : i + 64]]) for i in range(0, len(texts), 64)]
    return np.concatenate(out)


def scorer(upper, temperature=TEMPERATURE):
    """Model from a batch of n questions and n answers to their scores (n, n): similarity over temperature."""
    question, answer = ([keras.Input((None, 384)), keras.Input((None,), dtype="int32")] for _ in range(2))
    similarity = keras.ops.matmul(upper(question), keras.ops.transpose(upper(answer)))
    return keras.Model([*question, *answer], similarity / temperature)


def tune(rows, layers, rate, seed, one_package=False):
    """Train the upper part from its start weights on the pairs; returns the loss of each step.

    The class of question i is answer i: with the answers of the batch as classes, InfoNCE is plain cross-entropy.
    """
    _, upper, start = halves(layers)
    finetuning.make_reproducible(seed, upper)
    upper.set_weights(start)
    question, question_mask = states(rows["text"], "text", layers)
    answer, answer_mask = states(rows["target"], "target", layers)
    steps = EPOCHS * (len(rows) // BATCH)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=rate, warmup_steps=max(steps // 10, 1)
    )
    model = scorer(upper)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.AdamW(schedule, weight_decay=0.01), loss, jit_compile=pretrained.jit_compile())
    rng = np.random.default_rng(seed)
    losses = []
    for _ in range(EPOCHS):
        for batch in orders(rows, one_package, rng):
            inputs = [question[batch], question_mask[batch], answer[batch], answer_mask[batch]]
            losses.append(float(model.train_on_batch(inputs, np.arange(len(batch)))))
    return losses


def info_nce(questions, answers, temperature=TEMPERATURE):
    """The loss of `tune` in NumPy: mean over i of −log of the share that softmax gives answer i for question i.

    questions, answers : (n, d), rows of length 1; row i of one belongs to row i of the other

    >>> info_nce(np.eye(2), np.eye(2), temperature=1.0).round(4)
    np.float64(0.3133)
    """
    scores = questions @ answers.T / temperature
    scores = scores - scores.max(axis=1, keepdims=True)
    return np.mean(np.log(np.exp(scores).sum(axis=1)) - np.diag(scores))


# ---- scores ---------------------------------------------------------------------------------------------------------

WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")


def words(text):
    """Stems of the words and of the parts of identifiers: read_csv and DataFrame are two words each."""
    import Stemmer

    return Stemmer.Stemmer("english").stemWords([word.lower() for word in WORD.findall(text)])


def bm25(questions, answers, analyse=words, k1=1.5, b=0.75):
    """BM25 scores float32 (questions, answers), in the form of Lucene.

    source : Robertson & Zaragoza 2009, §3.2; Kamphuis et al. 2020 for the forms of it
    """
    from bm25s import BM25

    index = BM25(method="lucene", k1=k1, b=b)
    index.index([analyse(answer) for answer in answers], show_progress=False)
    return np.stack([index.get_scores(analyse(question)) for question in questions])


def fuse(*scores, k=60):
    """Reciprocal rank fusion of score matrices: the sum of 1 / (k + rank) (Cormack, Clarke & Büttcher 2009)."""
    from scipy.stats import rankdata

    return sum(1 / (k + rankdata(-one, axis=1)) for one in scores)


def first_ranks(scores, relevant=None):
    """Rank of each question's best right answer, from 1; a wrong answer with the same score stands before it.

    scores   : (questions, answers); relevant : bool of that shape, default: answer i is that of question i

    >>> first_ranks(np.array([[3.0, 1.0], [2.0, 2.0]])).tolist()
    [1, 2]
    """
    relevant = np.eye(len(scores), dtype=bool) if relevant is None else relevant
    best = np.where(relevant, scores, -np.inf).max(axis=1, keepdims=True)
    return 1 + ((scores >= best) & ~relevant).sum(axis=1)


def best_scores(scores, packages):
    """Each question's highest score with its package in the index, and with that package's answers taken out."""
    packages = np.asarray(packages)
    own = packages[:, None] == packages[None, :]
    return scores.max(axis=1), np.where(own, -np.inf, scores).max(axis=1)


def auroc(scores, packages):
    """AUROC of the highest score for "the answer is in the index": each question counts once with and once without."""
    from sklearn.metrics import roc_auc_score

    inside, outside = best_scores(scores, packages)
    return roc_auc_score(np.repeat([1, 0], len(inside)), np.concatenate([inside, outside]))


def figures(row):
    """What follows from the questions that found their answer first."""
    found = {"accuracy": unpack(row["right"]).mean()}
    return found | ({"talk_accuracy": unpack(row["talk_right"]).mean()} if row["part"] == "test" else {})


def run(arm, n, layers, rate, part, seed):
    """One run: accuracy (right answer first), MRR, recall@10, AUROC of "no answer"; per-row correctness, packed.

    On the test packages also accuracy and MRR on small talk.
    """
    losses = [np.nan]
    width = LONG if arm == "frozen, 128 pieces" else WIDTH
    if arm.startswith("frozen"):
        halves(layers)[1].set_weights(halves(layers)[2])
    else:
        losses = tune(draw(arm, n, seed), layers, rate, seed, one_package=arm == "one package a batch")
    rows = parts()[part]
    scores = vectors(rows["text"], "text", layers, width) @ vectors(rows["target"], "target", layers, width).T
    rank = first_ranks(scores)
    result = {
        "accuracy": np.mean(rank == 1),
        "MRR": np.mean(1 / rank),
        "recall@10": np.mean(rank <= 10),
        "AUROC": auroc(scores, rows["group"]),
        "right": pack(rank == 1, rows.index),
        "last_loss": np.mean(losses[-5:]),
    }
    if part == "test":
        questions, answers, relevant = small_talk()
        scores = vectors(questions.tolist(), "text", layers, width) @ vectors(answers, "target", layers, width).T
        rank = first_ranks(scores, relevant)
        result |= {
            "talk_accuracy": np.mean(rank == 1),
            "talk_MRR": np.mean(1 / rank),
            "talk_right": pack(rank == 1, questions.index),
        }
    return result
