"""The document's network on a real task: 200 reviews, ten seeds, beside TF-IDF and a pretrained encoder.

Question   : how accurate does the document's network get on 200 Chinese reviews, do other settings help it, and what
             are plain character counts and a pretrained encoder, frozen or fine-tuned, worth on the same rows?
Prediction : the network stays near chance; character counts beat it; the encoder leads only where labels are few.
Rows       : reviews after `duplicates.clean`; 500 validation and 2,000 test rows, the same in each run; a seed draws
             its own n training rows from the 10,340 others
Fair       : within a seed all arms see the same rows. Linear arms choose C by fivefold cross-validation inside the
             training rows. Networks store their accuracy on the validation rows: settings are picked by it, and the
             test rows are read last.
"""

import hashlib
import re
from functools import cache

import numpy as np

from helpers import datasets, duplicates
from helpers.runner.studies import pack

DATA = ["reviews_zh"]
SEPARATORS = re.compile(r"""[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~\t\n]""")  # the default `filters` of that Tokenizer
NETWORKS = {  # what differs from the document's network with characters as tokens and room for 60 of them
    "document's tokeniser": {"tokens": "words", "positions": 10},
    "network": {},
    "10 positions": {"positions": 10},
    "120 positions": {"positions": 120},
    "40 epochs": {"epochs": 40},
    "rate .003": {"rate": 0.003},
    "average": {"middle": "average"},
    "average, 120 positions": {"middle": "average", "positions": 120},
    "average, 120 positions, rate .01": {"middle": "average", "positions": 120, "rate": 0.01},
}
LINEAR = ["TF-IDF", "encoder", "both"]
FULL = {"full, rate .0005": 0.0005, "full, rate .002": 0.002}
# ten seeds where methods are compared, five for the learning curve; of FULL, the lower rate alone
GRID = [
    {"arm": arm, "n": n, "seed": seed}
    for n, seeds in ((200, 10), (50, 5), (800, 5))
    for arm in ([*NETWORKS, *LINEAR, "full, rate .0005"] if n == 200 else ["network", *LINEAR])
    for seed in range(seeds)
]


@cache
def reviews():
    """Cleaned reviews as (pool, validation, test), the same rows in each run."""
    kept = duplicates.clean(datasets.load("reviews_zh"))[0]
    part = datasets.split(kept)
    valid, test = kept[part == "valid"], kept[part == "test"]
    return kept[part == "train"], valid.sample(500, random_state=0), test.sample(2000, random_state=0)


def cut(text, tokens):
    """A text's tokens: its characters, or "words" as Keras's old Tokenizer takes them."""
    return list(text) if tokens == "characters" else SEPARATORS.sub(" ", text.lower()).split()


def build(vocabulary, middle="LSTM"):
    """The document's network, its weights drawn at random; `middle` is its LSTM or the average of the positions."""
    import keras

    average = middle == "average"
    return keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(vocabulary + 1, 64, mask_zero=average),
            keras.layers.GlobalAveragePooling1D() if average else keras.layers.LSTM(128),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )


def network(train, seed, *, tokens="characters", positions=60, epochs=10, rate=0.001, middle="LSTM"):
    """Train the network on the rows; returns texts -> labels."""
    import keras

    from helpers.finetuning import make_reproducible

    known = {token for text in train["text"] for token in cut(text, tokens)}
    index = {token: i for i, token in enumerate(sorted(known), 1)}

    def encode(texts):
        ids = [[index[token] for token in cut(text, tokens) if token in index] for text in texts]
        return keras.utils.pad_sequences(ids, maxlen=positions)

    make_reproducible(seed)
    model = build(len(index), middle)
    model.compile(optimizer=keras.optimizers.Adam(rate), loss="binary_crossentropy")
    target = (train["label"] == "positive").to_numpy("float32")
    model.fit(encode(train["text"]), target, epochs=epochs, batch_size=32, verbose=0)

    def predict(texts):
        probability = model.predict(encode(texts), batch_size=250, verbose=0)[:, 0]
        return np.where(probability > 0.5, "positive", "negative")

    return predict


def linear(train, features):
    """Logistic regression on character TF-IDF, on sentence vectors, or on both; returns texts -> labels."""
    from scipy.sparse import csr_matrix, hstack
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV

    from helpers.pretrained import embed

    counts = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), sublinear_tf=True).fit(train["text"])
    views = {"TF-IDF": counts.transform, "encoder": lambda texts: csr_matrix(embed(texts, "use", max_tokens=96))}
    chosen = list(views) if features == "both" else [features]

    def view(texts):
        return hstack([views[name](texts) for name in chosen], format="csr")

    search = GridSearchCV(
        LogisticRegression(max_iter=2000), {"C": [0.1, 1, 10, 100, 1000]}, cv=5, scoring="neg_log_loss"
    ).fit(view(train["text"]), train["label"])
    return lambda texts: search.predict(view(texts))


def full(train, seed, rate):
    """All of the multilingual encoder's layers but its token table trained for ten epochs; returns texts -> labels."""
    from helpers.finetuning import fine_tune

    tuned = fine_tune(
        train["text"], train["label"], encoder="use", epochs=10, learning_rate=rate, max_tokens=96, seed=seed
    )
    return lambda texts: np.array(tuned.classes)[tuned.predict(texts).argmax(axis=1)]


def run(arm, n, seed):
    """One run: train on n rows drawn by the seed; accuracy on the validation rows, correctness on the test rows."""
    pool, valid, test = reviews()
    train = pool.sample(n, random_state=seed)
    if arm in NETWORKS:
        predict = network(train, seed, **NETWORKS[arm])
    elif arm in FULL:
        predict = full(train, seed, FULL[arm])
    else:
        predict = linear(train, arm)
    correct = predict(test["text"]) == test["label"].to_numpy()
    return {
        "accuracy": correct.mean(),
        "valid_accuracy": (predict(valid["text"]) == valid["label"].to_numpy()).mean(),
        "rows": hashlib.sha256(np.sort(train.index).astype("<i8").tobytes()).hexdigest()[:16],
        "correct": pack(correct, test.index),
    }
