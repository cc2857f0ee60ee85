"""The main call."""

from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._calibrate import first_factors, pilot
from jaxanneal._clock import Clock
from jaxanneal._continuation import Continuation
from jaxanneal._diagnostics import diagnose
from jaxanneal._driver import Driver
from jaxanneal._interrupt import interruptible
from jaxanneal._limits import Limits, as_limits
from jaxanneal._methods._protocol import Method
from jaxanneal._problem import (
    Problem,
)
from jaxanneal._program import best_program
from jaxanneal._progress import Bar
from jaxanneal._result import Result
from jaxanneal._resume import resume
from jaxanneal._sharding import default_device, fetch
from jaxanneal._state import State, slots
from jaxanneal._stop_reason import StopReason
from jaxanneal._tracing import refuse_tracing

Params = TypeVar("Params")


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
    record_every: int | None = None,
    observe: Callable[..., Any] | None = None,
    callback: Callable[..., Any] | None = None,
    progress: bool | None = None,
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
        method: :class:`SimulatedAnnealing` (default) or :class:`ParallelTempering`.
        move: A move or a symmetric function ``(key, params) -> params``; by default each leaf has
            the natural move of its dtype.
        steps: Metropolis moves per chain in this call.
        state: Go on from ``result.state``; ``params`` and ``key`` are then ignored.
        target: Stop when the best energy is at or below this.
        patience: Stop when the best energy has not improved for so many steps.
        max_seconds: Stop after so much wall clock, compilation apart.
        record_every: Moves between records of the history; by default at most 1,000 records, and as
            few as fit into 64 MB.
        observe: ``(params, *args) -> pytree`` to record, in parallel tempering at the coldest rung.
        callback: ``callback(progress) -> bool``, about every half second; True stops the run.
        progress: Whether to show a bar; ``None``: on a terminal or in a notebook.
        block: Chains per block, part of the run's identity; by default from backend and size.
        sharding: A mesh or a sharding over the chain axis; by default the local devices, as many as
            there are blocks. It changes no number of the result.

    Returns:
        A :class:`Result` with the best state that any chain ever saw.

    Raises:
        TypeError: An input is of the wrong kind, before anything compiles.
        ValueError: An input is out of range, or no chain starts at a finite energy.
        RuntimeError: The call is made under ``jit`` or ``vmap``.

    Example:
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
    limits = as_limits(
        steps, target, patience, max_seconds, record_every, observe, callback, progress
    )
    clock = Clock()
    with interruptible() as interruption, _bar(limits) as bar:
        if state is not None:
            run = resume(
                energy, args, method, move, state, block, sharding, limits, clock, interruption
            )
            return _finish(*run, None, bar)
        problem = Problem(energy, params, key, args, method, move, block, sharding, clock)
        driver = problem.prepare(limits, interruption)
        return _finish(driver, *_first_state(problem, driver, limits, bar), bar)


def _bar(limits: Limits) -> Bar:
    return Bar(limits.steps, limits.progress, limits.max_seconds)


def _first_state(
    problem: Problem, driver: Driver, limits: Limits, bar: Bar
) -> tuple[State, Method, StopReason | None]:
    """Return the state before the first move, and a reason not to make it, if there is one."""
    chains = problem.start(driver)
    if not problem.method.needs_calibration:
        method = problem.method.bind(limits.steps)
        return problem.state(method, chains, chains), method, None
    bar.calibrating()
    found = pilot(problem, driver, chains, limits.steps)
    method = problem.method.calibrated(found.start, found.end).bind(limits.steps)
    temperatures = np.asarray(method.temperatures_at(method.init(), jnp.zeros((), jnp.int32)))
    factors = first_factors(found.rises, temperatures)
    state = problem.state(method, chains, found.best, factors)
    return state, method, None if found.reason is StopReason.STEPS else found.reason


def _finish(
    driver: Driver, state: State, method: Method, reason: StopReason | None, bar: Bar
) -> Result[Any]:
    """Run, and return the result."""
    limits = driver.limits
    bar.begin(driver.evaluations, driver.clock.seconds)
    moves = limits.steps if reason is None else 0
    state, history, found = driver.run(state, method, moves, limits.record_every or 1, bar)
    chains = slots(state)
    params, energy = _best(driver, state)
    setup = driver.setup
    return Result(
        params=params,
        energy=energy,
        chains=chains,
        history=history,
        diagnostics=diagnose(state, history),
        stop_reason=found if reason is None else reason,
        steps=int(state.step),
        evaluations=driver.evaluations,
        gradients=0,
        seconds=driver.clock.seconds,
        compile_seconds=driver.clock.compiling,
        state=Continuation(
            state, method, setup.energy, driver.args, setup.width, driver.evaluations
        ),
        fixed=len(chains._params.structure.fixed),
    )


def _best(driver: Driver, state: State) -> tuple[Any, float]:
    """Return the best parameters of all chains, and their energy."""
    spread = driver.setup.spread
    program = best_program(spread)
    driver.clock.compiling += program.prepare(state)()
    params, energy = program(state)
    if spread is not None:  # every device has them; the user gets them on one
        params = jax.device_put(jax.tree.map(fetch, params), default_device())
    return params.tree, float(fetch(energy))
