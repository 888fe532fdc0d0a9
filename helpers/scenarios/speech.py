"""A small recogniser of spoken commands: its clips and frames, CTC training, decoding with a lexicon, and word errors.

Notebook 13 teaches it, `studies/speech.py` compares sets of clips with it, `data/pretrain_speech.py` made its weights.
"""

import hashlib
from functools import cache

import keras
import numpy as np
from keras import layers, ops

from helpers import audio, datasets

WEIGHTS = datasets.DATA / "weights" / "speech.safetensors"
SHA256 = "713324484488f1084093e9657ca5dcc1778ad776efdf08717137c8ac9397fcc4"  # of the weights
ALPHABET = " abcdefghijklmnopqrstuvwxyz"  # number 0 is the blank, so the space is 1
BINS, WINDOW, HOP = 40, 256, 64  # mel bins; samples a window (32 ms) and from one to the next (8 ms)
LEVELS = {"quiet": None, "10 dB": 10.0, "0 dB": 0.0}
KINDS = ["white", "pink", "babble"]  # the third is not in any training clip
PENALTY = 6.0  # nats a further word costs: the best of 0, 2, 4 and 6 on the validation voices, untuned, all levels


# ---- clips ----------------------------------------------------------------------------------------------------------


@cache
def clips():
    """The table and its recordings."""
    return datasets.load("speech"), audio.load_audio("speech")


def part(name):
    """Row numbers of a part of the table."""
    return np.flatnonzero(clips()[0]["part"] == name)


def with_noise(rows, levels, kinds, seed):
    """Recordings with noise; a level of None leaves one quiet. The noise of a row depends on row and seed alone."""
    table, waves = clips()
    voices, found = [waves[i] for i in part("home")], []
    for row, level, kind in zip(rows, levels, kinds, strict=True):
        wave = waves[row]
        if level is not None:
            rng = np.random.default_rng([seed, row])
            wave = audio.mix(wave, audio.noise(kind, len(wave), rng, voices=voices), level)
        found.append(wave)
    return found


@cache
def judged(name, level):
    """Features of a part to be judged on, at one level of noise, the kinds of noise in turn; its texts."""
    rows = part(name)
    kinds = [KINDS[i % 3] for i in range(len(rows))]
    return features(with_noise(rows, [LEVELS[level]] * len(rows), kinds, 12345)), clips()[0]["text"].iloc[rows].tolist()


# ---- frames ---------------------------------------------------------------------------------------------------------


@cache
def mel_layer():
    """Keras's layer: waveforms (clips, samples) → log-mel energies in decibels (clips, BINS, frames).

    The floor is a fixed power; the layer's own (`top_db`) is relative to the loudest point of the batch, so that
    a clip's features would depend on its neighbours.
    """
    return layers.MelSpectrogram(
        fft_length=WINDOW, sequence_stride=HOP, sequence_length=WINDOW, sampling_rate=audio.RATE, num_mel_bins=BINS,
        min_freq=60, max_freq=3800, min_power=1e-4, top_db=np.inf,
    )  # fmt: skip


def features(waves):
    """Log-mel frames of each recording, less their mean and over their deviation: list of float32 (frames, BINS)."""
    found = [None] * len(waves)
    order = np.argsort([len(wave) for wave in waves], kind="stable")
    for at in range(0, len(order), 64):
        rows = order[at : at + 64]
        batch = np.asarray(mel_layer()(padded([waves[i] for i in rows], 4096)))  # few lengths: each is compiled anew
        for row, bins in zip(rows, batch, strict=True):
            frames = bins.T[: 1 + len(waves[row]) // HOP]
            found[row] = ((frames - frames.mean(axis=0)) / (frames.std(axis=0) + 1e-3)).astype(np.float32)
    return found


def warp(frames, rng):
    """A clip as another mouth might have said it: bands and time stretched, some of both hidden.

    Bands by up to 15 %, time by −10 to +20 %; up to 7 frames and twice up to 5 bands are hidden.

    frames : float32 array (T, BINS); returned with another T
    source : Jaitly and Hinton 2013, "Vocal tract length perturbation"; Park et al. 2019, "SpecAugment"
    """
    bands = np.clip(np.arange(BINS) * rng.uniform(0.85, 1.15), 0, BINS - 1)
    times = np.linspace(0, len(frames) - 1, round(len(frames) * rng.uniform(0.9, 1.2)))
    for axis, places in enumerate((times, bands)):
        low = np.minimum(places.astype(int), frames.shape[axis] - 2)
        part = np.expand_dims(places - low, 1 - axis).astype(np.float32)
        frames = np.take(frames, low, axis) * (1 - part) + np.take(frames, low + 1, axis) * part
    for axis, longest in ((0, 8), (1, 6), (1, 6)):
        begin = rng.integers(frames.shape[axis])
        hidden = slice(begin, begin + rng.integers(longest))
        frames[(hidden, slice(None))[axis], (slice(None), hidden)[axis]] = 1e-3  # not 0, which is padding
    return frames


def padded(arrays, multiple):
    """Arrays (length, …) as one, zeros behind the shorter ones, its length a multiple."""
    longest = -(-max(map(len, arrays)) // multiple) * multiple
    return np.stack([np.pad(one, [(0, longest - len(one)), *[(0, 0)] * (one.ndim - 1)]) for one in arrays])


# ---- model and training ---------------------------------------------------------------------------------------------


def build_model(width=128, dilations=(1, 2, 4, 1, 2, 4)):
    """Convolutions over log-mel frames: (clips, frames, BINS) → logits (clips, ⌈frames/2⌉, 28).

    A frame of zeros is padding; there the logits say blank, so that padding adds nothing to the loss.
    """
    frames = keras.Input((None, BINS))
    sound = SoundMask()(frames)
    x = layers.Conv1D(width, 5, strides=2, padding="same", activation="relu")(frames)
    for dilation in dilations:
        y = layers.Multiply()([layers.LayerNormalization()(x), sound])  # zeros, as behind the end of a clip alone
        y = layers.SeparableConv1D(width, 7, dilation_rate=dilation, padding="same", activation="relu")(y)
        y = layers.Conv1D(width, 1)(layers.Dropout(0.1)(y))
        x = layers.Add()([x, y])
    logits = layers.Dense(len(ALPHABET) + 1)(layers.LayerNormalization()(x))
    return keras.Model(frames, BlankInPadding()([logits, sound]))


class SoundMask(layers.Layer):
    """1 for every second frame that holds sound, 0 for padding: (clips, ⌈frames/2⌉, 1)."""

    def call(self, frames):
        return ops.cast(ops.any(ops.not_equal(frames[:, ::2], 0), axis=-1, keepdims=True), "float32")


class BlankInPadding(layers.Layer):
    """Logits where there is sound, and a certain blank elsewhere."""

    def call(self, inputs):
        logits, sound = inputs
        blank = ops.one_hot(ops.zeros_like(logits[:, :, 0], "int32"), logits.shape[-1]) * 40.0 - 20.0
        return logits * sound + blank * (1 - sound)


def pretrained():
    """The recogniser with the weights that the project trained on one voice."""
    import safetensors.numpy

    if not WEIGHTS.exists() or hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() != SHA256:
        raise datasets.DataError("data/weights/speech.safetensors is not the pinned file: restore it with git")
    model = build_model()
    stored = safetensors.numpy.load_file(WEIGHTS)
    model.set_weights([stored[f"{i:03}"].astype(np.float32) for i in range(len(stored))])
    return model


def encode(text):
    """Numbers of the letters, from 1."""
    return [ALPHABET.index(letter) + 1 for letter in text]


def ctc(letters, logits):
    """Mean CTC loss of a batch; letters (clips, longest) end in zeros."""
    frames = ops.full(ops.shape(logits)[:1], ops.shape(logits)[1], dtype="int32")
    count = ops.sum(ops.cast(ops.not_equal(letters, 0), "int32"), axis=1)
    return ops.ctc_loss(ops.cast(letters, "int32"), logits, count, frames, mask_index=0)


def one_epoch(model, frames, texts, size, rng, change=None):
    """Train on batches of clips of like length, in a new order; returns the mean loss.

    change : function of (frames, rng), applied to each clip each time it is seen, such as `warp`

    A loop of its own, because `fit` wants every batch of a generator as long as the first ones.
    """
    if change:
        frames = [change(one, rng) for one in frames]
    order = np.argsort([len(one) * rng.uniform(0.9, 1.1) for one in frames], kind="stable")
    model.reset_metrics()
    for at in size * rng.permutation(-(-len(order) // size)):
        rows = order[at : at + size]
        letters = padded([np.array(encode(texts[i])) for i in rows], 1)
        loss = model.train_on_batch(padded([frames[i] for i in rows], 32), letters)
    return float(loss)


def fine_tune(model, frames, texts, *, rate, epochs, seed):
    """Train all weights by Adam with a cosine schedule on CTC loss; the model is changed and returned."""
    rng, size = np.random.default_rng(seed), 8
    schedule = keras.optimizers.schedules.CosineDecay(rate, epochs * -(-len(frames) // size))
    model.compile(keras.optimizers.Adam(schedule, clipnorm=1.0), loss=ctc, jit_compile=False)
    for _ in range(epochs):
        one_epoch(model, frames, texts, size, rng)
    return model


# ---- what is heard --------------------------------------------------------------------------------------------------


def in_order(model, frames, size=32):
    """(row numbers, logits) of batches of like length."""
    order = np.argsort([len(one) for one in frames], kind="stable")
    for at in range(0, len(order), size):
        rows = order[at : at + size]
        yield rows, np.asarray(model(padded([frames[i] for i in rows], 32), training=False))


def decode(logits):
    """Text of each clip: the best symbol of every frame, repeats joined, blanks dropped; several spaces become one.

    logits : array (clips, frames, 28)
    """
    count = np.full(len(logits), logits.shape[1])
    (found, *_), _ = ops.ctc_decode(logits, count, strategy="greedy", mask_index=0)
    texts = ["".join(ALPHABET[number - 1] for number in row if number > 0) for row in np.asarray(found)]
    return [" ".join(text.split()) for text in texts]


@cache
def lexicon():
    """The words of the commands, in alphabetical order: all that a clip can hold."""
    table = clips()[0]
    return sorted(set(table.loc[table["part"] == "words", "text"]))


def spell(logits, words=None, penalty=PENALTY):
    """Text of each clip: the sequence of words whose letters are likeliest, every word taken from a lexicon.

    logits  : array (clips, frames, 28)
    words   : the lexicon; penalty : nats that a further word costs
    One pass over the frames. A word is a row of states: blank or space, its letters, a blank behind each. At every
    frame a state stays, goes on by one, or skips the blank between two letters that differ; behind the end of a word
    any word may begin, without a blank between its first letter and the last of the word before, even if they are the
    same. This is the best path, not the sum over paths.
    source  : Ney 1984 for the pass; Graves et al. 2006, §3.2, for paths and a dictionary
    """
    words = lexicon() if words is None else words
    numbers = [[1, *(n for letter in encode(word) for n in (letter, 0))] for word in words]
    symbol, word = np.concatenate(numbers), np.repeat(np.arange(len(words)), [len(one) for one in numbers])
    first = np.flatnonzero(np.r_[True, word[1:] != word[:-1]])
    ends = np.r_[first[1:], len(word)] - 1
    ends = np.r_[ends - 1, ends]  # the last letter, or the blank behind it
    skips = np.r_[False, False, (symbol[2:] != 0) & (symbol[2:] != symbol[:-2])]
    skips[np.r_[first, first + 1]] = False
    scores = np.asarray(ops.log_softmax(logits))
    emitted = scores[..., symbol]
    emitted[..., first] = np.logaddexp(scores[..., 0], scores[..., 1])[..., None]
    clip = np.arange(len(scores))
    total = np.full((len(scores), len(symbol)), -np.inf, np.float32)
    entered, finished, best = np.zeros(total.shape, int), [], np.zeros(len(scores))
    for t in range(scores.shape[1]):
        ways = np.full((3, *total.shape), -np.inf, np.float32)
        begun = np.zeros(ways.shape, int)
        ways[0], ways[1, :, 1:], ways[2, :, 2:] = total, total[:, :-1], total[:, :-2]
        begun[0], begun[1, :, 1:], begun[2, :, 2:] = entered, entered[:, :-1], entered[:, :-2]
        ways[2, :, ~skips] = -np.inf
        for way, states in ((1, first), (2, first + 1)):  # a word begins, with or without a space
            ways[way][:, states], begun[way][:, states] = (best - penalty)[:, None], t
        way = ways.argmax(axis=0)
        total, entered = ways.max(axis=0) + emitted[:, t], np.choose(way, begun)
        last = ends[total[:, ends].argmax(axis=1)]
        best = total[clip, last]
        finished.append((word[last], entered[clip, last]))
    texts = []
    for row in clip:
        heard, t = [], len(finished) - 1
        while t >= 0:
            number, begin = (found[row] for found in finished[t])
            heard.append(words[number])
            t = begin - 1
        texts.append(" ".join(reversed(heard)))
    return texts


def transcribe(model, frames, read=spell):
    """What the model hears in each clip; read : `spell`, or `decode`, which knows no words."""
    texts = [""] * len(frames)
    for rows, logits in in_order(model, frames):
        for row, text in zip(rows, read(logits), strict=True):
            texts[row] = text
    return texts


def match(frames, templates, words, penalty):
    """Words of a clip by matching templates of single words, as in the 1980s: one-pass dynamic time warping.

    frames    : float array (T, BINS); templates : list of such arrays, of 2 frames or more; words : the word of each
    penalty   : cost of beginning a word, in units of the distance between two frames
    Each frame of the clip is matched with one of a template, which then stays, goes on by one or skips one.
    source    : Ney 1984, "The use of a one-stage dynamic programming algorithm for connected word recognition"
    """
    states = np.concatenate(templates)
    ends = np.cumsum([len(one) for one in templates]) - 1
    starts = np.r_[0, ends[:-1] + 1]
    costs = np.sqrt(np.maximum((frames**2).sum(1)[:, None] + (states**2).sum(1) - 2 * frames @ states.T, 0))
    total = np.full(len(states), np.inf)
    total[starts] = costs[0, starts] + penalty
    entered, finished, best = np.zeros(len(states), int), [], np.inf
    for t, cost in enumerate(costs):
        if t:
            ways = np.full((3, len(states)), np.inf)
            ways[0], ways[1, 1:], ways[2, 2:] = total, total[:-1], total[:-2]
            ways[1, starts], ways[2, starts], ways[2, starts + 1] = best + penalty, np.inf, np.inf
            way = ways.argmin(axis=0)
            begun = (way == 1) & np.isin(np.arange(len(states)), starts)
            entered = np.where(begun, t, entered[np.maximum(np.arange(len(states)) - way, 0)])
            total = ways.min(axis=0) + cost
        last = ends[total[ends].argmin()]
        best = total[last]
        finished.append((words[np.searchsorted(ends, last)], entered[last]))
    heard, t = [], len(costs) - 1
    while t >= 0:
        word, begin = finished[t]
        heard.append(word)
        t = begin - 1
    return " ".join(reversed(heard))


# ---- measures -------------------------------------------------------------------------------------------------------


def losses(model, frames, texts):
    """CTC loss of each clip, a letter."""
    found = np.zeros(len(frames))
    for rows, logits in in_order(model, frames):
        letters = [np.array(encode(texts[i])) for i in rows]
        found[rows] = np.asarray(ctc(padded(letters, 1), logits)) / [len(one) for one in letters]
    return found


def word_errors(texts, heard):
    """Words to replace, delete and insert in each clip, counted by jiwer, and words said: two int arrays."""
    import jiwer

    counted = [jiwer.process_words(text, other) for text, other in zip(texts, heard, strict=True)]
    errors = [one.substitutions + one.deletions + one.insertions for one in counted]
    return np.array(errors), np.array([len(text.split()) for text in texts])


def difference(a, b, said, voices, *, resamples=2000):
    """Word error rate of arm a less that of arm b, with a 95 % bootstrap interval over seeds and voices.

    a, b   : int arrays (seeds, clips), the same seeds and clips
    said   : words of each clip; voices : voice of each clip
    returns: (effect, low, high)
    """
    names, voice = np.unique(voices, return_inverse=True)
    members = np.eye(len(names))[voice]
    gaps, words = (np.asarray(a) - np.asarray(b)) @ members, np.asarray(said) @ members
    rng, found = np.random.default_rng(0), []
    for _ in range(resamples):
        seeds, drawn = rng.integers(len(gaps), size=len(gaps)), rng.integers(len(names), size=len(names))
        found.append(gaps[seeds][:, drawn].mean(axis=0).sum() / words[drawn].sum())
    return gaps.mean(axis=0).sum() / words.sum(), *np.quantile(found, [0.025, 0.975])
