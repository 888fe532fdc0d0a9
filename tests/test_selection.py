"""Every choosing method against a plain reference, a known bound or a case worked by hand."""

import doctest
import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from scipy.spatial.distance import cdist
from scipy.special import softmax

from helpers import selection


def unit(n=60, d=8, seed=0):
    """Rows of length 1 in any direction."""
    rows = np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def two_classes(n=60, d=8, seed=0):
    """Rows whose first coordinate tells their class, and the class numbers."""
    rows, labels = unit(n, d, seed), np.arange(n) % 2
    rows[:, 0] += 2 * labels - 1
    return rows / np.linalg.norm(rows, axis=1, keepdims=True), labels


def scored(n, seed=0):
    """All that any method may ask for, by name."""
    rows, labels = two_classes(n, seed=seed)
    positive = np.random.default_rng(seed).uniform(0.05, 0.95, n)
    return rows, {
        "labels": labels,
        "quality": positive,
        "probabilities": np.column_stack([1 - positive, positive]),
        "valid_vectors": rows[:10],
        "valid_labels": labels[:10],
    }


METHODS = {
    selection.random: [],
    selection.stratified: ["labels"],
    selection.prototypes: [],
    selection.k_center: [],
    selection.facility_location: [],
    selection.quality_diversity: ["quality"],
    selection.el2n: ["labels"],
    selection.forgetting: ["labels"],
    selection.gradient_matching: ["labels", "valid_vectors", "valid_labels"],
    selection.agreement: ["labels", "probabilities"],
    selection.herding: [],
    selection.agree_then_herd: ["labels", "probabilities"],
    selection.margin: ["probabilities"],
    selection.entropy: ["probabilities"],
    selection.density_weighted: ["probabilities"],
}
each_method = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)


def call(method, k, n=60, seed=0):
    rows, named = scored(n)
    return method(rows, k, **{name: named[name] for name in METHODS[method]}, seed=seed)


@pytest.mark.parametrize("module", [selection.cover, selection.mixtures])
def test_examples_in_the_docstrings(module):
    failed, tried = doctest.testmod(module)
    assert failed == 0 < tried


# ---- what holds for every method ------------------------------------------------------------------------------------


@each_method
@pytest.mark.parametrize("k", [1, 7, 59, 60])
def test_k_different_rows_the_same_for_the_same_seed(method, k):
    picks = call(method, k)
    assert len(picks) == k == len(set(picks.tolist())) and set(picks) <= set(range(60))
    np.testing.assert_array_equal(picks, call(method, k))


@each_method
@pytest.mark.parametrize("k", [0, 61, 2.5, 5.0, None, "5"])
def test_k_that_no_pool_gives_is_named(method, k):
    with pytest.raises(ValueError, match=f"^k is {k!r}: take an int from 1 to the 60 rows there are$"):
        call(method, k)


@each_method
def test_k_may_be_an_integer_of_numpy(method):
    np.testing.assert_array_equal(call(method, np.int64(5)), call(method, 5))


@each_method
@pytest.mark.parametrize("k", [1, 5, 12])
def test_identical_vectors_are_picked_each_once(method, k):
    _, named = scored(12)
    same = np.tile(unit(1), (12, 1))
    named["valid_vectors"] = same[:10]
    picks = method(same, k, **{name: named[name] for name in METHODS[method]})
    assert len(set(picks.tolist())) == k


@each_method
@pytest.mark.parametrize("bad", [np.zeros((60, 8)), np.full((60, 8), np.nan), 2 * unit()])
def test_vectors_that_are_not_of_length_one_are_named(method, bad):
    _, named = scored(60)
    with pytest.raises(ValueError, match="row 0 of vectors is not of length 1"):
        method(bad, 5, **{name: named[name] for name in METHODS[method]})


@pytest.mark.parametrize(
    "method", [m for m, needs in METHODS.items() if "labels" in needs and "valid_labels" not in needs]
)
def test_one_class_is_enough_to_choose_from(method):
    rows, named = scored(20)
    named["labels"] = np.zeros(20, int)
    assert len(set(method(rows, 6, **{name: named[name] for name in METHODS[method]}).tolist())) == 6


@pytest.mark.parametrize(
    ("method", "named", "message"),
    [
        (selection.stratified, {"labels": ["a"] * 60}, "labels must be 60 class numbers"),
        (selection.el2n, {"labels": np.zeros(59, int)}, "labels must be 60 class numbers"),
        (selection.quality_diversity, {"quality": np.full(60, np.nan)}, "quality must be 60 finite numbers"),
        (selection.margin, {"probabilities": np.ones((60, 1))}, "2 or more"),
        (selection.entropy, {"probabilities": np.ones((60, 2))}, "sum to 1"),
        (selection.prototypes, {"clusters": 0}, "n_clusters"),
        (selection.facility_location, {"block": -1}, "block is -1"),
        (
            selection.agreement,
            {"labels": np.full(60, 2), "probabilities": np.full((60, 2), 0.5)},
            "column numbers from 0 to 1",
        ),
    ],
)
def test_bad_scores_are_named(method, named, message):
    with pytest.raises(ValueError, match=message):
        method(unit(), 5, **named)


# ---- coverage -------------------------------------------------------------------------------------------------------


def plain_greedy(rows, k):
    """Facility location as it is defined: every gain of every candidate anew, in float64."""
    cosine = (rows.astype(float) @ rows.T.astype(float)).clip(0)
    picks, nearest = [], np.zeros(len(rows))
    for _ in range(k):
        gains = [np.maximum(cosine[j] - nearest, 0).sum() if j not in picks else -1 for j in range(len(rows))]
        picks.append(int(np.argmax(gains)))
        nearest = np.maximum(nearest, cosine[picks[-1]])
    return picks


@settings(max_examples=25, deadline=None)
@given(n=st.integers(1, 70), d=st.integers(2, 12), share=st.floats(0, 1), seed=st.integers(0, 9))
def test_facility_location_gains_by_each_pick_as_much_as_the_plain_greedy_rule(n, d, share, seed):
    rows, k = unit(n, d, seed), max(1, round(share * n))
    cosine, nearest = (rows.astype(float) @ rows.T.astype(float)).clip(0), np.zeros(n)
    for pick in selection.facility_location(rows, k, seed=seed):
        gains = np.maximum(cosine - nearest, 0).sum(1)
        assert gains[pick] >= (1 - 2**-11) * gains.max() - 1e-5  # candidates alike in their first 12 bits tie
        nearest = np.maximum(nearest, cosine[pick])


@pytest.mark.parametrize("seed", range(3))
def test_facility_location_takes_the_first_drawn_of_rows_with_equal_gains(seed):
    drawn = np.random.default_rng(seed).permutation(100)
    assert selection.facility_location(np.eye(100), 60, seed=seed).tolist() == drawn[:60].tolist()


def test_facility_location_picks_the_rows_of_the_plain_greedy_rule_in_their_order():
    rows = unit(300, 16)
    assert selection.facility_location(rows, 40, seed=3).tolist() == plain_greedy(rows, 40)


def test_facility_location_by_blocks_comes_near_the_exact_rule():
    rows = unit(600, 16)
    exact, parts = (selection.facility_location(rows, 60, block=b) for b in (None, 100))
    value = [selection.facility_value(rows, picks) for picks in (exact, parts, np.arange(60))]
    assert value[1] > 0.97 * value[0] and value[2] < 0.95 * value[0]


@pytest.mark.parametrize(("k", "block"), [(7, 10), (50, 10), (50, 1), (3, 49), (49, 50)])
def test_blocks_of_any_size_give_k_different_rows(k, block):
    assert len(set(selection.facility_location(unit(50), k, block=block).tolist())) == k


def test_facility_value_of_rows_at_right_angles_counts_them():
    assert selection.facility_value(np.eye(5), [0, 3]) == pytest.approx(2)


def radius(rows, picks):
    return np.sqrt((2 - 2 * (rows @ rows[picks].T).max(axis=1)).clip(0)).max()


def test_k_center_stays_within_twice_the_least_radius():
    for seed in range(5):
        rows = unit(14, 3, seed)
        best = min(radius(rows, list(some)) for some in itertools.combinations(range(14), 3))
        assert radius(rows, selection.k_center(rows, 3, seed=seed)) <= 2 * best + 1e-6


def test_k_center_takes_the_farthest_row_each_time():
    rows = unit(40)
    picks = selection.k_center(rows, 10)
    for i in range(1, 10):
        nearest = (rows @ rows[picks[:i]].T).max(axis=1)
        assert nearest[picks[i]] == pytest.approx(nearest.min(), abs=1e-6)


def test_prototypes_begin_with_the_middle_of_each_cluster():
    angle = np.concatenate([centre + np.array([-0.2, -0.01, 0.2]) for centre in (0, 2, 4)])
    rows = np.column_stack([np.cos(angle), np.sin(angle)])
    assert set(selection.prototypes(rows, 3, clusters=3).tolist()) == {1, 4, 7}


def test_quality_diversity_skips_a_row_beside_a_better_one():
    rows = np.array([[1, 0], [0.999, np.sqrt(1 - 0.999**2)], [0, 1]])
    pick = selection.quality_diversity
    assert pick(rows, 2, quality=[3, 2, 1]).tolist() == [0, 2]
    assert pick(rows, 3, quality=[3, 2, 1]).tolist() == [0, 2, 1]
    assert pick(rows, 2, quality=[3, 2, 1], threshold=1.01).tolist() == [0, 1]


# ---- labels and training --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("temperature", "expected"), [(1.0, [8, 2]), (np.inf, [5, 5])])
def test_stratified_keeps_or_evens_out_the_shares(temperature, expected):
    labels = np.repeat([0, 1], [40, 10])
    picks = selection.stratified(unit(50), 10, labels=labels, temperature=temperature)
    assert np.bincount(labels[picks]).tolist() == expected


def test_random_draws_every_row_equally_often():
    drawn = np.bincount(np.concatenate([selection.random(np.eye(4), 2, seed=s) for s in range(2000)]))
    assert abs(drawn - 1000).max() < 4 * np.sqrt(500)


def test_the_trace_begins_at_even_odds_and_learns_what_can_be_learned():
    rows, labels = two_classes(200)
    trace = selection.training_trace(rows, labels, batch=200)
    np.testing.assert_allclose(trace[0], 0.5)
    assert trace.shape == (10, 200, 2) and (trace[-1].argmax(1) == labels).mean() > 0.9


def test_a_step_of_the_trace_is_plain_gradient_descent():
    rows, labels = two_classes(20)
    trace = selection.training_trace(rows, labels, epochs=2, batch=20, rate=1.0)
    gradient = rows.T @ (0.5 - np.eye(2)[labels]) / 20  # of the mean cross-entropy at weights 0
    exp = np.exp(-rows @ gradient)
    np.testing.assert_allclose(trace[1], exp / exp.sum(1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("method", [selection.el2n, selection.forgetting])
def test_turned_labels_are_the_hardest_and_the_most_forgotten(method):
    rows, labels = two_classes(300)
    wrong = np.arange(0, 300, 20)
    labels[wrong] = 1 - labels[wrong]
    assert np.isin(method(rows, 30, labels=labels), wrong).sum() >= 11


def test_forgetting_counts_right_then_wrong_and_puts_never_right_first(monkeypatch):
    right = np.array([[0, 1, 1, 1], [1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 1]], bool).T  # (epochs, rows)
    monkeypatch.setattr(selection.scores, "training_trace", lambda *_, **__: np.stack([right, ~right], axis=2))
    picks = selection.forgetting(unit(5), 3, labels=np.zeros(5, int), epochs=4)
    assert picks[0] == 2 and set(picks[1:].tolist()) == {1, 3}


def test_gradient_matching_ranks_as_written_out_gradients_do():
    from helpers import probe

    rows, labels = two_classes(40)
    valid, valid_labels = two_classes(12, seed=1)
    picks = selection.gradient_matching(
        rows, 40, labels=labels, valid_vectors=valid, valid_labels=valid_labels, warmup=1.0
    )
    model = probe.fit(rows[np.random.default_rng(0).permutation(40)], labels[np.random.default_rng(0).permutation(40)])

    def gradients(x, y):
        return np.array(
            [np.outer(p - np.eye(2)[c], v).ravel() for p, c, v in zip(model.predict_proba(x), y, x, strict=True)]
        )

    own, wanted = gradients(rows, labels), gradients(valid, valid_labels)
    towards = [wanted[valid_labels == c].sum(axis=0) for c in (0, 1)]
    cosine = np.max([own @ t / np.linalg.norm(own, axis=1) / np.linalg.norm(t) for t in towards], axis=0)
    np.testing.assert_allclose(cosine[picks], np.sort(cosine)[::-1], atol=1e-5)


def test_gradient_matching_takes_rows_like_the_validation_rows_and_none_turned_round():
    rows, labels = two_classes(200)
    labels[:40] = 1 - labels[:40]
    valid, valid_labels = two_classes(40, seed=1)
    picks = selection.gradient_matching(
        rows, 50, labels=labels, valid_vectors=valid, valid_labels=valid_labels, warmup=0.5
    )
    assert (picks < 40).mean() < 0.1


def test_agreement_takes_agreed_rows_first_then_the_nearest_to_agreement():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.45, 0.55], [0.6, 0.4], [0.1, 0.9]])
    picks = selection.agreement(np.eye(5), 5, labels=np.zeros(5, int), probabilities=probabilities)
    assert set(picks[:2].tolist()) == {0, 3} and picks[2:].tolist() == [2, 1, 4]


def test_agree_then_herd_follows_the_mean_of_the_agreed_rows_of_each_class_better_than_chance():
    rows, named = scored(2000)
    labels, positive = named["labels"], named["probabilities"][:, 1]
    given = {"labels": labels, "probabilities": named["probabilities"]}
    for label in (0, 1):
        agreed = np.flatnonzero((labels == label) & ((positive > 0.5) == label))

        def miss(picks, label=label, agreed=agreed):
            own = picks[labels[picks] == label]
            return np.linalg.norm(rows[own].mean(axis=0) - rows[agreed].mean(axis=0))

        assert ((positive > 0.5) == labels)[selection.agree_then_herd(rows, 200, **given)].all()
        chance = [miss(selection.agreement(rows, 200, **given, seed=seed)) for seed in range(10)]
        assert miss(selection.agree_then_herd(rows, 200, **given)) < 0.5 * np.mean(chance)


def test_herding_step_by_step():
    rows, _ = scored(30)
    picks = selection.herding(rows, 6)
    weight, expected = rows.mean(axis=0), []
    for _ in range(6):
        scores = rows @ weight
        scores[expected] = -np.inf
        expected.append(int(scores.argmax()))
        weight = weight + rows.mean(axis=0) - rows[expected[-1]]
    assert picks.tolist() == expected
    agreed = {"labels": np.zeros(30, int), "probabilities": np.full((30, 2), [0.7, 0.3])}
    assert set(selection.agree_then_herd(rows, 6, **agreed)) == set(picks)  # one class, no label in doubt


def test_agree_then_herd_keeps_the_classes_balanced_from_the_first_picks_on():
    rows, named = scored(200)
    sure = np.eye(2)[named["labels"]] * 0.6 + 0.2
    picks = selection.agree_then_herd(rows, 60, labels=named["labels"], probabilities=sure)
    assert np.bincount(named["labels"][picks[:10]]).tolist() == [5, 5]


# ---- annotation -----------------------------------------------------------------------------------------------------


def test_margin_and_entropy_on_a_case_worked_by_hand():
    probabilities = np.array([[0.5, 0.5, 0.0], [0.4, 0.3, 0.3], [0.9, 0.1, 0.0]])
    assert selection.margin(np.eye(3), 3, probabilities=probabilities).tolist() == [0, 1, 2]
    assert selection.entropy(np.eye(3), 3, probabilities=probabilities).tolist() == [1, 0, 2]


def test_density_turns_from_the_lonely_row_to_the_typical_one():
    rows = np.array([[1, 0], [1, 0], [1, 0], [0, 1]])
    probabilities = np.array([[0.7, 0.3]] * 3 + [[0.6, 0.4]])
    assert selection.entropy(rows, 1, probabilities=probabilities)[0] == 3
    assert selection.density_weighted(rows, 1, probabilities=probabilities)[0] != 3
    assert selection.density_weighted(rows, 1, probabilities=probabilities, beta=0)[0] == 3


# ---- sources and records --------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_mixture_is_whole_and_takes_no_more_than_there_is(data):
    have = data.draw(st.lists(st.integers(0, 50), min_size=1, max_size=6).filter(any))
    sizes = {f"s{i}": size for i, size in enumerate(have)}
    total = data.draw(st.integers(1, sum(have)))
    counts = selection.mixture(sizes, total, temperature=data.draw(st.sampled_from([1e-3, 0.1, 0.5, 1, 2, 5, np.inf])))
    assert sum(counts.values()) == total and all(0 <= counts[name] <= sizes[name] for name in sizes)


def test_mixture_by_hand():
    sizes = {"a": 800, "b": 200}
    assert selection.mixture(sizes, 100) == {"a": 80, "b": 20}
    assert selection.mixture(sizes, 500, temperature=np.inf) == {"a": 300, "b": 200}
    assert selection.mixture({**sizes, "old": 5}, 100, replay={"old": 0.1}) == {"a": 76, "b": 19, "old": 5}


@pytest.mark.parametrize("temperature", [0.01, 1e-3, 1e-9, 1e-300])
def test_a_low_temperature_fills_the_largest_source_first(temperature):
    assert selection.mixture({"a": 5000, "b": 4000}, 100, temperature=temperature) == {"a": 100, "b": 0}
    sizes = {"a": 4000, "none": 0, "b": 5000, "c": 10}
    assert selection.mixture(sizes, 9005, temperature=temperature) == {"a": 4000, "none": 0, "b": 5000, "c": 5}
    labels = np.repeat([0, 1], [45, 5])
    picks = selection.stratified(np.eye(50), 47, labels=labels, temperature=temperature)
    assert np.bincount(labels[picks]).tolist() == [45, 2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"total": 0}, "total is 0"),
        ({"total": 11}, "total is 11"),
        ({"total": 4.0}, "total is 4.0"),
        ({"total": None}, "total is None"),
        ({"temperature": 0}, "temperature is 0"),
        ({"sizes": {"a": -1}}, "sizes must give"),
        ({"sizes": {}}, "sizes must give"),
        ({"replay": {"c": 0.1}}, "replay must give"),
        ({"replay": {"a": 1.1}}, "replay must give"),
    ],
)
def test_a_mixture_that_cannot_be_is_named(change, message):
    with pytest.raises(ValueError, match=message):
        selection.mixture(**({"sizes": {"a": 5, "b": 5}, "total": 4} | change))


def test_a_manifest_names_rows_and_notices_a_changed_text():
    texts = pd.Series(["", "好" * 100_000, "\ud800", "👍", "שלום"], dtype=object)
    frame = pd.DataFrame({"text": texts, "label": list("ababa")}).set_axis(range(10, 15))
    record = selection.manifest(frame, [4, 0, 2], "random", seed=7)
    assert record["row"].tolist() == [14, 10, 12] and record["pick"].tolist() == [0, 1, 2]
    assert set(record["method"]) == {"random"} and set(record["seed"]) == {7}
    changed = selection.manifest(frame.assign(text=frame["text"] + " "), [4, 0, 2], "random", seed=7)
    assert not (record["sha256"] == changed["sha256"]).any()


@pytest.mark.parametrize("rows", [[0, 0], [5], [-1], [[0]], [0.5]])
def test_rows_that_are_not_of_the_frame_are_named(rows):
    frame = pd.DataFrame({"text": list("abcde"), "label": list("ababa")})
    with pytest.raises(ValueError, match="different positions from 0 to 4"):
        selection.manifest(frame, rows, "random")


# ---- the equations of notebook 06 -----------------------------------------------------------------------------------


@pytest.mark.equation("6.1")
def test_facility_value_by_hand_and_by_scipy():
    rows = np.array([[1, 0], [0, 1], [0.6, 0.8], [-1, 0]])
    by_hand = 0.6 + 0.8 + 1 + 0  # to the third row; the fourth looks the other way
    assert selection.facility_value(rows, [2]) == pytest.approx(by_hand)
    many, picks = unit(50), [3, 14, 15]
    nearest = 1 - cdist(many, many[picks], "cosine").min(axis=1)
    assert selection.facility_value(many, picks) == pytest.approx(nearest.clip(0).sum(), rel=1e-5)


@pytest.mark.equation("6.2")
def test_the_gradient_of_a_linear_classifier_by_hand_and_by_finite_differences():
    vector, weights, target = np.array([0.6, 0.8]), np.array([[0.0, np.log(3)], [0.0, 0.0]]), np.array([1.0, 0.0])

    def loss(flat):
        return -np.log(softmax(vector @ flat.reshape(2, 2)) @ target)

    odds = 3**0.6  # of the second class, the logits being 0 and 0.6 · ln 3
    error = odds / (1 + odds) * np.array([-1, 1])
    by_hand = [[0.6 * error[0], 0.6 * error[1]], [0.8 * error[0], 0.8 * error[1]]]
    formula = np.outer(vector, softmax(vector @ weights) - target)
    np.testing.assert_allclose(formula, by_hand)
    np.testing.assert_allclose(formula.ravel(), approx_fprime(weights.ravel(), loss), atol=1e-6)
    assert np.linalg.norm(formula) == pytest.approx(np.linalg.norm(error))  # what EL2N ranks by


@pytest.mark.equation("6.3")
def test_herding_by_hand_and_by_trying_every_row():
    rows = np.array([[1, 0], [0, 1], [0.6, 0.8]])  # w = (.53, .60), then (.47, .40), then (0, 1)
    assert selection.herding(rows, 3).tolist() == [2, 0, 1]
    many, picks = unit(40), []
    for _ in range(12):
        left = [j for j in range(40) if j not in picks]
        miss = [np.linalg.norm(many[[*picks, j]].mean(axis=0) - many.mean(axis=0)) for j in left]
        picks.append(left[int(np.argmin(miss))])
    assert selection.herding(many, 12).tolist() == picks
