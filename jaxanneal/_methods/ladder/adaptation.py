"""Where the rungs of a ladder should stand: at equal rejection of the swaps between neighbours."""

import math

import jax
import jax.numpy as jnp

from jaxanneal._pytree import pytree_dataclass, replace

# Swap phases in the first round, and the smallest share of the mean distance between neighbours
# that two of them are given: distances of zero have no inverse.
_FIRST_PHASES, _LEAST = 16, 0.01

# An acceptance below this is taken for it: it says "far away", and its logarithm must exist.
_SMALLEST = 1e-12


@pytree_dataclass
class Ladder:
    """The temperatures of a ladder, and what its next ones will be made from.

    Args:
        temperatures: Strictly increasing, float ``[rungs]``.
        acceptance: Mean swap probability of each pair in this round, float ``[rungs - 1]``.
        phases: Swap phases in this round, int ``[]``.
        halvings: The round ends at the warm-up's length halved so often, int ``[]``; -1 once the
            ladder is held.
    """

    temperatures: jax.Array
    acceptance: jax.Array
    phases: jax.Array
    halvings: jax.Array


def first_ladder(temperatures: jax.Array, warmup: jax.Array, swap_every: jax.Array) -> Ladder:
    """Return the ladder before the first swap, whose first round has some 16 swap phases.

    Args:
        temperatures: Strictly increasing, float ``[rungs]``.
        warmup: Moves of the warm-up, int ``[]``.
        swap_every: Moves between swap phases, int ``[]``.
    """
    rounds = (warmup // jnp.maximum(swap_every, 1)) // _FIRST_PHASES
    halvings = 31 - jax.lax.clz(jnp.maximum(rounds, 1).astype(jnp.int32))
    none = jnp.zeros(temperatures.shape[0] - 1, temperatures.dtype)
    return Ladder(temperatures, none, jnp.zeros((), jnp.int32), halvings.astype(jnp.int32))


def counted(ladder: Ladder, acceptance: jax.Array) -> Ladder:
    """Return the ladder with one more swap phase counted.

    Every pair is counted in every phase, tried or not: its energies are as good a sample.

    Args:
        ladder: The ladder before.
        acceptance: Probability of each swap, float ``[ladders, rungs - 1]``.
    """
    dtype, phases = ladder.acceptance.dtype, ladder.phases + 1
    seen = jnp.mean(acceptance.astype(dtype), axis=0)
    mean = ladder.acceptance + (seen - ladder.acceptance) / phases.astype(dtype)
    return replace(ladder, acceptance=mean, phases=phases)


def after_swaps(
    ladder: Ladder, log_factor: jax.Array, step: jax.Array, warmup: jax.Array
) -> tuple[Ladder, jax.Array]:
    """Move the rungs where a round ends: each is twice as long as the last.

    To be called where a swap phase was, or where the warm-up ends: a chunk or a record must not
    choose where to look.

    Args:
        ladder: The ladder before.
        log_factor: Logarithm of each rung's step-size factor, float ``[rungs]``.
        step: Moves so far, int ``[]``.
        warmup: Moves of the warm-up, int ``[]``.

    Returns:
        The ladder, and the factors at its temperatures.
    """
    looked = (step <= warmup) & (ladder.halvings >= 0)
    over = looked & (step >= jnp.right_shift(warmup, jnp.maximum(ladder.halvings, 0)))
    return jax.lax.cond(over, _moved, lambda *same: same, ladder, log_factor)


def _moved(ladder: Ladder, log_factor: jax.Array) -> tuple[Ladder, jax.Array]:
    old, none = ladder.temperatures, jnp.zeros_like(ladder.acceptance)
    new = jnp.where(ladder.phases > 0, equalised(old, ladder.acceptance), old)
    left, share = _places(jnp.log(old), jnp.log(new))
    carried = log_factor[left] + share * (log_factor[left + 1] - log_factor[left])
    moved = Ladder(new, none, jnp.zeros_like(ladder.phases), ladder.halvings - 1)
    return moved, jnp.where(new == old, log_factor, carried).astype(log_factor.dtype)


def equalised(temperatures: jax.Array, acceptance: jax.Array) -> jax.Array:
    r"""Return the ladder between the same ends on which all pairs refuse equally often.

    Maths: :math:`\Lambda(\log T)`, the barrier from the coldest rung up to T, is known at the
    rungs; its monotone cubic inverse at equal distances gives the new ones. The barrier between two
    neighbours is :math:`-\sqrt{2/\pi} \, \Phi^{-1}(a/2)` for the acceptance a: it tends to the
    paper's own choice, 1 - a, where they are near, but adds up for normal energies however far
    apart they are, where 1 - a calls all wide gaps the same.

    Args:
        temperatures: Strictly increasing, float ``[rungs]``.
        acceptance: Mean swap probability of each pair, float ``[rungs - 1]``.

    Returns:
        Float ``[rungs]``, strictly increasing, with the same ends; the old ladder where every swap
        is accepted.

    Reference: Syed, Bouchard-Cote, Deligiannidis and Doucet, J. R. Stat. Soc. B 84, 321 (2022),
    section 5, with another distance; Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5, 300 (1984).
    """
    distance = barrier_between(acceptance)
    total = jnp.sum(distance)
    distance = jnp.maximum(distance, _LEAST * total / distance.shape[0])
    barrier = jnp.concatenate([jnp.zeros(1, distance.dtype), jnp.cumsum(distance)])
    even_barriers = (
        jnp.linspace(0, 1, temperatures.shape[0], dtype=barrier.dtype)[1:-1] * barrier[-1]
    )
    inner = jnp.exp(monotone_cubic(barrier, jnp.log(temperatures), even_barriers))
    moved = jnp.concatenate([temperatures[:1], inner, temperatures[-1:]])
    sound = (total > 0) & jnp.all(jnp.diff(moved) > 0)  # NaN is not sound either
    return jnp.where(sound, moved, temperatures)


def barrier_between(acceptance: jax.Array) -> jax.Array:
    """Return the barrier between neighbours that accept so many of their swaps."""
    half = jnp.clip(acceptance, _SMALLEST, 1) / 2
    return -math.sqrt(2 / math.pi) * jax.scipy.special.ndtri(half)


def monotone_cubic(x: jax.Array, y: jax.Array, at: jax.Array) -> jax.Array:
    """Interpolate increasing points so that the curve increases, too.

    Args:
        x: Strictly increasing, float ``[points]``.
        y: Increasing, float ``[points]``.
        at: Where to, within ``x``, float ``[wanted]``.

    Reference: Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5, 300 (1984), eq. (5).
    """
    width, slope = jnp.diff(x), jnp.diff(y) / jnp.diff(x)
    before, after = width[:-1], width[1:]
    share = (before + 2 * after) / (3 * (before + after))
    # A harmonic mean: never more than three times the smaller slope, so the curve stays monotone.
    mean = slope[:-1] * slope[1:] / (share * slope[1:] + (1 - share) * slope[:-1])
    slopes = jnp.concatenate([slope[:1], jnp.where(mean > 0, mean, 0), slope[-1:]])
    left, t = _places(x, at)
    h = width[left]
    rise = y[left + 1] - y[left]
    inner = h * t * (1 - t) * (slopes[left] * (1 - t) - slopes[left + 1] * t)
    return y[left] + rise * t * t * (3 - 2 * t) + inner


def _places(x: jax.Array, at: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return between which points each value lies, and at what share of the way."""
    left = jnp.sum((x[None, 1:-1] <= at[:, None]).astype(jnp.int32), axis=1)
    return left, (at - x[left]) / (x[left + 1] - x[left])
