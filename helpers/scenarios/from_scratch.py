"""Small networks from random weights, each tuned: what a pretrained model has to beat."""

import keras
import numpy as np

from helpers import finetuning, pretrained

WIDTH, POSITIONS = 64, 128  # numbers a word piece; the longest text of a transformer
DROPOUT = 0.3  # before the score


def build(kind, vocabulary):
    """Keras model from token ids (0 pads) to one score.

    kind : "average" of the pieces' vectors, "convolution" over three pieces at a time (Kim 2014), or a "transformer" of
           two layers with four heads (Vaswani et al. 2017)
    """
    ids = keras.Input((None,), dtype="int32")
    there = keras.ops.cast(keras.ops.not_equal(ids, 0), "float32")[..., None]
    x = keras.layers.Embedding(vocabulary, WIDTH)(ids)
    if kind == "transformer":
        places = keras.ops.cumsum(keras.ops.ones_like(ids), axis=1) - 1
        x = x + keras.layers.Embedding(POSITIONS, WIDTH)(places)
        for _ in range(2):
            x = _layer(x, keras.ops.not_equal(ids, 0)[:, None, :])
    if kind == "convolution":
        x = keras.layers.Conv1D(WIDTH, 3, padding="same", activation="relu")(x)
        x = keras.layers.GlobalMaxPooling1D()(x)
    else:
        x = keras.ops.sum(x * there, axis=1) / keras.ops.maximum(keras.ops.sum(there, axis=1), 1)
    return keras.Model(ids, keras.layers.Dense(1)(keras.layers.Dropout(DROPOUT)(x)))


def _layer(x, mask):
    """One layer of a transformer: attention, then a small network at each place, each added to what came in."""
    seen = keras.layers.LayerNormalization()(x)
    x = x + keras.layers.MultiHeadAttention(4, WIDTH // 4, dropout=0.1)(seen, seen, attention_mask=mask)
    seen = keras.layers.LayerNormalization()(x)
    wide = keras.layers.Dense(2 * WIDTH, activation="gelu")(seen)
    return x + keras.layers.Dropout(0.1)(keras.layers.Dense(WIDTH)(wide))


def train(kind, rows, valid, *, rate, passes, patience, seed):
    """Train on rows, keep the weights of the pass that is best on the validation rows.

    rows, valid : (lists of token ids, array of 0 and 1); for a transformer at most POSITIONS ids a list
    passes      : at most so many; `patience` of them without a better validation accuracy end the run
    returns     : function from lists of token ids to predictions 0 and 1, and the number of the best pass
    """
    known = {token: i for i, token in enumerate(sorted({token for row in rows[0] for token in row}), start=2)}

    def read(ids):
        return pretrained.pad([[known.get(token, 1) for token in row] for row in ids])["token_ids"]

    finetuning.make_reproducible(seed)
    model = build(kind, len(known) + 2)
    accuracy = keras.metrics.BinaryAccuracy(name="accuracy", threshold=0)  # of scores: positive above 0
    model.compile(keras.optimizers.Adam(rate), keras.losses.BinaryCrossentropy(from_logits=True), metrics=[accuracy])
    stop = keras.callbacks.EarlyStopping("val_accuracy", mode="max", patience=patience, restore_best_weights=True)
    fit = model.fit(
        read(rows[0]),
        rows[1],
        validation_data=(read(valid[0]), valid[1]),
        epochs=passes,
        batch_size=32,
        callbacks=[stop],
        verbose=0,
    )
    best = int(np.argmax(fit.history["val_accuracy"])) + 1
    return lambda ids: (model.predict(read(ids), batch_size=256, verbose=0)[:, 0] > 0).astype(int), best
