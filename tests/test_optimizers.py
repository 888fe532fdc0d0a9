"""Optimizers: values worked by hand, Keras over 1,000 steps, textbook forms, and properties over shapes and sizes."""

import ast
import doctest
import itertools
import json

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from scipy.optimize import approx_fprime

from helpers import optimizers
from helpers.optimizers import adam, adamw, descend, momentum, nesterov, rmsprop, sgd
from helpers.runner.paths import root

RULES = {"sgd": sgd, "momentum": momentum, "nesterov": nesterov, "rmsprop": rmsprop, "adam": adam, "adamw": adamw}
EXACT = {  # settings that float32 holds to the last bit, since Keras passes some of them through it
    "sgd": {},
    "momentum": {"beta": 0.875},
    "nesterov": {"beta": 0.875},
    "rmsprop": {"rho": 0.875},
    "adam": {"beta_1": 0.875, "beta_2": 1 - 2**-10},
    "adamw": {"beta_1": 0.875, "beta_2": 1 - 2**-10, "weight_decay": 2**-8},
}
STEP = 2**-7  # a learning rate that float32 holds to the last bit


def in_keras(name, learning_rate, beta=0.9, **settings):
    if name in ("sgd", "momentum", "nesterov"):
        beta = 0.0 if name == "sgd" else beta
        return keras.optimizers.SGD(learning_rate, momentum=beta, nesterov=name == "nesterov")
    rules = {"rmsprop": keras.optimizers.RMSprop, "adam": keras.optimizers.Adam, "adamw": keras.optimizers.AdamW}
    return rules[name](learning_rate, **settings)


def follow_keras(optimizer, gradients, start):
    """Points float64 (steps + 1, n) of a Keras optimizer that is fed these gradients."""
    weights, points = keras.Variable(start, dtype="float64"), [start]
    for gradient in gradients:
        optimizer.apply([keras.ops.convert_to_tensor(gradient, "float64")], [weights])
        points.append(np.array(keras.ops.convert_to_numpy(weights.value)))
    return np.stack(points)


def follow(update, gradients, start):
    """The same for a rule of ours."""
    points, state = [np.asarray(start)], None
    for gradient in gradients:
        point, state = update(points[-1], np.asarray(gradient), state)
        points.append(point)
    return np.stack(points)


def from_notebook(name, **scope):
    """A function that the notebook defines, alone with NumPy and the names in scope."""
    cells = json.loads((root() / "notebooks" / "03_optimizers.ipynb").read_text("utf8"))["cells"]
    trees = [ast.parse("".join(cell["source"])) for cell in cells if cell["cell_type"] == "code"]
    (found,) = [node for tree in trees for node in tree.body if getattr(node, "name", None) == name]
    scope["np"] = np
    exec(compile(ast.Module([found], []), name, "exec"), scope)
    return scope[name]


def test_examples_in_the_docstrings():
    assert doctest.testmod(optimizers).failed == 0


# ---- against Keras --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def gradients():
    """300 gradients of four weights of sizes 1, 100, .001 and 1e-6, every seventh of them zero."""
    found = np.random.default_rng(0).normal(size=(300, 4)) * [1, 100, 1e-3, 1e-6]
    found[::7] = 0
    return found


@pytest.mark.parametrize("name", RULES)
def test_steps_of_any_size_are_keras_to_the_last_digits(name, gradients):
    ours = follow(RULES[name](STEP, **EXACT[name]), gradients, np.ones(4))
    theirs = follow_keras(in_keras(name, STEP, **EXACT[name]), gradients, np.ones(4))
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", RULES)
def test_1000_steps_with_the_usual_settings_are_keras_to_a_millionth(name):
    gradients = np.random.default_rng(1).normal(size=(1000, 4))
    theirs = follow_keras(in_keras(name, 0.001), gradients, np.ones(4))
    np.testing.assert_allclose(follow(RULES[name](0.001), gradients, np.ones(4)), theirs, rtol=0, atol=1e-6)


def test_keras_keeps_its_slots_in_float64_but_passes_rate_and_beta_through_float32():
    weights, optimizer = keras.Variable(np.ones(1), dtype="float64"), keras.optimizers.Adam(0.1)
    optimizer.build([weights])
    kept = {variable.name.split("_")[-1]: variable.dtype for variable in optimizer.variables}
    assert kept["momentum"] == kept["velocity"] == "float64"
    assert optimizer.learning_rate.dtype == "float32"

    gradients = np.random.default_rng(2).normal(size=(300, 1)) * 100
    theirs = follow_keras(in_keras("momentum", STEP), gradients, np.ones(1))
    rounded = follow(momentum(STEP, float(np.float32(0.9))), gradients, np.ones(1))
    exact = follow(momentum(STEP, 0.9), gradients, np.ones(1))
    assert np.abs(theirs - rounded).max() < 1e-10 < 1e-6 < np.abs(theirs - exact).max()


# ---- each equation of the notebook: by hand = helper or notebook = an independent reference ------------------------


@pytest.mark.equation("3.1")
def test_a_step_of_gradient_descent():
    update = sgd(0.25)
    point, state = update(np.array([2.0, -1.0]), np.array([4.0, 8.0]), None)
    assert point.tolist() == [1.0, -3.0] and state is None
    assert follow_keras(in_keras("sgd", 0.25), [[4.0, 8.0]], np.array([2.0, -1.0]))[-1].tolist() == [1.0, -3.0]


@pytest.mark.equation("3.2")
def test_the_gradient_of_a_batch():
    gradient = from_notebook("batch_gradient")
    features, labels = np.array([[2.0, 0.0], [0.0, 4.0], [9.0, 9.0]]), np.array([1.0, 0.0, 1.0])
    np.testing.assert_allclose(gradient(np.zeros(2), features[:2], labels[:2]), [-0.5, 1.0])  # p = .5 for both rows

    theta = np.array([0.3, -0.2])

    def loss(theta):
        scores = features @ theta
        return np.mean(np.log1p(np.exp(-scores)) + (1 - labels) * scores)

    np.testing.assert_allclose(gradient(theta, features, labels), approx_fprime(theta, loss), atol=1e-6)
    logits = keras.ops.convert_to_tensor((features @ theta)[:, None])
    keras_loss = keras.losses.BinaryCrossentropy(from_logits=True)(labels[:, None], logits)
    assert loss(theta) == pytest.approx(float(keras_loss), abs=1e-6)

    # Keras's automatic gradient: one step of descent at rate 1 moves the weights by minus it
    linear = keras.layers.Dense(1, use_bias=False, dtype="float64")
    model = keras.Sequential([keras.Input((2,), dtype="float64"), linear])
    model.compile(keras.optimizers.SGD(1.0), keras.losses.BinaryCrossentropy(from_logits=True, dtype="float64"))
    linear.set_weights([theta[:, None]])
    model.train_on_batch(features, labels[:, None])
    automatic = theta - linear.get_weights()[0].ravel()
    np.testing.assert_allclose(gradient(theta, features, labels), automatic, rtol=0, atol=1e-14)


@pytest.mark.equation("3.3")
def test_the_noise_of_a_batch():
    noise = from_notebook("noise")
    assert noise(6.0, 10, 1) == 6.0 and noise(6.0, 10, 10) == 0.0
    assert noise(6.0, 10, 5) == pytest.approx(6 / 5**0.5 * (5 / 9) ** 0.5)
    values = np.random.default_rng(3).normal(size=10)
    for size in (1, 3, 7):
        means = [np.mean(batch) for batch in itertools.combinations(values, size)]
        assert noise(values.std(), 10, size) == pytest.approx(np.std(means), rel=1e-12)


@pytest.mark.equation("3.4")
def test_the_bowl():
    slope = np.array([1.0, 25.0])
    bowl = from_notebook("bowl", slope=slope)
    assert bowl(np.array([[2.0, 1.0], [4.0, 0.0]])).tolist() == [14.5, 8.0]
    np.testing.assert_allclose(approx_fprime(np.array([2.0, 1.0]), bowl), [2, 25], rtol=1e-6)
    points = descend(sgd(0.07), lambda point: slope * point, np.array([2.0, 1.0]), 20)
    np.testing.assert_allclose(points[-1], [2 * 0.93**20, 0.75**20], rtol=1e-12)  # (1 − αλ)ᵗ; 1 − .07·25 = −.75


@pytest.mark.equation("3.5")
def test_momentum_remembers():
    # velocities −.5, −.75, −.875: each half the one before and −.5 more
    np.testing.assert_allclose(follow(momentum(0.5, 0.5), [[1.0]] * 3, [0.0]).ravel(), [0, -0.5, -1.25, -2.125])
    theirs = follow_keras(in_keras("momentum", 0.5, beta=0.5), [[1.0]] * 3, np.zeros(1))
    assert theirs.ravel().tolist() == [0, -0.5, -1.25, -2.125]


@pytest.mark.equation("3.6")
def test_nesterov_looks_ahead():
    # u = −.5, then −.75; steps u/2 − .5
    np.testing.assert_allclose(follow(nesterov(0.5, 0.5), [[1.0]] * 2, [0.0]).ravel(), [0, -0.75, -1.625])
    theirs = follow_keras(in_keras("nesterov", 0.5, beta=0.5), [[1.0]] * 2, np.zeros(1))
    assert theirs.ravel().tolist() == [0, -0.75, -1.625]


def test_nesterov_is_the_textbook_form_seen_from_the_point_ahead():
    slope, point, velocity, seen = np.array([1.0, 25.0]), np.array([2.0, 1.0]), np.zeros(2), []
    for _ in range(30):
        ahead = point + 0.9 * velocity
        seen.append(ahead)
        velocity = 0.9 * velocity - 0.02 * slope * ahead
        point = point + velocity
    np.testing.assert_allclose(descend(nesterov(0.02), lambda p: slope * p, np.array([2.0, 1.0]), 29), seen, atol=1e-12)


@pytest.mark.equation("3.7")
def test_rmsprop_divides_by_the_root_of_the_mean_square():
    # v = .25·16 = 4, then .75·4 + .25·16 = 7; ε = 5 and 2 make the roots 3 and 3
    point, state = rmsprop(3.0, rho=0.75, epsilon=5.0)(np.array([0.0]), np.array([4.0]), None)
    assert (point[0], state[0]) == (-4.0, 4.0)
    point, state = rmsprop(3.0, rho=0.75, epsilon=2.0)(point, np.array([4.0]), state)
    assert (point[0], state[0]) == (-8.0, 7.0)
    theirs = follow_keras(in_keras("rmsprop", 3.0, rho=0.75, epsilon=5.0), [[4.0]], np.zeros(1))
    assert theirs[-1] == pytest.approx(-4.0)


@pytest.mark.equation("3.8", "3.9")
def test_two_steps_of_adam():
    # m = .5·8 = 4 and .5·4 + .5·(−4) = 0;  v = .75·0 + .25·64 = 16 and .75·16 + .25·16 = 16
    update = adam(1.0, 0.5, 0.75, epsilon=1.0)
    point, (t, mean, mean_square) = update(np.array([0.0]), np.array([8.0]), None)
    assert (t, mean[0], mean_square[0]) == (1, 4.0, 16.0)
    assert point[0] == pytest.approx(-(0.25**0.5) / 0.5 * 4 / (4 + 1))
    point, (t, mean, mean_square) = update(point, np.array([-4.0]), (t, mean, mean_square))
    assert (t, mean[0], mean_square[0], point[0]) == (2, 0.0, 16.0, pytest.approx(-0.8))
    settings = {"beta_1": 0.5, "beta_2": 0.75, "epsilon": 1.0}
    theirs = follow_keras(in_keras("adam", 1.0, **settings), [[8.0], [-4.0]], np.zeros(1))
    np.testing.assert_allclose(theirs.ravel(), [0, -0.8, -0.8], rtol=1e-12)


@pytest.mark.equation("3.10")
def test_the_printed_step():
    printed = from_notebook("as_printed")(1.0, 0.5, 0.75, 1.0)
    # m = .5·8, v = .25·64: √v = 4; both corrections are .5 and √.25 = .5, so 1 / .25 · (4 + 1/4)
    point, (t, mean, mean_square) = printed(np.array(0.0), np.array(8.0), None)
    assert (point, t, mean, mean_square) == (pytest.approx(-17.0), 1, 4.0, 16.0)
    theirs = follow_keras(in_keras("adam", 1.0, beta_1=0.5, beta_2=0.75, epsilon=1.0), [[8.0]], np.zeros(1))
    assert theirs[-1] == pytest.approx(-0.8)  # which is not −17


@pytest.mark.equation("3.11")
def test_the_three_places_of_epsilon():
    lengths = from_notebook("first_steps")
    after, before, inside = lengths(np.array([3.0]), epsilon=1.0, beta_2=0.75)
    assert after[0] == pytest.approx(3 / 4)
    assert before[0] == pytest.approx(3 / (3 + 2))  # ε / √.25
    assert inside[0] == pytest.approx(3 / 10**0.5)

    # after the correction: algorithm 1 of Kingma and Ba, typed out for one step; it has no β left in the end
    m, v = (1 - 0.5) * 3.0, (1 - 0.75) * 3.0**2
    algorithm_1 = m / (1 - 0.5) / (np.sqrt(v / (1 - 0.75)) + 1.0)
    np.testing.assert_allclose(after, algorithm_1, rtol=1e-12)

    # before the correction: Keras's Adam
    ours = adam(1.0, 0.5, 0.75, epsilon=1.0)(np.zeros(1), np.array([3.0]), None)[0]
    theirs = follow_keras(in_keras("adam", 1.0, beta_1=0.5, beta_2=0.75, epsilon=1.0), [[3.0]], np.zeros(1))[-1]
    np.testing.assert_allclose([-ours, -theirs], [before, before], rtol=1e-12)

    # inside the root: Keras's RMSprop without memory, whose v is g², as a corrected v is after one step
    theirs = follow_keras(in_keras("rmsprop", 1.0, rho=0.0, epsilon=1.0), [[3.0]], np.zeros(1))[-1]
    np.testing.assert_allclose(-theirs, inside, rtol=1e-12)


@pytest.mark.equation("3.12")
def test_adamw_pulls_beside_the_step():
    # pull 4·(1 − .5·.5) = 3, then Adam's first step .5 against the gradient's sign
    settings = {"weight_decay": 0.5, "beta_1": 0.5, "beta_2": 0.75, "epsilon": 1e-12}
    point, _ = adamw(0.5, **settings)(np.array([4.0]), np.array([7.0]), None)
    assert point[0] == pytest.approx(2.5)
    theirs = follow_keras(in_keras("adamw", 0.5, **settings), [[7.0]], np.array([4.0]))
    assert theirs[-1] == pytest.approx(2.5)


@pytest.mark.equation("3.13")
def test_the_saddle():
    loss = from_notebook("saddle")
    assert (loss([2.0, 0.0]), loss([0.0, 1.0])) == (2.0, -0.25)
    gradient = from_notebook("saddle_gradient")
    assert gradient(np.array([2.0, 2.0])).tolist() == [2.0, 6.0] and gradient(np.array([0.0, -1.0])).tolist() == [0, 0]
    for point in np.random.default_rng(4).normal(size=(5, 2)):
        np.testing.assert_allclose(gradient(point), approx_fprime(point, loss), atol=1e-6)


# ---- properties -----------------------------------------------------------------------------------------------------

SIZES = st.floats(1e-4, 1e4) | st.floats(-1e4, -1e-4) | st.just(0.0)


@st.composite
def cases(draw, values=SIZES):
    """A rule's name, a start and three gradients of one shape and dtype."""
    shape, dtype = draw(arrays.array_shapes(min_dims=0, max_dims=3, max_side=3)), draw(st.sampled_from(["f4", "f8"]))
    parts = [draw(arrays.arrays(dtype, shape, elements=values.map(np.dtype(dtype).type))) for _ in range(4)]
    return draw(st.sampled_from(sorted(RULES))), parts[0], parts[1:]


@given(cases())
def test_shape_and_dtype_stay_and_arguments_are_left_alone(case):
    name, start, gradients = case
    copies = [part.copy() for part in (start, *gradients)]
    points = follow(RULES[name](0.01), gradients, start)
    assert points.shape == (4, *start.shape) and points.dtype == start.dtype and np.isfinite(points).all()
    assert all(np.array_equal(part, copy) for part, copy in zip((start, *gradients), copies, strict=True))


@given(cases(values=st.floats(-(2.0**50), 2.0**50, width=32)))
def test_extreme_gradients_give_finite_steps(case):
    name, start, gradients = case
    assert np.isfinite(follow(RULES[name](0.01), gradients, np.zeros_like(start))).all()


@given(cases())
def test_zero_gradients_move_nothing_but_what_decays(case):
    name, start, _ = case
    end = follow(RULES[name](0.5), [np.zeros_like(start)] * 3, start)[-1]
    factor = (1 - 0.5 * 0.004) ** 3 if name == "adamw" else 1
    np.testing.assert_allclose(end, start * factor, rtol=1e-6, atol=1e-30)


@given(cases())
def test_every_weight_goes_its_own_way(case):
    name, start, gradients = case
    whole = follow(RULES[name](0.01), gradients, start).reshape(4, -1)
    for i in range(start.size):
        alone = follow(RULES[name](0.01), [g.reshape(-1)[i : i + 1] for g in gradients], start.reshape(-1)[i : i + 1])
        np.testing.assert_allclose(alone[:, 0], whole[:, i], rtol=1e-6)


@given(st.lists(SIZES.filter(bool), min_size=1, max_size=12), st.floats(1e-3, 1e3))
def test_adam_does_not_feel_the_unit_of_the_loss(gradients, unit):
    steps = [follow(adam(0.1, epsilon=1e-200), np.array(gradients)[:, None] * scale, [0.0]) for scale in (1, unit)]
    np.testing.assert_allclose(*steps, rtol=1e-6, atol=1e-9)


@given(st.lists(SIZES, min_size=1, max_size=12))
def test_no_step_of_adam_is_longer_than_cauchy_and_schwarz_allow(gradients):
    """m̂ / √v̂ ≤ √(Σ aᵢ² / cᵢ) where m̂ = Σ aᵢ·gᵢ and v̂ = Σ cᵢ·gᵢ²."""
    steps = np.abs(np.diff(follow(adam(0.1), np.array(gradients)[:, None], [0.0]), axis=0)).ravel()
    for t, step in enumerate(steps, 1):
        a, c = (np.power(beta, np.arange(t)) * (1 - beta) / (1 - beta**t) for beta in (0.9, 0.999))
        assert step <= 0.1 * np.sqrt(np.sum(a**2 / c)) * (1 + 1e-9)


@pytest.mark.parametrize("name", RULES)
def test_a_run_can_be_resumed(name):
    gradients = np.random.default_rng(5).normal(size=(20, 3))
    update = RULES[name](0.01)
    point, state = np.ones(3), None
    for gradient in gradients[:10]:
        point, state = update(point, gradient, state)
    for other in gradients:  # a branch that must leave no trace
        update(point, other, state)
    for gradient in gradients[10:]:
        point, state = update(point, gradient, state)
    assert np.array_equal(point, follow(RULES[name](0.01), gradients, np.ones(3))[-1])


# ---- the driver and bad input ---------------------------------------------------------------------------------------


def test_descend_keeps_every_point_and_follows_divergence():
    points = descend(sgd(0.5), lambda point: point, np.array([8.0]), 3)
    assert points.ravel().tolist() == [8, 4, 2, 1]
    assert descend(sgd(0.5), lambda point: point, np.array([8.0]), 0).tolist() == [[8.0]]
    assert not np.isfinite(descend(sgd(1e300), lambda point: point, np.array([8.0]), 3)[-1]).any()


@pytest.mark.parametrize(
    ("make", "culprit"),
    [
        (lambda: sgd(0), "learning_rate is 0:"),
        (lambda: sgd(float("nan")), "learning_rate is nan:"),
        (lambda: sgd("0.1"), "learning_rate is '0.1':"),
        (lambda: momentum(0.1, 1.0), "beta is 1.0:"),
        (lambda: nesterov(0.1, -0.1), "beta is -0.1:"),
        (lambda: rmsprop(0.1, rho=1), "rho is 1:"),
        (lambda: rmsprop(0.1, epsilon=0), "epsilon is 0:"),
        (lambda: adam(0.1, beta_1=2), "beta_1 is 2:"),
        (lambda: adam(0.1, beta_2=1.0), "beta_2 is 1.0:"),
        (lambda: adamw(0.1, weight_decay=-1), "weight_decay is -1:"),
        (lambda: sgd(0.1)(np.array([1]), np.array([1.0]), None), "parameters are of type int64:"),
        (lambda: adamw(0.1)(np.ones(2), np.ones(3), None), r"gradient has shape \(3,\), parameters \(2,\):"),
        (lambda: descend(sgd(0.1), lambda point: point, np.ones(1), 1.5), "steps is 1.5:"),
    ],
)
def test_bad_input_is_named(make, culprit):
    with pytest.raises(ValueError, match=culprit):
        make()
