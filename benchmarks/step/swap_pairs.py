"""What a swap after every move adds to a step, from many short pairs of runs.

Noise of a percent and more, which lasts for seconds, cancels in the ratio of two calls of a
twentieth of a second.
"""

import time
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from benchmarks.rows import new_row
from benchmarks.step.measure import seconds_of, warm_seconds
from benchmarks.step.methods import RUNGS, program_of, tempering
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
            times = pairs(load, seconds)
            yield new_row(
                "step",
                load.name,
                ADDED,
                chains=load.chains,
                block=load.chains,
                repeats=len(times),
                added=added(times),
                interval=interval(times),
            )


def pairs(load: Workload, seconds: float) -> np.ndarray:
    """Return seconds of calls with a swap every move and every 10 moves, ``[pairs, 2]``."""
    starts = jax.vmap(load.start)(jax.random.split(jax.random.key(0), load.chains))
    both = [
        program_of(load, starts, tempering(load.chains, every), load.chains).moves
        for every in (1, 10)
    ]
    moves = 10 * max(1, int(_CALL / warm_seconds(both[1], 10)))
    times: list[list[float]] = []
    began = time.perf_counter()
    while time.perf_counter() - began < seconds or len(times) < 2:
        order = (0, 1) if len(times) % 2 else (1, 0)
        pair = {index: seconds_of(both[index], moves) for index in order}
        times.append([pair[0], pair[1]])
    return np.array(times)


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
