"""The rows of the suite `step` as tables, those of every device apart."""

from typing import Any

from benchmarks import report

SWAPS = "a swap phase alone"
HAND = "PT's moves by hand"
COPY = "the states copied"
ADDED = "what a swap after every move adds, one block"
BARE = ("bare (calls)", "bare (scan)", "bare (scan), our flags")
PER_CORE = "a device per core"
_EACH = tuple(f"{name}, {PER_CORE}" for name in (*BARE[:2], "SA", "PT, swap every 10"))
_SHOWN = (*BARE[:2], "SA", "PT, swap every 10")

# The solvers that the project's README shows.
_SHORT = (
    *(*BARE, "SA", "PT, swap every 10", "PT, swap every 1"),
    *(f"SA, {PER_CORE}", f"PT, swap every 10, {PER_CORE}"),
    *("evosax SA", "blackjax random walk", "TFP replica exchange"),
)

HEAD = """## step: what a step costs

Time per chain-step over that of the bare vmapped energy, in one process, interleaved, medians of
calls of a quarter of a second. Bare is the faster of back-to-back calls of the jitted energy and a
scan whose carry touches every parameter, as JAX compiles them for anyone; peers, too, in the latest
run that had them. On a GPU our programs are compiled with flags of their own (CUDA graphs of
loops), and "our flags" is the bare scan with them: a cost below 1 may be theirs. Workloads (C, H,
N): C chains of an MLP 64-H-10 on N digits. Blocks of the default width unless another is named.
With a device per core all is measured in another process, bare on one of the devices, which has all
threads: compare nanoseconds. The rows of the H200 are of calls of 48 to 207 steps, which hold up to
some ten microseconds a step that long runs do not have: compare the suite `scale`.
"""

_FLOOR = """A loop written by hand for that one energy makes a ladder's moves: the same noise,
Metropolis' rule, the choice of the new state and of the best one, but no exchange, no step size
that adapts, no record. Where a step costs much more than 1.10, that loop does, too: in (256, 32,
32) the energy takes so little for a parameter (nanoseconds below) that noise and choices tell, the
choices the more, the more proposals are accepted: SA adapts its steps until few are, the ladder
here keeps its own. One chain, (1, 32, 1437), starts kernels of few numbers beside its energy's.
"""

_BEFORE = """The same costs in the run before on a processor of that name. Where steps have not
changed since, what they differ by is the machine's noise.
"""

_CORES = """Chains in a block, with a device per core. Where the energy is little work for its
parameters, as in (1024, 8, 100) and (256, 32, 32), bare keeps both threads busy by itself, and no
spreading makes up for what a move has besides: drawing a proposal, choosing it, keeping the best,
which read and write all parameters nine times. Where bare leaves threads idle or its numbers
outgrow the caches, a device per core is the quicker one.
"""

_COORDINATES = """Nanoseconds per coordinate of a chain. Reading and writing all states once, in a
loop that does nothing else, is the least that memory allows an energy that costs nothing; where
states stay in a cache it is the cache's memory.
"""

_ROOFLINE = """The least time of a step over the time that it took: the larger of its bytes (all
states read and written once, the data read) over those that a copy of a GiB moves in a second, and
of the energy's operations over those of a product of matrices of 8,192 x 8,192, both measured in
that run, in JAX's default precision.
"""

_SHARES = """A swap phase by itself, again and again, in per cent of a bare step of all chains.
"""

_ADDED = """What a swap after every move adds to a move of all chains in one block, with all that
ends a round and begins the next, in per cent of the move: from calls of about 50 ms with a swap
every move and every 10 moves, in pairs, with a 95 % bootstrap interval. It is dozens of kernels of
a few numbers each, and starting them takes longer than what they compute: the same phase again and
again, above, takes a fraction of it.
"""

_FIRST = """Seconds to the first result of a fresh process, a call of `ja.anneal` of 100 moves:
medians of 5 processes each. "Cached": with JAX's compilation cache, which an earlier process has
filled. "Level 0": where LLVM optimises nothing, which nobody wants, but which shows what tracing,
XLA's own passes and writing some hundred kernels take.
"""

_COMPILING = """The part of them that is compiling, and what else comes before the first move.
"""

_MEMORY = """State and temporaries of the compiled program over the bytes of all parameters, without
the history, the data, and what the energy itself needs for one block. Besides its current and best
parameters a chain holds 20 bytes (energies, counts, step size), and in one of 256 ladders 10 more:
labels, round trips, its last energy, and its share of what is reported of its rung. Ten floats, 40
bytes, let that show: SA's state alone is 2.5 times them, PT's 2.75 times; the rest are the copies
of one block. A single chain holds its best state twice, the second time for the report of a chunk,
and 2 KB of single numbers and of XLA's tables show beside its 9,640 bytes. On a GPU XLA may choose
other kernels for the same energy alone and in a step, and what those need is counted here.
"""


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the figure and the tables of all devices, the processor's first."""
    lines = ["![Costs of a step over that of the bare energy](results/step.png)", ""]
    for device in report.devices(rows):
        lines += [f"### On {report.named(device)}", "", *_of_one(_on(device, rows))]
    return lines[:-1]


def readme_table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the table of the project's README for each device: costs of a few solvers."""
    lines: list[str] = []
    few = [row for row in rows if row["solver"] in _SHORT]
    for device in report.devices(few):
        costs = sorted(_on(device, few), key=lambda row: _SHORT.index(row["solver"]))
        lines += [f"On {report.named(device)}:", "", *report.grid(costs, "ratio"), ""]
        lines += [report.provenance(costs), ""]
    return lines


def _on(device: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in rows if row["device"] == device]


def _of_one(rows: list[dict[str, Any]]) -> list[str]:
    first = [row for row in rows if "ratio" not in row and "added" not in row]
    pairs = [row for row in rows if "added" in row]
    rows = [row for row in rows if "ratio" in row]
    steps = [row for row in rows if row["solver"] not in (SWAPS, COPY, HAND)]
    by_hand = {row["problem"] for row in rows if row["solver"] == HAND}
    floor = [
        row for row in rows if row["problem"] in by_hand and row["solver"] in (*_SHOWN[2:], HAND)
    ]
    phases = [row | {"ratio": 100 * row["ratio"]} for row in rows if row["solver"] == SWAPS]
    each = [
        row | {"each": row["nanoseconds_per_chain"] / row["coordinates"]}
        for row in rows
        if "coordinates" in row and row["solver"] in (*BARE, *_SHOWN, *_EACH, COPY)
    ]
    few = [row for row in rows if row["solver"] in _SHOWN]
    per_core = [row for row in rows if row["solver"] == f"SA, {PER_CORE}"]
    parts = [
        ("", steps, "ratio"),
        (_FLOOR, floor, "ratio"),
        (_BEFORE, _before(rows), "ratio"),
        (_COORDINATES, each, "each"),
        (_CORES, per_core, "block"),
        (_ROOFLINE, few, "roofline"),
        (_SHARES, phases, "ratio"),
        (_MEMORY, steps, "memory"),
        (_FIRST, first, "seconds"),
        (_COMPILING, first, "compile_seconds"),
    ]
    lines: list[str] = []
    for text, part, column in parts:
        if any(row.get(column) is not None for row in part):
            lines += [text] if text else []
            shown = report.figures if column == "each" else report.hundredths
            lines += [*report.grid(part, column, shown), ""]
        if text == _SHARES and pairs:
            lines += [_ADDED, *_pairs_table(pairs), ""]
    return lines


def _before(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the latest row but one of each workload and solver of ours on the same processor."""
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        if row["solver"] in (*_SHOWN[2:], *_EACH[2:]):
            runs.setdefault((row["problem"], row["solver"]), []).append(row)
    pairs = [rows[-2:] for rows in runs.values() if len(rows) > 1]
    return [first for first, last in pairs if first["processor"] == last["processor"]]


def _pairs_table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the latest row of each workload as a line."""
    latest = {row["problem"]: row for row in rows}
    lines = []
    for problem, row in latest.items():
        added, low, high = (f"{100 * x:.2f}" for x in (row["added"], *row["interval"]))
        lines.append([problem, added, f"{low} to {high}", f"{row['repeats']}"])
    return report.markdown("workload | added, % | interval, % | pairs", lines)
