"""Step sizes that adapt: away from infinite energies, and beside parts that no factor changes."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import assert_mean, broken, caught

import jaxanneal as ja
from jaxanneal._chain import move as _move
from jaxanneal._chain import step_size

METHODS = {
    "annealing": ja.SimulatedAnnealing(chains=64, cooling=ja.cooling.Geometric(1.0, 0.01)),
    "tempering": ja.ParallelTempering(temperatures=[0.02, 0.1, 0.5, 2.0], ladders=8),
}


def walled(x, wall):
    return jnp.where(jnp.abs(x) > wall, jnp.inf, x**2)


def run_walled(method, starts, wall, scale, twin):
    # A new energy for a twin, or it would run the law's own program.
    energy = functools.partial(walled) if twin else walled
    move = ja.moves.Gaussian(scale, target_acceptance=0.44)
    settings = {"key": 0, "args": (wall,), "method": method, "move": move, "steps": 3000}
    with broken(twin):
        return ja.anneal(energy, ja.stacked(starts.astype(np.float32)), **settings)


def left_law(method, twin=()):
    """All chains leave the infinite energies, and those at finite ones keep their step sizes."""
    # Of a line of length 3 only that of length 4/3 in its middle is allowed.
    starts = np.random.default_rng(0).uniform(-1.5, 1.5, method.chains)
    result = run_walled(method, starts, 2 / 3, 1e-3, twin)  # too small a scale by far
    assert np.isfinite(np.asarray(result.chains.energy)).all()
    # The harmonic energy's own: 2.4 standard deviations, of 0.1 or 0.07 and more.
    assert np.min(result.diagnostics.factor) > 50


@pytest.mark.parametrize("name", METHODS)
def test_chains_leave_infinite_energies(name):
    left_law(METHODS[name])


def own_factor(log_factor, energy, step, largest, mixed):
    """A twin: a chain that cannot move uses its own factor, as if it told something."""
    del energy, step, largest, mixed
    return log_factor


@pytest.mark.parametrize("name", ["annealing", pytest.param("tempering", marks=pytest.mark.slow)])
def test_a_chain_that_does_not_search_stays_at_its_infinite_energy(name):
    caught(left_law, METHODS[name], (("jaxanneal._kernels.metropolis.tried", own_factor),))


def shared_law(twin=()):
    """Ladders that never find a finite energy leave the others their step sizes."""
    starts = np.zeros(32)
    starts[:16] = 1e30
    result = run_walled(METHODS["tempering"], starts, 1e6, 1.0, twin)
    assert np.isinf(np.asarray(result.chains.energy)[:16]).all()
    best = 2.4 * np.sqrt(np.array(result.diagnostics.temperatures) / 2)
    np.testing.assert_allclose(result.diagnostics.factor, best, rtol=0.2)


def from_anywhere(log_factor, energy, *rest):
    """A twin: what a chain at an infinite energy has refused counts, too."""
    return step_size.adapted(log_factor, jnp.zeros_like(energy), *rest)


def test_lost_ladders_leave_the_step_sizes_of_the_others_alone():
    shared_law()


def test_counting_the_refusals_of_lost_ladders_shrinks_the_steps_of_all():
    caught(shared_law, (("jaxanneal._kernels.metropolis.adapted", from_anywhere),))


def mixed_energy(p):
    return 0.5 * jnp.sum(p["x"] ** 2) + 0.6 * jnp.sum(p["b"], dtype=float)


def mixed_law(move, twin=()):
    """A cold rung samples the harmonic part of a mixed energy, mean x^2 = T, and moves in it."""
    temperatures = np.array([0.2, 0.3])
    chains = 512
    spread = np.sqrt(np.tile(temperatures, chains // 2))[:, None]
    x = np.random.default_rng(0).standard_normal((chains, 3)) * 3 * spread  # too wide by far
    starts = {"x": x.astype(np.float32), "b": np.zeros((chains, 4), bool)}
    method = ja.ParallelTempering(
        temperatures=temperatures, ladders=chains // 2, adapt=False, warmup=4000
    )
    with broken(twin):
        energy = functools.partial(mixed_energy)  # new to the cache of programs
        result = ja.anneal(energy, ja.stacked(starts), key=0, method=method, move=move, steps=4500)
    assert np.min(result.diagnostics.factor) > 0.3
    squares = np.asarray(result.chains.params["x"]).reshape(-1, 2, 3) ** 2
    for rung, temperature in enumerate(temperatures):
        assert_mean(f"x^2 at rung {rung}", squares[:, rung].mean(axis=-1), temperature)


MOVE = ja.moves.PerLeaf({"x": ja.moves.Gaussian(1.0), "b": ja.moves.Flip()})


def test_refused_flips_do_not_shrink_the_steps_beside_them():
    mixed_law(MOVE)


@pytest.mark.slow
def test_counting_the_refusals_of_flips_freezes_what_is_beside_them():
    caught(
        mixed_law, MOVE, (("jaxanneal._kernels.metropolis.is_mixed", lambda move, params: False),)
    )


def test_only_moves_with_a_part_that_no_factor_changes_are_mixed():
    params = {"x": jnp.zeros(3), "b": jnp.zeros(4, bool)}
    nested = ja.moves.PerLeaf({"x": ja.moves.Gaussian(), "b": None})
    assert _move.is_mixed(MOVE, params)
    assert _move.is_mixed(ja.moves.PerLeaf([MOVE, None]), [params, params])
    assert not _move.is_mixed(nested, params)
    assert not _move.is_mixed(ja.moves.Gaussian(), jnp.zeros(3))
    held = {"x": ja.moves.Gaussian(target_acceptance=None), "b": ja.moves.Flip()}
    assert not _move.is_mixed(ja.moves.PerLeaf(held), params)  # nothing adapts at all


def test_a_part_that_holds_its_scale_holds_it_beside_one_that_adapts():
    held = ja.moves.Gaussian(1.0, target_acceptance=None)
    move = ja.moves.PerLeaf([held, ja.moves.Gaussian(1.0)])
    params = [jnp.zeros(9), jnp.zeros(9)]
    once, _ = move.propose(jax.random.key(0), params, 1.0)
    wide, _ = move.propose(jax.random.key(0), params, 100.0)
    np.testing.assert_array_equal(wide[0], once[0])
    np.testing.assert_allclose(wide[1], 100 * once[1], rtol=1e-6)


def test_first_factors_are_read_from_finite_starts_alone():
    count = 64
    factors = np.exp(step_size.spread_factors(count))
    rises = 0.5 * factors**2
    one = np.ones(count, np.float32)
    whole = step_size.first_factors(rises, one)
    assert 0.5 < np.exp(whole[0]) < 2  # exp(-f^2/2) falls to a half at 1.18
    missing = np.where(np.arange(count) % 3 == 0, np.nan, rises)
    np.testing.assert_allclose(step_size.first_factors(missing, one), whole, atol=0.5)
    np.testing.assert_array_equal(step_size.first_factors(rises * np.nan, one), 0 * one)
    # Beside parts that are refused nine times in ten, a half of the rest is what counts.
    beside = rises + np.log(10)
    np.testing.assert_allclose(step_size.first_factors(beside, one), whole, atol=1e-6)
