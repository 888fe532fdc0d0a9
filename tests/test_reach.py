"""What a study depends on is read off its code."""

import ast
import shutil
from pathlib import Path

import pytest

from helpers import datasets
from helpers.runner import paths, reach, studies

ONE = """
from helpers import two
from helpers.three import deep as far
from helpers.four import inner
other = studies.module("other")
LIMIT, (LOW, HIGH) = 1, (2, 3)


def run(seed):
    from helpers import five
    return two.used(LIMIT) + far() + five.late + inner.part.value + other.third.value + whole(inner)


def whole(module):
    return getattr(module, "part")


def never():
    return HIGH
"""
FILES = {
    "helpers/two.py": "def used(x):\n    return helper(x)\n\ndef helper(x):\n    return x\n\ndef unused():\n    pass\n",
    "helpers/three.py": "deep = 1\nshallow = 2\nprint(shallow)\n",
    "helpers/four/__init__.py": "from helpers.four import inner\n",
    "helpers/four/inner.py": "part = 1\nelse_ = 2\n",
    "helpers/five.py": "late = 1\nearly = 2\n",
    "studies/other.py": "third, fourth = studies.module('third'), studies.module('fourth')\n",
    "studies/third.py": "value = 1\n",
    "studies/fourth.py": "value = 1\n",
    "studies/one.py": ONE,
}


@pytest.fixture
def course(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_function_reaches_what_it_names_and_no_more(course):
    found = {(file, name) for file, name in reach.reached(course / "studies/one.py")}
    assert found == {
        ("studies/one.py", "run"),
        ("studies/one.py", "LIMIT"),
        ("studies/one.py", "whole"),
        ("helpers/two.py", "used"),
        ("helpers/two.py", "helper"),
        ("helpers/three.py", "deep"),
        ("helpers/three.py", "shallow"),  # named by the statement below
        ("helpers/three.py", ""),
        ("helpers/four/inner.py", "part"),
        ("helpers/four/inner.py", "else_"),  # the module is handed on as a value: all of it
        ("helpers/five.py", "late"),
        ("studies/third.py", "value"),
    }


def test_a_study_named_by_a_variable_is_refused(course):
    (course / "studies/one.py").write_text("def run(name):\n    return studies.module(name).value\n")
    with pytest.raises(ValueError, match="name the study by a literal"):
        reach.reached(course / "studies/one.py")


@pytest.mark.parametrize(
    ("code", "why"),
    [
        ("from .two import used\ndef run(): return used()", "line 1: name the module in full"),
        ("from helpers.two import *\ndef run(): return used()", "line 1: import by name, not *"),
        (
            "from helpers.runner.studies import module\ndef run(): return module('other').third",
            "take `from helpers.run",
        ),
        ("from helpers import runner\ndef run(): return runner.studies.load('other')", "take `from helpers.runner"),
        ("import helpers.runner.studies as s\ndef run(): return s.module('other').third", "take `from helpers.runner"),
        ("import helpers\ndef run(): return helpers.runner.studies.load('other')", "take `from helpers.runner"),
        ("from helpers.runner import studies as s\ndef run(): return s.load('other')", "take `from helpers.runner"),
        ("def run(): return studies.module(name='other').third", "line 1: name the study by a literal"),
        ("def run(): return studies.load(name)", "name the study by a literal"),
        ("def run(): return getattr(studies, 'module')('other')", "name the study by a literal"),
        ("GRID = {'seed': [0]}\ndef run(): return len(GRID)", "run reads GRID"),
        ("def used(): pass\ndef f():\n    from helpers.two import used\ndef run(): return used()", "used is imported"),
        (
            "ALL = []\ndef add(f): ALL.append(f)\n@add\ndef one(): pass\ndef run(): return ALL",
            "line 3: @add may enter one",
        ),
        ("from helpers import two\n@two.used(1)\ndef one(): pass\ndef run(): pass", "@two may enter one"),
        (
            "from helpers.two import used\nclass A:\n    @used\n    def one(self): pass\ndef run(): pass",
            "@used may enter",
        ),
        ("def run(): return Path('helpers/words.yaml').read_text()", "words.yaml stands beside the code"),
        ("def run(): return Path(__file__).with_suffix('.yaml').read_text()", "found from __file__"),
        ("def run(): return globals()['x']", "globals reaches what nobody can follow"),
    ],
)
def test_what_no_name_leads_to_is_refused(course, code, why):
    (course / "helpers/words.yaml").touch()
    (course / "studies/one.py").write_text(code)
    with pytest.raises(reach.Unfollowed, match=why):
        reach.reached(course / "studies/one.py", skip={"GRID"})


@pytest.mark.parametrize(
    ("code", "file", "edit"),
    [
        (
            "from helpers.six import X\ndef run(): return X",
            "helpers/six.py",
            "try:\n    X = {}\nexcept E:\n    X = 0\n",
        ),
        ("from helpers import six\ndef run(): return six.X", "helpers/six.py", "for X in ({},):\n    pass\n"),
        ("from helpers import six\ndef run(): return six.X", "helpers/six.py", "X, *rest = {}, 3\n"),
        ("from helpers import six\ndef run(): return six.X", "helpers/six.py", "if True:\n    def X(): return {}\n"),
        ("a = b = studies.module('other')\ndef run(): return b.x", "studies/other.py", "x = {}\n"),
        ("def run(o):\n    o.a = studies.module('other')\n    return o.a.x", "studies/other.py", "x = {}\n"),
        ("def run():\n    a, b = studies.module('other'), 1\n    return a.x", "studies/other.py", "x = {}\n"),
        ("from helpers.four import inner\ndef run(): return inner.part", "helpers/four/__init__.py", "set({})\n"),
        ("from helpers import two, six\ndef run(): return two.used(1)", "helpers/six.py", "set({})\n"),
        ("import helpers.six\ndef run(): return 1", "helpers/six.py", "set({})\n"),
        ("import helpers.six\ndef run(): return helpers.six.X", "helpers/six.py", "X = {}\n"),
        ("import helpers.six as s\ndef run(): return s.X", "helpers/six.py", "X = {}\n"),
        ("def run(): return studies.load('other')", "data/studies/other.csv", "a,cell,stand\n{},k,s\n"),
        ("def run(): return studies.stored('other')", "data/studies/other.csv", "a,cell,stand\n{},k,s\n"),
    ],
)
def test_an_edit_is_seen_wherever_it_stands(course, code, file, edit):
    (course / "data/studies").mkdir(parents=True)
    (course / "studies/one.py").write_text(code)
    found = []
    for value in ("1", "1", "22"):
        (course / file).write_text(edit.replace("{}", value))
        found.append(reach.reached(course / "studies/one.py"))
    assert found[0] == found[1] != found[2]


def test_the_stand_of_rows_that_a_study_loads_does_not_count(course):
    table = course / "data/studies/other.csv"
    table.parent.mkdir(parents=True)
    (course / "studies/one.py").write_text("def run(): return studies.load('other')")
    found = []
    for stand in ("before", "after"):
        table.write_text(f"a,cell,stand\n1,k,{stand}\n")
        found.append(reach.reached(course / "studies/one.py"))
    assert found[0] == found[1]


def test_helpers_does_nothing_on_import_but_keep_a_log_from_the_reader():
    loose = [ast.unparse(node) for node in reach.Module(paths.root() / reach.QUIET).loose]
    assert loose == ["os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')", "sys.meta_path.insert(0, _QuietTensorFlow)"]


# ---- data -----------------------------------------------------------------------------------------------------------


def hashes(code, *names):
    return studies.data_hashes(names, [(("studies/one.py", "run"), [paths.canonical(ast.parse(code))])])


def test_the_files_of_a_data_set_count_where_code_reads_them():
    card = datasets.card("reviews_zh")
    own, readings, suspects = card["sha256"], card["readings"]["sha256"], card["suspects"]["sha256"]
    assert hashes("datasets.load('reviews_zh')", "reviews_zh") == [own]
    assert hashes("pd.read_csv(datasets.DATA / 'reviews_zh_readings.csv')", "reviews_zh") == [own, readings]
    assert {readings, suspects} < set(hashes("datasets.card(name)['readings']", "reviews_zh"))
    assert suspects in hashes("datasets.DATA / f'{name}_suspects.csv'", "reviews_zh")
    speech = datasets.card("speech")
    assert set(hashes("card = datasets.card('speech')", "speech")) == {speech["sha256"], speech["audio_sha256"]}
    pieces = hashes("WEIGHTS = 'translation.spm'")
    assert len(pieces) == 1 and hashes(f"WEIGHTS, SHA256 = 'translation.spm', '{pieces[0]}'") == []


def test_the_recordings_count_for_the_studies_that_hear_them(monkeypatch):
    before, cards = stands("speech", "outlook", "leakage"), datasets.card
    monkeypatch.setattr(
        datasets, "card", lambda name: cards(name) | ({"audio_sha256": "0"} if name == "speech" else {})
    )
    moved = {name for name, one in stands("speech", "outlook", "leakage").items() if one != before[name]}
    assert moved == {"speech", "outlook"}


NOT_READ = {"tuning": {"snippets_en"}, "searches": {"snippets_en"}}  # they take the Chinese rows of `choosing` alone


@pytest.mark.parametrize("name", studies.names())
def test_a_study_says_which_data_it_loads(name):
    """Every data set that its code or its grid names stands in DATA."""
    study = studies.module(name)
    code = repr(list(reach.reached(Path(study.__file__)).values())) + repr(paths.canonical(ast.parse(repr(study.GRID))))
    named = {one for one in datasets.names() if repr(repr(one))[1:-1] in code} - NOT_READ.get(name, set())
    assert named <= set(study.DATA)


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The course's own code in another folder, to be edited."""
    for name in ("helpers", "studies", "pyproject.toml"):
        source = paths.root() / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, tmp_path / name)
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stands(*names):
    return {name: studies.stand(studies.module(name)) for name in names or studies.names()}


def edit(path, name, body):
    """Give a function of a file another docstring, or another body."""
    source = path.read_text(encoding="utf8")
    tree = ast.parse(source)
    function = next(node for node in tree.body if getattr(node, "name", "") == name)
    function.body = [
        ast.Expr(ast.Constant("Other words.")),
        *(function.body[1:] if body is None else ast.parse(body).body),
    ]
    path.write_text(ast.unparse(ast.fix_missing_locations(tree)), encoding="utf8")


def test_an_edit_makes_the_studies_stale_that_reach_it_and_no_other(copy):
    before = stands()
    edit(copy / "helpers/datasets.py", "text_key", None)  # its docstring
    assert stands() == before
    edit(copy / "helpers/datasets.py", "verify", "return 0")  # the data are hashed by their cards: read by `load`
    moved = {name for name, one in stands().items() if one != before[name]}
    assert moved == set(before)
    before = stands()
    edit(copy / "helpers/label_errors.py", "rater_doubt", "return 0")
    moved = {name for name, one in stands().items() if one != before[name]}
    assert moved == {"domains", "sentiment"} & moved and "sentiment" in moved
    edit(copy / "helpers/label_errors.py", "out_of_fold", "return 0")
    assert Path("studies/leakage.py").exists() and stands()["leakage"] == before["leakage"]


def test_no_study_reaches_what_only_notebooks_use(copy):
    before = stands()
    for name in ("kappa", "bootstrap"):
        source = copy / "helpers/evaluation.py"
        if f"def {name}(" in source.read_text(encoding="utf8"):
            edit(source, name, "return 0")
    (copy / "helpers/notebook.py").write_text("")
    (copy / "helpers/runner/run.py").write_text("")
    assert stands() == before
