"""The picture of a run."""

from typing import Any

import numpy as np

from jaxanneal._axes import (
    bands,
    cold_to_hot,
    draw_chains,
    draw_rungs,
    finish,
    fit_scale,
    mark_warmup,
    rung_colours,
    smooth,
)

_ENERGY, _RATE = "energy", "accepted / proposed"
_TEMPERATURE = "temperature (units of energy)"


def figure(result: Any) -> Any:
    """Return a matplotlib figure of a run: cooled, tempered or polished.

    Raises:
        ImportError: matplotlib is missing.
    """
    try:
        from jaxanneal._figure import ShownFigure
    except ImportError as error:
        remedy = "Result.plot needs matplotlib: pip install 'jaxanneal[plot]'."
        raise ImportError(remedy) from error
    history, health = result.history, result.diagnostics
    if health.temperatures is not None:
        made = ShownFigure(figsize=(11, 8), layout="constrained")
        _tempered(made, history, health)
    elif result.gradients:
        made = ShownFigure(figsize=(6, 4.2), layout="constrained")
        _energy(made.subplots(), history, "gradient steps per chain")
    else:
        made = ShownFigure(figsize=(13, 4.2), layout="constrained")
        energy, temperature, acceptance = made.subplots(1, 3)
        _energy(energy, history, "moves per chain")
        _cooling(temperature, history)
        _acceptance(acceptance, history)
    return made


def _energy(axes: Any, history: Any, xlabel: str) -> None:
    if _recorded(axes, history):
        step = history.step
        of = draw_chains(axes, step, history.energy, "C0", "current")
        best = bands(history.best_energy).min
        axes.plot(step, best, color="black", lw=1.5, label="best of all")
        fit_scale(axes, of.median, of.q75, of.min, best)
    finish(axes, "Energy", _ENERGY, xlabel)


def _cooling(axes: Any, history: Any) -> None:
    if _recorded(axes, history):
        temperature = bands(history.temperature).median
        axes.plot(history.step, temperature, color="C3", lw=1.5)
        fit_scale(axes, temperature)
    finish(axes, "Temperature", _TEMPERATURE)


def _acceptance(axes: Any, history: Any) -> None:
    if _recorded(axes, history):
        draw_chains(axes, history.step, smooth(history.acceptance_rate), "C2", "rate", "mean")
    axes.set_ylim(-0.02, 1.02)
    finish(axes, "Acceptance of moves", _RATE)


def _tempered(made: Any, history: Any, health: Any) -> None:
    (energy, temperature), (acceptance, swaps) = made.subplots(2, 2)
    if _recorded(energy, history):
        shown = draw_rungs(energy, history.step, history.energy, average=True)
        best = bands(history.best_energy).min.min(axis=1)
        energy.plot(history.step, best, color="black", lw=1.5, label="best of all")
        fit_scale(energy, shown, best)
        mark_warmup(energy, history)
        _colour_bar(made, energy, health.temperatures)
    finish(energy, "Energy at each rung (moving average)", _ENERGY)
    if _recorded(temperature, history):
        shown = draw_rungs(temperature, history.step, history.temperature)
        fit_scale(temperature, shown)
        mark_warmup(temperature, history)
    finish(temperature, "Temperature of each rung", _TEMPERATURE)
    if _recorded(acceptance, history):
        draw_rungs(acceptance, history.step, smooth(bands(history.acceptance_rate).mean)[:, None])
        mark_warmup(acceptance, history)
    acceptance.set_ylim(-0.02, 1.02)
    finish(acceptance, "Acceptance of moves at each rung", _RATE)
    _ladder(swaps, health)


def _ladder(axes: Any, health: Any) -> None:
    """Draw the swap rate of each pair beside the acceptance of moves, over temperature."""
    ladder, colours = health.temperatures, rung_colours(len(health.temperatures))
    between = np.sqrt(ladder[1:] * ladder[:-1])
    axes.plot(between, health.swap_rate, color="0.4", lw=1, marker="D", ms=5, label="swaps")
    axes.plot(ladder, health.acceptance_rate, color="0.7", lw=1, ls="--", zorder=1, label="moves")
    axes.scatter(ladder, health.acceptance_rate, c=colours, s=30, zorder=2)
    axes.set_xlim(ladder[0] / 1.3, ladder[-1] * 1.3)  # also where no rate is known yet
    axes.set_xscale("log")
    axes.set_ylim(-0.02, 1.02)
    title = "Ladder after the warm-up"
    if np.isfinite(health.barrier):
        trips = int(np.sum(health.round_trips))
        title += f": barrier {health.barrier:.3g}, {trips:,} round trips"
    finish(axes, title, _RATE, _TEMPERATURE)


def _colour_bar(made: Any, axes: Any, ladder: np.ndarray) -> None:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import BoundaryNorm

    norm = BoundaryNorm(np.arange(len(ladder) + 1) - 0.5, 256)
    bar = made.colorbar(ScalarMappable(norm, cold_to_hot()), ax=axes, pad=0.01)
    shown = np.unique(np.linspace(0, len(ladder) - 1, min(len(ladder), 6)).round().astype(int))
    bar.set_ticks(list(shown), labels=[f"{ladder[rung]:.2g}" for rung in shown])
    bar.minorticks_off()
    bar.set_label("T of the rung")


def _recorded(axes: Any, history: Any) -> bool:
    if len(history.step):
        return True
    axes.text(0.5, 0.5, "no moves were made", ha="center", va="center", transform=axes.transAxes)
    return False
