"""The Metropolis rule: the log-probability of accepting a proposal, and the decision."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxanneal._chain import keys
from jaxanneal._chain.energy import describe
from jaxanneal._checks import number, refusal


def log_acceptance(
    delta_energy: ArrayLike, temperature: ArrayLike, log_hastings: ArrayLike = 0.0
) -> jax.Array:
    """Return the log-probability of accepting a proposal, ``-inf`` where it must be refused."""
    delta, temperature, hastings = _as_floats(delta_energy, temperature, log_hastings)
    uphill = temperature * hastings - delta
    # At T = 0 only the sign counts; the division is kept away from 0/0.
    ratio = uphill / jnp.where(temperature > 0, temperature, 1)
    ratio = jnp.where(temperature > 0, ratio, jnp.where(uphill >= 0, 0.0, -jnp.inf))
    valid = (delta < jnp.inf) & (uphill == uphill)
    return jnp.where(valid, jnp.minimum(ratio, 0.0), -jnp.inf)


def accept(
    key: jax.Array,
    delta_energy: ArrayLike,
    temperature: ArrayLike,
    log_hastings: ArrayLike = 0.0,
) -> jax.Array:
    r"""Decide by the Metropolis-Hastings rule whether a proposal is accepted.

    Maths: accepted with probability :math:`\min(1, \exp(-\Delta E / T + h))`, where :math:`h` is
    ``log_hastings``; decided as :math:`T \log(1 - u) \le T h - \Delta E` with :math:`u` in
    :math:`[0, 1)`, which neither overflows nor takes the logarithm of zero, and at :math:`T = 0`
    accepts exactly what does not raise the energy.
    Batching: one decision; ``vmap`` over keys and numbers.

    Args:
        key: Consumed.
        delta_energy: Energy of the proposal less that of the state, float ``[]``. ``-inf`` (leaving
            a state without a finite energy) is accepted; ``nan`` and ``+inf`` are refused.
        temperature: :math:`T \ge 0` in units of energy, float ``[]``.
        log_hastings: log q(old|new) - log q(new|old), float ``[]``; 0 for a symmetric move.

    Returns:
        The decision, bool ``[]``.

    Raises:
        TypeError: ``key`` is no key, or ``temperature`` no number.
        ValueError: ``temperature`` is known to be negative or not finite, or an input is no scalar.

    Example:
        >>> bool(accept(jax.random.key(0), -1.0, 0.5)), bool(accept(jax.random.key(0), 9.0, 0.0))
        (True, False)

    Reference: Metropolis et al., J. Chem. Phys. 21, 1087 (1953); Hastings, Biometrika 57, 97
    (1970).
    """
    temperature = as_temperature(temperature)
    delta, temperature, hastings = _as_floats(delta_energy, temperature, log_hastings)
    for path, value in (("delta_energy", delta), ("log_hastings", hastings)):
        if value.shape != ():
            remedy = "One key decides once: use jax.vmap over keys and numbers."
            raise ValueError(refusal(path, "a scalar", describe(value), remedy))
    uniform = jax.random.uniform(keys.as_key(key), dtype=delta.dtype)
    return (delta < jnp.inf) & (jnp.log1p(-uniform) * temperature <= temperature * hastings - delta)


def as_temperature(temperature: ArrayLike) -> jax.Array:
    """Return one temperature as an array, or refuse it."""
    remedy = "Use 0 for greedy descent; under jax.vmap each chain has its own."
    expected = "a finite number >= 0"
    valid = lambda x: np.isfinite(x) & (x >= 0)  # noqa: E731
    array = number("temperature", temperature, expected, valid, remedy)
    if array.shape != ():
        raise ValueError(refusal("temperature", expected, describe(array), remedy))
    return array


def _as_floats(delta_energy: ArrayLike, *rest: ArrayLike) -> tuple[jax.Array, ...]:
    delta = jnp.asarray(delta_energy)
    dtype = jnp.float64 if delta.dtype == jnp.float64 else jnp.float32
    return delta.astype(dtype), *(jnp.asarray(value).astype(dtype) for value in rest)
