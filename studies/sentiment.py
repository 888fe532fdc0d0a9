"""Sentiment: what fine-tuning, neutral rows, other domains, clean labels and stop words do, and who hears a "not".

Questions  : learning   TF-IDF, frozen encoder and fine-tuned encoder on the same 200, 500 and 2,000 rows.
             neutral    English: is a model better on positive and negative rows for having seen neutral ones?
             transfer   English: trained on 500 rows of one domain, tested on each of the four.
             noise      A tenth of the rows out: the most doubtful labels, the most contested ones, or any; with the
                        labels as they are, and with a tenth of them changed on purpose.
             stop words Out of training and test texts, all of them or all but the negations.
Prediction : Fine-tuning wins in English, and in Chinese only while rows are few. Neutral rows do not help to tell
             positive from negative. A model of editorials carries over worse than one of tweets. Suspects out helps
             where labels were planted, and not otherwise. Stop words cost little accuracy and all the negation.
Classes    : English: positive or negative where the mean rating lies more than two standard errors from 0, else
             neutral. Chinese: positive and negative, as the file has no third.
Fair       : within a seed all arms draw from one shuffled pool; 300 test rows a domain (Chinese: 1,200) are the same
             for all and read last, whole documents on one side; the rate of the Chinese encoder is chosen on
             validation rows; C of each linear model by inner cross-validation.
Probes     : pairs of sentences, one positive and one negative, that differ by a negation (written by hand, or made by a
             rule from test and validation rows) or by sarcasm (by hand). A pair is right when both sides are.
Needs      : jieba, for the Chinese runs with stop words
"""

import re
from functools import cache

import numpy as np
import pandas as pd

from helpers import datasets, duplicates, finetuning, label_errors, pretrained, probe
from helpers.runner import studies
from helpers.runner.studies import pack, unpack

DATA = ["reviews_zh", "snippets_en"]
DOMAINS = ["tweets", "amazon", "film", "editorials"]
ENCODER = {"zh": "use", "en": "minilm"}
CLASSES = ["negative", "neutral", "positive"]
EPOCHS = {200: 4, 500: 2, 2000: 2}
RATE = {"zh": 1e-3, "en": 1e-4}
MAX_TOKENS = {"zh": 96, "en": 48}
N_TEST, N_VALID = 300, 75  # of each English domain; four times as many Chinese
OUT = 0.1  # share of the training rows that is taken out, or whose labels are changed
CHEAP, TWO, ENDS = ["TF-IDF", "frozen"], ["as many at random", "suspects out"], ["tweets", "editorials"]
COLUMNS = ("language", "train", "model", "n", "treatment", "planted", "rate", "seed")
GRID = [
    dict(zip(COLUMNS, cell, strict=True))
    for cell in [
        *(
            (language, "all", model, n, "as they come", 0.0, None, seed)
            for language in ENCODER
            for model in CHEAP
            for n in EPOCHS
            for seed in range(5)
        ),
        *(
            ("en", domain, model, 500, "as they come", 0.0, None, seed)
            for model in CHEAP
            for domain in DOMAINS
            for seed in range(5)
        ),
        *(
            ("en", "all", model, n, treatment, 0.0, None, seed)
            for model in CHEAP
            for n in (500, 2000)
            for treatment in ("opinions only", "neutral left out")
            for seed in range(5)
        ),
        *(
            (language, "all", model, 2000, treatment, planted, None, seed)
            for language in ENCODER
            for model in CHEAP
            for planted in (0.0, 0.1)
            for treatment in TWO
            for seed in range(5)
        ),
        *(("en", "all", model, 2000, "contested out", 0.0, None, seed) for model in CHEAP for seed in range(5)),
        *(
            (language, "all", "TF-IDF", 2000, treatment, 0.0, None, seed)
            for language in ENCODER
            for treatment in ("stop words out", "stop words but negation out")
            for seed in range(5)
        ),
        *((language, "all", "full", 500, "as they come", 0.0, None, seed) for language in ENCODER for seed in range(5)),
        *(("zh", "all", "full", 500, "as they come", 0.0, 1e-4, seed) for seed in range(5)),
    ]
]

# ---- probes: what they test | the positive sentence | the negative one | English, where it is not ------------------

PAIRS = {
    "en": """
negation | The battery is good. | The battery is not good.
negation | I would buy it again. | I would never buy it again.
negation | The plot makes sense. | The plot makes no sense.
negation | It is worth the money. | It is not worth the money.
negation | I can recommend this camera. | I cannot recommend this camera.
negation | The remote always works. | The remote hardly ever works.
negation | You will like this film. | You will not like this film.
negation | Everybody was friendly. | Nobody was friendly.
negation | We had fun. | We did not have any fun.
negation | The menu is easy to use. | The menu is anything but easy to use.
negation | The screen is not bad at all. | The screen is bad.
negation | I have no complaints. | I have complaints.
negation | You will not regret it. | You will regret it.
negation | The service never disappoints. | The service always disappoints.
negation | Nothing is wrong with the sound. | Something is wrong with the sound.
negation | The story is never boring. | The story is boring.
sarcasm | Great, the parcel came a day early. | Great, the parcel came broken again.
sarcasm | I love how quickly it charges. | I love how it dies after ten minutes.
sarcasm | Just what I needed: a quiet evening. | Just what I needed: another flat tyre.
sarcasm | What a film! I stayed awake until the end. | What a film! I slept until the end.
sarcasm | Brilliant idea to add a second pocket. | Brilliant idea to put the off switch under the battery.
sarcasm | Thanks for answering so quickly. | Thanks for leaving me on hold for two hours.
sarcasm | The best part was the music. | The best part was the exit sign.
sarcasm | Wonderful, it works with my old phone. | Wonderful, it works with no phone at all.
sarcasm | A masterpiece, and I hope for a sequel. | A masterpiece, if you have never seen another film.
sarcasm | How clever: it cleans itself. | How clever: it breaks itself.
""",
    "zh": """
negation | 房间很干净。 | 房间不干净。 | The room is (not) clean.
negation | 我会再来。 | 我不会再来。 | I will (not) come again.
negation | 这本书值得买。 | 这本书不值得买。 | This book is (not) worth buying.
negation | 早餐好吃。 | 早餐不好吃。 | Breakfast is (not) tasty.
negation | 服务员很有礼貌。 | 服务员没有礼貌。 | The waiters have (no) manners.
negation | 我喜欢这个牌子。 | 我从来不喜欢这个牌子。 | I (never) like this brand.
negation | 质量好。 | 质量并非好。 | The quality is (by no means) good.
negation | 物流很快。 | 物流一点也不快。 | Delivery is (not at all) fast.
negation | 这台电脑性价比高。 | 这台电脑性价比不高。 | This computer is (not) good value.
negation | 内容有新意。 | 内容毫无新意。 | The contents have something (nothing) new.
negation | 质量真不错。 | 质量真差。 | The quality is really not bad / bad.
negation | 没有什么缺点。 | 有很多缺点。 | It has no / many faults.
negation | 用起来没问题。 | 用起来有问题。 | No / some trouble in use.
negation | 不后悔买了它。 | 后悔买了它。 | I do not / do regret buying it.
negation | 房间没有异味。 | 房间有异味。 | The room does not / does smell.
negation | 一点也不吵。 | 非常吵。 | Not noisy at all / very noisy.
sarcasm | 太好了，提前一天送到。 | 太好了，又送来一个坏的。 | Great, it came a day early / another broken one came.
sarcasm | 真不愧是五星级，床很舒服。 | 真不愧是五星级，蟑螂都免费送。 | Truly five stars: soft bed / free cockroaches.
sarcasm | 散热真厉害，一点也不烫。 | 散热真厉害，可以煎鸡蛋了。 | Such cooling: stays cold / you can fry an egg on it.
sarcasm | 这书真好，一口气看完了。 | 这书真好，催眠特别有效。 | Such a book: read in one go / a fine sleeping pill.
sarcasm | 前台真热情，主动帮我们拿行李。 | 前台真热情，让我们站着等了一小时。 | So warm: bags / an hour's wait.
sarcasm | 隔音真棒，一夜安静。 | 隔音真棒，隔壁说话听得清清楚楚。 | Such walls: quiet / every word from next door.
sarcasm | 客服真专业，马上解决了。 | 客服真专业，三天没有回音。 | Such service: solved at once / silent for days.
sarcasm | 电池真耐用，可以用一天。 | 电池真耐用，坚持了整整十分钟。 | Such a battery: a day / ten whole minutes.
sarcasm | 早餐真丰富，有二十多种。 | 早餐真丰富，馒头加咸菜。 | Such a breakfast: twenty dishes / buns and pickles.
sarcasm | 包装真用心，一点没坏。 | 包装真用心，盒子都烂了。 | Packed with such care: nothing broken / the box in shreds.
""",
}
GOOD = {
    "en": r"(\b(?:is|was|are|were)|'s)( (?:very |really |so |pretty )?"
    r"(?:good|great|excellent|nice|perfect|wonderful|amazing|easy|beautiful|happy|fun|funny|interesting)\b)",
    "zh": r"(很|非常)(?="
    r"(?:好|干净|舒服|方便|满意|喜欢|快|热情|漂亮|实用|清晰|值得|清楚|合理|安静|流畅|周到|理想|划算)(?!像))",
}


def pairs(language):
    """The pairs of sentences written by hand: list of (kind, positive, negative, gloss or "")."""
    lines = [line.split(" | ") for line in PAIRS[language].strip().splitlines()]
    return [(*line, "")[:4] for line in lines]


def negated(text, language):
    """The text with its one praise negated, or None where it has none, several, or a negation already.

    >>> negated("The sound is really good.", "en"), negated("房间很干净", "zh"), negated("It is not good.", "en")
    ('The sound is not really good.', '房间不干净', None)
    """
    if len(re.findall(GOOD[language], text)) != 1 or re.search(r"\b(?:not|no|never|but)\b|n't|不|没|无|但", text):
        return None
    return re.sub(GOOD[language], r"\1 not\2" if language == "en" else "不", text)


@cache
def made(language):
    """Pairs made by rule of short positive rows outside the pool: list of (row id, text, its negation)."""
    frame = rows(language)
    longest = 75 if language == "en" else 20
    short = frame[(frame["part"] != "pool") & (frame["side"] == "positive") & (frame["text"].str.len() <= longest)]
    found = [(row, text, negated(text, language)) for row, text in short["text"].items()]
    return [one for one in found if one[2]]


# ---- data -----------------------------------------------------------------------------------------------------------


def side(scores, errors):
    """Class of each mean rating: neutral within two standard errors of 0, borders included.

    >>> side([0.5, 0.5, -2.0, 0.0], [0.1, 0.3, 0.2, 0.0]).tolist()
    ['positive', 'neutral', 'negative', 'neutral']
    """
    scores, reach = np.asarray(scores), 2 * np.asarray(errors)
    return np.select([scores > reach, scores < -reach], ["positive", "negative"], "neutral")


@cache
def rows(language):
    """Clean rows with `side`, their class, and `part`: pool, valid or test; documents stand in one part."""
    if language == "zh":
        frame = duplicates.clean(datasets.load("reviews_zh"))[0]
        frame = frame.assign(side=frame["label"], kind=frame["label"])
    else:
        frame = datasets.load("snippets_en")
        means = frame["ratings"].map(np.mean)
        errors = frame["ratings"].map(lambda ratings: np.std(ratings, ddof=1) / np.sqrt(len(ratings)))
        frame = frame.assign(side=side(means, errors))
        frame = frame.assign(kind=frame["source"] + frame["side"])
    return frame.assign(part=datasets.split(frame, {"pool": 0.6, "valid": 0.1, "test": 0.3}, stratify="kind"))


@cache
def held_out(language, part):
    """The rows that are scored: 300 test or 75 validation rows a domain, or four times as many Chinese ones."""
    n = {"test": N_TEST, "valid": N_VALID}[part]
    frame = rows(language).query("part == @part")
    if language == "zh":
        return frame.sample(4 * n, random_state=0)
    return pd.concat([frame[frame["source"] == one].sample(n, random_state=0) for one in DOMAINS])


def drawn(language, train, n, treatment, seed):
    """n rows of the pool: of one domain, or as many of each; "opinions only" draws no neutral ones."""
    pool = rows(language).query("part == 'pool'").sample(frac=1, random_state=seed)
    if treatment == "opinions only":
        pool = pool[pool["side"] != "neutral"]
    if train != "all":
        return pool[pool["source"] == train].head(n)
    taken = pool.head(n) if language == "zh" else pool.groupby("source").head(n // 4)
    if treatment == "neutral left out":
        taken = taken[taken["side"] != "neutral"]
    return taken


def changed(labels, share, seed):
    """Labels, a share of them changed to another class that occurs, drawn at random."""
    rng = np.random.default_rng(seed)
    labels, classes = np.array(labels, object), np.unique(labels)
    for i in rng.permutation(len(labels))[: round(share * len(labels))]:
        labels[i] = rng.choice(classes[classes != labels[i]])
    return labels


def kept(frame, labels, language, treatment, seed):
    """True for the training rows that stay: nine in ten, or all where nothing is to be taken out."""
    n_out = round(OUT * len(frame))
    if treatment == "as many at random":
        doubt = np.random.default_rng([seed, 1]).random(len(frame))
    elif treatment == "contested out":
        doubt = label_errors.rater_doubt(frame["ratings"].tolist(), labels.tolist())
    elif treatment == "suspects out":
        texts, groups = frame["text"].tolist(), frame["group"].to_numpy()
        words = probe.tfidf(texts, texts[:1], language)[0]
        vectors = pretrained.embed(texts, ENCODER[language])
        both = [label_errors.out_of_fold(one, labels, groups=groups) for one in (words, vectors)]
        opinion = label_errors.stack(both, labels, groups=groups)
        doubt = -label_errors.label_quality(opinion, np.unique(labels, return_inverse=True)[1])
    else:
        return np.ones(len(frame), bool)
    return np.argsort(np.argsort(-doubt, kind="stable")) >= n_out


NEGATIONS = {
    "zh": {"不", "没", "无", "没有", "不是", "不能", "不会", "不要"},
    "en": {"not", "no", "nor", "never", "none", "nobody", "nothing", "neither", "cannot", "hardly"},
}


@cache
def stop_words(language):
    """A list of stop words that holds the negations of NEGATIONS, as most published lists do."""
    if language == "zh":
        return set(studies.module("preprocessing").STOP_WORDS.split()) | NEGATIONS["zh"] | set("很都好上下又才")
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    return set(ENGLISH_STOP_WORDS)


def without_stop_words(texts, language, treatment):
    """Texts less their stop words, or less those that are no negations; as they are under any other treatment."""
    if not treatment.startswith("stop words"):
        return texts
    out = stop_words(language) - (NEGATIONS[language] if "negation" in treatment else set())
    if language == "en":
        return [" ".join(word for word in re.findall(r"\w+", text.lower()) if word not in out) for text in texts]
    import logging

    import jieba

    jieba.setLogLevel(logging.WARNING)
    return ["".join(word for word in jieba.lcut(text) if word not in out) for text in texts]


# ---- models and scores ----------------------------------------------------------------------------------------------


def classifier(language, model, texts, labels, *, rate=None, seed=0):
    """Train one of the models; returns a function from texts to probabilities (n, 3) in the order of CLASSES."""
    if model == "full":
        n = min(EPOCHS, key=lambda size: abs(size - len(texts)))
        tuned = finetuning.fine_tune(
            list(texts),
            list(labels),
            encoder=ENCODER[language],
            epochs=EPOCHS[n],
            learning_rate=rate or RATE[language],
            max_tokens=MAX_TOKENS[language],
            precision="mixed_bfloat16",
            seed=seed,
        )
        return lambda others: spread(tuned.predict(list(others)), tuned.classes)

    def features(some):
        """The training texts' features, and those of some other texts."""
        if model == "TF-IDF":
            return probe.tfidf(texts, some, language)
        return [pretrained.embed(list(part), ENCODER[language]) for part in (texts, some)]

    fitted = probe.fit(features(texts[:1])[0], labels)
    return lambda others: spread(fitted.predict_proba(features(others)[1]), fitted.classes_)


def spread(probabilities, classes):
    """Probabilities of the classes that a model knows, as columns of CLASSES; 0 for the others."""
    table = np.zeros((len(probabilities), len(CLASSES)))
    table[:, [CLASSES.index(one) for one in classes]] = probabilities
    return table


def leans(probabilities):
    """True where a row is more probably positive than negative, whatever the model makes of neutral."""
    return probabilities[:, 2] > probabilities[:, 0]


def macro_f1(truth, predicted, groups, *, samples=400, seed=0):
    """Mean macro-F1 over seeds, with a 95% interval that counts seeds and documents as samples.

    truth     : int array (rows,), class numbers; predicted : int array (seeds, rows), two seeds or more
    groups    : (rows,) key of each row's document
    returns   : (estimate, low, high); ± t of seeds − 1 degrees of freedom, on the squared error between seeds plus
                that of documents drawn with replacement. Both hold some of the other's, so it errs on the wide side
    """
    from scipy import stats

    classes, codes = np.unique(truth), np.unique(np.asarray(groups), return_inverse=True)[1]
    n_groups = codes.max() + 1
    draws = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), samples)
    draws = np.vstack([np.ones(n_groups, int), draws])  # the first is the sample itself
    scores = np.zeros((len(draws), len(predicted)))
    for column, guess in enumerate(predicted):
        for one in classes:
            hit, said, is_one = ((guess == one) & (truth == one)), guess == one, truth == one
            sums = [draws @ np.bincount(codes, mask, n_groups) for mask in (hit, said, is_one)]
            scores[:, column] += 2 * sums[0] / np.maximum(sums[1] + sums[2], 1) / len(classes)
    estimate = scores[0].mean()
    error = np.sqrt(scores[0].var(ddof=1) / len(predicted) + scores[1:].mean(axis=1).var(ddof=1))
    half = stats.t.ppf(0.975, len(predicted) - 1) * error
    return estimate, estimate - half, estimate + half


def run(language, train, model, n, treatment, planted, rate, seed):
    """One run: class numbers of the test rows as digits, which rows lean to the right side, and the pairs got right."""
    frame = drawn(language, train, n, treatment, seed)
    labels = changed(frame["side"], planted, seed)
    stay = kept(frame, labels, language, treatment, seed)
    texts, labels = frame["text"][stay].tolist(), labels[stay].astype(str)

    def plain(some):
        return without_stop_words(some, language, treatment)

    predict = classifier(language, model, plain(texts), labels, rate=rate, seed=seed)
    valid, test = held_out(language, "valid"), held_out(language, "test")
    of_rule, by_hand = made(language), pairs(language)
    sides = [[pair[at] for pair in of_rule] for at in (1, 2)] + [[pair[at] for pair in by_hand] for at in (1, 2)]
    parts = [valid["text"].tolist(), test["text"].tolist(), *sides]
    found = np.split(predict(plain(sum(parts, []))), np.cumsum([len(part) for part in parts])[:-1])
    guess, truth = found[1].argmax(axis=1), test["side"].map(CLASSES.index).to_numpy()
    rule_positive, rule_negative, positive, negative = (leans(one) for one in found[2:])
    return {
        "rows": len(texts),
        "valid_accuracy": (found[0].argmax(axis=1) == valid["side"].map(CLASSES.index)).mean(),
        **measures(truth, guess),
        "guess": pack(guess, test.index),
        "leaning": pack(leans(found[1]) == (truth == 2), test.index),
        "rule_praise": pack(rule_positive, [row for row, _, _ in of_rule]),
        "rule_negated": pack(~rule_negative, [row for row, _, _ in of_rule]),
        "hand_positive": pack(positive, [text for _, text, _, _ in by_hand]),
        "hand_negative": pack(~negative, [text for _, text, _, _ in by_hand]),
    }


def measures(truth, guess):
    """Accuracy, macro F1 and Matthews' correlation of class numbers."""
    from sklearn.metrics import f1_score, matthews_corrcoef

    return {
        "accuracy": np.mean(guess == truth),
        "macro_f1": f1_score(truth, guess, average="macro"),
        "mcc": matthews_corrcoef(truth, guess),
    }


def figures(row):
    """What follows from the classes that a run gave the test rows."""
    test = held_out(row["language"], "test")
    return measures(test["side"].map(CLASSES.index).to_numpy(), unpack(row["guess"], test.index))
