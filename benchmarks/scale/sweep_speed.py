"""A sweep of many small runs beside the loop that everybody would write: seconds and bits."""

import itertools
import statistics
import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxanneal as ja
from benchmarks.rows import new_row
from benchmarks.scale.runs import whole

_STEPS, _CHAINS, _END = 200, 8, 1e-3
# Of the start temperature and of the step size.
_ENDS = ((1.0, 100.0), (0.03, 3.0))


def himmelblau(x: jax.Array) -> jax.Array:
    """Return Himmelblau's function of two numbers, whose four minima are 0."""
    return (x[0] ** 2 + x[1] - 11.0) ** 2 + (x[0] + x[1] ** 2 - 7.0) ** 2


def study(sides: tuple[int, int], sample: int, repeats: int) -> Iterator[dict[str, Any]]:
    """Run the sweep and a part of the loop in turn; yield a row for each.

    Args:
        sides: Values of the start temperature and of the step size, all pairs of which are run.
        sample: Runs of the loop in each repeat.
        repeats: How often.
    """
    starts, scales = (np.geomspace(*ends, n) for ends, n in zip(_ENDS, sides, strict=True))
    pairs = list(itertools.product(starts.tolist(), scales.tolist()))
    # Evenly spread over the grid, other ones in every repeat.
    indices = np.linspace(0, len(pairs) - 1, repeats * sample).round().astype(int)
    begin = time.perf_counter()
    swept = _sweep(starts, scales)
    first = time.perf_counter() - begin
    _single(pairs, 0)  # compiles
    seconds: dict[str, list[float]] = {"sweep": [], "loop": []}
    looped: dict[int, float] = {}
    for repeat in range(repeats):
        begin = time.perf_counter()
        _sweep(starts, scales)
        seconds["sweep"].append((time.perf_counter() - begin) / len(pairs))
        begin = time.perf_counter()
        looped |= {c: _single(pairs, c) for c in indices[repeat::repeats].tolist()}
        seconds["loop"].append((time.perf_counter() - begin) / sample)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    same = sum(float(swept[c]) == energy for c, energy in looped.items())
    loop = f"a loop over ja.anneal, {repeats * sample} of them"
    for name, solver, count in (("sweep", "ja.sweep", len(pairs)), ("loop", loop, sample)):
        yield new_row(
            "scale",
            f"{len(pairs)} configurations of Himmelblau's function",
            solver,
            study="sweep",
            chains=_CHAINS,
            steps=_STEPS,
            repeats=repeats,
            configurations=count,
            nanoseconds=medians[name] * 1e9,
            spread=[min(seconds[name]) / medians[name], max(seconds[name]) / medians[name]],
            times_the_loop=medians["loop"] / medians[name],
            same=[same, len(looped)],
            compile_seconds=first - medians[name] * count if name == "sweep" else None,
        )


def _sweep(starts: np.ndarray, scales: np.ndarray) -> np.ndarray:
    """Return the energies of all configurations in row-major order."""
    over = {"method.cooling.start": starts.tolist(), "move.scale": scales.tolist()}
    method, move = _settings(1.0, 1.0)
    options: dict[str, Any] = {"key": 0, "steps": _STEPS, "repeats": 1, "progress": False}
    table = ja.sweep(himmelblau, jnp.zeros(2), over=over, method=method, move=move, **options)
    if (table.stop_reason == ja.StopReason.INTERRUPTED.name).any():
        raise KeyboardInterrupt
    return table.energy.values.reshape(-1)


def _single(pairs: list[tuple[float, float]], c: int) -> float:
    """Return the energy of one configuration run alone, with the key that the sweep gives it."""
    method, move = _settings(*pairs[c])
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), c), 0)
    options: dict[str, Any] = {"key": key, "steps": _STEPS, "progress": False}
    return whole(ja.anneal(himmelblau, jnp.zeros(2), method=method, move=move, **options)).energy


def _settings(start: float, scale: float) -> tuple[ja.SimulatedAnnealing, Any]:
    cooling = ja.cooling.Geometric(start, _END)
    return ja.SimulatedAnnealing(_CHAINS, cooling), ja.moves.Gaussian(scale, target_acceptance=None)
