"""The moves of one run, or of many at once, chunk by chunk: lengths, temperatures, ends."""

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxanneal._checks import host_array, refusal
from jaxanneal._engine.chunk import PATIENCE_OVER, TARGET_REACHED, Control
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._methods.protocol import NEVER
from jaxanneal._methods.schedule import Table, is_cold, tabulate
from jaxanneal._pytree import replace
from jaxanneal.cooling import Geometric, Linear, Logarithmic

LOOK_SECONDS, GROWTH = 0.5, 8  # how often the host looks at the clock, Ctrl-C, the callback

# Steps for which a schedule is tabulated on the host: one length, so that one compilation serves.
_TABLE = 4096

_REASONS = {TARGET_REACHED: StopReason.TARGET, PATIENCE_OVER: StopReason.PATIENCE}


class Goal(NamedTuple):
    """When the moves of a run end.

    Args:
        first: Moves per chain before them.
        steps: Moves per chain.
        target: Stop at this best energy or below.
        patience: Stop after so many steps without improvement.
        min_temperature: Stop at this temperature, ``None``: at none.
        record_every: Moves between records.
        patience_growth: Add to the patience so many times the steps that the best energy took.
        least_share: What counts as a better energy, see ``Control``.
    """

    first: int
    steps: int
    target: float
    patience: int
    min_temperature: Any = None
    record_every: int = NEVER
    patience_growth: int = 0
    least_share: float = 0.0

    @property
    def last(self) -> int:
        """Step after the last move."""
        return self.first + self.steps


class Pace:
    """How many moves fit until the host should look again: at first a single one."""

    def __init__(self) -> None:
        self._length, self.seconds_per_move = 0, 0.0

    def length(self, seconds: float) -> int:
        """Return the length of the next chunk, which is to take so many seconds at most."""
        grown = min(max(1, self._length * GROWTH), NEVER // GROWTH)
        if self.seconds_per_move == 0:
            return grown
        return max(1, int(min(grown, seconds / self.seconds_per_move)))

    def measure(self, length: int, moves: int, seconds: float) -> None:
        """Learn from a chunk.

        Args:
            length: Moves of the longest run of it.
            moves: Moves that were made one after the other.
            seconds: What it took.
        """
        if length:
            self._length, self.seconds_per_move = length, seconds / moves


class Chunks:
    """Make moves until each run has a reason to stop.

    Args:
        state: The state of the run; of many with a leading axis. Its buffers are taken over.
        recorder: The record buffer of one run.
        data: The data of the run, of each run, or of all.
        methods: The method of each run as the host knows it, which evaluates what JAX cannot.
        goals: When each run ends.
        many: Whether the state has a leading axis of runs.
    """

    def __init__(
        self,
        state: Any,
        recorder: Any,
        data: Any,
        methods: Sequence[Any],
        goals: Sequence[Goal],
        many: bool,
    ):
        self.state, self.recorder, self.data = state, recorder, data
        self.methods, self.goals, self.many = methods, goals, many
        self.steps = np.array(state.step, np.int32).reshape(-1)
        self.moves = np.zeros_like(self.steps)  # those of the last chunk
        self.reasons: list[StopReason | None] = [None] * len(goals)
        self.report: Any = None
        self._lasts, self._cold = self.steps, [False] * len(goals)
        self._tables: dict[Any, np.ndarray] = {}

    @property
    def going(self) -> np.ndarray:
        """Whether each run goes on, bool ``[runs]``."""
        return np.array([reason is None for reason in self.reasons])

    def inputs(self, length: int) -> tuple[Any, ...]:
        """Return the inputs of a chunk of up to ``length`` moves; of none for the last record."""
        self._tables = {}
        on_host = is_on_host(self.methods[0])
        if on_host:
            length = min(length, _TABLE - 1)
        ends = [self._end(i, length) for i in range(len(self.goals))]
        self._cold = [cold for _, cold in ends]
        over = [cold or length == 0 for cold in self._cold]
        pairs = zip(ends, self.goals, over, strict=True)
        self._lasts = np.array([end if stop else goal.last for (end, _), goal, stop in pairs])
        if on_host:
            self._tabulate()
        dtype = self.state.chains.energy.dtype
        numbers = control(self.goals, [end for end, _ in ends], self._lasts, dtype, self.many)
        return self.state, self.recorder, self.data, numbers

    def take(self, outputs: Any) -> None:
        """Take over what a chunk returned: the state, the record buffer and the report."""
        state, recorder, report = outputs
        require_temperatures(report.temperatures)  # or what is wrong would be saved
        steps = np.asarray(report.step).reshape(-1)
        self.state, self.report = state, report
        self.recorder = self.recorder if recorder is None else recorder
        self.moves, self.steps = np.where(self.going, steps - self.steps, 0), steps
        codes = np.asarray(report.reason).reshape(-1)
        for i in np.flatnonzero(self.going).tolist():
            self.reasons[i] = self._reason(i, int(codes[i]))

    def _reason(self, i: int, code: int) -> StopReason | None:
        if code in _REASONS:
            return _REASONS[code]
        if self.steps[i] < self._lasts[i]:
            return None
        return StopReason.MIN_TEMPERATURE if self._cold[i] else StopReason.STEPS

    def _end(self, i: int, length: int) -> tuple[int, bool]:
        """Return where the next chunk of a run ends, and whether it reaches min_temperature there.

        Steps are looked at as far as a table reaches.
        """
        goal, step = self.goals[i], int(self.steps[i])
        if self.reasons[i] is not None:
            return step, False
        end = min(goal.last, step + length)
        if goal.min_temperature is None:
            return end, False
        values = self._table(i, step)
        cold = np.flatnonzero(is_cold(values, goal.min_temperature))
        if cold.size == 0:
            return min(end, step + _TABLE), False
        first = step + int(cold[0])
        return (first, True) if first <= end else (end, False)

    def _table(self, i: int, first: int) -> np.ndarray:
        """Return the temperatures of a run from a step on, evaluated once for runs that share them.

        As many as a table has, and none of a step that the run never makes.
        """
        cooling, last = self.methods[i].cooling, max(self.goals[i].last - 1, 0)
        place = id(cooling), first, last
        if place not in self._tables:
            steps = np.minimum(np.arange(first, first + _TABLE), last)
            self._tables[place] = tabulate(cooling, steps)
        return self._tables[place]

    def _tabulate(self) -> None:
        """Put the coming temperatures into the state: the schedule is the host's to evaluate."""
        firsts = np.maximum(self.steps - 1, 0)  # the temperature of the last move is reported, too
        rows = [self._table(i, first) for i, first in enumerate(firsts.tolist())]
        values = np.stack(rows) if self.many else rows[0]
        method = with_table(self.state.method, firsts if self.many else firsts[0], values)
        self.state = replace(self.state, method=method)


def control(
    goals: Sequence[Goal], ends: Sequence[int], lasts: Any, energies: Any, many: bool
) -> Control:
    """Return what is asked of a chunk of one run, or of many.

    Args:
        goals: When each run ends.
        ends: The step at which its chunk ends.
        lasts: The step at which it is over.
        energies: Dtype of the energies.
        many: Whether there is a leading axis of runs.
    """

    def numbers(values: Any, dtype: Any = np.int32) -> Any:
        array = host_array(values, dtype)
        return array if many else array[0]

    return Control(
        begin=numbers([goal.first for goal in goals]),
        end=numbers(ends),
        finish=numbers(lasts),
        record_every=numbers([goal.record_every for goal in goals]),
        target=numbers([goal.target for goal in goals], energies),
        patience=numbers([goal.patience for goal in goals]),
        patience_growth=numbers([goal.patience_growth for goal in goals]),
        least_share=numbers([goal.least_share for goal in goals], float),
    )


def require_temperatures(temperatures: Any) -> None:
    """Refuse to go on at temperatures that are none, which a function of the user's may return."""
    values = np.asarray(temperatures)
    sound = np.isfinite(values) & (values >= 0)
    if not np.all(sound):
        remedy = "Keep them positive, for example with jnp.maximum(temperature, 1e-6)."
        got = values[~sound].flat[0]
        raise ValueError(refusal("temperatures", "finite temperatures >= 0", got, remedy))


def timed(program: Any, inputs: tuple[Any, ...]) -> tuple[Any, float]:
    """Run a program, and return what it returned and the seconds that it took."""
    began = time.perf_counter()
    outputs = jax.block_until_ready(program(*inputs))
    return outputs, time.perf_counter() - began


def on_device(method: Any) -> Any:
    """Return the method as the device sees it: a schedule of the host's is a table."""
    return with_table(method, 0, np.zeros(_TABLE)) if is_on_host(method) else method


def is_on_host(method: Any) -> bool:
    """Return whether the temperatures of a method are the host's to evaluate: by a user's code."""
    return not isinstance(method.cooling, Geometric | Linear | Logarithmic | Table | None)


def with_table(method: Any, first: Any, values: np.ndarray) -> Any:
    """Return the method with the temperatures of the steps from ``first`` on as its cooling."""
    dtype = jax.dtypes.canonicalize_dtype(float)
    return replace(method, cooling=Table(host_array(first, np.int32), host_array(values, dtype)))
