"""Steps with one host device per core, in a process of its own: JAX has its devices for life.

``python -m benchmarks._core_steps`` is that process; it prints a row of JSON for each solver.
"""

import json
import os
import pathlib
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import jax

import jaxanneal as ja
from benchmarks import _swaps, step
from benchmarks._workloads import workloads
from jaxanneal._blocks import default_width

NAME = "a device per core"


def rows() -> Iterator[dict[str, Any]]:
    """Start the process, and yield its rows as they come."""
    root = pathlib.Path(__file__).parent.parent
    command = [sys.executable, "-m", "benchmarks._core_steps"]
    place = os.environ | {"JAX_PLATFORMS": "cpu"}
    with subprocess.Popen(
        command, cwd=root, env=place, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise RuntimeError(f"Measuring with {NAME}: exit status {process.returncode}.")


def solvers(chains: int, start: Any) -> dict[str, tuple[Any, int]]:
    """Return the methods that are timed, each core with a block or more of its own."""
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(start)) // chains
    block = min(default_width(chains, size, "cpu"), -(-chains // jax.local_device_count()))
    found: dict[str, Any] = {"SA": step.annealing(chains)}
    if chains >= _swaps.RUNGS:
        found["PT, swap every 10"] = _swaps.tempering(chains, 10)
    return {f"{name}, {NAME}": (method, block) for name, method in found.items()}


def main() -> None:
    """Measure, and print what was measured; one chain has nothing to spread."""
    ja.use_host_devices()
    for workload in workloads(quick=False):
        if workload.chains > 1:
            for row in step.measure(workload, False, False, solvers):
                if NAME in row["solver"]:
                    told = {"devices": jax.local_device_count(), "memory": None}  # that of one
                    print(json.dumps(row | told), flush=True)


if __name__ == "__main__":
    main()
