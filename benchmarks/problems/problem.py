"""A problem: an energy, where its search begins, and what is known of its optimum."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.problems.twin import twin


class Problem(NamedTuple):
    """An energy to minimise.

    Args:
        name: As tables show it.
        energy: ``energy(params, *args)``.
        exact: The arguments in double precision.
        args: The same in single precision, as JAX has them by default.
        start: ``key -> params``: at random in the box.
        bounds: The box, as our bounds are written; ``None`` where the problem has none.
        place: A minimum, in double precision; ``None`` where only its energy is known.
        optimum: The least energy.
        unit: What tolerances are measured in.
        tolerances: Solved is what comes so near, each by itself.
        budget: Evaluations that a run of ours may take, a gradient counting three.
        seconds: Processor time that a run of another library may take.
        hop: The distance of neighbouring minima, for those who ask for it; ``None``: a tenth of
            the box.
        move: What moves parameters that have no default move.
    """

    name: str
    energy: Callable[..., jax.Array]
    exact: tuple[np.ndarray, ...]
    args: tuple[jax.Array, ...]
    start: Callable[[jax.Array], Any]
    bounds: Any
    place: Any = None
    optimum: float = 0.0
    unit: float = 1.0
    tolerances: tuple[float, ...] = (1e-2, 1e-4)
    budget: int = 1_200_000
    seconds: float = 10.0
    hop: float | None = None
    move: Any = None

    @property
    def dimension(self) -> int:
        """Return the number of parameters."""
        shapes = jax.eval_shape(self.start, jax.random.key(0))
        return sum(leaf.size for leaf in jax.tree.leaves(shapes))

    @property
    def floating(self) -> bool:
        """Return whether it is an energy of one array of floats, which every library takes."""
        shape = jax.eval_shape(self.start, jax.random.key(0))
        return not isinstance(shape, dict)

    @property
    def targets(self) -> list[float]:
        """Return the energies that count as solved."""
        return [self.optimum + self.unit * tolerance for tolerance in self.tolerances]

    def gap(self, params: Any) -> float:
        """Return the energy above the optimum in double precision, in the problem's units."""
        wide = jax.tree.map(_as_double, params)
        return (float(twin(self.energy)(wide, *self.exact)) - self.optimum) / self.unit


def as_args(exact: tuple[np.ndarray, ...]) -> tuple[jax.Array, ...]:
    """Return arguments in single precision."""
    return tuple(jnp.asarray(x, jnp.float32) for x in exact)


def _as_double(x: Any) -> np.ndarray:
    x = np.asarray(x)
    return x.astype(np.float64) if np.issubdtype(x.dtype, np.floating) else x
