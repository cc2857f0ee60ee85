"""Settings of moves of floating parameters: the scale, how many move, the acceptance rate."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxanneal._checks import at_least_one, number, refusal, shown
from jaxanneal._pytree import path_text

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


@jax.tree_util.register_static
class _Row:
    """Stands for a whole row in the place of a number of coordinates."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Row) or other == "row"

    def __hash__(self) -> int:
        return hash("row")

    def __repr__(self) -> str:
        return "'row'"


def best_acceptance(coordinates: ArrayLike) -> jax.Array:
    """Return the acceptance rate at which a Gaussian random walk jumps farthest.

    Maths: a fit, within 0.004, to the exact optimum of the expected squared jump on a harmonic
    energy: 0.4389, 0.3507, 0.3150, 0.2839, 0.2593, 0.2390 and 0.2338 for 1, 2, 3, 5, 10, 50 and
    infinitely many coordinates.

    Reference: Sherlock and Roberts, Bernoulli 15, 774 (2009), whose finite-d results these are.
    """
    return 0.2338 + 0.2051 * jnp.asarray(coordinates, dtype=float) ** -0.85


def as_scale(path: str, scale: Any) -> Any:
    """Return typical sizes of steps, a scalar or a pytree prefix of params."""
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


def as_coordinates(path: str, coordinates: Any, fraction: Any) -> Any:
    """Return how many coordinates move, or that it is a row; ``None`` where a fraction says it."""
    if coordinates is None:
        return None
    if isinstance(coordinates, _Row) or (isinstance(coordinates, str) and coordinates == "row"):
        setting = _Row()
    elif isinstance(coordinates, str):
        remedy = "Use 1 for a single coordinate, 'row' for a row of a matrix."
        raise ValueError(refusal(path, "an integer >= 1 or 'row'", shown(coordinates), remedy))
    else:
        remedy = "Use 1 to move a single coordinate in each step."
        setting = at_least_one(path, coordinates, remedy)
    if not isinstance(fraction, Tracer) and not np.all(np.asarray(fraction) == 1):
        got = f"fraction={shown(fraction)} beside it"
        raise ValueError(refusal(path, "one rule of how many move", got, "Leave one of them out."))
    return setting


def as_target(path: str, target: Any) -> Any:
    """Return an acceptance rate, that it suits what moves, or ``None``."""
    if target is None:
        return None
    if isinstance(target, str | _Auto):
        if target == "auto":
            return _Auto()
        raise ValueError(refusal(path, "'auto', a number or None", shown(target), _ADAPT_REMEDY))
    valid = lambda x: (x > 0) & (x < 1)  # noqa: E731
    return number(path, target, "a number between 0 and 1", valid, _ADAPT_REMEDY, scalar=True)
