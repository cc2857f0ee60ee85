"""Step sizes: one factor per chain, moved towards a target acceptance rate."""

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

# Beyond these a factor means that the energy does not depend on the step at all.
_LOG_LIMITS = (-23.0, 14.0)

# A gain that never falls below the floor follows the falling temperature of a whole annealing run:
# the best step shrinks by 4.6 (ln 100) over four decades, and a step of the iteration can shrink it
# by floor * target, so 10,000 moves follow with room to spare.
_GAIN, _DECAY, _FLOOR = 1.0, 0.6, 0.02


def adapted(
    log_factor: jax.Array,
    log_acceptance: jax.Array,
    target: ArrayLike,
    step: jax.Array,
    forever: bool,
    largest: jax.Array,
) -> jax.Array:
    r"""Return the logarithm of the factor after one step of one chain.

    Maths: Robbins-Monro, :math:`\log f \leftarrow \log f + g_k (\alpha - \alpha^*)` with the
    acceptance probability :math:`\alpha` itself, which varies less than the decision, and
    :math:`g_k = (k + 1)^{-0.6}`, kept above 0.02 where the temperature falls for ever.
    Batching: one chain.

    Args:
        log_factor: Float ``[]``.
        log_acceptance: Log-probability with which the proposal was accepted, float ``[]``.
        target: Acceptance rate to move towards, float ``[]``.
        step: Moves before this one, int ``[]``.
        forever: Whether the temperature changes all the time, so that the gain keeps its floor.
        largest: The factor beyond which no step is wider, float ``[]``. A factor above it would do
            nothing but take thousands of moves to fall again when the temperature does.

    Reference: Andrieu and Thoms, Statistics and Computing 18, 343 (2008), eq. (20).
    """
    gain = _GAIN * (step.astype(log_factor.dtype) + 1) ** -_DECAY
    if forever:
        gain = jnp.maximum(gain, _FLOOR)
    error = jnp.exp(log_acceptance).astype(log_factor.dtype) - target
    limit = jnp.clip(jnp.log(largest.astype(log_factor.dtype)), *_LOG_LIMITS)
    return jnp.clip(log_factor + gain * error, _LOG_LIMITS[0], limit)
