"""A counter-based generator of random bits as a key type of JAX, for ``jax.random.*`` to draw from.

A draw is a hash of (key, counter), two multiplications of 32 bits without loops or concatenations:
XLA fuses it into whatever uses it. A key's own draws number its counters 0, 1, 2, ..., so neither
``vmap`` nor the width of a batch changes a bit. Not for cryptography.

Reference: Salmon et al., Parallel random numbers: as easy as 1, 2, 3, SC (2011), for counters;
Steele, Lea and Flood, OOPSLA (2014), for keys that split; Mulvey and Wellons, Prospecting for hash
functions (2018), for the constants.
"""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax.extend.random import define_prng_impl

# Multipliers and shifts with the least bias of all that were searched for two rounds of 32 bits.
_FIRST, _SECOND = 0x21F0AAAD, 0xD35A2D97

# One for each use of a key: what it draws, splits into and is folded into must not be related.
_FOLD, _SPLIT, _HIGH_WORD = 0x9E3779B9, 0x85157AF5, 0x632BE5AB


def bits(key: jax.Array, counter: jax.Array) -> jax.Array:
    """Return 32 random bits for each counter.

    Batching: ``counter`` may have any shape.

    Args:
        key: The two words of a key, ``uint32 [2]``.
        counter: ``uint32 [...]``.
    """
    x = counter ^ key[0]
    first = (x ^ (x >> 16)) * jnp.uint32(_FIRST)
    # The second word enters between the rounds, or two keys would draw one sequence, reordered.
    x = first ^ key[1]
    x = (x ^ (x >> 15)) * jnp.uint32(_SECOND)
    # Without the first round's result no word would come twice before all 2^32 others.
    return x ^ (x >> 15) ^ (first >> 7)


def words(key: jax.Array, first: int, shape: Sequence[int]) -> jax.Array:
    """Return words of the key's own draw from number ``first`` on, ``uint32 [*shape]``.

    ``words(key, 0, shape)`` is ``jax.random.bits(key, shape, jnp.uint32)``, and several arrays may
    share one draw, which saves a key for each.

    Args:
        key: A key of our own type, consumed as far as its words go.
        first: Number of the first word.
        shape: Shape of the result.
    """
    return bits(jax.random.key_data(key), _counters(shape) + jnp.uint32(first))


def _mixed(x: jax.Array) -> jax.Array:
    x = (x ^ (x >> 16)) * jnp.uint32(_FIRST)
    x = (x ^ (x >> 15)) * jnp.uint32(_SECOND)
    return x ^ (x >> 15)


def _derived(key: jax.Array, word: jax.Array, use: int) -> tuple[jax.Array, jax.Array]:
    """Return the two words of another key: for one use, a bijection of (key ^ word)."""
    first = _mixed(key[0] ^ word)
    second = _mixed(first + (key[1] ^ jnp.uint32(use)))
    third = _mixed(first ^ (second << 16 | second >> 16))
    return second + third, third


def _fold_in(key: jax.Array, data: jax.Array) -> jax.Array:
    return jnp.stack(_derived(key, data.astype(jnp.uint32), _FOLD))


def _split(key: jax.Array, shape: Sequence[int]) -> jax.Array:
    return jnp.stack(_derived(key, _counters(shape), _SPLIT), axis=-1)


def _seed(seed: jax.Array) -> jax.Array:
    low = seed.astype(jnp.uint32)
    # As JAX's own key types have it: in 32 bits there is no upper word, of a negative seed neither.
    high = seed >> 32 if jnp.iinfo(seed.dtype).bits == 64 else jnp.zeros_like(seed)
    high = high.astype(jnp.uint32)
    return from_words(jnp.stack([high, low]))


@jax.jit  # or each of its operations would be compiled by itself, for the first key of a process
def from_words(words: jax.Array) -> jax.Array:
    """Return a key, ``uint32 [2]``, made of any number of 32-bit words, ``uint32 [n]``."""
    key = jnp.zeros(2, jnp.uint32)
    for index in range(words.shape[0]):
        key = _fold_in(key, words[index])
    return key


def _random_bits(key: jax.Array, width: int, shape: Sequence[int]) -> jax.Array:
    counters = _counters(shape)
    low = bits(key, counters)
    if width < 32:  # the low bits of a product are the weaker ones
        return (low >> (32 - width)).astype(f"uint{width}")
    if width == 32:
        return low
    high = bits(jnp.stack(_derived(key, jnp.uint32(0), _HIGH_WORD)), counters)
    return high.astype(jnp.uint64) << 32 | low.astype(jnp.uint64)


def _counters(shape: Sequence[int]) -> jax.Array:
    """Return the numbers 0, 1, 2, ... in row-major order."""
    if math.prod(shape) > 2**32:
        raise ValueError(
            f"shape: expected at most 2**32 draws from one key, got {tuple(shape)}. Split the key."
        )
    total = jnp.zeros(shape, jnp.uint32)
    for axis in range(len(shape)):
        stride = math.prod(shape[axis + 1 :])
        place = jax.lax.broadcasted_iota(jnp.uint32, tuple(shape), axis)
        total = total + place * jnp.uint32(stride % 2**32)
    return total


IMPLEMENTATION = define_prng_impl(
    key_shape=(2,),
    seed=_seed,
    split=_split,
    random_bits=_random_bits,
    fold_in=_fold_in,  # pyright: ignore[reportArgumentType]
    name="jaxanneal",
    tag="jaxanneal",
)
