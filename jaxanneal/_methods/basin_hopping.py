"""Basin hopping: Monte Carlo over minima, every chain in a descent of its own."""

from collections.abc import Callable
from dataclasses import field
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxanneal._chain import keys
from jaxanneal._chain.parameters import Parameters
from jaxanneal._chain.prefix import per_parameter
from jaxanneal._checks import MOST, at_least_one, count, host_array, number, positive, refusal
from jaxanneal._kernels.hopping import Hopping, Rules, Shared, Underway
from jaxanneal._kernels.hops import kinds
from jaxanneal._methods.hops import NO_SCALE, Hops, learned
from jaxanneal._methods.ladder.swaps import log_swap_acceptance, shift_of
from jaxanneal._methods.protocol import Exchanged, Method, Seen, Trials, next_multiple
from jaxanneal._pytree import pytree_dataclass, replace, static
from jaxanneal._settings import known_settings
from jaxanneal.moves._box import box_of

# Where nothing is known yet, a kind of hop counts as one with so many successes in so many steps.
_PRIOR_SUCCESS, _PRIOR_STEPS = 0.02, 1.0

# The width of a box that has the standard deviation of some starts.
_WIDTH = 12**0.5


@known_settings
@pytree_dataclass
class BasinHopping(Method):
    r"""Hop from minimum to minimum of an energy that can be differentiated. It does not sample.

    Maths: a chain at a minimum of energy :math:`E` hops out of it, descends, and accepts the
    minimum :math:`E'` below with probability :math:`\min(1, e^{-(E' - E)/T})`. Temperatures are
    :math:`s` times a geometric ladder from ``coldest`` to ``hottest``, one for each chain, where
    the scale :math:`s` follows the median of the differences :math:`|E' - E|` that are seen, and
    neighbours on the ladder swap. A hop moves one row, a block of rows, or all of them by noise of
    one of the ``sizes``; takes a block over from another chain; or adds a difference of two others.
    What a kind of hop brings for its cost decides how often it is made, so that no law is sampled.
    A row is a coordinate of a vector, or an entry of the leading axis of a larger leaf (an atom, a
    neuron).
    Batching: every step evaluates one value and gradient of every chain, each of which is somewhere
    in its own descent: none waits for another. ``chains`` is static, all other numbers are traced.

    Args:
        chains: Number of chains, >= 1.
        descent_steps: Most steps of one descent, >= 1.
        unit: The size of the region to search, by parameter: a scalar or pytree prefix of params,
            > 0. ``None``: the width of the bounds, where there are none the spread of the starts
            over the chains, and where that is zero the size of the starts, or 1.
        sizes: Sizes of the noise, in units, ``[sizes]``, each > 0.
        longest_step: Longest step of a descent in one coordinate, in units, > 0.
        coldest: The lowest temperature, in units of the scale, > 0.
        hottest: The highest, >= ``coldest``.
        scale: The scale in units of energy, > 0; ``None``: it is found, and tracked.
        swap_every: Steps between swaps, >= 1.
        tolerance: A descent ends where it will fall by less than this share of the temperature, >
            0; those that may set a record are followed to the bottom.
        abandon: A descent is given up that cannot end below so many temperatures above where it
            came from, > 0; infinite: never.
        favour: Share of the hops that go to the kinds that bring most, in [0, 1].

    Returns:
        A method for :func:`jaxanneal.anneal`. Of the ``move`` it uses what it freezes and its
        bounds: limits hold in every descent, and integer, bool and frozen leaves stay as they are.

    Raises:
        TypeError: A setting is of the wrong kind.
        ValueError: A setting is out of range.

    Example:
        >>> import jaxanneal as ja
        >>> energy = lambda x: jnp.sum(x**2 + 10 * (1 - jnp.cos(2 * jnp.pi * x)))
        >>> start = lambda key: jax.random.uniform(key, (4,), minval=-5, maxval=5)
        >>> method = ja.BasinHopping(chains=16)
        >>> bool(ja.anneal(energy, start, key=0, method=method, steps=500).energy < 1e-3)
        True

    Reference: Li and Scheraga, PNAS 84, 6611 (1987); Wales and Doye, J. Phys. Chem. A 101, 5111
    (1997); Liu and Nocedal, Mathematical Programming 45, 503 (1989), for the descent.
    """

    descent_steps: jax.Array
    unit: Any
    units: tuple[jax.Array, ...] | None = field(init=False)
    sizes: jax.Array
    longest_step: jax.Array
    coldest: jax.Array
    hottest: jax.Array
    scale: jax.Array | None
    swap_every: jax.Array
    tolerance: jax.Array
    abandon: jax.Array
    favour: jax.Array
    chains: int = static()

    gradients = 1
    watch_every = 8  # a descent takes a few steps, and each of them two or three evaluations' time
    finds_temperatures = True

    def __init__(
        self,
        chains: int = 64,
        descent_steps: ArrayLike = 500,
        unit: Any = None,
        sizes: Any = (0.02, 0.06, 0.2, 0.6),
        longest_step: ArrayLike = 0.1,
        coldest: ArrayLike = 0.02,
        hottest: ArrayLike = 0.5,
        scale: ArrayLike | None = None,
        swap_every: ArrayLike = 5,
        tolerance: ArrayLike = 0.01,
        abandon: ArrayLike = 10.0,
        favour: ArrayLike = 0.4,
    ):
        path, keep = "BasinHopping", "Leave it out for the default."
        above = {
            "longest_step": longest_step,
            "coldest": coldest,
            "hottest": hottest,
            "tolerance": tolerance,
        }
        vars(self).update(
            {name: positive(f"{path}.{name}", x, keep, scalar=True) for name, x in above.items()},
            chains=count(f"{path}.chains", chains, 1, "Use 1 for a single chain.", MOST),
            descent_steps=at_least_one(f"{path}.descent_steps", descent_steps, keep),
            unit=None if unit is None else _as_unit(f"{path}.unit", unit),
            units=None,  # of each parameter, when the starts are known
            sizes=_as_sizes(f"{path}.sizes", sizes),
            scale=None if scale is None else positive(f"{path}.scale", scale, keep, scalar=True),
            swap_every=at_least_one(f"{path}.swap_every", swap_every, keep),
            abandon=_as_limit(f"{path}.abandon", abandon),
            favour=_as_share(f"{path}.favour", favour),
        )
        _require_order(self.coldest, self.hottest)

    def fitted(self, starts: Parameters, move: Any) -> "BasinHopping":
        """Return this method with the unit of each parameter, as the starts and the bounds have it.

        Args:
            starts: Where the chains start, ``[chains, ...]``.
            move: The move.
        """
        one = jax.tree.map(lambda x: x[0], starts)
        if self.unit is not None:
            return replace(self, units=per_parameter("BasinHopping.unit", self.unit, one))
        box = box_of(move, one)
        ends = iter(zip(box.lower, box.upper, strict=True))
        pairs = zip(starts.leaves, box.free, strict=True)
        units = (_unit(leaf, *next(ends)) if free else np.ones(()) for leaf, free in pairs)
        return replace(self, units=tuple(units))

    def keep_bound(self, bound: "BasinHopping", step: int) -> "BasinHopping":
        """Return this method with the units that an earlier call found by its starts."""
        if self.sizes.shape != bound.sizes.shape:
            remedy = "For another number start anew with params=ja.stacked(result.chains.params)."
            expected = f"{bound.sizes.size} values, as in the run"
            raise ValueError(refusal("BasinHopping.sizes", expected, self.sizes.size, remedy))
        return self if self.unit is not None else replace(self, units=bound.units)

    def carried(self, state: Hops, bound: "BasinHopping") -> Hops:
        """Return the state of the exchanges with the scale that is given now."""
        return state if self.scale is None else replace(state, scale=self.scale)

    def kernel(self, move: Any, params: Any) -> Hopping:
        """Return what makes one step of a descent."""
        one, box = Parameters.of(params), box_of(move, Parameters.of(params))
        assert self.units is not None
        units = tuple(unit for unit, moves in zip(self.units, box.free, strict=True) if moves)
        rules = Rules(
            self.sizes,
            self.longest_step,
            self.tolerance,
            self.abandon,
            self.descent_steps,
            self.swap_every,
        )
        return Hopping(box, units, rules, one)

    def init(self) -> Hops:
        """Return the state of the exchanges: every chain on a rung of its own, nothing known."""
        rung = jnp.arange(self.chains, dtype=jnp.int32)
        known = self.scale is not None
        scale = jnp.asarray(NO_SCALE, float) if self.scale is None else self.scale.astype(float)
        nothing = jnp.zeros(kinds(self.sizes.size), float)
        zero = jnp.zeros((), jnp.int32)
        inputs = (jnp.asarray(known), jnp.asarray(jnp.inf, float), jnp.zeros_like(rung))
        return Hops(rung, rung, scale, *inputs, nothing, nothing, zero)

    def shared(self, state: Hops) -> Shared:
        """Return the scale, the best energy, and how often each kind of hop is made."""
        rate = (state.success + _PRIOR_SUCCESS) / (state.steps + _PRIOR_STEPS)
        even = jnp.full(rate.shape, 1 / rate.size, rate.dtype)
        weights = (1 - self.favour) * even + self.favour * rate / jnp.sum(rate)
        return Shared(state.scale, state.best, weights)

    def slot_temperatures(self, state: Hops, step: jax.Array) -> jax.Array:
        """Return the temperature of each chain at ``step``, NaN without a scale."""
        before = jax.lax.rem(step + 1, self.swap_every) == 0
        used = self._temperatures(state)[jnp.where(before, state.before, state.rung)]
        return jnp.where(state.known, used, jnp.nan)

    def temperatures_of(self, chain: jax.Array, state: Hops, step: jax.Array) -> jax.Array:
        """Return the temperature of each of some chains until the next exchange, float ``[n]``."""
        return self._temperatures(state)[state.rung[chain]]

    def next_exchange(self, step: jax.Array) -> jax.Array:
        """Return the next step after which chains swap."""
        return next_multiple(step, self.swap_every)

    def next_stop(self, step: jax.Array) -> jax.Array:
        """Return the next step at which a round must end: that of an exchange."""
        return self.next_exchange(step)

    def difference(self, state: Hops) -> jax.Array:
        """Return the scale."""
        return jnp.where(state.known, state.scale, 0)

    def trials(self, accepted: Any, carried: Underway, whole: Callable[[Any], Any]) -> Trials:
        """Return the hops that ended, and those that were accepted, the first descents apart."""
        begun = 1 - whole(carried.first).astype(accepted.dtype)
        return Trials(accepted - begun, whole(carried.last.count))

    def described(
        self, state: Hops, carried: Underway, whole: Callable[[Any], Any]
    ) -> dict[str, str]:
        """Return how many hops there were, and the scale."""
        hops = np.asarray(whole(carried.last.count), np.int64)
        scale = f"{float(state.scale):.3g}" if bool(state.known) else "no two minima were seen"
        median = f"{float(np.median(hops)):.0f}"
        return {"hops": f"{hops.sum():,}, {median} per chain", "scale of energies": scale}

    def under_new_law(self, state: Hops, energies: np.ndarray) -> Hops:
        """Return the state with nothing known of the energy that held so far."""
        return replace(self.init(), rung=state.rung, before=state.before)

    def after_round(self, key: jax.Array, state: Hops, step: jax.Array, seen: Seen) -> Exchanged:
        """Learn from the hops that ended, and let neighbours swap, if it is time."""
        due = jax.lax.rem(step, self.swap_every) == 0
        key = keys.stream(key, keys.EXCHANGE, step)

        def exchanged(state: Hops) -> Hops:
            finds = self.scale is None
            state = learned(state, seen.energies, seen.carried, self.swap_every, finds)
            return self._swapped(key, state, seen.energies, seen.carried.first)

        return Exchanged(jax.lax.cond(due, exchanged, lambda state: state, state))

    def _temperatures(self, state: Hops) -> jax.Array:
        """Return the temperature of each rung, float ``[chains]``."""
        place = jnp.linspace(0.0, 1.0, self.chains) if self.chains > 1 else jnp.full(1, 0.5)
        ratio = self.hottest / self.coldest
        return state.scale * self.coldest * ratio ** place.astype(float)

    def _swapped(self, key: jax.Array, state: Hops, energies: jax.Array, first: jax.Array) -> Hops:
        """Return the state after neighbours swapped, none of which is in its first descent."""
        if self.chains == 1:
            return replace(state, swaps=state.swaps + 1)
        numbers = jnp.arange(self.chains, dtype=jnp.int32)
        chain = jnp.zeros_like(state.rung).at[state.rung].set(numbers)
        by_rung, busy = energies[chain].astype(float), first[chain]
        log_alpha = log_swap_acceptance(self._temperatures(state), by_rung)
        pair = numbers[:-1]
        tried = (pair % 2 == state.swaps % 2) & ~busy[:-1] & ~busy[1:]
        uniform = jax.random.uniform(key, log_alpha.shape, log_alpha.dtype)
        accepted = tried & (jnp.log1p(-uniform) <= log_alpha)
        shift = shift_of(accepted[None])[0].astype(jnp.int32)
        rung = state.rung + shift[state.rung]
        return replace(state, rung=rung, before=state.rung, swaps=state.swaps + 1)


def _unit(starts: Any, lower: Any, upper: Any) -> Any:
    """Return the unit of one parameter, in its shape."""
    traced = any(isinstance(x, Tracer) for x in (starts, lower, upper))
    xp: Any = jnp if traced else np  # on the host nothing is compiled for it
    dtype = jax.dtypes.canonicalize_dtype(float)
    starts, lower, upper = (xp.asarray(x).astype(dtype) for x in (starts, lower, upper))
    with np.errstate(all="ignore"):  # what overflows is no unit
        starts = xp.where(xp.isfinite(starts), starts, 0)
        width, spread = upper - lower, _WIDTH * xp.std(starts, axis=0)
        size = xp.max(xp.abs(starts), axis=0)
        typical = xp.sqrt(xp.mean(size * size))
    usable = lambda x: (x > 0) & xp.isfinite(x)  # noqa: E731
    size = xp.where(usable(size), size, xp.where(usable(typical), typical, 1))
    scattered = xp.where(usable(spread), spread, size)
    unit = xp.where(usable(width), width, scattered).astype(dtype)
    return unit if traced else host_array(unit, dtype)


def _as_unit(path: str, unit: Any) -> Any:
    remedy = "Give the size of the region to search, as a scalar or a pytree prefix of params."
    valid = lambda x: np.isfinite(x) & (x > 0)  # noqa: E731
    return jax.tree.map(lambda leaf: number(path, leaf, "finite values > 0", valid, remedy), unit)


def _as_sizes(path: str, sizes: Any) -> jax.Array:
    remedy = "Give the noise of a hop as shares of the region to search."
    array = positive(path, sizes, remedy)
    if array.ndim != 1 or array.size == 0:
        raise ValueError(refusal(path, "at least one value, [sizes]", f"{array.shape}", remedy))
    return array


def _as_limit(path: str, limit: Any) -> jax.Array:
    valid = lambda x: (x > 0) & ~np.isnan(x)  # noqa: E731
    return number(path, limit, "a number > 0", valid, "Use inf for never.", scalar=True)


def _as_share(path: str, share: Any) -> jax.Array:
    valid, remedy = lambda x: (x >= 0) & (x <= 1), "Use 0 to choose all kinds alike often."
    return number(path, share, "a number from 0 to 1", valid, remedy, scalar=True)


def _require_order(coldest: Any, hottest: Any) -> None:
    if isinstance(coldest, Tracer) or isinstance(hottest, Tracer):
        return
    if float(hottest) < float(coldest):
        remedy = "Swap them; equal ones are one temperature for all."
        expected = f"at least coldest, {float(coldest):g}"
        raise ValueError(refusal("BasinHopping.hottest", expected, float(hottest), remedy))
