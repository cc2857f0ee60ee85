"""The data profile: how much is solved after so many evaluations, and after so many seconds."""

import pathlib
from typing import Any

import numpy as np

from benchmarks.search.tables import Row, latest

# Ours are solid.
_STYLES = {
    "minimize": ("tab:blue", "-"),
    "minimize, no gradients": ("tab:cyan", "-"),
    "anneal": ("tab:orange", "-"),
    "parallel tempering": ("tab:olive", "-"),
    "SciPy dual_annealing": ("tab:red", "--"),
    "SciPy dual_annealing, gradients": ("tab:pink", "--"),
    "SciPy dual_annealing, no local search": ("tab:red", ":"),
    "SciPy basinhopping": ("tab:purple", "--"),
    "SciPy differential_evolution": ("tab:brown", "--"),
    "CMA-ES, BIPOP": ("tab:green", "--"),
    "evosax SimulatedAnnealing": ("0.3", ":"),
    "evosax Sep-CMA-ES": ("0.3", "--"),
    "evosax DifferentialEvolution": ("0.6", "--"),
}


def save(rows: list[Row], path: pathlib.Path) -> None:
    """Draw the latest rows, and write the figure."""
    from matplotlib.figure import Figure

    those = _shown(rows)
    problems = dict.fromkeys(problem for by_problem in those.values() for problem in by_problem)
    figure = Figure(figsize=(10, 5.4), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for panel, what in zip(axes, ("evaluations", "seconds"), strict=True):
        _draw(panel, those, what)
    axes[0].set_xlabel("evaluations per dimension, a value with its gradient three")
    axes[1].set_xlabel("processor seconds, once compiled")
    axes[0].set_ylabel(f"share of runs of {len(problems)} problems that are solved")
    axes[0].set_ylim(0, 1.02)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize="small")
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _shown(rows: list[Row]) -> dict[str, dict[str, Row]]:
    """Return the rows by solver, then by problem: those problems that all solvers have.

    A solver run on less than half of the problems is not shown.
    """
    by_solver: dict[str, dict[str, Row]] = {}
    for (problem, solver), row in latest(rows).items():
        if solver in _STYLES:
            by_solver.setdefault(solver, {})[problem] = row
    most = max(map(len, by_solver.values()), default=0)
    by_solver = {name: own for name, own in by_solver.items() if len(own) >= most / 2}
    common = set.intersection(*(set(own) for own in by_solver.values())) if by_solver else set()
    return {
        solver: {problem: row for problem, row in by_solver[solver].items() if problem in common}
        for solver in _STYLES
        if solver in by_solver
    }


def profile(rows: dict[str, Row], what: str) -> tuple[np.ndarray, np.ndarray]:
    """Return costs at which runs are solved, rising, and the share that is solved there.

    Evaluations are divided by the dimension; each problem weighs the same.
    """
    places, weights = [], []
    for row in rows.values():
        solved = np.asarray(row["solved"][-1], bool)
        cost = np.asarray(row[what][-1], np.float64)
        places += list(cost[solved] / (row["dimension"] if what == "evaluations" else 1))
        weights += [1 / (solved.size * len(rows))] * int(solved.sum())
    order = np.argsort(places)
    return np.asarray(places)[order], np.cumsum(np.asarray(weights)[order])


def _draw(axes: Any, those: dict[str, dict[str, Row]], what: str) -> None:
    ends = []
    for solver, rows in those.items():
        x, y = profile(rows, what)
        colour, dashes = _STYLES[solver]
        from_zero = [*x[:1], *x], [0.0, *y] if len(x) else []
        axes.step(*from_zero, where="post", color=colour, ls=dashes, lw=1.6, label=solver)
        if len(x):
            ends.append((x[-1], y[-1], colour, dashes))
    right = max((x for x, *_ in ends), default=1.0)
    for x, y, colour, dashes in ends:  # to the edge: what is solved stays solved
        axes.plot([x, right], [y, y], color=colour, ls=dashes, lw=1.6)
    axes.set_xscale("log")
    axes.grid(alpha=0.3)
