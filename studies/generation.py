"""Which instruction data make a small model write better poems: masks, genres, duplicates and choosing, five seeds.

Questions  : 1. What does fine-tuning from instruction to poem add to the pretrained model, and what does the loss mask?
             2. Do several genres beat one at equal text, tested on all?
             3. Do repeated rows make the model copy?
             4. Which rows of a pool should be chosen: by quality, diversity, difficulty (IFD), or at random?
Prediction : Fine-tuning teaches the template and the form, little else. Each genre is best at itself and several are
             best on all. Repeats cost distinct text before they show as copies. Of rows of which three in ten are
             damaged, quality makes the best choice.
Model      : a GPT of KerasHub's layers, pretrained by data/pretrain_generation.py on poems of other authors.
Fair       : one rate and two passes for every arm (question 3: equal steps), set on validation rows. Within a seed all
             arms draw from the same rows; arms of a question hold equal rows (2: equal characters; 3: equal distinct
             rows). The test rows, by authors of their own, are the same for all seeds.
Measures   : nats a character of the held-out poem, given its instruction, as the mean over forms; and (questions 1 and
             3) of poems sampled for test instructions: share in the form asked for, share of characters copied,
             distinct-2, self-BLEU.
"""

from functools import cache

import numpy as np
import pandas as pd

from helpers import selection
from helpers.scenarios import generation

DATA = ["poems"]

N_TEST, N_SAMPLES = 30, 10  # rows and samples of each form
DAMAGE = 0.3
QUESTIONS = {
    "tuned": ["pretrained", "no mask", "mask"],
    "genres": ["七言绝句", "五言律诗", "词", "all three"],
    "duplicates": ["with", "without"],
    "choosing": ["random", "quality", "diversity", "IFD"],
}
GRID = [
    {"question": question, "arm": arm, "seed": seed}
    for question, arms in QUESTIONS.items()
    for seed in range(5)
    for arm in arms
]


def damaged(frame, share, seed):
    """A copy in which that share of rows is spoilt, a third each: another's poem, half a poem, characters shuffled."""
    rng = np.random.default_rng([seed, 1])
    chosen = rng.permutation(len(frame))[: round(share * len(frame))]
    swapped, cut, shuffled = np.array_split(chosen, 3)
    answers, kinds = frame["answer"].tolist(), np.full(len(frame), "sound", object)
    for i, j in zip(swapped, np.roll(swapped, 1), strict=True):
        answers[i] = frame["answer"].iloc[j]
    for i in cut:
        answers[i] = answers[i][: len(answers[i]) // 2]
    for i in shuffled:
        characters = iter(rng.permutation(list(generation.bare(answers[i]))))
        answers[i] = "".join(next(characters) if generation.bare(character) else character for character in answers[i])
    kinds[swapped], kinds[cut], kinds[shuffled] = "another's", "half", "shuffled"
    return frame.assign(answer=answers, damage=kinds)


@cache
def scored(seed, n=300):
    """Question 4's pool with its scores, and its vectors.

    perplexity : nats a character of the poem alone, by the pretrained model
    sound_form : whether the poem has the lines of the form asked for (ci: True)
    ifd        : by a model of brief experience: tuned once through 200 other rows
    """
    drawn = generation.rows("tune", seed=seed)
    drawn = drawn[drawn["label"].isin(generation.FORMS)]
    pool, others = damaged(drawn.iloc[:n], DAMAGE, seed), drawn.iloc[n : n + 200]
    model = generation.pretrained()
    vectors = generation.hidden_vectors(model, generation.pairs(pool))
    nats, count = generation.losses(model, generation.pairs(pool, asked=False))
    sound = [
        form not in generation.LINES or generation.in_form(answer, form)
        for answer, form in zip(pool.answer, pool.label, strict=True)
    ]
    experienced = generation.tune(model, generation.pairs(others), epochs=1, seed=seed)
    return pool.assign(perplexity=nats / count, sound_form=sound, ifd=generation.ifd(experienced, pool)), vectors


def choose(arm, pool, vectors, k, seed):
    """Places in the pool of the k rows that an arm takes."""
    if arm == "random":
        return np.random.default_rng(seed).permutation(len(pool))[:k]
    if arm == "diversity":
        return selection.facility_location(vectors, k, seed=seed)
    if arm == "quality":  # sound form first, then the likeliest
        return np.lexsort((pool["perplexity"], ~pool["sound_form"]))[:k]
    # IFD: the hardest in which the instruction still helps
    return np.lexsort((-pool["ifd"], pool["ifd"] >= 1))[:k]


def judge(model, training, *, asked=True, sample=False, seed=0):
    """All measures of a model on test rows; `training` are the answers that it was tuned on."""
    test = generation.rows("test", N_TEST)
    nats, count = generation.losses(model, generation.pairs(test, asked))
    by_form = {
        form: nats[at].sum() / count[at].sum()
        for form in generation.FORMS
        for at in [(test["label"] == form).to_numpy()]
    }
    result = {"loss": np.mean(list(by_form.values()))} | {f"loss_{form}": by_form[form] for form in generation.FORMS}
    if sample:
        asks = generation.rows("test", N_SAMPLES)
        texts = generation.generate(
            model, [generation.prompt(text) for text in asks["instruction"]], top_p=0.9, seed=seed
        )
        result |= generation.text_measures(texts, asks["label"], training)
    return result


def with_text(frame, characters):
    """The first rows of a frame that hold so many characters together."""
    return frame[frame["answer"].str.len().cumsum() <= characters]


def training_rows(question, arm, seed):
    """The rows that a cell tunes on (questions 1 to 3)."""
    if question == "tuned":
        return generation.rows("tune", 80, seed=seed)
    if question == "genres":
        forms = QUESTIONS["genres"][:-1]
        wanted = forms if arm == "all three" else [arm]
        every = generation.rows("tune", seed=seed)
        return pd.concat([with_text(every[every["label"] == form], 5_000 / len(wanted)) for form in wanted])
    distinct = generation.rows("tune", 20, seed=seed)
    return distinct if arm != "with" else pd.concat([distinct, *[distinct.iloc[::10]] * 10])


def run(question, arm, seed):
    """Tune on the rows of one arm, and judge on the test rows."""
    extra = {}
    if question == "choosing":
        pool, vectors = scored(seed)
        frame = pool.iloc[choose(arm, pool, vectors, 100, seed)]
        extra = {"spoilt": (frame["damage"] != "sound").mean()}
    else:
        frame = training_rows(question, arm, seed)
    model, asked = generation.pretrained(), arm != "pretrained"
    if question == "duplicates":
        generation.tune(model, generation.pairs(frame), steps=40, seed=seed)
    elif asked:
        generation.tune(model, generation.pairs(frame), mask=arm != "no mask", seed=seed)
    sample = question == "duplicates" or arm == "mask"
    result = judge(model, frame["answer"], asked=asked, sample=sample, seed=seed)
    return {"rows": len(frame), "characters": int(frame["answer"].str.len().sum())} | extra | result
