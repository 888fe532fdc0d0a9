"""Pretrain the poem model of notebook 14: `python data/pretrain_generation.py [minutes]`.

Writes data/weights/generation.safetensors.

Trains the GPT of helpers/scenarios/generation.py to continue poems of the pretraining authors, from random weights,
seed 0. Of the poems that the notebook tunes, validates or tests on it reads none. After each pass a checkpoint is
stored, from which the next call goes on; the card beside the weights gets their sha256, the loss and the time taken.
"""

import hashlib
import pickle
import sys
import time
from pathlib import Path

import keras
import numpy as np
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from helpers import datasets
from helpers.scenarios import generation

PASSES, BATCH, RATE = 5, 32, 2e-3
CHECKPOINT = datasets.DATA.parent / ".cache" / "pretrain_generation.pkl"


def windows(poems, rng):
    """All poems in random order, each ended by <end>, as one stream cut into rows of CONTEXT + 1 ids: packing."""
    stream = [generation.END]
    for i in rng.permutation(len(poems)):
        stream += [*poems[i], generation.END]
    count = (len(stream) - 1) // generation.CONTEXT
    starts = generation.CONTEXT * np.arange(count)[:, None] + np.arange(generation.CONTEXT + 1)
    return np.array(stream)[starts]


def main(minutes=35.0):
    """Train until PASSES are done or the minutes are over; the last pass that fits is stored."""
    start = time.process_time()
    keras.utils.set_random_seed(0)
    poems = [generation.encode(text) for text in generation.rows("pretrain")["answer"]]
    valid = generation.pairs(generation.rows("valid", 40), asked=False)
    model = generation.gpt(len(generation.vocabulary()))
    per_pass = len(windows(poems, np.random.default_rng(0))) // BATCH
    warm_up = per_pass // 4
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0, PASSES * per_pass - warm_up, warmup_target=RATE, warmup_steps=warm_up
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.01, global_clipnorm=1.0)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True), jit_compile=False)
    optimizer.build(model.trainable_variables)
    done, spent, log = 0, 0.0, []
    if CHECKPOINT.exists():
        done, spent, log, weights, slots = pickle.loads(CHECKPOINT.read_bytes())
        model.set_weights(weights)
        for variable, value in zip(optimizer.variables, slots, strict=True):
            variable.assign(value)
    print(
        f"{len(poems)} poems, {sum(map(len, poems))} characters, {per_pass} steps a pass, from pass {done}", flush=True
    )
    for number in range(done, PASSES):
        rng = np.random.default_rng(number)  # so that a run that goes on equals one that was never stopped, but dropout
        batches = rng.permutation(windows(poems, rng))[: per_pass * BATCH].reshape(per_pass, BATCH, -1)
        for place, ids in enumerate(batches):
            loss = float(model.train_on_batch(ids[:, :-1], ids[:, 1:]))
            if place % 50 == 0:
                seconds = spent + time.process_time() - start
                print(f"pass {number} step {place}: batch loss {loss:.3f}, {seconds:.0f} s", flush=True)
            if spent + time.process_time() - start > 60 * minutes:
                print("time is over: go on with the same command", flush=True)
                return
        nats, count = generation.losses(model, valid)
        log.append(float(nats.sum() / count.sum()))
        state = number + 1, spent + time.process_time() - start, log, model.get_weights()
        CHECKPOINT.parent.mkdir(exist_ok=True)
        CHECKPOINT.write_bytes(pickle.dumps((*state, [np.array(v) for v in optimizer.variables])))
        print(f"pass {number} done: validation {log[-1]:.4f} nats a character", flush=True)
    store(model, log, spent + time.process_time() - start)


def store(model, log, seconds):
    """Weights as float16 and their card's numbers; the card's prose is kept."""
    generation.save(model, generation.WEIGHTS)
    card = generation.WEIGHTS.with_suffix(".yaml")
    kept = yaml.safe_load(card.read_text(encoding="utf8"))
    kept |= {
        "sha256": hashlib.sha256(generation.WEIGHTS.read_bytes()).hexdigest(),
        "vocabulary_sha256": hashlib.sha256("".join(generation.vocabulary()).encode()).hexdigest(),
        "parameters": model.count_params(),
        "validation": [round(value, 4) for value in log],
        "seconds": round(seconds),
    }
    print(f"set SHA256 in helpers/scenarios/generation.py to {kept['sha256']}")
    card.write_text(yaml.safe_dump(kept, allow_unicode=True, sort_keys=False, width=118), encoding="utf8")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
