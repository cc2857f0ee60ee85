"""What all moves of floating parameters share: scale, bounds, how many move, the target rate."""

import itertools
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxanneal._chain import keys
from jaxanneal._chain.factors import Choice, Factors, rate_or_nan, row_counts
from jaxanneal._chain.generator import words
from jaxanneal._chain.parameters import Parameters, require_kind
from jaxanneal._chain.prefix import per_parameter
from jaxanneal._checks import number, refusal
from jaxanneal._pytree import pytree_dataclass
from jaxanneal.moves._bounds import (
    as_bounds,
    check_bounds,
    limits_of,
    reflect,
    step_between,
    turn,
)
from jaxanneal.moves._float_settings import (
    _Auto,
    _Row,
    as_coordinates,
    as_scale,
    as_target,
    best_acceptance,
)
from jaxanneal.moves._rounding import real, stored
from jaxanneal.moves._sites import (
    by_row,
    free_place,
    masks,
    place,
    row_masks,
    row_of_places,
    some_free,
)

# The second word of a coordinate lies so far behind the first in the key's draw.
_SECOND = 2**31


@pytree_dataclass
class Perturbation:
    """What all moves of floating parameters share; each adds its own noise."""

    scale: Any
    bounds: Any
    fraction: jax.Array
    target_acceptance: Any
    coordinates: Any

    def __init__(
        self,
        scale: Any = 0.1,
        bounds: Any = None,
        fraction: ArrayLike = 1.0,
        target_acceptance: ArrayLike | str | None = "auto",
        coordinates: ArrayLike | str | None = None,
    ):
        name = type(self).__name__
        vars(self).update(
            scale=as_scale(f"{name}.scale", scale),
            bounds=as_bounds(f"{name}.bounds", bounds),
            fraction=number(
                f"{name}.fraction",
                fraction,
                "a number in (0, 1]",
                lambda x: (x > 0) & (x <= 1),
                "Use 1.0 to move every coordinate in each step.",
                scalar=True,
            ),
            target_acceptance=as_target(f"{name}.target_acceptance", target_acceptance),
            coordinates=as_coordinates(f"{name}.coordinates", coordinates, fraction),
        )

    @abstractmethod
    def noise(self, draw: Callable[[int], jax.Array]) -> jax.Array:
        """Return noise of unit scale in single precision for one parameter of one chain.

        Args:
            draw: ``draw(0)`` and ``draw(1)`` return two words for each coordinate, ``uint32``.
        """

    @abstractmethod
    def noise_double(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Return the same in double precision; the key is consumed."""

    def propose(self, key: jax.Array, params: Any, factor: Any) -> tuple[Any, jax.Array]:
        """Return the perturbed parameters of one chain, and a Hastings term of zero.

        Args:
            key: Consumed.
            params: One chain's parameters.
            factor: Multiplies ``scale``, float ``[]``, or has a factor for each row.
        """
        if not isinstance(factor, Factors):
            factor = jnp.asarray(factor)
        elif self.target_acceptance is None:  # the scale is held
            same = jnp.ones_like
            factor = Factors(factor.choice, same(factor.rows), same(factor.parts))
        inputs = self, keys.as_key(key), self._floating(params), factor
        # A branch around all of it, not a mask of ones: a step that moves every coordinate draws no
        # mask, and what a branch returns is the proposal, which needs its memory anyway.
        if self.coordinates is None:
            moved = jax.lax.cond(self.fraction < 1, _some, _every, *inputs)
        elif isinstance(self.coordinates, _Row):
            moved = _one_row(*inputs)
        else:
            moved = jax.lax.cond(self.coordinates == 1, _one, _exactly, *inputs)
        return moved.tree, jnp.zeros(())

    def moved(
        self,
        key: jax.Array,
        old: Parameters,
        factor: Any,
        chosen: list[jax.Array] | None,
        alone: str | None = None,
    ) -> Parameters:
        """Return the parameters after a step of the chosen coordinates.

        Args:
            key: Consumed.
            old: The parameters of one chain.
            factor: As in :meth:`propose`.
            chosen: Which coordinates of each parameter move; ``None``: all.
            alone: ``"coordinate"`` or ``"row"`` if it is a single one, for which the noise of one
                will do.
        """
        scales = per_parameter(f"{type(self).__name__}.scale", self.scale, old)
        limits = None if self.bounds is None else list(zip(*self._limits(old), strict=True))
        moved, factors = [], _by_parameter(factor, old)
        for index, leaf in enumerate(old.leaves):
            box = None if limits is None else limits[index]
            shape = leaf.shape if alone is None else leaf.shape[1:] if alone == "row" else ()
            noise = self._noise_of(key, old, index, shape)
            noise = noise if chosen is None else jnp.where(chosen[index], noise, 0)
            size = factors[index].astype(noise.dtype) * scales[index].astype(noise.dtype)
            step = size * noise if box is None else step_between(size, noise, *box)
            start = real(jax.random.fold_in(key, index), leaf, box)
            new = start + step if box is None else reflect(start, step, *box)
            moved.append(stored(new, leaf))
        return old.with_leaves(moved)

    def some(self, key: jax.Array, parameters: Parameters) -> list[jax.Array]:
        """Return which coordinates of each parameter move, at least one of all.

        Maths: u below the fraction for uniform u; where none is, the smallest u.
        """
        places = zip(parameters.leaves, _firsts(parameters), strict=True)
        drawn = [words(key, first, leaf.shape) >> 8 for leaf, first in places]
        drawn = [
            jnp.where(free, word.astype(jnp.float32) * 2.0**-24, 1.0)
            for word, free in zip(drawn, self._free(parameters), strict=True)
        ]
        least = jnp.stack([jnp.min(u, initial=1.0) for u in drawn]).min()
        fraction = self.fraction.astype(jnp.float32)
        return [(u < fraction) | (u == least) for u in drawn]

    def exactly(self, key: jax.Array, parameters: Parameters) -> list[jax.Array]:
        """Return the same of as many coordinates as the setting ``coordinates`` says."""
        assert isinstance(self.coordinates, jax.Array)
        return some_free(key, self._free_of(parameters), self.coordinates)

    def only(self, key: jax.Array, parameters: Parameters) -> list[jax.Array]:
        """Return a mask for each parameter; one coordinate that may move is true."""
        return masks(self._place(key, parameters), parameters.leaves)

    def row(self, key: jax.Array, parameters: Parameters) -> list[jax.Array]:
        """Return a mask for each parameter; one row that may move is true."""
        return row_masks(self._row(key, parameters), parameters)

    def _place(self, key: jax.Array, parameters: Parameters) -> jax.Array:
        """Return the number of a coordinate that may move."""
        if self.bounds is None:
            return place(key, sum(leaf.size for leaf in parameters.leaves))
        return free_place(key, self._free_of(parameters))

    def _row(self, key: jax.Array, parameters: Parameters) -> jax.Array:
        """Return the number of a row of which a coordinate may move."""
        if self.bounds is None:
            return place(key, sum(row_counts(parameters)))
        free = [by_row(own).any(axis=1) for own in self._free_of(parameters)]
        return free_place(key, free)

    def _free_of(self, parameters: Parameters) -> list[jax.Array]:
        pairs = zip(self._free(parameters), parameters.leaves, strict=True)
        return [jnp.broadcast_to(own, leaf.shape) for own, leaf in pairs]

    def chosen(self, choice: jax.Array, params: Any) -> Choice:
        """Return what a step by the factors of a mixture moves."""
        parameters = self._floating(params)
        row = jnp.int32(-1)
        if isinstance(self.coordinates, _Row):
            row = self._row(choice, parameters)
        elif self.coordinates is not None:
            of_place = jnp.asarray(row_of_places(parameters))
            alone = of_place[self._place(choice, parameters)]
            row = jnp.where(self.coordinates == 1, alone, row)
        target = rate_or_nan(self.target(params))
        return Choice(jnp.ones(1, bool), row, target, jnp.asarray(False))

    def _noise_of(
        self, key: jax.Array, parameters: Parameters, index: int, shape: tuple[int, ...]
    ) -> jax.Array:
        leaf, first = parameters.leaves[index], _firsts(parameters)[index]
        if leaf.dtype == jnp.float64:
            return self.noise_double(jax.random.fold_in(key, index), shape)
        return self.noise(lambda number: words(key, first + number * _SECOND, shape))

    def target(self, params: Any) -> jax.Array | None:
        """Return the acceptance rate that the factor adapts to, or ``None``."""
        if self.target_acceptance is None or not isinstance(self.target_acceptance, _Auto):
            return self.target_acceptance
        parameters = self._floating(params)
        pairs, kind = (
            zip(self._free(parameters), parameters.leaves, strict=True),
            self.fraction.dtype,
        )
        free = [leaf.size if free is True else jnp.sum(free, dtype=kind) for free, leaf in pairs]
        moving = sum(free) * self.fraction
        if isinstance(self.coordinates, _Row):
            moving = jnp.asarray(sum(free) / max(1, sum(row_counts(parameters))), kind)
        elif self.coordinates is not None:
            moving = jnp.minimum(jnp.asarray(sum(free), kind), self.coordinates.astype(kind))
        return best_acceptance(jnp.maximum(moving, 1.0))

    def largest_factor(self, params: Any) -> jax.Array:
        """Return the factor beyond which no step is wider: it spans a turn of every box.

        Maths: the largest 2 (upper - lower) / scale of all coordinates; infinite without a box.
        """
        if self.bounds is None:
            return jnp.asarray(jnp.inf, float)
        parameters = self._floating(params)
        scales = per_parameter(f"{type(self).__name__}.scale", self.scale, parameters)
        places = zip(scales, *self._limits(parameters), strict=True)
        turns = [jnp.where(s > 0, turn(low, high, s.dtype) / s, 0) for s, low, high in places]
        return jnp.max(jnp.stack([jnp.max(x, initial=0) for x in turns]))

    def check(self, params: Any) -> None:
        """Refuse parameters that this move cannot start from; a leading chain axis may be there."""
        parameters = self._floating(params)
        if self.bounds is not None:
            check_bounds(f"{type(self).__name__}.bounds", self._limits(parameters), parameters)
        if self.coordinates is not None and not isinstance(self.coordinates, Tracer | _Row):
            self._require_enough(int(self.coordinates), parameters)

    def _require_enough(self, count: int, parameters: Parameters) -> None:
        """Refuse to move more coordinates than there are."""
        most = sum(leaf.size for leaf in parameters.leaves)
        if count > most:
            path, expected = f"{type(self).__name__}.coordinates", f"an integer <= {most}"
            remedy = "Leave it out to move every coordinate in each step."
            raise ValueError(refusal(path, expected, count, remedy))

    def _floating(self, params: Any) -> Parameters:
        remedy = "Cast it, or use ja.moves.PerLeaf with a discrete move for this leaf."
        return require_kind(params, jnp.floating, "floating", remedy)

    def _limits(self, parameters: Parameters) -> list[tuple[Any, ...]]:
        """Return the bounds in each parameter's own dtype, or rounding could leave them."""
        path = f"{type(self).__name__}.bounds"
        return [
            tuple(
                limit.astype(leaf.dtype)
                for limit, leaf in zip(side, parameters.leaves, strict=True)
            )
            for side in limits_of(path, self.bounds, parameters)
        ]

    def _free(self, parameters: Parameters) -> list[Any]:
        """Return which coordinates of each parameter may move: equal bounds hold the others."""
        if self.bounds is None:
            return [True] * len(parameters.leaves)
        return [low < high for low, high in zip(*self._limits(parameters), strict=True)]


def _firsts(parameters: Parameters) -> list[int]:
    """Return the number of the first coordinate of each parameter."""
    sizes = [leaf.size for leaf in parameters.leaves]
    return list(itertools.accumulate(sizes[:-1], initial=0))


# The branches are functions of the module, not closures: an eager step would compile closures anew.
def _every(move: Perturbation, key: jax.Array, old: Parameters, factor: Any) -> Parameters:
    """Return the parameters after a step of every coordinate."""
    return move.moved(key, old, factor, None)


def _some(move: Perturbation, key: jax.Array, old: Parameters, factor: Any) -> Parameters:
    """Return the parameters after a step of some coordinates, at least one."""
    return move.moved(key, old, factor, move.some(_choice(key, old, factor), old))


def _one(move: Perturbation, key: jax.Array, old: Parameters, factor: Any) -> Parameters:
    """Return the parameters after a step of one coordinate."""
    chosen = move.only(_choice(key, old, factor), old)
    return move.moved(key, old, factor, chosen, "coordinate")


def _one_row(move: Perturbation, key: jax.Array, old: Parameters, factor: Any) -> Parameters:
    """Return the parameters after a step of one row."""
    return move.moved(key, old, factor, move.row(_choice(key, old, factor), old), "row")


def _exactly(move: Perturbation, key: jax.Array, old: Parameters, factor: Any) -> Parameters:
    """Return the parameters after a step of so many coordinates."""
    return move.moved(key, old, factor, move.exactly(_choice(key, old, factor), old))


def _choice(key: jax.Array, parameters: Parameters, factor: Any) -> jax.Array:
    """Return the key that what moves is chosen by: all chains choose alike by that of factors."""
    if isinstance(factor, Factors):
        return factor.choice
    return jax.random.fold_in(key, len(parameters.leaves))


def _by_parameter(factor: Any, parameters: Parameters) -> list[jax.Array]:
    """Return the factor of each parameter, of a shape that broadcasts to its own."""
    if not isinstance(factor, Factors):
        return [factor] * len(parameters.leaves)
    by_leaf, first = [], 0
    for leaf, count in zip(parameters.leaves, row_counts(parameters), strict=True):
        shape = (count, *[1] * (leaf.ndim - 1)) if leaf.ndim else ()
        rows = factor.rows[first : first + count] if leaf.size else jnp.ones(count)
        by_leaf.append((rows * factor.parts[0]).reshape(shape))
        first += count
    return by_leaf
