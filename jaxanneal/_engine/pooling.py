"""Factors that chains share, within the engine: who uses which, and when they are learned."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxanneal._chain import keys
from jaxanneal._chain.factors import chosen_of, row_counts
from jaxanneal._chain.parameters import Parameters
from jaxanneal._engine.sharding import Axes, total
from jaxanneal._kernels.pools import PERIOD, Pools, Steps, learned, summed
from jaxanneal._methods.protocol import NEVER, next_multiple
from jaxanneal._pytree import replace


def choice_key(key: jax.Array, step: jax.Array) -> jax.Array:
    """Return the key by which all chains choose what they move in a step; the run key is folded."""
    return keys.stream(key, keys.CHOICE, step)


def next_lesson(state: Any) -> jax.Array:
    """Return the next step at which a round must end because factors are learned there."""
    if not isinstance(state.pools, Pools):
        return jnp.full_like(state.step, NEVER)
    due = next_multiple(state.step, jnp.asarray(PERIOD, jnp.int32))
    return jnp.where(state.method.adapting(state.step), due, NEVER)


def factors_of(state: Any, params: Any, chain: jax.Array) -> tuple[Any, int | None]:
    """Return the factors of some chains, and their axis under ``vmap``.

    Args:
        state: The state.
        params: The tree of one chain.
        chain: Numbers of the chains, int ``[n]``.
    """
    if not isinstance(state.pools, Pools):
        return None, None
    method = state.method
    rows, parts = method.kernel(state.move, params).factors(state.pools, params)
    if method.pools == 1:
        return (rows[0], parts[0]), None
    pool = method.pool_of(state.exchange)[chain]
    return (rows[pool], parts[pool]), 0


def after_lesson(state: Any, kept: jax.Array, first: jax.Array, stop: jax.Array, axes: Axes) -> Any:
    """Return the factors after the moves up to ``stop``: learned, if that is due there.

    Args:
        state: The state before these moves.
        kept: What the chains of this device keep of the period, ``[lanes, PERIOD]``.
        first: Number of the first of these chains, int ``[]``.
        stop: The step up to which moves were made, int ``[]``.
        axes: Axes over which chains are spread.
    """
    pools = state.pools
    if not isinstance(pools, Pools):
        return pools
    due = (stop % PERIOD == 0) | (stop == state.method.next_stop(state.step))
    adapts = state.method.adapting(pools.since)
    lesson = lambda pools: _lesson(state, pools, kept, first, stop, axes)  # noqa: E731
    new = jax.lax.cond(due & adapts, lesson, lambda pools: pools, pools)
    return replace(new, since=jnp.where(due, stop, new.since))


def _lesson(
    state: Any, pools: Pools, kept: jax.Array, first: jax.Array, stop: jax.Array, axes: Axes
) -> Pools:
    method = state.method
    number = first + jnp.arange(kept.shape[0], dtype=jnp.int32)
    real = number < method.chains
    pool = method.pool_of(state.exchange)[jnp.where(real, number, 0)]
    sums = total(summed(kept, jnp.where(real, pool, method.pools), method.pools), axes)
    one = jax.tree.map(lambda x: x[0], state.chains._params)
    kernel = method.kernel(state.move, one.tree)
    # In the order of their places: step s is kept at s modulo the period.
    place = jnp.arange(PERIOD, dtype=jnp.int32)
    step = pools.since + (place - pools.since) % PERIOD
    choose = lambda step: chosen_of(state.move, choice_key(state.key, step), one.tree)  # noqa: E731
    steps = Steps(jax.lax.map(choose, step), step, step < stop)
    limit, rows = jnp.log(kernel.largest), sum(row_counts(Parameters.of(one)))
    return learned(pools, sums, steps, method.adapts_throughout, limit, rows)
