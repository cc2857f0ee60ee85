"""Starts scattered over the region to search, and a move that stays in it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.keys import as_key
from jaxanneal._chain.parameters import Parameters, require_some
from jaxanneal._checks import refusal
from jaxanneal._engine.starts import (
    Stacked,
    initial_parameters,
    is_initialiser,
    one_chain,
    stacked,
)
from jaxanneal.moves import Flip, IntegerStep, PerLeaf, StudentT
from jaxanneal.moves._bounds import as_bounds, check_bounds, limits_of
from jaxanneal.moves._per_leaf import natural_move

_Limits = list[tuple[Any, Any]]  # of each parameter


def one_of(params: Any, key: Any) -> Parameters:
    """Return the parameters of one chain; of an initialiser zeros of the same shapes."""
    if is_initialiser(params):
        shapes = jax.eval_shape(lambda key: Parameters.of(params(key)), as_key(key))
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    if isinstance(params, Stacked):
        return Parameters.of(one_chain(initial_parameters(params, None, 1)))
    one = Parameters.of(params, warn=True)
    require_some(one, params)
    return one


def limits_within(bounds: Any, one: Parameters) -> _Limits:
    """Return the lower and upper limits of each parameter, infinite where there are none."""
    pair = as_bounds("bounds", bounds)
    if pair is None:
        return [(np.float32(-np.inf), np.float32(np.inf)) for _ in one.leaves]
    return list(zip(*limits_of("bounds", pair, one), strict=True))


def bounded_move(bounds: Any, limits: _Limits, one: Parameters) -> Any:
    """Return a natural move of each parameter within its limits.

    Args:
        bounds: What the user gave.
        limits: The limits of each parameter.
        one: The parameters of one chain.

    Raises:
        TypeError: A leaf of integers has no finite limits.
    """
    if bounds is None:
        return natural_move(one)
    places = zip(one.structure.paths(), one.leaves, limits, strict=True)
    kinds: list[Any] = [_move(path, leaf, *ends) for path, leaf, ends in places]
    for index, _ in one.structure.fixed:
        kinds.insert(index, None)
    tree = jax.tree.unflatten(one.structure.treedef, kinds)
    return tree if isinstance(tree, StudentT) else PerLeaf(tree)


def _move(path: str, leaf: Any, lower: Any, upper: Any) -> Any:
    if leaf.size == 0:
        return None
    if leaf.dtype == jnp.bool_:
        return Flip()
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        return StudentT(bounds=(lower, upper))
    ends = np.asarray(lower), np.asarray(upper)
    if not all(np.all(np.isfinite(end)) for end in ends):
        remedy = "Write bounds=(lower, upper), each a tree like params."
        raise TypeError(refusal("bounds", f"finite limits of the integers {path}", ends, remedy))
    low, high = (end.astype(np.int32) for end in ends)
    return IntegerStep(bounds=(low, high))


def scattered(params: Any, one: Parameters, limits: _Limits, key: jax.Array, chains: int) -> Any:
    """Return starts: the first where the user says, the others scattered within the limits.

    Where a floating parameter has no two limits it is scattered around where it starts, by its own
    size, or 1 where it is zero. Initialisers and stacked trees are starts as they are.

    Args:
        params: What the user gave.
        one: The parameters of one chain.
        limits: The limits of each parameter.
        key: Its words seed the draws.
        chains: Number of chains.
    """
    if is_initialiser(params) or isinstance(params, Stacked):
        return params
    check_bounds("bounds", list(zip(*limits, strict=True)), one)
    random = np.random.default_rng(np.asarray(jax.random.key_data(key)))
    leaves = []
    for leaf, ends in zip(one.leaves, limits, strict=True):
        first, drawn = np.asarray(leaf), _draws(np.asarray(leaf), ends, random, chains)
        drawn[0] = first
        leaves.append(jnp.asarray(drawn))
    return stacked(one.with_leaves(leaves).tree)


def _draws(
    start: np.ndarray, ends: tuple[Any, Any], random: np.random.Generator, chains: int
) -> np.ndarray:
    """Return starts of one parameter, ``[chains, ...]``."""
    shape = (chains, *start.shape)
    if start.dtype == np.bool_:
        return random.random(shape) < 0.5
    low, high = (np.broadcast_to(np.asarray(end, np.float64), start.shape) for end in ends)
    inside = np.isfinite(low) & np.isfinite(high)
    if np.issubdtype(start.dtype, np.integer):
        drawn = low + np.floor(random.random(shape) * (high - low + 1))
        return np.where(inside, np.minimum(drawn, high), start).astype(start.dtype)
    around = start.astype(np.float64)
    size = np.sqrt(np.mean(around**2)) if start.size else 0.0
    size = np.where(around != 0, np.abs(around), size if size > 0 else 1.0)
    near = np.clip(around + size * random.standard_normal(shape), low, high)
    with np.errstate(invalid="ignore"):
        uniform = low + random.random(shape) * (high - low)
    drawn = np.where(inside, uniform, near).astype(start.dtype)
    return np.clip(drawn, low.astype(start.dtype), high.astype(start.dtype))
