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
from benchmarks import processes as _processes
from benchmarks import rows as _rows
from benchmarks.step.swaps import tempering
from benchmarks.workloads import network

SOLVERS = ("SA", "PT, swap every 10")
_CHAINS, _STEPS, _PROCESSES = 64, 100, 5
_CACHED, _CACHE_ALL = ", cached", {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
_LEAST, _LEVEL_0 = ", level 0", {"XLA_FLAGS": "--xla_backend_optimization_level=0"}


def study() -> Iterator[dict[str, Any]]:
    """Start processes, one solver and the other in turn; yield rows for each solver.

    Each is asked without JAX's compilation cache, with one that an earlier process has filled, and
    without LLVM's optimisations.
    """
    made: dict[tuple[str, str], list[dict[str, Any]]] = {}
    with tempfile.TemporaryDirectory() as filled:
        for _ in range(1 + _PROCESSES):
            none = {"JAX_COMPILATION_CACHE_DIR": ""}
            cache = {"JAX_COMPILATION_CACHE_DIR": filled} | _CACHE_ALL
            kinds = ("", none), (_CACHED, cache), (_LEAST, none | _LEVEL_0)
            for solver, (kind, environment) in itertools.product(SOLVERS, kinds):
                printed = _processes.printed("step.first_results", solver, **environment)
                made.setdefault((solver, kind), []).extend(printed)
    for (solver, kind), (_, *found) in made.items():  # the first filled the cache
        compiling = [each["compile_seconds"] for each in found]
        yield _rows.make(
            "step",
            network(_CHAINS, 32, 100).name,
            f"{solver}, first result{kind}",
            chains=_CHAINS,
            steps=_STEPS,
            repeats=_PROCESSES,
            compile_seconds=statistics.median(compiling),
            seconds=statistics.median(each["seconds"] for each in found),
            spread=[min(compiling), max(compiling)],
        )


def main(solver: str) -> None:
    """Make a short run, whose temperatures are given, and print how long it took to begin."""
    load = network(_CHAINS, 32, 100)
    cooling = ja.cooling.Geometric(1e-2, 1e-4)
    method = ja.SimulatedAnnealing(_CHAINS, cooling)
    move = ja.moves.Gaussian(0.01)
    options: dict[str, Any] = {"args": load.args, "move": move, "progress": False}
    options["method"] = method if solver == SOLVERS[0] else tempering(_CHAINS, 10)
    began = time.perf_counter()
    run = ja.anneal(load.energy, load.start, key=0, steps=_STEPS, **options)
    seconds = time.perf_counter() - began
    print(json.dumps({"compile_seconds": run.compile_seconds, "seconds": seconds}))


if __name__ == "__main__":
    main(sys.argv[1])
