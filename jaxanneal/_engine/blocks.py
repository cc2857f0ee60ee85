"""Blocks: chains run in batches of one fixed width, the last one padded.

The last bits of an energy depend on the width of the batch that it is evaluated in, so one width
for every chain keeps results independent of how many chains, chunks or devices there are.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

# A block of this many bytes of state stays in a core's share of the last cache; narrower ones leave
# vector units idle (64 chains of 2,410 floats cost 1.39 times the bare energy, 256 of them 1.18),
# and wider ones than 1,024 lanes gain nothing. Of 4,096 to 8,191 chains a block holds 512: what a
# wider one copies would show in the memory of chains of few parameters.
_CPU_BYTES, _CPU_LANES = 2**23, 1024
_ACCELERATOR_BYTES = 2**31


def default_width(chains: int, bytes_per_chain: int, backend: str) -> int:
    """Return the block width for a number of chains: never more, whatever the devices.

    Args:
        chains: Number of chains.
        bytes_per_chain: Bytes of one chain's parameters.
        backend: ``"cpu"``, ``"gpu"`` or ``"tpu"``.
    """
    state = 3 * max(bytes_per_chain, 1)  # current, best and proposal
    if backend == "cpu":
        most = _CPU_LANES // 2 if 4 <= chains // _CPU_LANES < 8 else _CPU_LANES
        fitting = max(64, min(most, _CPU_BYTES // state))
    else:
        fitting = max(1024, _ACCELERATOR_BYTES // state)
    return equal_width(chains, 2 ** (fitting.bit_length() - 1))


def equal_width(chains: int, most: int) -> int:
    """Return the width of as few blocks of equal width as there can be, ``most`` or less.

    So less than one lane of each block is padding, which costs what a chain costs.
    """
    return -(-chains // -(-chains // most))


def padded_count(chains: int, width: int) -> int:
    """Return the number of lanes in whole blocks of ``width``."""
    return -(-chains // width) * width


def over_chains(function: Callable[..., Any], batched: Any, width: int) -> Any:
    """Apply ``function`` to each of many chains, in blocks of one fixed width.

    Args:
        function: Takes one chain's slice of ``batched``; must be pure.
        batched: Any pytree with a leading chain axis.
        width: Chains per block.

    Returns:
        The stacked results, without padding.
    """
    count = jax.tree.leaves(batched)[0].shape[0]
    total = padded_count(count, width)
    if total == width:
        padded = jax.tree.map(lambda x: pad(x, total), batched)
        return jax.tree.map(lambda x: x[:count], _isolated(function, padded))
    blocks = jax.tree.map(
        lambda x: pad(x, total).reshape((total // width, width, *x.shape[1:])), batched
    )
    results = jax.lax.map(lambda block: _isolated(function, block), blocks)
    return jax.tree.map(lambda x: x.reshape((total, *x.shape[2:]))[:count], results)


def _isolated(function: Callable[..., Any], block: Any) -> Any:
    """Apply ``function`` to each chain of a block in a loop body of its own.

    XLA fuses a block with what makes it and with what uses its results, and the last bits of a sum
    depend on that: one block alone would differ from the same block among others. It removes
    optimization barriers before it fuses, unrolls a loop whose single turn it can foresee and
    hoists what does not change from turn to turn; here it can do neither.
    """
    filled = next(leaf for leaf in jax.tree.leaves(block) if leaf.size)
    first = filled.reshape(-1)[0].astype(jnp.int32)
    once = 1 + (first * first & 2)  # no square of an integer has that bit

    def turn(carry: tuple[jax.Array, Any]) -> tuple[jax.Array, Any]:
        index, _ = carry
        same = jax.tree.map(lambda x: jnp.where(index < once, x, jnp.zeros_like(x)), block)
        return index + 1, jax.vmap(function)(same)

    shapes = jax.eval_shape(jax.vmap(function), block)
    nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
    start = (jnp.zeros((), jnp.int32), nothing)
    return jax.lax.while_loop(lambda carry: carry[0] < once, turn, start)[1]


def pad(array: jax.Array, total: int) -> jax.Array:
    """Lengthen the leading axis to ``total`` by copies of the first entry, a sound chain."""
    missing = total - array.shape[0]
    if missing == 0:
        return array
    return jnp.concatenate([array, jnp.repeat(array[:1], missing, axis=0)])
