"""The main call."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import jax
import numpy as np

from jaxanneal._chain.callbacks import callback_errors
from jaxanneal._checks import refuse_tracing
from jaxanneal._diagnostics.check_starts import warn_of_noise
from jaxanneal._engine.programs import placed
from jaxanneal._engine.sharding import fetch
from jaxanneal._engine.starts import begun
from jaxanneal._engine.state import State, own_lanes
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._methods.protocol import Method
from jaxanneal._result.continuation import Continuation
from jaxanneal._result.result import Result
from jaxanneal._run.calibrate import calibrated, first_temperatures, pilot
from jaxanneal._run.checkpoint import Checkpoint, as_checkpoint, saves_of
from jaxanneal._run.driver import Driver
from jaxanneal._run.fingerprint import fingerprint, from_start, from_state
from jaxanneal._run.interrupt import Clock, Interruption, interruptible
from jaxanneal._run.limits import Limits, as_limits
from jaxanneal._run.outcome import calling_back, outcome, rescuing
from jaxanneal._run.problem import Problem
from jaxanneal._run.progress import RunBar
from jaxanneal._run.resume import resume
from jaxanneal._settings import known_settings

Params = TypeVar("Params")


@known_settings
def anneal(
    energy: Callable[..., Any],
    params: Callable[[jax.Array], Params] | Params | None = None,
    *,
    key: Any = None,
    args: tuple[Any, ...] = (),
    method: Any = None,
    move: Any = None,
    steps: int = 10_000,
    state: Continuation | None = None,
    target: float | None = None,
    patience: int | None = None,
    max_seconds: float | None = None,
    max_evaluations: int | None = None,
    record_every: int | None = None,
    observe: Callable[..., Any] | None = None,
    callback: Callable[..., Any] | None = None,
    progress: bool | None = None,
    checkpoint: Checkpoint | None = None,
    block: int | None = None,
    sharding: Any = None,
) -> Result[Params]:
    r"""Minimise an energy without gradients, with many chains in one compiled program.

    Maths: each chain proposes :math:`x'` and moves there with probability
    :math:`\min(1, \exp(-(E(x') - E(x)) / T))`; the method decides T.
    Batching: write everything for one chain; the engine batches it.

    Args:
        energy: ``energy(params, *args) -> real scalar`` for one chain, to be minimised, traceable
            by JAX. Temperatures are in its units: with a mean loss over N samples, T = 1/N is the
            Bayesian posterior of the summed loss.
        params: One chain's parameters, any pytree: all chains start there. Or a function
            ``key -> params``, called once per chain, in JAX (NumPy would draw once for all of
            them); or ``ja.stacked(tree)``.
        key: Int seed, typed key or raw ``uint32`` key; folded. Its words make the run's own key, of
            a fast type of our own, which moves and initialisers are given.
        args: Data, a tuple, passed through and never copied per chain.
        method: :class:`SimulatedAnnealing` (default), :class:`ParallelTempering`,
            :class:`BasinHopping` for an energy with gradients, or an object of your own with
            ``chains``, ``init()``, ``temperatures(state)`` and ``exchange(key, state, energies)``.
        move: A move or a symmetric function ``(key, params) -> params``; by default each leaf has
            the natural move of its dtype.
        steps: Metropolis moves per chain in this call.
        state: Go on from ``result.state``; ``params`` and ``key`` are then ignored.
        target: Stop when the best energy is at or below this.
        patience: Stop when the best energy has not improved for so many steps.
        max_seconds: Stop after so much wall clock, compilation apart. The smallest piece of work is
            one move of every chain, an evaluation of each. The starts are evaluated in any case;
            after the first move none begins that would end later, in a calibration either.
        max_evaluations: Stop before more evaluations of the energy than this in this call, starts,
            calibration and padding of blocks included. A cooling and a warm-up are bound to the
            moves that it allows.
        record_every: Moves between records of the history; by default at most 1,000 records, of
            a summary over chains at most 100, and as few as fit into 64 MB.
        observe: ``(params, *args) -> pytree`` to record, in parallel tempering at the coldest rung.
        callback: ``callback(progress) -> bool``, about every half second; True stops the run, and
            so does ``raise StopIteration``. ``progress.best_params`` is the best state.
        progress: Whether to show a bar; ``None``: on a terminal or in a notebook.
        checkpoint: ``ja.Checkpoint(directory)``: the run is saved there, and the same call goes on
            from the last save. A directory of another call is refused.
        block: Chains per block at most, part of the run's identity: blocks are of equal width. By
            default from backend and size.
        sharding: A mesh or a sharding over the chain axis; by default the local devices, as many as
            there are blocks. It changes no number of the result.

    Returns:
        A :class:`Result` with the best state that any chain ever saw. Ctrl-C and SIGTERM end a run
        with its result; an error that ends it has what was found as its attribute ``result``. So
        that scripts of many runs end, too, a second Ctrl-C within two seconds raises
        ``KeyboardInterrupt``, and after SIGTERM the next call raises ``SystemExit(143)``.

    Raises:
        TypeError: An input is of the wrong kind, before anything compiles.
        ValueError: An input is out of range, or no chain starts at a finite energy.
        RuntimeError: The call is made under ``jit`` or ``vmap``.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxanneal as ja
        >>> def energy(p, x, y):
        ...     return jnp.mean((p["w"] * x + p["b"] - y) ** 2)
        >>> x = jnp.arange(5.0)
        >>> result = ja.anneal(energy, {"w": 0.0, "b": 0.0}, key=0, args=(x, 2 * x + 1))
        >>> round(float(result.params["w"]), 2), round(float(result.params["b"]), 2)
        (2.0, 1.0)

    Reference: Kirkpatrick, Gelatt and Vecchi, Science 220, 671 (1983).
    """
    refuse_tracing("anneal", "Use ja.algorithm(energy, method, move), whose steps are pure.")
    ends = (steps, target, patience, max_seconds, max_evaluations)
    limits = as_limits(*ends, record_every, observe, callback, progress)
    inputs = Inputs(energy, params, key, args, method, move, block, sharding)
    return run_within(limits, inputs, state, as_checkpoint(checkpoint))


class Inputs(NamedTuple):
    """What is annealed, from where, and how: as the user gave it to :func:`anneal`."""

    energy: Any
    params: Any
    key: Any
    args: Any
    method: Any
    move: Any = None
    block: Any = None
    sharding: Any = None


def run_within(
    limits: Limits, inputs: Inputs, state: Any = None, checkpoint: Checkpoint | None = None
) -> Result[Any]:
    """Make one run within some limits.

    Args:
        limits: When it stops, what it records and shows.
        inputs: What is annealed.
        state: The state to go on from, or ``None``.
        checkpoint: Where it is saved, or ``None``.
    """
    clock, bar = Clock(), RunBar(limits.steps, limits.progress, limits.max_seconds)
    with interruptible() as interruption, bar, callback_errors():
        with clock.preparing():
            if state is not None:
                energy, _, _, args, method, move, block, sharding = inputs
                where = (block, sharding, limits, clock, interruption)
                call = _continued(*resume(energy, args, method, move, state, *where), state)
            else:
                call = _started(Problem(*inputs, clock), limits, interruption, bar)
        return _run(call, checkpoint, bar)


class _Call(NamedTuple):
    """A call that is ready to begin.

    Args:
        driver: Runs it.
        bound: The method bound to its length; what is calibrated may still be a placeholder.
        parts: Returns the fingerprint.
        first: Returns the state before the first move, its method, and a reason not to make one.
    """

    driver: Driver
    bound: Method
    parts: Callable[[], dict[str, str]]
    first: Callable[[], tuple[State, Method, StopReason | None]]


def _started(problem: Problem, limits: Limits, interruption: Interruption, bar: RunBar) -> _Call:
    """Return a call that begins at its own starts."""
    limits = problem.affordable(limits)
    driver = problem.prepare(limits, interruption)
    driver.looks_back(begun(problem.starts, problem.method.chains), 0)
    origin = lambda: from_start(problem.key, problem.starts, problem.move)  # noqa: E731
    parts = lambda: fingerprint(driver, problem.method, origin())  # noqa: E731
    first = functools.partial(_first_state, problem, driver, limits, bar)
    return _Call(driver, problem.bound(problem.method, limits.steps), parts, first)


def _continued(driver: Driver, state: State, method: Method, given: Continuation) -> _Call:
    """Return a call that goes on from a given state, of which ``state`` is a copy."""
    begin = int(given.engine_state.step)
    origin = lambda: from_state(own_lanes(given.engine_state, given.width), state.move)  # noqa: E731
    parts = lambda: fingerprint(driver, method, origin(), begin)  # noqa: E731
    return _Call(driver, method, parts, lambda: (state, method, None))


def _first_state(
    problem: Problem, driver: Driver, limits: Limits, bar: RunBar
) -> tuple[State, Method, StopReason | None]:
    """Return the state before the first move, and a reason not to make it, if there is one."""
    chains = problem.start(driver)
    with driver.clock.preparing():
        assert driver.begun is not None
        driver.looks_back(driver.begun.seen(fetch(chains.energy)), 0)
    if not problem.method.needs_calibration:
        with driver.clock.preparing():
            method = problem.method.bind(limits.steps)
            if not method.finds_temperatures:  # or there is nothing yet to compare with
                warn_of_noise(driver.begun, lambda: first_temperatures(method))
            return problem.state(method, chains, chains), method, None
    bar.say("calibrating")
    calibration, best = pilot(problem, driver, chains)
    with driver.clock.preparing():
        method = calibrated(problem.method, calibration, limits.steps)
        warn_of_noise(driver.begun, lambda: first_temperatures(method))
        factors = calibration.factors(np.asarray(first_temperatures(method)))
        state = problem.state(method, chains, best, factors, pools=calibration.pools)
    return state, method, None if calibration.reason is StopReason.STEPS else calibration.reason


def _run(call: _Call, checkpoint: Checkpoint | None, bar: RunBar) -> Result[Any]:
    """Run, or go on from what was saved, and return the result."""
    driver = call.driver
    limits = driver.limits
    with saves_of(checkpoint, call.parts, driver.setup.spread) as saves:
        saved, reason = None, None
        if saves is not None:
            width, rows = driver.setup.width, driver.no_history()
            saved = saves.restore(driver.template, width, call.bound, rows)
        with rescuing(driver, saves), callback_errors(lambda: calling_back(driver)):
            if saved is None or saved.reason is None:
                driver.compile_all()
            if saved is None:
                state, method, reason = call.first()
            else:
                state, method = placed(saved.state, driver.setup.spread), saved.method
                driver.take_up(saved)
            bar.begin(driver.evaluations, driver.clock.seconds, limits.steps)
            moves = limits.steps if reason is None else 0
            saves = saves if reason is None else None  # a calibration that was cut short
            every = limits.record_every or 1
            state, history, last_reason = driver.run(state, method, moves, every, bar, saves, saved)
            reason = limits.reason(last_reason if reason is None else reason)
            return outcome(driver, state, method, history, reason)
