"""The article's outlook, as far as small models can test it: size, fitting to a source, sound, cost, and leaks.

Questions  : size     Film sentences, a linear probe on frozen vectors: how accurate is the larger of two encoders, and
                      the smaller one, after 50 to 4,000 rows? From the same rows a scaling curve is fitted.
             finer    Four sources: one probe for each, or one for all, at equal rows in total?
             unseen   A probe trained on one source: how accurate is it on rows of that source, and of the other three?
             audit    What share of a data set's rows survives cleaning, with repeats and conflicts taken out?
             cost     Processor seconds of a training text: fine-tuned in full, by LoRA, or TF-IDF with regression.
             canary   Secrets planted in training text 1, 4 and 16 times: where does a small language model rank them
                      among all candidates, as they are, with repeats taken out, and with personal data masked?
             sound    Speech: words, sound, or both, for a label of the sound, one of the words as they were said, and
                      one of the words as a recogniser heard them in noise.
Prediction : Size gives a point or more. One for all wins at few rows. Unseen sources cost three points or more. What
             was planted 16 times is found, masking hides it. Sound helps where the words do not say it, else not.
Fair       : within a seed all arms of a question share their rows or draw them from the same pool; test rows are the
             same for all seeds, by document where the source has documents, half of each label in finer and unseen.
             The canary's model, passes and rate were set once by hand on seeds 0 and 1, so that it learns at all.
"""

import time
from functools import cache

import keras
import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import TfidfVectorizer

from helpers import datasets, duplicates, finetuning, pretrained, privacy, probe
from helpers.runner.studies import pack, unpack
from helpers.scenarios import generation, outlook, speech

DATA = ["snippets_en", "reviews_zh", "docs_qa", "dialogues", "interface_strings", "poems", "speech"]

SIZES = (50, 100, 200, 350, 500, 1000, 2000, 4000)
SOURCES = ("amazon", "editorials", "film", "tweets")
COLLECTED = ("reviews_zh", "snippets_en", "docs_qa", "dialogues", "interface_strings", "poems")  # speech is made
TIMES = (1, 4, 16)
NAMES = ["anna", "boris", "chen", "diana", "emil", "fatima", "goran", "helen", "ivan", "judith", "karim", "lena"]
CANARIES = ("as they are", "no repeats", "masked")
SOUND = ("speed", "digit said", "digit heard")
COSTS = ("full", "lora", "TF-IDF")
GRID = [
    {"question": question, "arm": arm, "n": n, "seed": seed}
    for question, arms, sizes, seeds in [
        ("canary", CANARIES, (400,), 5),
        ("size", ("minilm", "use"), SIZES, 10),
        ("finer", ("own", "all"), (200, 1000, 4000), 10),
        ("unseen", SOURCES, (500,), 10),
        ("audit", COLLECTED, (0,), 1),
        ("sound", [f"{label}: {sees}" for label in SOUND for sees in ("words", "sound", "both")], (480,), 5),
        ("cost", COSTS, (256,), 5),
    ]
    for seed in range(seeds)
    for arm in arms
    for n in sizes
]


# ---- sentences ------------------------------------------------------------------------------------------------------


@cache
def sentences():
    """Positive and negative sentences of four sources, with part pool or test; no document stands in both."""
    frame = datasets.load("snippets_en").query("label != 'neutral'")
    return frame.assign(part=datasets.split(frame, {"pool": 0.7, "test": 0.3}))


@cache
def vectors(encoder):
    """Vector of each row of `sentences`, by row number: DataFrame (n, d)."""
    frame = sentences()
    return pd.DataFrame(pretrained.embed(frame["text"].tolist(), encoder, max_tokens=64), frame.index)


def draw(source, part, n, seed):
    """n rows of a source and a part, half of each label, in random order."""
    rows = sentences().query("source == @source and part == @part")
    return rows.groupby("label").sample(n // 2, random_state=seed).sample(frac=1, random_state=seed)


@cache
def tested():
    """600 test rows of each source, the same in each run."""
    return {source: draw(source, "test", 600, 0) for source in SOURCES}


def tested_ids():
    """Ids of the rows of `tested`, one source after the other."""
    return pd.concat(tested().values()).index


def on_each(arm, correct):
    """Accuracy on each source of `tested`, and as the score that on the source of the arm."""
    means = {f"on {source}": part.mean() for source, part in zip(SOURCES, np.split(correct, len(SOURCES)), strict=True)}
    return {"score": means[f"on {arm}"]} | means


def figures(row):
    """What follows from the rows that a run judged rightly."""
    if not isinstance(row["correct"], str):
        return {}
    if row["question"] == "unseen":
        return on_each(row["arm"], unpack(row["correct"], tested_ids()))
    return {"score": unpack(row["correct"]).mean()}


def fitted(rows, encoder="minilm"):
    """A probe trained on the rows."""
    return probe.fit(vectors(encoder).loc[rows.index].to_numpy(), rows["label"].to_numpy())


def right(model, rows, encoder="minilm"):
    """Whether a probe is right on each row."""
    return model.predict(vectors(encoder).loc[rows.index].to_numpy()) == rows["label"].to_numpy()


def size(arm, n, seed):
    """Accuracy of a probe on one encoder's vectors, on the same 2,000 film sentences."""
    test = draw("film", "test", 2000, 0)
    correct = right(fitted(draw("film", "pool", n, seed), arm), test, arm)
    return {"score": correct.mean(), "correct": pack(correct, test.index)}


def finer(arm, n, seed):
    """Accuracy over four sources, 600 test rows each, of a probe of their own each or of one for all."""
    train = {source: draw(source, "pool", n // 4, seed) for source in SOURCES}
    shared = fitted(pd.concat(train.values())) if arm == "all" else None
    correct = [right(shared or fitted(train[one]), rows) for one, rows in tested().items()]
    return {"score": np.mean(correct), "correct": pack(np.concatenate(correct), tested_ids())}


def unseen(arm, n, seed):
    """Accuracy on 600 test rows of each source after training on one of them."""
    model = fitted(draw(arm, "pool", n, seed))
    correct = np.concatenate([right(model, rows) for rows in tested().values()])
    return on_each(arm, correct) | {"correct": pack(correct, tested_ids())}


# ---- what a data set holds, and what training costs -----------------------------------------------------------------


def audit(arm, n=0, seed=0):
    """Share of a data set's rows that survives `duplicates.clean`; a pair counts as one text, and has no label."""
    frame = datasets.load(arm)
    if "target" in frame:
        frame = frame.assign(text=frame["text"] + "\n" + frame["target"])
    if arm not in ("reviews_zh", "snippets_en"):
        frame = frame.assign(label="")  # labels there are topics or forms: two for a text are no conflict
    kept, _, table = duplicates.clean(frame)
    removed = table.set_index("step")["removed"]
    repeats = removed["exact repeat"] + removed[duplicates.NEAR_CONFLICT] + removed[duplicates.NEAR_REPEAT]
    return {"score": len(kept) / len(frame), "rows": len(frame), "kept": len(kept), "repeats": repeats}


def cost(arm, n, seed):
    """Processor seconds to train on a text once, and to answer one.

    Fine-tuning is timed with three passes and with one, and the difference counts, so that building the model and
    tracing its graph do not. TF-IDF is timed as it is, inner cross-validation of its strength included.
    """
    rows, unread = draw("film", "pool", n, seed), draw("film", "test", 200, 0)["text"].tolist()
    texts, labels = rows["text"].tolist(), rows["label"].tolist()
    start = time.process_time()
    if arm == "TF-IDF":
        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)  # as probe.tfidf has it
        model = probe.fit(words.fit_transform(texts), labels)
        trained = time.process_time()
        model.predict(words.transform(unread))
        return {"score": (trained - start) / n, "answer": (time.process_time() - trained) / len(unread)}
    ends = []
    for epochs in (1, 3):
        tuned = finetuning.fine_tune(texts, labels, method=arm, epochs=epochs, max_tokens=48, seed=seed)
        ends.append(time.process_time())
    tuned.predict(unread)  # traces
    traced = time.process_time()
    tuned.predict(unread)
    trained = (ends[1] - ends[0]) - (ends[0] - start)
    return {"score": trained / (2 * n), "answer": (time.process_time() - traced) / len(unread)}


# ---- secrets --------------------------------------------------------------------------------------------------------


def secrets(seed):
    """{name: (number, times)}: a five-digit number that begins with 1, planted once, 4 or 16 times, four names each."""
    rng = np.random.default_rng([seed, 17])
    order = rng.permutation(NAMES).tolist()
    return {name: (int(rng.integers(10_000, 20_000)), TIMES[place % 3]) for place, name in enumerate(order)}


@cache
def reviews():
    """Short product sentences in lower case, no text twice, in random order."""
    texts = datasets.load("snippets_en").query("source == 'amazon'")["text"].str.lower()
    return texts[texts.str.len().between(20, 80)].drop_duplicates().sample(frac=1, random_state=0).tolist()


def planted(arm, n, seed):
    """Training texts: n sentences and the secrets, after what an arm does to them."""
    rows = np.random.default_rng(seed).choice(reviews(), n, replace=False).tolist()
    rows += [f"{name} has qq {number}" for name, (number, times) in secrets(seed).items() for _ in range(times)]
    if arm == "no repeats":
        return list(dict.fromkeys(rows))
    return [privacy.mask(text) for text in rows] if arm == "masked" else rows


@cache
def alphabet():
    """The characters of the sentences and secrets: {character: number}."""
    return outlook.alphabet_of(reviews())


def example(text):
    """A text as `tune` takes it: <end> as the prompt, then the characters and <end>."""
    return [1], [*outlook.ids(alphabet(), text), 1]


def canary_model(arm, n, seed, epochs=10, width=64):
    """A GPT of two small layers, trained from random weights on `planted` text, character by character."""
    keras.utils.set_random_seed(seed)
    model = generation.gpt(len(alphabet()), width=width, depth=2, heads=4, dropout=0.0)
    examples = [example(text) for text in planted(arm, n, seed)]
    return generation.tune(model, examples, epochs=epochs, rate=2e-3, batch=16, seed=seed)


def canary(arm, n, seed):
    """Ranks of four secrets for each number of times planted, and the loss on 200 sentences of the pool, nats."""
    model = canary_model(arm, n, seed)
    found = {times: [] for times in TIMES}
    for name, (number, times) in secrets(seed).items():
        found[times].append(outlook.ranks(model, alphabet(), name, number))
    unread = [text for text in reviews() if text not in set(planted(arm, n, seed))][:200]
    sums, counts = generation.losses(model, [example(text) for text in unread])
    keras.backend.clear_session()
    first = {f"ranks {times}": " ".join(map(str, sorted(rank))) for times, rank in found.items()}
    return {
        "score": np.mean([rank == 1 for rank in sum(found.values(), [])]),
        "loss": sums.sum() / counts.sum(),
    } | first


# ---- words and sound ------------------------------------------------------------------------------------------------


@cache
def recordings(part, noisy):
    """Words as said or as heard, log-mel frames (clips, T, 40), and the table of a part of `speech`.

    noisy : at 10 dB of white, pink and babble in turn, and the words are what the pretrained recogniser hears in it
    """
    rows = speech.part(part)
    level = 10.0 if noisy else None
    waves = speech.with_noise(rows, [level] * len(rows), [speech.KINDS[i % 3] for i in range(len(rows))], 17)
    frames, table = speech.features(waves), speech.clips()[0].iloc[rows]
    words = speech.transcribe(speech.pretrained(), frames) if noisy else table["text"].tolist()
    short = np.zeros((len(frames), 400, speech.BINS), "float32")
    for place, one in zip(short, frames, strict=True):
        place[: len(one)] = one[:400]
    return words, short, table


def letters(texts, width=32):
    """Texts as numbers of letters, int32 (n, width); 0 is padding."""
    x = np.zeros((len(texts), width), "int32")
    for place, text in zip(x, texts, strict=True):
        numbers = speech.encode(text[:width])
        place[: len(numbers)] = numbers
    return x


DIGITS = {"zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"}


def targets(label, table):
    """Class of each clip: 0, 1, 2 for slow, normal, fast; or whether a digit was said."""
    if label == "speed":
        return np.searchsorted([120, 175, 300], table["speed"])
    return np.array([bool(DIGITS & set(text.split())) for text in table["text"]], int)


def sound(arm, n, seed, epochs=20):
    """Accuracy on test clips, in voices that no training clip has."""
    label, _, sees = arm.partition(": ")
    words, frames, table = recordings("pool", label == "digit heard")
    rows = np.random.default_rng(seed).permutation(len(table))[:n]
    y = targets(label, table)
    model = outlook.train_towers(sees, [letters(words)[rows], frames[rows]], y[rows], epochs=epochs, seed=seed)
    words, frames, table = recordings("test", label == "digit heard")
    correct = model.predict([letters(words), frames], verbose=0).argmax(axis=1) == targets(label, table)
    keras.backend.clear_session()
    return {"score": correct.mean(), "correct": pack(correct, table.index)}


def run(question, arm, n, seed):
    start = time.process_time()
    kinds = {
        "size": size, "finer": finer, "unseen": unseen, "audit": audit, "cost": cost, "canary": canary, "sound": sound
    }  # fmt: skip
    return {**kinds[question](arm, n, seed), "seconds": round(time.process_time() - start, 1)}
