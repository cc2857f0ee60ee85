"""Groups of ladders: what a run reports of its rungs is held for at most 16 of them.

A standard error needs means of some independent parts, not of thousands, and held for every ladder
they would take more memory than a few parameters do.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

_MOST = 16

# Of the digits of 11 bits that a count of 31 bits has.
_SHIFTS = (0, 11, 22)


def groups_of(ladders: int) -> int:
    """Return how many groups there are: a ladder is in that of its number modulo this."""
    return min(ladders, _MOST)


def sizes_of(ladders: int) -> np.ndarray:
    """Return the number of ladders in each group, int ``[groups]``: equal, or nearly so."""
    return np.bincount(np.arange(ladders) % groups_of(ladders))


def grouped(values: jax.Array, gap: float) -> jax.Array:
    """Return the values of all ladders by the group they are in.

    Args:
        values: ``[ladders, n]``.
        gap: What stands where a group has a ladder less than others.

    Returns:
        ``[members, groups, n]``.
    """
    ladders, n = values.shape
    groups = groups_of(ladders)
    members = -(-ladders // groups)
    missing = members * groups - ladders
    if missing:
        values = jnp.pad(values, ((0, missing), (0, 0)), constant_values=gap)
    return values.reshape((members, groups, n))


def group_sums(*values: jax.Array) -> Sequence[jax.Array]:
    """Return the sums of all groups, each ``[groups, n]``, of values ``[members, groups, n]``.

    One pass over all of them, in which what they are made of is computed and not stored.
    """
    return _reduced(jax.lax.add, 0, values)


def extremes(values: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the lowest and the highest finite value of each group, each ``[groups, n]``.

    Args:
        values: ``[ladders, n]``.

    Returns:
        Infinite where no value is finite, the lowest above and the highest below all others.
    """
    now = grouped(values, jnp.inf)
    sound = jnp.isfinite(now)
    both = jnp.where(sound, -now, -jnp.inf), jnp.where(sound, now, -jnp.inf)
    lowest, highest = _reduced(jax.lax.max, -jnp.inf, both)
    return -lowest, highest


def _reduced(join: Any, first: float, values: tuple[jax.Array, ...]) -> Sequence[jax.Array]:
    if values[0].shape[0] == 1:
        return [x[0] for x in values]
    starts = tuple(jnp.asarray(first, x.dtype) for x in values)
    each = lambda a, b: tuple(join(x, y) for x, y in zip(a, b, strict=True))  # noqa: E731
    return jax.lax.reduce(values, starts, each, (0,))


def no_counts(groups: int, n: int) -> jax.Array:
    """Return counts of nothing, each in two words of 32 bits, ``uint32 [2, groups, n]``."""
    return jnp.zeros((2, groups, n), jnp.uint32)


def counted_on(counts: jax.Array, more: jax.Array) -> jax.Array:
    """Return counts, as :func:`no_counts` makes them, with more, int32 ``[groups, n]``."""
    more = more.astype(jnp.uint32)
    carry = (counts[0] + more < counts[0]).astype(jnp.uint32)
    low = jax.lax.broadcasted_iota(jnp.int32, counts.shape, 0) == 0
    return counts + jnp.where(low, more[None], carry[None])


def as_integers(counts: jax.Array) -> np.ndarray:
    """Return counts as integers, int64 ``[groups, n]``."""
    low, high = np.asarray(counts).astype(np.int64)
    return (high << 32) + low


def summed(counts: jax.Array) -> jax.Array:
    """Return the sums over all ladders of counts, int32 ``[ladders, n]``, digit by digit.

    Returns:
        ``uint32 [3, n]``, the sums of the digits: of 11 bits, which two million ladders do not make
        overflow.
    """
    words = counts.astype(jnp.uint32)[:, None]  # all ladders as members of one group
    return jnp.concatenate(group_sums(*((words >> shift) & 0x7FF for shift in _SHIFTS)))


def total(sums: jax.Array) -> np.ndarray:
    """Return what :func:`summed` made as integers, int64 ``[n]``."""
    return (np.asarray(sums).astype(np.int64) << np.asarray(_SHIFTS)[:, None]).sum(axis=0)


def shares(ladders: int, dtype: Any) -> jax.Array:
    """Return what makes a mean of a group's sum, ``[groups, 1]``.

    A factor: of a division XLA makes one, too, but not in every program.
    """
    return jnp.asarray(1 / sizes_of(ladders), dtype)[:, None]
