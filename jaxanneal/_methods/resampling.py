"""Resampling: which chains go on as copies of which others when the temperature falls."""

import jax
import jax.numpy as jnp

# Bits behind the binary point of a number of copies: those of an unsigned integer, whose overflow
# then counts the whole ones without rounding, however many chains there are.
_BITS = 32


def resampled(key: jax.Array, energies: jax.Array, before: jax.Array, now: jax.Array) -> jax.Array:
    """Return the chain that each chain goes on from as the temperature falls, int ``[chains]``.

    Args:
        key: Consumed.
        energies: Energy of each chain, float ``[chains]``.
        before: The temperature at which they are, float ``[]``.
        now: The temperature at which they go on, float ``[]``.
    """
    weights = jnp.exp(log_weights(energies, before, now))
    return sources(copies(weights, jax.random.bits(key, (), jnp.uint32)))


def log_weights(energies: jax.Array, before: jax.Array, now: jax.Array) -> jax.Array:
    r"""Return the logarithm of each chain's weight, less that of the largest, float ``[chains]``.

    Maths: :math:`-(1/T_{now} - 1/T_{before}) (E_c - \min E)`; :math:`-\infty` where the energy is
    not finite, and zero everywhere where none is. At a temperature that does not fall all finite
    energies weigh the same: by their weights a rising one would keep the worst alone, although
    moves at the new temperature lose what the old one found.

    Args:
        energies: Energy of each chain, float ``[chains]``.
        before: The temperature at which they are, float ``[]``, >= 0.
        now: The temperature at which they go on, float ``[]``, >= 0; 0 leaves the best alone.
    """
    energies, before, now = (jnp.asarray(x).astype(float) for x in (energies, before, now))
    finite = jnp.isfinite(energies)
    excess = energies - jnp.min(jnp.where(finite, energies, jnp.inf))
    # Of neighbouring temperatures the inverse ones share their leading digits.
    fall = jnp.where(now < before, (before - now) / now / before, 0)
    # Where either is zero the other may be infinite, and their product would be NaN.
    logs = jnp.where((excess > 0) & (fall > 0), -fall * excess, 0)
    return jnp.where(finite | ~jnp.any(finite), logs, -jnp.inf)


def copies(weights: jax.Array, offset: jax.Array) -> jax.Array:
    r"""Return how many copies of each of n chains go on, int ``[chains]``: n together.

    Maths: with :math:`q_c = n w_c / \sum w` copies of chain c on average it has
    :math:`\lfloor q_c \rfloor` or :math:`\lceil q_c \rceil`, by systematic resampling: laid end to
    end along a line they cover as many of the points :math:`u, u + 1, \ldots`

    Args:
        weights: Weight of each chain, float ``[chains]``, >= 0 and not all of them zero.
        offset: :math:`u` in units of 2^-32, uniform ``uint32 []``.

    Reference: Kitagawa, J. Comput. Graph. Stat. 5, 1 (1996).
    """
    count, best = weights.shape[0], jnp.argmax(weights)
    weights = weights / weights[best]  # equal ones are 1, and so is then the mean
    mean = weights * (count / jnp.sum(weights))
    # The chain of the largest weight comes last, and takes what the others leave: exactly n.
    mean = jnp.where(jnp.arange(count) == best, 0, mean)
    whole = jnp.floor(mean)
    part = ((mean - whole) * 2.0**_BITS).astype(jnp.uint32)
    reached = jax.lax.cumsum(part) + offset
    number = whole.astype(jnp.int32) + (reached < part).astype(jnp.int32)  # less than what it added
    rest = (count - jnp.sum(number)).astype(jnp.int32)
    return jnp.where(jnp.arange(count) == best, rest, number)


def sources(copies: jax.Array) -> jax.Array:
    """Return the chain that each chain goes on from, int ``[chains]``.

    A chain of which a copy goes on stays where it is; its other copies take the places of chains of
    which none does.

    Args:
        copies: How many of each chain go on, int ``[chains]``: as many as chains together.
    """
    own = jnp.arange(copies.shape[0], dtype=jnp.int32)
    free, spare = copies == 0, jnp.maximum(copies - 1, 0)
    number = jax.lax.cumsum(free.astype(jnp.int32)) - 1  # of the free places before each one
    donor = jnp.searchsorted(jax.lax.cumsum(spare), number, side="right").astype(jnp.int32)
    return jnp.where(free, donor, own)
