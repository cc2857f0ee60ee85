"""The engine: all chains of a run as one compiled program.

``vmap`` over chains and ``while_loop`` over rounds stand here, and nowhere else but in ``_blocks``.
A method decides temperatures and exchanges; the engine knows neither ladders nor schedules.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxanneal import _prng
from jaxanneal._adaptation import adapted
from jaxanneal._chain import Chain, Energy, transition
from jaxanneal._move import target_of
from jaxanneal._pytree import pytree_dataclass, replace
from jaxanneal._state import State, Watch
from jaxanneal.methods._protocol import next_multiple

# Target and patience are looked at where the step count is a multiple of this.
_WATCH_EVERY = 64


@pytree_dataclass
class Lane:
    """What one chain carries through the moves of a round.

    Args:
        chain: The chain.
        log_factor: Logarithm of its step-size factor, float ``[]``.
        accepted: Proposals accepted in this round, int ``[]``.
        nonfinite: Proposals without a finite energy so far, int ``[]``.
    """

    chain: Chain
    log_factor: jax.Array
    accepted: jax.Array
    nonfinite: jax.Array


def advance(
    state: State, stop: jax.Array, args: tuple[Any, ...], energy: Energy, width: int
) -> State:
    """Make the moves up to step ``stop``, then the exchange if one is due there.

    ``stop`` must not lie beyond the method's next stop.
    """
    lanes = Lane(state.chains, state.log_factor, jnp.zeros_like(state.nonfinite), state.nonfinite)
    lanes = _all_blocks(state, lanes, stop - state.step, args, energy, width)
    method, count = state.method, state.method.chains
    slots = method.by_slot(state.exchange, lanes.accepted[:count])
    accepted = state.accepted + slots
    exchange, log_factor = method.after_round(
        state.key,
        state.exchange,
        stop,
        lanes.chain.energy[:count],
        lanes.log_factor[:count],
    )
    return replace(
        state,
        step=stop,
        chains=lanes.chain,
        log_factor=lanes.log_factor.at[:count].set(log_factor),
        nonfinite=lanes.nonfinite,
        accepted=accepted,
        warm_accepted=jnp.where(stop == method.warmup_end(), accepted, state.warm_accepted),
        exchange=exchange,
    )


def _all_blocks(
    state: State, lanes: Lane, moves: jax.Array, args: tuple[Any, ...], energy: Energy, width: int
) -> Lane:
    """Let every block take all its moves before the next one does: a block stays in cache."""
    total = state.number.shape[0]
    order = jnp.arange(total, dtype=jnp.int32)  # padding runs at the temperature of chain 0
    slots = jnp.where(order < state.method.chains, order, 0)
    if total == width:
        return _block(state, lanes, state.number, slots, moves, args, energy)

    def one_block(index: jax.Array, lanes: Lane) -> Lane:
        first = index * width
        cut = lambda x: jax.lax.dynamic_slice_in_dim(x, first, width)  # noqa: E731
        moved = _block(
            state, jax.tree.map(cut, lanes), cut(state.number), cut(slots), moves, args, energy
        )
        return jax.tree.map(
            lambda whole, part: jax.lax.dynamic_update_slice_in_dim(whole, part, first, 0),
            lanes,
            moved,
        )

    return jax.lax.fori_loop(0, total // width, one_block, lanes)


def _block(
    state: State,
    lanes: Lane,
    number: jax.Array,
    slots: jax.Array,
    moves: jax.Array,
    args: tuple[Any, ...],
    energy: Energy,
) -> Lane:
    method = state.method
    keys = jax.vmap(lambda n: _prng.stream(state.key, _prng.MOVE, n))(number)

    def one_move(index: jax.Array, lanes: Lane) -> Lane:
        step = state.step + index
        temperatures = method.temperatures_at(state.exchange, step)[slots]
        step_one = lambda *lane: _step(state, step, args, energy, *lane)  # noqa: E731
        return jax.vmap(step_one)(keys, temperatures, lanes)

    return jax.lax.fori_loop(0, moves, one_move, lanes)


def _step(
    state: State,
    step: jax.Array,
    args: tuple[Any, ...],
    energy: Energy,
    key: jax.Array,
    temperature: jax.Array,
    lane: Lane,
) -> Lane:
    """Make one step of one chain, and adapt its step size."""
    chain, info, log_alpha = transition(
        jax.random.fold_in(key, step),
        lane.chain,
        temperature,
        energy,
        state.move,
        args,
        jnp.exp(lane.log_factor),
    )
    log_factor = lane.log_factor
    target = target_of(state.move, chain.params)
    if target is not None:
        method = state.method
        new = adapted(log_factor, log_alpha, target, step, method.adapts_throughout)
        log_factor = jnp.where(method.adapting(step), new, log_factor)
    return Lane(
        chain,
        log_factor,
        lane.accepted + info.accepted.astype(jnp.int32),
        lane.nonfinite + (~info.finite).astype(jnp.int32),
    )


@pytree_dataclass
class Control:
    """What the driver asks of a chunk.

    Args:
        end: Step at which the chunk ends, int ``[]``.
        finish: Step at which the whole call ends, int ``[]``.
        record_every: Steps between records, int ``[]``.
        target: Stop when the best energy is at or below, float ``[]``.
        patience: Stop after so many steps without a better energy, int ``[]``.
    """

    end: jax.Array
    finish: jax.Array
    record_every: jax.Array
    target: jax.Array
    patience: jax.Array


@pytree_dataclass
class Report:
    """What a chunk tells the driver.

    Args:
        step: Moves per chain so far, int ``[]``.
        reason: One of ``GOING``, ``TARGET_REACHED``, ``PATIENCE_OVER``, int ``[]``.
        best_energy: Best energy of all chains, float ``[]``.
        accepted: Mean number of accepted proposals per chain so far, float ``[]``.
        temperatures: Temperature of each slot at the last move, float ``[chains]``.
    """

    step: jax.Array
    reason: jax.Array
    best_energy: jax.Array
    accepted: jax.Array
    temperatures: jax.Array


GOING, TARGET_REACHED, PATIENCE_OVER = range(3)


def chunk(
    state: State,
    recorder: Any,
    args: tuple[Any, ...],
    control: Control,
    energy: Energy,
    width: int,
    record: Callable[[Any, State], Any],
    capacity: int,
) -> tuple[State, Any, Report]:
    """Run until ``control.end``, until the record buffer is full, or until a reason to stop.

    One compilation serves every length: the number of rounds is decided on the device.
    """

    def going(carry: tuple[State, Any, jax.Array]) -> jax.Array:
        state, recorder, reason = carry
        return (state.step < control.end) & (reason == GOING) & (recorder.count < capacity)

    def one_round(carry: tuple[State, Any, jax.Array]) -> tuple[State, Any, jax.Array]:
        state, recorder, _ = carry
        stops = (
            control.end,
            state.method.next_stop(state.step),
            next_multiple(state.step, jnp.asarray(_WATCH_EVERY, jnp.int32)),
            next_multiple(state.step, control.record_every),
        )
        stop = stops[0]
        for other in stops[1:]:
            stop = jnp.minimum(stop, other)
        state = look(advance(state, stop, args, energy, width))
        due = stop % control.record_every == 0
        recorder = jax.lax.cond(due, record, lambda recorder, _: recorder, recorder, state)
        return state, recorder, reason_to_stop(state, control)

    reached = jnp.min(state.chains.best_energy[: state.method.chains]) <= control.target
    first = jnp.where(reached, TARGET_REACHED, GOING)
    state, recorder, reason = jax.lax.while_loop(going, one_round, (state, recorder, first))
    last = (state.step == control.finish) | (reason != GOING)
    recorder = jax.lax.cond(
        last & (recorder.step != state.step),
        record,
        lambda recorder, _: recorder,
        recorder,
        state,
    )
    method, count = state.method, state.method.chains
    before = jnp.maximum(state.step - 1, 0)
    temperatures = method.temperatures_at(state.exchange, before)
    report = Report(
        state.step,
        reason,
        jnp.min(state.chains.best_energy[:count]),
        jnp.mean(state.accepted.astype(float)),
        method.by_slot(state.exchange, temperatures),
    )
    return state, recorder, report


def look(state: State) -> State:
    """At multiples of 64 steps, see whether the best energy of all has fallen."""
    best = jnp.min(state.chains.best_energy[: state.method.chains])
    better = (state.step % _WATCH_EVERY == 0) & (best < state.watch.energy)
    watch = Watch(
        jnp.where(better, best, state.watch.energy),
        jnp.where(better, state.step, state.watch.step),
    )
    return replace(state, watch=watch)


def reason_to_stop(state: State, control: Control) -> jax.Array:
    """Return why to stop, looked at only where the answer cannot depend on chunks."""
    looked = (state.step % _WATCH_EVERY == 0) | (state.step == control.finish)
    best = jnp.min(state.chains.best_energy[: state.method.chains])
    reached = looked & (best <= control.target)
    over = looked & (state.step - state.watch.step >= control.patience)
    return jnp.where(reached, TARGET_REACHED, jnp.where(over, PATIENCE_OVER, GOING))


def one_exchange(state: State, args: tuple[Any, ...], energy: Energy, width: int) -> State:
    """Run to the end of the method's round: the moves up to the next exchange, and the exchange."""
    end = state.method.next_exchange(state.step)

    def going(state: State) -> jax.Array:
        return state.step < end

    def part(state: State) -> State:
        stop = jnp.minimum(end, state.method.next_stop(state.step))
        return advance(state, stop, args, energy, width)

    return jax.lax.while_loop(going, part, state)
