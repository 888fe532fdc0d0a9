"""claims: the ledger is well formed, the rule gives what it says at every border, records survive in notebooks."""

import doctest
import json
import re
import subprocess
import sys

import nbformat
import numpy as np
import pandas as pd
import papermill
import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from helpers import claims
from helpers.runner import parameters

# ---------------------------------------------------------------- the ledger

VERDICTS = ["supported", "negligible", "refuted", "inconclusive", "mixed", "not testable here"]


@pytest.fixture(scope="module")
def entries():
    return yaml.safe_load(claims.LEDGER.read_text(encoding="utf-8"))


def test_ids_are_unique_and_in_order(entries):
    ids = [entry["id"] for entry in entries]
    assert all(re.fullmatch(r"C\d{2,3}", id) for id in ids)
    assert ids == sorted(set(ids), key=lambda id: int(id[1:]))


def test_every_entry_is_complete(entries):
    keys = {"id", "section", "zh", "says", "kind", "predicts", "matters", "unit", "notebook"}
    kinds = {"empirical", "advice", "theory", "code", "definition", "reference", "reading"}
    for entry in entries:
        assert set(entry) - {"direction", "family", "same_as", "beyond", "moved"} == keys, entry["id"]
        assert entry["kind"] in kinds, entry["id"]
        assert all(entry[key] for key in keys - {"matters"}), entry["id"]
        assert len(entry["says"].split()) <= 25, entry["id"]
        assert len(entry["zh"]) <= 15, entry["id"]
        assert parameters.matching(entry["notebook"], parameters.notebooks()), entry["id"]


def test_a_repeated_mistake_is_counted_under_a_claim_that_repeats_none(entries):
    table = {entry["id"]: entry for entry in entries}
    repeats = {id: entry["same_as"].split(", ") for id, entry in table.items() if "same_as" in entry}
    assert repeats
    for id, others in repeats.items():
        assert set(others) <= set(table), id
        assert not set(others) & set(repeats), id


def test_what_moved_names_its_former_verdict_and_why(entries):
    moves = {entry["id"]: entry["moved"] for entry in entries if "moved" in entry}
    assert moves
    for id, move in moves.items():
        assert set(move) == {"before", "why"} and move["before"] in VERDICTS and move["why"], id


def test_what_goes_beyond_the_article_says_how(entries):
    beyond = {entry["id"]: entry["beyond"] for entry in entries if "beyond" in entry}
    assert beyond and all(text.endswith(".") and text.count(" ") >= 5 for text in beyond.values())
    assert not [entry["id"] for entry in entries if entry["kind"] == "reading" and "beyond" in entry]


def test_every_effect_has_a_size_that_matters_and_every_difference_a_tolerance(entries):
    for entry in entries:
        if "direction" in entry:
            assert entry["direction"] in claims.DIRECTIONS and entry["matters"] > 0, entry["id"]
            assert entry["family"], f"{entry['id']}: name the family in which Holm's correction is made"
        else:
            assert entry["matters"] >= 0, entry["id"]
            assert entry["kind"] != "empirical", f"{entry['id']}: an experiment has a direction"


def test_a_reading_has_no_effect_and_no_interval(entries):
    """What the authors filed or typed can be counted; it was not measured."""
    readings = [entry for entry in entries if entry["kind"] == "reading"]
    assert readings and not any("direction" in entry for entry in readings)


def test_every_notebook_up_to_the_questions_has_claims_to_test(entries):
    assert {entry["notebook"][:2] for entry in entries} == {f"{n:02d}" for n in range(19)}


def test_ledger_holds_the_entries(entries):
    table = claims.ledger()
    assert list(table.index) == [entry["id"] for entry in entries]
    assert table.loc["C01", "says"] == entries[0]["says"]
    assert set(table["direction"]) == {"", *claims.DIRECTIONS}


def test_groups_keep_world_text_readings_and_repeats_apart():
    rows = {
        "A": ("empirical", "", ""),
        "B": ("advice", "", "The article says less."),
        "C": ("theory", "", ""),
        "D": ("theory", "C", ""),
        "E": ("reading", "", ""),
        "F": ("empirical", "A", ""),
    }
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["kind", "same_as", "beyond"])
    expected = ["the world", "readings", "the text", "repeats", "readings", "repeats"]
    assert claims.groups(table).tolist() == expected
    assert set(claims.groups(claims.ledger())) == set(expected)


def test_examples_in_the_docstrings():
    assert doctest.testmod(claims).failed == 0


# ---------------------------------------------------------------- the rule


@pytest.mark.parametrize(
    ("effect", "low", "high", "expected"),
    [
        # smallest effect that matters .1, so the margin is .01
        (0.20, 0.15, 0.25, "supported"),
        (0.20, 0.111, 0.39, "supported"),
        (0.20, 0.109, 0.39, "inconclusive"),  # the effect may be smaller than what matters
        (0.20, 0.011, 0.39, "inconclusive"),  # there surely is an effect, of a size that may not matter
        (0.05, 0.02, 0.08, "negligible"),  # not 0, but too small to matter
        (0.00, -0.089, 0.089, "negligible"),
        (0.00, -0.089, 0.091, "inconclusive"),  # an effect that matters is nearly possible
        (0.00, -0.091, 0.089, "refuted"),  # the opposite may be true, the claim is not
        (-0.20, -0.25, -0.15, "refuted"),
        (-0.05, -0.30, 0.089, "refuted"),
        (-0.05, -0.30, 0.091, "inconclusive"),
        (0.00, 0.00, 0.00, "negligible"),
        (0.50, -1.00, 2.00, "inconclusive"),
    ],
)
def test_verdict_on_each_side_of_each_border(effect, low, high, expected):
    assert claims.verdict(effect, low, high, matters=0.1, direction="higher") == expected
    assert claims.verdict(-effect, -high, -low, matters=0.1, direction="lower") == expected
    denied = {"supported": "refuted", "inconclusive": "inconclusive"}.get(expected, "supported")
    assert claims.verdict(effect, low, high, matters=0.1, direction="not higher") == denied
    assert claims.verdict(-effect, -high, -low, matters=0.1, direction="not lower") == denied


@pytest.mark.parametrize(
    ("difference", "tolerance", "expected"),
    [
        (0, 0, "supported"),
        (1, 0, "refuted"),
        (0.089, 0.1, "supported"),
        (-0.089, 0.1, "supported"),
        (0.095, 0.1, "inconclusive"),
        (0.105, 0.1, "inconclusive"),
        (-0.111, 0.1, "refuted"),
    ],
)
def test_verdict_of_difference_on_each_side_of_each_border(difference, tolerance, expected):
    assert claims.verdict_of_difference(difference, tolerance) == expected


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["supported", "supported"], "supported"),
        (["negligible", "negligible"], "negligible"),
        (["negligible", "refuted"], "refuted"),
        (["supported", "negligible"], "mixed"),
        (["refuted", "inconclusive", "supported"], "mixed"),
        (["supported", "inconclusive"], "inconclusive"),
        (["refuted", "negligible", "inconclusive"], "inconclusive"),
        (["inconclusive"] * 3, "inconclusive"),
    ],
)
def test_combined(verdicts, expected):
    assert claims.combined(verdicts) == claims.combined(reversed(verdicts)) == expected


numbers = st.floats(-10, 10)
widths = st.floats(0, 10)
sizes = st.floats(0.01, 10)
directions = st.sampled_from(claims.DIRECTIONS)
DENIES = {"negligible", "refuted"}


@given(numbers, widths, widths, widths, widths, sizes, directions)
def test_a_wider_interval_never_says_more(effect, below, above, more_below, more_above, matters, direction):
    narrow = claims.verdict(effect, effect - below, effect + above, matters=matters, direction=direction)
    wide = claims.verdict(
        effect, effect - below - more_below, effect + above + more_above, matters=matters, direction=direction
    )
    if narrow == "inconclusive":
        assert wide == "inconclusive"
    if wide == "supported":
        assert narrow == "supported"
    if wide in DENIES:
        assert narrow in DENIES
    if wide == "negligible":
        assert narrow == "negligible"


@given(numbers, widths, widths, sizes)
def test_a_claim_and_its_opposite_are_never_both_supported(effect, below, above, matters):
    low, high = effect - below, effect + above
    higher = claims.verdict(effect, low, high, matters=matters, direction="higher")
    lower = claims.verdict(effect, low, high, matters=matters, direction="lower")
    assert not higher == lower == "supported"
    assert (higher == "negligible") == (lower == "negligible")
    if higher == "supported":
        assert lower == "refuted"


@given(numbers, widths, widths, sizes, directions, st.sampled_from([0.125, 0.5, 2, 64]))
def test_the_unit_does_not_matter(effect, below, above, matters, direction, unit):
    low, high = effect - below, effect + above
    assert claims.verdict(effect, low, high, matters=matters, direction=direction) == claims.verdict(
        effect * unit, low * unit, high * unit, matters=matters * unit, direction=direction
    )


@given(numbers, widths, widths, sizes, st.floats(-0.099, 0.099))
def test_a_firm_verdict_holds_when_all_figures_move_by_less_than_a_tenth(effect, below, above, matters, move):
    """Against the rule without margins, written out by its definition."""
    low, high = effect - below, effect + above
    result = claims.verdict(effect, low, high, matters=matters, direction="higher")
    assume(result != "inconclusive")
    low, high = low + move * matters, high + move * matters
    if result == "supported":
        assert low >= matters
    if result in DENIES:
        assert high < matters
    if result == "negligible":
        assert low > -matters


def words(low, high, direction):
    """What becomes of a claim "1 or more", by the words of the definition; None within a tenth of a border."""
    if min(abs(low - 1), abs(high - 1)) < 0.1 or abs(low + 1) < 0.1:
        return None
    if direction.startswith("not"):
        return "refuted" if low >= 1 else "supported" if high < 1 else "inconclusive"
    if low >= 1:
        return "supported"
    if high < 1:
        return "negligible" if low > -1 else "refuted"
    return "inconclusive"


def test_the_rule_on_a_grid_of_effects_and_intervals():
    """All intervals from −3 to 3 in steps of an eighth: the definition, its mirror image, and the denial of both."""
    ends, seen = np.arange(-24, 25) / 8, set()
    for low, high in ((low, high) for low in ends for high in ends if low <= high):
        for direction in claims.DIRECTIONS:
            one, other = (-high, -low) if direction.endswith("lower") else (low, high)
            expected = words(one, other, direction)
            found = claims.verdict((low + high) / 2, low, high, matters=1, direction=direction)
            assert expected in (None, found), (low, high, direction)
            seen.add((direction, found))
    assert len(seen) == 4 + 4 + 3 + 3


@given(numbers, widths, widths, sizes, st.sampled_from(["higher", "lower"]))
def test_a_denial_is_judged_by_the_same_standard_as_its_claim(effect, below, above, matters, direction):
    claim, denial = (
        claims.verdict(effect, effect - below, effect + above, matters=matters, direction=one)
        for one in (direction, f"not {direction}")
    )
    assert denial == {"supported": "refuted", "inconclusive": "inconclusive"}.get(claim, "supported")


# ---------------------------------------------------------------- records


@pytest.fixture
def small_ledger(monkeypatch):
    claim = {"unit": "accuracy", "notebook": "04", "matters": 0.1}
    entries = {"C01": {**claim, "direction": "higher"}, "C02": {**claim}, "C03": {**claim, "notebook": "05"}}
    monkeypatch.setattr(claims, "_claims", lambda: entries)


@pytest.mark.parametrize(
    ("id", "evidence", "line"),
    [
        ("C01", {"effect": 0.2, "interval": (0.15, 0.25)}, "C01: supported"),
        ("C01", {"effect": np.float32(-0.2), "interval": np.array([-0.25, -0.15])}, "C01: refuted"),
        ("C01", {"conditions": {"en": (0.2, 0.15, 0.25), "zh": (-0.2, -0.25, -0.15)}}, "C01: mixed"),
        ("C01", {"reason": "no second modality at hand"}, "C01: not testable here"),
        ("C02", {"difference": 0}, "C02: supported"),
        ("C02", {"difference": np.int64(3)}, "C02: refuted"),
        ("C02", {"conditions": {"first": 0.0, "second": 0.01}, "epochs": 10}, "C02: supported"),
    ],
)
def test_record_prints_one_line(small_ledger, capsys, id, evidence, line):
    claims.record(id, **evidence)
    assert capsys.readouterr().out == line + "\n"


@pytest.mark.parametrize(
    ("id", "evidence", "says"),
    [
        ("C99", {"difference": 0}, "C99 is not in the ledger, which has 3 claims"),
        ("C01", {}, "C01 takes one of effect, difference, conditions and reason, got none"),
        ("C02", {"difference": 0, "reason": "lazy"}, "takes one of .* got .'difference', 'reason'."),
        ("C01", {"effect": 0.2}, "C01 lacks the interval"),
        ("C01", {"effect": 0.2, "interval": (0.3, 0.4)}, "C01: an effect must lie in its finite interval"),
        ("C01", {"effect": 0.2, "interval": (0.1, float("inf"))}, "C01: an effect must lie in its finite interval"),
        ("C01", {"effect": float("nan"), "interval": (0, 1)}, "C01: an effect must lie in its finite interval"),
        ("C02", {"difference": float("nan")}, "C02: a difference must be finite"),
        ("C01", {"difference": 0.2}, r"C01 is tested by an effect \(higher\) with its interval"),
        ("C02", {"effect": 0.2, "interval": (0.1, 0.3)}, "C02 is tested by a difference"),
        ("C02", {"conditions": {"only": 0.0}}, "C02 takes two conditions or more"),
        ("C02", {"difference": 0, "interval": (-1, 1)}, "C02 has an interval beside difference"),
        ("C01", {"reason": "no data", "interval": (-1, 1)}, "C01 has an interval beside reason"),
    ],
)
def test_record_refuses_in_one_sentence(small_ledger, capsys, id, evidence, says):
    with pytest.raises(ValueError, match=says) as error:
        claims.record(id, **evidence)
    assert "\n" not in str(error.value)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("tolerance", [float("nan"), float("inf"), -0.1])
def test_a_difference_is_not_judged_by_a_tolerance_that_is_none(tolerance):
    with pytest.raises(ValueError, match="a tolerance must be finite and at least 0, got"):
        claims.verdict_of_difference(0, tolerance)


def test_verdict_refuses_an_unknown_direction_and_no_size():
    with pytest.raises(ValueError, match="direction must be one of higher, lower"):
        claims.verdict(0, -1, 1, matters=0.1, direction="equal")
    with pytest.raises(ValueError, match="matters must be above 0"):
        claims.verdict(0, -1, 1, matters=0, direction="higher")


# ---------------------------------------------------------------- notebooks


def write_notebook(path, *contents, tags=()):
    outputs = [
        nbformat.v4.new_output("display_data", {"text/plain": f"{c['id']}: {c['verdict']}"}, metadata={"claim": c})
        for c in contents
    ]
    plain = nbformat.v4.new_output("stream", text="C02: supported\n")
    cell = nbformat.v4.new_code_cell("…", outputs=[*outputs, plain], metadata={"tags": list(tags)})
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# 04"), cell]), path)


EFFECT = {"id": "C01", "verdict": "supported", "effect": 0.2, "interval": [0.15, 0.25], "parameters": {"n": 500}}
DIFFERENCE = {"id": "C02", "verdict": "refuted", "difference": 1, "parameters": {}}


def test_collect_reads_what_the_notebooks_carry(small_ledger, tmp_path):
    write_notebook(tmp_path / "04_a.ipynb", EFFECT, DIFFERENCE)
    write_notebook(
        tmp_path / "05_b.ipynb", {"id": "C03", "verdict": "not testable here", "reason": "no data", "parameters": {}}
    )
    table = claims.collect(tmp_path)
    assert table["id"].tolist() == ["C01", "C02", "C03"]
    assert table.iloc[0].to_dict() == {
        **{"id": "C01", "verdict": "supported", "effect": 0.2, "low": 0.15, "high": 0.25, "difference": None},
        **{"conditions": None, "reason": None, "notebook": "04_a", "parameters": {"n": 500}},
    }
    assert table.loc[1, ["effect", "difference"]].tolist() == [None, 1]
    assert table.loc[2, ["verdict", "reason", "notebook"]].tolist() == ["not testable here", "no data", "05_b"]


def test_a_claim_of_a_number_may_stand_in_any_part_and_a_claim_of_a_part_there_alone(small_ledger, tmp_path):
    claims._claims()["C02"]["notebook"] = "04b"
    write_notebook(tmp_path / "04a_a.ipynb", EFFECT)
    write_notebook(tmp_path / "04b_b.ipynb", DIFFERENCE)
    assert claims.collect(tmp_path)["notebook"].tolist() == ["04a_a", "04b_b"]
    (tmp_path / "04b_b.ipynb").rename(tmp_path / "04c_b.ipynb")
    with pytest.raises(ValueError, match="04c_b.ipynb records C02, which belongs to notebook 04b"):
        claims.collect(tmp_path)


def test_collect_leaves_out_reruns_with_other_parameters(small_ledger, tmp_path):
    write_notebook(tmp_path / "04_a.ipynb", EFFECT, tags=["injected-parameters"])
    table = claims.collect(tmp_path)
    assert table.empty and "verdict" in table


@pytest.mark.parametrize(
    ("name", "contents", "says"),
    [
        ("05_b.ipynb", [EFFECT], "05_b.ipynb records C01, which belongs to notebook 04"),
        ("05a_b.ipynb", [EFFECT], "05a_b.ipynb records C01, which belongs to notebook 04"),
        ("04_a.ipynb", [EFFECT, EFFECT], "records C01 a second time"),
        ("04_a.ipynb", [{**DIFFERENCE, "verdict": "supported"}], "the verdict on C02 is out of date"),
        ("04_a.ipynb", [{**DIFFERENCE, "id": "C77"}], "C77 is not in the ledger"),
    ],
)
def test_collect_refuses_what_the_ledger_does_not_bear_out(small_ledger, tmp_path, name, contents, says):
    write_notebook(tmp_path / name, *contents)
    with pytest.raises(ValueError, match=says):
        claims.collect(tmp_path)


def test_papermill_keeps_the_evidence_and_nbval_compares_the_line_alone(tmp_path):
    path = tmp_path / "04_document_example.ipynb"
    source = (
        "import numpy as np\nfrom helpers import claims\nclaims.record('C45', difference=np.int64(1), seeds=[0, 1])"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
    papermill.execute_notebook(path, path, progress_bar=False)

    row = claims.collect(tmp_path).iloc[0]
    assert [row["id"], row["verdict"], row["difference"], row["parameters"]] == ["C45", "refuted", 1, {"seeds": [0, 1]}]
    stored = json.loads(path.read_text(encoding="utf-8"))
    output = stored["cells"][0]["outputs"][0]
    assert output["data"] == {"text/plain": ["C45: refuted"]}

    output["metadata"]["claim"]["difference"] = 2
    path.write_text(json.dumps(stored), encoding="utf-8")
    output["data"]["text/plain"] = ["C45: supported"]
    (tmp_path / "other_line.ipynb").write_text(json.dumps(stored), encoding="utf-8")
    nbval = [sys.executable, "-m", "pytest", "-rA", "--nbval", "-p", "no:cacheprovider", tmp_path]
    report = subprocess.run(nbval, capture_output=True, text=True).stdout
    assert re.findall(r"^(PASSED|FAILED).*?(04|other)_", report, re.M) == [("PASSED", "04"), ("FAILED", "other")]
