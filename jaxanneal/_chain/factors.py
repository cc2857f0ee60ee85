"""Step-size factors that chains share: of each row of the parameters, of each part of a mixture.

A row is what moves together: a coordinate of a vector, an atom of a cluster, a neuron of a layer.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxanneal._chain.move import Move, is_mixed, target_of
from jaxanneal._chain.parameters import Parameters
from jaxanneal._pytree import pytree_dataclass


@pytree_dataclass
class Factors:
    """What a move of several factors gets in the place of one.

    Args:
        choice: The key by which all chains choose alike what moves in this step. It depends on no
            chain's state, so each of them samples as if it had chosen alone; and a program then
            computes the part that is chosen, where each chain choosing for itself needs all.
        rows: The factor of each row of the floating parameters, float ``[rows]``.
        parts: That of each part, float ``[parts]``.
    """

    choice: jax.Array
    rows: jax.Array
    parts: jax.Array


class Choice(NamedTuple):
    """What a step moves.

    Args:
        parts: Which parts take part in it, bool ``[parts]``.
        row: The row that moves alone, int ``[]``; -1 where more than one does.
        target: The acceptance rate that the factors should adapt to, float ``[]``; NaN for none.
        mixed: Whether a part of the step is as it is whatever the factor, bool ``[]``.
    """

    parts: jax.Array
    row: jax.Array
    target: jax.Array
    mixed: jax.Array


def row_counts(parameters: Parameters) -> list[int]:
    """Return how many rows each parameter has: none if it does not float."""
    counts = []
    for leaf in parameters.leaves:
        floats = jnp.issubdtype(leaf.dtype, jnp.floating) and leaf.size
        counts.append((leaf.shape[0] if leaf.ndim else 1) if floats else 0)
    return counts


def shares_factors(move: Any) -> bool:
    """Return whether a move has several factors, which chains then share."""
    return bool(getattr(move, "shares_factors", False))


def is_mixture(move: Any) -> bool:
    """Return whether a move makes one of several moves of the whole tree in each step."""
    return bool(getattr(move, "is_mixture", False))


def part_count(move: Move, params: Any) -> int:
    """Return the number of parts of a move that have a factor each."""
    count = getattr(move, "part_count", None)
    return 1 if count is None else count(params)


def chosen_of(move: Move, choice: jax.Array, params: Any) -> Choice:
    """Return what a step of a move moves.

    Args:
        move: The move.
        choice: As in :class:`Factors`.
        params: The tree of one chain.
    """
    chosen = getattr(move, "chosen", None)
    if chosen is not None:
        return chosen(choice, params)
    target = rate_or_nan(target_of(move, params))
    return Choice(jnp.ones(1, bool), jnp.int32(-1), target, jnp.asarray(is_mixed(move, params)))


def rate_or_nan(target: Any) -> jax.Array:
    """Return a target acceptance rate as a number, NaN for none."""
    return jnp.asarray(jnp.nan if target is None else target, float)


def given_to(move: Move, factors: Factors) -> Any:
    """Return what a part of a move gets of its factors: all, or its own where it knows no rows."""
    return factors if hasattr(move, "chosen") else factors.parts[0]
