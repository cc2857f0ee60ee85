"""Programs that run many configurations: those of a single run, mapped over a leading axis."""

import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.computation import Computation
from jaxanneal._chain.parameters import Parameters
from jaxanneal._diagnostics.diagnostics import accepted_by
from jaxanneal._engine.blocks import pad, padded_count
from jaxanneal._engine.compile import Program, compile_programs
from jaxanneal._engine.programs import chunk_program
from jaxanneal._engine.setup import Data, Setup
from jaxanneal._engine.sharding import default_device
from jaxanneal._engine.starts import drawn
from jaxanneal._engine.state import State, best_state, trials_of
from jaxanneal._pytree import replace
from jaxanneal._run.calibrate import first_temperatures
from jaxanneal._run.interrupt import Clock
from jaxanneal._run.problem import Problem

_KEPT = 64


@functools.lru_cache(maxsize=_KEPT)
def mapped(program: Program, batched: tuple[Any, ...], donate: tuple[int, ...] = ()) -> Program:
    """Return a program that applies another one to each of many runs.

    Not under ``vmap`` on a CPU: the last bits of a run depend on the width of its batch, and here
    it is to equal itself alone. There a run fills a core, elsewhere it would leave most of it idle.

    Args:
        program: The program of one run.
        batched: For each input, or part of it, whether it has a leading axis of runs, or is shared
            by all.
        donate: Inputs whose buffers are taken over.
    """

    def over_runs(*inputs: Any) -> Any:
        leaves, structure = jax.tree.flatten(inputs)
        flags = jax.tree.map(lambda own, x: jax.tree.map(lambda _: own, x), batched, inputs)
        places = list(zip(leaves, jax.tree.leaves(flags), strict=True))

        def one(rows: Sequence[Any]) -> Any:
            own = iter(rows)
            merged = [next(own) if is_own else x for x, is_own in places]
            return program.jitted(*jax.tree.unflatten(structure, merged))

        rows = [x for x, is_own in places if is_own]
        if default_device().platform == "cpu":
            return jax.lax.map(one, rows)
        return jax.vmap(one)(rows)

    return Program(over_runs, donate=donate)


@functools.lru_cache(maxsize=_KEPT)
def lanes_program(initialiser: Computation, chains: int, total: int) -> Program:
    """Return the program that makes the starts of all lanes from the run key."""

    def lanes(constants: Any, key: jax.Array) -> Parameters:
        starts = drawn(lambda key: initialiser(constants, key), key, chains)
        return jax.tree.map(lambda x: pad(x, total), starts)

    return Program(lanes)


def own_args(own: bool) -> Data:
    """Return which data each run has for itself: what functions close over is shared by all."""
    return Data(own, False, False)


@functools.lru_cache(maxsize=_KEPT)
def moves_program(setup: Setup) -> Program:
    """Return the program of a chunk that keeps no history."""
    chunk = chunk_program(setup)

    def moves(state: State, recorder: Any, args: Any, control: Any) -> Any:
        state, _, report = chunk.jitted(state, recorder, args, control)
        return state, None, replace(report, best_energy=None, trials=None, best=None)

    return Program(moves)


@functools.lru_cache(maxsize=1)
def finish_program() -> Program:
    """Return the program that takes out of a state what a sweep keeps."""

    def finish(state: State) -> dict[str, Any]:
        params, energy = best_state(state)
        return {
            "energy": energy,
            "params": list(params.leaves),
            "accepted": accepted_by(state, trials_of(state)),
        }

    return Program(finish)


@functools.lru_cache(maxsize=1)
def temperatures_program() -> Program:
    """Return the program for the temperatures of the first moves."""
    return Program(first_temperatures)


class Structural(Exception):
    """A mistake that shows while a program is traced: every run of this structure has it."""


class TooLarge(MemoryError):
    """A program would not fit into the memory that is left."""


def prepare(clock: Clock, program: Program, *inputs: Any) -> None:
    """Compile a program if that is still to be done, which does not count as running.

    Raises:
        Structural: It cannot be traced; the cause is the user's error.
    """
    try:
        traced = program.prepare(*inputs)
    except Exception as error:
        raise Structural from error
    clock.compiling += compile_programs(traced)


def call(clock: Clock, program: Program, *inputs: Any) -> Any:
    """Compile a program if that is still to be done, and run it."""
    prepare(clock, program, *inputs)
    return program(*inputs)


def stack(trees: Sequence[Any]) -> Any:
    """Return trees of one structure as one with a leading axis; the same tree is read once."""
    distinct = {id(tree): tree for tree in trees}
    place = {name: index for index, name in enumerate(distinct)}
    index = np.array([place[id(tree)] for tree in trees])
    flat = [jax.tree.leaves(tree) for tree in distinct.values()]
    columns = [_column(column)[index] for column in zip(*flat, strict=True)]
    return jax.tree.unflatten(jax.tree.structure(trees[0]), columns)


def _column(leaves: Sequence[Any]) -> Any:
    if jnp.issubdtype(leaves[0].dtype, jax.dtypes.extended):  # NumPy has no keys
        return jnp.stack(leaves)
    return np.stack([np.asarray(leaf) for leaf in leaves])


# Of what is free a batch takes no more than this: others work on the machine, too.
_SHARE = 0.5

# States of a batch: going in, coming out, and copies on the way.
_COPIES = 6

# Of few sizes few programs are compiled.
_FEWEST, _LARGEST = 8, 1024

_UNKNOWN = 2**32  # bytes, where nothing tells what is free


def free_bytes() -> int:
    """Return the free memory of the device where runs are made."""
    stats = default_device().memory_stats() or {}
    if "bytes_limit" in stats:
        return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0))
    limits = [_meminfo(), _control_group()]
    return min([x for x in limits if x is not None], default=_UNKNOWN)


def _meminfo() -> int | None:
    try:
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
        return next(int(x.split()[1]) * 1024 for x in lines if x.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None


def _control_group() -> int | None:
    """Return what the container may still use, if it is limited."""
    folder = pathlib.Path("/sys/fs/cgroup")
    try:
        limit = int((folder / "memory.max").read_text())
        return limit - int((folder / "memory.current").read_text())
    except (OSError, ValueError):
        return None


def first_size(problem: Problem, runs: int) -> int:
    """Return how many rows a program is to have: a power of two."""
    chains = problem.method.chains
    each = sum(leaf.nbytes for leaf in problem.starts.leaves) // chains
    state = padded_count(chains, problem.width) * (2 * each + 64)
    fitting = max(1, int(free_bytes() * _SHARE) // (_COPIES * state))
    rows = 1 << max(runs - 1, 0).bit_length()
    if default_device().platform == "cpu":  # where a row that is not filled costs little
        rows = max(rows, _FEWEST)
    return min(rows, _LARGEST, 1 << (fitting.bit_length() - 1))


def require_memory(analysis: Any, size: int) -> None:
    """Refuse a program that would take too much of the free memory; one run alone is tried.

    Raises:
        TooLarge: Make it for fewer runs.
    """
    if size > 1 and analysis is not None and _needed(analysis) > _SHARE * free_bytes():
        raise TooLarge


def _needed(analysis: Any) -> int:
    held = analysis.output_size_in_bytes + analysis.temp_size_in_bytes
    return held - analysis.alias_size_in_bytes
