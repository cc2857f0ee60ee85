"""An energy as other libraries call it: one array of doubles, calls counted, ended once solved."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.problems.energies import lennard_jones, lennard_jones_slope
from benchmarks.problems.problem import Problem
from benchmarks.problems.twin import twin
from benchmarks.search.solver import Attempt

Value = Callable[[np.ndarray], float]
Slope = Callable[[np.ndarray], tuple[float, np.ndarray]]
# Two atoms in one place have an infinite energy, which not every library understands.
_HUGE, _STEEP = 1e30, 1e10
_EVERY = 64  # calls between looks at the clock


class EnoughError(Exception):
    """Ends a library's search."""


class Objective:
    """Counts, and notes when each target is first reached.

    Args:
        problem: What is solved.
        value: Its compiled energy.
        slope: Its compiled energy and gradient; counts three.
    """

    def __init__(self, problem: Problem, value: Value, slope: Slope):
        self._problem, self._value, self._slope = problem, value, slope
        self._began, self.evaluations, self._least = time.process_time(), 0, np.inf
        self._calls, self._attempts = 0, []

    def __call__(self, x: np.ndarray) -> float:
        value = float(self._value(np.ascontiguousarray(x, np.float64)))
        return self.note(value if np.isfinite(value) else _HUGE, 1)

    def value_and_gradient(self, x: np.ndarray) -> tuple[float, np.ndarray]:
        return self._with_gradient(x, 3)

    def gradient(self, x: np.ndarray) -> np.ndarray:
        """Return the gradient beside a value that the library asks for by itself."""
        return self._with_gradient(x, 2)[1]

    def _with_gradient(self, x: np.ndarray, cost: int) -> tuple[float, np.ndarray]:
        value, slope = self._slope(np.ascontiguousarray(x, np.float64))
        if not np.isfinite(value):
            value, slope = _HUGE, np.nan_to_num(slope)
        return self.note(value, cost), np.clip(slope, -_STEEP, _STEEP)

    def note(self, value: float, cost: int) -> float:
        """Count a value.

        Raises:
            EnoughError: All targets are reached, or time is up.
        """
        self.evaluations += cost
        self._calls += 1
        if value < self._least:
            self._least = value
            targets = self._problem.targets
            while len(self._attempts) < len(targets) and value <= targets[len(self._attempts)]:
                self._attempts.append(self._attempt(True))
            if len(self._attempts) == len(targets):
                raise EnoughError
        if self._calls % _EVERY == 0 and self.seconds > self._problem.seconds:
            raise EnoughError
        return value

    @property
    def seconds(self) -> float:
        """Return the processor time since it was made."""
        return time.process_time() - self._began

    def _attempt(self, solved: bool) -> Attempt:
        gap = (self._least - self._problem.optimum) / self._problem.unit
        return Attempt(solved, self.evaluations, self.seconds, gap)

    def attempts(self) -> list[Attempt]:
        """Return an attempt for each tolerance, once the search has ended."""
        missing = len(self._problem.targets) - len(self._attempts)
        return self._attempts + [self._attempt(False)] * missing


def compiled_value(problem: Problem) -> Value:
    """Return the energy as numba compiles it."""
    import numba

    function = twin(problem.energy, numba.njit(error_model="numpy"))
    value = lambda x: function(x, *problem.exact)  # noqa: E731
    value(start(problem, 0))
    return value


def compiled_slope(problem: Problem) -> Slope:
    """Return energy and gradient in double precision, compiled by JAX or, if written, by numba."""
    if problem.energy in _SLOPES:
        import numba

        function = twin(_SLOPES[problem.energy], numba.njit(error_model="numpy"))
        slope = lambda x: function(x, *problem.exact)  # noqa: E731
    else:
        slope = _derived_slope(problem)
    slope(start(problem, 0))
    return slope


# A call of JAX takes some 30 microseconds, more than the descents of clusters themselves.
_SLOPES = {lennard_jones: lennard_jones_slope}


def _derived_slope(problem: Problem) -> Slope:
    with _doubles():
        args = tuple(jnp.asarray(x) for x in problem.exact)
        both = jax.jit(jax.value_and_grad(problem.energy))

    def slope(x: np.ndarray) -> tuple[float, np.ndarray]:
        with _doubles():
            value, gradient = both(x, *args)
            return float(value), np.asarray(gradient)

    return slope


@contextlib.contextmanager
def _doubles() -> Iterator[Any]:
    with jax.enable_x64(True):
        yield


def start(problem: Problem, seed: int) -> np.ndarray:
    """Return a flat start at random, from the law that our chains start from."""
    return np.asarray(problem.start(jax.random.key(seed)), np.float64).reshape(-1)
