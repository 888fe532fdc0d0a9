"""Hear: load recordings with their transcripts, and mix noise into them at a stated level."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import datasets
from helpers.datasets import DataError

RATE = 8_000  # samples a second of the course's recordings


def load_audio(name="speech"):
    """The recordings of a data set, in the order of the rows of `datasets.load(name)`.

    returns : list of float32 arrays (samples,), values in −1 … 1, RATE samples a second
    errors  : DataError if the sound file is missing or its sha256 is not the one on the card
    """
    import soundfile

    card, table = datasets.card(name), datasets.load(name)
    path = datasets.DATA / card["audio"]
    if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != card["audio_sha256"]:
        raise DataError(f"data/{path.name} is missing or damaged: restore it with `git checkout -- data/{path.name}`")
    wave, _ = soundfile.read(path, dtype="float32")
    return [wave[start : start + count] for start, count in zip(table["start"], table["samples"], strict=True)]


def read_recordings(folder, table="transcripts.csv", *, rate=RATE):
    """Recordings of your own: a folder of .wav or .flac files and a CSV with the columns `file` and `text`.

    table   : the CSV's name; further columns are kept, and `label` (say, the accent) and `group` (the speaker) are
              what a split needs; a missing `group` becomes the file
    rate    : samples a second wanted; files of another rate are resampled, several channels become their mean
    returns : (DataFrame, list of float32 arrays), a row a recording, texts in lower case
    errors  : DataError, one sentence, for a missing folder, table, column, file or transcript, or a file of no sound
    """
    import soundfile
    from scipy.signal import resample_poly

    path = Path(folder) / table
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    for column in ("file", "text"):
        if column not in frame:
            raise DataError(f"{path.name} has no column {column!r}; its columns are {', '.join(frame.columns)}")
        if (empty := frame[column].str.strip().eq("")).any():
            raise DataError(f"{path.name}: {column!r} is empty in data row {int(np.argmax(empty)) + 1}")
    waves = []
    for file in frame["file"]:
        if not (Path(folder) / file).is_file():
            raise DataError(f"{path.name} names {file}, which is not in the folder")
        try:
            wave, found = soundfile.read(Path(folder) / file, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise DataError(f"{file} cannot be read as sound: {error}") from error
        if not len(wave):
            raise DataError(f"{file} holds no sound")
        common = np.gcd(found, rate)
        waves.append(resample_poly(wave.mean(axis=1), rate // common, found // common).astype(np.float32))
    frame["text"] = frame["text"].str.lower().str.split().str.join(" ")
    return frame.assign(group=frame.get("group", frame["file"])).rename_axis("row"), waves


def noise(kind, samples, rng, *, voices=()):
    """Background noise of mean power 1: "white", "pink" (power ∝ 1/frequency) or "babble" (eight voices at once).

    rng     : NumPy generator
    voices  : recordings that babble is mixed from, each repeated from a random place
    returns : float32 array (samples,)
    """
    if kind == "white":
        wave = rng.normal(size=samples)
    elif kind == "pink":
        spectrum = np.fft.rfft(rng.normal(size=samples))
        wave = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)), n=samples)
    elif kind == "babble":
        if not len(voices):
            raise ValueError("babble needs voices: recordings to mix")
        chosen = [voices[i] for i in rng.integers(len(voices), size=8)]
        wave = sum(np.resize(np.roll(voice, rng.integers(len(voice))), samples) for voice in chosen)
    else:
        raise ValueError(f"noise is white, pink or babble, got {kind!r}")
    return (wave / np.sqrt(np.mean(np.square(wave)))).astype(np.float32)


def mix(wave, background, snr):
    """A recording with noise, 10·log10(power of the recording / power of the noise) = snr decibels.

    wave, background : float arrays of one length, of powers above 0
    snr              : decibels; 0 is as loud as the voice, 20 a tenth of its amplitude

    >>> round(float(mix(np.array([3.0, -3.0]), np.array([1.0, 1.0]), 0)[0]), 6)
    6.0
    """
    power = np.mean(np.square(wave)) / np.mean(np.square(background))
    return (wave + background * np.sqrt(power / 10 ** (snr / 10))).astype(np.float32)
