"""Optimisers compared by what they are made of, so that a fresh but equal one compiles nothing."""

import functools
import types
from typing import Any

import numpy as np
import optax

from jaxanneal._checks import refusal

_PLAIN = (type(None), bool, int, float, complex, str, bytes, np.generic)


class Optimizer:
    """An optax optimiser as a dictionary key.

    An optax optimiser is a pair of closures, new objects in each call of ``optax.adam(1e-2)``. Two
    of them are equal here if their code is the same and what they close over is equal: numbers and
    texts by value, functions and containers by their parts, all other objects by identity.

    Args:
        transformation: The optimiser.
    """

    def __init__(self, transformation: optax.GradientTransformation):
        self.transformation = optax.with_extra_args_support(transformation)
        self._key = _contents(tuple(transformation), ())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Optimizer) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


class _Object:
    """Anything that is compared by identity; keeps it alive, so that its id stays its own."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Object) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


def as_optimizer(optimizer: Any) -> Optimizer:
    """Return the optimiser as a dictionary key, by default ``optax.adam(1e-2)``.

    Raises:
        TypeError: It is not an optax optimiser.
    """
    if optimizer is None:
        optimizer = optax.adam(1e-2)
    if not isinstance(optimizer, optax.GradientTransformation):
        remedy = "Write for example optimizer=optax.adam(1e-2)."
        raise TypeError(refusal("optimizer", "an optax optimiser", repr(optimizer), remedy))
    return Optimizer(optimizer)


def _contents(value: Any, within: tuple[int, ...]) -> Any:
    """Return something hashable that is equal for values that behave alike.

    Args:
        value: A function, a container, a number or any other object.
        within: Ids of the values that this one was found in; a function may hold itself.
    """
    if isinstance(value, _PLAIN):
        return type(value), repr(value)  # 1, 1.0 and True are equal, and trace differently
    if id(value) in within:
        return "itself", within.index(id(value))
    inside = (*within, id(value))
    if isinstance(value, types.FunctionType):
        closed = tuple(_cell(cell, inside) for cell in value.__closure__ or ())
        defaults = _contents((value.__defaults__, value.__kwdefaults__), inside)
        return value.__code__, _Object(value.__globals__), closed, defaults
    if type(value) is functools.partial:
        return functools.partial, _contents((value.func, value.args, value.keywords), inside)
    if isinstance(value, tuple | list):
        return type(value), tuple(_contents(part, inside) for part in value)
    if type(value) is dict:
        return dict, tuple((key, _contents(part, inside)) for key, part in value.items())
    return _Object(value)


def _cell(cell: Any, within: tuple[int, ...]) -> Any:
    try:
        return _contents(cell.cell_contents, within)
    except ValueError:  # not filled yet
        return _Object(cell)
