"""Resampling: as many copies as the weights say, every survivor in its place, and exact ensembles.

Each statistical test gives a false alarm with probability 1e-6, see ``laws``.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import MANY, assert_counts, assert_mean, caught, enable_x64

from jaxanneal._methods.resampling import copies, log_weights, resampled, sources

LEVELS = np.float32(np.random.default_rng(5).exponential(2.0, 20))
OFFSETS = np.linspace(0, 2**32 - 1, 257).astype(np.uint32)


def copied(weights, offset):
    return np.asarray(copies(jnp.asarray(weights), jnp.asarray(offset, jnp.uint32)))


def weights_of(size, seed, dtype=np.float32):
    return np.exp(3 * np.random.default_rng(seed).normal(size=size)).astype(dtype)


@pytest.mark.parametrize("size", [1, 2, 7, 64, 5000])
def test_as_many_copies_as_chains_and_each_rounded_down_or_up(size):
    weights = weights_of(size, size)
    mean = size * weights.astype(np.float64) / weights.sum(dtype=np.float64)
    number = np.stack([copied(weights, offset) for offset in OFFSETS])
    np.testing.assert_array_equal(number.sum(axis=1), size)
    near = 1e-5 * np.maximum(mean, 1)  # float32 knows the mean no better
    assert np.all((number >= np.floor(mean - near)) & (number <= np.ceil(mean + near)))


def test_the_expected_number_of_copies_is_the_weight():
    weights = weights_of(12, 0)
    # Over equally spaced offsets: each chain's mean is off by one offset's share at most.
    number = np.mean([copied(weights, offset) for offset in OFFSETS[:-1]], axis=0)
    np.testing.assert_allclose(number, 12 * weights / weights.sum(), atol=1 / 128)


@pytest.mark.parametrize("size", [1, 3, 64, 4097, 100_003])
def test_equal_weights_replace_nobody_whatever_the_offset(size):
    for offset in (0, 1, 2**31, 2**32 - 1):
        np.testing.assert_array_equal(copied(np.full(size, 0.3, np.float32), offset), 1)


def test_double_precision_gives_the_same_law():
    with enable_x64(True):
        weights = weights_of(64, 3, np.float64)
        number = np.mean([copied(weights, offset) for offset in OFFSETS[:-1]], axis=0)
        assert np.all(number == np.round(number * 256) / 256) and number.sum() == 64
        np.testing.assert_allclose(number, 64 * weights / weights.sum(), atol=1 / 128)


def surviving_law(sources_of):
    """As many copies as are to go on, and a chain of which one does stays in its place."""
    for seed in range(5):
        number = copied(weights_of(50, seed), 12345 + seed)
        source = np.asarray(sources_of(jnp.asarray(number)))
        np.testing.assert_array_equal(np.bincount(source, minlength=50), number)
        alive = np.flatnonzero(number)
        np.testing.assert_array_equal(source[alive], alive)


def test_survivors_stay_and_their_copies_fill_the_places_of_the_others():
    surviving_law(sources)


def test_copies_that_lie_side_by_side_are_caught():
    caught(surviving_law, lambda number: jnp.repeat(jnp.arange(50), number))


def logs(energies, before, now):
    return np.asarray(log_weights(jnp.asarray(energies), *np.float32([before, now])))


def test_weights_are_those_of_boltzmann_between_the_two_temperatures():
    energies = np.float32([3, -2, 0.5])
    exact = -(1 / 0.5 - 1 / 2) * (energies + 2)
    np.testing.assert_allclose(logs(energies, 2, 0.5), exact, rtol=1e-6)
    # Neighbouring temperatures: in float32 the inverse ones agree in all but their last digits.
    now = np.nextafter(np.float32(1e3), np.float32(0))
    exact = -(1 / float(now) - 1 / 1e3) * (energies.astype(float) + 2)
    np.testing.assert_allclose(logs(energies, 1e3, now), exact, rtol=1e-5)


def test_what_is_not_finite_weighs_nothing_unless_nothing_is_finite():
    inf = np.inf
    seen = logs(np.float32([1, inf, 2, np.nan, -inf]), 2, 1)
    np.testing.assert_allclose(np.exp(seen), [1, 0, np.exp(-0.5), 0, 0], rtol=1e-6)
    np.testing.assert_array_equal(logs(np.float32([inf, inf, inf]), 2, 1), 0)
    same = logs(np.float32([1, inf, 2, inf]), 1, 1)  # nor where the temperature stands still
    np.testing.assert_array_equal(same, [0, -inf, 0, -inf])


@pytest.mark.parametrize(
    ("before", "now"), [(1, 0), (1e-3, 0), (0, 0), (0, 1), (1, 2), (1e-35, 1e-35), (3e38, 1e-38)]
)
def test_no_temperatures_and_no_energies_make_nan(before, now):
    energies = np.float32([3e38, -3e38, -3e38, 0, np.inf])
    seen, falls = logs(energies, before, now), now < before
    assert not np.any(np.isnan(seen)) and np.max(seen) == 0
    expected = [0, 1, 1, 0, 0] if falls else [1, 1, 1, 1, 0]
    np.testing.assert_array_equal(np.exp(seen), expected)


def test_half_precision_counts_in_single():
    energies = jnp.asarray([1, 1.5, 2], jnp.bfloat16)
    assert logs(energies, 1, 0.5).dtype == np.float32


def boltzmann(temperature):
    weights = np.exp(-(LEVELS - LEVELS.min()) / temperature)
    return weights / weights.sum()


def ensemble(draw, chains, runs, before=2.0, now=1.0):
    """Return states of chains in equilibrium at one temperature after one replacement.

    Float ``[runs, chains]``; chains of a run depend on each other, runs do not.
    """
    random = np.random.default_rng(11)
    states = random.choice(20, (runs, chains), p=boltzmann(before)).astype(np.int32)
    keys = jax.random.split(jax.random.key(3), runs)
    level = jnp.asarray(LEVELS)

    @jax.jit
    @jax.vmap
    def one(key, state):
        return state[draw(key, level[state], jnp.float32(before), jnp.float32(now))]

    return np.asarray(one(keys, states))


def exact_law(draw):
    """The share of each state among many chains is its Boltzmann weight at the new temperature.

    A ratio of two random sums is off by their covariance: with 4,096 chains by 1e-4 of each share,
    where 200 runs leave a standard error of 2e-3 of it.
    """
    states = ensemble(draw, chains=4096, runs=200)
    for level, exact in enumerate(boltzmann(1.0)):
        assert_mean(f"level {level}", np.mean(states == level, axis=1), exact, MANY)


def test_chains_in_equilibrium_are_replaced_by_an_ensemble_of_the_new_temperature():
    exact_law(resampled)


def test_any_chain_of_a_run_is_in_the_ensemble_of_the_new_temperature():
    states = ensemble(resampled, chains=256, runs=4000)
    any_chain = np.random.default_rng(1).integers(256, size=4000)
    assert_counts("one chain of each run", states[np.arange(4000), any_chain], boltzmann(1.0))


def by_uniform_weights(key, energies, before, now):
    """A broken twin: who goes on does not depend on the energies."""
    return sources(copies(jnp.ones_like(energies), jax.random.bits(key, (), jnp.uint32)))


def by_wrong_sign(key, energies, before, now):
    """A broken twin: bad chains are copied."""
    weights = jnp.exp(-log_weights(energies, before, now))
    return sources(copies(weights, jax.random.bits(key, (), jnp.uint32)))


def by_new_temperature(key, energies, before, now):
    """A broken twin: the weights of the new ensemble, though chains are those of the old one."""
    return resampled(key, energies, jnp.float32(jnp.inf), now)


@pytest.mark.parametrize("twin", [by_uniform_weights, by_wrong_sign, by_new_temperature])
def test_a_replacement_by_other_weights_is_caught(twin):
    caught(exact_law, twin)
