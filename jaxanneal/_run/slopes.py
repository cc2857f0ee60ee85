"""Whether an energy has a gradient that tells something, read from its trace."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from jaxanneal._chain.computation import Traced
from jaxanneal._chain.parameters import Parameters


def sloped(energy: Traced, one: Parameters, data: Any) -> list[bool]:
    """Return for each parameter whether the energy has a gradient in it that is not always zero.

    Zeros that JAX knows of are seen without an evaluation: of integers, of what is rounded or
    compared, and behind ``stop_gradient``. An energy that cannot be differentiated has none.

    Args:
        energy: The energy, as it was traced.
        one: The parameters of one chain, or their shapes.
        data: The arrays of the data.
    """
    floating = [jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.size > 0 for leaf in one.leaves]
    moving = [leaf for leaf, moves in zip(one.leaves, floating, strict=True) if moves]
    if not moving:
        return floating

    def value(moving: list[Any], held: list[Any]) -> jax.Array:
        parts, others = iter(moving), iter(held)
        leaves = [next(parts) if moves else next(others) for moves in floating]
        return energy(one.with_leaves(leaves), data)

    held = [leaf for leaf, moves in zip(one.leaves, floating, strict=True) if not moves]
    try:
        jaxpr = jax.make_jaxpr(jax.grad(value))(moving, held).jaxpr
    except (NotImplementedError, TypeError, ValueError):  # such as a callback without a derivative
        return [False] * len(floating)
    known = iter(_is_zero(jaxpr, variable) for variable in jaxpr.outvars)
    return [moves and not next(known) for moves in floating]


def _is_zero(jaxpr: Any, variable: Any) -> bool:
    """Return whether an output of a trace is an array of zeros, whatever the inputs are."""
    if isinstance(variable, Literal):
        return bool(np.all(np.asarray(variable.val) == 0))
    passing = ("broadcast_in_dim", "convert_element_type", "reshape")
    for equation in jaxpr.eqns:
        if variable in equation.outvars:
            return equation.primitive.name in passing and _is_zero(jaxpr, equation.invars[0])
    return False
