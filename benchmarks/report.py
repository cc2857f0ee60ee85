"""The report: committed rows turned into tables and figures, and a table of the README."""

import pathlib
from collections.abc import Callable
from typing import Any

from benchmarks import rows as _rows

_HEAD = """# Benchmarks

Written by `python -m benchmarks report` from the rows in `benchmarks/results`; every number comes
from a row that `python -m benchmarks run SUITE` appended.
"""

# Where the project's README has what a step costs, and of which solvers.
_BEGIN, _END = "<!-- step -->", "<!-- /step -->"
_SHORT = (
    *("bare (calls)", "bare (scan)", "bare (scan), our flags"),
    *("SA", "PT, swap every 10", "PT, swap every 1"),
    *("SA, a device per core", "PT, swap every 10, a device per core"),
    *("evosax SA", "blackjax random walk", "TFP replica exchange"),
)


def write(folder: pathlib.Path, suites: dict[str, Any]) -> str:
    """Write the report of all suites and the table of the project's README; return its path."""
    parts = [_HEAD]
    for name in sorted(suites, reverse=True):
        rows = _rows.read(folder, name)
        if rows:
            suite = suites[name]
            parts += [suite.HEAD, *suite.table(rows), "", _provenance(rows), ""]
            if hasattr(suite, "figure"):
                suite.figure(rows, folder / f"{name}.png")
    path = folder.parent / "README.md"
    path.write_text("\n".join(parts).rstrip("\n") + "\n")
    _write_short(folder.parent.parent / "README.md", folder)
    return str(path)


def _write_short(readme: pathlib.Path, folder: pathlib.Path) -> None:
    """Write what a step costs between the two marks in the project's README."""
    rows = [row for row in _rows.read(folder, "step") if row["solver"] in _SHORT]
    lines: list[str] = []
    for device in devices(rows):
        found = [row for row in rows if row["device"] == device]
        found.sort(key=lambda row: _SHORT.index(row["solver"]))
        lines += [f"On {named(device)}:", "", *grid(found, "ratio"), "", _provenance(found), ""]
    before, rest = readme.read_text().split(_BEGIN)
    after = rest.split(_END)[1]
    readme.write_text("\n".join([before + _BEGIN, "", *lines]) + _END + after)


def hundredths(value: float) -> str:
    """Return a number to two decimals."""
    return f"{value:.2f}"


def grid(
    rows: list[dict[str, Any]], column: str, shown: Callable[[float], str] = hundredths
) -> list[str]:
    """Return the table of one column of the latest rows, a line for each workload."""
    latest = {(row["problem"], row["solver"]): row.get(column) for row in rows}
    known = {place: value for place, value in latest.items() if value is not None}
    solvers = list(dict.fromkeys(solver for _, solver in known))
    lines = ["| workload | " + " | ".join(solvers) + " |", "|---|" + "---|" * len(solvers)]
    for problem in dict.fromkeys(problem for problem, _ in known):
        cells = [known.get((problem, solver)) for solver in solvers]
        texts = [shown(cell) if cell is not None else "" for cell in cells]
        lines.append(f"| {problem} | " + " | ".join(texts) + " |")
    return lines


def devices(rows: list[dict[str, Any]]) -> list[str]:
    """Return the devices that rows were measured on, the processor first."""
    return sorted({row["device"] for row in rows}, key=lambda device: (device != "cpu", device))


def named(device: str) -> str:
    """Return how a heading calls a device."""
    return "the processor" if device == "cpu" else f"one {device}"


def figures(value: float) -> str:
    """Return three significant figures, without an exponent."""
    return f"{float(f'{value:.3g}'):,.10g}"


def _provenance(rows: list[dict[str, Any]]) -> str:
    latest = {(r["problem"], r["solver"], r.get("seed"), r["device"]): r for r in rows}
    machines = sorted({(_machine(row), row["versions"]["jax"]) for row in latest.values()})
    return "\n".join(f"Measured on {machine} with jax {version}." for machine, version in machines)


def _machine(row: dict[str, Any]) -> str:
    return row["processor"] if row["device"] == "cpu" else f"{row['device']}, {row['processor']}"
