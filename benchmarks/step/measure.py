"""Programs that make steps, timed in turn: A B C A B C."""

import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax

from benchmarks.rows import new_row
from benchmarks.step.floors import bare
from benchmarks.step.methods import Program, program_of
from benchmarks.step.roofline import Peaks, least_seconds
from benchmarks.step.tables import BARE
from benchmarks.workloads import Workload

_REPEATS, _QUICK_REPEATS = 9, 7
# Seconds of a call: a long run makes its moves in chunks of half a second, and beginning one takes
# two milliseconds.
_CALL, _QUICK_CALL = 0.25, 0.05


def measure(
    workload: Workload,
    methods: dict[str, tuple[Any, int | None]],
    quick: bool,
    beside: Iterable[Callable[[Workload, Any], Iterator[tuple[str, Program]]]] = (),
    limit: Peaks | None = None,
) -> Iterator[dict[str, Any]]:
    """Time bare, our methods and the rest in turn, and yield rows with the ratios of medians.

    Args:
        workload: The energy, its starts and its data.
        methods: Our methods, and the chains in a block of each.
        quick: Whether to measure fewer times, and shorter.
        beside: Functions of the workload and its starts that yield what is timed besides.
        limit: What the device reaches, where the share of that is of interest.
    """
    starts = jax.vmap(workload.start)(jax.random.split(jax.random.key(0), workload.chains))
    programs = bare(workload, starts)
    for name, (method, block) in methods.items():
        programs[name] = program_of(workload, starts, method, block)
    for others in beside:
        programs.update(others(workload, starts))
    steps, seconds = _in_turn(programs, quick)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    baseline = min(medians[name] for name in BARE[:2])  # as JAX compiles it for anyone
    least = None if limit is None else least_seconds(workload, starts, limit)
    for name, program in programs.items():
        yield new_row(
            "step",
            workload.name,
            name,
            chains=workload.chains,
            steps=steps[name],
            repeats=len(seconds[name]),
            ratio=medians[name] / baseline,
            microseconds=medians[name] * 1e6,
            nanoseconds_per_chain=medians[name] * 1e9 / workload.chains,
            spread=[min(seconds[name]) / baseline, max(seconds[name]) / baseline],
            compile_seconds=program.compile_seconds,
            block=program.block,
            memory=program.memory,
            coordinates=sum(x.size for x in jax.tree.leaves(starts)) // workload.chains,
            roofline=None if least is None else least / medians[name],
            peaks=limit and limit._asdict(),
        )


def _in_turn(
    programs: dict[str, Program], quick: bool
) -> tuple[dict[str, int], dict[str, list[float]]]:
    """Return the steps of a call, and the seconds of a step of all chains in each repeat."""
    repeats, call = (_QUICK_REPEATS, _QUICK_CALL) if quick else (_REPEATS, _CALL)
    steps = {name: _steps_in(call, program.moves) for name, program in programs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    for _ in range(repeats):
        for name, program in programs.items():
            spent = warm_seconds(program.moves, steps[name]) / steps[name]
            seconds[name].append(program.runs * spent)
    return steps, seconds


def _steps_in(seconds: float, moves: Callable[[int], None]) -> int:
    """Return how many steps take so long, in tens where there are some: each with an exchange."""
    few = max(1, int(0.01 / warm_seconds(moves, 1)))  # or a GPU's wait would count as a step
    steps = int(seconds * few / warm_seconds(moves, few))
    return max(1, steps if steps < 10 else steps // 10 * 10)


def warm_seconds(moves: Callable[[int], None], steps: int) -> float:
    """Return the seconds of so many steps, made a second time."""
    moves(steps)
    return seconds_of(moves, steps)


def seconds_of(moves: Callable[[int], None], steps: int) -> float:
    """Return the seconds of so many steps."""
    began = time.perf_counter()
    moves(steps)
    return time.perf_counter() - began
