"""What swaps cost: phases by themselves, and steps with more of them beside steps with fewer."""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

import jaxanneal as ja
from jaxanneal._chain.keys import as_key

RUNGS = 16
# For each step that is asked for: on a CPU one phase alone would be lost beside the call.
_PHASES = 100


def tempering(chains: int, every: int) -> ja.ParallelTempering:
    """Return ladders of 16 rungs for so many chains."""
    ladder = jnp.geomspace(1e-4, 1e-2, RUNGS)
    return ja.ParallelTempering(
        ladders=chains // RUNGS, temperatures=ladder, swap_every=every, warmup=0
    )


def phases_a_step() -> int:
    """Return how many swap phases are made for each step that is asked for."""
    return _PHASES if jax.default_backend() == "cpu" else 1


def swaps(chains: int) -> tuple[Callable[[int], None], float]:
    """Return a function that makes swap phases, some for each step, and compile seconds."""
    each = phases_a_step()
    method, key = tempering(chains, 1), as_key(0)
    ladders, factors, none = method.init(), jnp.zeros(chains), jnp.zeros(chains, jnp.int32)

    def phase(step: jax.Array, carry: tuple[Any, jax.Array]) -> tuple[Any, jax.Array]:
        ladders, energies = carry
        ladders, _ = method.after_round(key, ladders, step, energies, factors, none)
        return ladders, energies * 1.0001  # other energies, or what they decide is hoisted

    @jax.jit
    def loop(ladders: Any, steps: jax.Array) -> Any:
        energies = jnp.linspace(1e-4, 1e-2, chains)
        return jax.lax.fori_loop(1, steps + 1, phase, (ladders, energies))[0].round_trips

    began = time.perf_counter()
    compiled = loop.lower(ladders, jnp.asarray(1)).compile()
    compiling = time.perf_counter() - began

    def phases(steps: int) -> None:
        jax.block_until_ready(compiled(ladders, jnp.asarray(each * steps)))

    return phases, compiling
