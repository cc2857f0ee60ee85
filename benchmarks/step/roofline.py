"""What a step costs at least on this device: the time of its bytes, or that of its operations."""

import statistics
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from benchmarks.memory import bytes_of
from benchmarks.workloads import Workload

_REPEATS, _TURNS, _SIDE, _COPIED = 7, 20, 8192, 2**30


class Peaks(NamedTuple):
    """What the device reached, measured.

    Args:
        bytes_per_second: Read and written by a copy of a GiB.
        operations_per_second: Of a product of two float32 matrices, in JAX's default precision.
    """

    bytes_per_second: float
    operations_per_second: float


def peaks() -> Peaks:
    """Measure the device."""
    square = jnp.full((_SIDE, _SIDE), 1.0 / _SIDE)
    copied = _median(lambda x: -x, jnp.ones(_COPIED // 4))
    multiplied = _median(lambda x: x @ square, square)
    return Peaks(2 * _COPIED / copied, 2 * _SIDE**3 / multiplied)


def _median(function: Callable[[jax.Array], jax.Array], x: jax.Array) -> float:
    """Return the seconds of one turn of a loop, for one call alone is mostly the host's.

    XLA does not know how many turns there are, or of two negations it could make none.
    """
    loop = jax.jit(lambda x, n: jax.lax.fori_loop(0, n, lambda _, x: function(x), x))
    turns = jnp.asarray(_TURNS)
    loop(x, turns).block_until_ready()
    seconds = []
    for _ in range(_REPEATS):
        began = time.perf_counter()
        loop(x, turns).block_until_ready()
        seconds.append((time.perf_counter() - began) / _TURNS)
    return statistics.median(seconds)


def least_seconds(workload: Workload, starts: Any, limit: Peaks) -> float:
    """Return the least seconds of a step: states read and written once, the data read, the energy.

    The energy's operations are those that XLA counts before it optimises, all as if they were of
    products of matrices, which are the fastest; sines and logarithms are not among them.
    """
    axes = (0, *(None for _ in workload.args))
    energies = jax.jit(jax.vmap(workload.energy, in_axes=axes))
    analysis: Any = energies.lower(starts, *workload.args).cost_analysis()
    moved = 2 * bytes_of(starts) + bytes_of(workload.args)
    return max(
        moved / limit.bytes_per_second,
        (analysis or {}).get("flops", 0.0) / limit.operations_per_second,
    )
