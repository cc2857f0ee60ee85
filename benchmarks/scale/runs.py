"""Runs of the public call that are measured whole or not at all; importing this starts no JAX."""

from typing import Any

import jaxanneal as ja
from benchmarks.workloads import Workload, annealing


def whole(result: ja.Result[Any]) -> ja.Result[Any]:
    """Return a run that nobody interrupted: a part of it would make a wrong row.

    Raises:
        KeyboardInterrupt: Ctrl-C or SIGTERM ended it, which is meant for the benchmark.
    """
    if result.stop_reason is ja.StopReason.INTERRUPTED:
        raise KeyboardInterrupt
    return result


def begin(load: Workload, steps: int, **options: Any) -> ja.Result[Any]:
    """Make a run of simulated annealing from its starts."""
    method, move = annealing(load.chains), ja.moves.Gaussian(0.01)
    options = {"progress": False, "args": load.args, "method": method, "move": move} | options
    return whole(ja.anneal(load.energy, load.start, key=0, steps=steps, **options))


def go_on(
    load: Workload, steps: int, before: ja.Result[Any], max_seconds: float | None = None
) -> ja.Result[Any]:
    """Go on from a run; a single record, at its end."""
    options: dict[str, Any] = {"progress": False, "args": load.args, "max_seconds": max_seconds}
    options |= {"steps": steps, "record_every": steps}
    return whole(ja.anneal(load.energy, state=before.state, **options))
