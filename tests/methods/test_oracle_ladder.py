"""The ladder moves to equal rejection, and what its energies say is exact: oracles (b), (c), (d).

Where exploration is ideal the energies of all rungs are fresh draws from their exact laws.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import MANY_OF_GROUPS, assert_mean, broken, by_replica, caught, swap_rates
from scipy import special

import jaxanneal as ja
from jaxanneal._methods.ladder.adaptation import barrier_between, equalised
from jaxanneal._methods.ladder.free_energy import log_means, log_partition, log_partition_error
from jaxanneal._methods.ladder.rung_energies import with_phase
from jaxanneal._methods.protocol import Seen
from jaxanneal._pytree import replace

LADDER = "jaxanneal._methods.ladder.adaptation"
UNEVEN = np.linspace(
    0.1, 10.0, 12
)  # refuses 0.61 to 0.03 of its swaps for d = 1, 1.00 to 0.26 at 50


def rejection(temperatures, d):
    """Predescu et al. (2004)."""
    ratio = temperatures[1:] / temperatures[:-1]
    return 1 - 2 * special.betainc(d / 2, d / 2, 1 / (1 + ratio))


@functools.partial(jax.jit, static_argnames="distance")
def moved_once(temperatures, acceptance, distance=barrier_between):
    with broken(((f"{LADDER}.barrier_between", distance),)):
        return equalised(temperatures, acceptance)


def exact_ladder_law(d, rounds=3, distance=barrier_between):
    """From exact rates a few rounds lead to equal ones, and more change nothing."""
    temperatures = jnp.asarray(UNEVEN, jnp.float32)
    for _ in range(rounds):
        refused = rejection(np.asarray(temperatures, np.float64), d)
        temperatures = moved_once(temperatures, jnp.asarray(1 - refused, jnp.float32), distance)
    assert temperatures[0] == np.float32(0.1) and temperatures[-1] == 10
    refused = rejection(np.asarray(temperatures, np.float64), d)
    assert np.ptp(refused) < 0.005, refused


@pytest.mark.parametrize("d", [1, 10, 50])
def test_exact_rates_lead_to_equal_rates_within_three_rounds(d):
    exact_ladder_law(d)


def test_the_ladder_law_catches_other_distances():
    """The acceptance for the rejection; and 1 - a, which takes all wide gaps for the same."""
    caught(exact_ladder_law, 10, distance=lambda acceptance: acceptance)
    caught(exact_ladder_law, 50, distance=lambda acceptance: 1 - acceptance)


@pytest.mark.parametrize("acceptance", [(1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0.0, 1.0)])
def test_a_ladder_keeps_its_order_and_its_ends_whatever_was_measured(acceptance):
    temperatures = jnp.asarray([0.1, 0.2, 5.0, 6.0])
    moved = moved_once(temperatures, jnp.asarray(acceptance))
    assert bool(jnp.all(jnp.diff(moved) > 0)) and moved[0] == temperatures[0]
    assert moved[-1] == temperatures[-1]
    if acceptance == (1.0, 1.0, 1.0):  # nothing was refused: nothing to mend
        np.testing.assert_array_equal(moved, temperatures)


# Draws of the energy at given temperatures, float [rungs, ladders] each. The double well and the
# Ising model by inversion, on a grid and over the levels of oracle (d).
WELL = np.linspace(-2.5, 2.5, 2001)
LEVELS = np.array([-32, -24, -20, -16, -12, -8, -4, 0, 4, 8, 12, 16, 20, 24, 32.0])
COUNTS = np.array([2, 32, 64, 424, 1728, 6688, 13568, 20524, 13568, 6688, 1728, 424, 64, 32, 2])


def harmonic(key, temperatures):
    uniform = jax.random.uniform(key, (5, *temperatures.shape))
    return -jnp.sum(jnp.log1p(-uniform), axis=0) * temperatures


def listed(energies, counts):
    energies = jnp.asarray(energies, jnp.float32)
    logs = jnp.log(jnp.asarray(counts, jnp.float32))

    def draw(key, temperatures):
        weights = jnp.broadcast_to(logs, (temperatures.size, logs.size)) - jnp.outer(
            1 / temperatures, energies
        )
        return energies[jax.random.categorical(key, weights)]

    return draw


PROBLEMS = {
    "harmonic": (harmonic, np.linspace(0.5, 5.0, 9)),
    "double well": (listed(4 * (WELL**2 - 1) ** 2 + 0.5 * WELL, np.ones(2001)), (0.2, 0.5, 1, 3)),
    "Ising 4 x 4": (listed(LEVELS, COUNTS), (1.5, 1.7, 1.9, 2.5, 3.0)),
}
LADDERS, WARM, PHASES = 64, 512, 512


@functools.cache
def explored(problem, adapt, twin, seed):
    """Return ladders of which every rung was drawn afresh in every phase."""
    with broken(twin):
        return explorer(problem, adapt, twin)(jax.random.key(seed))


@functools.cache
def explorer(problem, adapt, twin):
    """Return a function of the key that explores; one program serves all keys."""
    draw, temperatures = PROBLEMS[problem]
    method = ja.ParallelTempering(
        temperatures=temperatures, ladders=LADDERS, swap_every=1, warmup=WARM, adapt=adapt
    )

    def one_phase(carry, step):
        ladders, key = carry
        energies = draw(jax.random.fold_in(key, step), by_replica(ladders))
        none = jnp.zeros(method.chains)
        ladders = method.after_round(
            jax.random.key(2), ladders, step, Seen(energies, none, none)
        ).state
        return (ladders, key), None

    steps = 1 + jnp.arange(WARM + PHASES)
    return jax.jit(lambda key: jax.lax.scan(one_phase, (method.init(), key), steps)[0][0])


def equal_rates_law(problem, adapt=True):
    """16,384 tries of each pair: standard error 0.004, so 0.05 is far above chance."""
    ladders = explored(problem, adapt, (), 1)
    rates = np.mean(swap_rates(ladders), axis=0)
    assert np.max(np.abs(rates - rates.mean())) < 0.05, rates
    ends = np.asarray(PROBLEMS[problem][1], np.float32)
    assert ladders.ladder.temperatures[0] == ends[0]
    assert ladders.ladder.temperatures[-1] == ends[-1]


# The double well takes longest; the run of it in test_ladder is as strict.
@pytest.mark.parametrize(
    "problem",
    [pytest.param(p, marks=[pytest.mark.slow] * (p == "double well")) for p in PROBLEMS],
)
def test_all_pairs_swap_equally_often_after_the_warm_up(problem):
    equal_rates_law(problem)


def test_the_law_of_equal_rates_catches_a_ladder_that_never_moves():
    caught(equal_rates_law, "harmonic", adapt=False)


# Harmonic, d = 10: mean energy d T / 2, heat capacity d / 2, ln Z = (d / 2) ln T + a constant.
def energies_law(twin=()):
    """Groups of ladders are independent, so their means compare by the plain standard error."""
    ladders = explored("harmonic", False, twin, 1)
    temperatures, draws = PROBLEMS["harmonic"][1], PHASES * LADDERS / len(ladders.energies.mean)
    for rung, t in enumerate(temperatures):
        assert_mean("mean energy", ladders.energies.mean[:, rung] / t, 5.0, MANY_OF_GROUPS)
        within = ladders.energies.variance[:, rung] * draws / (draws - 1)
        assert_mean("heat capacity", within / t**2, 5.0, MANY_OF_GROUPS)
        change = ladders.energies.change[:, rung]
        assert_mean("squared change", change / (2 * t**2), 5.0, MANY_OF_GROUPS)


def test_energies_at_every_rung_have_their_exact_mean_spread_and_change():
    energies_law()


@pytest.mark.slow
def test_the_law_of_energies_catches_those_by_replica_and_comparisons_with_others():
    def by_number(before, energies, by_rung, last, one):
        return with_phase(before, energies, energies, last, one)

    def with_others(before, energies, by_rung, last, one):
        return with_phase(before, energies, by_rung, last[:, ::-1], one)

    def elsewhere(before, energies, by_rung, last, one):
        return with_phase(before, energies, by_rung[:, ::-1], last, one)

    def stale(before, energies, by_rung, last, one):
        return with_phase(before, energies, by_rung, by_rung - 1, one)

    def one_mean_of_squares(before, energies, by_rung, last, one):
        new = with_phase(before, energies, by_rung, last, one)
        return replace(new, variance=new.variance + jnp.square(new.mean))

    name = "jaxanneal._methods.ladder.swaps.with_phase"
    for twin in (by_number, with_others, elsewhere, stale, one_mean_of_squares):
        caught(energies_law, ((name, twin),))


def error_law(error):
    """Four groups of ladders each scatter about the exact value as their own errors say.

    A jackknife of 4 is known to two fifths; over 16 of them and 8 rungs, which are not independent,
    its root mean square lies within 40 % of the scatter unless it is wrong by a factor.
    """
    runs = [explored("harmonic", False, (), seed) for seed in (1, 3, 4, 5)]
    means = np.concatenate([log_means(run.weights) for run in runs], axis=1)
    temperatures = PROBLEMS["harmonic"][1]
    exact = 5 * np.log(temperatures / temperatures[-1])[:-1]
    fours = [means[:, first : first + 4] for first in range(0, means.shape[1], 4)]
    off = np.array([log_partition(four)[:-1] - exact for four in fours])
    errors = np.array([error(four)[:-1] for four in fours])
    scatter = np.sqrt(np.mean(off**2)), np.sqrt(np.mean(errors**2))
    assert 0.7 < scatter[1] / scatter[0] < 1.4, scatter
    total = log_partition(means)[:-1] - exact
    assert np.all(np.abs(total) < 5.5 * error(means)[:-1])


@pytest.mark.slow
def test_the_error_of_the_log_partition_function_is_that_of_its_scatter():
    error_law(log_partition_error)


def test_the_law_of_errors_catches_the_scatter_of_single_ladders():
    caught(error_law, lambda means: log_partition_error(means) * means.shape[1] ** 0.5)
    caught(error_law, lambda means: log_partition_error(means) / means.shape[1] ** 0.5)


def test_one_ladder_cannot_tell_its_error():
    means = np.zeros((2, 1, 3))
    assert np.all(np.isnan(log_partition_error(means))) and np.all(log_partition(means) == 0)
