"""The picture of a run."""

from typing import Any

import numpy as np

from jaxanneal._checks import needing
from jaxanneal._plots.axes import bands, draw_chains, finish, fit_scale, has_records, smooth
from jaxanneal._plots.ladder import ladder_health
from jaxanneal._plots.verdict import verdict

_ENERGY, _RATE = "energy", "accepted / proposed"
_TEMPERATURE = "temperature (units of energy)"


def figure(result: Any) -> Any:
    """Return a matplotlib figure of a run: cooled, tempered or polished.

    Raises:
        ImportError: matplotlib is missing.
    """
    with needing("Result.plot", "plot"):
        from jaxanneal._plots.matplotlib import ShownFigure
    history = result.history
    if result.diagnostics.temperatures is not None:
        drawn = ShownFigure(figsize=(11, 16), layout="constrained")
        ladder_health(drawn, result)
    elif result.gradients and result.state is None:
        drawn = ShownFigure(figsize=(6, 4.2), layout="constrained")
        _energy(drawn.subplots(), history, "gradient steps per chain")
    else:
        drawn = ShownFigure(figsize=(13, 4.2), layout="constrained")
        if result.state is not None:  # a run that an error ended holds its best state alone
            drawn.suptitle(verdict(result), fontsize="medium", ha="left", x=0.02)
        energy, temperature, acceptance = drawn.subplots(1, 3)
        _energy(energy, history, "moves per chain")
        _cooling(temperature, history)
        hops = result.state is not None and bool(result.state.engine_state.method.gradients)
        _acceptance(acceptance, history, "hops" if hops else "moves")
    return drawn


def _energy(axes: Any, history: Any, xlabel: str) -> None:
    if has_records(axes, history):
        step = history.step
        of = draw_chains(axes, step, history.energy, "C0", "current")
        best = bands(history.best_energy).min
        axes.plot(step, best, color="black", lw=1.5, label="best of all")
        fit_scale(axes, of.median, of.q75, of.min, best)
    finish(axes, "Energy", _ENERGY, xlabel)


def _cooling(axes: Any, history: Any) -> None:
    if has_records(axes, history):
        of = bands(history.temperature)
        if np.any(of.max > of.min):  # a ladder
            draw_chains(axes, history.step, history.temperature, "C3", "temperature")
            fit_scale(axes, of.min, of.max)
        else:
            axes.plot(history.step, of.median, color="C3", lw=1.5)
            fit_scale(axes, of.median)
    finish(axes, "Temperature", _TEMPERATURE)


def _acceptance(axes: Any, history: Any, noun: str) -> None:
    if has_records(axes, history):
        draw_chains(axes, history.step, smooth(history.acceptance_rate), "C2", "rate", "mean")
    axes.set_ylim(-0.02, 1.02)
    finish(axes, f"Acceptance of {noun}", _RATE)
