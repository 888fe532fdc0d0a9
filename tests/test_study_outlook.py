"""The study of the outlook: its draws and its secrets; the equations of notebook 17."""

import re

import numpy as np
import pytest
from scipy import constants, optimize

from helpers.runner import studies
from helpers.scenarios import speech

study = studies.module("outlook")


@pytest.mark.equation("17.1")
def test_a_power_law_is_found_again_from_its_points():
    n = np.array([50, 100, 200, 350, 500.0])
    errors = np.array([0.2 + 1.5 / np.sqrt(size) for size in n])
    assert errors[1] == pytest.approx(0.35)  # worked by hand: 0.2 + 1.5 / 10
    found, _ = optimize.curve_fit(lambda n, a, b, c: c + a * n**-b, n, errors, p0=(1, 0.3, 0.1))
    assert found == pytest.approx([1.5, 0.5, 0.2], abs=1e-6)


@pytest.mark.equation("17.2")
def test_the_rows_for_an_error_are_where_the_curve_takes_it():
    a, b, c, wanted = 1.5, 0.5, 0.2, 0.23
    rows = (a / (wanted - c)) ** (1 / b)
    assert rows == pytest.approx(2500)  # by hand: (1.5 / 0.03)²
    assert rows == pytest.approx(optimize.brentq(lambda n: c + a * n**-b - wanted, 1, 1e6))


@pytest.mark.equation("17.3")
def test_energy_is_power_times_time():
    joules = 700 * constants.hour / 2
    assert joules / (constants.kilo * constants.hour) == pytest.approx(0.35)  # half an hour at 700 W, in kWh


@pytest.mark.equation("17.4")
def test_a_matrix_costs_six_operations_a_weight_and_token():
    tokens, inputs, outputs = 7, 5, 3
    x, w, g = np.ones((tokens, inputs)), np.ones((inputs, outputs)), np.ones((tokens, outputs))
    products = [("ti,io->to", x, w), ("ti,to->io", x, g), ("to,io->ti", g, w)]  # forward, gradient of w, gradient of x
    counts = [float(re.search(r"Naive FLOP count:\s+(\S+)", np.einsum_path(*one)[1])[1]) for one in products]
    assert sum(counts) == pytest.approx(6 * w.size * tokens)


@pytest.mark.equation("17.5")
def test_exposure_of_chance_is_the_logarithm_of_e():
    ranks = np.arange(1, 10_001)
    exposure = np.log2(10_000) - np.log2(ranks)
    assert exposure[0] == pytest.approx(13.2877, abs=1e-4) and exposure[4999] == 1 and exposure[-1] == 0
    assert exposure.mean() == pytest.approx(np.log2(np.e), abs=1e-3)  # Stirling's formula


def test_draws_hold_half_of_each_label_and_no_document_of_the_test_rows():
    pool, test = study.draw("film", "pool", 100, 0), study.draw("film", "test", 100, 0)
    assert pool["label"].value_counts().tolist() == [50, 50] and len(set(pool.index) & set(test.index)) == 0
    frame = study.sentences()
    editorials = frame[frame["source"] == "editorials"]
    assert editorials.groupby("group")["part"].nunique().max() == 1


def test_secrets_are_planted_as_often_as_told():
    secrets = study.secrets(0)
    assert sorted(times for _, times in secrets.values()) == [1] * 4 + [4] * 4 + [16] * 4
    assert secrets == study.secrets(0) != study.secrets(1)
    texts = {arm: study.planted(arm, 50, 0) for arm in study.CANARIES}
    for name, (number, times) in secrets.items():
        line = f"{name} has qq {number}"
        assert texts["as they are"].count(line) == times and texts["no repeats"].count(line) == 1
        assert not any(str(number) in text for text in texts["masked"])
    assert len(texts["masked"]) == len(texts["as they are"]) == 50 + 4 * (1 + 4 + 16)


def test_letters_and_targets():
    assert study.letters(["ab c"], 6).tolist() == [[2, 3, 1, 4, 0, 0]] and study.letters(["abcdef"], 3).shape == (
        1,
        3,
    )
    table = speech.clips()[0].iloc[:0].copy()
    table.loc[0, ["speed", "text"]] = [175, "turn seven on"]
    table.loc[1, ["speed", "text"]] = [300, "turn lights on"]
    assert study.targets("speed", table).tolist() == [1, 2] and study.targets("digit said", table).tolist() == [
        1,
        0,
    ]
