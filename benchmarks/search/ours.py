"""Our own solvers. One more is one more line in :func:`solvers`."""

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

import jaxanneal as ja
from benchmarks.problems.problem import Problem
from benchmarks.search.solver import Attempt, Ready, Solver

# ``(problem, budget, **options) -> Result``; options are key, target and max_seconds.
Solve = Callable[..., Any]

_CHAINS = 64
_SHORT = 3_000
# Of the optimum: two or three units in the last place of energies in single precision.
_ROUNDING = 2e-7
_FIRST_SEED, _FIRST_SECONDS = 1_000_000, 10.0


def solvers(budget: int | None = None) -> Iterator[Solver]:
    """Yield our solvers.

    Args:
        budget: Evaluations of a run at most; ``None``: those of the problem.
    """

    def solver(name: str, solve: Solve, programs: str | None = None, share: int = 1) -> Solver:
        prepare = functools.partial(_ready, solve=solve, limit=budget, share=share)
        return Solver(name, prepare, lambda problem: True, programs or name, "jaxanneal")

    if hasattr(ja, "minimize"):
        # It counts gradients apart: a value and its gradient are one evaluation, and cost three.
        # Without gradients it has as many.
        yield solver("minimize", _minimize, share=3)
        yield solver("minimize, no gradients", _minimize_values, share=3)
    yield solver("anneal", _anneal)
    yield solver(f"anneal, {_SHORT:,} moves", _anneal_briefly, programs="anneal")
    yield solver("parallel tempering", _temper)


def _anneal(problem: Problem, budget: int, **options: Any) -> Any:
    """Anneal with the defaults, cooling over the whole budget."""
    return _run(problem, budget, steps=max(budget // _CHAINS, 1), **options)


def _anneal_briefly(problem: Problem, budget: int, **options: Any) -> Any:
    return _run(problem, budget, steps=min(_SHORT, max(budget // _CHAINS, 1)), **options)


def _temper(problem: Problem, budget: int, **options: Any) -> Any:
    """Temper with the defaults."""
    method = ja.ParallelTempering()
    return _run(problem, budget, method=method, steps=max(budget // method.chains, 1), **options)


def _run(problem: Problem, budget: int, **options: Any) -> Any:
    options.update(args=problem.args, move=problem.move, max_evaluations=budget, progress=False)
    return ja.anneal(problem.energy, problem.start, **options)


def _minimize(problem: Problem, budget: int, **options: Any) -> Any:
    options.update(args=problem.args, bounds=problem.bounds, max_evaluations=budget)
    minimize = getattr(ja, "minimize")  # noqa: B009  (it may not be there)
    return minimize(problem.energy, problem.start, **options)


def _minimize_values(problem: Problem, budget: int, **options: Any) -> Any:
    return _minimize(problem._replace(energy=_flat(problem.energy)), budget, **options)


@functools.cache
def _flat(energy: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
    """Return an energy whose gradient is zero everywhere."""
    return lambda params, *args: jax.lax.stop_gradient(energy(params, *args))


def _ready(problem: Problem, solve: Solve, limit: int | None, share: int) -> Ready:
    """Compile: the same short run twice, of which the first one takes longer."""
    budget = (problem.budget if limit is None else limit) // share
    spent = []
    for _ in range(2):
        began = time.process_time()
        first = {"target": _target(problem, problem.targets[0]), "max_seconds": _FIRST_SECONDS}
        solve(problem, budget, key=_FIRST_SEED, **first)
        spent.append(time.process_time() - began)
    attempts = functools.partial(_attempts, problem, solve, budget)
    return Ready(attempts, max(spent[0] - spent[1], 0.0))


def _target(problem: Problem, energy: float) -> float:
    return energy + _ROUNDING * abs(problem.optimum)


def _attempts(problem: Problem, solve: Solve, budget: int, seed: int) -> list[Attempt]:
    attempts: list[Attempt] = []
    for energy in problem.targets:
        # Who misses the first target would miss the next one after the same moves.
        missed = bool(attempts) and not attempts[-1].solved
        attempts.append(attempts[-1] if missed else _attempt(problem, solve, budget, seed, energy))
    return attempts


def _attempt(problem: Problem, solve: Solve, budget: int, seed: int, energy: float) -> Attempt:
    target, began = _target(problem, energy), time.process_time()
    result = solve(problem, budget, key=seed, target=target)
    seconds = time.process_time() - began
    cost = result.evaluations + 2 * result.gradients
    # As the engine compares them: in single precision.
    solved = bool(jnp.float32(result.energy) <= jnp.float32(target))
    return Attempt(solved, int(cost), seconds, problem.gap(result.params))
