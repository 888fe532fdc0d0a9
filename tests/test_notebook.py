"""What notebooks call in their first cells: parameter checks, bands, the look of figures."""

import ast
import os
import random
import subprocess
import sys

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pandas as pd
import pytest
from nbclient import NotebookClient

from helpers import notebook, plots
from helpers.runner.paths import root


@pytest.mark.parametrize(
    "rule",
    [
        {"n": (20, 20, 100)},
        {"rate": (0.5, 0.0, 1.0)},
        {"rate": (1, 0.0, 1.0)},
        {"n": (np.int64(50), 20, 100)},
        {"language": ("zh", ["en", "zh"])},
        {"fresh": (True, [True, False])},
    ],
)
def test_good_values_pass(rule):
    notebook.check(**rule)


@pytest.mark.parametrize(
    ("rule", "sentence"),
    [
        ({"n": (19, 20, 100)}, "parameter n is 19; it takes a whole number from 20 to 100"),
        ({"n": (50.0, 20, 100)}, "parameter n is 50.0; it takes a whole number from 20 to 100"),
        ({"n": (True, 0, 100)}, "parameter n is True; it takes a whole number from 0 to 100"),
        ({"n": ("50", 20, 10_000)}, "parameter n is '50'; it takes a whole number from 20 to 10,000"),
        ({"rate": (float("nan"), 0.0, 1.0)}, "parameter rate is nan; it takes a number from 0.0 to 1.0"),
        ({"language": ("fr", ["en", "zh"])}, "parameter language is 'fr'; it takes one of 'en', 'zh'"),
        ({"fresh": (1, [True, False])}, "parameter fresh is 1; it takes one of True, False"),
    ],
)
def test_bad_values_are_named_in_one_sentence(rule, sentence):
    with pytest.raises(ValueError) as caught:
        notebook.check(**rule)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("value", "low", "high", "line"),
    [
        (0.81284, 0.78, 0.84, "x ≈ .813, band .78–.84: inside\n"),
        (0.77, 0.78, 0.84, "x ≈ .77, band .78–.84: outside\n"),
        (-0.1, -0.2, 0.05, "x ≈ -0.1, band -0.2–.05: inside\n"),
        (np.float32(6.2549), 6, 9, "x ≈ 6.25, band 6–9: inside\n"),
        (9873, 100, 9900, "x ≈ 9870, band 100–9900: inside\n"),
        (3.21e-16, 0, 1e-14, "x ≈ 3.21e-16, band 0–1e-14: inside\n"),
        (float("nan"), 0.0, 1.0, "x ≈ nan, band 0–1: outside\n"),
    ],
)
def test_band_says_what_and_where(capsys, value, low, high, line):
    assert notebook.band("x", value, low, high) == line.endswith(": inside\n")
    assert capsys.readouterr().out == line


def test_one_seed_drives_python_and_numpy():
    draws = []
    for _ in range(2):
        notebook.setup(7)
        draws.append((random.random(), np.random.rand()))
    assert draws[0] == draws[1]


def test_chinese_is_drawn_with_a_font_that_has_it(recwarn):
    plots.style()
    figure, axes = plt.subplots()
    axes.set_title("去重 −1")
    figure.canvas.draw()
    plt.close(figure)
    assert not [w for w in recwarn if "missing from font" in str(w.message).lower()]


def test_every_method_looks_different_without_colour():
    shapes = [(marker, line) for _, marker, line in plots.LOOKS.values()]
    compared_together = ["random", "scratch", "TF-IDF", "head", "full", "both"]
    assert len({plots.LOOKS[name][1] for name in compared_together}) == len(compared_together)
    assert len(shapes) == len(plots.LOOKS)


def test_intervals_are_drawn_where_the_table_says():
    table = pd.DataFrame({"name": ["a", "b"], "e": [0.2, 0.5], "lo": [0.1, 0.4], "hi": [0.4, 0.6]})
    figure = plots.intervals(table, "e", "lo", "hi", "name", title="t", xlabel="x")
    (container,) = figure.axes[0].containers
    segments = container.lines[2][0].get_segments()
    assert [sorted(s[:, 0]) for s in segments] == [[pytest.approx(0.1), pytest.approx(0.4)], [0.4, 0.6]]
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["a", "b"]
    plt.close(figure)


def test_alt_text_reaches_the_output(monkeypatch):
    shown, open_before = [], plt.get_fignums()  # other tests of this process may leave some
    monkeypatch.setattr("IPython.display.display", lambda figure, metadata: shown.append(metadata))
    plots.show(plt.figure(), alt="two bars")
    assert shown == [{"image/png": {"alt": "two bars"}}]
    assert plt.get_fignums() == open_before


def test_a_figure_carries_its_table_in_the_same_output(monkeypatch):
    shown, open_before = [], plt.get_fignums()
    monkeypatch.setattr("IPython.display.display", lambda data, **how: shown.append((data, how)))
    table = pd.DataFrame({"accuracy": np.linspace(0.123456, 1, 20), "rows": range(1_000, 1_020)})
    plots.show(plt.subplots()[0], "two bars", table)
    (data, how), text = shown[0], shown[0][0]["text/plain"]
    assert how == {"metadata": {"image/png": {"alt": "two bars"}}, "raw": True}
    assert data["image/png"].startswith("iVBORw0KGgo")  # a PNG in base64
    assert [line.split() for line in text.splitlines()[1:]] == [
        *(["0", "0.123", "1000"], ["1", "0.170", "1001"], ["2", "0.216", "1002"], ["3", "0.262", "1003"]),
        ["..", "...", "..."],
        *(["16", "0.862", "1016"], ["17", "0.908", "1017"], ["18", "0.954", "1018"], ["19", "1.000", "1019"]),
    ]
    assert plt.get_fignums() == open_before
    assert plots.as_text(table["accuracy"].astype("float32").head(2)) == "0    0.123\n1    0.170"


# --- TensorFlow's log -----------------------------------------------------------------------------------------------

FRAMEWORKS = ("keras", "keras_hub", "tensorflow")


def imported(notebook):
    """The top-level packages that a notebook's code cells import, in the order of their lines."""
    found = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            nodes = [
                each for each in ast.walk(ast.parse(cell.source)) if isinstance(each, (ast.Import, ast.ImportFrom))
            ]
            for node in sorted(nodes, key=lambda node: (node.lineno, node.col_offset)):
                names = [node.module] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
                found += [name.partition(".")[0] for name in names]
    return found


@pytest.mark.parametrize("path", sorted((root() / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_a_notebook_imports_helpers_before_keras(path):
    names = imported(nbformat.read(path, 4))
    early = [name for name in names[: names.index("helpers")] if name in FRAMEWORKS]
    assert early == [], f"{path.name} imports {early[0]} before helpers, so TensorFlow's log comes first in JupyterLab"


def test_the_first_cell_is_clean_in_jupyterlab(tmp_path, monkeypatch):
    """The imports of notebook 02 as JupyterLab runs them: the reader's own profile, and no variable of ours."""
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    monkeypatch.delenv("PYTEST_CURRENT_TEST")  # under it a kernel leaves its file descriptors alone
    cells = nbformat.read(root() / "notebooks" / "02_losses.ipynb", 4).cells
    source = next(cell.source for cell in cells if "import keras" in cell.source)
    heard = (
        "import os, time\nprint(keras.ops.ones(2).shape)\nos.write(2, b'seen')\ntime.sleep(2)"  # a thread passes it on
    )
    sources = [source.partition("notebook.check")[0], heard]
    opened = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, sources)))
    NotebookClient(opened, kernel_name="python3", resources={"metadata": {"path": str(root() / "notebooks")}}).execute()
    first, second = opened.cells
    assert first.outputs == []
    assert {output.name: output.text for output in second.outputs if output.output_type == "stream"} == {
        "stdout": "(2,)\n",
        "stderr": "seen",  # so what is written to the descriptor does reach this notebook
    }


def test_an_import_of_tensorflow_that_fails_shows_all_that_was_written(tmp_path):
    (tmp_path / "tensorflow.py").write_text("import os\nos.write(2, b'the library is broken\\n')\n1 / 0\n")
    path = os.pathsep.join([str(tmp_path), str(root())])

    def python(code):
        environment = {**os.environ, "PYTHONPATH": path}
        return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)

    done = python("import helpers, tensorflow")
    assert done.returncode == 1 and done.stderr.startswith("the library is broken\n") and "ZeroDivision" in done.stderr
    (tmp_path / "tensorflow.py").write_text("import os\nos.write(2, b'log\\n')\n")
    done = python("import helpers, tensorflow, os\nos.write(2, b'after')")
    assert (done.returncode, done.stderr) == (0, "after")


def test_helpers_alone_load_little():
    code = "import sys\nbefore = set(sys.modules)\nimport helpers\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["helpers"]
