"""Which rows have a wrong label? Rankings by models that did not see the row, against labels turned on purpose.

Questions  : found  A share of 4,000 rows' labels is turned round, at random or all within one cluster of alike texts.
                    How well does each ranking put these first?
             top    One in twenty of all clean Chinese rows: which rows that were *not* turned come first? A language
                    model has read the first 200 of them, in two passes (data/reviews_zh_suspects.csv).
Prediction : Several models together beat any of them. Errors at random are found; errors that follow the text are
             learned as the truth and are not. Most of the "false" hits are true errors of the data.
Fair       : all rankings judge the same rows, out of the same folds, whole documents to one fold; k is the number of
             labels turned. Hits on errors that the data came with count against every ranking alike.
"""

import numpy as np

from helpers import datasets, duplicates, label_errors, pretrained, probe

DATA = ["reviews_zh", "snippets_en"]
KINDS = {"zh": ("reviews_zh", "use"), "en": ("snippets_en", "minilm")}
ROWS = 4000
GRID = [
    dict(zip(("question", "language", "errors", "share", "seed"), cell, strict=True))
    for cell in [
        *(
            ("found", language, errors, share, seed)
            for language in KINDS
            for errors, shares in (("at random", (0.02, 0.05, 0.1, 0.2)), ("in one cluster", (0.05,)))
            for share in shares
            for seed in range(10 if share == 0.05 else 5)
        ),
        ("top", "zh", "at random", 0.05, 0),
    ]
]


def rows(language):
    """Clean rows with an opinion, and their vectors."""
    name, encoder = KINDS[language]
    frame = datasets.load(name)
    frame = duplicates.clean(frame)[0] if language == "zh" else frame.query("label != 'neutral'")
    return frame, pretrained.embed(frame["text"].tolist(), encoder)


def turned(errors, share, vectors, rng):
    """True for the rows whose label is to be turned: drawn, or the nearest to one row drawn."""
    place = rng.permutation(len(vectors))
    if errors == "in one cluster":
        place = np.argsort(np.argsort(-(vectors @ vectors[place.argmin()]), kind="stable"), kind="stable")
    return place < round(share * len(vectors))


def rankings(frame, vectors, language, given):
    """{ranking: quality of each row's label}, lowest first are the suspects."""
    groups = frame["group"].to_numpy()
    words = probe.tfidf(frame["text"], frame["text"].iloc[:1], language)[0]
    opinions = label_errors.opinions(words, vectors, given, groups=groups)
    four = list(opinions.values())
    opinions["TF-IDF and encoder, stacked"] = label_errors.stack(four[:2], given, groups=groups)
    opinions["all four, stacked"] = label_errors.stack(four, given, groups=groups)
    return {one: label_errors.label_quality(p, given) for one, p in opinions.items()}


def run(question, language, errors, share, seed):
    """One run: AUROC and precision at k of each ranking; of the top, "row:rank" of the first 200 rows not turned."""
    from sklearn.metrics import roc_auc_score

    frame, vectors = rows(language)
    rng = np.random.default_rng(seed)
    if question == "found":
        drawn = rng.permutation(len(frame))[:ROWS]
        frame, vectors = frame.iloc[drawn], vectors[drawn]
    labels = (frame["label"] == "positive").to_numpy().astype(int)
    wrong = turned(errors, share, vectors, rng)
    given = np.where(wrong, 1 - labels, labels)
    found = rankings(frame, vectors, language, given)
    result = {}
    for one, quality in found.items():
        result[f"AUROC {one}"] = roc_auc_score(wrong, -quality)
        result[f"precision {one}"] = label_errors.precision_at(quality, wrong, wrong.sum())
    if question == "top":
        order = np.argsort(found["all four, stacked"], kind="stable")
        places = np.flatnonzero(~wrong[order])[:200]
        pairs = zip(frame.index[order[places]], places + 1, strict=True)
        result["top"] = " ".join(f"{row}:{rank}" for row, rank in pairs)
    return result
