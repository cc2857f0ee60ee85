"""evosax's populations, each a compiled loop of generations, in the box scaled to -1 and 1."""

import functools
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.problems.problem import Problem
from benchmarks.search.solver import Attempt, Ready, Solver

_POPULATION = 64
_CHUNK = 200  # generations of one call
# A population whose energies differ by so little of the first difference is begun anew.
_EQUAL, _RESTART = 1e-7, 1_000_000
# Simulated annealing's steps, over so many generations; with the constant 1 that is evosax's
# default it never comes near anything.
_WIDE, _NARROW, _GENERATIONS = 0.5, 1e-5, 10_000


class Loop(NamedTuple):
    """A compiled algorithm.

    Args:
        begin: ``seed -> state``.
        chunk: ``(state, key) -> (state, least energies, differences)``, both by generation.
        first: Evaluations before the first generation.
    """

    begin: Callable[[int], Any]
    chunk: Callable[[Any, jax.Array], tuple[Any, jax.Array, jax.Array]]
    first: int


def solvers(takes: Callable[[Problem], bool]) -> Iterator[Solver]:
    """Yield evosax's simulated annealing, Sep-CMA-ES and differential evolution."""
    from evosax import algorithms

    for name in ("SimulatedAnnealing", "Sep_CMA_ES", "DifferentialEvolution"):
        title = f"evosax {name.replace('_', '-')}"
        prepare = functools.partial(_ready, algorithm=getattr(algorithms, name))
        yield Solver(title, prepare, takes, title, "evosax")


def _ready(problem: Problem, algorithm: Any) -> Ready:
    began = time.process_time()
    loop = _loop(problem, algorithm)
    state = loop.begin(0)
    chunk = jax.jit(loop.chunk).lower(state, jax.random.key(0)).compile()
    spent = time.process_time() - began
    return Ready(functools.partial(_attempts, problem, loop._replace(chunk=chunk)), spent)


def _algorithm(algorithm: Any, solution: jax.Array) -> Any:
    if algorithm.__name__ != "SimulatedAnnealing":
        return algorithm(_POPULATION, solution)
    import optax

    schedule = optax.exponential_decay(_WIDE, _GENERATIONS, _NARROW / _WIDE)
    return algorithm(_POPULATION, solution, std_schedule=schedule)


def _loop(problem: Problem, algorithm: Any) -> Loop:
    low, high = problem.bounds or (-1.0, 1.0)
    middle, half = (low + high) / 2, (high - low) / 2
    shape = jax.eval_shape(problem.start, jax.random.key(0)).shape
    search = _algorithm(algorithm, jnp.zeros(problem.dimension))
    numbers, distribution = search.default_params, hasattr(search, "get_mean")

    def energy(z: jax.Array) -> jax.Array:
        return problem.energy((middle + half * z).reshape(shape), *problem.args)

    def begin(seed: int) -> Any:
        draw = lambda key: (problem.start(key).reshape(-1) - middle) / half  # noqa: E731
        key, starts = jax.random.split(jax.random.key(seed))
        first = jax.vmap(draw)(jax.random.split(starts, _POPULATION))
        if distribution:
            return search.init(key, first[0], numbers)
        return search.init(key, first, jax.vmap(energy)(first), numbers)

    def generation(state: Any, key: jax.Array) -> Any:
        ask, learn = jax.random.split(key)
        population, state = search.ask(ask, state, numbers)
        energies = jax.vmap(energy)(population)
        # Two atoms in one place: it averages energies, which infinity would not survive.
        energies = jnp.nan_to_num(energies, nan=1e30, posinf=1e30)
        state = search.tell(learn, population, energies, state, numbers)[0]
        return state, (jnp.min(energies), jnp.max(energies) - jnp.min(energies))

    def chunk(state: Any, key: jax.Array) -> Any:
        state, (least, spread) = jax.lax.scan(generation, state, jax.random.split(key, _CHUNK))
        return state, least, spread

    return Loop(begin, chunk, 0 if distribution else _POPULATION)


def _attempts(problem: Problem, loop: Loop, seed: int) -> list[Attempt]:
    clock, key = time.process_time(), jax.random.key(seed)
    state, attempts = loop.begin(seed), []
    evaluations, seconds, best, widest = loop.first, 0.0, np.inf, None
    for index in range(1, 10**9):
        state, least, spread = loop.chunk(state, jax.random.fold_in(key, index))
        lowest = np.minimum(np.minimum.accumulate(np.asarray(least, np.float64)), best)
        best, now = float(lowest[-1]), time.process_time() - clock
        for target in problem.targets[len(attempts) :]:
            generations = int(np.count_nonzero(lowest > target)) + 1
            if generations <= _CHUNK:
                gap = (lowest[generations - 1] - problem.optimum) / problem.unit
                at = seconds + (now - seconds) * generations / _CHUNK
                cost = evaluations + generations * _POPULATION
                attempts.append(Attempt(True, cost, at, float(gap)))
        evaluations, seconds = evaluations + _CHUNK * _POPULATION, now
        if len(attempts) == len(problem.targets) or seconds > problem.seconds:
            break
        widest = float(spread[0]) if widest is None else widest
        if not float(spread[-1]) > _EQUAL * widest:
            widest, state = None, loop.begin(seed + _RESTART * index)
            evaluations += loop.first
    gap = (best - problem.optimum) / problem.unit
    missing = len(problem.targets) - len(attempts)
    return attempts + [Attempt(False, evaluations, seconds, gap)] * missing
