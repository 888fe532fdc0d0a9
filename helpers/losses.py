"""Losses in NumPy, each with its gradient: cross-entropy for two classes and for many, mean squared error.

A loss takes labels first, then predictions, as Keras does. Each returns `Loss(value, gradient)`, the gradient with
respect to the predictions as given: to probabilities, or with from_logits=True to logits. By the chain rule a linear
model `logits = features @ w` has the gradient `features.T @ loss.gradient` with respect to its parameters.

Common to all
    y, predictions : (n,) or (n, k), both of one shape, n ≥ 1, finite; y is converted to the dtype of the predictions
    weights        : (n,) weight of each row, ≥ 0, or None
    class_weights  : (classes,) weight of each class, ≥ 0, or None; a row is weighted by that of its class
    returns        : value, a scalar, and gradient, of the predictions' shape, both in their dtype if that is float32
                     or float64, else in float64
    errors         : ValueError, one sentence

A row's loss is multiplied by its weights, then the sum is divided by the number of rows, not by the sum of the weights.
That is what Keras does by default ("sum_over_batch_size"), whether weights come as `sample_weight` or `class_weight`.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

PROBABILITY_SUM = 1e-3  # how far a row's probabilities may be from 1 in sum


class Loss(NamedTuple):
    value: np.floating
    gradient: np.ndarray


def binary_cross_entropy(y, predictions, *, from_logits=False, smoothing=0.0, weights=None, class_weights=None):
    """Mean over rows and columns of −y log p − (1 − y) log(1 − p), in nats.

    y             : in [0, 1]; with class_weights = (of 0, of 1) one column of labels 0 and 1
    predictions   : p in [0, 1], or logits z with p = 1 / (1 + exp(−z))
    smoothing     : s in [0, 1) moves y to y (1 − s) + s / 2
    from p        : nothing is clipped. A label that p excludes costs inf, with an infinite gradient
    from logits   : log(1 + exp(±z)) without overflow; finite for all finite logits, and exact in both tails

    >>> loss = binary_cross_entropy([1, 0], [0.5, 0.75])
    >>> round(loss.value / np.log(2), 6), loss.gradient.tolist()
    (np.float64(1.5), [-1.0, 2.0])
    """
    y, predictions = _pair(y, predictions, from_logits)
    scale = _scale(y, predictions.dtype, weights, class_weights)
    y = _smoothed(y, smoothing, 2)
    if from_logits:
        losses = y * np.logaddexp(0, -predictions) + (1 - y) * np.logaddexp(0, predictions)
        slopes = (1 - y) * special.expit(predictions) - y * special.expit(-predictions)
    else:
        losses = -special.xlogy(y, predictions) - special.xlogy(1 - y, 1 - predictions)
        slopes = _ratio(1 - y, 1 - predictions) - _ratio(y, predictions)
    return _mean(losses, slopes, scale)


def categorical_cross_entropy(y, predictions, *, from_logits=False, smoothing=0.0, weights=None, class_weights=None):
    """Mean over rows of −Σ_k y_k log p_k, with one class a column.

    y             : (n, k ≥ 2), rows that sum to 1: `np.eye(k)[labels]` for whole labels. class_weights: (k,)
    predictions   : (n, k) probabilities whose rows sum to 1, or logits z with p = softmax(z)
    smoothing     : s in [0, 1) moves y to y (1 − s) + s / k
    from p        : nothing is clipped or rescaled. Keras divides each row by its sum first, so that its gradient is
                    this one plus a constant of the row; no step within the probabilities tells the two apart
    from logits   : by log-sum-exp; the same for z and z + constant

    >>> round(categorical_cross_entropy([[0, 1]], [[1000.0, 998.0]], from_logits=True).value, 4)
    np.float64(2.1269)
    """
    y, predictions = _pair(y, predictions, from_logits)
    if y.ndim != 2 or y.shape[1] < 2:
        raise ValueError(f"categorical cross-entropy takes two columns or more, one a class, got shape {y.shape}")
    _check_sums("y", y)
    if not from_logits:
        _check_sums("predictions", predictions)
    scale = _scale(y.argmax(axis=1), predictions.dtype, weights, class_weights)
    y = _smoothed(y, smoothing, y.shape[1])
    if from_logits:
        losses = -y * special.log_softmax(predictions, axis=1)
        slopes = special.softmax(predictions, axis=1) - y
    else:
        losses = -special.xlogy(y, predictions)
        slopes = -_ratio(y, predictions)
    return _mean(losses.sum(axis=1), slopes, scale)


def mean_squared_error(y, predictions, *, from_logits=False, weights=None, class_weights=None):
    """Mean over rows and columns of (y − ŷ)², in the squared unit of y.

    predictions   : ŷ, any finite numbers; or logits z with ŷ = 1 / (1 + exp(−z)), a classifier's squared error
    class_weights : takes one column of whole labels 0, 1, …

    >>> mean_squared_error([1.0, 0.0], [3.0, 1.0])
    Loss(value=np.float64(2.5), gradient=array([2., 1.]))
    """
    y, predictions = _pair(y, predictions, True)
    scale = _scale(y, predictions.dtype, weights, class_weights)
    p = special.expit(predictions) if from_logits else predictions
    slopes = 2 * (p - y)
    if from_logits:
        slopes = slopes * p * special.expit(-predictions)
    return _mean((y - p) ** 2, slopes, scale)


def numerical_gradient(function, x, step=1e-5):
    """Gradient of a scalar function by central differences: (f(x + h) − f(x − h)) / 2h for each number in x.

    function : takes an array of x's shape, in float64
    step     : h > 0. The formula's own error falls with h², that of rounding grows with 1/h; 1e-5 is near the best
               for functions and x of size 1
    returns  : float64 array of x's shape

    >>> numerical_gradient(lambda x: (x**2).sum(), [1.0, -3.0]).round(6).tolist()
    [2.0, -6.0]
    """
    if not step > 0:
        raise ValueError(f"step must be above 0, such as 1e-5, got {step}")
    x = np.array(x, dtype=np.float64)
    gradient = np.empty_like(x)
    for at in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[at] += step
        down[at] -= step
        gradient[at] = (function(up) - function(down)) / (2 * step)
    return gradient


def _pair(y, predictions, any_number):
    """Labels and predictions as arrays of one shape and float dtype, checked."""
    predictions = np.asarray(predictions)
    if predictions.dtype not in (np.float32, np.float64):
        predictions = predictions.astype(np.float64)
    y = np.asarray(y, dtype=predictions.dtype)
    if y.shape != predictions.shape or y.ndim not in (1, 2) or not y.size:
        raise ValueError(
            f"y and predictions must have one shape, (n,) or (n, k), got {y.shape} and {predictions.shape}"
        )
    if not (np.isfinite(y).all() and np.isfinite(predictions).all()):
        raise ValueError("y and predictions must be finite numbers: drop or repair rows with NaN or infinity first")
    if not any_number and not ((predictions >= 0) & (predictions <= 1)).all():
        raise ValueError("probabilities must lie in [0, 1]: if these predictions are logits, say from_logits=True")
    return y, predictions


def _smoothed(y, smoothing, n_classes):
    if not ((y >= 0) & (y <= 1)).all():
        raise ValueError(f"labels of cross-entropy must lie in [0, 1], got {y.min()} to {y.max()}")
    if not 0 <= smoothing < 1:
        raise ValueError(f"smoothing must lie in [0, 1), such as 0.1, got {smoothing}")
    return y * (1 - smoothing) + smoothing / n_classes


def _check_sums(name, rows):
    off = np.abs(rows.sum(axis=1) - 1).max()
    if off > PROBABILITY_SUM:
        raise ValueError(f"each row of {name} must sum to 1, one is off by {off:.3g}")


def _scale(classes, dtype, weights, class_weights):
    """What each row's loss counts, (n,)."""
    scale = np.ones(len(classes), dtype)
    if class_weights is not None:
        class_weights = np.asarray(class_weights, dtype)
        if classes.size != len(classes) or not np.isin(classes, np.arange(len(class_weights))).all():
            raise ValueError(
                f"{len(class_weights)} class weights take one column of whole labels from 0 to {len(class_weights) - 1}"
            )
        scale = class_weights[classes.reshape(-1).astype(int)]
    if weights is not None:
        weights = np.asarray(weights, dtype)
        if weights.shape != scale.shape:
            raise ValueError(f"weights must have shape {scale.shape}, one a row, got {weights.shape}")
        scale = scale * weights
    if not (np.isfinite(scale).all() and (scale >= 0).all()):
        raise ValueError("weights must be finite and 0 or more")
    return scale


def _ratio(label, probability):
    """label / probability, where 0/0 is 0: what a label rules out has no part in the loss."""
    with np.errstate(divide="ignore"):
        return np.divide(label, probability, out=np.zeros_like(probability), where=label > 0)


def _mean(losses, slopes, scale):
    """Weighted mean over all of `losses`, and the gradient that belongs to it; a row of weight 0 has no part in it."""
    weighted = []
    for values in (losses, slopes):
        factor = np.broadcast_to(scale.reshape(-1, *[1] * (values.ndim - 1)), values.shape)
        weighted.append(np.multiply(values, factor, out=np.zeros_like(values), where=factor > 0))
    return Loss(weighted[0].mean(), weighted[1] / losses.dtype.type(losses.size))
