"""Laws of polish: never worse than its input, each chain for itself, exact where maths says so."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxanneal as ja
from jaxanneal._engine.compile import Program
from jaxanneal._polish import polish as _polish

MATRIX = np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32)
STARTS = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)


def bowl(x):
    return 0.5 * jnp.sum(x**2)


def quadratic(x, matrix):
    """Return an energy whose last bits depend on how many chains are multiplied at once."""
    return jnp.sum((matrix @ x) ** 2)


def root(x):
    """Return an energy that is NaN, gradient too, below zero."""
    return jnp.sum(jnp.sqrt(x))


@functools.cache
def annealed(tempering=False):
    """Return a run whose blocks are narrower than the number of its chains."""
    method = ja.SimulatedAnnealing(6, ja.cooling.Geometric(1.0, 0.1))
    if tempering:
        method = ja.ParallelTempering(temperatures=[0.1, 1.0, 4.0], ladders=2)
    settings = {"args": (MATRIX,), "move": ja.moves.Gaussian(0.3), "steps": 30, "block": 4}
    return ja.anneal(quadratic, ja.stacked(STARTS), key=0, method=method, **settings)


def never_worse_law(polish, optimizer):
    """Steps that only lead uphill return the given states, bit for bit, and their energies."""
    given = annealed()
    found = polish(quadratic, given, optimizer, steps=20, args=(MATRIX,), top=6)
    assert found.energy == given.energy
    np.testing.assert_array_equal(found.params, given.params)
    order = np.argsort(given.chains.best_energy, kind="stable")
    np.testing.assert_array_equal(found.chains.best_params, given.chains.best_params[order])
    np.testing.assert_array_equal(found.chains.best_energy, given.chains.best_energy[order])


def no_worse_law(polish, optimizer):
    """Whatever the steps do, no chain ends above its start, nor the best above the best."""
    given = annealed()
    found = polish(quadratic, given, optimizer, steps=20, args=(MATRIX,), top=6)
    assert found.energy <= given.energy
    assert np.all(found.chains.best_energy <= np.sort(given.chains.best_energy))


def test_a_result_is_polished_on_its_own_data_and_a_loaded_one_asks_for_it(tmp_path):
    given = annealed()
    settings = {"optimizer": optax.sgd(1e-3), "steps": 20, "top": 6}
    known = ja.polish(quadratic, given, args=(MATRIX,), **settings)
    found = ja.polish(quadratic, given, **settings)
    np.testing.assert_array_equal(found.chains.best_params, known.chains.best_params)
    other = ja.polish(quadratic, given, args=(2 * MATRIX,), **settings)
    assert not np.array_equal(other.chains.best_params, known.chains.best_params)
    given.save(tmp_path / "run")
    loaded = ja.Result.load(tmp_path / "run")
    match = r"^args: expected the data of the run, which no file holds, got None\. Pass the same"
    with pytest.raises(TypeError, match=match):
        ja.polish(quadratic, loaded, **settings)
    again = ja.polish(quadratic, loaded, args=(MATRIX,), **settings)
    np.testing.assert_array_equal(again.chains.best_params, known.chains.best_params)
    with pytest.raises(TypeError, match=r"energy\(params\), got one that takes \(x, matrix\)"):
        ja.polish(quadratic, given, args=(), **settings)


def last_state(*args, **settings):
    """Return the last state of each chain instead of its best."""
    with pytest.MonkeyPatch.context() as patch:
        program = Program(lambda known, start, best, last: last)
        patch.setattr(_polish, "settle_program", lambda: program)
        return ja.polish(*args, **settings)


def test_steps_uphill_return_the_given_state_and_the_twin_that_returns_the_last_fails():
    uphill = optax.sgd(-0.05)
    never_worse_law(ja.polish, uphill)
    with pytest.raises(AssertionError):
        never_worse_law(last_state, uphill)


@pytest.mark.parametrize(
    "optimizer",
    [optax.sgd(1e30), optax.adam(1.0), pytest.param(optax.lbfgs(), marks=pytest.mark.slow)],
)
def test_no_optimiser_makes_it_worse(optimizer):
    no_worse_law(ja.polish, optimizer)


def test_energies_of_another_problem_are_not_taken_for_its_own():
    other = MATRIX + 1.0
    found = ja.polish(quadratic, annealed(), optax.sgd(-0.05), steps=2, args=(other,), top=6)
    values = jax.vmap(lambda x: quadratic(x, other))(found.chains.best_params)
    np.testing.assert_allclose(found.chains.best_energy, values, rtol=1e-5)


def test_gradient_descent_of_a_bowl_is_a_power_of_its_rate():
    # x - a x with a = 1/4 is 3/4 x: exact in float32 while 3^n has fewer than 24 bits.
    found = ja.polish(bowl, ja.stacked(np.float32([8.0, -4.0])), optax.sgd(0.25), steps=10)
    np.testing.assert_array_equal(found.chains.params, np.float32([8, -4]) * 0.75**10)
    np.testing.assert_array_equal(found.chains.energy, 0.5 * np.asarray(found.chains.params) ** 2)
    powers = 0.75 ** np.arange(1, 11)
    # The energies of the last steps have more bits than float32 holds, so they are rounded.
    both = 0.5 * (np.float32([8, -4]) * powers[:, None]) ** 2
    np.testing.assert_allclose(found.history.energy, both, rtol=1e-6)
    np.testing.assert_array_equal(found.history.best_energy, found.history.energy)
    np.testing.assert_array_equal(found.history.step, np.arange(1, 11))


def test_adam_equals_the_same_loop_written_by_hand():
    optimizer = optax.adam(0.1)
    found = ja.polish(quadratic, ja.stacked(STARTS), optimizer, steps=50, args=(MATRIX,))

    @jax.jit
    def by_hand(x):
        state = optimizer.init(x)

        def one_step(_, carry):
            x, state = carry
            update, state = optimizer.update(jax.grad(quadratic)(x, MATRIX), state)
            return x + update, state

        with jax.numpy_dtype_promotion("standard"):  # optax's Adam needs it
            return jax.lax.fori_loop(0, 50, one_step, (x, state))[0]

    # Alone, a chain's products are summed in another order: rounding, 0.1 * 50 steps * 2^-24.
    for start, end in zip(STARTS, found.chains.params, strict=True):
        np.testing.assert_allclose(by_hand(start), end, atol=1e-5)


def test_a_chain_alone_equals_itself_among_neighbours_to_rounding():
    def descended(starts):
        found = ja.polish(quadratic, ja.stacked(starts), steps=40, args=(MATRIX,))
        return np.asarray(found.chains.params)

    among, alone = descended(STARTS), descended(STARTS[2:3])
    np.testing.assert_allclose(among[2:3], alone, atol=1e-5)
    beside = descended(np.where(np.arange(6)[:, None] == 2, STARTS, np.nan))
    np.testing.assert_allclose(beside[2:3], alone, atol=1e-5)


@pytest.mark.parametrize("optimizer", [optax.sgd(0.5), optax.lbfgs()])
def test_a_chain_that_is_not_finite_stops_alone_and_keeps_its_best(optimizer):
    starts = np.float32([[4.0], [-1.0], [0.01], [100.0]])
    found = ja.polish(root, ja.stacked(starts), optimizer, steps=30)
    # sqrt has no minimum above zero: chains 0 and 2 fall over the edge, the second starts beyond.
    stopped = found.diagnostics.nonfinite
    assert stopped[1] == 1 and found.chains.best_energy[1] == np.inf
    assert np.all(np.isfinite(np.asarray(found.chains.best_energy)[[0, 2, 3]]))
    best = np.asarray(found.chains.best_params)
    assert np.all(best[[0, 2, 3]] <= starts[[0, 2, 3]]) and np.all(best[[0, 2, 3]] >= 0)
    np.testing.assert_allclose(found.energy, np.sqrt(np.nanmin(best[[0, 2, 3]])), atol=1e-7)
    assert "non-finite" in found.summary()
    alone = ja.polish(root, ja.stacked(np.repeat(starts[3:], 4, axis=0)), optimizer, steps=30)
    np.testing.assert_allclose(alone.chains.best_params[0], best[3], rtol=1e-5, atol=1e-7)


def test_a_gradient_without_a_number_stops_a_chain_whose_energy_has_one():
    # The derivative of sqrt(x^2) at zero is 0/0.
    energy = lambda x: jnp.sum(jnp.sqrt(x**2))  # noqa: E731
    found = ja.polish(energy, ja.stacked(np.float32([[0.0], [1.0]])), optax.sgd(0.25), steps=3)
    np.testing.assert_array_equal(found.diagnostics.nonfinite, [1, 0])
    np.testing.assert_array_equal(found.chains.params, np.float32([[0.0], [0.25]]))
    assert found.energy == 0.0


def test_the_best_distinct_states_are_polished_the_best_first():
    given = annealed()
    twice = jax.tree.map(lambda x: jnp.concatenate([x, x[:2]]), given.chains)
    given = dataclasses.replace(given, chains=twice)
    found = ja.polish(quadratic, given, optax.sgd(0.0), steps=1, args=(MATRIX,), top=8)
    assert found.chains.energy.shape == (6,)
    assert np.all(np.diff(found.chains.best_energy) > 0)
    again = ja.polish(quadratic, found, optax.sgd(0.0), steps=1, args=(MATRIX,), top=2)
    np.testing.assert_array_equal(again.chains.params, found.chains.params[:2])
    assert again.energy == found.energy


@pytest.mark.slow
def test_tempering_results_and_polished_ones_are_polished():
    given = annealed(tempering=True)
    found = ja.polish(quadratic, given, steps=20, args=(MATRIX,), top=3)
    assert found.energy < given.energy and found.chains.energy.shape == (3,)
    again = ja.polish(quadratic, found, steps=20, args=(MATRIX,))
    assert again.energy < found.energy
