"""Steps with one host device per core, in a process of its own: JAX has its devices for life.

``python -m benchmarks.step.core_steps`` is that process; it prints a row of JSON for each solver.
"""

import json
from collections.abc import Iterator
from typing import Any

import jax

import jaxanneal as ja
from benchmarks import processes as _processes
from benchmarks.step import suite as step
from benchmarks.step import swaps as _swaps
from benchmarks.step.tables import BARE, PER_CORE
from benchmarks.workloads import Workload, workloads

# Of the widths tried, 1 to half of the chains, the quickest on two cores.
_BLOCKS = {
    "MLP 64, 32, 1437": 1,
    "MLP 64, 32, 100": 16,
    "Rastrigin 4096, d=10": 2048,
    "MLP 1024, 8, 100": 32,
    "MLP 256, 32, 32": 64,
    "MLP 4096, 8, 100": 32,
    "Ising 64 x 64, 64": 4,
}


def rows() -> Iterator[dict[str, Any]]:
    """Start the process, and yield its rows as they come."""
    yield from _processes.printed("step.core_steps", **_processes.CPU)


def solvers(workload: Workload) -> dict[str, tuple[Any, int]]:
    """Return the methods that are timed, in blocks of which each core has one or more."""
    found: dict[str, Any] = {"SA": step.annealing(workload.chains)}
    if workload.chains >= _swaps.RUNGS:
        found["PT, swap every 10"] = _swaps.tempering(workload.chains, 10)
    block = _BLOCKS[workload.name]
    return {f"{name}, {PER_CORE}": (method, block) for name, method in found.items()}


def main() -> None:
    """Measure, and print what was measured; one chain has nothing to spread."""
    ja.use_host_devices()
    for workload in workloads(quick=False):
        if workload.chains > 1:
            for row in step.measure(workload, False, False, solvers):
                name = row["solver"]
                name = f"{name}, {PER_CORE}" if name in BARE else name
                told = {"solver": name, "devices": jax.local_device_count(), "memory": None}
                print(json.dumps(row | told), flush=True)  # the memory is that of one device


if __name__ == "__main__":
    main()
