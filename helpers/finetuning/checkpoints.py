"""The state of a training run in one file, so that the run survives a kill at any moment.

The file is written whole beside the old one and then takes its place: whenever the power goes, one of the two is there.
It is NumPy's .npz, read without pickle. A sha256 tells damage: the checksums of .npz leave parts of it out.
"""

import contextlib
import hashlib
import json
import os
import warnings
import zipfile
from pathlib import Path

import keras
import numpy as np

FILE = "checkpoint.npz"
ASIDE = ["texts", "labels", "checkpoint", "progress"]  # settings that do not tell a run


def fingerprint(settings, content, model):
    """What a checkpoint must agree in to be of one run, {name: text}: settings, content, start weights, software.

    settings : {name: value}, the arguments of the call; what `content` names, and how it is watched, is left out
    content  : {name: what is trained on}, told by its repr
    """

    def digest(parts):
        found = hashlib.sha256()
        for part in parts:
            found.update(part)
        return found.hexdigest()[:16]

    aside = {*ASIDE, *content}
    run = {name: repr(value) for name, value in settings.items() if name not in aside}
    run |= {name: digest([repr(value).encode()]) for name, value in content.items()}
    return run | {
        "start weights": digest(keras.ops.convert_to_numpy(variable.value).tobytes() for variable in model.weights),
        "Keras": f"{keras.__version__} on {keras.backend.backend()}",
    }


def save(folder, run, state, arrays):
    """Store a run's state; a disk that is full leaves the checkpoint before as it is, with a warning.

    run    : {setting: its value as text}, what tells this run from others
    state  : what JSON takes
    arrays : list of arrays
    """
    about = {"run": run, "state": state, "sha256": _sha256(arrays)}
    path = Path(folder) / FILE
    partial = path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            np.savez(file, *arrays, about=json.dumps(about))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        kept = "the one before stays" if path.exists() else "there is none yet"
        warnings.warn(f"no checkpoint was written to {path} ({error.strerror or error}): {kept}", stacklevel=2)


def load(folder, run):
    """The state and arrays of this very run; None if there is no checkpoint or, with a warning, a damaged one.

    errors : ValueError for a checkpoint of another run, which names what differs
    """
    path = Path(folder) / FILE
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            arrays = [file[f"arr_{i}"] for i in range(len(file.files) - 1)]
        if _sha256(arrays) != about["sha256"]:
            raise ValueError("its arrays are not those that were stored")
        other, state = about["run"], about["state"]
    except (OSError, EOFError, ValueError, KeyError, RuntimeError, zipfile.BadZipFile) as error:
        warnings.warn(f"the checkpoint {path} is damaged ({error}): training starts anew", stacklevel=2)
        return None
    if different := [name for name in run.keys() | other.keys() if run.get(name) != other.get(name)]:
        raise ValueError(
            f"the checkpoint {path} is of another run, with other {', '.join(sorted(different))}: "
            "give another folder or delete it"
        )
    return state, arrays


def _sha256(arrays):
    digest = hashlib.sha256()
    for array in map(np.asarray, arrays):
        digest.update(f"{array.dtype.str} {array.shape} ".encode() + array.tobytes())
    return digest.hexdigest()
