"""Train a text classifier on a pretrained sentence encoder: all of it, its head alone, or the same from scratch.

The classifier is an encoder of `helpers.pretrained`, dropout, and one dense layer (the head) with a score per class.
The loss is softmax cross-entropy, the optimiser AdamW with linear warm-up and decay (Devlin et al. 2019, §A.2).
"""

import functools
import time
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
from scipy.special import log_softmax, softmax

from helpers import pretrained

DEFAULTS = {  # method: epochs and peak learning rate, where the caller names none
    "full": (2, 1e-4),
    "head": (20, 1e-3),
    "scratch": (10, 5e-4),
}


class FineTuned(NamedTuple):
    """What `fine_tune` returns.

    model     : full, scratch: Keras model from token ids to a score per class; head: from sentence vectors to scores
    classes   : list, the classes in the order of the columns of `predict`
    history   : DataFrame, one row an epoch: epoch, train_loss, train_accuracy (while training: with dropout, before
                each update), valid_loss, valid_accuracy (after the epoch, no dropout; NaN without valid), seconds
    predict   : function from n texts to probabilities float64 (n, classes)
    truncated : share of the training texts that were longer than max_tokens and were cut
    seconds   : wall time of the whole call
    """

    model: keras.Model
    classes: list
    history: pd.DataFrame
    predict: Callable
    truncated: float
    seconds: float


def fine_tune(
    texts,
    labels,
    *,
    valid=None,
    encoder="minilm",
    method="full",
    epochs=None,
    batch_size=32,
    learning_rate=None,
    max_tokens=64,
    warmup=0.1,
    weight_decay=0.01,
    seed=0,
    restore_best=True,
):
    """Train a classifier of texts. Quiet; the same arguments give the same predictions on the same machine.

    texts, labels : n strings and their classes (all strings or all integers, at least two different ones)
    valid         : None or (texts, labels), measured after each epoch, never trained on
    encoder       : "minilm" (English) or "use" (16 languages, Chinese among them)
    method        : "full" trains encoder and head. "head" trains the head alone: the encoder never changes, so each
                    text's vector is computed once (`pretrained.embed`, kept on disk) and an epoch costs almost nothing.
                    "scratch" is "full" from random weights: what is left without pretraining.
    epochs, learning_rate : None takes those of the method in DEFAULTS; the rate is the peak, after warm-up
    max_tokens    : longer texts are cut; the result says what share was
    warmup        : share of all steps in which the rate rises, 0 to 1; from there it falls in a line to 0
    restore_best  : with valid, end with the weights of the epoch that had the lowest valid_loss, not with the last
    returns       : FineTuned
    errors        : ValueError, one sentence, for texts, labels or settings that cannot be trained with;
                    FloatingPointError when the loss is no longer a number, naming the batch
    """
    start = time.perf_counter()
    if method not in DEFAULTS:
        raise ValueError(f"method is {method!r}: take one of {', '.join(map(repr, DEFAULTS))}")
    epochs = DEFAULTS[method][0] if epochs is None else epochs
    learning_rate = DEFAULTS[method][1] if learning_rate is None else learning_rate
    _check_settings(epochs, batch_size, learning_rate, warmup, weight_decay)
    texts, labels = _check_pair("", texts, labels)
    classes = sorted(set(labels))
    if len(classes) == 1:
        raise ValueError(f"labels holds one class only, {classes[0]!r}: give texts of at least two classes")
    targets = _targets("", labels, classes)
    if valid is not None:
        valid_texts, valid_labels = _check_pair("valid ", *valid)
        valid_targets = _targets("valid ", valid_labels, classes)

    lengths = [len(row) for row in pretrained.tokenise(texts, encoder)]
    read = functools.partial(_read, encoder=encoder, method=method, max_tokens=max_tokens)
    inputs = read(texts)
    valid_data = None if valid is None else (read(valid_texts), valid_targets)

    make_reproducible(seed)  # after reading, which may load a model and so draw random numbers
    model = _classifier(encoder, method, len(classes))
    optimizer = keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    model.compile(
        optimizer,
        keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight"),
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        jit_compile=pretrained.jit_compile(),
    )
    optimizer.build(model.trainable_variables)  # no variable is left to create in the first step: one tracing less
    rates = _rates(epochs * -(-len(texts) // batch_size), learning_rate, warmup)
    history = _train(model, inputs, targets, valid_data, epochs, batch_size, rates, seed, restore_best)
    return FineTuned(
        model=model,
        classes=classes,
        history=history,
        predict=lambda texts: softmax(pretrained.forward(model, read(texts)).astype("float64"), axis=1),
        truncated=float(np.mean(np.array(lengths) > max_tokens)),
        seconds=time.perf_counter() - start,
    )


def make_reproducible(seed):
    """Seed Python, NumPy and Keras, and have TensorFlow use operations whose result is the same at each run.

    The one call to TensorFlow itself: Keras 3 has no switch of its own for this. With JAX and PyTorch the seed is all
    that is set.
    """
    keras.utils.set_random_seed(seed)
    if keras.backend.backend() == "tensorflow":
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()


def _check_settings(epochs, batch_size, learning_rate, warmup, weight_decay):
    for name, value, right, wanted in (
        ("epochs", epochs, epochs == int(epochs) and epochs >= 1, "a whole number from 1"),
        ("batch_size", batch_size, batch_size == int(batch_size) and batch_size >= 1, "a whole number from 1"),
        ("learning_rate", learning_rate, learning_rate > 0, "a number above 0"),
        ("warmup", warmup, 0 <= warmup <= 1, "a share from 0 to 1"),
        ("weight_decay", weight_decay, weight_decay >= 0, "a number from 0"),
    ):
        if not right:
            raise ValueError(f"{name} is {value!r}: give {wanted}")


def _check_pair(which, texts, labels):
    """Texts and labels as lists, after the checks that need no knowledge of the classes."""
    texts, labels = pretrained.check_texts(texts), pd.Series(list(labels), dtype=object).tolist()
    if len(texts) != len(labels):
        raise ValueError(f"{which}texts has {len(texts)} rows, {which}labels {len(labels)}: give one label per text")
    if not texts:
        raise ValueError(f"{which}texts is empty: give labelled texts")
    for row, label in enumerate(labels):
        if not isinstance(label, (str, int, np.integer)):
            raise ValueError(f"{which}labels[{row}] is {label!r}: give strings or integers, none missing")
    if len({isinstance(label, str) for label in labels}) > 1:
        raise ValueError(f"{which}labels mixes strings and integers: give one kind")
    return texts, labels


def _targets(which, labels, classes):
    """Number of each label's class."""
    number = {label: i for i, label in enumerate(classes)}
    for row, label in enumerate(labels):
        if label not in number:
            raise ValueError(f"{which}labels[{row}] is {label!r}, which no training label is: they are {classes}")
    return np.array([number[label] for label in labels], "int32")


def _read(texts, encoder, method, max_tokens):
    """What the model reads of each text: its vector (n, d) for the head alone, else its list of token ids."""
    if method == "head":
        return pretrained.embed(texts, encoder, max_tokens=max_tokens)
    return pretrained.tokenise(texts, encoder, max_tokens)


def _classifier(encoder, method, n_classes):
    """Keras model from what `_read` gives to a score per class."""
    dimensions = pretrained.ENCODERS[encoder]["dimensions"]
    head = keras.Sequential(
        [
            keras.layers.Rescaling(dimensions**0.5),  # a vector of length 1 has tiny components: make them about 1
            keras.layers.Dropout(0.1),
            keras.layers.Dense(
                n_classes, kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02), dtype="float32"
            ),
        ],
        name="head",
    )
    if method == "head":
        head.build((None, dimensions))
        return head
    body = pretrained.encoder(encoder, weights=method == "full")
    return keras.Model(body.input, head(body.output))


def _rates(steps, peak, warmup):
    """Learning rate of each step: up in a line over the first warmup · steps, then down in a line towards 0.

    >>> _rates(5, 1.0, 0.4)
    [0.5, 1.0, 1.0, 0.6666666666666666, 0.3333333333333333]
    """
    rise = round(warmup * steps)
    return [peak * min((step + 1) / max(rise, 1), (steps - step) / max(steps - rise, 1)) for step in range(steps)]


def _train(model, inputs, targets, valid, epochs, batch_size, rates, seed, restore_best):
    """Run the epochs and return their history; with valid and restore_best the model ends as it was at its best."""
    rng = np.random.default_rng(seed)
    lengths = [len(row) for row in inputs]
    rates = iter(rates)
    history, best, lowest = [], None, np.inf
    for epoch in range(1, epochs + 1):
        start = time.perf_counter()
        totals = np.zeros(2)
        for number, rows in enumerate(pretrained.batches(lengths, batch_size, rng), 1):
            model.optimizer.learning_rate = next(rates)
            filled = pretrained.fill(rows, batch_size)  # repeats weigh nothing
            weights = (np.arange(batch_size) < len(rows)).astype("float32")
            scores = model.train_on_batch(pretrained.collate(inputs, filled), targets[filled], sample_weight=weights)
            _check_loss(scores[0], f"batch {number} of epoch {epoch}")
            totals += np.array(scores) * len(rows)
        loss, accuracy = totals / len(inputs)
        row = {
            "epoch": epoch,
            "train_loss": loss,
            "train_accuracy": accuracy,
            "valid_loss": np.nan,
            "valid_accuracy": np.nan,
        }
        if valid is not None:
            row["valid_loss"], row["valid_accuracy"] = _evaluate(model, *valid)
            _check_loss(row["valid_loss"], f"the validation after epoch {epoch}")
            if restore_best and row["valid_loss"] < lowest:
                lowest = row["valid_loss"]
                best = [np.array(keras.ops.convert_to_numpy(variable.value)) for variable in model.trainable_variables]
        history.append(row | {"seconds": time.perf_counter() - start})
    if best is not None:
        for variable, value in zip(model.trainable_variables, best, strict=True):
            variable.assign(value)
    return pd.DataFrame(history)


def _evaluate(model, inputs, targets):
    """Mean cross-entropy and accuracy."""
    scores = pretrained.forward(model, inputs)
    loss = -log_softmax(scores.astype("float64"), axis=1)[np.arange(len(targets)), targets].mean()
    return loss, np.mean(scores.argmax(axis=1) == targets)


def _check_loss(loss, where):
    if not np.isfinite(loss):
        raise FloatingPointError(
            f"the loss is {loss} at {where}: try a learning_rate ten times smaller or a longer warmup, "
            "and look for odd texts in that batch"
        )
