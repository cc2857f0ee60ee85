"""Evaluating one chain: the dtype policy, and what an energy may return."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxanneal._chain.calls import describe, outline, traced
from jaxanneal._checks import native, refusal
from jaxanneal._pytree import path_text


def evaluate(energy: Callable[..., Any], params: Any, args: tuple[Any, ...]) -> jax.Array:
    """Evaluate the energy of one chain as a float32 scalar, or float64 where the energy is.

    Batching: one chain; call it under ``vmap``.

    Raises:
        TypeError: The energy cannot be traced, or returns anything but one real scalar.
    """
    if not callable(energy):
        remedy = "Pass the function itself, energy(params, *args) -> real scalar."
        raise TypeError(refusal("energy", "a function", type(energy).__name__, remedy))
    return real_scalar("energy", traced("energy", energy, params, *args))


def real_scalar(name: str, value: Any) -> jax.Array:
    """Return ``value`` as a strongly typed float scalar, or refuse it with its shape."""
    leaves = jax.tree.leaves(value)
    array = as_array(value) if len(leaves) == 1 and leaves[0] is value else None
    expected = "one real scalar for one chain"
    if array is None:
        shown = outline(value)
        remedy = f"Return the {name} alone; record the rest with observe=."
        if len(leaves) == 1 and leaves[0] is value:
            remedy = "Return a number that JAX holds, made with jax.numpy."
        raise TypeError(refusal(name, expected, shown, remedy))
    if array.shape != ():
        remedy = "Reduce it, for example with jnp.mean or jnp.sum; chains are batched for you."
        raise TypeError(refusal(name, expected, describe(array), remedy))
    if jnp.issubdtype(array.dtype, jnp.complexfloating):
        raise TypeError(refusal(name, expected, describe(array), "Take its modulus or real part."))
    if jnp.issubdtype(array.dtype, jax.dtypes.extended):
        raise TypeError(refusal(name, expected, describe(array), "A key is no number."))
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return array.astype(float)
    dtype = jnp.float64 if array.dtype == jnp.float64 else jnp.float32
    return jax.lax.convert_element_type(array, dtype)


def as_array(value: Any) -> jax.Array | None:
    """Return a value as an array, ``None`` where JAX has none for it."""
    try:
        return jnp.asarray(native(value))
    except (TypeError, ValueError, OverflowError):
        return None


def differentiated(value_of: Any, position: Any) -> tuple[jax.Array, Any]:
    """Return value and gradient, or refuse an energy that JAX cannot differentiate."""
    try:
        return jax.value_and_grad(value_of)(position)
    except (NotImplementedError, TypeError, ValueError) as error:
        # It could be evaluated before this: what fails here is its derivative.
        got = f"{type(error).__name__}: {str(error).splitlines()[0].rstrip('.')}"
        remedy = (
            "Give it a derivative with jax.custom_jvp, or anneal it by ja.SimulatedAnnealing, "
            "which needs none."
        )
        expected = "a function that JAX can differentiate"
        raise TypeError(refusal("energy", expected, got, remedy)) from error


def recordable(seen: Any) -> Any:
    """Return what ``observe`` has seen, as arrays, or refuse what no history can hold."""

    def number(where: Any, leaf: Any) -> jax.Array:
        array = as_array(leaf)
        if array is None or jnp.issubdtype(array.dtype, jax.dtypes.extended):
            path = f"observe{path_text(where)}"
            remedy = "Return arrays alone: numbers for text, jax.random.key_data(key) for a key."
            raise TypeError(refusal(path, "numbers or bools", describe(leaf), remedy))
        return array

    return jax.tree_util.tree_map_with_path(number, seen)


def as_args(args: Any) -> tuple[Any, ...]:
    """Return ``args`` if it is a tuple; anything else would be unpacked row by row.

    NumPy arrays are returned in a dtype that JAX takes.
    """
    if not isinstance(args, tuple):
        raise TypeError(refusal("args", "a tuple", type(args).__name__, "Write args=(x,)."))
    return jax.tree.map(native, args)
