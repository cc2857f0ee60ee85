"""Descent by BFGS and L-BFGS, one value and gradient a step: many descents run side by side.

For one chain. Positions are flat vectors in the user's units; changes and gradients are in the
units of the search, so that one length suits all coordinates.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxanneal._kernels.curvature import Matrix, Pairs, nothing_known
from jaxanneal._pytree import pytree_dataclass

# A step is taken where the energy falls by at least so much of what the slope promises (Armijo).
_ARMIJO = 1e-4

# A step that is refused is repeated at a length between these shares of it.
_SHORTEST, _LONGEST = 0.1, 0.5

# A pair whose curvature is no more than so much of what it could be tells nothing.
_CURVED = 1e-6


class Region(NamedTuple):
    """Where a descent may go, and in which units it is measured.

    Args:
        lower: Lower limits, ``-inf`` where there are none, float ``[d]``.
        upper: Upper limits, float ``[d]``.
        unit: The unit of each coordinate, > 0, float ``[d]``.
        longest: No coordinate makes a longer step, in its units, float ``[]``.
    """

    lower: jax.Array
    upper: jax.Array
    unit: jax.Array
    longest: jax.Array


@pytree_dataclass
class Descent:
    """A descent under way.

    Args:
        position: The last point that was good enough, float ``[d]``.
        energy: Its energy, float ``[]``.
        gradient: Its gradient in the units of the search, float ``[d]``.
        direction: Where it goes from there, in these units, float ``[d]``.
        length: Share of the direction that is tried, float ``[]``.
        trial: The point that is evaluated next, float ``[d]``.
        steps: Evaluations so far, int ``[]``.
        refused: Trials refused since the last good point, int ``[]``.
        curvature: What is known of the curvature.
        scale: The multiple of the identity that the inverse Hessian is built from, float ``[]``.
    """

    position: jax.Array
    energy: jax.Array
    gradient: jax.Array
    direction: jax.Array
    length: jax.Array
    trial: jax.Array
    steps: jax.Array
    refused: jax.Array
    curvature: Matrix | Pairs
    scale: jax.Array


def begin(start: jax.Array, scale: jax.Array, dtype: jnp.dtype) -> Descent:
    """Return a descent that has evaluated nothing yet.

    Args:
        start: Where it begins, float ``[d]``.
        scale: The multiple of the identity for the first inverse Hessian, float ``[]``; 0 where
            nothing is known, for a first step of a fifth of the longest one.
        dtype: The dtype of the energy.
    """
    none, zero = jnp.zeros_like(start), jnp.zeros((), jnp.int32)
    return Descent(
        position=start,
        energy=jnp.asarray(jnp.inf, dtype),
        gradient=none,
        direction=none,
        length=jnp.ones((), start.dtype),
        trial=start,
        steps=zero,
        refused=zero,
        curvature=nothing_known(start.size, start.dtype),
        scale=scale,
    )


def step(
    descent: Descent, energy: jax.Array, slope: jax.Array, region: Region
) -> tuple[Descent, jax.Array]:
    r"""Take in the energy and gradient of the trial point, and choose the next one.

    Maths: direction :math:`-H g` with the approximate inverse Hessian :math:`H`; a trial is good
    where :math:`E \le E_0 + 10^{-4} g \cdot \Delta`; otherwise the step is repeated at the minimum
    of the parabola through both. Coordinates that a limit holds, and those that would leave the
    box, stay out of the direction, and a trial is cut off at the limits.

    Args:
        descent: The descent.
        energy: Energy of ``descent.trial``, float ``[]``; it need not be finite.
        slope: Its gradient in the user's units, float ``[d]``.
        region: Limits and units.

    Returns:
        The descent, and by how much the energy will fall yet, by the quadratic model, float ``[]``;
        infinite before anything finite was seen.

    Reference: Nocedal and Wright, Numerical Optimization (2006), algorithm 6.1; Liu and Nocedal,
    Mathematical Programming 45, 503 (1989), algorithm 2.1, for many coordinates; Byrd, Lu,
    Nocedal and Zhu, SIAM J. Sci. Comput. 16, 1190 (1995), for the limits.
    """
    gradient = slope * region.unit
    finite = jnp.isfinite(energy) & jnp.all(jnp.isfinite(gradient))
    gradient = jnp.where(finite, gradient, 0)
    first = descent.steps == 0
    change = (descent.trial - descent.position) / region.unit
    promised = jnp.sum(descent.gradient * change).astype(energy.dtype)
    good = finite & (first | (energy <= descent.energy + _ARMIJO * promised))
    bend = gradient - descent.gradient
    curvature, scale = _learned(descent, change, bend, good & ~first)
    scale = jnp.where(good & (scale <= 0), _first_scale(gradient, region), scale)
    position = jnp.where(good, descent.trial, descent.position)
    gradient = jnp.where(good, gradient, descent.gradient)
    direction = _direction(position, gradient, curvature, scale, region)
    direction = jnp.where(good, direction, descent.direction)
    risen = energy - descent.energy - promised
    share = jnp.where(finite, -0.5 * promised / jnp.where(risen > 0, risen, 1), _SHORTEST)
    shorter = descent.length * jnp.clip(share.astype(change.dtype), _SHORTEST, _LONGEST)
    length = jnp.where(good, 1, shorter)
    trial = position + length * direction * region.unit
    new = Descent(
        position,
        jnp.where(good, energy, descent.energy),
        gradient,
        direction,
        length,
        jnp.clip(trial, region.lower, region.upper),
        descent.steps + 1,
        jnp.where(good, 0, descent.refused + 1),
        curvature,
        scale,
    )
    fall = -0.5 * jnp.sum(gradient * direction).astype(energy.dtype)
    return new, jnp.where(jnp.isfinite(new.energy), fall, jnp.inf)


def _first_scale(gradient: jax.Array, region: Region) -> jax.Array:
    """Return the scale with which the first step is a fifth of the longest one."""
    return 0.2 * region.longest / jnp.maximum(jnp.max(jnp.abs(gradient)), 1e-30)


def _learned(
    descent: Descent, change: jax.Array, bend: jax.Array, taken: jax.Array
) -> tuple[Matrix | Pairs, jax.Array]:
    """Return what is known after a step, if it was taken and tells a curvature."""
    curvature, square = jnp.sum(change * bend), jnp.sum(bend * bend)
    least = _CURVED * jnp.sqrt(jnp.sum(change * change) * square)
    taken = taken & (curvature > least) & (square > 0)
    scale = curvature / jnp.where(taken, square, 1)
    # Of a pair that tells nothing another one stands in, so that nothing divides by zero.
    pair = jnp.where(taken, change, 1), jnp.where(taken, bend, 1)
    new = descent.curvature.after(*pair, scale)
    known = jax.tree.map(lambda a, b: jnp.where(taken, a, b), new, descent.curvature)
    return known, jnp.where(taken, scale, descent.scale)


def _direction(
    position: jax.Array,
    gradient: jax.Array,
    curvature: Matrix | Pairs,
    scale: jax.Array,
    region: Region,
) -> jax.Array:
    """Return the way down from a point, no coordinate of which is longer than the longest."""
    at_lower, at_upper = position <= region.lower, position >= region.upper
    free = ~((at_lower & (gradient > 0)) | (at_upper & (gradient < 0)))
    steepest = jnp.where(free, gradient, 0)
    way = jnp.where(free, -curvature.times(steepest, scale), 0)
    way = jnp.where((at_lower & (way < 0)) | (at_upper & (way > 0)), 0, way)
    way = jnp.where(jnp.sum(way * gradient) < 0, way, -steepest * scale)
    return way * jnp.minimum(1, region.longest / jnp.maximum(jnp.max(jnp.abs(way)), 1e-30))
