"""What tests/draws.py draws: of every study, the same in each process, and told apart by order."""

import json
import os
import subprocess
import sys

from helpers.runner import studies
from tests import draws


def test_every_study_draws():
    assert sorted(draws.DRAWS) == studies.names()


def test_a_digest_is_of_ids_in_order():
    assert draws.digest([[1, 2], [3]]) == draws.digest([[1, 2], (3,)])
    assert draws.digest([[1, 2], [3]]) != draws.digest([[2, 1], [3]]) != draws.digest([[2], [1, 3]])


def test_arms_are_few_and_spread():
    few = draws.arms(studies.module("leakage"))
    assert [cell["split"] for cell in few] == ["rows", "rows", "texts", "distinct", "distinct", "cleaned"]
    assert all(cell["seed"] == 0 for cell in few)


def test_strings_may_hash_as_they_like():
    """The same rows whatever PYTHONHASHSEED orders sets by."""
    found = [
        subprocess.run(
            [sys.executable, "-m", "tests.draws", "speech"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=draws.studies.root(),
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert found[0] == found[1]
    assert len(json.loads(found[0])["speech"]) == len(draws.arms(studies.module("speech")))
