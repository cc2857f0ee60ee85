"""A round: some moves of every chain, and the exchange.

``vmap`` over chains stands here and in ``blocks``. A method decides temperatures and exchanges;
nothing here knows ladders or schedules.
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp

from jaxanneal._chain import keys
from jaxanneal._chain.chain import Chain, transition
from jaxanneal._chain.move import is_mixed, largest_factor_of, target_of
from jaxanneal._chain.step_size import adapted, tried
from jaxanneal._engine.setup import Data, Setup
from jaxanneal._engine.sharding import gather
from jaxanneal._engine.state import State, first_lane
from jaxanneal._pytree import pytree_dataclass, replace

# Moves of the longest round: what is accepted in it is counted in 8 bits.
LONGEST = 64


@pytree_dataclass
class Lane:
    """What one chain carries through the moves of a round.

    Args:
        chain: The chain.
        log_factor: Logarithm of its step-size factor, float ``[]``.
        accepted: Proposals accepted in this round, of at most ``LONGEST`` moves, int8 ``[]``.
        nonfinite: Proposals without a finite energy so far, int ``[]``.
    """

    chain: Chain
    log_factor: jax.Array
    accepted: jax.Array
    nonfinite: jax.Array


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
    lanes = Lane(state.chains, state.log_factor, none, state.nonfinite)
    lanes = _all_blocks(state, lanes, first, stop - state.step, data, setup)
    method, count = state.method, state.method.chains
    by_chain = lambda x: gather(x, axes)[:count]  # noqa: E731
    factors = gather(lanes.log_factor, axes)
    accepted = method.by_slot(state.exchange, by_chain(lanes.accepted))
    accepted = state.accepted + accepted.astype(state.accepted.dtype)
    exchange, log_factor = method.after_round(
        state.key, state.exchange, stop, by_chain(lanes.chain.energy), factors[:count], accepted
    )
    if log_factor is not None:  # by chain, and lanes stand in the order of their chains
        log_factor = jnp.concatenate([log_factor, factors[count:]])
        if axes is not None:
            log_factor = jax.lax.dynamic_slice_in_dim(log_factor, first, state.lanes)
    return replace(
        state,
        step=stop,
        chains=lanes.chain,
        log_factor=lanes.log_factor if log_factor is None else log_factor,
        nonfinite=lanes.nonfinite,
        accepted=accepted,
        exchange=exchange,
    )


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
    if state.lanes == width:
        return _block(state, lanes, numbers(first, width), moves, value_of)

    def one_block(index: jax.Array, lanes: Lane) -> Lane:
        begin = index * width
        cut = lambda x: jax.lax.dynamic_slice_in_dim(x, begin, width)  # noqa: E731
        number = numbers(first + begin, width)
        moved = _block(state, jax.tree.map(cut, lanes), number, moves, value_of)
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
) -> Lane:
    method = state.method
    chain = jnp.where(number < method.chains, number, 0)  # padding runs at the heat of chain 0
    chain_keys = jax.vmap(lambda n: keys.stream(state.key, keys.MOVE, n))(number)
    # Once for all chains of the block and all moves: it depends on no parameter's value.
    one = jax.tree.map(lambda x: x[0], lanes.chain._params).tree
    largest = largest_factor_of(state.move, one)

    def one_move(index: jax.Array, lanes: Lane) -> Lane:
        step = state.step + index
        # Without the barrier one chain alone gets other last bits: XLA folds its one temperature.
        temperatures = method.temperatures_of(chain, state.exchange, step)
        temperatures = jax.lax.optimization_barrier(temperatures)
        one_step = functools.partial(_step, state, step, value_of, largest)
        return jax.vmap(one_step)(chain_keys, temperatures, lanes)

    return jax.lax.fori_loop(0, moves, one_move, lanes)


def _step(
    state: State,
    step: jax.Array,
    value_of: Callable[..., jax.Array],
    largest: jax.Array,
    key: jax.Array,
    temperature: jax.Array,
    lane: Lane,
) -> Lane:
    """Make one step of one chain, and adapt its step size."""
    log_factor, old = lane.log_factor, lane.chain
    log_used, method = log_factor, state.method
    target, mixed = target_of(state.move, old.params), is_mixed(state.move, old.params)
    adapts = method.adapting(step)
    if target is not None:
        log_used = jnp.where(adapts, tried(log_factor, old.energy, step, largest, mixed), log_used)
    chain, info, log_alpha = transition(
        jax.random.fold_in(key, step),
        old,
        temperature,
        value_of,
        state.move,
        jnp.exp(log_used),
    )
    if target is not None:
        seen, forever = (old.energy, log_alpha), method.adapts_throughout
        new = adapted(log_factor, *seen, target, step, forever, largest, mixed)
        log_factor = jnp.where(adapts, new, log_factor)
    return Lane(
        chain,
        log_factor,
        lane.accepted + info.accepted.astype(jnp.int8),
        lane.nonfinite + (~info.finite).astype(jnp.int32),
    )
