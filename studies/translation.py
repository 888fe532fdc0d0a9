"""Which pairs make a small translator better: how many, of which domain, how clean; English to Chinese, five seeds.

Questions  : 1. What does fine-tuning add to the pretrained model, and what is pretraining worth?
             2. All pairs or a quarter of them?
             3. Pairs from two domains or as many from one, tested on both?
             4. A fifth of the pairs is misaligned: does a filter beat removing as many at random?
Prediction : Fine-tuning is worth most, pretraining less, and all pairs beat a quarter. Each domain is best at itself,
             two are better on the mean of both. The filter finds nearly all misaligned pairs, and that helps.
Model      : Transformer, 2 + 2 layers of 128, pretrained by data/pretrain_translation.py on six other catalogues.
Fair       : every arm takes the same number of steps, of the same size, at one rate (chosen on validation strings), so
             that a small set is read more often. Within a seed the arms of a question draw from one shuffled list. Test
             strings are the same for all and read last.
Measures   : the translations are stored, so that any measure can be taken from them; chrF of JupyterLab and wagtail.
"""

import keras
import numpy as np
import pandas as pd

from helpers import pretrained
from helpers.runner.studies import pack, unpack
from helpers.scenarios import translation

DATA = ["interface_strings"]

STEPS, BATCH, RATE = 150, 32, 2e-3
N_ALL, N_DOMAIN, NOISE = 1600, 800, 0.2
ARMS = [
    ("all", "all"),
    ("all", "quarter"),
    ("domains", "jupyterlab"),
    ("domains", "wagtail"),
    ("domains", "both"),
    ("noise", "filtered"),
    ("noise", "as many at random"),
]
MORE = [("all", "not pretrained"), ("noise", "clean")]  # nice to know; no claim rests on them
GRID = [{"question": "all", "arm": "pretrained only", "seed": 0}] + [
    {"question": question, "arm": arm, "seed": seed}
    for arms in (ARMS, MORE)
    for seed in range(5)
    for question, arm in arms
]


def misaligned(frame, share, seed):
    """The pairs, a share of them with each other's Chinese; a column `wrong` says which."""
    chosen = np.random.default_rng(seed).permutation(len(frame))[: round(share * len(frame))]
    target, wrong = frame["target"].to_numpy(object), np.zeros(len(frame), bool)
    target[chosen], wrong[chosen] = np.roll(target[chosen], 1), True
    return frame.assign(target=target, wrong=wrong)


def likeness(frame):
    """Cosine of the multilingual encoder's vectors of both sides of each pair: low where they say different things."""
    a, b = (pretrained.embed(frame[side].tolist(), "use") for side in ("text", "target"))
    return (a * b).sum(axis=1)


def training_rows(question, arm, seed):
    """The pairs that an arm trains on."""
    if question == "domains":
        domains, n = (translation.DOMAINS, N_DOMAIN // 2) if arm == "both" else ([arm], N_DOMAIN)
        return pd.concat([translation.rows("tune", domain, n, seed) for domain in domains])
    frame = translation.rows("tune", "jupyterlab", N_ALL, seed)
    if question == "all":
        return frame.head({"pretrained only": 0, "quarter": N_ALL // 4}.get(arm, N_ALL))
    left = round((1 - NOISE) * N_ALL)
    if arm == "clean":
        return frame.head(left)
    frame = misaligned(frame, NOISE, seed)
    if arm == "as many at random":
        return frame.sample(left, random_state=seed)
    return frame.iloc[np.argsort(-likeness(frame), kind="stable")[:left]]


def tuned(question, arm, seed, steps=STEPS):
    """The model that an arm gives; the next call changes it."""
    model, frame = translation.pretrained_model(), training_rows(question, arm, seed)
    if arm == "not pretrained":
        keras.utils.set_random_seed(seed)
        model.set_weights(translation.translator(translation.processor().get_piece_size()).get_weights())
    return translation.train(model, frame, steps=steps, rate=RATE, batch=BATCH, seed=seed) if len(frame) else model


def figures(row):
    """What follows from the translations: chrF."""
    found = {}
    for domain in translation.DOMAINS:
        if isinstance(row[f"said_{domain}"], str):
            test = translation.references(domain)
            found[f"chrf_{domain}"] = translation.chrf(unpack(row[f"said_{domain}"], test.index), test["target"])
    return found


def run(question, arm, seed):
    """One arm: number of pairs, how many are misaligned, chrF and the translations of the test strings.

    Those of wagtail are made for the question of domains alone.
    """
    frame = training_rows(question, arm, seed)
    model = tuned(question, arm, seed)
    result = {"rows": len(frame), "wrong": int(frame["wrong"].sum()) if "wrong" in frame else 0}
    for domain in translation.DOMAINS if question == "domains" else translation.DOMAINS[:1]:
        test = translation.references(domain)
        said = translation.translate(model, test["text"])
        result |= {
            f"chrf_{domain}": translation.chrf(said, test["target"]),
            f"said_{domain}": pack(said, test.index),
        }
    return result
