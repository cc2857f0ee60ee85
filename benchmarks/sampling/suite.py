"""Is the distribution right, and how fast: effective samples and round trips per second.

The suite samples laws whose means are known exactly, with our parallel tempering and with other
libraries for as many seconds. A row is one sampler on one law: ``effective_per_second`` and
``round_trips_per_second`` are the higher the better, and ``bias`` over ``standard_error`` says
whether its means are right, up to 5 in size. Ours also compares its round trips with the theory's
(``of_theory``).
"""

import statistics
from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks import report
from benchmarks.effective import autocorrelation, effective_samples, standard_error, theory
from benchmarks.ladder_run import LadderRun, Part
from benchmarks.rows import new_row
from benchmarks.sampling.peers import Sampler
from benchmarks.sampling.peers import peers as other_samplers
from benchmarks.targets import Target, targets

HEAD = """## sampling: is the distribution right, and how fast

Independent ladders, sampled at the coldest temperature: |x|^2 / 2 (harmonic), 4 (x^2 - 1)^2 + x / 2
(double well), two normal laws 8 standard deviations apart (mixture, weights 0.3 and 0.7), Ising
models at T = 2 (4 x 4: 1.5). All chains start in one well, one mode, or with random spins. Ours:
`ParallelTempering` from a geometric ladder, everything else as by default but for `swap_every`, at
least one sweep of the coordinates or sites. Effective samples (Vehtari et al. 2021) are the fewer
of those of the energy and of what is slowest: x_0, the well, the mode, the magnetisation. Bias: the
mean over all repeats less the exact one, in standard errors, which rest on the effective samples;
"stuck": all chains are still where they began; effective samples stand in brackets where a mean is
more than 5 standard errors off. Draws per second are medians of the repeats, one
solver after the other in each for equal wall clock, without warm-up and compilation.

Where we lose: on harmonic wells, which have one mode and need no ladder, to blackjax, whose chains
all walk at the coldest temperature; and to TFP, which swaps after every move, in round trips per
second on all laws of few coordinates and on the Ising models, and in effective samples on the
double well and, barely, on the mixture d=2. `swap_every=1` makes ours more, too (suite
`exchanges`).
"""

THEORY = """Round trips per swap phase against 1 / (2 + 2 sum r / (1 - r)), r the measured rejection
rates, which ladders reach whose energies are forgotten from one exchange to the next;
memory is the autocorrelation that is left, at the end of the ladder where it is more.
"""

PEERS = """TFP: `ReplicaExchangeMC` with a random walk (or flips) in a loop that counts round trips,
with our ladder and step sizes; exchanges after every move by a coin, as by default, or as often as
ours, even and odd in turn. blackjax: a random walk at the coldest temperature, our step size, as
many chains as our replicas. emcee: its stretch move there, as many walkers; it keeps positions in
float64, energies are in float32 like everyone's. All start as ours do, and warm up for as many
moves. Of TFP only nightly builds run with this JAX.
"""

_REPEATS, _QUICK_REPEATS = 7, 3
_OURS = "jaxanneal"


def run(quick: bool, peers: bool = False) -> Iterator[dict[str, Any]]:
    """Sample every target with every solver, in turn for each repeat; yield a row for each."""
    for target in targets(quick):
        yield from compare(target, _QUICK_REPEATS if quick else _REPEATS, peers)


def compare(target: Target, repeats: int, peers: bool) -> Iterator[dict[str, Any]]:
    """Sample one target with all solvers; the others have the wall clock that ours took."""
    ours = LadderRun(target)
    given = f"a geometric ladder to begin with, swap_every={ours.every}, a warm-up"
    samplers = [Sampler(_OURS, given, ours.compile_seconds, ours.part)]
    samplers += other_samplers(ours) if peers else []
    first = ours.result.steps // ours.every  # exchanges before the first repeat
    parts: dict[str, list[Part]] = {sampler.name: [] for sampler in samplers}
    histories = []
    for _ in range(repeats):
        for sampler in samplers:
            seconds = parts[_OURS][-1].seconds if parts[_OURS] else 0.0
            parts[sampler.name].append(sampler.part(seconds))
            if sampler.name == _OURS:
                histories.append(ours.result.history.energy)
    for sampler in samplers:
        ladder = ladder_health(ours, np.concatenate(histories), first)
        extra = ladder if sampler.name == _OURS else {}
        yield _row(target, sampler, parts[sampler.name], extra)


def ladder_health(ours: LadderRun, energies: np.ndarray, first: int) -> dict[str, Any]:
    """Return the diagnostics of the ladder, and how its round trips compare with theory."""
    health = ours.diagnostics
    rate, ideal = float(np.mean(health.round_trip_rate)), theory(health.swap_rate)
    return {
        "temperatures": np.asarray(health.temperatures, float).tolist(),
        "scales": ours.scales.tolist(),
        "swap_rate": np.asarray(health.swap_rate, float).tolist(),
        "barrier": float(health.barrier),
        "round_trip_rate": rate,
        "theory": ideal,
        "of_theory": rate / ideal,
        "autocorrelation": autocorrelation(energies, first),
    }


def _row(
    target: Target, sampler: Sampler, parts: list[Part], extra: dict[str, Any]
) -> dict[str, Any]:
    energies = np.concatenate([part.energies for part in parts])
    observed = np.concatenate([part.observed for part in parts])
    draws: dict[str, np.ndarray] = {"energy": energies, "observed": observed}
    exact = dict(zip(draws, target.exact, strict=True))
    error = {name: standard_error(x) for name, x in draws.items()}
    bias = {name: float(np.mean(x, dtype=np.float64)) - exact[name] for name, x in draws.items()}
    # Effective samples and round trips a draw from all repeats, which together see what one is too
    # short to see; draws a second from the median of the repeats.
    speeds = [len(part.energies) / part.seconds for part in parts]
    speed = statistics.median(speeds)
    effective = {name: effective_samples(x) for name, x in draws.items()}
    trips = [part.round_trips for part in parts if part.round_trips is not None]
    return new_row(
        "sampling",
        target.name,
        sampler.name,
        given=sampler.given,
        ladders=target.ladders,
        rungs=len(target.temperatures),
        swap_every=target.every,
        repeats=len(parts),
        seconds=sum(part.seconds for part in parts),
        compile_seconds=sampler.compile_seconds,
        evaluations=sum(part.evaluations for part in parts),
        draws=energies.size,
        effective=effective,
        effective_per_second=min(effective.values()) / len(energies) * speed,
        round_trips=sum(trips) if trips else None,
        round_trips_per_second=sum(trips) / len(energies) * speed if trips else None,
        spread=[min(speeds) / speed, max(speeds) / speed],
        exact=exact,
        bias=bias,
        standard_error={name: x if np.isfinite(x) else None for name, x in error.items()},
        **extra,
    )


def line(row: dict[str, Any]) -> str:
    """Return one row as a line of text."""
    trips = row["round_trips_per_second"]
    text = (
        f"{row['problem']:<14} {row['solver']:<22} {row['effective_per_second']:9.1f} effective/s "
        f"{'' if trips is None else f'{trips:.1f}':>8} round trips/s   "
        f"bias {_off(row, 'energy'):>6} (energy) {_off(row, 'observed'):>6} (slowest)   "
        f"{row['seconds']:5.1f} s"
    )
    if "of_theory" in row:
        text += f"   {row['of_theory']:.2f} of theory, autocorrelation {row['autocorrelation']:.2f}"
    return text


def _wrong(row: dict[str, Any]) -> bool:
    """Return whether a mean is off by more than chance, so that effective samples mean little."""
    errors = row["standard_error"].values()
    return any(
        x is None or abs(b) > 5 * x for x, b in zip(errors, row["bias"].values(), strict=True)
    )


def _off(row: dict[str, Any], what: str) -> str:
    error = row["standard_error"][what]
    return "stuck" if error is None else f"{row['bias'][what] / error:+.1f}"


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the table of rates and bias, that of the theory, and what peers were given."""
    latest = {(row["problem"], row["solver"]): row for row in rows}
    problems, lines = dict.fromkeys(problem for problem, _ in latest), []
    for row in (row for problem in problems for (p, _), row in latest.items() if p == problem):
        trips = row["round_trips_per_second"]
        effective = report.figures(row["effective_per_second"])
        cells = [row["problem"], row["solver"], f"({effective})" if _wrong(row) else effective]
        cells += ["" if trips is None else report.figures(trips)]
        cells += [_off(row, "energy"), _off(row, "observed")]
        lines.append([*cells, report.figures(row["evaluations"] / row["seconds"])])
    columns = "law | solver | effective samples/s | round trips/s | bias of the energy"
    columns += " | of the slowest | evaluations/s"
    parts = [*report.markdown(columns, lines), ""]
    parts += [*([PEERS] if len({solver for _, solver in latest}) > 1 else []), THEORY]
    names = ("barrier", "round_trip_rate", "theory", "of_theory", "autocorrelation")
    ladders = (
        [row["problem"], f"{row['rungs']}", *(report.figures(row[name]) for name in names)]
        for (_, solver), row in latest.items()
        if solver == _OURS
    )
    columns = "law | rungs | barrier | round trips per phase | theory | share | autocorrelation"
    return parts + report.markdown(columns, ladders)
