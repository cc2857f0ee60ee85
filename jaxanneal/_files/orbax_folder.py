"""A directory of saves, each written at once by orbax, and read only if it is whole."""

import contextlib
import json
import logging
import math
import os
import pathlib
import shutil
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxanneal._checks import refusal
from jaxanneal._files.archive import as_plain, from_plain
from jaxanneal._files.lock import lock

_PREFIX, _LOCK = "save_", "lock"
_OTHER = "Go on with the jaxanneal that wrote it, or name another directory."


class Damaged(Exception):
    """A save that cannot be read, or is not what was written."""


class Save(NamedTuple):
    """One save.

    Args:
        about: What JSON can hold.
        arrays: NumPy and JAX arrays of any dtype, typed keys included.
    """

    about: dict[str, Any]
    arrays: list[Any]


class Folder:
    """A directory that one run holds at a time.

    Args:
        path: The directory, which is made if it is missing.

    Raises:
        ValueError: Another run holds it.
        OSError: It cannot be made or written.
    """

    def __init__(self, path: pathlib.Path):
        self.path = path.absolute()  # orbax takes no other
        self.path.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(self.path / _LOCK)
        self._clear()  # after a run that was killed while saving

    def close(self) -> None:
        """Let another run have the directory."""
        os.close(self._lock)

    def _write_at_once(self, ocp: Any, target: pathlib.Path, parts: Any) -> None:
        try:
            with _checkpointer(ocp) as checkpointer:
                checkpointer.save(target, args=parts)
        except Exception:
            self._clear()  # a full disk needs the room
            raise

    def _clear(self) -> None:
        """Remove what a save left that did not come to its end."""
        for half in self.path.glob(f"{_PREFIX}*tmp*"):
            shutil.rmtree(half, ignore_errors=True)

    def write(self, save: Save, keep: int) -> None:
        """Write a save, which is there as a whole or not at all, and remove all but ``keep``."""
        ocp = orbax()
        content, arrays = _plain(save)
        about = {"sum": zlib.crc32(content.encode()), "content": content}
        # orbax takes no empty array
        plain = {f"{index:04d}": values for index, values in enumerate(arrays) if values.size}
        found = names(self.path)
        number = int(found[0].removeprefix(_PREFIX)) + 1 if found else 1
        parts = ocp.args.Composite(
            arrays=ocp.args.PyTreeSave(plain), about=ocp.args.JsonSave(about)
        )
        target = self.path / f"{_PREFIX}{number:06d}"
        self._write_at_once(ocp, target, parts)
        for name in names(self.path)[keep:]:
            shutil.rmtree(self.path / name, ignore_errors=True)


def names(path: pathlib.Path) -> list[str]:
    """Return the names of all saves in a directory, the newest first."""
    found = [name for name in os.listdir(path) if name.removeprefix(_PREFIX).isdigit()]
    return sorted((name for name in found if name.startswith(_PREFIX)), reverse=True)


def read(path: pathlib.Path, version: int) -> Save:
    """Return one save.

    Args:
        path: Its directory.
        version: The format that can be read.

    Raises:
        Damaged: It is truncated or changed.
        ValueError: It is of another format.
    """
    ocp = orbax()
    parts = ocp.args.Composite(arrays=ocp.args.PyTreeRestore(), about=ocp.args.JsonRestore())
    try:
        with _checkpointer(ocp) as checkpointer:
            found = checkpointer.restore(path.absolute(), args=parts)
        content, plain = found["about"]["content"], found["arrays"]
        if zlib.crc32(content.encode()) != found["about"]["sum"]:
            raise Damaged("its description is not what was written")
        about = json.loads(content)
        if about["format"] == version:
            kinds = enumerate(about["arrays"])
            arrays = [_array(plain.get(f"{i:04d}"), i, kind) for i, kind in kinds]
            return Save(about, arrays)
    except Damaged:
        raise
    except Exception as error:  # orbax and tensorstore raise errors of many kinds for a bad file
        raise Damaged(f"{type(error).__name__}: {str(error).splitlines()[0][:200]}") from error
    raise ValueError(refusal(f"checkpoint {path}", f"format {version}", about["format"], _OTHER))


def as_bytes(save: Save) -> bytes:
    """Return a save as what one process can tell another."""
    content, arrays = _plain(save)
    head = content.encode()
    return b"".join([len(head).to_bytes(8, "little"), head, *(x.tobytes() for x in arrays)])


def from_bytes(data: bytes) -> Save:
    """Return the save that :func:`as_bytes` told of."""
    place = 8 + int.from_bytes(data[:8], "little")
    about = json.loads(data[8:place])
    arrays = []
    for index, kind in enumerate(about["arrays"]):
        dtype, size = np.dtype(kind["type"]), math.prod(kind["shape"])
        values = np.frombuffer(data, dtype, size, place).reshape(kind["shape"])
        place += values.nbytes
        arrays.append(_array(values, index, kind))
    return Save(about, arrays)


def _plain(save: Save) -> tuple[str, list[np.ndarray]]:
    """Return a save as JSON and arrays that NumPy knows."""
    described, arrays = [], []
    for array in save.arrays:
        kind, values = as_plain(array)
        told = {"type": values.dtype.str, "shape": values.shape, "sum": checksum(values)}
        described.append(kind | told)
        arrays.append(values)
    return json.dumps(save.about | {"arrays": described}), arrays


def _array(values: Any, index: int, kind: dict[str, Any]) -> Any:
    dtype = np.dtype(kind["type"])
    values = np.zeros(kind["shape"], dtype) if values is None else np.asarray(values)
    if values.dtype != dtype or checksum(values) != kind["sum"]:
        raise Damaged(f"array {index} is not what was written")
    return from_plain(values, kind)


def checksum(values: np.ndarray) -> int:
    """Return a number that damage changes: against accidents, not against an attack."""
    data: Any = np.ascontiguousarray(values).reshape(-1).view(np.uint8)
    return zlib.crc32(data)


def orbax() -> Any:
    """Return orbax, or say how to install it."""
    try:
        import orbax.checkpoint as ocp
    except ImportError as error:
        remedy = "Install the extra: pip install 'jaxanneal[checkpoint]'."
        text = refusal("checkpoint", "the package orbax-checkpoint", "none installed", remedy)
        raise ImportError(text) from error
    return ocp


@contextlib.contextmanager
def _checkpointer(ocp: Any) -> Iterator[Any]:
    # Otherwise its threads wait for each other's directories until a time of day, and a clock that
    # is set during a save ends the wait at once, or long after the run.
    at_once = ocp.options.AsyncOptions(create_directories_asynchronously=False)
    alone = {}
    if jax.process_count() > 1:  # it would wait for the others, who write nothing
        alone = {"active_processes": {jax.process_index()}}
    processes = ocp.options.MultiprocessingOptions(**alone)
    options = ocp.CompositeOptions(multiprocessing_options=processes, async_options=at_once)
    checkpointer = ocp.Checkpointer(
        ocp.CompositeCheckpointHandler(composite_options=options),
        multiprocessing_options=processes,
    )
    log = logging.getLogger("absl")
    level = log.level
    log.setLevel(logging.CRITICAL)  # or a full disk fills the terminal, once from each thread
    try:
        yield checkpointer
    finally:
        log.setLevel(level)
        checkpointer.close()


def _locked(path: pathlib.Path) -> int:
    """Return an open file that no other run can lock."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    if not lock(handle):
        holder = os.pread(handle, 32, 0).decode().strip()
        os.close(handle)
        remedy = "Wait until it ends, or give each run a directory of its own."
        got = f"one that process {holder} runs in"
        raise ValueError(refusal(f"checkpoint {path.parent}", "a free directory", got, remedy))
    with contextlib.suppress(OSError):  # a full disk: it is still ours to read
        os.truncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    return handle
