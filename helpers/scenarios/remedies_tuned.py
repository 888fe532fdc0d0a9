"""A pretrained encoder fine-tuned again and again on a few rows: compiled once, put back before each run."""

from functools import lru_cache
from itertools import cycle

import keras
import numpy as np

from helpers import finetuning, pretrained
from helpers.finetuning import methods, training

ENCODER = {"en": "minilm", "zh": "use"}
MAX_TOKENS = {"en": 32, "zh": 48}
BATCH = 16
RATE = 1e-4


def read(texts, language):
    """Token ids of each text."""
    return pretrained.tokenise(texts, ENCODER[language], MAX_TOKENS[language])


@lru_cache(maxsize=1)
def classifier(language, dropout):
    """The classifier of `helpers.finetuning`, with that dropout in all its layers, and what training changes of it.

    Compiled once and put back to its start by `fresh`: compiling takes as long as a run.
    """
    finetuning.make_reproducible(0)
    model = methods.classifier(ENCODER[language], "full", 2)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = dropout
    loss = keras.losses.CategoricalCrossentropy(from_logits=True)
    model.compile(methods.optimiser(model, 0.01, 1.0), loss, jit_compile=pretrained.jit_compile())
    model.optimizer.build(model.trainable_variables)
    states = [variable for variable in model.variables if "seed_generator" in variable.path]
    changing = model.trainable_variables + model.optimizer.variables + states
    return model, [(variable, np.array(variable)) for variable in changing]


def fresh(language, dropout, seed):
    """The classifier as it starts, with a head and random states of the seed."""
    model, start = classifier(language, dropout)
    rng = np.random.default_rng(seed)
    for variable, value in start:
        if "seed_generator" in variable.path:
            value = rng.integers(2**31, size=value.shape).astype(value.dtype)
        variable.assign(value)
    kernel = model.get_layer("head").layers[-1].kernel
    kernel.assign(rng.normal(0, 0.02, kernel.shape))
    return model


def train(language, passes, y, steps, seed, *, weights=None, smoothing=0.0, dropout=0.1):
    """Train on texts with labels 0 or 1, so many steps; yields the model after each pass over the rows.

    passes : the texts to read in each pass, a list of lists; they come round again if the steps are not done
    """
    model = fresh(language, dropout, seed)
    targets = np.eye(2, dtype="float32")[y.astype(int)] * (1 - smoothing) + smoothing / 2
    weights = np.ones(len(y), "float32") if weights is None else weights.astype("float32")
    rates, rng = iter(training.rates(steps, RATE, 0.1)), np.random.default_rng(seed)
    done = 0
    for texts in cycle(passes):
        ids = read(texts, language)
        for batch in pretrained.batches([len(row) for row in ids], BATCH, rng)[: steps - done]:
            model.optimizer.learning_rate = next(rates)
            model.train_on_batch(pretrained.collate(ids, batch), targets[batch], sample_weight=weights[batch])
            done += 1
        yield model
        if done == steps:
            return


def scores(model, frame, language):
    """Score of each row, above 0 for negative."""
    both = pretrained.forward(model, read(frame["text"].tolist(), language)).astype("float64")
    return both[:, 1] - both[:, 0]
