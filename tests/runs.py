"""Runs that are cut short, and the comparison of what comes of them with an uninterrupted run."""

import jax
import jax.numpy as jnp
import numpy as np

import jaxanneal as ja
from jaxanneal._engine import state
from jaxanneal._pytree import replace
from jaxanneal._run import checkpoint, chunks

# What two runs that are the same run must agree in; the seconds may differ.
_FIELDS = ("params", "energy", "chains", "history", "diagnostics", "steps", "evaluations", "fixed")


def plain(leaf):
    key = isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
    return np.asarray(jax.random.key_data(leaf) if key else leaf)


def assert_same_run(found, expected):
    """Compare two results bit for bit, the states to go on from included."""
    assert found.stop_reason is expected.stop_reason
    trees = [(getattr(found, name), getattr(expected, name)) for name in _FIELDS]
    # The method there may hold a table of the coming temperatures, which depends on the chunks.
    trees.append([replace(own_lanes(result), method=None) for result in (found, expected)])
    for one, other in trees:
        assert jax.tree.structure(one) == jax.tree.structure(other)
        for x, y in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            np.testing.assert_array_equal(plain(x), plain(y), strict=True)


def own_lanes(result):
    """Return the state without blocks that are nothing but padding, which are never moved."""
    return state.own_lanes(result.state.engine_state, result.state.width)


def eager(monkeypatch):
    """Look after each single step, and save whenever there is a look."""
    monkeypatch.setattr(chunks, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "_SHARE", 1.0)


def eager_for_good():
    """The same in a process of its own."""
    chunks.LOOK_SECONDS, checkpoint._SHARE = 0.0, 1.0


def often(directory, **settings):
    return ja.Checkpoint(directory, every_seconds=1e-9, **settings)


def until(step):
    """Return a callback that stops a run at a step of the call."""
    return lambda progress: progress.step >= step
