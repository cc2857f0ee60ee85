"""A batch of runs of one structure: start, pilots and run, each as one program for all."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain import keys
from jaxanneal._chain.callbacks import callback_errors
from jaxanneal._chain.calls import notes_of
from jaxanneal._chain.chain import Chain
from jaxanneal._checks import numbers_on_host
from jaxanneal._diagnostics.diagnostics import acceptance_rate
from jaxanneal._engine.compile import is_overflow
from jaxanneal._engine.programs import state_program
from jaxanneal._engine.setup import Setup
from jaxanneal._engine.sharding import default_device
from jaxanneal._engine.starts import check_start, is_initialiser, require_finite, traced_start
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._methods.protocol import NEVER
from jaxanneal._run.calibrate import (
    Pilot,
    Seen,
    calibrated,
    pilot_method,
    pilots,
)
from jaxanneal._run.chunks import Goal, on_device
from jaxanneal._run.interrupt import Clock, Interruption
from jaxanneal._sweep.driver import BatchDriver, Interrupted
from jaxanneal._sweep.jobs import Job
from jaxanneal._sweep.programs import (
    Structural,
    call,
    finish_program,
    first_size,
    lanes_program,
    mapped,
    own_args,
    stack,
    temperatures_program,
)


class Run(NamedTuple):
    """One repeat of one configuration, and the words of its key."""

    job: Job
    repeat: int
    words: np.ndarray


class Outcome(NamedTuple):
    """What is kept of a run; of one that failed, the error alone."""

    error: str = ""
    energy: float = np.nan
    steps: int = 0
    evaluations: int = 0
    acceptance_rate: float = np.nan
    stop_reason: str = ""
    params: tuple[np.ndarray, ...] = ()


class Batch:
    """Some runs in the rows of a program, the last rows filled with copies of the first run.

    Args:
        runs: The runs, of one structure.
        size: Rows of the program.
        params: What the user passed as ``params``.
        driver: Makes the moves of many runs.
    """

    def __init__(self, runs: list[Run], size: int, params: Any, driver: BatchDriver):
        self.runs, self.rows = runs, [*runs, *[runs[0]] * (size - len(runs))]
        self.jobs = [run.job for run in self.rows]
        self.problem, self.driver = runs[0].job.problem, driver
        self.params = params
        self.failed: dict[int, str] = {}
        self.own_data, self.data = driver.own_data, self.problem.data
        if self.own_data:
            args = stack([job.problem.data.args for job in self.jobs])
            self.data = self.data._replace(args=args)
        self.keys = keys.from_data(jnp.asarray(np.stack([run.words for run in self.rows])))
        self.evaluations = np.zeros(size, np.int64)
        self.bound = [job.bound for job in self.jobs]

    def outcomes(self) -> list[Outcome]:
        """Run, and return what is kept of each run.

        Raises:
            Structural: A program cannot be traced.
            Exception: Whatever an energy raised in the middle of a run.
        """
        chains = self._start()
        with numbers_on_host():
            methods, factors, best, reasons, pools = self._calibrated(chains)
        state = self._state(self.keys, methods, chains, best, factors, pools)
        goals = [self._goal(i, methods[i], reasons[i]) for i in range(len(self.rows))]
        state, stops = self._move(state, methods, goals)
        kept = jax.tree.map(np.asarray, self._call(mapped(finish_program(), (True,)), state))
        return [self._outcome(i, kept, reasons[i] or stops[i]) for i in range(len(self.runs))]

    def _start(self) -> Chain:
        """Evaluate the starts; what all runs share is evaluated once."""
        problem, own_starts = self.problem, is_initialiser(self.params)
        starts, count = problem.lanes, problem.method.chains
        if own_starts:
            initialiser = traced_start(self.params, problem.key, count)
            make = lanes_program(initialiser.computation, count, problem.total)
            program = mapped(make, (False, True))
            starts = self._call(program, initialiser.constants, self.keys)
            for i, run in enumerate(self.runs):
                mine = jax.tree.map(lambda x, i=i: x[i, :count], starts)
                self._or_fail(i, lambda run=run, mine=mine: check_start(run.job.problem.move, mine))
                self.bound[i] = self.bound[i].fitted(mine, run.job.problem.move)
        program = problem.start_program
        self.own_chains = own_starts or self.own_data
        if self.own_chains:
            program = mapped(program, (own_starts, own_args(self.own_data)))
        chains = self._call(program, starts, self.data)
        self.evaluations += problem.lanes_evaluated
        energies = np.atleast_2d(np.asarray(chains.energy))[:, :count]
        for i in range(len(self.runs)):
            row = i if self.own_chains else 0
            if not np.any(np.isfinite(energies[row])):
                mine = jax.tree.map(lambda x, i=i: x[i], chains) if self.own_chains else chains
                self._or_fail(i, lambda mine=mine: require_finite(mine, count))
        self.energies = np.broadcast_to(energies, (len(self.rows), energies.shape[1]))
        return chains

    def _call(self, program: Any, *inputs: Any) -> Any:
        return call(self.driver.clock, program, *inputs)

    def _or_fail(self, row: int, check: Callable[[], None]) -> None:
        try:
            check()
        except (TypeError, ValueError) as error:
            self.failed.setdefault(row, error_text(error))

    def _calibrated(
        self, chains: Chain
    ) -> tuple[list[Any], np.ndarray, Chain | None, list[Any], list[Any]]:
        """Return methods, first factors, chains with the best states, and reasons not to run.

        The last are first factors that chains share.
        """
        pools = self._first_pools(chains)
        reasons: list[StopReason | None] = [None] * len(self.rows)
        factors = np.zeros(self.energies.shape, jax.dtypes.canonicalize_dtype(float))
        if not self.problem.method.needs_calibration:
            return self.bound, factors, None, reasons, pools
        pilot_runs = {
            i: pilots(
                self.energies[i], self.problem.coordinates, run.job.limits.pilot_moves, pools[i]
            )
            for i, run in enumerate(self.runs)
            if i not in self.failed
        }
        calibrations: dict[int, Any] = {}
        next_pilots = {i: next(generator) for i, generator in pilot_runs.items()}
        best: Chain | None = None
        while next_pilots:
            seen, best = self._pilot(next_pilots, chains, best)
            for i in list(next_pilots):
                try:
                    next_pilots[i] = pilot_runs[i].send(seen(i))
                except StopIteration as end:
                    calibrations[i] = end.value
                    del next_pilots[i]
        methods = [job.bound for job in self.jobs]
        for i, result in calibrations.items():
            job = self.jobs[i]
            methods[i] = calibrated(job.problem.method, result, job.limits.steps)
            reasons[i] = None if result.reason is StopReason.STEPS else result.reason
        program = mapped(temperatures_program(), (True,))
        temperatures = np.asarray(self._call(program, self._stacked(methods)))
        for i, result in calibrations.items():
            factors[i], pools[i] = result.factors(temperatures[i]), result.pools
        return methods, factors, best, reasons, pools

    def _first_pools(self, chains: Chain) -> list[Any]:
        """Return the first factors that chains of each run share, if they do."""
        return [job.problem.pools for job in self.jobs]

    def _stacked(self, methods: list[Any]) -> Any:
        ready = {id(method): on_device(method, begins=True) for method in methods}
        return stack([ready[id(method)] for method in methods])

    def _pilot(
        self, next_pilots: dict[int, Pilot], chains: Chain, best: Chain | None
    ) -> tuple[Callable[[int], Seen], Chain]:
        """Make one pilot of every run that asks for one."""
        pilot_methods: dict[Any, Any] = {}
        pools = self._first_pools(chains)
        methods, factors = [job.bound for job in self.jobs], np.zeros_like(self.energies)
        factors = factors.astype(jax.dtypes.canonicalize_dtype(float))
        goals, numbers = (
            [Goal(0, 0, -np.inf, NEVER)] * len(self.rows),
            np.zeros(len(self.rows), int),
        )
        for i, pilot in next_pilots.items():
            job = self.jobs[i]
            place = id(job.problem.method), pilot.temperature, pilot.moves
            if place not in pilot_methods:
                pilot_methods[place] = pilot_method(job.problem.method, pilot)
            methods[i], factors[i] = pilot_methods[place], pilot.log_factor
            pools[i] = pilot.pools
            numbers[i] = pilot.number
            goals[i] = Goal(0, pilot.moves, job.limits.target, NEVER)
        pilot_keys = jax.vmap(keys.calibration_key)(self.keys, numbers)
        state = self._state(pilot_keys, methods, chains, best, factors, pools)
        state, reasons = self._move(state, methods, goals)
        count = self.problem.method.chains
        fields = (state.chains.energy, state.chains.best_energy, state.log_factor, state.nonfinite)
        arrays = [np.asarray(x)[:, :count] for x in fields]
        shared = jax.tree.map(np.asarray, state.pools)
        shared_by = lambda i: jax.tree.map(lambda x: x[i], shared)  # noqa: E731
        seen = lambda i: Seen._make((*(x[i] for x in arrays), reasons[i], shared_by(i)))  # noqa: E731
        return seen, state.chains

    def _move(self, state: Any, methods: list[Any], goals: list[Goal]) -> tuple[Any, list[Any]]:
        state, moves, reasons = self.driver(state, methods, goals, self.data)
        self.evaluations += moves * self.problem.lanes_evaluated
        return state, reasons

    def _state(
        self,
        run_keys: jax.Array,
        methods: list[Any],
        chains: Chain,
        best: Chain | None,
        factors: np.ndarray,
        pools: list[Any],
    ) -> Any:
        own = (True, self.own_chains, best is not None or self.own_chains, True, True, True, True)
        program = mapped(state_program(None), own)
        move = stack([job.problem.move for job in self.jobs])
        method, known = self._stacked(methods), chains if best is None else best
        missing = self.problem.total - factors.shape[1]
        factors = np.concatenate([factors, np.repeat(factors[:, :1], missing, axis=1)], axis=1)
        inputs = run_keys, chains, known, method, move, factors, stack(pools)
        return self._call(program, *inputs)

    def _goal(self, row: int, method: Any, reason: StopReason | None) -> Goal:
        limits = self.jobs[row].limits
        idle = row >= len(self.runs) or row in self.failed or reason is not None
        steps, coldest = (0, None) if idle else (limits.steps, method.min_temperature)
        return Goal(0, steps, limits.target, limits.patience, coldest)

    def _outcome(self, row: int, kept: dict[str, Any], reason: StopReason) -> Outcome:
        if row in self.failed:
            return Outcome(self.failed[row])
        accepted = jax.tree.map(lambda x: x[row], kept["accepted"])
        rate = acceptance_rate(accepted, self.problem.method.shape)
        known = rate[np.isfinite(rate)]  # of chains that proposed something
        return Outcome(
            energy=float(kept["energy"][row]),
            steps=int(accepted.steps),
            evaluations=int(self.evaluations[row]),
            acceptance_rate=float(known.mean()) if known.size else np.nan,
            stop_reason=self.jobs[row].limits.reason(reason).name,
            params=tuple(leaf[row] for leaf in kept["params"]),
        )


def error_text(error: BaseException) -> str:
    """Return what an error says, with its kind."""
    text = str(error).strip()
    shown = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return "\n".join([shown, *notes_of(error)])


# Results are written and progress is shown about this often.
_BATCH_SECONDS = 5.0

_FIRST, _GROWTH = 8, 8


def by_structure(runs: list[Run]) -> list[list[Run]]:
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
    setup = Setup(problem.energy.computation, problem.width)
    driver = BatchDriver(setup, own_data, interruption, clock)
    size = first_size(problem, len(runs))
    count = min(size, _FIRST) if default_device().platform == "cpu" else size
    left = list(runs)
    while left:
        taken, began = left[:count], clock.seconds
        try:
            with callback_errors():
                batch_outcomes = Batch(taken, size, params, driver).outcomes()
        except Interrupted:
            raise
        except Structural as error:
            text = error_text(error.__cause__ or error)
            yield [(run, Outcome(text)) for run in left]
            return
        except Exception as error:
            if is_overflow(error) and size > 1:
                size, count = _halved(size, count)
            elif len(taken) > 1:
                count = len(taken) // 2
            else:
                left = left[1:]
                yield [(taken[0], Outcome(error_text(error)))]
        else:
            left = left[len(taken) :]
            yield list(zip(taken, batch_outcomes, strict=True))
            fitting = count * _BATCH_SECONDS / max(clock.seconds - began, 1e-9)
            count = int(max(1, min(size, fitting, _GROWTH * count)))


def _halved(size: int, count: int) -> tuple[int, int]:
    half = max(1, size // 2)
    return half, min(count, half)
