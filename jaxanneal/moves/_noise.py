"""Noise made of 32 random bits a number: symmetric about zero to the last bit, and cheap.

In double precision the usual formulas stand: who asks for more digits gets them in the noise too.
The polynomials are least-squares or minimax fits of this project; the tests compare what they make
with the laws that it should have.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

# Odd in the level: least squares to the normal quantile, weighted by how often a level comes,
# among those whose moments 2, 4 and 6 are 1, 3 and 15. Moment 8 is 104.6 instead of 105; it is
# monotone, and ends at 4.88. In these units its leading coefficient is 1, a product less.
_UNIT = 5.17034536e-10
_NORMAL = (3.01592046, 0.516271434, -0.646047921, 1.0)

# One product makes 64 a + 63.001 b of a + 65536 b: its upper half, and the lower is no loss.
_WEIGHTS = 64 + 63 * 2**16
_MIDDLE = 255 * (64 + 127 * 2**16)

# log(1 + f) / f for f from 1/sqrt(2) - 1 to sqrt(2) - 1, within 1.7e-7 of its value.
_LOG = (
    *(0.999999945, -0.500003651, 0.333350587, -0.249699083),
    *(0.199001732, -0.172508482, 0.162225245, -0.101067643),
)
# (2^r - 1) / r for |r| <= 1/2, within 4.4e-7.
_POWER = (0.693147144, 0.240223513, 0.0555050023, 0.00966624541, 0.00133335335)
# sin(pi x / 2) / x in x^2 for |x| <= 1, within 1e-6.
_SINE = (1.57079485, -0.645920976, 0.0794876547, -0.00436246902)

_ROOT_HALF = 0x3F3504F3  # the bits of 1/sqrt(2)


def normal(bits: jax.Array) -> jax.Array:
    """Return standard normal numbers.

    Maths: the sum of four bytes is nearly normal, and a polynomial maps it to a normal quantile.
    Two of the bytes weigh 64/63 of the others, which makes far more levels than 1,021.

    Args:
        bits: ``uint32 [...]``.
    """
    pairs = (bits & 0xFF00FF) + ((bits >> 8) & 0xFF00FF)
    # Centred as an integer: the complement of a word gives the same number with the other sign.
    level = pairs * jnp.uint32(_WEIGHTS) - jnp.uint32(_MIDDLE)
    level = jax.lax.bitcast_convert_type(level, jnp.int32).astype(jnp.float32) * _UNIT
    return level * _polynomial(_NORMAL, level * level)


def uniform(bits: jax.Array) -> jax.Array:
    """Return numbers uniform on (-1, 1): the middles of 2^24 cells.

    Args:
        bits: ``uint32 [...]``.
    """
    signed = jax.lax.bitcast_convert_type(bits, jnp.int32) >> 8
    return (signed.astype(jnp.float32) + 0.5) * 2.0**-23


def laplace(bits: jax.Array) -> jax.Array:
    """Return Laplace numbers with b = 1: an exponential one, and a sign.

    Args:
        bits: ``uint32 [...]``.
    """
    sign = (bits & 0x80) << 24  # the logarithm uses the upper 24 bits alone
    size = jax.lax.bitcast_convert_type(_exponential(bits), jnp.uint32)
    return jax.lax.bitcast_convert_type(size | sign, jnp.float32)


def student(radius_bits: jax.Array, angle_bits: jax.Array, df: jax.Array) -> jax.Array:
    """Return Student t numbers, which may be infinite for few degrees of freedom.

    Maths: as in :class:`StudentT`. The sine of an angle between -pi/2 and pi/2 has the law of the
    cosine of any angle, and a short polynomial.

    Args:
        radius_bits: ``uint32 [...]``.
        angle_bits: ``uint32 [...]``.
        df: Degrees of freedom, float ``[]``.
    """
    radius = jnp.sqrt(df * _expm1(2 / df * _exponential(radius_bits)))
    quarter = uniform(angle_bits)
    return radius * quarter * _polynomial(_SINE, quarter * quarter)


def student_double(key: jax.Array, shape: Sequence[int], df: jax.Array) -> jax.Array:
    """Return Student t numbers in double precision; the key is consumed."""
    radius_key, angle_key = jax.random.split(key)
    log_u = jnp.log1p(-jax.random.uniform(radius_key, shape, jnp.float64))
    angle = 2 * jnp.pi * jax.random.uniform(angle_key, shape, jnp.float64)
    return jnp.sqrt(df * jnp.expm1(-2 * log_u / df)) * jnp.cos(angle)


def _exponential(bits: jax.Array) -> jax.Array:
    """Return -log(u) for u uniform on 2^-24, 2 2^-24, ..., 1, from the upper 24 bits."""
    whole = (bits >> 8).astype(jnp.int32) + 1
    code = jax.lax.bitcast_convert_type(whole.astype(jnp.float32) * 2.0**-24, jnp.int32)
    exponent = (code - _ROOT_HALF) >> 23
    rest = jax.lax.bitcast_convert_type(code - (exponent << 23), jnp.float32) - 1
    log_rest = rest * _polynomial(_LOG, rest)
    return jnp.maximum(exponent.astype(jnp.float32) * -0.69314718 - log_rest, 0.0)


def _expm1(x: jax.Array) -> jax.Array:
    """Return exp(x) - 1 for x >= 0, with all digits where x is small, at most 2^126."""
    twos = jnp.minimum(x * 1.44269504, 126.0)
    whole = jnp.round(twos)
    rest = twos - whole
    power = jax.lax.bitcast_convert_type((whole.astype(jnp.int32) + 127) << 23, jnp.float32)
    return power * (rest * _polynomial(_POWER, rest)) + (power - 1)


def _polynomial(coefficients: Sequence[float], x: jax.Array) -> jax.Array:
    *rest, last = coefficients
    value = x * last + rest[-1]
    for coefficient in rest[-2::-1]:
        value = value * x + coefficient
    return value
