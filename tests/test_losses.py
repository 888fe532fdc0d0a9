"""losses: values worked by hand, Keras, finite differences and automatic differentiation.

A test marked `equation("2.k")` evaluates the k-th displayed equation of notebook 02.
"""

import doctest

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special

from helpers import losses

BINARY, CATEGORICAL, SQUARED = (
    losses.binary_cross_entropy,
    losses.categorical_cross_entropy,
    losses.mean_squared_error,
)
LOG2, LOG3, LOG7 = np.log(2.0), np.log(3.0), np.log(7.0)

# the four rows of notebook 02: the true label always gets a power of two
Y = np.array([1.0, 1.0, 0.0, 1.0])
P = np.array([1 / 2, 1 / 4, 3 / 4, 1 / 8])
Z = np.array([0.0, -LOG3, LOG3, -LOG7])


def exact(value):
    return pytest.approx(value, rel=0, abs=1e-14)


def keras_gradient(loss, y, features, weights, *after, activation=None, **options):
    """Keras's automatic gradient over the weights: one step of descent at rate 1 moves them by minus it."""
    linear = keras.layers.Dense(weights.shape[1], activation=activation, use_bias=False, dtype="float64")
    model = keras.Sequential([keras.Input(weights.shape[:1], dtype="float64"), linear, *after])
    model.compile(keras.optimizers.SGD(learning_rate=1.0), loss, run_eagerly=True)
    linear.set_weights([weights])
    model.train_on_batch(features, y, **options)
    return weights - linear.get_weights()[0]


def by_logit(loss, y, z, **options):
    """Keras's gradient over logits (n, k): features are the identity."""
    return keras_gradient(loss, y, np.eye(len(z)), z, **options)


def problem(seed, n=7, k=3):
    """Random features (n, k), weights (k, 1) and labels (n, 1) of 0 and 1."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, k)), rng.normal(size=(k, 1)), rng.integers(0, 2, (n, 1)).astype(float)


def classes(seed, n=6, k=4):
    """Random logits (n, k) and one-hot labels."""
    rng = np.random.default_rng(seed)
    return 3 * rng.normal(size=(n, k)), np.eye(k)[rng.integers(0, k, n)]


def test_examples_in_the_docstrings():
    assert doctest.testmod(losses).failed == 0


# --- the equations of notebook 02 -----------------------------------------------------------------------------------


@pytest.mark.equation("2.1")
def test_binary_cross_entropy():
    by_hand = 1.3862943611198906  # (1 + 2 + 2 + 3) log 2 / 4
    formula = -np.mean(Y * np.log(P) + (1 - Y) * np.log(1 - P))
    in_keras = float(keras.losses.BinaryCrossentropy(dtype="float64")(Y[:, None], P[:, None]))
    assert [formula, BINARY(Y, P).value, in_keras] == [exact(by_hand)] * 3


@pytest.mark.equation("2.2")
def test_gradient_over_the_probability():
    by_hand = np.array([-2, -4, 4, -8]) / 4
    formula = (P - Y) / (P * (1 - P)) / 4
    automatic = by_logit(keras.losses.BinaryCrossentropy(dtype="float64"), Y[:, None], P[:, None]).ravel()
    assert BINARY(Y, P).gradient.tolist() == formula.tolist() == by_hand.tolist()
    assert automatic == exact(by_hand)


@pytest.mark.equation("2.3")
def test_central_difference_on_a_cubic_whose_error_is_known():
    """(x + h)³ − (x − h)³ = 6 x² h + 2 h³: the quotient is 3 x² + h², so its error is h²."""
    for h in (1.0, 0.5, 0.25):
        assert losses.numerical_gradient(lambda x: (x**3).sum(), [2.0, -1.0], h) == exact(np.array([12, 3]) + h**2)


@pytest.mark.equation("2.4")
def test_sigmoid_and_its_slope():
    assert special.expit(Z) == exact(P)
    assert losses.numerical_gradient(lambda z: special.expit(z).sum(), Z) == pytest.approx(P * (1 - P), abs=1e-9)
    assert (P * (1 - P)).tolist() == [1 / 4, 3 / 16, 3 / 16, 7 / 64]
    # Σ z p has the gradient p (1 − p) at z by Keras: a linear layer with a sigmoid, and mean absolute error to 0
    absolute = keras.losses.MeanAbsoluteError(reduction="sum", dtype="float64")
    automatic = by_logit(absolute, np.zeros((4, 1)), Z[:, None], activation="sigmoid").ravel()
    assert automatic == exact(P * (1 - P))


@pytest.mark.equation("2.5")
def test_gradient_over_the_logit():
    by_hand = np.array([-1 / 2, -3 / 4, 3 / 4, -7 / 8]) / 4
    loss = keras.losses.BinaryCrossentropy(from_logits=True, dtype="float64")
    assert BINARY(Y, Z, from_logits=True).gradient == exact(by_hand)
    assert by_logit(loss, Y[:, None], Z[:, None]).ravel() == exact(by_hand)


@pytest.mark.equation("2.6")
def test_gradient_over_the_parameters():
    X, w, y = problem(0)
    formula = X.T @ (special.expit(X @ w) - y) / len(y)
    helper = X.T @ BINARY(y, X @ w, from_logits=True).gradient
    automatic = keras_gradient(keras.losses.BinaryCrossentropy(from_logits=True, dtype="float64"), y, X, w)
    numerical = losses.numerical_gradient(lambda w: BINARY(y, X @ w, from_logits=True).value, w)
    assert helper == exact(formula)
    assert automatic == exact(formula)
    assert numerical == pytest.approx(formula, abs=1e-9)
    # by hand: two rows with features 2 and 4, w = 0, labels 1 and 0: (2 · −1/2 + 4 · 1/2) / 2
    two = np.array([[2.0], [4.0]])
    assert two.T @ BINARY([[1], [0]], two * 0.0, from_logits=True).gradient == exact(np.array([[0.5]]))


@pytest.mark.equation("2.7")
def test_binary_cross_entropy_from_logits():
    by_hand = {(0.0, LOG3): np.log(4), (1.0, LOG3): np.log(4 / 3), (1.0, -40.0): 40 + np.exp(-40), (0.0, 1e30): 1e30}
    stable = keras.losses.BinaryCrossentropy(from_logits=True, dtype="float64")
    for (y, z), value in by_hand.items():
        assert BINARY([y], [z], from_logits=True).value == pytest.approx(value, rel=1e-14)
        assert float(stable([[y]], [[z]])) == pytest.approx(value, rel=1e-14)
    far = BINARY([1.0], [40.0], from_logits=True)  # where 1 − p is 0 in float64: exact in the tail all the same
    assert far.value == pytest.approx(np.exp(-40), rel=1e-14, abs=0)
    assert far.gradient == pytest.approx(-np.exp(-40), rel=1e-14, abs=0)
    assert BINARY(Y, Z, from_logits=True).value == exact(2 * LOG2)


@pytest.mark.equation("2.8")
def test_softmax():
    z = np.log([[1.0, 2.0, 5.0]])
    by_hand = np.array([[1 / 8, 2 / 8, 5 / 8]])
    assert np.exp(z) / np.exp(z).sum() == exact(by_hand)
    assert CATEGORICAL([[0, 0, 1]], z, from_logits=True).gradient + [[0, 0, 1]] == exact(by_hand)
    assert keras.ops.convert_to_numpy(keras.ops.softmax(z)) == exact(by_hand)


@pytest.mark.equation("2.9")
def test_categorical_cross_entropy():
    y, p = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]), np.array([[1 / 8, 1 / 4, 5 / 8], [1 / 4, 1 / 4, 1 / 2]])
    by_hand = 3 * LOG2 / 2  # log 4 and log 2
    formula = -(y * np.log(p)).sum() / 2
    in_keras = float(keras.losses.CategoricalCrossentropy(dtype="float64")(y, p))
    assert [formula, CATEGORICAL(y, p).value, in_keras] == [exact(by_hand)] * 3


@pytest.mark.equation("2.10")
def test_log_sum_exp():
    z = np.log([1.0, 2.0, 5.0]) + 1000
    m = z.max()
    by_hand = 1000 + np.log(8)
    assert m + np.log(np.exp(z - m).sum()) == pytest.approx(by_hand, rel=1e-15)
    assert float(keras.ops.logsumexp(z)) == pytest.approx(by_hand, rel=1e-15)
    loss = CATEGORICAL([[1.0, 0.0, 0.0]], z[None], from_logits=True).value  # log-sum-exp − z of the true class
    assert loss == pytest.approx(np.log(8), rel=1e-12)


@pytest.mark.equation("2.11")
def test_categorical_gradient_over_the_logits():
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, dtype="float64")
    found = CATEGORICAL([[0, 1, 0]], np.log([[1.0, 2.0, 5.0]]), from_logits=True)
    assert found.gradient == exact(np.array([[1 / 8, -6 / 8, 5 / 8]]))
    z, y = classes(1)
    assert CATEGORICAL(y, z, from_logits=True).gradient == exact(by_logit(loss, y, z))


@pytest.mark.equation("2.12")
def test_label_smoothing():
    # by hand: K = 2, s = .1 make .95 of 1, whose loss is lowest at log 19; K = 4, s = .2: .85 and .05
    assert BINARY([1.0], [np.log(19)], from_logits=True, smoothing=0.1).gradient == exact(np.zeros(1))
    even = CATEGORICAL([[1.0, 0, 0, 0]], [[0.85, 0.05, 0.05, 0.05]], smoothing=0.2)
    assert even.value == exact(-0.85 * np.log(0.85) - 0.15 * np.log(0.05))
    z, y = classes(2)
    for kind, ours, labels, logits in [
        (keras.losses.CategoricalCrossentropy, CATEGORICAL, y, z),
        (keras.losses.BinaryCrossentropy, BINARY, y[:, :1], z[:, :1]),
    ]:
        loss = kind(from_logits=True, label_smoothing=0.3, dtype="float64")
        found = ours(labels, logits, from_logits=True, smoothing=0.3)
        assert found.value == exact(float(loss(labels, logits)))
        assert found.gradient == exact(by_logit(loss, labels, logits))


@pytest.mark.equation("2.13")
@pytest.mark.parametrize("name", ["binary", "categorical", "squared"])
def test_weights(name):
    # by hand: four rows of log 2, class 1 once and with weight 3: 6 log 2 over 4 rows
    half = np.full(4, 0.5)
    assert BINARY([1, 0, 0, 0], half, class_weights=(1, 3)).value == exact(1.5 * LOG2)
    assert BINARY([1, 0, 0, 0], half, weights=[3, 1, 1, 1]).value == exact(1.5 * LOG2)
    assert SQUARED([1, 0, 0, 0], half, class_weights=(1, 3)).value == exact(6 / 16)

    z, y = classes(3)
    by_class, by_row = {0: 0.5, 1: 2.0, 2: 1.0, 3: 0.0}, np.array([1.0, 0.0, 2.0, 0.25, 1.0, 3.0])
    ours, kind, options = {
        "binary": (BINARY, keras.losses.BinaryCrossentropy, {"from_logits": True}),
        "categorical": (CATEGORICAL, keras.losses.CategoricalCrossentropy, {"from_logits": True}),
        "squared": (SQUARED, keras.losses.MeanSquaredError, {}),
    }[name]
    if name != "categorical":
        z, y = z[:, :1], y[:, :1]
    loss = kind(dtype="float64", **options)
    found = ours(y, z, weights=by_row, **options)
    assert found.value == exact(float(loss(y, z, sample_weight=by_row)))
    assert found.gradient == exact(by_logit(loss, y, z, sample_weight=by_row))
    found = ours(y, z, class_weights=[by_class[k] for k in range(max(2, y.shape[1]))], **options)
    assert found.gradient == pytest.approx(by_logit(loss, y, z, class_weight=by_class), abs=1e-7)  # Keras: float32


@pytest.mark.equation("2.14")
def test_mean_squared_error():
    y, predicted = np.array([3.0, -1.0, 2.0]), np.array([1.0, 0.0, 2.0])
    in_keras = float(keras.losses.MeanSquaredError(dtype="float64")(y[:, None], predicted[:, None]))
    assert [np.mean((y - predicted) ** 2), SQUARED(y, predicted).value, in_keras] == [exact(5 / 3)] * 3


@pytest.mark.equation("2.15")
def test_gradient_of_mean_squared_error():
    y, predicted = np.array([3.0, -1.0, 2.0]), np.array([1.0, 0.0, 2.0])
    by_hand = np.array([-4 / 3, 2 / 3, 0])
    automatic = by_logit(keras.losses.MeanSquaredError(dtype="float64"), y[:, None], predicted[:, None]).ravel()
    assert SQUARED(y, predicted).gradient == exact(by_hand)
    assert automatic == exact(by_hand)


@pytest.mark.equation("2.16")
def test_squared_error_through_a_sigmoid():
    by_hand = np.array([-1 / 4, -9 / 32, 9 / 32, -49 / 256]) / 4  # 2 (p − y) p (1 − p) of the four rows
    found = SQUARED(Y, Z, from_logits=True)
    loss = keras.losses.MeanSquaredError(dtype="float64")
    automatic = by_logit(loss, Y[:, None], Z[:, None], activation="sigmoid").ravel()
    assert found.gradient == exact(by_hand)
    assert automatic == exact(by_hand)
    assert found.value == exact(np.mean((Y - P) ** 2))
    grid = np.linspace(-3, 3, 6001)
    pull = [-SQUARED([1.0], [z], from_logits=True).gradient[0] for z in grid]
    assert max(pull) == pytest.approx(8 / 27, abs=1e-7)  # at p = 1/3, so z = −log 2
    assert grid[np.argmax(pull)] == pytest.approx(-LOG2, abs=1e-3)


# --- what notebook 02 says about Keras ------------------------------------------------------------------------------


def test_keras_clips_probabilities_and_the_helper_does_not():
    clipped = float(keras.losses.BinaryCrossentropy(dtype="float64")([[1.0]], [[1e-12]]))
    assert clipped == pytest.approx(-np.log(1e-7))
    assert BINARY([1.0], [1e-12]).value == pytest.approx(-np.log(1e-12))


def test_keras_divides_class_probabilities_by_their_sum_which_adds_a_constant_of_the_row_to_the_gradient():
    z, y = classes(4)
    p = special.softmax(z, axis=1)
    ours = CATEGORICAL(y, p)
    loss = keras.losses.CategoricalCrossentropy(dtype="float64")
    assert ours.value == exact(float(loss(y, p)))
    # the derivative of log Σ p is 1 where the probabilities sum to 1; here divided by the number of rows
    assert by_logit(loss, y, p) == pytest.approx(ours.gradient + 1 / len(y), rel=1e-10)
    assert ours.gradient == pytest.approx(
        losses.numerical_gradient(lambda p: CATEGORICAL(y, p).value, p, 1e-8), rel=1e-4
    )


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="only this backend looks behind a sigmoid")
def test_keras_loses_the_gradient_of_a_row_once_it_cannot_see_the_logit():
    loss, one, wrong = keras.losses.BinaryCrossentropy(dtype="float64"), np.ones((1, 1)), np.full((1, 1), -40.0)
    assert keras_gradient(loss, one, one, wrong, activation="sigmoid") == exact(-one)
    times_one = keras.layers.Rescaling(1.0, dtype="float64")
    assert keras_gradient(loss, one, one, wrong, times_one, activation="sigmoid") == exact(0 * one)


# --- properties -----------------------------------------------------------------------------------------------------

DTYPES = st.sampled_from([np.float32, np.float64])
SHAPES = st.one_of(st.tuples(st.integers(1, 6)), st.tuples(st.integers(1, 6), st.integers(2, 4)))
TOLERANCE = {np.float32: 1e-5, np.float64: 1e-13}


@st.composite
def rows(draw, size=1e4, soft=False):
    """(y, logits) of one shape and dtype; logits to ± size, with ties, labels 0 and 1 or in between."""
    dtype, shape = draw(DTYPES), draw(SHAPES)
    floats = st.one_of(st.sampled_from([0.0, -size, size]), st.floats(-size, size, width=32))
    z = draw(hnp.arrays(dtype, shape, elements=floats))
    labels = st.floats(0, 1, width=32) if soft else st.sampled_from([0.0, 1.0])
    return draw(hnp.arrays(dtype, shape, elements=labels)), z


def one_hot(y, z):
    """The same logits with a one-hot label: the class is drawn from y's bits."""
    return np.eye(z.shape[1], dtype=z.dtype)[(y.sum(axis=1).astype(int)) % z.shape[1]]


@settings(max_examples=150, deadline=None)
@given(rows(), st.floats(0, 0.9))
def test_from_logits_every_loss_is_finite_and_keeps_dtype_and_shape(pair, smoothing):
    y, z = pair
    found = [BINARY(y, z, from_logits=True, smoothing=smoothing), SQUARED(y, z, from_logits=True)]
    if z.ndim == 2:
        found.append(CATEGORICAL(one_hot(y, z), z, from_logits=True, smoothing=smoothing))
    for loss in found:
        assert np.isfinite(loss.value)
        assert loss.value >= 0
        assert np.isfinite(loss.gradient).all()
        assert loss.gradient.shape == z.shape
        assert loss.gradient.dtype == loss.value.dtype == z.dtype


def test_whole_numbers_and_half_precision_become_float64():
    for given_dtype in (np.int64, np.float16):
        loss = BINARY(np.array([1, 0]), np.array([2, -1], given_dtype), from_logits=True)
        assert loss.value.dtype == loss.gradient.dtype == np.float64


@settings(max_examples=100, deadline=None)
@given(rows(size=5.0, soft=True))
def test_probabilities_and_logits_give_one_value_and_the_chain_rule_joins_their_gradients(pair):
    y, z = (values.astype(np.float64) for values in pair)
    p = special.expit(z)
    for loss in (BINARY, SQUARED):
        from_p, from_z = loss(y, p), loss(y, z, from_logits=True)
        assert from_z.value == pytest.approx(from_p.value, rel=1e-11, abs=1e-13)
        assert from_z.gradient == pytest.approx(from_p.gradient * p * (1 - p), rel=1e-9, abs=1e-13)
    if z.ndim == 2:
        p = special.softmax(z, axis=1)
        from_p, from_z = CATEGORICAL(one_hot(y, z), p), CATEGORICAL(one_hot(y, z), z, from_logits=True)
        joined = p * (from_p.gradient - (p * from_p.gradient).sum(axis=1, keepdims=True))
        assert from_z.value == pytest.approx(from_p.value, rel=1e-11)
        assert from_z.gradient == pytest.approx(joined, rel=1e-9, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(rows(size=4.0, soft=True), st.floats(0, 0.9), st.integers(0, 99))
def test_every_gradient_agrees_with_finite_differences(pair, smoothing, seed):
    y, z = (values.astype(np.float64) for values in pair)
    weights = np.random.default_rng(seed).integers(0, 3, len(z))
    p = special.expit(z)
    cases = [
        (BINARY, y, z, 1e-5, {"from_logits": True, "smoothing": smoothing}),
        (BINARY, y, p, 1e-5, {"smoothing": smoothing}),
        (SQUARED, y, z, 1e-5, {"from_logits": True}),
        (SQUARED, y, z, 1e-5, {}),
    ]
    if z.ndim == 2:
        p, labels = special.softmax(z, axis=1), one_hot(y, z)
        cases.append((CATEGORICAL, labels, z, 1e-5, {"from_logits": True, "smoothing": smoothing}))
        cases.append((CATEGORICAL, labels, p, p.min() / 1000, {"smoothing": smoothing}))
    for loss, labels, at, step, more in cases:

        def value(x, loss=loss, labels=labels, more=more):
            return loss(labels, x, weights=weights, **more).value

        gradient = loss(labels, at, weights=weights, **more).gradient
        assert gradient == pytest.approx(losses.numerical_gradient(value, at, step), rel=1e-4, abs=1e-6)


@settings(max_examples=100, deadline=None)
@given(rows(size=50.0))
def test_keras_agrees_from_logits(pair):
    y, z = pair
    dtype = "float32" if z.dtype == np.float32 else "float64"
    column = z if z.ndim == 2 else z[:, None]
    loss = keras.losses.BinaryCrossentropy(from_logits=True, dtype=dtype)(y.reshape(column.shape), column)
    tolerance = TOLERANCE[z.dtype.type]
    assert BINARY(y, z, from_logits=True).value == pytest.approx(float(loss), rel=tolerance, abs=tolerance)
    if z.ndim == 2:
        labels = one_hot(y, z)
        loss = keras.losses.CategoricalCrossentropy(from_logits=True, dtype=dtype)(labels, z)
        found = CATEGORICAL(labels, z, from_logits=True).value
        assert found == pytest.approx(float(loss), rel=tolerance, abs=10 * tolerance)


@settings(max_examples=50, deadline=None)
@given(rows(size=50.0), st.floats(-1e3, 1e3, width=32))
def test_softmax_does_not_see_a_shift_and_two_classes_are_a_sigmoid(pair, shift):
    y, z = (values.astype(np.float64) for values in pair)
    if z.ndim == 2:
        labels = one_hot(y, z)
        moved = CATEGORICAL(labels, z + shift, from_logits=True)
        assert moved.value == pytest.approx(CATEGORICAL(labels, z, from_logits=True).value, abs=1e-10)
    y, z = y.reshape(-1), z.reshape(-1)
    two = CATEGORICAL(np.column_stack([1 - y, y]), np.column_stack([0 * z, z]), from_logits=True)
    assert two.value == pytest.approx(BINARY(y, z, from_logits=True).value, abs=1e-12)


@settings(max_examples=50, deadline=None)
@given(rows(size=50.0), st.integers(0, 99))
def test_a_row_of_weight_zero_counts_as_absent_but_for_the_number_of_rows(pair, seed):
    y, z = (values.astype(np.float64) for values in pair)
    kept = np.random.default_rng(seed).integers(0, 2, len(z)).astype(bool)
    found = BINARY(y, z, from_logits=True, weights=kept)
    assert not found.gradient[~kept].any()
    if kept.any():
        alone = BINARY(y[kept], z[kept], from_logits=True)
        assert found.value * len(z) == pytest.approx(alone.value * kept.sum(), rel=1e-12)
    else:
        assert found.value == 0


def test_probabilities_of_zero_and_one():
    """What a label rules out has no part in the loss; what it asks for and the model excludes costs infinity."""
    assert BINARY([1, 0], [1.0, 0.0]) == (0, pytest.approx([-0.5, 0.5]))
    wrong = BINARY([1, 0], [0.0, 1.0])
    assert wrong.value == np.inf
    assert wrong.gradient.tolist() == [-np.inf, np.inf]
    assert BINARY([1, 0], [0.0, 0.5], weights=[0, 1]).value == exact(LOG2 / 2)
    assert CATEGORICAL([[0, 1]], [[0.0, 1.0]]).value == 0
    assert CATEGORICAL([[1, 0]], [[0.0, 1.0]]).value == np.inf


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda: BINARY([1, 0], [0.5]), "one shape"),
        (lambda: BINARY([], []), "one shape"),
        (lambda: BINARY(np.zeros((2, 2, 2)), np.zeros((2, 2, 2))), "one shape"),
        (lambda: BINARY([1, 0], [0.5, np.nan]), "finite"),
        (lambda: BINARY([1, 0], [0.5, 1.5]), "from_logits"),
        (lambda: BINARY([1, -1], [0.5, 0.5]), "labels of cross-entropy"),
        (lambda: BINARY([1, 0], [0.5, 0.5], smoothing=1.0), "smoothing"),
        (lambda: BINARY([1, 0], [0.5, 0.5], weights=[1]), "weights must have shape"),
        (lambda: BINARY([1, 0], [0.5, 0.5], weights=[1, -1]), "0 or more"),
        (lambda: BINARY([1, 0.5], [0.5, 0.5], class_weights=(1, 2)), "class weights"),
        (lambda: SQUARED(np.eye(2), np.eye(2), class_weights=(1, 2)), "class weights"),
        (lambda: CATEGORICAL(np.eye(3), np.eye(3), class_weights=(1, 2)), "class weights"),
        (lambda: CATEGORICAL([1, 0], [0.5, 0.5]), "two columns"),
        (lambda: CATEGORICAL([[1, 1]], [[0.5, 0.5]]), "row of y"),
        (lambda: CATEGORICAL([[1, 0]], [[0.5, 0.6]]), "row of predictions"),
        (lambda: losses.numerical_gradient(np.sum, [1.0], 0), "step"),
    ],
)
def test_bad_input_is_named(call, names):
    with pytest.raises(ValueError, match=names):
        call()
