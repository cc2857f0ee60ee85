"""What a step costs, as a multiple of the bare vmapped energy."""

import functools
import statistics
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

import jaxanneal as ja
from benchmarks import rows as _rows
from benchmarks.step import figure as _step_figure
from benchmarks.step import first_results as _first_results
from benchmarks.step import peers as _step_peers
from benchmarks.step import roofline as _roofline
from benchmarks.step import tables as _step_tables
from benchmarks.step.bare import bare, loop
from benchmarks.step.by_hand import by_hand
from benchmarks.step.swaps import RUNGS, phases_a_step, swaps, tempering
from benchmarks.step.tables import BARE, COPY, HAND, SWAPS
from benchmarks.workloads import Workload, workloads
from jaxanneal._engine.programs import chunk_program
from jaxanneal._run.interrupt import Clock, Interruption
from jaxanneal._run.limits import as_limits
from jaxanneal._run.problem import Problem

HEAD, table, figure = _step_tables.HEAD, _step_tables.table, _step_figure.save
_REPEATS, _QUICK_REPEATS = 9, 7
# Seconds of a call: a long run makes its moves in chunks of half a second, and beginning one takes
# two milliseconds.
_CALL, _QUICK_CALL = 0.25, 0.05
_SMALL_BLOCK = 64
# What a block needs besides the states of all chains shows where these are small and many.
_MANY, _NARROW = 4096, 256


def run(quick: bool, peers: bool = False) -> Iterator[dict[str, Any]]:
    """Measure every workload; yield one row for each solver."""
    on_cpu = jax.default_backend() == "cpu"
    limit = None if on_cpu else _roofline.peaks()
    for workload in workloads(quick, large=not on_cpu):
        yield from measure(workload, quick, peers, limit=limit)
    if not quick:
        yield from _first_results.study()
    if on_cpu and not quick:
        from benchmarks.step import core_steps as _core_steps  # which measure by what stands here
        from benchmarks.step import swap_pairs as _swap_pairs

        yield from _swap_pairs.study(workloads(quick), 20.0)
        yield from _core_steps.rows()


def measure(
    workload: Workload,
    quick: bool,
    peers: bool,
    chosen: Callable[[Workload], dict[str, tuple[Any, int]]] | None = None,
    limit: _roofline.Peaks | None = None,
) -> Iterator[dict[str, Any]]:
    """Time bare and all solvers in turn, A B C A B C, and yield the ratios of medians.

    Args:
        workload: The energy, its starts and its data.
        quick: Whether to measure fewer solvers, fewer times.
        peers: Whether to measure other libraries, too.
        chosen: Returns the solvers, and the chains in a block of each; by default the usual ones.
        limit: What the device reaches, where the share of that is of interest.
    """
    starts = jax.vmap(workload.start)(jax.random.split(jax.random.key(0), workload.chains))
    plain, bare_compile = bare(workload, starts)
    timed: dict[str, Callable[[int], None]] = dict(zip(BARE, plain, strict=False))
    compiling = dict.fromkeys(BARE, bare_compile)
    held: dict[str, float] = {}
    found = solvers(workload.chains, quick) if chosen is None else chosen(workload)
    for name, (method, block) in found.items():
        timed[name], compiling[name], held[name] = solver(workload, starts, method, block)
    alone: dict[str, float] = {}  # how often a solver would run for one step of all chains
    if chosen is None:
        timed[COPY], compiling[COPY] = _roofline.copying(starts), 0.0
    if chosen is None and workload.chains >= RUNGS:
        timed[HAND], compiling[HAND] = by_hand(workload, starts)
        timed[SWAPS], compiling[SWAPS] = swaps(workload.chains)
        alone[SWAPS] = 1 / phases_a_step()
    for peer in _step_peers.peers(workload, starts) if peers else ():
        timed[peer.name], compiling[peer.name] = peer.moves, peer.compile_seconds
        alone[peer.name] = workload.chains // peer.chains
    repeats = _QUICK_REPEATS if quick else _REPEATS
    call = _QUICK_CALL if quick else _CALL
    steps = {name: steps_in(call, function) for name, function in timed.items()}
    seconds: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(repeats):
        for name, function in timed.items():
            spent = seconds_of(function, steps[name]) / steps[name]
            seconds[name].append(alone.get(name, 1.0) * spent)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    baseline = min(medians[name] for name in BARE[:2])  # as JAX compiles it for anyone
    coordinates = sum(x.size for x in jax.tree.leaves(starts)) // workload.chains
    least = None if limit is None else _roofline.least_seconds(workload, starts, limit)
    for name in timed:
        yield _rows.make(
            "step",
            workload.name,
            name,
            chains=workload.chains,
            steps=steps[name],
            repeats=repeats,
            ratio=medians[name] / baseline,
            microseconds=medians[name] * 1e6,
            nanoseconds_per_chain=medians[name] * 1e9 / workload.chains,
            spread=[min(seconds[name]) / baseline, max(seconds[name]) / baseline],
            compile_seconds=compiling[name],
            block=found[name][1] if name in found else None,
            memory=held.get(name),
            coordinates=coordinates,
            roofline=None if least is None else least / medians[name],
            peaks=limit and limit._asdict(),
        )


def solvers(chains: int, quick: bool) -> dict[str, tuple[Any, int | None]]:
    """Return the methods that are timed at a number of chains, and the chains in a block."""
    found: dict[str, Any] = {"SA": (annealing(chains), None)}
    if chains >= RUNGS:
        for every in (10, 1):
            found[f"PT, swap every {every}"] = tempering(chains, every), None
    if chains >= _MANY and not quick and jax.default_backend() == "cpu":
        found[f"SA, blocks of {_NARROW}"] = annealing(chains), _NARROW
        found[f"PT, swap every 10, blocks of {_NARROW}"] = tempering(chains, 10), _NARROW
    if chains > _SMALL_BLOCK and not quick and jax.default_backend() == "cpu":
        found["PT, swap every 1, one block"] = tempering(chains, 1), chains
        found[f"PT, swap every 1, blocks of {_SMALL_BLOCK}"] = tempering(chains, 1), _SMALL_BLOCK
    return found


def annealing(chains: int) -> ja.SimulatedAnnealing:
    """Return simulated annealing of so many chains, which hardly cools in the steps measured."""
    return ja.SimulatedAnnealing(chains, ja.cooling.Geometric(1e-2, 1e-4, steps=10**6))


def solver(
    workload: Workload, starts: Any, method: Any, block: int | None
) -> tuple[Callable[[int], None], float, float]:
    """Return a function that makes moves with the product's own chunk, compile seconds, memory."""
    clock = Clock()
    move = ja.moves.Flip() if starts is not None and _is_bool(starts) else ja.moves.Gaussian(0.01)
    problem = Problem(
        workload.energy, ja.stacked(starts), 0, workload.args, method, move, block, None, clock
    )
    never = 2**31 - 1
    limits = as_limits(10**6, None, None, None, never, None, None, False)
    driver, compile_all = problem.prepare(limits, Interruption())
    compile_all()
    chains = problem.start(driver)
    state = problem.state(method.bind(10**6), chains, chains)
    recorder = driver.recorder(state, 0)
    program = chunk_program(driver.setup)
    needed = memory(
        workload,
        starts,
        program.memory(state, recorder, driver.args, driver.control(state, 0, 0, 0, never)),
        (recorder, driver.args),
        problem.width,
    )
    held = [state, recorder]

    def moves(steps: int) -> None:
        first = int(held[0].step)
        control = driver.control(held[0], first, first + steps, never, never)
        held[0], held[1], report = program(*held, driver.args, control)
        jax.block_until_ready(report)

    return moves, clock.compiling, needed


def memory(workload: Workload, starts: Any, chunk: Any, apart: Any, width: int) -> float:
    """Return the bytes of state and temporaries, as a multiple of those of all parameters.

    The history's buffer, the data and what the energy itself needs for one block are left out: in a
    loop, because XLA keeps there what does not change from step to step, such as places of labels.
    """
    block = jax.tree.map(lambda x: x[:width], starts)
    looped = jax.jit(functools.partial(loop, workload.energy), donate_argnums=0)
    own = looped.lower(block, workload.args, 1).compile().memory_analysis().temp_size_in_bytes
    held = chunk.argument_size_in_bytes + chunk.output_size_in_bytes - chunk.alias_size_in_bytes
    bytes_of = lambda tree: sum(x.nbytes for x in jax.tree.leaves(tree))  # noqa: E731
    return (held - bytes_of(apart) + chunk.temp_size_in_bytes - own) / bytes_of(starts)


def _is_bool(tree: Any) -> bool:
    return all(leaf.dtype == jnp.bool_ for leaf in jax.tree.leaves(tree))


def steps_in(seconds: float, function: Callable[[int], None]) -> int:
    """Return how many steps take so long, in tens where there are some: each with an exchange."""
    few = max(1, int(0.01 / seconds_of(function, 1)))  # or a GPU's wait would count as a step
    found = int(seconds * few / seconds_of(function, few))
    return max(1, found if found < 10 else found // 10 * 10)


def seconds_of(function: Callable[[int], None], steps: int) -> float:
    """Return the seconds of so many steps, made a second time."""
    function(steps)
    began = time.perf_counter()
    function(steps)
    return time.perf_counter() - began


def line(row: dict[str, Any]) -> str:
    """Return one row as a line of text."""
    if "added" in row:
        low, high = row["interval"]
        adds = f"{100 * row['added']:6.2f} % ({100 * low:.2f} to {100 * high:.2f})"
        return f"{row['problem']:<24} {row['solver']:<28} {adds}"
    if "ratio" not in row:
        low, high = row["spread"]
        return (
            f"{row['problem']:<24} {row['solver']:<28} {row['compile_seconds']:5.2f} s compiling "
            f"({low:.2f} to {high:.2f}), {row['seconds']:5.2f} s to the first result"
        )
    return (
        f"{row['problem']:<24} {row['solver']:<28} {row['ratio']:6.2f} x bare   "
        f"{row['microseconds']:10.2f} us a step of all chains   "
        f"{row['compile_seconds']:5.2f} s compiling"
    )
