"""Other libraries: SciPy's global searches and CMA-ES with restarts, objectives compiled.

Each runs until it is solved or its time is up; what ends by itself begins anew. None has a budget
of evaluations.
"""

import contextlib
import functools
import math
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks.problems.problem import Problem
from benchmarks.search import populations
from benchmarks.search.objective import (
    EnoughError,
    Objective,
    compiled_slope,
    compiled_value,
    start,
)
from benchmarks.search.solver import Attempt, Ready, Solver

# ``(objective, problem, seed)``: one search, which may end by itself.
Search = Callable[[Objective, Problem, int], Any]
_NEVER = 10**9
_RESTART = 1_000  # from one seed to that of the search after a restart


def solvers() -> Iterator[Solver]:
    """Yield other libraries' solvers."""
    boxed = lambda problem: problem.floating and problem.bounds is not None  # noqa: E731
    anywhere = lambda problem: problem.floating  # noqa: E731

    def solver(name: str, search: Search, takes: Any, slope: bool = False) -> Solver:
        prepare = functools.partial(_ready, search=search, slope=slope)
        return Solver(name, prepare, takes, name, "cma" if search is _cma else "scipy")

    yield solver("SciPy dual_annealing", _dual_annealing, boxed)
    yield solver("SciPy dual_annealing, gradients", _dual_annealing_gradients, boxed, slope=True)
    yield solver("SciPy dual_annealing, no local search", _dual_annealing_alone, boxed)
    yield solver("SciPy basinhopping", _basinhopping, anywhere, slope=True)
    yield solver("SciPy differential_evolution", _differential_evolution, boxed)
    yield solver("CMA-ES, BIPOP", _cma, anywhere)
    yield from populations.solvers(anywhere)


def _ready(problem: Problem, search: Search, slope: bool) -> Ready:
    import cma  # noqa: F401  (what is imported here is not timed)
    import scipy.optimize  # noqa: F401

    began = time.process_time()
    functions = compiled_value(problem), compiled_slope(problem) if slope else _no_slope
    spent = time.process_time() - began
    return Ready(functools.partial(_attempts, problem, search, functions), spent)


def _no_slope(x: np.ndarray) -> Any:
    raise NotImplementedError("this solver was not given gradients")


def _attempts(problem: Problem, search: Search, functions: Any, seed: int) -> list[Attempt]:
    from threadpoolctl import threadpool_limits

    # Matrices this small keep several threads of BLAS waiting for each other: L-BFGS-B took twenty
    # times as long.
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore")  # of overflows, far from where they search
        objective = Objective(problem, *functions)
        with contextlib.suppress(EnoughError):
            while True:
                search(objective, problem, seed)
                seed += _RESTART
        return objective.attempts()


def _pairs(problem: Problem) -> list[tuple[float, float]] | None:
    return None if problem.bounds is None else [problem.bounds] * problem.dimension


def _dual_annealing(objective: Objective, problem: Problem, seed: int, **options: Any) -> None:
    from scipy.optimize import dual_annealing

    limits = {"maxiter": _NEVER, "maxfun": _NEVER, "rng": seed, "x0": start(problem, seed)}
    dual_annealing(objective, _pairs(problem), **limits, **options)


def _dual_annealing_alone(objective: Objective, problem: Problem, seed: int) -> None:
    _dual_annealing(objective, problem, seed, no_local_search=True)


def _dual_annealing_gradients(objective: Objective, problem: Problem, seed: int) -> None:
    """Give its local search, L-BFGS-B as by default, the gradient."""
    local = {"method": "L-BFGS-B", "jac": objective.gradient, "bounds": _pairs(problem)}
    _dual_annealing(objective, problem, seed, minimizer_kwargs=local)


def _basinhopping(objective: Objective, problem: Problem, seed: int) -> None:
    from scipy.optimize import basinhopping

    low, high = problem.bounds or (-1.0, 1.0)  # starts are between them
    basinhopping(
        objective.value_and_gradient,
        start(problem, seed),
        niter=_NEVER,
        stepsize=problem.hop or 0.1 * (high - low),
        minimizer_kwargs={"method": "L-BFGS-B", "jac": True},
        rng=seed,
    )


def _differential_evolution(objective: Objective, problem: Problem, seed: int) -> None:
    from scipy.optimize import differential_evolution

    differential_evolution(objective, _pairs(problem), rng=seed)


def _cma(objective: Objective, problem: Problem, seed: int) -> None:
    import cma

    low, high = problem.bounds or (-1.0, 1.0)
    begins = (start(problem, seed + _RESTART * again) for again in range(_NEVER))
    options = {
        "bounds": [None, None] if problem.bounds is None else [low, high],
        "verbose": -9,
        "seed": seed + 1,  # 0 would be the clock
        "maxfevals": math.inf,
    }
    cma.fmin2(objective, lambda: next(begins), 0.3 * (high - low), options, restarts=9, bipop=True)
