"""A real language model is tuned on shell commands: how, on what, and what it forgets; five seeds.

Questions  : rate    Which learning rate does validation prefer for each method? `RATES` holds its answer.
             method  What do LoRA in full depth, LoRA on the topmost blocks, those blocks themselves and all weights
                     gain over the untuned model, on pages that were not tuned on; what do they forget?
             genres  At equal tokens: does a mixture of two tasks (description to command, command to description)
                     beat each one, judged on both?
             repeats At equal steps: do nine copies of a tenth of the rows cost anything, and are they copied?
             judge   As the model came, does it judge commands by what they are, or by their place and length?
Prediction : Every method learns the format first. LoRA in full depth and all weights are level; the topmost blocks
             alone come close at a fifth of the time. A mixture is best on both. Repeats cost distinct text.
Model      : SmolLM2-135M-Instruct, which was tuned on instructions before it came here.
Fair       : within a seed all arms see the same rows in the same order, two passes; rates by the part "valid".
             The test rows, of pages of their own, are the same for all seeds and read last.
Measures   : nats a token of the answer, its end token apart; exact match and chrF of what is written greedily.
"""

import numpy as np

from helpers import language_models
from helpers.finetuning import language
from helpers.runner.studies import pack, unpack
from helpers.scenarios import commands

DATA = ["instructions", "docs_qa", "dialogues"]
N, N_TEST, N_WRITTEN = 160, 120, 60
METHODS = {
    "LoRA": {"method": "lora"},
    "LoRA, top": {"method": "lora", "layers": 6},
    "last blocks": {"method": "last", "layers": 6},
    "full": {"method": "full"},
}
TRIED = {
    "LoRA": [3e-4, 1e-3, 3e-3],
    "LoRA, top": [1e-3, 3e-3, 1e-2],
    "last blocks": [1e-4, 3e-4, 1e-3],
    "full": [3e-5, 1e-4, 3e-4],
}
RATES = {"LoRA": 1e-3, "LoRA, top": 3e-3, "last blocks": 3e-4, "full": 1e-4}
GENRES = {"commands": 1.0, "both": 0.5, "descriptions": 0.0}  # share of the tokens that are of the first task
GRID = [
    {"question": "rate", "arm": arm, "rate": rate, "seed": seed}
    for arm, rates in TRIED.items()
    for rate in rates
    for seed in range(2)
]
GRID += [{"question": "method", "arm": "untuned", "seed": 0}, {"question": "judge", "arm": "untuned", "seed": 0}]
GRID += [
    {"question": question, "arm": arm, "seed": seed}
    for question, arms in {"method": METHODS, "genres": GENRES, "repeats": ["distinct", "with copies"]}.items()
    for seed in range(5)
    for arm in arms
]
_model = None


def model():
    """The model as it came, read once a process; every run takes back what it trained."""
    global _model
    _model = _model or language_models.load("smollm2")
    return _model


def training_rows(question, arm, seed):
    """The rows that a cell tunes on."""
    lm = model()
    every = {task: commands.rendered(lm, commands.rows("train", N, task=task, seed=seed))[0] for task in commands.TASKS}
    if question == "genres":  # as many tokens as the commands have, by their shares
        size = tokens(every["command"])
        shares = {"command": GENRES[arm], "description": 1 - GENRES[arm]}
        return [row for task, share in shares.items() for row in within(every[task], share * size)]
    distinct = every["command"]
    if question == "repeats":
        tenth = len(distinct) // 10
        return distinct[: 2 * tenth] + (distinct[:tenth] * 8 if arm == "with copies" else distinct[2 * tenth :])
    return distinct


def tokens(rows):
    return sum(len(row.ids) for row in rows)


def within(rows, size):
    """The first rows that hold so many tokens together."""
    return [row for row, so_far in zip(rows, np.cumsum([len(row.ids) for row in rows]), strict=True) if so_far <= size]


def run(question, arm, seed, rate=None):
    """Tune and judge one model."""
    if question == "judge":
        return judging(seed)
    lm = model()
    rows = training_rows(question, arm, seed)
    result = {"rows": len(rows), "tokens": tokens(rows)}
    tuned = None
    if arm != "untuned":
        name = arm if arm in METHODS else "LoRA, top"
        tuned = language.tune(lm, rows, seed=seed, learning_rate=rate or RATES[name], **METHODS[name])
        result |= {"seconds": round(tuned.history["seconds"].sum(), 1), "trained": tuned.trained}
    try:
        return result | judged(question, {lm.tokeniser.decode([row.ids[i] for i in row.answer]) for row in rows})
    finally:
        if tuned:
            tuned.undo()


def judged(question, learnt):
    """What the model makes of rows that it was not tuned on; learnt: the answers that it was."""
    lm, result = model(), {}
    part = "valid" if question == "rate" else "test"
    for task in commands.TASKS if question == "genres" else commands.TASKS[:1]:
        rows, frame = commands.rendered(lm, commands.rows(part, N_TEST, task=task))
        found = language_models.losses(lm, rows)
        result[f"{task} nats"] = pack((1000 * found["nats"]).round().astype(int), frame.index)
        result[f"{task} tokens"] = pack(found["tokens"], frame.index)
        result[f"{task} end_loss"] = found["end_nats"].mean()
    if question in ("method", "repeats"):
        asked = commands.rows(part, N_WRITTEN)
        written = commands.write(lm, asked)
        result["written"] = pack(written, asked.index)
        result["copied"] = np.mean([text in learnt for text in written])
    if question == "method":
        result |= {f"{source} loss": loss for source, loss in commands.forgotten(lm).items()}
    return result | figures({"question": question} | result)


JUDGE = "Which of two commands does this: {asked}?\nA: {first}\nB: {second}\nAnswer with A or B."


def judging(seed):
    """Which of two commands the model names, in both orders: the right or a wrong one; of two wrong ones a longer one.

    returns : by row, whether the first that is shown is named, for each kind of pair and each order
    """
    asked = commands.rows("test", N_WRITTEN)
    others = commands.rows("valid", 2 * N_WRITTEN, seed=seed)["target"].tolist()
    wrong = [sorted(pair, key=lambda text: (len(text), text)) for pair in zip(others[::2], others[1::2], strict=True)]
    pairs = {"right": list(zip(asked["target"], others, strict=False)), "longer": [pair[::-1] for pair in wrong]}
    result = {}
    for kind, of_kind in pairs.items():
        for order in (1, -1):
            shown = [pair[::order] for pair in of_kind]
            named_first = named(asked["text"], shown)
            result[f"{kind} {'first' if order == 1 else 'second'}"] = pack(named_first, asked.index)
    return result | figures({"question": "judge"} | result)


def named(texts, pairs):
    """Whether the model names the first of each pair: whether "A" is likelier than "B" as its answer."""
    lm, nats = model(), []
    for answer in "AB":
        talks = []
        for text, (first, second) in zip(texts, pairs, strict=True):
            asked = text.split(": ", 1)[1]
            prompt = JUDGE.format(asked=asked, first=first, second=second)
            talks.append([{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}])
        rows = [language_models.render(lm, talk) for talk in talks]
        found = language_models.nats(lm, [row.ids for row in rows], [list(row.answer) for row in rows])
        nats.append(np.array([values.sum() for values in found]))
    return nats[0] < nats[1]


def figures(row):
    """What follows from what is stored by row: losses in nats a token, exact match, chrF; of judging its shares."""
    result = {}
    if row["question"] == "judge":
        shown = {name: unpack(row[name]) for name in ("right first", "right second", "longer first", "longer second")}
        result["named first"] = np.mean(list(shown.values()))
        result["same in both orders"] = np.mean(shown["right first"] != shown["right second"])
        for kind in ("right", "longer"):
            result[f"named {kind}"] = (shown[f"{kind} first"].mean() + 1 - shown[f"{kind} second"].mean()) / 2
        return result
    for task in commands.TASKS:
        if isinstance(row.get(f"{task} nats"), str):
            result[f"{task} loss"] = unpack(row[f"{task} nats"]).sum() / unpack(row[f"{task} tokens"]).sum() / 1000
    if isinstance(row.get("written"), str):
        asked = commands.rows("test", N_WRITTEN)
        result |= commands.judged(unpack(row["written"], asked.index), asked["target"]).mean().to_dict()
    return result
