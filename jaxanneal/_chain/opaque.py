"""Objects that JAX does not look into: the arrays and numbers in them are held fixed with them."""

import dataclasses
import functools
import types
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from jaxanneal._pytree import path_text

_DEPTH = 4  # of objects in objects
_ARRAYS = jax.Array | np.ndarray | np.generic
_FUNCTIONS = (
    *(types.FunctionType, types.BuiltinFunctionType, types.MethodType, types.ModuleType),
    *(type, str, bytes),
)
_REGISTERED = "a dataclass registered with jax.tree_util.register_dataclass"


def paths_inside(leaf: Any) -> list[str]:
    """Return the paths of the arrays in an object that is no pytree, and of floats beside them.

    Floats count in a dataclass or namespace alone: elsewhere they are settings.
    """
    return [path for path, _ in _inside(leaf, _DEPTH)]


def holds_tracers(leaf: Any) -> bool:
    """Return whether an object that is no pytree holds values of a function that is traced."""
    return any(isinstance(value, Tracer) for _, value in _inside(leaf, _DEPTH))


def remedy_for(leaf: Any) -> str:
    """Return what to pass in place of an object that is no pytree."""
    kind = type(leaf).__name__
    if isinstance(leaf, set | frozenset):
        return "Pass a list."
    if hasattr(leaf, "__array__"):
        return "Pass numpy.asarray of it."
    if dataclasses.is_dataclass(leaf):
        return f"Register its class, jax.tree_util.register_dataclass({kind}), or pass a dict."
    if _is_namespace(leaf):
        return f"Pass a dict, vars(namespace), or {_REGISTERED}."
    return f"Pass a dict of its arrays, or {_REGISTERED}."


def _is_namespace(leaf: Any) -> bool:
    # argparse's Namespace, without an import of it.
    return isinstance(leaf, types.SimpleNamespace) or type(leaf).__name__ == "Namespace"


def _inside(leaf: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if depth == 0 or isinstance(leaf, _FUNCTIONS):
        return
    if hasattr(leaf, "__array__"):  # such as a pandas Series
        yield "", leaf
        return
    holds_floats = not callable(leaf) and (dataclasses.is_dataclass(leaf) or _is_namespace(leaf))
    holds_floats |= isinstance(leaf, set | frozenset)
    for where, value in jax.tree_util.tree_leaves_with_path(_attributes(leaf)):
        path = f".{where[0].key}{path_text(where[1:])}"
        if isinstance(value, _ARRAYS):
            if value.size:
                yield path, value
        elif type(value) is float:
            if holds_floats:
                yield path, value
        elif value is not leaf:
            yield from ((path + inner, held) for inner, held in _inside(value, depth - 1))


def _attributes(leaf: Any) -> dict[str, Any]:
    """Return what an object is made of, by name."""
    if isinstance(leaf, functools.partial):
        return {"args": list(leaf.args), "keywords": leaf.keywords}
    if isinstance(leaf, set | frozenset):
        return {"items": list(leaf)}
    slots = [name for cls in type(leaf).__mro__ for name in getattr(cls, "__slots__", ())]
    named = {name: getattr(leaf, name) for name in slots if hasattr(leaf, name)}
    return {str(name): value for name, value in (named | getattr(leaf, "__dict__", {})).items()}
