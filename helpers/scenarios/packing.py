"""Packing (打包): several short texts in one row, and what the small GPT of `generation` makes of such a row."""

import keras
import numpy as np


def pack(lengths, size):
    """First fit, longest first: the examples of each row, so that no row holds more than `size` tokens.

    source : Johnson 1973 (first-fit decreasing)

    >>> pack([3, 9, 6, 2], 9)
    [[1], [2, 0], [3]]
    """
    if lengths and max(lengths) > size:
        raise ValueError(f"an example has {max(lengths)} tokens and a row takes {size}: shorten it")
    rows, free = [], []
    for i in np.argsort([-n for n in lengths], kind="stable").tolist():
        place = next((row for row, left in enumerate(free) if left >= lengths[i]), len(rows))
        if place == len(rows):
            rows.append([])
            free.append(size)
        rows[place].append(i)
        free[place] -= lengths[i]
    return rows


def packed_nats(model, ids, mask, places):
    """−ln p of each token of one row but the first, under a mask and positions of one's own: float (T − 1,).

    ids    : list of T ids
    mask   : bool (T, T), row i True where token i may look; no token looks ahead in any case
    places : int (T,), the position that each token is read at
    """
    table = model.get_layer("embed")
    hidden = table(np.array([ids]), positions=np.array([places]))
    for block in range(sum(layer.name.startswith("block_") for layer in model.layers)):
        hidden = model.get_layer(f"block_{block}")(hidden, decoder_attention_mask=np.array([mask]))
    log_p = keras.ops.log_softmax(table.token_embedding(model.get_layer("last")(hidden), reverse=True))
    return -keras.ops.convert_to_numpy(log_p)[0, np.arange(len(ids) - 1), ids[1:]]
