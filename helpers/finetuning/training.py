"""The training loop: batches of like length, a rate for each step, early stopping, checkpoints, faults."""

import os
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd
from scipy.special import log_softmax

from helpers import on_tensorflow, pretrained
from helpers.finetuning import methods

OUT_OF_MEMORY = ["memoryerror", "resourceexhausted", "outofmemory", "out of memory", "can't allocate memory"]
OUT_OF_MEMORY += ["cannot allocate memory", "not enough memory", "allocfailed"]
SAVE_EVERY = 60  # seconds between checkpoints; there is one after each epoch too


def with_enough_memory(attempt, batch_size):
    """attempt(1) or, as long as memory runs out, attempt(2), attempt(4) …: each batch cut into so many parts."""
    parts = 1
    while True:
        try:
            return attempt(parts)
        except Exception as error:
            if not _out_of_memory(error) or parts >= batch_size:
                raise
            if keras.config.dtype_policy().name == "mixed_float16":  # its loss scaling counts parts as steps
                raise MemoryError(
                    f"memory runs out with batch_size {batch_size}, which mixed_float16 cannot take in parts: give a "
                    "smaller one, or precision 'mixed_bfloat16'"
                ) from error
        parts *= 2  # out here, where the error no longer holds what filled the memory
        warnings.warn(
            f"out of memory: training starts again, or goes on from its checkpoint, with batches of "
            f"{-(-batch_size // parts)} texts, {parts} of them to a step, which changes the result by rounding and "
            "dropout alone",
            stacklevel=3,
        )


def _out_of_memory(error):
    """Whether an error of Python, TensorFlow, JAX or PyTorch says that memory ran out."""
    said = f"{type(error).__name__} {error}".lower().replace("_", "")
    return any(words in said for words in OUT_OF_MEMORY)


def rates(steps, peak, warmup):
    """Learning rate of each step: up in a line over the first warmup · steps, then down in a line towards 0.

    >>> rates(5, 1.0, 0.4)
    [0.5, 1.0, 1.0, 0.6666666666666666, 0.3333333333333333]
    """
    rise = round(warmup * steps)
    return [peak * min((step + 1) / max(rise, 1), (steps - step) / max(steps - rise, 1)) for step in range(steps)]


def compile_model(
    model, *, weight_decay=0.01, layer_decay=1.0, clip_norm=None, label_smoothing=0.0, parts=1, any_size=False
):
    """Give a model its optimiser and loss, for `train_on_batch`; the settings are those of `fine_tune`.

    parts    : into how many a batch is cut, see `_step`
    any_size : whether the number of rows differs from batch to batch, not the width alone
    """
    optimizer = methods.optimiser(
        model,
        weight_decay,
        layer_decay,
        global_clipnorm=clip_norm,
        gradient_accumulation_steps=parts if parts > 1 else None,
    )
    settings = {"from_logits": True, "reduction": "mean_with_sample_weight" if parts == 1 else "sum"}
    if label_smoothing:  # the labels are rows of 0 and 1 then
        loss = keras.losses.CategoricalCrossentropy(label_smoothing=label_smoothing, **settings)
        accuracy = keras.metrics.CategoricalAccuracy(name="accuracy")
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(**settings)
        accuracy = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(optimizer, loss, weighted_metrics=[accuracy], jit_compile=pretrained.jit_compile())
    model.optimizer.build(model.trainable_variables)  # none is left to create in the first step: one tracing less
    if keras.backend.backend() == "tensorflow":
        on_tensorflow.trace_once(model, any_size)


class Rows(NamedTuple):
    """What a model is trained on.

    lengths : list of n ints, tokens a row
    weights : float array (n,), how much a row counts in the mean loss
    batch   : function of m row numbers and a factor for each, float32 (m,), to what `train_on_batch` takes: inputs,
              targets, and their weights times the row's factor
    """

    lengths: list
    weights: np.ndarray
    batch: Callable


def train(
    model,
    data,
    evaluate,
    *,
    epochs,
    batch_size,
    learning_rate,
    warmup,
    restore_best,
    patience,
    seed,
    parts,
    progress,
    saved,
    save,
):
    """Run the epochs and return their history; with valid and restore_best the model ends as it was at its best.

    data     : Rows
    evaluate : None or function of nothing to loss and accuracy on validation rows
    parts : each batch goes through the model in so many parts, see `_step`
    saved : None or what `save` was given before: the run goes on from there
    save  : None or function of a state and a list of arrays
    """
    rng = np.random.default_rng(seed)
    n_batches = -(-len(data.lengths) // batch_size)
    schedule = rates(epochs * n_batches, learning_rate, warmup)
    new_epoch = {"batch": 0, "totals": [0.0, 0.0, 0.0], "seconds": 0.0}
    state = {"epoch": 0, "rng": rng.bit_generator.state, "history": [], **new_epoch}
    best = []
    if saved:
        state, arrays = saved
        best = _restore(model, arrays, parts)
    history = state["history"]

    def store():
        if save:
            save(state | {"parts": parts}, _snapshot(model, parts) + best)
        return time.monotonic()

    stored = time.monotonic()
    with _bar(epochs * n_batches, state["epoch"] * n_batches + state["batch"], progress) as bar:
        while state["epoch"] < epochs and not _is_over(history, patience):
            epoch, start = state["epoch"] + 1, time.perf_counter() - state["seconds"]
            totals = np.array(state["totals"])  # loss and accuracy times weight, weight
            rng.bit_generator.state = state["rng"]
            for number, rows in enumerate(pretrained.batches(data.lengths, batch_size, rng), 1):
                where = f"batch {number} of epoch {epoch}, which holds texts {_first(rows)}"
                if number <= state["batch"]:
                    continue
                model.optimizer.learning_rate = schedule[(epoch - 1) * n_batches + number - 1]
                scores, weight = _step(model, data, rows, batch_size, parts)
                _check_finite(scores[0], f"the loss is {scores[0]} at {where}")
                totals += np.append(scores * weight, weight)
                bar.update()
                bar.set_postfix(loss=f"{totals[0] / totals[2]:.3f}", refresh=False)
                state |= {"batch": number, "totals": totals.tolist(), "seconds": time.perf_counter() - start}
                if time.monotonic() - stored > SAVE_EVERY:
                    stored = store()
            loss, accuracy = totals[:2] / totals[2]
            row = {
                "epoch": epoch,
                "train_loss": loss,
                "train_accuracy": accuracy,
                "valid_loss": np.nan,
                "valid_accuracy": np.nan,
            }
            if evaluate is not None:
                loss, row["valid_accuracy"] = evaluate()
                _check_finite(loss, f"the loss is {loss} at the validation after epoch {epoch}")
                row["valid_loss"] = loss
                if restore_best and loss < min([np.inf, *(old["valid_loss"] for old in history)]):
                    best = [_array(variable) for variable in model.trainable_variables]
            elif epoch == epochs:  # no batch comes after the last update to show what it did
                asked = rows[: max(1, 32 // parts)]
                asked, _, _ = data.batch(asked, np.ones(len(asked), "float32"))
                scores = keras.ops.convert_to_numpy(model(asked, training=False))
                _check_finite(scores, f"the model's scores are no longer finite after {where}")
            history.append(row | {"seconds": time.perf_counter() - start})
            state |= {"epoch": epoch, "rng": rng.bit_generator.state, **new_epoch}
            stored = store()
    for variable, value in zip(model.trainable_variables, best, strict=bool(best)):
        variable.assign(value)
    return pd.DataFrame(history)


def _step(model, data, rows, batch_size, parts):
    """One step of the optimiser by one batch; returns [its loss, its accuracy], and the sum of its weights.

    In several parts the optimiser averages their gradients. Their losses are sums then, each text with its weight's
    share of the batch, so that the average is the gradient of the batch's mean loss.
    """
    size = pretrained.shared_out(-(-batch_size // parts))
    filled = pretrained.fill(rows, size * parts)
    real = (np.arange(size * parts) < len(rows)).astype("float32")  # repeats weigh nothing
    counted = data.weights[filled] * real
    total = float(counted.sum())
    factors = real if parts == 1 else real * parts / total
    scores = []
    for part, factor in zip(np.split(filled, parts), np.split(factors, parts), strict=True):
        inputs, targets, weights = data.batch(part, factor)
        scores.append(model.train_on_batch(inputs, targets, sample_weight=weights))
    if parts == 1:
        return np.array(scores[0]), total
    of_parts = counted.reshape(parts, size).sum(axis=1) / total
    losses, accuracies = np.transpose(scores)
    return np.array([losses.mean(), accuracies @ of_parts]), total


def evaluate(model, inputs, targets, parts=1):
    """Mean cross-entropy and accuracy."""
    scores = scores_of(model, inputs, parts)
    loss = -log_softmax(scores.astype("float64"), axis=1)[np.arange(len(targets)), targets].mean()
    return loss, np.mean(scores.argmax(axis=1) == targets)


def scores_of(model, inputs, parts):
    """Scores of the classes, with batches that are smaller where memory ran out before."""
    return pretrained.forward(model, inputs, max(1, 32 // parts))


def _is_over(history, patience):
    """Whether the last `patience` epochs all came no lower than the best one before them."""
    losses = [row["valid_loss"] for row in history]
    return patience is not None and len(losses) > 0 and len(losses) - 1 - np.argmin(losses) >= patience


def _check_finite(values, what):
    if not np.isfinite(values).all():
        raise FloatingPointError(
            f"{what}: try a learning_rate ten times smaller or a longer warmup, and look for odd texts there"
        )


def _first(rows):
    return ", ".join(map(str, rows[:5])) + (" …" if len(rows) > 5 else "")


def _bar(total, done, progress):
    """Progress bar; None shows it in JupyterLab alone, whose server names each kernel's notebook in JPY_SESSION_NAME.

    papermill and nbval start their kernels without that server.
    """
    from tqdm.auto import tqdm

    show = "JPY_SESSION_NAME" in os.environ if progress is None else progress
    return tqdm(total=total, initial=done, unit="batch", disable=not show)


# ---- what a checkpoint holds ----------------------------------------------------------------------------------------


def _moving(model):
    """The variables that training changes: trained weights, random states, and the optimiser's at the end of a step."""
    seeds = [variable for variable in model.non_trainable_variables if "seed_generator" in variable.path]
    of_optimizer = [variable for variable in model.optimizer.variables if "gradient_accumulator" not in variable.path]
    return model.trainable_variables + seeds + of_optimizer


def _array(variable):
    return np.array(keras.ops.convert_to_numpy(variable.value))


def _snapshot(model, parts):
    """Their values; the optimiser counts parts as iterations, we keep the steps."""
    values = [(variable.name, _array(variable)) for variable in _moving(model)]
    return [value // parts if name == "iteration" else value for name, value in values] + _random_states()


def _restore(model, arrays, parts):
    """Give a model the values of `_snapshot`; returns the arrays that are left."""
    moving = _moving(model)
    for variable, value in zip(moving, arrays, strict=False):
        variable.assign(value * parts if variable.name == "iteration" else value)
    rest = arrays[len(moving) :]
    return rest[len(_random_states(rest)) :]


def _random_states(states=None):
    """PyTorch's own random states, one a device, set first if they are given; without PyTorch there are none.

    Keras on PyTorch draws dropout from them, not from the model's seeds.
    """
    if keras.backend.backend() != "torch":
        return []
    import torch

    if states:
        torch.set_rng_state(torch.from_numpy(states[0]))
        for device in range(torch.cuda.device_count()):
            torch.cuda.set_rng_state(torch.from_numpy(states[1 + device]), device)
    return [state.numpy() for state in (torch.get_rng_state(), *torch.cuda.get_rng_state_all())]
