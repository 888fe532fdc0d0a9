"""Which settings can be trained with: one sentence for each that cannot."""

import math
import numbers

PRECISIONS = [None, "float32", "mixed_bfloat16", "mixed_float16"]


def _number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)


def _whole(value, least=1):
    return _number(value) and isinstance(value, numbers.Integral) and value >= least


RULES = {  # setting: whether a value is right, and what would be
    "epochs": (_whole, "a whole number from 1"),
    "batch_size": (_whole, "a whole number from 1"),
    "layers": (_whole, "a whole number from 1"),
    "pad_to": (lambda n: _whole(n) and n in (1, 2, 4, 8, 16), "1, 2, 4, 8 or 16"),
    "rank": (_whole, "a whole number from 1"),
    "alpha": (lambda alpha: alpha is None or (_number(alpha) and alpha > 0), "None or a number above 0"),
    "learning_rate": (lambda rate: _number(rate) and rate > 0, "a number above 0"),
    "warmup": (lambda share: _number(share) and 0 <= share <= 1, "a share from 0 to 1"),
    "weight_decay": (lambda decay: _number(decay) and decay >= 0, "a number from 0"),
    "layer_decay": (lambda decay: _number(decay) and 0 < decay <= 1, "a factor above 0, up to 1"),
    "clip_norm": (lambda norm: norm is None or (_number(norm) and norm > 0), "None or a number above 0"),
    "label_smoothing": (lambda share: _number(share) and 0 <= share < 1, "a share from 0 to below 1"),
    "patience": (lambda n: n is None or _whole(n), "None or a whole number from 1"),
    "seed": (lambda seed: _whole(seed, 0) and seed < 2**32, "a whole number from 0, below 2³²"),
    "restore_best": (lambda value: isinstance(value, bool), "True or False"),
    "precision": (PRECISIONS.__contains__, f"one of {', '.join(map(repr, PRECISIONS))}"),
}


def check(settings):
    """ValueError, one sentence, for the first of these settings that cannot be trained with.

    settings : {name: value}; what has no rule is passed over
    """
    for name, (right, wanted) in RULES.items():
        if name in settings and not right(settings[name]):
            raise ValueError(f"{name} is {settings[name]!r}: give {wanted}")
    if settings["patience"] is not None and settings["valid"] is None:
        raise ValueError("patience needs valid: give texts and labels to tell by when to stop")
