"""What a step costs, as a figure: a row for each workload, a panel for each device."""

import pathlib
from typing import Any

from benchmarks import report

# Ours are filled; with a device per core a square.
_MARKS = {
    "SA": ("o", "tab:blue", True),
    "PT, swap every 10": ("o", "tab:orange", True),
    "SA, a device per core": ("s", "tab:blue", True),
    "PT, swap every 10, a device per core": ("s", "tab:orange", True),
    "evosax SA": ("^", "tab:green", False),
    "blackjax random walk": ("D", "tab:red", False),
    "TFP replica exchange": ("v", "tab:purple", False),
}
_GOAL = 1.1


def save(rows: list[dict[str, Any]], path: pathlib.Path) -> None:
    """Draw the latest rows of each device, and write the figure."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullLocator

    devices = report.devices(rows)
    shown = [_latest([row for row in rows if row["device"] == device]) for device in devices]
    heights = [len(costs) for costs in shown]
    figure = Figure(figsize=(9, 1.6 + 0.42 * sum(heights)), layout="constrained")
    axes = figure.subplots(len(devices), 1, sharex=True, squeeze=False, height_ratios=heights)
    for panel, device, costs in zip(axes[:, 0], devices, shown, strict=True):
        _draw(panel, costs)
        panel.set_title(f"On {report.named(device)}", loc="left")
    last = axes[-1, 0]
    last.set_xscale("log")
    last.set_xticks([0.5, 1, 2, 5], labels=["0.5", "1", "2", "5"])
    last.xaxis.set_minor_locator(NullLocator())
    last.set_xlabel("time of a step of all chains / that of the bare energy")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _latest(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the costs of the solvers shown, by workload."""
    costs: dict[str, dict[str, float]] = {}
    for row in rows:
        if row["solver"] in _MARKS:
            costs.setdefault(row["problem"], {})[row["solver"]] = row["ratio"]
    return costs


def _draw(axes: Any, costs: dict[str, dict[str, float]]) -> None:
    axes.axvline(1, color="0.3", lw=1, label="the bare energy")
    axes.axvline(_GOAL, color="0.3", lw=1, ls=":", label=f"the goal, {_GOAL}")
    for solver, (marker, colour, filled) in _MARKS.items():
        places = [(row[solver], y) for y, row in enumerate(costs.values()) if solver in row]
        style = {"color": colour, "markerfacecolor": colour if filled else "white"}
        # Empty where there is none, so that every panel has the same legend.
        x, y = zip(*places, strict=True) if places else ((), ())
        axes.plot(x, y, marker, ls="none", label=solver, markersize=7, **style)
    axes.set_yticks(range(len(costs)), labels=list(costs))
    axes.set_ylim(len(costs) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3)
    axes.tick_params(axis="y", length=0)
