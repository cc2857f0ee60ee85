"""The same run on 1, 2, 4 and 8 devices, in a process of its own for each: speed, and its bits.

``python -m benchmarks.scale.device_counts DEVICES LOAD CHAINS STEPS REPEATS`` is one of these
processes.
"""

import hashlib
import json
import statistics
import sys
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

import jaxanneal as ja
from benchmarks.processes import CPU, printed
from benchmarks.rows import new_row
from benchmarks.scale.runs import whole
from benchmarks.workloads import Workload, network, rastrigin, uniform_start

NETWORK, FREE = "MLP 64-8-10, 100 digits", "Rastrigin, d=10"
BLOCK, _RUNGS = 64, 16


def study(
    counts: tuple[int, ...], name: str, chains: int, steps: int, repeats: int
) -> Iterator[dict[str, Any]]:
    """Start a process with each number of devices; yield its row."""
    for devices in counts:
        arguments = devices, name, chains, steps, repeats
        (measured,) = printed("scale.device_counts", *arguments, **CPU)
        yield new_row(
            "scale",
            f"{name}: {chains} chains",
            f"{devices} devices",
            study="devices",
            devices=devices,
            block=BLOCK,
            steps=steps,
            repeats=repeats,
            **measured,
        )


def workload(name: str, chains: int) -> Workload:
    """Return one of the two energies."""
    if name == NETWORK:
        return network(chains, 8, 100)
    return Workload(name, chains, rastrigin, uniform_start, ())


def run(load: Workload, steps: int) -> ja.Result[Any]:
    """Return a run with exchanges, whose ladder and step sizes adapt for half of it."""
    ladder = np.geomspace(1e-4, 1e-2, _RUNGS)
    method = ja.ParallelTempering(ladders=load.chains // _RUNGS, temperatures=ladder, swap_every=5)
    options: dict[str, Any] = {"steps": steps, "block": BLOCK, "progress": False}
    options |= {"args": load.args, "method": method}
    return whole(ja.anneal(load.energy, load.start, key=0, **options))


def digest(result: ja.Result[Any]) -> str:
    """Return a digest of all numbers of a run: best state, chains, history, ladder, swaps."""
    states = (result.params, result.energy, result.chains.params, result.chains.energy)
    ladder = (result.diagnostics.swap_rate, result.diagnostics.temperatures)
    sha = hashlib.sha256()
    for leaf in jax.tree.leaves((states, ladder, result.history)):
        sha.update(np.asarray(leaf).tobytes())
    return sha.hexdigest()[:16]


def main(devices: int, name: str, chains: int, steps: int, repeats: int) -> None:
    """Measure on so many devices, and print what was measured."""
    ja.use_host_devices(devices)
    load = workload(name, chains)
    first = run(load, steps)
    results = [run(load, steps) for _ in range(repeats)]
    digests = {digest(result) for result in (first, *results)}
    speeds = [steps * chains / result.seconds for result in results]
    middle = statistics.median(speeds)
    measured = {
        "evaluations_per_second": middle,
        "spread": [min(speeds) / middle, max(speeds) / middle],
        "compile_seconds": first.compile_seconds,
        "used": len(first.chains.energy.sharding.device_set),
        "energy": first.energy,
        "digest": " ".join(sorted(digests)),  # one, unless repeats differ
    }
    print(json.dumps(measured))


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:]))
