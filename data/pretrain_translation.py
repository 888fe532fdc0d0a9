"""Pretrain the translator of notebook 12: `python data/pretrain_translation.py [steps]`.

Writes data/weights/translation.spm, the SentencePiece model, and data/weights/translation.safetensors (float16).

Trains the Transformer of helpers/scenarios/translation.py on the pairs of six sources (Django and five packages), from
random weights, seed 0. It reads nothing of JupyterLab and wagtail, and no text that says the same as one of their valid
or test parts. Pieces are learned from these pairs alone. The card beside the weights gets their sha256, the scores and
the time taken.
"""

import hashlib
import io
import sys
import time
from pathlib import Path

import keras
import yaml

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from helpers.scenarios import translation

SIZE, STEPS, BATCH, RATE = 3000, 2400, 32, 2e-3


def learn_pieces(frame):
    """Store a SentencePiece model of both sides of the pairs; what is too rare for a piece is written in bytes."""
    import sentencepiece

    lines = [*frame["text"].map(translation.plain), *frame["target"]]
    pieces = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines),
        model_writer=pieces,  # not a file: the model would hold its path
        vocab_size=SIZE,
        model_type="bpe",
        byte_fallback=True,
        character_coverage=0.9995,
        normalization_rule_name="identity",
        pad_id=0,
        unk_id=1,
        bos_id=2,
        eos_id=3,
        num_threads=1,
        minloglevel=2,
    )
    translation.PIECES.write_bytes(pieces.getvalue())


def main(steps=STEPS):
    """Learn the pieces, train for so many steps, store weights and card."""
    start = time.process_time()
    frame = translation.pairs().query("part == 'pretrain'")
    learn_pieces(frame)
    frame = frame[translation.fits(frame)]
    print(f"{len(frame)} pairs of {frame['source'].nunique()} sources", flush=True)
    keras.utils.set_random_seed(0)
    model = translation.translator(SIZE)
    seen = frame.sample(100, random_state=0)
    valid = {domain: translation.rows("valid", domain) for domain in translation.DOMAINS}
    scores = {}

    def report(done):
        scores["seen"] = round(translation.chrf(translation.translate(model, seen["text"]), seen["target"]), 1)
        for domain, rows in valid.items():
            scores[domain] = round(translation.chrf(translation.translate(model, rows["text"]), rows["target"]), 1)
        print(f"step {done}: chrF {scores}, {time.process_time() - start:.0f} s", flush=True)
        store(model, len(frame), scores, done, time.process_time() - start)

    translation.train(model, frame, steps=steps, rate=RATE, batch=BATCH, report=report)
    sha256 = hashlib.sha256(translation.WEIGHTS.read_bytes()).hexdigest()
    print(f"set SHA256 in helpers/scenarios/translation.py to {sha256}")


def store(model, n, scores, steps, seconds):
    """Weights as float16 and their card's numbers; the card's prose is kept."""
    translation.save(model, translation.WEIGHTS)
    card = translation.FOLDER / "translation.yaml"
    kept = yaml.safe_load(card.read_text(encoding="utf8"))
    kept |= {
        "sha256": hashlib.sha256(translation.WEIGHTS.read_bytes()).hexdigest(),
        "pieces_sha256": hashlib.sha256(translation.PIECES.read_bytes()).hexdigest(),
        "parameters": model.count_params(),
        "pairs": n,
        "steps": steps,
        "chrf": scores,
        "seconds": round(seconds),
    }
    card.write_text(yaml.safe_dump(kept, allow_unicode=True, sort_keys=False, width=118), encoding="utf8")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
