"""What the energies at each rung say: their mean, their spread, and how fast they are renewed."""

import jax
import jax.numpy as jnp

from jaxanneal._pytree import pytree_dataclass


@pytree_dataclass
class RungEnergies:
    """Running means over swap phases of the energy of the replica at each rung, before the swaps.

    A running mean keeps its digits where a sum of as many terms would outgrow them.

    Args:
        mean: Mean energy, float ``[ladders, rungs]``.
        variance: Mean squared distance from the mean, float ``[ladders, rungs]``.
        change: Mean squared change of the energy by the moves since the swaps before, float
            ``[ladders, rungs]``.
        last: Energy at each rung after the last swaps, float ``[ladders, rungs]``; infinite where
            there were none.
    """

    mean: jax.Array
    variance: jax.Array
    change: jax.Array
    last: jax.Array


def no_energies(ladders: int, rungs: int) -> RungEnergies:
    """Return the means of nothing."""
    zero = jnp.zeros((ladders, rungs), dtype=float)
    return RungEnergies(zero, zero, zero, jnp.full_like(zero, jnp.inf))


def with_phase(
    before: RungEnergies, energies: jax.Array, swapped: jax.Array, count: jax.Array
) -> RungEnergies:
    """Return the means with one more swap phase.

    Args:
        before: The means of ``count`` phases.
        energies: Energy at each rung before the swaps, float ``[ladders, rungs]``.
        swapped: The same after them.
        count: Phases so far, int ``[]``.

    Reference: Welford, Technometrics 4, 419 (1962).
    """
    energies = energies.astype(before.mean.dtype)
    share = 1 / (count.astype(energies.dtype) + 1)
    # A replica without a finite energy adds nothing, rather than spoiling the mean for ever.
    off = jnp.where(jnp.isfinite(energies), energies - before.mean, 0)
    mean = before.mean + off * share
    spread = jnp.where(jnp.isfinite(energies), (energies - mean) * off, 0)
    change = jnp.square(energies - before.last)
    change = jnp.where(jnp.isfinite(change), change, 0)
    return RungEnergies(
        mean,
        before.variance + (spread - before.variance) * share,
        before.change + (change - before.change) * share,
        swapped.astype(energies.dtype),
    )
