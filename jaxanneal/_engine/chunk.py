"""The engine: all chains of a run as one compiled program.

The ``while_loop`` over rounds stands here, and nowhere else. A method decides temperatures and
exchanges; the engine knows neither ladders nor schedules.
"""

import jax
import jax.numpy as jnp

from jaxanneal._chain.parameters import Parameters
from jaxanneal._engine.history import Recorder, record
from jaxanneal._engine.pooling import next_lesson
from jaxanneal._engine.round import LONGEST, advance
from jaxanneal._engine.setup import Data, Setup
from jaxanneal._engine.sharding import Axes
from jaxanneal._engine.state import State, Watch, best_of_all, best_state, trials_of
from jaxanneal._methods.protocol import Trials, next_multiple
from jaxanneal._pytree import pytree_dataclass, replace


@pytree_dataclass
class Control:
    """What the driver asks of a chunk.

    Args:
        begin: Step at which the whole call began, int ``[]``.
        end: Step at which the chunk ends, int ``[]``.
        finish: Step at which the whole call ends, int ``[]``.
        record_every: Steps between records, int ``[]``.
        target: Stop when the best energy is at or below, float ``[]``.
        patience: Stop after so many steps without a better energy, int ``[]``.
        patience_growth: And so many times the steps that the best energy took, int ``[]``.
        least_share: What counts as a better energy, as a share of the typical difference that the
            method sees, float ``[]``; 0: anything lower.
    """

    begin: jax.Array
    end: jax.Array
    finish: jax.Array
    record_every: jax.Array
    target: jax.Array
    patience: jax.Array
    patience_growth: jax.Array
    least_share: jax.Array


@pytree_dataclass
class Report:
    """What a chunk tells the driver.

    Args:
        step: Moves per chain so far, int ``[]``.
        reason: One of ``GOING``, ``TARGET_REACHED``, ``PATIENCE_OVER``, int ``[]``.
        best_energy: Best energy of all chains, float ``[]``.
        trials: What was proposed so far in each slot.
        temperatures: Temperature in each slot at the last move, float, of a shape that broadcasts
            to that of the results.
        best: The state of that energy, one chain: it outlives a chunk that fails, which takes the
            buffers of the state with it.
    """

    step: jax.Array
    reason: jax.Array
    best_energy: jax.Array
    trials: Trials
    temperatures: jax.Array
    best: Parameters


GOING, TARGET_REACHED, PATIENCE_OVER = range(3)


def run_chunk(
    state: State, recorder: Recorder, data: Data, control: Control, setup: Setup
) -> tuple[State, Recorder, Report]:
    """Run until ``control.end``, until the record buffer is full, or until a reason to stop.

    One compilation serves every length: the number of rounds is decided on the device.
    """
    axes = setup.axes

    def recorded(recorder: Recorder, state: State) -> Recorder:
        return record(recorder, state, data, setup)

    def going(carry: tuple[State, Recorder, jax.Array]) -> jax.Array:
        state, recorder, reason = carry
        room = recorder.count < setup.layout.capacity
        return (state.step < control.end) & (reason == GOING) & room

    def one_round(
        carry: tuple[State, Recorder, jax.Array],
    ) -> tuple[State, Recorder, jax.Array]:
        state, recorder, _ = carry
        stop = _next_stop(state, control)
        state = advance(state, stop, data, setup)
        due = jax.lax.rem(stop, control.record_every) == 0
        recorder = jax.lax.cond(due, recorded, lambda recorder, _: recorder, recorder, state)
        watch, reason = look(state, control, axes)
        return replace(state, watch=watch), recorder, reason

    # Not at the start of every chunk, or the answer would depend on the chunks.
    reached = (state.step == control.begin) & (best_of_all(state, axes) <= control.target)
    first = jnp.where(reached, TARGET_REACHED, GOING).astype(jnp.int32)
    state, recorder, reason = jax.lax.while_loop(going, one_round, (state, recorder, first))
    last = (state.step == control.finish) | (reason != GOING)
    # Of a call that ends where it began, such as at its target, that is the one record.
    due = last & ((recorder.step != state.step) | (state.step == control.begin))
    recorder = jax.lax.cond(due, recorded, lambda recorder, _: recorder, recorder, state)
    return state, recorder, _report(state, reason, axes)


def _next_stop(state: State, control: Control) -> jax.Array:
    """Return the next step at which something but moves has to happen."""
    stop = jnp.minimum(control.end, state.method.next_stop(state.step))
    stop = jnp.minimum(stop, next_lesson(state))
    every = jnp.asarray(state.method.watch_every, jnp.int32)
    watch = next_multiple(state.step, every)
    return jnp.minimum(stop, jnp.minimum(watch, next_multiple(state.step, control.record_every)))


def _report(state: State, reason: jax.Array, axes: Axes) -> Report:
    method = state.method
    before = jnp.maximum(state.step - 1, 0)
    best, best_energy = best_state(state, axes)
    return Report(
        state.step,
        reason,
        best_energy,
        trials_of(state, axes),
        method.slot_temperatures(state.exchange, before),
        best,
    )


def look(state: State, control: Control, axes: Axes) -> tuple[Watch, jax.Array]:
    """Return since when the best energy of all has not fallen, and why to stop, if there is why."""
    # Where the answer cannot depend on chunks; devices talk, so not in every round.
    looked = (state.step % state.method.watch_every == 0) | (state.step == control.finish)
    keep = lambda state: (state.watch, jnp.full_like(state.step, GOING))  # noqa: E731
    return jax.lax.cond(looked, lambda state: _judged(state, control, axes), keep, state)


def _judged(state: State, control: Control, axes: Axes) -> tuple[Watch, jax.Array]:
    best, watch = best_of_all(state, axes), state.watch
    least = control.least_share * state.method.difference(state.exchange)
    reached, still = best <= control.target, best >= watch.energy - least.astype(best.dtype)
    # At the end of a call the best may have fallen since it was looked at last.
    better = ~still & (state.step % state.method.watch_every == 0)
    watch = Watch(jnp.where(better, best, watch.energy), jnp.where(better, state.step, watch.step))
    patience = control.patience + control.patience_growth * watch.step
    over = still & (state.step - watch.step >= patience)
    reason = jnp.where(reached, TARGET_REACHED, jnp.where(over, PATIENCE_OVER, GOING))
    return watch, reason.astype(jnp.int32)


def one_exchange(state: State, data: Data, setup: Setup) -> State:
    """Run to the end of the method's round: the moves up to the next exchange, and the exchange."""
    end = state.method.next_exchange(state.step)

    def going(state: State) -> jax.Array:
        return state.step < end

    def part(state: State) -> State:
        stop = jnp.minimum(end, state.method.next_stop(state.step))
        stop = jnp.minimum(stop, next_lesson(state))
        stop = jnp.minimum(stop, next_multiple(state.step, jnp.asarray(LONGEST, jnp.int32)))
        return advance(state, stop, data, setup)

    return jax.lax.while_loop(going, part, state)
