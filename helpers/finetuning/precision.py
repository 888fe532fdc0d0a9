"""Which machines train in 16 bits."""

import os
from pathlib import Path

import keras

# what /proc/cpuinfo calls the instructions that multiply bfloat16: of Intel and AMD, and of ARM
INSTRUCTIONS = {"avx512_bf16", "amx_bf16", "bf16"}
# oneDNN, which multiplies for TensorFlow, uses them unless this variable holds it to an older processor
WITH_BFLOAT16 = (
    "",
    "ALL",
    "DEFAULT",
    "AVX512_CORE_BF16",
    "AVX512_CORE_FP16",
    "AVX512_CORE_AMX",
    "AVX512_CORE_AMX_FP16",
)


def sixteen_bits(cpuinfo="/proc/cpuinfo"):
    """The dtype policy for training in 16 bits where this machine has the instructions for it, else "float32".

    cpuinfo : file that names the processor's instructions; without it (macOS, Windows) the answer is "float32"
    returns : "mixed_bfloat16" with a GPU or with a processor that multiplies bfloat16; others emulate it, and take two
              to ten times as long as in float32
    """
    if keras.distribution.list_devices("gpu"):
        return "mixed_bfloat16"
    held = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper() not in WITH_BFLOAT16
    if held or not Path(cpuinfo).exists():
        return "float32"
    words = set(Path(cpuinfo).read_text(encoding="utf8", errors="replace").split())
    return "mixed_bfloat16" if words & INSTRUCTIONS else "float32"
