"""Two rungs of table A through the whole engine, and broken twins of the exchange: oracle (f)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import (
    MANY,
    MANY_OF_GROUPS,
    SWAP_TWINS,
    assert_counts,
    assert_mean,
    broken,
    caught,
    swap_rates,
)
from tables import TABLE_A, bits_of, boltzmann, energy_a, exact_states

import jaxanneal as ja
from jaxanneal._methods.ladder.groups import as_integers
from jaxanneal._pytree import replace

TEMPERATURES, LADDERS, ROUNDS = (0.4, 1.2), 30_000, 120
METHOD = "jaxanneal._methods.parallel_tempering"
SWAPS = "jaxanneal._methods.ladder.swaps"
EXCHANGES = ja.ParallelTempering(
    temperatures=TEMPERATURES, ladders=LADDERS, swap_every=1, adapt=False
)


def as_it_is(_, new):
    return new


@functools.partial(jax.jit, static_argnames=("twin", "wrap"))
def run(starts, ratio=None, *, twin=(), wrap=as_it_is):
    """Run, if a ratio is given with that of the twins of swaps, which are compiled together."""
    algorithm = ja.algorithm(energy_a, EXCHANGES, ja.moves.Flip(), steps=ROUNDS)

    def log_acceptance(temperatures, energies):
        return jnp.stack([one(temperatures, energies) for one in SWAP_TWINS.values()])[ratio]

    def one_round(state, _):
        new, info = algorithm.step(state)
        return wrap(state, new), info.energies

    if ratio is not None:
        twin = ((f"{SWAPS}.log_swap_acceptance", log_acceptance),)
    with broken(twin):
        state = algorithm.init(jax.random.key(1), ja.stacked(starts))
        state, energies = jax.lax.scan(one_round, state, length=ROUNDS)
    return state, energies[-1], jax.vmap(energy_a)(state.chains.params)


def exchange_law(*ratio, **twin):
    """30,000 independent ladders: standard errors 0.0015 to 0.003."""
    starts = [exact_states(TABLE_A, t, seed, LADDERS) for seed, t in enumerate(TEMPERATURES)]
    starts = bits_of(np.stack(starts, axis=1).reshape(-1))
    state, energies, again = run(starts, *ratio, **twin)
    energies = np.asarray(energies).reshape(LADDERS, 2)
    assert_mean("cold mean E", energies[:, 0], 0.2376759, MANY)
    assert_mean("hot mean E", energies[:, 1], 0.5854410, MANY)
    levels = np.sort(np.float32(TABLE_A))
    for rung, temperature in enumerate(TEMPERATURES):
        law = boltzmann(np.sort(TABLE_A), temperature)
        assert_counts(f"rung {rung}", np.searchsorted(levels, energies[:, rung]), law, 1e-7)
    ladders = state.exchange
    assert as_integers(ladders.attempts).sum() == len(ladders.rung) * ROUNDS // 2
    assert_mean("swap rate", swap_rates(ladders), 0.6416499, MANY_OF_GROUPS)
    assert_mean("product of energies", energies[:, 0] * energies[:, 1], 0.2376759 * 0.5854410, MANY)
    np.testing.assert_array_equal(again, state.chains.energy)


def test_two_rungs_keep_their_laws_and_swap_at_the_exact_rate():
    exchange_law()


@pytest.mark.parametrize("name", SWAP_TWINS)
def test_the_exchange_law_catches_a_wrong_swap_ratio(name):
    caught(exchange_law, list(SWAP_TWINS).index(name))


def lost_replica(accepted):
    """Twin 25: the replica of the hotter rung is copied down, that of the colder one is lost."""
    return jnp.pad(accepted.astype(jnp.int8), ((0, 0), (0, 1)))


@pytest.mark.slow
def test_the_exchange_law_catches_a_lost_replica():
    caught(exchange_law, twin=((f"{SWAPS}.shift_of", lost_replica),))


def stale_energies(old, new):
    """Twin 26: the cached energies stay at the rung when the states are swapped."""
    before, after = (state.method.order(state.exchange) for state in (old, new))
    energy = new.chains.energy.at[after].set(new.chains.energy[before])
    chains = ja.Chain(new.chains._params, energy, new.chains._best_params, new.chains.best_energy)
    return replace(new, chains=chains)


@pytest.mark.slow
def test_the_exchange_law_catches_energies_that_stay_behind():
    caught(exchange_law, wrap=stale_energies)


def by_replica(self, state):
    """Twin 27: results are read by the replica's number, while the labels have moved."""
    return jnp.arange(self.chains)


def test_the_exchange_law_catches_results_read_by_replica():
    caught(exchange_law, twin=((f"{METHOD}.ParallelTempering.order", by_replica),))


# Mean energy of the colder rung with one flip on each rung and then one swap, for each twin.
COLD = {
    "20: sign": 0.666115,
    "21: temperatures": 0.339638,
    "22: one beta": 0.190173,
    "23: always": 0.550048,
    "24: only downhill": 0.0887037,
}


def joint_kernel(log_acceptance):
    """Return the matrix of one flip on each rung and one swap, on the 64 states of both rungs."""
    delta = np.subtract.outer(np.array(TABLE_A), np.array(TABLE_A)).T
    kernels = []
    for temperature in TEMPERATURES:
        kernel = np.zeros((8, 8))
        for bit in (1, 2, 4):
            kernel[np.arange(8), np.arange(8) ^ bit] = 1 / 3
        kernel *= np.minimum(1, np.exp(-delta / temperature))
        kernels.append(kernel + np.diag(1 - kernel.sum(axis=1)))
    cold, hot = (x.reshape(-1) for x in np.meshgrid(range(8), range(8), indexing="ij"))
    energies = jnp.asarray(np.array(TABLE_A)[np.stack([cold, hot], axis=1)])
    alpha = np.exp(np.asarray(log_acceptance(jnp.asarray(TEMPERATURES), energies)))[:, 0]
    swap = np.diag(1 - alpha)
    swap[np.arange(64), hot * 8 + cold] += alpha
    return np.kron(*kernels) @ swap


def stationary_law(log_acceptance, cold_mean=0.2376759):
    """Both rungs keep their laws to 1e-12 under the library's own swap."""
    law = np.kron(*(boltzmann(TABLE_A, t) for t in TEMPERATURES))
    kernel = joint_kernel(log_acceptance)
    np.testing.assert_allclose(law @ kernel, law, rtol=0, atol=1e-12)


def test_one_flip_on_each_rung_and_a_swap_are_stationary(float64):
    from jaxanneal._methods.ladder.swaps import log_swap_acceptance

    stationary_law(log_swap_acceptance)


@pytest.mark.parametrize("name", SWAP_TWINS)
def test_the_matrix_of_a_wrong_swap_is_not_stationary(name, float64):
    caught(stationary_law, SWAP_TWINS[name])
    values, vectors = np.linalg.eig(joint_kernel(SWAP_TWINS[name]).T)
    law = np.real(vectors[:, np.argmax(np.real(values))])
    cold = (law / law.sum()).reshape(8, 8).sum(axis=1)
    assert cold @ np.array(TABLE_A) == pytest.approx(COLD[name], abs=1e-5)
