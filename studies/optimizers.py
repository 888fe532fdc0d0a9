"""Which optimizer, and at which rate? MiniLM fine-tuned in full on 256 film sentences, two passes.

Questions  : 1. How low does the training loss get with SGD, SGD with momentum .9 and Adam, over one ladder of learning
                rates? (One seed far from each optimizer's best, three beside it, five at it.)
             2. Does warm-up rescue Adam at a rate that is too high?
             3. What does the batch size change when the number of passes stays?
Prediction : Adam at its best rate ends lower than SGD at its best; momentum lies between the two.
Fair       : within a seed all arms see the same rows and start from the same weights; all take two passes.
Measured   : cross-entropy in nats over all 256 training rows, dropout off, before and after training; inf where the
             training blew up. `curve` is the loss of each batch at its step, dropout on, in thousandths of a nat.
Precision  : mixed bfloat16, as in the study fine_tuning.
"""

import functools
import time

import keras
import numpy as np
from scipy.special import log_softmax

from helpers import datasets, pretrained
from helpers.finetuning import make_reproducible

DATA = ["snippets_en"]
N, EPOCHS, TOKENS = 256, 2, 32
OPTIMIZERS = {
    "SGD": lambda: keras.optimizers.SGD(),
    "momentum": lambda: keras.optimizers.SGD(momentum=0.9),
    "Adam": lambda: keras.optimizers.Adam(),
}
GRID = [
    {"optimizer": optimizer, "learning_rate": rate, "warmup": warmup, "batch_size": size, "seed": seed}
    for optimizer, rates, warmup, size, seeds in [
        ("SGD", [1e-2], 0, 16, 5),
        ("momentum", [1e-3, 3e-3], 0, 16, 5),
        ("Adam", [3e-4], 0, 16, 5),
        ("SGD", [3e-3, 3e-2], 0, 16, 3),
        ("momentum", [3e-4, 1e-2], 0, 16, 3),
        ("Adam", [1e-4, 1e-3], 0, 16, 3),
        ("Adam", [3e-4, 1e-3], 16, 16, 3),
        ("Adam", [1e-4], 0, 64, 3),
        ("Adam", [1e-4], 0, 8, 3),
        ("SGD", [1e-4, 3e-4, 1e-3], 0, 16, 1),
        ("momentum", [1e-4, 3e-2], 0, 16, 1),
        ("Adam", [3e-3, 1e-2, 3e-2], 0, 16, 1),
    ]
    for rate in rates
    for seed in range(seeds)
]


def film(seed):
    """256 film sentences, half of each label, in random order: token ids and classes."""
    frame = datasets.load("snippets_en").query("source == 'film' and label != 'neutral'")
    rows = frame.groupby("label").sample(N // 2, random_state=seed).sample(frac=1, random_state=seed)
    ids = pretrained.tokenise(rows["text"].tolist(), max_tokens=TOKENS)
    return pretrained.pad(ids, multiple=TOKENS), (rows["label"] == "positive").to_numpy("int32")


@functools.cache
def classifier(optimizer):
    """MiniLM and a dense layer with a score for each of two classes, as in helpers.finetuning, ready to train.

    Tracing a model takes as long as a run, so each optimizer has one model, whose variables are set back for each run.
    returns : Keras model, its variables and those of the optimizer, and the values with which they start
    """
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
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


def judge(model, inputs, labels):
    """Mean cross-entropy in nats and accuracy, dropout off; inf where the weights are no longer finite."""
    scores = model.predict(inputs, batch_size=64, verbose=0).astype("float64")
    loss = -log_softmax(scores, axis=1)[np.arange(len(labels)), labels].mean()
    return (loss if np.isfinite(loss) else np.inf), np.mean(scores.argmax(axis=1) == labels)


def run(optimizer, learning_rate, warmup, batch_size, seed):
    """One run. warmup: number of first steps in which the rate rises in a line to learning_rate, where it stays."""
    start = time.perf_counter()
    inputs, labels = film(seed)
    model = set_back(optimizer, seed)
    before, _ = judge(model, inputs, labels)
    rng, curve = np.random.default_rng(seed), []
    for _ in range(EPOCHS):
        for rows in rng.permutation(N).reshape(-1, batch_size):
            model.optimizer.learning_rate = learning_rate * min(1, (len(curve) + 1) / max(warmup, 1))
            batch = {name: values[rows] for name, values in inputs.items()}
            curve.append(model.train_on_batch(batch, labels[rows]))
    after, accuracy = judge(model, inputs, labels)
    return {
        "loss_before": before,
        "loss": after,
        "accuracy": accuracy,
        "curve": " ".join(f"{1000 * value:.0f}" for value in curve),
        "seconds": round(time.perf_counter() - start, 1),
    }
