"""Random keys: what a user may pass, and the named streams that every draw comes from.

A draw's key is folded from (run key, purpose, chain or ladder, step), so any step of any chain can
be redone alone, and neither chunks nor devices nor the batch width change a random number.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._numbers import refusal

# Purposes, folded into the run key first: one stream for each kind of draw.
MOVE, EXCHANGE, START, CALIBRATION = range(4)

# The two draws of one Metropolis step, folded into the step's key last.
PROPOSAL, ACCEPTANCE = range(2)

# Their draws under vmap differ from those of one chain alone, so a chain would depend on its batch.
_UNBATCHABLE = ("rbg", "unsafe_rbg")


def as_key(key: Any) -> jax.Array:
    """Return a typed scalar key made from an int seed, a typed key or a raw ``uint32`` key.

    Args:
        key: Folded: it stays the caller's, who must not use it for anything else.

    Returns:
        A typed JAX key, shape ``[]``.

    Raises:
        TypeError: ``key`` is none of the three, a batch of keys, or of a kind whose draws change
            under ``vmap`` (``rbg``).
        ValueError: A seed does not fit 64 bits.
    """
    expected = "an int seed, a typed JAX key or a raw uint32 key"
    remedy = "Pass key=0 or key=jax.random.key(0)."
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        if not -(2**63) <= int(key) < 2**63:
            raise ValueError(refusal("key", "a seed of at most 64 bits", key, remedy))
        return jax.random.key(int(key), impl="threefry2x32")
    if not isinstance(key, jax.Array | np.ndarray):
        raise TypeError(refusal("key", expected, repr(key), remedy))
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.dtype != jnp.uint32 or key.shape != (2,):
            raise TypeError(refusal("key", expected, f"{key.dtype}{list(key.shape)}", remedy))
        return jax.random.wrap_key_data(jnp.asarray(key), impl="threefry2x32")
    assert isinstance(key, jax.Array)
    if key.shape != ():
        raise TypeError(refusal("key", "one key", f"a batch of shape {key.shape}", remedy))
    implementation = str(jax.random.key_impl(key))
    if any(name in implementation for name in _UNBATCHABLE):
        expected = "a key type whose draws do not change under vmap"
        remedy = "Use jax.random.key(0, impl='threefry2x32')."
        raise TypeError(refusal("key", expected, implementation, remedy))
    return key


def stream(key: jax.Array, purpose: int, index: jax.typing.ArrayLike) -> jax.Array:
    """Return the key of one chain or ladder for one purpose; fold the step into it.

    Batching: ``index`` may be any integer array under ``vmap``. The run key is folded, not
    consumed.
    """
    return jax.random.fold_in(jax.random.fold_in(key, purpose), index)
