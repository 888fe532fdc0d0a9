"""The rows that each study draws, without a model: ids in order, for up to ten cells of a study, one an arm.

`python -m tests.draws [STUDY …]` prints {study: {cell: sha256 of the ids}} as JSON. It must be the same on every
processor; "helpers" stands for `datasets.split` and `duplicates.clean` on the course's data.
"""

import hashlib
import json
import sys
from unittest import mock

import numpy as np

from helpers import datasets, duplicates
from helpers.runner import studies
from helpers.scenarios import generation as poems
from helpers.scenarios import retrieval as qa
from helpers.scenarios import small_network
from helpers.scenarios import speech as sounds
from helpers.scenarios import translation as strings

MOST = 10  # cells of a study


def indices(*frames):
    """Row ids of tables."""
    return [frame.index.tolist() for frame in frames]


def film(study, n=None, seed=0):
    """Ids of the film sentences of a study: pool, validation, test, and n rows drawn from the pool."""
    parts = study.film()
    return indices(*parts, *([study.draw(parts[0], n, seed)] if n else []))


def augmenting(study, cell):
    texts = study.train_rows(cell["language"], cell["n"], cell["seed"])[0]
    drawn = [texts, study.test_rows(cell["language"])[0]]
    if cell["method"] in study.EDITS:
        drawn.append(study.edited(texts, cell["language"], cell["method"], cell["strength"], 1, cell["seed"]))
    return drawn


def choosing(study, cell):
    language, before, method, n, seed = (cell[name] for name in ("language", "before", "method", "n", "seed"))
    frame, vectors, labels, _ = study.raw_rows() if before == "raw rows" else study.rows(language)
    drawn, given, _, more = study.pool(language, before, cell["noise"], seed)
    found = [frame.index[drawn], given, frame.index[more], study.judged_on(language)]
    if cell["question"] == "mixture":
        found.append(study.mixed(float(method.split()[1]), n, seed))
    if method in ("random", "stratified", "longest"):
        judged, valid = np.zeros((len(drawn), 2)), (vectors[more], labels[more])
        found.append(study.chosen(method, n, frame.iloc[drawn], vectors[drawn], given, judged, valid, seed))
    return found


def domains(study, cell):
    frame = study.drawn(cell["task"], cell["train"], cell["n"], cell["seed"])
    labels, wrong = study.changed(frame["label"], cell["planted"], cell["seed"])
    drawn = [*indices(frame, study.test_rows(cell["task"])), labels, wrong]
    if cell["treatment"] != "suspects out":
        drawn.append(study.kept(frame, labels, cell["treatment"], cell["seed"]))
    return drawn


def generation(study, cell):
    drawn = indices(poems.rows("test", study.N_TEST), poems.rows("valid")) + [poems.vocabulary()]
    if cell["question"] == "choosing":
        pool = poems.rows("tune", seed=cell["seed"])
        pool = study.damaged(pool[pool["label"].isin(poems.FORMS)].iloc[:300], study.DAMAGE, cell["seed"])
        return [*drawn, *indices(pool), pool["answer"]]
    return drawn + indices(study.training_rows(cell["question"], cell["arm"], cell["seed"]))


def leakage(study, cell):
    return indices(*study.sides(datasets.load("reviews_zh"), cell["split"], cell["seed"]))


def optimizers(study, cell):
    inputs, labels = study.film(cell["seed"])
    return [inputs["token_ids"].ravel(), labels]


def outlook(study, cell):
    question, arm, n, seed = (cell[name] for name in ("question", "arm", "n", "seed"))
    if question == "canary":
        return [study.planted(arm, n, seed)]
    if question in ("audit", "sound"):  # `helpers` holds what cleaning keeps; clips are drawn by one permutation
        return [datasets.load(arm if question == "audit" else "speech").index]
    if question == "unseen":
        return indices(study.draw(arm, "pool", n, seed), *(study.draw(one, "test", 600, 0) for one in study.SOURCES))
    if question == "finer":
        return indices(*(study.draw(one, "pool", n // 4, seed) for one in study.SOURCES))
    return indices(study.draw("film", "pool", n, seed), study.draw("film", "test", 2000, 0))


def preprocessing(study, cell):
    frame = study.reviews()
    part = datasets.split(frame, {"train": 0.8, "test": 0.2}, seed=cell["seed"])
    pool = frame[part == "train"].sample(frac=1, random_state=cell["seed"])
    test = frame[(part == "test") & frame["kept"]].sample(study.N_TEST, random_state=cell["seed"])
    return indices(study.drawn(pool, cell["training"], cell["n"]), test)


def pretraining(study, cell):
    pool, test = study.sides(cell["language"])
    return indices(study.draw(pool, cell["n"], cell["seed"]), test)


def remedies(study, cell):
    rare = study.draw(study.film()[0], 2000, cell["seed"], study.RARE)
    y, row = study.negative(rare), np.arange(len(rare))
    rng = np.random.default_rng(cell["seed"])
    more = [small_network.rebalanced(one, row, y, 0.5, rng)[0] for one in ("oversampling", "undersampling")]
    return film(study, 1000, cell["seed"]) + indices(rare) + more + [study.wrong(1000, 0.2, cell["seed"])]


def remedies_tuned(study, cell):
    parts = study.rows(cell["language"])
    n, share = (study.RARE_ROWS, study.remedies.RARE) if cell["question"] == "rare class" else (64, 0.5)
    return indices(*parts, study.remedies.draw(parts[0], n, cell["seed"], share))


def retrieval(study, cell):
    drawn = indices(*study.parts().values())
    if cell["n"]:
        rows = study.draw(cell["arm"], cell["n"], cell["seed"])
        rng = np.random.default_rng(cell["seed"])
        one_package = cell["arm"] == "one package a batch"
        drawn += [*indices(rows), rows["text"], rows["target"], qa.orders(rows, one_package, rng).ravel()]
    return drawn


def searches(study, cell):
    """The configurations that a short search tries, in turn: no rows, but what the stored table makes of ties."""
    if cell["question"] == "confirm":
        return [study.tuning.judged_on(0)[0]]
    return [study.search(cell["arm"], cell["judge"], cell["seed"], budget=150)["config"]]


def sentiment(study, cell):
    language, treatment, seed = cell["language"], cell["treatment"], cell["seed"]
    frame = study.drawn(language, cell["train"], cell["n"], treatment, seed)
    labels = study.changed(frame["side"], cell["planted"], seed)
    drawn = [*indices(frame, study.held_out(language, "valid"), study.held_out(language, "test")), labels]
    drawn.append([row for row, _, _ in study.made(language)])
    if treatment != "suspects out":
        drawn.append(study.kept(frame, labels, language, treatment, seed))
    return drawn


def speech(study, cell):
    drawn = [sounds.part(name) for name in ("home", "pool", "valid", "test")]
    if cell["n"] and cell["method"] not in ("hardest", "found"):
        rows, levels, kinds, texts, _ = study.chosen(*(cell[name] for name in ("question", "method", "n", "seed")))
        drawn += [rows, levels, kinds, texts]
    return drawn


def training_sets(study, cell):
    language, n, seed = cell["language"], cell["n"], cell["seed"]
    if cell["question"] == "choice":
        pool, test = study.sides(language)
        return indices(study.draw(pool, 5000, seed), test)
    train, test = getattr(study, cell["question"])(language, cell["arm"], n, seed)
    return [*indices(train), train["text"], train["label"], *indices(test)]


def translation(study, cell):
    drawn = indices(*(strings.references(domain) for domain in strings.DOMAINS))
    if cell["arm"] == "filtered":
        frame = study.misaligned(
            strings.rows("tune", "jupyterlab", study.N_ALL, cell["seed"]), study.NOISE, cell["seed"]
        )
    else:
        frame = study.training_rows(cell["question"], cell["arm"], cell["seed"])
    return [*drawn, *indices(frame), frame["target"]]


def locked(study, cell):
    frame, _, _, part = study.choosing.rows(cell["language"])
    pool = study.choosing.pool(cell["language"], "nothing", 0.0, cell["seed"])[0]
    return [frame.index[pool], frame.index[part == "test"]]


def tuned_choices(study, cell):
    on = "valid" if cell["question"] == "rate" else "judged"
    drawn = [*indices(study.judged(cell["language"], on)[0])]
    if cell["question"] == "replay":
        return drawn + [study.kinds(source, cell["seed"])[0] for source in ("tweets", "editorials")]
    drawn, given, _, _ = study.choosing.pool(cell["language"], "nothing", cell["noise"], cell["seed"])
    return [drawn, given]


def tuning(study, cell):
    return [*study.judged_on(cell["seed"]), study.choosing.pool("zh", "nothing", 0.0, cell["seed"])[0]]


def wrong_labels(study, cell):
    frame, vectors = study.rows(cell["language"])
    rng = np.random.default_rng(cell["seed"])
    drawn = rng.permutation(len(frame))[: study.ROWS] if cell["question"] == "found" else np.arange(len(frame))
    return [frame.index[drawn], study.turned("at random", cell["share"], vectors[drawn], rng)]


DRAWS = {
    "augmenting": augmenting,
    "choosing": choosing,
    "document_example": lambda study, cell: indices(*study.reviews()),
    "domains": domains,
    "fine_tuning": lambda study, cell: film(study, cell["n"], cell["seed"]),
    "from_scratch": lambda study, cell: film(study.rows_of, cell["n"], cell["seed"]),
    "generation": generation,
    "leakage": leakage,
    "locked": locked,
    "loss_choice": lambda study, cell: film(study),
    "optimizers": optimizers,
    "outlook": outlook,
    "preprocessing": preprocessing,
    "pretraining": pretraining,
    "remedies": remedies,
    "remedies_tuned": remedies_tuned,
    "remedies_wider": lambda study, cell: film(study.remedies, study.ARMS[cell["arm"]][0], cell["seed"]),
    "retrieval": retrieval,
    "searches": searches,
    "sentiment": sentiment,
    "speech": speech,
    "training_sets": training_sets,
    "translation": translation,
    "tuned_choices": tuned_choices,
    "tuning": tuning,
    "wrong_labels": wrong_labels,
}


def once(function):
    """A function of a name or a table that is called once for each: studies load and clean the same data."""
    known = {}

    def called(given):
        key = given if isinstance(given, str) else id(given)
        if key not in known:
            known[key] = given, function(given)
        return known[key][1]

    return called


LOAD, CLEAN = once(datasets.load), once(duplicates.clean)


def blank(texts, *_, **__):
    """In the place of `pretrained.embed`: what is drawn without a model looks at no vector."""
    return np.ones((len(texts), 1), "float32")


def arms(study):
    """The first cell of each arm, evenly spread over the grid, MOST at most."""
    first = {}
    for cell in studies.cells(study).values():
        first.setdefault(repr({name: value for name, value in cell.items() if name != "seed"}), cell)
    return list(first.values())[:: -(-len(first) // MOST)]


def digest(sequences):
    """sha256 of sequences of ids, each in order."""
    plain = [np.asarray(one).tolist() for one in sequences]
    return hashlib.sha256(json.dumps(plain, ensure_ascii=False).encode()).hexdigest()


def of_study(name):
    """{cell: sha256 of the ids that it draws}."""
    study = studies.module(name)
    with (
        mock.patch("helpers.pretrained.embed", blank),
        mock.patch("helpers.datasets.load", LOAD),
        mock.patch("helpers.duplicates.clean", CLEAN),
    ):
        return {repr(cell): digest(DRAWS[name](study, cell)) for cell in arms(study)}


def of_helpers():
    """{what: sha256 of the parts that `datasets.split` names, or of the ids that `duplicates.clean` keeps}."""
    found = {}
    for name in datasets.names():
        frame = LOAD(name)
        if "group" in frame:
            stratify = "label" if "label" in frame else None
            found[f"split {name}"] = digest([datasets.split(frame, stratify=stratify, seed=seed) for seed in range(3)])
        if name in ("reviews_zh", "snippets_en"):
            found[f"clean {name}"] = digest(indices(*CLEAN(frame)[:2]))
    return found


def main(names):
    """All draws, or those of the studies named, as JSON."""
    wanted = names or ["helpers", *studies.names()]
    found = {name: of_helpers() if name == "helpers" else of_study(name) for name in wanted}
    print(json.dumps(found, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1:])
