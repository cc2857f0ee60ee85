"""Parallel tempering: replicas on a ladder of temperatures that swap their rungs."""

import functools
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxanneal._checks import MOST, at_least_one, count, number, refusal, setting, shown
from jaxanneal._methods.ladder.adaptation import after_swaps, counted, first_ladder
from jaxanneal._methods.ladder.ladders import (
    Ladders,
    at,
    carried,
    first_ladders,
    places,
    restarted,
    same_temperatures,
    under_new_law,
)
from jaxanneal._methods.ladder.swaps import swap_phase
from jaxanneal._methods.protocol import NEVER, Exchanged, Method, Seen, next_multiple
from jaxanneal._pytree import pytree_dataclass, replace, static
from jaxanneal._settings import known_settings


@known_settings
@pytree_dataclass
class ParallelTempering(Method):
    r"""Run replicas on a ladder of temperatures; neighbours swap, so that cold ones cross barriers.

    Maths: rung i samples :math:`\exp(-E/T_i)`; neighbours swap with probability
    :math:`\min(1, \exp((\beta_i - \beta_{i+1})(E_i - E_{i+1})))`, pairs (0, 1), (2, 3), ... and
    (1, 2), (3, 4), ... in turn. What moves is the rung's label, never the parameters.
    Batching: counts are static; temperatures and ``swap_every`` are traced.

    Args:
        rungs: Replicas per ladder, >= 2; by default 16, or as many as ``temperatures``.
        ladders: Independent ladders, >= 1.
        temperatures: Strictly increasing, the coldest first, float ``[rungs]``, in units of energy;
            ``None``: geometric between calibrated ends.
        swap_every: Moves between swap phases; slow or high-dimensional problems need about one
            sweep of their coordinates.
        adapt: Whether the ladder moves within the warm-up, between fixed ends, until all pairs
            refuse equally often; and whether there is a warm-up by default, where step sizes adapt.
        warmup: Moves of the warm-up, after which everything is held so that what follows samples
            exactly; ``None``: half the run, or none at all with ``adapt=False``.
        scheme: ``"deo"``, even and odd phases in turn, or ``"seo"``, chosen by a coin.

    Returns:
        A method for :func:`jaxanneal.anneal`.

    Raises:
        TypeError: A count is no integer, or a setting no number.
        ValueError: Temperatures do not strictly increase, disagree with ``rungs``, or a setting is
            out of range.

    Example:
        >>> import jaxanneal as ja
        >>> method = ja.ParallelTempering(temperatures=[0.01, 0.1, 1.0], ladders=2)
        >>> result = ja.anneal(lambda x: (x**2 - 1) ** 2, 1.5, key=0, method=method, steps=500)
        >>> result.diagnostics.swap_rate.shape
        (2,)

    Reference: Syed, Bouchard-Cote, Deligiannidis and Doucet, J. R. Stat. Soc. B 84, 321 (2022).
    """

    temperatures: jax.Array | None
    swap_every: jax.Array
    warmup: jax.Array | None
    rungs: int = static()
    ladders: int = static()
    adapt: bool = static()
    scheme: Literal["deo", "seo"] = static()

    def __init__(
        self,
        rungs: int | None = None,
        ladders: int = 1,
        temperatures: ArrayLike | Sequence[float] | None = None,
        swap_every: ArrayLike = 10,
        adapt: bool = True,
        warmup: ArrayLike | None = None,
        scheme: Literal["deo", "seo"] = "deo",
    ):
        path = "ParallelTempering"
        rungs, temperatures = as_rungs(path, rungs, temperatures)
        vars(self).update(
            rungs=rungs,
            ladders=count(f"{path}.ladders", ladders, 1, "Use 1 for a single ladder.", MOST),
            temperatures=temperatures,
            swap_every=at_least_one(f"{path}.swap_every", swap_every, "Use 1 to swap every move."),
            adapt=as_bool(f"{path}.adapt", adapt),
            warmup=None if warmup is None else as_warmup(f"{path}.warmup", warmup),
            scheme=as_scheme(f"{path}.scheme", scheme),
        )

    # The engine's view: temperatures, exchanges, and which replica stands where in the results.

    has_rungs = True
    count_of = {"temperatures": "rungs"}  # noqa: RUF012
    adapts_throughout = False  # step sizes settle in the warm-up

    @property
    def chains(self) -> int:
        """Replicas of all ladders together."""
        return self.ladders * self.rungs

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in which results list the replicas, by rung."""
        return (self.ladders, self.rungs)

    @property
    def needs_calibration(self) -> bool:
        """Whether the temperatures are still to be found."""
        return self.temperatures is None

    def calibrated(self, start: ArrayLike, end: ArrayLike) -> "ParallelTempering":
        """Return this method with a geometric ladder from ``end`` up to ``start``."""
        fraction = jnp.arange(self.rungs, dtype=float) / (self.rungs - 1)
        start, end = jnp.asarray(start, dtype=float), jnp.asarray(end, dtype=float)
        return replace(self, temperatures=end * (start / end) ** fraction)

    def bind(self, steps: int) -> "ParallelTempering":
        """Return this method with what depends on the run's length bound to ``steps`` moves."""
        if self.temperatures is None:
            remedy = "Give them, or let ja.anneal calibrate them."
            raise ValueError(refusal("ParallelTempering.temperatures", "a ladder", None, remedy))
        if self.warmup is not None:
            return self
        return replace(self, warmup=setting(steps // 2 if self.adapt else 0, jnp.int32))

    def keep_bound(self, bound: "ParallelTempering", step: int) -> "ParallelTempering":
        """Return this method with what an earlier call calibrated and bound.

        A warm-up that would have ended before ``step`` ends there, or where it already has.
        """
        given, old = self.temperatures, bound.temperatures
        new = replace(self, temperatures=old if given is None else given)
        if self.warmup is None:
            return replace(new, warmup=bound.warmup)
        if bound.warmup is not None and int(self.warmup) < step:
            return replace(new, warmup=jnp.minimum(bound.warmup, jnp.asarray(step, jnp.int32)))
        return new

    def carried(self, state: Ladders, bound: "ParallelTempering") -> Ladders:
        """Return the ladders of a run by ``bound`` as this method takes them over."""
        return carried(state, self.temperatures, bound.temperatures)

    def has_law_of(self, bound: "ParallelTempering") -> bool:
        """Return whether the temperatures are those of ``bound``."""
        return same_temperatures(self.temperatures, bound.temperatures)

    def under_new_law(self, state: Ladders, energies: np.ndarray) -> Ladders:
        """Return the ladders with nothing known of other temperatures or energies."""
        return under_new_law(state, energies.reshape(self.shape))

    def restarted(self, state: Ladders, accepted: jax.Array) -> Ladders:
        """Return the ladders with all that is reported counted from here on."""
        return restarted(state, accepted)

    def init(self) -> Ladders:
        """Return every replica at the rung of its own number."""
        assert self.temperatures is not None
        ladder = first_ladder(self.temperatures, self.warmup_end(), self.swap_every)
        return first_ladders(self.ladders, ladder)

    def temperatures_of(self, chain: jax.Array, state: Ladders, step: jax.Array) -> jax.Array:
        """Return the temperature of each of some replicas, by their numbers, float ``[n]``."""
        del step
        return state.ladder.temperatures[state.rung.reshape(-1)[chain]]

    def slot_temperatures(self, state: Ladders, step: jax.Array) -> jax.Array:
        """Return the temperature of each rung, float ``[rungs]``."""
        del step
        return state.ladder.temperatures

    def warmup_end(self) -> jax.Array:
        """Return the step at which the warm-up ends."""
        assert self.warmup is not None
        return self.warmup

    def adapting(self, step: jax.Array) -> jax.Array:
        """Return whether step sizes adapt at ``step``: only while warming up."""
        return step < self.warmup_end()

    def next_exchange(self, step: jax.Array) -> jax.Array:
        """Return the next step after which replicas swap."""
        return next_multiple(step, self.swap_every)

    def next_stop(self, step: jax.Array) -> jax.Array:
        """Return the next step at which a round must end."""
        warm = jnp.where(step < self.warmup_end(), self.warmup_end(), NEVER)
        return jnp.minimum(self.next_exchange(step), warm)

    def by_slot(self, state: Ladders, values: jax.Array) -> jax.Array:
        """Return values of replicas ``[ladders * rungs, ...]`` by ladder, then by rung."""
        return values[self.order(state)]

    def order(self, state: Ladders) -> jax.Array:
        """Return the replica that stands at each rung, int ``[ladders * rungs]``."""
        return places(state.replica)

    @property
    def pools(self) -> int:
        """Number of temperatures at which replicas share step-size factors."""
        return self.rungs

    def pool_of(self, state: Ladders) -> jax.Array:
        """Return the rung at which each replica stands, int ``[ladders * rungs]``."""
        return state.rung.reshape(-1)

    def after_round(self, key: jax.Array, state: Ladders, step: jax.Array, seen: Seen) -> Exchanged:
        """Swap rungs if a swap is due at ``step``; while warming up, move rungs and share factors.

        Energies and factors are by replica, float ``[ladders * rungs]``, and what was accepted by
        rung; what is returned are the ladders after the swaps, and the factors, which stay with the
        rungs.
        """
        due, warm_end = jax.lax.rem(step, self.swap_every) == 0, self.warmup_end()
        same = lambda *what: what  # noqa: E731
        phase = functools.partial(self._phase, key, step, seen.energies)
        settled = functools.partial(self._settled, step, seen.accepted)
        # A branch is compiled by itself, so that its last bits do not depend on what is around it.
        state, log_factor = jax.lax.cond(due, phase, same, state, seen.log_factor)
        warming = (step == warm_end) | (due & (step < warm_end))
        return Exchanged(*jax.lax.cond(warming, settled, same, state, log_factor))

    def _phase(
        self,
        key: jax.Array,
        step: jax.Array,
        energies: jax.Array,
        state: Ladders,
        log_factor: jax.Array,
    ) -> tuple[Ladders, jax.Array]:
        """Swap; the factors stay with the rungs."""
        new, acceptance = swap_phase(key, state, step, energies.reshape(self.shape), self.scheme)
        if self.adapt:
            warm, same = step <= self.warmup_end(), lambda ladder, _: ladder
            new = replace(new, ladder=jax.lax.cond(warm, counted, same, state.ladder, acceptance))
        factors = at(log_factor.reshape(self.shape), state.replica)
        return new, at(factors, new.rung).reshape(-1)

    def _settled(
        self, step: jax.Array, accepted: jax.Array, state: Ladders, log_factor: jax.Array
    ) -> tuple[Ladders, jax.Array]:
        """Share the factors of all ladders, move the rungs, and begin anew after the warm-up."""
        factors = at(log_factor.reshape(self.shape), state.replica)
        shared, end = jnp.mean(factors, axis=0), self.warmup_end()
        if self.adapt:
            ladder, shared = after_swaps(state.ladder, shared, step, end)
            state = replace(state, ladder=ladder)
        same = lambda state, _: state  # noqa: E731
        state = jax.lax.cond(step == end, restarted, same, state, accepted)
        return state, shared[state.rung].reshape(-1)


_RUNGS = 16


def as_rungs(path: str, rungs: Any, temperatures: Any) -> tuple[int, jax.Array | None]:
    """Return how many rungs there are, and their temperatures if they are given."""
    alone = "One temperature alone is ja.SimulatedAnnealing with a constant cooling."
    if temperatures is None:
        given = _RUNGS if rungs is None else rungs
        return count(f"{path}.rungs", given, 2, alone, MOST), None
    if rungs is not None:
        rungs = count(f"{path}.rungs", rungs, 2, alone, MOST)
    temperatures = as_ladder(f"{path}.temperatures", temperatures)
    length = temperatures.shape[0]
    if rungs not in (None, length):
        remedy = "Leave rungs out when temperatures are given."
        expected = f"{length}, as many as temperatures"
        raise ValueError(refusal(f"{path}.rungs", expected, rungs, remedy))
    return count(f"{path}.rungs", length, 2, alone), temperatures


def as_ladder(path: str, temperatures: Any) -> jax.Array:
    """Return the temperatures of a ladder, or refuse what does not strictly increase."""
    remedy = "List the coldest first, for example jnp.geomspace(0.01, 1.0, 16)."
    precision = jax.dtypes.canonicalize_dtype(float)
    expected = f"finite values > 0 that strictly increase as {precision}, [rungs]"

    def valid(x: np.ndarray) -> bool:
        good = bool(np.all(np.isfinite(x) & (x > 0)))
        # Compared in the precision of the run: two equal rungs would be one.
        rounded = x.astype(precision)
        return x.ndim == 1 and good and bool(np.all(np.diff(rounded) > 0))

    ladder = number(path, temperatures, expected, valid, remedy)
    if ladder.ndim != 1:
        raise ValueError(refusal(path, expected, f"shape {ladder.shape}", remedy))
    return ladder


def as_warmup(path: str, warmup: ArrayLike) -> jax.Array:
    """Return the length of a warm-up, int ``[]``."""
    remedy = "Use 0 for none; None is half the run."
    valid = lambda x: (x >= 0) & (x < 2**31)  # noqa: E731
    expected = "an integer from 0 to 2147483647"
    return number(path, warmup, expected, valid, remedy, int, scalar=True).astype(jnp.int32)


def as_bool(path: str, value: Any) -> bool:
    """Return a flag, or refuse what is none."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(refusal(path, "a bool", shown(value), "Use True or False."))
    return bool(value)


def as_scheme(path: str, scheme: Any) -> Literal["deo", "seo"]:
    """Return which pairs try to swap in a phase."""
    if scheme not in ("deo", "seo"):
        raise ValueError(refusal(path, "'deo' or 'seo'", shown(scheme), "Keep the default."))
    return scheme
