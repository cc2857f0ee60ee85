"""The host's side of a run: chunks, time, progress, and reasons to stop."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxanneal import _engine, _history
from jaxanneal._clock import Clock
from jaxanneal._interrupt import Interruption
from jaxanneal._limits import Limits
from jaxanneal._methods._protocol import NEVER, Method
from jaxanneal._numbers import host_array
from jaxanneal._parameters import Parameters
from jaxanneal._program import Setup, chunk_program, row_shapes
from jaxanneal._progress import Bar, Progress
from jaxanneal._pytree import replace
from jaxanneal._schedule import Function, Table, tabulate
from jaxanneal._sharding import agreed
from jaxanneal._state import State
from jaxanneal._stop_reason import StopReason

_LOOK_SECONDS, _GROWTH = 0.5, 8  # how often the host looks at the clock, Ctrl-C, the callback

# Steps for which a schedule is tabulated on the host: one length, so that one compilation serves.
_TABLE = 4096

_REASONS = {
    _engine.TARGET_REACHED: StopReason.TARGET,
    _engine.PATIENCE_OVER: StopReason.PATIENCE,
}


class Driver:
    """Run chunks of one problem until something says stop.

    Args:
        setup: The static part of the call.
        args: The data.
        limits: When to stop, what to show.
        clock: The call's clock.
        interruption: Whether Ctrl-C was pressed.
        evaluations: Energy evaluations before this driver.
    """

    def __init__(
        self,
        setup: Setup,
        args: Parameters,
        limits: Limits,
        clock: Clock,
        interruption: Interruption,
        evaluations: int,
    ):
        self.setup, self.args, self.limits = setup, args, limits
        self.clock, self.interruption = clock, interruption
        self.evaluations = evaluations
        self._length, self._seconds_per_step = 0, 0.0

    def prepare(self, state: Any) -> Callable[[], float]:
        """Trace the chunk for a state of this kind; the returned function compiles it."""
        inputs = (state, self._recorder(state, 0), self.args, self._control(state, 0, 0, 0, 1))
        return chunk_program(self.setup).prepare(*inputs)

    def run(
        self,
        state: State,
        method: Method,
        steps: int,
        record_every: int,
        bar: Bar | None = None,
    ) -> tuple[State, _history.History, StopReason]:
        """Make ``steps`` moves, or fewer where there is a reason to stop.

        Args:
            state: The state, whose buffers are taken over.
            method: The method as the host knows it, which evaluates schedules that JAX cannot.
            steps: Moves per chain.
            record_every: Moves between records.
            bar: Shows the progress; without it the moves are a pilot's, which neither the callback
                nor patience nor a lowest temperature ends: those are said of the run to come.

        Returns:
            The state, the history of these moves, and why they ended.
        """
        run = _Run(self, state, method, steps, record_every, pilot=bar is None)
        reason: StopReason | None = None
        while True:
            if reason is None and run.made:
                reason = self._host_reason()
            length, reason = self._agreed(self._next_length(), reason)
            found = run.chunk(length if reason is None else 0)
            told = bar is not None and reason is None and self._tell(bar, run.progress())
            if reason is not None or found is not None:
                break
            if told:
                reason = StopReason.CALLBACK
        result = _history.join(run.rows, run.recorder.rows)
        return run.state, result, reason or found or StopReason.STEPS

    def _agreed(self, length: int, reason: StopReason | None) -> tuple[int, StopReason | None]:
        kinds = [None, *StopReason]
        length, kind = agreed([length, kinds.index(reason)], self.setup.spread)
        return length, kinds[kind]

    def _host_reason(self) -> StopReason | None:
        if self.interruption.requested:
            return StopReason.INTERRUPTED
        return StopReason.TIME if self.clock.seconds >= self.limits.max_seconds else None

    def _tell(self, bar: Bar, progress: Progress) -> bool:
        """Show the progress; return whether the callback asks to stop."""
        bar.update(progress)
        if self.limits.callback is None:
            return False
        try:
            return bool(self.limits.callback(progress))
        except KeyboardInterrupt:
            self.interruption.requested = True
            return False

    def _next_length(self) -> int:
        """Return how many steps fit until the host should look again; at first a single one."""
        grown = max(1, self._length * _GROWTH)
        if self._seconds_per_step == 0:
            return grown
        left = max(self.limits.max_seconds - self.clock.seconds, 0.0)
        fitting = min(_LOOK_SECONDS, left) / self._seconds_per_step
        return max(1, int(min(grown, fitting)))

    def measure(self, made: int, seconds: float) -> None:
        """Learn the cost of a step from a chunk."""
        if made:
            self._length, self._seconds_per_step = made, seconds / made

    def _recorder(self, state: Any, step: int) -> _history.Recorder:
        row = row_shapes(self.setup, state, self.args)
        return _history.new_recorder(row, step, state.accepted, self.setup.layout)

    def _control(
        self, state: Any, begin: int, end: int, finish: int, record_every: int
    ) -> _engine.Control:
        return _engine.Control(
            begin=host_array(begin, np.int32),
            end=host_array(end, np.int32),
            finish=host_array(finish, np.int32),
            record_every=host_array(record_every, np.int32),
            target=host_array(self.limits.target, state.chains.energy.dtype),
            patience=host_array(self.limits.patience, np.int32),
        )


class _Run:
    """One stretch of moves: the state, what was recorded, and the last report."""

    def __init__(
        self, driver: Driver, state: State, method: Method, steps: int, every: int, pilot: bool
    ):
        self.driver, self.state, self.method = driver, state, method
        self.cooling: Any = getattr(method, "cooling", None)
        self.first = self.step = int(state.step)
        self.steps, self.record_every = steps, every
        self.rows: list[Any] = []
        self.made, self.pilot = 0, pilot
        self._tabulate()
        self.recorder = driver._recorder(self.state, self.first)
        self.accepted = self.accepted_before = float(np.mean(np.asarray(state.accepted)))
        self.report: Any = None

    def chunk(self, length: int) -> StopReason | None:
        """Run up to ``length`` moves; return why the run is over, if it is.

        With a length of 0 the run is over: a chunk without moves records the last step.
        """
        driver, began = self.driver, time.perf_counter()
        finish = self.first + self.steps
        if _on_host(self.method):
            length = min(length, _TABLE - 1)
        end, cold = self._until_cold(min(finish, self.step + length))
        last = end if cold or length == 0 else finish
        self._tabulate()
        control = driver._control(self.state, self.first, end, last, self.record_every)
        if self.pilot:
            control = replace(control, patience=host_array(NEVER, np.int32))
        program = chunk_program(driver.setup)
        inputs = (self.state, self.recorder, driver.args, control)
        self.state, recorder, self.report = program(*inputs)
        self.recorder, rows = _history.empty(recorder)
        self.rows += rows
        self.made, self.step = int(self.report.step) - self.step, int(self.report.step)
        driver.measure(self.made, time.perf_counter() - began)
        driver.evaluations += self.made * self.method.chains
        self.accepted_before, self.accepted = self.accepted, float(self.report.accepted)
        reason = _REASONS.get(int(self.report.reason))
        if reason is None and self.step >= last:
            reason = StopReason.MIN_TEMPERATURE if cold else StopReason.STEPS
        return reason

    def progress(self) -> Progress:
        """Return what a callback sees."""
        return Progress(
            step=self.step - self.first,
            steps=self.steps,
            best_energy=float(self.report.best_energy),
            temperatures=np.asarray(self.report.temperatures).reshape(self.method.shape),
            acceptance_rate=(self.accepted - self.accepted_before) / max(self.made, 1),
            evaluations=self.driver.evaluations,
            seconds=self.driver.clock.seconds,
        )

    def _until_cold(self, end: int) -> tuple[int, bool]:
        """Return ``end``, or the earlier step at which ``min_temperature`` is reached."""
        limit = getattr(self.method, "min_temperature", None)
        if limit is None or self.pilot:
            return end, False
        values = tabulate(self.cooling, self._coming(self.step))
        # A schedule that ends exactly there may miss it by a rounding error.
        cold = np.flatnonzero(values <= float(limit) * (1 + 1e-6))
        if cold.size == 0:
            return min(end, self.step + _TABLE), False
        found = self.step + int(cold[0])
        return (found, True) if found <= end else (end, False)

    def _tabulate(self) -> None:
        """Put the coming temperatures into the state, if the schedule is the host's to evaluate."""
        if _on_host(self.method):
            first = max(self.step - 1, 0)  # the temperature of the last move is reported, too
            values = tabulate(self.cooling, self._coming(first))
            state = self.state
            self.state = replace(state, method=_with_table(state.method, first, values))

    def _coming(self, first: int) -> np.ndarray:
        """Return the next steps, as many as a table has; none that the run never makes."""
        return np.minimum(np.arange(first, first + _TABLE), self.first + self.steps - 1)


def on_device(method: Any) -> Any:
    """Return the method as the device sees it: a schedule of the host's is a table."""
    return _with_table(method, 0, np.zeros(_TABLE)) if _on_host(method) else method


def _on_host(method: Any) -> bool:
    return isinstance(getattr(method, "cooling", None), Function)


def _with_table(method: Any, first: int, values: np.ndarray) -> Any:
    dtype = jax.dtypes.canonicalize_dtype(float)
    return replace(method, cooling=Table(host_array(first, np.int32), host_array(values, dtype)))
