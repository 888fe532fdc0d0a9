"""Another make of processor, simulated: the rows that studies draw, and choose by vectors, are the same there.

`tests/draws.json` holds the hashes as an ordinary run printed them (`python -m tests.draws > tests/draws.json`), so
that the same test on a machine of another make compares that machine with the one that drew the stored rows.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.runner import processor

DRAWN = json.loads((Path(__file__).parent / "draws.json").read_text(encoding="utf8"))

CHOICES = """
import hashlib, json
import numpy as np
from helpers import datasets, duplicates, pretrained, selection

found = {}
for name, encoder in (("reviews_zh", "use"), ("snippets_en", "minilm")):
    frame = duplicates.clean(datasets.load(name).iloc[::60])[0].iloc[:300]
    vectors = pretrained.embed(frame["text"].tolist(), encoder)
    labels = np.arange(len(frame)) % 2
    agreed = {"labels": labels, "probabilities": np.eye(2)[labels]}
    choices = {"k_center": {}, "prototypes": {}, "facility_location": {}, "herding": {}, "agree_then_herd": agreed}
    for method, more in choices.items():
        found[f"{method} {name}"] = np.asarray(getattr(selection, method)(vectors, 40, **more, seed=0)).tolist()
print(json.dumps(found))
"""


def under(setting, *command):
    """What a command of Python prints under a setting, or as the processor is (None), as JSON."""
    prefix = ["-m", "helpers.runner.processor", setting, sys.executable] if setting else []
    done = subprocess.run([sys.executable, *prefix, *command], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def test_a_setting_changes_what_an_unstable_sort_makes_of_ties():
    """If this fails, NumPy no longer chooses its sort by the processor, and the tests below compare nothing."""
    code = "import json, numpy as np; print(json.dumps(np.argsort(np.arange(4000) % 4).tolist()))"
    assert sorted(under("older", "-c", code)) == list(range(4000))
    if processor.environment()["NPY_DISABLE_CPU_FEATURES"]:
        assert under("older", "-c", code) != under(None, "-c", code)


def test_a_setting_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="there is no setting 'newer' of a processor; there are older, without"):
        processor.environment("newer")


@pytest.mark.parametrize("setting", processor.SETTINGS)
def test_studies_draw_the_same_rows(setting):
    drawn = under(setting, "-m", "tests.draws")
    differ = {
        f"{name}: {cell}" for name, cells in DRAWN.items() for cell in cells if drawn[name].get(cell) != cells[cell]
    }
    assert (differ, drawn.keys()) == (set(), DRAWN.keys())


@pytest.fixture(scope="module")
def ordinary():
    return under(None, "-c", CHOICES)


@pytest.mark.parametrize("setting", processor.SETTINGS)
def test_rows_are_chosen_alike_by_vectors_that_differ_in_the_last_digits(setting, ordinary):
    assert under(setting, "-c", CHOICES) == ordinary
