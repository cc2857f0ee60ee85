"""Swaps of neighbouring rungs: what the ladders hold, and the rule of a swap."""

import jax
import jax.numpy as jnp

from jaxanneal._pytree import pytree_dataclass


@pytree_dataclass
class Ladders:
    """Which replica stands at which rung, and what the swaps did so far.

    Args:
        rung: Rung of each replica, int ``[ladders, rungs]``.
        replica: Replica at each rung, int ``[ladders, rungs]``: the inverse permutations.
        swaps: Swap phases so far, int ``[]``: its parity is that of the next phase.
        attempts: Swaps tried after warm-up, int ``[ladders, rungs - 1]``.
        accepted: Swaps accepted after warm-up, int ``[ladders, rungs - 1]``.
    """

    rung: jax.Array
    replica: jax.Array
    swaps: jax.Array
    attempts: jax.Array
    accepted: jax.Array


def log_swap_acceptance(temperatures: jax.Array, energies: jax.Array) -> jax.Array:
    r"""Return the log-probability of each swap of neighbours.

    Maths: :math:`\min(0, (\beta_i - \beta_{i+1}) (E_i - E_{i+1}))`.

    Args:
        temperatures: Strictly increasing, float ``[rungs]``.
        energies: Energy of the replica at each rung, float ``[..., rungs]``.

    Returns:
        Float ``[..., rungs - 1]``; ``-inf`` where both energies are infinite.

    Reference: Swendsen and Wang, Phys. Rev. Lett. 57, 2607 (1986).
    """
    beta = 1 / temperatures.astype(energies.dtype)
    difference = energies[..., :-1] - energies[..., 1:]
    ratio = jnp.broadcast_to(beta[:-1] - beta[1:], difference.shape) * difference
    return jnp.where(jnp.isnan(ratio), -jnp.inf, jnp.minimum(ratio, 0))


def swap_decisions(key: jax.Array, log_ratio: jax.Array) -> jax.Array:
    """Decide each pair of one ladder by a uniform number of its own; the key is consumed."""
    uniform = jax.random.uniform(key, log_ratio.shape, log_ratio.dtype)
    return jnp.log1p(-uniform) <= log_ratio


def shift_of(accepted: jax.Array) -> jax.Array:
    """Return by how many rungs the replica at each rung moves, int ``[ladders, rungs]``."""
    moved = accepted.astype(jnp.int32)
    return jnp.pad(moved, ((0, 0), (0, 1))) - jnp.pad(moved, ((0, 0), (1, 0)))
