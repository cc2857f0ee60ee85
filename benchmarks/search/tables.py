"""The rows of the suite `global` as tables."""

import math
from collections.abc import Callable
from typing import Any

from benchmarks import report
from benchmarks.success import expected, interval, rate

HEAD = """## global: time to target on standard problems

Shifted and rotated problems of known optimum, the same for all. Solved is what comes within a
tolerance of the least energy; expected evaluations and seconds are all that runs took, failed ones
included, over the successes (restarts until success), with 95 % bootstrap intervals over the seeds.
A value counts one evaluation, a value with its gradient three. Seconds are those of the processor,
all threads together; compilation happens once for an energy, however many runs follow. Solvers
take turns for each seed. 20 seeds; who solves none of the first 5 is not run on the others.

Ours, in single precision: `minimize` with bounds and a target, which may end before it; the same
with a `stop_gradient` around the energy, which leaves it values alone; `anneal` with the defaults
(64 chains) cooling over the whole budget of evaluations, and over 3,000 moves; `ParallelTempering`
with its defaults (16 rungs). The last three have no bounds, which belong to moves; starts are in
the box. Budgets: 1.2 million evaluations, on Lunacek 2.4, on Lennard-Jones 26 and 38 10; a third of
that for `minimize` where it has no gradients. Solved is what their own energy says, within 2e-7 of
its size; rows keep the gap in double precision beside it.

Others, in double precision, objectives compiled by numba from the same text as ours, gradients by
JAX (of clusters by numba), one thread for BLAS, since more wait for each other; no limit of
evaluations, but 10 processor seconds a run, on Lunacek 30, on Lennard-Jones 26 and 38 60; each
begins anew when it ends by itself. SciPy's `dual_annealing` with its defaults (its local search
takes differences), with gradients for its local search, and without it; `basinhopping` with
L-BFGS-B, gradients, no bounds, which hold it up, and hops of a tenth of the box, of 0.4 on
clusters; `differential_evolution` with its defaults. CMA-ES of the package `cma`: BIPOP restarts, a
first deviation of 0.3 of the box. evosax with populations of 64 in the box scaled to -1 and 1:
Sep-CMA-ES and differential evolution with their defaults, simulated annealing with steps that fall
from 0.5 to 1e-5 over 10,000 generations, all begun anew when their energies are equal.

Empty: not run, or the solver cannot take it (`dual_annealing` and
`differential_evolution` need bounds; none but ours takes a tree of floats, integers and bools).
"""

_PLOT = (
    "![Share of problems solved over evaluations and over seconds](results/global.png)",
    "",
    "Shares are of runs, problems weighing alike: those that all solvers shown were run on.",
    "",
)
_README = """## What a search is worth

Standard problems of known optimum, shifted or rotated (`python -m benchmarks run global --peers`;
[how, and all the others](benchmarks/README.md#global-time-to-target-on-standard-problems)):
evaluations expected until an energy within 1e-4 of the optimum (Lennard-Jones and stairs: 1e-2), a
value with its gradient counting three, and processor seconds once compiled; how many of the runs
did it, unless all. The best other is the one of fewest seconds.

![Share of problems solved over evaluations and over seconds](benchmarks/results/global.png)
"""
_README_SOLVERS = ("minimize", "minimize, no gradients", "anneal", "parallel tempering")

Row = dict[str, Any]


def latest(rows: list[Row]) -> dict[tuple[str, str], Row]:
    """Return the latest row of each problem and solver."""
    return {(row["problem"], row["solver"]): row for row in rows}


def costs(row: Row, what: str, index: int) -> tuple[list[float], list[bool]]:
    """Return what each run cost for a tolerance, and which solved it."""
    return row[what][index], row["solved"][index]


def outcomes(row: Row) -> list[str]:
    """Return what came of each tolerance, as texts."""
    texts = []
    for index, tolerance in enumerate(row["tolerances"]):
        evaluations, solved = costs(row, "evaluations", index)
        seconds = expected(row["seconds"][index], solved)
        cost = f"{expected(evaluations, solved):.3g} evaluations, {seconds:.3g} s"
        texts.append(f"{tolerance:g}: {sum(solved)} of {len(solved)}, {cost}")
    return [*texts, f"{row['compile_seconds']:.1f} s compiling"]


def figures(value: float) -> str:
    """Return three significant figures."""
    return report.figures(value) if math.isfinite(value) else "none"


def _cell(row: Row, what: str, index: int) -> str:
    amounts, solved = costs(row, what, index)
    if all(solved):
        return figures(expected(amounts, solved))
    return f"{figures(expected(amounts, solved))} ({sum(solved)} of {len(solved)})"


def grid(rows: list[Row], cell: Callable[[Row], str | None]) -> list[str]:
    """Return a table of one cell a problem and solver."""
    those = latest(rows)
    solvers = list(dict.fromkeys(solver for _, solver in those))
    lines = []
    for problem in dict.fromkeys(problem for problem, _ in those):
        cells = [those.get((problem, solver)) for solver in solvers]
        texts = [None if row is None else cell(row) for row in cells]
        if any(text is not None for text in texts):
            lines.append([problem, *(text or "" for text in texts)])
    return report.markdown(" | ".join(["problem", *solvers]), lines)


def _loose(row: Row) -> str | None:
    return _cell(row, "evaluations", 0) if len(row["tolerances"]) > 1 else None


def table(rows: list[Row]) -> list[str]:
    """Return the grids of expected costs, and one table of everything with intervals."""
    lines = [*_PLOT, "Expected evaluations, to 1e-4 (Lennard-Jones and stairs: 1e-2):", ""]
    lines += grid(rows, lambda row: _cell(row, "evaluations", -1))
    lines += ["", "Expected processor seconds, once compiled:", ""]
    lines += grid(rows, lambda row: _cell(row, "seconds", -1))
    lines += ["", "Expected evaluations, to 1e-2:", "", *grid(rows, _loose)]
    lines += ["", "Everything, with intervals of 95 %:", ""]
    columns = "problem | solver | within | solved | evaluations | seconds | with compilation"
    return lines + report.markdown(columns, _everything(rows))


def _everything(rows: list[Row]) -> list[list[str]]:
    those, lines = latest(rows), []
    for problem in dict.fromkeys(problem for problem, _ in those):
        for row in (row for (name, _), row in those.items() if name == problem):
            for index, tolerance in enumerate(row["tolerances"]):
                lines.append([problem, row["solver"], f"{tolerance:g}", *_intervals(row, index)])
    return lines


def _intervals(row: Row, index: int) -> list[str]:
    solved, texts = row["solved"][index], []
    for what in ("evaluations", "seconds"):
        amounts, _ = costs(row, what, index)
        low, high = interval(amounts, solved)
        mean = expected(amounts, solved)
        spread = f" ({figures(low)} to {figures(high)})" if math.isfinite(mean) else ""
        texts.append(figures(mean) + spread)
    whole = expected(row["seconds"][index], solved) + row["compile_seconds"]
    return [rate(solved), *texts, figures(whole)]


def readme_table(rows: list[Row]) -> list[str]:
    """Return what the README has: problems of ten dimensions, clusters, and the best other."""
    those = latest(rows)
    solvers = [name for name in _README_SOLVERS if any(solver == name for _, solver in those)]
    lines = []
    for problem in dict.fromkeys(problem for problem, _ in those):
        if "d=10" in problem or "Lennard" in problem:
            cells = [_both(those.get((problem, solver))) for solver in solvers]
            lines.append([problem, *cells, _best_other(those, problem)])
    columns = " | ".join(["problem", *solvers, "best other"])
    return [_README, *report.markdown(columns, lines), "", report.provenance(rows), ""]


def _both(row: Row | None) -> str:
    """Return evaluations and seconds, and how many solved it unless all did."""
    if row is None:
        return ""
    solved = row["solved"][-1]
    if not any(solved):
        return f"0 of {len(solved)}"
    amounts = (expected(row[what][-1], solved) for what in ("evaluations", "seconds"))
    text = " / ".join(report.figures(float(f"{amount:.2g}")) for amount in amounts)
    return text if all(solved) else f"{text} ({sum(solved)} of {len(solved)})"


def _best_other(those: dict[tuple[str, str], Row], problem: str) -> str:
    seconds = {
        solver: expected(row["seconds"][-1], row["solved"][-1])
        for (name, solver), row in those.items()
        if name == problem and not row["package"].startswith("jaxanneal")
    }
    if not seconds:
        return ""
    best = min(seconds, key=lambda solver: seconds[solver])
    return f"{best}: {_both(those[problem, best])}" if math.isfinite(seconds[best]) else "none"
