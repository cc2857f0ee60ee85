"""What checkpoints and progress take of a run: by the clock, and by what is spent in them."""

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil

import jaxanneal as ja
from benchmarks.rows import new_row
from benchmarks.scale.runs import begin
from benchmarks.workloads import Workload
from jaxanneal._run import anneal
from jaxanneal._run.checkpoint import Saves
from jaxanneal._run.driver import Driver

PLAIN = "plain"
# Where the time goes: saves and the fingerprint of the call, the bar and the callback.
_PARTS = {
    "checkpoint": ((Saves, "save"), (anneal, "fingerprint")),
    "progress bar and callback": ((Driver, "_show"),),
}
_DRAWS = 2_000


def study(workload: Workload, seconds: float, repeats: int) -> Iterator[dict[str, Any]]:
    """Make the same run without and with each of them in turn; yield a row for each.

    Args:
        workload: What is annealed.
        seconds: How long a run is to take.
        repeats: Runs of each kind.
    """
    steps, names = _steps(workload, seconds), (PLAIN, *_PARTS)
    threads = {name: _threads(workload, name) for name in names}
    whole: dict[str, list[float]] = {name: [] for name in names}
    inside: dict[str, list[list[list[float]]]] = {name: [] for name in names}
    behind: dict[str, list[float]] = {name: [] for name in _PARTS}
    for _ in range(repeats):
        for name in names:
            since = cpu_seconds()
            spent, parts = timed(workload, name, steps)
            whole[name].append(spent)
            inside[name].append(parts)
            if name == PLAIN:
                for part, values in behind.items():
                    values.append(used(threads[part], since))
    middle = statistics.median(whole[PLAIN])
    for name, values in whole.items():
        # Part by part: the first of them may be called more than once, the others are so once.
        first = [x for parts in inside[name] for x in parts[0]] if name in _PARTS else []
        spent = [sum(map(sum, parts)) for parts in inside[name]]
        yield new_row(
            "scale",
            f"{workload.name}, runs of {seconds:g} s",
            name,
            study="overhead",
            chains=workload.chains,
            steps=steps,
            repeats=repeats,
            seconds=statistics.median(values),
            ratio=statistics.median(values) / middle,
            interval=interval(values, whole[PLAIN]),
            spent_seconds=statistics.median(spent),
            behind_seconds=max(behind[name]) if name in behind else None,
            calls=len(first) / repeats,
            seconds_per_call=statistics.median(first) if first else None,
            spread=[min(values) / middle, max(values) / middle],
        )


def _steps(workload: Workload, seconds: float) -> int:
    """Return how many moves take so long, of a run whose programs are compiled."""
    begin(workload, 2)
    pilot = begin(workload, 10**7, max_seconds=max(0.2, seconds / 4))
    return max(1, round(pilot.steps / pilot.seconds * seconds))


def _threads(workload: Workload, name: str) -> set[int]:
    """Return the threads that a first run starts, which also imports and compiles."""
    before = set(cpu_seconds())
    timed(workload, name, 2)
    return set(cpu_seconds()) - before


def timed(workload: Workload, name: str, steps: int) -> tuple[float, list[list[float]]]:
    """Return the seconds of a whole call, and those of every call of each of the watched parts."""
    with contextlib.ExitStack() as stack:
        parts = [stack.enter_context(watched(*part)) for part in _PARTS.get(name, ())]
        options: dict[str, Any] = {}
        if name == "checkpoint":
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            options["checkpoint"] = ja.Checkpoint(folder)
        elif name != PLAIN:
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
            options |= {"progress": True, "callback": lambda progress: False}
        since = time.perf_counter()
        begin(workload, steps, **options)
        return time.perf_counter() - since, parts


def cpu_seconds() -> dict[int, float]:
    """Return what each thread of this process has used of a processor so far."""
    return {x.id: x.user_time + x.system_time for x in psutil.Process().threads()}


def used(threads: set[int], since: dict[int, float]) -> float:
    """Return the processor's seconds that some threads have used since then."""
    return sum(now - since.get(x, 0.0) for x, now in cpu_seconds().items() if x in threads)


@contextlib.contextmanager
def watched(owner: Any, name: str) -> Iterator[list[float]]:
    """Note the seconds of every call of a function meanwhile."""
    original: Callable[..., Any] = getattr(owner, name)
    seconds: list[float] = []

    def call(*args: Any, **options: Any) -> Any:
        since = time.perf_counter()
        try:
            return original(*args, **options)
        finally:
            seconds.append(time.perf_counter() - since)

    setattr(owner, name, call)
    try:
        yield seconds
    finally:
        setattr(owner, name, original)


def interval(values: list[float], plain: list[float]) -> list[float]:
    """Return 95 % of the ratios of medians of repeats that are drawn again, pair by pair."""
    drawn = np.random.default_rng(0).integers(len(plain), size=(_DRAWS, len(plain)))
    ratios = np.median(np.array(values)[drawn], 1) / np.median(np.array(plain)[drawn], 1)
    return np.percentile(ratios, [2.5, 97.5]).tolist()
