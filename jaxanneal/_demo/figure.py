"""The demo's figure: energies and temperatures, acceptance and swaps, errors over time."""

import pathlib
from typing import Any

import numpy as np

from jaxanneal._checks import needing
from jaxanneal._plots.axes import rung_colours


def save(rows: dict[str, Any], path: pathlib.Path) -> None:
    """Draw four panels and save them.

    Args:
        rows: The demo's rows by name.
        path: Where to save the PNG.

    Raises:
        ImportError: matplotlib is missing.
    """
    with needing("The demo's figure", "demo"):
        from jaxanneal._plots.matplotlib import ShownFigure
    figure = ShownFigure(figsize=(12, 8), layout="constrained")
    (energy, temperature), (rates, errors) = figure.subplots(2, 2)
    _energies(energy, rows)
    _temperatures(temperature, rows)
    _rates(rates, rows)
    _errors(errors, rows)
    figure.savefig(path, dpi=120)


def _energies(axes: Any, rows: dict[str, Any]) -> None:
    if "PT" in rows:
        history, temperatures = rows["PT"].result.history, _temperatures_of(rows["PT"])
        for rung, colour in enumerate(rung_colours(len(temperatures))):
            label = f"PT, T = {temperatures[rung]:.1e}"
            axes.plot(history.step, history.energy[:, 0, rung], color=colour, lw=1.2, label=label)
    if "SA" in rows:
        history = rows["SA"].result.history
        middle = np.median(history.energy, axis=1)
        axes.plot(history.step, middle, color="black", lw=1.2, label="SA, median of chains")
    axes.set(yscale="log", xlabel="moves per chain", ylabel="energy (mean cross-entropy)")
    axes.set_title("Energy of each rung")
    _legend(axes)


def _temperatures(axes: Any, rows: dict[str, Any]) -> None:
    if "PT" in rows:
        history = rows["PT"].result.history
        for rung, colour in enumerate(rung_colours(history.temperature.shape[2])):
            label = f"PT, rung {rung}"
            axes.plot(history.step, history.temperature[:, 0, rung], color=colour, label=label)
    if "SA" in rows:
        history = rows["SA"].result.history
        axes.plot(history.step, history.temperature[:, 0], color="black", label="SA, cooling")
    axes.set(yscale="log", xlabel="moves per chain", ylabel="temperature (units of energy)")
    axes.set_title("Temperature")
    _legend(axes)


def _rates(axes: Any, rows: dict[str, Any]) -> None:
    styles = (("PT", "tab:blue", "cross-entropy"), ("PT 0-1", "tab:orange", "0-1 error"))
    for name, colour, label in styles:
        if name in rows:
            health = rows[name].result.diagnostics
            ladder = health.temperatures
            between = np.sqrt(ladder[1:] * ladder[:-1])
            axes.plot(ladder, health.acceptance_rate, "o-", color=colour, label=f"moves, {label}")
            axes.plot(between, health.swap_rate, "s--", color=colour, label=f"swaps, {label}")
    axes.set(xscale="log", ylim=(0, 1), xlabel="temperature (units of energy)")
    axes.set(ylabel="accepted / proposed")
    axes.set_title("Acceptance and swap rates after the warm-up")
    _legend(axes)


def _errors(axes: Any, rows: dict[str, Any]) -> None:
    for number, row in enumerate(rows.values()):
        if row.name == "PT":
            continue  # the curve of PT + polish begins with it
        seconds, train, test = row.curve
        floor = 0.02  # half an image in percent: where zero errors are drawn
        axes.plot(seconds, np.maximum(100 * train, floor), color=f"C{number}", label=row.name)
        axes.plot(seconds, np.maximum(100 * test, floor), color=f"C{number}", ls=":", lw=1)
    axes.set(yscale="log", xlabel="seconds, compilation apart", ylabel="error in %")
    axes.set_title("Error over time (lines: train, dotted: test)")
    _legend(axes)


def _legend(axes: Any) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize="small")
    axes.grid(alpha=0.3)


def _temperatures_of(row: Any) -> np.ndarray:
    return np.asarray(row.result.diagnostics.temperatures)
