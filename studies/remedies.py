"""What cures overfitting, underfitting and a rare class: each remedy against doing nothing, film sentences, ten seeds.

Questions  : 1. A network trained on 1,000 sentences overfits. What do more rows, longer training, dropout, L1, L2,
                early stopping and edited copies do to the gap between training and test accuracy, and to test accuracy;
                and a fifth of the labels turned round?
             2. A network that knows 100 word pieces underfits 4,000 sentences. What do knowing all pieces, longer
                training, more rows, and taking stop words and punctuation out do to its accuracy?
             3. One training row of 20 is negative. What do resampling, class weights, edited copies and another
                threshold do to macro F1?
             4. How far does the best of twenty settings, chosen on the rows it is reported on, flatter itself?
Prediction : Longer training does not close the gap. Regularisation closes it more than it helps the test rows. A larger
             network cures underfitting and brings overfitting. All remedies for imbalance resemble one another.
Network    : the mean of one vector a word piece, a hidden layer, one score (a deep averaging network, Iyyer et al.
             2015), trained from random weights by Adam. An edited copy is a row with some pieces blanked out.
             Question 4 takes TF-IDF and logistic regression, 500 rows.
Fair       : within a seed all arms of a question draw from the same rows and take the same number of steps, unless
             steps are the remedy; all seeds share 1,400 test rows. A remedy with several settings tries each and keeps
             the one best on validation rows. Rare class: every arm, doing nothing too, also chooses when to stop.
Rare class : negative. Scored twice on the same test rows: "even", as they are, about half negative, and "skewed",
             weighted to one negative of 20 as in training. Validation rows are weighted likewise.
"""

from functools import cache

import numpy as np

from helpers import datasets, pretrained
from helpers.runner.studies import pack
from helpers.scenarios import small_network

DATA = ["snippets_en"]

STRENGTHS = {"dropout": [0.3, 0.5, 0.8], "l1": [1e-5, 5e-5, 2e-4], "l2": [1e-4, 1e-3, 4e-3], "blank": [0.2, 0.5, 0.8]}
ARMS = {  # what differs from 1,000 rows, all their pieces and 400 steps
    "overfitting": {
        "nothing": {},
        "more data, same steps": {"n": 4000},
        "more data, same passes": {"n": 4000, "steps": 1600},
        "longer": {"steps": 1600},
        "dropout": {"tune": "dropout"},
        "L1": {"tune": "l1"},
        "L2": {"tune": "l2"},
        "early stopping": {"stop": True},
        "edited copies": {"tune": "blank"},
        "labels flipped": {"flipped": 0.2},
    },
    "underfitting": {
        "small": {"n": 4000, "known": 100},
        "small, longer": {"n": 4000, "known": 100, "steps": 1600},
        "small, more data": {"n": 8000, "known": 100},
        "small, cleaned": {"n": 4000, "known": 100, "cleaned": True},
        "large": {"n": 4000},
        "large, cleaned": {"n": 4000, "cleaned": True},
    },
}
RARE = 0.05  # share of the rare class in training
REMEDIES = ["as it is", "oversampling", "undersampling", "class weights", "edited copies", "threshold"]
SHARES = [0.2, 0.5]  # of the rare class after a remedy
THRESHOLDS = np.arange(-8, 2.5, 0.5)
ROUNDS = 20
GRID = [
    {"question": question, "arm": arm, "seed": seed}
    for question, arms in [*ARMS.items(), ("rare class", REMEDIES), ("tuning", [f"{ROUNDS} settings"])]
    for arm in arms
    for seed in range(10)
]


# ---- rows -----------------------------------------------------------------------------------------------------------


@cache
def film():
    """Film sentences with a positive or negative mean score: (pool, validation, test), the same rows in each run."""
    frame = datasets.load("snippets_en").query("source == 'film' and label != 'neutral'")
    part = datasets.split(frame, {"pool": 0.8, "test": 0.2})
    held_out = frame[part == "test"].sample(frac=1, random_state=0)  # the file is sorted by label
    return frame[part == "pool"], held_out.iloc[1400:], held_out.iloc[:1400]


def draw(pool, n, seed, share=0.5):
    """n rows in random order, that share of them negative."""
    positive, negative = (pool[pool["label"] == label] for label in ("positive", "negative"))
    n_negative = round(share * n)
    rows = [
        positive.sample(n - n_negative, random_state=seed).index,
        negative.sample(n_negative, random_state=seed).index,
    ]
    return pool.loc[np.random.default_rng(seed).permutation(np.concatenate(rows))]


def wrong(n, share, seed):
    """Which of n rows get a wrong label. A stream of its own: that of `draw` would pick rows of one class only."""
    return np.random.default_rng([seed, 1]).permutation(n) < share * n


@cache
def pieces():
    """Word pieces of all film sentences: {(row, cleaned): list of ids}, without the special tokens."""
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    found = {}
    for part in film():
        texts = part["text"].tolist()
        words = part["text"].str.lower().str.findall(r"[a-z]+")
        cleaned = [" ".join(word for word in row if word not in ENGLISH_STOP_WORDS) for row in words]
        for flag, form in ((False, texts), (True, cleaned)):
            found |= zip(
                ((row, flag) for row in part.index), (ids[1:-1] for ids in pretrained.tokenise(form)), strict=True
            )
    return found


def encode(parts, n_known=None, cleaned=False):
    """Each part as an int array (rows, LENGTH): 0 nothing, 1 a piece that is not known, from 2 known ones.

    Known are the n_known commonest pieces of the first part, the training rows; None: all of them.
    """
    rows = [[pieces()[row, cleaned][: small_network.LENGTH] or [-1] for row in part.index] for part in parts]
    ids, counts = np.unique(np.concatenate(rows[0]), return_counts=True)
    known = ids[np.argsort(-counts, kind="stable")][:n_known]
    number = {piece: i for i, piece in enumerate(known, 2)}
    arrays = [np.zeros((len(part), small_network.LENGTH), "int32") for part in parts]
    for array, part in zip(arrays, rows, strict=True):
        for i, row in enumerate(part):
            array[i, : len(row)] = [number.get(piece, 1) for piece in row]
    return arrays, len(known) + 2


def negative(frame):
    """1 for a negative row, 0 for a positive one."""
    return (frame["label"] == "negative").to_numpy("float32")


# ---- questions ------------------------------------------------------------------------------------------------------


def fitted(seed, n=1000, known=None, cleaned=False, flipped=0.0, tune=None, stop=False, steps=400):
    """Questions 1 and 2: one arm's accuracy on training, validation and test rows."""
    pool, valid, test = film()
    rows = draw(pool, n, seed)
    arrays, size = encode([rows, valid, test], known, cleaned)
    y = np.abs(negative(rows) - wrong(n, flipped, seed)).astype("float32")
    y_valid, y_test = negative(valid), negative(test)
    best = None
    for strength in STRENGTHS.get(tune, [None]):
        settings = {tune: strength} if tune else {}
        scores = small_network.train(arrays[0], y, size, np.concatenate(arrays), steps=steps, seed=seed, **settings)
        parts = np.split(scores, np.cumsum([n, len(valid)]), axis=1)
        at = small_network.cross_entropy(parts[1], y_valid).argmin() if stop else -1
        on_train, on_valid, on_test = (part[at] for part in parts)
        if best is None or small_network.accuracy(on_valid, y_valid) > best["valid_accuracy"]:
            best = {
                "setting": strength,
                "step": range(steps // 20, steps + 1, steps // 20)[at],
                "train_accuracy": small_network.accuracy(on_train, y),
                "valid_accuracy": small_network.accuracy(on_valid, y_valid),
                "accuracy": small_network.accuracy(on_test, y_test),
                "confidence": np.mean(1 / (1 + np.exp(-np.abs(on_test)))),
                "correct": pack((on_test > 0) == y_test, test.index),
            }
    return best


def rare_class(seed, remedy):
    """Question 3: the rare rows found, the frequent ones accused, and macro F1, on test rows as they are and skewed."""
    pool, valid, test = film()
    rows = draw(pool, 2000, seed, RARE)
    arrays, size = encode([rows, valid, test])
    y, y_valid, y_test = negative(rows), negative(valid), negative(test)
    watch, cuts = np.concatenate(arrays[1:]), THRESHOLDS if remedy == "threshold" else [0.0]
    candidates = []  # (strength, predictions of validation and test rows)
    for share in [None] if remedy in ("as it is", "threshold") else SHARES:
        rng = np.random.default_rng(seed)
        x_new, y_new, weights = (
            (arrays[0], y, None) if share is None else small_network.rebalanced(remedy, arrays[0], y, share, rng)
        )
        scores = small_network.train(x_new, y_new, size, watch, weights=weights, seed=seed)
        candidates += [(cut if share is None else share, check > cut) for check in scores for cut in cuts]
    predicted = np.array([prediction for _, prediction in candidates])
    result = {}
    for view, rare in (("even", None), ("skewed", RARE)):
        best = small_network.macro_f1(predicted[:, : len(valid)], y_valid, rare).argmax()
        on_test = predicted[best, len(valid) :]
        result |= {
            f"{view}_setting": candidates[best][0],
            f"{view}_found": int((on_test & (y_test == 1)).sum()),
            f"{view}_accused": int((on_test & (y_test == 0)).sum()),
            f"{view}_macro_f1": small_network.macro_f1(on_test, y_test, rare),
        }
    return result


def tuned(seed):
    """Question 4: which test rows each of the random settings gets right, trained on 500 rows."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    pool, _, test = film()
    rows, rng = draw(pool, 500, seed), np.random.default_rng(seed)
    correct = []
    for _ in range(ROUNDS):
        features = TfidfVectorizer(
            ngram_range=(1, int(rng.integers(1, 3, endpoint=True))),
            min_df=int(rng.integers(1, 3, endpoint=True)),
            sublinear_tf=bool(rng.integers(2)),
            stop_words=[None, "english"][rng.integers(2)],
        )
        model = make_pipeline(features, LogisticRegression(C=10 ** rng.uniform(-1, 2), solver="liblinear"))
        correct.append(model.fit(rows["text"], rows["label"]).predict(test["text"]) == test["label"])
    rows = [f"{number} {row}" for number in range(ROUNDS) for row in test.index]
    return {"correct": pack(np.concatenate(correct), rows)}


def run(question, arm, seed):
    """One arm of one question with the rows drawn by the seed."""
    if question == "tuning":
        return tuned(seed)
    return rare_class(seed, arm) if question == "rare class" else fitted(seed, **ARMS[question][arm])
