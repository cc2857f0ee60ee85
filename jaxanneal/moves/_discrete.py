"""Moves of bool and integer parameters: change exactly one site."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxanneal._chain import keys
from jaxanneal._chain.parameters import Parameters, per_parameter, require_kind
from jaxanneal._checks import number, refusal
from jaxanneal._pytree import pytree_dataclass
from jaxanneal.moves._bounds import as_bounds, check_bounds, reflect_integer

_FARTHEST = 2**29 - 1

_PER_LEAF = "Use ja.moves.PerLeaf, with a move for each kind of leaf."


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
        changed = [leaf ^ here for leaf, here in _one_site(keys.as_key(key), parameters)]
        return parameters.with_leaves(changed).tree, jnp.zeros(())

    def check(self, params: Any) -> None:
        """Refuse parameters with a leaf that is not bool."""
        require_kind(params, jnp.bool_, "bool", _PER_LEAF)


@pytree_dataclass
class IntegerStep:
    """Move exactly one site, chosen uniformly among all integer sites, by up to ``width``.

    Maths: the step is uniform on {-w, ..., -1, 1, ..., w}. Bounds include both ends and reflect at
    the half-integers (lower - 1 goes to lower), which keeps the move symmetric.
    Batching: one chain; the engine batches it.

    Args:
        width: The longest step w, integer >= 1.
        bounds: ``(lower, upper)``, each an integer scalar or pytree prefix of params, both
            included; ``None``: none.

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

    def __init__(self, width: ArrayLike = 1, bounds: tuple[Any, Any] | None = None):
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
        sites = _one_site(site_key, parameters)
        if self.bounds is None:
            moved = [leaf + jnp.where(here, step, 0).astype(leaf.dtype) for leaf, here in sites]
        else:
            lower, upper = self._limits(parameters)
            moved = [
                _reflected(leaf, jnp.where(here, step, 0), low, high)
                for (leaf, here), low, high in zip(sites, lower, upper, strict=True)
            ]
        return parameters.with_leaves(moved).tree, jnp.zeros(())

    def check(self, params: Any) -> None:
        """Refuse parameters that are no integers or lie outside the bounds."""
        parameters = require_kind(params, jnp.integer, "an integer", _PER_LEAF)
        if self.bounds is not None:
            check_bounds("IntegerStep.bounds", self._limits(parameters), parameters)

    def _limits(self, parameters: Parameters) -> list[tuple[Any, ...]]:
        limits = []
        for side, bound in enumerate(self.bounds):
            path = f"IntegerStep.bounds[{side}]"
            places = zip(per_parameter(path, bound, parameters), parameters.leaves, strict=True)
            limits.append(tuple(_fitting(path, limit, leaf.dtype) for limit, leaf in places))
        return limits


def _as_integer(path: str, limit: Any) -> jax.Array:
    """Return a bound in 32 bits, where twice the width must fit; an open end is the farthest."""
    expected = f"integers from {-_FARTHEST} to {_FARTHEST}"
    remedy = "Use None where there is no bound, or shift the variable."
    valid = lambda x: ((x == np.round(x)) & (np.abs(x) <= _FARTHEST)) | np.isinf(x)  # noqa: E731
    checked = number(path, limit, expected, valid, remedy)
    if isinstance(checked, Tracer):
        return checked.astype(jnp.int32)
    exact = np.clip(
        np.asarray(limit, np.float64), -_FARTHEST, _FARTHEST
    )  # more digits than float32
    return jnp.asarray(exact.astype(np.int32))


def _fitting(path: str, limit: jax.Array, dtype: Any) -> jax.Array:
    """Return a bound that values of ``dtype`` can reach, or refuse it; an open end is its last."""
    last = jnp.iinfo(dtype)
    ends = max(int(last.min), -_FARTHEST), min(int(last.max), _FARTHEST)
    limit = jnp.where(jnp.abs(limit) == _FARTHEST, jnp.clip(limit, *ends), limit)
    if not isinstance(limit, Tracer) and bool(jnp.any((limit < ends[0]) | (limit > ends[1]))):
        remedy = "Use a wider dtype, or None where there is no bound."
        raise ValueError(refusal(path, f"values of {dtype}, {list(ends)}", limit, remedy))
    return limit


def _reflected(leaf: jax.Array, step: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
    # In 32 bits, or an int8 next to its bound would wrap before it is reflected.
    return reflect_integer(leaf.astype(jnp.int32) + step, low, high).astype(leaf.dtype)


def _one_site(key: jax.Array, parameters: Parameters) -> list[tuple[jax.Array, jax.Array]]:
    """Return each leaf with a mask; one site of all masks together is true."""
    total = sum(leaf.size for leaf in parameters.leaves)
    site = jax.random.randint(key, (), 0, total)
    pairs, offset = [], 0
    for leaf in parameters.leaves:
        here = jnp.arange(offset, offset + leaf.size).reshape(leaf.shape) == site
        pairs.append((leaf, here))
        offset += leaf.size
    return pairs
