"""What the demo prints of each method: a row of its table."""

import dataclasses
from typing import Any

import numpy as np


@dataclasses.dataclass
class Row:
    """One line of the table, and what the figure shows of it.

    Args:
        name: The method.
        params: The best network that it found.
        loss: Its energy.
        seconds: Wall clock of running, compilation apart.
        evaluations: Energy evaluations.
        gradients: Gradient evaluations.
        result: The whole result, ``None`` for Adam.
        curve: Seconds, training error and test error, float ``[3, points]``.
        train: Training error.
        test: Test error.
    """

    name: str
    params: Any
    loss: float
    seconds: float
    evaluations: int
    gradients: int
    result: Any
    curve: np.ndarray
    train: float = 0.0
    test: float = 0.0


def table(title: str, rows: list[Row]) -> str:
    """Return rows as a table, the columns aligned."""
    head = ("method", "train error", "test error", "loss", "seconds", "evaluations", "gradients")
    cells: list[tuple[str, ...]] = [head]
    for row in rows:
        shown = (f"{100 * row.train:.2f} %", f"{100 * row.test:.2f} %", f"{row.loss:.5f}")
        counts = (f"{row.seconds:.1f}", f"{row.evaluations:,}", f"{row.gradients:,}")
        cells.append((row.name, *shown, *counts))
    widths = [max(len(line[i]) for line in cells) for i in range(len(head))]
    lines = []
    for name, *rest in cells:
        padded = [cell.rjust(width + 2) for cell, width in zip(rest, widths[1:], strict=True)]
        lines.append(name.ljust(widths[0]) + "".join(padded))
    return "\n".join([title, lines[0], "-" * len(lines[0]), *lines[1:]])
