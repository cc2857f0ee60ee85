"""What all moves of floating parameters share: scale, bounds, how many move, the target rate."""

import itertools
from abc import abstractmethod
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxanneal._chain import keys
from jaxanneal._chain.generator import words
from jaxanneal._chain.parameters import Parameters, require_kind
from jaxanneal._chain.prefix import per_parameter
from jaxanneal._checks import at_least_one, number, refusal, shown
from jaxanneal._pytree import path_text, pytree_dataclass
from jaxanneal.moves._bounds import (
    as_bounds,
    check_bounds,
    limits_of,
    reflect,
    step_between,
    turn,
)
from jaxanneal.moves._rounding import real, stored
from jaxanneal.moves._sites import one_free, one_site, some_free

# The second word of a coordinate lies so far behind the first in the key's draw.
_SECOND = 2**31

_ADAPT_REMEDY = "Use 'auto', a rate such as 0.234, or None to hold the scale."


@jax.tree_util.register_static
class _Auto:
    """The target acceptance rate that suits the number of coordinates moved."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Auto) or other == "auto"

    def __hash__(self) -> int:
        return hash("auto")

    def __repr__(self) -> str:
        return "'auto'"


@pytree_dataclass
class Perturbation:
    """What all moves of floating parameters share; each adds its own noise."""

    scale: Any
    bounds: Any
    fraction: jax.Array
    target_acceptance: Any
    coordinates: jax.Array | None

    def __init__(
        self,
        scale: Any = 0.1,
        bounds: Any = None,
        fraction: ArrayLike = 1.0,
        target_acceptance: ArrayLike | str | None = "auto",
        coordinates: ArrayLike | None = None,
    ):
        name = type(self).__name__
        vars(self).update(
            scale=_as_scale(f"{name}.scale", scale),
            bounds=as_bounds(f"{name}.bounds", bounds),
            fraction=number(
                f"{name}.fraction",
                fraction,
                "a number in (0, 1]",
                lambda x: (x > 0) & (x <= 1),
                "Use 1.0 to move every coordinate in each step.",
                scalar=True,
            ),
            target_acceptance=_as_target(f"{name}.target_acceptance", target_acceptance),
            coordinates=_as_coordinates(f"{name}.coordinates", coordinates, fraction),
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

    def propose(self, key: jax.Array, params: Any, factor: ArrayLike) -> tuple[Any, jax.Array]:
        """Return the perturbed parameters of one chain, and a Hastings term of zero.

        Args:
            key: Consumed.
            params: One chain's parameters.
            factor: Multiplies ``scale``, float ``[]``.
        """
        inputs = self, keys.as_key(key), self._floating(params), jnp.asarray(factor)
        # A branch around all of it, not a mask of ones: a step that moves every coordinate draws no
        # mask, and what a branch returns is the proposal, which needs its memory anyway.
        if self.coordinates is None:
            moved = jax.lax.cond(self.fraction < 1, _some, _every, *inputs)
        else:
            moved = jax.lax.cond(self.coordinates == 1, _one, _exactly, *inputs)
        return moved.tree, jnp.zeros(())

    def moved(
        self,
        key: jax.Array,
        old: Parameters,
        factor: jax.Array,
        chosen: list[jax.Array] | None,
        alone: bool = False,
    ) -> Parameters:
        """Return the parameters after a step of the chosen coordinates.

        Args:
            key: Consumed.
            old: The parameters of one chain.
            factor: Multiplies ``scale``, float ``[]``.
            chosen: Which coordinates of each parameter move; ``None``: all.
            alone: Whether it is a single one, for which one number of noise will do.
        """
        scales = per_parameter(f"{type(self).__name__}.scale", self.scale, old)
        limits = None if self.bounds is None else list(zip(*self._limits(old), strict=True))
        moved = []
        for index, leaf in enumerate(old.leaves):
            box = None if limits is None else limits[index]
            noise = self._noise_of(key, old, index, () if alone else leaf.shape)
            noise = noise if chosen is None else jnp.where(chosen[index], noise, 0)
            size = factor.astype(noise.dtype) * scales[index].astype(noise.dtype)
            step = size * noise if box is None else step_between(size, noise, *box)
            start = real(jax.random.fold_in(key, index), leaf, box)
            new = start + step if box is None else reflect(start, step, *box)
            moved.append(stored(new, leaf))
        return old.with_leaves(moved)

    def chosen(self, key: jax.Array, parameters: Parameters) -> list[jax.Array]:
        """Return which coordinates of each parameter move, at least one of all.

        Maths: u below the fraction for uniform u; where none is, the smallest u.
        """
        own_key = jax.random.fold_in(key, len(parameters.leaves))
        places = zip(parameters.leaves, _firsts(parameters), strict=True)
        drawn = [words(own_key, first, leaf.shape) >> 8 for leaf, first in places]
        drawn = [
            jnp.where(free, word.astype(jnp.float32) * 2.0**-24, 1.0)
            for word, free in zip(drawn, self._free(parameters), strict=True)
        ]
        least = jnp.stack([jnp.min(u, initial=1.0) for u in drawn]).min()
        fraction = self.fraction.astype(jnp.float32)
        return [(u < fraction) | (u == least) for u in drawn]

    def only(self, key: jax.Array, parameters: Parameters) -> list[jax.Array]:
        """Return a mask for each parameter; one coordinate that may move is true."""
        own_key = jax.random.fold_in(key, len(parameters.leaves))
        if self.bounds is None:
            return one_site(own_key, parameters.leaves)
        return one_free(own_key, self._free(parameters))

    def exactly(self, key: jax.Array, parameters: Parameters) -> list[jax.Array]:
        """Return the same of as many coordinates as the setting ``coordinates`` says."""
        assert self.coordinates is not None
        pairs = zip(self._free(parameters), parameters.leaves, strict=True)
        free = [jnp.broadcast_to(own, leaf.shape) for own, leaf in pairs]
        own_key = jax.random.fold_in(key, len(parameters.leaves))
        return some_free(own_key, free, self.coordinates)

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
        if self.coordinates is not None:
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
        if self.coordinates is not None and not isinstance(self.coordinates, Tracer):
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
def _every(move: Perturbation, key: jax.Array, old: Parameters, factor: jax.Array) -> Parameters:
    """Return the parameters after a step of every coordinate."""
    return move.moved(key, old, factor, None)


def _some(move: Perturbation, key: jax.Array, old: Parameters, factor: jax.Array) -> Parameters:
    """Return the parameters after a step of some coordinates, at least one."""
    return move.moved(key, old, factor, move.chosen(key, old))


def _one(move: Perturbation, key: jax.Array, old: Parameters, factor: jax.Array) -> Parameters:
    """Return the parameters after a step of one coordinate."""
    return move.moved(key, old, factor, move.only(key, old), alone=True)


def _exactly(move: Perturbation, key: jax.Array, old: Parameters, factor: jax.Array) -> Parameters:
    """Return the parameters after a step of so many coordinates."""
    return move.moved(key, old, factor, move.exactly(key, old))


def best_acceptance(coordinates: ArrayLike) -> jax.Array:
    """Return the acceptance rate at which a Gaussian random walk jumps farthest.

    Maths: a fit, within 0.004, to the exact optimum of the expected squared jump on a harmonic
    energy: 0.4389, 0.3507, 0.3150, 0.2839, 0.2593, 0.2390 and 0.2338 for 1, 2, 3, 5, 10, 50 and
    infinitely many coordinates.

    Reference: Sherlock and Roberts, Bernoulli 15, 774 (2009), whose finite-d results these are.
    """
    return 0.2338 + 0.2051 * jnp.asarray(coordinates, dtype=float) ** -0.85


def _as_scale(path: str, scale: Any) -> Any:
    valid = lambda x: np.isfinite(x) & (x >= 0)  # noqa: E731
    remedy = "Give the typical size of a step, as a scalar or a pytree prefix of params."
    if not jax.tree.leaves(scale):
        raise TypeError(refusal(path, "finite values >= 0", shown(scale), remedy))
    return jax.tree_util.tree_map_with_path(
        lambda where, leaf: number(
            path + path_text(where), leaf, "finite values >= 0", valid, remedy
        ),
        scale,
    )


def _as_coordinates(path: str, coordinates: Any, fraction: Any) -> jax.Array | None:
    if coordinates is None:
        return None
    remedy = "Use 1 to move a single coordinate in each step."
    array = at_least_one(path, coordinates, remedy)
    if not isinstance(fraction, Tracer) and not np.all(np.asarray(fraction) == 1):
        got = f"fraction={shown(fraction)} beside it"
        raise ValueError(refusal(path, "one rule of how many move", got, "Leave one of them out."))
    return array


def _as_target(path: str, target: Any) -> Any:
    if target is None:
        return None
    if isinstance(target, str | _Auto):
        if target == "auto":
            return _Auto()
        raise ValueError(refusal(path, "'auto', a number or None", shown(target), _ADAPT_REMEDY))
    valid = lambda x: (x > 0) & (x < 1)  # noqa: E731
    return number(path, target, "a number between 0 and 1", valid, _ADAPT_REMEDY, scalar=True)
