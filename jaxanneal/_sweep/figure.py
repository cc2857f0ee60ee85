"""The picture of a sweep: curves with bands over one setting, a heat map over two."""

import math
from typing import Any

import numpy as np

from jaxanneal._checks import needing

_TICKS = 12

# A range of more than this is drawn on a logarithmic scale.
_WIDE = 30.0


def register_accessor(xarray: Any) -> None:
    """Give every Dataset ``.jaxanneal``; xarray offers no place for it before it is imported."""
    if not hasattr(xarray.Dataset, "jaxanneal"):
        xarray.register_dataset_accessor("jaxanneal")(SweepAccessor)


class SweepAccessor:
    """What ``dataset.jaxanneal`` offers for the dataset of a sweep.

    Args:
        dataset: What :func:`jaxanneal.sweep` returned.
    """

    def __init__(self, dataset: Any):
        self._dataset = dataset

    def plot(self, *by: str, value: str = "energy") -> Any:
        """Return a figure of one or two settings.

        Maths: median and quartiles over repeats; of the settings that are not shown, those with the
        lowest median energy.
        Batching: none.

        Args:
            by: One or two of the swept names; by default the first two with several values.
            value: What to show, such as ``"energy"``, ``"evaluations"`` or ``"acceptance_rate"``.

        Returns:
            A matplotlib figure: a curve with its band, or a heat map with the best cell marked;
            points, where configurations were listed or drawn.

        Raises:
            ImportError: matplotlib is missing.
            ValueError: A name was not swept.

        Example:
            >>> import jaxanneal as ja
            >>> over = {"steps": [8, 64, 512]}
            >>> sweep = {"key": 0, "over": over, "repeats": 4}
            >>> dataset = ja.sweep(lambda x: x**2, 1.0, **sweep)
            >>> figure = dataset.jaxanneal.plot()
            >>> figure.axes[0].get_xlabel()
            'steps'

        Reference: none.
        """
        with needing("plot", "plot"):
            from jaxanneal._plots.matplotlib import ShownFigure
        names = _chosen(self._dataset, by)
        drawn = ShownFigure(figsize=(6.4, 4.4), layout="constrained")
        axes = drawn.subplots()
        draw = _points if "configuration" in self._dataset.dims else _grid
        draw(drawn, axes, self._dataset, names, value)
        return drawn


def _chosen(dataset: Any, by: tuple[str, ...]) -> list[str]:
    swept = [str(name) for name in dataset.coords if name not in ("repeat", "configuration")]
    unknown = [name for name in by if name not in swept]
    if unknown or len(by) > 2:
        raise ValueError(
            f"by: expected one or two of {', '.join(swept)}, got {', '.join(map(str, by))}. "
            "Name what was swept."
        )
    if by:
        return list(by)
    several = [name for name in swept if len(np.unique(dataset[name].values)) > 1]
    return (several or swept)[:2]


def _grid(figure: Any, axes: Any, dataset: Any, names: list[str], value: str) -> None:
    low, middle, high = _quartiles(dataset, value, "repeat")
    others = [dim for dim in middle.dims if dim not in names]
    if others:  # the configuration with the lowest median, and its own quartiles
        stacked = [x.stack(other=others).transpose(*names, "other") for x in (low, middle, high)]
        energy = dataset["energy"].median("repeat").stack(other=others).transpose(*names, "other")
        best = energy.fillna(np.inf).argmin("other")
        low, middle, high = (x.isel(other=best) for x in stacked)
    shown = [x.transpose(*names).values for x in (low, middle, high)]
    also = f", best of {', '.join(others)}" if others else ""
    if len(names) == 1:
        _curve(axes, dataset[names[0]].values, *shown)
        axes.set_xlabel(names[0])
        axes.set_ylabel(_said(dataset, value))
        axes.set_title(f"median and quartiles of {dataset.sizes['repeat']} repeats{also}", size=9)
        return
    _heat_map(figure, axes, dataset, names, shown[1], value)
    axes.set_title(f"median of {dataset.sizes['repeat']} repeats{also}", size=9)


def _quartiles(dataset: Any, value: str, dim: str) -> list[Any]:
    numbers = dataset[value].astype(float)
    return [numbers.quantile(q, dim, skipna=True).drop_vars("quantile") for q in (0.25, 0.5, 0.75)]


def _said(dataset: Any, value: str) -> str:
    return dataset[value].attrs.get("long_name", value)


def _curve(axes: Any, at: np.ndarray, low: Any, middle: Any, high: Any) -> None:
    if at.dtype.kind in "iuf":
        order = np.argsort(at)
        axes.fill_between(at[order], low[order], high[order], color="C0", alpha=0.25, lw=0)
        axes.plot(at[order], middle[order], color="C0", marker="o", ms=4)
        if _wide(at):
            axes.set_xscale("log")
    else:
        place, errors = np.arange(len(at)), np.stack([middle - low, high - middle])
        axes.errorbar(place, middle, errors, color="C0", marker="o", ls="", capsize=4)
        _name_ticks(axes, "x", at)
    if _wide(middle):
        axes.set_yscale("log")


def _heat_map(
    figure: Any, axes: Any, dataset: Any, names: list[str], values: np.ndarray, value: str
) -> None:
    """Draw cells of equal size, so that no spacing of the values hides one."""
    from matplotlib.colors import LogNorm

    axes.set_facecolor("0.85")  # where no repeat has a result
    shown, norm = np.ma.masked_invalid(values.T), LogNorm() if _wide(values) else None
    mesh = axes.pcolormesh(shown, cmap="viridis_r", norm=norm, edgecolors="white", linewidth=0.3)
    figure.colorbar(mesh, ax=axes, label=_said(dataset, value))
    for axis, name in zip("xy", names, strict=True):
        _name_ticks(axes, axis, dataset[name].values, 0.5)
        getattr(axes, f"set_{axis}label")(name)
    if value == "energy" and np.isfinite(values).any():
        x, y = np.unravel_index(np.nanargmin(values), values.shape)
        axes.plot(x + 0.5, y + 0.5, marker="*", ms=13, color="white", mec="black")


def _points(figure: Any, axes: Any, dataset: Any, names: list[str], value: str) -> None:
    low, middle, high = (x.values for x in _quartiles(dataset, value, "repeat"))
    at = [dataset[name].values for name in names]
    places = [_places(axes, axis, x) for axis, x in zip("xy", at, strict=False)]
    axes.set_xlabel(names[0])
    axes.set_title(f"medians of {dataset.sizes['repeat']} repeats", size=9)
    if len(names) == 1:
        errors = np.stack([middle - low, high - middle])
        axes.errorbar(places[0], middle, errors, color="C0", marker="o", ms=4, ls="", alpha=0.7)
        axes.set_ylabel(_said(dataset, value))
        if _wide(middle):
            axes.set_yscale("log")
        return
    from matplotlib.colors import LogNorm

    norm = LogNorm() if _wide(middle) else None
    points = axes.scatter(*places, c=middle, cmap="viridis_r", norm=norm, s=36, edgecolors="0.3")
    figure.colorbar(points, ax=axes, label=_said(dataset, value))
    axes.set_ylabel(names[1])


def _places(axes: Any, axis: str, at: np.ndarray) -> np.ndarray:
    """Return where values stand along an axis: numbers at themselves, others in a row."""
    if at.dtype.kind in "iuf":
        if _wide(at):
            getattr(axes, f"set_{axis}scale")("log")
        return at
    distinct, place = np.unique(at.astype(str), return_inverse=True)
    _name_ticks(axes, axis, distinct)
    return place


def _wide(values: np.ndarray) -> bool:
    known = values[np.isfinite(values)]
    return known.size > 1 and known.min() > 0 and known.max() / known.min() > _WIDE


def _name_ticks(axes: Any, axis: str, values: np.ndarray, offset: float = 0.0) -> None:
    every = math.ceil(len(values) / _TICKS)
    texts = [f"{x:.3g}" if values.dtype.kind in "iuf" else str(x) for x in values[::every]]
    texts = [text if len(text) <= 24 else text[:21] + "..." for text in texts]
    at = np.arange(len(values))[::every] + offset
    turned = {"rotation": 30, "ha": "right"} if axis == "x" and max(map(len, texts)) > 5 else {}
    getattr(axes, f"set_{axis}ticks")(at, texts, **turned)
