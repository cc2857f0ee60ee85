"""Parameters and data drawn in turn, Geweke's joint test, for energies with data: oracle (f)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import MANY, accept_by, assert_mean, broken, caught, normal

import jaxanneal as ja

CHAINS, ROUNDS, DATA = 60_000, 40, 5
WALK = ja.moves.Gaussian(scale=1.0, target_acceptance=None)


def energy(theta, y):
    return 0.5 * theta**2 + 0.5 * jnp.sum((y - theta) ** 2)


def without_prior(theta, y):
    return 0.5 * jnp.sum((y - theta) ** 2)


def fresh(chain, y, energy):
    """Evaluate the chain for other data."""
    return ja.init_chain(chain.params, energy=energy, args=(y,))


def stale(chain, y, energy):
    """A broken twin: the energy belongs to the data of the round before."""
    return chain


def wary(key, theta):
    """A step 0.3 + |theta| without its Hastings term."""
    return theta + (0.3 + jnp.abs(theta)) * jax.random.normal(key, theta.shape)


@functools.partial(jax.jit, static_argnames=("energy", "renew", "move", "rules"))
def alternate(theta, y, temperature, *, energy, renew, move, rules):
    """Move theta given y, then draw y anew given theta."""
    move = WALK if move is None else move

    def one_round(carry, index):
        chains, y = carry
        chains = jax.vmap(lambda chain, data: renew(chain, data, energy))(chains, y)
        step_key, data_key = jax.random.split(jax.random.fold_in(jax.random.key(1), index))
        step = lambda key, chain, data: ja.annealing_step(  # noqa: E731
            key, chain, temperature, energy=energy, move=move, args=(data,)
        )
        chains, _ = jax.vmap(step)(jax.random.split(step_key, CHAINS), chains, y)
        noise = jnp.sqrt(temperature) * jax.random.normal(data_key, y.shape)
        return (chains, chains.params[:, None] + noise), None

    with broken((("jaxanneal._chain.chain.accept", accept_by(rules, 0)),) if rules else ()):
        start = jax.vmap(lambda p, data: ja.init_chain(p, energy=energy, args=(data,)))
        (chains, y), _ = jax.lax.scan(one_round, (start(theta, y), y), jnp.arange(ROUNDS))
    return chains.params, y


def joint_law(temperature, *, energy=energy, renew=fresh, move=None, rules=()):
    """E[theta^2] = T, E[ybar^2] = T + T/n, E[theta ybar] = T; standard errors about 0.006 T."""
    root = np.float32(temperature**0.5)
    theta = root * normal(2, CHAINS)
    y = theta[:, None] + root * normal(3, CHAINS, DATA)
    kernel = {"energy": energy, "renew": renew, "move": move, "rules": rules}
    theta, y = alternate(theta, y, jnp.asarray(temperature, float), **kernel)
    theta, mean = np.asarray(theta, np.float64), np.asarray(y, np.float64).mean(axis=1)
    assert_mean("square of theta", theta**2, temperature, MANY)
    assert_mean("square of the mean", mean**2, temperature * (1 + 1 / DATA), MANY)
    assert_mean("product", theta * mean, temperature, MANY)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_parameters_and_data_keep_their_joint_law(temperature):
    """Geweke, J. Am. Stat. Assoc. 99, 799 (2004)."""
    joint_law(temperature)


@pytest.mark.slow
def test_the_joint_law_catches_broken_kernels():
    joint_law(1.0, rules=(lambda delta, t, h: -delta,))  # T ignored: invisible at T = 1
    caught(joint_law, 2.0, rules=(lambda delta, t, h: -delta,))
    caught(joint_law, 2.0, rules=(lambda delta, t, h: -delta / (2 * t),))
    caught(joint_law, 1.0, move=wary)
    caught(joint_law, 2.0, energy=without_prior)
    caught(joint_law, 2.0, renew=stale)
