"""A directory of saves that one run holds at a time."""

import contextlib
import os
import pathlib
import re
from typing import Any

from jaxanneal._checks import refusal
from jaxanneal._files import archive

_NAME = re.compile(r"save_(\d{6,})\.jaxanneal")
_LOCK = "lock"

# What version 0.1.0 wrote at first: directories, by orbax.
_BEFORE = re.compile(r"save_\d+")


class Directory:
    """A directory that one run holds at a time.

    Args:
        path: The directory, which is made if it is missing.

    Raises:
        ValueError: Another run holds it, or it holds saves that only older versions read.
        OSError: It cannot be made or written.
    """

    def __init__(self, path: pathlib.Path):
        self.path = path = path.absolute()  # a callback may change the working directory
        path.mkdir(parents=True, exist_ok=True)
        _refuse_older(path)
        self._lock = _locked(path)
        for half in path.glob(".save_*"):  # of a run that was killed while saving
            with contextlib.suppress(OSError):
                half.unlink()

    def close(self) -> None:
        """Let another run have the directory."""
        os.close(self._lock)

    def write(self, header: dict[str, Any], arrays: list[Any], keep: int) -> None:
        """Write a save, which is there as a whole or not at all, and remove all but ``keep``."""
        number = max(map(_number, names(self.path)), default=0) + 1
        archive.write(self.path / f"save_{number:06d}.jaxanneal", header, arrays)
        for name in names(self.path)[keep:]:
            with contextlib.suppress(OSError):
                os.unlink(self.path / name)


def names(path: pathlib.Path) -> list[str]:
    """Return the names of all saves in a directory, the newest first."""
    return sorted(filter(_NAME.fullmatch, os.listdir(path)), key=_number, reverse=True)


def _number(name: str) -> int:
    return int(name.removeprefix("save_").removesuffix(".jaxanneal"))


def _refuse_older(path: pathlib.Path) -> None:
    older = sorted(filter(_BEFORE.fullmatch, os.listdir(path)))
    if older:
        expected = "saves in single files, such as save_000001.jaxanneal"
        got = f"{older[-1]}, a directory that an older jaxanneal wrote with orbax"
        remedy = "Go on with the jaxanneal that wrote it, or name another directory to start anew."
        raise ValueError(refusal(f"checkpoint {path}", expected, got, remedy))


def _locked(path: pathlib.Path) -> int:
    """Return an open file that no other run can lock."""
    handle = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    if not lock(handle):
        holder = os.pread(handle, 32, 0).decode().strip()
        os.close(handle)
        remedy = "Wait until it ends, or give each run a directory of its own."
        got = f"one that process {holder} runs in"
        raise ValueError(refusal(f"checkpoint {path}", "a free directory", got, remedy))
    with contextlib.suppress(OSError):  # a full disk: it is still ours to read
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle


def lock(handle: int) -> bool:
    """Lock what is open under this number; return whether nobody else has it.

    Where the system has no such locks (Windows, some disks of a network), nobody has.
    """
    try:
        import fcntl

        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        pass
    return True
