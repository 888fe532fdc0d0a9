"""Searches at equal compute, replayed on the table of the study `tuning`; what they found, on locked rows.

Questions  : search   Optuna's TPE with and without pruning, beside random search: what has each found when it has spent
                      500 passes of 500 texts through the encoder? Twenty searches each, once by all validation rows
                      (about 1,340), once by few (300).
             confirm  The best of each kind's first search by few rows and by all, and four models that nobody searched
                      for, on fresh pools and locked test rows. The study `locked` reads these too: it
                      holds ways to choose rows, fixed before, against random on them. Studies with a split of
                      their own (`training_sets`, `fine_tuning` and others) test on part of them.
Prediction : guided search gains less than a point on random search, pruning makes both cheaper; what a winner scores on
             the rows that it won by flatters it, by few rows more.
Fair       : all arms draw from one space, are charged alike and stop at the same sum or at 300 trials. A trial is up to
             three repeats, a pruner may end it after each; a pruned trial cannot win. What was tried before costs
             nothing, as its result is known. Choosing the rows is done once for all trials and is charged to none.
Cost       : a pass is 500 texts once through the encoder. Backward counts as twice forward, for the part that is
             trained. TF-IDF passes nothing through the encoder and is charged a tenth of a pass.
Columns    : of a search: trials, how many were pruned, passes spent; the best configuration so far (its number in
             `tuning.table`, −1 for none) after each twentieth of the budget, and after each of the first 40 trials.
"""

from functools import cache

import numpy as np
import pandas as pd

from helpers.runner import studies
from helpers.runner.studies import pack

tuning = studies.module("tuning")
DATA = tuning.DATA
BUDGET, CHECKS, MOST = 500, 20, 300  # passes; looks at the best so far; trials at most
ARMS = ["random", "TPE", "random and halving", "TPE and median", "TPE and halving"]
DEFAULTS = {"normal": True, "lower": False, "stop_words": "stay", "length": 160, "copies": 0}
PLAIN = {  # nobody searched for these
    "TF-IDF, random rows": {"model": "TF-IDF", "choose": "random", "ngrams": 2, "C": 5, **DEFAULTS},
    "TF-IDF, agree_then_herd": {"model": "TF-IDF", "choose": "agree_then_herd", "ngrams": 2, "C": 5, **DEFAULTS},
    "probe, random rows": {"model": "probe", "choose": "random", "C": 1, **DEFAULTS},
    "probe, agree_then_herd": {"model": "probe", "choose": "agree_then_herd", "C": 1, **DEFAULTS},
}
WINNERS = ["random", "TPE", "TPE and halving"]
GRID = [
    *(
        {"question": "search", "arm": arm, "judge": judge, "seed": seed}
        for judge in ("few", "valid")
        for arm in ARMS
        for seed in range(20)
    ),
    *(
        {"question": "confirm", "arm": arm, "judge": judge, "seed": seed}
        for judge, arms in (("few", (*PLAIN, *WINNERS)), ("valid", WINNERS))
        for arm in arms
        for seed in range(10, 15)
    ),
]
NAMES = ["model", *dict.fromkeys(name for one in tuning.SPACE.values() for part in one for name in part)]


# ---- the space, its costs and its outcomes --------------------------------------------------------------------------


def suggest(trial):
    """A configuration that a trial asks for; parameters of one model alone carry its name."""
    config = {"model": trial.suggest_categorical("model", list(tuning.SPACE))}
    for part in tuning.SPACE[config["model"]]:
        for name, values in part.items():
            shared = name in tuning.SHAPE or (name == "choose" and values == tuning.CHOOSE)
            asked = name if shared else f"{config['model']}: {name}"
            config[name] = values[0] if len(values) == 1 else trial.suggest_categorical(asked, values)
    return config


def passes(config):
    """Cost of one repeat, in passes of 500 texts through the encoder."""
    answering = 878 / 500
    if config["model"] == "TF-IDF":
        return 0.1 * (1 + config["copies"])
    trained = {"probe": 0, "head": 0, "last": 0.3, "full": 1}[config["model"]]  # share of the encoder's multiplications
    return answering + (config["epochs"] * (1 + 2 * trained) if trained else 1)


def key(config):
    """The values of a configuration in the order of NAMES, None where its model has no such parameter."""
    return tuple(config.get(name) for name in NAMES)


@cache
def outcomes():
    """{key: number of the configuration}, and accuracies {column: array (configurations, repeats)}."""
    table = tuning.table(studies.load("tuning"))
    first = table.drop_duplicates("config")
    numbers = {key(one): one["config"] for one in first.to_dict("records")}
    wide = {
        name: table.pivot(index="config", columns="seed", values=name).to_numpy() for name in ("few", "valid", "other")
    }
    return numbers, wide


# ---- the searches ---------------------------------------------------------------------------------------------------


def search(arm, judge, seed, budget=BUDGET):
    """One search: DataFrame of its trials in order: config, score (NaN when pruned), passes spent by then."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler, _, pruner = arm.partition(" and ")
    sampler = {"random": optuna.samplers.RandomSampler, "TPE": optuna.samplers.TPESampler}[sampler](seed=seed)
    pruner = {
        "": optuna.pruners.NopPruner(),
        "median": optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=0),
        "halving": optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3),
    }[pruner]
    numbers, scores = outcomes()
    search = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    spent, bought, rows = 0.0, {}, []
    while spent < budget and len(rows) < MOST:
        trial = search.ask()
        config = suggest(trial)
        number, score, pruned = numbers[key(config)], np.nan, False
        for repeat in range(1, tuning.REPEATS + 1):
            if repeat > bought.get(number, 0):
                spent, bought[number] = spent + passes(config), repeat
            so_far = scores[judge][number, :repeat].mean()
            trial.report(so_far, repeat)
            if repeat < tuning.REPEATS and trial.should_prune():
                pruned = True
                break
        if pruned:
            search.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            score = so_far
            search.tell(trial, score)
        rows.append({"config": number, "score": score, "passes": spent})
    return pd.DataFrame(rows)


def leaders(trials):
    """The best configuration up to each trial, −1 for none: array."""
    best, found = -np.inf, []
    for config, score in zip(trials["config"], trials["score"], strict=True):
        if score > best:
            best, leader = score, config
        found.append(leader if best > -np.inf else -1)
    return np.array(found)


def winner(arm, judge, seed=0):
    """The configuration that a search ended with."""
    trials = search(arm, judge, seed)
    number = leaders(trials[trials["passes"] <= BUDGET])[-1]
    return next(
        {name: value for name, value in zip(NAMES, config, strict=True) if value is not None}
        for config, found in outcomes()[0].items()
        if found == number
    )


def run(question, arm, judge, seed):
    """A search, or a configuration trained on a fresh pool and judged on the locked test rows."""
    if question == "confirm":
        config = PLAIN.get(arm) or winner(arm, judge)
        frame, _, labels, part = tuning.choosing.rows("zh")
        test = np.flatnonzero(part == "test")
        correct = tuning.answers(config, seed, test)[0] == labels[test]
        return {"accuracy": correct.mean(), "correct": pack(correct, frame.index[test]), "config": repr(config)}
    trials = search(arm, judge, seed)
    best = leaders(trials)
    within = np.searchsorted(trials["passes"], BUDGET * np.arange(1, CHECKS + 1) / CHECKS, side="right")
    by_cost = np.append(-1, best)[within]
    return {
        "trials": len(trials),
        "pruned": trials["score"].isna().sum(),
        "passes": round(float(trials["passes"].iloc[-1]), 2),
        "by_cost": " ".join(map(str, by_cost)),
        "by_trial": " ".join(map(str, best[:40])),
    }
