"""The whole algorithm as pure functions, for loops that are not ours."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxanneal._chain.chain import Energy
from jaxanneal._chain.energy import evaluate
from jaxanneal._chain.keys import as_key
from jaxanneal._chain.move import Move, as_move
from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import count, refusal
from jaxanneal._engine import chunk
from jaxanneal._engine.blocks import default_width, pad, padded_count
from jaxanneal._engine.history import rate_between
from jaxanneal._engine.setup import Data, Setup
from jaxanneal._engine.sharding import default_device
from jaxanneal._engine.starts import check_start, initial_parameters, one_chain
from jaxanneal._engine.state import (
    State,
    best_of_all,
    evaluated_again,
    initial_state,
    start_chains,
    trials_of,
)
from jaxanneal._methods.schedule import require_traceable
from jaxanneal._pytree import pytree_dataclass
from jaxanneal._run.problem import as_data, as_method, pools_of, require_energy
from jaxanneal._settings import known_settings
from jaxanneal.moves._per_leaf import natural_move


@pytree_dataclass
class RoundInfo:
    """What one round did; dropping it changes no number of the run.

    Args:
        step: Moves per chain so far, int ``[]``.
        temperatures: Temperature of each slot at the last move, float ``[chains]``.
        energies: Energy of the chain in each slot, float ``[chains]``.
        acceptance_rate: Accepted over all proposals of the round in each slot, NaN where there was
            none, float ``[chains]``.
        best_energy: Best energy of all chains so far, float ``[]``.
    """

    step: jax.Array
    temperatures: jax.Array
    energies: jax.Array
    acceptance_rate: jax.Array
    best_energy: jax.Array


class Algorithm(NamedTuple):
    """Three pure functions: start, make a round, and evaluate again for other data.

    Args:
        init: ``init(key, params, args=()) -> state``; ``params`` as in :func:`jaxanneal.anneal`.
        step: ``step(state, args=()) -> (state, info)``: the moves up to the next exchange, and the
            exchange; in simulated annealing those up to the next replacement, and one move where
            nothing is replaced.
        refresh: ``refresh(state, args=()) -> state``: current and best energies for other data.
    """

    init: Callable[..., State]
    step: Callable[..., tuple[State, RoundInfo]]
    refresh: Callable[..., State]


@known_settings
def algorithm(energy: Energy, method: Any, move: Any = None, steps: int | None = None) -> Algorithm:
    r"""Return the whole multi-chain algorithm as pure functions, for your own ``jit`` and ``scan``.

    Maths: as :func:`jaxanneal.anneal`, which runs the same rounds; nothing is calibrated here.
    Batching: ``init`` and ``step`` handle all chains, and can themselves be ``vmap``-ed.

    Args:
        energy: ``energy(params, *args) -> real scalar`` for one chain.
        method: A method whose temperatures are given.
        move: A move or a symmetric function; ``None``: the natural move of each leaf's dtype.
        steps: Length of the run to which a cooling without ``steps``, or a warm-up, is bound.

    Returns:
        An :class:`Algorithm` ``(init, step, refresh)``. The state's ``chains`` is a batched
        :class:`Chain`, padded to whole blocks; its first ``method.chains`` entries are the chains.

    Raises:
        TypeError: An input is of the wrong kind, or JAX cannot trace the cooling.
        ValueError: The method's temperatures are not given, or depend on ``steps`` that is not.

    Example:
        >>> import jaxanneal as ja
        >>> method = ja.ParallelTempering(temperatures=[0.01, 0.1, 1.0])
        >>> algorithm = ja.algorithm(lambda x: x**2, method, ja.moves.Gaussian(), steps=1000)
        >>> state = algorithm.init(jax.random.key(0), 3.0)
        >>> state, info = jax.lax.scan(lambda s, _: algorithm.step(s), state, length=100)
        >>> bool(info.best_energy[-1] < 0.1)
        True

    Reference: Kirkpatrick, Gelatt and Vecchi, Science 220, 671 (1983).
    """
    require_energy(energy)
    bound = _bound(as_method(method, None), steps)
    if bound.cooling is not None:
        require_traceable(bound.cooling)
    given = None if move is None else as_move(move)

    value_of = functools.partial(_value_of, energy)

    def width_of(starts: Any) -> int:
        each = sum(leaf.nbytes for leaf in jax.tree.leaves(starts)) // bound.chains
        return default_width(bound.chains, each, default_device().platform)

    def init(key: Any, params: Any, args: tuple[Any, ...] = ()) -> State:
        key = as_key(key)
        starts = initial_parameters(params, key, bound.chains)
        used: Move = natural_move(one_chain(starts)) if given is None else given
        check_start(used, starts)
        total = padded_count(bound.chains, width := width_of(starts))
        lanes = jax.tree.map(lambda x: pad(x, total), starts)
        chains = start_chains(lanes, value_of(args), width)
        inputs = (key, chains, bound.fitted(starts, used), used)
        pools = pools_of(used, starts, bound)
        return initial_state(*inputs, jnp.zeros(total, dtype=float), pools)

    def step(state: State, args: tuple[Any, ...] = ()) -> tuple[State, RoundInfo]:
        value = value_of(args)
        setup = Setup(lambda _, params, __: value(params), _width(state))
        new = chunk.one_exchange(state, Data(), setup)
        return new, _info(state, new)

    def refresh(state: State, args: tuple[Any, ...] = ()) -> State:
        return evaluated_again(state, value_of(args), _width(state))

    def _width(state: State) -> int:
        chains = jax.tree.map(lambda x: x[: bound.chains], state.chains._params.leaves)
        return width_of(chains)

    return Algorithm(init, step, refresh)


def _value_of(energy: Energy, args: Any) -> Callable[[Parameters], jax.Array]:
    data = as_data(args).tree
    return lambda params: evaluate(energy, params.tree, data)


def _bound(method: Any, steps: int | None) -> Any:
    if steps is not None:
        return method.bind(count("steps", steps, 1, "Give the number of moves per chain."))
    bound = method.bind(1)
    if jax.tree.structure(bound) != jax.tree.structure(method):
        name = type(method).__name__
        remedy = "Pass steps= to ja.algorithm, or set the cooling's steps or the warmup itself."
        raise ValueError(refusal("steps", f"the length that {name} is bound to", None, remedy))
    return bound


def _info(before: State, after: State) -> RoundInfo:
    method = after.method
    by_slot = lambda x: method.by_slot(after.exchange, x[: method.chains])  # noqa: E731
    both = trials_of(before), trials_of(after)
    temperatures = method.slot_temperatures(after.exchange, after.step - 1)
    return RoundInfo(
        step=after.step,
        temperatures=jnp.broadcast_to(temperatures, method.shape).reshape(-1),
        energies=by_slot(after.chains.energy),
        acceptance_rate=rate_between(*both, after.step - before.step),
        best_energy=best_of_all(after, None),
    )
