"""How much a random split of repeated reviews flatters a model: four splits, three strengths of memory, five seeds.

Question   : how many points of accuracy does a model gain because copies of its test rows stand in its training set?
Prediction : many, and the more the less the model is held back (large C); a table that only looks texts up gains most.
Splits     : rows     every raw row on its own, at random: copies of one review fall on both sides
             texts    the same raw rows, but all copies of a review on one side
             distinct the first row of each review only, then at random
             cleaned  the rows that `duplicates.clean` keeps, then at random
Fair       : 80 % of the rows train and 20 % test in each; same features, same C. Only `rows` against `texts` compares
             equal numbers of rows; `distinct` and `cleaned` train on half as many.
"""

from helpers import datasets, duplicates

DATA = ["reviews_zh"]
GRID = {"split": ["rows", "texts", "distinct", "cleaned"], "C": [1, 10, 100], "seed": [0, 1, 2, 3, 4]}


def sides(frame, split, seed):
    """Training rows and test rows of one split."""
    from sklearn.model_selection import train_test_split

    if split == "texts":
        part = datasets.split(frame, {"train": 0.8, "test": 0.2}, seed=seed)
        return frame[part == "train"], frame[part == "test"]
    if split == "distinct":
        frame = frame[~duplicates.repeats(frame)]
    elif split == "cleaned":
        frame = duplicates.clean(frame)[0]
    return train_test_split(frame, test_size=0.2, stratify=frame["label"], random_state=seed)


def model(C):
    """Single characters and pairs of them, weighted by TF-IDF, into logistic regression."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    features = TfidfVectorizer(analyzer="char", ngram_range=(1, 2), min_df=2)
    return make_pipeline(features, LogisticRegression(C=C, solver="liblinear"))


def look_up(train, test):
    """The label of each test text's first copy in training; training's commonest label where it has none."""
    keys = train["text"].map(datasets.text_key)
    first = train["label"][~keys.duplicated()].set_axis(keys[~keys.duplicated()])
    return test["text"].map(datasets.text_key).map(first).fillna(train["label"].mode()[0])


def run(split, C, seed):
    """One run: accuracy on all test rows, on those with a copy in training, on the rest, and of looking up alone."""
    train, test = sides(datasets.load("reviews_zh"), split, seed)
    leaked = duplicates.overlap(train, test)
    correct = model(C).fit(train["text"], train["label"]).predict(test["text"]) == test["label"]
    return {
        "n_train": len(train),
        "n_test": len(test),
        "leaked": leaked.mean(),
        "accuracy": correct.mean(),
        "accuracy_leaked": correct[leaked].mean(),
        "accuracy_unseen": correct[~leaked].mean(),
        "accuracy_look_up": (look_up(train, test) == test["label"]).mean(),
    }
