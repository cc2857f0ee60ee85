"""Does the default tune itself: annealing as it comes against the best of 27 settings.

A row is one problem. It has what the default ``anneal(energy, params, key=...)`` is expected to
take to the target, and what the best of a grid of temperatures and step sizes takes, which was
chosen on other seeds; their ``ratio`` is to be at most 2.
"""

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxanneal as ja
from benchmarks import report
from benchmarks.networks.tasks import tasks
from benchmarks.problems.problem import Problem
from benchmarks.problems.standard import problems as standard_problems
from benchmarks.rows import new_row
from benchmarks.success import expected, interval, rate

HEAD = """## tuning: does the default tune itself

`anneal(energy, params, key=...)`, nothing else but the target, against
`SimulatedAnnealing(cooling=Geometric(start, end))` with `StudentT(scale=...)` for the best of 27
settings: start 10, 1 or 0.1 times the spread of the energies of random starts (the median distance
from their median), end 1e-2, 1e-4 or 1e-6 times it, steps 0.2, 0.05 or 0.01 of the box (of weights
from -1 to 1 for the network). Both have 64 chains and 10,000 moves at most, and end at the target:
1e-2 above the optimum, a mean squared error of 1e-3 for the network. The best is chosen on 5 seeds,
by expected evaluations, then by how near its runs come; then it and the default are run on 20
others. Expected evaluations are all evaluations over the successes. The goal: within twice the
best's.
"""

_PROBLEMS = (
    "Rastrigin d=10",
    "Ackley d=10",
    "Schwefel d=10",
    "Levy d=10",
    "Styblinski-Tang d=10",
    "Gallagher d=10",
    "unlike units d=10",
)
_NETWORK = "sine 1-2-1"
_SEEDS, _CHOOSING, _QUICK_SEEDS = 20, 5, 2
_FIRST_CHOOSING = 1_000  # no seed that is measured
_MOVES, _QUICK_MOVES = None, 300
_STARTS, _ENDS, _STEPS = (10.0, 1.0, 0.1), (1e-2, 1e-4, 1e-6), (0.2, 0.05, 0.01)
_GRID = tuple(itertools.product(_STARTS, _ENDS, _STEPS))
_GOAL = 2.0


class Task(NamedTuple):
    """What is solved.

    Args:
        name: As the table shows it.
        energy: ``energy(params, *args)``.
        args: The data.
        start: ``key -> params``.
        target: The energy that counts as solved.
        width: Of the box.
    """

    name: str
    energy: Callable[..., jax.Array]
    args: tuple[jax.Array, ...]
    start: Callable[[jax.Array], Any]
    target: float
    width: float


class Runs(NamedTuple):
    """Runs of one setting, a seed each.

    Args:
        solved: Whether they reached the target.
        evaluations: What they took.
        energies: What they reached.
    """

    solved: list[bool]
    evaluations: list[int]
    energies: list[float]

    @property
    def cost(self) -> float:
        return expected(self.evaluations, self.solved)


def run(
    quick: bool, problems: str | None = None, seeds: int | None = None
) -> Iterator[dict[str, Any]]:
    """Compare the default with the best of the grid; yield a row for each problem.

    Args:
        quick: One problem, few moves.
        problems: Names with semicolons between them; all by default.
        seeds: On how many both are measured, 20 by default.
    """
    named = [name.strip() for name in problems.split(";")] if problems else None
    for task in _tasks():
        if named is None or task.name in named:
            if not quick:
                yield compare(task, seeds or _SEEDS, _CHOOSING, _MOVES, _GRID)
            elif task.name == _PROBLEMS[0]:
                yield compare(task, seeds or _QUICK_SEEDS, 1, _QUICK_MOVES, _GRID[::5])


def _tasks() -> Iterator[Task]:
    by_name = {problem.name: problem for problem in standard_problems()}
    yield from (_as_task(by_name[name]) for name in _PROBLEMS)
    network = next(task for task in tasks() if task.name == _NETWORK)
    yield Task(_NETWORK, network.energy, network.args, network.start, 1e-3, 2.0)


def _as_task(problem: Problem) -> Task:
    low, high = problem.bounds
    arguments = (problem.args, problem.start, problem.targets[0], high - low)
    return Task(problem.name, problem.energy, *arguments)


def compare(
    task: Task, seeds: int, choosing: int, moves: int | None, grid: tuple[tuple[float, ...], ...]
) -> dict[str, Any]:
    """Choose the best of a grid, and measure it and the default on other seeds."""
    spread = _spread(task)
    others = range(_FIRST_CHOOSING, _FIRST_CHOOSING + choosing)
    scores = []
    for setting in grid:
        runs = _runs(task, others, moves, _options(task, spread, setting))
        scores.append((runs.cost, float(np.median(runs.energies))))
    best = grid[scores.index(min(scores))]
    tuned = _runs(task, range(seeds), moves, _options(task, spread, best))
    default = _runs(task, range(seeds), moves, {})
    return new_row(
        "tuning",
        task.name,
        "anneal",
        seeds=seeds,
        default=default._asdict(),
        tuned=tuned._asdict(),
        setting=list(best),
        spread=spread,
        ratio=_ratio(default, tuned),
    )


def _ratio(default: Runs, tuned: Runs) -> float | None:
    """Return the ratio of expected costs: no number where none was ever solved, by either."""
    if math.isfinite(default.cost):
        return default.cost / tuned.cost if math.isfinite(tuned.cost) else 0.0
    return None


def _options(task: Task, spread: float, setting: tuple[float, ...]) -> dict[str, Any]:
    start, end, step = setting
    cooling = ja.cooling.Geometric(start * spread, end * spread)
    method = ja.SimulatedAnnealing(cooling=cooling)
    return {"method": method, "move": ja.moves.StudentT(scale=step * task.width)}


def _runs(task: Task, seeds: range, moves: int | None, options: dict[str, Any]) -> Runs:
    runs = Runs([], [], [])
    limits: dict[str, Any] = {} if moves is None else {"steps": moves}
    for seed in seeds:
        given = {"args": task.args, "target": task.target, "progress": False, **limits, **options}
        result = ja.anneal(task.energy, task.start, key=seed, **given)
        runs.solved.append(bool(jnp.float32(result.energy) <= jnp.float32(task.target)))
        runs.evaluations.append(int(result.evaluations))
        runs.energies.append(float(result.energy))
    return runs


def _spread(task: Task) -> float:
    """Return the median distance of the energies of random starts from their median."""
    starts = jax.vmap(task.start)(jax.random.split(jax.random.key(_FIRST_CHOOSING), 256))
    energies = jax.vmap(lambda params: task.energy(params, *task.args))(starts)
    return float(jnp.median(jnp.abs(energies - jnp.median(energies))))


def line(row: dict[str, Any]) -> str:
    """Return one row as a line of text."""
    default, tuned = (Runs(**row[name]) for name in ("default", "tuned"))
    return (
        f"{row['problem']:<24} default {sum(default.solved)} of {row['seeds']}, "
        f"{default.cost:.3g} evaluations   best {sum(tuned.solved)} of {row['seeds']}, "
        f"{tuned.cost:.3g}   ratio {_shown(row)}   setting {row['setting']}"
    )


def _shown(row: dict[str, Any]) -> str:
    if row["ratio"] is None:
        return "none" if any(row["tuned"]["solved"]) else "neither"
    return f"{row['ratio']:.2f}"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the table of expected evaluations, and how many problems reach the goal."""
    latest = {row["problem"]: row for row in rows}
    lines = []
    for problem, row in latest.items():
        cells = [cell for name in ("default", "tuned") for cell in _cells(Runs(**row[name]))]
        setting = ", ".join(f"{x:g}" for x in row["setting"])
        lines.append([problem, *cells, setting, _shown(row)])
    columns = "problem | default, solved | evaluations | best, solved | evaluations"
    columns += " | its start, end, steps | ratio"
    reached = sum(row["ratio"] is not None and row["ratio"] <= _GOAL for row in latest.values())
    text = f"Within {_GOAL:g} times the best on {reached} of {len(latest)}."
    return [*report.markdown(columns, lines), "", text]


def _cells(runs: Runs) -> list[str]:
    low, high = interval(runs.evaluations, runs.solved)
    if math.isinf(runs.cost):
        return [rate(runs.solved), "none"]
    upper = report.figures(high) if math.isfinite(high) else "none"
    spread = f"{report.figures(low)} to {upper}"
    return [rate(runs.solved), f"{report.figures(runs.cost)} ({spread})"]
