"""What a swap after every move adds to a step, from many short pairs of runs.

Noise of a percent and more, which lasts for seconds, cancels in the ratio of two calls of a
twentieth of a second.
"""

import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from benchmarks import rows as _rows
from benchmarks.step import suite as step
from benchmarks.step.swaps import RUNGS, tempering
from benchmarks.step.tables import ADDED
from benchmarks.workloads import Workload

_DRAWS = 2_000
_CALL = 0.05  # seconds: beginning a call takes two milliseconds


def study(loads: Iterator[Workload], seconds: float) -> Iterator[dict[str, Any]]:
    """Yield a row for each workload that has enough chains for a ladder.

    Args:
        loads: The workloads.
        seconds: How long each is measured.
    """
    for load in loads:
        if load.chains >= RUNGS:
            yield _row(load, pairs(load, seconds))


def pairs(load: Workload, seconds: float) -> np.ndarray:
    """Return seconds of calls with a swap every move and every 10 moves, ``[pairs, 2]``."""
    starts = jax.vmap(load.start)(jax.random.split(jax.random.key(0), load.chains))
    both = [
        step.solver(load, starts, tempering(load.chains, every), load.chains)[0]
        for every in (1, 10)
    ]
    moves = 10 * max(1, int(_CALL / step.seconds_of(both[1], 10)))
    found: list[list[float]] = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or len(found) < 2:
        order = (0, 1) if len(found) % 2 else (1, 0)
        times = {index: _timed(both[index], moves) for index in order}
        found.append([times[0], times[1]])
    return np.array(found)


def added(times: np.ndarray) -> float:
    """Return what a swap adds to a move, as a share of the move, from pairs of seconds.

    Maths: with the move m and the swap s, the pair is m + s and m + s / 10.
    """
    ratio = float(np.median(times[:, 0] / times[:, 1]))
    return (ratio - 1) / (1 - ratio / 10)


def interval(times: np.ndarray) -> list[float]:
    """Return 95 % of :func:`added` of pairs that are drawn again."""
    drawn = np.random.default_rng(0).integers(len(times), size=(_DRAWS, len(times)))
    return np.percentile([added(times[index]) for index in drawn], [2.5, 97.5]).tolist()


def _row(load: Workload, times: np.ndarray) -> dict[str, Any]:
    return _rows.make(
        "step",
        load.name,
        ADDED,
        chains=load.chains,
        block=load.chains,
        repeats=len(times),
        added=added(times),
        interval=interval(times),
    )


def _timed(function: Any, moves: int) -> float:
    began = time.perf_counter()
    function(moves)
    return time.perf_counter() - began
