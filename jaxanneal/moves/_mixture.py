"""One of several moves in each step."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxanneal._chain import keys
from jaxanneal._chain.factors import Choice, Factors, chosen_of, given_to, part_count
from jaxanneal._chain.move import (
    as_move,
    check_of,
    is_mixed,
    largest_factor_of,
    propose,
    target_of,
)
from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import number, refusal, shown
from jaxanneal._pytree import pytree_dataclass
from jaxanneal._settings import known_settings

_EXAMPLE = "Write for example [ja.moves.Gaussian(coordinates=1), ja.moves.StudentT()]."


@known_settings
@pytree_dataclass
class Mixture:
    r"""Make one of several moves in each step, chosen with fixed weights.

    Maths: :math:`q(x'|x) = \sum_i w_i q_i(x'|x) / \sum_i w_i`. The choice does not depend on the
    state, so with each :math:`q_i` the mixture keeps detailed balance.

    Every part has an adapted factor and a target of its own. A part that moves a single coordinate,
    or one row of a matrix leaf, has a factor for each of them, which only these steps adapt; it
    learns what a step size in this coordinate is worth. Parts that move more than one multiply the
    coordinates' factors by their own. All chains at one temperature share their factors, and make
    the same choice in the same step: each of them for itself is a chain with choices of its own.
    Batching: one chain; the engine batches it.

    Args:
        moves: Moves or symmetric functions ``(key, params) -> params``, each for the whole tree.
        weights: How often each is made, non-negative, float ``[moves]``; by default alike.

    Returns:
        A move.

    Raises:
        TypeError: ``moves`` is no list of moves, or a weight no number.
        ValueError: There is no move, or weights are negative, all zero, or of another number.

    Example:
        >>> import jaxanneal as ja
        >>> one, all_of_them = ja.moves.Gaussian(coordinates=1), ja.moves.StudentT()
        >>> move = ja.moves.Mixture([one, all_of_them], weights=[3.0, 1.0])
        >>> new, log_hastings = move.propose(jax.random.key(0), jnp.zeros(4), 1.0)
        >>> new.shape, float(log_hastings)
        ((4,), 0.0)

    Reference: Tierney, Ann. Statist. 22, 1701 (1994), section 2.4.
    """

    moves: tuple[Any, ...]
    weights: jax.Array

    def __init__(self, moves: Sequence[Any], weights: ArrayLike | Sequence[float] | None = None):
        parts = _as_moves(moves)
        weights = np.ones(len(parts)) if weights is None else weights
        vars(self).update(moves=parts, weights=_as_weights(weights, len(parts)))

    shares_factors = is_mixture = True

    def propose(self, key: jax.Array, params: Any, factor: Any) -> tuple[Any, jax.Array]:
        """Return the proposal of one of the moves; the key is consumed."""
        key, old = keys.as_key(key), Parameters.of(params)
        if isinstance(factor, Factors):
            choice_key, own = factor.choice, self._own(factor, old.tree)
        else:
            choice_key, key = jax.random.split(key)
            one, factor = jnp.ones((), float), jnp.asarray(factor, float)
            own = [one if target_of(move, old.tree) is None else factor for move in self.moves]
        branches = [_branch(place) for place in range(len(self.moves))]
        index = self._index(choice_key)
        new, log_hastings = jax.lax.switch(index, branches, self.moves, own, key, old)
        return new.tree, log_hastings

    def part_count(self, params: Any) -> int:
        """Return the number of parts that have a factor each."""
        return sum(part_count(move, params) for move in self.moves)

    def chosen(self, choice: jax.Array, params: Any) -> Choice:
        """Return what a step moves."""
        index = self._index(choice)
        choices = [
            chosen_of(move, jax.random.fold_in(choice, place + 1), params)
            for place, move in enumerate(self.moves)
        ]
        parts = [each.parts & (index == place) for place, each in enumerate(choices)]
        row, target, mixed = (
            jnp.stack([getattr(each, name) for each in choices])[index]
            for name in ("row", "target", "mixed")
        )
        return Choice(jnp.concatenate(parts), row, target, mixed)

    def target(self, params: Any) -> Any:
        """Return the mean target of the moves, or ``None`` where none adapts."""
        targets = [target_of(move, params) for move in self.moves]
        known = [
            (jnp.asarray(t, float), w)
            for t, w in zip(targets, self.weights, strict=True)
            if t is not None
        ]
        if not known:
            return None
        targets, weights = (jnp.stack(x) for x in zip(*known, strict=True))
        total = jnp.sum(weights)
        mean = jnp.sum(targets * weights) / jnp.where(total > 0, total, 1)
        return jnp.where(total > 0, mean, targets[0])

    def mixed(self, params: Any) -> bool:
        """Return whether one of the moves has a part that no factor changes."""
        return any(is_mixed(move, params) for move in self.moves)

    def largest_factor(self, params: Any) -> jax.Array:
        """Return the factor beyond which no move makes a wider step."""
        adapting = [move for move in self.moves if target_of(move, params) is not None]
        return jnp.max(
            jnp.stack(
                [largest_factor_of(move, params) for move in adapting] or [jnp.ones((), float)]
            )
        )

    def check(self, params: Any) -> None:
        """Let each move check the start."""
        for move in self.moves:
            check_of(move, params)

    def _index(self, choice: jax.Array) -> jax.Array:
        totals = jnp.cumsum(self.weights.astype(jnp.float32))
        drawn = jax.random.uniform(choice, dtype=jnp.float32) * totals[-1]
        return jnp.sum(drawn >= totals[:-1], dtype=jnp.int32)

    def _own(self, factors: Factors, params: Any) -> list[Any]:
        """Return what each move gets of the factors."""
        own, first = [], 0
        for place, move in enumerate(self.moves):
            last = first + part_count(move, params)
            choice = jax.random.fold_in(factors.choice, place + 1)
            own.append(given_to(move, Factors(choice, factors.rows, factors.parts[first:last])))
            first = last
        return own


@functools.lru_cache(maxsize=64)
def _branch(index: int) -> Callable[..., tuple[Parameters, jax.Array]]:
    """Return what proposes by one of some moves: one function for each place.

    JAX keeps the traces of branches by the function, so an eager step does not compile anew.
    """

    def proposed(moves: Any, own: Any, key: jax.Array, old: Parameters) -> Any:
        new, log_hastings = propose(key, old, moves[index], own[index])
        return new, log_hastings.astype(float)

    return proposed


def _as_moves(moves: Any) -> tuple[Any, ...]:
    expected = "a list of moves or symmetric functions (key, params) -> params"
    if not isinstance(moves, list | tuple):
        raise TypeError(refusal("Mixture.moves", expected, shown(moves), _EXAMPLE))
    if not moves:
        raise ValueError(refusal("Mixture.moves", "at least one move", "none", _EXAMPLE))
    parts = []
    for index, move in enumerate(moves):
        try:
            parts.append(as_move(move))
        except TypeError:
            path, expected = f"Mixture.moves[{index}]", "a move, or a symmetric function"
            raise TypeError(refusal(path, expected, shown(move), _EXAMPLE)) from None
    return tuple(parts)


def _as_weights(weights: Any, count: int) -> jax.Array:
    remedy = "Give one weight for each move, such as [3.0, 1.0]."
    expected = f"{count} finite values >= 0, not all of them 0"
    valid = lambda x: np.isfinite(x) & (x >= 0) & (np.sum(x) > 0)  # noqa: E731
    array = number("Mixture.weights", weights, expected, valid, remedy)
    if array.shape != (count,):
        raise ValueError(refusal("Mixture.weights", expected, f"shape {array.shape}", remedy))
    return array
