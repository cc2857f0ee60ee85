"""The state of a run: what it needs to go on, and what it reports at the end."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.chain import Chain, start_energy
from jaxanneal._chain.move import Move
from jaxanneal._chain.own_move import as_given
from jaxanneal._chain.parameters import Parameters
from jaxanneal._engine.blocks import over_chains, pad, padded_count
from jaxanneal._engine.sharding import Axes, fetch, from_owner, gather, here, lowest, take
from jaxanneal._kernels.protocol import Kernel
from jaxanneal._methods.protocol import Method, Trials
from jaxanneal._pytree import pytree_dataclass, replace

# Fields of a state with one entry for each lane.
LANES = ("chains", "carried", "log_factor", "nonfinite")


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

    Chains are padded to whole blocks; ``padded`` below is that length. A chain's keys derive from
    its number, which is that of its lane.

    Args:
        key: The run key, folded for every draw.
        step: Moves per chain so far, int ``[]``.
        chains: All chains, ``[padded, ...]``.
        carried: What the kernel carries beside each of them, ``[padded, ...]``.
        log_factor: Logarithm of the step-size factor, float ``[padded]``.
        nonfinite: Proposals without a finite energy, int ``[padded]``.
        accepted: Proposals accepted in each slot, int ``[chains]``.
        exchange: The state of the method's exchanges.
        watch: When the best energy last fell.
        method: The method with every number bound.
        move: The move.
        pools: Step-size factors that chains share, if they do.
    """

    key: jax.Array
    step: jax.Array
    chains: Chain
    carried: Any
    log_factor: jax.Array
    nonfinite: jax.Array
    accepted: jax.Array
    exchange: Any
    watch: Watch
    method: Any
    move: Any
    pools: Any = ()

    @property
    def given_move(self) -> Any:
        """The move as the user gave it."""
        return as_given(self.move)

    @property
    def lanes(self) -> int:
        """Number of lanes; inside of ``shard_map`` of those on this device."""
        return self.log_factor.shape[0]


def start_chains(lanes: Parameters, value_of: Callable[..., jax.Array], width: int) -> Chain:
    """Evaluate the start of every lane, in whole blocks of ``width``."""
    # The energy alone: what else leaves a block is copied there, and compiled for.
    see = lambda params: start_energy(value_of(params))  # noqa: E731
    energies = over_chains(see, lanes, width)
    return Chain(lanes, energies, lanes, energies)


def initial_state(
    key: jax.Array,
    chains: Chain,
    method: Method,
    move: Move,
    log_factor: jax.Array,
    pools: Any = (),
    axes: Axes = None,
) -> State:
    """Return the state of a run before its first move.

    Args:
        key: The run key, folded.
        chains: The evaluated starts, ``[padded, ...]``.
        method: The method, with every number bound.
        move: The move.
        log_factor: Logarithm of the first step-size factor, float ``[padded]``.
        pools: First step-size factors that chains share, if they do.
        axes: Axes over which chains are spread.
    """
    zero, none = jnp.zeros((), jnp.int32), jnp.zeros(method.chains, jnp.int32)
    state = State(
        key=key,
        step=zero,
        chains=chains,
        carried=jax.vmap(_kernel(method, move, chains).init)(chains),
        log_factor=log_factor,
        nonfinite=jnp.zeros(log_factor.shape, jnp.int32),
        accepted=none,
        exchange=method.init(),
        watch=Watch(jnp.zeros_like(chains.best_energy[0]), zero),
        method=method,
        move=move,
        pools=jax.tree.map(jnp.asarray, pools),
    )
    return replace(state, watch=Watch(best_of_all(state, axes), zero))


def _kernel(method: Method, move: Move, chains: Chain) -> Kernel:
    """Return what makes the steps of such chains."""
    return method.kernel(move, jax.tree.map(lambda x: x[0], chains._params).tree)


def first_lane(state: State, axes: Axes) -> jax.Array:
    """Return the number of this device's first lane."""
    return jnp.zeros((), jnp.int32) if axes is None else state.lanes * jax.lax.axis_index(axes)


def best_of_all(state: State, axes: Axes) -> jax.Array:
    """Return the best energy that any chain has seen, on every device."""
    lane = first_lane(state, axes) + jnp.arange(state.lanes, dtype=jnp.int32)
    real = lane < state.method.chains
    return lowest(jnp.min(jnp.where(real, state.chains.best_energy, jnp.inf)), axes)


def evaluated_again(
    state: State, value_of: Callable[..., jax.Array], width: int, axes: Axes = None
) -> State:
    """Evaluate current and best states again, for other data; what held no longer is forgotten."""
    chains = state.chains
    now = start_chains(chains._params, value_of, width)
    best = start_chains(chains._best_params, value_of, width)
    return refreshed(state, now, best, axes)


def refreshed(state: State, now: Chain, best: Chain, axes: Axes = None) -> State:
    """Return the state with its current and its best states as they were evaluated again."""

    def kept(now: Chain, best: Chain) -> Chain:
        better = best.energy < now.energy
        pairs = zip(best._params.leaves, now._params.leaves, strict=True)
        lowest = now._params.with_leaves(jnp.where(better, a, b) for a, b in pairs)
        return Chain(now._params, now.energy, lowest, jnp.minimum(best.energy, now.energy))

    chains = jax.vmap(kept)(now, best)
    refresh = _kernel(state.method, state.move, chains).refresh
    new = replace(state, chains=chains, carried=jax.vmap(refresh)(state.carried, chains))
    return replace(new, watch=Watch(best_of_all(new, axes), state.step))


def with_lanes(state: State, width: int, total: int) -> State:
    """Return the state in ``total`` lanes, whole blocks of ``width`` on every device."""
    if state.lanes == total:
        return state
    used = padded_count(state.method.chains, width)
    fit = lambda x: pad(x[:used], total)  # noqa: E731
    return replace(
        state,
        chains=jax.tree.map(fit, state.chains),
        carried=jax.tree.map(fit, state.carried),
        log_factor=fit(state.log_factor),
        nonfinite=fit(state.nonfinite),
    )


def own_lanes(state: State, width: int) -> State:
    """Return a state without the lanes that only fill the blocks of many devices."""
    lanes = padded_count(state.method.chains, width)

    def cut(x: Any) -> Any:
        return x if x.shape[0] == lanes and here(x) else fetch(x)[:lanes]

    return replace(state, **{name: jax.tree.map(cut, getattr(state, name)) for name in LANES})


def trials_of(state: State, axes: Axes = None) -> Trials:
    """Return what was proposed so far in each slot."""
    whole = lambda x: gather(x, axes)[: state.method.chains]  # noqa: E731
    return state.method.trials(state.accepted, state.carried, whole)


def trials_on_host(state: State) -> Trials:
    """Return the same of a run that stands still, as NumPy arrays."""
    whole = lambda x: fetch(x)[: state.method.chains]  # noqa: E731
    return state.method.trials(np.asarray(state.accepted), state.carried, whole)


def chains_by_slot(state: State) -> Chain:
    """Return all chains in the order of the results, without padding."""
    method = state.method
    if not method.has_rungs:  # in the order of the lanes: nothing moves between devices
        return jax.tree.map(lambda x: x[: method.chains], state.chains)
    return take(state.chains, method.order(state.exchange))


def best_state(state: State, axes: Axes = None) -> tuple[Parameters, jax.Array]:
    """Return the best state of all chains, on every device, and its energy."""
    order = state.method.order(state.exchange)
    energies = gather(state.chains.best_energy, axes)
    best = order[jnp.argmin(energies[order])]  # of equal ones the first in the results
    mine = state.lanes
    here = jax.tree.map(lambda x: x[best % mine][None], state.chains._best_params)
    params = from_owner(here, (best // mine)[None], axes)
    return jax.tree.map(lambda x: x[0], params), energies[best]
