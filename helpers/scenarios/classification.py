"""Classifiers of texts, from a rule of three numbers to a fine-tuned encoder: what notebooks 11 and 15 compare."""

import re

import numpy as np

from helpers import finetuning, pretrained, probe


def marks(text):
    """What a glance sees of a text: its length in characters, marks of a tweet, and capital letters in a row.

    >>> marks("@anonymous LOL :) http://url_removed")
    [36, 3, 3]
    """
    return [len(text), len(re.findall(r"@\w|#\w|https?:|[:;]-?[)(DP]|&\w+;", text)), len(re.findall("[A-Z]", text))]


def features(model, texts, others, *, language, encoder):
    """What a linear model sees of the training texts and of others: two arrays, dense or sparse, one row a text.

    model : "rule", the `marks`, standardised; "frozen", vectors of the encoder as it came; "TF-IDF" of the language;
            "both", TF-IDF and these vectors side by side; "characters", TF-IDF of characters in any language
    """
    if model == "rule":
        table, other = (np.array([marks(text) for text in part], float) for part in (texts, others))
        centre, spread = np.log1p(table).mean(axis=0), np.log1p(table).std(axis=0) + 1e-9
        return [(np.log1p(part) - centre) / spread for part in (table, other)]
    if model in ("frozen", "both"):
        dense = [pretrained.embed(list(part), encoder) for part in (texts, others)]
    if model == "frozen":
        return dense
    words = probe.tfidf(texts, others, "zh" if model == "characters" else language)
    return words if model != "both" else [probe.beside(*pair) for pair in zip(words, dense, strict=True)]


def classifier(model, texts, labels, *, language, encoder, seed=0, **settings):
    """Train one of the models on texts and their labels.

    model    : "full", the whole encoder tuned with `settings` (those of `finetuning.fine_tune`; the others need none);
               else a probe on what `features` makes of the texts
    returns  : function from texts to probabilities (n, k), and the k classes in the order of its columns
    """
    if model == "full":
        settings |= {"encoder": encoder, "precision": finetuning.sixteen_bits(), "seed": seed}
        tuned = finetuning.fine_tune(list(texts), list(labels), **settings)
        return lambda others: tuned.predict(list(others)), tuned.classes

    def seen(others):
        return features(model, texts, others, language=language, encoder=encoder)

    fitted = probe.fit(seen(texts[:1])[0], labels)
    return lambda others: fitted.predict_proba(seen(others)[1]), fitted.classes_
