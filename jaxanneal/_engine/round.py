"""A round: some moves of every chain, and the exchange.

``vmap`` over chains stands here and in ``blocks``. A method decides temperatures and exchanges, a
kernel makes the step; nothing here knows ladders, schedules or what a step is.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxanneal._chain import keys
from jaxanneal._chain.chain import Chain
from jaxanneal._chain.parameters import Parameters
from jaxanneal._engine.pooling import after_lesson, choice_key, factors_of
from jaxanneal._engine.setup import Data, Setup
from jaxanneal._engine.sharding import Axes, from_lanes, gather
from jaxanneal._engine.state import State, first_lane
from jaxanneal._kernels.protocol import Lane, Surroundings
from jaxanneal._methods.protocol import Seen
from jaxanneal._pytree import replace

# Moves of the longest round: what is accepted in it is counted in 8 bits.
LONGEST = 64


def advance(
    state: State,
    stop: jax.Array,
    data: Data,
    setup: Setup,
) -> State:
    """Make the moves up to step ``stop``, then the exchange if one is due there.

    ``stop`` must not lie beyond the method's next stop, nor more than ``LONGEST`` moves ahead.
    """
    axes = setup.axes
    first = first_lane(state, axes)
    none = jnp.zeros(state.nonfinite.shape, jnp.int8)
    lanes = Lane(state.chains, state.carried, state.log_factor, none, state.nonfinite)
    lanes = _all_blocks(state, lanes, first, stop - state.step, data, setup)
    method, count = state.method, state.method.chains
    by_chain = lambda x: gather(x, axes)[:count]  # noqa: E731
    factors = gather(lanes.log_factor, axes)
    accepted = method.by_slot(state.exchange, by_chain(lanes.accepted))
    accepted = state.accepted + accepted.astype(state.accepted.dtype)
    energies, carried = by_chain(lanes.chain.energy), jax.tree.map(by_chain, lanes.carried)
    seen = Seen(energies, factors[:count], accepted, carried)
    pools = after_lesson(state, lanes.carried, first, stop, axes)
    exchange, log_factor, source = method.after_round(state.key, state.exchange, stop, seen)
    if log_factor is not None:  # by chain, and lanes stand in the order of their chains
        log_factor = _of_lanes(jnp.concatenate([log_factor, factors[count:]]), state, axes)
    if source is not None:
        lanes = _replaced(lanes, source, state, axes)
    return replace(
        state,
        step=stop,
        chains=lanes.chain,
        carried=lanes.carried,
        log_factor=lanes.log_factor if log_factor is None else log_factor,
        nonfinite=lanes.nonfinite,
        accepted=accepted,
        exchange=exchange,
        pools=pools,
    )


def _of_lanes(values: jax.Array, state: State, axes: Axes) -> jax.Array:
    """Return of values of all lanes those of this device's."""
    if axes is None:
        return values
    return jax.lax.dynamic_slice_in_dim(values, first_lane(state, axes), state.lanes)


def _replaced(lanes: Lane, source: jax.Array, state: State, axes: Axes) -> Lane:
    """Return the lanes with the chains of others; each keeps the best state that it ever saw.

    That of which it becomes a copy is a state that it saw, too.

    Args:
        lanes: The lanes of this device, ``[lanes, ...]``.
        source: The chain that each one goes on from, int ``[chains]``.
        state: The state before the round.
        axes: Axes over which chains are spread.
    """
    own = jnp.arange(gather(lanes.log_factor, axes).shape[0], dtype=jnp.int32)
    source = jnp.concatenate([source.astype(jnp.int32), own[source.shape[0] :]])

    def copied(lanes: Lane) -> Lane:
        old, place = lanes.chain, _of_lanes(source, state, axes)
        parts = (old._params, old.energy, lanes.carried, lanes.log_factor)
        params, energy, carried, log_factor = from_lanes(parts, place, axes)
        best = jax.vmap(_lower)(params, energy, old._best_params, old.best_energy)
        chain = Chain(params, energy, *best)
        return replace(lanes, chain=chain, carried=carried, log_factor=log_factor)

    return jax.lax.cond(jnp.any(source != own), copied, lambda lanes: lanes, lanes)


def _lower(
    params: Parameters, energy: jax.Array, best: Parameters, best_energy: jax.Array
) -> tuple[Parameters, jax.Array]:
    """Return of two states that of the lower energy, and the energy."""
    better = energy < best_energy
    pairs = zip(params.leaves, best.leaves, strict=True)
    lowest = best.with_leaves(jnp.where(better, new, old) for new, old in pairs)
    return lowest, jnp.where(better, energy, best_energy)


def _all_blocks(
    state: State,
    lanes: Lane,
    first: jax.Array,
    moves: jax.Array,
    data: Data,
    setup: Setup,
) -> Lane:
    """Let every block take all its moves before the next one does: a block stays in cache."""
    value_of, width = setup.value_of(data), setup.width
    one = jax.tree.map(lambda x: x[0], lanes.chain._params)
    kernel, others = state.method.kernel(state.move, one.tree), None
    if kernel.asks_for_others:
        all_lanes = lambda x: gather(x, setup.axes)[: state.method.chains]  # noqa: E731
        others = jax.tree.map(all_lanes, kernel.shown(lanes.carried))
    if state.lanes == width:
        return _block(state, lanes, numbers(first, width), moves, value_of, others)

    def one_block(index: jax.Array, lanes: Lane) -> Lane:
        begin = index * width
        cut = lambda x: jax.lax.dynamic_slice_in_dim(x, begin, width)  # noqa: E731
        number = numbers(first + begin, width)
        moved = _block(state, jax.tree.map(cut, lanes), number, moves, value_of, others)
        put = lambda x, part: jax.lax.dynamic_update_slice_in_dim(x, part, begin, 0)  # noqa: E731
        return jax.tree.map(put, lanes, moved)

    # Blocks of nothing but padding, where they do not divide among the devices, are left alone.
    filled = -(-(state.method.chains - first) // width)
    blocks = jnp.clip(filled, 0, state.lanes // width)
    return jax.lax.fori_loop(0, blocks, one_block, lanes)


def numbers(first: jax.Array, width: int) -> jax.Array:
    """Return the numbers of the chains of a block, from which their keys derive."""
    return first + jnp.arange(width, dtype=jnp.int32)


def _block(
    state: State,
    lanes: Lane,
    number: jax.Array,
    moves: jax.Array,
    value_of: Callable[..., jax.Array],
    others: Any,
) -> Lane:
    method = state.method
    chain = jnp.where(number < method.chains, number, 0)  # padding runs at the heat of chain 0
    chain_keys = jax.vmap(lambda n: keys.stream(state.key, keys.MOVE, n))(number)
    # Once for all chains of the block and all moves: it depends on no parameter's value.
    one = jax.tree.map(lambda x: x[0], lanes.chain._params).tree
    kernel, shared = method.kernel(state.move, one), method.shared(state.exchange)
    factors, own_axis = factors_of(state, one, chain)

    def one_move(index: jax.Array, lanes: Lane) -> Lane:
        step = state.step + index
        # Without the barrier one chain alone gets other last bits: XLA folds its one temperature.
        temperatures = method.temperatures_of(chain, state.exchange, step)
        temperatures = jax.lax.optimization_barrier(temperatures)

        choice = choice_key(state.key, step)

        def one_step(key: jax.Array, number: Any, temperature: Any, lane: Lane, own: Any) -> Lane:
            around = Surroundings(step, number, temperature, shared, others, choice, own)
            return kernel.step(jax.random.fold_in(key, step), lane, around, value_of)

        over = jax.vmap(one_step, (0, 0, 0, 0, own_axis))
        return over(chain_keys, chain, temperatures, lanes, factors)

    return jax.lax.fori_loop(0, moves, one_move, lanes)
