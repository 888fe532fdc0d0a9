"""Choose: which rows to train on, or to have labelled, when the budget is a number of rows.

    cover     by the vectors alone: rows that lie all over the pool
    scores    by a score of each row or by what a model makes of it: good, hard, influential, agreed or uncertain rows
    mixtures  how many rows of which class or source, and the record of what was chosen
    checks    what every method asks of its arguments

Every choosing method is a function method(vectors, k, *, …, seed=0) that returns k row numbers in picking order:

    vectors       : array (n, d), finite, rows of length 1 (a cosine is then a product)
    k             : int, number of rows, 1 ≤ k ≤ n
    labels        : int array (n,), class numbers 0 … classes − 1
    probabilities : array (n, classes), of a model that did not train on the row (`label_errors.out_of_fold`)
    seed          : settles every draw and every tie

Anything else is a ValueError that names what is wrong. Curation knows all labels and pays for training; annotation
(margin, entropy, density_weighted) sees no labels and pays for each one: never rank the two together.
"""

from helpers.selection.cover import facility_location, facility_value, herding, k_center, prototypes, random
from helpers.selection.mixtures import manifest, mixture, stratified
from helpers.selection.scores import (
    agree_then_herd,
    agreement,
    density_weighted,
    el2n,
    entropy,
    forgetting,
    gradient_matching,
    margin,
    quality_diversity,
    training_trace,
)

__all__ = [
    "agree_then_herd",
    "agreement",
    "density_weighted",
    "el2n",
    "entropy",
    "facility_location",
    "facility_value",
    "forgetting",
    "gradient_matching",
    "herding",
    "k_center",
    "manifest",
    "margin",
    "mixture",
    "prototypes",
    "quality_diversity",
    "random",
    "stratified",
    "training_trace",
]
