"""What a language model makes of texts that are there: nats a token, difficulty of instructions, hidden states."""

import keras
import numpy as np
import pandas as pd

from helpers import on_tensorflow
from helpers.language_models.batches import by_length, collate, padded


def losses(model, rendered):
    """Nats a token of each answer, its end token reported apart.

    model    : LanguageModel
    rendered : list of n conversations as `render` gives them
    returns  : DataFrame, one row a conversation: loss (nats a token over what is trained, end tokens aside; NaN
               where that is nothing), nats and tokens (their sum and number), end_nats and ends (those of end tokens)

    Nats a token of many rows are nats.sum() / tokens.sum(): a mean of means would count short answers more.
    """
    found = nats(model, [row.ids for row in rendered], [row.trained for row in rendered])
    frame = []
    for row, values in zip(rendered, found, strict=True):
        end = np.isin(row.trained, row.ends)
        frame.append((values[~end].sum(), (~end).sum(), values[end].sum(), end.sum()))
    frame = pd.DataFrame(frame, columns=["nats", "tokens", "end_nats", "ends"])
    frame.insert(0, "loss", frame["nats"] / frame["tokens"])
    return frame


def ifd(model, rendered):
    """Instruction-following difficulty: loss of the last answer given what came before, over its loss by itself.

    model    : LanguageModel
    rendered : list of n conversations as `render` gives them
    returns  : float array (n,). Above 1 the instruction makes the answer less likely: look at such a row as a mismatch
    source   : Li et al. 2023, arXiv 2308.12032, eq. 3. By itself the answer stands behind the template's opening of an
               answer alone. The end token is not scored: untuned models give it eight nats, which would drown a word
    errors   : ValueError for a row whose last answer was cut away
    """
    if cut := [number for number, row in enumerate(rendered) if not len(row.answer)]:
        raise ValueError(f"rendered[{cut[0]}] has no token of its last answer left: leave it out, see limit")
    given = [list(row.answer) for row in rendered]
    alone = [row.ids[row.opening : row.answer[-1] + 1] for row in rendered]
    with_it = nats(model, [row.ids for row in rendered], given)
    moved = [np.subtract(places, row.opening) for places, row in zip(given, rendered, strict=True)]
    without = nats(model, alone, moved)
    return np.array([a.mean() / b.mean() for a, b in zip(with_it, without, strict=True)])


def hidden(model, ids, *, weighted=False):
    """Last hidden states of each row as one vector of length 1, float32 (n, d).

    ids      : list of n lists of token ids
    weighted : False takes the mean over the tokens; True weighs token i of a row by i, so that those which have read
               more count more (RDS+: Ivison et al. 2025, arXiv 2503.01807, §3)
    """
    if not ids:
        return np.empty((0, model.backbone.output_shape[-1]), "float32")
    _check_ids(model, ids)
    found = states(_model(model, "hidden", _body), ids)
    vectors = np.stack(
        [np.average(row, axis=0, weights=np.arange(len(row)) + 1 if weighted else None) for row in found]
    )
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype("float32")


def states(body, ids):
    """Hidden states by a Keras model of token ids: list of n float32 arrays (tokens, d)."""
    found = [None] * len(ids)
    for rows in by_length([len(row) for row in ids]):
        for row, values in zip(rows, body.predict_on_batch(padded([ids[row] for row in rows])), strict=True):
            found[row] = values[: len(ids[row])].astype("float32")
    return found


def nats(model, ids, places):
    """−ln p of chosen tokens, each given all tokens before it in its row.

    model   : LanguageModel
    ids     : list of n lists of token ids
    places  : list of n lists of places in them, from 1 on: the tokens that are scored. Logits are computed there alone
    returns : list of n float32 arrays, as long as the places
    """
    _check_ids(model, ids)
    scorer = _model(model, "nats", _scorer)
    found = [np.zeros(0, "float32")] * len(ids)
    for rows in by_length([len(row) for row in ids]):
        inputs, following = collate([ids[row] for row in rows], [places[row] for row in rows])
        values = scorer.predict_on_batch(inputs | {"following": following})
        ends = np.cumsum([len(places[row]) for row in rows])
        for row, part in zip(rows, np.split(values[: ends[-1]], ends[:-1]), strict=True):
            found[row] = part
    return found


def _check_ids(model, ids):
    """ValueError, one sentence, for the first row that the model cannot read."""
    for number, row in enumerate(ids):
        if not 0 < len(row) <= model.context:
            raise ValueError(f"row {number} has {len(row)} tokens: {model.name} reads 1 to {model.context}")


def _model(model, name, build):
    """A Keras model on a language model's backbone, built at the first call."""
    if name not in model.built:
        model.built[name] = traced_once(build(model.backbone))
        if hasattr(model.lm, "adapter"):  # so that JAX sees its matrices change
            model.built[name].adapter = model.lm.adapter
    return model.built[name]


def traced_once(model):
    """The Keras model itself, whose predictions TensorFlow traces once for all shapes."""
    if keras.backend.backend() == "tensorflow":
        on_tensorflow.predict_once(model)
    return model


def guesses(body, inputs, table):
    """Scores float32 (m, vocabulary) at the places where they are asked for, and the inputs of such a model.

    body   : function of inputs to hidden states (n, width, d)
    inputs : {name: keras.Input}
    table  : KerasHub's embedding of tokens, which turns a state into scores
    """
    places = keras.Input((), dtype="int32", name="places")
    hidden = body(inputs)
    chosen = keras.ops.take(keras.ops.reshape(hidden, (-1, hidden.shape[-1])), places, axis=0)
    return inputs | {"places": places}, keras.ops.cast(table(chosen, reverse=True), "float32")


def token_inputs():
    """What a backbone reads."""
    return {name: keras.Input((None,), dtype="int32", name=name) for name in ("token_ids", "padding_mask")}


def _scorer(backbone):
    inputs, scores = guesses(backbone, token_inputs(), backbone.token_embedding)
    inputs |= {"following": keras.Input((), dtype="int32", name="following")}
    of_following = keras.ops.take_along_axis(scores, inputs["following"][:, None], axis=1)[:, 0]
    return keras.Model(inputs, keras.ops.logsumexp(scores, axis=1) - of_following)


def _body(backbone):
    return keras.Model(backbone.input, backbone.output)
