"""A method of the user's own: an object of four members, and the rest from ``Method``.

- ``chains``: the number of chains, >= 1.
- ``init()``: the state before the first move, any pytree of arrays.
- ``temperatures(state)``: the temperature of each chain, float ``[chains]`` or ``[]``, >= 0.
- ``exchange(key, state, energies)``: the state after an exchange, made like that of ``init``; the
  key is consumed, and energies are those of the chains, float ``[chains]``.
- ``exchange_every``: moves between exchanges, 1 where it is missing.

Registered as a pytree, with ``chains`` static, its numbers are traced. A program is kept by what
the three functions compute, so that another object of the same kind compiles nothing.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain import keys
from jaxanneal._chain.calls import describe, traced
from jaxanneal._chain.computation import Traced, trace
from jaxanneal._chain.energy import as_array
from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import MOST, at_least_one, count, refusal, strong
from jaxanneal._methods.protocol import Exchanged, Method, Seen, next_multiple
from jaxanneal._pytree import Unseen, path_text, pytree_dataclass, static

MEMBERS = ("chains", "init", "temperatures", "exchange")


@pytree_dataclass
class Functions:
    """The functions of a user's method as they were traced.

    The state of a method is here the tuple of its leaves.

    Args:
        numbers: The numbers of the user's object.
        first: Computes of them the first state.
        temperatures: Computes of them and a state the temperature of each chain.
        exchange: Computes of them, a key, a state and energies the state after an exchange.
        given: The structure of the user's object, which is no part of this one's.
    """

    numbers: tuple[Any, ...]
    first: Traced
    temperatures: Traced
    exchange: Traced
    given: Unseen = static()

    @property
    def method(self) -> Any:
        """The method as the user made it."""
        return self.given.value.combine(self.numbers)

    @property
    def __name__(self) -> str:
        return type(self.method).__name__


@pytree_dataclass
class Own(Method):
    """A user's method as the engine sees it.

    Its state is kept as the tuple of the leaves, so that it can be saved and loaded whatever
    classes it is made of; beside it stand the temperatures of all chains from now on, and those
    before the last exchange.

    Args:
        own: What the user's method computes.
        exchange_every: Moves between exchanges, int ``[]``.
        chains: Number of chains.
    """

    own: Functions
    exchange_every: jax.Array
    chains: int = static()

    @property
    def __name__(self) -> str:
        return self.own.__name__

    def init(self) -> tuple[Any, ...]:
        """Return the leaves of the first state, and its temperatures twice."""
        first = self.own.first(self.own.numbers)
        temperatures = self._temperatures(first)
        return first, temperatures, temperatures

    def carried(self, state: Any, bound: Any) -> Any:
        """Return the state of a run, or refuse one that this method does not have."""
        leaves = [jax.tree.leaves(tree) for tree in (state, jax.eval_shape(self.init))]
        theirs, mine = ([describe(leaf) for leaf in one] for one in leaves)
        if theirs != mine:
            remedy = "To change it, start anew with params=ja.stacked(result.chains.params)."
            raise ValueError(refusal("method", f"a state of {theirs}", f"{mine}", remedy))
        if not self.has_law_of(bound):
            temperatures = self._temperatures(state[0])  # new numbers hold from here on
            return state[0], temperatures, temperatures
        return state

    def has_law_of(self, bound: Any) -> bool:
        """Return whether the numbers of the user's method are those of ``bound``."""
        mine, theirs = (jax.tree.leaves(method.own) for method in (self, bound))
        return len(mine) != len(theirs) or all(map(np.array_equal, mine, theirs))

    def temperatures_of(self, chain: jax.Array, state: Any, step: jax.Array) -> jax.Array:
        """Return the temperature of each of some chains until the next exchange, float ``[n]``."""
        return state[1][chain]

    def slot_temperatures(self, state: Any, step: jax.Array) -> jax.Array:
        """Return the temperature of each chain at the last move, ``step``: before an exchange."""
        _, temperatures, before = state
        return jnp.where(jax.lax.rem(step + 1, self.exchange_every) == 0, before, temperatures)

    def next_exchange(self, step: jax.Array) -> jax.Array:
        """Return the next step after which there is an exchange."""
        return next_multiple(step, self.exchange_every)

    def next_stop(self, step: jax.Array) -> jax.Array:
        """Return the next step at which a round must end: that of an exchange."""
        return self.next_exchange(step)

    def after_round(self, key: jax.Array, state: Any, step: jax.Array, seen: Seen) -> Exchanged:
        """Let the user's method exchange if an exchange is due at ``step``."""
        key = keys.stream(key, keys.EXCHANGE, step)
        exchange = functools.partial(self._exchanged, key, seen.energies)
        due = jax.lax.rem(step, self.exchange_every) == 0
        return Exchanged(jax.lax.cond(due, exchange, lambda state: state, state))

    def _exchanged(self, key: jax.Array, energies: jax.Array, state: Any) -> Any:
        leaves, temperatures, _ = state
        # Of one dtype, whatever the energy's own: a state that holds them has that of init.
        new = self.own.exchange(self.own.numbers, key, leaves, energies.astype(float))
        # What is no temperature stays, so that the host sees it whatever the chunks are.
        sound = jnp.all(jnp.isfinite(temperatures) & (temperatures >= 0))
        return new, jnp.where(sound, self._temperatures(new), temperatures), temperatures

    def _temperatures(self, leaves: Any) -> jax.Array:
        """Return the temperature of each chain by the user's state."""
        return self.own.temperatures(self.own.numbers, leaves)


def users_object(method: Any) -> Any:
    """Return a method as the user made it."""
    return method.own.method if isinstance(method, Own) else method


def as_own(method: Any) -> Own:
    """Return a user's method as the engine sees it.

    Raises:
        TypeError: Its number of chains is no integer, or a member of it returns something else than
            it should.
        ValueError: It has less than one chain.
    """
    path = type(method).__name__
    chains = count(f"{path}.chains", method.chains, 1, "Use 1 for a single chain.", MOST)
    every = getattr(method, "exchange_every", 1)
    every = at_least_one(f"{path}.exchange_every", every, "Use 1 to exchange after every move.")
    parts = Parameters.of_args(strong(method))
    given, numbers = parts.structure.combine, parts.leaves
    if not isinstance(given(numbers).chains, int | np.integer):
        remedy = "Declare it with dataclasses.field(metadata={'static': True})."
        raise TypeError(refusal(f"{path}.chains", "a static field", "a traced one", remedy))
    state = jax.eval_shape(lambda x: _first(given(x)), numbers)
    leaves, tree = tuple(jax.tree.leaves(state)), jax.tree.structure(state).unflatten

    def temperatures(numbers: Any, leaves: Any) -> jax.Array:
        return _temperatures(given(numbers), tree(leaves), chains)

    def exchange(numbers: Any, key: jax.Array, leaves: Any, energies: jax.Array) -> Any:
        return tuple(jax.tree.leaves(_exchanged(given(numbers), key, tree(leaves), energies)))

    energies = jax.ShapeDtypeStruct((chains,), jax.dtypes.canonicalize_dtype(float))
    functions = Functions(
        numbers,
        trace(lambda x: tuple(jax.tree.leaves(_first(given(x)))), numbers),
        trace(temperatures, numbers, leaves),
        trace(exchange, numbers, keys.as_key(0), leaves, energies),
        Unseen(parts.structure),
    )
    return Own(functions, every, chains)


def _first(method: Any) -> Any:
    def array(path: Any, leaf: Any) -> jax.Array:
        as_leaf = as_array(leaf)
        if as_leaf is None:
            where = f"method.init(){path_text(path)}"
            remedy = "The state of a method is a pytree of arrays."
            raise TypeError(refusal(where, "an array", describe(leaf), remedy))
        return jax.lax.convert_element_type(as_leaf, as_leaf.dtype)  # a weak one would retrace

    return jax.tree_util.tree_map_with_path(array, traced("method.init", method.init))


def _exchanged(method: Any, key: jax.Array, old: Any, energies: jax.Array) -> Any:
    new = traced("method.exchange", method.exchange, key, old, energies)
    remedy = "exchange returns a state made like that of init: same structure, shapes, dtypes."
    if jax.tree.structure(new) != jax.tree.structure(old):
        expected, given = (jax.tree.map(describe, tree) for tree in (old, new))
        raise TypeError(refusal("method.exchange", f"{expected}", f"{given}", remedy))
    pairs = zip(jax.tree_util.tree_leaves_with_path(old), jax.tree.leaves(new), strict=True)
    for (path, a), b in pairs:
        array = as_array(b)
        if array is None or array.shape != a.shape or array.dtype != a.dtype:
            where = f"method.exchange: state{path_text(path)}"
            raise TypeError(refusal(where, describe(a), describe(b), remedy))
    return jax.tree.map(jnp.asarray, new)


def _temperatures(method: Any, state: Any, chains: int) -> jax.Array:
    """Return the temperature of each chain by the user's state, float ``[chains]``."""
    returned = traced("method.temperatures", method.temperatures, state)
    temperatures = as_array(returned)
    if (
        temperatures is None
        or temperatures.shape not in ((), (chains,))
        or jnp.iscomplexobj(temperatures)
    ):
        expected = f"a temperature for all chains, or one for each of {chains}"
        remedy = "Return for example jnp.full(self.chains, temperature)."
        raise TypeError(refusal("method.temperatures", expected, describe(returned), remedy))
    return jnp.broadcast_to(temperatures.astype(float), (chains,))
