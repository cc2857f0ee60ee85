"""A move that a user wrote, as programs take it: by what it computes."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxanneal._chain import keys
from jaxanneal._chain.calls import name_of
from jaxanneal._chain.computation import Traced, batchable, trace
from jaxanneal._chain.factors import is_mixture
from jaxanneal._chain.move import (
    Move,
    Symmetric,
    Unregistered,
    check_of,
    is_mixed,
    largest_factor_of,
    propose,
    target_of,
)
from jaxanneal._chain.parameters import Parameters
from jaxanneal._pytree import Unseen, pytree_dataclass, replace, static


@pytree_dataclass
class OwnMove:
    """A move that a function or class of the user's has a part in, as it was traced.

    Two are of one structure if they compute the same, whatever objects they were made of.

    Args:
        numbers: The numbers of the user's move.
        proposal: Computes of key, parameters, factor and numbers the proposal's leaves, and
            ``log_hastings``.
        rate: Computes of parameters and numbers the acceptance rate to adapt to, if there is one.
        largest: Computes of the same the factor beyond which no step is wider.
        is_mixed: Whether it has parts that no factor changes.
        own: The structure of the user's move, which is no part of this one's.
    """

    numbers: tuple[Any, ...]
    proposal: Traced
    rate: Traced | None
    largest: Traced
    is_mixed: bool = static()
    own: Unseen = static()

    def propose(self, key: jax.Array, params: Any, factor: ArrayLike) -> tuple[Any, Any]:
        """Return the proposal of the user's move, as parameters."""
        old = Parameters.of(params)
        leaves, log_hastings = self.proposal(key, old, jnp.asarray(factor, float), self.numbers)
        return old.with_leaves(leaves), log_hastings

    def target(self, params: Any) -> Any:
        """Return the acceptance rate that it adapts to, or ``None``."""
        return None if self.rate is None else self.rate(Parameters.of(params), self.numbers)

    def largest_factor(self, params: Any) -> jax.Array:
        """Return the factor beyond which steps are no wider."""
        return self.largest(Parameters.of(params), self.numbers)

    def mixed(self, params: Any) -> bool:
        """Return whether it has parts that no factor changes."""
        return self.is_mixed

    def check(self, params: Any) -> None:
        """Let the user's move refuse a start."""
        check_of(as_given(self), params)

    @property
    def __name__(self) -> str:
        return name_of(as_given(self))


def as_given(move: Any) -> Any:
    """Return a move as the user gave it."""
    if is_mixture(move):
        return replace(move, moves=tuple(as_given(part) for part in move.moves))
    return move.own.value.combine(move.numbers) if isinstance(move, OwnMove) else move


def traced_move(move: Any, one: Any) -> Any:
    """Return a move as a program takes it: what the user wrote of it is traced.

    Args:
        move: What :func:`as_move` returned.
        one: The tree of one chain.
    """
    if not any(_is_own(part) for part in jax.tree.leaves(move, is_leaf=_is_own)):
        return move
    if is_mixture(move):  # each part by itself, which has a factor of its own
        return replace(move, moves=tuple(traced_move(part, one) for part in move.moves))
    params, parts = Parameters.of(one), Parameters.of_args(move)
    given, numbers = parts.structure.combine, parts.leaves
    factor = jax.ShapeDtypeStruct((), jax.dtypes.canonicalize_dtype(float))

    def proposal(key: Any, old: Parameters, factor: Any, numbers: Any) -> Any:
        new, log_hastings = propose(key, old, given(numbers), factor)
        return new.leaves, log_hastings

    rate = None
    if target_of(move, one) is not None:
        rate = trace(lambda p, x: jnp.asarray(target_of(given(x), p.tree)), params, numbers)
    return OwnMove(
        numbers,
        batchable("move", trace(proposal, keys.as_key(0), params, factor, numbers)),
        rate,
        trace(lambda p, x: largest_factor_of(given(x), p.tree), params, numbers),
        is_mixed(move, one),
        Unseen(parts.structure),
    )


def _is_own(part: Any) -> bool:
    if isinstance(part, Symmetric | Unregistered):
        return True
    return isinstance(part, Move) and not type(part).__module__.startswith("jaxanneal.moves")
