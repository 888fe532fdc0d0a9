"""The study of generation: the rows that its arms hold, the damage that it does, and what its ways of choosing take."""

import pandas as pd

from helpers.runner import studies
from helpers.scenarios import generation

study = studies.module("generation")


def test_damage_spoils_the_share_it_says_and_no_other_row():
    frame = generation.rows("tune").head(90)
    spoilt = study.damaged(frame, 0.3, 0)
    kinds = spoilt["damage"]
    assert kinds.value_counts().to_dict() == {"sound": 63, "another's": 9, "half": 9, "shuffled": 9}
    assert (spoilt["answer"] == frame["answer"])[kinds == "sound"].all()
    assert (spoilt["answer"] != frame["answer"])[kinds != "sound"].all()
    for old, new in zip(frame["answer"][kinds == "shuffled"], spoilt["answer"][kinds == "shuffled"], strict=True):
        assert sorted(old) == sorted(new)


def test_arms_hold_what_the_study_says():
    text = [study.training_rows("genres", arm, 0)["answer"] for arm in study.QUESTIONS["genres"]]
    assert all(4_700 <= answers.str.len().sum() <= 5_000 for answers in text)
    repeated, distinct = (study.training_rows("duplicates", arm, 0) for arm in ("with", "without"))
    assert len(repeated) == 2 * len(distinct) and set(repeated.index) == set(distinct.index)


def test_choosing_by_worked_scores():
    pool = pd.DataFrame(
        {
            "perplexity": [3.0, 1.0, 2.0, 4.0],
            "sound_form": [True, False, True, True],
            "ifd": [0.9, 1.2, 0.5, 0.8],
            "answer": ["aa", "a", "aaaa", "aaa"],
        }
    )
    assert study.choose("quality", pool, None, 3, 0).tolist() == [2, 0, 3]
    assert study.choose("IFD", pool, None, 3, 0).tolist() == [0, 3, 2]
