"""Energies of neighbouring rungs, whose overlap is what swaps live on."""

from typing import Any

import numpy as np

from jaxanneal._engine.history import Summary
from jaxanneal._plots.axes import finish, remark, rung_colours

# Rows of a picture, bins of a histogram, and so many levels that each may have its own bin.
_ROWS, _BINS, _LEVELS = 15, 60, 80

# Spreads of the widest and the narrowest rung, beyond which one linear scale cannot show both.
_WIDER = 12

# Energies that a histogram is made of: more would only take time.
_DRAWS = 2**20

# A row reaches so far into the next one.
_HEIGHT = 1.6

_TICKS = 6


def draw_overlap(axes: Any, history: Any, ladder: np.ndarray, swap_rate: np.ndarray) -> None:
    """Draw a row for each pair of neighbours: the colder filled, the hotter as a line.

    Args:
        axes: Where to draw.
        history: Of a ladder.
        ladder: Temperatures, ``[rungs]``.
        swap_rate: Of each pair, ``[rungs - 1]``: the worst pair is always shown.
    """
    title, ylabel = "Energies of neighbouring rungs", "T of the colder rung"
    if isinstance(history.energy, Summary):
        remark(axes, "the history is summarised:\nits energies have no histogram")
        return finish(axes, title, ylabel, "energy")
    warm = np.asarray(history.warmup)
    title += ", warm-up included" if np.all(warm) else " after the warm-up" if np.any(warm) else ""
    energies = np.asarray(history.energy)[~warm if not np.all(warm) else slice(None)]
    energies = energies.reshape(-1, len(ladder)).astype(np.float64)
    energies = energies[:: max(1, -(-energies.size // _DRAWS))]
    if not np.any(np.isfinite(energies)):
        remark(axes, "no finite energy was recorded")
        return finish(axes, title, ylabel, "energy")
    xlabel = "energy"
    width = nonlinear(energies)
    if width:
        energies = energies - energies[np.isfinite(energies)].min()
        xlabel = "energy above the lowest"
    pairs = chosen_pairs(swap_rate)
    counts, borders = histograms(energies, width)
    colours = rung_colours(len(ladder))
    for row, pair in enumerate(pairs):
        _draw_row(axes, row, borders, counts[pair : pair + 2], colours[pair : pair + 2])
    axes.set_yticks(range(len(pairs)), labels=[f"{ladder[pair]:.3g}" for pair in pairs])
    axes.set_ylim(-0.1, len(pairs) - 1 + _HEIGHT * 1.05)
    if width:
        _bend(axes, width, borders[-1])
    axes.set_xlim(borders[0], borders[-1])
    axes.plot([], [], color="0.3", lw=6, alpha=0.5, label="the colder rung of a pair")
    axes.plot([], [], color="0.3", lw=1.3, label="the hotter one")
    return finish(axes, title, ylabel, xlabel)


def _bend(axes: Any, width: float, high: float) -> None:
    """Make the scale linear below ``width`` and logarithmic far above it."""
    from matplotlib.ticker import NullLocator

    axes.set_xscale("asinh", linear_width=width)
    powers = np.arange(np.ceil(np.log10(2 * width)), np.floor(np.log10(high)) + 1)
    powers = powers[:: -(-len(powers) // _TICKS)] if len(powers) else powers
    labels = ["0", *(f"$10^{{{int(power)}}}$" for power in powers)]  # -0.0 is 0
    axes.set_xticks([0, *10.0**powers], labels=labels)
    axes.xaxis.set_minor_locator(NullLocator())


def _draw_row(axes: Any, row: int, borders: Any, pair: np.ndarray, colours: Any) -> None:
    """Draw two histograms in one scale, so that what they share can be compared."""
    if pair.max() == 0:
        return
    cold, hot = row + _HEIGHT / pair.max() * pair
    style = {"baseline": row, "zorder": 20 - row}  # the rows below in front
    axes.stairs(cold, borders, fill=True, color=colours[0], alpha=0.5, **style)
    axes.stairs(hot, borders, color=colours[1], lw=1.3, **style)


def chosen_pairs(swap_rate: np.ndarray) -> list[int]:
    """Return the pairs to show: all of a few, else some of them with the one that swaps least."""
    pairs = len(swap_rate)
    chosen = np.unique(np.linspace(0, pairs - 1, min(pairs, _ROWS)).round().astype(int))
    if np.any(np.isfinite(swap_rate)):
        worst = int(np.nanargmin(swap_rate))
        nearest = int(np.argmin(np.abs(chosen - worst)))
        chosen[nearest] = worst
    return [int(pair) for pair in np.unique(chosen)]


def nonlinear(energies: np.ndarray) -> float:
    """Return the width of what a linear scale would hide, or 0 where it shows every rung."""
    spreads = [
        float(np.subtract(*np.quantile(known, (0.75, 0.25))))
        for known in (rung[np.isfinite(rung)] for rung in energies.T)
        if known.size
    ]
    known = [spread for spread in spreads if spread > 0]
    return min(known) if known and max(known) > _WIDER * min(known) else 0.0


def histograms(energies: np.ndarray, width: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of each rung's energies in each bin, ``[rungs, bins]``, and the borders."""
    finite = energies[np.isfinite(energies)]
    levels = np.unique(finite)
    # Bins between levels that come again and again, or one bin would hold two and the next none.
    if 1 < len(levels) <= min(_LEVELS, finite.size // 4):
        inner = (levels[1:] + levels[:-1]) / 2
        first, last = 2 * levels[0] - inner[0], 2 * levels[-1] - inner[-1]
        borders = np.concatenate([[first], inner, [last]])
    else:
        low, high = float(finite.min()), float(finite.max())
        pad = 0.02 * (high - low) or max(abs(low), 1.0) * 0.5
        low, high = (low - pad, high + pad) if not width else (low, high * 1.02)
        bend = (lambda x: np.arcsinh(x / width)) if width else (lambda x: x)
        back = (lambda x: width * np.sinh(x)) if width else (lambda x: x)
        borders = back(np.linspace(bend(low), bend(high), _BINS + 1))
        borders[0], borders[-1] = min(borders[0], low), max(borders[-1], high)  # up to rounding
    shares = [np.histogram(rung[np.isfinite(rung)], borders)[0] for rung in energies.T]
    return np.array(shares) / max(1, len(energies)), borders
