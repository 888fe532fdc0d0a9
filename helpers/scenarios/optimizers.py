"""MiniLM with an optimizer of one's choice, compiled once and set back before each run; its training and its judge."""

import functools

import keras
import numpy as np
from scipy.special import log_softmax

from helpers import finetuning, pretrained
from helpers.finetuning import make_reproducible

OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(),
    "momentum": lambda: keras.optimizers.SGD(momentum=0.9),
    "Adam": lambda: keras.optimizers.Adam(),
}


@functools.cache
def classifier(optimizer):
    """MiniLM and a dense layer with a score for each of two classes, as in helpers.finetuning, ready to train.

    Tracing a model takes as long as a run, so each optimizer has one model, whose variables are set back for each run.
    returns : Keras model, its variables and those of the optimizer, and the values with which they start
    """
    keras.mixed_precision.set_global_policy(finetuning.sixteen_bits())
    make_reproducible(0)
    body = pretrained.encoder("minilm")
    head = [keras.layers.Rescaling(384**0.5), keras.layers.Dropout(0.1), keras.layers.Dense(2, dtype="float32")]
    model = keras.Model(body.input, keras.Sequential(head, name="head")(body.output))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(OPTIMIZERS[optimizer](), loss, jit_compile=pretrained.jit_compile())
    model.optimizer.build(model.trainable_variables)
    variables = model.variables + model.optimizer.variables
    return model, variables, [keras.ops.convert_to_numpy(variable) for variable in variables]


def set_back(optimizer, seed):
    """The model as it came, with random weights in its head."""
    model, variables, values = classifier(optimizer)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    kernel, bias = model.get_layer("head").trainable_variables
    kernel.assign(keras.initializers.TruncatedNormal(stddev=0.02, seed=seed)(kernel.shape))
    bias.assign(np.zeros(2))
    return model


def train(model, inputs, labels, *, learning_rate, warmup, batch_size, epochs, seed):
    """Train in random order; returns the loss of each batch at its step, dropout on.

    warmup : number of first steps in which the rate rises in a line to learning_rate, where it stays
    """
    rng, curve = np.random.default_rng(seed), []
    for _ in range(epochs):
        for rows in rng.permutation(len(labels)).reshape(-1, batch_size):
            model.optimizer.learning_rate = learning_rate * min(1, (len(curve) + 1) / max(warmup, 1))
            batch = {name: values[rows] for name, values in inputs.items()}
            curve.append(model.train_on_batch(batch, labels[rows]))
    return curve


def judge(model, inputs, labels):
    """Mean cross-entropy in nats and accuracy, dropout off; inf where the weights are no longer finite."""
    scores = model.predict(inputs, batch_size=64, verbose=0).astype("float64")
    loss = -log_softmax(scores, axis=1)[np.arange(len(labels)), labels].mean()
    return (loss if np.isfinite(loss) else np.inf), np.mean(scores.argmax(axis=1) == labels)
