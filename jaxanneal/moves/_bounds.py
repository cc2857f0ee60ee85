"""Bounds by reflection, which leaves a symmetric move symmetric."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import number, refusal

_REMEDY = "Write bounds=(lower, upper); use -inf or inf, or None, where there is none."


def as_bounds(
    path: str, bounds: Any, convert: Callable[[str, Any], jax.Array] | None = None
) -> tuple[Any, Any] | None:
    """Return ``(lower, upper)`` with arrays as leaves, or ``None`` where there are no bounds.

    Args:
        path: What the bounds are called, such as ``Gaussian.bounds``.
        bounds: What the user gave.
        convert: Makes one bound of a number and its path; ``None``: a float.
    """
    if bounds is None:
        return None
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise TypeError(refusal(path, "a pair (lower, upper)", repr(bounds), _REMEDY))
    as_leaf = _as_float if convert is None else convert
    lower, upper = (
        jax.tree_util.tree_map_with_path(
            lambda where, leaf, side=side, none=none: as_leaf(
                f"{path}[{side}]{jax.tree_util.keystr(where)}", none if leaf is None else leaf
            ),
            bounds[side],
            is_leaf=lambda leaf: leaf is None,
        )
        for side, none in ((0, -np.inf), (1, np.inf))
    )
    if jax.tree.structure(lower) == jax.tree.structure(upper):
        pairs = zip(jax.tree.leaves(lower), jax.tree.leaves(upper), strict=True)
        for low, high in pairs:
            _require_order(path, low, high)
    return lower, upper


def _as_float(path: str, limit: Any) -> jax.Array:
    return number(path, limit, "numbers, not NaN", lambda x: ~np.isnan(x), _REMEDY)


def _require_order(path: str, low: Any, high: Any) -> None:
    if isinstance(low, Tracer) or isinstance(high, Tracer):
        return
    low, high = np.broadcast_arrays(low, high)
    wrong = ~(low < high)
    if np.any(wrong):
        remedy = "To hold a parameter, freeze it with ja.moves.PerLeaf and None."
        shown = f"({low[wrong].flat[0]}, {high[wrong].flat[0]})"
        raise ValueError(refusal(path, "lower < upper", shown, remedy))


def check_bounds(path: str, limits: list[tuple[Any, ...]], parameters: Parameters) -> None:
    """Refuse bounds out of order, and a start outside of them.

    Args:
        path: What the bounds are called, such as ``Gaussian.bounds``.
        limits: Lower and upper limit of each parameter.
        parameters: The start of one chain, or of all chains along a leading axis.
    """
    places = zip(parameters.structure.paths(), parameters.leaves, *limits, strict=True)
    for where, leaf, low, high in places:
        _require_order(path, low, high)
        if isinstance(leaf, Tracer) or isinstance(low, Tracer):
            continue
        # Compared in the parameter's own dtype: 0.1 as float16 lies on a bound of 0.1.
        value, low, high = np.broadcast_arrays(
            *(np.asarray(jnp.asarray(x).astype(leaf.dtype)) for x in (leaf, low, high))
        )
        outside = (value < low) | (value > high)
        if np.any(outside):
            first, lowest, highest = (x[outside].flat[0] for x in (value, low, high))
            remedy = "Start inside, or widen the bounds."
            raise ValueError(refusal(where, f"values in [{lowest}, {highest}]", first, remedy))


def step_between(
    size: jax.Array, noise: jax.Array, lower: jax.Array, upper: jax.Array
) -> jax.Array:
    """Return the step ``size * noise``, short of whole turns between two mirrors.

    A turn of twice the width leads back to the same point, so it is left out before the step is
    added: a sum of two numbers keeps the digits of the larger one alone. A size beyond a turn is
    one turn: folded, both are uniform to 1e-8, and the step keeps its own digits. Both are odd in
    the noise, so a symmetric move stays symmetric.
    """
    largest = jnp.finfo(noise.dtype).max
    whole = jnp.minimum(turn(lower, upper, noise.dtype), largest)
    step = jnp.clip(jnp.minimum(size, whole) * noise, -largest, largest)
    return jnp.fmod(step, jnp.where(whole > 0, whole, largest))  # equal bounds: a size of zero


def turn(lower: jax.Array, upper: jax.Array, dtype: Any) -> jax.Array:
    """Return twice the width of a box: so far apart two steps lead to the same point."""
    return 2 * (upper.astype(dtype) - lower.astype(dtype))


def reflect(start: jax.Array, step: jax.Array, lower: jax.Array, upper: jax.Array) -> jax.Array:
    """Return ``start + step``, folded into ``[lower, upper]`` as if both ends were mirrors.

    Maths: the triangle wave of period 2 (upper - lower); one mirror alone where the other end is
    infinite, none where both are. The start is inside, the step at most a turn.

    What ends inside stays as it is to the last bit. What does not is measured from the wall that it
    crossed: a fold about any other point would round to the digits of a far wall.
    """
    lower, upper = lower.astype(start.dtype), upper.astype(start.dtype)
    value = start + step
    below, above = value < lower, value > upper
    wall, other = jnp.where(below, lower, upper), jnp.where(below, upper, lower)
    past = (start - wall) + step  # not value - wall: the sum of two large floats may be infinite
    across = other - wall
    once, twice = wall - past, other + (past + across)
    folded = jnp.where(jnp.abs(past) <= jnp.abs(across), once, twice)
    # Rounding may leave the box by one ulp.
    return jnp.where(below | above, jnp.clip(folded, lower, upper), value)


def reflect_integer(value: jax.Array, lower: jax.Array, upper: jax.Array) -> jax.Array:
    """Fold integers into ``[lower, upper]``, both included, with mirrors at the half-integers.

    Maths: period 2n with n = upper - lower + 1; lower - 1 goes to lower. A mirror *at* the bound
    would visit it half as often as the others.
    """
    count = upper - lower + 1
    offset = jnp.mod(value - lower, 2 * count)
    return lower + jnp.minimum(offset, 2 * count - 1 - offset)
