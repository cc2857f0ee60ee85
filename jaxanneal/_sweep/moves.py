"""The moves of many runs at once, and the reasons for which each of them stops."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxanneal._engine import chunk, history
from jaxanneal._engine.programs import Setup, row_shapes
from jaxanneal._engine.sharding import default_device
from jaxanneal._engine.state import State
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._methods.protocol import NEVER
from jaxanneal._methods.schedule import Table, tabulate
from jaxanneal._pytree import replace
from jaxanneal._run.driver import _REASONS, _TABLE, _on_host
from jaxanneal._run.interrupt import Clock, Interruption
from jaxanneal._sweep.programs import mapped, moves_program, prepare, require_memory

# The host looks at Ctrl-C about this often.
_LOOK_SECONDS = 0.5
_GROWTH = 8


class Interrupted(Exception):
    """Ctrl-C was pressed in the middle of a batch."""


class Wanted(NamedTuple):
    """What one run is to do.

    Args:
        steps: Moves per chain.
        target: Stop at this best energy or below.
        patience: Stop after so many steps without improvement.
        cold: The step at which its lowest temperature is reached, or ``None``.
    """

    steps: int
    target: float
    patience: int
    cold: int | None


class Moves:
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
        self._length, self._seconds = 0, 0.0

    def __call__(
        self, state: State, methods: Sequence[Any], wanted: Sequence[Wanted], data: Any
    ) -> tuple[State, np.ndarray, list[Any]]:
        """Move each run until it has a reason to stop.

        Args:
            state: The states of all runs, whose buffers are taken over.
            methods: Their methods as the host knows them.
            wanted: What each is to do.
            data: The data of each run, or of all.

        Returns:
            The states, the moves made by each run, and why each stopped.
        """
        goal = np.array([w.steps if w.cold is None else w.cold for w in wanted], np.int32)
        steps = np.zeros(len(wanted), np.int32)
        reasons: list[StopReason | None] = [None] * len(wanted)
        on_host, recorder = _on_host(methods[0]), self._recorder(state, data)
        program = mapped(moves_program(self.setup), (True, False, self.own_data, True), donate=(0,))
        while None in reasons:
            if self.interruption.requested:
                raise Interrupted
            going = np.array([reason is None for reason in reasons])
            length = self._next_length(int(going.sum()))
            if on_host:
                length = min(length, _TABLE - 1)
                state = _with_tables(state, methods, wanted, steps)
            end = np.where(going, np.minimum(steps + length, goal), steps).astype(np.int32)
            inputs = (state, recorder, data, _control(state, end, goal, wanted))
            prepare(self.clock, program, *inputs)
            require_memory(program.memory(*inputs), len(wanted))
            began = time.perf_counter()
            state, report = program(*inputs)
            at, why = (np.asarray(x) for x in report)
            self._measure(at - steps, int(going.sum()), time.perf_counter() - began)
            steps = np.where(going, at, steps)
            for i in np.flatnonzero(going).tolist():
                reasons[i] = _reason(int(why[i]), int(steps[i]), int(goal[i]), wanted[i])
        return state, steps.astype(np.int64), reasons

    def _recorder(self, state: State, data: Any) -> history.Recorder:
        one = lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype)  # noqa: E731
        shapes = jax.tree.map(one, state)
        row = row_shapes(self.setup, shapes, jax.tree.map(one, data) if self.own_data else data)
        return history.new_recorder(row, 0, shapes.accepted, self.setup.layout)

    def _next_length(self, going: int) -> int:
        grown = min(max(1, self._length * _GROWTH), NEVER // _GROWTH)
        if self._seconds == 0:
            return grown
        fitting = _LOOK_SECONDS / (self._seconds * (going if _one_by_one() else 1))
        return max(1, int(min(grown, fitting)))

    def _measure(self, made: np.ndarray, going: int, seconds: float) -> None:
        """Learn the cost of a move from a chunk."""
        most = int(made.max())
        if most:
            self._length = max(self._length, most)
            self._seconds = seconds / (int(made.sum()) if _one_by_one() else most)


def _one_by_one() -> bool:
    return default_device().platform == "cpu"


def _reason(why: int, step: int, goal: int, wanted: Wanted) -> StopReason | None:
    if why in _REASONS:
        return _REASONS[why]
    if step < goal:
        return None
    return StopReason.STEPS if wanted.cold is None else StopReason.MIN_TEMPERATURE


def _control(
    state: State, end: np.ndarray, goal: np.ndarray, wanted: Sequence[Wanted]
) -> chunk.Control:
    with np.errstate(over="ignore"):  # beyond the range of the dtype it is infinite
        target = np.array([w.target for w in wanted]).astype(state.chains.energy.dtype)
    return chunk.Control(
        begin=np.zeros_like(end),  # pyright: ignore[reportArgumentType]
        end=end,  # pyright: ignore[reportArgumentType]
        finish=goal,  # pyright: ignore[reportArgumentType]
        record_every=np.full_like(end, NEVER),  # pyright: ignore[reportArgumentType]
        target=target,  # pyright: ignore[reportArgumentType]
        patience=np.array([w.patience for w in wanted], np.int32),  # pyright: ignore[reportArgumentType]
    )


def _with_tables(
    state: State, methods: Sequence[Any], wanted: Sequence[Wanted], steps: np.ndarray
) -> State:
    """Put the coming temperatures into the states, as the schedules are the host's to evaluate."""
    known: dict[Any, np.ndarray] = {}
    first = np.maximum(steps - 1, 0)
    rows = []
    for method, one, begin in zip(methods, wanted, first, strict=True):
        last = max(one.steps - 1, 0)
        place = id(method.cooling.function), int(begin), last
        if place not in known:
            coming = np.minimum(np.arange(begin, begin + _TABLE), last)
            known[place] = tabulate(method.cooling, coming)
        rows.append(known[place])
    dtype = jax.dtypes.canonicalize_dtype(float)
    values: Any = np.stack(rows).astype(dtype)
    begins: Any = first.astype(np.int32)
    table = Table(begins, values)
    return replace(state, method=replace(state.method, cooling=table))
