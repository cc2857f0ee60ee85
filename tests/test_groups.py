"""What is held for groups of ladders is what all of their energies and swaps say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import broken, caught

import jaxanneal as ja
from jaxanneal._diagnostics import _explored, _swapped
from jaxanneal._methods._groups import grouped

RUNGS, PHASES = 4, 12
TEMPERATURES = np.array([1.0, 1.5, 2.0, 4.0])


def drawn(ladders):
    """Return energies far from zero, ``[phases, ladders, rungs]``."""
    energies = 1000 + np.random.default_rng(0).gamma(2.0, size=(PHASES, ladders, RUNGS))
    return energies.astype(np.float32)


def followed(energies, twin=()):
    """Return what the swaps told, and the replicas by rung before the phases and at the end."""
    phases, ladders, _ = energies.shape
    method = ja.ParallelTempering(
        temperatures=TEMPERATURES, ladders=ladders, swap_every=1, adapt=False
    ).bind(phases)

    def one_phase(state, inputs):
        step, now = inputs
        none = jnp.zeros(method.chains)
        new, _ = method.after_round(jax.random.key(0), state, step, now.reshape(-1), none)
        return new, state.replica

    inputs = 1 + jnp.arange(phases), jnp.asarray(energies)
    with broken(twin):
        state, replica = jax.jit(lambda: jax.lax.scan(one_phase, method.init(), inputs))()
        told = {name: np.asarray(x) for name, x in (_explored(state) | _swapped(state)).items()}
    return told, np.concatenate([replica, state.replica[None]]).astype(int)


def told_law(ladders, twin=()):
    """NumPy in double precision, from the whole record of all ladders."""
    energies = drawn(ladders)
    told, replica = followed(energies, twin)
    by_rung = np.take_along_axis(energies.astype(np.float64), replica[:-1], axis=2)
    np.testing.assert_allclose(told["mean_energy"], by_rung.mean((0, 1)), rtol=1e-6)
    variance = by_rung.var((0, 1))
    np.testing.assert_allclose(told["heat_capacity"], variance / TEMPERATURES**2, rtol=2e-3)
    before = np.take_along_axis(energies[:-1].astype(np.float64), replica[1:-1], axis=2)
    change = np.square(by_rung[1:] - before).mean((0, 1))
    np.testing.assert_allclose(told["autocorrelation"], 1 - change / (2 * variance), atol=2e-3)
    # The pairs at both ends are the only ones of their rungs; both try in the first phase.
    swaps = (np.diff(replica, axis=0) != 0)[::2, :, [0, -1]].mean((0, 1))
    np.testing.assert_allclose(told["swap_rate"][[0, -1]], swaps, rtol=1e-6)
    delta, above = -np.diff(1 / TEMPERATURES), by_rung - 1000
    up, down = np.exp(-delta * above[..., 1:]), np.exp(delta * above[..., :-1])
    steps = (np.log(up.mean((0, 1))) - np.log(down.mean((0, 1)))) / 2 - delta * 1000
    exact = np.append(np.cumsum(steps[::-1])[::-1], 0.0)
    np.testing.assert_allclose(told["log_partition"], exact, rtol=1e-6)


@pytest.mark.parametrize("ladders", [1, 5, 32, 70])
def test_diagnostics_are_those_of_all_ladders(ladders):
    told_law(ladders)


def test_the_law_catches_gaps_that_count_and_members_that_do_not():
    """70 ladders leave gaps in 16 groups."""
    name = "jaxanneal._methods._rung_energies.grouped"
    caught(told_law, 70, ((name, lambda values, gap: grouped(values, 1000.0)),))
    caught(told_law, 70, ((name, lambda values, gap: grouped(values, gap)[:1]),))
    caught(told_law, 70, (("jaxanneal._diagnostics.sizes_of", lambda ladders: np.ones(16)),))


@pytest.mark.parametrize("ladders", [1, 5, 70])
def test_an_infinite_energy_adds_nothing(ladders):
    energies = drawn(ladders)
    energies[3, ladders // 2, 1] = np.inf
    told, _ = followed(energies)
    for name in ("mean_energy", "heat_capacity", "autocorrelation", "log_partition"):
        assert np.all(np.isfinite(told[name])), name
    assert np.all(np.abs(told["mean_energy"] - 1002) < 2)
    assert np.all(told["heat_capacity"] < 6)


def test_rates_stay_exact_where_counts_of_all_ladders_would_outgrow_32_bits():
    """4,096 ladders that swap in every one of 2**21 phases: 2**32 swaps of each pair."""
    method = ja.ParallelTempering(temperatures=[1.0, 2.0], ladders=4096, swap_every=1, warmup=0)
    state = method.init()
    tried = jnp.full(1, 2**21, jnp.int32)
    state = ja._pytree.replace(state, attempts=tried, swap_rate=jnp.ones_like(state.swap_rate))
    new, _ = method.after_round(
        jax.random.key(0), state, jnp.asarray(1), jnp.zeros(8192), jnp.zeros(8192)
    )
    assert _swapped(new)["swap_rate"] == 1.0
