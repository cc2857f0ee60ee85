"""From one chain to a million: speed, memory and compilation of runs of the public call."""

import statistics
from collections.abc import Iterator
from typing import Any

import jaxanneal as ja
from benchmarks.memory import bytes_of, memory
from benchmarks.rows import new_row
from benchmarks.scale.runs import begin, go_on
from benchmarks.workloads import Workload, annealing
from jaxanneal._run.interrupt import Clock, Interruption
from jaxanneal._run.limits import as_limits
from jaxanneal._run.problem import Problem


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
    runs = [begin(load, fewest, record_every=fewest) for load in loads]
    compiling = [run.compile_seconds for run in runs]
    needed = [bytes_per_chain(*pair) for pair in zip(loads, runs, strict=True)]
    steps = []
    for index, load in enumerate(loads):
        # Compiles what only a continued run needs, and tells how fast it is.
        runs[index] = pilot = go_on(load, 10**6, runs[index], seconds / 2)
        speed = (pilot.steps - fewest) / pilot.seconds
        steps.append(max(fewest, round(speed * seconds)))
    speeds: list[list[float]] = [[] for _ in loads]
    for _ in range(repeats):
        for index, load in enumerate(loads):
            runs[index] = result = go_on(load, steps[index], runs[index])
            speeds[index].append(steps[index] * load.chains / result.seconds)
    for index, load in enumerate(loads):
        middle = statistics.median(speeds[index])
        assert runs[index].state is not None
        yield new_row(
            "scale",
            load.name,
            f"{load.chains} chains",
            study="chains",
            chains=load.chains,
            block=runs[index].state.width,
            steps=steps[index],
            repeats=repeats,
            evaluations_per_second=middle,
            spread=[min(speeds[index]) / middle, max(speeds[index]) / middle],
            bytes_per_chain=needed[index],
            bytes_of_parameters=bytes_of(runs[index].params),
            compile_seconds=compiling[index],
        )


def bytes_per_chain(load: Workload, result: ja.Result[Any]) -> float:
    """Return state and temporaries of the program that made a run, as the suite `step` counts."""
    method, move = annealing(load.chains), ja.moves.Gaussian(0.01)
    problem = Problem(load.energy, load.start, 0, load.args, method, move, None, None, Clock())
    limits = as_limits(result.steps, record_every=result.steps, progress=False)
    driver = problem.prepare(limits, Interruption())  # traces nothing anew, compiles nothing
    starts = result.chains.params
    multiple = memory(load, starts, driver, driver.template, problem.width)
    return multiple * bytes_of(starts) / load.chains
