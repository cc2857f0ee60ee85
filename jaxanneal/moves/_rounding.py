"""Half precision: a proposal that is rounded keeps its symmetry, and the smallest step its effect.

A float stands for its cell, the reals that round to it. A move starts from a point drawn uniformly
in the cell, and the proposal is rounded to the cell where it ends. So, whatever the step size,

    |cell x| q(y|x) = the integral of the noise's density over cell x times cell y = |cell y| q(x|y)

and Metropolis samples the continuous law, cut into cells. Rounding alone would hold a chain where
it is whenever a step is below half the spacing (0.004 at 1 in bfloat16), count that as accepted,
and weigh cells wrongly where the exponent changes and their width with it.
"""

import jax
import jax.numpy as jnp

_HALF = (jnp.bfloat16, jnp.float16)


def real(key: jax.Array, leaf: jax.Array, limits: tuple | None) -> jax.Array:
    """Return the real number that a proposal starts from, float32 or in double precision float64.

    Args:
        key: Consumed.
        leaf: A parameter of one chain.
        limits: Its lower and upper bound, in its dtype; a cell ends there.
    """
    if leaf.dtype not in _HALF:
        return leaf.astype(jnp.float64 if leaf.dtype == jnp.float64 else jnp.float32)
    here, ends = leaf.astype(jnp.float32), []
    for side, inward in ((-jnp.inf, jnp.maximum), (jnp.inf, jnp.minimum)):
        neighbour = jnp.nextafter(leaf, jnp.asarray(side, leaf.dtype)).astype(jnp.float32)
        neighbour = jnp.where(jnp.isfinite(neighbour), neighbour, here)
        end = here + (neighbour - here) / 2
        limit = None if limits is None else limits[side > 0].astype(jnp.float32)
        ends.append(end if limit is None else inward(end, limit))
    return ends[0] + jax.random.uniform(key, leaf.shape, jnp.float32) * (ends[1] - ends[0])


def stored(value: jax.Array, old: jax.Array) -> jax.Array:
    """Return a proposal in the dtype of the parameter, or ``old`` where it is out of range.

    A step of a Cauchy move passes the largest float16, 65,504, and a chain whose energy only
    compares would not come back from infinity. To stay instead is symmetric.
    """
    new = value.astype(old.dtype)
    return jnp.where(jnp.isfinite(new), new, old) if old.dtype in _HALF else new
