"""The study of retrieval: what is drawn and planted."""

import numpy as np
import pandas as pd
import pytest

from helpers.runner import studies

study = studies.module("retrieval")


def test_packages_stand_in_one_part_each_and_none_of_keras_in_two():
    groups = {name: set(rows["group"]) for name, rows in study.parts().items()}
    assert len(set.union(*groups.values())) == sum(map(len, groups.values())) == 16
    assert {"keras", "keras-hub"} <= groups["test"]
    assert study.parts()["test"]["group"].value_counts().max() == study.TEST_ROWS


@pytest.mark.parametrize("arm", study.ARMS)
def test_every_arm_draws_as_many_pairs_and_the_same_ones_again(arm):
    rows = study.draw(arm, 64, seed=3)
    assert len(rows) == 64
    pd.testing.assert_frame_equal(rows, study.draw(arm, 64, seed=3))
    assert set(rows["group"].value_counts()) == {64 // (study.FEW if arm == "few packages" else 8)}


def test_swapped_answers_are_the_stated_share_and_none_is_lost():
    rows = study.draw("random", 200, 0)
    swapped = study.swap(rows, 0.2, np.random.default_rng(1))
    assert (swapped["target"] != rows["target"]).sum() == 40
    assert sorted(swapped["target"]) == sorted(rows["target"])


def test_planted_dirt_is_named_and_most_of_it_is_found():
    rows = study.soil(study.parts()["train"], study.DIRT, np.random.default_rng(0))
    assert (rows["dirt"] != "").mean() == pytest.approx(study.DIRT, abs=0.002)
    assert (rows["dirt"].value_counts()[["copy", "echo", "boilerplate"]] / len(rows)).between(0.099, 0.101).all()
    kept, table = study.clean(rows)
    assert (kept["dirt"] != "").mean() < 0.02
    assert table["removed"].sum() == len(rows) - len(kept)
    assert (kept["dirt"] == "").sum() > 0.8 * (rows["dirt"] == "").sum()


def test_small_talk_has_several_right_answers_to_some_questions():
    questions, answers, relevant = study.small_talk()
    assert relevant.shape == (len(questions), len(answers)) and relevant.any(axis=1).all()
    assert relevant.sum(axis=1).max() > 1
