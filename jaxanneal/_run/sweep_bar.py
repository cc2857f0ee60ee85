"""The bar of a sweep: runs that are over, the time that is left, the best energy."""

from typing import Any

import numpy as np
from tqdm import tqdm

from jaxanneal._run.progress import _in_notebook, _on_terminal, _place


class SweepBar:
    """A tqdm bar over the runs of a sweep, where a run's bar would be shown.

    Args:
        runs: Runs of the sweep.
        done: Runs that were over before.
        shown: Whether to show anything; ``None``: on a terminal or in a notebook.
    """

    def __init__(self, runs: int, done: int, shown: bool | None):
        self.bar: Any = None
        self._best, self._failed = np.inf, 0
        if shown or (shown is None and (_in_notebook() or _on_terminal())):
            self.bar = tqdm(total=runs, initial=done, bar_format="sweep: compiling", **_place())

    def __enter__(self) -> "SweepBar":
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def update(self, energies: list[float], failed: int) -> None:
        """Count runs that are over, with their energies."""
        self._best = float(np.nanmin([self._best, *energies]))
        self._failed += failed
        if self.bar is None:
            return
        lost = f" failed={self._failed}" if self._failed else ""
        self.bar.bar_format = (
            "sweep: {percentage:3.0f}%|{bar:20}| {n_fmt}/{total_fmt} runs "
            f"[{{elapsed}}<{{remaining}}] E={self._best:.6g}{lost}"
        )
        self.bar.update(len(energies))
