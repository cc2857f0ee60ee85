"""Moves of bool and integer parameters: change exactly one site."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxanneal._chain import keys
from jaxanneal._chain.parameters import Parameters, require_kind
from jaxanneal._checks import number, refusal
from jaxanneal._pytree import pytree_dataclass
from jaxanneal._settings import known_settings
from jaxanneal.moves._bounds import FARTHEST, as_bounds, check_bounds, limits_of, reflect_integer
from jaxanneal.moves._sites import one_free, one_site

_PER_LEAF = "Use ja.moves.PerLeaf, with a move for each kind of leaf."


@known_settings
@pytree_dataclass
class Flip:
    """Flip exactly one site, chosen uniformly among all sites of all bool leaves.

    Maths: :math:`q(x'|x) = 1/n` for each of the n states x' that differ from x in one site.
    Batching: one chain; the engine batches it.

    Args:
        None.

    Returns:
        A move.

    Raises:
        TypeError: A leaf of params is not bool.

    Example:
        >>> import jaxanneal as ja
        >>> new, _ = ja.moves.Flip().propose(jax.random.key(0), jnp.zeros(8, bool), 1.0)
        >>> int(new.sum())
        1

    Reference: Glauber, J. Math. Phys. 4, 294 (1963).
    """

    def propose(self, key: jax.Array, params: Any, factor: ArrayLike) -> tuple[Any, jax.Array]:
        """Return the parameters with one site flipped; the key is consumed."""
        del factor
        parameters = require_kind(params, jnp.bool_, "bool", _PER_LEAF)
        sites = one_site(keys.as_key(key), parameters.leaves)
        pairs = zip(parameters.leaves, sites, strict=True)
        changed = [leaf ^ here for leaf, here in pairs]
        return parameters.with_leaves(changed).tree, jnp.zeros(())

    def check(self, params: Any) -> None:
        """Refuse parameters with a leaf that is not bool."""
        require_kind(params, jnp.bool_, "bool", _PER_LEAF)


@known_settings
@pytree_dataclass
class IntegerStep:
    """Move exactly one site, chosen uniformly among all integer sites, by up to ``width``.

    Maths: the step is uniform on {-w, ..., -1, 1, ..., w}. Bounds include both ends and reflect at
    the half-integers (lower - 1 goes to lower), which keeps the move symmetric. A site of two
    values takes the other one; equal bounds hold a site, which is never chosen.
    Batching: one chain; the engine batches it.

    Args:
        width: The longest step w, integer >= 1.
        bounds: ``(lower, upper)``, each an integer scalar or pytree prefix of params, both
            included, or pairs as in :class:`Gaussian`; ``None``: none.

    Returns:
        A move.

    Raises:
        TypeError: A leaf of params is not an integer.
        ValueError: A setting is out of range, is no prefix of params, or excludes the start.

    Example:
        >>> import jaxanneal as ja
        >>> move = ja.moves.IntegerStep(width=2, bounds=(0, 5))
        >>> new, _ = move.propose(jax.random.key(0), jnp.zeros(3, int), 1.0)
        >>> bool(jnp.all((new >= 0) & (new <= 2)))
        True

    Reference: Metropolis et al., J. Chem. Phys. 21, 1087 (1953).
    """

    width: jax.Array
    bounds: Any

    def __init__(self, width: ArrayLike = 1, bounds: Any = None):
        remedy = "Use 1 for the smallest step."
        valid = lambda x: (x >= 1) & (x < 2**29)  # noqa: E731
        path, expected = "IntegerStep.width", "an integer >= 1"
        width = number(path, width, expected, valid, remedy, int, scalar=True)
        pair = as_bounds("IntegerStep.bounds", bounds, _as_integer)
        vars(self).update(width=width.astype(jnp.int32), bounds=pair)

    def propose(self, key: jax.Array, params: Any, factor: ArrayLike) -> tuple[Any, jax.Array]:
        """Return the parameters with one site moved; the key is consumed."""
        del factor
        parameters = require_kind(params, jnp.integer, "an integer", _PER_LEAF)
        site_key, step_key = jax.random.split(keys.as_key(key))
        step = jax.random.randint(step_key, (), -self.width, self.width, jnp.int32)
        step = jnp.where(step >= 0, step + 1, step)  # leaves zero out
        if self.bounds is None:
            sites = one_site(site_key, parameters.leaves)
            places = zip(parameters.leaves, sites, strict=True)
            moved = [leaf + jnp.where(here, step, 0).astype(leaf.dtype) for leaf, here in places]
        else:
            lower, upper = self._limits(parameters)
            free = [low < high for low, high in zip(lower, upper, strict=True)]
            every = jnp.all(jnp.stack([jnp.all(own) for own in free]))
            sites = jax.lax.cond(every, one_site, one_free, site_key, free)
            places = zip(parameters.leaves, sites, lower, upper, strict=True)
            moved = [_reflected(leaf, here, step, low, high) for leaf, here, low, high in places]
        return parameters.with_leaves(moved).tree, jnp.zeros(())

    def check(self, params: Any) -> None:
        """Refuse parameters that are no integers or lie outside the bounds."""
        parameters = require_kind(params, jnp.integer, "an integer", _PER_LEAF)
        if self.bounds is not None:
            check_bounds("IntegerStep.bounds", self._limits(parameters), parameters)

    def _limits(self, parameters: Parameters) -> list[tuple[Any, ...]]:
        limits = []
        for side, own in enumerate(limits_of("IntegerStep.bounds", self.bounds, parameters)):
            path, places = f"IntegerStep.bounds[{side}]", zip(own, parameters.leaves, strict=True)
            limits.append(tuple(_fitting(path, limit, leaf.dtype) for limit, leaf in places))
        return limits


def _as_integer(path: str, limit: Any) -> jax.Array:
    """Return a bound in 32 bits, where twice the width must fit; an open end is the farthest."""
    expected = f"integers from {-FARTHEST} to {FARTHEST}"
    remedy = "Use None where there is no bound, or shift the variable."
    valid = lambda x: ((x == np.round(x)) & (np.abs(x) <= FARTHEST)) | np.isinf(x)  # noqa: E731
    checked = number(path, limit, expected, valid, remedy)
    if isinstance(checked, Tracer):
        return checked.astype(jnp.int32)
    exact = np.clip(np.asarray(limit, np.float64), -FARTHEST, FARTHEST)  # more digits than float32
    return jnp.asarray(exact.astype(np.int32))


def _fitting(path: str, limit: jax.Array, dtype: Any) -> jax.Array:
    """Return a bound that values of ``dtype`` can reach, or refuse it; an open end is its last."""
    last = jnp.iinfo(dtype)
    ends = max(int(last.min), -FARTHEST), min(int(last.max), FARTHEST)
    limit = jnp.where(jnp.abs(limit) == FARTHEST, jnp.clip(limit, *ends), limit)
    if not isinstance(limit, Tracer) and bool(jnp.any((limit < ends[0]) | (limit > ends[1]))):
        remedy = "Use a wider dtype, or None where there is no bound."
        raise ValueError(refusal(path, f"values of {dtype}, {list(ends)}", limit, remedy))
    return limit


def _reflected(
    leaf: jax.Array, here: jax.Array, step: jax.Array, low: jax.Array, high: jax.Array
) -> jax.Array:
    # In 32 bits, or an int8 next to its bound would wrap before it is reflected.
    value = leaf.astype(jnp.int32)
    new = reflect_integer(value + step, low, high)
    # Of two values the other one: half of the steps would be reflected to where they began.
    new = jnp.where(high - low == 1, low + high - value, new)
    return jnp.where(here, new, value).astype(leaf.dtype)
