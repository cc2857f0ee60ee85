"""What the engine asks of a method."""

from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

# A step that no run reaches: step counts are 32 bits wide.
NEVER = 2**31 - 1


@runtime_checkable
class Method(Protocol):
    """Decide the temperature of each chain, and exchange between chains.

    A *slot* is a place in the results: a chain in simulated annealing, a rung of a ladder in
    parallel tempering. Chains may change slots; their parameters never move in memory. What all
    methods share whose chains stay in their slots stands in ``independent``; a method of a user's
    own needs less, see ``own_method``.
    """

    @property
    def cooling(self) -> Any:
        """Temperature as a function of the step, where all chains follow one; else ``None``."""
        ...

    @property
    def min_temperature(self) -> jax.Array | None:
        """The temperature of ``cooling`` at which a run stops, if there is one."""
        ...

    @property
    def has_rungs(self) -> bool:
        """Whether slots are rungs of ladders, between which chains travel as replicas."""
        ...

    @property
    def chains(self) -> int:
        """Number of chains."""
        ...

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in which results list the slots."""
        ...

    @property
    def adapts_throughout(self) -> bool:
        """Whether step sizes follow a falling temperature to the end."""
        ...

    @property
    def needs_calibration(self) -> bool:
        """Whether the temperatures are still to be found."""
        ...

    def calibrated(self, start: ArrayLike, end: ArrayLike) -> Any:
        """Return the method with temperatures between ``start`` and ``end``."""
        ...

    def bind(self, steps: int) -> Any:
        """Return the method with what depends on the run's length bound to it."""
        ...

    def keep_bound(self, bound: Any, step: int) -> Any:
        """Return the method with what an earlier call, which ended at ``step``, had bound."""
        ...

    def carried(self, state: Any, bound: Any) -> Any:
        """Return the state of the exchanges of a run by ``bound``, as this method goes on."""
        ...

    def restarted(self, state: Any, accepted: jax.Array) -> Any:
        """Return the state of the exchanges with all that is reported counted from here on.

        Args:
            state: The state of the exchanges.
            accepted: Proposals accepted so far in each slot, int ``[chains]``.
        """
        ...

    def init(self) -> Any:
        """Return the state of the exchanges."""
        ...

    def temperatures_of(self, chain: jax.Array, state: Any, step: jax.Array) -> jax.Array:
        """Return the temperature of each of some chains, by their numbers, float ``[n]``."""
        ...

    def slot_temperatures(self, state: Any, step: jax.Array) -> jax.Array:
        """Return the temperature in each slot, of a shape that broadcasts to ``shape``."""
        ...

    def warmup_end(self) -> jax.Array:
        """Return the step from which diagnostics count."""
        ...

    def adapting(self, step: jax.Array) -> jax.Array:
        """Return whether step sizes adapt at ``step``, bool ``[]``."""
        ...

    def next_exchange(self, step: jax.Array) -> jax.Array:
        """Return the end of the round that begins at ``step``."""
        ...

    def next_stop(self, step: jax.Array) -> jax.Array:
        """Return the next step at which :meth:`after_round` must be called."""
        ...

    def by_slot(self, state: Any, values: jax.Array) -> jax.Array:
        """Return values of chains ``[chains, ...]`` in the order of the slots."""
        ...

    def order(self, state: Any) -> jax.Array:
        """Return the chain in each slot, int ``[chains]``."""
        ...

    def after_round(
        self,
        key: jax.Array,
        state: Any,
        step: jax.Array,
        energies: jax.Array,
        log_factor: jax.Array,
        accepted: jax.Array,
    ) -> tuple[Any, jax.Array | None]:
        """Exchange if an exchange is due at ``step``.

        Args:
            key: The run key, folded.
            state: The state of the exchanges.
            step: Moves so far, int ``[]``.
            energies: Energy of each chain, float ``[chains]``.
            log_factor: Logarithm of each chain's step-size factor, float ``[chains]``.
            accepted: Proposals accepted so far in each slot, int ``[chains]``.

        Returns:
            The state, and the logarithms of the step-size factors, float ``[chains]``; ``None``
            where every chain keeps its own.
        """
        ...


def next_multiple(step: jax.Array, every: jax.Array) -> jax.Array:
    """Return the first multiple of ``every`` after ``step``, without overflow."""
    remaining = every - jax.lax.rem(step, every)
    return jnp.where(remaining > NEVER - step, NEVER, step + remaining)
