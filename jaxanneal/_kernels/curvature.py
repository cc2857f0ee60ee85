"""What a descent knows of the curvature: an approximation of the inverse Hessian.

Few coordinates have all of it (BFGS), many the last pairs of changes alone (L-BFGS). For one chain.
"""

from typing import Any

import jax
import jax.numpy as jnp

from jaxanneal._pytree import pytree_dataclass

# Up to so many coordinates a whole matrix is cheaper than pairs, and knows more.
_FEW = 40

# Pairs of changes that are remembered otherwise.
_PAIRS = 6


@pytree_dataclass
class Matrix:
    """The whole approximation, of BFGS.

    Args:
        inverse: The inverse Hessian, float ``[d, d]``.
        known: Whether a pair has been taken in, bool ``[]``.
    """

    inverse: jax.Array
    known: jax.Array

    def after(self, change: jax.Array, bend: jax.Array, scale: jax.Array) -> "Matrix":
        """Return it with one pair of changes taken in.

        Args:
            change: Change of the position, float ``[d]``.
            bend: Change of the gradient along with it; ``change @ bend`` is positive.
            scale: What to begin with, if this is the first pair, float ``[]``.
        """
        begun = scale * jnp.eye(change.size, dtype=change.dtype)
        old = jnp.where(self.known, self.inverse, begun)
        curvature = jnp.sum(change * bend)
        image = jnp.sum(old * bend[None], axis=1) / curvature
        both = change[:, None] * image[None]
        share = (1 + jnp.sum(bend * image)) / curvature
        new = old - both - both.T + share * change[:, None] * change[None]
        return Matrix(new, jnp.asarray(True))

    def times(self, vector: jax.Array, scale: jax.Array) -> jax.Array:
        """Return the product of the inverse Hessian with a vector."""
        known = jnp.sum(self.inverse * vector[None], axis=1)
        return jnp.where(self.known, known, scale * vector)


@pytree_dataclass
class Pairs:
    """The last pairs of changes, the newest first, of L-BFGS.

    Args:
        changes: Changes of the position, float ``[pairs, d]``.
        bends: Changes of the gradient along with them, likewise.
        inverses: One over the product of both, 0 for none, float ``[pairs]``.
    """

    changes: jax.Array
    bends: jax.Array
    inverses: jax.Array

    def after(self, change: jax.Array, bend: jax.Array, scale: jax.Array) -> "Pairs":
        """Return them with a new pair in the place of the oldest, as for :class:`Matrix`."""
        new = (change, bend, 1 / jnp.sum(change * bend))
        old = (self.changes, self.bends, self.inverses)
        pushed = (
            jnp.concatenate([newest[None], rest[:-1]])
            for newest, rest in zip(new, old, strict=True)
        )
        return Pairs(*pushed)

    def times(self, vector: jax.Array, scale: jax.Array) -> jax.Array:
        """Return the product of the inverse Hessian with a vector, by the two-loop recursion."""
        weights = []
        for index in range(_PAIRS):
            weight = self.inverses[index] * jnp.sum(self.changes[index] * vector)
            vector = vector - weight * self.bends[index]
            weights.append(weight)
        vector = vector * scale
        for index in reversed(range(_PAIRS)):
            weight = weights[index] - self.inverses[index] * jnp.sum(self.bends[index] * vector)
            vector = vector + weight * self.changes[index]
        return vector


def nothing_known(coordinates: int, dtype: Any) -> Matrix | Pairs:
    """Return what is known of the curvature in the beginning."""
    if coordinates <= _FEW:
        return Matrix(jnp.zeros((coordinates, coordinates), dtype), jnp.asarray(False))
    pairs = jnp.zeros((_PAIRS, coordinates), dtype)
    return Pairs(pairs, pairs, jnp.zeros(_PAIRS, dtype))
