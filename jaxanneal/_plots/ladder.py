"""The health of a ladder in one figure: eight pairs of axes, and what check() says, above them."""

import textwrap
from typing import Any

import numpy as np

from jaxanneal._diagnostics.check import doubts, failures
from jaxanneal._diagnostics.check_ladder import exploration_doubts
from jaxanneal._diagnostics.check_spacing import allowed_rate, rungs_for, spacing_doubts
from jaxanneal._plots.axes import (
    bands,
    draw_rungs,
    finish,
    fit_scale,
    mark_warmup,
    remark,
)
from jaxanneal._plots.index_process import draw_index_process
from jaxanneal._plots.overlap import draw_overlap
from jaxanneal._plots.rung_curves import (
    draw_barrier,
    draw_energies,
    draw_exploration,
    draw_rates,
)

_LINE = 125  # characters

# Round trips below which nothing is certain, and a split R-hat above which ladders disagree.
_TRIPS, _RHAT = 10, 1.05


def ladder_health(made: Any, result: Any) -> None:
    """Draw a tempered run.

    Args:
        made: An empty figure.
        result: Of parallel tempering.
    """
    history, health, state = result.history, result.diagnostics, result.state.state
    method = state.method
    made.suptitle(verdict(result), fontsize="medium", ha="left", x=0.02)
    panels = made.subplots(4, 2)
    _energy(panels[0, 0], history)
    _temperature(panels[0, 1], history)
    draw_index_process(panels[1, 0], history, round_trips(result))
    draw_rates(panels[1, 1], health)
    draw_overlap(panels[2, 0], history, health.temperatures, health.swap_rate)
    wanted = max(rungs_for(health), method.rungs) if spacing_doubts(state, health) else None
    draw_barrier(panels[2, 1], health, wanted)
    draw_energies(panels[3, 0], health)
    slow = bool(exploration_doubts(state, health))
    draw_exploration(panels[3, 1], health, int(method.swap_every), slow)


def verdict(result: Any) -> str:
    """Return in a few lines whether the run is to be trusted."""
    method = result.state.state.method
    many = "ladder" if method.ladders == 1 else "ladders"
    lines = [f"{method.ladders:,} {many} of {method.rungs:,} rungs, {result.steps:,} moves"]
    warm = int(method.warmup_end())
    if 0 < warm < result.steps:
        lines[0] += f", the first {warm:,} of them to warm up (not counted below)"
    elif warm > 0:
        lines[0] += ": still warming up, nothing is to be trusted yet"
    found = [f"Not to be trusted: {text}" for text in failures(result)]
    found += [f"Doubtful: {text}" for text in doubts(result)]
    if result.steps > warm and not found:
        found = too_short(result.diagnostics) or ["check() finds no fault"]
    return "\n".join(textwrap.fill(line, _LINE) for line in lines + found)


def too_short(health: Any) -> list[str]:
    """Return what a run without a fault is still too short for."""
    made, found = int(np.sum(health.round_trips)), []
    if made < _TRIPS:
        found.append(f"{trips_of(made)} in all")
    if np.any(health.rhat > _RHAT):
        found.append(f"rungs whose R-hat is up to {np.nanmax(health.rhat):.3g}")
    text = f"Too short to trust, although check() finds no fault: {' and '.join(found)}"
    return [text] if found else []


def trips_of(count: int) -> str:
    """Return a number of round trips in words."""
    return f"{count:,} round trip" + ("" if count == 1 else "s")


def round_trips(result: Any) -> str:
    """Return how many round trips replicas made, and how many the swap rates allow."""
    health, state = result.diagnostics, result.state.state
    made = int(np.sum(health.round_trips))
    trips = trips_of(made)
    phases = int(state.exchange.phases) * state.method.ladders
    allowed = phases * allowed_rate(health.swap_rate, state.method.scheme)
    if not np.isfinite(allowed):
        return f"Index process: {trips}"
    return f"Index process: {trips}, the swap rates allow {allowed:,.{0 if allowed >= 10 else 1}f}"


def _energy(axes: Any, history: Any) -> None:
    if len(history.step):
        shown = draw_rungs(axes, history.step, history.energy, average=True)
        best = bands(history.best_energy).min.min(axis=1)
        axes.plot(history.step, best, color="black", lw=1.5, label="best of all")
        fit_scale(axes, shown, best)
        mark_warmup(axes, history)
    else:
        remark(axes, "no moves were made")
    finish(axes, "Energy at each rung (moving average)", "energy")


def _temperature(axes: Any, history: Any) -> None:
    if len(history.step):
        shown = draw_rungs(axes, history.step, history.temperature)
        fit_scale(axes, shown)
        mark_warmup(axes, history)
    else:
        remark(axes, "no moves were made")
    finish(axes, "Temperature of each rung", "temperature (units of energy)")
