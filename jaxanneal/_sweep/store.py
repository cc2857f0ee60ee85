"""A sweep on disk: Zarr, written batch by batch, and read again to go on."""

import contextlib
import json
import os
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jaxanneal._checks import as_path, needing, refusal
from jaxanneal._files.directory import lock
from jaxanneal._run.fingerprint import require_same
from jaxanneal._sweep.table import Table
from jaxanneal._warn import warn

_ATTRIBUTE = "jaxanneal_sweep"

# Numbers in a chunk of the store: a batch rewrites those that it touches.
_CHUNK = 2**16

# Format 2, because text has no stable form in format 3.
_FORMAT = 2


def required(with_store: bool) -> Any:
    """Return xarray.

    Raises:
        ImportError: It is missing, or Zarr where it is needed.
    """
    with needing("ja.sweep", "sweep"):
        import xarray

        if with_store:
            import zarr  # noqa: F401
    return xarray


class Store:
    """A directory that holds what is known of a sweep.

    Args:
        directory: The directory.
        table: What is known, which has more than the directory while a batch is written.
        xarray: The module.
    """

    def __init__(self, directory: pathlib.Path, table: Table, xarray: Any):
        self.directory, self.table, self.xarray = directory, table, xarray
        self._works = True

    def create(self, parts: dict[str, str]) -> None:
        """Make the directory, with room for every run."""
        dataset = self.table.dataset(self.xarray)
        dataset.attrs[_ATTRIBUTE] = json.dumps(parts)
        encoding = {name: {"chunks": _chunks(x.shape)} for name, x in dataset.data_vars.items()}
        dataset.to_zarr(self.directory, mode="a", zarr_format=_FORMAT, encoding=encoding)

    def read(self) -> None:
        """Take over what the directory knows."""
        with self.xarray.open_zarr(self.directory) as dataset:
            for name, called in self.table.names().items():
                array = self.table.arrays[name]
                array[...] = np.asarray(dataset[called].values).reshape(array.shape)

    def write(self, places: list[tuple[int, int]] | None) -> None:
        """Write what is known of some runs, ``None``: of all.

        A full or broken disk does not cost the sweep: it goes on, and the user is told.
        """
        if not self._works:
            return
        try:
            box = self._box(places)
            dataset = self.table.dataset(self.xarray).isel(box)
            dataset = dataset.drop_vars(list(dataset.coords))
            sizes = {str(name): slice(0, length) for name, length in dataset.sizes.items()}
            last = ["stop_reason", "error"]  # they say that the rest is there
            for part in (dataset.drop_vars(last), dataset[last]):
                region = {name: x for name, x in (sizes | box).items() if name in part.dims}
                part.to_zarr(self.directory, region=region, mode="r+")
        except OSError as error:
            self._works = False
            warn(
                f"store: cannot be written ({error}). The sweep goes on without it, and returns "
                "everything; call it again with the same store to go on from what is there."
            )

    def _box(self, places: list[tuple[int, int]] | None) -> dict[str, slice]:
        """Return the smallest box of the grid that holds some runs."""
        plan = self.table.plan
        numbers = range(len(plan.values)) if places is None else [c for c, _ in places]
        index = np.unravel_index(np.asarray(numbers), plan.shape)
        pairs = zip(plan.dims, index, strict=True)
        return {dim: slice(int(i.min()), int(i.max()) + 1) for dim, i in pairs}


@contextlib.contextmanager
def stored(
    store: Any, table: Table, parts: Callable[[], dict[str, str]], xarray: Any
) -> Iterator[Store | None]:
    """Hold the store of a sweep, new or of an earlier call of the same sweep, as long as it runs.

    Raises:
        TypeError: ``store`` is no path.
        ValueError: Another sweep runs there, or the directory holds something else, with what.
    """
    if store is None:
        yield None
        return
    directory = as_path("store", store, "Name a folder of its own for each sweep.")
    given = parts()
    with _held(directory):
        yield _opened(directory, Store(directory, table, xarray), given)


def _opened(directory: pathlib.Path, store: Store, parts: dict[str, str]) -> Store | None:
    if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
        try:
            store.create(parts)
        except OSError as error:
            warn(f"store: cannot be made ({error}). The sweep goes on.")
            return None
        return store
    saved = _saved_parts(directory, store.xarray)
    if saved.get("format") != parts["format"]:
        remedy = "Go on with the jaxanneal that wrote it, or name another directory."
        got = f"{saved.get('format')} in {directory}"
        raise ValueError(refusal("store", f"format {parts['format']}", got, remedy))
    require_same("store", f"the sweep that was saved in {directory}", saved, parts)
    store.read()
    return store


@contextlib.contextmanager
def _held(directory: pathlib.Path) -> Iterator[None]:
    """Let no other sweep have a directory.

    The directory itself is locked: of a file in it that is not its own Zarr would warn.
    """
    handle = None
    with contextlib.suppress(OSError):  # what cannot be made or opened is told where it is used
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY)
    try:
        if handle is not None and not lock(handle):
            remedy = "Wait until it ends, or give each sweep a directory of its own."
            got = f"{directory}, where another sweep runs"
            raise ValueError(refusal("store", "a free directory", got, remedy))
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _saved_parts(directory: pathlib.Path, xarray: Any) -> dict[str, str]:
    remedy = "Give another directory, or delete this one."
    try:
        with xarray.open_zarr(directory) as dataset:
            return json.loads(dataset.attrs[_ATTRIBUTE])
    except Exception as error:
        expected = "the store of a sweep, or no directory"
        raise ValueError(refusal("store", expected, f"{directory}: {error}", remedy)) from error


def _chunks(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return chunks of bounded size, whole along the last axes."""
    chunks, left = [], _CHUNK
    for length in reversed(shape):
        chunks.append(max(1, min(length, left)))
        left = max(1, left // max(length, 1))
    return tuple(reversed(chunks))
