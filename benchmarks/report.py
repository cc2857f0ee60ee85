"""The report: the committed rows as tables and figures, and as a table of the project's README."""

import pathlib
from collections.abc import Callable, Iterable
from typing import Any

from benchmarks.rows import read

_HEAD = """# Benchmarks

Written by `python -m benchmarks report` from the rows in `benchmarks/results`; every number comes
from a row that `python -m benchmarks run SUITE` appended.
"""


def write(folder: pathlib.Path, suites: dict[str, Any]) -> str:
    """Write the report of all suites, and their tables in the project's README.

    Args:
        folder: The rows, a file for each suite; the report is written beside it.
        suites: Modules by the name of their suite: ``HEAD`` and ``table`` make its part of the
            report, ``figure`` its picture, ``readme_table`` what the README has of it.

    Returns:
        The path of the report.
    """
    parts = [_HEAD]
    for name in sorted(suites, reverse=True):
        suite, rows = suites[name], read(folder, name)
        if not rows:
            continue
        parts += [suite.HEAD, *suite.table(rows), "", provenance(rows), ""]
        if hasattr(suite, "figure"):
            suite.figure(rows, folder / f"{name}.png")
        if hasattr(suite, "readme_table"):
            _write_between(folder.parent.parent / "README.md", name, suite.readme_table(rows))
    path = folder.parent / "README.md"
    path.write_text("\n".join(parts).rstrip("\n") + "\n")
    return str(path)


def _write_between(readme: pathlib.Path, name: str, lines: list[str]) -> None:
    """Replace the lines between the two marks of a suite."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, rest = readme.read_text().split(begin)
    readme.write_text("\n".join([before + begin, "", *lines]) + end + rest.split(end)[1])


def hundredths(value: float) -> str:
    """Return a number to two decimals."""
    return f"{value:.2f}"


def grid(
    rows: list[dict[str, Any]], column: str, shown: Callable[[float], str] = hundredths
) -> list[str]:
    """Return the table of one column of the latest rows, a line for each workload."""
    latest = {(row["problem"], row["solver"]): row.get(column) for row in rows}
    texts = {place: shown(value) for place, value in latest.items() if value is not None}
    solvers = list(dict.fromkeys(solver for _, solver in texts))
    lines = (
        [problem, *(texts.get((problem, solver), "") for solver in solvers)]
        for problem in dict.fromkeys(problem for problem, _ in texts)
    )
    return markdown(" | ".join(["workload", *solvers]), lines)


def markdown(columns: str, lines: Iterable[Iterable[str]]) -> list[str]:
    """Return a table: its columns, written with ``|`` between them, and the cells of each line."""
    rule = "|---" * len(columns.split(" | ")) + "|"
    return [f"| {columns} |", rule, *(f"| {' | '.join(cells)} |" for cells in lines)]


def devices(rows: list[dict[str, Any]]) -> list[str]:
    """Return the devices that rows were measured on, the processor first."""
    return sorted({row["device"] for row in rows}, key=lambda device: (device != "cpu", device))


def named(device: str) -> str:
    """Return how a heading calls a device."""
    return "the processor" if device == "cpu" else f"one {device}"


def figures(value: float) -> str:
    """Return three significant figures, without an exponent."""
    return f"{float(f'{value:.3g}'):,.10g}"


def provenance(rows: list[dict[str, Any]]) -> str:
    """Return the machines and the versions of JAX of the latest rows, a line for each."""
    latest = {(r["problem"], r["solver"], r.get("seed"), r["device"]): r for r in rows}
    machines = sorted({(_machine(row), row["versions"]["jax"]) for row in latest.values()})
    return "\n".join(f"Measured on {machine} with jax {version}." for machine, version in machines)


def _machine(row: dict[str, Any]) -> str:
    return row["processor"] if row["device"] == "cpu" else f"{row['device']}, {row['processor']}"
