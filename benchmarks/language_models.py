"""Tuning and scoring a language model beside peers: `python -m benchmarks.language_models` prints ratios and bars.

Tuning: LoRA of rank 8 on all linear layers, and all weights, against PEFT and Transformers' Trainer on PyTorch, with
its default padding and grouped by length. Both sides see the same token ids and masks of 200 shell commands, the same
steps, batch, AdamW, warm-up and decay, in float32, with two threads each, in a process of their own; they take turns.
The first step, in which TensorFlow traces, is timed apart. Losses are of held-out rows, end tokens aside.
Scoring: instruction-following difficulty of 300 rows against wana's scorer (llama.cpp), in its way, on identical ids.
Needs the extra `peers`, and for scoring `pip install wana`; ends with exit code 1 if a bar is missed.
"""

import argparse
import functools
import json
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.sides import MISSED, QUIET, THREADS, Side, judge, serve

ROWS, HELD_OUT, BATCH, RANK = 200, 60, 8, 8
RATE = {"lora": 1e-3, "full": 5e-5}
ME = "benchmarks.language_models"


def peak():
    """Peak memory of this process, GiB."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


# ---- ours -----------------------------------------------------------------------------------------------------------


@functools.cache
def model():
    from helpers import language_models

    return language_models.load("smollm2")


@functools.cache
def rendered(seed):
    """Rows to tune on, and rows held out."""
    from helpers.scenarios import commands

    parts = (("train", ROWS), ("valid", HELD_OUT))
    return [commands.rendered(model(), commands.rows(part, n, seed=seed))[0] for part, n in parts]


def ids(seed, folder):
    """Write the model and the rows for the peers: lists of ids, places that are trained, places of end tokens."""
    from helpers.finetuning import language

    if not (Path(folder) / "base").exists():
        language.export(model(), Path(folder) / "base")
    parts = [
        [{"ids": row.ids, "trained": row.trained.tolist(), "ends": row.ends.tolist()} for row in rows]
        for rows in rendered(seed)
    ]
    (Path(folder) / f"rows{seed}.json").write_text(json.dumps(parts))
    return {"tokens": sum(len(row.ids) for row in rendered(seed)[0])}


def ours(seed, method):
    from helpers import language_models
    from helpers.finetuning import language, training
    from helpers.scenarios import commands

    train, held_out = rendered(seed)
    seconds, step = [], training._step

    def timed(*given):
        start = time.perf_counter()
        found = step(*given)
        seconds.append(time.perf_counter() - start)
        return found

    training._step = timed
    tuned = language.tune(
        model(), train, epochs=1, method=method, batch_size=BATCH, learning_rate=RATE[method], rank=RANK, seed=seed
    )
    training._step = step
    loss = commands.pooled(language_models.losses(model(), held_out))
    memory = peak()
    tuned.undo()
    return {"first": seconds[0], "others": sum(seconds[1:]), "loss": loss, "peak": memory}


# ---- Transformers' Trainer and PEFT ---------------------------------------------------------------------------------


def trainer(seed, method, grouped, folder):
    import torch
    import transformers

    from benchmarks.fine_tuning import grouping

    torch.set_num_threads(THREADS)
    transformers.set_seed(seed)
    train, held_out = json.loads((Path(folder) / f"rows{seed}.json").read_text())
    network = transformers.AutoModelForCausalLM.from_pretrained(Path(folder) / "base", dtype=torch.float32)
    if method == "lora":
        import peft

        settings = peft.LoraConfig(r=RANK, lora_alpha=2 * RANK, target_modules="all-linear", task_type="CAUSAL_LM")
        network = peft.get_peft_model(network, settings)
    seconds = []

    class Clock(transformers.TrainerCallback):
        def on_step_begin(self, *given, **named):
            self.start = time.perf_counter()

        def on_step_end(self, *given, **named):
            seconds.append(time.perf_counter() - self.start)

    with tempfile.TemporaryDirectory() as output:
        arguments = transformers.TrainingArguments(
            output_dir=output,
            num_train_epochs=1,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE[method],
            weight_decay=0.0,
            lr_scheduler_type="linear",
            warmup_steps=round(0.1 * -(-len(train) // BATCH)),
            max_grad_norm=1.0,
            seed=seed,
            use_cpu=True,
            **QUIET,
            **grouping(transformers, grouped),
        )
        loop = transformers.Trainer(
            model=network,
            args=arguments,
            train_dataset=[{"input_ids": row["ids"], "labels": labels(row)} for row in train],
            data_collator=collate,
            callbacks=[Clock()],
        )
        loop.train()
    network.eval()
    nats = [torch_nats(network, row) for row in held_out]
    return {"first": seconds[0], "others": sum(seconds[1:]), "loss": np.concatenate(nats).mean(), "peak": peak()}


def labels(row):
    """What is to be guessed, −100 where nothing is."""
    trained = set(row["trained"])
    return [id_ if place in trained else -100 for place, id_ in enumerate(row["ids"])]


def collate(rows):
    """A batch as wide as its longest row."""
    import torch

    width = max(len(row["input_ids"]) for row in rows)

    def padded(name, value):
        return torch.tensor([row[name] + [value] * (width - len(row[name])) for row in rows])

    ids = padded("input_ids", 0)
    mask = torch.tensor([[1] * len(row["input_ids"]) + [0] * (width - len(row["input_ids"])) for row in rows])
    return {"input_ids": ids, "labels": padded("labels", -100), "attention_mask": mask}


def torch_nats(network, row):
    """Nats of a row's trained tokens but its end tokens."""
    import torch

    with torch.no_grad():
        scores = torch.log_softmax(network(input_ids=torch.tensor([row["ids"]])).logits[0].float(), dim=-1)
    places = [place for place in row["trained"] if place not in row["ends"]]
    return np.array([-float(scores[place - 1, row["ids"][place]]) for place in places])


def torch_rate(size=2048, times=5):
    """Floating-point operations a second of a float32 matrix product, the best of several."""
    import torch

    torch.set_num_threads(THREADS)
    matrix, seconds = torch.randn(size, size), []
    for _ in range(times):
        start = time.perf_counter()
        matrix @ matrix
        seconds.append(time.perf_counter() - start)
    return {"rate": 2 * size**3 / min(seconds)}


# ---- instruction-following difficulty, in wana's way ----------------------------------------------------------------


def questions(n):
    """The first n conversations to score, short ones and long ones as they come."""
    from helpers import conversations
    from helpers.scenarios import commands

    return conversations.from_rows(commands.rows("train", n))


def ifd_ours(n):
    """Scores of n rows: behind the template's default system message, over the same behind the first token alone."""
    from helpers import language_models

    start = time.perf_counter()
    rows = [language_models.render(model(), talk, system="keep") for talk in questions(n)]
    given = [row.ids[: row.answer[-1] + 1] for row in rows]
    alone = [[row.ids[0], *(row.ids[place] for place in row.answer)] for row in rows]
    with_it = language_models.nats(model(), given, [row.answer for row in rows])
    without = language_models.nats(model(), alone, [range(1, len(ids)) for ids in alone])
    scores = [float(a.mean() / b.mean()) for a, b in zip(with_it, without, strict=True)]
    return {"seconds": time.perf_counter() - start, "scores": scores, "tokens": sum(map(len, given + alone))}


def ifd_wana(n):
    from wana.adapters.logprob.bundled import BundledLogProbProvider
    from wana.adapters.scoring.ifd import IFDScorer
    from wana.domain.example import Example, Message, Role

    start = time.perf_counter()
    scorer = IFDScorer(BundledLogProbProvider(threads=THREADS))
    scores = []
    for number, talk in enumerate(questions(n)):
        messages = tuple(Message(Role(message["role"]), message["content"]) for message in talk)
        scores.append(scorer.score(Example(str(number), messages))[0].value)
    return {"seconds": time.perf_counter() - start, "scores": scores}


# ---- report ---------------------------------------------------------------------------------------------------------

ARMS = {"ours": "ours", "Trainer": False, "Trainer, grouped by length": True}


def tuning(seeds, folder):
    base = Side(ME)
    tokens = [base.ask("ids", seed, folder)["tokens"] for seed in range(seeds)]
    base.close()
    for method in ("lora", "full"):
        sides = {arm: Side(ME, "tensorflow" if arm == "ours" else "torch") for arm in ARMS}
        found = {arm: [] for arm in ARMS}
        for seed in range(seeds):
            for arm in list(ARMS) if seed % 2 == 0 else list(ARMS)[::-1]:
                request = ("ours", seed, method) if arm == "ours" else ("trainer", seed, method, ARMS[arm], folder)
                found[arm].append(sides[arm].ask(*request))
        products = {arm: sides[arm].ask("rate" if arm == "ours" else "torch_rate")["rate"] for arm in ARMS}
        report(method, tokens, found, products)
        for side in sides.values():
            side.close()


def report(method, tokens, found, products):
    """Print tokens a second (padding not counted), losses, memory, and the bars."""
    share = 1 - BATCH / ROWS  # of the rows, in steps after the first
    speed = {
        arm: np.array([share * n / run["others"] for n, run in zip(tokens, found[arm], strict=True)]) for arm in found
    }
    print(f"\n{method}: {ROWS} rows, batches of {BATCH}, one pass, {len(tokens)} seeds")
    print(f"{'':28}{'tokens/s':>10}{'first step, s':>15}{'loss':>8}{'peak, GiB':>11}{'product, GFLOP/s':>18}")
    for arm, runs in found.items():
        first, loss, memory = (np.mean([run[key] for run in runs]) for key in ("first", "loss", "peak"))
        print(f"{arm:28}{np.median(speed[arm]):10.0f}{first:15.1f}{loss:8.3f}{memory:11.2f}{products[arm] / 1e9:18.0f}")
    loss = {arm: np.mean([run["loss"] for run in runs]) for arm, runs in found.items()}
    for arm, least in (("Trainer, grouped by length", 1.0), ("Trainer", 1.5)):
        ratio = np.median(speed["ours"] / speed[arm])
        judge(f"{method}, at least {least} times as fast as {arm}: {ratio:.2f}", ratio >= least)
    gap = loss["ours"] - loss["Trainer, grouped by length"]
    judge(f"{method}, loss within .03 nats of Trainer's: {gap:+.3f}", abs(gap) <= 0.03)


def scoring(n=300):
    from scipy.stats import spearmanr

    ours_, peer = Side(ME), Side(ME, "torch")
    start = time.perf_counter()
    ours_.ask("ids", 0, tempfile.mkdtemp())  # reads the model
    reading = time.perf_counter() - start
    found = {"ours": ours_.ask("ifd_ours", n), "wana": peer.ask("ifd_wana", n)}
    for side in (ours_, peer):
        side.close()
    print(f"\nIFD of {n} rows, {found['ours']['tokens']:,} tokens (ours reads its model in {reading:.0f} s besides)")
    for name, run in found.items():
        print(f"{name:28}{run['seconds']:10.1f} s, from rows to scores")
    ratio = found["wana"]["seconds"] / found["ours"]["seconds"]
    judge(f"IFD at least 1.5 times as fast as wana: {ratio:.2f}", ratio >= 1.5)
    agreement = spearmanr(found["ours"]["scores"], found["wana"]["scores"]).statistic
    judge(f"rank correlation with wana at least .95: {agreement:.3f}", agreement >= 0.95)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    if options.serve:
        from benchmarks.fine_tuning import rate

        functions = [ids, ours, trainer, rate, torch_rate, ifd_ours, ifd_wana]
        serve({function.__name__: function for function in functions})
    else:
        with tempfile.TemporaryDirectory() as folder:
            tuning(options.seeds, folder)
        scoring()
        sys.exit(1 if MISSED else 0)
