"""The bare vmapped energy, compiled: what every solver is compared with."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.workloads import Workload
from jaxanneal._engine.compile import own_options


def bare(workload: Workload, starts: Any) -> tuple[list[Callable[[int], None]], float]:
    """Return the bare evaluations in the order of ``BARE``, and the seconds of compiling one.

    The last one, with flags of ours, is missing where there are none.
    """
    energy, args = workload.energy, workload.args
    began = time.perf_counter()
    batched = jax.jit(jax.vmap(energy, in_axes=(0, *(None for _ in args))))
    batched = batched.lower(starts, *args).compile()
    compiling = time.perf_counter() - began

    def calls(steps: int) -> None:
        for _ in range(steps):
            values = batched(starts, *args)
        jax.block_until_ready(values)

    looped = jax.jit(lambda params, steps: loop(energy, params, args, steps)[1])

    def scan(steps: int) -> None:
        jax.block_until_ready(looped(starts, jnp.asarray(steps)))

    options = own_options(None)
    if options is None:
        return [calls, scan], compiling
    as_ours = looped.lower(starts, jnp.asarray(1)).compile(options)

    def told(steps: int) -> None:
        jax.block_until_ready(as_ours(starts, jnp.asarray(steps)))

    return [calls, scan, told], compiling


def loop(energy: Any, params: Any, args: tuple[Any, ...], steps: Any) -> tuple[Any, jax.Array]:
    """Evaluate chains again and again; every parameter is touched, or XLA would do it once."""
    axes = (0, *(None for _ in args))

    def body(_: Any, carry: tuple[Any, jax.Array]) -> tuple[Any, jax.Array]:
        params, total = carry
        values = jax.vmap(energy, in_axes=axes)(params, *args)
        return jax.tree.map(lambda x: _touch(x, values), params), total + values

    zero = jnp.zeros(jax.tree.leaves(params)[0].shape[0])
    return jax.lax.fori_loop(0, steps, body, (params, zero))


def _touch(x: jax.Array, values: jax.Array) -> jax.Array:
    one = values.reshape((-1, *(1 for _ in x.shape[1:])))
    if x.dtype == jnp.bool_:
        return x ^ (one != one)
    return x + 1e-30 * one
