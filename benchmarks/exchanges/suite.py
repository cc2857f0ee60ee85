"""How often replicas should swap, by which scheme, and which shapes of ladders cost speed.

Four studies of our parallel tempering alone. A row of the first two is one ``swap_every`` and one
scheme on one law: round trips and effective samples per second or per move, the higher the better.
Of the third it is how soon a search reaches a known optimum (``moves_to_target``), of the fourth
the ``nanoseconds`` of a move of a replica in ladders of another shape.
"""

import statistics
import textwrap
from collections.abc import Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np

import jaxanneal as ja
from benchmarks import report
from benchmarks.effective import autocorrelation, effective_samples, theory
from benchmarks.exchanges import searches
from benchmarks.ladder_run import LadderRun, Part
from benchmarks.rows import new_row
from benchmarks.targets import Target, double_well, harmonic, ising
from benchmarks.workloads import rastrigin

HEAD = """## exchanges: how often, by which scheme, in which shape

Parallel tempering with other numbers of moves between exchanges (`swap_every`): as many moves and
records each, after a warm-up of as many moves or 200 exchanges, the longer; seconds are medians of
repeats, one setting after the other in each. `deo` tries even and odd pairs in turn, `seo` chooses
by a coin. All ladders of a law together.
"""

_TITLES = {
    "round_trips_per_second": "Round trips per second:",
    "round_trips_per_1000": "Round trips per 1,000 moves:",
    "effective_per_second": "Effective samples per second, the fewer of those of the energy and of "
    "what is slowest (x_0, the magnetisation, the well):",
    "effective_per_1000": "These per 1,000 moves:",
    "of_theory": "Round trips per swap phase as a share of the theory of a ladder that explores "
    "ideally:",
    "autocorrelation": "Autocorrelation of the energy from one exchange to the next, at the end of "
    "the ladder where it is more:",
    "moves_to_target": "Moves until the first replica of 4 ladders of 12 rungs reaches a known "
    "optimum, from a start at random, medians over seeds:",
    "seconds_to_target": "Seconds until then, without compilation:",
    "nanoseconds": "Nanoseconds per move of a replica, Rastrigin's function of ten coordinates, as "
    "many replicas in ladders of other shapes; `SA` has no ladder:",
}
_SHORT = ("moves_to_target", "seconds_to_target")  # of three figures
_EVERY, _QUICK_EVERY = (1, 3, 10, 30, 100), (10,)
_REPEATS, _QUICK_REPEATS = 7, 3
# Moves between records, as many for all.
_RECORD = 10
_DRAWS = ("energies", "observed")
_REPLICAS, _QUICK_REPLICAS = 4096, 256


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Run the four studies; yield a row for each setting."""
    repeats = _QUICK_REPEATS if quick else _REPEATS
    for target, moves in laws(quick):
        yield from frequencies(target, moves, _QUICK_EVERY if quick else _EVERY, repeats)
    if not quick:
        yield from searches.study(_EVERY, 2 * repeats + 1)
    yield from shapes(_QUICK_REPLICAS if quick else _REPLICAS, repeats)


def laws(quick: bool) -> Iterator[tuple[Target, int]]:
    """Yield the laws and the moves of one repeat."""
    yield harmonic(3, 100.0, 10, 10, 0), 3000 if quick else 9000
    if quick:
        return
    yield harmonic(6, 100.0, 12, 10, 0), 9000
    yield harmonic(50, 10.0, 14, 10, 0), 6000
    yield ising(8, 2.0, 8, 16, 0), 9000
    yield double_well(0), 9000


def frequencies(
    target: Target, moves: int, everies: tuple[int, ...], repeats: int
) -> Iterator[dict[str, Any]]:
    """Compare moves between exchanges, and both schemes at the default ten."""
    settings = [("deo", every) for every in everies] + [("seo", 10)]
    runs = {
        f"{scheme}, swap_every={every}": LadderRun(
            target._replace(exchanges=moves // every, every=every), scheme, _RECORD
        )
        for scheme, every in settings
    }
    first = {name: run.result.steps // run.every for name, run in runs.items()}
    parts: dict[str, list[Part]] = {name: [] for name in runs}
    histories: dict[str, list[np.ndarray]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, one in runs.items():
            parts[name].append(one.part())
            skip = max(1, one.every // _RECORD)
            histories[name].append(one.result.history.energy[skip - 1 :: skip])
    for (scheme, every), name in zip(settings, runs, strict=True):
        memory = None
        if scheme == "deo" and every % _RECORD == 0:  # recorded after every exchange
            memory = autocorrelation(np.concatenate(histories[name]), first[name])
        yield _row(runs[name], name, scheme, parts[name], memory)


def _row(
    one: LadderRun, name: str, scheme: str, parts: list[Part], memory: float | None
) -> dict[str, Any]:
    health, seconds = one.diagnostics, [part.seconds for part in parts]
    ideal, rate = theory(health.swap_rate, scheme), float(np.mean(health.round_trip_rate))
    draws = [np.concatenate([getattr(x, field) for x in parts]) for field in _DRAWS]
    middle = statistics.median(seconds)
    return new_row(
        "exchanges",
        one.target.name,
        name,
        swap_every=one.every,
        scheme=scheme,
        moves=one.moves,
        repeats=len(parts),
        ladders=one.target.ladders,
        rungs=len(one.target.temperatures),
        seconds=middle,
        spread=[min(seconds) / middle, max(seconds) / middle],
        round_trips=sum(part.round_trips or 0 for part in parts),
        round_trips_per_second=sum(part.round_trips or 0 for part in parts) / len(parts) / middle,
        effective_per_second=min(map(effective_samples, draws)) / len(parts) / middle,
        round_trip_rate=rate,
        theory=ideal,
        of_theory=rate / ideal if ideal else None,
        autocorrelation=memory,
    )


def shapes(replicas: int, repeats: int) -> Iterator[dict[str, Any]]:
    """Time as many replicas in few long ladders, many short ones, and in none."""
    side = int(replicas**0.5)
    counts = [(1, replicas), (side, side)]
    if side > 16:  # fewer programs to compile where it has to be quick
        counts.append((replicas // 8, 8))
    methods: dict[str, Any] = {
        f"{ladders} x {rungs} rungs": ja.ParallelTempering(
            ladders=ladders, temperatures=np.geomspace(1.0, 100.0, rungs), adapt=False
        )
        for ladders, rungs in counts
    }
    methods["SA"] = ja.SimulatedAnnealing(replicas, ja.cooling.Geometric(100.0, 1.0, steps=10**6))
    move = ja.moves.Gaussian(scale=1.0, target_acceptance=None)
    steps = 2000
    options: dict[str, Any] = {"steps": steps, "record_every": steps, "progress": False}
    start = jnp.full((10,), 3.0)
    runs = {
        name: ja.anneal(rastrigin, start, key=0, method=method, move=move, **options)
        for name, method in methods.items()
    }
    compiling = {name: first.compile_seconds for name, first in runs.items()}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for repeat in range(repeats + 1):
        for name in methods:
            runs[name] = ja.anneal(rastrigin, state=runs[name].state, **options)
            if repeat:  # the first of them compiles what only a continued run needs
                seconds[name].append(runs[name].seconds)
    for name, values in seconds.items():
        per_move = [1e9 * value / steps / replicas for value in values]
        yield new_row(
            "exchanges",
            f"{replicas} replicas",
            name,
            repeats=repeats,
            nanoseconds=statistics.median(per_move),
            spread=[min(per_move), max(per_move)],
            compile_seconds=compiling[name],
        )


def line(row: dict[str, Any]) -> str:
    """Return one row as a line of text."""
    text = f"{row['problem']:<16} {row['solver']:<20} "
    if "nanoseconds" in row:
        return text + f"{row['nanoseconds']:8.1f} ns a move of a replica"
    if "reached" in row:
        moves, seconds = row["moves_to_target"], row["seconds_to_target"]
        if moves is None:
            return text + f"the target in {row['reached']:.0%} of the runs"
        return text + f"{moves:10,.0f} moves, {seconds:.3f} s to the target"
    share, memory = row["of_theory"], row["autocorrelation"]
    return (
        f"{text}{row['round_trips_per_second']:8.1f} round trips/s "
        f"{row['effective_per_second']:8.1f} effective/s   "
        f"{'' if share is None else f'{share:.2f} of theory'}   "
        f"{'' if memory is None else f'autocorrelation {memory:.2f}'}"
    )


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the tables of the four studies."""
    lines, rows = [], [row | _per_move(row) for row in rows]
    for column, title in _TITLES.items():
        shown = report.figures if column in _SHORT else report.hundredths
        lines += [textwrap.fill(title, 100), "", *report.grid(rows, column, shown), ""]
    return lines[:-1]


def _per_move(row: dict[str, Any]) -> dict[str, Any]:
    """Return what does not depend on the clock."""
    if "moves" not in row:
        return {}
    thousands = row["moves"] / 1000
    return {
        "round_trips_per_1000": row["round_trips"] / row["repeats"] / thousands,
        "effective_per_1000": row["effective_per_second"] * row["seconds"] / thousands,
    }
