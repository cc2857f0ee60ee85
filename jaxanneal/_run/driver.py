"""The loop on the host over the chunks of one run: time, progress, saves, and reasons to stop."""

import contextlib
from typing import Any

import jax
import numpy as np

from jaxanneal._chain.callbacks import callback_errors
from jaxanneal._chain.calls import traced
from jaxanneal._chain.chain import Chain
from jaxanneal._chain.computation import Traced
from jaxanneal._chain.parameters import Parameters
from jaxanneal._engine import history
from jaxanneal._engine.blocks import padded_count
from jaxanneal._engine.compile import Compilation, compile_programs
from jaxanneal._engine.programs import chunk_program, row_shapes
from jaxanneal._engine.setup import Data, Setup
from jaxanneal._engine.sharding import agreed, alone, fetch, take_from_shard
from jaxanneal._engine.starts import Begun
from jaxanneal._engine.state import State, chains_by_slot, trials_on_host
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._methods.protocol import NEVER, Method, Trials
from jaxanneal._pytree import replace
from jaxanneal._run import chunks
from jaxanneal._run.checkpoint import SavedRun, Saves
from jaxanneal._run.chunks import Chunks, Goal, Pace, timed
from jaxanneal._run.interrupt import Clock, Interruption
from jaxanneal._run.limits import Limits
from jaxanneal._run.progress import Progress, RunBar, asks_to_stop


class RecordedRun(Chunks):
    """The moves of one run, with their history.

    Args:
        driver: What the chunks are made with.
        state: The state, whose buffers are taken over.
        method: The method as the host knows it.
        steps: Moves per chain.
        record_every: Moves between records.
        saved: What was saved of these moves, of which ``state`` is a part.
        pilot: Whether they are a pilot's, which neither patience nor a lowest temperature ends.
    """

    def __init__(
        self,
        driver: Any,
        state: State,
        method: Method,
        steps: int,
        record_every: int,
        saved: SavedRun | None,
        pilot: bool,
    ):
        first = int(state.step) if saved is None else saved.first
        limits = driver.limits
        coldest = None if pilot else method.min_temperature
        goal = Goal(first, steps, limits.target, NEVER, coldest, record_every)
        if not pilot:
            names = ("patience", "patience_growth", "least_share")
            goal = goal._replace(**{name: getattr(limits, name) for name in names})
        recorder = driver.recorder(state, first)
        if saved is not None:
            step, trials = saved.recorded
            recorder = replace(recorder, step=step, trials=trials)
        super().__init__(state, recorder, driver.data, [method], [goal], many=False)
        self.driver, self.method, self.first, self.pilot = driver, method, first, pilot
        self.rows: list[Any] = [] if saved is None else [saved.rows]
        self.trials = self.trials_before = _sums(trials_on_host(state))

    def chunk(self, length: int) -> StopReason | None:
        """Run up to ``length`` moves; return why the run is over, if it is.

        With a length of 0 the run is over: a chunk without moves records the last step.
        """
        driver = self.driver
        outputs, seconds = timed(chunk_program(driver.setup), self.inputs(length))
        report = outputs[-1]
        moves = int(report.step) - int(self.steps[0])
        driver.best = report.best_energy, report.best
        driver.evaluations += moves * driver.lanes_evaluated
        self.take(outputs)
        self.recorder, rows = history.empty(self.recorder)
        self.rows += rows
        driver.pace.measure(moves, moves, seconds)
        self.trials_before, self.trials = self.trials, _sums(self.report.trials)
        return self.reasons[0]

    @property
    def alive(self) -> bool:
        """Whether the state is still there: a chunk takes its buffers, and may fail.

        Of what is spread over processes nobody knows whether the others still have their part.
        """
        if not alone(self.driver.setup.spread):
            return False
        return not any(x.is_deleted() for x in jax.tree.leaves(self.state) if hasattr(x, "devices"))

    def close(self, saves: Saves | None) -> None:
        """After an error, save and record what is still there; fail in nothing of it."""
        if self.pilot or self.report is None or not self.alive:
            return
        with contextlib.suppress(Exception):
            if saves is not None:
                saves.save(self)
            if not self.rows or self.rows[-1].step[-1] != self.steps[0]:
                self.chunk(0)

    def history(self) -> history.History:
        """Return what was recorded so far."""
        return history.join(self.rows, self.recorder.rows)

    def progress(self) -> Progress:
        """Return what a callback sees."""
        progress = Progress(
            step=int(self.steps[0]) - self.first,
            steps=self.goals[0].steps,
            best_energy=float(self.report.best_energy),
            temperatures=np.broadcast_to(self.report.temperatures, self.method.shape),
            acceptance_rate=self._acceptance_rate(),
            evaluations=self.driver.evaluations,
            seconds=self.driver.clock.seconds,
        )
        return progress.with_best(self.report.best, self.driver.setup.spread)

    def _acceptance_rate(self) -> float:
        """Return accepted over all proposals of the last chunk, NaN if there was none."""
        now, before = self.trials, self.trials_before
        accepted = now.accepted - before.accepted
        if now.number is None:
            return accepted / (self.method.chains * max(int(self.moves[0]), 1))
        number = now.number - before.number
        return accepted / number if number > 0 else np.nan


def _sums(trials: Trials) -> Trials:
    """Return the sums over the slots."""
    return jax.tree.map(lambda x: int(np.sum(np.asarray(x), dtype=np.int64)), trials)


class Driver:
    """Run chunks of one problem until something says stop.

    Args:
        setup: The static part of the call.
        data: What its programs are given.
        limits: When to stop, what to show.
        args: The user's data.
        move: The move, with the user's own objects.
        clock: The call's clock.
        interruption: Whether somebody asked to stop.
        evaluations: Energy evaluations before this driver.
    """

    def __init__(
        self,
        setup: Setup,
        data: Data,
        limits: Limits,
        args: Parameters,
        move: Any,
        clock: Clock,
        interruption: Interruption,
        evaluations: int,
    ):
        self.setup, self.data, self.limits = setup, data, limits
        self.args, self.move = args, move
        self.clock, self.interruption = clock, interruption
        self.evaluations = evaluations
        self.pace = Pace()
        self.template: Any = None
        self.traced: tuple[Compilation, ...] = ()  # what is to be compiled before the first move
        self.current: RecordedRun | None = None
        self.best: tuple[Any, Parameters] | None = None
        self.looks_back(None, 0)

    def looks_back(self, begun: Begun | None, since: int) -> None:
        """Note where some of the chains began, and the step from which reports count."""
        self.begun, self.since = begun, since

    @property
    def lanes_evaluated(self) -> int:
        """Evaluations that one move of all chains costs, padding included."""
        return padded_count(self.template.method.chains, self.setup.width)

    @property
    def energy(self) -> Traced:
        """The energy as it was traced."""
        return Traced(self.data.energy, self.setup.energy)

    def prepare(self, state: Any) -> Compilation:
        """Trace the chunk for a state of this kind."""
        self.template = state
        inputs = (state, self.recorder(state, 0), self.data, self.control(state, 0, 0, 0, 1))
        return chunk_program(self.setup).prepare(*inputs)

    def compile_all(self) -> None:
        """Compile what is not compiled yet."""
        with self.clock.preparing():
            compile_programs(*self.traced)

    def run(
        self,
        state: State,
        method: Method,
        steps: int,
        record_every: int,
        bar: RunBar | None = None,
        saves: Saves | None = None,
        saved: SavedRun | None = None,
    ) -> tuple[State, history.History, StopReason]:
        """Make ``steps`` moves, or fewer where there is a reason to stop.

        Args:
            state: The state, whose buffers are taken over.
            method: The method as the host knows it, which evaluates schedules that JAX cannot.
            steps: Moves per chain.
            record_every: Moves between records.
            bar: Shows the progress; without it the moves are a pilot's, which neither the callback
                nor patience nor a lowest temperature ends: those are said of the run to come.
            saves: Saves the run from time to time.
            saved: What was saved of these moves, of which ``state`` is a part.

        Returns:
            The state, the history of these moves, and why they ended.
        """
        run = RecordedRun(self, state, method, steps, record_every, saved, pilot=bar is None)
        self.current = run
        if saved is not None and saved.reason is not None:
            return run.state, saved.rows, saved.reason
        try:
            reason = self._finish(run, bar, saves)
        except BaseException:
            run.close(saves)
            raise
        return run.state, run.history(), reason

    def _finish(self, run: RecordedRun, bar: RunBar | None, saves: Saves | None) -> StopReason:
        """Run chunk after chunk; return why the last one was the last."""
        host_reason: StopReason | None = None
        while True:
            if host_reason is None:
                host_reason = self._host_reason()
            due = saves is not None and saves.due
            length, host_reason, due = self._agreed(self._next_length(), host_reason, due)
            if saves is not None and (host_reason is not None or due):
                saves.save(run)  # before a record at a step where an uninterrupted run has none
            reason = run.chunk(length if host_reason is None else 0)
            stops = bar is not None and host_reason is None and self._show(bar, run.progress())
            if host_reason is not None:
                return host_reason
            if reason is not None:
                if saves is not None:
                    saves.save(run, reason)
                return reason
            if stops:
                host_reason = StopReason.CALLBACK

    def saw(self, chains: Chain) -> None:
        """Note the best of evaluated chains ``[lanes, ...]``, for an error in the first chunk."""
        energies = fetch(chains.best_energy)
        best, params = int(np.argmin(energies)), chains._best_params
        self.best = energies[best], params.with_leaves(take_from_shard(params.leaves, best))

    def take_up(self, saved: SavedRun) -> None:
        """Count on from what was saved."""
        self.evaluations, self.clock.earlier = saved.evaluations, saved.seconds
        self.saw(chains_by_slot(saved.state))

    def no_history(self) -> history.History:
        """Return the history of no moves."""
        recorder = self.recorder(self.template, 0)
        return history.join([], recorder.rows)

    def _agreed(
        self, length: int, reason: StopReason | None, due: bool
    ) -> tuple[int, StopReason | None, bool]:
        kinds = [None, *StopReason]
        numbers = [length, kinds.index(reason), int(due)]
        length, kind, save = agreed(numbers, self.setup.spread)
        return length, kinds[kind], bool(save)

    def _host_reason(self) -> StopReason | None:
        if self.interruption.requested:
            return StopReason.INTERRUPTED
        # No move begins that would not end in time: it is the smallest piece of work. The first
        # tells how long it takes; the starts do not, a simulator may load something for them.
        end = self.clock.seconds + self.pace.seconds_per_move
        over = end > self.limits.max_seconds or self.clock.seconds >= self.limits.max_seconds
        return StopReason.TIME if over else None

    def _show(self, bar: RunBar, progress: Progress) -> bool:
        """Show the progress; return whether the callback asks to stop."""
        bar.update(progress)
        if self.limits.callback is None:
            return False
        try:
            with callback_errors(lambda: "callback"):
                return asks_to_stop(traced("callback", self.limits.callback, progress))
        except StopIteration:
            return True
        except KeyboardInterrupt:
            if self.interruption.requested:  # the second
                raise
            self.interruption.requested = True
            return False

    def _next_length(self) -> int:
        left = max(self.limits.max_seconds - self.clock.seconds, 0.0)
        return self.pace.length(min(chunks.LOOK_SECONDS, left))

    def recorder(self, state: Any, step: int) -> history.Recorder:
        """Return an empty buffer for records."""
        row = row_shapes(self.setup, state, self.data)
        return history.new_recorder(row, step, state, self.setup.layout)

    def control(
        self, state: Any, begin: int, end: int, finish: int, record_every: int
    ) -> chunks.Control:
        """Return what is asked of a chunk."""
        limits = (self.limits.target, self.limits.patience, None, record_every)
        goal, dtype = Goal(begin, finish - begin, *limits), state.chains.energy.dtype
        return chunks.control([goal], [end], [finish], dtype, many=False)
