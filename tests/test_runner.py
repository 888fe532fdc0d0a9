"""The command `course` on small courses made here: run, grid, resume, update, studies, doctor."""

import hashlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pandas as pd
import psutil
import pytest

from helpers.runner import (
    cli,
    conventions,
    doctor,
    equivalence,
    kernels,
    parameters,
    paths,
    progress,
    report,
    run,
    studies,
    summary,
    workers,
)

HEADER = """# {number} · {title}

| | |
|---|---|
| *Document section* | 背景介绍 |
| *You will learn* | 1. one <br> 2. two <br> 3. three |
| *Needs* | nothing |
| 摘要 | 第一句。第二句。 |
"""
PARAMETERS = """seed: int = 0  # random seed
n: int = 3  # rows
rate: float = 0.5  # step
name: str = "a"  # method
fast: bool = True  # skip the long part
sizes: list[int] = [1, 2]  # sizes"""


def write_notebook(folder, number, title, *sources, declared=PARAMETERS):
    """A notebook of a header, a parameters cell and the code cells given."""
    cells = [nbformat.v4.new_markdown_cell(HEADER.format(number=number, title=title))]
    cells += [nbformat.v4.new_code_cell(source) for source in (declared, *sources)]
    cells[1].metadata["tags"] = ["parameters"]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path = folder / "notebooks" / f"{number}_{title}.ipynb"
    nbformat.write(notebook, path)
    return path


@pytest.fixture
def course(tmp_path, monkeypatch):
    """An empty course in the current folder; returns the folder."""
    for name in ("notebooks", "helpers", "data", "studies"):
        (tmp_path / name).mkdir()
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "README.md").write_text("# x\n<!-- map -->\n<!-- /map -->\nend\n", encoding="utf8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments):
    """Run `course …` in the current folder as a person would; returns the finished process."""
    return subprocess.run(
        [sys.executable, "-m", "helpers.runner.cli", *map(str, arguments)], capture_output=True, text=True, timeout=300
    )


def refused(capsys, *arguments):
    """The sentence with which `course …` refuses; nothing may have been written."""
    assert cli.main(list(map(str, arguments))) == 2
    assert not Path("out").exists()
    (line,) = capsys.readouterr().err.splitlines()
    return line


# --- run ------------------------------------------------------------------------------------------------------------


def test_run_prints_a_table_and_writes_pages_and_an_index(course):
    write_notebook(
        course,
        "01",
        "good",
        "import os\nos.write(2, b'log of a library')\nprint('heard')",
        "print('score ≈ .11, band .1–.2: inside')\nprint('b ≈ 1, band 1–2: inside')",
    )
    write_notebook(course, "02", "bad", "print(1)", "raise ValueError('no rows left\\nmore')")
    done = command("run")
    assert done.returncode == 1, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["notebook", "seconds", "peak", "memory", "bands", "status"]
    assert lines[1].startswith("01_good ") and "2 inside, 0 outside" in lines[1] and lines[1].endswith("ok")
    assert lines[2].startswith("02_bad ") and lines[2].endswith("failed")
    assert lines[3] == "02_bad: cell [3]: ValueError: no rows left"
    memory = int(lines[1].split(" MiB")[0].split()[-1])
    assert 20 < memory < 400  # an idle kernel takes about 60 MiB
    (heard,) = nbformat.read(course / "out/01_good.ipynb", 4).cells[2].outputs
    assert (heard.name, heard.text) == ("stdout", "heard\n")  # what goes to file descriptors is not stored
    index = (course / "out/index.html").read_text(encoding="utf8")
    assert 'href="01_good.html"' in index and 'href="02_bad.error.txt"' in index and "http" not in index
    page = (course / "out/01_good.html").read_text(encoding="utf8")
    assert "score ≈ .11, band" in page and 'src="assets/page.js"' in page and (course / "out/assets/page.js").exists()
    assert "no rows left" in (course / "out/02_bad.error.txt").read_text(encoding="utf8")
    names = {path.name for path in (course / "out").iterdir()}
    assert names == {"index.html", "01_good.html", "01_good.ipynb", "02_bad.error.txt", "assets"}


def test_outside_fails_with_shipped_parameters_only(course):
    write_notebook(course, "01", "drift", "print('score ≈ .3, band .1–.2: outside')")
    assert command("run").returncode == 1
    done = command("run", "-p", "n", 4)
    assert done.returncode == 0 and "0 inside, 1 outside" in done.stdout


def test_values_arrive_with_their_declared_types(course):
    write_notebook(course, "01", "types", "print([seed, n, rate, name, fast, sizes])")
    (course / "fast.yaml").write_text('{"01": {"fast": false, "n": 9}, "all": {"seed": 7}}', encoding="utf8")
    done = command("run", "1", "-p", "n", 4, "-p", "rate", 1, "-p", "name", 5, "-p", "sizes", "[3]", "-f", "fast.yaml")
    assert done.returncode == 0, done.stdout
    assert "[7, 4, 1.0, '5', False, [3]]" in printed(course / "out/01_types.ipynb")


def printed(path):
    """All that an executed notebook printed."""
    cells = nbformat.read(path, 4).cells
    return "".join(
        output.text for cell in cells for output in cell.get("outputs", []) if output.output_type == "stream"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["7"], "course: there is no notebook 7; there are 01, 02"),
        (["one"], "course: there is no notebook one; there are 01, 02"),
        (
            ["-p", "sed", "1"],
            "course: there is no parameter sed in 01, 02; did you mean seed? "
            "There are fast, n, name, rate, seed, sizes, top",
        ),
        (
            ["1", "-p", "top", "1"],
            "course: there is no parameter top in 01; there are fast, n, name, rate, seed, sizes",
        ),
        (["-p", "n", "2.5"], "course: parameter n takes int, not '2.5'"),
        (["-p", "rate", "fast"], "course: parameter rate takes float, not 'fast'"),
        (["-p", "fast", "maybe"], "course: parameter fast takes bool, not 'maybe'"),
        (["-p", "sizes", "[1, x]"], "course: parameter sizes takes list[int], not '[1, x]'"),
        (["-p", "sizes", "3"], "course: parameter sizes takes list[int], not '3'"),
        (["--grid", "seed=0..4", "n="], "course: --grid takes name=0..4 or name=a,b, not 'n='"),
        (["--grid", "seed=4..0"], "course: --grid takes name=0..4 or name=a,b, not 'seed=4..0'"),
        (["--grid", "n=1,b"], "course: parameter n takes int, not 'b'"),
        (
            ["--update", "-p", "n", "1"],
            "course: --update stores the run with shipped parameters: leave out -p, -f and --grid",
        ),
        (["-f", "p.yaml"], "course: profile p.yaml names notebook 09, which is not there"),
        (["-f", "q.yaml"], "course: there is no parameter top in 01; there are fast, n, name, rate, seed, sizes"),
        (["-f", "r.yaml"], 'course: profile r.yaml must map notebook numbers or "all" to parameters'),
        (["-f", "s.yaml"], "course: parameter name takes str, not 5"),
        (["-f", "t.yaml"], "course: there is no profile t.yaml; those of the course are in notebooks/profiles"),
    ],
)
def test_what_cannot_run_is_refused_in_one_sentence(course, capsys, arguments, sentence):
    write_notebook(course, "01", "one")
    write_notebook(course, "02", "two", declared=PARAMETERS + "\ntop: int = 1  # most")
    profiles = {"p": '{"09": {}}', "q": '{"01": {"top": 1}}', "r": "[1, 2]", "s": '{"all": {"name": 5}}'}
    for name, text in profiles.items():
        (course / f"{name}.yaml").write_text(text, encoding="utf8")
    assert refused(capsys, "run", *arguments) == sentence


def test_grid_runs_every_combination_in_a_folder_of_its_own(course):
    write_notebook(course, "01", "grid", "print(seed * 100 + n)")
    done = command("run", "--grid", "seed=1..2", "n=5,6", "--jobs", 2)
    assert done.returncode == 0, done.stdout
    found = {path.parent.name: int(printed(path)) for path in course.glob("out/*/01_grid.ipynb")}
    assert found == {"seed=1,n=5": 105, "seed=1,n=6": 106, "seed=2,n=5": 205, "seed=2,n=6": 206}
    assert 'href="seed=1,n=5/01_grid.html"' in (course / "out/index.html").read_text(encoding="utf8")
    page = (course / "out/seed=1,n=5/01_grid.html").read_text(encoding="utf8")
    assert 'src="../assets/page.js"' in page and 'href="../index.html"' in page


def test_grid_ends_in_one_table_and_one_figure(course):
    write_notebook(course, "01", "grid", "from helpers import notebook\nnotebook.band('score', seed + 10 * n, 0, 99)")
    done = command("run", "--grid", "seed=1..2", "n=5,6", "--jobs", 2)
    table = pd.read_csv(course / "out/01_grid.csv")
    assert table[["seed", "n", "score"]].to_numpy().tolist() == [[1, 5, 51], [1, 6, 61], [2, 5, 52], [2, 6, 62]]
    assert [line.split()[:2] for line in done.stdout.splitlines() if line.split()[:1] in (["5"], ["6"])] == [
        ["5", "51.5"],
        ["6", "61.5"],
    ]
    page = (course / "out/index.html").read_text(encoding="utf8")
    assert 'src="01_grid.svg"' in page and "score" in (course / "out/01_grid.svg").read_text(encoding="utf8")
    assert "<title>Executed notebooks · Choosing fine-tuning data</title>" in page


def test_grid_on_dask_gives_what_a_pool_gives_and_goes_on(course):
    write_notebook(course, "01", "grid", "print(seed * 100 + n)")
    done = command("run", "--grid", "seed=1..2", "n=5", "--jobs", 2, "--scheduler", "local")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {path.parent.name: int(printed(path)) for path in course.glob("out/*/01_grid.ipynb")}
    assert found == {"seed=1,n=5": 105, "seed=2,n=5": 205}
    again = command("run", "--grid", "seed=1..2", "n=5", "--scheduler", "local")
    assert again.stdout.count("kept") == 2


def test_scheduler_that_does_not_answer_is_refused(course):
    write_notebook(course, "01", "grid", "print(seed)")
    for address, reason in (("tcp://127.0.0.1:9", "OSError"), ("nowhere://x", "ValueError")):
        done = command("run", "--scheduler", address)
        (line,) = done.stderr.splitlines()[-1:]
        assert done.returncode == 2 and f"course: no Dask scheduler answers at '{address}' ({reason}" in line


def test_a_killed_run_goes_on_where_it_stopped(course):
    """Kill -9 in the middle: what was finished is kept, nothing half-written stays, no process is left behind."""
    log = "from pathlib import Path\nwith Path('../log').open('a') as f: f.write(name_here)"
    write_notebook(course, "01", "quick", log.replace("name_here", "'1'"))
    wait = "import os, time\nPath('../pid').write_text(str(os.getpid()))\nif not Path('../go').exists(): time.sleep(60)"
    write_notebook(course, "02", "slow", log.replace("name_here", "'2'"), wait)
    process = subprocess.Popen(
        [sys.executable, "-m", "helpers.runner.cli", "run", "--jobs", "1"], stderr=subprocess.DEVNULL
    )
    wait_for(lambda: (course / "pid").exists() and (course / "pid").read_text())
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert sorted(path.name for path in (course / "out").iterdir()) == ["01_quick.html", "01_quick.ipynb", "assets"]
    kernel = int((course / "pid").read_text())
    wait_for(lambda: not alive(kernel))
    (course / "go").touch()
    again = command("run", "--jobs", 1)
    assert again.returncode == 0, again.stdout
    first, second = again.stdout.splitlines()[1:3]
    assert first.endswith("kept") and second.endswith("ok")
    assert (course / "log").read_text() == "122"


def interrupted(arguments, condition, whole_group):
    """Press Ctrl-C once the condition holds; returns what was written after that, and asserts that all is over at once.

    whole_group : a terminal tells all processes of a command, another program the first one alone
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "helpers.runner.cli", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
    )
    wait_for(condition)
    tree = psutil.Process(process.pid).children(recursive=True)
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
    try:
        output, errors = process.communicate(timeout=15)  # it takes half a second on an idle machine
    finally:
        workers.end([process])  # none is left to later tests
    assert process.returncode == 130 and output == ""
    wait_for(lambda: not any(alive(each.pid) for each in tree), seconds=4)
    return errors


@pytest.mark.parametrize("whole_group", [True, False])
def test_ctrl_c_ends_a_run_and_begins_nothing_more(course, whole_group):
    for number in range(1, 5):
        begin = f"from pathlib import Path\nimport time\nPath('../began{number}').touch()\ntime.sleep(30)"
        write_notebook(course, f"0{number}", "slow", begin)
    begun = course.glob
    errors = interrupted(["run", "--jobs", "2"], lambda: len(list(begun("began*"))) == 2, whole_group)
    assert errors.splitlines() == [
        "4 notebooks, 2 at a time: about 2 min",
        "course: interrupted; the same command goes on where this one stopped",
    ]
    time.sleep(2)  # a third one would begin by now
    assert sorted(path.name for path in begun("began*")) == ["began1", "began2"]
    assert [path.name for path in (course / "out").iterdir()] == ["assets"]


def test_a_caller_that_stops_early_ends_the_workers():
    results = workers.finished(2, time.sleep, [(0,), (60,), (0,)])
    next(results)
    began = psutil.Process().children()
    assert len(began) >= 2
    results.close()
    wait_for(lambda: sum(alive(each.pid) for each in began) < 2, seconds=4)  # one tracks what processes share


SLOW_TO_CLOSE = """import time
import keras
keras.ops.ones(2)
kernel = get_ipython().kernel
answer = kernel.shell_handlers["kernel_info_request"]


async def slowly(*arguments):
    await answer(*arguments)
    time.sleep(1)


kernel.shell_handlers["kernel_info_request"] = slowly"""


def test_a_run_shows_no_line_but_its_own(course):
    """Neither TensorFlow's log nor a kernel that is interrupted by Jupyter while it closes."""
    write_notebook(course, "01", "one", SLOW_TO_CLOSE)
    write_notebook(course, "02", "two", SLOW_TO_CLOSE)
    done = command("run", "--jobs", 2)
    first, *lines = done.stderr.splitlines()
    assert first == "2 notebooks, 2 at a time: about 60 s" or first == "2 notebooks, 2 at a time: about 1 min"
    assert [line[:8] for line in lines] == ["1 of 2: ", "2 of 2: "], done.stderr
    assert len(done.stdout.splitlines()) == 4  # the heading, two rows, the index


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_names_what_is_under_way_and_the_time_left(monkeypatch):
    now, stream = [0.0], Terminal()
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    monkeypatch.setenv("COLUMNS", "60")
    jobs = [{"notebook": f"0{n}_x", "source": Path(f"0{n}_x.ipynb")} for n in range(1, 5)]
    timings = {"01_x": {"seconds": 60}, "02_x": {"seconds": 120}, "03_x": {"seconds": 60}}
    with progress.Progress(jobs, 2, timings, stream) as shown:

        def line():
            text = stream.getvalue().rsplit("\r", 1)[1]
            assert len(text) == 59
            return text.strip()

        assert line() == "4 notebooks, 2 at a time: about 3 min"  # 60 + 60 + 60 beside 120: the last has no timing
        shown.under_way(jobs[:2])
        now[0] = 65.0
        shown.under_way(jobs[:2])
        assert line() == "1:05 · 0 of 4 · about 2 min left · 01_x, 02_x"
        now[0] = 120.0
        shown.ended(jobs[0], {"status": "ok", "seconds": 120.0})  # twice as long as expected
        shown.under_way(jobs[1:3])
        assert line() == "2:00 · 1 of 4 · about 4 min left · 02_x, 03_x"  # 02: 120 more, then 04: 120; 03: 120
        shown.ended(jobs[3], {"status": "kept", "seconds": 1.0})
        assert line() == "2 of 4: 04_x kept, 1 s; about 2 min left"
        monkeypatch.setenv("COLUMNS", "30")
        shown.under_way(jobs[1:3])
        assert stream.getvalue().endswith("\r2:00 · 2 of 4 · about 2 min …")
    assert stream.getvalue().endswith("\r" + " " * 29 + "\r")


def test_progress_in_a_log_is_a_line_a_notebook():
    stream = io.StringIO()
    jobs = [{"notebook": f"0{n}_x", "source": Path(f"0{n}_x.ipynb")} for n in (1, 2)]
    with progress.Progress(jobs, 1, {}, stream) as shown:
        shown.under_way(jobs[:1])
        shown.ended(jobs[0], {"status": "failed", "seconds": 30.0})
        shown.under_way(jobs[1:])
        shown.ended(jobs[1], {"status": "ok", "seconds": 31.0})
    assert stream.getvalue().splitlines() == [
        "2 notebooks, 1 at a time: about 2 min",
        "1 of 2: 01_x failed, 30 s; about 30 s left",
        "2 of 2: 02_x ok, 31 s",
    ]


def test_the_version_is_that_of_the_installed_package(capsys, monkeypatch):
    monkeypatch.setattr(doctor, "installed", {"choosing-finetuning-data": "1.2.3"}.get)
    with pytest.raises(SystemExit) as left:
        cli.main(["--version"])
    assert left.value.code == 0 and capsys.readouterr().out == "course 1.2.3\n"


def test_a_worker_that_dies_is_reported(course):
    write_notebook(course, "01", "deadly", "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)")
    done = command("run")
    assert done.returncode == 1 and "01_deadly: BrokenProcessPool" in done.stdout
    assert (course / "out/01_deadly.error.txt").exists()


def wait_for(condition, seconds=120):
    """Poll until the condition holds; fails after some seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.1)


def alive(pid):
    """Whether a process exists and is no zombie."""
    return any(each.pid == pid and each.info["status"] != "zombie" for each in psutil.process_iter(["status"]))


def keys(**values):
    """The keys under which the results of all notebooks would be kept now."""
    jobs, *_ = run.plan(parameters.combine(parameters.select([]), values.items()), Path("out"), update=False)
    return [job["key"] for job in jobs]


def test_paths_are_seen_from_the_folder_one_starts_in(course):
    path = write_notebook(course, "01", "one", "print(n)", declared='table: str = ""\nname: str = ""')
    ((_, _, values),) = parameters.combine({"01": path}, [("table", "mine/odd.csv"), ("name", "mine/odd.csv")])
    assert values == {"table": str(course / "mine/odd.csv"), "name": "mine/odd.csv"}
    ((_, _, values),) = parameters.combine({"01": path}, [("table", "")])
    assert values == {"table": ""}


def test_every_parameter_that_names_a_file_or_a_folder_is_known_as_one():
    """By the word on it in the parameters cell; `preset` and `encoding` speak of files but name none."""
    told = set()
    for path in (Path(__file__).resolve().parents[1] / "notebooks").glob("*.ipynb"):
        cells = nbformat.read(path, 4).cells
        (source,) = [cell.source for cell in cells if "parameters" in cell.metadata.get("tags", [])]
        told |= set(re.findall(r"^(\w+): str = .*#.*\b(?:file|files|folder)\b", source, re.MULTILINE))
    assert told - {"preset", "encoding"} == parameters.PATHS


def test_only_what_changed_runs_again(course, monkeypatch):
    path = write_notebook(course, "01", "one", "print(n)")
    write_notebook(course, "02", "two", "print(n)")
    steps = course / "helpers/steps.py"
    steps.write_text("x = 1\n")
    first = keys()
    steps.write_text('"""Now with words."""\nx = 1  # and more words\n')
    assert keys() == first
    path.write_text(path.read_text(encoding="utf8").replace("print(n)", "print(-n)"), encoding="utf8")
    assert keys()[0] != first[0] and keys()[1] == first[1]
    seen = [keys()[1], keys(n="8")[1]]
    steps.write_text("x = 2\n")
    seen.append(keys()[1])
    (course / "data/rows.csv").write_text("a")
    seen.append(keys()[1])
    (course / "data/rows.csv").write_text("b")
    seen.append(keys()[1])
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    seen.append(keys()[1])
    assert len(set(seen)) == 6


def test_notebooks_that_read_executed_ones_come_last_with_the_folder(course):
    reader = "from pathlib import Path\nprint(sorted(path.name for path in Path(executed).glob('*.ipynb')))"
    write_notebook(course, "01", "reader", reader, declared='seed: int = 0  # seed\nexecuted: str = "."  # folder')
    write_notebook(course, "02", "other", "print(n)")
    done = command("run", "--out", "elsewhere")
    assert done.returncode == 0, done.stdout
    assert printed(course / "elsewhere/01_reader.ipynb").strip() == "['02_other.ipynb']"
    alone = parameters.combine(parameters.select(["1"]))
    assert run.plan(alone, course / "out", update=False)[1][0]["parameters"] == {}  # it reads the committed ones


def test_update_stores_outputs_alone(course):
    path = write_notebook(course, "01", "kept", "print(n)", "solution_1 = 2", "answer_1 = None")
    before = nbformat.read(path, 4)
    before.cells[3].metadata["tags"] = ["solution"]
    nbformat.write(before, path)
    bad = write_notebook(course, "02", "bad", "print(1)", "1 / 0")
    loud = write_notebook(course, "03", "loud", "import sys\nprint('careful', file=sys.stderr)")
    untouched = bad.read_bytes(), loud.read_bytes()
    done = command("run", "--update")
    assert done.returncode == 1
    assert "03_loud: cell [2] wrote to stderr, so nothing is stored" in done.stdout
    assert (bad.read_bytes(), loud.read_bytes()) == untouched
    after = nbformat.read(path, 4)
    assert [cell.id for cell in after.cells] == [cell.id for cell in before.cells]
    assert [cell.source for cell in after.cells] == [cell.source for cell in before.cells]
    assert [cell.execution_count for cell in after.cells[1:]] == [1, 2, 3, 4]
    assert after.cells[2].outputs[0].text == "3\n"
    assert after.metadata == before.metadata
    assert after.cells[1].metadata == {"tags": ["parameters"]} and after.cells[2].metadata == {}
    assert after.cells[3].metadata == {"tags": ["solution"], "jupyter": {"source_hidden": True}}
    times = json.loads((course / "notebooks/timings.json").read_text())
    assert list(times) == ["01_kept"] and times["01_kept"]["seconds"] > 0 and times["01_kept"]["peak_mib"] > 0
    readme = (course / "README.md").read_text(encoding="utf8")
    minutes = f"{times['01_kept']['seconds'] / 60:.1f}"
    assert f"| [01 · kept](notebooks/01_kept.ipynb) | 背景介绍 | nothing | {minutes} |" in readme
    assert "| [02 · bad](notebooks/02_bad.ipynb) | 背景介绍 | nothing | not timed |" in readme
    assert readme.startswith("# x\n<!-- map -->\n|") and readme.endswith("<!-- /map -->\nend\n")


def test_a_course_without_notebooks_is_refused(course, capsys):
    assert refused(capsys, "run") == f"course: there are no notebooks in {course / 'notebooks'}"


def test_check_prints_what_is_wrong(course, capsys, monkeypatch):
    path = write_notebook(course, "01", "short")
    assert cli.main(["check"]) == 1
    closing, decision = "the last cell must start with `## Take-aways`", "one exercise of its number must be a decision"
    found = capsys.readouterr().out
    assert f"01_short.ipynb: {closing}\n" in found and f"01_short.ipynb: {decision}" in found
    monkeypatch.setattr(conventions, "exceptions", lambda: {"decision": ["01_short"], "words": ["01_short"]})
    assert cli.main(["check"]) == 1
    found = capsys.readouterr().out
    assert f"01_short.ipynb: {closing}\n" in found and decision not in found
    assert found.endswith("\nopen exceptions, of notebooks older than a convention: 1 (--exceptions lists them)\n")
    assert cli.main(["check", "--exceptions"]) == 1
    assert f"\nexception to decision: 01_short.ipynb: {decision}" in capsys.readouterr().out
    assert cli.main(["check", str(path.with_name("none.ipynb"))]) == 2
    assert "there is no notebook" in capsys.readouterr().err


def test_refresh_map_needs_its_markers(course):
    (course / "README.md").write_text("nothing")
    with pytest.raises(paths.Refused, match="markers"):
        report.refresh_map()


# --- kernels --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "blocked"),
    [
        ("socket.create_connection(('192.0.2.1', 80), timeout=1)", True),
        ("socket.getaddrinfo('example.org', 80)", True),
        ("socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))", True),
        ("import urllib.request; urllib.request.urlopen('http://example.org')", True),
        ("s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())", False),
        ("socket.getaddrinfo('localhost', 80)", False),
        ("socket.socketpair()", False),
    ],
)
def test_network_is_refused_but_loopback_is_not(code, blocked):
    script = f"import socket\nfrom helpers.runner.kernels import refuse_network\nrefuse_network()\n{code}"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode != 0) == blocked, done.stderr
    assert ("no network here: something tried to reach" in done.stderr) == blocked


def test_nbval_goes_red_when_a_kernel_reaches_out(tmp_path):
    """The repository's conftest.py cuts kernels off: the same cell passes without it and fails with it."""
    source = (
        "import socket\ntry:\n    socket.create_connection(('192.0.2.1', 80), timeout=0.1)\nexcept OSError:\n    pass"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source, execution_count=1)])
    nbformat.write(notebook, tmp_path / "reach.ipynb")

    def nbval(**environment):
        words = f"{sys.executable} -m pytest --nbval -p no:cacheprovider --rootdir {tmp_path} reach.ipynb".split()
        return subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, **environment})

    plain = nbval(IPYTHONDIR=str(tmp_path / "plain"))
    assert plain.returncode == 0, plain.stdout
    (tmp_path / "conftest.py").write_text((paths.root() / "conftest.py").read_text(encoding="utf8"), encoding="utf8")
    cut_off = nbval()
    assert cut_off.returncode == 1 and "no network here: something tried to reach 192.0.2.1" in cut_off.stdout


BAND = "accuracy ≈ .813, band .78–.84: inside"
MOVED = {  # what nbval must not see, and what it must
    BAND: ["accuracy ≈ .79, band .78–.84: inside", "accuracy ≈ -1.2e-07, band .78–.84: inside"],
    "a ≈ 3.2 of b ≈ 12, band -0.1–1e+06: outside": ["a ≈ 3.2 of b ≈ 7, band -0.1–1e+06: outside"],
}
SEEN = {
    BAND: [
        "accuracy ≈ .813, band .77–.84: inside",
        "accuracy ≈ .813, band .78–.85: inside",
        "accuracy ≈ .813, band .78–.84: outside",
        "Accuracy ≈ .813, band .78–.84: inside",
        "accuracy ≈ nan, band .78–.84: inside",
        "accuracy = .79, band .78–.84: inside",
    ],
    "a ≈ 3.2 of b ≈ 12, band -0.1–1e+06: outside": ["a ≈ 3.1 of b ≈ 12, band -0.1–1e+06: outside"],
    "accuracy ≈ .813": ["accuracy ≈ .79"],
    "accuracy ≈ .813, band of .78–.84": ["accuracy ≈ .79, band of .78–.84"],
    "accuracy ≈ .813, band .78–.84: inside, too": ["accuracy ≈ .79, band .78–.84: inside, too"],
    "seed 3\naccuracy ≈ .813, band .78–.84: inside": ["seed 4\naccuracy ≈ .79, band .78–.84: inside"],
}


def test_nbval_lets_the_value_beside_a_band_differ_and_nothing_else(tmp_path):
    pairs = [(stored, new) for table in (MOVED, SEEN) for stored, others in table.items() for new in others]
    cells = [
        nbformat.v4.new_code_cell(
            f"print({new!r})", execution_count=n, outputs=[nbformat.v4.new_output("stream", text=f"{stored}\n")]
        )
        for n, (stored, new) in enumerate(pairs, start=1)
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "moved.ipynb")
    (tmp_path / "conftest.py").write_text((paths.root() / "conftest.py").read_text(encoding="utf8"), encoding="utf8")
    words = f"{sys.executable} -m pytest -rA --nbval -p no:cacheprovider --rootdir {tmp_path} moved.ipynb".split()
    report = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True).stdout
    passed = {int(n) for n in re.findall(r"^PASSED .*Cell (\d+)", report, re.MULTILINE)}
    failed = {int(n) for n in re.findall(r"^FAILED .*Cell (\d+)", report, re.MULTILINE)}
    count = sum(map(len, MOVED.values()))
    assert (passed, failed) == (set(range(count)), set(range(count, len(pairs)))), report


def test_threads_that_the_user_set_stay(tmp_path, monkeypatch):
    for name in ("IPYTHONDIR", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS"):
        monkeypatch.setenv(name, "x")
        monkeypatch.delenv(name)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    kernels.configure(tmp_path / "profile", threads=3)
    assert os.environ["OMP_NUM_THREADS"] == "7" and os.environ["TF_NUM_INTRAOP_THREADS"] == "3"


# --- studies --------------------------------------------------------------------------------------------------------

STUDY = """
from pathlib import Path
GRID = {"seed": [0, 1, 2], "method": ["random", "longest"]}
DATA = []


def run(seed, method):
    if seed < 0:  # reached, and never run
        from helpers import steps
        return steps.x
    with Path("calls").open("a") as log:
        log.write("x")
    if seed == 1 and method == "longest" and not Path("mended").exists():
        raise ValueError("no rows")
    return {"score": float("nan") if seed == 2 else seed / 10 + len(method) / 3, "correct": "8:01"}
"""


@pytest.fixture
def study(course):
    """A course with a study of six cells, one of which fails until the file `mended` is there."""
    (course / "helpers/steps.py").write_text("x = 1\n")
    (course / "studies/compare.py").write_text(STUDY)
    return course


def calls():
    """How often the study's run was called since last asked."""
    log = Path("calls")
    count = len(log.read_text()) if log.exists() else 0
    log.unlink(missing_ok=True)
    return count


def test_study_keeps_finished_cells_and_loses_none_to_a_failure(study):
    done = command("study", "compare")
    assert done.returncode == 1 and "{'seed': 1, 'method': 'longest'}: ValueError: no rows" in done.stderr + done.stdout
    assert calls() == 6
    frame = studies.load("compare")
    assert list(frame.columns) == ["seed", "method", "score", "correct"]
    assert list(zip(frame["seed"], frame["method"], strict=True))[:3] == [(0, "random"), (0, "longest"), (1, "random")]
    assert frame["score"].tolist()[:3] == [0 / 10 + 6 / 3, 0 / 10 + 7 / 3, 1 / 10 + 6 / 3]  # exactly, through the file
    assert frame["score"].isna().sum() == 2
    assert studies.stale("compare") == ["study compare lacks 1 cells: fill it with `course study compare`"]
    Path("mended").touch()
    done = command("study", "compare", "--jobs", 2, "--scheduler", "local")
    assert done.returncode == 0 and "longest" in done.stdout
    assert len(pd.read_csv("out/studies/compare.csv")) == 6 and Path("out/studies/compare.svg").exists()
    assert calls() == 1 and studies.stale("compare") == []
    assert command("study").stdout == "compare: 6 of 6 cells, fresh\n"


def test_a_table_in_which_some_cells_lack_a_parameter_is_drawn(tmp_path):
    table = pd.DataFrame(
        {"n": [1, 2, 3], "method": ["a", "b", None], "rate": [0.1, None, 0.2], "score": [1.0, 2.0, 3.0]}
    )
    means = summary.write(table, ["n", "method", "rate"], tmp_path, "part")
    assert len(means.splitlines()) == 4 and (tmp_path / "part.svg").exists()


def test_study_goes_stale_with_its_code_only(study):
    Path("mended").touch()
    assert command("study", "compare").returncode == 0
    calls()
    Path("helpers/steps.py").write_text("# words\nx = 1\n")
    assert studies.stale("compare") == []
    longer = STUDY.replace("[0, 1, 2]", "[0, 1, 2, 3]")
    Path("studies/compare.py").write_text(longer)
    assert studies.stale("compare") == ["study compare lacks 2 cells: fill it with `course study compare`"]
    assert command("study", "compare").returncode == 0 and calls() == 2
    Path("helpers/steps.py").write_text("x = 2\n")
    assert "study compare holds 8 rows of other code, data or grid" in studies.stale("compare")
    assert command("study").stdout == "compare: 0 of 8 cells, stale\n"


def test_study_is_confirmed_only_by_equal_results(study):
    Path("mended").touch()
    assert command("study", "compare").returncode == 0
    calls()
    results = studies.load("compare")
    Path("helpers/steps.py").write_text("y = 1\n")
    assert studies.stale("compare") != []
    assert command("study", "compare", "--confirm").returncode == 0
    assert calls() == 2  # one cell for each of the two methods
    assert studies.stale("compare") == [] and studies.load("compare").equals(results)
    Path("helpers/steps.py").write_text("x = 2\n")
    assert studies.stale("compare") != []
    assert command("study", "compare", "--confirm", "--arms", "1").returncode == 0
    assert calls() == 1 and studies.stale("compare") == []
    Path("studies/compare.py").write_text(STUDY.replace("/ 3", "/ 4"))
    refused = command("study", "compare", "--confirm")
    assert refused.returncode == 1 and "other results: {'seed': 0, 'method': 'random'}" in refused.stdout
    assert studies.stale("compare") != [] and studies.load("compare").equals(results)


LEARNS = """
GRID = {"seed": [0, 1, 2], "method": ["random", "longest"]}
DATA = []


def run(seed, method):
    if seed < 0:  # reached, and never run
        from helpers import steps
        return steps.x
    score = 0.7 + seed / 10 + SHIFT
    return {"score": score, "correct": "8:01", "counts": f"{score * 100:.0f} 7"}
"""


@pytest.fixture
def committed(study):
    """The study, stored by the code of a commit, whose results do not come again on this machine to the last digit."""
    Path("studies/compare.py").write_text(LEARNS.replace("SHIFT", "0"))
    assert command("study", "compare").returncode == 0
    Path("notebooks/kept").touch()  # git keeps no empty folder
    for words in (["init", "-q"], ["add", "."], ["-c", "user.name=x", "-c", "user.email=x", "commit", "-qm", "x"]):
        subprocess.run(["git", *words], check=True)
    return study


def since(shift, *more):
    Path("studies/compare.py").write_text(LEARNS.replace("SHIFT", shift))
    return command("study", "compare", "--confirm", "--since", "HEAD", *more)


def test_study_is_confirmed_if_two_versions_differ_less_than_two_seeds(committed):
    results = studies.load("compare")
    done = since("0.01")  # two seeds of an arm are .141 apart: the root of twice their variance, .01
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 cells run by HEAD and by the present code, 0 equal to the last digit" in done.stdout
    assert [line.split() for line in done.stdout.splitlines() if line.startswith(("score", "counts"))] == [
        ["counts", "0.50", "7.0711", "0.0707", "0.50"],  # the mean of two counts, of which one moved by 1
        ["score", "0.01", "0.1414", "0.0707", "0.01"],
    ]
    assert studies.stale("compare") == [] and studies.load("compare").equals(results)


def test_confirming_can_be_kept_to_the_arms_that_a_change_reaches(committed):
    done = since("0.01 if method == 'longest' else 1 / 0", "--only", "longest")
    assert done.returncode == 0 and "1 cells run by HEAD" in done.stdout and studies.stale("compare") == []
    refused = command("study", "compare", "--confirm", "--only", "shortest")
    assert refused.returncode != 0
    assert "no stored cell of compare holds 'shortest' in its parameters" in refused.stdout + refused.stderr


def test_study_is_not_confirmed_if_a_change_matters_or_the_commit_is_another(committed):
    done = since("0.08")
    assert done.returncode == 1 and "score: moved over 0.5 of the distance of two seeds" in done.stdout
    assert studies.stale("compare") != []
    done = since("0.01 if seed else 1 / 0")
    assert done.returncode != 0 and "study compare does not run through in both versions" in done.stdout + done.stderr
    Path("helpers/steps.py").write_text("x = 2\n")
    Path("studies/compare.py").write_text(LEARNS.replace("SHIFT", "0"))
    subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x", "commit", "-qam", "y"], check=True)
    done = since("0.02")
    assert done.returncode != 0 and "were not made by the code of HEAD" in done.stdout + done.stderr
    done = command("study", "compare", "--confirm", "--since", "nowhere")
    assert done.returncode != 0 and "git has no commit 'nowhere' here" in done.stdout + done.stderr
    assert studies.stale("compare") != []


def test_study_is_stale_when_the_study_that_it_builds_on_changes(study):
    path, base, stands = Path("studies/compare.py"), Path("studies/base.py"), []
    path.write_text(path.read_text().replace("return steps.x", 'return studies.module("base").a'))
    for text in ("a = 1\n", "a = 1  # the same\nb = 2\n", "a = 2\n"):
        base.write_text(text)
        stands.append(studies.stand(studies.module("compare")))
    assert stands[0] == stands[1] != stands[2]


@pytest.mark.parametrize("whole_group", [True, False])
def test_ctrl_c_ends_a_study_and_begins_nothing_more(study, whole_group):
    slow = STUDY.replace('log.write("x")', 'log.write("x")\n    import time\n    time.sleep(30)')
    Path("studies/compare.py").write_text(slow)
    log = Path("calls")
    errors = interrupted(
        ["study", "compare", "--jobs", "2"], lambda: log.exists() and len(log.read_text()) == 2, whole_group
    )
    *bars, last = errors.splitlines()
    assert last == "course: interrupted; the same command goes on where this one stopped"
    assert all("0/6" in bar for bar in bars if bar.strip())
    time.sleep(2)
    assert calls() == 2


def test_killed_study_goes_on(study):
    slow = STUDY.replace(
        'log.write("x")', 'log.write("x")\n    import time\n    time.sleep(0 if Path("mended").exists() else seed)'
    )
    Path("studies/compare.py").write_text(slow)
    process = subprocess.Popen(
        [sys.executable, "-m", "helpers.runner.cli", "study", "compare"], stderr=subprocess.DEVNULL
    )
    stored = Path("data/studies/compare.csv")
    wait_for(lambda: stored.exists() and len(stored.read_text().splitlines()) >= 3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = len(studies.stored("compare"))
    assert kept in (2, 3) and not list(stored.parent.glob("*.part"))
    time.sleep(1.5)  # the orphaned worker ends by itself
    calls()
    Path("mended").touch()
    assert command("study", "compare").returncode == 0
    assert calls() == 6 - kept and studies.stale("compare") == []


def test_study_that_is_not_there(study, capsys):
    assert cli.main(["study", "other"]) == 2
    assert capsys.readouterr().err == "course: there is no study other; there are compare\n"
    with pytest.raises(paths.Refused, match="has no results: fill it with `course study compare`"):
        studies.load("compare")


BY_ROW = """
from helpers.runner.studies import pack, unpack
GRID = {"seed": [0, 1]}
DATA = []


def run(seed):
    return {"share": 2 / 3, "accuracy": 1 / 3, "correct": pack([False, seed == 0, seed == 1], [3, 1, 2]),
            "counts": pack([0, 1, 1], [3, 1, 2])}


def figures(row):
    return {"share": unpack(row["counts"], [1, 2, 3]).mean()}
"""


def test_a_study_whose_figures_do_not_follow_from_its_rows_is_refused(course):
    Path("studies/compare.py").write_text(BY_ROW)
    assert command("study", "compare").returncode == 0
    loaded, table = studies.load("compare"), Path("data/studies/compare.csv")
    assert studies.stack(loaded["correct"], [2, 1, 3]).tolist() == [[0, 1, 0], [1, 0, 0]]
    stored = table.read_text()
    for change in [("0.3333333333333333", "0.34"), ("0.6666666666666666", "0.7")]:
        table.write_text(stored.replace(*change, 1))
        with pytest.raises(
            paths.Refused, match=f"stored as {change[1]}, and what is stored by row gives {change[0][:5]}"
        ):
            studies.load("compare")
    for text in ("[1, 2, 4]", "[1, 2]"):  # the study now draws other rows than those that it stored
        table.write_text(stored)
        Path("studies/compare.py").write_text(BY_ROW.replace("[1, 2, 3]", text))
        studies._module_once.cache_clear()
        with pytest.raises(paths.Refused, match="belongs to other rows than these"):
            studies.load("compare")


@pytest.mark.parametrize("change", ["twice", "other"])
def test_a_cell_that_stands_twice_or_under_another_hash_is_refused_and_run_again(study, change):
    Path("mended").touch()
    assert command("study", "compare").returncode == 0
    calls()
    rows, table, loaded = studies.stored("compare"), Path("data/studies/compare.csv"), studies.load("compare")
    key = rows["cell"].iloc[0]
    if change == "twice":
        rows, says = pd.concat([rows, rows.head(1)]), "stands twice in its table"
    else:
        rows["seed"] = rows["seed"].replace(0, 7)
        says = "says seed = 7, and its hash stands for 0"
    table.write_text(rows.to_csv(index=False))
    sentence = f"study compare, cell {key} {says}: run it again with `course study compare`"
    with pytest.raises(paths.Refused, match=re.escape(sentence)):
        studies.load("compare")
    with pytest.raises(paths.Refused, match=re.escape(sentence)):
        equivalence.keep("compare")
    assert command("study", "compare", "--confirm").returncode != 0
    assert sentence in studies.stale("compare")
    assert "stale" in studies.overview()
    assert command("study", "compare").returncode == 0
    assert studies.load("compare").equals(loaded) and studies.stale("compare") == []


def test_parameters_fit_their_hash_through_a_file():
    for stored, value in [(1.0, 1), ("1", 1), (True, True), ("True", True), (float("nan"), None), (float("nan"), "")]:
        assert studies._same(stored, value)
    for stored, value in [(2.0, 1), ("a", 1), (float("nan"), 0), (0, None), ("ab", "a"), (None, "a")]:
        assert not studies._same(stored, value)


@pytest.mark.parametrize("values", [[True, False, True, True], [0, 12, 3, 4], ["a:b", "", "中", '"'], [], [False] * 9])
def test_what_is_packed_by_row_comes_back_by_id(values):
    ids = [f"{17 * i % 10} x" for i in range(len(values))]
    text = studies.pack(values, ids)
    assert studies.unpack(text, ids).tolist() == values
    assert studies.unpack(text).dtype.kind in "iU"  # a difference of two is below 0 where it should be
    assert studies.unpack(text, ids[::-1]).tolist() == values[::-1]
    assert studies.unpack(text).tolist() == [value for _, value in sorted(zip(ids, values, strict=True))]
    with pytest.raises(paths.Refused, match="belongs to other rows"):
        studies.unpack(text, [*ids[1:], "another"])


def test_values_without_ids_of_their_own_are_refused():
    with pytest.raises(ValueError, match="3 ids, 2 of them different"):
        studies.pack([True] * 3, [1, 2, 1])
    with pytest.raises(ValueError, match="2 values for 3 rows"):
        studies.pack([True] * 2, [1, 2, 3])
    with pytest.raises(paths.Refused, match="2 cells were judged on 2 different sets of rows"):
        studies.stack([studies.pack([True], [1]), studies.pack([True], [2])])


# --- doctor ---------------------------------------------------------------------------------------------------------


def test_doctor_names_the_damaged_file_and_what_to_do(course, monkeypatch, capsys):
    (course / "constraints.txt").write_text("pandas==0.1\n")
    (course / "weights.txt").write_text("# words\nno-such-weights==1.0\ntqdm==0.0.1\n")
    monkeypatch.setattr("helpers.datasets.DATA", course / "data")
    monkeypatch.setattr("helpers.runner.doctor.keras", lambda: [(True, "Keras")])  # tried by hand: it takes seconds
    for name in ("sound", "damaged", "missing"):
        content = b"text,label\n"
        card = f"file: {name}.csv\nsha256: {hashlib.sha256(content).hexdigest()}\n"
        (course / f"data/{name}.yaml").write_text(card)
        (course / f"data/{name}.csv").write_bytes(content if name == "sound" else b"text;label\n")
    (course / "data/missing.csv").unlink()
    (course / "data/weights").mkdir()
    for name in ("whole", "broken"):
        (course / f"data/weights/{name}.safetensors").write_bytes(name.encode())
        digest = hashlib.sha256(b"whole").hexdigest()
        (course / f"data/weights/{name}.yaml").write_text(f"sha256: {digest}\npieces_sha256: {digest}\n")
        (course / f"data/weights/{name}.spm").write_bytes(name.encode())
    with (course / "data/sound.yaml").open("a") as card:
        card.write(f"audio: sound.flac\naudio_sha256: {digest}\n")  # and there is no such file
    assert cli.main(["doctor"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert all(line.startswith(("ok  ", "fix: ")) for line in lines)
    assert "ok  data/sound.csv has the sha256 on its card" in lines
    assert any(line.startswith("fix: data/damaged.csv is damaged") for line in lines)
    assert any(line.startswith("fix: data/missing.csv is missing") for line in lines)
    for ending in ("safetensors", "spm"):
        assert f"ok  data/weights/whole.{ending} has the sha256 on its card" in lines
        broken = f"data/weights/broken.{ending}"
        assert f"fix: {broken} is missing or damaged: git checkout -- {broken}" in lines
    assert "fix: data/sound.flac is missing or damaged: git checkout -- data/sound.flac" in lines
    assert any(line.startswith("fix: no-such-weights is missing, 1.0 is needed: ") for line in lines)
    assert any(line.startswith("fix: tqdm is ") for line in lines)
    assert any("pandas" in line and "(tested: 0.1)" in line for line in lines)


def test_doctor_survives_a_missing_module(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    monkeypatch.setattr("helpers.runner.doctor.keras", lambda: [])
    found = [text for ok, text in doctor.examine() if not ok]
    assert len(found) == 1 and "psutil" in found[0] and doctor.INSTALL in found[0]


@pytest.mark.parametrize(
    ("version", "good"), [((3, 10, 9), False), ((3, 11, 0), True), ((3, 13, 5), True), ((3, 14, 0), False)]
)
def test_doctor_knows_which_python_will_do(monkeypatch, version, good):
    monkeypatch.setattr(sys, "version_info", version)
    assert doctor.python()[0][0] == good


def test_doctor_names_a_kernel_whose_python_is_gone(tmp_path, monkeypatch):
    spec = tmp_path / "kernels/python3/kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/gone/bin/python3", "-f", "{connection_file}"], "display_name": "Python 3"}))
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    ((ok, text),) = doctor.kernel()
    assert not ok and "starts /gone/bin/python3, which is not there: python -m ipykernel" in text


def test_doctor_reports_a_backend_that_does_not_start(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "abacus")
    (ok, text), *_ = doctor.keras()
    assert not ok and "abacus" in text and "unset KERAS_BACKEND" in text
