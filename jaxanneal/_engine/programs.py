"""Compiled programs: one for each structure of a problem, whatever its numbers."""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp

from jaxanneal._chain.chain import Chain
from jaxanneal._chain.computation import Computation
from jaxanneal._chain.parameters import Parameters
from jaxanneal._engine import history
from jaxanneal._engine.chunk import run_chunk
from jaxanneal._engine.compile import Program
from jaxanneal._engine.history import History
from jaxanneal._engine.setup import Data, Setup
from jaxanneal._engine.sharding import Spread, axes_of, by_chain, everywhere
from jaxanneal._engine.starts import drawn
from jaxanneal._engine.state import (
    LANES,
    State,
    initial_state,
    refreshed,
    start_chains,
    trials_of,
)

# Programs kept, and with them what they compute: those that are used no more are dropped.
_KEPT = 64

# Which parts of a state have a leading axis of chains.
_FIELDS: Any = dataclasses.fields(State)
_PARTS: Any = {field.name: field.name in LANES for field in _FIELDS}
_STATE = State(**_PARTS)


@functools.lru_cache(maxsize=_KEPT)
def initialiser_program(initialiser: Computation, chains: int) -> Program:
    """Return the program that makes the starts of all chains from the run key."""

    def starts(constants: Any, key: jax.Array) -> Parameters:
        return drawn(lambda key: initialiser(constants, key), key, chains)

    return Program(starts)


@functools.lru_cache(maxsize=_KEPT)
def start_program(energy: Computation, width: int, spread: Spread | None) -> Program:
    """Return the program that evaluates the start of every lane."""

    def start(lanes: Parameters, data: Data) -> Chain:
        return start_chains(lanes, Setup(energy, width).value_of(data), width)

    return Program(start, (), spread, (True, False), True)


@functools.lru_cache(maxsize=_KEPT)
def state_program(spread: Spread | None) -> Program:
    """Return the program that makes the state of a run from evaluated starts.

    It copies, because the run takes over the buffers of its state, and the starts are the user's.
    """

    def make(
        key: jax.Array,
        chains: Chain,
        best: Chain,
        method: Any,
        move: Any,
        log_factor: jax.Array,
        pools: Any,
    ) -> State:
        merged = Chain(chains._params, chains.energy, best._best_params, best.best_energy)
        inputs = (key, merged, method, move, log_factor, pools)
        return initial_state(*jax.tree.map(jnp.copy, inputs), axes=axes_of(spread))

    takes = (False, True, True, False, False, True, False)
    return Program(make, (), spread, takes, _STATE)


@functools.lru_cache(maxsize=_KEPT)
def copy_program(spread: Spread | None) -> Program:
    """Return the program that copies a state, so that a run may take over the copy."""
    return Program(lambda state: jax.tree.map(jnp.copy, state), (), spread, (_STATE,), _STATE)


@functools.lru_cache(maxsize=_KEPT)
def refresh_program(spread: Spread | None) -> Program:
    """Return the program that takes over states that were evaluated again for other data.

    It copies, because the run takes over the buffers of its state.
    """

    def refresh(state: State, now: Chain, best: Chain) -> State:
        state, now, best = jax.tree.map(jnp.copy, (state, now, best))
        return refreshed(state, now, best, axes_of(spread))

    return Program(refresh, (), spread, (_STATE, True, True), _STATE)


@functools.lru_cache(maxsize=_KEPT)
def chunk_program(setup: Setup) -> Program:
    """Return the program that runs a chunk; it takes over the buffers of state and recorder."""
    chunk = functools.partial(run_chunk, setup=setup)
    takes = (_STATE, False, False, False)
    return Program(chunk, (0, 1), setup.spread, takes, (_STATE, False, False))


def placed(state: State, spread: Spread | None) -> State:
    """Return a state on the devices where a run takes place."""
    put = lambda chains, part: (by_chain if chains else everywhere)(part, spread)  # noqa: E731
    return jax.tree.map(put, _STATE, state)


def row_shapes(setup: Setup, state: Any, data: Data) -> History:
    """Return the shapes of one record of the history."""
    row = lambda state, data: history.make_row(  # noqa: E731
        state.step, trials_of(state), state, data, setup._replace(spread=None)
    )
    return jax.eval_shape(row, state, data)


def observed_shapes(setup: Setup, state: Any, data: Data) -> Any:
    """Return the shapes of what ``observe`` returns at one record."""
    alone = setup._replace(spread=None)
    observed = lambda state, data: history.observe_slots(state, data, alone)  # noqa: E731
    return jax.eval_shape(observed, state, data)
