"""The memory of our compiled programs, beside that of the parameters."""

import functools
from typing import Any

import jax

from benchmarks.workloads import Workload, energy_loop
from jaxanneal._engine.programs import chunk_program


def memory(workload: Workload, starts: Any, driver: Any, state: Any, width: int) -> float:
    """Return the bytes of state and temporaries, as a multiple of those of all parameters.

    The history's buffer, the data and what the energy itself needs for one block are left out: in a
    loop, because XLA keeps there what does not change from step to step, such as places of labels.

    Args:
        workload: The energy and its data.
        starts: The parameters of all chains.
        driver: The driver of a run, whose chunk is compiled.
        state: The state of that run, or its shapes.
        width: Chains in a block.
    """
    recorder, control = driver.recorder(state, 0), driver.control(state, 0, 0, 0, 1)
    chunk = chunk_program(driver.setup).memory(state, recorder, driver.data, control)
    block = jax.tree.map(lambda x: x[:width], starts)
    looped = jax.jit(functools.partial(energy_loop, workload.energy), donate_argnums=0)
    own = looped.lower(block, workload.args, 1).compile().memory_analysis().temp_size_in_bytes
    kept = chunk.argument_size_in_bytes + chunk.output_size_in_bytes - chunk.alias_size_in_bytes
    kept -= bytes_of((recorder, driver.data))
    return (kept + chunk.temp_size_in_bytes - own) / bytes_of(starts)


def bytes_of(tree: Any) -> int:
    """Return the bytes of all arrays."""
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
