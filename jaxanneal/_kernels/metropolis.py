"""Metropolis' rule with the whole energy of every proposal: nothing is carried."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jaxanneal._chain.chain import transition
from jaxanneal._chain.move import Move, is_mixed, largest_factor_of, target_of
from jaxanneal._chain.parameters import Parameters
from jaxanneal._chain.step_size import adapted, tried
from jaxanneal._kernels.protocol import Kernel, Lane, Surroundings


class Metropolis(Kernel):
    """Propose, evaluate the proposal once, accept or stay, and adapt the step size.

    Args:
        move: How a chain proposes.
        adapting: ``adapting(step)``: whether step sizes adapt, bool ``[]``.
        throughout: Whether they follow a falling temperature to the end.
        params: The tree of one chain, of whose values nothing here depends.
    """

    def __init__(self, move: Move, adapting: Callable[[Any], Any], throughout: bool, params: Any):
        self.move, self.adapting, self.throughout = move, adapting, throughout
        self.largest = largest_factor_of(move, params)

    def step(
        self,
        key: jax.Array,
        lane: Lane,
        around: Surroundings,
        value_of: Callable[[Parameters], jax.Array],
    ) -> Lane:
        """Return the lane after one Metropolis step; the key is consumed."""
        log_factor, old, step = lane.log_factor, lane.chain, around.step
        log_used = log_factor
        target, mixed = target_of(self.move, old.params), is_mixed(self.move, old.params)
        adapts = self.adapting(step)
        if target is not None:
            trial = tried(log_factor, old.energy, step, self.largest, mixed)
            log_used = jnp.where(adapts, trial, log_used)
        factor = jnp.exp(log_used)
        stepped = transition(key, old, around.temperature, value_of, self.move, factor)
        chain, info, log_alpha = stepped
        if target is not None:
            seen = (old.energy, log_alpha)
            limits = (self.throughout, self.largest, mixed)
            log_factor = jnp.where(
                adapts, adapted(log_factor, *seen, target, step, *limits), log_factor
            )
        return Lane(
            chain,
            lane.carried,
            log_factor,
            lane.accepted + info.accepted.astype(jnp.int8),
            lane.nonfinite + (~info.finite).astype(jnp.int32),
        )
