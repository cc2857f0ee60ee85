"""A file of one JSON header and many arrays: a zip of ``.npy`` members, without pickle."""

import io
import json
import os
import pathlib
import tempfile
import zipfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.generator import IMPLEMENTATION
from jaxanneal._chain.keys import from_data
from jaxanneal._checks import refusal
from jaxanneal._engine.sharding import fetch, own

_HEADER = "header.json"
_REMEDY = "Pass a file that Result.save wrote, whole and unchanged."


def write(path: str | os.PathLike[str], header: dict[str, Any], arrays: list[Any]) -> None:
    """Write a file at once: a crash on the way leaves what was there before.

    Args:
        path: Where to.
        header: What JSON can hold.
        arrays: NumPy or JAX arrays of any dtype, typed keys included.
    """
    path = pathlib.Path(path)
    kinds, plain = [], []
    for array in arrays:
        kind, values = as_plain(array)
        kinds.append(kind)
        plain.append(values)
    # In the same folder, because a file can be renamed only within one file system.
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr(_HEADER, json.dumps(header | {"arrays": kinds}))
                for index, values in enumerate(plain):
                    with archive.open(f"{index}.npy", "w", force_zip64=True) as member:
                        np.lib.format.write_array(member, values, allow_pickle=False)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        os.chmod(name, 0o666 & ~mask)  # a temporary file is its owner's alone
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


def read(path: str | os.PathLike[str], form: str, version: int) -> tuple[dict[str, Any], list[Any]]:
    """Return the header and the arrays of a file.

    Args:
        path: Where from.
        form: What the header calls itself under ``"format"``.
        version: The version that can be read.

    Raises:
        ValueError: The file is another one, damaged, or of another version.
    """
    shown, expected = os.fspath(path), f"a file of the format {form}"
    try:
        with zipfile.ZipFile(path) as archive:
            header = json.loads(archive.read(_HEADER))
            found = header["format"]
            if found != form:
                raise ValueError(refusal(shown, expected, f"the format {found}", _REMEDY))
            if header["version"] != version:
                got = f"version {header['version']}, by jaxanneal {header['jaxanneal']}"
                remedy = "Read it with the jaxanneal that wrote it."
                raise ValueError(refusal(shown, f"version {version}", got, remedy))
            kinds = header["arrays"]
            arrays = [_array(archive.read(f"{i}.npy"), kind) for i, kind in enumerate(kinds)]
    except (zipfile.BadZipFile, KeyError, TypeError, EOFError, json.JSONDecodeError) as error:
        got = f"a truncated or foreign file ({type(error).__name__}: {error})"
        raise ValueError(refusal(shown, expected, got, _REMEDY)) from error
    return header, arrays


def as_plain(array: Any) -> tuple[dict[str, Any], np.ndarray]:
    """Return what NumPy's format can hold, and what it cannot say of it."""
    kind: dict[str, Any] = {}
    if isinstance(array, jax.Array):
        array = own(array) if array.is_fully_replicated else array
        kind["jax"] = True
        if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
            kind["key"] = str(jax.random.key_impl(array))
            array = jax.random.key_data(array)
    values = np.asarray(fetch(array), order="C")
    if values.dtype.kind == "V":  # bfloat16 and its kin, which NumPy would read back as bytes
        kind["dtype"] = values.dtype.name
        values = values.view(f"u{values.dtype.itemsize}")
    return kind, values


def _array(data: bytes, kind: dict[str, Any]) -> Any:
    return from_plain(np.lib.format.read_array(io.BytesIO(data), allow_pickle=False), kind)


def from_plain(values: np.ndarray, kind: dict[str, Any]) -> Any:
    """Return the array that :func:`as_plain` made ``values`` of."""
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
