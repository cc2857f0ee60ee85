"""What the first result of a fresh process waits for.

``python -m benchmarks.step.first_results SOLVER`` is such a process; it prints a line of JSON.
"""

import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any

import jaxanneal as ja
from benchmarks.processes import printed
from benchmarks.rows import new_row
from benchmarks.step.methods import tempering
from benchmarks.workloads import network

SOLVERS = ("SA", "PT, swap every 10")
_CHAINS, _STEPS, _PROCESSES = 64, 100, 5
_CACHED, _CACHE_ALL = ", cached", {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
_LEAST, _LEVEL_0 = ", level 0", {"XLA_FLAGS": "--xla_backend_optimization_level=0"}


def study() -> Iterator[dict[str, Any]]:
    """Start processes, one solver and the other in turn; yield rows for each solver.

    Each solver runs without JAX's compilation cache, with one that an earlier process has filled,
    and without LLVM's optimisations.
    """
    results: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as filled:
        for _ in range(1 + _PROCESSES):
            none = {"JAX_COMPILATION_CACHE_DIR": ""}
            cache = {"JAX_COMPILATION_CACHE_DIR": filled} | _CACHE_ALL
            kinds = ("", none), (_CACHED, cache), (_LEAST, none | _LEVEL_0)
            for solver, (kind, environment) in itertools.product(SOLVERS, kinds):
                lines = printed("step.first_results", solver, **environment)
                results.setdefault((solver, kind), []).extend(lines)
    for (solver, kind), (_, *repeats) in results.items():  # the first filled the cache
        compiling = [repeat["compile_seconds"] for repeat in repeats]
        yield new_row(
            "step",
            network(_CHAINS, 32, 100).name,
            f"{solver}, first result{kind}",
            chains=_CHAINS,
            steps=_STEPS,
            repeats=_PROCESSES,
            compile_seconds=statistics.median(compiling),
            seconds=statistics.median(repeat["seconds"] for repeat in repeats),
            spread=[min(compiling), max(compiling)],
        )


def main(solver: str) -> None:
    """Make a short run, whose temperatures are given, and print how long it took to begin."""
    load = network(_CHAINS, 32, 100)
    annealing = ja.SimulatedAnnealing(_CHAINS, ja.cooling.Geometric(1e-2, 1e-4))
    method: Any = annealing if solver == SOLVERS[0] else tempering(_CHAINS, 10)
    options: dict[str, Any] = {"args": load.args, "move": ja.moves.Gaussian(0.01), "method": method}
    began = time.perf_counter()
    run = ja.anneal(load.energy, load.start, key=0, steps=_STEPS, progress=False, **options)
    seconds = time.perf_counter() - began
    print(json.dumps({"compile_seconds": run.compile_seconds, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1])
