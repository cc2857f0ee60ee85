"""Settings that are a prefix of a user's tree: one value for each of its branches."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxanneal._chain.parameters import Parameters, Structure, children
from jaxanneal._checks import refusal
from jaxanneal._pytree import path_text


def per_parameter(path: str, prefix: Any, parameters: Parameters) -> tuple[Any, ...]:
    """Return the leaf of ``prefix`` that belongs to each parameter, broadcast to its shape.

    Args:
        path: What ``prefix`` is called in an error, such as ``Gaussian.scale``.
        prefix: A pytree prefix of the user's tree, whose leaves are arrays.
        parameters: The parameters of one chain.

    Raises:
        ValueError: ``prefix`` is no prefix of the tree, or a leaf does not broadcast.
    """
    structure = parameters.structure
    # With the parameters themselves: a node that checks its children need not bear other leaves.
    held = {index for index, _ in structure.fixed}
    marked = Structure(structure.treedef, tuple((index, index) for index in sorted(held)))
    remedy = "Give one value for all parameters, or one for each branch of the tree."
    pairs = branches(path, prefix, marked.combine(parameters.leaves), remedy)
    spread = [value for value, branch in pairs for _ in jax.tree.leaves(branch)]
    values = [value for index, value in enumerate(spread) if index not in held]
    places = zip(values, parameters.leaves, structure.paths(), strict=True)
    return tuple(_broadcast(path, value, leaf, where) for value, leaf, where in places)


def branches(
    path: str, prefix: Any, tree: Any, remedy: str, is_leaf: Any = None, where: str = "params"
) -> list[tuple[Any, Any]]:
    """Return each leaf of a pytree prefix of a tree with the branch that it stands for.

    A list or tuple of numbers at an array of the tree is an array, unless ``is_leaf`` says what
    the leaves of the prefix are.

    Args:
        path: What ``prefix`` is called in an error.
        prefix: A pytree prefix of ``tree``.
        tree: The user's tree, or a branch of it.
        remedy: What to do about another tree.
        is_leaf: As in ``jax.tree.map``.
        where: What ``tree`` is called in an error.

    Raises:
        ValueError: It is no prefix.
    """
    if jax.tree_util.all_leaves([prefix], is_leaf):
        return [(prefix, tree)]
    if is_leaf is None and isinstance(prefix, list | tuple) and jax.tree_util.all_leaves([tree]):
        try:
            return [(_stacked(prefix), tree)]
        except (TypeError, ValueError):  # lists of several lengths, or of what is no number
            pass
    (given, kind), (own, own_kind) = children(prefix), children(tree)
    if kind != own_kind:
        expected = f"a scalar or a pytree prefix of {where}, {outline(tree)}"
        raise ValueError(refusal(path, expected, outline(prefix), remedy))
    places = zip(given, own, strict=True)
    named = ((path_text(key), part, branch) for (key, part), (_, branch) in places)
    return [
        pair
        for name, part, branch in named
        for pair in branches(path + name, part, branch, remedy, is_leaf, where + name)
    ]


def _stacked(numbers: Any) -> Any:
    """Return nested lists of numbers as an array."""
    if not isinstance(numbers, list | tuple):
        return numbers
    parts = [_stacked(part) for part in numbers]
    traced = any(isinstance(part, Tracer) for part in parts)
    return jnp.stack(parts) if traced else np.stack([np.asarray(part) for part in parts])


def outline(node: Any) -> str:
    """Return what a node of a user's tree is, in words."""
    if node is None:
        return "None"
    if isinstance(node, jax.Array | np.ndarray | np.generic | int | float):
        return f"an array of shape {np.shape(node)}" if np.ndim(node) else "a number"
    kind = "a " + type(node).__name__
    if isinstance(node, Mapping):
        return f"{kind} with the keys {', '.join(map(repr, node))}"
    return f"{kind} of {len(node)}" if type(node) in (list, tuple) else kind


def _broadcast(path: str, value: Any, leaf: Any, where: str) -> Any:
    try:
        return jnp.broadcast_to(value, jnp.shape(leaf))
    except ValueError:
        expected = f"a shape that broadcasts to {where} of shape {jnp.shape(leaf)}"
        remedy = "Give a scalar, or an array of the parameter's own shape."
        raise ValueError(refusal(path, expected, jnp.shape(value), remedy)) from None
