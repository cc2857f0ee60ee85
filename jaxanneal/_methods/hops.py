"""What basin hopping learns from its hops: the scale of energies, and what kinds of hops bring."""

import jax
import jax.numpy as jnp

from jaxanneal._kernels.hopping import Underway
from jaxanneal._pytree import pytree_dataclass

# The first descents are over when so many of the chains are down, or after so many steps.
_DOWN, _PATIENCE = 0.75, 300

# Before the scale is known temperatures are as good as zero.
NO_SCALE = 1e-30

# Energies that differ by less than this share of themselves are those of one minimum.
_SAME = 1e-6

# By how much the logarithm of the scale follows one difference that was seen.
_GAIN = 0.02

# After so many hops of a kind half of what was known of it is forgotten.
_MEMORY = 64


@pytree_dataclass
class Hops:
    """The state of the exchanges.

    Args:
        rung: Where each chain stands among the temperatures, from 0 at the coldest, int
            ``[chains]``.
        before: Where it stood before the last exchange.
        scale: The typical difference of energies of neighbouring minima, float ``[]``; as good as
            zero before two minima were seen.
        known: Whether it is known yet, bool ``[]``.
        best: The lowest energy of a minimum so far, float ``[]``.
        counted: Hops of each chain that were counted, int ``[chains]``.
        success: What each kind of hop has brought, float ``[kinds]``.
        steps: What it has cost.
        swaps: Swap phases so far, int ``[]``.
    """

    rung: jax.Array
    before: jax.Array
    scale: jax.Array
    known: jax.Array
    best: jax.Array
    counted: jax.Array
    success: jax.Array
    steps: jax.Array
    swaps: jax.Array


def learned(
    state: Hops, energies: jax.Array, carried: Underway, swap_every: jax.Array, finds_scale: bool
) -> Hops:
    """Return the state with the hops that ended since the last exchange counted.

    Args:
        state: The state of the exchanges.
        energies: Energy of each chain, float ``[chains]``.
        carried: What the kernel carries of each chain.
        swap_every: Steps between exchanges, int ``[]``.
        finds_scale: Whether the scale is found by the hops, and not given.
    """
    last = carried.last
    new = last.count != state.counted
    kind = last.kind[:, None] == jnp.arange(state.success.size, dtype=jnp.int32)[None]
    which = jnp.where(new[:, None], kind, False).astype(float)
    kept = jnp.exp2(-jnp.sum(which, axis=0) / _MEMORY)
    success = kept * state.success + last.success.astype(float) @ which
    steps = kept * state.steps + last.steps.astype(float) @ which
    down = ~carried.first
    best = jnp.min(jnp.where(down, energies, jnp.inf)).astype(float)
    scale, known = state.scale, state.known
    if finds_scale:
        minima = jnp.where(down, energies, carried.descent.energy)
        change = last.change.astype(float)
        late = state.swaps >= _PATIENCE // swap_every
        over = (jnp.mean(down.astype(float)) >= _DOWN) | late
        scale, known = _followed(scale, known, over, minima, change, new)
    return Hops(
        state.rung,
        state.before,
        scale,
        known,
        jnp.minimum(state.best, best),
        last.count,
        success,
        steps,
        state.swaps,
    )


def _followed(
    scale: jax.Array,
    known: jax.Array,
    over: jax.Array,
    minima: jax.Array,
    changes: jax.Array,
    new: jax.Array,
) -> tuple[jax.Array, jax.Array]:
    """Return the scale after some hops, and whether it is known.

    Args:
        scale: The scale before.
        known: Whether it was known.
        over: Whether the first descents are over.
        minima: Energies of the minima where chains are, float ``[chains]``.
        changes: Differences of energies that the last hops saw, 0 for one that led back, likewise.
        new: Which of them have not been counted yet.
    """
    side = jnp.where(new & (changes > 0), jnp.sign(changes - scale), 0)
    tracked = scale * jnp.exp(_GAIN * jnp.sum(side))
    nothing = lambda *_: jnp.zeros((), float)  # noqa: E731
    first = jax.lax.cond(over & ~known, _typical, nothing, minima, changes)
    scale = jnp.where(known, tracked, jnp.where(first > 0, first, scale))
    return scale, known | (first > 0)


def _typical(energies: jax.Array, changes: jax.Array) -> jax.Array:
    """Return the typical difference of the energies of minima, 0 before a hop led to another one.

    Args:
        energies: Those of the chains, float ``[chains]``: the median distance from their median.
        changes: Differences that the last hops saw, 0 for one that led back, float ``[chains]``:
            their median counts where most chains are in one minimum, because all have one start.
    """
    known = jnp.where(jnp.isfinite(energies), energies, jnp.nan).astype(float)
    middle = jnp.nanmedian(known)
    spread = jnp.nanmedian(jnp.abs(known - middle))
    typical = jnp.nanmedian(jnp.where(changes > 0, changes, jnp.nan))
    distinct = jnp.isfinite(spread) & (spread > _SAME * jnp.abs(middle))
    return jnp.where(typical > 0, jnp.where(distinct, spread, typical), 0.0)
