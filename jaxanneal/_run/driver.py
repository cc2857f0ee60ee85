"""The host's side of a run: chunks, time, progress, and reasons to stop."""

from typing import Any

import numpy as np

from jaxanneal._chain.chain import Chain
from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import host_array
from jaxanneal._engine import chunk, history
from jaxanneal._engine.compile import Compilation
from jaxanneal._engine.programs import Setup, chunk_program, row_shapes
from jaxanneal._engine.sharding import agreed, entry, fetch
from jaxanneal._engine.state import State, slots
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._methods.protocol import Method
from jaxanneal._run.clock import Clock
from jaxanneal._run.interrupt import Interruption
from jaxanneal._run.keeper import Keeper, Kept
from jaxanneal._run.limits import Limits
from jaxanneal._run.progress import Bar, Progress
from jaxanneal._run.stretch import Stretch

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
