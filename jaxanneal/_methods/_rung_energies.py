"""What the energies at each rung say: their mean, their spread, and how fast they are renewed."""

import jax
import jax.numpy as jnp

from jaxanneal._methods._groups import group_sums, grouped, groups_of
from jaxanneal._pytree import pytree_dataclass


@pytree_dataclass
class RungEnergies:
    """Running means over swap phases of the energy of the replica at each rung, before the swaps.

    A running mean keeps its digits where a sum of as many terms would outgrow them.

    Args:
        mean: Mean energy, float ``[groups, rungs]``.
        variance: Mean squared distance from the mean, float ``[groups, rungs]``.
        change: Mean squared change of the energy by the moves since the swaps before, float
            ``[groups, rungs]``.
        last: Energy of each replica at the last swaps, float ``[ladders, rungs]``; infinite where
            there were none.
    """

    mean: jax.Array
    variance: jax.Array
    change: jax.Array
    last: jax.Array


def no_energies(ladders: int, rungs: int) -> RungEnergies:
    """Return the means of nothing."""
    zero = jnp.zeros((groups_of(ladders), rungs), dtype=float)
    return RungEnergies(zero, zero, zero, jnp.full((ladders, rungs), jnp.inf, dtype=float))


def with_phase(
    before: RungEnergies,
    energies: jax.Array,
    by_rung: jax.Array,
    last_by_rung: jax.Array,
    count: jax.Array,
) -> RungEnergies:
    """Return the means with one more swap phase.

    Args:
        before: The means of ``count`` phases.
        energies: Energy of each replica, float ``[ladders, rungs]``.
        by_rung: The same by rung, before the swaps.
        last_by_rung: ``before.last`` of the replicas that stand there.
        count: Phases so far, int ``[]``.

    Reference: Chan, Golub and LeVeque, Am. Stat. 37, 242 (1983), equation (2.1).
    """
    dtype = before.mean.dtype
    share = 1 / (count.astype(dtype) + 1)
    now = grouped(by_rung.astype(dtype), jnp.inf)
    # A replica without a finite energy adds nothing, rather than spoiling the mean for ever.
    sound = jnp.isfinite(now)
    # From one of them, so that no two large numbers cancel: the mean of nothing may be far away.
    one = jnp.where(sound[0], now[0], before.mean)
    off = jnp.where(sound, now - one[None], 0)
    change = jnp.square(now - grouped(last_by_rung, jnp.inf))
    change = jnp.where(jnp.isfinite(change), change, 0)
    number, first, second, change = group_sums(sound.astype(dtype), off, jnp.square(off), change)
    some = jnp.maximum(number, 1)
    first, second, change = first / some, second / some, change / some
    shift = one - before.mean + first
    spread = jnp.maximum(second - jnp.square(first), 0) + jnp.square(shift) * (1 - share)
    return RungEnergies(
        before.mean + shift * share,
        before.variance + (spread - before.variance) * share,
        before.change + (change - before.change) * share,
        energies.astype(dtype),
    )
