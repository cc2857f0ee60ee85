"""Energies in double precision: the same text, with NumPy in the place of JAX."""

import types
from collections.abc import Callable
from typing import Any

import numpy as np

Function = Callable[..., Any]


def twin(energy: Function, compiled: Function = lambda function: function) -> Function:
    """Return an energy that computes with NumPy, and so do the functions that it calls.

    A second text could differ from the first, and numba's calls cost a tenth of those of JAX.

    Args:
        energy: A function whose module calls JAX ``jnp``.
        compiled: What is made of each function, such as ``numba.njit``.
    """
    names: dict[str, Any] = {**energy.__globals__, "jnp": np}
    for name in energy.__code__.co_names:
        value = names.get(name)
        if isinstance(value, types.FunctionType) and value.__module__ == energy.__module__:
            names[name] = twin(value, compiled)
    return compiled(types.FunctionType(energy.__code__, names, energy.__name__))
