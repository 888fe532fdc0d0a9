"""References and errata as stored, and what notebook 18 computes: word edits, verdicts by chance, p-values."""

import re

import nbformat
import numpy as np
import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from helpers import claims, datasets
from helpers.runner.parameters import notebooks

FOLDER = datasets.DATA / "document"
REFERENCES = yaml.safe_load((FOLDER / "references.yaml").read_text(encoding="utf8"))
ERRATA = pd.read_csv(FOLDER / "errata.csv", keep_default_na=False).set_index("id")
# kinds in which a refuted claim is a mistake of the text
CORRECTED = ["theory", "code", "definition", "reference", "reading"]


@pytest.fixture(scope="module")
def lesson():
    """What the cells tagged parameters and setup of notebook 18 define."""
    namespace = {}
    for cell in nbformat.read(notebooks()["18"], 4).cells:
        if {"parameters", "setup"} & set(cell.metadata.get("tags", [])):
            exec(cell.source, namespace)
    return namespace


@pytest.fixture(scope="module")
def recorded():
    return claims.collect(datasets.DATA.parent / "notebooks").set_index("id")


# ---------------------------------------------------------------- references


def test_every_work_and_site_checks_a_claim_about_references():
    entries = [*REFERENCES["works"], *REFERENCES["sites"].values(), *REFERENCES["tools"].values()]
    found = [entry["claim"] for entry in entries]
    assert len(found) == len(set(found))
    assert set(claims.ledger().loc[found, "kind"]) == {"reference"}


def test_a_work_is_found_with_title_authors_year_and_venue_or_not_at_all():
    for work in REFERENCES["works"]:
        assert work["cited"]["authors"] and work["seen"], work["id"]
        if work["found"]:
            assert {"title", "authors", "year", "venue"} <= set(work["found"]), work["id"]


def test_identifiers_are_those_of_arxiv_and_no_work_precedes_its_preprint():
    works = [work["found"] for work in REFERENCES["works"] if work["kind"] == "paper"] + REFERENCES["reading"]
    identifiers = [work["arxiv"] for work in works]
    assert len(set(identifiers)) == len(works)
    for work in works:
        match = re.fullmatch(r"(\d\d)(0[1-9]|1[0-2])\.\d{5}", work["arxiv"])
        assert match and 0 <= work["year"] - (2000 + int(match[1])) <= 2, work["title"]


def test_what_to_read_is_set_beside_claims_of_the_ledger():
    for work in REFERENCES["reading"]:
        assert work["claims"] and set(work["claims"]) <= set(claims.ledger().index), work["title"]


def test_word_edits_by_hand(lesson):
    edits = lesson["word_edits"]
    assert edits("Deep Learning", "deep learning") == 0
    assert edits("GPT-3: Language Models", "Language Models") == 1
    assert edits("a big red dog", "a small dog") == 2  # big → small, red dropped
    assert edits("one two", "three four five") == 3


def test_details_counts_each_field_that_differs(lesson):
    book = {"title": "A", "title_zh": "甲", "authors": ["X"]}
    assert lesson["details"]({"cited": book, "found": book}) == 0
    assert lesson["details"]({"cited": book, "found": book | {"title_zh": "乙", "authors": ["X", "Y"]}}) == 2


# ---------------------------------------------------------------- errata


def test_every_refuted_formula_code_definition_and_reference_has_a_correction(recorded):
    kinds = claims.ledger().loc[recorded.index, "kind"]
    wrong = recorded.index[kinds.isin(CORRECTED) & recorded["verdict"].eq("refuted")]
    assert sorted(set(wrong) - set(ERRATA.index)) == []


def test_no_correction_stands_without_a_mistake(recorded):
    known = recorded["verdict"].reindex(ERRATA.index).dropna()
    assert known[~known.isin(["refuted", "mixed"])].to_dict() == {}
    corrected = [id for id in ERRATA.index if not id.startswith("S")]
    assert set(claims.ledger().loc[corrected, "kind"]) <= set(CORRECTED)


def test_errata_are_complete():
    assert ERRATA.index.is_unique and ERRATA["right"].ne("").all()
    slips = ERRATA[ERRATA.index.str.fullmatch(r"S\d")]
    assert slips[["section", "zh", "says"]].ne("").all(axis=None)
    assert slips["zh"].str.len().max() <= 20
    assert ERRATA.drop(slips.index)[["section", "zh", "says"]].eq("").all(axis=None)  # these stand in the ledger


# ---------------------------------------------------------------- verdicts by chance


def border(h, m, wanted, low, high):
    """Where along the estimate, between low and high, the rule's verdict begins or ceases to be among those wanted."""

    def inside(d):
        return claims.verdict(d, d - h, d + h, matters=m, direction="higher") in wanted

    start = inside(low)
    assert inside(high) != start
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if inside(middle) == start else (low, middle)
    return low


WIDTHS = st.floats(0.05, 20)


@pytest.mark.equation("18.1")
@given(h=WIDTHS, m=WIDTHS)
def test_chance_of_a_false_finding(lesson, h, m):
    assert lesson["false_finding"](1, 1) == pytest.approx(1.93e-5, abs=5e-8)  # by hand: beyond 2.1 · 1.96 = 4.116
    begins = border(h, m, {"supported"}, 0, 10 * (h + m))
    sigma = h / 1.959963985
    assert lesson["false_finding"](h, m) == pytest.approx(stats.norm(0, sigma).sf(begins), rel=1e-6, abs=1e-12)


@pytest.mark.equation("18.2")
@given(h=WIDTHS, m=WIDTHS)
def test_chance_of_a_false_dismissal(lesson, h, m):
    assert lesson["false_dismissal"](1, 1) == pytest.approx(0.0155, abs=5e-5)
    ends = border(h, m, {"refuted", "negligible"}, -10 * (h + m), 10 * (h + m))
    sigma = h / 1.959963985
    assert lesson["false_dismissal"](h, m) == pytest.approx(stats.norm(m, sigma).cdf(ends), rel=1e-6, abs=1e-12)


def table(*rows):
    """Effects as the notebook holds them: id, effect, low, high, matters."""
    frame = pd.DataFrame(rows, columns=["id", "effect", "low", "high", "matters"])
    return frame.assign(h=(frame["high"] - frame["low"]) / 2, seeds=np.inf)


def test_simulated_worlds_agree_with_the_formula(lesson):
    effects = table(*[(f"C{k}", 0.0, -20.0, 20.0, 1.0) for k in range(100)])
    counts = lesson["worlds"](effects, True, 40, 0)
    assert sum(counts.values()) == pytest.approx(100)
    expected = 100 * lesson["false_finding"](20, 1)
    assert counts["supported"] == pytest.approx(expected, abs=4 * np.sqrt(expected / 40))


def test_one_draw_for_a_claim_never_gives_a_mixed_verdict_where_the_widths_are_equal(lesson):
    effects = table(*[("C1", 0.0, -20.0, 20.0, 1.0)] * 20)
    assert "mixed" not in lesson["worlds"](effects, True, 200, 0)
    assert lesson["worlds"](effects, False, 200, 0)["mixed"] > 0


def test_evidence_turns_every_effect_to_be_above_zero(lesson):
    ledger = pd.DataFrame({"direction": ["higher", "not lower", ""], "matters": [0.1, 0.2, 0.0]}, index=["A", "B", "C"])
    rows = {"effect": [0.3, None, None], "low": [0.2, None, None], "high": [0.5, None, None]}
    rows["parameters"] = [{"seeds": 10}, {}, {}]
    rows["conditions"] = [None, {"x": [-0.4, -0.6, -0.1], "y": [0.0, 0.0, 0.0]}, None]
    found = lesson["evidence"](pd.DataFrame(rows, index=["A", "B", "C"], dtype=object), ledger)
    assert found.drop(columns="denied").to_numpy().tolist() == [
        ["A", "", 0.3, 0.2, 0.5, 0.1, 10],
        ["B", "x", 0.4, 0.1, 0.6, 0.2, 5],  # y has no width, C no direction
    ]
    assert found["denied"].tolist() == [False, True]


def test_p_values_by_hand(lesson):
    p = lesson["p_value"]
    z = 1.959963985
    touches = ("A", 1 + z, 1.0, 1 + 2 * z, 1.0)  # σ = 1, and the interval begins at what matters
    assert p("supported", table(touches)) == pytest.approx(0.05)
    weakest = table(touches, ("A", 9.0, 9 - z, 9 + z, 1.0))
    assert p("supported", weakest) == pytest.approx(0.05)
    assert p("refuted", table(("A", 0.0, -z, z, z))) == pytest.approx(0.05)  # touches what matters
    assert p("negligible", table(("A", 0.0, -z, z, 2 * z))) == pytest.approx(2 * stats.norm.sf(2 * z))
    five = table(("A", 3.7764, 1.0, 1 + 2 * 2.7764, 1.0)).assign(seeds=5)  # 97.5% point of t with 4 degrees of freedom
    assert p("supported", five) == pytest.approx(0.05, abs=1e-5)
    assert p("inconclusive", table(("A", 0.0, -z, z, 1.0))) == 1.0


def test_a_denial_needs_no_second_border(lesson):
    asserted, denial = (table(("A", 0.0, -1.0, 1.0, 3.0)).assign(denied=denied) for denied in (False, True))
    assert lesson["deciding"]("negligible", asserted) == "negligible"
    assert lesson["deciding"]("negligible", denial) == "refuted"
    assert lesson["deciding"]("supported", denial) == "supported"
