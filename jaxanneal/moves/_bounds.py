"""Bounds by reflection, which leaves a symmetric move symmetric."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxanneal._chain.parameters import Parameters
from jaxanneal._chain.prefix import outline, per_parameter
from jaxanneal._checks import number, refusal, shown
from jaxanneal._pytree import path_text

# An open end of integers: twice the width of a range between two of them fits 32 bits.
FARTHEST = 2**29 - 1

_FORMS = "(lower, upper), or a list of (low, high) pairs for one flat array"

_REMEDY = (
    "Write bounds=(lower, upper), each a number or a tree like params; use -inf or inf, or None, "
    "where there is none."
)

_OWN_MOVES = "Write lower and upper as trees like params, or give each branch its move in PerLeaf."

# Makes an array of one limit and its path.
_Convert = Callable[[str, Any], jax.Array]


def as_bounds(path: str, bounds: Any, convert: _Convert | None = None) -> Any:
    """Return bounds with arrays as leaves, or ``None`` where there are none.

    A program sees their nodes alone, no values. So these tell three forms apart: ``(lower, upper)``
    each a prefix; ``[pairs]``, an array ``[n, 2]`` of (low, high) pairs for one flat array of n;
    ``[[a, b], [c, d]]``, four numbers that may be meant either way.

    Args:
        path: What the bounds are called, such as ``Gaussian.bounds``.
        bounds: What the user gave, or what this function made of it.
        convert: Makes one bound of a number and its path; ``None``: a float.
    """
    if bounds is None:
        return None
    as_leaf = _as_float if convert is None else convert
    if isinstance(bounds, list) and len(bounds) == 1 and _is_array(bounds[0], 2):
        return bounds
    if isinstance(bounds, list | tuple) and bounds and all(map(_is_pair, bounds)):
        if len(bounds) != 2:
            return _as_pairs(path, bounds, as_leaf)
        arrays = any(_is_array(limit) for pair in bounds for limit in pair)
        if isinstance(bounds, list) or not arrays:
            return _as_either(path, bounds, as_leaf)
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise TypeError(refusal(path, _FORMS, shown(bounds), _REMEDY))
    return _as_sides(path, bounds, as_leaf)


def limits_of(path: str, bounds: Any, parameters: Parameters) -> list[tuple[Any, ...]]:
    """Return the lower limits of all parameters, and the upper ones, each of its shape.

    Args:
        path: What the bounds are called.
        bounds: What :func:`as_bounds` returned.
        parameters: The parameters of one chain, or of all chains along a leading axis.

    Raises:
        ValueError: They do not fit the tree, or fit it in two ways.
    """
    root = parameters.tree
    if isinstance(bounds, list) and len(bounds) == 1:
        pairs = bounds[0] if isinstance(bounds[0], Tracer) else np.asarray(bounds[0])
        if not _is_array(root) or jnp.shape(root)[-1:] != (len(pairs),) or jnp.ndim(root) > 2:
            got = f"{len(pairs)} pairs for {outline(root)}"
            raise ValueError(refusal(path, _FORMS, got, _OWN_MOVES))
        bounds = pairs[:, 0], pairs[:, 1]
    elif isinstance(bounds, list):
        count = jnp.shape(root)[-1] if _is_array(root) and jnp.ndim(root) else 0
        if count == 2 or (isinstance(root, list | tuple) and len(root) == 2):
            raise ValueError(_two_readings(path, bounds, count == 2))
    return [per_parameter(f"{path}[{side}]", bounds[side], parameters) for side in range(2)]


def _is_array(value: Any, axes: int | None = None) -> bool:
    is_array = isinstance(value, jax.Array | np.ndarray)
    return is_array and (axes is None or np.ndim(value) == axes)


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 2
        and all(x is None or (np.ndim(x) == 0 and not isinstance(x, dict | str)) for x in value)
    )


def _as_sides(path: str, bounds: Any, as_leaf: _Convert) -> tuple[Any, Any]:
    """Return ``(lower, upper)``."""
    lower, upper = (
        jax.tree_util.tree_map_with_path(
            lambda where, leaf, side=side, none=none: as_leaf(
                f"{path}[{side}]{path_text(where)}", none if leaf is None else leaf
            ),
            bounds[side],
            is_leaf=lambda leaf: leaf is None,
        )
        for side, none in ((0, -np.inf), (1, np.inf))
    )
    if jax.tree.structure(lower) == jax.tree.structure(upper):
        places, highs = jax.tree_util.tree_flatten_with_path(lower)[0], jax.tree.leaves(upper)
        for (where, low), high in zip(places, highs, strict=True):
            _require_order(path, path_text(where), low, high)
    return lower, upper


def _as_pairs(path: str, bounds: Any, as_leaf: _Convert) -> list[Any]:
    """Return (low, high) pairs as ``[array]``."""
    pairs = _pairs(path, bounds, as_leaf)
    if not isinstance(pairs, Tracer):
        _require_order(path, "", *np.asarray(pairs).T)
    return [pairs]


def _pairs(path: str, bounds: Any, as_leaf: _Convert) -> jax.Array:
    """Return (low, high) pairs as an array ``[n, 2]``."""
    rows = [
        [-np.inf if low is None else low, np.inf if high is None else high] for low, high in bounds
    ]
    traced = any(isinstance(x, Tracer) for row in rows for x in row)
    return as_leaf(path, jnp.array(rows) if traced else np.array(rows))


def _as_either(path: str, bounds: Any, as_leaf: _Convert) -> Any:
    """Return four numbers in the one form that they can have, or as what may be meant either way.

    Maths: the two readings are a matrix and its transpose. None is a reading in which a lower limit
    is above its upper one, or that leaves nothing to move, as one of ``[(0, 9), (0, 9)]`` does.
    """
    pairs = _pairs(path, bounds, as_leaf)
    if not isinstance(pairs, Tracer):
        sides = _pairs(path, zip(*bounds, strict=True), as_leaf)
        if np.array_equal(pairs, sides) or not _moves(pairs):
            return _as_sides(path, bounds, as_leaf)
        if not _moves(sides):
            return [pairs]
    lower, upper = _as_sides(path, bounds, as_leaf)
    return [[*lower], [*upper]]


def _two_readings(path: str, bounds: Any, flat: bool) -> str:
    """Return the refusal of four numbers that can be read in two ways, and how to say which."""
    (a, b), (c, d) = (
        [x if isinstance(x, Tracer) else np.asarray(x).item() for x in side] for side in bounds
    )
    # An open end that was read as a lower limit is an upper one in the other reading.
    high, low = (abs(b) if _is_open(b) else b), (-abs(c) if _is_open(c) else c)
    as_sides = f"params[0] in [{a}, {c}] and params[1] in [{b}, {d}] as (lower, upper)"
    as_pairs = f"params[0] in [{a}, {high}] and params[1] in [{low}, {d}] as (low, high) pairs"

    def written(first: Any, second: Any) -> str:
        text = f"jnp.array([{first}, {second}])" if flat else ""
        text = text or f"(jnp.array({first}), jnp.array({second}))"
        return text.replace("inf", "jnp.inf")

    sides = f"bounds=({written(a, b)}, {written(c, d)})"
    pairs = f"bounds=({written(a, low)}, {written(high, d)})"
    remedy = f"Write {sides} for the first, {pairs} for the second."
    return refusal(path, "bounds of one meaning", f"{as_sides}, or {as_pairs}", remedy)


def _is_open(limit: Any) -> bool:
    return not isinstance(limit, Tracer) and abs(limit) in (np.inf, FARTHEST)


def _as_float(path: str, limit: Any) -> jax.Array:
    return number(path, limit, "numbers, not NaN", lambda x: ~np.isnan(x), _REMEDY)


def _moves(pairs: Any) -> bool:
    """Return whether (low, high) pairs are in order, and leave something to move."""
    low, high = np.asarray(pairs).T
    return bool(np.all(_in_order(low, high)) and np.any(low < high))


def _in_order(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return where a lower limit is below the upper one, or both are one number."""
    return (low < high) | ((low == high) & np.isfinite(low))


def _require_order(path: str, where: str, low: Any, high: Any) -> None:
    """Refuse lower limits above upper ones, with the place of the first one."""
    if isinstance(low, Tracer) or isinstance(high, Tracer):
        return
    try:
        low, high = np.broadcast_arrays(low, high)
    except ValueError:  # refused where the parameter's shape is known
        return
    wrong = ~_in_order(low, high)
    if np.any(wrong):
        place = tuple(int(i) for i in np.argwhere(wrong)[0])
        where += "".join(f"[{i}]" for i in place)
        got = f"{low[place]} and {high[place]}" + (f" at {where}" if where else "")
        remedy = "Swap them; equal limits hold a parameter where it starts."
        raise ValueError(refusal(path, "lower <= upper", got, remedy))


def check_bounds(path: str, limits: list[tuple[Any, ...]], parameters: Parameters) -> None:
    """Refuse bounds out of order, and a start outside of them.

    Args:
        path: What the bounds are called, such as ``Gaussian.bounds``.
        limits: Lower and upper limit of each parameter.
        parameters: The start of one chain, or of all chains along a leading axis.
    """
    places = list(zip(parameters.structure.paths(), parameters.leaves, *limits, strict=True))
    for where, leaf, low, high in places:
        _require_order(path, where, low, high)
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
    known = [(low, high) for _, _, low, high in places if not isinstance(low, Tracer)]
    if len(known) == len(places) and not any(np.any(np.asarray(a < b)) for a, b in known):
        expected = "at least one parameter that they do not hold"
        remedy = "Widen them, or freeze a branch of params with ja.moves.PerLeaf and None."
        raise ValueError(refusal(path, expected, "equal limits everywhere", remedy))


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
