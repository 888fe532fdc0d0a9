"""Pretrain the recogniser of notebook 13 on one voice: `python data/pretrain_speech.py`.

Speaks its own clips (the voice en-us at its normal speed, in quiet; no phrase of data/speech.csv.xz) and trains the
model of helpers/scenarios/speech.py on them by CTC. Goes on from out/pretrain_speech.npz when it was stopped. Writes
data/weights/speech.safetensors (float16) and puts its sha256, the time and the words wrong on the card beside it; set
SHA256 in helpers/scenarios/speech.py to what it prints.
"""

import hashlib
import os
import time

import keras
import numpy as np
import safetensors.numpy
import yaml
from build import HOME, NORMAL, WORDS, phrase, speaker

from helpers import datasets
from helpers.runner.paths import root
from helpers.scenarios import speech

CLIPS, EPOCHS, RATE, SEED = 4_000, 16, 2e-3, 0


def spoken():
    """Clips of the one voice and their texts, none of them a phrase of the data set."""
    rng, say = np.random.default_rng(SEED + 1), speaker()
    known = set(datasets.load("speech").query("part != 'words'")["text"])
    texts = [text for text in (phrase(rng) for _ in range(CLIPS)) if text not in known] + WORDS
    return [say(text, HOME, NORMAL, rng.integers(35, 66)).astype(np.float32) / 2**15 for text in texts], texts


def main():
    checkpoint = root() / "out" / "pretrain_speech.npz"
    keras.utils.set_random_seed(SEED)
    waves, texts = spoken()
    frames, model = speech.features(waves), speech.build_model()
    print(f"{len(waves):,} clips, {sum(map(len, waves)) / 8_000:,.0f} s; {model.count_params():,} weights", flush=True)
    optimizer = keras.optimizers.Adam(RATE, clipnorm=1.0)
    model.compile(optimizer, loss=speech.ctc, jit_compile=False)
    optimizer.build(model.trainable_variables)
    done, seconds = 0, 0.0
    if checkpoint.exists():
        stored = np.load(checkpoint)
        done, seconds = int(stored["done"]), float(stored["seconds"])
        for variable, value in zip(
            [*model.weights, *optimizer.variables], [stored[f"{i:03}"] for i in range(len(stored) - 2)], strict=True
        ):
            variable.assign(value)
    for epoch in range(done, EPOCHS):
        start = time.monotonic()
        optimizer.learning_rate = RATE * 0.5 * (1 + np.cos(np.pi * epoch / EPOCHS))
        loss = speech.one_epoch(model, frames, texts, 16, np.random.default_rng([SEED, epoch]), speech.warp)
        seconds += time.monotonic() - start
        heard = speech.transcribe(model, speech.judged("home", "quiet")[0])
        errors, said = speech.word_errors(speech.judged("home", "quiet")[1], heard)
        print(
            f"epoch {epoch + 1}: {seconds:.0f} s, loss {loss:.3f}, words wrong at home {errors.sum() / said.sum():.3f}",
            flush=True,
        )
        checkpoint.parent.mkdir(exist_ok=True)
        values = {f"{i:03}": v.numpy() for i, v in enumerate([*model.weights, *optimizer.variables])}
        np.savez(checkpoint.with_suffix(".partial.npz"), done=epoch + 1, seconds=seconds, **values)
        os.replace(checkpoint.with_suffix(".partial.npz"), checkpoint)
    path, card_path = speech.WEIGHTS, speech.WEIGHTS.with_suffix(".yaml")
    safetensors.numpy.save_file({f"{i:03}": w.astype(np.float16) for i, w in enumerate(model.get_weights())}, path)
    card = yaml.safe_load(card_path.read_text(encoding="utf8"))
    card |= {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "seconds": round(seconds)}
    card |= {"words wrong": round(float(errors.sum() / said.sum()), 3)}
    card_path.write_text(yaml.safe_dump(card, allow_unicode=True, sort_keys=False, width=110), encoding="utf8")
    print(f"{path.name}: sha256 {card['sha256']}")


if __name__ == "__main__":
    main()
