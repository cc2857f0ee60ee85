"""Keeping a run on disk: when to save it, what of it, and how it is made again."""

import contextlib
import pathlib
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal import _folder, _history
from jaxanneal._blocks import padded_count
from jaxanneal._checkpoint import Checkpoint
from jaxanneal._fingerprint import require_same
from jaxanneal._folder import Damaged, Folder, Save
from jaxanneal._history import History
from jaxanneal._numbers import refusal
from jaxanneal._pytree import replace
from jaxanneal._state import State, with_lanes
from jaxanneal._stop_reason import StopReason

_FORMAT = 1

# The first save comes after so many seconds of a call, or right after a calibration that takes
# longer: a wrong directory shows early, and so does a disk that is full.
_FIRST_SECONDS = 1.0

# The seconds of a save over those until the next one are at most this.
_SHARE = 0.01

# Fields of a state with one entry for each lane.
_LANES = ("number", "chains", "log_factor", "nonfinite")


class Kept(NamedTuple):
    """A run as it was saved.

    Args:
        state: The state.
        method: The method as the host knows it, with what was calibrated.
        rows: What was recorded so far.
        recorded: Step of the last record, and proposals accepted in each slot until then.
        first: Step at which the call began.
        evaluations: Energy evaluations so far.
        seconds: Wall clock so far, compilation apart.
        reason: Why the run ended, ``None`` if it goes on.
    """

    state: State
    method: Any
    rows: History
    recorded: tuple[Any, Any]
    first: int
    evaluations: int
    seconds: float
    reason: StopReason | None


class Keeper:
    """Save one run, and find what was saved of it.

    Args:
        checkpoint: Where and how often.
        folder: The directory, ``None`` where it cannot be written.
        parts: The fingerprint of the call.
    """

    def __init__(self, checkpoint: Checkpoint, folder: Folder | None, parts: dict[str, str]):
        self.checkpoint, self.folder, self.parts = checkpoint, folder, parts
        self.seconds = 0.0  # of the last save
        self.saves = 0
        self._warned = False
        self._due = time.monotonic() + min(_FIRST_SECONDS, checkpoint.every_seconds)

    @property
    def due(self) -> bool:
        """Whether it is time for a save, by a clock that nobody sets."""
        return time.monotonic() >= self._due

    def save(self, run: Any, reason: StopReason | None = None) -> None:
        """Save a run between two chunks; a disk that refuses it costs a warning, not the run.

        Args:
            run: The run.
            reason: Why it ended, ``None`` if another call may go on.
        """
        if self.folder is None:
            return
        begin = time.monotonic()
        try:
            self.folder.write(_packed(run, reason, self.parts), self.checkpoint.keep)
            self.saves += 1
        except Exception as error:  # orbax and tensorstore raise errors of many kinds
            self.warn(error)
        self.seconds = time.monotonic() - begin
        rest = self.seconds * (1 / _SHARE - 1)
        self._due = time.monotonic() + max(self.checkpoint.every_seconds, rest)

    def warn(self, error: Exception) -> None:
        """Say once that nothing can be saved."""
        if self._warned:
            return
        self._warned = True
        got = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
        remedy = "The run goes on and tries again later; make room or name another directory."
        place = f"checkpoint {self.checkpoint.directory}"
        warnings.warn(refusal(place, "a directory that takes a save", got, remedy), stacklevel=2)

    def restore(self, like: State, width: int, method: Any, rows: History) -> Kept | None:
        """Return the newest save that is whole, or ``None`` if there is no save.

        Args:
            like: The state of the call, or its shapes.
            width: Chains per block.
            method: The method of the call, bound to its length, of the same structure as saved.
            rows: One record, or its shapes.

        Raises:
            ValueError: The saves are those of another call, or none of them is whole.
        """
        place, wrong = self.checkpoint.directory, []
        found = _folder.names(place) if place.is_dir() else []
        for name in found:
            try:
                save = _folder.read(place / name, _FORMAT)
                require_same(str(place), save.about["fingerprint"], self.parts)
                kept = _unpacked(save, like, width, method, rows)
            except Damaged as error:
                wrong.append(f"{name} ({error})")
                continue
            if wrong:
                remedy = f"The run goes on from {name}; look at the disk."
                text = refusal(f"checkpoint {place}", "whole saves", "; ".join(wrong), remedy)
                warnings.warn(text, stacklevel=2)
            return kept
        if not wrong:
            return None
        remedy = "Put back a copy of the directory, or delete it to start anew."
        text = refusal(f"checkpoint {place}", "a save that is whole", "; ".join(wrong), remedy)
        raise ValueError(text)


@contextlib.contextmanager
def keeping(
    checkpoint: Checkpoint | None, parts: Callable[[], dict[str, str]]
) -> Iterator[Keeper | None]:
    """Hold the directory of a checkpoint as long as a run lasts."""
    if checkpoint is None:
        yield None
        return
    if jax.process_count() > 1:
        remedy = "Leave it out; save result.state of each stretch of steps instead."
        got = f"{jax.process_count()}"
        raise ValueError(refusal("checkpoint", "a run in a single process", got, remedy))
    _folder.orbax()  # before anything compiles
    told, folder, problem = parts(), None, None
    try:
        folder = Folder(pathlib.Path(checkpoint.directory))
    except OSError as error:
        problem = error
    keeper = Keeper(checkpoint, folder, told)
    if problem is not None:
        keeper.warn(problem)
    try:
        yield keeper
    finally:
        if folder is not None:
            folder.close()


def _packed(run: Any, reason: StopReason | None, parts: dict[str, str]) -> Save:
    """Return a run as a save."""
    state, width = run.state, run.driver.setup.width
    run.rows = [_history.join(run.rows, run.recorder.rows)]  # once, not again at each save
    kept = own_lanes(state, width)
    recorded = (run.recorder.step, run.recorder.accepted)
    tree = (kept, run.method, recorded, run.rows[0])
    about = {
        "format": _FORMAT,
        "fingerprint": parts,
        "first": run.first,
        "step": run.step,
        "evaluations": run.driver.evaluations,
        "seconds": run.driver.clock.seconds + run.driver.clock.earlier,
        "reason": None if reason is None else reason.name,
    }
    return Save(about, jax.tree.leaves(tree))


def _unpacked(save: Save, like: State, width: int, method: Any, rows: History) -> Kept:
    """Make a run of a save, with lanes added for the blocks of these devices."""
    about = save.about
    leaves, treedef = jax.tree.flatten((like, method, (like.step, like.accepted), rows))
    if len(leaves) != len(save.arrays):
        raise Damaged(f"{len(save.arrays)} arrays instead of {len(leaves)}")
    state, method, recorded, rows = jax.tree.unflatten(treedef, save.arrays)
    state = with_lanes(state, width, like.number.shape[0])
    # The run takes over the buffers of its state, so they must not be NumPy's.
    state, method = jax.tree.map(lambda x: jnp.array(x, copy=True), (state, method))
    reason = None if about["reason"] is None else StopReason[about["reason"]]
    numbers = about["first"], about["evaluations"], about["seconds"]
    return Kept(state, method, rows, recorded, *numbers, reason)


def own_lanes(state: State, width: int) -> State:
    """Return a state without the lanes that only fill the blocks of many devices."""
    lanes = padded_count(state.method.chains, width)

    def cut(x: Any) -> Any:
        return x if x.shape[0] == lanes else np.asarray(x)[:lanes]

    return replace(state, **{name: jax.tree.map(cut, getattr(state, name)) for name in _LANES})
