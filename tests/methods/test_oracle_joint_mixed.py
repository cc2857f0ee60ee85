"""Geweke's joint test of a mixed model: a bounded float, a spin and a count, with data: oracle (f).

A joint law holds whatever the quality of mixing, so one Metropolis step a round is enough.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import MANY, accept_by, assert_counts, assert_mean, broken, caught
from scipy import stats
from tables import boltzmann, mirror

import jaxanneal as ja

CHAINS, ROUNDS, DATA, T = 40_000, 40, 4, 2.0
LOWER, UPPER, COUNTS = -1.5, 2.0, np.arange(4)


def predicted(params):
    spin = jnp.where(params["spin"], 1.0, -1.0)
    return params["x"] + 0.8 * spin + 0.5 * params["count"].astype(jnp.float32)


def energy(params, y):
    spin = jnp.where(params["spin"], 1.0, -1.0)
    prior = params["x"] ** 2 / 2 + 0.6 * spin + 0.3 * (params["count"] - 1).astype(float) ** 2
    return prior + jnp.sum((y - predicted(params)) ** 2) / 2


class Eager:
    """Flip 0 -> 1 with probability 0.9 and 1 -> 0 with 0.3, with the Hastings term."""

    def propose(self, key, params, factor):
        del factor
        flip = jax.random.uniform(key) < jnp.where(params, 0.3, 0.9)
        term = jnp.where(flip, jnp.where(params, jnp.log(3.0), -jnp.log(3.0)), 0.0)
        return params ^ flip, term


def parts(spin):
    return ja.moves.PerLeaf(
        {
            "x": ja.moves.Gaussian(2.0, bounds=(LOWER, UPPER), target_acceptance=None),
            "spin": spin,
            "count": ja.moves.IntegerStep(width=2, bounds=(0, 3)),
        }
    )


FLIPS, EAGER = parts(ja.moves.Flip()), parts(Eager())


class WithoutTerm:
    """A twin: the Hastings terms of the parts are lost."""

    def propose(self, key, params, factor):
        return EAGER.propose(key, params, factor)[0], jnp.zeros(())


FORGETFUL = WithoutTerm()
RULES = (lambda delta, t, h: -delta / (1.25 * t), lambda delta, t, h: -delta)


def drawn_from_the_prior():
    """Return independent draws of the parameters, and the data that they give."""
    random, root = np.random.default_rng(1), T**0.5
    params = {
        "x": prior_x().rvs(CHAINS, random_state=random).astype(np.float32),
        "spin": random.random(CHAINS) < 1 / (1 + np.exp(1.2 / T)),
        "count": random.choice(4, CHAINS, p=boltzmann(0.3 * (COUNTS - 1) ** 2, T)).astype(np.int32),
    }
    noise = root * random.standard_normal((CHAINS, DATA)).astype(np.float32)
    return params, np.asarray(jax.vmap(predicted)(params))[:, None] + noise


def prior_x():
    return stats.truncnorm(LOWER / T**0.5, UPPER / T**0.5, scale=T**0.5)


@functools.partial(jax.jit, static_argnames=("move", "twin"))
def alternate(params, y, move, twin):
    """Make one move of the parameters given the data, then draw the data anew, in turn."""

    def one_round(carry, index):
        params, y = carry
        step_key, data_key = jax.random.split(jax.random.fold_in(jax.random.key(2), index))

        def one(key, params, y):
            chain = ja.init_chain(params, energy=energy, args=(y,))
            return ja.annealing_step(key, chain, T, energy=energy, move=move, args=(y,))[0].params

        params = jax.vmap(one)(jax.random.split(step_key, CHAINS), params, y)
        noise = T**0.5 * jax.random.normal(data_key, y.shape)
        return (params, jax.vmap(predicted)(params)[:, None] + noise), None

    with broken(twin):
        return jax.lax.scan(one_round, (params, y), jnp.arange(ROUNDS))[0]


def mixed_joint_law(move, twin=()):
    """Eight means at 5.5 standard errors and a chi-square: a false alarm once in 10^6.

    Standard errors: half a percent of a standard deviation.
    """
    params, y = alternate(*drawn_from_the_prior(), move, twin)
    x, spin = (np.asarray(params[name], np.float64) for name in ("x", "spin"))
    count, mean = np.asarray(params["count"]), np.asarray(y, np.float64).mean(axis=1)
    assert np.all((x >= LOWER) & (x <= UPPER))
    up, law = 1 / (1 + np.exp(1.2 / T)), boltzmann(0.3 * (COUNTS - 1) ** 2, T)
    first, second = (prior_x().moment(order) for order in (1, 2))
    mean_count, square_count = law @ COUNTS, law @ COUNTS**2
    centre = first + 0.8 * (2 * up - 1) + 0.5 * mean_count
    spread = second - first**2 + 0.64 * 4 * up * (1 - up) + 0.25 * (square_count - mean_count**2)
    assert_mean("x", x, first, MANY)
    assert_mean("square of x", x**2, second, MANY)
    assert_mean("spin", spin, up, MANY)
    assert_counts("count", count, law)
    assert_mean("mean of the data", mean, centre, MANY)
    assert_mean("spread of the data", (mean - centre) ** 2, spread + T / DATA, MANY)
    assert_mean("x with data", (x - first) * mean, second - first**2, MANY)
    assert_mean("spin with data", (spin - up) * mean, 1.6 * up * (1 - up), MANY)
    counted = 0.5 * (square_count - mean_count**2)
    assert_mean("count with data", (count - mean_count) * mean, counted, MANY)


def test_a_mixed_model_keeps_the_joint_law_of_parameters_and_data():
    """Geweke, J. Am. Stat. Assoc. 99, 799 (2004)."""
    mixed_joint_law(FLIPS)
    mixed_joint_law(EAGER)


@pytest.mark.slow
def test_the_mixed_joint_law_catches_broken_parts():
    caught(mixed_joint_law, FORGETFUL)
    for rule in RULES:
        caught(mixed_joint_law, FLIPS, (("jaxanneal._chain.chain.accept", accept_by((rule,), 0)),))
    clipped = lambda start, step, low, up: jnp.clip(start + step, low, up)  # noqa: E731
    caught(mixed_joint_law, FLIPS, (("jaxanneal.moves._perturbation.reflect", clipped),))
    caught(mixed_joint_law, FLIPS, (("jaxanneal.moves._discrete.reflect_integer", mirror),))
