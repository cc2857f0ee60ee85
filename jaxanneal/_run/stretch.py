"""One stretch of moves of a run: its state, what was recorded, and the last report."""

import contextlib
import time
from typing import Any

import jax
import numpy as np

from jaxanneal._checks import host_array
from jaxanneal._engine import chunk as _chunk
from jaxanneal._engine import history as _history
from jaxanneal._engine.programs import chunk_program
from jaxanneal._engine.sharding import alone
from jaxanneal._engine.state import State
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._methods.protocol import NEVER, Method
from jaxanneal._methods.schedule import Function, Table, is_cold, tabulate
from jaxanneal._pytree import replace
from jaxanneal._run.keeper import Keeper, Kept
from jaxanneal._run.progress import Progress

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
        self.cooling: Any = getattr(method, "cooling", None)
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
        self.accepted_before, self.accepted = self.accepted, float(self.report.accepted)
        reason = _REASONS.get(int(self.report.reason))
        if reason is None and self.step >= last:
            reason = StopReason.MIN_TEMPERATURE if cold else StopReason.STEPS
        return reason

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
        limit = getattr(self.method, "min_temperature", None)
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
    return isinstance(getattr(method, "cooling", None), Function)


def _with_table(method: Any, first: int, values: np.ndarray) -> Any:
    dtype = jax.dtypes.canonicalize_dtype(float)
    return replace(method, cooling=Table(host_array(first, np.int32), host_array(values, dtype)))
