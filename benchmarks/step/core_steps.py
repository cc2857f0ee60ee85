"""Steps with one host device per core, in a process of its own: JAX has its devices for life.

``python -m benchmarks.step.core_steps`` is that process; it prints a row of JSON for each solver.
"""

import json
from collections.abc import Iterator
from typing import Any

import jax

import jaxanneal as ja
from benchmarks.processes import CPU, printed
from benchmarks.step.measure import measure
from benchmarks.step.methods import RUNGS, tempering
from benchmarks.step.tables import BARE, PER_CORE
from benchmarks.workloads import Workload, annealing, workloads

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
    yield from printed("step.core_steps", **CPU)


def methods(workload: Workload) -> dict[str, tuple[Any, int | None]]:
    """Return the methods that are timed, in blocks of which each core has one or more."""
    block = _BLOCKS[workload.name]
    blocks: dict[str, Any] = {f"SA, {PER_CORE}": (annealing(workload.chains), block)}
    if workload.chains >= RUNGS:
        blocks[f"PT, swap every 10, {PER_CORE}"] = tempering(workload.chains, 10), block
    return blocks


def main() -> None:
    """Measure, and print what was measured; one chain has nothing to spread."""
    ja.use_host_devices()
    for workload in workloads(quick=False):
        if workload.chains > 1:
            for row in measure(workload, methods(workload), quick=False):
                name = row["solver"]
                row["solver"] = f"{name}, {PER_CORE}" if name in BARE else name
                row["memory"] = None  # it would be that of one device
                print(json.dumps(row | {"devices": jax.local_device_count()}), flush=True)


if __name__ == "__main__":
    main()
