"""Parts of a number, 05a and 05b: every notebook of the folder is found wherever notebooks are listed."""

import base64
import json
import re
import shutil
import subprocess
import sys

import pytest

from helpers.runner import cli, conventions, parameters, paths, report, run, site, student

TOP = paths.root()
SKIPPED = shutil.ignore_patterns("05_*", ".*")  # hidden files, such as Jupyter's checkpoints


@pytest.fixture(scope="module")
def copied(tmp_path_factory):
    """A copy of the course in which notebook 05 is two parts."""
    folder = tmp_path_factory.mktemp("course")
    for name in ("notebooks", "tests"):
        shutil.copytree(TOP / name, folder / name, ignore=SKIPPED)
    for name in ("pyproject.toml", "README.md", "TEACHING.md", "data/glossary.csv", "notebooks/timings.json"):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(TOP / name, folder / name)
    for name in ("helpers", "studies"):
        (folder / name).mkdir()
    (whole,) = (TOP / "notebooks").glob("05_*.ipynb")
    for part in ("05a", "05b"):
        text = whole.read_text(encoding="utf8").replace('"# 05 · ', f'"# {part} · ')
        (folder / "notebooks" / f"{part}_part.ipynb").write_text(text, encoding="utf8")
    return folder


@pytest.fixture
def course(copied, monkeypatch):
    """The copied course as the current folder; returns its notebooks' stems."""
    monkeypatch.chdir(copied)
    stems = sorted(path.stem for path in (copied / "notebooks").glob("*.ipynb"))
    assert {"05a_part", "05b_part"} <= set(stems) and not any(stem.startswith("05_") for stem in stems)
    return stems


def test_the_committed_notebooks_are_all_found():
    assert list(parameters.notebooks().values()) == sorted((TOP / "notebooks").glob("*.ipynb"))


def test_ids_are_texts_in_order(course):
    assert list(parameters.notebooks()) == [stem.partition("_")[0] for stem in course]
    assert [path.stem for path in parameters.notebooks().values()] == course


def planned(*numbers):
    """The stems that `course run` would execute, in order."""
    rounds = run.plan(parameters.combine(parameters.select(numbers)), paths.root() / "out", update=False)
    return [job["source"].stem for jobs in rounds for job in jobs]


def test_run_reaches_every_notebook_all_parts_of_a_number_or_one(course):
    assert sorted(planned()) == course
    assert planned("05") == planned("5") == ["05a_part", "05b_part"]
    assert planned("05b") == planned("5b") == ["05b_part"]
    assert planned("05", "05a") == ["05a_part", "05b_part"]
    with pytest.raises(paths.Refused, match=r"^there is no notebook 05c; there are .* 04, 05a, 05b, 06, "):
        planned("05c")


def test_profiles_reach_a_number_or_a_part(course, tmp_path):
    profile = tmp_path / "p.yaml"
    profile.write_text('{all: {seed: 1}, "05": {seed: 2}, 05b: {seed: 3}, 6: {seed: 4}}', encoding="utf8")
    runs = parameters.combine(parameters.notebooks(), profile=parameters.read_profile(profile))
    seeds = {path.name.partition("_")[0]: values["seed"] for path, _, values in runs}
    assert [seeds[id] for id in ("04", "05a", "05b", "06")] == [1, 2, 3, 4]
    profile.write_text("{05c: {}}", encoding="utf8")
    with pytest.raises(paths.Refused, match=f"^profile {profile} names notebook 05c, which is not there$"):
        parameters.read_profile(profile)


def test_check_reads_every_notebook(course, monkeypatch):
    read = []
    monkeypatch.setattr(conventions, "findings", lambda path: read.append(path.stem) or [])
    assert cli.main(["check"]) == 0 and read == course


def test_the_student_edition_holds_every_notebook(course, tmp_path):
    assert [path.stem for path in student.write([], tmp_path)] == course
    assert [path.stem for path in student.write(["05"], tmp_path)] == ["05a_part", "05b_part"]


def test_the_map_lists_every_notebook(course):
    assert re.findall(r"^\| \[(\w+) · .*\]\(notebooks/(.+)\.ipynb\)", report.map_table(), re.MULTILINE) == [
        (stem.partition("_")[0], stem) for stem in course
    ]
    report.record_timings([{"notebook": "05a_part", "seconds": 60.0, "peak_mib": 1}])
    assert "05a_part" in report.timings() and "05_data_pipeline" not in report.timings()


def test_the_site_has_every_notebook_and_every_picture(course):
    files = site.render()
    assert [stem for stem in course if f"{stem}.html" not in files] == []
    assert re.findall(r'<h3 id="[^"]*"><a href="([^"]*)\.html">(\w+) · ', files["index.html"]) == [
        (stem, stem.partition("_")[0]) for stem in course
    ]
    assert "05b · " in files["05a_part.html"] and ">05a</a>" in files["glossary.html"]
    for id, path in parameters.notebooks().items():
        cells = json.loads(path.read_text(encoding="utf8"))["cells"]
        data = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
        pictures = [base64.b64decode("".join(each["image/png"])) for each in data if "image/png" in each]
        assert [files[name] for name in files if name.startswith(f"images/{id}_")] == pictures


@pytest.mark.parametrize("file", ["test_conventions.py", "test_student.py", "test_equations.py"])
def test_tests_list_every_notebook(course, copied, file):
    words = [sys.executable, "-m", "pytest", "--collect-only", "-p", "no:cacheprovider", f"tests/{file}"]
    listed = subprocess.run(words, cwd=copied, capture_output=True, text=True).stdout
    names = set(re.findall(r"\[(\d\d\w*)\]", listed))
    assert names == ({stem[:2] for stem in course} if file == "test_equations.py" else set(course))


def test_00_lists_every_notebook(course, copied):
    cells = json.loads((copied / "notebooks" / "00_start_here.ipynb").read_text(encoding="utf8"))["cells"]
    source = "".join(next(cell["source"] for cell in cells if "folder.glob" in "".join(cell["source"])))
    pattern = re.search(r'folder\.glob\("(.*?)"\)', source)[1]
    assert sorted(path.stem for path in (copied / "notebooks").glob(pattern)) == course


@pytest.mark.parametrize("names", [("05_rows", "05a_rows"), ("05a_more", "05a_rows"), ("05_more", "05_rows")])
def test_one_number_is_whole_or_in_parts_with_letters_of_their_own(tmp_path, monkeypatch, capsys, names):
    for name in ("helpers", "notebooks"):
        (tmp_path / name).mkdir()
    (tmp_path / "pyproject.toml").touch()
    for name in (*names, "Untitled", "06_x"):
        (tmp_path / "notebooks" / f"{name}.ipynb").touch()
    monkeypatch.chdir(tmp_path)
    for command in ("run", "check", "student", "site"):
        assert cli.main([command]) == 2
        clash = f"{names[0]}.ipynb and {names[1]}.ipynb stand under one number"
        assert capsys.readouterr().err == f"course: {clash}: give each a letter of its own, such as 05a and 05b\n"


def test_a_title_with_a_letter_is_read(course):
    (whole,) = (TOP / "notebooks").glob("05_*.ipynb")
    assert report.header(parameters.notebooks()["05a"]) == report.header(whole)
