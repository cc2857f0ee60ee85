"""Some entries of arrays, taken together: of those in the host's memory nothing compiles for it."""

from typing import Any

import jax
import numpy as np
from jax.core import Tracer


def entries(tree: Any, index: Any) -> Any:
    """Return ``x[index]`` of every array, on its device.

    Args:
        tree: Arrays, which may be traced.
        index: An integer, or integers ``[n]``.
    """
    if all(_on_host(x) for x in jax.tree.leaves(tree)):
        place = np.asarray(index)
        return jax.tree.map(lambda x: _beside(x, np.take(np.asarray(x), place, axis=0)), tree)
    return _compiled(tree, index)


def _beside(array: jax.Array, value: np.ndarray) -> jax.Array:
    """Return a value on an array's device, bound to it as the array is."""
    (device,) = array.devices()
    return jax.device_put(value, device if array.committed else None)


def _on_host(array: Any) -> bool:
    known = isinstance(array, jax.Array) and not isinstance(array, Tracer)
    return known and [device.platform for device in array.devices()] == ["cpu"]


@jax.jit  # all at once: by itself each array would be compiled for
def _compiled(tree: Any, index: Any) -> Any:
    return jax.tree.map(lambda x: x[index], tree)
