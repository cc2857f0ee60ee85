"""What a step costs, as a multiple of the bare vmapped energy.

The suite times one step of all chains of our methods, beside the energy alone, what no engine can
do without, and other libraries, for energies from nearly free to costly. A row is one program on
one workload: its ``ratio`` is the seconds of its step over those of the bare energy, and below 1.10
is the goal. Rows without it say how long a first result takes (``seconds``, ``compile_seconds``),
or what a swap adds to a move (``added``).
"""

from collections.abc import Iterator
from typing import Any

import jax

from benchmarks.step import core_steps, first_results, swap_pairs, tables
from benchmarks.step import figure as _figure
from benchmarks.step.floors import floors
from benchmarks.step.measure import measure
from benchmarks.step.methods import methods
from benchmarks.step.peers import peers as other_libraries
from benchmarks.step.roofline import peaks
from benchmarks.workloads import workloads

HEAD, table, readme_table, figure = tables.HEAD, tables.table, tables.readme_table, _figure.save


def run(quick: bool, peers: bool = False) -> Iterator[dict[str, Any]]:
    """Measure every workload; yield one row for each solver."""
    on_cpu = jax.default_backend() == "cpu"
    limit = None if on_cpu else peaks()
    beside = (floors, other_libraries) if peers else (floors,)
    for workload in workloads(quick, large=not on_cpu):
        yield from measure(workload, methods(workload.chains, quick), quick, beside, limit)
    if not quick:
        yield from first_results.study()
    if on_cpu and not quick:
        yield from swap_pairs.study(workloads(quick), 20.0)
        yield from core_steps.rows()


def line(row: dict[str, Any]) -> str:
    """Return one row as a line of text."""
    text = f"{row['problem']:<24} {row['solver']:<28} "
    if "added" in row:
        low, high = row["interval"]
        return f"{text}{100 * row['added']:6.2f} % ({100 * low:.2f} to {100 * high:.2f})"
    if "ratio" not in row:
        low, high = row["spread"]
        return (
            f"{text}{row['compile_seconds']:5.2f} s compiling "
            f"({low:.2f} to {high:.2f}), {row['seconds']:5.2f} s to the first result"
        )
    return (
        f"{text}{row['ratio']:6.2f} x bare   {row['microseconds']:10.2f} us a step of all chains   "
        f"{row['compile_seconds']:5.2f} s compiling"
    )
