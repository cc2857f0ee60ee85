"""Basin hopping of one chain: every step is one value and gradient of a descent under way."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jaxanneal._chain import keys
from jaxanneal._chain.chain import Chain, chosen, log_acceptance
from jaxanneal._chain.energy import differentiated
from jaxanneal._chain.parameters import Parameters
from jaxanneal._kernels import descent
from jaxanneal._kernels.descent import Descent, Region
from jaxanneal._kernels.hops import Rows, hop, rows_of
from jaxanneal._kernels.protocol import Kernel, Lane, Surroundings
from jaxanneal._pytree import pytree_dataclass
from jaxanneal.moves._box import Box
from jaxanneal.moves._rounding import stored

# A descent ends after so many refused trials in a row, or where a step is shorter than this, in
# units: rounding decides there.
_REFUSED, _SHORT = 12, 1e-8

# How exactly a candidate for a record is followed to the bottom: in units in the last place, and
# as a share of the typical difference between minima.
_ULPS, _FINE = 2.5, 1e-12

# A descent is given up where the energy, less so many times what it will fall yet, is still above
# what is accepted; not before so many steps.
_HOPE, _LEAST = 20, 4

# Two minima are distinct where their energies differ by so much of the temperature and of the
# energy, and their places in a coordinate by so many units: a least energy of 0 has no rounding of
# its own that would tell.
_OF_TEMPERATURE, _OF_ENERGY, _APART = 1e-2, 1e-6, 1e-4

# What a hop to a lower minimum counts, and one to another accepted one.
_IMPROVED, _OTHER = 1.0, 0.05


class Rules(NamedTuple):
    """The numbers of a method that a chain hops by, see ``BasinHopping``."""

    sizes: jax.Array
    longest_step: jax.Array
    tolerance: jax.Array
    abandon: jax.Array
    descent_steps: jax.Array
    swap_every: jax.Array


class Shared(NamedTuple):
    """What all chains know of each other.

    Args:
        scale: The typical difference of energies of neighbouring minima, float ``[]``.
        best: The lowest energy of a minimum so far, float ``[]``.
        weights: How often each kind of hop is chosen, float ``[kinds]``.
    """

    scale: jax.Array
    best: jax.Array
    weights: jax.Array


@pytree_dataclass
class Hop:
    """The last hop that ended.

    Args:
        count: Hops that have ended, the first descent not among them, int ``[]``.
        kind: Its kind, int ``[]``.
        steps: What it cost, int ``[]``.
        change: Size of the difference of energies, 0 where it led back, float ``[]``.
        success: What it counts, float ``[]``.
    """

    count: jax.Array
    kind: jax.Array
    steps: jax.Array
    change: jax.Array
    success: jax.Array


@pytree_dataclass
class Underway:
    """What a hopping chain carries beside its last minimum.

    Args:
        descent: The descent under way.
        kind: The kind of hop that began it, int ``[]``.
        first: Whether no descent has come to a finite energy yet: the first that does is accepted,
            bool ``[]``.
        last: The last hop that ended.
        shown: Where the chain was when chains last swapped, for the hops of others, float ``[d]``.
    """

    descent: Descent
    kind: jax.Array
    first: jax.Array
    last: Hop
    shown: jax.Array


class Hopping(Kernel):
    """Hop out of a minimum, descend, and accept the minimum below by Metropolis' rule.

    Args:
        box: Which parameters move, and their limits.
        units: The unit of each parameter that moves.
        rules: The numbers of the method.
        one: The parameters of one chain, of whose values nothing here depends.
    """

    asks_for_others = True

    def __init__(self, box: Box, units: tuple[jax.Array, ...], rules: Rules, one: Parameters):
        self.free, self.rules = box.free, rules
        leaves = self._free(one)
        wide = any(leaf.dtype == jnp.float64 for leaf in leaves)
        self.dtype = jnp.float64 if wide else jnp.float32
        self.rows: Rows = rows_of([leaf.shape for leaf in leaves])
        lower, upper, unit = (self._joined(x, leaves) for x in (box.lower, box.upper, units))
        self.region = Region(lower, upper, unit, rules.longest_step.astype(self.dtype))

    def init(self, chain: Chain) -> Underway:
        """Return the descent from a start, not begun yet."""
        none, start = jnp.zeros((), jnp.int32), self.flat(chain._params)
        nothing = jnp.zeros_like(chain.energy)
        scale = jnp.zeros((), self.dtype)
        return Underway(
            descent.begin(start, scale, chain.energy.dtype),
            none,
            jnp.asarray(True),
            Hop(none, none, none, nothing, nothing),
            start,
        )

    def step(
        self,
        key: jax.Array,
        lane: Lane,
        around: Surroundings,
        value_of: Callable[[Parameters], jax.Array],
    ) -> Lane:
        """Return the lane after one value and gradient; the key is consumed."""
        chain, carried, shared = lane.chain, lane.carried, around.shared
        trial = carried.descent.trial
        energy, slope = differentiated(lambda x: value_of(self._placed(chain._params, x)), trial)
        energy = energy.astype(chain.energy.dtype)
        chain = self._with_best(chain, trial, energy)
        under_way, fall = descent.step(carried.descent, energy, slope, self.region)
        temperature = around.temperature.astype(energy.dtype)
        ended = self._ended(under_way, fall, chain.energy, temperature, carried.first, shared)
        draw, toss = (jax.random.fold_in(key, use) for use in (keys.PROPOSAL, keys.ACCEPTANCE))
        uniform = jax.random.uniform(toss, dtype=energy.dtype)
        rise = under_way.energy - chain.energy
        lower = jnp.log1p(-uniform) <= log_acceptance(rise, temperature)
        accepted = ended & jnp.isfinite(under_way.energy) & (carried.first | lower)
        apart = self._apart(under_way.position, chain._params)
        last = self._last(carried, under_way, rise, accepted, ended, temperature, apart)
        minimum = self._placed(chain._params, under_way.position)
        now = jnp.where(accepted, under_way.energy, chain.energy)
        params = chosen(accepted, minimum, chain._params)
        chain = Chain(params, now, chain._best_params, chain.best_energy)
        here = self.flat(chain._params)
        due = jax.lax.rem(around.step + 1, self.rules.swap_every) == 0
        shown = jnp.where(due, here, carried.shown)
        carried = Underway(under_way, carried.kind, carried.first & ~accepted, last, shown)
        carried = self._begun_anew(draw, carried, ended, here, around)
        return Lane(
            chain,
            carried,
            lane.log_factor,
            lane.accepted + accepted.astype(jnp.int8),
            lane.nonfinite + (~jnp.isfinite(energy)).astype(jnp.int32),
        )

    def _begun_anew(
        self,
        key: jax.Array,
        carried: Underway,
        ended: jax.Array,
        here: jax.Array,
        around: Surroundings,
    ) -> Underway:
        """Return a new descent from a hop where the old one ended; the key is consumed."""
        weights, sizes = around.shared.weights, self.rules.sizes
        inputs = (here, around.others, around.number, weights, sizes)
        point, kind = hop(key, *inputs, self.rows, self.region)
        new = descent.begun_anew(carried.descent, point, ended)
        kind = jnp.where(ended, kind, carried.kind)
        return Underway(new, kind, carried.first, carried.last, carried.shown)

    def shown(self, carried: Underway) -> jax.Array:
        """Return where the chain was when chains last swapped."""
        return carried.shown

    def refresh(self, carried: Underway, chain: Chain) -> Underway:
        """Return the descent anew from where the chain is: the data have changed under it."""
        return self.init(chain)

    def flat(self, params: Parameters) -> jax.Array:
        """Return the coordinates that move, float ``[d]``."""
        parts = [leaf.reshape(-1).astype(self.dtype) for leaf in self._free(params)]
        return jnp.concatenate(parts)

    def _joined(self, values: tuple[jax.Array, ...], leaves: list[jax.Array]) -> jax.Array:
        """Return one number for each coordinate that moves, float ``[d]``."""
        pairs = zip(values, leaves, strict=True)
        parts = [jnp.broadcast_to(x, leaf.shape).reshape(-1) for x, leaf in pairs]
        return jnp.concatenate([part.astype(self.dtype) for part in parts])

    def _free(self, params: Parameters) -> list[jax.Array]:
        return [leaf for leaf, free in zip(params.leaves, self.free, strict=True) if free]

    def _placed(self, params: Parameters, position: jax.Array) -> Parameters:
        """Return the parameters at a position, in their own dtypes."""
        leaves, first = [], 0
        for leaf, free in zip(params.leaves, self.free, strict=True):
            if free:
                part = position[first : first + leaf.size]
                leaves.append(stored(part.reshape(leaf.shape), leaf))
                first += leaf.size
            else:
                leaves.append(leaf)
        return params.with_leaves(leaves)

    def _with_best(self, chain: Chain, trial: jax.Array, energy: jax.Array) -> Chain:
        better = jnp.isfinite(energy) & (energy < chain.best_energy)
        best = chosen(better, self._placed(chain._params, trial), chain._best_params)
        return Chain(
            chain._params, chain.energy, best, jnp.where(better, energy, chain.best_energy)
        )

    def _ended(
        self,
        under_way: Descent,
        fall: jax.Array,
        energy: jax.Array,
        temperature: jax.Array,
        first: jax.Array,
        shared: Shared,
    ) -> jax.Array:
        """Return whether a descent is over: at the bottom, or without hope.

        Args:
            under_way: The descent.
            fall: By how much its energy will fall yet, float ``[]``.
            energy: Energy of the minimum that the chain hopped from, float ``[]``.
            temperature: Float ``[]``.
            first: Whether it is the descent from the start, bool ``[]``.
            shared: What all chains know.
        """
        value, rules = under_way.energy, self.rules
        rounding = _ULPS * jnp.finfo(value.dtype).eps * jnp.abs(value)
        fine = rounding + _FINE * shared.scale.astype(value.dtype)
        record = value < shared.best.astype(value.dtype) + temperature
        coarse = rules.tolerance.astype(value.dtype) * temperature + fine
        bottom = fall < jnp.where(record, fine, coarse)
        reach = under_way.length * jnp.max(jnp.abs(under_way.direction))
        stuck = (under_way.refused > _REFUSED) | (under_way.steps >= rules.descent_steps)
        stuck |= (reach < _SHORT) | ~jnp.isfinite(value)
        limit = energy + rules.abandon.astype(value.dtype) * temperature
        hopeless = (under_way.steps > _LEAST) & (value - _HOPE * fall > limit) & ~first
        return bottom | stuck | hopeless

    def _apart(self, position: jax.Array, minimum: Parameters) -> jax.Array:
        """Return whether a position is another one than that of a minimum."""
        change = (position - self.flat(minimum)) / self.region.unit
        return jnp.max(jnp.abs(change)) > _APART

    def _last(
        self,
        carried: Underway,
        under_way: Descent,
        rise: jax.Array,
        accepted: jax.Array,
        ended: jax.Array,
        temperature: jax.Array,
        apart: jax.Array,
    ) -> Hop:
        """Return the last hop that ended, for the method to learn from."""
        same = _OF_TEMPERATURE * temperature + _OF_ENERGY * jnp.abs(under_way.energy)
        distinct = jnp.isfinite(rise) & (jnp.abs(rise) > same) & apart
        success = jnp.where(rise < 0, _IMPROVED, _OTHER).astype(rise.dtype)
        latest = Hop(
            carried.last.count + 1,
            carried.kind,
            under_way.steps,
            jnp.where(distinct, jnp.abs(rise), 0),
            jnp.where(accepted & distinct, success, 0),
        )
        over = ended & ~carried.first
        return jax.tree.map(lambda new, old: jnp.where(over, new, old), latest, carried.last)
