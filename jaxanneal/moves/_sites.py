"""Which sites a move changes, whatever their values: one of all, so many of all, or one row."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jaxanneal._chain.generator import words


def one_site(key: jax.Array, leaves: Sequence[jax.Array]) -> list[jax.Array]:
    """Return a mask for each leaf; one site of all of them together is true."""
    site = jax.random.randint(key, (), 0, sum(leaf.size for leaf in leaves))
    masks, offset = [], 0
    for leaf in leaves:
        masks.append(jnp.arange(offset, offset + leaf.size).reshape(leaf.shape) == site)
        offset += leaf.size
    return masks


def one_free(key: jax.Array, free: Sequence[jax.Array]) -> list[jax.Array]:
    """Return the same of the sites that are free alone: equal bounds hold the others."""
    counts = jnp.cumsum(jnp.concatenate([own.reshape(-1) for own in free]), dtype=jnp.int32)
    site = jax.random.randint(key, (), 0, jnp.maximum(counts[-1], 1)) + 1
    masks, offset = [], 0
    for own in free:
        count = counts[offset : offset + own.size].reshape(own.shape)
        masks.append(own & (count == site))
        offset += own.size
    return masks


def some_free(key: jax.Array, free: Sequence[jax.Array], count: jax.Array) -> list[jax.Array]:
    """Return a mask for each leaf; exactly ``count`` of the free sites are true, all if fewer are.

    Maths: the sites with the ``count`` smallest of n words. Their largest is found bit by bit from
    the top, which is cheaper than sorting; of equal words the first ones count.

    Args:
        key: Consumed.
        free: Which sites may change, for each leaf.
        count: Int ``[]``.
    """
    places = jnp.concatenate([own.reshape(-1) for own in free])
    count = jnp.minimum(count, jnp.sum(places, dtype=jnp.int32))
    drawn = words(key, 0, places.shape)
    below = lambda bound: jnp.sum(places & (drawn < bound), dtype=jnp.int32)  # noqa: E731

    def next_bit(index: Any, last: jax.Array) -> jax.Array:
        tried = last | (jnp.uint32(1) << (31 - index).astype(jnp.uint32))
        return jnp.where(below(tried) < count, tried, last)

    last = jax.lax.fori_loop(0, 32, next_bit, jnp.uint32(0))
    equal = places & (drawn == last)
    first = jnp.cumsum(equal, dtype=jnp.int32) <= count - below(last)
    chosen, masks, offset = (places & (drawn < last)) | (equal & first), [], 0
    for own in free:
        masks.append(chosen[offset : offset + own.size].reshape(own.shape))
        offset += own.size
    return masks
