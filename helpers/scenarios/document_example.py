"""The document's network and its rivals on the same texts: each takes training rows, and returns texts -> labels."""

import re

import keras
import numpy as np
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV

from helpers.finetuning import fine_tune, make_reproducible
from helpers.pretrained import embed

SEPARATORS = re.compile(r"""[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~\t\n]""")  # the default `filters` of that Tokenizer


def cut(text, tokens):
    """A text's tokens: its characters, or "words" as Keras's old Tokenizer takes them."""
    return list(text) if tokens == "characters" else SEPARATORS.sub(" ", text.lower()).split()


def build(vocabulary, middle="LSTM"):
    """The document's network, its weights drawn at random; `middle` is its LSTM or the average of the positions."""
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
    tuned = fine_tune(
        train["text"], train["label"], encoder="use", epochs=10, learning_rate=rate, max_tokens=96, seed=seed
    )
    return lambda texts: np.array(tuned.classes)[tuned.predict(texts).argmax(axis=1)]
