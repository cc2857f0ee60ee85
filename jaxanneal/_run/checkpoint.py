"""What a user says of the checkpoints of a run."""

import dataclasses
import os
import pathlib
from typing import Any

from jaxanneal._checks import count, refusal, seconds


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
