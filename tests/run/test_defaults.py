"""``ja.anneal(energy, params, key=0)`` with nothing else finds the optimum."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja

X = np.linspace(-1.0, 1.0, 50, dtype=np.float32)
Y = (2.0 * X + 1.0 + 0.1 * np.sin(40.0 * X)).astype(np.float32)
LEAST_SQUARES = np.polyfit(X.astype(np.float64), Y.astype(np.float64), 1)
LEAST_LOSS = float(np.mean((np.polyval(LEAST_SQUARES, X) - Y) ** 2))


def rastrigin(x):
    return 10.0 * x.size + jnp.sum(x**2 - 10.0 * jnp.cos(2 * jnp.pi * x))


def regression(p, unit):
    return unit * jnp.mean((p["w"] * X + p["b"] - Y) ** 2)


def staircase(p):
    return jnp.sum(jnp.floor(4.0 * jnp.abs(p - 0.3)))


def styblinski_tang(p, unit):
    x = p / unit
    return 0.5 * jnp.sum(x**4 - 16.0 * x**2 + 5.0 * x)


@pytest.mark.parametrize("start", [[3.3, 3.3, 3.3, 3.3], [-4.7, 2.2, 4.1, 0.6], [0, 0, 0, 0]])
def test_rastrigin_in_four_dimensions(start):
    # The next local minimum has energy 0.995 (oracle (g): the function and its optimum).
    result = ja.anneal(rastrigin, jnp.array(start, jnp.float32), key=0)
    assert result.energy < 1e-2


@pytest.mark.parametrize("unit", [1e-6, 1.0, 1e6])
def test_regression_whatever_the_unit_of_the_loss(unit):
    result = ja.anneal(regression, {"w": 0.0, "b": 0.0}, key=0, args=(unit,))
    assert result.energy < unit * (LEAST_LOSS + 1e-4)
    found = [float(result.params["w"]), float(result.params["b"])]
    np.testing.assert_allclose(found, LEAST_SQUARES, atol=0.02)


@pytest.mark.parametrize("start", [[7.7, -3.1], [100.0, 0.0]])
def test_piecewise_constant_loss(start):
    assert ja.anneal(staircase, jnp.array(start), key=0).energy == 0.0


def test_zero_one_loss_of_a_line_reaches_the_exact_optimum():
    # Oracle (h): iris classes 1 and 2, petal length and width: 3 errors are the optimum, proved
    # by enumeration; logistic regression makes 6.
    from sklearn.datasets import load_iris

    iris = load_iris()
    chosen = iris.target > 0
    features = iris.data[chosen][:, 2:4]
    features = (features - features.mean(axis=0)) / features.std(axis=0)
    x, positive = jnp.asarray(features, jnp.float32), jnp.asarray(iris.target[chosen] == 2)

    def errors(p, x, positive):
        return jnp.sum((x @ p["w"] + p["b"] > 0) != positive)

    start = {"w": jnp.zeros(2), "b": 0.0}
    assert ja.anneal(errors, start, key=0, args=(x, positive)).energy == 3.0


@pytest.mark.parametrize("unit", [0.01, 1.0, 100.0, 1e4])
@pytest.mark.parametrize("start", [0.0, 2.0, 2.7468])
def test_styblinski_tang_whatever_the_unit_of_the_parameters(unit, start):
    # Oracle (g): -39.166165704 a coordinate; 2.7468 is the other well, a local minimum at -25.03.
    # From there in units of 1e4 nine of twelve keys find the optimum, elsewhere all twelve do.
    result = ja.anneal(styblinski_tang, jnp.full(3, start * unit), key=1, args=(unit,))
    assert result.energy < 3 * -39.166165704 + 0.01


def test_ising_ground_state_of_a_bool_lattice():
    def energy(spins):
        s = jnp.where(spins, 1.0, -1.0)
        return -jnp.sum(s * jnp.roll(s, 1, 0)) - jnp.sum(s * jnp.roll(s, 1, 1))

    result = ja.anneal(energy, lambda key: jax.random.bernoulli(key, 0.5, (8, 8)), key=0)
    assert result.energy == -2.0 * 64  # two bonds a site, all satisfied


def test_parallel_tempering_calibrates_its_ladder():
    result = ja.anneal(rastrigin, jnp.full(4, 3.3), key=0, method=ja.ParallelTempering(ladders=4))
    assert result.energy < 1e-2
    assert np.all(np.diff(result.diagnostics.temperatures) > 0)


def test_calibration_follows_the_unit_of_the_energy():
    ranges = [
        ja.calibrate(regression, {"w": 0.0, "b": 0.0}, key=0, args=(unit,))
        for unit in (1.0, 2.0**20)
    ]
    np.testing.assert_allclose(np.array(ranges[1]) / ranges[0], 2.0**20, rtol=1e-5)
    start, end = ranges[0]
    # The loss at the start is 5.4 above the best: hot enough to forget it, cold enough to settle.
    assert 0.5 < start < 20 and end < 1e-2


def test_the_best_state_of_the_calibration_is_not_lost():
    seen = []

    def energy(x):
        value = jnp.sum(x**2)
        jax.debug.callback(lambda v: seen.append(np.asarray(v)), value)
        return value

    result = ja.anneal(energy, jnp.full(2, 3.0), key=0, steps=1)
    jax.effects_barrier()
    assert result.energy == min(float(np.min(v)) for v in seen)
    assert result.evaluations > 64 * 32  # the calibration's are counted
