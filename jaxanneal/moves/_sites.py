"""Which sites a move changes, whatever their values: one of all, so many of all, or one row."""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.factors import row_counts
from jaxanneal._chain.generator import words
from jaxanneal._chain.parameters import Parameters


def place(key: jax.Array, count: int) -> jax.Array:
    """Return one of so many places."""
    return jax.random.randint(key, (), 0, count)


def free_place(key: jax.Array, free: Sequence[jax.Array]) -> jax.Array:
    """Return one of the places that are free: equal bounds hold the others."""
    counts = jnp.cumsum(jnp.concatenate([own.reshape(-1) for own in free]), dtype=jnp.int32)
    number = jax.random.randint(key, (), 0, jnp.maximum(counts[-1], 1))
    # The first place up to which so many are free; -1 where none is.
    return jnp.where(counts[-1] > 0, jnp.sum(counts <= number, dtype=jnp.int32), -1)


def masks(place: jax.Array, leaves: Sequence[jax.Array]) -> list[jax.Array]:
    """Return a mask for each leaf; of all of them together one place is true."""
    by_leaf, offset = [], 0
    for leaf in leaves:
        by_leaf.append(jnp.arange(offset, offset + leaf.size).reshape(leaf.shape) == place)
        offset += leaf.size
    return by_leaf


def row_masks(row: jax.Array, parameters: Parameters) -> list[jax.Array]:
    """Return a mask for each parameter; the places of one row are true."""
    by_leaf, first = [], 0
    for leaf, count in zip(parameters.leaves, row_counts(parameters), strict=True):
        shape = (count, *[1] * (leaf.ndim - 1)) if leaf.ndim else ()
        by_leaf.append((jnp.arange(first, first + count) == row).reshape(shape))
        first += count
    return by_leaf


def row_of_places(parameters: Parameters) -> np.ndarray:
    """Return the row of each coordinate of parameters that all float, int ``[coordinates]``."""
    rows, first = [], 0
    for leaf, count in zip(parameters.leaves, row_counts(parameters), strict=True):
        rows.append(first + np.arange(leaf.size) // max(1, leaf.size // max(1, count)))
        first += count
    return np.concatenate(rows).astype(np.int32)


def by_row(values: jax.Array) -> jax.Array:
    """Return values of one parameter by row, ``[rows, size of a row]``."""
    count = values.shape[0] if values.ndim else 1
    return (
        values.reshape(count if values.size else 0, -1) if values.size else jnp.zeros((0, 1), bool)
    )


def one_site(key: jax.Array, leaves: Sequence[jax.Array]) -> list[jax.Array]:
    """Return a mask for each leaf; one site of all of them together is true."""
    return masks(place(key, sum(leaf.size for leaf in leaves)), leaves)


def one_free(key: jax.Array, free: Sequence[jax.Array]) -> list[jax.Array]:
    """Return the same of the sites that are free alone."""
    return masks(free_place(key, free), free)


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
