"""augmenting: what mixtures are made of, and repeats."""

import numpy as np
import pytest

from helpers.runner import studies

study = studies.module("augmenting")
LABELS = np.array([0, 1] * 6)


@pytest.mark.parametrize("near", [False, True])
def test_mixtures_name_the_rows_that_they_are_made_of(near):
    made, targets, parents = study.mixed(np.eye(12), LABELS, near, 3, seed=0)
    assert made.shape == (36, 12) and parents[:, 0].tolist() == 3 * list(range(12))
    np.testing.assert_allclose(targets, made @ np.eye(2)[LABELS])
    for row, pair in zip(made, parents, strict=True):
        assert set(np.nonzero(row)[0]) <= set(pair)
        assert not near or LABELS[pair[0]] == LABELS[pair[1]]
    assert near or (LABELS[parents[:, 0]] != LABELS[parents[:, 1]]).any()


def test_repeats_are_copies_with_nothing_changed():
    assert study.edited(["a b", "c"], "en", "repeats", 0.1, 2, 0) == ["a b", "a b", "c", "c"]
    assert study.edited(["a b"], "en", "swap", 0.1, 2, 0) == ["b a", "b a"]
