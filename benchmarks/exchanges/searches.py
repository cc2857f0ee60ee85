"""How soon parallel tempering reaches a known optimum, by the moves between exchanges."""

import statistics
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxanneal as ja
from benchmarks.rows import new_row
from benchmarks.targets import ising, ladder
from benchmarks.workloads import rastrigin, uniform_start

_STEPS, _LADDERS = 100_000, 4


class Search(NamedTuple):
    """An energy whose lowest value is known.

    Args:
        name: As the table shows it.
        energy: The energy.
        start: ``key -> params``, far from the optimum.
        move: The move.
        temperatures: The ladder, the coldest first.
        target: An energy that only the basin of the optimum has.
    """

    name: str
    energy: Callable[[Any], jax.Array]
    start: Callable[[jax.Array], Any]
    move: Any
    temperatures: tuple[float, ...]
    target: float


def searches() -> list[Search]:
    """Return a rugged function, whose next basin has the energy 1, and a lattice."""
    lattice = ising(16, 2.0, 8, 16, 0)
    return [
        Search(
            "Rastrigin d=10, to 0.5",
            rastrigin,
            uniform_start,
            ja.moves.StudentT(df=1, fraction=0.1),
            ladder(0.05, 10.0, 12),
            0.5,
        ),
        Search(
            "Ising 16 x 16, to the ground state",
            lattice.energy,
            lattice.start,
            ja.moves.Flip(),
            ladder(0.8, 3.2, 12),
            -512.0,
        ),
    ]


def study(everies: tuple[int, ...], repeats: int, steps: int = _STEPS) -> Iterator[dict[str, Any]]:
    """Yield a row for each number of moves between exchanges, all of them in turn in a repeat.

    Args:
        everies: Moves between exchanges.
        repeats: Seeds.
        steps: Moves after which a search is given up.
    """
    for search in searches():
        runs: dict[int, list[Any]] = {every: [] for every in everies}
        for seed in range(repeats + 1):
            for every, results in runs.items():
                results.append(_run(search, every, seed, steps))
        for every, (_, *results) in runs.items():  # the first one compiles
            reached = sum(result.stop_reason is ja.StopReason.TARGET for result in results)
            moves = statistics.median(result.steps for result in results)
            seconds = statistics.median(result.seconds for result in results)
            by_most = 2 * reached > repeats  # the median itself is of one that reached it
            yield new_row(
                "exchanges",
                search.name,
                f"deo, swap_every={every}",
                repeats=repeats,
                ladders=_LADDERS,
                rungs=len(search.temperatures),
                reached=reached / repeats,
                moves_to_target=moves if by_most else None,
                seconds_to_target=seconds if by_most else None,
            )


def _run(search: Search, every: int, seed: int, steps: int) -> Any:
    shape: dict[str, Any] = {"ladders": _LADDERS, "temperatures": np.asarray(search.temperatures)}
    method = ja.ParallelTempering(**shape, swap_every=every, warmup=steps // 10)
    start: dict[str, Any] = {"params": search.start, "key": seed, "method": method}
    start |= {"move": search.move, "target": search.target}
    return ja.anneal(search.energy, **start, steps=steps, progress=False)
