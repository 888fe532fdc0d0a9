"""Shell commands from their descriptions, by a language model: rows, prompts, and how an answer is judged.

The benchmark of language models tunes on them.
"""

from functools import cache

import numpy as np
import pandas as pd

from helpers import conversations, datasets, language_models
from helpers.scenarios.translation import chrf

LONGEST = 96  # tokens of a conversation
NEW = 32  # tokens of a written command, at most
TASKS = ["command", "description"]
PARTS = {"train": 0.8, "valid": 0.1, "test": 0.1}


@cache
def table():
    """Rows of `instructions` from tldr-pages that nothing is known against, with their part; no page in two parts."""
    frame = datasets.load("instructions").query("source == 'tldr'")
    return frame.assign(part=datasets.split(frame, PARTS, stratify=None)).query("repeat == ''")


def rows(part, n, *, task="command", seed=0):
    """n rows of a part and a task in random order."""
    frame = table().query("part == @part and task == @task")
    return frame.iloc[np.random.default_rng(seed).permutation(len(frame))[:n]]


def rendered(model, frame):
    """The rows as a model reads them, and the frame of these rows: those longer than LONGEST tokens are left out."""
    rows, table = language_models.limit(model, conversations.from_rows(frame), LONGEST, how="leave out")
    return rows, frame[table["kept"].to_numpy()]


@cache
def elsewhere(n=60):
    """Rows of two sources that nothing is tuned on here: lines of docstrings, and small talk; {source: frame}."""
    documents = datasets.load("docs_qa").assign(text=lambda frame: "Explain this function: " + frame["text"])
    talk = datasets.load("dialogues").query("source == 'english'").drop_duplicates(["text", "target"])
    return {"docstrings": documents.sample(n, random_state=0), "small talk": talk.sample(n, random_state=0)}


def forgotten(model):
    """Nats a token of the answers from other sources, {source: loss}; long ones are cut at LONGEST tokens."""
    found = {}
    for name, frame in elsewhere().items():
        kept, _ = language_models.limit(model, conversations.from_rows(frame), LONGEST)
        found[name] = pooled(language_models.losses(model, kept))
    return found


def pooled(losses):
    """Nats a token of all rows together, end tokens aside."""
    return losses["nats"].sum() / losses["tokens"].sum()


def write(model, frame):
    """The command that a model writes for each row's instruction, greedily."""
    talks = [[{"role": "user", "content": text}] for text in frame["text"]]
    prompts = [language_models.prompt_ids(model, talk) for talk in talks]
    return [model.tokeniser.decode(ids).strip() for ids in language_models.generate(model, prompts, longest=NEW)]


def judged(written, wanted):
    """Exact match (white space aside) and chrF of each written command, a DataFrame.

    source : Popović 2015, on a scale of 0 to 100
    """
    pairs = list(zip(written, wanted, strict=True))
    exact = [" ".join(one.split()) == " ".join(other.split()) for one, other in pairs]
    return pd.DataFrame({"exact": exact, "chrf": [chrf([one], [other]) for one, other in pairs]})
