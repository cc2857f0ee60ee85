"""Going on from an earlier run."""

import dataclasses
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.calls import name_of, outline
from jaxanneal._chain.chain import Chain
from jaxanneal._chain.computation import Traced
from jaxanneal._chain.move import as_move
from jaxanneal._chain.own_move import OwnMove, traced_move
from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import count, refusal
from jaxanneal._engine.blocks import padded_count
from jaxanneal._engine.compile import Program, compile_programs
from jaxanneal._engine.programs import copy_program, placed, refresh_program, start_program
from jaxanneal._engine.setup import Data
from jaxanneal._engine.sharding import Spread, as_spread, everywhere, fetch, lanes
from jaxanneal._engine.starts import check_start, one_chain, require_finite
from jaxanneal._engine.state import State, chains_by_slot, with_lanes
from jaxanneal._methods.own_method import Functions
from jaxanneal._methods.protocol import NEVER, Method
from jaxanneal._pytree import replace
from jaxanneal._result.continuation import Continuation, NotSaved, digest
from jaxanneal._run.chunks import on_device
from jaxanneal._run.driver import Driver
from jaxanneal._run.fingerprint import shown
from jaxanneal._run.interrupt import Clock, Interruption
from jaxanneal._run.limits import Limits, within_budget
from jaxanneal._run.problem import as_data, as_method, check_schedule, make_call, traced_energy

# Units in the last place within which another program, or another machine, may find an energy.
_ROUNDING = 64


def resume(
    energy: Any,
    args: Any,
    method: Any,
    move: Any,
    state: Any,
    block: Any,
    sharding: Any,
    limits: Limits,
    clock: Clock,
    interruption: Interruption,
) -> tuple[Driver, State, Method]:
    """Return a driver and a copy of the state of an earlier call; all of it is preparation."""
    _require_state(state)
    old, width = state.engine_state, state.width
    spread = as_spread(sharding, -(-state.method.chains // width))
    inputs = _inputs(energy, args, state, spread)
    _require_room(block, state, limits)
    new_method, new_move = _renewed(state, method, move)
    check_schedule(new_method, int(old.step), limits.steps)
    new = _taken_over(state, new_method, new_move, spread)
    same = _equal(inputs.args, state.args) and _same_energy(inputs, state, new)
    lawful = same and new_method.has_law_of(state.method)
    both = () if same else _evaluated(inputs.start, new.chains, inputs.data)
    if not lawful:
        new = _counted_anew(new, both[0] if both else new.chains, spread)
    each, before = padded_count(new_method.chains, width), 2 * bool(both)  # evaluations
    limits = within_budget(limits, each, before, calibrates=False)
    copy, copied = (refresh_program if both else copy_program)(spread), (new, *both)
    traced_copy = copy.prepare(*copied)
    ready = copy.shapes(*copied)  # other data may have energies of another precision
    call = make_call(inputs.energy, inputs.args, width, spread, ready, limits)
    counted = state.evaluations + each * before
    driver = Driver(*call, inputs.args, new_move, clock, interruption, counted)
    driver.looks_back(state.begun, state.since if lawful else int(old.step))
    compile_programs(traced_copy, driver.prepare(ready))
    new = copy(*copied)
    if both:
        require_finite(new.chains, new_method.chains)
    driver.saw(chains_by_slot(new))
    return driver, new, new_method


class _Inputs(NamedTuple):
    """Energy and data of this call, where it takes place."""

    energy: Traced
    args: Parameters
    start: Program

    @property
    def data(self) -> Data:
        """What the programs are given."""
        return Data(self.args.leaves, self.energy.constants)


def _inputs(energy: Any, args: Any, state: Continuation, spread: Spread | None) -> _Inputs:
    data = everywhere(as_data(args), spread)
    one = one_chain(state.engine_state.chains._params)
    traced = everywhere(traced_energy(energy, one, data), spread)
    return _Inputs(traced, data, start_program(traced.computation, state.width, spread))


def _evaluated(program: Program, chains: Chain, data: Data) -> tuple[Chain, Chain]:
    """Evaluate current and best states by the program of the starts: it is compiled already."""
    compile_programs(program.prepare(chains._params, data))
    return program(chains._params, data), program(chains._best_params, data)


def _taken_over(state: Continuation, method: Any, move: Any, spread: Spread | None) -> State:
    """Return the state of the run, where it takes place, as method and move go on with it."""
    old = state.engine_state
    exchange = method.carried(old.exchange, state.method)
    new = replace(old, method=on_device(method), move=move, exchange=exchange)
    if int(method.warmup_end()) == int(old.step) < int(old.method.warmup_end()):
        exchange = method.restarted(exchange, old.accepted)  # the warm-up ends here
        new = replace(new, exchange=exchange)
    total = lanes(method.chains, state.width, spread)
    return placed(with_lanes(new, state.width, total), spread)


def _counted_anew(state: State, now: Chain, spread: Spread | None) -> State:
    """Return the state with nothing reported of the moves so far: they had another law.

    Args:
        state: The state as its new method took it over.
        now: Its chains as they are evaluated now.
        spread: How chains are spread.
    """
    none, energies = jnp.zeros_like(state.accepted), fetch(now.energy)[: state.method.chains]
    exchange = state.method.under_new_law(state.exchange, energies)
    return replace(state, accepted=everywhere(none, spread), exchange=everywhere(exchange, spread))


def _require_state(state: Any) -> None:
    if not isinstance(state, Continuation):
        remedy = "Pass state=result.state of an earlier run."
        raise TypeError(refusal("state", "a run's state", type(state).__name__, remedy))


def _require_precision(state: State) -> None:
    now, then = jax.dtypes.canonicalize_dtype(float), state.log_factor.dtype
    if now != then:
        expected = f"a run with jax_enable_x64 as it is now, whose step sizes are {now}"
        raise ValueError(refusal("state", expected, then, "Set jax_enable_x64 as in that run."))


def _require_room(block: Any, state: Continuation, limits: Limits) -> None:
    _require_precision(state.engine_state)
    remedy = "Start anew with params=ja.stacked(result.chains.params)."
    if block is not None and count("block", block, 1, "Leave it out.") != state.width:
        raise ValueError(refusal("block", f"{state.width}, as in the run", block, remedy))
    total = int(state.engine_state.step) + limits.steps
    if total >= NEVER:
        raise ValueError(refusal("steps", f"less than {NEVER} in total", total, remedy))


def _renewed(state: Continuation, method: Any, move: Any) -> tuple[Any, Any]:
    """Return method and move with the numbers given now, and what the run has bound."""
    old = state.engine_state
    new_method = state.method
    if method is not None:
        new_method = as_method(method, None)
        if type(new_method) is type(state.method):
            new_method = new_method.keep_bound(state.method, int(old.step))
    one = one_chain(old.chains._params)
    new_move = old.move if move is None else traced_move(as_move(move), one)
    if method is not None:
        own = jax.tree.map(lambda x: x[: new_method.chains], old.chains._params)
        new_method = new_method.fitted(own, new_move)
    _require_given("move", new_move)
    on_the_device = on_device(new_method)
    for part in ("cooling", "own"):  # what no file holds of a method
        _require_given("method", getattr(new_method, part, None))
        if isinstance(getattr(old.method, part, None), NotSaved):
            on_the_device = replace(on_the_device, **{part: getattr(old.method, part)})
    _require_same("method", old.method, on_the_device)
    if not isinstance(old.move, NotSaved):
        _require_same("move", old.move, new_move)
    if move is not None:
        check_start(new_move, old.chains._params)
    return new_method, new_move


def _require_given(name: str, value: Any) -> None:
    if isinstance(value, NotSaved):
        expected = f"{name}=, because {value.what} of the run was not saved with it"
        remedy = "Pass the same again: functions and classes of your own do not go into a file."
        raise ValueError(refusal(name, expected, None, remedy))


def _same_energy(inputs: _Inputs, state: Continuation, new: State) -> bool:
    """Return whether this is the energy of the run; after loading, whether it has its values.

    It is asked for where each chain is, and for its best state. These evaluations are not counted:
    they are no part of the run, whose numbers are those of a run that was never saved.
    """
    if not isinstance(state.energy, NotSaved):
        old = state.energy
        known = inputs.energy.computation == old.computation
        return known and _same_arrays(inputs.energy.constants, old.constants)
    now, best = _evaluated(inputs.start, new.chains, inputs.data)
    pairs = ((new.chains.best_energy, best.energy), (new.chains.energy, now.energy))
    count = state.method.chains
    return all(_agree(fetch(known)[:count], fetch(again)[:count]) for known, again in pairs)


def _agree(known: np.ndarray, again: np.ndarray) -> bool:
    """Return whether energies are the same to rounding, and of one precision."""
    finite = np.isfinite(known)
    # Energies near 0 may be small differences of terms that are as large as those elsewhere.
    least = float(np.median(np.abs(known[finite]))) if finite.any() else 0.0
    size = np.where(finite, np.maximum(np.abs(known), least), 0)
    with np.errstate(invalid="ignore"):  # of a chain that never had a finite energy
        close = np.abs(again - known) <= _ROUNDING * np.finfo(known.dtype).eps * size
    return known.dtype == again.dtype and bool(np.all(close | (again == known)))


def _require_same(name: str, old: Any, new: Any) -> None:
    if jax.tree.structure(old) != jax.tree.structure(new):
        remedy = "To change it, start anew with params=ja.stacked(result.chains.params)."
        expected = f"the structure of the run's own, {_described(old, new)}"
        raise ValueError(refusal(name, expected, _described(new, old), remedy))


def _described(one: Any, other: Any) -> str:
    """Return in words what of ``one`` is of another structure than ``other``."""
    kind = name_of(one)
    if type(one) is type(other) and isinstance(one, OwnMove | Functions):
        return f"{kind} (its functions compute something else)"
    if type(one) is not type(other):
        return kind
    if not dataclasses.is_dataclass(one):
        return outline(one)
    differing = []
    for field in dataclasses.fields(one):
        mine, its = getattr(one, field.name), getattr(other, field.name)
        if jax.tree.structure(mine) != jax.tree.structure(its) or (
            isinstance(mine, int | str) and mine != its
        ):
            inner = type(mine) is type(its) and dataclasses.is_dataclass(mine)
            shown = _described(mine, its) if inner else outline(mine, repr)
            differing.append(f"{field.name}={shown}")
    return f"{kind}({', '.join(differing)})"


def _equal(a: Parameters, b: Parameters | str) -> bool:
    """Compare the arrays of data by value, after loading with what was saved of it.

    What else is in the data is a part of what the energy computes.
    """
    return digest(a) == b if isinstance(b, str) else _same_arrays(a.leaves, b.leaves)


def _same_arrays(a: Sequence[Any], b: Sequence[Any]) -> bool:
    pairs = zip(a, b, strict=False)
    return len(a) == len(b) and all(x is y or shown(x) == shown(y) for x, y in pairs)
