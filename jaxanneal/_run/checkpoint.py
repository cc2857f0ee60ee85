"""Checkpoints: what a user says of them, and how a run is saved and found again."""

import contextlib
import dataclasses
import io
import os
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._checks import as_path, count, refusal, seconds, shown
from jaxanneal._engine import history
from jaxanneal._engine.history import History
from jaxanneal._engine.sharding import Spread, alone, from_first
from jaxanneal._engine.state import State, own_lanes, trials_of, with_lanes
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._files import archive
from jaxanneal._files.archive import Damaged
from jaxanneal._files.directory import Directory, names
from jaxanneal._methods.protocol import Trials
from jaxanneal._run.fingerprint import require_same
from jaxanneal._settings import known_settings
from jaxanneal._version import __version__
from jaxanneal._warn import warn


@known_settings
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
        own = "Name a folder of its own for each run."
        vars(self).update(
            directory=as_path("Checkpoint.directory", directory, own),
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
    raise TypeError(refusal("checkpoint", "a ja.Checkpoint", shown(value), remedy))


_FORMAT, _VERSION = "jaxanneal.Checkpoint", 5
_CALL = "the call that was saved there"
_OTHER_VERSION = "Go on with the jaxanneal that wrote it, or name another directory."

# The first save comes after so many seconds of a call, or right after a calibration that takes
# longer: a wrong directory shows early, and so does a disk that is full.
_FIRST_SECONDS = 1.0

# The seconds of a save over those until the next one are at most this.
_SHARE = 0.01

_Save = tuple[dict[str, Any], list[Any]]  # header and arrays


class SavedRun(NamedTuple):
    """A run as it was saved.

    Args:
        state: The state.
        method: The method as the host knows it, with what was calibrated.
        rows: What was recorded so far.
        recorded: Step of the last record, and what was proposed in each slot until then.
        first: Step at which the call began.
        evaluations: Energy evaluations so far.
        seconds: Wall clock so far, compilation apart.
        reason: Why the run ended, ``None`` if it goes on.
    """

    state: State
    method: Any
    rows: History
    recorded: tuple[Any, Trials]
    first: int
    evaluations: int
    seconds: float
    reason: StopReason | None


class Saves:
    """Save one run, and find what was saved of it.

    Where a run is spread over processes, all of them take part: the first one reads, writes and
    decides when, and has the chains of the others.

    Args:
        checkpoint: Where and how often.
        held: The directory, ``None`` where it cannot be written, and on all but one process.
        parts: The fingerprint of the call.
        spread: Where the run takes place.
        works: Whether there is a directory on the process that writes.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        held: Directory | None,
        parts: dict[str, str],
        spread: Spread | None = None,
        works: bool = True,
    ):
        self.checkpoint, self.held, self.parts = checkpoint, held, parts
        self.spread, self.works = spread, works
        self.seconds = 0.0  # of the last save
        self.count = 0
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
            header, arrays = _packed(run, reason, self.parts)
            if self.held is not None:
                self.held.write(header, arrays, self.checkpoint.keep)
            self.count += 1
        except Exception as error:  # no disk, or no memory for a copy: the run is worth more
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

    def restore(self, like: State, width: int, method: Any, rows: History) -> SavedRun | None:
        """Return the newest save that is whole, or ``None`` if there is no save.

        Args:
            like: The state of the call, or its shapes.
            width: Chains per block.
            method: The method of the call, bound to its length, of the same structure as saved.
            rows: One record, or its shapes.

        Raises:
            ValueError: The saves are those of another call, or none of them is whole.
        """
        trees = (like, method, _recorded(like), rows)
        leaves = len(jax.tree.leaves(trees))
        if alone(self.spread):
            _, save = self._newest(leaves)
        else:
            data = from_first(lambda: self._bytes_of_newest(leaves), self.spread)
            save = _read(io.BytesIO(data), self.checkpoint.directory) if data else None
        return None if save is None else _unpacked(save, like, width, method, rows)

    def _newest(self, leaves: int) -> tuple[str | None, _Save | None]:
        """Return the newest save that is whole and has so many arrays, and its name."""
        place, damaged = self.checkpoint.directory, []
        named = f"checkpoint {place}"
        for name in names(place) if place.is_dir() else []:
            try:
                with open(place / name, "rb") as file:
                    header, arrays = _read(file, place / name)
                require_same(named, _CALL, header["fingerprint"], self.parts)
                if len(arrays) != leaves:
                    raise Damaged(f"{len(arrays)} arrays instead of {leaves}")
            except (Damaged, OSError) as error:
                damaged.append(f"{name} ({error})")
                continue
            if damaged:
                remedy = f"The run goes on from {name}; look at the disk."
                warn(refusal(named, "whole saves", "; ".join(damaged), remedy))
            return name, (header, arrays)
        if not damaged:
            return None, None
        remedy = "Put back a copy of the directory, or delete it to start anew."
        raise ValueError(refusal(named, "a save that is whole", "; ".join(damaged), remedy))

    def _bytes_of_newest(self, leaves: int) -> bytes:
        name, _ = self._newest(leaves)
        return b"" if name is None else (self.checkpoint.directory / name).read_bytes()


def _read(file: BinaryIO, path: pathlib.Path) -> _Save:
    return archive.read(file, _FORMAT, _VERSION, f"checkpoint {path}", _OTHER_VERSION)


@contextlib.contextmanager
def saves_of(
    checkpoint: Checkpoint | None, parts: Callable[[], dict[str, str]], spread: Spread | None
) -> Iterator[Saves | None]:
    """Hold the directory of a checkpoint as long as a run lasts."""
    if checkpoint is None:
        yield None
        return
    known = parts()  # before the directory is made: it may refuse the call
    directories: list[Directory] = []
    problem: list[OSError] = []

    def hold() -> bytes:
        try:
            directories.append(Directory(checkpoint.directory))
        except OSError as error:
            problem.append(error)
        return b"works" if directories else b""

    works = bool(from_first(hold, spread))
    held = directories[0] if directories else None
    saves = Saves(checkpoint, held, known, spread, works)
    if problem:
        saves.warn(problem[0])
    try:
        yield saves
    finally:
        if held is not None:
            held.close()


def _packed(run: Any, reason: StopReason | None, parts: dict[str, str]) -> _Save:
    """Return a run as a save."""
    state, width = run.state, run.driver.setup.width
    run.rows = [history.join(run.rows, run.recorder.rows)]  # once, not again at each save
    lanes = own_lanes(state, width)
    recorded = (run.recorder.step, run.recorder.trials)
    tree = (lanes, run.method, recorded, run.rows[0])
    header = {
        "format": _FORMAT,
        "version": _VERSION,
        "jaxanneal": __version__,
        "fingerprint": parts,
        "first": run.first,
        "step": int(run.steps[0]),
        "evaluations": run.driver.evaluations,
        "seconds": run.driver.clock.seconds + run.driver.clock.earlier,
        "reason": None if reason is None else reason.name,
    }
    return header, jax.tree.leaves(tree)


def _recorded(like: State) -> tuple[Any, Any]:
    """Return shapes of what is saved of the last record."""
    return like.step, jax.eval_shape(trials_of, like)


def _unpacked(save: _Save, like: State, width: int, method: Any, rows: History) -> SavedRun:
    """Make a run of a save, with lanes added for the blocks of these devices."""
    header, arrays = save
    treedef = jax.tree.structure((like, method, _recorded(like), rows))
    state, method, recorded, rows = jax.tree.unflatten(treedef, arrays)
    state = with_lanes(state, width, like.lanes)
    recorded = jax.tree.map(np.asarray, recorded)
    # The run takes over the buffers of its state, so they must not be NumPy's.
    state, method = jax.tree.map(lambda x: jnp.array(x, copy=True), (state, method))
    reason = None if header["reason"] is None else StopReason[header["reason"]]
    numbers = header["first"], header["evaluations"], header["seconds"]
    return SavedRun(state, method, rows, recorded, *numbers, reason)
