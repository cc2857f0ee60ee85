"""What the demo prints of each method: a row of its table."""

import dataclasses
import time
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


# Shares of the time that is left for running, and the seconds that compiling each stage takes.
_SHARES = {"SA": 0.15, "PT": 0.22, "polish": 0.04, "Adam": 0.26, "SA 0-1": 0.14, "PT 0-1": 0.19}
_COMPILING = {"SA": 3.0, "PT": 3.0, "polish": 3.0, "Adam": 2.0, "SA 0-1": 2.0, "PT 0-1": 2.0}
_FIGURE_SECONDS = 2.0


class Budget:
    """The wall clock of the whole command, shared among the stages that are still to come.

    How long a machine compiles is learnt from the stages that are over.
    """

    def __init__(self, deadline: float, stages: tuple[str, ...]):
        self.deadline, self.left = deadline, list(stages)
        self._expected = self._took = 0.0  # seconds of compiling so far
        self._begun: tuple[str, float, float] | None = None

    def next(self, stage: str) -> float:
        """Return the seconds that ``stage`` may run, compilation apart."""
        now = time.monotonic()
        if self._begun is not None:
            name, began, seconds = self._begun
            self._expected += _COMPILING[name]
            self._took += max(0.0, now - began - seconds)
        slower = max(1.0, self._took / self._expected) if self._expected else 1.0
        compiling = slower * (sum(_COMPILING[name] for name in self.left) + _FIGURE_SECONDS)
        usable = self.deadline - now - compiling
        share = _SHARES[stage] / sum(_SHARES[name] for name in self.left)
        self.left.remove(stage)
        seconds = max(0.5, share * usable)
        self._begun = stage, now, seconds
        return seconds
