"""Metropolis' rule by a move of several factors, which all chains at one temperature share."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxanneal._chain.chain import Chain, transition
from jaxanneal._chain.factors import Factors, chosen_of, row_counts
from jaxanneal._chain.move import is_mixed
from jaxanneal._chain.parameters import Parameters
from jaxanneal._chain.step_size import tried
from jaxanneal._kernels.metropolis import Metropolis
from jaxanneal._kernels.pools import NOTHING, PERIOD, Pools, as_byte, group_of_rows
from jaxanneal._kernels.protocol import Lane, Surroundings


class Pooled(Metropolis):
    """Propose, evaluate the proposal once, accept or stay, and keep how likely that was.

    Factors are constant within a period, at whose end the engine learns from what all chains keep.
    A chain's own factor multiplies the shared ones, and such steps tell nothing of these: it is for
    trial moves, which look for a step size.
    """

    pools = True

    def init(self, chain: Chain) -> jax.Array:
        """Return that no step of the period has told anything yet."""
        return jnp.full(PERIOD, NOTHING, jnp.uint8)

    def factors(self, pools: Pools, params: Any) -> tuple[jax.Array, jax.Array]:
        """Return the factors of all rows and parts, ``[pools, rows]`` and ``[pools, parts]``."""
        group = group_of_rows(sum(row_counts(Parameters.of(params))))
        return jnp.exp(pools.log_rows)[:, group], jnp.exp(pools.log_parts)

    def step(
        self,
        key: jax.Array,
        lane: Lane,
        around: Surroundings,
        value_of: Callable[[Parameters], jax.Array],
    ) -> Lane:
        """Return the lane after one Metropolis step; the key is consumed."""
        old, step, own = lane.chain, around.step, lane.log_factor
        assert around.factors is not None
        choice, (rows, parts) = around.choice, around.factors
        adapts, finite = self.adapting(step), jnp.isfinite(old.energy)
        mixed = is_mixed(self.move, old.params)
        trial = tried(own, old.energy, step, self.largest, mixed)
        if mixed:
            is_so = finite & ~chosen_of(self.move, choice, old.params).mixed
            trial = jnp.where(is_so, own, trial)
        factor = jnp.exp(jnp.where(adapts, trial, own))
        factors = Factors(choice, rows, factor * parts)
        stepped = transition(key, old, around.temperature, value_of, self.move, factors)
        chain, info, log_alpha = stepped
        tells = adapts & finite & (own == 0)
        kept = jax.lax.dynamic_update_index_in_dim(
            lane.carried, as_byte(log_alpha, tells), step % PERIOD, 0
        )
        return Lane(
            chain,
            kept,
            own,
            lane.accepted + info.accepted.astype(jnp.int8),
            lane.nonfinite + (~info.finite).astype(jnp.int32),
        )
