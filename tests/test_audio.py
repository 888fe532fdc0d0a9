"""Recordings: the loader against files written here, noise against its definition, the equations of notebook 13."""

import itertools

import jiwer
import keras
import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from helpers import audio, datasets
from helpers.datasets import DataError


@pytest.fixture
def folder(tmp_path):
    """Two recordings, one in two channels at 16 kHz, and their transcripts."""
    tone = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32) / 2
    soundfile.write(tmp_path / "a.wav", np.stack([tone, 0 * tone], axis=1), 16_000)
    soundfile.write(tmp_path / "b.flac", tone[:4000], 8_000)
    (tmp_path / "transcripts.csv").write_text("file,text,label\na.wav, Turn  Left,x\nb.flac,stop,y\n", encoding="utf8")
    return tmp_path


def test_recordings_come_in_one_rate_and_one_channel(folder):
    frame, waves = audio.read_recordings(folder)
    assert frame["text"].tolist() == ["turn left", "stop"] and frame["group"].tolist() == ["a.wav", "b.flac"]
    assert [len(wave) for wave in waves] == [8_000, 4_000] and {wave.dtype for wave in waves} == {np.dtype("float32")}
    strongest = np.abs(np.fft.rfft(waves[0])).argmax()
    assert strongest == 440 and np.abs(waves[0][1000:-1000]).max() == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("file,words\na.wav,stop\n", "no column 'text'"),
        ("file,text\na.wav,\n", "empty in data row 1"),
        ("file,text\nc.wav,stop\n", "c.wav, which is not in the folder"),
        ("file,text\ntranscripts.csv,stop\n", "cannot be read as sound"),
    ],
)
def test_bad_tables_are_refused_in_one_sentence(folder, table, says):
    (folder / "transcripts.csv").write_text(table, encoding="utf8")
    with pytest.raises(DataError, match=says):
        audio.read_recordings(folder)


def test_a_folder_without_a_table_is_refused(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        audio.read_recordings(tmp_path)


@pytest.fixture(scope="module")
def clips():
    return datasets.load("speech"), audio.load_audio()


def test_the_courses_clips(clips):
    table, waves = clips
    assert table["part"].value_counts().to_dict() == {"pool": 480, "test": 420, "words": 250, "valid": 96, "home": 50}
    assert table["samples"].tolist() == [len(wave) for wave in waves]
    peaks = np.array([np.abs(wave).max() for wave in waves])
    assert ((peaks > 0.85) & (peaks <= 0.91)).all()
    assert table["group"].str.startswith(table["label"].iloc[0]).any()
    assert all(voice.partition("+")[0] == accent for voice, accent in zip(table["group"], table["label"], strict=True))


def test_no_voice_and_no_phrase_stands_in_two_parts(clips):
    table = clips[0].query("part != 'words'")
    for column in ("group", "text"):
        assert (table.groupby(column)["part"].nunique() == 1).all()
    assert not table["text"].duplicated().any()


def test_a_damaged_sound_file_is_refused(tmp_path, monkeypatch):
    for path in datasets.DATA.glob("speech.*"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    raw = bytearray((tmp_path / "speech.flac").read_bytes())
    raw[5000] ^= 1
    (tmp_path / "speech.flac").write_bytes(raw)
    monkeypatch.setattr(datasets, "DATA", tmp_path)
    with pytest.raises(DataError, match="missing or damaged"):
        audio.load_audio()


@pytest.mark.parametrize("kind", ["white", "pink", "babble"])
def test_noise_has_power_one_and_its_seeds_noise(kind):
    voices = [np.random.default_rng(i).normal(size=500 + i).astype(np.float32) for i in range(3)]
    one, again, other = (audio.noise(kind, 4096, np.random.default_rng(s), voices=voices) for s in (0, 0, 1))
    assert np.mean(np.square(one)) == pytest.approx(1, rel=1e-4)
    assert (one == again).all() and np.abs(one - other).max() > 0.1


@pytest.mark.parametrize(("kind", "slope"), [("white", 0.0), ("pink", -1.0)])
def test_power_falls_with_frequency_as_named(kind, slope):
    rng = np.random.default_rng(0)
    power = np.mean([np.abs(np.fft.rfft(audio.noise(kind, 4096, rng))[1:-1]) ** 2 for _ in range(40)], axis=0)
    assert np.polyfit(np.log(np.arange(1, 2048)), np.log(power), 1)[0] == pytest.approx(slope, abs=0.05)


def test_unknown_noise_and_babble_of_nobody_are_refused():
    with pytest.raises(ValueError, match="white, pink or babble"):
        audio.noise("brown", 10, np.random.default_rng(0))
    with pytest.raises(ValueError, match="needs voices"):
        audio.noise("babble", 10, np.random.default_rng(0))


@pytest.mark.equation("13.1")
@given(st.floats(-20, 40), st.integers(0, 9))
def test_mixed_noise_has_the_level_asked_for(snr, seed):
    rng = np.random.default_rng(seed)
    wave, background = rng.normal(size=(2, 2000)) * [[0.3], [5.0]]
    added = audio.mix(wave, background, snr) - wave
    assert 10 * np.log10(np.var(wave) / np.mean(np.square(added))) == pytest.approx(snr, abs=0.05)
    assert audio.mix(np.array([3.0, -3.0]), np.array([1.0, 1.0]), 20) == pytest.approx([3.3, -2.7])  # a tenth of 3


def collapse(path):
    """Repeats joined, then blanks (0) dropped."""
    return tuple(symbol for symbol, _ in itertools.groupby(path) if symbol)


@pytest.mark.equation("13.2")
def test_ctc_sums_over_all_paths():
    by_hand = 0.6 * 0.5 + 0.6 * 0.5 + 0.4 * 0.5  # "a" in two frames: aa, a-, -a
    rows = np.array([[0.4, 0.6], [0.5, 0.5]])
    assert np.exp(-loss(rows, [1])) == pytest.approx(by_hand, rel=1e-5)
    rng = np.random.default_rng(0)
    rows = rng.dirichlet(np.ones(3), size=5)
    for target in [(1,), (1, 2), (1, 1), (2, 1, 2)]:
        paths = [path for path in itertools.product(range(3), repeat=5) if collapse(path) == target]
        total = sum(np.prod(rows[np.arange(5), path]) for path in paths)
        assert np.exp(-loss(rows, target)) == pytest.approx(total, rel=1e-4)


def loss(rows, target):
    """Keras's CTC loss of probabilities (frames, symbols)."""
    logits = np.log(rows)[None].astype("float32")
    found = keras.ops.ctc_loss(np.array([target]), logits, np.array([len(target)]), np.array([len(rows)]), mask_index=0)
    return float(found[0])


def edits(a, b):
    """The least number of replacements, deletions and insertions, by trying all."""
    if not a or not b:
        return len(a) + len(b)
    return min(edits(a[1:], b) + 1, edits(a, b[1:]) + 1, edits(a[1:], b[1:]) + (a[0] != b[0]))


@pytest.mark.equation("13.3")
@given(*[st.lists(st.sampled_from(["up", "on", "no"]), min_size=1, max_size=5)] * 2)
def test_word_error_rate(said, heard):
    assert jiwer.wer("turn off the light", "turn of light") == pytest.approx((1 + 1 + 0) / 4)
    assert jiwer.wer(" ".join(said), " ".join(heard)) == pytest.approx(edits(said, heard) / len(said))
