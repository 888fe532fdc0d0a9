"""Other tools that remove near duplicates, beside ours, on 8,000 rows of the Chinese reviews: one table.

    python -m benchmarks.duplicate_tools --text-dedup PYTHON --datatrove PYTHON --data-juicer PYTHON [--store]

The tools need packages that exclude each other, so each lives in an environment of its own (python -m venv, then
pip install text-dedup | datatrove 'xxhash<4' tokenizers spacy jieba | py-data-juicer aiohttp scipy): give its
interpreter. A tool that is not given is skipped. `--store` keeps the table in duplicate_tools.csv and takes all three.

Judge: two rows are duplicates where their texts are the same, or their character 5-shingles overlap by Jaccard ≥ .7,
found by brute force on the texts as shipped. Seconds are of CPU, without imports and the reading of the rows; a busy
machine changes them little.
"""

import argparse
import json
import subprocess
import tempfile
from importlib import metadata
from pathlib import Path

import pandas as pd

from benchmarks.duplicates import THRESHOLD, N, brute_force, seconds
from helpers import datasets, duplicates

ROWS, SEED = 8_000, 0
STORED = Path(__file__).with_name("duplicate_tools.csv")
COLUMNS = ["tool", "version", "setting", "rows_left", "wrongly_removed", "left_in", "seconds"]

# Programs for the tools' own interpreters. They find rows.jsonl (id, text) in the folder they start in, take a setting,
# and end with `answer`. `start` is called where imports and reading are over.
START = """
import json, os, sys
from importlib import metadata

def cpu():
    return sum(os.times()[:4])  # of this process and of the workers that it has waited for

def start():
    global started
    started = cpu()

def answer(package, kept):
    record = {"version": metadata.version(package), "seconds": cpu() - started, "kept": sorted(map(int, kept))}
    json.dump(record, open("answer.json", "w"))
"""
TEXT_DEDUP = """
from datasets import Dataset, load_from_disk
from text_dedup import minhash

Dataset.from_json("rows.jsonl").save_to_disk("rows")
start()
options = "--local --path rows --output left --column text --num_proc 1"
minhash.main([*options.split(), *sys.argv[1].split()], standalone_mode=False)
answer("text-dedup", load_from_disk("left")["id"])
"""
DATATROVE = """
from datatrove.data import Document
from datatrove.pipeline.dedup import MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig

rows = [json.loads(line) for line in open("rows.jsonl", encoding="utf8")]
documents = [Document(text=row["text"], id=str(row["id"])) for row in rows]
signature = MinhashDedupSignature("signatures", language=sys.argv[1])
signature.word_tokenizer.word_tokenize("一个词")  # loads spaCy and its dictionary
start()
signature.run(documents)
buckets = MinhashConfig().num_buckets
for bucket in range(buckets):
    MinhashDedupBuckets("signatures", "pairs").run(rank=bucket, world_size=buckets)
MinhashDedupCluster("pairs", "removed").run(world_size=1)
answer("datatrove", [document.id for document in MinhashDedupFilter("removed").run(documents)])
"""
DATA_JUICER = """
from data_juicer.ops.deduplicator.document_minhash_deduplicator import DocumentMinhashDeduplicator
from datasets import Dataset

rows = Dataset.from_json("rows.jsonl")
operator = DocumentMinhashDeduplicator(tokenization=sys.argv[1])
start()
left, _ = operator.process(rows.map(operator.compute_hash))  # what its `run` does in worker processes
answer("py-data-juicer", left["id"])
"""

# Tool: its program, and what to call each setting. The first is the default; text-dedup knows no characters, and
# `--min_length 1` keeps it from dropping every text of fewer than five words.
TOOLS = {
    "text-dedup": (TEXT_DEDUP, {"": "default", "--min_length 1": "min_length 1"}),
    "datatrove": (DATATROVE, {"eng": "default (eng)", "zho": "zho", "zho_Hani": "zho_Hani"}),
    "data-juicer": (DATA_JUICER, {"space": "default (space)", "character": "character"}),
}


# ---- the judge ------------------------------------------------------------------------------------------------------


def same(texts):
    """{text: the texts that it duplicates, itself among them}, by brute force."""
    distinct = list(dict.fromkeys(texts))
    near = {text: {text} for text in distinct}
    for first, second in brute_force(distinct):
        near[distinct[first]].add(distinct[second])
        near[distinct[second]].add(distinct[first])
    return near


def wrongly_removed(texts, kept, near):
    """Positions of the rows that went although no row kept duplicates them."""
    left = {texts[i] for i in kept}
    return [i for i in sorted(set(range(len(texts))) - set(kept)) if not near[texts[i]] & left]


def left_in(texts, kept, near):
    """Positions of the rows kept that duplicate an earlier one that stays (greedy, first come first kept)."""
    stay, extra = set(), []
    for i in sorted(kept):
        if near[texts[i]] & stay:
            extra.append(i)
        else:
            stay.add(texts[i])
    return extra


# ---- the table ------------------------------------------------------------------------------------------------------


def sample():
    """8,000 rows of reviews_zh drawn at random, in the order of the file."""
    return datasets.load("reviews_zh").sample(ROWS, random_state=SEED).sort_index(kind="stable")["text"].tolist()


def ours(texts, **options):
    """Positions that `helpers.duplicates` keeps: exact repeats go first, then near ones."""
    frame = pd.DataFrame({"text": texts})
    frame = frame[~duplicates.repeats(frame, **options)]
    return frame.index[~duplicates.near_repeats(frame, THRESHOLD, N)].tolist()


def theirs(texts, interpreter, program, setting):
    """{version, seconds, kept} of a tool, by its own interpreter."""
    rows = "".join(json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(texts))
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "rows.jsonl").write_text(rows, encoding="utf8")
        command = [Path(interpreter).absolute(), "-c", START + program, setting]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if run.returncode:
            raise RuntimeError(f"{interpreter} failed: {run.stderr[-2000:]}")
        return json.loads(Path(folder, "answer.json").read_text())


def table(texts, interpreters):
    """One row a tool and setting; interpreters is {tool: path}."""
    near = same(texts)
    rows = []

    def add(tool, version, setting, kept, cpu):
        wrong, extra = wrongly_removed(texts, kept, near), left_in(texts, kept, near)
        rows.append([tool, version, setting, len(kept), len(wrong), len(extra), round(cpu, 2)])

    everything = range(len(texts))
    extra, cpu = seconds(lambda: set(left_in(texts, everything, same(texts))))
    here = metadata.version("choosing-finetuning-data")
    add("brute force", here, "all pairs", sorted(set(everything) - extra), cpu)
    ours(texts)  # imports
    for setting, options in {"same letters": {"key": str}, "default": {}}.items():
        add("helpers.duplicates", here, setting, *seconds(lambda options=options: ours(texts, **options)))
    for tool, interpreter in interpreters.items():
        program, settings = TOOLS[tool]
        for argument, setting in settings.items():
            run = theirs(texts, interpreter, program, argument)
            add(tool, run["version"], setting, run["kept"], run["seconds"])
    return pd.DataFrame(rows, columns=COLUMNS)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for tool in TOOLS:
        parser.add_argument(f"--{tool}", dest=tool, metavar="PYTHON", help=f"Python interpreter that has {tool}")
    parser.add_argument("--store", action="store_true", help=f"keep the table in {STORED.name}")
    options = vars(parser.parse_args())
    interpreters = {tool: options[tool] for tool in TOOLS if options[tool]}
    if options["store"] and len(interpreters) < len(TOOLS):
        parser.error("--store keeps a whole table: give all three interpreters")
    for tool in TOOLS.keys() - interpreters:
        print(f"{tool} is skipped: no interpreter was given with --{tool}.")
    texts = sample()
    print(f"{ROWS:,} rows of reviews_zh (random_state={SEED}), {len(set(texts)):,} distinct texts")
    found = table(texts, interpreters)
    print(found.to_string(index=False))
    if options["store"]:
        found.to_csv(STORED, index=False)


if __name__ == "__main__":
    main()
