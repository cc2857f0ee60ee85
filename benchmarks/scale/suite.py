"""Chains, devices, memory, sweeps, and what checkpoints and progress cost.

Four studies of the public calls, whose rows have the study's name in ``study``: ``chains`` (speed
and memory from one chain to a million), ``devices`` (``digest``: whether a run has the same bits on
any number of them), ``sweep`` (``times_the_loop``: how much faster it is than a loop of runs), and
``overhead`` (``ratio``: the seconds of a run with checkpoints, or progress, over a plain one's).
"""

from collections.abc import Callable, Iterator
from typing import Any

import jax

from benchmarks import report
from benchmarks.scale import chain_counts, device_counts, overheads, sweep_speed
from benchmarks.scale.device_counts import FREE, NETWORK, workload
from benchmarks.workloads import network

HEAD = """## scale: chains, devices, memory, sweeps, and what is lost to checkpoints

Simulated annealing through `ja.anneal`, in blocks of the default width, a single record at the end.
All numbers of chains in turn, medians of the repeats, without compilation; few chains make many
moves, many make a few, so that a run takes about 0.7 s where it can. Bytes per chain are state and
temporaries of the compiled program, counted as in `step`, those of few chains with what every
program needs.
"""

DEVICES = """Host devices that JAX was made to have, each number in a process of its own: more of
them than cores show that nothing changes, not speed. Parallel tempering in blocks of 64 chains,
exchanges every 5 moves, ladder and step sizes adapting for half of the run. The digest is that of
all numbers found: best state, chains, history, ladder and swap rates, in every repeat.
"""

SWEEP = """8 chains, 200 moves, one repeat of each configuration: a grid of start temperatures and
step sizes through one `ja.sweep`, and a sample of it through `ja.anneal` one after the other, in
turn, without compilation. Same: runs of the sample with the energy that the sweep found, bit for
bit.
"""

OVERHEAD = """The same run plain, with `checkpoint=ja.Checkpoint(directory)`, and with a progress
bar that writes to a log and a callback, in turn. Lost is the ratio of medians over that of plain
runs, less one, with a 95 % bootstrap interval: what the clock can tell on such a machine. Spent
are the seconds inside saves and fingerprint, or bar and callback, in per cent of the run. Left
behind are the seconds of a processor that the threads started by either took of a plain run after
it, the most of all repeats: what a run could lose besides, to a hundredth of a second. The first
save comes after a second, the last at the end, and those between are at least 60 s and 99 times the
seconds of a save apart: a shorter run loses a larger share, a longer one less, and a run as long as
the last column says loses 1 % to what these have spent.
"""

_Row = dict[str, Any]
_REPEATS, _QUICK_REPEATS = 7, 3


def run(quick: bool) -> Iterator[_Row]:
    """Run the four studies; yield their rows."""
    repeats = _QUICK_REPEATS if quick else _REPEATS
    free = workload(FREE, 1)
    if quick:
        yield from chain_counts.study(free, (256,), repeats, 0.2, 20)
        yield from device_counts.study((2,), FREE, 256, 200, repeats)
        yield from sweep_speed.study((20, 10), 5, repeats)
        short = free._replace(name="Rastrigin 256, d=10", chains=256)  # no other program
        yield from overheads.study(short, 1.2, repeats)
        return
    costly = workload(NETWORK, 1)._replace(name=NETWORK)
    counts = tuple(8**n for n in range(6))  # to 32,768
    yield from chain_counts.study(free, (*counts, 2**18, 2**20), repeats, 0.7, 20)
    yield from chain_counts.study(costly, (*counts, 2**16), repeats, 0.7, 8)
    yield from sweep_speed.study((100, 100), 45, repeats)
    if jax.default_backend() != "cpu":  # what follows is about the processor's devices and disk
        return
    yield from device_counts.study((1, 2, 4, 8), NETWORK, 1024, 100, repeats)
    yield from overheads.study(network(64, 32, 1437), 30.0, 5)


def line(row: _Row) -> str:
    """Return one row as a line of text."""
    return f"{row['problem']:<44} {row['solver']:<36} {_STUDIES[row['study']][1](row)}"


def _chains_line(row: _Row) -> str:
    return (
        f"{row['evaluations_per_second']:12,.0f} evaluations/s {row['bytes_per_chain']:8,.0f} "
        f"bytes per chain   {row['compile_seconds']:5.2f} s compiling"
    )


def _devices_line(row: _Row) -> str:
    return f"{row['evaluations_per_second']:12,.0f} evaluations/s   digest {row['digest']}"


def _sweep_line(row: _Row) -> str:
    same, of = row["same"]
    return (
        f"{row['nanoseconds'] / 1e3:10,.0f} us a configuration "
        f"{row['times_the_loop']:6.1f} x the loop   {same} of {of} same"
    )


def _overhead_line(row: _Row) -> str:
    low, high = row["interval"]
    each = row["seconds_per_call"]
    return (
        f"{row['seconds']:6.2f} s, {_lost(row['ratio'])} % lost ({_lost(low)} to {_lost(high)}), "
        f"{row['spent_seconds'] * 1e3:.0f} ms spent, {row['calls']:.1f} calls"
        + ("" if each is None else f" of {each * 1e3:.1f} ms")
    )


def table(rows: list[_Row]) -> list[str]:
    """Return the tables of the four studies, of the latest rows, those of every device apart."""
    latest = {(row["problem"], row["solver"], row["device"]): row for row in rows}
    parts: list[list[str]] = []
    for device in report.devices(rows):
        parts += [[f"### On {report.named(device)}", ""]]
        for study, (title, _, write) in _STUDIES.items():
            part = [r for r in latest.values() if (r["study"], r["device"]) == (study, device)]
            if part:
                parts += [[title, *write(part), ""]] if title else [[*write(part), ""]]
    return [line for part in parts for line in part][:-1]


def _chains_table(rows: list[_Row]) -> list[str]:
    lines = []
    for row in rows:
        multiple = row["bytes_per_chain"] / row["bytes_of_parameters"]
        cells = [row["problem"], f"{row['chains']:,}"]
        cells += [report.figures(row["evaluations_per_second"])]
        cells += [f"{row['bytes_per_chain']:,.0f}", f"{multiple:.2f}"]
        lines.append([*cells, f"{row['steps']:,}", f"{row['compile_seconds']:.1f}"])
    columns = "energy | chains | evaluations/s | bytes per chain | times its parameters"
    return report.markdown(f"{columns} | moves in a run | seconds compiling", lines)


def _devices_table(rows: list[_Row]) -> list[str]:
    lines = []
    first: dict[str, str] = {}
    for row in rows:
        expected = first.setdefault(row["problem"], row["digest"])
        same = "yes" if row["digest"] == expected and " " not in expected else "NO"
        speed = report.figures(row["evaluations_per_second"])
        lines.append([row["problem"], f"{row['devices']}", speed, row["digest"], same])
    columns = "run | devices | evaluations/s | digest | same bits as the first"
    return report.markdown(columns, lines)


def _sweep_table(rows: list[_Row]) -> list[str]:
    lines = []
    for row in rows:
        cells = [row["problem"], row["solver"], report.figures(row["nanoseconds"] / 1e3)]
        lines.append([*cells, f"{row['times_the_loop']:.1f}", "{} of {}".format(*row["same"])])
    columns = "sweep | through | microseconds a configuration | times as fast as the loop | same"
    return report.markdown(columns, lines)


def _overhead_table(rows: list[_Row]) -> list[str]:
    lines = []
    for row in rows:
        cells = [row["problem"], row["solver"], f"{row['seconds']:.2f}", _lost(row["ratio"])]
        spent, each = row["spent_seconds"], row["seconds_per_call"]
        cells += [" to ".join(map(_lost, row["interval"])), f"{100 * spent / row['seconds']:.2f}"]
        behind = row.get("behind_seconds")
        cells += ["" if behind is None else f"{behind:.2f}"]
        cells += [f"{row['calls']:.1f}", "" if each is None else f"{1e3 * each:.1f}"]
        lines.append([*cells, "" if each is None else report.figures(100 * spent)])
    columns = "run | with | seconds | lost, % | interval, % | spent, % | left behind, s | calls"
    return report.markdown(f"{columns} | milliseconds each | 1 % of, s", lines)


def _lost(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.2f}"


# The heading, the line of a row and the table of each study.
_STUDIES: dict[str, tuple[str, Callable[[_Row], str], Callable[[list[_Row]], list[str]]]] = {
    "chains": ("", _chains_line, _chains_table),
    "devices": (DEVICES, _devices_line, _devices_table),
    "sweep": (SWEEP, _sweep_line, _sweep_table),
    "overhead": (OVERHEAD, _overhead_line, _overhead_table),
}
