"""Finite state spaces: whole kernels as matrices, and the library's own steps: oracle (f).

Metropolis et al. (1953), Hastings (1970). The numbers of the broken twins are those of the oracle.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import assert_counts, assert_mean, caught, evolve

import jaxanneal as ja
from jaxanneal._chain import log_acceptance, propose
from jaxanneal.moves._bounds import reflect_integer

# Table A: three bits, state 4 b2 + 2 b1 + b0. Table B: the integers 0 to 5.
TABLE_A, T_A = (0.0, 1.3, 0.7, 2.1, 1.1, 0.4, 1.9, 0.2), 0.8
TABLE_B, T_B = (0.0, 0.3, 0.9, 0.4, 0.1, 0.6), 0.7
CHAINS, MOVES = 50_000, 60


def boltzmann(energies, temperature):
    weights = np.exp(-np.array(energies) / temperature)
    return weights / weights.sum()


def matrix(energies, temperature, proposals, rule=log_acceptance, hastings=None):
    """Return the transition matrix of a Metropolis kernel, from the library's own rule."""
    delta = jnp.asarray(np.subtract.outer(np.array(energies), np.array(energies)).T)
    hastings = jnp.zeros_like(delta) if hastings is None else jnp.asarray(hastings)
    moved = proposals * np.exp(np.asarray(rule(delta, jnp.asarray(temperature), hastings)))
    np.fill_diagonal(moved, 0.0)
    return moved + np.diag(1 - moved.sum(axis=1))


def balance_law(kernel, law):
    """Rows sum to 1, the law is stationary, and each pair of states is in balance."""
    np.testing.assert_allclose(kernel.sum(axis=1), 1.0, atol=1e-12)
    np.testing.assert_allclose(law @ kernel, law, rtol=0, atol=1e-12)
    flow = law[:, None] * kernel
    np.testing.assert_allclose(flow, flow.T, rtol=0, atol=1e-12)


def single_flips():
    flips = np.zeros((8, 8))
    for state in range(8):
        flips[state, state ^ np.array([1, 2, 4])] = 1 / 3
    return flips


def eager_flips():
    """A bit chosen uniformly; 0 -> 1 is then tried with probability 0.9, 1 -> 0 with 0.3."""
    flips = single_flips()
    up = np.add.outer(-np.arange(8), np.arange(8)) > 0
    flips = np.where(up, 0.9 * flips, 0.3 * flips)
    hastings = np.where(flips > 0, np.log(0.3 / 0.9) * np.where(up, 1, -1), 0.0)
    return flips, hastings


def stationary(kernel):
    values, vectors = np.linalg.eig(kernel.T)
    law = np.real(vectors[:, np.argmax(np.real(values))])
    return law / law.sum()


def test_table_a_is_stationary_and_in_detailed_balance(float64):
    law, flips = boltzmann(TABLE_A, T_A), single_flips()
    kernel = matrix(TABLE_A, T_A, flips)
    balance_law(kernel, law)
    assert law @ np.array(TABLE_A) == pytest.approx(0.4544789, abs=1e-7)
    assert law @ (1 - np.diag(kernel)) == pytest.approx(0.4719492, abs=1e-7)
    assert np.sort(np.linalg.eigvals(kernel))[-2] == pytest.approx(1 - 0.139552, abs=1e-6)


# Twin, and the mean energy of what it samples.
RULES = {
    "1: sign of dE": (lambda delta, t, h: jnp.minimum(delta / t, 0), 1.57724),
    "3: T ignored": (lambda delta, t, h: jnp.minimum(-delta, 0), 0.528408),
    "4: dE times T": (lambda delta, t, h: jnp.minimum(-delta * t, 0), 0.597624),
    "6: absolute dE": (lambda delta, t, h: -jnp.abs(delta) / t, 0.962500),
}


@pytest.mark.parametrize("name", RULES)
def test_the_matrix_of_a_wrong_rule_is_out_of_balance(name, float64):
    rule, mean = RULES[name]
    kernel = matrix(TABLE_A, T_A, single_flips(), rule)
    caught(balance_law, kernel, boltzmann(TABLE_A, T_A))
    assert stationary(kernel) @ np.array(TABLE_A) == pytest.approx(mean, abs=1e-5)


# Twin, and the total variation distance of what it samples at T = 0.8.
HASTINGS = {
    "9: missing": (lambda delta, t, h: log_acceptance(delta, t), 0.4381),
    "10: divided by T": (lambda delta, t, h: log_acceptance(delta, t, h / t), 0.1319),
    "11: inverted": (lambda delta, t, h: log_acceptance(delta, t, -h), 0.6605),
}


def test_a_hastings_term_puts_asymmetric_flips_into_balance(float64):
    flips, hastings = eager_flips()
    balance_law(matrix(TABLE_A, T_A, flips, hastings=hastings), boltzmann(TABLE_A, T_A))


@pytest.mark.parametrize("name", HASTINGS)
def test_the_matrix_of_a_wrong_hastings_term_is_out_of_balance(name, float64):
    (rule, distance), (flips, hastings) = HASTINGS[name], eager_flips()
    kernel, law = matrix(TABLE_A, T_A, flips, rule, hastings), boltzmann(TABLE_A, T_A)
    caught(balance_law, kernel, law)
    assert np.abs(stationary(kernel) - law).sum() / 2 == pytest.approx(distance, abs=1e-4)


def integer_steps(width, bounded):
    """Return the proposals of uniform steps up to ``width``, bounded to 0..5."""
    proposals = np.zeros((6, 6))
    for state in range(6):
        for step in (*range(-width, 0), *range(1, width + 1)):
            proposals[state, int(bounded(jnp.asarray(state + step), 0, 5))] += 0.5 / width
    return proposals


def mirror(value, lower, upper):
    """Reflect at the bound itself."""
    low = lower + jnp.abs(value - lower)
    return upper - jnp.abs(upper - low)


# Width, twin, and its largest change of the right law in one step; mirrors and clipping.
BOUNDS = [(1, mirror, 0.0860813), (2, mirror, 0.0613059), (3, mirror, 0.0657446)]
BOUNDS += [(2, jnp.clip, 0.0430406), (3, jnp.clip, 0.0695644)]


@pytest.mark.parametrize("width", [1, 2, 3])
def test_integers_that_reflect_at_the_half_integers_are_in_balance(width, float64):
    balance_law(
        matrix(TABLE_B, T_B, integer_steps(width, reflect_integer)), boltzmann(TABLE_B, T_B)
    )


@pytest.mark.parametrize(("width", "wrong", "change"), BOUNDS)
def test_the_matrix_of_wrong_bounds_is_out_of_balance(width, wrong, change, float64):
    """Twins 15 and 16."""
    kernel, law = matrix(TABLE_B, T_B, integer_steps(width, wrong)), boltzmann(TABLE_B, T_B)
    caught(balance_law, kernel, law)
    assert np.abs(law @ kernel - law).max() == pytest.approx(change, abs=1e-7)


def energy_a(bits):
    return jnp.asarray(TABLE_A, float)[number_of(bits)]


def number_of(bits):
    return bits.astype(int) @ jnp.asarray([1, 2, 4])


def energy_b(x):
    return jnp.asarray(TABLE_B, float)[x]


def bits_of(states):
    return (np.asarray(states)[:, None] >> np.arange(3) & 1).astype(bool)


def exact_states(energies, temperature, seed, chains=CHAINS):
    law = boltzmann(energies, temperature)
    return np.random.default_rng(seed).choice(len(law), chains, p=law)


def step_law(step=ja.annealing_step, move=ja.moves.Flip(), moves=MOVES, **twin):  # noqa: B008
    """Chi-square of the final state, and the acceptance rate (standard error 0.0005)."""
    starts = bits_of(exact_states(TABLE_A, T_A, 1))
    kernel = {"energy": energy_a, "move": move, "moves": moves, "step": step}
    done = evolve(2, starts, T_A, **kernel, **twin)
    states = np.asarray(jax.vmap(number_of)(done.chains.params))
    assert_counts("states of table A", states, boltzmann(TABLE_A, T_A))
    if isinstance(move, ja.moves.Flip):
        assert_mean("acceptance", done.acceptance, 0.4719492)
    return states


def test_the_step_keeps_the_law_of_table_a():
    step_law()


@pytest.mark.parametrize("name", RULES)
def test_the_step_law_catches_a_wrong_rule(name):
    rules = tuple(rule for rule, _ in RULES.values())
    caught(step_law, rules=rules, rule=list(RULES).index(name))


def accept_above(key, delta_energy, temperature, log_hastings=0.0):
    """Twin 2: the comparison turned round."""
    return jax.random.uniform(key) > jnp.exp(-delta_energy / temperature)


def against_the_best(key, chain, temperature, **kwargs):
    """Twin 5: dE against the best energy. What it samples is right, its acceptance is not."""
    best = ja.Chain(chain.params, chain.best_energy, chain.best_params, chain.best_energy)
    moved, info = ja.annealing_step(key, best, temperature, **kwargs)
    now = jnp.where(info.accepted, moved.energy, chain.energy)
    return ja.Chain(moved.params, now, moved.best_params, moved.best_energy), info


def leaf_by_leaf(key, chain, temperature, *, energy, move):
    """Twin 14: dE is joint, but each part of the proposal is accepted by itself."""
    old = chain._params
    new, _ = propose(jax.random.fold_in(key, 0), old, move, 1.0)
    value = energy(new.tree)
    keys = jax.random.split(jax.random.fold_in(key, 1))
    low, high = (ja.accept(k, value - chain.energy, temperature) for k in keys)
    bits = jnp.where(jnp.stack([low, high, high]), new.tree, old.tree)
    moved = ja.init_chain(bits, energy=energy)
    return moved, ja.StepInfo(low, value - chain.energy, jnp.isfinite(value))


def parts(key, bits):
    """Flip b0 with probability 1/2, and one of b1 and b2 with probability 1/2."""
    low, high, which = jax.random.bits(key, (3,)) < jnp.uint32(2**31)
    return bits ^ jnp.stack([low, high & which, high & ~which])


def test_the_step_law_catches_wrong_decisions():
    caught(step_law, twin=(("jaxanneal._chain.accept", accept_above),))
    caught(step_law, step=against_the_best)
    step_law(move=parts)
    caught(step_law, step=leaf_by_leaf, move=parts)


def uniform_bit(key, bits):
    return bits ^ (jnp.arange(3) == (3 * jax.random.uniform(key)).astype(int))


def test_the_step_law_catches_one_uniform_for_the_choice_and_the_decision():
    """Twin 12."""
    step_law(move=uniform_bit)
    caught(step_law, move=uniform_bit, twin=(("jaxanneal._prng.ACCEPTANCE", 0),))


WIDE = ja.moves.IntegerStep(width=2, bounds=(0, 5))


def integer_law(**twin):
    starts = exact_states(TABLE_B, T_B, 3).astype(np.int32)
    done = evolve(4, starts, T_B, energy=energy_b, move=WIDE, moves=MOVES, **twin)
    assert_counts("states of table B", done.chains.params, boltzmann(TABLE_B, T_B))


def test_integer_steps_keep_the_law_of_table_b_and_wrong_bounds_do_not():
    """Twins 15 and 16."""
    integer_law()
    for wrong in (jnp.clip, mirror):
        caught(integer_law, twin=(("jaxanneal.moves._discrete.reflect_integer", wrong),))


def test_integer_steps_propose_as_their_matrix_says():
    keys = jax.random.split(jax.random.key(5), 20_000)
    draw = jax.jit(jax.vmap(lambda key, x: WIDE.propose(key, x, 1.0)[0], (0, None)))
    exact = integer_steps(2, reflect_integer)
    for state in range(6):  # six comparisons
        drawn = draw(keys, jnp.asarray(state, jnp.int32))
        assert not np.any(np.asarray(exact[state])[np.unique(drawn)] == 0)
        seen = np.flatnonzero(exact[state])
        assert_counts(f"from {state}", np.searchsorted(seen, drawn), exact[state][seen], 1e-7)
