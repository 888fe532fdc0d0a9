"""scenarios.speech: padding, decoding, spelling, templates, counting of errors and intervals; frames and weights."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from helpers.scenarios import speech


@pytest.fixture(scope="module")
def model():
    return speech.build_model(width=8, dilations=(1, 2))


def test_padding_changes_neither_logits_nor_loss(model):
    frames = np.random.default_rng(0).normal(size=(1, 40, speech.BINS)).astype(np.float32)
    longer = np.pad(frames, [(0, 0), (0, 24), (0, 0)])
    short, long = (np.asarray(model(one, training=False)) for one in (frames, longer))
    assert (long[:, 20:].argmax(axis=-1) == 0).all()
    letters = np.array([speech.encode("up")])
    assert speech.ctc(letters, short)[0] > 1
    np.testing.assert_allclose(long[:, :20], short, atol=1e-4)
    assert float(speech.ctc(letters, long)[0]) == pytest.approx(float(speech.ctc(letters, short)[0]), abs=1e-2)


def test_decoding_joins_repeats_and_drops_blanks():
    path = speech.encode("oo") + [0] + speech.encode("on  ") + [0] + speech.encode(" up") + [0]
    assert speech.decode(np.eye(28, dtype=np.float32)[path][None] * 9) == ["oon up"]


def test_spelling_finds_the_likeliest_words_of_the_lexicon():
    words = ["no", "on", "off", "up"]
    path = [0, *speech.encode("oo"), 0, *speech.encode("n  "), 0, *speech.encode("uf"), 0, *speech.encode("f")]
    logits = np.eye(28, dtype=np.float32)[path][None] * 9
    assert speech.decode(logits) == ["on uff"]
    assert speech.spell(logits, words, penalty=2.0) == ["on off"]
    assert speech.spell(np.repeat(logits, 2, axis=1), words, penalty=2.0) == ["on off"]  # said at half the speed
    assert len(speech.spell(logits, words, penalty=1e4)[0].split()) == 1


def best_path(scores, said, penalty):
    """The likeliest path through the states of these words, found by trying all."""
    states, joins = [], {}
    for word in said:
        begin = len(states)
        states.append(None)
        for letter in speech.encode(word):
            states += [letter, 0]
        for at in range(begin, len(states)):
            joins[at] = [at, at - 1] if at > begin else [at]
            if states[at] and at > begin + 2 and states[at] != states[at - 2]:
                joins[at].append(at - 2)
            if at - begin < 2:  # a word begins, with or without its space, behind the last letter or the last blank
                joins[at] += [begin - 1, begin - 2] if begin else []
    emit = [np.logaddexp(scores[:, 0], scores[:, 1]) if one is None else scores[:, one] for one in states]
    best = -np.inf
    for path in itertools.product(range(len(states)), repeat=len(scores)):
        whole = path[0] < 2 and path[-1] >= len(states) - 2
        if whole and all(before in joins[at] for before, at in itertools.pairwise(path)):
            best = max(best, sum(emit[at][t] for t, at in enumerate(path)) - penalty * len(said))
    return best


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("penalty", [0.5, -2.0])  # the second makes two words of what is one under the first
def test_spelling_is_the_best_of_all_paths(seed, penalty):
    words = ["no", "on", "oo"]
    logits = np.random.default_rng(seed).normal(size=(1, 4, 28)).astype(np.float32)
    logits[..., [0, 1, *speech.encode("no")]] += 3
    scores = np.asarray(ops.log_softmax(logits))[0]
    rows = [said for count in (1, 2) for said in itertools.product(words, repeat=count)]
    found = {" ".join(said): best_path(scores, said, penalty) for said in rows}
    assert speech.spell(logits, words, penalty=penalty) == [max(found, key=found.get)]


@pytest.mark.parametrize("seed", range(2))
def test_training_learns_to_spell_what_it_heard_from_any_start(seed):
    said = ["on", "no", "up"]
    sounds = np.random.default_rng(seed).normal(size=(28, speech.BINS)).astype(np.float32)
    frames = [np.repeat(sounds[speech.encode(text)], 6, axis=0) for text in said]
    keras.utils.set_random_seed(seed)
    model = speech.build_model(width=16, dilations=(1,))
    before = speech.losses(model, frames, said).sum()
    speech.fine_tune(model, frames, said, rate=1e-2, epochs=60, seed=seed)
    assert speech.losses(model, frames, said).sum() < 0.1 * before  # .002 to .004 over six starts
    assert speech.transcribe(model, frames, speech.decode) == said


def test_warped_clips_keep_their_shape_but_for_time():
    rng = np.random.default_rng(0)
    frames = rng.normal(size=(200, speech.BINS)).astype(np.float32)
    lengths = {len(speech.warp(frames, rng)) for _ in range(50)}
    assert min(lengths) < 190 and max(lengths) > 220 and min(lengths) >= 180 and max(lengths) <= 240
    warped = speech.warp(frames, rng)
    assert warped.dtype == np.float32 and np.isfinite(warped).all() and not (warped == 0).all(axis=1).any()


def test_errors_are_counted_by_clip():
    errors, said = speech.word_errors(["turn off the light", "stop"], ["turn of light", ""])
    assert errors.tolist() == [2, 1] and said.tolist() == [4, 1]


def test_templates_are_found_however_fast_they_are_said():
    rng = np.random.default_rng(0)
    templates, words = [rng.normal(size=(length, 5)) for length in (6, 8, 7)], ["up", "on", "no"]
    slow, fast = np.repeat(templates[1], 2, axis=0), templates[2][::2]
    said = np.concatenate([slow, fast, templates[0]]) + 0.01 * rng.normal(size=(16 + 4 + 6, 5))
    assert speech.match(said, templates, words, 1.0) == "on no up"


def test_features_do_not_depend_on_the_other_clips():
    waves = [np.random.default_rng(i).normal(size=3000 + 500 * i).astype(np.float32) * 10**-i for i in range(3)]
    together = speech.features(waves)
    for wave, frames in zip(waves, together, strict=True):
        np.testing.assert_allclose(speech.features([wave])[0], frames, atol=1e-3)
        assert frames.shape == (1 + len(wave) // speech.HOP, speech.BINS)


def test_an_interval_covers_seeds_and_voices():
    a, b = np.full((5, 60), 2), np.full((5, 60), 1)
    assert speech.difference(a, b, np.full(60, 4), np.repeat(np.arange(6), 10)) == pytest.approx((0.25, 0.25, 0.25))
    a[:, :10] = 8  # one voice is far worse
    effect, low, high = speech.difference(a, b, np.full(60, 4), np.repeat(np.arange(6), 10))
    assert effect == pytest.approx(0.5) and low == pytest.approx(0.25) and high > 0.9


def test_weights_load_and_beat_chance():
    frames, texts = speech.judged("home", "quiet")
    errors, said = speech.word_errors(texts, speech.transcribe(speech.pretrained(), frames))
    assert errors.sum() / said.sum() < 0.2  # one word always guessed: 0.98 or more
