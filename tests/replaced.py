"""Runs whose chains are replaced by copies of better ones."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxanneal as ja
from jaxanneal.cooling import Geometric

MOVE = ja.moves.Gaussian(0.4)


def energy(p):
    """A bowl with dents, and a wall of infinite energy."""
    dents = jnp.sum(p["x"] ** 2 + 2 * (1 - jnp.cos(4 * p["x"])))
    return jnp.where(jnp.any(p["x"] > 3), jnp.inf, dents)


def start(key):
    return {"x": jax.random.uniform(key, (3,), minval=-3.0, maxval=3.0)}


def method(replace_every=7, chains=13, cooling=None):
    given = Geometric(5.0, 0.01) if cooling is None else cooling
    return ja.SimulatedAnnealing(chains, given, replace_every=replace_every)


def run(*args, steps=90, **settings):
    given = {"key": 0, "move": MOVE, "record_every": 1, "steps": steps, "method": method(*args)}
    return ja.anneal(energy, start, **given | settings)


def going(result, steps, **settings):
    return ja.anneal(energy, state=result.state, steps=steps, record_every=1, **settings)


def same(a, b):
    """The chains are the same, bit for bit."""
    for one, other in zip(jax.tree.leaves(a.chains), jax.tree.leaves(b.chains), strict=True):
        np.testing.assert_array_equal(one, other)
