"""What the energies at each rung say: their mean, their spread, and how fast they are renewed."""

import jax
import jax.numpy as jnp

from jaxanneal._methods.ladder.groups import group_sums, grouped, groups_of
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
        phases: Swap phases in which an energy was finite, int ``[groups, rungs]``.
    """

    mean: jax.Array
    variance: jax.Array
    change: jax.Array
    last: jax.Array
    phases: jax.Array


def no_energies(ladders: int, rungs: int) -> RungEnergies:
    """Return the means of nothing."""
    zero = jnp.zeros((groups_of(ladders), rungs), dtype=float)
    last, none = jnp.full((ladders, rungs), jnp.inf, dtype=float), zero.astype(jnp.int32)
    return RungEnergies(zero, zero, zero, last, none)


def with_phase(
    before: RungEnergies,
    energies: jax.Array,
    by_rung: jax.Array,
    last_by_rung: jax.Array,
    one: jax.Array,
) -> RungEnergies:
    """Return the means with one more swap phase.

    Args:
        before: The means so far.
        energies: Energy of each replica, float ``[ladders, rungs]``.
        by_rung: The same by rung, before the swaps.
        last_by_rung: ``before.last`` of the replicas that stand there.
        one: A finite energy of each group and rung, float ``[groups, rungs]``; infinite where
            there is none. No two large numbers cancel in differences from it.

    Reference: Chan, Golub and LeVeque, Am. Stat. 37, 242 (1983), equation (2.1).
    """
    dtype = before.mean.dtype
    now, one = grouped(by_rung.astype(dtype), jnp.inf), one.astype(dtype)
    # A replica without a finite energy adds nothing, rather than spoiling the mean for ever.
    sound, some = jnp.isfinite(now), jnp.isfinite(one)
    off = jnp.where(sound, now - jnp.where(some, one, 0)[None], 0)
    change = jnp.square(now - grouped(last_by_rung, jnp.inf))
    change = jnp.where(jnp.isfinite(change), change, 0)
    number, first, second, change = group_sums(sound.astype(dtype), off, jnp.square(off), change)
    number = jnp.maximum(number, 1)
    first, second, change = first / number, second / number, change / number
    phases = before.phases + some.astype(jnp.int32)
    share = jnp.where(some, 1 / jnp.maximum(phases, 1).astype(dtype), 0)
    shift = jnp.where(some, one + first - before.mean, 0)
    spread = jnp.maximum(second - jnp.square(first), 0) + jnp.square(shift) * (1 - share)
    return RungEnergies(
        before.mean + shift * share,
        before.variance + (spread - before.variance) * share,
        before.change + (change - before.change) * share,
        energies.astype(dtype),
        phases,
    )
