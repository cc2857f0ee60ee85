"""Time to target: how often, after how many evaluations and seconds, searches find an optimum.

The suite runs our solvers and other libraries' on standard problems of known optimum. A row is one
solver on one problem: lists by tolerance, then by seed, of whether it came so near (``solved``),
of the ``evaluations`` up to there, a value with its gradient counting three, and of the processor
``seconds``, to which ``compile_seconds`` come once. The fewer the better.
"""

import fnmatch
from collections.abc import Iterator, Sequence
from importlib import metadata
from typing import Any

from benchmarks.problems.problem import Problem
from benchmarks.problems.standard import problems as standard_problems
from benchmarks.rows import new_row
from benchmarks.search import figure as _figure
from benchmarks.search import ours, tables
from benchmarks.search import peers as others
from benchmarks.search.solver import Attempt, Solver

HEAD, table, readme_table, figure = tables.HEAD, tables.table, tables.readme_table, _figure.save

_SEEDS, _QUICK_SEEDS = 20, 2
_ROUNDED = ("seconds", "gap")  # to four figures in the rows
# Who solves none of the first seeds is not run on the others.
_PATIENCE = 5
_QUICK_PROBLEM, _QUICK_BUDGET = "Rastrigin d=2", 40_000


def run(
    quick: bool,
    peers: bool = False,
    problems: str | None = None,
    solvers: str | None = None,
    seeds: int | None = None,
) -> Iterator[dict[str, Any]]:
    """Solve every problem with every solver, in turn for each seed; yield a row for each.

    Args:
        quick: One problem with a small budget.
        peers: Other libraries, too.
        problems: Names, with ``*`` for anything and semicolons between them; all by default.
        solvers: The same of solvers.
        seeds: How many, 20 by default.
    """
    everybody = list(ours.solvers(_QUICK_BUDGET if quick else None))
    everybody += others.solvers() if peers else []
    everybody = [solver for solver in everybody if _is_named(solver.name, solvers)]
    named = [problem for problem in standard_problems() if _is_named(problem.name, problems)]
    if not everybody or not named:
        raise SystemExit(f"no solver or no problem of that name: {solvers}; {problems}")
    for problem in named:
        if not quick or problem.name == _QUICK_PROBLEM:
            yield from compare(problem, everybody, seeds or (_QUICK_SEEDS if quick else _SEEDS))


def _is_named(name: str, patterns: str | None) -> bool:
    every = ["*"] if patterns is None else patterns.lower().split(";")
    return any(fnmatch.fnmatchcase(name.lower(), pattern.strip()) for pattern in every)


def compare(problem: Problem, solvers: Sequence[Solver], seeds: int) -> Iterator[dict[str, Any]]:
    """Run those solvers that take the problem, one after the other for each seed."""
    those = {solver.name: solver for solver in solvers if solver.takes(problem)}
    ready = {name: solver.prepare(problem) for name, solver in those.items()}
    runs: dict[str, list[list[Attempt]]] = {name: [] for name in those}
    for seed in range(seeds):
        for name in those:
            if seed < _PATIENCE or any(attempts[0].solved for attempts in runs[name]):
                runs[name].append(ready[name].attempts(seed))
    for name, solver in those.items():
        shared = [ready[other].compile_seconds for other, x in those.items() if _alike(x, solver)]
        yield _row(problem, solver, runs[name], max(shared))


def _alike(one: Solver, other: Solver) -> bool:
    return one.programs == other.programs


def _row(
    problem: Problem, solver: Solver, runs: list[list[Attempt]], compile_seconds: float
) -> dict[str, Any]:
    by_tolerance = list(zip(*runs, strict=True))
    lists = {
        name: [[getattr(attempt, name) for attempt in attempts] for attempts in by_tolerance]
        for name in Attempt._fields
    }
    rounded = {name: [[float(f"{x:.4g}") for x in y] for y in lists[name]] for name in _ROUNDED}
    return new_row(
        "global",
        problem.name,
        solver.name,
        dimension=problem.dimension,
        tolerances=list(problem.tolerances),
        seeds=len(runs),
        **{**lists, **rounded},
        compile_seconds=round(compile_seconds, 3),
        budget=problem.budget if solver.package == "jaxanneal" else None,
        most_seconds=None if solver.package == "jaxanneal" else problem.seconds,
        package=f"{solver.package} {metadata.version(solver.package)}",
    )


def line(row: dict[str, Any]) -> str:
    """Return one row as a line of text."""
    return f"{row['problem']:<30} {row['solver']:<36} " + "   ".join(tables.outcomes(row))
