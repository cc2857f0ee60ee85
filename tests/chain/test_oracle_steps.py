"""The library's own steps on small state spaces, from exact draws: oracle (f)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import assert_counts, assert_mean, caught, evolve
from tables import (
    RULES,
    T_A,
    T_B,
    TABLE_A,
    TABLE_B,
    bits_of,
    boltzmann,
    energy_a,
    energy_b,
    exact_states,
    integer_steps,
    mirror,
    number_of,
)

import jaxanneal as ja
from jaxanneal._chain.move import propose
from jaxanneal.moves._bounds import reflect_integer

CHAINS, MOVES = 50_000, 60


def step_law(step=ja.annealing_step, move=ja.moves.Flip(), moves=MOVES, **twin):  # noqa: B008
    """Chi-square of the final state, and the acceptance rate (standard error 0.0005)."""
    starts = bits_of(exact_states(TABLE_A, T_A, 1, CHAINS))
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


@pytest.mark.slow
def test_the_step_law_catches_wrong_decisions():
    caught(step_law, twin=(("jaxanneal._chain.chain.accept", accept_above),))
    caught(step_law, step=against_the_best)
    step_law(move=parts)
    caught(step_law, step=leaf_by_leaf, move=parts)


def uniform_bit(key, bits):
    return bits ^ (jnp.arange(3) == (3 * jax.random.uniform(key)).astype(int))


def test_the_step_law_catches_one_uniform_for_the_choice_and_the_decision():
    """Twin 12."""
    step_law(move=uniform_bit)
    caught(step_law, move=uniform_bit, twin=(("jaxanneal._chain.keys.ACCEPTANCE", 0),))


WIDE = ja.moves.IntegerStep(width=2, bounds=(0, 5))


def integer_law(**twin):
    starts = exact_states(TABLE_B, T_B, 3, CHAINS).astype(np.int32)
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
