"""A network from random weights, as the rival of a pretrained encoder."""

import keras
import numpy as np

from helpers import finetuning, pretrained


def small_network(ids, targets, test, seed):
    """A convolutional network from random weights; returns predictions and what it chose on the rows held back."""
    known = {token: i for i, token in enumerate(sorted({token for row in ids for token in row}), start=2)}
    inputs, others = (
        pretrained.pad([[known.get(t, 1) for t in row] for row in rows])["token_ids"] for rows in (ids, test)
    )
    held = max(10, len(ids) // 5)
    best = None
    for rate in (1e-3, 3e-3):
        finetuning.make_reproducible(seed)
        model = keras.Sequential(
            [
                keras.layers.Embedding(len(known) + 2, 64),
                keras.layers.Conv1D(64, 3, padding="same", activation="relu"),
                keras.layers.GlobalMaxPooling1D(),
                keras.layers.Dropout(0.3),
                keras.layers.Dense(1),
            ]
        )
        model.compile(keras.optimizers.Adam(rate), keras.losses.BinaryCrossentropy(from_logits=True))
        patience = keras.callbacks.EarlyStopping(patience=4, restore_best_weights=True)
        valid = (inputs[:held], targets[:held])
        fit = model.fit(
            inputs[held:],
            targets[held:],
            validation_data=valid,
            epochs=40,
            batch_size=32,
            callbacks=[patience],
            verbose=0,
        )
        loss = min(fit.history["val_loss"])
        if best is None or loss < best[0]:
            chosen = {"rate": rate, "epochs": int(np.argmin(fit.history["val_loss"])) + 1}
            best = loss, model.predict(others, batch_size=256, verbose=0)[:, 0] > 0, chosen
    return best[1:]
