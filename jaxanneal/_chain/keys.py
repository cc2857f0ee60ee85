"""Random keys: what a user may pass, and the named streams that every draw comes from.

A draw's key is folded from (run key, purpose, chain, step), that of all swaps of a phase from (run
key, purpose, step), so any step of any chain can be redone alone, and neither chunks nor devices
nor the batch width change a random number. Whatever key a user passes, only its words are taken:
the run's own key is made of them, of the type of ``generator``, and the moves and initialisers of
users are given keys of that type.
"""

import zlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxanneal._chain.generator import IMPLEMENTATION, from_words
from jaxanneal._checks import refusal, shown

# Purposes, folded into the run key first: one stream for each kind of draw.
MOVE, EXCHANGE, START, CALIBRATION, SEARCH, CHOICE = range(6)

# The two draws of one Metropolis step, folded into the step's key last.
PROPOSAL, ACCEPTANCE = range(2)


def as_key(key: Any) -> jax.Array:
    """Return a key of our own type, made of an int seed, a typed key or a raw ``uint32`` key.

    A seed, its typed threefry key and its raw key make the same; one of our own type stays itself.
    So, as in JAX, seeds count modulo 2^32 where double precision is off.

    Args:
        key: Its words are read; it stays the caller's, who must not use it for anything else.

    Returns:
        A typed JAX key, shape ``[]``.

    Raises:
        TypeError: ``key`` is none of the three, or a batch of keys.
        ValueError: A seed does not fit 64 bits.
    """
    expected, key = "an int seed, a typed JAX key or a raw uint32 key", as_seed(key)
    remedy = "Pass key=0 or key=jax.random.key(0)."
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        if not -(2**63) <= int(key) < 2**63:
            raise ValueError(refusal("key", "a seed of at most 64 bits", key, remedy))
        return _of_words(seed_words(key))
    if not isinstance(key, jax.Array | np.ndarray):
        raise TypeError(refusal("key", expected, shown(key), remedy))
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.dtype != jnp.uint32 or key.shape != (2,):
            raise TypeError(refusal("key", expected, f"{key.dtype}{list(key.shape)}", remedy))
        return _of_words(key)
    assert isinstance(key, jax.Array)
    if key.shape != ():
        raise TypeError(refusal("key", "one key", f"a batch of shape {key.shape}", remedy))
    kind = jax.random.key_impl(key)
    if kind == IMPLEMENTATION:
        return key
    words = jax.random.key_data(key).reshape(-1)
    if str(kind) == "threefry2x32":
        return _of_words(words)
    # Its name too: keys of two kinds with the same words are different keys.
    name = np.array([zlib.crc32(str(kind).encode())], np.uint32)
    return _of_words(jnp.concatenate([name, words]))


def as_seed(key: Any) -> Any:
    """Return a seed that is an array of no axes as a number, and any other key as it is."""
    is_array = isinstance(key, jax.Array | np.ndarray) and not isinstance(key, Tracer)
    is_seed = is_array and key.shape == () and jnp.issubdtype(key.dtype, jnp.integer)
    return np.asarray(key)[()] if is_seed else key


def seed_words(seed: int | np.integer) -> np.ndarray:
    """Return the words of ``jax.random.key(seed)``, ``uint32 [2]``, without compiling for them.

    JAX drops the upper 32 bits without double precision, and has none of narrower NumPy integers.
    """
    wide = jax.dtypes.canonicalize_dtype(np.int64) == np.int64
    if isinstance(seed, np.integer):
        wide = wide and seed.itemsize == 8
    high = int(seed) >> 32 & 0xFFFFFFFF if wide else 0
    return np.array([high, int(seed) & 0xFFFFFFFF], np.uint32)


def _of_words(words: Any) -> jax.Array:
    return from_data(from_words(jnp.asarray(words)))


def from_data(data: jax.Array) -> jax.Array:
    """Return the key of our own type with these two words, which ``jax.random.key_data`` gave."""
    return jax.random.wrap_key_data(data, impl=IMPLEMENTATION)


def stream(key: jax.Array, purpose: int, index: jax.typing.ArrayLike) -> jax.Array:
    """Return the key of one chain for one purpose, to fold the step into, or of one swap phase.

    Batching: ``index`` may be any integer array under ``vmap``. The run key is folded, not
    consumed.
    """
    return jax.random.fold_in(jax.random.fold_in(key, purpose), index)


@jax.jit  # or each of its operations would be compiled by itself, for the first run of a process
def calibration_key(key: jax.Array, pilot: jax.typing.ArrayLike) -> jax.Array:
    """Return the key of one pilot of a calibration, the run key of that short run.

    Batching: ``pilot`` and ``key`` may be batched under ``vmap``. The run key is folded.
    """
    return stream(key, CALIBRATION, pilot)


@jax.jit  # as above
def search_key(key: jax.Array, search: jax.typing.ArrayLike) -> jax.Array:
    """Return the key of one search of ``minimize``. The key of the call is folded."""
    return stream(key, SEARCH, search)
