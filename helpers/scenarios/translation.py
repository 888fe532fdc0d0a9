"""A small translator, English to Chinese: its pairs and pieces, its model and loss, training, decoding and chrF."""

import hashlib
import re
from collections import Counter
from functools import cache

import keras
import keras_hub
import numpy as np
from safetensors.numpy import load_file, save_file

from helpers import datasets, finetuning

FOLDER = datasets.DATA / "weights"
WEIGHTS, PIECES = FOLDER / "translation.safetensors", FOLDER / "translation.spm"
SHA256 = "cd22a6be5745032e5258d993f3b18d11e412f14d7e5cb77714feee51480e0993"  # of the weights: others make results stale
PAD, UNK, START, END = range(4)
LONGEST = 40  # pieces of a string, its end included; longer pairs are left out
DOMAINS = ["jupyterlab", "wagtail"]  # to tune and test on; the other six sources are for pretraining
N_TEST = 300  # strings of each domain


# ---- pairs ----------------------------------------------------------------------------------------------------------


@cache
def pairs():
    """The pairs with `part`: pretrain; or tune, valid, test of the two domains.

    No group, that is no text up to case, punctuation and placeholders, stands in two parts of a domain, and none of a
    valid or test part stands in any tune part or in pretraining.
    """
    frame = datasets.load("interface_strings")
    frame = frame.assign(part="pretrain")
    for domain in DOMAINS:
        rows = frame[frame["source"] == domain]
        parts = datasets.split(rows, {"tune": 0.68, "valid": 0.07, "test": 0.25}, stratify=None)
        frame.loc[rows.index, "part"] = parts
    held = frame["part"].isin(["valid", "test"])
    return frame[held | ~frame["group"].isin(frame.loc[held, "group"])]


def rows(part, domain, n=None, seed=0):
    """Pairs of a part of a domain that the model takes, in random order; the first n, or all."""
    frame = pairs().query("part == @part and source == @domain")
    return frame[fits(frame)].sample(frac=1, random_state=seed).head(n)


def fits(frame):
    """True for the pairs of which neither side has more than LONGEST − 1 pieces."""
    longest = [
        max(len(pieces(a)), len(pieces(b))) for a, b in zip(frame["text"].map(plain), frame["target"], strict=True)
    ]
    return np.array(longest, int) < LONGEST


# ---- pieces ---------------------------------------------------------------------------------------------------------


def plain(text):
    """English with its capitalised words in small letters, as Save and save should be one word; JupyterLab stays.

    >>> plain("Open JupyterLab From Path")
    'open JupyterLab from path'
    """
    return re.sub(r"\b[A-Z][a-z]*\b", lambda word: word[0].lower(), text)


@cache
def processor():
    """The SentencePiece model of both languages, trained on the pretraining pairs alone."""
    from sentencepiece import SentencePieceProcessor

    return SentencePieceProcessor(model_file=str(PIECES))


def pieces(text):
    """Ids of a text's pieces: parts of English words, Chinese characters and words; bytes for what it never saw."""
    return processor().encode(text)


def padded(lists):
    """Lists of ids as int32 (n, T), T the longest rounded up to 8."""
    width = -(-max(map(len, lists)) // 8) * 8
    return np.array([[*ids, *[PAD] * (width - len(ids))] for ids in lists], "int32")


def ids_of(frame):
    """Source and target ids of each pair, each ended by END; the target begins with START."""
    return [
        ([*pieces(plain(a)), END], [START, *pieces(b), END])
        for a, b in zip(frame["text"], frame["target"], strict=True)
    ]


# ---- model ----------------------------------------------------------------------------------------------------------


def translator(size, *, width=128, depth=2, heads=4, dropout=0.1):
    """A Transformer (Vaswani et al. 2017, scaled down): source (n, S) and target (n, T) ids to scores (n, T, size).

    Normalisation before each block; one table for both languages and the output (tied weights).
    """
    layers = keras_hub.layers
    source, target = (keras.Input((None,), dtype="int32", name=name) for name in ("source", "target"))
    table = layers.TokenAndPositionEmbedding(size, LONGEST + 8, width, name="embed")
    real = keras.ops.not_equal(source, PAD)
    memory, hidden = table(source), table(target)
    for _ in range(depth):
        encoder = layers.TransformerEncoder(4 * width, heads, dropout, "gelu", normalize_first=True)
        memory = encoder(memory, padding_mask=real)
    memory = keras.layers.LayerNormalization(name="memory")(memory)
    for block in range(depth):
        decoder = layers.TransformerDecoder(
            4 * width, heads, dropout, "gelu", normalize_first=True, name=f"decoder_{block}"
        )
        hidden = decoder(hidden, memory, encoder_padding_mask=real)
    hidden = keras.layers.LayerNormalization(name="last")(hidden)
    return keras.Model([source, target], table.token_embedding(hidden, reverse=True), name="translator")


def smoothed(y, scores):
    """Cross-entropy (n, T) with label smoothing 0.1: a tenth of the target is spread over all pieces."""
    log_p = keras.ops.log_softmax(scores, axis=-1)
    said = keras.ops.take_along_axis(log_p, keras.ops.cast(y, "int32")[..., None], axis=-1)[..., 0]
    return -0.9 * said - 0.1 * keras.ops.mean(log_p, axis=-1)


def batches(examples, size, rng):
    """Row numbers of one pass in batches of like length, in random order."""
    length = np.array([len(a) + len(b) for a, b in examples])
    order = np.argsort(length + rng.uniform(0, 4, len(length)), kind="stable")
    found = [order[i : i + size] for i in range(0, len(order), size)]
    return [found[i] for i in rng.permutation(len(found))]


def train(model, frame, *, steps, rate, batch=32, seed=0, report=None):
    """Train a model in place on pairs for so many batches, the rate rising for a tenth of them, then falling to 0.

    report : function of the number of steps done, called every 200
    """
    finetuning.make_reproducible(seed, model)
    rng, examples, queue = np.random.default_rng(seed), ids_of(frame), []
    if not model.compiled:
        optimizer = keras.optimizers.AdamW(0.0, weight_decay=0.01, global_clipnorm=1.0)
        model.compile(optimizer, smoothed, jit_compile=False)
        optimizer.build(model.trainable_variables)
    for variable in model.optimizer.variables:  # compiled once, as tracing takes long
        variable.assign(keras.ops.zeros_like(variable))
    warm_up = max(steps // 10, 1)
    for done in range(steps):
        falling = 0.5 + 0.5 * np.cos(np.pi * max(done - warm_up, 0) / max(steps - warm_up, 1))
        model.optimizer.learning_rate = rate * min((done + 1) / warm_up, 1) * falling
        queue = queue or batches(examples, batch, rng)
        source, target = zip(*(examples[i] for i in queue.pop()), strict=True)
        target = padded(target)
        weight = (target[:, 1:] != PAD).astype("float32")
        # Keras divides by all places, padding too
        model.train_on_batch([padded(source), target[:, :-1]], target[:, 1:], sample_weight=weight / weight.mean())
        if report and (done + 1) % 200 == 0:
            report(done + 1)
    return model


# ---- decoding -------------------------------------------------------------------------------------------------------


def translate(model, texts, *, beam=1, batch=300, length_power=0.6):
    """Chinese of each English text: by beam search, or greedily if beam is 1.

    Beams that ended are compared by log probability / length**length_power (Wu et al. 2016, §7, simplified).
    """
    sources = [[*pieces(plain(text))[: LONGEST - 1], END] for text in texts]
    order = np.argsort([len(ids) for ids in sources], kind="stable")
    found = [None] * len(texts)
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        for i, ids in zip(
            chosen, _search(model, padded([sources[i] for i in chosen]), beam, length_power), strict=True
        ):
            found[i] = processor().decode(ids)
    return found


def encode(model, source):
    """Memory (n, S, d) and mask (n, S) of source ids (n, S)."""
    return keras.Model(model.inputs[0], model.get_layer("memory").output)(source, training=False), source != PAD


def step(model, tokens, place, memory, real, caches):
    """log p (n, size) of the piece after `tokens` (n,), which stand at `place`; keys and values are kept in caches.

    caches : list, one pair (of the target, of the source) a block; zeros before place 0
    """
    table = model.get_layer("embed")
    hidden = table(tokens[:, None], start_index=place)
    for block, (own, other) in enumerate(caches):
        hidden, *caches[block] = model.get_layer(f"decoder_{block}")(
            hidden,
            memory,
            encoder_padding_mask=real,
            self_attention_cache=own,
            self_attention_cache_update_index=place,
            cross_attention_cache=other,
            cross_attention_cache_update_index=None if place else 0,
        )
    scores = table.token_embedding(model.get_layer("last")(hidden), reverse=True)
    return keras.ops.convert_to_numpy(keras.ops.log_softmax(scores, axis=-1))[:, 0]


def top(scores, k):
    """Columns of each row's k highest scores, the highest first, of equal ones the first: int (n, k), k from 1.

    scores : (n, m), at least k of each row finite

    >>> top(np.array([[1.0, 3.0, 3.0, 2.0]]), 3).tolist()
    [[1, 2, 3]]
    """
    left, rows, found = scores.copy(), np.arange(len(scores)), []
    for _ in range(k):  # k is small: faster than to sort all
        found.append(left.argmax(axis=1))
        left[rows, found[-1]] = -np.inf
    return np.stack(found, axis=1)


def _search(model, source, beam, length_power):
    """Ids of the best translation of each source, without START and END."""
    n = len(source)
    memory, real = encode(model, np.repeat(source, beam, axis=0))
    heads, width = model.get_layer("decoder_0").num_heads, memory.shape[-1]
    depth = sum(layer.name.startswith("decoder_") for layer in model.layers)

    def empty(length):
        return keras.ops.zeros((n * beam, 2, length, heads, width // heads))

    caches = [[empty(LONGEST), empty(source.shape[1])] for _ in range(depth)]
    tokens = np.full((n, beam, LONGEST), PAD, "int32")
    tokens[:, :, 0] = START
    total = np.where(np.arange(beam) == 0, 0.0, -np.inf) * np.ones((n, 1))  # all beams begin alike: only one may go on
    done = np.zeros((n, beam), bool)
    for place in range(LONGEST - 1):
        log_p = step(model, tokens[:, :, place].reshape(-1), place, memory, real, caches).reshape(n, beam, -1)
        log_p[..., [PAD, UNK, START]] = -np.inf
        log_p[done] = np.where(np.arange(log_p.shape[-1]) == PAD, 0.0, -np.inf)  # what ended stays as it is
        grown = (total[..., None] + log_p).reshape(n, -1)
        best = top(grown, beam)
        total = np.take_along_axis(grown, best, 1)
        parent, piece = np.divmod(best, log_p.shape[-1])
        tokens = np.take_along_axis(tokens, parent[..., None], 1)
        tokens[:, :, place + 1] = piece
        done = np.take_along_axis(done, parent, 1) | (piece == END)
        if done.all():
            break
        if beam > 1:
            flat = (np.arange(n)[:, None] * beam + parent).reshape(-1)
            caches = [[keras.ops.take(kept, flat, axis=0) for kept in pair] for pair in caches]
    length = ((tokens != PAD).sum(-1) - 1).clip(1)
    best = np.argmax(total / length**length_power, axis=1)
    return [[int(i) for i in row if i not in (PAD, START, END)] for row in tokens[np.arange(n), best]]


def save(model, path):
    """Store a model's weights as float16, named by place."""
    save_file({f"{i:03d}": weight.astype("float16") for i, weight in enumerate(model.get_weights())}, path)


@cache
def _shared():
    """The model that all cells of a process train in turn, and its pretrained weights."""
    if hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() != SHA256:
        raise datasets.DataError("data/weights/translation.safetensors is not the pinned file: restore it with git")
    stored = load_file(WEIGHTS)
    model = translator(processor().get_piece_size())
    model.set_weights([stored[name].astype("float32") for name in sorted(stored)])
    return model, model.get_weights()


def pretrained_model():
    """The model with its pretrained weights. One object: a later call takes the training of an earlier one back."""
    model, weights = _shared()
    model.set_weights(weights)
    return model


# ---- measures -------------------------------------------------------------------------------------------------------


def chrf_counts(hypothesis, reference, orders=6):
    """Character n-grams of one pair, white space left out: int (orders, 3), in hypothesis, in reference, in both."""
    hypothesis, reference = ("".join(text.split()) for text in (hypothesis, reference))
    found = []
    for n in range(1, orders + 1):
        h, r = (Counter(text[i : i + n] for i in range(len(text) - n + 1)) for text in (hypothesis, reference))
        found.append((h.total() if r else 0, r.total(), (h & r).total()))
    return np.array(found)


def chrf_of(counts, beta=2):
    """chrF, 0 to 100, of summed counts (…, orders, 3): F_beta of mean precision and mean recall, orders that occur.

    source : Popović 2015; beta 2 lets recall weigh more than precision, as sacrebleu does
    """
    counts = np.asarray(counts, float)
    occurs = (counts[..., 0] > 0) & (counts[..., 1] > 0)
    orders = np.maximum(occurs.sum(-1), 1)
    both = np.where(occurs, counts[..., 2], 0)
    precision = (both / np.maximum(counts[..., 0], 1)).sum(-1) / orders
    recall = (both / np.maximum(counts[..., 1], 1)).sum(-1) / orders
    return 100 * (1 + beta**2) * precision * recall / np.maximum(beta**2 * precision + recall, 1e-16)


def chrf(hypotheses, references):
    """chrF of a corpus, 0 to 100."""
    return float(chrf_of(sum(chrf_counts(h, r) for h, r in zip(hypotheses, references, strict=True))))


def references(domain):
    """The test strings of a domain: always the same N_TEST pairs."""
    return rows("test", domain, N_TEST)


def interval(a, b, domains, *, samples=400, seed=0):
    """chrF of a minus chrF of b, as the mean of domains, with a 95% interval that counts seeds and strings as samples.

    a, b    : lists, one a seed, of {domain: translations of its test strings}; b None: chrF of a itself
    returns : (estimate, low, high); ± t of seeds − 1 degrees of freedom, on the squared error between seeds plus that
              of strings drawn with replacement (those of one group together). Both hold some of the other's, so it errs
              on the wide side
    """
    from scipy import stats

    rng, scores = np.random.default_rng(seed), 0
    for domain in domains:
        frame = references(domain)
        codes = np.unique(frame["group"], return_inverse=True)[1]
        groups = codes.max() + 1
        draws = rng.multinomial(groups, np.full(groups, 1 / groups), samples)
        draws = np.vstack([np.ones(groups, int), draws])[:, codes]  # the first is the sample itself

        def drawn(arm, domain=domain, draws=draws, truth=tuple(frame["target"])):
            counts = [[chrf_counts(h, r) for h, r in zip(one[domain], truth, strict=True)] for one in arm]
            return chrf_of(np.einsum("dr,srok->dsok", draws, np.array(counts)))

        scores = scores + (drawn(a) - (drawn(b) if b is not None else 0)) / len(domains)
    estimate = scores[0].mean()
    error = np.sqrt(scores[0].var(ddof=1) / len(a) + scores[1:].mean(axis=1).var(ddof=1))
    half = stats.t.ppf(0.975, len(a) - 1) * error
    return float(estimate), float(estimate - half), float(estimate + half)
