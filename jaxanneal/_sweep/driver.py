"""The moves of many runs at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxanneal._engine import history
from jaxanneal._engine.programs import row_shapes
from jaxanneal._engine.setup import Setup
from jaxanneal._engine.sharding import default_device
from jaxanneal._engine.state import State
from jaxanneal._pytree import shapes_of_one
from jaxanneal._run import chunks
from jaxanneal._run.chunks import Chunks, Goal, Pace, timed
from jaxanneal._run.interrupt import Clock, Interruption
from jaxanneal._sweep.programs import mapped, moves_program, own_args, prepare, require_memory


class Interrupted(Exception):
    """Ctrl-C was pressed in the middle of a batch."""


class BatchDriver:
    """Make moves of runs of one structure.

    Args:
        setup: The static part of their calls.
        own_data: Whether each run has data of its own.
        interruption: Whether Ctrl-C was pressed.
        clock: The call's clock.
    """

    def __init__(self, setup: Setup, own_data: bool, interruption: Interruption, clock: Clock):
        self.setup, self.own_data = setup, own_data
        self.interruption, self.clock = interruption, clock
        self._pace = Pace()

    def __call__(
        self, state: State, methods: Sequence[Any], goals: Sequence[Goal], data: Any
    ) -> tuple[State, np.ndarray, list[Any]]:
        """Move each run until it has a reason to stop.

        Args:
            state: The states of all runs, whose buffers are taken over.
            methods: Their methods as the host knows them.
            goals: When each ends.
            data: The data of each run, or of all.

        Returns:
            The states, the moves made by each run, and why each stopped.
        """
        runs = Chunks(state, self._recorder(state, data), data, methods, goals, many=True)
        batched = (True, False, own_args(self.own_data), True)
        program = mapped(moves_program(self.setup), batched, donate=(0,))
        while runs.going.any():
            if self.interruption.requested:
                raise Interrupted
            going = int(runs.going.sum()) if _one_by_one() else 1
            inputs = runs.inputs(self._pace.length(chunks.LOOK_SECONDS / going))
            prepare(self.clock, program, *inputs)
            require_memory(program.memory(*inputs), len(goals))
            outputs, seconds = timed(program, inputs)
            runs.take(outputs)
            longest = int(runs.moves.max())
            self._pace.measure(
                longest, int(runs.moves.sum()) if _one_by_one() else longest, seconds
            )
        return runs.state, runs.steps.astype(np.int64), runs.reasons

    def _recorder(self, state: State, data: Any) -> history.Recorder:
        shapes = shapes_of_one(state)
        if self.own_data:
            data = data._replace(args=shapes_of_one(data.args))
        row = row_shapes(self.setup, shapes, data)
        return history.new_recorder(row, 0, shapes, self.setup.layout)


def _one_by_one() -> bool:
    return default_device().platform == "cpu"
