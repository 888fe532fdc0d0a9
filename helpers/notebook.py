"""What every notebook needs: one seed, checked parameters, and bands for results that vary by machine."""

import numbers
import random

import numpy as np

from helpers import claims, plots


def setup(seed, *, keras=False):
    """Seed everything from one number and set the look of figures; keras=True: Keras and its kernels too."""
    plots.style()
    random.seed(seed)
    np.random.seed(seed)
    if keras:
        from helpers.finetuning import make_reproducible

        make_reproducible(seed)


def check(**rules):
    """Stop the notebook when a parameter has a value that it does not take.

    rules  : name=(value, low, high) for a number (int bounds want a whole number), name=(value, [choices]) for a choice
    errors : ValueError, one sentence that names the parameter, its value and what it takes

    >>> check(n_train=(500, 20, 4_000), language=("en", ["en", "zh"]))
    >>> check(n_train=(7, 20, 4_000))
    Traceback (most recent call last):
    ValueError: parameter n_train is 7; it takes a whole number from 20 to 4,000
    """
    for name, (value, *allowed) in rules.items():
        if isinstance(allowed[0], list):
            good = any(value == choice and type(value) is type(choice) for choice in allowed[0])
            takes = "one of " + ", ".join(map(repr, allowed[0]))
        else:
            low, high = allowed
            whole = isinstance(low, int)
            kind = numbers.Integral if whole else numbers.Real
            good = isinstance(value, kind) and not isinstance(value, bool) and low <= value <= high
            takes = f"a {'whole ' if whole else ''}number from {low:,} to {high:,}"
        if not good:
            raise ValueError(f"parameter {name} is {value!r}; it takes {takes}")


def band(name, value, low, high):
    """Print a result to three digits and whether it lies where it should, and return whether it does.

    The value differs from processor to processor: nbval compares all but the digits after ≈ (tests/nbval.cfg).

    >>> band("held-out accuracy", 0.8132, 0.78, 0.84)
    held-out accuracy ≈ .813, band .78–.84: inside
    True
    """
    claims.report(name, value)
    inside = bool(low <= value <= high)
    about = _short(float(f"{value:.3g}"))
    print(f"{name} ≈ {about}, band {_short(low)}–{_short(high)}: {'inside' if inside else 'outside'}")
    return inside


def _short(number):
    return f"{number:.4g}".removeprefix("0") if 0 < number < 1 else f"{number:g}"
