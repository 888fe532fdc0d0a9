"""The study of sentiment: planted errors, what is taken out, stop words, and its rows."""

import numpy as np
import pandas as pd
import pytest

from helpers.runner import studies

study = studies.module("sentiment")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5])
def test_so_many_labels_are_changed_each_to_another_class(share):
    labels = np.array(["negative", "neutral", "positive", "positive"] * 25)
    found = study.changed(labels, share, 3)
    assert (found != labels).sum() == round(share * 100) and set(found) <= set(labels)


def test_a_tenth_goes_at_random_and_the_contested_go_first():
    frame = pd.DataFrame({"ratings": [[1, 1, 1, 1]] * 18 + [[1, -1, -1, 1]] * 2})
    labels = np.array(["positive"] * 20, object)
    assert study.kept(frame, labels, "en", "as many at random", 0).sum() == 18
    assert np.flatnonzero(~study.kept(frame, labels, "en", "contested out", 0)).tolist() == [18, 19]
    assert study.kept(frame, labels, "en", "as they come", 0).all()


def test_stop_words_take_the_negation_along_unless_told_not_to():
    assert study.without_stop_words(["This is not good"], "en", "stop words out") == ["good"]
    assert study.without_stop_words(["This is not good"], "en", "stop words but negation out") == ["not good"]
    assert study.without_stop_words(["This is not good"], "en", "as they come") == ["This is not good"]


def test_documents_stand_in_one_part_and_pairs_by_rule_outside_the_pool():
    frame = study.rows("en")
    assert (frame.groupby("group")["part"].nunique() == 1).all()
    assert not (frame.loc[[row for row, _, _ in study.made("en")], "part"] == "pool").any()
    assert study.held_out("en", "test")["source"].value_counts().unique().tolist() == [300]
