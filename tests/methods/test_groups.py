"""What is held for groups of ladders is what all of their energies and swaps say."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import broken, caught

import jaxanneal as ja
from jaxanneal._diagnostics import check
from jaxanneal._diagnostics.diagnostics import Accepted, _explored, _swapped, acceptance_rate
from jaxanneal._methods.ladder import groups
from jaxanneal._methods.ladder.groups import grouped
from jaxanneal._methods.protocol import Seen, Trials
from jaxanneal._pytree import replace

RUNGS, PHASES = 4, 12
TEMPERATURES = np.array([1.0, 1.5, 2.0, 4.0])


def drawn(ladders):
    """Return energies far from zero, ``[phases, ladders, rungs]``."""
    energies = 1000 + np.random.default_rng(0).gamma(2.0, size=(PHASES, ladders, RUNGS))
    return energies.astype(np.float32)


@functools.cache
def follower(ladders, twin):
    """Return a function of the energies that makes the phases; one program serves all of them."""
    method = ja.ParallelTempering(
        temperatures=TEMPERATURES, ladders=ladders, swap_every=1, adapt=False
    ).bind(PHASES)

    def one_phase(state, inputs):
        step, now = inputs
        none = jnp.zeros(method.chains)
        new = method.after_round(
            jax.random.key(0), state, step, Seen(now.reshape(-1), none, none)
        ).state
        return new, state.replica

    steps = 1 + jnp.arange(PHASES)
    return jax.jit(lambda energies: jax.lax.scan(one_phase, method.init(), (steps, energies)))


def followed(energies, twin=(), reader=()):
    """Return the diagnostics, and the replicas by rung before the phases and at the end.

    A twin is a broken part of the swaps, a reader one of what the host makes of them.
    """
    with broken(twin):
        state, replica = follower(energies.shape[1], twin)(energies)
    with broken(reader):
        health = {name: np.asarray(x) for name, x in (_explored(state) | _swapped(state)).items()}
    return health, np.concatenate([replica, state.replica[None]]).astype(int)


def diagnostics_law(ladders, twin=(), reader=()):
    """NumPy in double precision, from the whole record of all ladders."""
    energies = drawn(ladders)
    health, replica = followed(energies, twin, reader)
    by_rung = np.take_along_axis(energies.astype(np.float64), replica[:-1], axis=2)
    np.testing.assert_allclose(health["mean_energy"], by_rung.mean((0, 1)), rtol=1e-6)
    variance = by_rung.var((0, 1))
    np.testing.assert_allclose(health["heat_capacity"], variance / TEMPERATURES**2, rtol=2e-3)
    before = np.take_along_axis(energies[:-1].astype(np.float64), replica[1:-1], axis=2)
    change = np.square(by_rung[1:] - before).mean((0, 1))
    np.testing.assert_allclose(health["autocorrelation"], 1 - change / (2 * variance), atol=2e-3)
    # The pairs at both ends are the only ones of their rungs; both try in the first phase.
    swaps = (np.diff(replica, axis=0) != 0)[::2, :, [0, -1]].mean((0, 1))
    np.testing.assert_allclose(health["swap_rate"][[0, -1]], swaps, rtol=1e-6)
    delta, above = -np.diff(1 / TEMPERATURES), by_rung - 1000
    up, down = np.exp(-delta * above[..., 1:]), np.exp(delta * above[..., :-1])
    steps = (np.log(up.mean((0, 1))) - np.log(down.mean((0, 1)))) / 2 - delta * 1000
    exact = np.append(np.cumsum(steps[::-1])[::-1], 0.0)
    np.testing.assert_allclose(health["log_partition"], exact, rtol=1e-6)


@pytest.mark.parametrize("ladders", [1, 5, 32, 70])
def test_diagnostics_are_those_of_all_ladders(ladders):
    diagnostics_law(ladders)


def test_the_law_catches_gaps_that_count_and_members_that_do_not():
    """70 ladders leave gaps in 16 groups."""
    name = "jaxanneal._methods.ladder.rung_energies.grouped"
    caught(diagnostics_law, 70, ((name, lambda values, gap: grouped(values, 1000.0)),))
    caught(diagnostics_law, 70, ((name, lambda values, gap: grouped(values, gap)[:1]),))
    sizes = "jaxanneal._diagnostics.diagnostics.sizes_of"
    caught(diagnostics_law, 70, reader=((sizes, lambda ladders: np.ones(16)),))


@pytest.mark.parametrize("ladders", [1, 5, 70])
@pytest.mark.parametrize("phase", [0, 3])
def test_an_infinite_energy_adds_nothing(ladders, phase):
    """In the first phase, too, where there is no mean yet for it to stand at."""
    energies = np.float32(1e5 - 1000) + drawn(ladders)
    energies[phase, 0, 1] = np.inf
    health, replica = followed(energies)
    by_rung = np.take_along_axis(energies.astype(np.float64), replica[:-1], axis=2)
    counted = np.where(np.isfinite(by_rung), by_rung, np.nan)
    np.testing.assert_allclose(health["mean_energy"], np.nanmean(counted, (0, 1)), rtol=1e-6)
    capacity = np.nanvar(counted, (0, 1)) / TEMPERATURES**2
    # A group that lacks one energy in one of twelve phases still counts the phase in full.
    np.testing.assert_allclose(health["heat_capacity"], capacity, rtol=0.03, atol=0.02)
    assert np.all(np.isfinite(health["log_partition"]))


def test_swaps_are_counted_one_by_one_and_beyond_32_bits():
    """A running mean in single precision would lose 0.03 of a rate of 0.97 in 3 million phases."""
    method = ja.ParallelTempering(temperatures=[1.0, 2.0], ladders=40, swap_every=1, warmup=0)
    before = np.array([2**32 - 1, 2**32 - 3, 2**31 - 1, 2**33] * 4)
    words = np.stack([before & 0xFFFFFFFF, before >> 32]).astype(np.uint32)[:, :, None]
    state = replace(method.init(), accepted=jnp.asarray(words))
    equal = jnp.zeros(80)
    after_round = jax.jit(method.after_round)
    after = after_round(jax.random.key(0), state, jnp.asarray(1), Seen(equal, equal, equal)).state
    counted = groups.as_integers(after.accepted)[:, 0]
    np.testing.assert_array_equal(counted, before + groups.sizes_of(40))


def all_swapped(rungs, kind):
    """Return ladders after so many phases, all swaps accepted, that replicas meet both ends."""
    method = ja.ParallelTempering(
        temperatures=np.linspace(1, 2, rungs), ladders=2, swap_every=1, warmup=0
    )
    state, equal = method.init(), jnp.zeros(method.chains)
    kind = state.rung.dtype if kind is None else kind
    state = replace(state, rung=state.rung.astype(kind), replica=state.replica.astype(kind))

    def one_phase(state, step):
        return method.after_round(
            jax.random.key(0), state, step, Seen(equal, equal, equal)
        ).state, None

    return jax.jit(lambda: jax.lax.scan(one_phase, state, 1 + jnp.arange(3 * rungs))[0])()


def labels_law(rungs, kind=None):
    state, wide = all_swapped(rungs, kind), all_swapped(rungs, jnp.int32)
    for name in ("rung", "replica", "journey", "round_trips"):
        np.testing.assert_array_equal(getattr(state, name), getattr(wide, name))
    assert np.all(np.asarray(wide.round_trips) > 0)
    return state


@pytest.mark.parametrize(
    "rungs, kind",
    [(127, "int8"), *(pytest.param(n, "int16", marks=pytest.mark.slow) for n in (128, 300))],
)
def test_labels_of_few_bits_lead_to_the_same_ladders(rungs, kind):
    assert labels_law(rungs).rung.dtype == kind


def test_the_law_catches_labels_of_too_few_bits():
    with pytest.raises((AssertionError, OverflowError)):  # JAX may look at the number of the last
        labels_law(300, jnp.int8)


def acceptance_law(twin=()):
    """100 moves after a warm-up of two thousand million; of them none to all were accepted."""
    method = ja.ParallelTempering(temperatures=TEMPERATURES, ladders=40)
    warm = 2**31 - 101
    before = np.random.default_rng(0).integers(warm // 2, warm, (40, RUNGS))
    more = 100 * (np.arange(RUNGS) % 3) // 2
    with broken(twin):
        ladders = method.bind(100).init()
        state = jax.jit(method.restarted)(ladders, jnp.asarray(before.reshape(-1), jnp.int32))
    trials = Trials((before + more).reshape(-1))
    accepted = Accepted(trials, state.warm_moves, warm + 100, warm)
    np.testing.assert_array_equal(acceptance_rate(accepted, method.shape), more / 100)


def test_acceptance_rates_are_exact_after_any_warm_up_and_sums_of_32_bits_are_not():
    acceptance_law()

    def sums(counts):
        whole = jnp.sum(counts.astype(jnp.uint32), axis=0, dtype=jnp.uint32)
        return jnp.zeros((3, RUNGS), jnp.uint32).at[0].set(whole)

    caught(acceptance_law, (("jaxanneal._methods.ladder.ladders.summed", sums),))


@pytest.mark.parametrize("scheme", [pytest.param("deo", marks=pytest.mark.slow), "seo"])
def test_tempering_runs_in_double_precision(float64, scheme):
    method = ja.ParallelTempering(rungs=3, ladders=20, swap_every=2, scheme=scheme)
    well = lambda x: jnp.sum((x**2 - 1) ** 2)  # noqa: E731
    result = ja.anneal(well, jnp.ones(2), key=0, method=method, steps=80)
    assert result.chains.energy.dtype == jnp.float64
    assert result.diagnostics.round_trips.shape == (20,)


def test_replicas_that_the_warm_up_sorted_may_be_stuck_after_it():
    """Every proposal is refused, and the swaps of the warm-up sort what was given."""
    method = ja.ParallelTempering(
        temperatures=[0.1, 0.2, 0.4, 0.8], ladders=2, swap_every=1, warmup=200, adapt=False
    )
    energy = lambda x: jnp.where(x == jnp.round(x), 100 * x, jnp.inf)  # noqa: E731
    starts = ja.stacked(jnp.arange(8.0)[::-1])
    half = lambda key, x: x + 0.5  # noqa: E731
    result = ja.anneal(energy, starts, key=0, method=method, move=half, steps=1500)
    assert np.any(np.asarray(result.state.engine_state.exchange.rung) != np.arange(4))
    wrong = np.array(
        [each != check.Status.SOUND for each in check.status_of(result.state.engine_state)]
    )
    assert wrong.all()
