"""Progress: what a callback sees, and the bar on a terminal or in a notebook."""

import sys
from typing import Any, NamedTuple

import numpy as np


class Progress(NamedTuple):
    """Tell how far a run is.

    Args:
        step: Moves per chain so far in this call.
        steps: Moves per chain asked for.
        best_energy: Best energy that any chain ever saw.
        temperatures: Temperature of each chain, in parallel tempering ``(ladders, rungs)``.
        acceptance_rate: Accepted over all proposals since the last report, mean over chains.
        evaluations: Energy evaluations so far.
        seconds: Wall clock so far, compilation apart.
    """

    step: int
    steps: int
    best_energy: float
    temperatures: np.ndarray
    acceptance_rate: float
    evaluations: int
    seconds: float


class Bar:
    """A tqdm bar with energy, temperature, acceptance rate and evaluations per second."""

    def __init__(self, steps: int, shown: bool | None):
        self.bar: Any = None
        if shown is None:
            shown = sys.stderr.isatty() or "ipykernel" in sys.modules
        if shown:
            self.bar = _tqdm()(total=steps, unit="step", dynamic_ncols=True, desc="anneal")

    def update(self, progress: Progress) -> None:
        """Show the state of the run."""
        if self.bar is None:
            return
        low, high = float(np.min(progress.temperatures)), float(np.max(progress.temperatures))
        temperature = f"{low:.3g}" if low == high else f"{low:.3g}..{high:.3g}"
        rate = progress.evaluations / max(progress.seconds, 1e-9)
        self.bar.set_postfix_str(
            f"E={progress.best_energy:.6g} T={temperature} "
            f"acc={progress.acceptance_rate:.2f} {rate:.3g} eval/s",
            refresh=False,
        )
        self.bar.update(progress.step - self.bar.n)

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self.bar is not None:
            self.bar.close()


def _tqdm() -> Any:
    """Return the notebook's bar where it can be drawn, else the terminal's."""
    from tqdm import tqdm

    if "ipykernel" in sys.modules and "ipywidgets" in sys.modules:
        from tqdm.notebook import tqdm as notebook

        return notebook
    return tqdm
