"""Hops: how a chain of basin hopping leaves a minimum, for one chain.

A row is what moves together: a coordinate of a vector, an atom of a cluster, a neuron of a layer.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.generator import words
from jaxanneal._kernels.descent import Region
from jaxanneal.moves import _noise

# Kinds of hops: of one row, of a block, of all rows; a block of another chain; the difference of
# two others.
_ONE, _BLOCK, _ALL, _CROSSOVER, _DIFFERENCE = range(5)
_SIZED = (_ONE, _BLOCK, _ALL)

# What is added to a crossover and a difference, in units: no two chains stay the same.
_BLUR = 0.003

# Numbers of the words that a hop draws for itself, after those of rows and coordinates.
_SIZE, _ROW, _SHARE, _WIDTH, _FIRST, _SECOND, _WHOLE, _FACTOR, _CHOICE = range(9)
_DRAWN = 9


class Rows(NamedTuple):
    """Which coordinates move together.

    Args:
        row: The row of each coordinate, int ``[d]``.
        number: Number of rows.
    """

    row: np.ndarray
    number: int


def rows_of(shapes: list[tuple[int, ...]]) -> Rows:
    """Return the rows of some leaves: those of the leading axis, of a vector its coordinates."""
    rows, first = [], 0
    for shape in shapes:
        count = shape[0] if shape else 1
        size = int(np.prod(shape))
        rows.append(first + np.arange(size) // max(1, size // max(1, count)))
        first += count
    return Rows(np.concatenate(rows).astype(np.int32), first)


def kinds(sizes: int) -> int:
    """Return the number of kinds of hops with so many sizes."""
    return len(_SIZED) * sizes + 2


def hop(
    key: jax.Array,
    position: jax.Array,
    others: jax.Array,
    number: jax.Array,
    weights: jax.Array,
    sizes: jax.Array,
    rows: Rows,
    region: Region,
) -> tuple[jax.Array, jax.Array]:
    r"""Return a point outside of a minimum, from which to descend, and the kind of the hop.

    Maths: one row, each row with probability :math:`n^{-u}` (a block), or all of them by normal
    noise of one of the sizes times :math:`e^{v - 1/2}`; a block taken over from another chain; or
    the difference of two others, whole or a block of it, times 1 or a number between 0.2 and 1.

    Args:
        key: Consumed.
        position: The minimum, float ``[d]``.
        others: Positions of all chains, float ``[chains, d]``.
        number: The number of this chain, int ``[]``.
        weights: How often each kind is chosen, float ``[kinds]``.
        sizes: Sizes of the noise, in units, float ``[sizes]``.
        rows: Which coordinates move together.
        region: Limits and units.

    Reference: Storn and Price, J. Global Optim. 11, 341 (1997), for differences.
    """
    size, dtype = position.size, position.dtype
    single = _uniform(key, size + rows.number, _DRAWN, dtype)
    totals = jnp.cumsum(weights.astype(dtype))
    kind = jnp.sum(single[_CHOICE] * totals[-1] >= totals[:-1], dtype=jnp.int32)
    group, place = jnp.minimum(kind // sizes.size, _CROSSOVER), kind % sizes.size
    group = jnp.where(kind == totals.size - 1, _DIFFERENCE, group)
    noise = _noise.normal(words(key, 0, (size,))).astype(dtype)
    block = _block(_uniform(key, size, rows.number, dtype), single[_SHARE])[rows.row]
    row = jnp.minimum((single[_ROW] * rows.number).astype(jnp.int32), rows.number - 1)
    moving = jnp.where(group == _ONE, rows.row == row, block | (group == _ALL))
    # Of one row the tails are heavy: a normal of random width.
    width = jnp.where(group == _ONE, 1 / (0.1 + 2 * single[_WIDTH]), 1)
    spread = sizes[place].astype(dtype) * jnp.exp(single[_SIZE] - 0.5) * width
    first, second = (
        others[another(single[draw], number, len(others))] for draw in (_FIRST, _SECOND)
    )
    factor = jnp.where(single[_WHOLE] < 0.5, 1, 0.2 + 0.8 * single[_FACTOR])
    whole = jnp.where(block, first - second, 0) * factor
    step = jnp.where(moving, spread * noise * region.unit, 0)
    blur = _BLUR * noise * region.unit
    step = jnp.where(group == _CROSSOVER, jnp.where(block, first - position, 0) + blur, step)
    step = jnp.where(group == _DIFFERENCE, whole + blur, step)
    return _folded(position + step, region), kind


def _uniform(key: jax.Array, first: int, count: int, dtype: jnp.dtype) -> jax.Array:
    return (words(key, first, (count,)) >> 8).astype(dtype) * 2.0**-24


def _block(drawn: jax.Array, share: jax.Array) -> jax.Array:
    """Return which rows a block has: each with the same probability, at least one."""
    limit = jnp.asarray(drawn.size, drawn.dtype) ** -share
    return (drawn < limit) | (drawn == jnp.min(drawn))


def another(drawn: jax.Array, number: jax.Array, count: int) -> jax.Array:
    """Return the number of another chain; of a chain alone, its own."""
    most = max(count - 1, 1)
    step = 1 + jnp.minimum((drawn * most).astype(jnp.int32), most - 1)
    return (number + step) % count


def _folded(point: jax.Array, region: Region) -> jax.Array:
    """Return a point as if the limits were mirrors, or on a limit where it is far outside."""
    lower, upper = region.lower, region.upper
    point = jnp.where(point < lower, lower + (lower - point), point)
    point = jnp.where(point > upper, upper - (point - upper), point)
    return jnp.clip(point, lower, upper)
