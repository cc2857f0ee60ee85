"""What a call hands out: its result, or with an error what was found until then."""

import contextlib
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np

from jaxanneal._chain.chain import Chain
from jaxanneal._chain.computation import Traced
from jaxanneal._checks import refusal
from jaxanneal._diagnostics.diagnostics import Diagnostics, diagnose
from jaxanneal._engine.compile import is_overflow
from jaxanneal._engine.history import History
from jaxanneal._engine.sharding import everywhere
from jaxanneal._engine.state import State, chains_by_slot
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._methods.protocol import Method
from jaxanneal._pytree import replace
from jaxanneal._result.continuation import Continuation
from jaxanneal._result.result import Result
from jaxanneal._run.checkpoint import Saves
from jaxanneal._run.driver import Driver


def outcome(
    driver: Driver, state: State, method: Method, history: History, reason: StopReason
) -> Result[Any]:
    """Return the result of a run."""
    seconds = driver.clock.seconds + driver.clock.earlier
    with driver.clock.preparing():
        chains, setup = chains_by_slot(state), driver.setup
        health = diagnose(state, history, driver.since)
    # A program returns the move of the call that it was compiled for, which computes the same.
    own = jax.tree.unflatten(jax.tree.structure(driver.move), jax.tree.leaves(state.move))
    state = replace(state, move=own)
    assert driver.best is not None
    energy, best = driver.best
    if setup.spread is not None:  # every device has it; the user gets it on one
        best = everywhere(best, None)
    return Result(
        params=best.tree,
        energy=float(energy),
        chains=chains,
        history=history,
        diagnostics=health,
        stop_reason=reason,
        steps=int(state.step),
        evaluations=driver.evaluations,
        gradients=int(state.step) * driver.lanes_evaluated * method.gradients,
        seconds=seconds,
        compile_seconds=driver.clock.compiling,
        state=Continuation(
            state,
            method,
            driver.energy,
            driver.args,
            setup.width,
            driver.evaluations,
            begun=driver.begun,
            since=driver.since,
        ),
        fixed=len(chains._params.structure.fixed),
    )


@contextlib.contextmanager
def rescuing(driver: Driver, saves: Saves | None) -> Iterator[None]:
    """Let an error that ends a run carry what was found, and a note that says how to read it."""
    try:
        yield
    except BaseException as error:
        if is_overflow(error):
            error.add_note(_memory(driver))
        result = _whole(driver) or _remains(driver)
        if result is not None:
            with contextlib.suppress(Exception):  # an exception may refuse attributes
                error.result = result  # pyright: ignore[reportAttributeAccessIssue]
                error.add_note(_note(result, saves))
        raise


def _whole(driver: Driver) -> Result[Any] | None:
    """Return the result of a run whose state is still there."""
    run = driver.current
    if run is None or run.pilot or not run.alive:
        return None
    with contextlib.suppress(Exception):  # an error that broke more than the run
        return outcome(driver, run.state, run.method, run.history(), StopReason.INTERRUPTED)
    return None


def _remains(driver: Driver) -> Result[Any] | None:
    """Return the best state alone: the chunk that failed took the others with it."""
    if driver.best is None:
        return None
    run, (energy, best) = driver.current, driver.best
    if run is not None and run.pilot:
        run = None
    one = jax.tree.map(lambda x: np.asarray(x)[None], best)
    energies = np.asarray(energy)[None]
    unknown = np.full(1, np.nan)
    clock, steps = driver.clock, 0 if run is None else int(run.steps[0])
    return Result(
        params=best.tree,
        energy=float(energies[0]),
        chains=Chain.tree_unflatten(None, (one, energies, one, energies)),
        history=driver.no_history() if run is None else run.history(),
        diagnostics=Diagnostics(unknown, unknown, np.zeros(1, np.int64)),
        stop_reason=StopReason.INTERRUPTED,
        steps=steps,
        evaluations=driver.evaluations,
        gradients=0 if run is None else steps * driver.lanes_evaluated * run.method.gradients,
        seconds=clock.seconds + clock.earlier,
        compile_seconds=clock.compiling,
        state=None,
        fixed=len(best.structure.fixed),
    )


def calling_back(driver: Driver) -> str:
    """Return which of a call's arguments call Python on the host, as a refusal names them."""
    own = getattr(driver.template.method, "own", None)
    parts = {
        "energy": [driver.setup.energy],
        "move": [x.computation for x in _functions(driver.move)],
        "observe": [driver.setup.observe],
        "method": [x.computation for x in _functions(own)],
    }
    names = [name for name, own in parts.items() if any(x and x.calls_back for x in own)]
    return " or ".join(names) or "energy"


def _functions(tree: Any) -> list[Traced]:
    leaves = jax.tree.leaves(tree, is_leaf=lambda x: isinstance(x, Traced))
    return [leaf for leaf in leaves if isinstance(leaf, Traced)]


def _memory(driver: Driver) -> str:
    chains, width = driver.template.method.chains, driver.setup.width
    expected = f"memory for {chains} chains in blocks of {width}"
    remedy = f"Use fewer chains, or a smaller block, such as block={max(1, width // 2)}."
    return refusal("anneal", expected, "less on this device", remedy)


def _note(result: Result[Any], saves: Saves | None) -> str:
    what = "the run until then" if result.state is not None else "the best state until then"
    if np.isnan(result.energy):  # of a start that was not evaluated
        return "The run ended at its start, which the attribute `result` of this error holds."
    text = (
        f"The run ended after {result.steps:,} steps with the best energy {result.energy:.8g}. "
        f"Catch this error to read {what} from its attribute `result`."
    )
    if saves is None:
        return f"{text} Given checkpoint=ja.Checkpoint(directory), the same call would go on."
    if not saves.count:
        return f"{text} Nothing was saved yet: the same call begins anew."
    return f"{text} The same call goes on from the last save in {saves.checkpoint.directory}."
