"""Theory: optimizers, each a rule that turns a gradient into a step of the parameters, in NumPy and in Keras's form.

A function such as `adam(0.001)` takes the settings and returns the rule
    update(parameters, gradient, state) -> (new parameters, new state)
with state None before the first step. A rule changes none of its arguments, so a run can be resumed or branched at any
step. Parameters are a float array of any shape, the gradient has the same shape, and results keep the dtype of the
parameters.

Each rule takes the steps of Keras 3's optimizer of that name (helpers are tested against it over 1,000 steps). Keras
computes with the dtype of the weights, but keeps the learning rate in float32: a rate such as 0.1 is off by 1.5e-8 of
itself there, one such as 2**-7 is exact.
"""

import numbers

import numpy as np


def sgd(learning_rate):
    """Gradient descent: step = −α·g. With the gradient of a random batch it is *stochastic* gradient descent.

    learning_rate : α > 0
    returns       : update; its state stays None
    source        : Robbins & Monro 1951, eq. 6; keras.optimizers.SGD

    >>> update = sgd(0.1)
    >>> update(np.array([1.0]), np.array([2.0]), None)
    (array([0.8]), None)
    """
    _check_settings(learning_rate)

    def update(parameters, gradient, state):
        parameters, gradient = _check_arrays(parameters, gradient)
        return parameters - learning_rate * gradient, None

    return update


def momentum(learning_rate, beta=0.9):
    """SGD that remembers: velocity u ← β·u − α·g, step = u.

    beta    : 0 ≤ β < 1, what is left of the velocity after a step; a constant gradient ends with steps of α / (1 − β)
    returns : update; its state is the velocity
    source  : Polyak 1964, eq. 9; Sutskever et al. 2013, eq. 1–2; keras.optimizers.SGD(momentum=β)
    """
    return _heavy_ball(learning_rate, beta, look_ahead=False)


def nesterov(learning_rate, beta=0.9):
    """Momentum with the gradient taken where the velocity is about to lead: u ← β·u − α·g, step = β·u − α·g.

    The parameters here, as in Keras, are the point looked at, φ = θ + β·u of the usual form. There θ moves by
    u ← β·u − α·∇J(θ + β·u); both forms see the same gradients.

    beta    : 0 ≤ β < 1
    returns : update; its state is the velocity
    source  : Nesterov 1983; Sutskever et al. 2013, eq. 3–4; keras.optimizers.SGD(momentum=β, nesterov=True)
    """
    return _heavy_ball(learning_rate, beta, look_ahead=True)


def _heavy_ball(learning_rate, beta, look_ahead):
    _check_settings(learning_rate, beta=beta)

    def update(parameters, gradient, state):
        parameters, gradient = _check_arrays(parameters, gradient)
        velocity = beta * (np.zeros_like(parameters) if state is None else state) - learning_rate * gradient
        step = beta * velocity - learning_rate * gradient if look_ahead else velocity
        return parameters + step, velocity

    return update


def rmsprop(learning_rate, rho=0.9, epsilon=1e-7):
    """A rate for each weight: v ← ρ·v + (1 − ρ)·g², step = −α·g / √(v + ε). Note the ε inside the root, as in Keras.

    rho     : 0 ≤ ρ < 1; epsilon : ε > 0
    returns : update; its state is v, which starts at 0 and is not corrected, so that the first step is about
              α / √(1 − ρ) long: 3.2·α
    source  : Tieleman & Hinton 2012, lecture 6.5 (without ε); keras.optimizers.RMSprop
    """
    _check_settings(learning_rate, epsilon, rho=rho)

    def update(parameters, gradient, state):
        parameters, gradient = _check_arrays(parameters, gradient)
        mean_square = np.zeros_like(parameters) if state is None else state
        mean_square = rho * mean_square + (1 - rho) * gradient**2
        return parameters - learning_rate * gradient / np.sqrt(mean_square + epsilon), mean_square

    return update


def adam(learning_rate, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """RMSProp with momentum, both running means corrected for their start at 0.

    m ← β₁·m + (1 − β₁)·g,   v ← β₂·v + (1 − β₂)·g²,   step = −α·√(1 − β₂ᵗ) / (1 − β₁ᵗ) · m / (√v + ε)

    beta_1, beta_2 : 0 ≤ β < 1; epsilon : ε > 0
    returns        : update; its state is (t, m, v) with t the number of steps taken
    source         : Kingma & Ba 2015, end of §2, keras.optimizers.Adam. There ε (the paper's ε̂) is added before v is
                     corrected. Algorithm 1 of the paper adds it after, which is the same as ε·√(1 − β₂ᵗ) here.

    >>> update = adam(0.1)
    >>> parameters, (t, m, v) = update(np.array([1.0, 1.0]), np.array([100.0, 0.001]), None)
    >>> parameters.round(3)
    array([0.9, 0.9])
    """
    _check_settings(learning_rate, epsilon, beta_1=beta_1, beta_2=beta_2)

    def update(parameters, gradient, state):
        parameters, gradient = _check_arrays(parameters, gradient)
        t, mean, mean_square = (0, np.zeros_like(parameters), np.zeros_like(parameters)) if state is None else state
        t += 1
        mean = beta_1 * mean + (1 - beta_1) * gradient
        mean_square = beta_2 * mean_square + (1 - beta_2) * gradient**2
        rate = learning_rate * (1 - beta_2**t) ** 0.5 / (1 - beta_1**t)
        return parameters - rate * mean / (np.sqrt(mean_square) + epsilon), (t, mean, mean_square)

    return update


def adamw(learning_rate, weight_decay=0.004, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    """Adam, and beside it a pull of every weight towards 0: θ ← θ − α·λ·θ, then Adam's step.

    The pull is not part of the gradient, so that v does not divide it away: that is the difference from an L2 penalty.

    weight_decay : λ ≥ 0. As in Keras the rate α multiplies it; in the paper λ stands alone, times the schedule
    returns      : update; its state is that of `adam`
    source       : Loshchilov & Hutter 2019, algorithm 2; keras.optimizers.AdamW
    """
    if not (_is_number(weight_decay) and 0 <= weight_decay < np.inf):
        raise ValueError(f"weight_decay is {weight_decay!r}: give a number from 0")
    step = adam(learning_rate, beta_1, beta_2, epsilon)

    def update(parameters, gradient, state):
        parameters, gradient = _check_arrays(parameters, gradient)
        return step(parameters - learning_rate * weight_decay * parameters, gradient, state)

    return update


def descend(update, gradient, start, steps):
    """Follow a rule from a starting point.

    update   : a rule, such as sgd(0.1)
    gradient : function from parameters to a gradient of the same shape
    start    : float array, any shape
    steps    : whole number ≥ 0
    returns  : array (steps + 1, *shape of start): the start and the point after each step. A run that diverges is
               followed all the same: its last rows may be inf or nan
    """
    if not (isinstance(steps, numbers.Integral) and steps >= 0):
        raise ValueError(f"steps is {steps!r}: give a whole number from 0")
    points, state = [np.asarray(start)], None
    with np.errstate(over="ignore", invalid="ignore"):
        for _ in range(steps):
            point, state = update(points[-1], gradient(points[-1]), state)
            points.append(point)
    return np.stack(points)


def _check_settings(learning_rate, epsilon=1.0, **shares):
    for name, value in {"learning_rate": learning_rate, "epsilon": epsilon}.items():
        if not (_is_number(value) and 0 < value < np.inf):
            raise ValueError(f"{name} is {value!r}: give a number above 0")
    for name, value in shares.items():
        if not (_is_number(value) and 0 <= value < 1):
            raise ValueError(f"{name} is {value!r}: give a number from 0 to below 1")


def _is_number(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _check_arrays(parameters, gradient):
    parameters, gradient = np.asarray(parameters), np.asarray(gradient)
    if not np.issubdtype(parameters.dtype, np.floating):
        raise ValueError(f"parameters are of type {parameters.dtype}: give floats, such as float64")
    if gradient.shape != parameters.shape:
        raise ValueError(f"gradient has shape {gradient.shape}, parameters {parameters.shape}: give equal shapes")
    return parameters, gradient.astype(parameters.dtype, copy=False)
