"""Simulated annealing: independent chains at one falling temperature."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxanneal._checks import MOST, count, positive, refusal
from jaxanneal._methods.protocol import Method
from jaxanneal._methods.schedule import as_cooling, bind
from jaxanneal._pytree import pytree_dataclass, replace, static
from jaxanneal._settings import known_settings
from jaxanneal.cooling import Geometric


@known_settings
@pytree_dataclass
class SimulatedAnnealing(Method):
    r"""Anneal independent chains, all at the temperature of one cooling schedule.

    Maths: chain c makes Metropolis step k at temperature :math:`T_k`, whatever the others do; its
    step size adapts to the temperature all the way (this method optimises, it does not sample).
    Batching: ``chains`` is static; the schedule's numbers are traced.

    Args:
        chains: Number of chains, >= 1.
        cooling: A callable step -> temperature: ``ja.cooling``, an optax schedule, or a function.
            ``None``: geometric between calibrated ends.
        min_temperature: Stop when the temperature reaches this, in units of energy.

    Returns:
        A method for :func:`jaxanneal.anneal`.

    Raises:
        TypeError: ``chains`` is no integer, or ``cooling`` no callable.
        ValueError: ``chains`` < 1, or ``min_temperature`` not positive.

    Example:
        >>> import jaxanneal as ja
        >>> method = ja.SimulatedAnnealing(chains=8, cooling=ja.cooling.Geometric(1.0, 1e-4))
        >>> bool(ja.anneal(lambda x: x**2, 1.0, key=0, method=method, steps=500).energy < 1e-2)
        True

    Reference: Kirkpatrick, Gelatt and Vecchi, Science 220, 671 (1983).
    """

    cooling: Any
    min_temperature: jax.Array | None
    chains: int = static()

    def __init__(
        self,
        chains: int = 64,
        cooling: Any = None,
        min_temperature: ArrayLike | None = None,
    ):
        path = "SimulatedAnnealing"
        if min_temperature is not None:
            remedy = "Leave it out to cool over the whole run."
            limit = positive(f"{path}.min_temperature", min_temperature, remedy, scalar=True)
            min_temperature = limit
        vars(self).update(
            chains=count(f"{path}.chains", chains, 1, "Use 1 for a single chain.", MOST),
            cooling=None if cooling is None else as_cooling(f"{path}.cooling", cooling),
            min_temperature=min_temperature,
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

    def slot_temperatures(self, state: tuple[()], step: jax.Array) -> jax.Array:
        """Return the temperature at ``step``, which all chains share, float ``[]``."""
        return jnp.asarray(self.cooling(step))
