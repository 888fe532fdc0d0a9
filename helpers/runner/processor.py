"""Another make of processor, simulated: a command runs with the vector instructions of this one switched off.

    python -m helpers.runner.processor older pytest tests

Processors differ in the last digits of sums and in how a sort that is not stable orders ties. What NumPy,
oneDNN (the library that multiplies for TensorFlow) and OpenBLAS choose by the processor is set here by hand:
    older    NumPy without the instructions that it picks at run time, oneDNN held to AVX2, OpenBLAS's kernel of an
             older processor
    without  the same, and TensorFlow without oneDNN, which is slow
"""

import os
import subprocess
import sys

import numpy as np

SETTINGS = ("older", "without")


def environment(setting="older"):
    """The environment variables of a setting, {name: value}, as they differ from this machine's own choices."""
    if setting not in SETTINGS:
        raise ValueError(f"there is no setting {setting!r} of a processor; there are {', '.join(SETTINGS)}")
    features, dispatched = np._core._multiarray_umath.__cpu_features__, np._core._multiarray_umath.__cpu_dispatch__
    present = [name for name in dispatched if features.get(name)]
    variables = {
        "NPY_DISABLE_CPU_FEATURES": " ".join(present),
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell" if features.get("X86_V4") or features.get("AVX512F") else "Nehalem",
    }
    return variables | ({"TF_ENABLE_ONEDNN_OPTS": "0"} if setting == "without" else {})


def main(arguments=None):
    """Run a command under a setting; returns its exit status."""
    setting, *command = sys.argv[1:] if arguments is None else arguments
    return subprocess.run(command, env=os.environ | environment(setting)).returncode


if __name__ == "__main__":
    sys.exit(main())
