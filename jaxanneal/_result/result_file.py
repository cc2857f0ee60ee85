"""A result in a file."""

import os
from typing import Any

import jax

from jaxanneal._chain.parameters import Parameters
from jaxanneal._engine.sharding import fetch
from jaxanneal._engine.state import State, slots
from jaxanneal._files import archive
from jaxanneal._result.box import Box, as_box
from jaxanneal._result.document import UNKNOWN, Decoder, encode, is_savable, loosely
from jaxanneal._result.not_saved import NotSaved, digest
from jaxanneal._version import __version__

_FORMAT, _VERSION = "jaxanneal.Result", 4

# In history these are what `observe` returned, whose structure nothing else knows.
_LOOSE = "history"


def save(result: Any, path: str | os.PathLike[str]) -> None:
    """Write a result; the energy and other functions are left out, the data is a digest."""
    fields = dict(vars(result))
    fields["params"] = Parameters.of(result.params)
    going_on = result.state
    if going_on is not None:
        data = going_on.args if isinstance(going_on.args, str) else digest(going_on.args)
        energy = NotSaved(getattr(going_on.energy, "__name__", type(going_on.energy).__name__))
        box = going_on.box or _box_of(going_on.state)
        fields["state"] = going_on._replace(energy=energy, args=data, box=box)
        del fields["chains"]  # the state holds them, in another order
    arrays: list[Any] = []
    document = {name: encode(field, arrays) for name, field in fields.items()}
    header = {"format": _FORMAT, "version": _VERSION, "jaxanneal": __version__, "result": document}
    archive.write(path, header, arrays)


def _box_of(state: State) -> Box | None:
    """Return the bounds and frozen leaves of a move that no file can hold."""
    if is_savable(state.move, "move"):
        return None
    try:
        return as_box(None, state.move, jax.tree.map(fetch, state.chains._best_params))
    except TypeError:  # nothing floats, so there is nothing to polish
        return None


def load(path: str | os.PathLike[str], like: Any = None) -> dict[str, Any]:
    """Return the fields of a saved result.

    Args:
        path: The file.
        like: One chain's parameters, or ``None`` where they are plain.
    """
    header, arrays = archive.read(path, _FORMAT, _VERSION)
    decoder = Decoder(arrays, UNKNOWN if like is None else like)
    document = header["result"]
    document[_LOOSE] = loosely(document[_LOOSE])
    fields = {name: decoder.decode(field) for name, field in document.items()}
    fields["params"] = fields["params"].tree
    if fields["state"] is not None:
        fields["chains"] = slots(fields["state"].state)
    return fields
