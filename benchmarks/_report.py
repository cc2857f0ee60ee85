"""The report: committed rows turned into the tables of ``benchmarks/README.md``."""

import pathlib
from typing import Any

from benchmarks import _rows

_HEAD = """# Benchmarks

Written by `python -m benchmarks report` from the rows in `benchmarks/results`; every number comes
from a row that `python -m benchmarks run SUITE` appended.

## step: what a step costs

Time per chain-step over that of the bare vmapped energy, in one process, interleaved, medians.
Bare is the faster of back-to-back calls of the jitted energy and a scan whose carry touches every
parameter. Workloads (C, H, N): C chains of an MLP 64-H-10 on N digits.
"""


def line(row: dict[str, Any]) -> str:
    """Return one row as a line of text."""
    return (
        f"{row['problem']:<24} {row['solver']:<28} {row['ratio']:6.2f} x bare   "
        f"{row['microseconds']:10.2f} us a step of all chains   "
        f"{row['compile_seconds']:5.2f} s compiling"
    )


def write(folder: pathlib.Path) -> str:
    """Write the report beside the results; return its path."""
    rows = _rows.read(folder, "step")
    latest = {(row["problem"], row["solver"]): row for row in rows}
    solvers = list(dict.fromkeys(solver for _, solver in latest))
    problems = list(dict.fromkeys(problem for problem, _ in latest))
    table = ["| workload | " + " | ".join(solvers) + " |", "|---|" + "---|" * len(solvers)]
    for problem in problems:
        cells = [latest.get((problem, solver)) for solver in solvers]
        shown = [f"{cell['ratio']:.2f}" if cell else "" for cell in cells]
        table.append(f"| {problem} | " + " | ".join(shown) + " |")
    path = folder.parent / "README.md"
    path.write_text("\n".join([_HEAD, *table, "", _provenance(latest)]) + "\n")
    return str(path)


def _provenance(latest: dict[Any, dict[str, Any]]) -> str:
    machines = sorted({(row["processor"], row["versions"]["jax"]) for row in latest.values()})
    return "\n".join(
        f"Measured on {processor} with jax {version}." for processor, version in machines
    )
