"""The ledger of the document's claims, and the rule that turns evidence into a verdict. No verdict is ever typed."""

import json
import math
import os
from functools import cache
from pathlib import Path

import pandas as pd
import yaml
from IPython import get_ipython
from IPython.display import publish_display_data

LEDGER = Path(__file__).with_name("claims.yaml")
DIRECTIONS = ("higher", "lower", "not higher", "not lower")
COLUMNS = ["id", "verdict", "effect", "low", "high", "difference", "conditions", "reason", "notebook", "parameters"]


def ledger():
    """The claims as a DataFrame, index id; `claims.yaml` says what each column holds.

    direction and family are empty for claims tested by a difference; same_as for those that repeat no other, beyond
    for those that the article makes, moved (else a dict: before, why) for those whose verdict did not move.
    """
    empty = {"direction": "", "family": "", "same_as": "", "beyond": "", "moved": ""}
    return pd.DataFrame.from_dict(_claims(), orient="index").rename_axis("id").fillna(empty)


@cache
def _claims():
    entries = yaml.safe_load(LEDGER.read_text(encoding="utf-8"))
    return {entry["id"]: {key: value for key, value in entry.items() if key != "id"} for entry in entries}


def groups(table):
    """Where each claim of a ledger is counted, as a Series of texts: verdicts of different groups are never added up.

    "the world" : empirical claims and advice, measured
    "the text"  : theory, code, definitions and references, right or wrong
    "readings"  : kind reading, and what goes beyond the article: the evidence or the words are ours
    "repeats"   : claims that only repeat the mistake of others (same_as), of whatever kind
    """
    found = table["kind"].isin(["empirical", "advice"]).map({True: "the world", False: "the text"})
    found = found.mask(table["kind"].eq("reading") | table["beyond"].ne(""), "readings")
    return found.mask(table["same_as"].ne(""), "repeats")


def verdict(effect, low, high, *, matters, direction):
    """What an effect with its 95% interval says about the claim that it is `matters` or more.

    effect, low, high : finite, low ≤ effect ≤ high, all in the unit of matters
    matters           : m, the smallest effect that matters, above 0
    direction         : "higher" or "lower" is the claim; "not higher" or "not lower" denies one of these
    returns           : for "higher"
        "supported"    the whole interval is at least m
        "negligible"   the whole interval lies within ± m: neither the claim nor its opposite holds to a degree
                       that matters
        "refuted"      the whole interval is below m, but not within ± m
        "inconclusive" m lies in the interval, or is nearer to it than m / 10: last digits could decide
      "negligible" keeps the same tenth to − m, beyond it the verdict is "refuted". "lower" is the mirror image. A
      denial is the exact negation: "refuted" where the whole interval is at least m, "supported" where it is below m.

    >>> verdict(0.03, 0.02, 0.04, matters=0.01, direction="higher")
    'supported'
    >>> verdict(0.03, 0.02, 0.04, matters=0.01, direction="not higher")
    'refuted'
    """
    if direction not in DIRECTIONS:
        raise ValueError(f"direction must be one of {', '.join(DIRECTIONS)}, got {direction!r}")
    if not matters > 0:
        raise ValueError(f"matters must be above 0, got {matters}")
    if not (math.isfinite(low) and math.isfinite(high) and low <= effect <= high):
        raise ValueError(f"an effect must lie in its finite interval, got {effect} in [{low}, {high}]")
    if direction.endswith("lower"):
        low, high = -high, -low
    margin = matters / 10
    holds, fails = low >= matters + margin, high <= matters - margin
    if direction.startswith("not "):
        return "refuted" if holds else "supported" if fails else "inconclusive"
    if holds:
        return "supported"
    if not fails:
        return "inconclusive"
    return "negligible" if low >= margin - matters else "refuted"


def verdict_of_difference(difference, tolerance):
    """What a measured difference from the claim says: supported within the tolerance, refuted beyond it.

    Either way by a margin of a tenth of the tolerance, else inconclusive. Tolerance 0 is for counts of exceptions.
    ValueError for a difference that is not finite, and for a tolerance that is not or is below 0.

    >>> verdict_of_difference(3, 0)
    'refuted'
    """
    if not math.isfinite(difference):
        raise ValueError(f"a difference must be finite, got {difference}: count what is not")
    if not (math.isfinite(tolerance) and tolerance >= 0):
        raise ValueError(f"a tolerance must be finite and at least 0, got {tolerance}")
    if abs(difference) <= 0.9 * tolerance:
        return "supported"
    return "refuted" if abs(difference) >= 1.1 * tolerance else "inconclusive"


def combined(verdicts):
    """One verdict from those under several conditions.

    All alike: that one. "negligible" and "refuted": "refuted". "supported" beside either: "mixed".
    An "inconclusive" beside verdicts that agree: "inconclusive".

    >>> combined(["supported", "inconclusive", "refuted"])
    'mixed'
    """
    found = set(verdicts)
    if "supported" in found and found & {"negligible", "refuted"}:
        return "mixed"
    if len(found) == 1:
        return found.pop()
    return "inconclusive" if "inconclusive" in found else "refuted"


def record(id, *, effect=None, interval=None, difference=None, conditions=None, reason=None, **parameters):
    """Compute the verdict on one claim, print it as `C17: refuted`, and keep the evidence with the cell's output.

    id         : a claim of the ledger, else ValueError
    effect     : with interval (low, high), for a claim with a direction
    difference : for a claim without one, in the ledger's unit
    conditions : instead of these, {name: (effect, low, high)} or {name: difference}, two or more
    reason     : instead of these, one sentence that says why the claim cannot be tested here
    parameters : what the evidence was made with, such as n_train=500; numbers, texts, lists
    ValueError where an interval is given beside anything but an effect
    """
    claim = _claim(id)
    given = [name for name, value in [("effect", effect), ("difference", difference)] if value is not None]
    given += [name for name, value in [("conditions", conditions), ("reason", reason)] if value]
    if len(given) != 1:
        raise ValueError(f"{id} takes one of effect, difference, conditions and reason, got {given or 'none'}")
    if effect is None and interval is not None:
        raise ValueError(f"{id} has an interval beside {given[0]}: an interval belongs to an effect")
    if effect is not None:
        if interval is None:
            raise ValueError(f"{id} lacks the interval of its effect: interval=(low, high)")
        evidence = {"effect": effect, "interval": interval}
    elif difference is not None:
        evidence = {"difference": difference}
    elif conditions:
        evidence = {"conditions": conditions}
    else:
        evidence = {"reason": reason}
    evidence, parameters = json.loads(json.dumps([evidence, parameters], default=_plain))
    result = _judge(id, claim, evidence)
    for key in ("effect", "difference"):
        if key in evidence:
            report(f"{id} {key}", evidence[key])
    if get_ipython() is None:
        print(f"{id}: {result}")
    else:
        content = {"id": id, "verdict": result, **evidence, "parameters": parameters}
        publish_display_data({"text/plain": f"{id}: {result}"}, metadata={"claim": content})


def report(name, value):
    """Enter a figure in the file that $COURSE_VALUES names, from which a grid of runs makes its table; else nothing."""
    if path := os.environ.get("COURSE_VALUES"):
        with open(path, "a", encoding="utf8") as file:
            file.write(json.dumps([name, float(value)]) + "\n")


def collect(folder):
    """Verdicts and evidence recorded in a folder of executed notebooks.

    folder  : its *.ipynb are read; those run with injected parameters are left out
    returns : DataFrame id, verdict, effect, low, high, difference, conditions, reason, notebook, parameters, in the
              order of the notebooks; a column is None where the claim was tested another way
    ValueError where a notebook records a claim that is not its own or twice, or whose evidence now gives another
    verdict
    """
    rows = []
    for path in sorted(Path(folder).glob("*.ipynb")):
        for content in _recorded(path):
            claim = _claim(content["id"])
            id = path.name.partition("_")[0]  # "05a" for a part of number 05
            if claim["notebook"] not in (id, id[:2]):
                raise ValueError(f"{path.name} records {content['id']}, which belongs to notebook {claim['notebook']}")
            if any(row["id"] == content["id"] for row in rows):
                raise ValueError(f"{path.name} records {content['id']} a second time")
            if _judge(content["id"], claim, content) != content["verdict"]:
                raise ValueError(f"{path.name}: the verdict on {content['id']} is out of date, run the notebook again")
            low, high = content.get("interval", (None, None))
            rows.append({**content, "low": low, "high": high, "notebook": path.stem})
    return pd.DataFrame(rows, columns=COLUMNS).astype(object).where(lambda table: table.notna(), None)


def _recorded(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    if any("injected-parameters" in cell["metadata"].get("tags", []) for cell in cells):
        return []
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [output["metadata"]["claim"] for output in outputs if "claim" in output.get("metadata", {})]


def _claim(id):
    if id not in _claims():
        raise ValueError(f"{id} is not in the ledger, which has {len(_claims())} claims: see claims.ledger()")
    return _claims()[id]


def _judge(id, claim, evidence):
    if "reason" in evidence:
        return "not testable here"
    if "conditions" in evidence:
        if len(evidence["conditions"]) < 2:
            raise ValueError(f"{id} takes two conditions or more: with one, give effect or difference")
        return combined([_judge_one(id, claim, found) for found in evidence["conditions"].values()])
    if "effect" in evidence:
        return _judge_one(id, claim, [evidence["effect"], *evidence["interval"]])
    return _judge_one(id, claim, evidence["difference"])


def _judge_one(id, claim, found):
    direction = claim.get("direction")
    if isinstance(found, list) != bool(direction):
        takes = f"an effect ({direction}) with its interval" if direction else "a difference"
        raise ValueError(f"{id} is tested by {takes}, in the unit: {claim['unit']}")
    try:
        if not direction:
            return verdict_of_difference(found, claim["matters"])
        return verdict(*found, matters=claim["matters"], direction=direction)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{id}: {error}") from None


def _plain(value):
    if not hasattr(value, "tolist"):
        raise TypeError(f"a claim keeps numbers, texts and lists, got {type(value).__name__}")
    return value.tolist()
