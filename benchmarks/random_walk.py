"""Blackjax's random walk, a peer in two suites, and the flip of one site, its move for spins."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp


def flip(key: jax.Array, spins: jax.Array) -> jax.Array:
    """Flip one site, uniform over all: what our default move for bits does."""
    site = jax.random.randint(key, (), 0, spins.size)
    return (spins.reshape(-1) ^ (jnp.arange(spins.size) == site)).reshape(spins.shape)


def random_walk(
    log_density: Callable[[Any], jax.Array], starts: Any, scale: float
) -> tuple[Callable[[Any, jax.Array], Any], Any]:
    """Return a step of all chains, ``(state, key) -> state``, and the state that they start in."""
    import blackjax

    leaves = jax.tree.leaves(starts)
    if all(leaf.dtype == jnp.bool_ for leaf in leaves):
        kernel = blackjax.rmh(log_density, flip)
    else:
        scales = jnp.full(sum(leaf[0].size for leaf in leaves), scale)
        kernel = blackjax.additive_step_random_walk.normal_random_walk(log_density, scales)

    def step(state: Any, key: jax.Array) -> Any:
        return jax.vmap(kernel.step)(jax.random.split(key, len(leaves[0])), state)[0]

    return step, jax.vmap(kernel.init)(starts)
