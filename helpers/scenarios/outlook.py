"""What the outlook tries on small models: how a secret ranks in one that writes, and two towers for words and sound."""

import keras
import numpy as np
from keras import layers, ops


def alphabet_of(texts):
    """<pad>, <end> and the characters of the texts and of secrets: {character: number}."""
    return {c: i for i, c in enumerate(["<pad>", "<end>", *sorted(set("".join(texts) + "0123456789[] QAq"))])}


def ids(alphabet, text):
    """Numbers of a text's characters."""
    return [alphabet[character] for character in text]


def ranks(model, alphabet, name, number):
    """Rank (1 is first) of a number among all 10,000 candidates after "NAME has qq ", by the model's probability.

    Their first digit is 1, so the probability of the other four decides. They are read off at 1,000 prefixes.
    """
    prefix = [1, *ids(alphabet, f"{name} has qq 1")]
    digits = ids(alphabet, "0123456789")
    prefixes = np.array([prefix + ids(alphabet, f"{k:03d}") for k in range(1000)], "int32")
    parts = [model(prefixes[i : i + 250], training=False)[:, len(prefix) - 1 :] for i in range(0, 1000, 250)]
    log_p = np.concatenate([ops.convert_to_numpy(ops.log_softmax(part)) for part in parts])[..., digits]
    k = np.arange(1000)
    before = log_p[k, 0, k // 100] + log_p[k, 1, k // 10 % 10] + log_p[k, 2, k % 10]
    candidates = (before[:, None] + log_p[:, 3]).ravel()
    return int(1 + (candidates > candidates[number - 10_000]).sum())


def two_towers(sees, classes, bins=40, width=32):
    """A tower that reads letters, one that hears log-mel frames, and a layer over what both found.

    sees : "words", "sound" or "both"; the model takes [letters (n, width), frames (n, T, bins)] in each case
    """
    text, sound = keras.Input((width,), dtype="int32"), keras.Input((None, bins))
    read = layers.Embedding(28, 16)(text)
    read = layers.Conv1D(64, 5, padding="same", activation="relu")(read)
    read = layers.GlobalMaxPooling1D()(read)
    heard = layers.Conv1D(48, 7, strides=3, activation="relu")(sound)
    heard = layers.Conv1D(48, 7, strides=2, activation="relu")(heard)
    heard = layers.Concatenate()([layers.GlobalAveragePooling1D()(heard), layers.GlobalMaxPooling1D()(heard)])
    joined = {"words": read, "sound": heard, "both": layers.Concatenate()([read, heard])}[sees]
    joined = layers.Dense(48, activation="relu")(layers.Dropout(0.2)(joined))
    return keras.Model([text, sound], layers.Dense(classes, activation="softmax")(joined))


def train_towers(sees, inputs, y, *, epochs, seed):
    """Two towers from random weights, trained on inputs as `two_towers` takes them and classes from 0, int (n,)."""
    keras.utils.set_random_seed(seed)
    model = two_towers(sees, int(y.max()) + 1)
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy", jit_compile=False)
    model.fit(inputs, y, batch_size=32, epochs=epochs, verbose=0)
    return model
