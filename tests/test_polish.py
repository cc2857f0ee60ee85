"""Laws of polish: never worse than its input, each chain for itself, exact where maths says so."""

import contextlib
import dataclasses
import functools
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxanneal as ja
from jaxanneal import _descent, _polish
from jaxanneal._program import Program

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


@pytest.mark.parametrize("optimizer", [optax.sgd(1e30), optax.adam(1.0), optax.lbfgs()])
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
    alone = ja.polish(root, ja.stacked(starts[3:]), optimizer, steps=30)
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


def test_tempering_results_and_polished_ones_are_polished():
    given = annealed(tempering=True)
    found = ja.polish(quadratic, given, steps=20, args=(MATRIX,), top=3)
    assert found.energy < given.energy and found.chains.energy.shape == (3,)
    again = ja.polish(quadratic, found, steps=20, args=(MATRIX,))
    assert again.energy < found.energy


def test_one_tree_may_hold_whatever_a_tree_may_hold():
    start = {"x": 3.0, "n": np.int32([2]), "on": np.array([True]), "f": jnp.square, "s": "text"}

    def energy(p):
        return jnp.sum(p["f"](p["x"] - p["n"].astype(jnp.float32)) * p["on"].astype(jnp.float32))

    found = ja.polish(energy, start, optax.sgd(0.5), steps=1)
    assert float(found.params["x"]) == 2.0 and found.energy == 0.0
    assert found.params["n"].dtype == np.int32 and bool(found.params["on"][0])
    assert found.params["f"] is jnp.square and found.params["s"] == "text"


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_descends_in_float32(dtype):
    # Steps of 1e-3 from 4.0 are below half an ulp of both: added in half precision they vanish.
    energy = lambda x: bowl(x.astype(jnp.float32))  # noqa: E731
    found = ja.polish(energy, jnp.full(3, 4.0, dtype), optax.adam(1e-3), steps=600)
    assert found.params.dtype == found.chains.params.dtype == dtype
    assert found.chains.energy.dtype == jnp.float32
    assert np.all(np.asarray(found.params, np.float32) < 3.5)
    assert found.energy == float(energy(found.params))


@pytest.mark.parametrize("optimizer", [None, optax.lbfgs()])
def test_double_precision(float64, optimizer):
    energy = lambda x, t: jnp.sum((x - t) ** 2)  # noqa: E731
    target = jnp.asarray([1.0 + 1e-12], jnp.float64)
    found = ja.polish(energy, jnp.zeros(1, jnp.float64), optimizer, steps=2000, args=(target,))
    assert found.params.dtype == found.chains.energy.dtype == jnp.float64
    assert abs(float(found.params[0]) - 1.0) < 1e-10
    mixed = lambda x, t: jnp.sum((x.astype(jnp.float64) - t) ** 2)  # noqa: E731
    single = ja.polish(mixed, jnp.zeros(1, jnp.float32), optimizer, steps=500, args=(target,))
    assert single.params.dtype == jnp.float32 and single.energy < 1e-4


def chunk_law(changes, monkeypatch):
    """Looks of the host change no bit of what is found."""
    plain = ja.polish(quadratic, ja.stacked(STARTS), steps=40, args=(MATRIX,))
    for name, value in changes.items():
        monkeypatch.setattr(_polish, name, value)
    other = ja.polish(quadratic, ja.stacked(STARTS), steps=40, args=(MATRIX,))
    for one in ("chains", "history"):
        pairs = zip(*(jax.tree.leaves(getattr(r, one)) for r in (plain, other)), strict=True)
        for a, b in pairs:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("changes", [{"_LOOK_SECONDS": 0.0}, {"_LOOK_SECONDS": 1e9, "_GROWTH": 7}])
def test_chunks_change_no_bit(changes, monkeypatch):
    chunk_law(changes, monkeypatch)


class Impatient:
    """Ctrl-C after some looks of the host."""

    def __init__(self, looks):
        self.looks = looks

    @property
    def requested(self):
        self.looks -= 1
        return self.looks < 0


@pytest.mark.parametrize("looks", [0, 1, 4])
def test_an_interruption_returns_what_was_found(looks, monkeypatch):
    monkeypatch.setattr(_polish, "_LOOK_SECONDS", 0.0)  # chunks of one step
    monkeypatch.setattr(_polish, "interruptible", lambda: contextlib.nullcontext(Impatient(looks)))
    found = ja.polish(bowl, ja.stacked(np.float32([8.0, -4.0])), optax.sgd(0.25), steps=2000)
    assert found.stop_reason is ja.StopReason.INTERRUPTED
    assert (found.steps, found.gradients) == (looks, 2 * looks)
    np.testing.assert_array_equal(found.params, np.float32(-4 * 0.75**looks))
    assert found.history.energy.shape == (-(-looks // 2), 2)  # 2,000 steps in 1,000 records
    if looks:
        assert found.history.step[-1] == looks
        np.testing.assert_array_equal(found.history.energy[-1], found.chains.energy)


def test_a_gradient_of_zeros_is_told():
    steps = lambda x: jnp.sum(jnp.round(x) ** 2)  # noqa: E731
    text = r"^energy: expected a gradient that is not zero, got zeros at every step.*ja\.anneal"
    with pytest.warns(UserWarning, match=text):
        found = ja.polish(steps, np.float32([3.0]), steps=5)
    assert found.energy == 9.0 and float(found.params[0]) == 3.0
    with warnings.catch_warnings(action="error"):
        ja.polish(lambda x: steps(x) + 0.1 * bowl(x), np.float32([3.0]), steps=5)


def test_evaluations_and_gradients_are_those_that_were_made(monkeypatch):
    counted = []

    def energy(x):
        jax.debug.callback(lambda _: counted.append("energy"), x)
        return bowl(x)

    found = ja.polish(energy, ja.stacked(STARTS), optax.sgd(0.1), steps=7)
    jax.effects_barrier()
    assert len(counted) == found.evaluations + found.gradients == 6 * (3 + 7)
    counted.clear()
    searched = ja.polish(energy, STARTS[0], optax.lbfgs(), steps=3)
    jax.effects_barrier()
    # Batched, both branches of each step of the search are computed, one of them for nothing.
    assert searched.gradients > 3
    assert len(counted) >= searched.evaluations + searched.gradients


def test_the_broken_twin_of_the_projection_leaves_the_box():
    # Here because the twin replaces the clipping that the laws of bounds are about.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_descent.jnp, "clip", lambda x, low, high: x)
        energy = lambda x: jnp.sum((x - 3.0) ** 2)  # noqa: E731
        found = ja.polish(energy, np.float32([0.5]), optax.sgd(0.5), steps=2, bounds=(0.0, 1.0))
    assert float(found.params[0]) == 3.0
