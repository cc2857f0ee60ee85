"""An annealing run as a product of matrices; best states, keys, T = 0: oracle (f)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import assert_counts, assert_mean, caught, evolve
from tables import T_A, TABLE_A, bits_of, boltzmann, energy_a, exact_states, single_flips

import jaxanneal as ja
from jaxanneal._chain.chain import log_acceptance
from jaxanneal._chain.move import propose as propose_one

STEPS, START, CHAINS = 20, 3, 200_000
FLIP = ja.moves.Flip()


def geometric(exponent):
    return lambda step: 2.0 * (0.1 / 2.0) ** exponent(step)


# Schedule, P(final state = 0), P(best is optimal), mean final energy.
RUNS = {
    "as defined": (geometric(lambda k: k / 19), 0.5053767, 0.6789221, 0.1198601),
    "38: k/n": (geometric(lambda k: k / 20), 0.5033761, 0.6898644, 0.1245406),
    "38: (k + 1)/n": (geometric(lambda k: (k + 1) / 20), 0.5058120, 0.6619934, 0.1191567),
    "reversed": (geometric(lambda k: (19 - k) / 19), 0.1921891, 0.7070586, 0.7168960),
    "linear": (lambda k: 2.0 - 1.9 * k / 19, 0.4709503, 0.8084850, 0.1559842),
}


def run_law(schedule, stop=None):
    """Return the law of the last state; from ``stop`` a chain does not go on."""
    law, delta = np.eye(8)[START], np.subtract.outer(np.array(TABLE_A), np.array(TABLE_A)).T
    for step in range(STEPS):
        kernel = single_flips() * np.minimum(1, np.exp(-delta / schedule(step)))
        np.fill_diagonal(kernel, 1 - kernel.sum(axis=1))
        if stop is not None:
            kernel[stop] = np.eye(8)[stop]
        law = law @ kernel
    return law


@pytest.mark.parametrize("name", RUNS)
def test_the_product_of_matrices_is_that_of_the_oracle(name):
    schedule, final, visited, mean = RUNS[name]
    assert run_law(schedule)[0] == pytest.approx(final, abs=1e-7)
    assert run_law(schedule, stop=0)[0] == pytest.approx(visited, abs=1e-7)
    assert run_law(schedule) @ np.array(TABLE_A) == pytest.approx(mean, abs=1e-7)


def annealing_law(cooling):
    """Standard error 0.001 of the probability; the nearest twin is 0.011 away."""
    method = ja.SimulatedAnnealing(chains=CHAINS, cooling=cooling)
    start = bits_of([START])[0]
    result = ja.anneal(energy_a, start, key=1, method=method, move=FLIP, steps=STEPS)
    assert result.energy == 0
    assert_mean("best is optimal", np.asarray(result.chains.best_energy) == 0, 0.6789221)
    states = np.asarray(result.chains.params) @ np.array([1, 2, 4])
    assert_counts("last states", states, run_law(RUNS["as defined"][0]))


def test_an_annealing_run_is_the_product_of_its_kernels():
    annealing_law(ja.cooling.Geometric(2.0, 0.1))
    annealing_law(ja.cooling.Geometric(2.0, 0.1, steps=STEPS - 1))


@pytest.mark.parametrize("name", [name for name in RUNS if name != "as defined"])
def test_the_annealing_law_catches_a_wrong_schedule(name):
    caught(annealing_law, RUNS[name][0])


def test_the_annealing_law_catches_a_cooling_bound_one_step_too_long():
    caught(annealing_law, ja.cooling.Geometric(2.0, 0.1, steps=STEPS))


def best_law(step):
    """At T = 2 throughout state 0 is visited within 20 moves with probability 0.8889284."""
    starts = np.broadcast_to(bits_of([START]), (40_000, 3))
    chains = evolve(2, starts, 2.0, energy=energy_a, move=FLIP, moves=STEPS, step=step).chains
    again = jax.vmap(energy_a)(chains.best_params)
    np.testing.assert_array_equal(again, chains.best_energy)
    assert np.all(chains.best_energy <= chains.energy)
    assert_mean("best is optimal", np.asarray(chains.best_energy) == 0, 0.8889284)


def best_with_current_params(key, chain, temperature, **kwargs):
    """Twin 37: the best energy is kept with the current state."""
    new, info = ja.annealing_step(key, chain, temperature, **kwargs)
    return ja.Chain(new.params, new.energy, new.params, new.best_energy), info


def best_of_the_start(key, chain, temperature, **kwargs):
    """Twin 37: the best state is not updated on acceptance."""
    new, info = ja.annealing_step(key, chain, temperature, **kwargs)
    return ja.Chain(new.params, new.energy, chain.best_params, chain.best_energy), info


def best_is_the_last(key, chain, temperature, **kwargs):
    """Twin 37: the best state follows every acceptance."""
    new, info = ja.annealing_step(key, chain, temperature, **kwargs)
    return ja.Chain(new.params, new.energy, new.params, new.energy), info


def test_the_best_state_is_the_lowest_that_was_visited():
    best_law(ja.annealing_step)
    for twin in (best_with_current_params, best_of_the_start, best_is_the_last):
        caught(best_law, twin)


PAIRS = 8192


def independence_law(energies):
    """Chains that started independently stay uncorrelated: standard error 0.011."""
    law = boltzmann(TABLE_A, T_A)
    mean = law @ np.array(TABLE_A)
    variance = law @ (np.array(TABLE_A) - mean) ** 2
    off = np.asarray(energies, np.float64).reshape(PAIRS, 2) - mean
    assert_mean("correlation", off[:, 0] * off[:, 1] / variance, 0.0)


def engine_energies(twin=()):
    method = ja.SimulatedAnnealing(chains=2 * PAIRS, cooling=lambda step: T_A)
    algorithm = ja.algorithm(energy_a, method, FLIP)
    starts = ja.stacked(bits_of(exact_states(TABLE_A, T_A, 3, 2 * PAIRS)))

    @jax.jit
    def run():
        state = algorithm.init(jax.random.key(4), starts)
        return jax.lax.scan(lambda state, _: algorithm.step(state), state, length=40)[1]

    with pytest.MonkeyPatch.context() as patch:
        for name, value in twin:
            patch.setattr(name, value)
        return run().energies[-1]


def test_chains_are_independent_and_one_key_for_all_is_caught():
    """Twin 31."""
    independence_law(engine_energies())
    one_stream = lambda key, purpose, index: jax.random.fold_in(key, purpose)  # noqa: E731
    caught(independence_law, engine_energies((("jaxanneal._chain.keys.stream", one_stream),)))


@functools.partial(jax.jit, static_argnames="shared")
def own_sweeps(starts, shared):
    """Make 40 moves; the uniform number of the decision may be shared by the chains of a pair."""

    def one_move(chains, index):
        keys = jax.random.split(jax.random.fold_in(jax.random.key(5), index), 2 * PAIRS)
        new = jax.vmap(lambda k, c: propose_one(k, c._params, FLIP, 1.0)[0].tree)(keys, chains)
        log_alpha = log_acceptance(jax.vmap(energy_a)(new) - chains.energy, T_A)
        key = jax.random.fold_in(jax.random.key(6), index)
        uniform = jax.random.uniform(key, (2 * PAIRS,))
        uniform = jnp.repeat(uniform[::2], 2) if shared else uniform
        accepted = (jnp.log1p(-uniform) <= log_alpha)[:, None]
        return start_all(jnp.where(accepted, new, chains.params)), None

    return jax.lax.scan(one_move, start_all(starts), jnp.arange(40))[0].energy


def start_all(bits):
    return jax.vmap(lambda one: ja.init_chain(one, energy=energy_a))(bits)


def test_a_uniform_number_shared_by_two_chains_is_caught():
    """Twin 32: each chain alone is exact; pairs of their own make the correlation measurable."""
    starts = bits_of(exact_states(TABLE_A, T_A, 7, 2 * PAIRS))
    independence_law(own_sweeps(starts, False))
    energies = own_sweeps(starts, True)
    caught(independence_law, energies)


def plateau(x):
    return jnp.where(x == 0, -1.0, 0.0)


def plateau_law(**twin):
    """At T = 0 moves at no cost are made, and the lowest state is not left."""
    starts = np.full(1000, 9, np.int32)
    move = ja.moves.IntegerStep(width=2, bounds=(0, 9))
    done = evolve(8, starts, 0.0, energy=plateau, move=move, moves=800, **twin)
    np.testing.assert_array_equal(done.chains.params, 0)


def test_a_plateau_is_crossed_at_temperature_zero():
    """Twin 33: 0/0 is NaN, and nothing is below NaN."""
    plateau_law()
    caught(plateau_law, rules=(lambda delta, t, h: -delta / t,))


def lowest_uniform_law(accept):
    """A float32 uniform number is exactly 0 once in 2^23 draws, and must not pass 20 T uphill."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jax.random, "uniform", lambda key, shape=(), dtype=None: jnp.zeros(shape))
        assert not accept(jax.random.key(0), jnp.asarray(20.0), 1.0)
        assert accept(jax.random.key(0), jnp.asarray(0.0), 1.0)


def test_a_uniform_number_of_zero_does_not_pass_uphill():
    """Twin 35."""
    lowest_uniform_law(ja.accept)
    caught(lowest_uniform_law, lambda key, d, t: jax.random.uniform(key) < jnp.exp(-d / t))


@pytest.mark.parametrize("temperature", [0.0, 0.5])
def test_proposals_without_a_finite_energy_are_refused_and_such_starts_are_left(temperature):
    """Twin 34."""
    for delta, decision in ((jnp.nan, False), (jnp.inf, False), (-jnp.inf, True)):
        assert bool(ja.accept(jax.random.key(0), delta, temperature)) is decision
        assert np.exp(log_acceptance(delta, temperature)) == float(decision)
