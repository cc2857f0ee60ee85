"""The health of a ladder in one figure: eight pairs of axes, and what check() says, above them."""

from typing import Any

import numpy as np

from jaxanneal._diagnostics.check_ladder import (
    LEFT_AT_MOST,
    allowed_rate,
    exploration_doubts,
    finer,
    spacing_doubts,
)
from jaxanneal._plots.axes import (
    bands,
    draw_rungs,
    finish,
    fit_scale,
    has_records,
    mark_warmup,
    over_decades,
    over_temperature,
    remark,
    rung_colours,
)
from jaxanneal._plots.index_process import draw_index_process
from jaxanneal._plots.overlap import draw_overlap
from jaxanneal._plots.verdict import agreement_of, faults, wrapped

# Round trips below which nothing is certain, and a split R-hat above which ladders disagree.
_TRIPS, _RHAT = 10, 1.05


def ladder_health(figure: Any, result: Any) -> None:
    """Draw a tempered run.

    Args:
        figure: An empty figure.
        result: Of parallel tempering.
    """
    history, health, state = result.history, result.diagnostics, result.state.engine_state
    method = state.method
    figure.suptitle(verdict(result), fontsize="medium", ha="left", x=0.02)
    panels = figure.subplots(4, 2)
    _energy(panels[0, 0], history)
    _temperature(panels[0, 1], history)
    draw_index_process(panels[1, 0], history, round_trips(result))
    draw_rates(panels[1, 1], health)
    draw_overlap(panels[2, 0], history, health.temperatures, health.swap_rate)
    draw_barrier(panels[2, 1], health, finer(health) if spacing_doubts(state, health) else None)
    draw_energies(panels[3, 0], health)
    slow = bool(exploration_doubts(state, health))
    draw_exploration(panels[3, 1], health, int(method.swap_every), slow)


def verdict(result: Any) -> str:
    """Return in a few lines whether the run is to be trusted."""
    method = result.state.engine_state.method
    many = "ladder" if method.ladders == 1 else "ladders"
    lines = [f"{method.ladders:,} {many} of {method.rungs:,} rungs, {result.steps:,} moves"]
    warm = int(method.warmup_end())
    if 0 < warm < result.steps:
        lines[0] += f", the first {warm:,} of them to warm up (not counted below)"
    elif warm > 0:
        lines[0] += ": still warming up, nothing is to be trusted yet"
    lines[0] += agreement_of(result)
    texts = faults(result)
    if result.steps > warm and not texts:
        texts = too_short(result.diagnostics) or ["check() finds no fault"]
    return wrapped(lines + texts)


def too_short(health: Any) -> list[str]:
    """Return what a run without a fault is still too short for."""
    trips, lines = int(np.sum(health.round_trips)), []
    if trips < _TRIPS:
        lines.append(f"{trips_of(trips)} in all")
    if np.any(health.rhat > _RHAT):
        lines.append(f"rungs whose R-hat is up to {np.nanmax(health.rhat):.3g}")
    text = f"Too short to trust, although check() finds no fault: {' and '.join(lines)}"
    return [text] if lines else []


def trips_of(count: int) -> str:
    """Return a number of round trips in words."""
    return f"{count:,} round trip" + ("" if count == 1 else "s")


def round_trips(result: Any) -> str:
    """Return how many round trips replicas made, and how many the swap rates allow."""
    health, state = result.diagnostics, result.state.engine_state
    total = int(np.sum(health.round_trips))
    trips = trips_of(total)
    phases = int(state.exchange.phases) * state.method.ladders
    allowed = phases * allowed_rate(health.swap_rate, state.method.scheme)
    if not np.isfinite(allowed):
        return f"Index process: {trips}"
    return f"Index process: {trips}, the swap rates allow {allowed:,.{0 if allowed >= 10 else 1}f}"


def _energy(axes: Any, history: Any) -> None:
    if has_records(axes, history):
        shown = draw_rungs(axes, history.step, history.energy, average=True)
        best = bands(history.best_energy).min.min(axis=1)
        axes.plot(history.step, best, color="black", lw=1.5, label="best of all")
        fit_scale(axes, shown, best)
        mark_warmup(axes, history)
    finish(axes, "Energy at each rung (moving average)", "energy")


def _temperature(axes: Any, history: Any) -> None:
    if has_records(axes, history):
        shown = draw_rungs(axes, history.step, history.temperature)
        fit_scale(axes, shown)
        mark_warmup(axes, history)
    finish(axes, "Temperature of each rung", "temperature (units of energy)")


_TEMPERATURE = "temperature (units of energy)"

# Up to so many rungs each has a line to the axis, whose equal distances show equal rejection.
_LINES = 20


def draw_rates(axes: Any, health: Any) -> None:
    """Draw the swap rate of each pair against their mean, and the acceptance of moves."""
    ladder, rate = health.temperatures, health.swap_rate
    title = "Swaps of neighbours: none were tried"
    known = rate[np.isfinite(rate)]
    if known.size:
        mean = float(known.mean())
        title = f"Swap rates {known.min():.2f} to {known.max():.2f}, mean {mean:.2f}"
        axes.axhline(mean, color="black", lw=1, ls=":", label="equal rejection: their mean")
    between = np.sqrt(ladder[1:] * ladder[:-1])
    axes.plot(between, rate, color="black", lw=1.2, marker="D", ms=4, label="swaps of neighbours")
    _dots(axes, ladder, health.acceptance_rate, "moves", ls="--")
    axes.set_ylim(-0.02, 1.02)
    over_temperature(axes, ladder)
    finish(axes, title, "accepted / proposed", _TEMPERATURE)


def draw_barrier(axes: Any, health: Any, better: str | None) -> None:
    """Draw the barrier from the coldest rung up to each: equal steps where pairs refuse equally.

    Args:
        axes: Where to draw.
        health: The diagnostics.
        better: The setting that there should be; ``None`` where the rungs are enough.
    """
    ladder, refused = health.temperatures, 1 - health.swap_rate
    barrier = np.concatenate([[0.0], np.cumsum(refused)])
    title = "Barrier: not measured yet"
    if np.isfinite(health.barrier):
        enough = "" if better is None else f": few, better\n{better}"
        title = f"Barrier {health.barrier:.3g} over {len(refused):,} pairs{enough}"
        if len(ladder) <= _LINES:
            axes.hlines(barrier, ladder[0] / 10, ladder, color="0.7", lw=0.6, zorder=0)
    _dots(axes, ladder, barrier, None)
    axes.set_ylim(bottom=0)
    over_temperature(axes, ladder)
    finish(axes, title, "sum of rejection rates", _TEMPERATURE)


def draw_exploration(axes: Any, health: Any, swap_every: int, slow: bool) -> None:
    """Draw how much of a rung's energy the moves between two exchanges leave.

    Args:
        axes: Where to draw.
        health: The diagnostics.
        swap_every: Moves between exchanges.
        slow: Whether that holds up the replicas.
    """
    left = health.autocorrelation
    known = left[np.isfinite(left)]
    title = "Exploration: not measured yet"
    if known.size:
        moves = "1 move" if swap_every == 1 else f"{swap_every:,} moves"
        title = f"Exploration: {moves} leave {known.mean():.0%} of a rung's energy"
        independent, rhat = health.effective_sample_size, health.rhat
        if np.any(np.isfinite(independent)) and np.any(np.isfinite(rhat)):
            title += (
                f"\nleast effective sample size {np.nanmin(independent):,.0f}, "
                f"largest R-hat {np.nanmax(rhat):.3g}"
            )
    colour, label = "0.5", "half of it and more"
    if slow:
        colour, label = "C3", "too much: raise swap_every"
    axes.axhspan(LEFT_AT_MOST, 1.02, color=colour, alpha=0.08, lw=0, label=label)
    _dots(axes, health.temperatures, left, "left at each rung")
    axes.set_ylim(float(np.min(known - 0.02, initial=-0.02)), 1.02)
    over_temperature(axes, health.temperatures)
    finish(axes, title, "autocorrelation of the energy", _TEMPERATURE)


def draw_energies(axes: Any, health: Any) -> None:
    """Draw mean energy and heat capacity, which say where the ladder has work to do."""
    ladder, mean = health.temperatures, health.mean_energy
    finish_as = ("Mean energy and heat capacity", "mean energy", _TEMPERATURE)
    over_temperature(axes, ladder)
    if not np.any(np.isfinite(mean)):
        remark(axes, "no swap phase yet")
        return finish(axes, *finish_as)
    if over_decades(mean[np.isfinite(mean)]):
        axes.set_yscale("log")
    _dots(axes, ladder, mean, "mean energy")
    right = axes.twinx()
    style = {"color": "0.45", "lw": 1.2, "ls": "--", "marker": "D", "ms": 3}
    right.plot(ladder, health.heat_capacity, **style)
    axes.plot([], [], **style, label="heat capacity")  # one legend for both
    right.set_ylabel("heat capacity: variance of E / T²", color="0.35")
    known = health.heat_capacity[np.isfinite(health.heat_capacity)]
    if known.size and 0 < 100 * known.min() < known.max():
        right.set_yscale("log")
    else:
        right.set_ylim(0, 1.08 * known.max() if known.size and known.max() > 0 else 1)
    return finish(axes, *finish_as)


def _dots(axes: Any, ladder: Any, values: Any, label: str | None, ls: str = "-") -> None:
    axes.plot(ladder, values, color="0.6", lw=1.2, ls=ls, zorder=1, label=label)
    axes.scatter(ladder, values, c=rung_colours(len(ladder)), s=26, zorder=2)
