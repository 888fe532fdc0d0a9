"""choosing and wrong_labels: their parts, pools, purchases and planted errors, on small made-up rows."""

import numpy as np
import pandas as pd
import pytest

from helpers.runner import studies

wrong_labels = studies.module("wrong_labels")


@pytest.fixture
def choosing(monkeypatch):
    """The study on 400 made-up rows of two classes, 300 of them in the pool."""
    study = studies.module("choosing")
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    vectors = rng.normal(size=(400, 6)).astype(np.float32)
    vectors[:, 0] += 2 * (2 * labels - 1)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    frame = pd.DataFrame({"text": [f"row {i}" for i in range(400)], "group": np.arange(400)}, index=range(1000, 1400))
    part = np.repeat(["pool", "valid", "judged", "test"], [300, 20, 30, 50])
    monkeypatch.setattr(study, "POOL", 200)
    monkeypatch.setattr(study, "table", lambda language: (frame, part))
    monkeypatch.setattr(study, "rows", lambda language: (frame, vectors, labels, part))
    return study


def test_parts_have_their_shares_and_a_key_keeps_its_part(choosing):
    keys = [str(i) for i in range(20_000)]
    found = choosing.parts(keys)
    shares = pd.Series(found).value_counts(normalize=True)
    assert shares.to_dict() == pytest.approx({"pool": 0.45, "test": 0.4, "valid": 0.075, "judged": 0.075}, abs=0.01)
    assert choosing.parts(keys[:50][::-1]).tolist() == found[:50][::-1].tolist()


def test_rows_judged_on_are_valid_first_and_never_of_pool_or_test(choosing):
    assert choosing.judged_on("zh").tolist() == list(range(300, 350))


@pytest.mark.parametrize("noise", [0.0, 0.05, 0.2])
def test_a_pool_turns_its_share_of_labels_and_keeps_the_rest(choosing, noise):
    drawn, given, turned, more = choosing.pool("zh", "nothing", noise, 3)
    assert len(set(drawn)) == 200 and not set(drawn) & set(more) and max(*drawn, *more) < 300
    assert turned.sum() == round(noise * 200)
    np.testing.assert_array_equal(given != choosing.rows("zh")[2][drawn], turned)


def test_noise_changes_labels_but_not_the_rows_of_a_pool(choosing):
    clean, dirty = (choosing.pool("zh", "nothing", noise, 1)[0] for noise in (0.0, 0.2))
    np.testing.assert_array_equal(clean, dirty)


@pytest.mark.parametrize("method", ["random", "k_center", "margin", "density_weighted"])
def test_bought_rows_are_n_different_ones_of_the_pool(choosing, method):
    train, _ = choosing.bought("zh", method, 130, 0)
    assert len(set(train.tolist())) == 130 and set(train) <= set(choosing.pool("zh", "nothing", 0.0, 0)[0])


def test_a_larger_purchase_by_margin_begins_with_the_smaller_one(choosing):
    small, large = (choosing.bought("zh", "margin", n, 0)[0] for n in (100, 200))
    np.testing.assert_array_equal(large[:100], small)


def test_perfect_cleaning_leaves_no_turned_label(choosing):
    for before, wrong in (("nothing", True), ("errors out", False)):
        train, given, _ = choosing.curated("zh", before, "random", 0.2, 100, 0)
        assert (given != choosing.rows("zh")[2][train]).any() == wrong


def test_too_few_rows_of_a_class_are_answered_by_the_other(choosing):
    answers, C = choosing.predicted(np.eye(6), np.array([1, 1, 1, 1, 0, 0]), np.eye(6)[:4])
    assert answers.tolist() == [1, 1, 1, 1] and np.isnan(C)


def test_a_fixed_strength_is_the_one_that_is_used(choosing):
    _, vectors, labels, _ = choosing.rows("zh")
    assert choosing.predicted(vectors[:60], labels[:60], vectors[60:], [3])[1] == 3


@pytest.mark.parametrize("errors", ["at random", "in one cluster"])
def test_turned_labels_are_the_share_asked_for(errors):
    vectors = np.eye(50)
    assert wrong_labels.turned(errors, 0.1, vectors, np.random.default_rng(0)).sum() == 5


def test_errors_in_one_cluster_lie_nearer_each_other_than_other_rows_do():
    angle = np.random.default_rng(1).uniform(0, np.pi, 200)
    vectors = np.column_stack([np.cos(angle), np.sin(angle)])
    wrong = wrong_labels.turned("in one cluster", 0.1, vectors, np.random.default_rng(2))
    assert np.ptp(angle[wrong]) < 0.2 * np.pi
    assert np.ptp(angle[wrong_labels.turned("at random", 0.1, vectors, np.random.default_rng(2))]) > 0.5 * np.pi
