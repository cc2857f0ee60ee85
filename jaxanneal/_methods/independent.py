"""What all methods have in common whose chains neither swap nor change places."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxanneal._methods.protocol import NEVER


class Independent:
    """A method whose chains stay in their slots: chain c is slot c of the results.

    A subclass has ``chains`` and ``slot_temperatures``; a state, and exchanges, if it has any.
    Temperatures are given unless it says otherwise, and nothing depends on the length of the run.
    """

    chains: int
    cooling: Any = None
    min_temperature: jax.Array | None = None
    has_rungs = False
    adapts_throughout = True
    needs_calibration = False

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in which results list the chains."""
        return (self.chains,)

    def calibrated(self, start: ArrayLike, end: ArrayLike) -> Any:
        """Return this method: its temperatures are given."""
        return self

    def bind(self, steps: int) -> Any:
        """Return this method, which does not depend on the length of the run."""
        return self

    def keep_bound(self, bound: Any, step: int) -> Any:
        """Return this method: an earlier call had nothing to calibrate or to bind."""
        return self

    def init(self) -> Any:
        """Return the state of the exchanges: there are none."""
        return ()

    def carried(self, state: Any, bound: Any) -> Any:
        """Return the state of the exchanges as it is."""
        return state

    def restarted(self, state: Any, accepted: jax.Array) -> Any:
        """Return the state of the exchanges, which counts nothing that is reported."""
        return state

    def slot_temperatures(self, state: Any, step: jax.Array) -> jax.Array:
        """Return the temperature of each chain at ``step``, of all if they share it."""
        raise NotImplementedError

    def temperatures_of(self, chain: jax.Array, state: Any, step: jax.Array) -> jax.Array:
        """Return the temperature of each of some chains at ``step``, float ``[n]``."""
        return jnp.broadcast_to(self.slot_temperatures(state, step), self.shape)[chain]

    def warmup_end(self) -> jax.Array:
        """Return the step from which diagnostics count: the first."""
        return jnp.zeros((), jnp.int32)

    def adapting(self, step: jax.Array) -> jax.Array:
        """Return whether step sizes adapt at ``step``: always."""
        return step >= 0

    def next_exchange(self, step: jax.Array) -> jax.Array:
        """Return the end of the round that begins at ``step``: one move."""
        return step + 1

    def next_stop(self, step: jax.Array) -> jax.Array:
        """Return the next step at which a round must end: none."""
        return jnp.full_like(step, NEVER)

    def by_slot(self, state: Any, values: jax.Array) -> jax.Array:
        """Return values of chains in the order of the slots: the same."""
        return values

    def order(self, state: Any) -> jax.Array:
        """Return the chain in each slot, int ``[chains]``."""
        return jnp.arange(self.chains, dtype=jnp.int32)

    def after_round(
        self,
        key: jax.Array,
        state: Any,
        step: jax.Array,
        energies: jax.Array,
        log_factor: jax.Array,
        accepted: jax.Array,
    ) -> tuple[Any, None]:
        """Exchange nothing, and leave the step sizes to the chains."""
        return state, None
