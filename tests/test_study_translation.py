"""The study of translation: what its arms draw and spoil."""

from helpers.runner import studies
from helpers.scenarios import translation

study = studies.module("translation")


def test_misaligned_pairs_are_wrong_and_no_others():
    frame = translation.rows("tune", "jupyterlab", 50)
    spoilt = study.misaligned(frame, 0.2, 0)
    assert spoilt["wrong"].sum() == 10
    assert (spoilt["target"] == frame["target"])[~spoilt["wrong"]].all()
    assert sorted(spoilt["target"]) == sorted(frame["target"])
    assert (spoilt["target"] != frame["target"])[spoilt["wrong"]].mean() > 0.8  # equal translations may meet


def test_arms_hold_what_the_study_says(monkeypatch):
    monkeypatch.setattr(study, "likeness", lambda frame: -frame["wrong"].to_numpy(float))
    sizes = {arm: len(study.training_rows(*arm, 0)) for arm in study.ARMS + study.MORE}
    assert [sizes[arm] for arm in study.ARMS] == [1600, 400, 800, 800, 800, 1280, 1280]
    assert len(study.training_rows("all", "pretrained only", 0)) == 0
    assert study.training_rows("domains", "both", 1)["source"].value_counts().to_dict() == {
        "jupyterlab": 400,
        "wagtail": 400,
    }
    assert not study.training_rows("noise", "filtered", 0)["wrong"].any()
    assert 0.15 < study.training_rows("noise", "as many at random", 0)["wrong"].mean() < 0.25
