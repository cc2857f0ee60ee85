"""From one chain to a million: speed, memory and compilation of runs of the public call."""

import statistics
from collections.abc import Iterator
from typing import Any

import jax

import jaxanneal as ja
from benchmarks import rows as _rows
from benchmarks.scale.interrupted import whole
from benchmarks.step import suite as step
from benchmarks.workloads import Workload
from jaxanneal._engine.programs import chunk_program
from jaxanneal._run.interrupt import Clock, Interruption
from jaxanneal._run.limits import as_limits
from jaxanneal._run.problem import Problem

_COOLING = ja.cooling.Geometric(1e-2, 1e-4, steps=10**6)
_MOVE = ja.moves.Gaussian(0.01)


def study(
    workload: Workload, counts: tuple[int, ...], repeats: int, seconds: float, fewest: int
) -> Iterator[dict[str, Any]]:
    """Run every number of chains in turn, A B C A B C; yield a row for each.

    Args:
        workload: The energy, its starts and its data; named as the table shows it.
        counts: Numbers of chains.
        repeats: Runs of each.
        seconds: What a run is to take.
        fewest: Moves per chain of a run at least, however long they take.
    """
    loads = [workload._replace(chains=chains) for chains in counts]
    held = [begin(load, fewest, record_every=fewest) for load in loads]
    compiling = [result.compile_seconds for result in held]
    needed = [bytes_per_chain(*pair) for pair in zip(loads, held, strict=True)]
    steps = []
    for index, load in enumerate(loads):
        # Compiles what only a continued run needs, and tells how fast it is.
        held[index] = pilot = _go_on(load, 10**6, held[index], seconds / 2)
        speed = (pilot.steps - fewest) / pilot.seconds
        steps.append(max(fewest, round(speed * seconds)))
    speeds: list[list[float]] = [[] for _ in loads]
    for _ in range(repeats):
        for index, load in enumerate(loads):
            held[index] = result = _go_on(load, steps[index], held[index])
            speeds[index].append(steps[index] * load.chains / result.seconds)
    for index, load in enumerate(loads):
        middle = statistics.median(speeds[index])
        assert held[index].state is not None
        yield _rows.make(
            "scale",
            load.name,
            f"{load.chains} chains",
            study="chains",
            chains=load.chains,
            block=held[index].state.width,
            steps=steps[index],
            repeats=repeats,
            evaluations_per_second=middle,
            spread=[min(speeds[index]) / middle, max(speeds[index]) / middle],
            bytes_per_chain=needed[index],
            bytes_of_parameters=_bytes(held[index].params),
            compile_seconds=compiling[index],
        )


def begin(load: Workload, steps: int, **options: Any) -> ja.Result[Any]:
    """Make a run from its starts."""
    method = ja.SimulatedAnnealing(load.chains, _COOLING)
    options = {"progress": False, "args": load.args, "method": method, "move": _MOVE} | options
    return whole(ja.anneal(load.energy, load.start, key=0, steps=steps, **options))


def _go_on(
    load: Workload, steps: int, before: ja.Result[Any], max_seconds: float | None = None
) -> ja.Result[Any]:
    """Go on from a run; a single record, at its end."""
    options: dict[str, Any] = {"progress": False, "args": load.args, "max_seconds": max_seconds}
    options |= {"steps": steps, "record_every": steps}
    return whole(ja.anneal(load.energy, state=before.state, **options))


def bytes_per_chain(load: Workload, result: ja.Result[Any]) -> float:
    """Return state and temporaries of the program that made a run, as the suite `step` counts."""
    method = ja.SimulatedAnnealing(load.chains, _COOLING)
    problem = Problem(load.energy, load.start, 0, load.args, method, _MOVE, None, None, Clock())
    limits = as_limits(result.steps, None, None, None, result.steps, None, None, False)
    driver, _ = problem.prepare(limits, Interruption())  # traces nothing anew, compiles nothing
    state = driver.template
    recorder, control = driver.recorder(state, 0), driver.control(state, 0, 0, 0, 1)
    analysis = chunk_program(driver.setup).memory(state, recorder, driver.args, control)
    starts, apart = result.chains.params, (recorder, driver.args)
    multiple = step.memory(load, starts, analysis, apart, problem.width)
    return multiple * _bytes(starts) / load.chains


def _bytes(tree: Any) -> int:
    return sum(leaf.nbytes for leaf in jax.tree.leaves(tree))
