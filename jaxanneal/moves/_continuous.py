"""Moves of floating parameters: add independent noise to every coordinate, or to some."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxanneal._checks import positive
from jaxanneal._pytree import pytree_dataclass, pytree_subclass
from jaxanneal._settings import known_settings
from jaxanneal.moves import _noise
from jaxanneal.moves._perturbation import Perturbation

# Noise beyond this is cut, so that a Cauchy step cannot make a parameter infinite: an energy that
# only compares (a step activation) would stay finite there, and the chain would never come back.
_LARGEST = 1e30


@known_settings
@pytree_subclass
class Gaussian(Perturbation):
    r"""Add independent normal noise to the coordinates.

    Maths: :math:`x'_i = x_i + f s_i z_i`, :math:`z_i \sim N(0, 1)`, with the adapted factor f. In
    single precision z has 200,000 levels up to 4.88, the moments 1, 3 and 15, and a distribution
    function within 0.0005 of the normal; it is symmetric to the last bit, so Metropolis samples
    exactly what it should. In double precision it is normal to the last digits. A float16 or
    bfloat16 starts from a point of the interval that rounds to it, so no step is too small to
    count.
    Batching: one chain; the engine batches it.

    Args:
        scale: Standard deviation s, a scalar or pytree prefix of params, in units of the parameter.
        bounds: ``(lower, upper)``, each a scalar or prefix, infinite or ``None`` where there is
            none; for one flat array also a list of (low, high) pairs, as SciPy has it. Proposals
            are reflected into them, which keeps the move symmetric; equal bounds hold a parameter.
            ``None``: no bounds. A list of numbers where params has an array is an array, here and
            in ``scale``.
        fraction: Each coordinate moves with this probability, at least one does; in (0, 1].
        target_acceptance: Acceptance rate that the factor adapts to; ``"auto"``: 0.44 for one
            coordinate down to 0.234 for many; ``None``: the factor stays 1.
        coordinates: Exactly so many coordinates move in each step, chosen uniformly among those
            that bounds do not hold; ``None``: as ``fraction`` says. Not beside a ``fraction``.

    Returns:
        A move.

    Raises:
        TypeError: A setting is no number, or a leaf of params is not floating.
        ValueError: A setting is out of range, is no prefix of params, or excludes the start.

    Example:
        >>> import jaxanneal as ja
        >>> move = ja.moves.Gaussian(scale={"w": 0.1, "b": 0.01}, bounds=(-1.0, 1.0))
        >>> new, log_hastings = move.propose(jax.random.key(0), {"w": jnp.zeros(3), "b": 0.5}, 1.0)
        >>> new["w"].shape, float(log_hastings)
        ((3,), 0.0)

    Reference: Metropolis et al., J. Chem. Phys. 21, 1087 (1953).
    """

    def noise(self, draw: Callable[[int], jax.Array]) -> jax.Array:
        """Return standard normal noise, to the accuracy stated above."""
        return _noise.normal(draw(0))

    def noise_double(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Return standard normal noise in double precision; the key is consumed."""
        return jax.random.normal(key, shape, jnp.float64)


@known_settings
@pytree_subclass
class Uniform(Perturbation):
    r"""Add independent uniform noise to the coordinates.

    Maths: :math:`x'_i = x_i + f s_i u_i`, :math:`u_i \sim U(-1, 1)`: s is the half-width.
    Batching: one chain; the engine batches it.

    Args:
        scale: Half-width s, a scalar or pytree prefix of params.
        bounds: As in :class:`Gaussian`.
        fraction: As in :class:`Gaussian`.
        target_acceptance: As in :class:`Gaussian`.
        coordinates: As in :class:`Gaussian`.

    Returns:
        A move.

    Raises:
        TypeError: As :class:`Gaussian`.
        ValueError: As :class:`Gaussian`.

    Example:
        >>> import jaxanneal as ja
        >>> new, _ = ja.moves.Uniform(scale=0.5).propose(jax.random.key(0), jnp.zeros(9), 1.0)
        >>> bool(jnp.all(jnp.abs(new) <= 0.5))
        True

    Reference: Metropolis et al., J. Chem. Phys. 21, 1087 (1953), eq. (3).
    """

    def noise(self, draw: Callable[[int], jax.Array]) -> jax.Array:
        """Return noise uniform on (-1, 1)."""
        return _noise.uniform(draw(0))

    def noise_double(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Return noise uniform on (-1, 1) in double precision; the key is consumed."""
        return jax.random.uniform(key, shape, jnp.float64, minval=-1.0, maxval=1.0)


@known_settings
@pytree_subclass
class Laplace(Perturbation):
    r"""Add independent Laplace noise to the coordinates: mostly small steps, some large.

    Maths: density :math:`\exp(-|x' - x| / b) / 2b` with :math:`b = f s`.
    Batching: one chain; the engine batches it.

    Args:
        scale: The parameter b, a scalar or pytree prefix of params; the standard deviation is
            1.41 b.
        bounds: As in :class:`Gaussian`.
        fraction: As in :class:`Gaussian`.
        target_acceptance: As in :class:`Gaussian`.
        coordinates: As in :class:`Gaussian`.

    Returns:
        A move.

    Raises:
        TypeError: As :class:`Gaussian`.
        ValueError: As :class:`Gaussian`.

    Example:
        >>> import jaxanneal as ja
        >>> new, _ = ja.moves.Laplace(scale=0.5).propose(jax.random.key(0), jnp.zeros(9), 1.0)
        >>> new.shape
        (9,)

    Reference: Kotz, Kozubowski and Podgorski, The Laplace Distribution and Generalizations (2001).
    """

    def noise(self, draw: Callable[[int], jax.Array]) -> jax.Array:
        """Return Laplace noise with b = 1."""
        return _noise.laplace(draw(0))

    def noise_double(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Return Laplace noise with b = 1 in double precision; the key is consumed."""
        return jax.random.laplace(key, shape, jnp.float64)


@known_settings
@pytree_dataclass
class StudentT(Perturbation):
    r"""Add independent Student t noise to the coordinates; ``df=1`` is Cauchy (fast annealing).

    Maths: :math:`x'_i = x_i + f s_i t_i`, where
    :math:`t = \sqrt{\nu (u^{-2/\nu} - 1)} \cos 2 \pi v` has exactly :math:`\nu` degrees of freedom
    for independent uniform u and v.
    Batching: one chain; the engine batches it.

    Args:
        df: Degrees of freedom, > 0; 1 is Cauchy.
        scale: s, a scalar or pytree prefix of params.
        bounds: As in :class:`Gaussian`.
        fraction: As in :class:`Gaussian`.
        target_acceptance: As in :class:`Gaussian`.
        coordinates: As in :class:`Gaussian`.

    Returns:
        A move.

    Raises:
        TypeError: As :class:`Gaussian`.
        ValueError: As :class:`Gaussian`.

    Example:
        >>> import jaxanneal as ja
        >>> new, _ = ja.moves.StudentT().propose(jax.random.key(0), jnp.zeros(9), 1.0)
        >>> new.shape
        (9,)

    Reference: Bailey, Math. Comp. 62, 779 (1994); Szu and Hartley, Phys. Lett. A 122, 157 (1987).
    """

    df: jax.Array

    def __init__(
        self,
        df: ArrayLike = 1.0,
        scale: Any = 0.1,
        bounds: Any = None,
        fraction: ArrayLike = 1.0,
        target_acceptance: ArrayLike | str | None = "auto",
        coordinates: ArrayLike | None = None,
    ):
        Perturbation.__init__(self, scale, bounds, fraction, target_acceptance, coordinates)
        remedy = "df=1 is Cauchy; for a normal use ja.moves.Gaussian."
        df = positive("StudentT.df", df, remedy, scalar=True)
        vars(self).update(df=df)

    def noise(self, draw: Callable[[int], jax.Array]) -> jax.Array:
        """Return Student t noise, cut at 1e30."""
        noise = _noise.student(draw(0), draw(1), self.df.astype(jnp.float32))
        return jnp.clip(noise, -_LARGEST, _LARGEST)

    def noise_double(self, key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
        """Return Student t noise in double precision, cut at 1e30; the key is consumed."""
        noise = _noise.student_double(key, shape, self.df.astype(jnp.float64))
        return jnp.clip(noise, -_LARGEST, _LARGEST)
