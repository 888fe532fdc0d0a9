"""A search engine for questions: MiniLM in two halves, its loss and training, BM25 beside it, ranks and measures."""

import functools
import re

import keras
import numpy as np

from helpers import finetuning, pretrained

WIDTH = {"text": 24, "target": 48}  # word pieces: one question in ten is longer, of the answers nine in ten
BATCH, EPOCHS, TEMPERATURE = 32, 2, 0.05


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


def orders(rows, one_package, rng):
    """Batches of row numbers for one pass, BATCH each; with one_package, all of a batch from one."""
    groups = rows["group"].to_numpy()
    shuffled = rng.permutation(len(rows))
    if one_package:
        shuffled = shuffled[np.argsort(groups[shuffled], kind="stable")]
    batches = shuffled[: len(rows) // BATCH * BATCH].reshape(-1, BATCH)
    return rng.permutation(batches)


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
