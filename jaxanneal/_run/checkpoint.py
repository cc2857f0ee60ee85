"""What a user says of the checkpoints of a run."""

import contextlib
import dataclasses
import os
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._checks import count, refusal, seconds
from jaxanneal._engine import history
from jaxanneal._engine.history import History
from jaxanneal._engine.sharding import Spread, alone, from_first
from jaxanneal._engine.state import State, own_lanes, with_lanes
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._files import orbax_folder
from jaxanneal._files.orbax_folder import Damaged, Folder, Save
from jaxanneal._run.fingerprint import require_same
from jaxanneal._warn import warn


@dataclasses.dataclass(frozen=True, init=False)
class Checkpoint:
    """Keep a run on disk, so that the same call goes on after a crash as if there had been none.

    Maths: saves lie ``max(every_seconds, 99 s)`` apart, s being the seconds that the last one took,
    so that a long run spends less than 1 % of its time on them. The first comes within a second of
    the first move, the last at the end, whatever ended the run.
    Batching: all chains, of all processes; the first process reads and writes.

    Args:
        directory: Where to, of its own for each run; made if it is missing.
        every_seconds: Seconds between saves, > 0.
        keep: Saves kept, >= 1. The second newest is there for when the newest is damaged.

    Returns:
        What to pass as ``checkpoint=``.

    Raises:
        TypeError: An argument is of the wrong kind.
        ValueError: An argument is out of range.

    Example:
        >>> import tempfile
        >>> import jaxanneal as ja
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     checkpoint = ja.Checkpoint(folder)
        ...     first, again = (
        ...         ja.anneal(lambda x: x**2, 1.0, key=0, steps=500, checkpoint=checkpoint)
        ...         for _ in range(2)  # the second call finds the finished run
        ...     )
        >>> first.energy == again.energy
        True

    Reference: Young, Commun. ACM 17, 530 (1974), for how far apart checkpoints pay.
    """

    directory: pathlib.Path
    every_seconds: float
    keep: int

    def __init__(
        self, directory: str | os.PathLike[str], every_seconds: float = 60.0, keep: int = 2
    ):
        vars(self).update(
            directory=_path(directory),
            every_seconds=seconds(
                "Checkpoint.every_seconds", every_seconds, "Use 60 for a save a minute.", True
            ),
            keep=count("Checkpoint.keep", keep, 1, "Use 2, so that a damaged save costs little."),
        )


def as_checkpoint(value: Any) -> Checkpoint | None:
    """Return the argument of a call, or refuse what is none."""
    if value is None or isinstance(value, Checkpoint):
        return value
    remedy = "Pass checkpoint=ja.Checkpoint(directory)."
    raise TypeError(refusal("checkpoint", "a ja.Checkpoint", repr(value), remedy))


def _path(directory: Any) -> pathlib.Path:
    if not isinstance(directory, str | os.PathLike) or not isinstance(os.fspath(directory), str):
        remedy = "Pass a path, as text or a pathlib.Path."
        raise TypeError(refusal("Checkpoint.directory", "a path", repr(directory), remedy))
    if not os.fspath(directory):
        remedy = "Name a folder of its own for each run."
        raise ValueError(refusal("Checkpoint.directory", "a path", "an empty text", remedy))
    return pathlib.Path(directory)


_FORMAT = 4

# The first save comes after so many seconds of a call, or right after a calibration that takes
# longer: a wrong directory shows early, and so does a disk that is full.
_FIRST_SECONDS = 1.0

# The seconds of a save over those until the next one are at most this.
_SHARE = 0.01


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

    Where a run is spread over processes, all of them take part: the first one reads, writes and
    decides when, and the others tell it of their chains.

    Args:
        checkpoint: Where and how often.
        folder: The directory, ``None`` where it cannot be written, and on all but one process.
        parts: The fingerprint of the call.
        spread: Where the run takes place.
        works: Whether there is a directory on the process that writes.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        folder: Folder | None,
        parts: dict[str, str],
        spread: Spread | None = None,
        works: bool = True,
    ):
        self.checkpoint, self.folder, self.parts = checkpoint, folder, parts
        self.spread, self.works = spread, works
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
        if not self.works:
            return
        begin = time.monotonic()
        try:
            packed = _packed(run, reason, self.parts)
            if self.folder is not None:
                self.folder.write(packed, self.checkpoint.keep)
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
        warn(refusal(place, "a directory that takes a save", got, remedy))

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
        trees = (like, method, (like.step, like.accepted), rows)
        leaves = len(jax.tree.leaves(trees))
        if alone(self.spread):
            save = self._newest(leaves)
        else:
            told = from_first(lambda: _told(self._newest(leaves)), self.spread)
            save = orbax_folder.from_bytes(told) if told else None
        return None if save is None else _unpacked(save, like, width, method, rows)

    def _newest(self, leaves: int) -> Save | None:
        """Return the newest save that is whole and has so many arrays."""
        place, wrong = self.checkpoint.directory, []
        found = orbax_folder.names(place) if place.is_dir() else []
        for name in found:
            try:
                save = orbax_folder.read(place / name, _FORMAT)
                require_same(str(place), save.about["fingerprint"], self.parts)
                if len(save.arrays) != leaves:
                    raise Damaged(f"{len(save.arrays)} arrays instead of {leaves}")
            except Damaged as error:
                wrong.append(f"{name} ({error})")
                continue
            if wrong:
                remedy = f"The run goes on from {name}; look at the disk."
                text = refusal(f"checkpoint {place}", "whole saves", "; ".join(wrong), remedy)
                warn(text)
            return save
        if not wrong:
            return None
        remedy = "Put back a copy of the directory, or delete it to start anew."
        text = refusal(f"checkpoint {place}", "a save that is whole", "; ".join(wrong), remedy)
        raise ValueError(text)


def _told(save: Save | None) -> bytes:
    return b"" if save is None else orbax_folder.as_bytes(save)


@contextlib.contextmanager
def keeping(
    checkpoint: Checkpoint | None, parts: Callable[[], dict[str, str]], spread: Spread | None
) -> Iterator[Keeper | None]:
    """Hold the directory of a checkpoint as long as a run lasts."""
    if checkpoint is None:
        yield None
        return
    if alone(spread) and jax.process_index() > 0:
        remedy = "Spread it over all processes by sharding=, or save result.state of each stretch."
        expected = "a run over all processes, or one of the first process"
        got = f"one of process {jax.process_index()} by itself"  # for which orbax writes no array
        raise ValueError(refusal("checkpoint", expected, got, remedy))
    orbax_folder.orbax()  # before anything compiles
    told = parts()
    held: list[Folder] = []
    problem: list[OSError] = []

    def hold() -> bytes:
        try:
            held.append(Folder(pathlib.Path(checkpoint.directory)))
        except OSError as error:
            problem.append(error)
        return b"works" if held else b""

    works = bool(from_first(hold, spread))
    folder = held[0] if held else None
    keeper = Keeper(checkpoint, folder, told, spread, works)
    if problem:
        keeper.warn(problem[0])
    try:
        yield keeper
    finally:
        if folder is not None:
            folder.close()


def _packed(run: Any, reason: StopReason | None, parts: dict[str, str]) -> Save:
    """Return a run as a save."""
    state, width = run.state, run.driver.setup.width
    run.rows = [history.join(run.rows, run.recorder.rows)]  # once, not again at each save
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
    treedef = jax.tree.structure((like, method, (like.step, like.accepted), rows))
    state, method, recorded, rows = jax.tree.unflatten(treedef, save.arrays)
    state = with_lanes(state, width, like.lanes)
    recorded = jax.tree.map(np.asarray, recorded)
    # The run takes over the buffers of its state, so they must not be NumPy's.
    state, method = jax.tree.map(lambda x: jnp.array(x, copy=True), (state, method))
    reason = None if about["reason"] is None else StopReason[about["reason"]]
    numbers = about["first"], about["evaluations"], about["seconds"]
    return Kept(state, method, rows, recorded, *numbers, reason)
