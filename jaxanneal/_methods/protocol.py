"""What the engine asks of a method; what is said here is right where chains stay in their slots."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxanneal._chain.factors import shares_factors
from jaxanneal._chain.move import Move
from jaxanneal._chain.parameters import Parameters
from jaxanneal._kernels.metropolis import Metropolis
from jaxanneal._kernels.pooled import Pooled
from jaxanneal._kernels.protocol import Kernel

# A step that no run reaches: step counts are 32 bits wide.
NEVER = 2**31 - 1


class Seen(NamedTuple):
    """What an exchange sees of the chains, in the order of their numbers.

    Args:
        energies: Energy of each chain, float ``[chains]``.
        log_factor: Logarithm of each chain's step-size factor, float ``[chains]``.
        accepted: Proposals accepted so far in each *slot*, int ``[chains]``.
        carried: What the kernel carries of each chain, ``[chains, ...]``.
    """

    energies: jax.Array
    log_factor: jax.Array
    accepted: jax.Array
    carried: Any = ()


class Exchanged(NamedTuple):
    """What an exchange leaves.

    Args:
        state: The state of the exchanges.
        log_factor: Logarithms of the step-size factors, float ``[chains]``; ``None`` where every
            chain keeps its own.
        source: The chain that each chain goes on from, int ``[chains]``: with its parameters, its
            energy, what its kernel carries and, unless ``log_factor`` says otherwise, its step
            size. ``None`` where every chain goes on from where it is.
    """

    state: Any
    log_factor: jax.Array | None = None
    source: jax.Array | None = None


class Trials(NamedTuple):
    """What was proposed so far in each slot.

    Args:
        accepted: Proposals accepted, int ``[chains]``.
        number: Proposals, int ``[chains]``; ``None``: one in each step.
    """

    accepted: Any
    number: Any = None


class Method:
    """Decide the temperature of each chain, and exchange between chains.

    A *slot* is a place in the results: a chain in simulated annealing, a rung of a ladder in
    parallel tempering. Chains may change slots; their parameters never move in memory. Here chain c
    is slot c, temperatures are given, nothing depends on the length of the run, and nothing is
    exchanged: a method has ``chains`` and ``slot_temperatures``, and what else is its own. A method
    of a user's own needs less, see ``own_method``.

    Args:
        chains: Number of chains.
        cooling: Temperature as a function of the step, where all chains follow one; else ``None``.
        min_temperature: The temperature of ``cooling`` at which a run stops, if there is one.
        has_rungs: Whether slots are rungs of ladders, between which chains travel as replicas.
        adapts_throughout: Whether step sizes follow a falling temperature to the end.
        needs_calibration: Whether the temperatures are still to be found before the first move.
        finds_temperatures: Whether the run finds them on its way, and says NaN until then.
        replaces: Whether chains are replaced by copies of others.
        gradients: Gradients that one step of a chain evaluates.
        watch_every: Target and patience are looked at where the steps so far are a multiple of it.
        count_of: By the name of a setting that is an array, that of the setting which counts it.
    """

    chains: Any
    cooling: Any = None
    min_temperature: jax.Array | None = None
    has_rungs = False
    adapts_throughout = True
    needs_calibration: Any = False
    replaces: Any = False
    finds_temperatures = False
    gradients = 0
    watch_every = 64
    count_of: Mapping[str, str] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape in which results list the slots."""
        return (self.chains,)

    def calibrated(self, start: ArrayLike, end: ArrayLike) -> Any:
        """Return the method with temperatures between ``start`` and ``end``."""
        return self

    def bind(self, steps: int) -> Any:
        """Return the method with what depends on the run's length bound to it."""
        return self

    def fitted(self, starts: Parameters, move: Move) -> Any:
        """Return the method with what depends on the starts.

        Args:
            starts: Where the chains start, ``[chains, ...]``.
            move: The move.
        """
        return self

    def keep_bound(self, bound: Any, step: int) -> Any:
        """Return the method with what an earlier call, which ended at ``step``, had bound."""
        return self

    def init(self) -> Any:
        """Return the state of the exchanges."""
        return ()

    def carried(self, state: Any, bound: Any) -> Any:
        """Return the state of the exchanges of a run by ``bound``, as this method goes on."""
        return state

    def looks_ahead(self, step: int) -> bool:
        """Return whether an exchange at ``step`` asks for the temperature of the next move.

        The last exchange of a run does so, too, though the run makes no such move.
        """
        return False

    def has_law_of(self, bound: Any) -> bool:
        """Return whether what is reported of a run by ``bound`` holds of this method, too.

        Of one temperature that falls all the time no report holds, so none ends with it.
        """
        return True

    def under_new_law(self, state: Any, energies: np.ndarray) -> Any:
        """Return the state of the exchanges with nothing known of the law that held so far.

        Args:
            state: The state of the exchanges.
            energies: Energy of each chain now, float ``[chains]``.
        """
        return state

    def restarted(self, state: Any, accepted: jax.Array) -> Any:
        """Return the state of the exchanges with all that is reported counted from here on.

        Args:
            state: The state of the exchanges.
            accepted: Proposals accepted so far in each slot, int ``[chains]``.
        """
        return state

    def slot_temperatures(self, state: Any, step: jax.Array) -> jax.Array:
        """Return the temperature in each slot, of a shape that broadcasts to ``shape``.

        NaN where a method that finds its temperatures does not know them yet.
        """
        raise NotImplementedError

    def temperatures_of(self, chain: jax.Array, state: Any, step: jax.Array) -> jax.Array:
        """Return the temperature of each of some chains, by their numbers, float ``[n]``."""
        return jnp.broadcast_to(self.slot_temperatures(state, step), self.shape)[chain]

    def warmup_end(self) -> jax.Array:
        """Return the step from which diagnostics count."""
        return jnp.zeros((), jnp.int32)

    def adapting(self, step: jax.Array) -> jax.Array:
        """Return whether step sizes adapt at ``step``, bool ``[]``."""
        return step >= 0

    def trials(self, accepted: Any, carried: Any, whole: Callable[[Any], Any]) -> Trials:
        """Return what was proposed so far in each slot.

        Args:
            accepted: What the steps counted as accepted in each slot, int ``[chains]``.
            carried: What the kernel carries, in lanes.
            whole: Returns what lies in lanes as ``[chains, ...]``, of all devices.
        """
        return Trials(accepted)

    def described(self, state: Any, carried: Any, whole: Callable[[Any], Any]) -> dict[str, str]:
        """Return by name what a summary of a run says of its exchanges and kernels.

        Args:
            state: The state of the exchanges.
            carried: What the kernel carries, in lanes.
            whole: Returns what lies in lanes as ``[chains, ...]``.
        """
        return {}

    def difference(self, state: Any) -> jax.Array:
        """Return the typical difference of energies that the method has seen, 0 if it sees none."""
        return jnp.zeros(())

    def next_exchange(self, step: jax.Array) -> jax.Array:
        """Return the end of the round that begins at ``step``."""
        return step + 1

    def next_stop(self, step: jax.Array) -> jax.Array:
        """Return the next step at which :meth:`after_round` must be called."""
        return jnp.full_like(step, NEVER)

    def by_slot(self, state: Any, values: jax.Array) -> jax.Array:
        """Return values of chains ``[chains, ...]`` in the order of the slots."""
        return values

    def order(self, state: Any) -> jax.Array:
        """Return the chain in each slot, int ``[chains]``."""
        return jnp.arange(self.chains, dtype=jnp.int32)

    def kernel(self, move: Move, params: Any) -> Kernel:
        """Return what makes one step of one chain.

        Args:
            move: The move.
            params: The tree of one chain.
        """
        kind = Pooled if shares_factors(move) else Metropolis
        return kind(move, self.adapting, self.adapts_throughout, params)

    @property
    def pools(self) -> int:
        """Number of temperatures at which chains share step-size factors."""
        return 1

    def pool_of(self, state: Any) -> jax.Array:
        """Return at which of them each chain is, int ``[chains]``."""
        return jnp.zeros(self.chains, jnp.int32)

    def shared(self, state: Any) -> Any:
        """Return what the kernel sees in every chain of the state of the exchanges."""
        return ()

    def after_round(self, key: jax.Array, state: Any, step: jax.Array, seen: Seen) -> Exchanged:
        """Exchange if an exchange is due at ``step``.

        Args:
            key: The run key, folded.
            state: The state of the exchanges.
            step: Moves so far, int ``[]``.
            seen: The chains.
        """
        return Exchanged(state)


def next_multiple(step: jax.Array, every: jax.Array) -> jax.Array:
    """Return the first multiple of ``every`` after ``step``, without overflow."""
    remaining = every - jax.lax.rem(step, every)
    return jnp.where(remaining > NEVER - step, NEVER, step + remaining)
