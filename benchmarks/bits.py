"""``python -m benchmarks.bits | dieharder -a -g 200``: a standard battery over our random words.

The words come in the order in which a run uses them: step by step, in each step chain by chain, and
for each chain those of its proposal, coordinate by coordinate, then that of its decision.
"""

import functools
import sys

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain import keys as _keys

# Few coordinates, so that many keys are used; 1,024 steps of all chains are made at a time.
COORDINATES, CHAINS, STEPS = 15, 64, 1024


@functools.partial(jax.jit, static_argnums=(2, 3))
def words(seed_key: jax.Array, first: jax.Array, chains: int, steps: int) -> jax.Array:
    """Return the words of some steps of all chains, ``uint32 [steps, chains, words]``.

    Args:
        seed_key: The run key.
        first: Number of the first step, int ``[]``.
        chains: Number of chains.
        steps: Number of steps.
    """
    keys = jax.vmap(lambda n: _keys.stream(seed_key, _keys.MOVE, n))(jnp.arange(chains))
    numbers = first + jnp.arange(steps)
    return jax.vmap(lambda step: jax.vmap(lambda key: _words_of(key, step))(keys))(numbers)


def _words_of(chain_key: jax.Array, step: jax.Array) -> jax.Array:
    key = jax.random.fold_in(chain_key, step)
    proposal = jax.random.fold_in(key, _keys.PROPOSAL)
    noise = jax.random.bits(proposal, (COORDINATES,), jnp.uint32)
    decision = jax.random.bits(jax.random.fold_in(key, _keys.ACCEPTANCE), (1,), jnp.uint32)
    return jnp.concatenate([noise, decision])


def main(seed: int = 0) -> None:
    """Write words to the standard output until nobody reads them."""
    key, first = _keys.as_key(seed), 0
    while True:
        block = words(key, jnp.asarray(first), CHAINS, STEPS)
        try:
            sys.stdout.buffer.write(np.asarray(block).tobytes())
        except BrokenPipeError:
            return
        first += STEPS


if __name__ == "__main__":
    main()
