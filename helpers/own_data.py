"""A table of your own (read by `tables`): its language, a fair sample, and a model in files that anyone can reload.

A model is kept as a Keras file beside a small JSON file that says how texts become its inputs, so that `load` gives
back the same predictions, whether it is an encoder or TF-IDF.
"""

import contextlib
import json
import re
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import softmax

from helpers import cleaning, privacy
from helpers.datasets import DataError
from helpers.tables import LEAST

SCRIPTS = {
    "Latin": "A-Za-z\u00c0-\u024f",
    "Han": "\u4e00-\u9fff",
    "kana": "\u3040-\u30ff",
    "Hangul": "\uac00-\ud7af",
    "Cyrillic": "\u0400-\u04ff",
    "Arabic": "\u0600-\u06ff",
    "Thai": "\u0e00-\u0e7f",
}


def scripts(texts):
    """Share of each script among the letters of the texts: Series, the commonest first, summing to 1.

    >>> scripts(["房间很好ok", "太差了"]).round(2).to_dict()
    {'Han': 0.78, 'Latin': 0.22}
    """
    joined = "".join(texts)
    counts = pd.Series({name: len(re.findall(f"[{letters}]", joined)) for name, letters in SCRIPTS.items()})
    return counts[counts > 0].sort_values(ascending=False, kind="stable") / max(counts.sum(), 1)


def language(texts):
    """What the texts are written in, as far as the choice of a model needs it: (language, units).

    language : "English" where most letters are Latin and one word in five or more is a common English one (the, of, is
               …); "Chinese" where most letters are Han; else "other"
    units    : what TF-IDF counts: "zh" (characters) where the script has no spaces, else "en" (words)

    >>> language(["the room was good", "not for me"]), language(["das Zimmer war gut"]), language(["房间很好"])
    (('English', 'en'), ('other', 'en'), ('Chinese', 'zh'))
    """
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    share = scripts(texts)
    words = re.findall(r"[a-z]+", " ".join(texts).lower())
    common = np.mean([word in ENGLISH_STOP_WORDS for word in words]) if words else 0
    dense = share.reindex(["Han", "kana", "Thai"]).sum() > 0.5
    if share.get("Han", 0) > 0.5 and share.get("kana", 0) < 0.1:
        return "Chinese", "zh"
    return ("English" if share.get("Latin", 0) > 0.5 and common >= 0.2 else "other"), ("zh" if dense else "en")


def prepare(texts, masked):
    """Texts as the model reads them, in training and later: normalised, then personal data masked if wanted; a list.

    Masking comes last. What comes out stays as it is when it is normalised or prepared again.
    """
    plain = [cleaning.normalise(text) for text in texts]
    return [privacy.mask(text) for text in plain] if masked else plain


def sample(frame, n, *, least=LEAST, seed=0):
    """n rows drawn at random, in the order of the frame, with `least` of each label (or all it has) among them.

    frame : column label; n ≥ least · labels, else ValueError; n at or above its rows gives the frame itself
    """
    if n < least * frame["label"].nunique():
        raise ValueError(f"{n} rows are too few for {frame['label'].nunique()} labels: take {least} a label or more")
    drawn = frame.sample(frac=1, random_state=seed)
    first = drawn.groupby("label").cumcount() < least
    return frame.loc[frame.index.isin(pd.concat([drawn[first], drawn[~first]]).index[:n])]


def recommend(n_rows, n_pool, n_labels):
    """Which method should choose n_rows of a pool, and why: (method, reason), by the decision table of notebook 06.

    n_rows : 0 is no budget
    method : "all", "random", "agreement" or "agree_then_herd"

    >>> recommend(500, 5000, 2)[0], recommend(500, 5000, 7)[0], recommend(0, 5000, 2)[0]
    ('agree_then_herd', 'random', 'all')
    """
    if not n_rows or n_rows >= n_pool:
        return "all", "no budget below the rows there are: leaving rows out gained nothing in notebook 06"
    if n_labels > 2:
        return "random", "with more than two labels no method has been shown to beat it"
    if n_rows * 5 > n_pool:
        return "random", "more than a fifth of the pool: choosing gained a hundredth or less there"
    if n_rows < 50 or n_rows > 1000:
        return "random", "no method has been shown to beat it clearly below 50 or above 1,000 rows"
    if n_rows < 100:
        return "agreement", "of two labels and at least five times the rows, it beat random in both languages"
    return "agree_then_herd", "of two labels and at least five times the rows, it beat random in both languages"


# ---- models as files ------------------------------------------------------------------------------------------------


def _marks():
    """Vowel signs and marks of all scripts but those of emoji, to stand in a character class."""
    codes = [*range(0x300, 0x20D0), *range(0x20F1, 0xFE00), *range(0xFE20, 0x1F000)]
    return "".join(chr(code) for code in codes if unicodedata.category(chr(code))[0] == "M")


# two characters or more, as scikit-learn has it, but with the marks and joiners that \w does not know: whole words in
# the scripts of India and its neighbours
WORD = rf"\w[\w\u200c\u200d{_marks()}]+"


def vectoriser(units, most=50_000):
    """TF-IDF as in `probe.tfidf`, of the commonest terms; units "en" counts words and pairs, "zh" characters.

    Words are those of `probe.tfidf` in English, and whole in scripts that write vowels as marks, too.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    return TfidfVectorizer(**_terms({"en": "word", "zh": "char"}[units]), sublinear_tf=True, max_features=most)


def _terms(analyzer):
    """How a text is cut into terms, for scikit-learn's vectorisers."""
    words = {"token_pattern": WORD} if analyzer == "word" else {}
    return {"analyzer": analyzer, "ngram_range": (1, 2)} | words


def tfidf_network(fitted, classifier):
    """A fitted `vectoriser` and logistic regression as one Keras model, from terms and counts to a score per class.

    inputs  : term_ids int (n, width), 1 + column of each different term of a text, 0 where none is left; counts (n,
              width), how often it occurs
    returns : Keras model; the softmax of its scores is `classifier.predict_proba(fitted.transform(texts))`
    """
    import keras

    ops, coefficients, bias = keras.ops, classifier.coef_, classifier.intercept_
    if len(coefficients) == 1:  # two classes: scikit-learn keeps the scores of the second alone
        coefficients, bias = np.vstack([0 * coefficients, coefficients]), np.append(0, bias)
    classes, terms = coefficients.shape
    term_ids = keras.Input((None,), dtype="int32", name="term_ids")
    counts = keras.Input((None,), dtype="float32", name="counts")
    idf = keras.layers.Embedding(terms + 1, 1, name="idf")
    weights = keras.layers.Embedding(terms + 1, classes, name="weights")
    scores = keras.layers.Dense(classes, name="scores")
    heard = ops.where(counts > 0, 1 + ops.log(ops.maximum(counts, 1)), 0) * ops.squeeze(idf(term_ids), -1)
    heard = heard / ops.maximum(ops.sqrt(ops.sum(heard**2, axis=1, keepdims=True)), 1e-12)
    summed = ops.sum(weights(term_ids) * ops.expand_dims(heard, -1), axis=1)
    model = keras.Model({"term_ids": term_ids, "counts": counts}, scores(summed), name="tfidf")
    idf.set_weights([np.append(0, fitted.idf_)[:, None]])
    weights.set_weights([np.vstack([np.zeros(classes), coefficients.T])])
    scores.set_weights([np.eye(classes), bias])
    return model


def predictor(model, about):
    """Function from texts to probabilities, DataFrame (n, classes).

    about : dict classes, masked, and either encoder, max_tokens or analyzer, terms (in the order of the columns)
    """
    forward = _encoder_scores if "encoder" in about else _tfidf_scores

    def predict(texts):
        scores = forward(model, about, prepare(texts, about["masked"]))
        return pd.DataFrame(softmax(scores.astype(float), axis=1), columns=about["classes"])

    return predict


def _encoder_scores(model, about, texts):
    from helpers import pretrained

    return pretrained.forward(model, pretrained.tokenise(texts, about["encoder"], about["max_tokens"]))


def _tfidf_scores(model, about, texts, size=256):
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(**_terms(about["analyzer"]), vocabulary=about["terms"])
    found, scores = counter.transform(texts).astype("float32"), [np.empty((0, len(about["classes"])))]
    for start in range(0, len(texts), size):
        rows = found[start : start + size]
        length = np.diff(rows.indptr)
        width = -(-max(length.max(), 1) // 64) * 64
        filled = np.arange(width) < length[:, None]
        term_ids, counts = np.zeros(filled.shape, "int32"), np.zeros(filled.shape, "float32")
        term_ids[filled], counts[filled] = rows.indices + 1, rows.data
        scores.append(model.predict_on_batch({"term_ids": term_ids, "counts": counts}))
    return np.vstack(scores)


def save(folder, model, about):
    """Write model.keras, without the state of its optimiser, and model.json into a folder that exists."""
    import keras

    keras.Model(model.input, model.output).save(Path(folder) / "model.keras")
    (Path(folder) / "model.json").write_text(json.dumps(about, ensure_ascii=False), encoding="utf8")


def load(folder):
    """The function of `predictor` again, from the two files that `save` wrote."""
    import keras

    about = json.loads((Path(folder) / "model.json").read_text(encoding="utf8"))
    return predictor(keras.saving.load_model(Path(folder) / "model.keras", compile=False), about)


# ---- out ------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def finished(folder):
    """A new folder to write into, which takes the name `folder` only when the block ends without an error.

    errors : DataError where `folder` exists and is not an earlier result (one with a model.json), which is replaced
    """
    folder = Path(folder).absolute()
    check_output(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as beside:
        new, old = Path(beside) / "new", Path(beside) / "old"
        new.mkdir()
        yield new
        if folder.exists():
            folder.rename(old)
        new.rename(folder)


def check_output(folder):
    """DataError where a folder exists that holds something else than an earlier result."""
    folder = Path(folder)
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / "model.json").exists()):
        raise DataError(f"the output folder {folder.name} holds other files: name one that is new")
