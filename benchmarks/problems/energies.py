"""Standard energies of one array, which JAX traces and numba compiles from the same text.

So everything here is written with what both know: `jnp` (NumPy for numba), floating `arange`, and
no broadcasting of ranks. All but Lennard-Jones have the least value 0.
"""

import math

import jax
import jax.numpy as jnp

# Where u sin(sqrt(u)) is largest below 500, and its value there.
SCHWEFEL_PLACE, _SCHWEFEL_VALUE = 420.96874635998207, 418.9828872724338
# The lower of the two wells of (y^4 - 16 y^2 + 5 y) / 2, and minus its depth.
_TANG_PLACE, _TANG_VALUE = -2.903534027771177, 39.16616570377142
_PEAK = 10.0
_WAVES = 12.0


def outside(x: jax.Array, limit: float) -> jax.Array:
    """Return the square of the distance to the box."""
    return jnp.sum(jnp.maximum(jnp.abs(x) - limit, 0.0) ** 2)


def ripples(z: jax.Array) -> jax.Array:
    return jnp.sum(z * z + 10.0 * (1.0 - jnp.cos(2.0 * jnp.pi * z)))


def rastrigin(x: jax.Array, shift: jax.Array) -> jax.Array:
    return ripples(x - shift)


def scaled_rastrigin(x: jax.Array, shift: jax.Array, unit: jax.Array) -> jax.Array:
    return unit * ripples(x - shift)


def rounded_rastrigin(x: jax.Array, shift: jax.Array, rounded: jax.Array) -> jax.Array:
    """Round the coordinates where ``rounded`` is 1; their shifts are whole numbers."""
    nearest = jnp.floor(x + 0.5)
    return ripples(rounded * nearest + (1.0 - rounded) * x - shift)


def stairs(x: jax.Array, shift: jax.Array) -> jax.Array:
    """Return whole numbers: no gradient tells anything."""
    return jnp.sum(jnp.floor(jnp.abs(x - shift) + 0.5))


def ackley(x: jax.Array, shift: jax.Array) -> jax.Array:
    z = x - shift
    slope = 20.0 - 20.0 * jnp.exp(-0.2 * jnp.sqrt(jnp.mean(z * z)))
    return slope + (math.e - jnp.exp(jnp.mean(jnp.cos(2.0 * jnp.pi * z))))


def schwefel(x: jax.Array, signs: jax.Array) -> jax.Array:
    """Turn around the coordinates of negative sign; beyond the box a parabola is added."""
    u = jnp.minimum(jnp.maximum(x, -500.0), 500.0) * signs
    waves = _SCHWEFEL_VALUE - u * jnp.sin(jnp.sqrt(jnp.abs(u)))
    return jnp.sum(waves) + 0.01 * outside(x, 500.0)


def griewank(x: jax.Array, shift: jax.Array) -> jax.Array:
    z = x - shift
    roots = jnp.sqrt(jnp.arange(1.0, z.shape[0] + 1.0))
    return jnp.sum(z * z) / 4000.0 + (1.0 - jnp.prod(jnp.cos(z / roots)))


def levy(x: jax.Array, shift: jax.Array) -> jax.Array:
    w = (x - shift) / 4.0
    first, last = jnp.sin(jnp.pi * w[0]) ** 2, jnp.sin(2.0 * jnp.pi * w[-1]) ** 2
    waves = jnp.sin(jnp.pi * w[:-1] + jnp.pi + 1.0) ** 2
    middle = jnp.sum(w[:-1] ** 2 * (1.0 + 10.0 * waves))
    return first + middle + w[-1] ** 2 * (1.0 + last)


def rosenbrock(x: jax.Array, shift: jax.Array) -> jax.Array:
    y = x - shift + 1.0
    return jnp.sum(100.0 * (y[1:] - y[:-1] ** 2) ** 2 + (1.0 - y[:-1]) ** 2)


def styblinski_tang(x: jax.Array, shift: jax.Array) -> jax.Array:
    y = x - shift + _TANG_PLACE
    return jnp.sum(0.5 * (y**4 - 16.0 * y * y + 5.0 * y) + _TANG_VALUE)


def ellipsoid(x: jax.Array, shift: jax.Array, rotation: jax.Array) -> jax.Array:
    """Return a bowl of condition 1e6."""
    z = rotation @ (x - shift)
    powers = 6.0 * jnp.arange(0.0, z.shape[0]) / (z.shape[0] - 1.0)
    return jnp.sum(10.0**powers * z * z)


def rotated_rastrigin(x: jax.Array, shift: jax.Array, matrix: jax.Array) -> jax.Array:
    return ripples(matrix @ (x - shift)) + outside(x, 5.0)


def weierstrass(x: jax.Array, shift: jax.Array, matrix: jax.Array) -> jax.Array:
    """Return the third power of the mean of waves, ever shorter and lower."""
    z = matrix @ (x - shift)
    powers = jnp.arange(0.0, _WAVES)
    weights, frequencies = 0.5**powers, 3.0**powers
    waves = jnp.cos(2.0 * jnp.pi * jnp.outer(z + 0.5, frequencies))
    mean = jnp.sum(waves @ weights) / z.shape[0] + jnp.sum(weights)
    return 10.0 * mean**3 + 10.0 / z.shape[0] * outside(x, 5.0)


def gallagher(
    x: jax.Array, rotation: jax.Array, peaks: jax.Array, widths: jax.Array, heights: jax.Array
) -> jax.Array:
    """Return how far below 10, the height of the first, the highest of the peaks is; squared."""
    z = (rotation @ x).reshape((1, x.shape[0])) - peaks
    distances = jnp.sum(widths * z * z, axis=1)
    highest = jnp.max(heights * jnp.exp(-distances / (2.0 * x.shape[0])))
    return (_PEAK - highest) ** 2 + outside(x, 5.0)


def lunacek(x: jax.Array, signs: jax.Array, matrix: jax.Array) -> jax.Array:
    """Return two funnels, of which the wider has the higher floor, and ripples in them."""
    d = x.shape[0]
    depth = 1.0 - 1.0 / (2.0 * math.sqrt(d + 20.0) - 8.2)
    other = -math.sqrt((2.5**2 - 1.0) / depth)
    y = 2.0 * signs * x
    z = matrix @ (y - 2.5)
    funnels = jnp.minimum(jnp.sum((y - 2.5) ** 2), d + depth * jnp.sum((y - other) ** 2))
    return funnels + 10.0 * jnp.sum(1.0 - jnp.cos(2.0 * jnp.pi * z)) + 1e4 * outside(x, 5.0)


def unlike_units(x: jax.Array, shift: jax.Array, units: jax.Array) -> jax.Array:
    """Return a bowl whose coordinates are measured in other units each."""
    return jnp.sum(((x - shift) / units) ** 2)


def lennard_jones(x: jax.Array, pairs: jax.Array) -> jax.Array:
    """Return the energy of a cluster in units of the well of one pair.

    Args:
        x: Positions of the atoms, one after the other, ``[3 n]`` or ``[n, 3]``.
        pairs: 1 above the diagonal, 0 elsewhere, ``[n, n]``.
    """
    n = pairs.shape[0]
    y = x.reshape((n, 3))
    square = 1.0 - pairs
    for axis in range(3):
        z = jnp.ravel(y[:, axis])  # numba reshapes what is contiguous
        distance = z.reshape((n, 1)) - z.reshape((1, n))
        square = square + pairs * distance * distance
    sixth = pairs / (square * square * square)
    return 4.0 * jnp.sum(sixth * sixth - sixth)


def lennard_jones_slope(x: jax.Array, pairs: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Return the energy of a cluster and its gradient, flat: numba cannot differentiate."""
    n = pairs.shape[0]
    y = x.reshape((n, 3))
    square = 1.0 - pairs
    for axis in range(3):
        z = jnp.ravel(y[:, axis])
        distance = z.reshape((n, 1)) - z.reshape((1, n))
        square = square + pairs * distance * distance
    sixth = pairs / (square * square * square)
    by_distance = 24.0 * (sixth - 2.0 * sixth * sixth) / square
    columns = []
    for axis in range(3):
        z = jnp.ravel(y[:, axis])
        force = by_distance * (z.reshape((n, 1)) - z.reshape((1, n)))
        columns.append(jnp.sum(force, axis=1) - jnp.sum(force, axis=0))
    gradient = jnp.stack((columns[0], columns[1], columns[2]), axis=1)
    return 4.0 * jnp.sum(sixth * sixth - sixth), jnp.ravel(gradient)


def mixed_leaves(
    params: dict[str, jax.Array], shift: jax.Array, counts: jax.Array, switches: jax.Array
) -> jax.Array:
    """Return an energy of floats `x`, integers `k` and bools `on`."""
    z = params["x"] - shift
    off = params["k"].astype(z.dtype) - counts
    wrong = (params["on"].astype(z.dtype) - switches) ** 2
    return ripples(z) + (1.0 + jnp.mean(z * z)) * jnp.sum(off * off) + 3.0 * jnp.sum(wrong)
