"""Free energies of a ladder by stepping stones, from ideal exploration: oracles (b) and (c)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from laws import MANY_OF_GROUPS, assert_mean, broken, by_replica, caught

import jaxanneal as ja
from jaxanneal._methods.ladder.free_energy import (
    log_means,
    log_partition,
    log_weights,
    no_weights,
    with_weights,
)
from jaxanneal._methods.protocol import Seen

# Harmonic energy in 4 dimensions: ln Z = (d/2) ln(2 pi T), so neighbours differ by 2 ln(ratio).
LADDER = np.geomspace(0.5, 4.0, 7)
DIMENSION, LADDERS, PHASES = 4, 500, 200
EXACT = DIMENSION / 2 * np.log(LADDER / LADDER[-1])
WEIGHTS = "jaxanneal._methods.ladder.swaps.log_weights"


@functools.partial(jax.jit, static_argnames="twins")
def explored(twins=(), which=None):
    """Return the ladders after phases in which every rung was drawn afresh from its own law.

    Broken twins of the weights are compiled together; ``which`` of them is a number.
    """

    def weights(temperatures, energies):
        every = [twin(temperatures, energies) for twin in twins]
        return [jnp.stack(sides)[which] for sides in zip(*every, strict=True)]

    method = ja.ParallelTempering(
        temperatures=LADDER, ladders=LADDERS, swap_every=1, warmup=PHASES // 2
    )

    def one_phase(ladders, step):
        uniform = jax.random.uniform(
            jax.random.fold_in(jax.random.key(1), step), (DIMENSION // 2, method.chains)
        )
        energies = -jnp.sum(jnp.log1p(-uniform), axis=0) * by_replica(ladders)
        none = jnp.zeros(method.chains)
        seen = Seen(energies, none, none)
        return method.after_round(jax.random.key(2), ladders, step, seen).state, None

    with broken(((WEIGHTS, weights),) if twins else ()):
        return jax.lax.scan(one_phase, method.init(), 1 + jnp.arange(PHASES))[0]


def free_energy_law(*twin):
    """Both one-sided estimates are unbiased means of groups of ladders; their mean is ln Z."""
    ladders = explored(*twin)
    assert ladders.phases == PHASES // 2
    ratios = np.exp(np.diff(EXACT))  # of the hotter rung's Z over the colder one's
    up, down = np.exp(log_means(ladders.weights))
    for pair, ratio in enumerate(ratios):
        assert_mean(f"from the hotter rung, pair {pair}", up[:, pair], 1 / ratio, MANY_OF_GROUPS)
        assert_mean(f"from the colder rung, pair {pair}", down[:, pair], ratio, MANY_OF_GROUPS)
    # 50,000 draws of each pair: standard error of ln Z below 0.005 at the coldest rung.
    np.testing.assert_allclose(log_partition(log_means(ladders.weights)), EXACT, atol=0.025)


def test_stepping_stones_give_the_free_energy_of_every_rung():
    free_energy_law()


def test_the_free_energy_law_catches_a_wrong_sign_and_temperatures_for_betas():
    twins = (
        lambda t, energies: [-one for one in log_weights(t, energies)],
        lambda t, energies: log_weights(1 / t[::-1], energies),
    )
    for which in range(len(twins)):
        caught(free_energy_law, twins, which)


def test_the_running_mean_is_the_mean_whatever_the_size_of_the_weights():
    for values in ([0.3, -2.0, 1.5], [-np.inf, 0.5, -np.inf], [-500.0, 70.0, 69.0], [1e3, -1e3]):
        means = (no_weights(1, 2),) * 2
        for count, value in enumerate(values):
            both = [jnp.full((1, 1), value)] * 2
            means = with_weights(means, both, both, jnp.asarray(count))
        exact = np.logaddexp.reduce(values) - np.log(len(values))
        np.testing.assert_allclose(log_means(means), np.full((2, 1, 1), exact), rtol=1e-6)


def test_nothing_measured_is_nan_and_no_ladder_is_none():
    method = ja.ParallelTempering(temperatures=[1.0, 2.0], warmup=0)
    result = ja.anneal(lambda x: x**2, 1.0, key=0, method=method, steps=5)
    np.testing.assert_array_equal(result.diagnostics.log_partition, [np.nan, 0.0])
    alone = ja.SimulatedAnnealing(2, ja.cooling.Geometric(1.0, 0.1))
    result = ja.anneal(lambda x: x**2, 1.0, key=0, method=alone, steps=5)
    assert result.diagnostics.log_partition is None
