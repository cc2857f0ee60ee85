"""The state of a run: what it needs to go on, and what it reports at the end."""

from typing import Any

import jax
import jax.numpy as jnp

from jaxanneal._blocks import over_chains, pad, padded_count
from jaxanneal._chain import Chain, Energy, init_chain
from jaxanneal._methods._protocol import Method
from jaxanneal._move import Move
from jaxanneal._parameters import Parameters
from jaxanneal._pytree import pytree_dataclass, replace


@pytree_dataclass
class Watch:
    """The best energy of all, and when it last fell: looked at every 64 steps.

    Args:
        energy: Best energy of all chains, float ``[]``.
        step: The step at which it was first seen, int ``[]``.
    """

    energy: jax.Array
    step: jax.Array


@pytree_dataclass
class State:
    """Everything a run needs to go on, and what it reports at the end: exactly the checkpoint.

    Chains are padded to whole blocks; ``padded`` below is that length.

    Args:
        key: The run key, folded for every draw.
        step: Moves per chain so far, int ``[]``.
        number: Number of each chain, from which its keys derive, int ``[padded]``.
        chains: All chains, ``[padded, ...]``.
        log_factor: Logarithm of the step-size factor, float ``[padded]``.
        nonfinite: Proposals without a finite energy, int ``[padded]``.
        accepted: Proposals accepted in each slot, int ``[chains]``.
        warm_accepted: ``accepted`` at the end of the warm-up, int ``[chains]``.
        exchange: The state of the method's exchanges.
        watch: When the best energy last fell.
        method: The method with every number bound.
        move: The move.
    """

    key: jax.Array
    step: jax.Array
    number: jax.Array
    chains: Chain
    log_factor: jax.Array
    nonfinite: jax.Array
    accepted: jax.Array
    warm_accepted: jax.Array
    exchange: Any
    watch: Watch
    method: Any
    move: Any


def start_chains(chains: Parameters, energy: Energy, args: tuple[Any, ...], width: int) -> Chain:
    """Evaluate the starts of all chains, ``[chains, ...]``."""
    return over_chains(lambda p: init_chain(p, energy=energy, args=args), chains, width)


def start(
    key: jax.Array,
    chains: Chain,
    method: Method,
    move: Move,
    width: int,
    log_factor: jax.Array,
) -> State:
    """Return the state of a run before its first move.

    Args:
        key: The run key, folded.
        chains: The evaluated starts, ``[chains, ...]``.
        method: The method, with every number bound.
        move: The move.
        width: Chains per block.
        log_factor: Logarithm of the first step-size factor of each chain, float ``[chains]``.
    """
    count = method.chains
    total = padded_count(count, width)
    best = jnp.min(chains.best_energy)
    zero = jnp.zeros((), jnp.int32)
    return State(
        key=key,
        step=zero,
        number=jnp.arange(total, dtype=jnp.int32),
        chains=jax.tree.map(lambda x: pad(x, total), chains),
        log_factor=pad(log_factor, total),
        nonfinite=jnp.zeros(total, jnp.int32),
        accepted=jnp.zeros(count, jnp.int32),
        warm_accepted=jnp.zeros(count, jnp.int32),
        exchange=method.init(),
        watch=Watch(best, zero),
        method=method,
        move=move,
    )


def refresh(state: State, args: tuple[Any, ...], energy: Energy, width: int) -> State:
    """Evaluate current and best states again, for other data; what held no longer is forgotten."""

    def again(chain: Chain) -> Chain:
        now = init_chain(chain._params, energy=energy, args=args)
        best = init_chain(chain._best_params, energy=energy, args=args)
        better = best.energy < now.energy
        pairs = zip(best._params.leaves, now._params.leaves, strict=True)
        kept = now._params.with_leaves(jnp.where(better, a, b) for a, b in pairs)
        return Chain(now._params, now.energy, kept, jnp.minimum(best.energy, now.energy))

    chains = over_chains(again, state.chains, width)
    best = jnp.min(chains.best_energy[: state.method.chains])
    return replace(state, chains=chains, watch=Watch(best, state.step))


def slots(state: State) -> Chain:
    """Return all chains in the order of the results, without padding."""
    order = state.method.order(state.exchange)
    return jax.tree.map(lambda x: x[order], state.chains)
