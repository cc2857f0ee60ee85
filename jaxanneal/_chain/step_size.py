"""Step sizes: one factor per chain, moved towards a target acceptance rate."""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import dtypes
from jax.typing import ArrayLike

# Beyond these a factor means that the energy does not depend on the step at all.
LOG_LIMITS = (-23.0, 14.0)

# A gain that never falls below the floor follows the falling temperature of a whole annealing run:
# the best step shrinks by 4.6 (ln 100) over four decades, and a step of the iteration can shrink it
# by floor * target, so 10,000 moves follow with room to spare.
_GAIN, _DECAY, _FLOOR = 1.0, 0.6, 0.02

# Logarithms of the factors to try where nothing is known: eight decades. The pilots spread them
# over the chains; a chain without a finite energy goes to and fro between so many of them.
_TRIED, _PLACES, _STRIDE = (-6.9, 11.5), 32, 13

# Of so many steps of a mixed move one is so small that only the parts without a factor matter.
_PROBED, _LOG_PROBE = 4, -10 * math.log(2)


def tried(
    log_factor: jax.Array, energy: jax.Array, step: jax.Array, largest: jax.Array, mixed: bool
) -> jax.Array:
    """Return the logarithm of the factor that an adapting chain uses in one step.

    That is its own, but for two steps that its own would tell nothing: of a chain that stands where
    the energy is not finite, and every fourth of a mixed move, which tells how often the other
    parts alone are accepted.

    Args:
        log_factor: Its own, float ``[]``.
        energy: Energy of the chain, float ``[]``.
        step: Moves before this one, int ``[]``.
        largest: The factor beyond which no step is wider, float ``[]``.
        mixed: Whether there are parts that no factor changes.
    """
    own = log_factor + jnp.where(_probes(step), _LOG_PROBE, 0.0) if mixed else log_factor
    place = (step % _PLACES) * _STRIDE % _PLACES
    low, high = _TRIED
    searched = low + (high - low) / (_PLACES - 1) * place.astype(log_factor.dtype)
    searched = jnp.minimum(searched, jnp.log(largest.astype(log_factor.dtype)))
    return jnp.where(jnp.isfinite(energy), own, searched).astype(log_factor.dtype)


def adapted(
    log_factor: jax.Array,
    energy: jax.Array,
    log_acceptance: jax.Array,
    target: ArrayLike,
    step: jax.Array,
    forever: bool,
    largest: jax.Array,
    mixed: bool,
) -> jax.Array:
    r"""Return the logarithm of the factor after one step of one chain.

    Maths: Robbins-Monro, :math:`\log f \leftarrow \log f + g_k (\alpha - \alpha^*)` with the
    acceptance probability :math:`\alpha` itself, which varies less than the decision, and
    :math:`g_k = (k + 1)^{-0.6}`, kept above 0.02 where the temperature falls for ever. Parts of a
    mixed move that no factor changes are refused whatever it is: there the target is
    :math:`\alpha^* \alpha_0` for the acceptance :math:`\alpha_0` of a tiny step, which every
    fourth one is: three in four add :math:`g_k \alpha`, that one
    :math:`-3 g_k \alpha^* \alpha_0`.
    Batching: one chain.

    Args:
        log_factor: Float ``[]``.
        energy: Energy of the chain before the step, float ``[]``; where it is infinite the step
            tells nothing.
        log_acceptance: Log-probability with which the proposal was accepted, float ``[]``.
        target: Acceptance rate to move towards, float ``[]``.
        step: Moves before this one, int ``[]``.
        forever: Whether the temperature changes all the time, so that the gain keeps its floor.
        largest: The factor beyond which no step is wider, float ``[]``. A factor above it would do
            nothing but take thousands of moves to fall again when the temperature does.
        mixed: Whether there are parts that no factor changes.

    Reference: Andrieu and Thoms, Statistics and Computing 18, 343 (2008), eq. (20).
    """
    gain = _GAIN * (step.astype(log_factor.dtype) + 1) ** -_DECAY
    if forever:
        gain = jnp.maximum(gain, _FLOOR)
    acceptance = jnp.exp(log_acceptance).astype(log_factor.dtype)
    if mixed:
        error = jnp.where(_probes(step), (1 - _PROBED) * target * acceptance, acceptance)
    else:
        error = acceptance - target
    limit = jnp.clip(jnp.log(largest.astype(log_factor.dtype)), *LOG_LIMITS)
    new = jnp.clip(log_factor + gain * error, LOG_LIMITS[0], limit)
    return jnp.where(jnp.isfinite(energy), new, log_factor)


def probe_weight(step: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return by how much steps of a mixed move count for and against a larger factor.

    As in :func:`adapted`: three in four add the acceptance, the fourth subtracts three times the
    target times the acceptance of a tiny step.
    """
    probes = _probes(step)
    return jnp.where(probes, 0.0, 1.0), jnp.where(probes, _PROBED - 1.0, 0.0)


def spread_factors(chains: int) -> np.ndarray:
    """Return logarithms of step-size factors over eight decades, one for each chain."""
    return np.linspace(*_TRIED, chains, dtype=dtypes.canonicalize_dtype(float))


def first_factors(rises: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
    r"""Return logarithms of the step-size factors to start with.

    Maths: the factor from which on the trial moves were accepted half as often as at best, by a
    moving average over an eighth of them. On an energy that levels off, none is: factor 1. A chain
    that starts without a finite energy tells nothing.

    Args:
        rises: Energy differences of the trial moves, by rising factor, float ``[chains]``.
        temperatures: Temperature of each chain, float ``[chains]``.

    Returns:
        Float ``[chains]``; zeros where there are too few trials to tell.
    """
    window = len(rises) // 8
    first = np.zeros(len(rises), temperatures.dtype)
    if window == 0:
        return first
    average = lambda x: np.convolve(x, np.full(window, 1 / window), "valid")  # noqa: E731
    known = ~np.isnan(rises)
    count = average(known.astype(float))
    known_somewhere = count > 0
    if not known_somewhere.any():
        return first
    uphill = np.where(known, np.maximum(rises, 0), np.inf)
    factors = average(spread_factors(len(rises)))[known_somewhere]
    distinct, place = np.unique(temperatures.astype(np.float64), return_inverse=True)
    for index, temperature in enumerate(distinct):  # one in simulated annealing
        smooth = average(np.exp(-uphill / temperature))[known_somewhere] / count[known_somewhere]
        best = int(np.argmax(smooth))
        refused = np.flatnonzero(smooth[best:] <= smooth[best] / 2)
        first[place == index] = factors[best + refused[0]] if refused.size else 0.0
    return first


def _probes(step: jax.Array) -> jax.Array:
    return step % _PROBED == _PROBED - 1
