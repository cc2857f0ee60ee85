"""The box that descents stay in: which leaves may move, and their lower and upper limits."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxanneal._chain.calls import describe
from jaxanneal._chain.parameters import Parameters, Structure
from jaxanneal._checks import refusal
from jaxanneal.moves._bounds import as_bounds, check_bounds, limits_of
from jaxanneal.moves._per_leaf import parts_of
from jaxanneal.moves._perturbation import Perturbation

_Limits = dict[int, tuple[Any, Any] | None]  # by parameter; None: frozen by the user


class Box(NamedTuple):
    """Say where the parameters of a chain may go.

    Args:
        free: Whether each parameter may move: it is floating, and its move does not freeze it.
        lower: Lower limit of each parameter that may, ``-inf`` where there is none.
        upper: Upper limit, ``inf`` where there is none.
    """

    free: tuple[bool, ...]
    lower: tuple[jax.Array, ...]
    upper: tuple[jax.Array, ...]


def as_box(bounds: Any, held: Any, starts: Parameters) -> Box:
    """Return the box that ``bounds`` describe, or where they are ``None`` that of the result.

    Args:
        bounds: ``(lower, upper)``, each a scalar or prefix of one chain's parameters, or ``None``.
        held: The move of the run that the starts come from, or the box of a polished result, or
            ``None``. What it freezes stays frozen, whatever the bounds.
        starts: All chains, ``[chains, ...]``.

    Raises:
        TypeError: No parameter may move.
        ValueError: A start lies outside.
    """
    one = jax.tree.map(lambda x: x[0], starts)
    limits = _limits_of(held, one)
    pair = as_bounds("bounds", bounds)
    if pair is not None:
        given = enumerate(zip(*limits_of("bounds", pair, one), strict=True))
        limits = {index: None if _frozen(limits, index) else both for index, both in given}
    box = _box(limits, one)
    check_bounds("bounds", [box.lower, box.upper], _only(starts, box.free))
    return box


def box_of(move: Any, one: Parameters) -> Box:
    """Return the box of a move: what it freezes and its bounds, for one chain.

    Raises:
        TypeError: No parameter may move.
    """
    return _box(_limits_of(move, one), one)


def _limits_of(held: Any, one: Parameters) -> _Limits:
    """Return the limits that a move or a box sets, of each parameter for which there are any."""
    limits: _Limits = {}
    if isinstance(held, Box):
        ends = iter(zip(held.lower, held.upper, strict=True))
        return {index: next(ends) if is_free else None for index, is_free in enumerate(held.free)}
    for part, numbers, branch in [] if held is None else parts_of(held, one):
        if part is None:
            limits.update(dict.fromkeys(numbers))
        elif isinstance(part, Perturbation) and part.bounds is not None:
            both = zip(*part._limits(branch), strict=True)
            limits.update(zip(numbers, both, strict=True))
    return limits


def _box(limits: _Limits, one: Parameters) -> Box:
    """Return the box with these limits."""
    free = tuple(
        jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.size > 0 and not _frozen(limits, index)
        for index, leaf in enumerate(one.leaves)
    )
    if not any(free):
        got = [describe(leaf) for leaf in one.leaves]
        remedy = "Integer, bool and frozen leaves have no gradient; use ja.anneal alone."
        raise TypeError(refusal("params", "at least one floating leaf", got, remedy))
    chosen = [index for index, is_free in enumerate(free) if is_free]
    none = (jnp.asarray(-jnp.inf, float), jnp.asarray(jnp.inf, float))  # strong, as given ones
    pairs = [limits.get(index) or none for index in chosen]
    lower, upper = (
        tuple(
            jnp.broadcast_to(pair[side], one.leaves[index].shape)
            for pair, index in zip(pairs, chosen, strict=True)
        )
        for side in range(2)
    )
    return Box(free, lower, upper)


def _frozen(limits: _Limits, index: int) -> bool:
    return index in limits and limits[index] is None


def _only(starts: Parameters, free: tuple[bool, ...]) -> Parameters:
    """Return the parameters that may move, as if the others were held fixed."""
    structure, held = starts.structure, {index for index, _ in starts.structure.fixed}
    places = [i for i in range(structure.treedef.num_leaves) if i not in held]
    others = [(place, None) for place, is_free in zip(places, free, strict=True) if not is_free]
    fixed = tuple(sorted([*structure.fixed, *others], key=lambda pair: pair[0]))
    leaves = tuple(leaf for leaf, is_free in zip(starts.leaves, free, strict=True) if is_free)
    return Parameters(leaves, Structure(structure.treedef, fixed))
