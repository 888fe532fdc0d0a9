"""Full fine-tuning of MiniLM beside Transformers' Trainer: `python -m benchmarks.fine_tuning` prints ratios and bars.

Both sides train on the same film snippets with the same batch size, epochs, AdamW, warm-up and decay, clipping and
dropout, in float32, with two threads each, in a process of their own; they take turns, one at a time. Seconds run from
the first batch to the last, TensorFlow's tracing among them; loading the model and cutting texts into tokens are not.
Both heads are the same: dropout and one dense layer on the mean of the tokens' vectors.
Trainer pads each batch to its longest text. We do so to the next multiple of 4 (`pad_to=4`: under TensorFlow a new
width costs nothing), and beside it stands our default, multiples of 16.
Beside wall time stand seconds of CPU, all threads together, which a busy machine changes less.
Needs the extra `peers`; ends with exit code 1 if a bar is missed. Last come the peak memory of LoRA and of full
fine-tuning, each in a process of its own, the share of the measured matrix-product rate that training reaches, and the
time that `import helpers` takes.
"""

import argparse
import subprocess
import sys
import tempfile
import time

import numpy as np

from benchmarks.sides import MISSED, QUIET, THREADS, Side, judge, serve

BATCH, EPOCHS, RATE, LONGEST = 32, 2, 1e-4, 64
TEST = 3_000
ARMS = {  # setting: sides that run it
    "natural length": ["ours", "ours, pad_to=16", "Trainer", "Trainer, group_by_length"],
    "one fixed length": ["ours", "Trainer"],
}


def rows(n, seed, fixed):
    """Train and test rows of film snippets; `fixed` strings texts together until each has more than 64 tokens."""
    from helpers import datasets

    frame = datasets.load("snippets_en").query("source == 'film' and abs(score) > 1")
    frame = frame.sample(n + TEST, random_state=seed)
    if fixed:
        frame = frame.assign(text=[" ".join([text] * LONGEST) for text in frame["text"]])
    return frame[:n], frame[n:]


def ours(n, seed, fixed, pad_to=4, method="full"):
    from helpers.finetuning import fine_tune

    train, test = rows(n, seed, fixed)
    cpu = time.process_time()
    result = fine_tune(
        train["text"],
        train["label"],
        method=method,
        epochs=EPOCHS,
        batch_size=BATCH,
        learning_rate=RATE,
        max_tokens=LONGEST,
        pad_to=pad_to,
        clip_norm=1.0,
        precision="float32",
        seed=seed,
    )
    cpu = time.process_time() - cpu
    found = np.array(result.classes)[result.predict(test["text"]).argmax(axis=1)]
    return {"seconds": result.history["seconds"].sum(), "cpu": cpu, "accuracy": (found == test["label"]).mean()}


def trainer(n, seed, fixed, grouped):
    import torch
    import transformers

    from helpers import pretrained

    torch.set_num_threads(THREADS)
    transformers.set_seed(seed)
    folder = pretrained.weight_file("minilm", "model.safetensors").parent
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    train, test = rows(n, seed, fixed)
    classes = sorted(set(train["label"]))

    def examples(frame):
        ids = tokenizer(frame["text"].tolist(), truncation=True, max_length=LONGEST)["input_ids"]
        labels = frame["label"].map(classes.index)
        return [{"input_ids": row, "labels": label} for row, label in zip(ids, labels, strict=True)]

    train, test = examples(train), examples(test)
    cpu = time.process_time()
    model = mean_classifier(transformers.AutoModel.from_pretrained(folder, local_files_only=True), len(classes))
    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            num_train_epochs=EPOCHS,
            per_device_train_batch_size=BATCH,
            learning_rate=RATE,
            weight_decay=0.01,
            warmup_steps=round(0.1 * EPOCHS * -(-n // BATCH)),
            max_grad_norm=1.0,
            seed=seed,
            use_cpu=not torch.cuda.is_available(),
            **QUIET,
            **grouping(transformers, grouped),
        )
        loop = transformers.Trainer(
            model=model,
            args=arguments,
            train_dataset=train,
            data_collator=transformers.DataCollatorWithPadding(tokenizer),
        )
        seconds = loop.train().metrics["train_runtime"]
        cpu = time.process_time() - cpu
        found = loop.predict(test)  # grouped by length it goes through the test rows in an order of its own
    right = found.predictions.argmax(axis=1) == found.label_ids
    return {"seconds": seconds, "cpu": cpu, "accuracy": right.mean()}


def mean_classifier(encoder, n_classes):
    """Our model in PyTorch: scores of the classes from the mean of the tokens' vectors, scaled to one length."""
    import torch

    class Classifier(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = encoder
            self.head = torch.nn.Linear(encoder.config.hidden_size, n_classes)
            torch.nn.init.xavier_uniform_(self.head.weight)
            torch.nn.init.zeros_(self.head.bias)

        def forward(self, input_ids, attention_mask, labels=None):
            hidden = self.encoder(input_ids, attention_mask=attention_mask).last_hidden_state
            mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
            vector = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=1)
            scores = self.head(torch.nn.functional.dropout(vector * vector.shape[1] ** 0.5, 0.1, self.training))
            return {"loss": torch.nn.functional.cross_entropy(scores, labels), "logits": scores}

    return Classifier()


def grouping(transformers, grouped):
    """The setting that batches texts of like length, which Transformers 5 calls otherwise than 4."""
    if not grouped:
        return {}
    if hasattr(transformers.TrainingArguments, "group_by_length"):
        return {"group_by_length": True}
    return {"train_sampling_strategy": "group_by_length"}


# ---- processes ------------------------------------------------------------------------------------------------------


def memory(n, method):
    """Peak of the process in GiB after one epoch at the longest length, beside its size before training."""
    import resource

    from helpers import pretrained

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20

    pretrained.encoder("minilm")
    before = peak()
    ours(n, 0, True, method=method)
    return {"before": before, "peak": peak()}


def rate(size=2048, times=5):
    """Floating-point operations a second of a float32 matrix product, the best of several."""
    import keras

    matrix = keras.random.normal((size, size))
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        keras.ops.convert_to_numpy(keras.ops.matmul(matrix, matrix)[0, 0])
        seconds.append(time.perf_counter() - start)
    return {"rate": 2 * size**3 / min(seconds)}


def operations(n):
    """Operations of training on n texts of 64 tokens: 6 a weight and token (2 forwards, 4 back; Kaplan et al. 2020,
    §2.1) for the matrices of MiniLM's six layers, and the two products of attention, tokens · width each."""
    layers, width, inner = 6, 384, 1536
    matrices = layers * (4 * width**2 + 2 * width * inner)
    return EPOCHS * n * LONGEST * 6 * (matrices + 2 * layers * LONGEST * width)


# ---- report ---------------------------------------------------------------------------------------------------------


def compare(n, seeds, fixed_seeds):
    sides = {
        "ours": Side(__spec__.name),
        "peer": Side(__spec__.name, "torch"),
    }  # PyTorch's compiler and TensorFlow in one process can clash
    requests = {  # arm: side, function, what it takes after texts, seed and length
        "ours": ("ours", "ours", 4),
        "ours, pad_to=16": ("ours", "ours", 16),
        "Trainer": ("peer", "trainer", False),
        "Trainer, group_by_length": ("peer", "trainer", True),
    }
    speeds = {}
    for setting, arms in ARMS.items():
        fixed = setting != "natural length"
        found = {arm: [] for arm in arms}
        for seed in range(fixed_seeds if fixed else seeds):
            for arm in arms if seed % 2 == 0 else arms[::-1]:
                side, function, setting_of = requests[arm]
                found[arm].append(sides[side].ask(function, n, seed, fixed, setting_of))
        speeds[setting] = table(setting, n, found)
    total = sides["ours"].ask("rate")["rate"]
    share = operations(n) / speeds["one fixed length"] / total
    print(f"\nmatrix products of training: {share:.0%} of the {total / 1e9:.0f} billion operations a second that one")
    print(f"product of two 2,048 × 2,048 matrices reaches on {THREADS} threads (operations counted, see the code)")
    for side in sides.values():
        side.close()


def table(setting, n, found):
    """Print medians over seeds and the bars; returns our median seconds."""
    print(f"\n{setting}: {n:,} texts, {EPOCHS} epochs, batches of {BATCH}, {len(found['ours'])} seeds")
    print(f"{'':28}{'texts/s':>10}{'per CPU s':>11}{'accuracy':>10}{'ours, times as fast':>21}{'by CPU':>9}")
    base = {key: np.array([run[key] for run in found["ours"]]) for key in ("seconds", "cpu", "accuracy")}
    for arm, runs in found.items():
        values = {key: np.array([run[key] for run in runs]) for key in base}
        wall, cpu = (np.median(values[key] / base[key]) for key in ("seconds", "cpu"))
        texts = [EPOCHS * n / np.median(values[key]) for key in ("seconds", "cpu")]
        print(f"{arm:28}{texts[0]:10.1f}{texts[1]:11.1f}{values['accuracy'].mean():10.4f}{wall:21.2f}{cpu:9.2f}")
        if arm == "Trainer":
            bar, gap = wall, base["accuracy"].mean() - values["accuracy"].mean()
    least = 1.5 if setting == "natural length" else 0.8
    judge(f"at least {least} times as fast as Trainer: {bar:.2f}", bar >= least)
    judge(f"accuracy within .01 of Trainer's, or above: {gap:+.4f}", gap >= -0.01)
    return np.median(base["seconds"])


def others(n):
    print(f"\npeak memory, {n} texts of {LONGEST} tokens in batches of {BATCH}, a process each, GiB")
    for method in ("full", "lora"):
        side = Side(__spec__.name)
        found = side.ask("memory", n, method)
        side.close()
        print(f"{method:28}{found['peak']:10.2f}   {found['peak'] - found['before']:.2f} over the loaded encoder")
    command = [
        sys.executable,
        "-c",
        "import time; t = time.perf_counter(); import helpers; print(time.perf_counter() - t)",
    ]
    seconds = min(float(subprocess.run(command, capture_output=True, check=True).stdout) for _ in range(3))
    judge(f"import helpers takes under .5 s: {1000 * seconds:.1f} ms", seconds < 0.5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--texts", type=int, default=2_000)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--fixed-seeds", type=int, default=1)
    options = parser.parse_args()
    if options.serve:
        serve({"ours": ours, "trainer": trainer, "memory": memory, "rate": rate})
    else:
        compare(options.texts, options.seeds, options.fixed_seeds)
        others(128)
        sys.exit(1 if MISSED else 0)
