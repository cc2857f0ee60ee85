"""Half, double and mixed precision: the law that is sampled, the optimum found, what is kept."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import MANY, assert_counts, assert_mean, caught, evolve, normal

import jaxanneal as ja

HALF = [jnp.bfloat16, jnp.float16]
COOLED = ja.SimulatedAnnealing(chains=8, cooling=ja.cooling.Geometric(1.0, 1e-5))
X = np.linspace(-1, 1, 32, dtype=np.float32)
LINE = (X, 2 * X + 1)


def held(scale, **kwargs):
    return ja.moves.Gaussian(scale=scale, target_acceptance=None, **kwargs)


def harmonic(x):
    return 0.5 * x.astype(jnp.float32) ** 2


def flat(x):
    return 0 * x.astype(jnp.float32)


@pytest.mark.parametrize("dtype", [*HALF, jnp.float32])
def test_half_precision_keeps_the_law_that_float32_keeps(dtype):
    """Standard errors: half a percent of a standard deviation; rounding adds 1e-5 to Var x."""
    starts = jnp.asarray(0.7**0.5 * normal(1, 40_000), dtype)
    done = evolve(2, starts, 0.7, energy=harmonic, move=held(1.0), moves=20)
    x = np.asarray(done.chains.params, np.float64)
    assert_mean("mean E", done.chains.energy, 0.35, MANY)
    assert_mean("mean x", x, 0.0, MANY)
    assert_mean("Var x", x**2, 0.7, MANY)
    assert_mean("acceptance", done.acceptance, 2 / np.pi * np.arctan(2 * 0.7**0.5), MANY)
    assert done.chains.params.dtype == dtype and done.chains.energy.dtype == jnp.float32


def cells(dtype):
    """Return the floats from 16 below 1 to 8 above, and the width of each one's cell in there.

    Their spacing doubles at 1, and the two at the ends have half a cell.
    """
    below = float(jnp.finfo(dtype).eps) / 2
    floats = np.concatenate([1 - below * np.arange(16, 0, -1), 1 + 2 * below * np.arange(9)])
    edges = np.concatenate([floats[:1], (floats[1:] + floats[:-1]) / 2, floats[-1:]])
    return floats, np.diff(edges)


def cell_law(dtype, steps, **twin):
    """A flat energy in a box around 1, by steps in units of the spacing below 1."""
    floats, widths = cells(dtype)
    drawn = np.random.default_rng(3).choice(len(floats), 20_000, p=widths / widths.sum())
    move = held(steps * (floats[1] - floats[0]), bounds=(floats[0], floats[-1]))
    starts = jnp.asarray(floats[drawn], dtype)
    done = evolve(4, starts, 1.0, energy=flat, move=move, moves=200, **twin)
    ended = np.searchsorted(floats, np.asarray(done.chains.params, np.float64))
    np.testing.assert_array_equal(floats[ended], np.asarray(done.chains.params, np.float64))
    assert_counts("cells", ended, widths)
    assert np.mean(ended != drawn) > 0.5


def from_the_float_itself(key, leaf, limits):
    """A twin that rounds to the nearest float, from the float and not from its cell."""
    del key, limits
    return leaf.astype(jnp.float32)


NEAREST = (("jaxanneal.moves._perturbation.real", from_the_float_itself),)


@pytest.mark.parametrize("dtype", [jnp.bfloat16, pytest.param(jnp.float16, marks=pytest.mark.slow)])
def test_steps_below_the_spacing_of_half_precision_move_the_chain_and_keep_the_law(dtype):
    for steps in (0.05, 0.8, 5.0):
        cell_law(dtype, steps)
    caught(cell_law, dtype, 0.05, twin=NEAREST)  # it never moves
    caught(cell_law, dtype, 0.8, twin=NEAREST)  # it moves by other rules where the spacing changes


def squares(params, x, y):
    w, b = (leaf.astype(jnp.float32) for leaf in (params["w"], params["b"]))
    return jnp.mean((w * x + b - y) ** 2)


@pytest.mark.parametrize("dtype", [pytest.param(HALF[0], marks=pytest.mark.slow), HALF[1]])
def test_half_precision_finds_the_optimum_of_float32_to_its_spacing(dtype):
    best = {}
    for kind in (dtype, jnp.float32):
        start = {"w": jnp.zeros((), kind), "b": jnp.zeros((), kind)}
        result = ja.anneal(squares, start, key=0, args=LINE, method=COOLED, steps=2000)
        assert result.params["w"].dtype == kind and result.chains.energy.dtype == jnp.float32
        again = jax.vmap(squares, (0, None, None))(result.chains.best_params, *LINE)
        np.testing.assert_allclose(again, result.chains.best_energy, atol=1e-9)
        best[kind] = result
    spacing = 2 * float(jnp.finfo(dtype).eps)
    for name, value in best[dtype].params.items():
        assert abs(float(value) - float(best[jnp.float32].params[name])) < 3 * spacing


def test_a_cauchy_step_leaves_float16_finite():
    """The default move reaches 1e30, a float16 only 65,504."""
    above = lambda x: jnp.sum(x < 3).astype(jnp.float32)  # noqa: E731
    result = ja.anneal(above, jnp.ones(3, jnp.float16), key=0, steps=500)
    assert result.energy == 0 and np.all(np.isfinite(result.chains.params))


@pytest.mark.parametrize("dtype", [pytest.param(HALF[0], marks=pytest.mark.slow), HALF[1]])
def test_polish_keeps_half_precision_and_never_returns_a_worse_state(dtype):
    start = {"w": jnp.zeros((), dtype), "b": jnp.zeros((), dtype)}
    result = ja.polish(squares, start, steps=200, args=LINE)
    assert result.params["w"].dtype == dtype
    assert result.energy < float(squares(start, *LINE)) / 2


def test_double_and_single_precision_in_one_tree(float64):
    def energy(p):
        return (p["fine"] - 1 - 1e-10) ** 2 + (p["coarse"].astype(jnp.float64) - 2) ** 2

    start = {"fine": jnp.zeros((), jnp.float64), "coarse": jnp.zeros((), jnp.float32)}
    method = ja.SimulatedAnnealing(chains=8, cooling=ja.cooling.Geometric(1.0, 1e-16))
    result = ja.anneal(energy, start, key=0, method=method, steps=5000)
    assert result.params["fine"].dtype == result.chains.energy.dtype == jnp.float64
    assert result.params["coarse"].dtype == jnp.float32
    assert abs(float(result.params["fine"]) - 1) < 1e-6
    chain = ja.init_chain(start, energy=energy)
    move = ja.moves.Gaussian(bounds=({"fine": -3.0, "coarse": 0.0}, 3.0), fraction=0.5)
    step = jax.jit(functools.partial(ja.annealing_step, energy=energy, move=move))
    chain, _ = step(jax.random.key(0), chain, 1.0)
    assert {name: leaf.dtype for name, leaf in chain.params.items()} == {
        "fine": jnp.float64,
        "coarse": jnp.float32,
    }
