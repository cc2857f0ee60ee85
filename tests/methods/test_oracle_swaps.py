"""Swaps of parallel tempering: rates, labels, round trips: oracle (b).

Exploration is ideal here: the energies of all rungs are fresh draws from their exact laws, for the
harmonic energy T times a Gamma variable of shape d/2. Then every formula is exact.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import (
    MANY,
    MANY_OF_GROUPS,
    SWAP_TWINS,
    assert_mean,
    broken,
    by_replica,
    caught,
    swap_rates,
    swap_twin,
)
from scipy import special

import jaxanneal as ja
from jaxanneal._methods.ladder.groups import as_integers, sizes_of
from jaxanneal._methods.ladder.ladders import journeys
from jaxanneal._methods.ladder.swaps import log_swap_acceptance, parity, swap_decisions
from jaxanneal._methods.protocol import Seen

SWAPS = "jaxanneal._methods.ladder.swaps"
DRAWS = 400_000  # standard errors below 0.0008

# Dimension, ratio of the inverse temperatures, swap rate: Predescu et al. (2004).
RATES = [
    (1, 2.0, 0.7836531),
    (1, 10.0, 0.3899645),
    (2, 2.0, 0.6666667),
    (2, 3.0, 0.5000000),
    (4, 2.0, 0.5185185),
    (10, 1.5, 0.5331354),
    (10, 2.0, 0.2896916),
    (50, 1.2, 0.5215564),
    (100, 1.1, 0.6345936),
]


def swap_rate_law(log_acceptance, d, gamma, rate):
    """The colder rung stands at T = 0.3, where temperatures and their inverses differ."""
    temperatures = np.array([0.3, 0.3 * gamma])
    drawn = np.random.default_rng(1).gamma(d / 2, size=(DRAWS, 2)) * temperatures
    energies = jnp.asarray(drawn, jnp.float32)
    alpha = np.exp(log_acceptance(jnp.asarray(temperatures, jnp.float32), energies))[:, 0]
    cold_above = energies[:, 0] > energies[:, 1]
    assert_mean("swap rate", alpha, rate, MANY)
    assert_mean("flow", alpha - 2 * np.asarray(cold_above, np.float64), 0.0, MANY)
    keys = jax.random.split(jax.random.key(2), DRAWS)
    decided = decide_all(keys, jnp.asarray(alpha)[:, None])
    assert_mean("decisions", decided, rate, MANY)


@jax.jit
def decide_all(keys, acceptance):
    return jax.vmap(swap_decisions)(keys, acceptance)


@pytest.mark.parametrize(("d", "gamma", "rate"), RATES)
def test_neighbours_swap_as_often_as_the_closed_form_says(d, gamma, rate):
    assert rate == pytest.approx(2 * special.betainc(d / 2, d / 2, 1 / (1 + gamma)), abs=1e-7)
    swap_rate_law(log_swap_acceptance, d, gamma, rate)


@pytest.mark.parametrize("twin", SWAP_TWINS.values(), ids=SWAP_TWINS.keys())
def test_the_swap_law_catches_a_wrong_ratio(twin):
    swap_rate_law(swap_twin(lambda c, h, e_c, e_h: (1 / c - 1 / h) * (e_c - e_h)), *RATES[6])
    caught(swap_rate_law, twin, *RATES[6])


def independence_law(decide):
    """Pairs of one phase, each accepted half the time, must not agree more than by chance."""
    keys = jax.random.split(jax.random.key(3), 100_000)
    half = jnp.full((2, 3), 0.5)
    decided = np.asarray(jax.vmap(lambda key: decide(key, half))(keys), np.float64)
    for ladder, pair in ((0, 2), (1, 0), (1, 2)):  # standard error 0.0016
        assert_mean("agreement", decided[:, 0, 0] == decided[:, ladder, pair], 0.5, MANY)


def test_each_pair_of_each_ladder_is_decided_by_a_uniform_number_of_its_own():
    """Twin 29."""
    independence_law(swap_decisions)

    def shared(key, acceptance, shape):
        return 1 - jax.random.uniform(key, shape) <= acceptance

    caught(independence_law, lambda key, acceptance: shared(key, acceptance, (2, 1)))
    caught(independence_law, lambda key, acceptance: shared(key, acceptance, (1, 3)))


def test_a_ladder_decides_the_same_whatever_ladders_come_after_it():
    half = jnp.full((5, 3), 0.5)
    all_of_them = swap_decisions(jax.random.key(0), half)
    np.testing.assert_array_equal(swap_decisions(jax.random.key(0), half[:2]), all_of_them[:2])


def coin_law(toss):
    """With "seo" two ladders try the same pairs in every second phase, and each pair as often."""
    keys = jax.random.split(jax.random.key(8), 100_000)
    tossed = np.asarray(jax.vmap(lambda key: toss(key, jnp.zeros((), jnp.int32), 2, "seo"))(keys))
    assert_mean("odd pairs", tossed[:, 0], 0.5)
    assert_mean("agreement", tossed[:, 0] == tossed[:, 1], 0.5)


def test_each_ladder_tosses_a_coin_of_its_own():
    coin_law(parity)

    def shared(key, swaps, ladders, scheme):
        return jnp.broadcast_to(parity(key, swaps, 1, scheme), ladders)

    caught(coin_law, shared)


# Geometric ladder of 10 pairs, d = 10, ratio 10 in all: rejection rate of every pair, round trips
# per iteration of all replicas. Syed, Bouchard-Cote, Deligiannidis and Doucet (2022).
PAIRS, DIMENSION, REJECTION, DEO, SEO = 10, 10, 0.2771973, 0.1034119, 0.03614014
LADDERS, ROUNDS, BURN = 400, 1600, 800


@functools.cache
def ideal(scheme, twin):
    """Return the final ladders and the rung of each replica, ``[rounds, ladders, rungs]``."""
    temperatures = np.geomspace(0.5, 5.0, PAIRS + 1)
    method = ja.ParallelTempering(
        temperatures=temperatures, ladders=LADDERS, swap_every=1, warmup=BURN, scheme=scheme
    )

    def one_round(ladders, step):
        key = jax.random.fold_in(jax.random.key(4), step)
        uniform = jax.random.uniform(key, (DIMENSION // 2, method.chains))
        energies = -jnp.sum(jnp.log1p(-uniform), axis=0) * by_replica(ladders)
        none = jnp.zeros(method.chains)
        ladders = method.after_round(
            jax.random.key(5), ladders, step, Seen(energies, none, none)
        ).state
        return ladders, ladders.rung.astype(jnp.int8)

    with broken(twin):
        run = jax.jit(lambda: jax.lax.scan(one_round, method.init(), 1 + jnp.arange(ROUNDS)))
        ladders, rungs = run()
    return ladders, np.asarray(rungs)


def round_trips(rungs):
    """Count each ladder's trips from rung 0 to the last and back that end after the burn-in."""
    last = rungs.shape[2] - 1
    phase = np.zeros(rungs.shape[1:], int)  # 0: not yet at rung 0, 1: on the way up, 2: down
    trips = np.zeros(rungs.shape[1], int)
    for step, rung in enumerate(rungs):
        done = (phase == 2) & (rung == 0)
        trips += done.sum(axis=1) * (step >= BURN)
        phase = np.where(rung == 0, 1, np.where((phase == 1) & (rung == last), 2, phase))
    return trips


def round_trip_law(rate, scheme, twin=()):
    """400 independent ladders, 800 counted rounds: standard error below 0.5 % of the rate."""
    ladders, _ = ideal(scheme, twin)
    assert ladders.phases == ROUNDS - BURN
    assert_mean("round trips", ladders.round_trips / (ROUNDS - BURN), rate, MANY)


def test_replicas_make_round_trips_at_the_rate_of_the_theory():
    """DEO: 1/(2 + 2 S) and SEO: 1/(2 N + 2 S), with S the sum of r/(1 - r)."""
    odds = PAIRS * REJECTION / (1 - REJECTION)
    assert pytest.approx(1 / (2 + 2 * odds), rel=1e-6) == DEO
    assert pytest.approx(1 / (2 * PAIRS + 2 * odds), rel=1e-6) == SEO
    round_trip_law(DEO, "deo")
    round_trip_law(SEO, "seo")
    caught(round_trip_law, DEO, "seo")


@pytest.mark.slow
def test_round_trips_counted_on_the_way_are_those_that_the_host_counts():
    ladders, rungs = ideal("deo", ())
    np.testing.assert_array_equal(ladders.round_trips, round_trips(rungs))
    caught(round_trip_law, DEO, "deo", ((f"{SWAPS}.journeys", half_trips),))


def half_trips(journey, rung, moved):
    """A broken twin that also counts the way up."""
    later, ended = journeys(journey, rung, moved)
    there = (later % 4 == 2) & (journey % 4 == 1)
    return later, ended + jnp.sum(there.astype(jnp.int32), axis=1)


EVEN_ONLY = ((f"{SWAPS}.parity", lambda key, swaps, ladders, scheme: jnp.full(ladders, 0)),)


@pytest.mark.slow
def test_the_round_trip_law_catches_phases_that_never_alternate():
    """Twin 30."""
    caught(round_trip_law, DEO, "deo", EVEN_ONLY)
    ladders, _ = ideal("deo", EVEN_ONLY)
    assert ladders.round_trips.sum() == 0


def rejection_law(ladders):
    tried = np.outer(sizes_of(LADDERS), np.full(PAIRS, (ROUNDS - BURN) // 2))
    np.testing.assert_array_equal(as_integers(ladders.attempts), tried)
    rejected = 1 - swap_rates(ladders)
    for pair in range(PAIRS):
        assert_mean(f"pair {pair}", rejected[:, pair], REJECTION, MANY_OF_GROUPS)
    assert_mean("barrier", np.sum(rejected, axis=1), 2.771973, MANY_OF_GROUPS)


def test_every_pair_rejects_as_often_as_the_closed_form_and_counts_its_attempts():
    ladders, _ = ideal("deo", ())
    rejection_law(ladders)
    caught(rejection_law, ideal("deo", EVEN_ONLY)[0])


def label_law(ladders, rungs):
    """Every replica stands at one rung and every rung holds one replica."""
    every = np.arange(PAIRS + 1)
    np.testing.assert_array_equal(np.sort(rungs, axis=2), np.broadcast_to(every, rungs.shape))
    back = np.take_along_axis(np.asarray(ladders.rung), np.asarray(ladders.replica), axis=1)
    np.testing.assert_array_equal(back, np.broadcast_to(every, back.shape))


def only_up(accepted):
    """A broken twin of the shift: the hotter replica comes down, the colder one stays."""
    return jnp.pad(accepted.astype(jnp.int8), ((0, 0), (0, 1)))


@pytest.mark.slow
def test_labels_stay_permutations():
    """Twin 25."""
    label_law(*ideal("deo", ()))
    caught(label_law, *ideal("deo", ((f"{SWAPS}.shift_of", only_up),)))


def own_energy(x):
    return jnp.sum(x**2)


def stay(key, x):
    del key
    return x


def exchange_law(twin=()):
    """Without moves, swaps keep the replicas of each ladder, each with its own energy."""
    method = ja.ParallelTempering(temperatures=[0.2, 0.5, 1.0, 3.0], ladders=50, swap_every=1)
    starts = np.random.default_rng(6).standard_normal((200, 3)).astype(np.float32)
    algorithm = ja.algorithm(own_energy, method, stay, steps=8)

    @jax.jit
    def run():
        state = algorithm.init(jax.random.key(7), ja.stacked(starts))
        return jax.lax.scan(lambda state, _: algorithm.step(state), state, length=8)

    with broken(twin):
        state, info = run()
    np.testing.assert_array_equal(state.chains.params, starts)  # labels move, parameters never
    before = np.sort(np.sum(starts**2, axis=1).reshape(50, 4), axis=1)
    for energies in np.asarray(info.energies).reshape(8, 50, 4):
        np.testing.assert_allclose(np.sort(energies, axis=1), before, rtol=1e-6)
    order = np.asarray(method.order(state.exchange))
    np.testing.assert_allclose(np.sum(starts[order] ** 2, axis=1), info.energies[-1], rtol=1e-6)
    assert np.any(order != np.arange(200))


def test_swaps_keep_the_multiset_of_replicas_and_their_energies():
    exchange_law()
    caught(exchange_law, ((f"{SWAPS}.shift_of", only_up),))
