"""How soon parallel tempering reaches a known optimum, by the moves between exchanges."""

import statistics
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

import jaxanneal as ja
from benchmarks import rows as _rows
from benchmarks.targets import ising, ladder
from benchmarks.workloads import rastrigin

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
            lambda key: jax.random.uniform(key, (10,), minval=-5.0, maxval=5.0),
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
        found: dict[int, list[Any]] = {every: [] for every in everies}
        for seed in range(repeats + 1):
            for every, results in found.items():
                results.append(_found(search, every, seed, steps))
        for every, (_, *results) in found.items():  # the first one compiles
            reached = [each for each in results if each.stop_reason is ja.StopReason.TARGET]
            moves = statistics.median(each.steps for each in results)
            seconds = statistics.median(each.seconds for each in results)
            told = 2 * len(reached) > repeats  # the median itself is of one that reached it
            yield _rows.make(
                "exchanges",
                search.name,
                f"deo, swap_every={every}",
                repeats=repeats,
                ladders=_LADDERS,
                rungs=len(search.temperatures),
                reached=len(reached) / repeats,
                moves_to_target=moves if told else None,
                seconds_to_target=seconds if told else None,
            )


def _found(search: Search, every: int, seed: int, steps: int) -> Any:
    method = ja.ParallelTempering(
        ladders=_LADDERS,
        temperatures=np.asarray(search.temperatures),
        swap_every=every,
        warmup=steps // 10,
    )
    return ja.anneal(
        search.energy,
        search.start,
        key=seed,
        method=method,
        move=search.move,
        steps=steps,
        target=search.target,
        progress=False,
    )
