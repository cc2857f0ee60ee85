"""Progress: what a callback sees, and the bar on a terminal, in a notebook or in a log file."""

import math
import os
import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, Self

import jax
import numpy as np
from tqdm import tqdm

from jaxanneal._chain.calls import describe
from jaxanneal._checks import refusal
from jaxanneal._engine.sharding import Spread, everywhere

# A log file gets a line so often: at first every 10 s, later every 5 % of the time so far, and
# never less than every 10 minutes, so that neither a minute nor a week fills or starves it.
_LOG_SECONDS = (10.0, 600.0)
_LOG_SHARE = 0.05

_NOTEBOOK_COLUMNS = 100

# The drawn bar is 10 columns wide where the width is not limited, and may shrink to 4.
_SPARE = 6


def asks_to_stop(answer: Any) -> bool:
    """Return whether a callback asked to stop, or refuse an answer that is neither yes nor no."""
    is_array = isinstance(answer, jax.Array | np.ndarray | np.generic)
    if answer is None or isinstance(answer, bool):
        return bool(answer)
    if is_array and answer.shape == () and answer.dtype == bool:
        return bool(answer)
    remedy = "Return True to stop the run, and None or False to go on."
    raise TypeError(refusal("callback", "True, False or None", describe(answer), remedy))


class _Numbers(NamedTuple):
    """The numbers of a :class:`Progress`."""

    step: int
    steps: int
    best_energy: float
    temperatures: np.ndarray
    acceptance_rate: float
    evaluations: int
    seconds: float


class Progress(_Numbers):
    """Tell how far a run is: a named tuple of numbers, with the best state as a property.

    Args:
        step: Moves per chain so far in this call.
        steps: Moves per chain asked for.
        best_energy: Best energy that any chain ever saw.
        temperatures: Temperature of each chain, in parallel tempering ``(ladders, rungs)``; NaN
            where basin hopping has not found them yet.
        acceptance_rate: Accepted over all proposals since the last report, mean over chains; in
            basin hopping of the hops that ended, NaN where there was none.
        evaluations: Energy evaluations so far.
        seconds: Wall clock so far, compilation apart.
    """

    _best: Any = None

    def with_best(self, best: Any, spread: Spread | None) -> Self:
        """Return the same with the best state, one chain's parameters, where it is spread."""
        self._best = best, spread
        return self

    @property
    def best_params(self) -> Any:
        """The best state that any chain ever saw, the user's tree; later reads return the same.

        It is of this moment, whatever the run does later: no chunk takes its buffers.

        Raises:
            AttributeError: This is a copy, which has the numbers alone.
        """
        if self._best is None:
            expected, remedy = "that of the callback", "Read best_params of that one."
            text = refusal("progress", expected, "a copy, which has the numbers alone", remedy)
            raise AttributeError(text)
        best, spread = self._best
        return (best if spread is None else everywhere(best, None)).tree


class Bar:
    """A tqdm bar: the one of runs, of sweeps, and of the demo, whose stages are runs.

    On a terminal it is one line as wide as the window, in a notebook one output that is replaced,
    so that a saved notebook holds the last state alone; elsewhere it is a line now and then.

    Args:
        name: What the line begins with.
        total: What is counted to.
        shown: Whether to show anything; ``None``: on a terminal or in a notebook.
        initial: What was over before.
    """

    def __init__(self, name: str, total: int, shown: bool | None, initial: int = 0):
        self.name, self.bar = name, None
        self._log = not (_in_notebook() or _on_terminal())
        if shown or (shown is None and not self._log):
            # Every update is worth showing: there are about two a second.
            first = {"bar_format": f"{name}: compiling", "initial": initial, "miniters": 1}
            self.bar: Any = tqdm(total=total, **first, **_place())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self.bar is not None:
            self.bar.leave = kind is None
            self.bar.close()

    def say(self, what: str) -> None:
        """Show what is done before anything is counted."""
        if self.bar is not None:
            self.bar.bar_format = f"{self.name}: {what}"
            self.bar.update(0) if self._log else self.bar.refresh()

    def draw(self, done: float, seconds: float, lines: Iterable[str]) -> None:
        """Draw the most detailed line that fits; tqdm fills in bar, percentage and times.

        Args:
            done: What is over, of the total.
            seconds: Seconds since the counting began.
            lines: Formats, the most detailed first.
        """
        settings = self.bar.format_dict
        columns = settings["ncols"]
        for line in lines:
            self.bar.bar_format = line
            shown = tqdm.format_meter(**settings | {"ncols": None, "bar_format": line})
            spare = _SPARE if "{bar}" in line else 0
            if columns is None or len(shown) - spare <= columns:
                break
        if self._log:
            self.bar.mininterval = float(np.clip(_LOG_SHARE * seconds, *_LOG_SECONDS))
        self.bar.update(done - self.bar.n)


class RunBar(Bar):
    """The bar of a run: energy, temperature, acceptance rate and evaluations per second.

    Args:
        steps: Moves per chain asked for.
        shown: Whether to show anything; ``None``: on a terminal or in a notebook.
        max_seconds: Seconds after which the run stops. What is nearer decides the percentage and
            the remaining time: the last move, or the end of the time.
    """

    def __init__(self, steps: int, shown: bool | None, max_seconds: float = math.inf):
        super().__init__("anneal", steps, shown)
        self._max_seconds = max_seconds
        self._evaluations, self._seconds = 0, 0.0

    def begin(self, evaluations: int, seconds: float, steps: int) -> None:
        """Count speed from here: without compilation, and without what earlier calls evaluated.

        Args:
            evaluations: Energy evaluations so far.
            seconds: Wall clock so far, compilation apart.
            steps: Moves per chain that a budget of evaluations allows.
        """
        self._evaluations, self._seconds = evaluations, seconds
        if self.bar is not None:
            self.bar.total = steps
            # What calibration took of the time is no speed of the moves.
            self.bar.initial = self.bar.n = self.bar.last_print_n = self._timed(seconds)
            self.bar.unpause()

    def update(self, progress: Progress) -> None:
        """Show the state of the run."""
        if self.bar is None:
            return
        spent = progress.seconds - self._seconds
        rate = (progress.evaluations - self._evaluations) / max(spent, 1e-9)
        # By moves or by time, in moves.
        done = max(progress.step, self._timed(progress.seconds))
        self.draw(done, spent, _run_lines(progress, rate, bar=not self._log))

    def _timed(self, seconds: float) -> float:
        """Return the share of the time that is over, in moves."""
        return min(seconds / self._max_seconds, 1.0) * self.bar.total


class SweepBar(Bar):
    """The bar of a sweep: its runs, the best energy, and how many failed.

    Args:
        runs: Runs of the sweep.
        done: Runs that were over before.
        shown: Whether to show anything; ``None``: on a terminal or in a notebook.
    """

    def __init__(self, runs: int, done: int, shown: bool | None):
        super().__init__("sweep", runs, shown, done)
        self._best, self._failed, self._done = np.inf, 0, done
        self._began = time.monotonic()

    def update(self, energies: list[float], failed: int) -> None:
        """Count runs that are over, with their energies."""
        self._best = float(np.nanmin([self._best, *energies]))
        self._failed += failed
        self._done += len(energies)
        if self.bar is not None:
            lines = _sweep_lines(self._best, self._failed, bar=not self._log)
            self.draw(self._done, time.monotonic() - self._began, lines)


_TIMES = "[{elapsed}<{remaining}]"


def _sweep_lines(best: float, failed: int, bar: bool) -> Iterator[str]:
    """Yield formats of the bar of a sweep, the most detailed first."""
    head, lost = "sweep: {percentage:3.0f}%", f" failed={failed}" if failed else ""
    drawn, energy = "|{bar}| " if bar else " ", f"E={best:.6g}{lost}"
    yield f"{head}{drawn}{{n_fmt}}/{{total_fmt}} runs {_TIMES} {energy}"
    yield f"{head} {{n_fmt}}/{{total_fmt}} runs {energy}"
    yield f"{head} {energy}"


def _run_lines(progress: Progress, rate: float, bar: bool) -> Iterator[str]:
    """Yield formats of the bar of a run, the most detailed first."""
    head, times = "anneal: {percentage:3.0f}%", _TIMES
    speed = f"{tqdm.format_sizeof(rate)} eval/s"
    for digits in (6, 4):
        low, high = float(np.min(progress.temperatures)), float(np.max(progress.temperatures))
        ends = [f"{value:.{digits - 3}g}" for value in (low, high)]
        temperature = ends[0] if ends[0] == ends[1] else "..".join(ends)
        short = f"E={progress.best_energy:.{digits}g} T={temperature}"
        numbers = f"{short} acc={progress.acceptance_rate:.2f}"
        if digits == 6:
            drawn = "|{bar}| " if bar else " "
            yield f"{head}{drawn}{progress.step}/{progress.steps} {times} {numbers} {speed}"
            yield f"{head}{drawn}{times} {numbers} {speed}"
            yield f"{head} {times} {numbers} {speed}"
        yield f"{head} {numbers} {speed}"
    yield f"{head} {numbers}"
    yield f"{head} {short}"


class _Lines:
    """A file for tqdm that writes lines to the standard error, not updates of one line."""

    encoding = "ascii"

    def __init__(self) -> None:
        self.last = ""

    def write(self, text: str) -> None:
        """Write a line, unless it is blank or the last one again."""
        line = text.strip()
        if line and line != self.last and sys.stderr is not None:
            sys.stderr.write(line + "\n")
            self.last = line

    def flush(self) -> None:
        """Write out what is buffered."""
        if sys.stderr is not None:
            sys.stderr.flush()


class _Output:
    """A file for tqdm that shows its last line as one output of a notebook cell."""

    encoding = "utf-8"

    def __init__(self) -> None:
        from IPython.display import display

        self.display: Any = display
        self.handle: Any = None

    def write(self, text: str) -> None:
        """Replace what is shown, unless the text is blank."""
        line = text.strip()
        if not line:
            return
        if self.handle is None:
            self.handle = self.display({"text/plain": line}, raw=True, display_id=True)
        else:
            self.handle.update({"text/plain": line}, raw=True)

    def flush(self) -> None:
        """Do nothing: outputs are sent at once."""


def _place() -> dict[str, Any]:
    """Return the settings that tell tqdm where to draw."""
    if _in_notebook():
        return {"file": _Output(), "ncols": _NOTEBOOK_COLUMNS, "position": 0}
    if _on_terminal():
        return {"dynamic_ncols": True} if _has_size() else {"ncols": 80, "nrows": 24}
    return {"file": _Lines(), "mininterval": _LOG_SECONDS[0], "position": 0}


def _on_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _has_size() -> bool:
    """Return whether the terminal tells its columns and its lines; in some containers it does not.

    Where it had no lines tqdm would draw nothing.
    """
    try:
        return all(os.get_terminal_size(sys.stderr.fileno()))
    except OSError:
        return False


def _in_notebook() -> bool:
    """Return whether a Jupyter kernel runs this: IPython in a terminal has no kernel."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
