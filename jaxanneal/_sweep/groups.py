"""All runs of one structure, batch by batch: as many as fit the memory and the time between looks.

What goes wrong in a batch is searched by halving it, so that one run cannot stop the others.
"""

from collections.abc import Iterator
from typing import Any

from jaxanneal._engine.compile import is_overflow
from jaxanneal._engine.history import Layout
from jaxanneal._engine.programs import Setup
from jaxanneal._engine.sharding import default_device
from jaxanneal._run.clock import Clock
from jaxanneal._run.interrupt import Interruption
from jaxanneal._sweep.batch import Batch, Outcome, Run, told
from jaxanneal._sweep.memory import first_size
from jaxanneal._sweep.moves import Interrupted, Moves
from jaxanneal._sweep.programs import Structural

# Results are written and progress is shown about this often.
_BATCH_SECONDS = 5.0

_FIRST, _GROWTH = 8, 8


def grouped(runs: list[Run]) -> list[list[Run]]:
    """Return the runs by structure: each group has a program of its own."""
    groups: dict[Any, list[Run]] = {}
    for run in runs:
        groups.setdefault(run.job.kind, []).append(run)
    return list(groups.values())


def outcomes(
    runs: list[Run], params: Any, interruption: Interruption, clock: Clock
) -> Iterator[list[tuple[Run, Outcome]]]:
    """Run a group, and yield what was found batch by batch.

    Raises:
        Interrupted: Ctrl-C was pressed.
    """
    problem = runs[0].job.problem
    own_data = any(run.job.problem.data is not problem.data for run in runs)
    setup = Setup(problem.energy, None, problem.width, Layout(False, 1), None)
    moves = Moves(setup, own_data, interruption, clock)
    size = first_size(problem, len(runs))
    count = min(size, _FIRST) if default_device().platform == "cpu" else size
    left = list(runs)
    while left:
        taken, began = left[:count], clock.seconds
        try:
            found = Batch(taken, size, params, moves).outcomes()
        except Interrupted:
            raise
        except Structural as error:
            text = told(error.__cause__ or error)
            yield [(run, Outcome(text)) for run in left]
            return
        except Exception as error:
            if interruption.requested:  # a second Ctrl-C, within the energy
                raise Interrupted from error
            if is_overflow(error) and size > 1:
                size, count = _halved(size, count)
            elif len(taken) > 1:
                count = len(taken) // 2
            else:
                left = left[1:]
                yield [(taken[0], Outcome(told(error)))]
        else:
            left = left[len(taken) :]
            yield list(zip(taken, found, strict=True))
            fitting = count * _BATCH_SECONDS / max(clock.seconds - began, 1e-9)
            count = int(max(1, min(size, fitting, _GROWTH * count)))


def _halved(size: int, count: int) -> tuple[int, int]:
    half = max(1, size // 2)
    return half, min(count, half)
