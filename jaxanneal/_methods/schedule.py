"""Schedules as a run uses them: pytrees, tables of a function that is none, bound lengths."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxanneal._chain.calls import describe, name_of, traced
from jaxanneal._chain.energy import as_array
from jaxanneal._checks import refusal, setting, shown, strong
from jaxanneal._pytree import pytree_dataclass, replace, static
from jaxanneal.cooling import Geometric, Linear

_SHARED = "All chains share one temperature; ja.ParallelTempering has many."


@pytree_dataclass
class Function:
    """A schedule that is no pytree, such as an optax closure: part of the structure.

    The driver evaluates it on the host into a :class:`Table`, so a new one compiles nothing.
    """

    function: Callable[[Any], Any] = static()

    @property
    def __name__(self) -> str:
        return name_of(self.function)

    def __call__(self, step: ArrayLike) -> jax.Array:
        """Return the temperature at ``step``."""
        with jax.numpy_dtype_promotion("standard"):  # optax's schedules need it
            return jnp.asarray(self.function(step)).astype(float)


@pytree_dataclass
class Table:
    """The temperatures of some consecutive steps, as data."""

    first: jax.Array
    temperatures: jax.Array
    __name__ = "a function of the step"

    def __call__(self, step: ArrayLike) -> jax.Array:
        """Return the temperature at ``step``, which must lie in the table."""
        return self.temperatures[jnp.asarray(step) - self.first]


def as_cooling(path: str, cooling: Any) -> Any:
    """Return a schedule that is a pytree with arrays as leaves, or refuse what is no schedule."""
    if isinstance(cooling, type) or not callable(cooling):
        remedy = (
            "Use ja.cooling.Geometric(start, end), an optax schedule, or a function of the step."
        )
        raise TypeError(refusal(path, "a callable step -> temperature", shown(cooling), remedy))
    leaves = jax.tree.leaves(cooling)
    if len(leaves) == 1 and leaves[0] is cooling:
        return Function(cooling)
    return strong(cooling)


def bind(cooling: Any, steps: int) -> Any:
    """Return ``cooling`` with an unbound length bound to a run of ``steps`` moves."""
    if isinstance(cooling, Geometric | Linear) and cooling.steps is None:
        return replace(cooling, steps=setting(max(steps - 1, 1), float))
    return cooling


def require_traceable(cooling: Any) -> None:
    """Refuse a schedule that no compiled program can hold.

    Raises:
        TypeError: JAX cannot trace it, or it returns anything but one real temperature.
    """
    remedy = (
        "Write it with jax.numpy, such as jnp.exp and jnp.where; only ja.anneal calls a plain "
        "function on the host."
    )

    def look(step: jax.Array) -> jax.Array:
        value = traced("cooling", function, step, remedy=remedy)
        array = as_array(value)
        if array is None or array.shape != () or jnp.iscomplexobj(array):
            got = shown(value) if array is None else describe(array)
            raise TypeError(refusal("cooling", "one real temperature", got, _SHARED))
        return array

    on_host = isinstance(cooling, Function)
    function = cooling.function if on_host else cooling
    with jax.numpy_dtype_promotion("standard") if on_host else nullcontext():
        jax.eval_shape(look, np.zeros((), np.int32))


def tabulate(cooling: Any, steps: np.ndarray) -> np.ndarray:
    """Return the temperatures at ``steps``, evaluated on the host.

    A function that takes only Python numbers (``math.exp``, ``if``) is called once per step.

    Raises:
        TypeError: A temperature is no real scalar.
        ValueError: A temperature is negative or not finite.
    """
    values = _at_once(cooling, steps)
    if values is None:
        distinct, place = np.unique(steps, return_inverse=True)
        values = np.array([_one(cooling, int(step)) for step in distinct])[place]
    wrong = ~(np.isfinite(values) & (values >= 0))
    if np.any(wrong):
        where = int(np.argmax(wrong))
        remedy = "A schedule returns a temperature for every step of the run."
        expected = f"finite temperatures >= 0 at step {steps[where]}"
        raise ValueError(refusal("cooling", expected, values[where], remedy))
    return values


def is_cold(temperatures: np.ndarray, limit: Any) -> np.ndarray:
    """Return where a lowest temperature is reached; rounding must not miss it."""
    return temperatures <= float(limit) * (1 + 1e-6)


def _one(cooling: Any, step: int) -> float:
    value = _call(cooling, step)
    try:
        if isinstance(value, str) or np.shape(value) != () or np.iscomplexobj(value):
            raise TypeError("no real scalar")
        return float(value)
    except (TypeError, ValueError):
        expected = f"one real temperature at step {step}"
        raise TypeError(refusal("cooling", expected, shown(value), _SHARED)) from None


def _call(cooling: Any, step: Any) -> Any:
    function = cooling.function if isinstance(cooling, Function) else cooling
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        return traced("cooling", function, step)


def _at_once(cooling: Any, steps: np.ndarray) -> np.ndarray | None:
    """Evaluate all steps in one call, or return ``None`` if that disagrees with single calls."""
    try:
        values = np.asarray(_call(cooling, jnp.asarray(steps)), dtype=np.float64)
        values = np.broadcast_to(values, steps.shape).copy()
        probes = np.unique(np.linspace(0, len(steps) - 1, 4).astype(int))
        alone = np.array([_one(cooling, int(steps[i])) for i in probes])
    except Exception:  # whatever a user's function raises for an array, it may still take a number
        return None
    return values if np.allclose(values[probes], alone, rtol=1e-5, equal_nan=True) else None
