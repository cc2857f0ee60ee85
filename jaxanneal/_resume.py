"""Going on from an earlier run."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._clock import Clock
from jaxanneal._continuation import Continuation
from jaxanneal._driver import Driver
from jaxanneal._interrupt import Interruption
from jaxanneal._limits import Limits
from jaxanneal._methods._protocol import NEVER, Method
from jaxanneal._move import as_move
from jaxanneal._not_saved import NotSaved, digest
from jaxanneal._numbers import count, refusal
from jaxanneal._problem import as_data, as_energy, as_method, check_schedule, make_setup
from jaxanneal._program import copy_program, default_device, refresh_program
from jaxanneal._pytree import replace
from jaxanneal._start import check_start, require_finite
from jaxanneal._state import State
from jaxanneal._stretch import on_device


def resume(
    energy: Any,
    args: Any,
    method: Any,
    move: Any,
    state: Any,
    block: Any,
    limits: Limits,
    clock: Clock,
    interruption: Interruption,
) -> tuple[Driver, State, Method]:
    """Return a driver and a copy of the state of an earlier call."""
    if not isinstance(state, Continuation):
        remedy = "Pass state=result.state of an earlier run."
        raise TypeError(refusal("state", "a run's state", type(state).__name__, remedy))
    energy, data, old = as_energy(energy), as_data(args), state.state
    _require_room(block, state, limits)
    new_method, new_move = _renewed(state, method, move)
    check_schedule(new_method, int(old.step), limits.steps)
    exchange = new_method.carried(old.exchange, state.method)
    new = replace(old, method=on_device(new_method), move=new_move, exchange=exchange)
    if int(new_method.warmup_end()) == int(old.step) < int(old.method.warmup_end()):
        exchange = new_method.restarted(exchange)  # the warm-up ends here
        new = replace(new, warm_accepted=old.accepted, exchange=exchange)
    new = jax.device_put(new, default_device())
    stale = not _same_energy(energy, state.energy) or not _equal(data, state.args)
    copy = refresh_program(energy, state.width) if stale else copy_program()
    inputs = (new, data) if stale else (new,)
    compile_copy = copy.prepare(*inputs)
    ready = copy.shapes(*inputs)  # other data may have energies of another precision
    setup, limits = make_setup(energy, state.width, ready, data, limits)
    driver = Driver(setup, data, limits, clock, interruption, state.evaluations)
    for compile_it in [driver.prepare(ready), compile_copy]:
        clock.compiling += compile_it()
    new = copy(*inputs)
    if stale:
        driver.evaluations += 2 * new_method.chains
        require_finite(new.chains)
    driver.saw(jax.tree.map(lambda x: x[: new_method.chains], new.chains))
    return driver, new, new_method


def _require_room(block: Any, state: Continuation, limits: Limits) -> None:
    remedy = "Start anew with params=ja.stacked(result.chains.params)."
    if block is not None and count("block", block, 1, "Leave it out.") != state.width:
        raise ValueError(refusal("block", f"{state.width}, as in the run", block, remedy))
    total = int(state.state.step) + limits.steps
    if total >= NEVER:
        raise ValueError(refusal("steps", f"less than {NEVER} in total", total, remedy))


def _renewed(state: Continuation, method: Any, move: Any) -> tuple[Any, Any]:
    """Return method and move with the numbers given now, and what the run has bound."""
    old = state.state
    new_method = state.method
    if method is not None:
        new_method = as_method(method, None)
        if type(new_method) is type(state.method):
            new_method = new_method.keep_bound(state.method, int(old.step))
    new_move = old.move if move is None else as_move(move)
    _require_given("method", getattr(new_method, "cooling", None))
    _require_given("move", new_move)
    on_the_device = on_device(new_method)
    if isinstance(getattr(old.method, "cooling", None), NotSaved):
        on_the_device = replace(on_the_device, cooling=old.method.cooling)
    _require_same("method", old.method, on_the_device)
    if not isinstance(old.move, NotSaved):
        _require_same("move", old.move, new_move)
    if move is not None:
        check_start(new_move, old.chains._params)
    return new_method, new_move


def _require_given(name: str, found: Any) -> None:
    if isinstance(found, NotSaved):
        expected = f"{name}=, because {found.what} of the run was not saved with it"
        remedy = "Pass the same again: functions and classes of your own do not go into a file."
        raise ValueError(refusal(name, expected, None, remedy))


def _same_energy(energy: Any, old: Any) -> bool:
    """Return whether this is the energy of the run; after loading, the one given is."""
    return isinstance(old, NotSaved) or energy == old


def _require_same(name: str, old: Any, new: Any) -> None:
    if jax.tree.structure(old) != jax.tree.structure(new):
        remedy = "To change it, start anew with params=ja.stacked(result.chains.params)."
        expected = f"the structure of the run's own, {jax.tree.structure(old)}"
        raise ValueError(refusal(name, expected, jax.tree.structure(new), remedy))


def _equal(a: Any, b: Any) -> bool:
    """Compare data by value, after loading with what was saved of it."""
    if isinstance(b, str):
        return digest(a) == b
    if jax.tree.structure(a) != jax.tree.structure(b):
        return False
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return all(x is y or _same_values(x, y) for x, y in pairs)


def _same_values(x: Any, y: Any) -> bool:
    if x.dtype != y.dtype or x.shape != y.shape:
        return False
    if jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
        x, y = jax.random.key_data(x), jax.random.key_data(y)
    masked = jnp.issubdtype(x.dtype, jnp.inexact)  # missing values are the same missing values
    return bool(np.array_equal(np.asarray(x), np.asarray(y), equal_nan=masked))
