"""scenarios.packing: rows that hold every example once, and losses that equal those of the texts alone."""

import keras
import numpy as np
import pytest

from helpers.scenarios import generation, packing


def test_packed_rows_hold_every_example_once_and_no_more_than_fits():
    lengths = np.random.default_rng(0).integers(1, 17, 200).tolist()
    rows = packing.pack(lengths, 16)
    assert sorted(i for row in rows for i in row) == list(range(200))
    held = [sum(lengths[i] for i in row) for row in rows]
    assert max(held) <= 16
    assert sum(n <= 8 for n in held) <= 1  # two half-empty rows would have been one
    assert packing.pack([], 16) == []
    with pytest.raises(ValueError, match="an example has 17 tokens and a row takes 16: shorten it"):
        packing.pack([3, 17], 16)


def test_packed_losses_are_those_of_the_whole_row_or_of_the_text_alone():
    keras.utils.set_random_seed(0)
    tiny = generation.gpt(12, context=16, width=8, depth=2, heads=2)
    first, second = [2, 5, 6, 7], [2, 9, 8, 3]
    ids, text = [*first, *second], np.repeat([0, 1], 4)
    whole = packing.packed_nats(tiny, ids, np.ones((8, 8), bool), np.arange(8))
    assert whole.sum() == pytest.approx(generation.losses(tiny, [(ids[:1], ids[1:])])[0][0], rel=1e-5)
    apart = packing.packed_nats(tiny, ids, text[:, None] == text, np.arange(8) - 4 * text)
    for alone, found in ((first, apart[:3]), (second, apart[4:])):
        assert found.sum() == pytest.approx(generation.losses(tiny, [(alone[:1], alone[1:])])[0][0], rel=1e-5)
    assert abs(whole[4:] - apart[4:]).max() > 1e-3  # without blocks the second text is another
