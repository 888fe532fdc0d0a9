"""Which optimizer, and at which rate? MiniLM fine-tuned in full on 256 film sentences, two passes.

Questions  : 1. How low does the training loss get with SGD, SGD with momentum .9 and Adam, over one ladder of learning
                rates? (One seed far from each optimizer's best, three or more beside it, five at it.) The rates below
                1e-4 came later: Adam's two best had been the two lowest of the first ladder.
             2. Does warm-up rescue Adam at a rate that is too high?
             3. What does the batch size change when the number of passes stays?
Prediction : Adam at its best rate ends lower than SGD at its best; momentum lies between the two.
Fair       : within a seed all arms see the same rows and start from the same weights; all take two passes.
Measured   : cross-entropy in nats over all 256 training rows, dropout off, before and after training; inf where the
             training blew up. `curve` is the loss of each batch at its step, dropout on, in thousandths of a nat.
Precision  : mixed bfloat16 where the processor multiplies it, else float32.
"""

import time

from helpers import datasets, pretrained
from helpers.scenarios import optimizers

DATA = ["snippets_en"]
N, EPOCHS, TOKENS = 256, 2, 32
GRID = [
    {"optimizer": optimizer, "learning_rate": rate, "warmup": warmup, "batch_size": size, "seed": seed}
    for optimizer, rates, warmup, size, seeds in [
        ("SGD", [1e-2], 0, 16, 5),
        ("momentum", [1e-3, 3e-3], 0, 16, 5),
        ("Adam", [3e-4], 0, 16, 5),
        ("SGD", [3e-3, 3e-2], 0, 16, 3),
        ("momentum", [3e-4, 1e-2], 0, 16, 3),
        ("Adam", [1e-3], 0, 16, 3),
        ("Adam", [3e-4, 1e-3], 16, 16, 3),
        ("Adam", [1e-4], 0, 64, 3),
        ("Adam", [1e-4], 0, 8, 3),
        ("SGD", [1e-4, 3e-4, 1e-3], 0, 16, 1),
        ("momentum", [1e-4, 3e-2], 0, 16, 1),
        ("Adam", [3e-3, 1e-2, 3e-2], 0, 16, 1),
        ("Adam", [1e-4, 3e-5], 0, 16, 5),
        ("Adam", [1e-5], 0, 16, 3),
        ("SGD", [1e-5, 3e-5], 0, 16, 1),
        ("momentum", [1e-5, 3e-5], 0, 16, 1),
    ]
    for rate in rates
    for seed in range(seeds)
]


def film(seed):
    """256 film sentences, half of each label, in random order: token ids and classes."""
    frame = datasets.load("snippets_en").query("source == 'film' and label != 'neutral'")
    rows = frame.groupby("label").sample(N // 2, random_state=seed).sample(frac=1, random_state=seed)
    ids = pretrained.tokenise(rows["text"].tolist(), max_tokens=TOKENS)
    return pretrained.pad(ids, multiple=TOKENS), (rows["label"] == "positive").to_numpy("int32")


def run(optimizer, learning_rate, warmup, batch_size, seed):
    """One run. warmup: number of first steps in which the rate rises in a line to learning_rate, where it stays."""
    start = time.perf_counter()
    inputs, labels = film(seed)
    model = optimizers.set_back(optimizer, seed)
    before, _ = optimizers.judge(model, inputs, labels)
    settings = {"learning_rate": learning_rate, "warmup": warmup, "batch_size": batch_size, "epochs": EPOCHS}
    curve = optimizers.train(model, inputs, labels, seed=seed, **settings)
    after, accuracy = optimizers.judge(model, inputs, labels)
    return {
        "loss_before": before,
        "loss": after,
        "accuracy": accuracy,
        "curve": " ".join(f"{1000 * value:.0f}" for value in curve),
        "seconds": round(time.perf_counter() - start, 1),
    }
