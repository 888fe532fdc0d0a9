"""Any text model that KerasHub reads: its tokenizer, its limits, and a Keras model to sentence vectors."""

import functools
import os
from pathlib import Path

import keras
import numpy as np

from helpers.pretrained.files import ENCODERS


def _is_folder(name):
    return name not in ENCODERS and isinstance(name, (str, os.PathLike)) and Path(name).is_dir()


def is_preset(name):
    """Whether a name is KerasHub's to load: an address, a folder, or one of its own presets."""
    if _is_folder(name):
        return True
    if name in ENCODERS or not isinstance(name, str):
        return False
    if "://" in name:
        return True
    import keras_hub

    return name in keras_hub.models.Backbone.presets


def tokeniser(name):
    """Function from texts to lists of ids, between the special tokens that the model wants at both ends."""
    import keras_hub

    tokenizer = keras_hub.models.Tokenizer.from_preset(str(name))
    start, end = ([] if id_ is None else [id_] for id_ in (tokenizer.start_token_id, tokenizer.end_token_id))
    # without special tokens an empty text would have none at all: it gets one of padding
    return lambda texts: [[*start, *row, *end] or [0] for row in (tokenizer(texts) if texts else [])]


def version(name):
    """What tells a folder's content from what it was before: the time of its newest file; None of all else."""
    return max((file.stat().st_mtime_ns for file in Path(name).rglob("*")), default=None) if _is_folder(name) else None


def longest(name):
    """Tokens that the model takes at most, rounded down to the multiples of 16 that `pad` makes; None if any number."""
    return _longest(name, version(name))


@functools.lru_cache(maxsize=8)
def _longest(name, version):
    import keras_hub

    positions = getattr(
        keras_hub.models.Backbone.from_preset(str(name), load_weights=False), "max_sequence_length", None
    )
    return positions and positions // 16 * 16


def model(name, weights, pooling, inputs):
    """Keras model from inputs to the last hidden states, pooled and scaled to length 1."""
    import keras_hub

    policy = keras.config.dtype_policy()  # else the number format of the file stays
    body = keras_hub.models.Backbone.from_preset(str(name), load_weights=weights, dtype=policy, name="backbone")
    takes = body.input if isinstance(body.input, dict) else {}
    if "token_ids" not in takes:
        raise ValueError(f"encoder is {name!r}, a {type(body).__name__}: take a preset that reads one text")
    hidden = body({key: inputs[key] if key in inputs else keras.ops.zeros_like(inputs["token_ids"]) for key in takes})
    if isinstance(hidden, dict):
        hidden = hidden["sequence_output"]
        for layer in body.layers:
            if layer.name == "pooled_dense":  # the layer on [CLS] that nothing here uses
                layer.trainable = False
    if pooling == "mean":
        vector = keras.layers.GlobalAveragePooling1D(name="mean")(hidden, mask=inputs["padding_mask"])
    else:
        vector = hidden[:, 0]
    vector = keras.layers.UnitNormalization(dtype="float32", name="vector")(vector)
    whole = keras.Model(inputs, vector, name="preset")
    if "padding_mask" not in takes:
        _check_padding(whole, name, type(body).__name__)
    return whole


def _check_padding(model, name, kind):
    """ValueError if padding changes a vector; some bodies take no mask and make their own, FNet does without."""
    ids = np.ones((1, 16), "int32")
    ids[0, 4:] = 0
    mask = (ids > 0).astype("int32")
    short, long = (model({"token_ids": ids[:, :n], "padding_mask": mask[:, :n]}) for n in (4, 16))
    if keras.ops.max(keras.ops.abs(short - long)) > 0.01:
        raise ValueError(
            f"encoder is {name!r}, a {kind}, which reads padding as if it were text: take a preset with a padding mask"
        )
