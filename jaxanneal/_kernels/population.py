"""Steps that learn from other chains, beside those of a move: for a search that samples nothing."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxanneal._chain import keys
from jaxanneal._chain.chain import Chain, chosen, transition
from jaxanneal._chain.generator import words
from jaxanneal._chain.move import is_mixed, largest_factor_of, proposal_of, target_of
from jaxanneal._chain.parameters import Parameters
from jaxanneal._kernels.hops import another
from jaxanneal._kernels.protocol import Kernel, Lane, Surroundings
from jaxanneal._pytree import pytree_dataclass

# Of so many steps so many learn from others; which ones they are all chains share.
_CYCLE, _LEARNING = 20, (1, 3, 6, 8, 11, 13, 15, 17, 19)

# Of these so many take a block over from another chain, the rest add a difference of two.
_TAKEN_OVER = 0.25

# A difference is added whole so often, and otherwise times a number of this size for one coordinate
# (ter Braak 2006), spread over e^2.
_WHOLE, _STEP, _SPREAD = 0.1, 2.38 / 2**0.5, 2.0

# What a difference is blurred by, as a share of itself.
_BLUR = 0.05

_DRAWN = 6  # numbers that a chain draws for itself; those of coordinates come after them


class Limits(NamedTuple):
    """Limits of each parameter: infinite where there are none, equal where it is held."""

    lower: tuple[Any, ...]
    upper: tuple[Any, ...]


@pytree_dataclass
class Shown:
    """What a chain carries: what its own kernel does, and what it shows to others.

    Args:
        inner: What the kernel of the move carries.
        shown: Where the chain was at the end of the last round of the method.
    """

    inner: Any
    shown: Parameters


class Learning(Kernel):
    """Make the steps of another kernel, and some that learn from other chains.

    Args:
        inner: The kernel of the move.
        limits: The limits of each parameter.
        held: Whether each parameter stays where it is.
        every: Steps of a round of the method, int ``[]``.
    """

    asks_for_others = True

    def __init__(self, inner: Kernel, limits: Limits, held: tuple[bool, ...], every: jax.Array):
        self.inner, self.limits, self.held, self.every = inner, limits, held, every

    def init(self, chain: Chain) -> Shown:
        """Return what a chain carries before its first step."""
        return Shown(self.inner.init(chain), chain._params)

    def shown(self, carried: Shown) -> Parameters:
        """Return where the chain was at the end of the last round."""
        return carried.shown

    def step(
        self,
        key: jax.Array,
        lane: Lane,
        around: Surroundings,
        value_of: Callable[[Parameters], jax.Array],
    ) -> Lane:
        """Return the lane after one step; the key is consumed."""
        carried = lane.carried
        alone = Lane(lane.chain, carried.inner, lane.log_factor, lane.accepted, lane.nonfinite)
        place = around.step % _CYCLE
        learns = jnp.any(place == jnp.asarray(_LEARNING))
        own = lambda lane: self.inner.step(key, lane, around, value_of)  # noqa: E731
        others = lambda lane: self._learned(key, lane, around, value_of)  # noqa: E731
        new = jax.lax.cond(learns, others, own, alone)
        ends = jax.lax.rem(around.step + 1, self.every) == 0
        shown = chosen(ends, new.chain._params, carried.shown)
        carried = Shown(new.carried, shown)
        return Lane(new.chain, carried, new.log_factor, new.accepted, new.nonfinite)

    def refresh(self, carried: Shown, chain: Chain) -> Shown:
        """Return what a chain carries whose energies were evaluated again for other data."""
        return Shown(self.inner.refresh(carried.inner, chain), chain._params)

    def _learned(
        self,
        key: jax.Array,
        lane: Lane,
        around: Surroundings,
        value_of: Callable[[Parameters], jax.Array],
    ) -> Lane:
        """Return the lane after a step towards other chains."""
        move = _Towards(around.others, around.number, self.limits, self.held)
        stepped = transition(key, lane.chain, around.temperature, value_of, move, 1.0)
        chain, info, _ = stepped
        return Lane(
            chain,
            lane.carried,
            lane.log_factor,
            lane.accepted + info.accepted.astype(jnp.int8),
            lane.nonfinite + (~info.finite).astype(jnp.int32),
        )


class _Towards(NamedTuple):
    """Propose a state made of this chain's and of two others'."""

    others: Parameters
    number: jax.Array
    limits: Limits
    held: tuple[bool, ...]

    def propose(self, key: jax.Array, params: Any, factor: Any) -> tuple[Any, float]:
        """Return the proposal; it is symmetric only in so far as the others stand still."""
        del factor
        old, key = Parameters.of(params), keys.as_key(key)
        drawn = (words(key, 0, (_DRAWN,)) >> 8).astype(jnp.float32) * 2.0**-24
        count = self.others.leaves[0].shape[0]
        first, second = (another(x, self.number, count) for x in drawn[:2])
        size = sum(leaf.size for leaf, held in zip(old.leaves, self.held, strict=True) if not held)
        share = jnp.asarray(float(max(size, 1))) ** -drawn[2]
        taken = drawn[3] < _TAKEN_OVER
        # A difference moves all coordinates half of the time, a block otherwise.
        whole = ~taken & (drawn[4] < 0.5)
        share = jnp.where(whole, 1.0, share)
        moving = jnp.maximum(share * size, 1)
        length = _STEP / jnp.sqrt(moving) * jnp.exp(_SPREAD * (drawn[5] - 0.7))
        length = jnp.where((drawn[4] * 16 % 1) < _WHOLE, 1.0, length)
        leaves, begin = [], _DRAWN
        for index, leaf in enumerate(old.leaves):
            word = words(key, begin, leaf.shape) >> 8
            begin += leaf.size
            block = word.astype(jnp.float32) * 2.0**-24 < share
            one, two = (self.others.leaves[index][other] for other in (first, second))
            leaves.append(self._moved(index, leaf, block, one, two, taken, length, word))
        return old.with_leaves(leaves).tree, 0.0

    def _moved(
        self,
        index: int,
        leaf: jax.Array,
        block: jax.Array,
        first: jax.Array,
        second: jax.Array,
        taken: jax.Array,
        length: jax.Array,
        word: jax.Array,
    ) -> jax.Array:
        """Return one parameter of the proposal."""
        if self.held[index]:
            return leaf
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return jnp.where(block, first, leaf)
        blur = 1 + _BLUR * ((word & 0xFFF).astype(leaf.dtype) * 2.0**-11 - 1)
        step = (first - second) * blur * length.astype(leaf.dtype)
        step = jnp.where(taken, first - leaf + _BLUR**2 * (first - second) * (blur - 1), step)
        lower, upper = (x[index].astype(leaf.dtype) for x in self.limits)
        point = leaf + jnp.where(block, step, 0)
        point = jnp.where(point < lower, lower + (lower - point), point)
        point = jnp.where(point > upper, upper - (point - upper), point)
        return jnp.clip(point, lower, upper)


@pytree_dataclass
class OneLeaf:
    """Let a move of many leaves move one of them a step: all at once are refused too often.

    Args:
        move: The move, whose proposals for different leaves are independent.
    """

    move: Any

    def propose(self, key: jax.Array, params: Any, factor: Any) -> tuple[Any, jax.Array]:
        """Return the proposal of the move for one leaf; the key is consumed."""
        proposal, log_hastings = proposal_of(key, params, self.move, factor)
        old, new = Parameters.of(params), Parameters.of(proposal)
        moving = [index for index, leaf in enumerate(old.leaves) if leaf.size]
        drawn = words(jax.random.fold_in(key, len(old.leaves)), 0, ()) >> 8
        place = (drawn.astype(jnp.float32) * 2.0**-24 * len(moving)).astype(jnp.int32)
        chosen_leaf = jnp.asarray(moving)[jnp.minimum(place, len(moving) - 1)]
        pairs = enumerate(zip(old.leaves, new.leaves, strict=True))
        leaves = [jnp.where(index == chosen_leaf, b, a) for index, (a, b) in pairs]
        return old.with_leaves(leaves).tree, log_hastings

    def target(self, params: Any) -> Any:
        """Return the target of the move."""
        return target_of(self.move, params)

    def mixed(self, params: Any) -> bool:
        """Return whether the move has parts that no factor changes."""
        return is_mixed(self.move, params)

    def largest_factor(self, params: Any) -> jax.Array:
        """Return the largest factor of the move."""
        return largest_factor_of(self.move, params)
