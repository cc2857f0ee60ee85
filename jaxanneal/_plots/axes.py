"""What is drawn into one pair of axes: bands of many chains, rungs, scales that fit the values."""

import warnings
from typing import Any

import numpy as np

from jaxanneal._engine.history import Summary

# Up to so many chains each has a line of its own, and no band.
_LINES = 8

# Acceptance is averaged over this fraction of the records: a record may hold a single move.
_WINDOW = 1 / 40

_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)

_COLD_TO_HOT = ("#1c3faa", "#7a3fa6", "#cc3a5c", "#f0902a")


def bands(field: Any) -> Summary:
    """Return a field of the history as a summary over chains or ladders; NaN where none is finite.

    Args:
        field: ``[records, chains, ...]``, or a summary of it.
    """
    if isinstance(field, Summary):
        return Summary._make(_finite(part) for part in field)
    values = _finite(field)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a record without a finite value is NaN
        quantiles = np.quantile(values, _QUANTILES, axis=1)
        holed = np.isnan(values).any(axis=tuple(range(1, values.ndim)))
        # A hundred times slower, so only where needed.
        quantiles[:, holed] = np.nanquantile(values[holed], _QUANTILES, axis=1)
        return Summary._make((*quantiles, np.nanmean(values, axis=1)))


def _finite(values: Any) -> np.ndarray:
    values = np.asarray(values, dtype=np.float64)
    return np.where(np.isfinite(values), values, np.nan)


def smooth(field: Any) -> Any:
    """Return a field averaged over neighbouring records, those without a finite value apart."""
    if isinstance(field, Summary):
        return Summary._make(smooth(part) for part in field)
    values = np.asarray(field, dtype=np.float64)
    half = int(len(values) * _WINDOW / 2)
    if half == 0:
        return values
    known = np.isfinite(values)
    total, count = (
        np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(part, axis=0)])
        for part in (np.where(known, values, 0.0), known)
    )
    first = np.maximum(np.arange(len(values)) - half, 0)
    last = np.minimum(np.arange(len(values)) + half + 1, len(values))
    number = count[last] - count[first]
    return np.where(number > 0, (total[last] - total[first]) / np.maximum(number, 1), np.nan)


def draw_chains(
    axes: Any, step: Any, field: Any, colour: str, name: str, middle: str = "median"
) -> Summary:
    """Draw chains: a few as lines, many as their range, their middle half and their middle."""
    of = bands(field)
    if not isinstance(field, Summary) and field.shape[1] <= _LINES:
        alone = field.shape[1] == 1
        style = {"color": colour, "lw": 0.8, "alpha": 1.0 if alone else 0.5} | _point(step)
        lines = axes.plot(step, _finite(field), **style)
        lines[0].set_label(name if alone else "each chain")
        if alone:
            return of
    else:
        axes.fill_between(step, of.min, of.max, color=colour, alpha=0.15, lw=0, label="all chains")
        axes.fill_between(step, of.q25, of.q75, color=colour, alpha=0.4, lw=0, label="middle half")
    style = {"color": colour, "lw": 1.5, "label": f"{name}, {middle}"} | _point(step)
    axes.plot(step, getattr(of, middle), **style)
    return of


def draw_rungs(axes: Any, step: Any, field: Any, average: bool = False) -> np.ndarray:
    """Draw the median over ladders at each rung, blue where cold, orange where hot.

    With ``average`` the records are faint lines, and their moving average strong ones; what is
    strong is returned.

    Args:
        axes: Where to draw.
        step: Moves per chain, ``[records]``.
        field: ``[records, ladders, rungs]``, or a summary of it.
        average: Whether to draw the moving average.
    """
    of = bands(field)
    colours = rung_colours(of.median.shape[1])
    if len(colours) <= _LINES and np.any(of.max > of.min):
        for rung, colour in enumerate(colours):
            low, high = of.q25[:, rung], of.q75[:, rung]
            label = None if rung else "middle half of the ladders"
            axes.fill_between(step, low, high, color=colour, alpha=0.2, lw=0, label=label)
    shown = smooth(of.median) if average else of.median
    for rung, colour in reversed(list(enumerate(colours))):  # the coldest on top
        if average:
            axes.plot(step, of.median[:, rung], color=colour, lw=0.5, alpha=0.25)
        axes.plot(step, shown[:, rung], color=colour, lw=1.3, **_point(step))
    return shown


def _point(step: Any) -> dict[str, Any]:
    """Return the marker that a single record needs: a line through one point is invisible."""
    return {"marker": "o", "ms": 4} if len(step) == 1 else {}


def rung_colours(rungs: int) -> Any:
    """Return a colour for each rung."""
    return cold_to_hot()(np.linspace(0.0, 1.0, rungs))


def cold_to_hot() -> Any:
    """Return a colour map from blue to orange without a pale middle, which white would hide."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("cold_to_hot", _COLD_TO_HOT)


def fit_scale(axes: Any, *values: Any) -> None:
    """Use a logarithmic scale for positive values over more than a decade, else cut what is rare.

    The first records of a linear scale may lie so high that nothing else could be read.
    """
    known = np.concatenate([np.ravel(part) for part in values])
    known = known[np.isfinite(known)]
    if known.size == 0:
        return
    low, high = known.min(), known.max()
    if over_decades(known):
        axes.set_yscale("log")
        return
    usual = float(np.quantile(known, 0.98))
    if high - low > 3 * (usual - low) > 0:
        margin = 0.05 * (usual - low)
        axes.set_ylim(low - margin, usual + margin)


def over_decades(values: np.ndarray) -> bool:
    """Return whether finite values are positive and differ by more than a factor of ten."""
    return values.size > 0 and 10 * values.min() < values.max() and values.min() > 0


def over_temperature(axes: Any, ladder: np.ndarray) -> None:
    """Make the x axis a logarithmic one of the ladder's temperatures, with numbers to read."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = float(ladder[0]), float(ladder[-1])
    margin = (high / low) ** 0.04
    axes.set_xscale("log")
    axes.set_xlim(low / margin, high * margin)
    axes.xaxis.set_minor_formatter(NullFormatter())
    if high < 20 * low:  # too few powers of ten to read a temperature from
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 4, 6, 8), numticks=20))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def mark_warmup(axes: Any, history: Any) -> None:
    """Shade the warm-up."""
    warm = np.asarray(history.warmup)
    if np.any(warm):
        end = np.asarray(history.step)[warm][-1]
        axes.axvspan(0, end, color="0.5", alpha=0.12, lw=0, zorder=0, label="warm-up")


def has_records(axes: Any, history: Any) -> bool:
    """Return whether there is something to draw, and say so where there is not."""
    if len(history.step) == 0:
        remark(axes, "no moves were made")
    return len(history.step) > 0


def remark(axes: Any, text: str) -> None:
    """Say what stands in place of curves."""
    place = {"ha": "center", "va": "center", "transform": axes.transAxes}
    axes.text(0.5, 0.5, text, **place, bbox={"color": "white", "alpha": 0.8})


def finish(axes: Any, title: str, ylabel: str, xlabel: str = "moves per chain") -> None:
    """Name the axes, and put the legend below them, where it covers no data."""
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.set_title(title, fontsize="medium")
    axes.grid(alpha=0.3)
    if axes.get_xscale() == "linear":
        axes.locator_params(axis="x", nbins=6)  # counts of moves are long numbers
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.16)}
        # Two columns: a wider legend would take its room from the axes.
        style = {"ncols": 2, "fontsize": "small", "frameon": False}
        axes.legend(handles, labels, **place, **style)
