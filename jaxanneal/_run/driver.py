"""The host's side of a run: chunks, time, progress, and reasons to stop."""

import contextlib
import time
from typing import Any

import jax
import numpy as np

from jaxanneal._chain.chain import Chain
from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import host_array, refusal
from jaxanneal._engine import chunk, history
from jaxanneal._engine import chunk as _chunk
from jaxanneal._engine import history as _history
from jaxanneal._engine.compile import Compilation
from jaxanneal._engine.programs import Setup, chunk_program, row_shapes
from jaxanneal._engine.sharding import agreed, alone, entry, fetch
from jaxanneal._engine.state import State, slots
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._methods.protocol import NEVER, Method
from jaxanneal._methods.schedule import Function, Table, is_cold, tabulate
from jaxanneal._pytree import replace
from jaxanneal._run.checkpoint import Keeper, Kept
from jaxanneal._run.interrupt import Clock, Interruption
from jaxanneal._run.limits import Limits
from jaxanneal._run.progress import Bar, Progress

# Steps for which a schedule is tabulated on the host: one length, so that one compilation serves.
_TABLE = 4096

_REASONS = {
    _chunk.TARGET_REACHED: StopReason.TARGET,
    _chunk.PATIENCE_OVER: StopReason.PATIENCE,
}


class Stretch:
    """Run chunks of some moves; without a bar to show they are a pilot's.

    Args:
        driver: What the chunks are made with.
        state: The state, whose buffers are taken over.
        method: The method as the host knows it.
        steps: Moves per chain.
        every: Moves between records.
        kept: What was saved of these moves, of which ``state`` is a part.
        pilot: Whether neither patience nor a lowest temperature ends them.
    """

    def __init__(
        self,
        driver: Any,
        state: State,
        method: Method,
        steps: int,
        every: int,
        kept: Kept | None,
        pilot: bool,
    ):
        self.driver, self.state, self.method = driver, state, method
        self.cooling: Any = method.cooling
        self.step = int(state.step)
        self.first = self.step if kept is None else kept.first
        self.steps, self.record_every = steps, every
        self.rows: list[Any] = [] if kept is None else [kept.rows]
        self.made, self.pilot = 0, pilot
        self._tabulate()
        self.recorder = driver.recorder(self.state, self.first)
        if kept is not None:
            step, accepted = kept.recorded
            self.recorder = replace(self.recorder, step=step, accepted=accepted)
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
        control = driver.control(self.state, self.first, end, last, self.record_every)
        if self.pilot:
            control = replace(control, patience=host_array(NEVER, np.int32))
        program = chunk_program(driver.setup)
        inputs = (self.state, self.recorder, driver.args, control)
        state, recorder, report = program(*inputs)
        step = int(report.step)  # waits for it: a failure shows here, and leaves the last report
        self.state, self.report = state, report
        self.recorder, rows = _history.empty(recorder)
        self.rows += rows
        self.made, self.step = step - self.step, step
        driver.best = report.best_energy, report.best
        driver.measure(self.made, time.perf_counter() - began)
        driver.evaluations += self.made * self.method.chains
        self._require_temperatures()
        self.accepted_before, self.accepted = self.accepted, float(self.report.accepted)
        reason = _REASONS.get(int(self.report.reason))
        if reason is None and self.step >= last:
            reason = StopReason.MIN_TEMPERATURE if cold else StopReason.STEPS
        return reason

    def _require_temperatures(self) -> None:
        """Refuse to go on at temperatures that are none, which a method of one's own may return."""
        temperatures = np.asarray(self.report.temperatures)
        if not np.all(np.isfinite(temperatures) & (temperatures >= 0)):
            wrong = temperatures[~(np.isfinite(temperatures) & (temperatures >= 0))].flat[0]
            expected = f"finite temperatures >= 0 at step {self.step}"
            remedy = "Keep them positive, for example with jnp.maximum(temperature, 1e-6)."
            raise ValueError(refusal("method.temperatures", expected, wrong, remedy))

    @property
    def alive(self) -> bool:
        """Whether the state is still there: a chunk takes its buffers, and may fail.

        Of what is spread over processes nobody knows whether the others still have their part.
        """
        if not alone(self.driver.setup.spread):
            return False
        return not any(x.is_deleted() for x in jax.tree.leaves(self.state) if hasattr(x, "devices"))

    def close(self, keeper: Keeper | None) -> None:
        """After an error, save and record what is still there; fail in nothing of it."""
        if self.pilot or self.report is None or not self.alive:
            return
        with contextlib.suppress(Exception):
            if keeper is not None:
                keeper.save(self)
            self.chunk(0)

    def history(self) -> _history.History:
        """Return what was recorded so far."""
        return _history.join(self.rows, self.recorder.rows)

    def progress(self) -> Progress:
        """Return what a callback sees."""
        return Progress(
            step=self.step - self.first,
            steps=self.steps,
            best_energy=float(self.report.best_energy),
            temperatures=np.broadcast_to(self.report.temperatures, self.method.shape),
            acceptance_rate=(self.accepted - self.accepted_before) / max(self.made, 1),
            evaluations=self.driver.evaluations,
            seconds=self.driver.clock.seconds,
        )

    def _until_cold(self, end: int) -> tuple[int, bool]:
        """Return ``end``, or the earlier step at which ``min_temperature`` is reached."""
        limit = self.method.min_temperature
        if limit is None or self.pilot:
            return end, False
        values = tabulate(self.cooling, self._coming(self.step))
        cold = np.flatnonzero(is_cold(values, limit))
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
    return isinstance(method.cooling, Function)


def _with_table(method: Any, first: int, values: np.ndarray) -> Any:
    dtype = jax.dtypes.canonicalize_dtype(float)
    return replace(method, cooling=Table(host_array(first, np.int32), host_array(values, dtype)))


_LOOK_SECONDS, _GROWTH = 0.5, 8  # how often the host looks at the clock, Ctrl-C, the callback


class Driver:
    """Run chunks of one problem until something says stop.

    Args:
        setup: The static part of the call.
        args: The data.
        limits: When to stop, what to show.
        clock: The call's clock.
        interruption: Whether somebody asked to stop.
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
        self.template: Any = None
        self.current: Stretch | None = None
        self.best: tuple[Any, Parameters] | None = None

    def prepare(self, state: Any) -> Compilation:
        """Trace the chunk for a state of this kind."""
        self.template = state
        inputs = (state, self.recorder(state, 0), self.args, self.control(state, 0, 0, 0, 1))
        return chunk_program(self.setup).prepare(*inputs)

    def run(
        self,
        state: State,
        method: Method,
        steps: int,
        record_every: int,
        bar: Bar | None = None,
        keeper: Keeper | None = None,
        kept: Kept | None = None,
    ) -> tuple[State, history.History, StopReason]:
        """Make ``steps`` moves, or fewer where there is a reason to stop.

        Args:
            state: The state, whose buffers are taken over.
            method: The method as the host knows it, which evaluates schedules that JAX cannot.
            steps: Moves per chain.
            record_every: Moves between records.
            bar: Shows the progress; without it the moves are a pilot's, which neither the callback
                nor patience nor a lowest temperature ends: those are said of the run to come.
            keeper: Saves the run from time to time.
            kept: What was saved of these moves, of which ``state`` is a part.

        Returns:
            The state, the history of these moves, and why they ended.
        """
        run = Stretch(self, state, method, steps, record_every, kept, pilot=bar is None)
        self.current = run
        if kept is not None and kept.reason is not None:
            return run.state, kept.rows, kept.reason
        try:
            reason = self._finish(run, bar, keeper)
        except BaseException:
            run.close(keeper)
            raise
        return run.state, run.history(), reason

    def _finish(self, run: Stretch, bar: Bar | None, keeper: Keeper | None) -> StopReason:
        """Run chunk after chunk; return why the last one was the last."""
        reason: StopReason | None = None
        while True:
            if reason is None and run.made:
                reason = self._host_reason()
            due = keeper is not None and keeper.due
            length, reason, due = self._agreed(self._next_length(), reason, due)
            if keeper is not None and (reason is not None or due):
                keeper.save(run)  # before a record at a step where an uninterrupted run has none
            found = run.chunk(length if reason is None else 0)
            told = bar is not None and reason is None and self._tell(bar, run.progress())
            if reason is not None:
                return reason
            if found is not None:
                if keeper is not None:
                    keeper.save(run, found)
                return found
            if told:
                reason = StopReason.CALLBACK

    def saw(self, chains: Chain) -> None:
        """Note the best of evaluated chains ``[lanes, ...]``, for an error in the first chunk."""
        energies = fetch(chains.best_energy)
        best = int(np.argmin(energies))
        found = chains._best_params
        self.best = energies[best], found.with_leaves(entry(found.leaves, best))

    def take_up(self, kept: Kept) -> None:
        """Count on from what was saved."""
        self.evaluations, self.clock.earlier = kept.evaluations, kept.seconds
        self.saw(slots(kept.state))

    def no_history(self) -> history.History:
        """Return the history of no moves."""
        recorder = self.recorder(self.template, 0)
        return history.join([], recorder.rows)

    def _agreed(
        self, length: int, reason: StopReason | None, due: bool
    ) -> tuple[int, StopReason | None, bool]:
        kinds = [None, *StopReason]
        told = [length, kinds.index(reason), int(due)]
        length, kind, save = agreed(told, self.setup.spread)
        return length, kinds[kind], bool(save)

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

    def recorder(self, state: Any, step: int) -> history.Recorder:
        """Return an empty buffer for records."""
        row = row_shapes(self.setup, state, self.args)
        return history.new_recorder(row, step, state.accepted, self.setup.layout)

    def control(
        self, state: Any, begin: int, end: int, finish: int, record_every: int
    ) -> chunk.Control:
        """Return what is asked of a chunk."""
        return chunk.Control(
            begin=host_array(begin, np.int32),
            end=host_array(end, np.int32),
            finish=host_array(finish, np.int32),
            record_every=host_array(record_every, np.int32),
            target=host_array(self.limits.target, state.chains.energy.dtype),
            patience=host_array(self.limits.patience, np.int32),
        )
