"""Cooling schedules: the temperature as a function of the step count.

Any callable ``step -> temperature`` is a schedule, every optax schedule included. Temperatures are
in units of energy. With a mean loss over N samples, T = 1/N gives the Bayesian posterior of the
summed loss.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxanneal._checks import number, positive, refusal
from jaxanneal._pytree import pytree_dataclass
from jaxanneal._settings import known_settings

__all__ = ["Geometric", "Linear", "Logarithmic"]

_STEPS = "Leave it out to cool over the whole run, or give the number of moves."
_START = "Try the typical energy change of a move, or ja.calibrate(energy, params, key=0)."


def _bound_steps(path: str, steps: ArrayLike | None) -> jax.Array | None:
    if steps is None:
        return None
    valid = lambda x: np.isfinite(x) & (x >= 1) if x.size else False  # noqa: E731
    return number(path, steps, "a number >= 1", valid, _STEPS)


def _done(schedule: Any, step: ArrayLike) -> jax.Array:
    """Return the fraction of the cooling that lies behind ``step``."""
    if schedule.steps is None:
        name = type(schedule).__name__
        remedy = "Give steps=, or pass the schedule to ja.anneal, which binds it to its run."
        raise ValueError(refusal(f"{name}.steps", "a number of steps", None, remedy))
    # Not rate**n: in float32 a rate near one ends 31 % off after 1e7 steps.
    return jnp.minimum(jnp.asarray(step).astype(schedule.steps.dtype) / schedule.steps, 1.0)


@known_settings
@pytree_dataclass
class Geometric:
    r"""Cool from ``start`` to ``end`` by one factor per step, then hold ``end``.

    Maths: :math:`T_k = T_0 (T_1 / T_0)^{\min(k / N, 1)}`, an exponential decay.
    Batching: fields and step count broadcast together; array fields are a batch of schedules.

    Args:
        start: :math:`T_0`, float ``[...]``, in units of energy.
        end: :math:`T_1`, float ``[...]``, in units of energy.
        steps: N, the step at which ``end`` is reached; ``None`` binds it to a run of n moves as
            N = max(n - 1, 1), so that the first is made at ``start`` and the last at ``end``.

    Returns:
        A schedule; called with a step count ``[...]``, the temperature, float ``[...]``.

    Raises:
        TypeError: A field is no number.
        ValueError: A field is not finite or not positive, or an unbound schedule is called.

    Example:
        >>> import jaxanneal as ja
        >>> float(ja.cooling.Geometric(start=4.0, end=1.0, steps=2)(1))
        2.0

    Reference: Kirkpatrick, Gelatt and Vecchi, Science 220, 671 (1983).
    """

    start: jax.Array
    end: jax.Array
    steps: jax.Array | None

    def __init__(self, start: ArrayLike, end: ArrayLike, steps: ArrayLike | None = None):
        vars(self).update(
            start=positive("Geometric.start", start, _START),
            end=positive("Geometric.end", end, "For a nearly greedy end use 1e-6."),
            steps=_bound_steps("Geometric.steps", steps),
        )

    def __call__(self, step: ArrayLike) -> jax.Array:
        """Return the temperature at ``step``."""
        return self.start * (self.end / self.start) ** _done(self, step)


@known_settings
@pytree_dataclass
class Linear:
    r"""Cool from ``start`` to ``end`` by one amount per step, then hold ``end``.

    Maths: :math:`T_k = T_0 + (T_1 - T_0) \min(k / N, 1)`.
    Batching: fields and step count broadcast together; array fields are a batch of schedules.

    Args:
        start: :math:`T_0`, float ``[...]``, in units of energy.
        end: :math:`T_1`, float ``[...]``, in units of energy; 0 ends in greedy descent.
        steps: As in :class:`Geometric`.

    Returns:
        A schedule; called with a step count ``[...]``, the temperature, float ``[...]``.

    Raises:
        TypeError: A field is no number.
        ValueError: A field is not finite, ``start`` is not positive or ``end`` negative, or an
            unbound schedule is called.

    Example:
        >>> import jaxanneal as ja
        >>> float(ja.cooling.Linear(start=4.0, end=1.0, steps=2)(1))
        2.5

    Reference: Strenski and Kirkpatrick, Algorithmica 6, 346 (1991).
    """

    start: jax.Array
    end: jax.Array
    steps: jax.Array | None

    def __init__(self, start: ArrayLike, end: ArrayLike, steps: ArrayLike | None = None):
        valid = lambda x: np.isfinite(x) & (x >= 0) if x.size else False  # noqa: E731
        vars(self).update(
            start=positive("Linear.start", start, _START),
            end=number("Linear.end", end, "finite values >= 0", valid, "Use 0 for a greedy end."),
            steps=_bound_steps("Linear.steps", steps),
        )

    def __call__(self, step: ArrayLike) -> jax.Array:
        """Return the temperature at ``step``."""
        done = _done(self, step)
        return self.start * (1 - done) + self.end * done


@known_settings
@pytree_dataclass
class Logarithmic:
    r"""Cool as slowly as the convergence theorem asks: too slowly for most uses.

    Maths: :math:`T_k = c / \ln(k + 2)`; the chain converges in probability to the global minima if
    and only if c is at least the greatest depth of a local minimum that is not global.
    Batching: field and step count broadcast together.

    Args:
        c: The constant, float ``[...]``, in units of energy.

    Returns:
        A schedule; called with a step count ``[...]``, the temperature, float ``[...]``.

    Raises:
        TypeError: ``c`` is no number.
        ValueError: ``c`` is not finite or not positive.

    Example:
        >>> import jaxanneal as ja
        >>> round(float(ja.cooling.Logarithmic(c=1.0)(0)), 4)
        1.4427

    Reference: Geman and Geman, IEEE PAMI 6, 721 (1984); Hajek, Math. Oper. Res. 13, 311 (1988).
    """

    c: jax.Array

    def __init__(self, c: ArrayLike):
        remedy = "Try the depth of the deepest local minimum."
        vars(self).update(c=positive("Logarithmic.c", c, remedy))

    def __call__(self, step: ArrayLike) -> jax.Array:
        """Return the temperature at ``step``."""
        return self.c / jnp.log(jnp.asarray(step).astype(self.c.dtype) + 2)
