"""Two sentence encoders with their trained weights, as Keras models: texts in, sentence vectors of unit length out.

    minilm   English, 384 numbers a text: all-MiniLM-L6-v2, a BERT of 6 layers and 22.7 million parameters. After its
             pretraining it was trained a second time, on 1,170,060,424 pairs of sentences (its own model card), so it
             arrives knowing which sentences mean the same.
    use      16 languages, Chinese among them, 512 numbers a text: Google's Universal Sentence Encoder, multilingual,
             version 3, a convolutional network over word pieces (Yang et al. 2020). The package that carries it stores
             the embedding table at 6 bits a number.

The weights come with two packages (weights.txt), of which no code runs: their files are checked against the sha256
below and read without pickle. Nothing is downloaded.

Where an encoder is asked for, any text model that KerasHub reads will do as well: one of its own presets
("bert_base_en"), an address ("hf://google-bert/bert-base-chinese") or a folder. These are KerasHub's to load, and to
download where they are not on the disk.
"""

import contextlib
import functools
import hashlib
import numbers
import os
import sqlite3
import warnings
from pathlib import Path

import keras
import numpy as np

from helpers.pretrained import presets
from helpers.pretrained.files import ENCODERS, WeightsError, entry, weight_file

__all__ = ["ENCODERS", "WeightsError", "batches", "check_texts", "collate", "dtype_policy", "embed", "encoder", "fill"]
__all__ += ["forward", "jit_compile", "pad", "shared_out", "tokenise", "truncate", "weight_file"]


# ---- texts to token ids ---------------------------------------------------------------------------------------------


def tokenise(texts, encoder="minilm", max_tokens=None):
    """Token ids of each text, special tokens included: [CLS] … [SEP] for minilm, <s> … </s> for use.

    texts      : list of n strings; anything else in it is a ValueError that names the row
    max_tokens : longer texts keep their first max_tokens − 1 ids and the closing special token; None keeps all
    returns    : list of n lists of int
    source     : minilm by its WordPiece tokenizer.json, use by SentencePiece, the library of the original model, a
                 preset by the tokenizer of KerasHub that comes with it

    The package that carries `use` has a tokeniser of its own in Python, 10 to 20 times as slow. Of the 17,410 distinct
    texts of reviews_zh 461 get other ids from it, 458 because they hold neighbouring characters that are unknown:
    SentencePiece makes one <unk> of such a run, the Python one an <unk> of each (the last 3 are ties between equally
    likely cuts of a long "!!!" or "555"). Cosines between the two sentence vectors: median .9997, lowest .935. None of
    the English texts differs. A text without pieces counts as one <unk>, as in that package.
    """
    texts = check_texts(texts)
    ids = _tokeniser(encoder, presets.version(encoder))(texts)
    return ids if max_tokens is None else truncate(ids, max_tokens, encoder)


def truncate(ids, max_tokens, encoder="minilm"):
    """Cut each list of ids to max_tokens, keeping the special tokens at both ends."""
    longest = presets.longest(encoder) if presets.is_preset(encoder) else entry(encoder)["longest"]
    if isinstance(max_tokens, bool) or not isinstance(max_tokens, numbers.Integral):
        raise ValueError(f"max_tokens is {max_tokens!r}: give a whole number")
    if max_tokens < 3 or (longest and max_tokens > longest):
        raise ValueError(
            f"max_tokens is {max_tokens}: {encoder!r} takes 3 " + (f"to {longest}" if longest else "or more")
        )
    return [row if len(row) <= max_tokens else row[: max_tokens - 1] + row[-1:] for row in ids]


def check_texts(texts, which="texts"):
    """The texts as a list, if each is a string; else a ValueError that names the first that is not."""
    if isinstance(texts, str):
        raise ValueError(f"{which} is one string: give a list of strings")
    texts = list(texts)
    for row, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"{which}[{row}] is {text!r}, not a string: drop or fill missing texts first")
    return texts


@functools.lru_cache(maxsize=8)
def _tokeniser(name, version):
    """Function from texts to lists of ids; of a folder by `presets.version`."""
    if presets.is_preset(name):
        return presets.tokeniser(name)
    if name == "minilm":
        from tokenizers import Tokenizer

        wordpiece = Tokenizer.from_file(str(weight_file(name, "tokenizer.json")))
        wordpiece.no_truncation()  # the file asks for 128 tokens, always padded
        wordpiece.no_padding()
        return lambda texts: [wordpiece.encode(text).ids for text in texts]

    from sentencepiece import SentencePieceProcessor

    pieces = SentencePieceProcessor(model_file=str(weight_file(name, "sp.model")))
    start, end, unknown = pieces.bos_id(), pieces.eos_id(), pieces.unk_id()
    return lambda texts: [[start, *(row or [unknown]), end] for row in pieces.encode(texts)]


# ---- token ids to batches -------------------------------------------------------------------------------------------


def batches(lengths, batch_size, rng=None):
    """Group rows of like length, so that little padding is computed.

    lengths : int array (n,), tokens a row
    rng     : None sorts all rows by length; a NumPy generator draws them in random order instead, sorts stretches of
              50 batches and shuffles the batches
    returns : list of int arrays of row numbers, batch_size each but perhaps one; together they hold each row once
    """
    lengths = np.asarray(lengths)
    if rng is None:
        order = np.argsort(lengths, kind="stable")
        return _cut(order, batch_size)
    groups = []
    for stretch in _cut(rng.permutation(len(lengths)), 50 * batch_size):
        groups += _cut(stretch[np.argsort(lengths[stretch], kind="stable")], batch_size)
    return [groups[i] for i in rng.permutation(len(groups))]


def _cut(rows, size):
    return [rows[i : i + size] for i in range(0, len(rows), size)]


def fill(rows, size):
    """Row numbers repeated from the first up to size: a short batch gets the shape of the others."""
    return np.concatenate([rows, np.full(size - len(rows), rows[0])])


def shared_out(size):
    """A batch's size rounded up to a multiple of the devices that share it by `keras.distribution`, else as it is."""
    distribution = keras.distribution.distribution()
    n = 1 if distribution is None else distribution.device_mesh.devices.size
    if n > 1 and keras.backend.backend() != "jax":
        raise ValueError(
            f"keras.distribution names {n} devices, of which Keras on {keras.backend.backend()} would use one: "
            "set KERAS_BACKEND=jax"
        )
    return -(-size // n) * n


def pad(ids, multiple=16):
    """Lists of ids as arrays, as wide as the longest row rounded up to a multiple, so that few shapes occur.

    returns : {"token_ids": int32 (n, width), "padding_mask": int32 (n, width), 1 where a token stands, else 0}

    >>> pad([[101, 102], [101, 7592, 102]], multiple=4)["padding_mask"].tolist()
    [[1, 1, 0, 0], [1, 1, 1, 0]]
    """
    width = -(-max(map(len, ids)) // multiple) * multiple
    token_ids = np.zeros((len(ids), width), "int32")
    padding_mask = np.zeros((len(ids), width), "int32")
    for row, tokens in enumerate(ids):
        token_ids[row, : len(tokens)] = tokens
        padding_mask[row, : len(tokens)] = 1
    return {"token_ids": token_ids, "padding_mask": padding_mask}


def collate(inputs, rows, multiple=16):
    """Rows of inputs as a model takes them: lists of ids by `pad`, an array of sentence vectors as it is."""
    return inputs[rows] if isinstance(inputs, np.ndarray) else pad([inputs[row] for row in rows], multiple)


def forward(model, inputs, batch_size=32):
    """Outputs float32 (n, d) of a model for n inputs (see `collate`), in their order; dropout off."""
    outputs = np.empty((len(inputs), model.output_shape[-1]), "float32")
    for rows in batches([len(row) for row in inputs], batch_size):
        filled = fill(rows, shared_out(batch_size))
        outputs[rows] = model.predict_on_batch(collate(inputs, filled))[: len(rows)]
    return outputs


# ---- models ---------------------------------------------------------------------------------------------------------


def encoder(name, *, weights=True, train_table=False, pooling="mean"):
    """A fresh Keras model from {"token_ids", "padding_mask"}, int32 (n, tokens), to sentence vectors float32 (n, d).

    weights     : False gives the same network with random weights (reproducible after keras.utils.set_random_seed)
    train_table : `use` alone has a table of 65 million numbers, kept fixed unless this is True or weights is False;
                  the other 3.4 million of `use`, and the 22.6 million of minilm, train either way
    pooling     : what a preset's hidden states become one vector by: their "mean" over the real tokens, or "cls", the
                  first of them (in a decoder such as GPT-2 it has seen no other). The two encoders here take "mean", as
                  they were trained.
    returns     : model whose vectors have length 1; d is 384 for minilm, 512 for use
    """
    if _check_pooling(name, pooling):
        model = presets.model(name, weights, pooling, _inputs())
    else:
        model = _minilm(weights) if name == "minilm" else _use(weights, train_table or not weights)
    model.jit_compile = jit_compile()
    return model


def _check_pooling(name, pooling):
    """Whether an encoder is a preset; ValueError if it does not take that pooling."""
    preset = presets.is_preset(name)
    if not preset:
        entry(name)
    if pooling not in (takes := ("mean", "cls") if preset else ("mean",)):
        raise ValueError(f"pooling is {pooling!r}: {name!r} takes {' or '.join(map(repr, takes))}")
    return preset


@contextlib.contextmanager
def dtype_policy(name):
    """Models built meanwhile compute under this dtype policy of Keras; the one before is set again afterwards."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def jit_compile():
    """XLA as Keras would choose, but not under TensorFlow, whose XLA is the slower way on a CPU."""
    return False if keras.backend.backend() == "tensorflow" else "auto"


def _inputs():
    return {name: keras.Input((None,), dtype="int32", name=name) for name in ("token_ids", "padding_mask")}


def _minilm(weights):
    """Mean of BERT's last hidden states over the real tokens, scaled to length 1 (Reimers & Gurevych 2019, §3).

    KerasHub computes GELU by its tanh approximation where the checkpoint was trained with the exact one: single hidden
    states differ by up to 0.003, sentence vectors have cosine .999998.
    """
    import keras_hub

    for file in ("config.json", "model.safetensors"):
        folder = weight_file("minilm", file).parent
    bert = keras_hub.models.BertBackbone.from_preset(str(folder), load_weights=weights, name="bert")
    bert.pooled_dense.trainable = False  # the layer on [CLS] that sentence vectors do not use
    inputs = _inputs()
    hidden = bert(inputs | {"segment_ids": keras.ops.zeros_like(inputs["token_ids"])})["sequence_output"]
    mean = keras.layers.GlobalAveragePooling1D(name="mean")(hidden, mask=inputs["padding_mask"])
    vector = keras.layers.UnitNormalization(dtype="float32", name="vector")(mean)
    return keras.Model(inputs, vector, name="minilm")


def _use(weights, train_table):
    """Universal Sentence Encoder, the convolutional model (Yang et al. 2020): n-grams of 2, 3 and 5 tokens.

    The layers follow the NumPy forward pass of the package that carries the weights. It differs from an 8-bit ONNX
    export of Google's graph in two points: it normalises the three n-gram branches together, not each alone (median
    cosine with that export .983 instead of .991; the accuracy of a classifier on the vectors is the same), and it puts
    an <unk> into an empty text.
    """
    layers, ops = keras.layers, keras.ops
    inputs = _inputs()
    table = layers.Embedding(
        128_010, 512, embeddings_initializer="zeros" if weights else "uniform", trainable=train_table, name="table"
    )
    tokens = table(inputs["token_ids"])
    mask = ops.cast(ops.expand_dims(inputs["padding_mask"], -1), tokens.dtype)
    count = ops.sum(mask, axis=1)

    x = layers.Dense(3 * 256, name="project")(tokens)
    x = layers.LayerNormalization(epsilon=1e-12, name="norm_project")(x)
    features = [tokens]
    for n, part in zip((2, 3, 5), ops.split(x, 3, axis=-1), strict=True):
        for step in (1, 2):  # beyond the text's ends a convolution must see zeros: hence the mask
            grams = layers.Conv1D(256, n, padding="same", activation="relu", name=f"gram_{n}_{step}")(part * mask)
            part = part + grams
        features.append(part)
    x = layers.LayerNormalization(epsilon=1e-12, name="norm")(ops.concatenate(features, axis=-1))

    mean = layers.Dense(512, name="mean")(ops.sum(x * mask, axis=1) / count)
    x = mean * ops.sqrt(count)  # sum over tokens by the root of their number, as in Cer et al. 2018, §3
    y = layers.Dense(320, use_bias=False, activation="relu", name="deep_0")(x)
    y = ops.relu(
        layers.Dense(320, use_bias=False, name="deep_1")(y) + layers.Dense(320, use_bias=False, name="short_1")(x)
    )
    z = layers.Dense(512, use_bias=False, activation="relu", name="deep_2")(y)
    z = ops.tanh(
        layers.Dense(512, use_bias=False, name="deep_3")(z) + layers.Dense(512, use_bias=False, name="short_3")(y)
    )
    vector = layers.UnitNormalization(dtype="float32", name="vector")(z)
    model = keras.Model(inputs, vector, name="use")
    if weights:
        _load_use(model)
    return model


def _load_use(model):
    with np.load(weight_file("use", "weights.npz"), allow_pickle=False) as file:
        table = np.empty((128_010, 512), "float32")
        for i in range(17):  # token id t stands in part t mod 17, each with its own step and offset
            table[i::17] = file[f"q{i + 1}"] * file["scale"][i] + file["lo"][i]
        values = {"table": [table], "norm": [file["ln_g"], file["ln_b"]], "mean": [file["cnn_W"], file["cnn_b"]]}
        joined = [
            np.concatenate([file[f"{key}{n}"] for n in (2, 3, 5)], axis=-1)
            for key in ("proj", "proj_b", "ln_g", "ln_b")
        ]
        values |= {"project": joined[:2], "norm_project": joined[2:]}
        for n in (2, 3, 5):
            for step in (1, 2):
                values[f"gram_{n}_{step}"] = [file[f"w{step}_{n}"].reshape(n, 256, 256), file[f"b{step}_{n}"]]
        for layer, key in (("deep_0", "d0"), ("deep_1", "d1"), ("deep_2", "d2"), ("deep_3", "d3")):
            values[layer] = [file[key]]
        values |= {"short_1": [file["p1"]], "short_3": [file["p3"]]}
    for layer, arrays in values.items():
        model.get_layer(layer).set_weights(arrays)


# ---- sentence vectors, kept on disk ---------------------------------------------------------------------------------


def embed(texts, encoder="minilm", *, max_tokens=128, batch_size=32, cache=None, pooling="mean"):
    """Sentence vectors of texts by the encoder as it came, float32 (n, d), each of length 1.

    They are computed in float32 whatever Keras's dtype policy is, so that the store holds one vector a text.

    max_tokens : longer texts are cut, see `tokenise`
    cache      : folder of the store; None takes $COURSE_CACHE, else .cache in the repository (an installed copy: in the
                 current folder). Texts once computed are read from there, in whatever selection they come again.

    The store is one SQLite file, written in one transaction. Its key is the sha256 of the weights' sha256 and the token
    ids, which is all the model sees. A damaged store is removed, with one warning, and built anew. Of a preset the
    weights are not known by a sha256: its vectors are not kept.
    """
    preset = _check_pooling(encoder, pooling)
    ids = truncate(tokenise(texts, encoder), max_tokens, encoder)
    if preset:
        return forward(_frozen(encoder, pooling, presets.version(encoder)), ids, batch_size)
    if not ids:
        return np.empty((0, ENCODERS[encoder]["dimensions"]), "float32")
    keys = [_key(encoder, row) for row in ids]
    path = _cache_folder(cache) / "vectors.sqlite"
    known = _read(path, set(keys), ENCODERS[encoder]["dimensions"])
    new = {key: row for key, row in zip(keys, ids, strict=True) if key not in known}
    if new:
        vectors = forward(_frozen(encoder), list(new.values()), batch_size)
        known |= zip(new, vectors, strict=True)
        _write(path, {key: known[key] for key in new})
    return np.stack([known[key] for key in keys])


def _cache_folder(cache):
    root = Path(__file__).parents[2]
    default = root if (root / "pyproject.toml").exists() else Path.cwd()
    return Path(cache or os.environ.get("COURSE_CACHE") or default / ".cache")


def _key(encoder_name, ids):
    digest = hashlib.sha256(" ".join(ENCODERS[encoder_name]["sha256"].values()).encode())
    digest.update(np.asarray(ids, "<i4").tobytes())
    return digest.digest()


@functools.lru_cache(maxsize=4)
def _frozen(name, pooling="mean", version=None):
    with dtype_policy("float32"):
        return encoder(name, pooling=pooling)


def _read(path, keys, dimensions):
    """The stored vectors of these keys, as a dict; none when the store is not to be trusted."""

    def read(store):
        rows = {key: store.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone() for key in keys}
        found = {key: row[0] for key, row in rows.items() if row}
        if any(not isinstance(blob, bytes) or len(blob) != 4 * dimensions for blob in found.values()):
            raise sqlite3.DatabaseError("a vector has another number of components")
        vectors = {key: np.frombuffer(blob, "float32") for key, blob in found.items()}
        if not all(abs(vector @ vector - 1) < 1e-3 for vector in vectors.values()):  # so that a nan is noticed
            raise sqlite3.DatabaseError("a vector has not length 1")
        return vectors

    return _transaction(path, read) or {}


def _write(path, vectors):
    rows = [(key, np.asarray(vector, "float32").tobytes()) for key, vector in vectors.items()]
    _transaction(path, lambda store: store.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?)", rows))


def _transaction(path, action):
    """action(store), committed whole or not at all; trouble warns and gives None, a damaged store is removed."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.closing(sqlite3.connect(path, timeout=60)) as store, store:
            store.execute("CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB)")
            return action(store)
    except (OSError, sqlite3.OperationalError) as error:
        warnings.warn(f"sentence vectors are not kept: {path} cannot be used ({error})", stacklevel=4)
    except sqlite3.DatabaseError as error:
        path.unlink(missing_ok=True)
        warnings.warn(f"the store of sentence vectors {path} was damaged ({error}): it is built anew", stacklevel=4)
