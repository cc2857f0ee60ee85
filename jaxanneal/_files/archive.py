"""A file of one JSON header and many arrays: a zip of ``.npy`` members, without pickle.

NumPy and the standard library read it. Each member has zip's checksum, and the comment of the zip,
which is the end of the file, is a checksum of all bytes before it.
"""

import contextlib
import errno
import json
import os
import pathlib
import threading
import zipfile
import zlib
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.generator import IMPLEMENTATION
from jaxanneal._chain.keys import from_data
from jaxanneal._checks import refusal

_HEADER = "header.json"

# A header with this entry promises the checksum of the whole file, which older files lack.
_PROMISE = "sealed"
_SEAL_BYTES = 8
_PIECE = 2**20


class Damaged(Exception):
    """A file that is not what was written, or was written by somebody else."""


def write(
    path: str | os.PathLike[str],
    header: dict[str, Any],
    arrays: list[Any],
    fetch: Callable[[Any], np.ndarray] = np.asarray,
) -> None:
    """Write a file at once: a crash on the way leaves what was there before.

    One array after another is on the host, but for those that processes share.

    Args:
        path: Where to.
        header: What JSON can hold.
        arrays: NumPy or JAX arrays of any dtype, typed keys included.
        fetch: Returns on the host what processes share.
    """
    path = pathlib.Path(path)
    # All processes must ask for what they share, whatever becomes of the file of one of them.
    shared = {
        index: _as_plain(array, fetch)
        for index, array in enumerate(arrays)
        if isinstance(array, jax.Array) and not array.is_fully_addressable
    }
    # In the same folder, because a file can be renamed only within one file system.
    name = path.parent / f".{path.name}.{os.getpid()}.{threading.get_ident()}"
    handle = os.open(name, os.O_RDWR | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(handle, "w+b") as file:
            _write_members(file, header, arrays, shared)
            _seal(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):  # Ctrl-C after it was renamed
            os.unlink(name)
        raise
    _sync_directory(path.parent)


def _write_members(
    file: BinaryIO, header: dict[str, Any], arrays: list[Any], shared: dict[int, Any]
) -> None:
    kinds = []
    with zipfile.ZipFile(file, "w") as members:
        for index, array in enumerate(arrays):
            kind, values = shared.get(index) or _as_plain(array, np.asarray)
            kinds.append(kind)
            with members.open(f"{index}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)
        members.writestr(_HEADER, json.dumps(header | {"arrays": kinds, _PROMISE: True}))
        members.comment = b"0" * _SEAL_BYTES


def _seal(file: BinaryIO) -> None:
    file.seek(-_SEAL_BYTES, os.SEEK_END)
    file.write(_checksum(file, file.tell()))


def _is_sealed(file: BinaryIO) -> bool:
    """Return whether a file ends with the checksum of all bytes before."""
    length = file.seek(0, os.SEEK_END) - _SEAL_BYTES
    return length > 0 and _checksum(file, length) == file.read()


def _checksum(file: BinaryIO, length: int) -> bytes:
    """Return the checksum of the first bytes, and leave the file behind them."""
    file.seek(0)
    sum_of_bytes = 0
    for start in range(0, length, _PIECE):
        sum_of_bytes = zlib.crc32(file.read(min(_PIECE, length - start)), sum_of_bytes)
    file.seek(length)
    return b"%08x" % sum_of_bytes


def _sync_directory(path: pathlib.Path) -> None:
    """Let a power cut forget no new name in a directory, where the system can promise that."""
    with contextlib.suppress(OSError):  # Windows opens none, and some disks of a network sync none
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read(
    file: BinaryIO, form: str, version: int, named: str, remedy: str
) -> tuple[dict[str, Any], list[Any]]:
    """Return the header and the arrays of a file.

    Args:
        file: The open file.
        form: What the header calls itself under ``"format"``.
        version: The version that can be read.
        named: What a refusal calls the file.
        remedy: What to do about a file of another version.

    Raises:
        Damaged: The file is truncated, changed, or of another format.
        ValueError: It is of another version, or needs ``jax_enable_x64``.
    """
    with _named_damage():
        sealed, members = _is_sealed(file), zipfile.ZipFile(file)
        header = json.loads(members.read(_HEADER))
        if header["format"] != form:
            raise Damaged(f"its format is {header['format']}")
        if header.get(_PROMISE) and not sealed:
            raise Damaged("its checksum is that of other bytes")
        same, kinds = header["version"] == version, enumerate(header["arrays"])
        got = f"version {header['version']}, by jaxanneal {header['jaxanneal']}"
    if not same:
        raise ValueError(refusal(named, f"version {version}", got, remedy))
    return header, [_from_plain(_read_array(members, index), kind) for index, kind in kinds]


@contextlib.contextmanager
def _named_damage() -> Iterator[None]:
    """Give the errors of zipfile, NumPy and JSON, which are of many kinds, one name."""
    try:
        yield
    except (Damaged, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # the disk's, not the file's
            raise
        raise Damaged(f"{type(error).__name__}: {error}") from error


def _read_array(members: zipfile.ZipFile, index: int) -> np.ndarray:
    with _named_damage(), members.open(f"{index}.npy") as member:
        values = np.lib.format.read_array(member, allow_pickle=False)
        if member.read(1):  # zipfile looks at a member's checksum where it ends
            raise Damaged(f"array {index} is longer than it says")
        return values


def _as_plain(array: Any, fetch: Callable[[Any], np.ndarray]) -> tuple[dict[str, Any], np.ndarray]:
    """Return what NumPy's format can hold, and what it cannot say of it."""
    kind: dict[str, Any] = {}
    if isinstance(array, jax.Array):
        # Where processes share it, each has it.
        array = array.addressable_data(0) if array.is_fully_replicated else array
        kind["jax"] = True
        if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
            kind["key"] = str(jax.random.key_impl(array))
            array = jax.random.key_data(array)
    values = np.asarray(fetch(array), order="C")
    if values.dtype.kind == "V":  # bfloat16 and its kin, which NumPy would read back as bytes
        kind["dtype"] = values.dtype.name
        values = values.view(f"u{values.dtype.itemsize}")
    return kind, values


def _from_plain(values: np.ndarray, kind: dict[str, Any]) -> Any:
    """Return the array that :func:`_as_plain` made ``values`` of."""
    if "dtype" in kind:
        values = values.view(jnp.dtype(kind["dtype"]))
    if not kind.get("jax"):
        return values
    if jax.dtypes.canonicalize_dtype(values.dtype) != values.dtype:
        remedy = "Call jax.config.update('jax_enable_x64', True) first, as the run did."
        raise ValueError(refusal("jax_enable_x64", f"True, for {values.dtype}", False, remedy))
    if "key" in kind:
        own = kind["key"] == str(IMPLEMENTATION)
        words = jnp.asarray(values)
        return from_data(words) if own else jax.random.wrap_key_data(words, impl=kind["key"])
    return jnp.asarray(values)
