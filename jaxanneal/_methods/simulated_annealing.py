"""Simulated annealing: chains at one falling temperature, by themselves or learning of others."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxanneal._chain import keys
from jaxanneal._checks import MOST, at_least_one, count, positive, refusal
from jaxanneal._methods.protocol import Exchanged, Method, Seen, next_multiple
from jaxanneal._methods.resampling import resampled
from jaxanneal._methods.schedule import as_cooling, bind
from jaxanneal._pytree import pytree_dataclass, replace, static
from jaxanneal._settings import known_settings
from jaxanneal.cooling import Geometric


@known_settings
@pytree_dataclass
class SimulatedAnnealing(Method):
    r"""Anneal chains, all at the temperature of one cooling schedule.

    Maths: chain c makes Metropolis step k at temperature :math:`T_k`, whatever the others do; its
    step size adapts to the temperature all the way (this method optimises, it does not sample).
    With ``replace_every`` of m, chain c goes on before step k = m, 2m, ... as about
    :math:`n w_c / \sum w` of the n chains, rounded down or up by systematic resampling, with
    :math:`w_c = \exp(-(1/T_k - 1/T_{k-m}) E_c)`: chains in equilibrium at :math:`T_{k-m}` are
    then in equilibrium at :math:`T_k`. A chain of which no copy goes on becomes a copy of another;
    it keeps its best state. Energies that are not finite weigh nothing, and where the temperature
    does not fall all others weigh the same, so that nothing is replaced.
    Batching: ``chains`` is static; the schedule's numbers and ``replace_every`` are traced.

    Args:
        chains: Number of chains, >= 1.
        cooling: A callable step -> temperature: ``ja.cooling``, an optax schedule, or a function.
            ``None``: geometric between calibrated ends.
        min_temperature: Stop when the temperature reaches this, in units of energy.
        replace_every: Moves between replacements of chains by copies of better ones, >= 1.
            ``None``: chains are independent.

    Returns:
        A method for :func:`jaxanneal.anneal`.

    Raises:
        TypeError: ``chains`` or ``replace_every`` is no integer, or ``cooling`` no callable.
        ValueError: ``chains`` or ``replace_every`` < 1, or ``min_temperature`` not positive.

    Example:
        >>> import jaxanneal as ja
        >>> method = ja.SimulatedAnnealing(chains=8, cooling=ja.cooling.Geometric(1.0, 1e-4))
        >>> bool(ja.anneal(lambda x: x**2, 1.0, key=0, method=method, steps=500).energy < 1e-2)
        True

    Reference: Kirkpatrick, Gelatt and Vecchi, Science 220, 671 (1983); the replacement is that of
    population annealing, Hukushima and Iba, AIP Conf. Proc. 690, 200 (2003), Machta, Phys. Rev. E
    82, 026704 (2010).
    """

    cooling: Any
    min_temperature: jax.Array | None
    chains: int = static()
    replace_every: jax.Array | None = None  # files of earlier versions do not have it

    def __init__(
        self,
        chains: int = 64,
        cooling: Any = None,
        min_temperature: ArrayLike | None = None,
        replace_every: ArrayLike | None = None,
    ):
        path = "SimulatedAnnealing"
        if min_temperature is not None:
            remedy = "Leave it out to cool over the whole run."
            limit = positive(f"{path}.min_temperature", min_temperature, remedy, scalar=True)
            min_temperature = limit
        if replace_every is not None:
            remedy = "Leave it out for chains that are independent."
            replace_every = at_least_one(f"{path}.replace_every", replace_every, remedy)
        vars(self).update(
            chains=count(f"{path}.chains", chains, 1, "Use 1 for a single chain.", MOST),
            cooling=None if cooling is None else as_cooling(f"{path}.cooling", cooling),
            min_temperature=min_temperature,
            replace_every=replace_every,
        )

    @property
    def needs_calibration(self) -> bool:
        """Whether the temperatures are still to be found."""
        return self.cooling is None

    def calibrated(self, start: ArrayLike, end: ArrayLike) -> "SimulatedAnnealing":
        """Return this method with its temperatures between the calibrated ends."""
        return replace(self, cooling=Geometric(start, end))

    def bind(self, steps: int) -> "SimulatedAnnealing":
        """Return this method with what depends on the run's length bound to ``steps`` moves."""
        if self.cooling is None:
            remedy = "Give one, or let ja.anneal calibrate it."
            raise ValueError(refusal("SimulatedAnnealing.cooling", "a schedule", None, remedy))
        return replace(self, cooling=bind(self.cooling, steps))

    def keep_bound(self, bound: "SimulatedAnnealing", step: int) -> "SimulatedAnnealing":
        """Return this method with what an earlier call calibrated and bound."""
        new, old = self.cooling, bound.cooling
        if new is None:
            return replace(self, cooling=old)
        if type(new) is type(old) and getattr(new, "steps", 0) is None:
            return replace(self, cooling=replace(new, steps=old.steps))
        return self

    @property
    def replaces(self) -> bool:
        """Whether chains are replaced by copies of others."""
        return self.replace_every is not None

    def looks_ahead(self, step: int) -> bool:
        """Return whether chains are replaced at ``step``, for the temperature of the next move."""
        return self.replace_every is not None and step % int(self.replace_every) == 0

    def init(self) -> Any:
        """Return the temperature for which chains were last replaced: at first that of the start.

        Float ``[]``; nothing where they are never replaced.
        """
        return () if self.replace_every is None else self._temperature(jnp.zeros((), jnp.int32))

    def slot_temperatures(self, state: Any, step: jax.Array) -> jax.Array:
        """Return the temperature at ``step``, which all chains share, float ``[]``."""
        return jnp.asarray(self.cooling(step))

    def next_exchange(self, step: jax.Array) -> jax.Array:
        """Return the next step after which chains are replaced; without it the next step."""
        return step + 1 if self.replace_every is None else next_multiple(step, self.replace_every)

    def next_stop(self, step: jax.Array) -> jax.Array:
        """Return the next step at which a round must end: that of a replacement."""
        return super().next_stop(step) if self.replace_every is None else self.next_exchange(step)

    def after_round(self, key: jax.Array, state: Any, step: jax.Array, seen: Seen) -> Exchanged:
        """Replace chains by copies of better ones if that is due at ``step``."""
        if self.replace_every is None:
            return Exchanged(state)
        own = jnp.arange(self.chains, dtype=jnp.int32)

        def replaced(before: jax.Array) -> tuple[jax.Array, jax.Array]:
            now, own_key = self._temperature(step), keys.stream(key, keys.EXCHANGE, step)
            return now, resampled(own_key, seen.energies, before, now)

        # A branch is compiled by itself, so that its last bits do not depend on what is around it.
        due = jax.lax.rem(step, self.replace_every) == 0
        state, source = jax.lax.cond(due, replaced, lambda before: (before, own), state)
        return Exchanged(state, source=source)

    def _temperature(self, step: jax.Array) -> jax.Array:
        return jnp.asarray(self.cooling(step)).astype(float)
