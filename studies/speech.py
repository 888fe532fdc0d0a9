"""Which recordings to fine-tune a speech recogniser on: accents, speeds, noise, wrong transcripts.

Questions  : settings  Which learning rate and number of epochs? Judged on voices that no other question reads.
                       Six settings were tried before the other questions; the best of them, a corner of the table, is
                       what all arms have. Four more lie beyond the corner.
             variety   96 or 48 clips: one accent at one speed in quiet, or various ones; drawn at random from the pool
                       as it was collected, drawn evenly (stratified), or those that the pretrained model finds hardest.
             noisy     The same clips with noise in half of them, in none, in all; or the quiet half alone.
             wrong     A fifth of the transcripts belongs to another clip: kept, removed, looked for by the loss of the
                       pretrained model, or never there.
Prediction : Varied clips beat uniform ones by far, accents more than speeds. An even draw beats a random one on rare
             accents and speeds alone. Noisy clips help in noise and hardly hurt in quiet: to remove them costs words.
             Wrong transcripts cost two points or more; the loss finds most of them.
Fair       : all arms start from the same weights, see the same number of clips (but "the quiet half", "removed" and
             "found", which are what is left after removal) and as many epochs; within a seed the arms of noisy and of
             wrong share their clips. Test voices, phrases and babble are never trained on. Test noise is the same
             for every arm.
"""

import time

import keras
import numpy as np

from helpers.runner.studies import pack, unpack
from helpers.scenarios import speech

DATA = ["speech"]
COMMON, NORMAL = "en", 175  # the accent of half of the pool; words a minute, neither slow nor fast
NOISY, WRONG = 0.5, 0.2
ARMS = {
    "variety": ["uniform", "stratified", "random", "hardest", "accents", "speeds", "noise"],
    "noisy": ["kept", "removed", "the quiet half", "all noisy"],
    "wrong": ["kept", "removed", "found", "never there"],
}
GRID = [
    dict(zip(("question", "method", "n", "rate", "epochs", "seed"), cell, strict=True))
    for cell in [
        *(
            ("settings", "random", 96, rate, epochs, seed)
            for rate in (1e-3, 3e-4, 1e-4)
            for epochs in (10, 25)
            for seed in (100, 101)
        ),
        ("variety", "untuned", 0, 0.0, 0, 0),
        *(
            (question, method, 96, 1e-3, 25, seed)
            for seed in range(5)
            for question, methods in ARMS.items()
            for method in methods
        ),
        *(("variety", method, 48, 1e-3, 25, seed) for seed in range(5) for method in ARMS["variety"][:3]),
        *(("variety", "whole pool", 480, 1e-3, 25, seed) for seed in range(5)),
        *(
            ("settings", "random", 96, rate, epochs, seed)
            for rate, epochs in ((1e-3, 50), (3e-3, 10), (3e-3, 25), (3e-3, 50))
            for seed in (100, 101)
        ),
    ]
]


def even(rows, keys, n, rng):
    """n of the rows, as evenly from the kinds in `keys` as they allow, at random within a kind."""
    drawn = rng.permutation(len(rows))
    keys = np.asarray(keys)[drawn]
    turn = np.zeros(len(rows), int)
    for key in np.unique(keys):
        turn[keys == key] = np.arange((keys == key).sum())
    return rows[drawn[np.argsort(turn, kind="stable")[:n]]]


def chosen(question, method, n, seed):
    """What an arm trains on: row numbers, levels of noise (None: quiet), transcripts, share of wrong ones caught."""
    table, rng = speech.clips()[0], np.random.default_rng([seed, 1])
    pool, texts = speech.part("pool"), table["text"].to_numpy().copy()
    noisy = np.random.default_rng([seed, 2]).permutation(len(table)) < NOISY * len(table)  # as collected
    one = pool[(table["label"].iloc[pool] == COMMON) & (table["speed"].iloc[pool] == NORMAL)]
    caught = np.nan
    if question == "variety" and method in ("uniform", "accents", "speeds", "noise"):
        noisy &= method == "noise"
        if method == "accents":
            rows = pool[table["speed"].iloc[pool] == NORMAL]
            rows = even(rows, table["label"].iloc[rows], n, rng)
        elif method == "speeds":
            rows = pool[table["label"].iloc[pool] == COMMON]
            rows = even(rows, table["speed"].iloc[rows], n, rng)
        else:
            rows = rng.permutation(one)[:n]
    elif method == "stratified":
        kinds = table["label"].iloc[pool] + table["speed"].iloc[pool].astype(str) + noisy[pool].astype(str)
        rows = even(pool, kinds, n, rng)
    elif method == "hardest":
        rows = pool[np.argsort(-hardness(pool, noisy, texts, seed), kind="stable")[:n]]
    else:
        rows = rng.permutation(pool)[:n]
    if question == "noisy":
        noisy = {"removed": noisy & False, "all noisy": noisy | True}.get(method, noisy)
        rows = rows[~noisy[rows]] if method == "the quiet half" else rows
    if question == "wrong" and method != "never there":
        wrong = rng.permutation(rows)[: round(WRONG * n)]
        texts[wrong] = texts[np.roll(wrong, 1)]
        if method == "found":
            out = rows[np.argsort(-hardness(rows, noisy, texts, seed), kind="stable")[: len(wrong)]]
            caught = np.isin(wrong, out).mean()
        out = {"kept": [], "removed": wrong}.get(method, out if method == "found" else [])
        rows = rows[~np.isin(rows, out)]
    return rows, *collected(rows, noisy, seed), texts[rows], caught


def hardness(rows, noisy, texts, seed):
    """CTC loss a letter of rows as collected, under the pretrained model; texts: a transcript of every row there is."""
    frames = speech.features(speech.with_noise(rows, *collected(rows, noisy, seed), seed))
    return speech.losses(speech.pretrained(), frames, texts[rows])


def collected(rows, noisy, seed):
    """Level (0 to 15 dB, or None) and kind of noise of rows; they depend on row and seed alone."""
    levels, kinds = [], []
    for row in rows:
        rng = np.random.default_rng([seed, row, 3])
        level, kind = rng.uniform(0, 15), speech.KINDS[rng.integers(2)]
        levels.append(level if noisy[row] else None)
        kinds.append(kind)
    return levels, kinds


def figures(row):
    """What follows from the errors in each clip: word error rates."""
    on = speech.part("valid" if row["question"] == "settings" else "test")
    said = speech.clips()[0]["text"].iloc[on].str.split().str.len().sum()
    return {level: unpack(row[f"errors {level}"], on).sum() / said for level in speech.LEVELS}


def run(question, method, n, rate, epochs, seed):
    start, caught = time.monotonic(), np.nan
    keras.utils.set_random_seed(seed)
    model, trained_on = speech.pretrained(), 0
    if n:
        rows, levels, kinds, texts, caught = chosen(question, method, n, seed)
        frames = speech.features(speech.with_noise(rows, levels, kinds, seed))
        speech.fine_tune(model, frames, texts, rate=rate, epochs=epochs, seed=seed)
        trained_on = len(rows)
    result = {"trained_on": trained_on, "caught": caught}
    on = "valid" if question == "settings" else "test"
    for level in speech.LEVELS:
        frames, texts = speech.judged(on, level)
        errors, said = speech.word_errors(texts, speech.transcribe(model, frames))
        result |= {level: errors.sum() / said.sum(), f"errors {level}": pack(errors, speech.part(on))}
    keras.backend.clear_session()
    speech.mel_layer.cache_clear()
    return {**result, "seconds": round(time.monotonic() - start, 1)}
