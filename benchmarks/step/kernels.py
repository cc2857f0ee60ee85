"""The kernels of a step on a GPU, as JAX profiles them: ``python -m benchmarks.step.kernels``."""

import collections
import gzip
import json
import pathlib
import tempfile
from collections.abc import Callable
from typing import Any

import jax

from benchmarks.step.floors import bare
from benchmarks.step.methods import RUNGS, program_of, tempering
from benchmarks.step.tables import BARE
from benchmarks.workloads import annealing, workloads

_STEPS, _SHOWN = 40, 14


def main() -> None:
    """Print the kernels of a step of every workload, of the bare energy, SA and PT."""
    if jax.default_backend() == "cpu":
        raise RuntimeError("benchmarks.step.kernels: expected a GPU, got the CPU alone.")
    for workload in workloads(quick=False, large=True):
        starts = jax.vmap(workload.start)(jax.random.split(jax.random.key(0), workload.chains))
        functions = {BARE[1]: bare(workload, starts)[BARE[1]].moves}
        methods: dict[str, Any] = {"SA": annealing(workload.chains)}
        if workload.chains >= RUNGS:
            methods["PT, swap every 1"] = tempering(workload.chains, 1)
        for name, method in methods.items():
            functions[name] = program_of(workload, starts, method, None).moves
        for name, function in functions.items():
            print(*_lines(f"{workload.name}, {name}", function), sep="\n", flush=True)


def _lines(title: str, function: Callable[[int], None]) -> list[str]:
    function(_STEPS)
    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            function(_STEPS)
        events = [
            event
            for path in pathlib.Path(folder).rglob("*.trace.json.gz")
            for event in json.loads(gzip.decompress(path.read_bytes()))["traceEvents"]
        ]
    spent = _spent(events)
    total = sum(sum(times) for times in spent.values()) / _STEPS
    count = sum(len(times) for times in spent.values()) / _STEPS
    lines = [f"{title}: {count:.1f} kernels, {total:.1f} us a step"]
    for name, times in sorted(spent.items(), key=lambda item: -sum(item[1]))[:_SHOWN]:
        lines.append(f"{sum(times) / _STEPS:10.2f} us {len(times) / _STEPS:7.2f} x  {name}")
    return lines


def _spent(events: list[dict[str, Any]]) -> dict[str, list[float]]:
    """Return the microseconds of each run of every kernel on the GPU's streams."""
    names = [
        (event.get("pid"), event.get("tid"), str(event.get("args", {}).get("name")))
        for event in events
        if event.get("ph") == "M"
    ]
    gpus = {process for process, _, name in names if "device:GPU" in name}
    streams = {(process, thread) for process, thread, name in names if "Stream" in name}
    spent: dict[str, list[float]] = collections.defaultdict(list)
    for event in events:
        place = event.get("pid"), event.get("tid")
        if event.get("ph") == "X" and place[0] in gpus and place in streams:
            spent[event["name"]].append(event["dur"])
    return spent


if __name__ == "__main__":
    main()
