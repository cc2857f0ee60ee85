"""Finite state spaces: whole kernels as matrices, in float64: oracle (f).

Metropolis et al. (1953), Hastings (1970). The numbers of the broken twins are those of the oracle.
"""

import jax.numpy as jnp
import numpy as np
import pytest
from laws import caught
from tables import RULES, T_A, T_B, TABLE_A, TABLE_B, boltzmann, integer_steps, mirror, single_flips

from jaxanneal._chain.chain import log_acceptance
from jaxanneal.moves._bounds import reflect_integer


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


def redrawn_steps(width):
    """Return the proposals of steps that are drawn again until they end inside."""
    distance = np.abs(np.subtract.outer(np.arange(6), np.arange(6)))
    inside = ((distance >= 1) & (distance <= width)).astype(float)
    return inside / inside.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("width", "change"), [(1, 0.0860813), (2, 0.0529123), (3, 0.0497774)])
def test_the_matrix_of_redrawn_steps_is_out_of_balance(width, change, float64):
    """Twin 16."""
    kernel, law = matrix(TABLE_B, T_B, redrawn_steps(width)), boltzmann(TABLE_B, T_B)
    caught(balance_law, kernel, law)
    assert np.abs(law @ kernel - law).max() == pytest.approx(change, abs=1e-7)
