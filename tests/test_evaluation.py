"""evaluation: published and hand-worked values, scikit-learn, and coverage by simulation."""

import doctest

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import pdist
from sklearn.metrics import cohen_kappa_score, f1_score
from sklearn.neighbors import NearestNeighbors

from helpers import evaluation

RUNS = 1_500
HONEST = (0.93, 0.97)  # coverage of a 95% interval in 1,500 simulated experiments: .95 ± 3.5 standard errors


def coverage(intervals, truth):
    return np.mean([low <= truth <= high for low, high in intervals])


def is_honest(share):
    return HONEST[0] <= share <= HONEST[1]


def test_examples_in_the_docstrings():
    assert doctest.testmod(evaluation).failed == 0


# Newcombe 1998, Statistics in Medicine 17:857, table I, method 3
@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_newcombes_published_values(k, n, low, high):
    assert evaluation.wilson(k, n) == pytest.approx((k / n, low, high), abs=5e-5)


def test_kappa_is_scikit_learns_and_its_error_that_of_the_delta_method():
    """Error by numerical derivatives of kappa over the joint shares, whose covariance is the multinomial one."""
    joint = np.array([[0.55, 0.05, 0.02], [0.06, 0.14, 0.03], [0.01, 0.02, 0.12]])
    n = 200
    a, b = (np.repeat(axis.ravel(), (joint * n).round().astype(int).ravel()) for axis in np.indices((3, 3)))

    def statistic(cells):
        table = cells.reshape(3, 3)
        chance = table.sum(1) @ table.sum(0)
        return (np.trace(table) - chance) / (1 - chance)

    cells, step = (joint * n + 2 / 9).ravel() / (n + 2), 1e-6
    slope = np.array([(statistic(cells + step * e) - statistic(cells - step * e)) / (2 * step) for e in np.eye(9)])
    error = np.sqrt(slope @ (np.diag(cells) - np.outer(cells, cells)) @ slope / (n + 2))

    value, low, high = evaluation.kappa(a, b)
    assert value == pytest.approx(cohen_kappa_score(a, b), abs=1e-12)
    assert (high - low) / 2 == pytest.approx(stats.norm.ppf(0.975) * error, rel=1e-5)
    assert (high + low) / 2 == pytest.approx(statistic(cells), abs=1e-12)


def agreeing(n_labels, share):
    """Joint shares of two raters of evenly used labels, who agree in so many cases and else err at random."""
    apart = (1 - share) / n_labels / (n_labels - 1)
    return np.full((n_labels, n_labels), apart) + np.eye(n_labels) * (share / n_labels - apart)


@pytest.mark.parametrize(
    "joint", [[[0.45, 0.08], [0.05, 0.42]], [[0.48, 0.02], [0.01, 0.49]], agreeing(5, 0.8), agreeing(10, 0.95)]
)
def test_kappa_covers(joint):
    rng, joint = np.random.default_rng(0), np.array(joint)
    n_labels = len(joint)
    chance = joint.sum(1) @ joint.sum(0)
    truth = (np.trace(joint) - chance) / (1 - chance)
    pairs = rng.choice(joint.size, (RUNS, 100), p=joint.ravel())
    assert is_honest(coverage([evaluation.kappa(*np.divmod(row, n_labels))[1:] for row in pairs], truth))


def test_kappa_of_full_agreement_of_chance_and_of_contradiction():
    full = evaluation.kappa(["x", "y"] * 50, ["x", "y"] * 50)
    assert full.estimate == full.high == 1 and 0.9 < full.low < 0.97
    assert evaluation.kappa([0, 0, 1, 1], [0, 1, 0, 1]).estimate == pytest.approx(0)
    assert evaluation.kappa([0, 1], [1, 0]).estimate == evaluation.kappa([0, 1], [1, 0]).low == -1


@pytest.mark.parametrize("n_seeds", [5, 10])
def test_seeds_interval_covers_where_the_percentile_bootstrap_over_five_does_not(n_seeds):
    rng = np.random.default_rng(n_seeds)
    scores = rng.normal(0.8, 0.02, (RUNS, n_seeds))
    assert is_honest(coverage([evaluation.seeds_interval(row)[1:] for row in scores], 0.8))
    picks = rng.integers(0, n_seeds, (500, n_seeds))
    bootstrap = np.quantile(scores[:, picks].mean(2), [0.025, 0.975], axis=1).T
    assert not is_honest(coverage(bootstrap, 0.8))


def experiment(rng, n_seeds, n_rows, rows, seed_sd=0.02, row_sd=0.3, groups=None):
    """Correctness of two models whose gain differs by seed and by row (or document); the mean gain is .02 exactly."""
    n_drawn = n_rows if rows == "shared" else (n_seeds, n_rows)
    row_gain = row_sd * rng.choice([-1, 1], n_drawn)
    if groups is not None:
        row_gain = (row_sd * rng.choice([-1, 1], groups.max() + 1))[groups]
    gain = 0.02 + row_gain + seed_sd * rng.choice([-1, 1], (n_seeds, 1))
    u = rng.random((2, n_seeds, n_rows))
    return (u[0] < 0.5 + gain).astype(int), (u[1] < 0.5).astype(int)


@pytest.mark.parametrize("rows", ["shared", "own"])
@pytest.mark.parametrize("n_seeds", [5, 10])
@pytest.mark.parametrize("seed_sd", [0.0, 0.04])
def test_paired_difference_covers(n_seeds, rows, seed_sd):
    rng = np.random.default_rng(7)
    drawn = (experiment(rng, n_seeds, 200, rows, seed_sd) for _ in range(RUNS))
    assert is_honest(coverage([evaluation.paired_difference(*pair)[1:3] for pair in drawn], 0.02))


def test_wrong_intervals_for_shared_rows_are_caught():
    """t over the seeds alone, and a percentile bootstrap over them, forget that all seeds share their rows' luck."""
    rng = np.random.default_rng(8)
    gains = [np.subtract(*experiment(rng, 5, 200, "shared", row_sd=0.4)).mean(1) for _ in range(RUNS)]
    assert coverage([evaluation.seeds_interval(gain)[1:] for gain in gains], 0.02) < 0.92
    picks = rng.integers(0, 5, (500, 5))
    assert coverage([np.quantile(gain[picks].mean(1), [0.025, 0.975]) for gain in gains], 0.02) < 0.84


def test_groups_cover_where_rows_of_one_document_are_alike():
    rng = np.random.default_rng(9)
    groups = np.repeat(np.arange(40), rng.integers(2, 12, 40))
    drawn = [experiment(rng, 5, len(groups), "shared", groups=groups) for _ in range(RUNS)]
    assert is_honest(coverage([evaluation.paired_difference(*pair, groups=groups)[1:3] for pair in drawn], 0.02))
    assert coverage([evaluation.paired_difference(*pair)[1:3] for pair in drawn], 0.02) < 0.85


def test_paired_difference_by_hand():
    """Differences [[1, 0, 1, 1], [0, 0, 1, 0]]: mean 1/2, MS_seeds 1/2, MS_rows 1/3, MS_rest 1/6."""
    result = evaluation.paired_difference([[1, 0, 1, 1], [0, 0, 1, 0]], np.zeros((2, 4), int))
    half = stats.t.ppf(0.975, (2 / 3) ** 2 / (1 / 4 + 1 / 27 + 1 / 108)) * np.sqrt((1 / 2 + 1 / 3 - 1 / 6) / 8)
    assert result == pytest.approx((0.5, 0.5 - half, 0.5 + half, 2, result.p))


def test_p_and_interval_tell_the_same():
    rng = np.random.default_rng(3)
    a, b = experiment(rng, 5, 50, "shared")
    p = evaluation.paired_difference(a, b).p
    touching = evaluation.paired_difference(a, b, level=1 - p)
    assert min(abs(touching.low), abs(touching.high)) == pytest.approx(0, abs=1e-9)
    assert evaluation.paired_difference(b, a).effect == -evaluation.paired_difference(a, b).effect
    assert evaluation.paired_difference(a, a) == (0, 0, 0, 5, 1)


def test_one_document_a_row_changes_nothing():
    a, b = experiment(np.random.default_rng(4), 3, 30, "shared")
    assert evaluation.paired_difference(a, b, groups=np.arange(30)) == pytest.approx(evaluation.paired_difference(a, b))


def test_accuracy_interval_is_the_difference_from_nothing_right_and_stays_a_share():
    correct = experiment(np.random.default_rng(5), 5, 40, "shared")[0]
    expected = evaluation.paired_difference(correct, np.zeros_like(correct))[:3]
    assert evaluation.accuracy_interval(correct) == pytest.approx(expected)
    correct[:] = 1
    correct[0, 0] = 0
    assert evaluation.accuracy_interval(correct).high == 1


def test_holm_against_the_definition():
    """Step down by hand: the smallest p-value times m, the next times m − 1, …, until one exceeds the level."""
    rng = np.random.default_rng(0)
    for _ in range(200):
        p = rng.random(6) ** 3
        level = rng.random()
        rejected, left = set(), list(np.argsort(p))
        while left and p[left[0]] * len(left) <= level:
            rejected.add(left.pop(0))
        assert set(np.flatnonzero(evaluation.holm(p) <= level)) == rejected


def test_curve_summary_against_scipy():
    rng = np.random.default_rng(0)
    runs = pd.DataFrame(
        [(m, n, s, rng.random()) for m in ("random", "k-center") for n in (500, 100) for s in range(5)],
        columns=["method", "n", "seed", "score"],
    )
    table = evaluation.curve_summary(runs)
    assert table[["method", "n"]].to_numpy().tolist() == [[m, n] for m in ("k-center", "random") for n in (100, 500)]
    scores = runs.query("method == 'random' and n == 500")["score"]
    low, high = stats.t.interval(0.95, 4, scores.mean(), scores.std(ddof=1) / np.sqrt(5))
    assert table.iloc[-1, 2:].tolist() == pytest.approx([scores.mean(), low, high, 5])


def test_macro_f1_is_that_of_scikit_learn_and_its_interval_covers():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 300)
    guess = np.where(rng.random((5, 300)) < 0.7, truth, rng.integers(0, 3, (5, 300)))
    groups = np.arange(300) // 3
    estimate, low, high = evaluation.macro_f1(truth, guess, groups)
    assert estimate == pytest.approx(np.mean([f1_score(truth, one, average="macro") for one in guess]))
    assert low < estimate < high and 0.02 < high - low < 0.2
    whole = evaluation.macro_f1(np.repeat(truth, 4), np.repeat(guess, 4, axis=1), np.repeat(np.arange(300), 4))
    alone = evaluation.macro_f1(np.repeat(truth, 4), np.repeat(guess, 4, axis=1), np.arange(1200))
    assert whole[2] - whole[1] > 1.3 * (alone[2] - alone[1])


def test_macro_f1_against_another_is_the_paired_difference():
    """Against itself nothing; against a copy with a few errors more, the difference, far surer than unpaired."""
    rng = np.random.default_rng(1)
    truth, groups = rng.integers(0, 3, 600), np.arange(600) // 2
    guess = np.where(rng.random((5, 600)) < 0.6, truth, rng.integers(0, 3, (5, 600)))
    assert evaluation.macro_f1(truth, guess, groups, against=guess) == (0, 0, 0)
    worse = np.where(rng.random((5, 600)) < 0.1, (truth + 1) % 3, guess)
    found = [evaluation.macro_f1(truth, one, groups) for one in (guess, worse)]
    effect, low, high = evaluation.macro_f1(truth, guess, groups, against=worse)
    assert effect == pytest.approx(found[0][0] - found[1][0]) and 0 < low < effect < high
    assert high - low < 0.6 * sum(one[2] - one[1] for one in found)
    assert evaluation.macro_f1(truth, worse, groups, against=guess)[1] == pytest.approx(-high)


def test_calibration_error_by_hand():
    """Gaps right − confidence: .4, .2 and −1. One bin (.5, 1] adds them up, bins of .2 keep them apart."""
    labels, probabilities = [0, 0, 0], [[0.6, 0.4], [0.8, 0.2], [0.0, 1.0]]
    assert evaluation.calibration_error(labels, probabilities, bins=2) == pytest.approx(0.4 / 3)
    assert evaluation.calibration_error(labels, probabilities, bins=5) == pytest.approx(1.6 / 3)


def test_calibration_error_counts_a_border_to_the_bin_below():
    """With two bins .5 lies in (0, .5] and .6 in (.5, 1]: gaps .5 and −.6 do not cancel."""
    assert evaluation.calibration_error([0, 1], [[0.5, 0.5], [0.6, 0.4]], bins=2) == pytest.approx(1.1 / 2)


def test_calibration_error_of_a_calibrated_model_is_near_zero_and_of_an_overconfident_one_is_not():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.5, 1, 50_000)
    labels = (rng.random(50_000) > p).astype(int)
    assert evaluation.calibration_error(labels, np.column_stack([p, 1 - p])) < 0.01
    sure = 0.5 + 0.5 * (p > 0.5)
    assert evaluation.calibration_error(labels, np.column_stack([sure, 1 - sure])) == pytest.approx(0.25, abs=0.01)


ZERO_ONE = np.zeros((3, 4), int)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: evaluation.wilson(5, 4), "k=5, n=4"),
        (lambda: evaluation.wilson(0, 0), "n ≥ 1"),
        (lambda: evaluation.wilson(1, 2, level=95), "level must lie between 0 and 1"),
        (lambda: evaluation.kappa([1, 2], [1]), "one length"),
        (lambda: evaluation.kappa(["a", None], ["a", "b"]), "drop the missing labels"),
        (lambda: evaluation.kappa(["a", np.nan, "b"], ["a", "b", "b"]), "drop the missing labels"),
        (lambda: evaluation.kappa([1, 1], [1, 1]), "undefined"),
        (lambda: evaluation.seeds_interval([0.8]), "at least two seeds"),
        (lambda: evaluation.seeds_interval([0.8, np.nan]), "finite"),
        (lambda: evaluation.paired_difference(ZERO_ONE, ZERO_ONE[:2]), "one shape"),
        (lambda: evaluation.paired_difference(ZERO_ONE[0], ZERO_ONE[0]), r"\(seeds, rows\)"),
        (lambda: evaluation.paired_difference(ZERO_ONE + 0.5, ZERO_ONE), "correct_a must hold 0 and 1"),
        (lambda: evaluation.paired_difference(ZERO_ONE, ZERO_ONE * np.nan), "correct_b must hold 0 and 1"),
        (lambda: evaluation.paired_difference(ZERO_ONE, ZERO_ONE, groups=["a"] * 4), "at least two documents"),
        (lambda: evaluation.paired_difference(ZERO_ONE, ZERO_ONE, groups=["a", "b"]), "for each of the 4 rows"),
        (lambda: evaluation.holm([0.1, np.nan]), "between 0 and 1"),
        (lambda: evaluation.curve_summary(pd.DataFrame({"method": [1]})), "lack the column n"),
        (
            lambda: evaluation.curve_summary(pd.DataFrame({"method": "a", "n": 9, "seed": [0, 0], "score": [0, 1]})),
            "occurs twice",
        ),
        (
            lambda: evaluation.curve_summary(pd.DataFrame({"method": "a", "n": 9, "seed": [0], "score": [0]})),
            "at least two",
        ),
        (lambda: evaluation.calibration_error([0, 1], [[0.5, 0.5]]), "labels"),
        (lambda: evaluation.calibration_error([2], [[0.5, 0.5]]), "0 to 1"),
        (lambda: evaluation.calibration_error([0], [[0.5, 0.6]]), "sum to 1"),
    ],
)
def test_bad_input_gets_one_clear_sentence(call, says):
    with pytest.raises(ValueError, match=says) as error:
        call()
    assert "\n" not in str(error.value)


@pytest.mark.equation("5.1")
def test_kappa_by_hand():
    a, b = list("aaaaabbbbb"), list("aaaabbbbbb")  # equal on 9 of 10; by chance on .5 · .4 + .5 · .6
    hand = (0.9 - 0.5) / (1 - 0.5)
    assert evaluation.kappa(a, b).estimate == pytest.approx(hand, abs=1e-12)
    assert cohen_kappa_score(a, b) == pytest.approx(hand, abs=1e-12)


# ---- diversity


def unit_rows(n, d, seed=0):
    rows = np.random.default_rng(seed).normal(size=(n, d))
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.equation("1.1")
def test_label_entropy_by_hand_and_scipy():
    labels = list("aabc")  # 1/2 · log2 2 + 2 · 1/4 · log2 4
    assert evaluation.label_entropy(labels) == pytest.approx(1.5, abs=1e-12)
    assert stats.entropy([2, 1, 1], base=2) == pytest.approx(1.5, abs=1e-12)
    assert evaluation.label_entropy(["a"]) == 0


@pytest.mark.equation("1.2")
def test_distinct_n_by_hand_and_by_counting_pairs():
    tokens = [["a", "b", "a", "b"], ["b", "a"], ["c"]]  # pairs: ab ba ab | ba
    pairs = [pair for row in tokens for pair in zip(row, row[1:], strict=False)]
    assert evaluation.distinct_n(tokens, 2) == pytest.approx(2 / 4) == len(set(pairs)) / len(pairs)
    assert evaluation.distinct_n(tokens, 1) == pytest.approx(3 / 7)


@pytest.mark.equation("1.3")
def test_mean_distance_by_hand_and_by_all_pairs():
    assert evaluation.mean_distance([[1, 0], [0.6, 0.8], [0, 1]]) == pytest.approx(((1 - 0.6) + 1 + (1 - 0.8)) / 3)
    rows = unit_rows(30, 7)
    assert evaluation.mean_distance(rows) == pytest.approx(pdist(rows, "cosine").mean(), abs=1e-12)


@pytest.mark.equation("1.4")
def test_vendi_score_by_hand_and_from_all_pairs():
    # two equal rows and one at a right angle: eigenvalues 2/3 and 1/3
    hand = (3 / 2) ** (2 / 3) * 3 ** (1 / 3)
    assert evaluation.vendi_score([[1, 0], [1, 0], [0, 1]]) == pytest.approx(hand, abs=1e-12)
    rows = unit_rows(20, 7)
    values = np.linalg.eigvalsh(rows @ rows.T / 20).clip(0)  # the (n, n) matrix of the paper
    assert evaluation.vendi_score(rows) == pytest.approx(np.exp(stats.entropy(values)), rel=1e-9)
    assert evaluation.vendi_score(np.eye(6)) == pytest.approx(6)
    assert evaluation.vendi_score(np.tile([[0.6, 0.8]], (9, 1))) == pytest.approx(1)


@pytest.mark.equation("1.5")
def test_coverage_by_hand_and_by_scikit_learns_neighbours():
    test = np.array([[1, 0], [0.8, 0.6], [0, 1]])  # nearest other row: cosine .8, .8, .6
    assert evaluation.coverage([[1, 0]], test, k=1) == pytest.approx(2 / 3)  # cosines 1, .8 and 0
    train, test = unit_rows(15, 3, seed=1), unit_rows(40, 3, seed=2)
    reach = NearestNeighbors(n_neighbors=6).fit(test).kneighbors(test)[0][:, -1]  # the row itself is the first
    nearest = NearestNeighbors(n_neighbors=1).fit(train).kneighbors(test)[0][:, 0]
    share = np.mean(nearest <= reach)
    assert 0 < share < 1 and evaluation.coverage(train, test, k=5) == pytest.approx(share)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 30), st.integers(2, 8), st.integers(0, 99))
def test_diversity_stays_in_its_range_and_ignores_the_order_of_rows(n, d, seed):
    rows = unit_rows(n, d, seed)
    assert 0 <= evaluation.mean_distance(rows) <= 2
    assert 1 - 1e-9 <= evaluation.vendi_score(rows) <= min(n, d) + 1e-9
    assert evaluation.vendi_score(rows[::-1]) == pytest.approx(evaluation.vendi_score(rows))
    assert evaluation.coverage(rows, rows, k=1) == 1
    again = np.concatenate([rows, rows])
    assert evaluation.vendi_score(again) == pytest.approx(evaluation.vendi_score(rows))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: evaluation.label_entropy([]), "at least one label"),
        (lambda: evaluation.label_entropy(["a", np.nan]), "none that is missing"),
        (lambda: evaluation.distinct_n(["a good film"]), "lists of tokens, not texts"),
        (lambda: evaluation.distinct_n([["a"]], 0), "n from 1, got n=0"),
        (lambda: evaluation.distinct_n([["a"], []], 2), "2 tokens or more"),
        (lambda: evaluation.mean_distance([[1.0, 0.0]]), "at least 2 rows of length 1"),
        (lambda: evaluation.vendi_score([[2.0, 0.0]]), "rows of length 1"),
        (lambda: evaluation.coverage(np.eye(3), np.eye(3), k=3), "at least 4 rows"),
    ],
)
def test_diversity_names_what_it_cannot_measure(call, message):
    with pytest.raises(ValueError, match=message):
        call()
