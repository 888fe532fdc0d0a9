"""tuning and searches: their space, table, costs and searches, and the equations of notebook 16."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from sklearn.naive_bayes import CategoricalNB

from helpers.runner import studies

searches = studies.module("searches")
tuning = searches.tuning


@pytest.fixture
def outcomes(monkeypatch):
    """Made-up outcomes: a configuration scores more the later it stands, the same in each repeat."""
    numbers = {}
    for model, (data, settings) in tuning.SPACE.items():
        for one in tuning.combinations(data | settings):
            numbers[searches.key({"model": model, **one})] = len(numbers)
    scores = np.linspace(0.5, 0.9, len(numbers))[:, None] + np.zeros(tuning.REPEATS)
    monkeypatch.setattr(searches, "outcomes", lambda: (numbers, {"few": scores, "valid": scores, "other": scores}))
    return numbers, scores


@pytest.mark.equation("16.1")
def test_chance_of_a_hit():
    by_hand = 1 - (3 / 4) ** 2
    assert by_hand == 0.4375
    assert stats.binom.sf(0, 2, 1 / 4) == pytest.approx(by_hand)
    assert stats.geom.cdf(2, 1 / 4) == pytest.approx(by_hand)


@pytest.mark.equation("16.2")
def test_ratio_of_good_to_rest():
    """Of four good trials three have value 0 of two; of six others one has."""
    values, good = np.array([0, 0, 0, 1, 0, 1, 1, 1, 1, 1]), np.array([1] * 4 + [0] * 6)
    by_hand = (4 / 6) / (2 / 8), (2 / 6) / (6 / 8)
    assert by_hand == pytest.approx((8 / 3, 4 / 9))
    counts = [(np.sum(values[good == 1] == v) + 1) / 6 / ((np.sum(values[good == 0] == v) + 1) / 8) for v in (0, 1)]
    bayes = CategoricalNB(alpha=1).fit(values[:, None], good)
    assert counts == pytest.approx(by_hand)
    assert np.exp(bayes.feature_log_prob_[0][1] - bayes.feature_log_prob_[0][0]) == pytest.approx(by_hand)


def test_table_has_a_row_for_each_configuration_and_repeat_in_the_order_of_the_settings():
    rows = []
    for cell in tuning.GRID:
        n = len(tuning.settings(cell["model"]))
        numbers = " ".join(map(str, range(n)))
        counts = {"n_valid": 200, "n_other": 400, "few": numbers, "valid": numbers, "other": numbers}
        rows.append(cell | counts | {"seconds": numbers})
    table = tuning.table(pd.DataFrame(rows))
    assert len(table) == 872 * tuning.REPEATS and table.groupby("config").size().eq(tuning.REPEATS).all()
    assert table["config"].nunique() == len({searches.key(one) for one in table.to_dict("records")}) == 872
    one = table[(table["model"] == "head") & (table["choose"] == "agree_then_herd") & (table["seed"] == 1)]
    assert one["valid"].tolist() == [place / 200 for place in range(8)]
    assert one["other"].tolist() == [place / 400 for place in range(8)]
    assert one[["rate", "batch_size", "epochs"]].to_dict("records") == tuning.settings("head")


def test_cost_by_hand():
    """1.756 passes to answer 878 rows; three epochs, forward and backward, are nine passes, of the top part 4.8."""
    assert searches.passes({"model": "full", "epochs": 3}) == pytest.approx(9 + 1.756)
    assert searches.passes({"model": "last", "epochs": 3}) == pytest.approx(4.8 + 1.756)
    assert searches.passes({"model": "probe"}) == searches.passes({"model": "head", "epochs": 20})
    assert searches.passes({"model": "probe"}) == pytest.approx(2.756)
    assert searches.passes({"model": "TF-IDF", "copies": 1}) == pytest.approx(0.2)


@pytest.mark.parametrize("arm", searches.ARMS)
def test_a_search_stays_in_the_space_repeats_itself_and_stops_at_the_budget(outcomes, arm):
    trials = searches.search(arm, "valid", 3, budget=150)
    assert trials.equals(searches.search(arm, "valid", 3, budget=150))
    assert trials["passes"].is_monotonic_increasing and trials["passes"].iloc[-1] >= 150
    assert (trials["passes"].iloc[:-1] < 150).all()
    kept = trials.dropna()
    assert kept["score"].tolist() == pytest.approx(outcomes[1][kept["config"], 0])
    assert trials["score"].isna().any() == (arm.endswith("halving") or arm.endswith("median"))


def test_what_was_tried_before_costs_nothing(outcomes, monkeypatch):
    monkeypatch.setattr(searches, "passes", lambda config: 1.0)
    trials = searches.search("random", "valid", 0, budget=1000)
    assert trials["passes"].iloc[-1] == tuning.REPEATS * trials["config"].nunique()
    assert trials["config"].duplicated().any()


@given(st.lists(st.one_of(st.just(np.nan), st.sampled_from([0.1, 0.2, 0.3])), min_size=1, max_size=12))
def test_leaders_are_the_first_of_the_best_so_far(scores):
    found = searches.leaders(pd.DataFrame({"config": range(len(scores)), "score": scores}))
    for stop, leader in enumerate(found, 1):
        seen = [score for score in scores[:stop] if score == score]
        assert leader == (scores.index(max(seen)) if seen else -1)


def test_the_winner_is_a_configuration_that_can_be_trained(outcomes):
    config = searches.winner("TPE", "few")
    data, settings = tuning.SPACE[config["model"]]
    assert set(config) == {"model", *data, *settings} and searches.key(config) in outcomes[0]


def test_rows_judged_on_are_thirds_that_do_not_meet(monkeypatch):
    part = np.repeat(["pool", "valid", "judged", "test"], [50, 31, 29, 40])
    monkeypatch.setattr(tuning.choosing, "rows", lambda language: (None, None, None, part))
    tuning.judged_on.cache_clear()
    parts = [tuning.judged_on(seed) for seed in range(tuning.REPEATS)]
    tuning.judged_on.cache_clear()
    assert sorted(np.concatenate([valid for valid, _ in parts])) == np.flatnonzero(part == "valid").tolist()
    assert sorted(np.concatenate([other for _, other in parts])) == np.flatnonzero(part == "judged").tolist()


def test_switches_change_what_they_name(monkeypatch):
    frame = pd.DataFrame({"text": ["x"] * 3})
    monkeypatch.setattr(tuning.choosing, "rows", lambda language: (frame,))
    monkeypatch.setattr(tuning, "shipped", lambda: pd.Series(["ＯＫ &amp; good", "房间没有窗", "的"]))
    monkeypatch.setattr(tuning, "without_stop_words", lambda text: text.replace("的", ""))
    rows = [0, 1, 2]
    assert tuning.prepared(rows, normal=False) == ["ＯＫ &amp; good", "房间没有窗", "的"]
    assert tuning.prepared(rows, lower=True, length=4) == ["ok &", "房间没有", "的"]
    assert tuning.prepared(rows, stop_words="out") == ["OK & good", "房间没有窗", "的"]
