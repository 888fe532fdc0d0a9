"""scenarios.outlook: ranks of secrets, and two towers that see what they are told to and learn it."""

import numpy as np
import pytest

from helpers.scenarios import outlook


def test_a_rank_is_the_place_among_all_candidates():
    alphabet = outlook.alphabet_of(["anna has qq"])
    size = len(alphabet)
    table = np.random.default_rng(0).normal(size=(size, size)).astype("float32")  # next character by the last alone

    def model(ids, training):
        return table[ids]

    log_p = table - np.log(np.exp(table).sum(axis=1, keepdims=True))
    candidates = np.array([outlook.ids(alphabet, str(number)) for number in range(10_000, 20_000)])
    scores = sum(log_p[candidates[:, place], candidates[:, place + 1]] for place in range(4))
    order = np.argsort(-scores, kind="stable")
    for place in (0, 17, 4_321):
        assert outlook.ranks(model, alphabet, "anna", 10_000 + int(order[place])) == pytest.approx(
            place + 1, abs=3
        )  # near ties


@pytest.mark.parametrize(
    ("sees", "words", "sound"), [("words", True, False), ("sound", False, True), ("both", True, True)]
)
def test_towers_see_what_they_are_told_to(sees, words, sound):
    model = outlook.two_towers(sees, 2)
    rng = np.random.default_rng(0)
    text = rng.integers(1, 28, (2, 1, 32))
    frames = rng.normal(size=(2, 1, 60, 40)).astype("float32")

    def answer(which_text, which_frames):
        return np.asarray(model([text[which_text], frames[which_frames]], training=False))

    assert (np.abs(answer(0, 0) - answer(1, 0)).max() > 1e-6) == words
    assert (np.abs(answer(0, 0) - answer(0, 1)).max() > 1e-6) == sound


@pytest.mark.parametrize(("sees", "seed"), [("words", 0), ("sound", 1)])
def test_towers_learn_from_either_side(sees, seed):
    """One letter and one band of sound each name the class: a loss of .0, where chance is .69."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 96)
    text = np.where(rng.random((96, 32)) < 0.5, 3 + y[:, None], 1).astype("int32")
    frames = rng.normal(size=(96, 30, 40)).astype("float32")
    frames[:, :, 0] += 4 * y[:, None]
    model = outlook.train_towers(sees, [text, frames], y, epochs=8, seed=seed)
    found = model.predict([text, frames], verbose=0)
    assert -np.log(found[np.arange(96), y]).mean() < 0.3
