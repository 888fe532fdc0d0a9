"""Figures with their uncertainty: intervals over rows and seeds, paired comparison, agreement, calibration.

Accuracy, F1, precision, recall and confusion matrices are single calls of `sklearn.metrics`: use those.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats


class Interval(NamedTuple):
    estimate: float
    low: float
    high: float


class Difference(NamedTuple):
    effect: float
    low: float
    high: float
    n_seeds: int
    p: float


def wilson(k, n, *, level=0.95):
    """Share of k successes in n independent trials, with the score interval.

    k, n    : counts, 0 ≤ k ≤ n, n ≥ 1, else ValueError
    returns : Interval of shares in [0, 1]
    source  : Wilson 1927; recommended over the normal interval by Brown, Cai & DasGupta 2001

    >>> [round(float(x), 4) for x in wilson(81, 263)]
    [0.308, 0.2553, 0.3662]
    """
    _check_level(level)
    if n < 1 or not 0 <= k <= n or int(k) != k or int(n) != n:
        raise ValueError(f"wilson takes whole numbers with 0 ≤ k ≤ n and n ≥ 1, got k={k}, n={n}")
    bounds = stats.binomtest(int(k), int(n)).proportion_ci(level, method="wilson")
    return Interval(k / n, float(bounds.low), float(bounds.high))


def kappa(a, b, *, level=0.95):
    """Cohen's kappa: agreement of two raters beyond what their label shares give by chance.

    a, b    : one label per row, same length, at least two rows; two different labels must occur, else ValueError
    returns : Interval in [-1, 1]
    assumes : rows are independent. The plain interval covers only 83% at kappa .94, 100 rows and two labels; two rows
              more, spread evenly over the cells of the table, bring that to 94%, and give full agreement a width
    source  : Fleiss, Cohen & Everitt 1969 (large-sample standard error that does not presume kappa = 0)

    >>> [round(float(x), 2) for x in kappa(list("aaaaabbbbb"), list("aaaabbbbbb"))]
    [0.8, 0.25, 1.0]
    """
    _check_level(level)
    if _any_missing(a) or _any_missing(b):
        raise ValueError("kappa takes rows that both raters labelled: drop the missing labels first")
    a, b = np.asarray(a), np.asarray(b)
    if a.ndim != 1 or a.shape != b.shape or len(a) < 2:
        raise ValueError(f"kappa takes two label lists of one length, at least two rows, got {a.shape} and {b.shape}")
    labels, codes = np.unique(np.concatenate([a, b]), return_inverse=True)
    if len(labels) < 2:
        raise ValueError("kappa is undefined when both raters give one and the same label to every row")
    counts = np.zeros((len(labels), len(labels)))
    np.add.at(counts, (codes[: len(a)], codes[len(a) :]), 1)
    centre, error = _kappa_and_error(counts + 2 / counts.size)
    half = stats.norm.ppf((1 + level) / 2) * error
    return Interval(_kappa_and_error(counts)[0], max(centre - half, -1.0), min(centre + half, 1.0))


def _any_missing(labels):
    """Asked before NumPy makes an array of them, in which a nan beside strings becomes the string "nan"."""
    return pd.Series(list(labels), dtype=object).isna().any()


def _kappa_and_error(counts):
    n = counts.sum()
    joint = counts / n
    rows, columns = joint.sum(1), joint.sum(0)
    chance = rows @ columns
    value = (np.trace(joint) - chance) / (1 - chance)
    # Each cell's influence on kappa, up to 1 / (1 - chance); its variance over the joint shares is the squared error.
    influence = np.eye(len(counts)) - (1 - value) * (columns[:, None] + rows[None, :])
    variance = (joint * influence**2).sum() - (value - chance * (1 - value)) ** 2
    return float(value), float(np.sqrt(max(variance, 0) / n) / (1 - chance))


def seeds_interval(values, *, level=0.95):
    """Mean of one figure over seeds, with Student's t interval.

    values  : one figure a seed, at least two, else ValueError
    returns : Interval in the unit of the values
    assumes : seeds are independent, test rows included; where all seeds share their test rows, the interval is
              for those rows only: use `accuracy_interval`, or `paired_difference`, for rows to come

    >>> [round(float(x), 3) for x in seeds_interval([0.80, 0.82, 0.84])]
    [0.82, 0.77, 0.87]
    """
    _check_level(level)
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"seeds_interval takes one finite figure a seed, at least two seeds, got {values.tolist()}")
    mean = values.mean()
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * stats.sem(values)
    return Interval(float(mean), float(mean - half), float(mean + half))


def accuracy_interval(correct, *, groups=None, level=0.95):
    """Accuracy over seeds and test rows, with an interval that counts both as samples.

    correct : 0/1 array (seeds, rows); groups and assumptions as in `paired_difference`
    returns : Interval of shares, cut to [0, 1]
    """
    mean, error, df = _crossed(_zero_one(correct, "correct"), groups)
    half = _half_width(error, df, level)
    return Interval(mean, max(mean - half, 0.0), min(mean + half, 1.0))


def paired_difference(correct_a, correct_b, *, groups=None, level=0.95):
    """Accuracy of a minus accuracy of b over paired seeds, with an interval that counts seeds and rows as samples.

    correct_a, correct_b : 0/1 arrays (seeds, rows), at least 2 × 2; [s, i] is whether row i of seed s was classified
                           rightly. a and b share the rows within a seed. The rows may be the same for every seed
                           (column i is then one row throughout) or each seed's own: both are covered, see below
    groups               : (rows,) key of the document each row is from, where rows of one document are alike and the
                           rows are the same for every seed; documents are then what is sampled
    returns              : Difference(effect, low, high, n_seeds, p), shares of rows; p is two-sided for effect 0

    The squared error of the mean is (MS_seeds + max(MS_rows − MS_rest, 0)) / (seeds · rows), from the mean squares
    of a crossed two-way table. Rows that are hard for every seed show up in MS_rows; where each seed has its own
    rows, MS_rows and MS_rest agree but for noise, and what is left is Student's t over the seeds.
    assumes : training sets of the seeds are independent draws; where they overlap much, as subsets of one small pool
              do, the interval is too narrow for another pool (Nadeau & Bengio 2003)
    source  : Hillis 2014 (readers crossed with cases: here seeds with rows); degrees of freedom by Satterthwaite 1946
    """
    a, b = _zero_one(correct_a, "correct_a"), _zero_one(correct_b, "correct_b")
    if a.shape != b.shape:
        raise ValueError(f"correct_a and correct_b must have one shape, got {a.shape} and {b.shape}")
    effect, error, df = _crossed(a - b, groups)
    half = _half_width(error, df, level)
    p = 2 * stats.t.sf(abs(effect) / error, df) if error else float(effect == 0)
    return Difference(effect, effect - half, effect + half, len(a), float(p))


def _crossed(values, groups):
    """Mean, its standard error and degrees of freedom of a table (seeds, rows), both ways sampled."""
    mean = values.mean()
    if groups is not None:
        values = mean + _group_sums(values - mean, groups)
    n_seeds, n_rows = values.shape
    by_seed, by_row = values.mean(1) - mean, values.mean(0) - mean
    rest = values - mean - by_seed[:, None] - by_row[None, :]
    ms_seeds = n_rows * (by_seed**2).sum() / (n_seeds - 1)
    ms_rows = n_seeds * (by_row**2).sum() / (n_rows - 1)
    ms_rest = (rest**2).sum() / ((n_seeds - 1) * (n_rows - 1))
    if ms_rows <= ms_rest:
        return float(mean), float(np.sqrt(ms_seeds / values.size)), n_seeds - 1
    total = ms_seeds + ms_rows - ms_rest
    df = total**2 / (
        ms_seeds**2 / (n_seeds - 1) + ms_rows**2 / (n_rows - 1) + ms_rest**2 / ((n_seeds - 1) * (n_rows - 1))
    )
    return float(mean), float(np.sqrt(total / values.size)), max(df, n_seeds - 1)


def _group_sums(deviations, groups):
    """Sums within each group, scaled so that their mean is the mean of the rows (linearised ratio estimator)."""
    codes, keys = pd.factorize(np.asarray(groups))
    if len(codes) != deviations.shape[1] or (codes < 0).any() or len(keys) < 2:
        raise ValueError(f"groups must name, for each of the {deviations.shape[1]} rows, one of at least two documents")
    sums = np.zeros((len(deviations), len(keys)))
    np.add.at(sums, (slice(None), codes), deviations)
    return sums * len(keys) / len(codes)


def _half_width(error, df, level):
    _check_level(level)
    return float(stats.t.ppf((1 + level) / 2, df) * error)


def _zero_one(correct, name):
    values = np.asarray(correct, dtype=float)
    if values.ndim != 2 or min(values.shape) < 2:
        raise ValueError(f"{name} must have shape (seeds, rows), at least two of each, got {values.shape}")
    if not np.isin(values, (0, 1)).all():
        raise ValueError(f"{name} must hold 0 and 1 only: whether each row was classified rightly")
    return values


def _check_level(level):
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, such as 0.95, got {level}")


def holm(pvalues):
    """p-values adjusted so that, read at level α, the chance of one false finding or more in the table is at most α.

    pvalues : m p-values of one table, any dependence, in [0, 1], else ValueError
    returns : float array (m,), in the order given
    source  : Holm 1979

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = np.asarray(pvalues, dtype=float)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError("holm takes a list of p-values between 0 and 1")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    return adjusted


def curve_summary(frame, *, level=0.95):
    """Learning curves: mean score and t interval over seeds for each method and number of training rows.

    frame   : DataFrame with columns method, n, seed, score, one row a run; two seeds or more a point, else ValueError
    returns : DataFrame method, n, mean, low, high, n_seeds, sorted by method and n
    """
    missing = [column for column in ("method", "n", "seed", "score") if column not in frame]
    if missing:
        raise ValueError(f"the runs lack the column {missing[0]}: a learning curve needs method, n, seed and score")
    if twice := frame[frame.duplicated(["method", "n", "seed"])].to_dict("records"):
        run = twice[0]
        raise ValueError(f"method {run['method']}, n {run['n']}, seed {run['seed']} occurs twice: one row a run")
    points = []
    for (method, n), runs in frame.groupby(["method", "n"]):
        if len(runs) < 2:
            raise ValueError(f"method {method}, n {n} has one seed: an interval needs at least two")
        points.append((method, n, *seeds_interval(runs["score"], level=level), len(runs)))
    return pd.DataFrame(points, columns=["method", "n", "mean", "low", "high", "n_seeds"])


def macro_f1(truth, predicted, groups, *, against=None, samples=400, seed=0):
    """Mean macro-F1 over seeds, with a 95% interval that counts seeds and documents as samples.

    truth     : int array (rows,), class numbers; predicted : int array (seeds, rows), two seeds or more
    groups    : (rows,) key of each row's document
    against   : int array like predicted; the difference predicted − against is estimated then, paired by seed and row
    returns   : Interval of shares; ± t of seeds − 1 degrees of freedom, on the squared error between seeds plus
                that of documents drawn with replacement. Both hold some of the other's, so it errs on the wide side
    """
    classes, codes = np.unique(truth), np.unique(np.asarray(groups), return_inverse=True)[1]
    n_groups = codes.max() + 1
    draws = np.random.default_rng(seed).multinomial(n_groups, np.full(n_groups, 1 / n_groups), samples)
    draws = np.vstack([np.ones(n_groups, int), draws])  # the first is the sample itself

    def drawn_scores(guess):
        found = np.zeros(len(draws))
        for one in classes:
            hit, said, is_one = ((guess == one) & (truth == one)), guess == one, truth == one
            sums = [draws @ np.bincount(codes, mask, n_groups) for mask in (hit, said, is_one)]
            found += 2 * sums[0] / np.maximum(sums[1] + sums[2], 1) / len(classes)
        return found

    scores = np.stack([drawn_scores(guess) for guess in predicted], axis=1)
    if against is not None:
        scores = scores - np.stack([drawn_scores(guess) for guess in against], axis=1)
    estimate = scores[0].mean()
    error = np.sqrt(scores[0].var(ddof=1) / len(predicted) + scores[1:].mean(axis=1).var(ddof=1))
    half = stats.t.ppf(0.975, len(predicted) - 1) * error
    return Interval(float(estimate), float(estimate - half), float(estimate + half))


def calibration_error(labels, probabilities, *, bins=10):
    """Expected calibration error: how far confidence and accuracy lie apart, on average over rows.

    labels        : int array (n,), column of the right class
    probabilities : array (n, classes), rows sum to 1, else ValueError
    bins          : bins of equal width over the confidence of the predicted class; bin b is (b/bins, (b+1)/bins]
    returns       : float in [0, 1], Σ_bins (rows in bin / n) · |accuracy − mean confidence|
    source        : Guo et al. 2017, eq. 3

    >>> round(calibration_error([0, 0, 1, 0], [[0.9, 0.1]] * 4), 4)
    0.15
    """
    labels, probabilities = np.asarray(labels), np.asarray(probabilities, dtype=float)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1] or not len(labels):
        raise ValueError(f"labels (n,) and probabilities (n, classes), got {labels.shape} and {probabilities.shape}")
    if not np.issubdtype(labels.dtype, np.integer) or labels.min() < 0 or labels.max() >= probabilities.shape[1]:
        raise ValueError(f"labels must be column numbers from 0 to {probabilities.shape[1] - 1}")
    if not (probabilities >= 0).all() or not np.allclose(probabilities.sum(1), 1, atol=1e-3):
        raise ValueError("each row of probabilities must be at least 0 everywhere and sum to 1")
    confidence = probabilities.max(1)
    gap = (probabilities.argmax(1) == labels) - confidence
    bin_of = np.ceil(confidence * bins).clip(1, bins).astype(int) - 1
    return float(np.abs(np.bincount(bin_of, gap, minlength=bins)).sum() / len(labels))


# ---- diversity of a data set ----------------------------------------------------------------------------------------


def label_entropy(labels):
    """How evenly rows spread over the classes, in bits: 0 for one class, log2(classes) for equal shares.

    labels  : one label a row, at least one row, none missing, else ValueError
    source  : Shannon 1948

    >>> label_entropy(["positive", "negative", "negative", "positive"])
    1.0
    """
    counts = pd.Series(np.asarray(labels)).value_counts().to_numpy()
    if not counts.sum() or _any_missing(labels):
        raise ValueError("label_entropy takes at least one label, and none that is missing")
    return float(stats.entropy(counts, base=2))


def distinct_n(tokens, n=2):
    """Different n-grams as a share of all n-grams: 1 where none is said twice. It falls as a set grows.

    tokens  : list of token lists, one a text; texts shorter than n add nothing; a set without n-grams is a ValueError
    n       : whole number from 1
    source  : Li et al. 2016, §5.1 (there for n = 1 and 2)

    >>> distinct_n([["a", "good", "film"], ["a", "good", "book"]])
    0.75
    """
    tokens = list(tokens)
    if n < 1 or any(isinstance(row, str) for row in tokens):
        raise ValueError(f"distinct_n takes lists of tokens, not texts, and n from 1, got n={n}")
    grams = [tuple(row[i : i + n]) for row in tokens for i in range(len(row) - n + 1)]
    if not grams:
        raise ValueError(f"distinct_n takes at least one text of {n} tokens or more")
    return len(set(grams)) / len(grams)


def mean_distance(vectors):
    """Mean cosine distance, 1 − cosine, over all pairs of different rows, in [0, 2]; exact, O(n·d).

    vectors : array (n, d), n ≥ 2, rows of length 1, else ValueError

    >>> round(mean_distance([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), 3)
    0.667
    """
    vectors = _unit_rows(vectors, 2)
    n = len(vectors)
    return float(1 - (np.square(vectors.sum(0)).sum() - n) / (n * (n - 1)))


def vendi_score(vectors):
    """Effective number of different rows: 1 where all are alike, n where all are at right angles.

    vectors : array (n, d), rows of length 1, else ValueError; likeness of two rows is their cosine
    returns : exp of the entropy of the eigenvalues of the (n, n) matrix of cosines over n, taken from the (d, d) one
    source  : Friedman & Dieng 2023, eq. 1

    >>> round(vendi_score([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]), 3)
    1.89
    """
    vectors = _unit_rows(vectors, 1)
    values = np.linalg.eigvalsh(vectors.T @ vectors / len(vectors)).clip(0)
    return float(np.exp(stats.entropy(values)))


def coverage(train, test, *, k=5):
    """Share of test rows that have a training row within reach: no farther than their k-th nearest other test row.

    train, test : arrays (n, d) and (m, d), rows of length 1, m > k, else ValueError
    source      : Naeem et al. 2020, eq. 9, with the test rows as the real ones

    >>> round(coverage([[1.0, 0.0]], [[1.0, 0.0], [0.8, 0.6], [0.0, 1.0]], k=1), 3)
    0.667
    """
    train, test = _unit_rows(train, 1), _unit_rows(test, k + 1)
    among = test @ test.T
    np.fill_diagonal(among, -np.inf)
    reach = np.partition(among, -k, axis=1)[:, -k]
    return float(np.mean((test @ train.T).max(1) >= reach))


def _unit_rows(vectors, least):
    vectors = np.asarray(vectors, dtype=float)
    if vectors.ndim != 2 or len(vectors) < least or not np.allclose(np.square(vectors).sum(1), 1, atol=1e-3):
        raise ValueError(f"vectors must be an array (n, d) of at least {least} rows of length 1, got {vectors.shape}")
    return vectors
