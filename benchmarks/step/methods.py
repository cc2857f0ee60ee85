"""Our methods as the suite `step` times them, and their moves in the product's own chunk."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxanneal as ja
from benchmarks.memory import memory
from benchmarks.workloads import Workload, annealing
from jaxanneal._engine.programs import chunk_program
from jaxanneal._run.interrupt import Clock, Interruption
from jaxanneal._run.limits import as_limits
from jaxanneal._run.problem import Problem

RUNGS = 16
_SMALL_BLOCK = 64
# What a block needs besides the states of all chains shows where these are small and many.
_MANY, _NARROW = 4096, 256


class Program(NamedTuple):
    """A program that is timed.

    Args:
        moves: Makes so many steps and waits for them.
        compile_seconds: What its compilation took.
        runs: How often it has to run for one step of all chains.
        block: Chains in a block, of our methods; ``None``: the default.
        memory: State and temporaries of our methods, as a multiple of the parameters.
    """

    moves: Callable[[int], Any]
    compile_seconds: float
    runs: float = 1.0
    block: int | None = None
    memory: float | None = None


def tempering(chains: int, every: int) -> ja.ParallelTempering:
    """Return ladders of 16 rungs for so many chains."""
    ladder = jnp.geomspace(1e-4, 1e-2, RUNGS)
    return ja.ParallelTempering(
        ladders=chains // RUNGS, temperatures=ladder, swap_every=every, warmup=0
    )


def methods(chains: int, quick: bool) -> dict[str, tuple[Any, int | None]]:
    """Return the methods that are timed at a number of chains, and the chains in a block."""
    blocks: dict[str, Any] = {"SA": (annealing(chains), None)}
    if chains >= RUNGS:
        for every in (10, 1):
            blocks[f"PT, swap every {every}"] = tempering(chains, every), None
    if quick or jax.default_backend() != "cpu":
        return blocks
    if chains >= _MANY:
        blocks[f"SA, blocks of {_NARROW}"] = annealing(chains), _NARROW
        blocks[f"PT, swap every 10, blocks of {_NARROW}"] = tempering(chains, 10), _NARROW
    if chains > _SMALL_BLOCK:
        blocks["PT, swap every 1, one block"] = tempering(chains, 1), chains
        blocks[f"PT, swap every 1, blocks of {_SMALL_BLOCK}"] = tempering(chains, 1), _SMALL_BLOCK
    return blocks


def program_of(workload: Workload, starts: Any, method: Any, block: int | None) -> Program:
    """Return the moves of a method in the product's own chunk."""
    clock = Clock()
    discrete = all(leaf.dtype == jnp.bool_ for leaf in jax.tree.leaves(starts))
    move = ja.moves.Flip() if discrete else ja.moves.Gaussian(0.01)
    params = ja.stacked(starts)
    problem = Problem(workload.energy, params, 0, workload.args, method, move, block, None, clock)
    never = 2**31 - 1
    limits = as_limits(10**6, record_every=never, progress=False)
    driver = problem.prepare(limits, Interruption())
    driver.compile_all()
    chains = problem.start(driver)
    state = problem.state(method.bind(10**6), chains, chains)
    multiple = memory(workload, starts, driver, state, problem.width)
    chunk = chunk_program(driver.setup)
    carry = [state, driver.recorder(state, 0)]

    def moves(steps: int) -> None:
        first = int(carry[0].step)
        control = driver.control(carry[0], first, first + steps, never, never)
        carry[0], carry[1], report = chunk(*carry, driver.data, control)
        jax.block_until_ready(report)

    return Program(moves, clock.compiling, block=block, memory=multiple)
