"""A result as a document that JSON can hold, and back: no pickle, and no code from a file.

Only classes of the table below are made again by name. A user's own nodes (dataclasses, modules)
are made from ``like``; functions are not saved, and stand as :class:`NotSaved`.
"""

import os
from typing import Any

import jax
import numpy as np

from jaxanneal import cooling, moves
from jaxanneal._chain.calls import describe, outline
from jaxanneal._chain.chain import Chain
from jaxanneal._chain.move import Move, Symmetric, Unregistered
from jaxanneal._chain.own_move import as_given
from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import as_path, refusal
from jaxanneal._diagnostics.diagnostics import Diagnostics
from jaxanneal._engine.history import History, Summary
from jaxanneal._engine.sharding import fetch
from jaxanneal._engine.starts import Begun
from jaxanneal._engine.state import State, Watch, chains_by_slot
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._files import archive
from jaxanneal._kernels.curvature import Matrix, Pairs
from jaxanneal._kernels.descent import Descent
from jaxanneal._kernels.hopping import Hop, Underway
from jaxanneal._kernels.pools import Pools
from jaxanneal._kernels.population import Shown
from jaxanneal._methods import BasinHopping, ParallelTempering, SimulatedAnnealing
from jaxanneal._methods.hops import Hops
from jaxanneal._methods.ladder.adaptation import Ladder
from jaxanneal._methods.ladder.free_energy import Weights
from jaxanneal._methods.ladder.ladders import Ladders
from jaxanneal._methods.ladder.rung_energies import RungEnergies
from jaxanneal._methods.own_method import Own
from jaxanneal._methods.population_search import PopulationSearch, Quench
from jaxanneal._methods.schedule import Function, Table
from jaxanneal._result.continuation import Continuation, NotSaved, digest
from jaxanneal._result.searches import Search
from jaxanneal._version import __version__
from jaxanneal.moves._box import Box, as_box
from jaxanneal.moves._float_settings import _Auto, _Row
from jaxanneal.moves._per_leaf import _Frozen

_MADE_BY_NAME: tuple[type[Any], ...] = (
    *(cooling.Geometric, cooling.Linear, cooling.Logarithmic, Table),
    *(SimulatedAnnealing, Own, ParallelTempering, Ladders, Ladder, Weights, RungEnergies),
    *(BasinHopping, Hops, Underway, Hop, Descent, Matrix, Pairs),
    *(PopulationSearch, Quench, Shown, Search),
    *(moves.Gaussian, moves.Uniform, moves.Laplace, moves.StudentT, moves.Flip),
    *(moves.IntegerStep, moves.PerLeaf, moves.Mixture, _Auto, _Row, _Frozen, NotSaved),
    *(History, Summary, Diagnostics, Continuation, Begun, State, Pools, Watch, Box),
)
_CLASSES = {cls.__name__: cls for cls in _MADE_BY_NAME}
# Fields that files did not have when version 4 began.
_FLOATS = ("Gaussian", "Uniform", "Laplace", "StudentT")
_SINCE: dict[str, dict[str, Any]] = {name: {"coordinates": None} for name in _FLOATS}
_SINCE |= {"State": {"carried": (), "pools": ()}}
# Fields that had another name when version 4 began.
_FORMER = {("Continuation", "state"): "engine_state"}
# Where a user's function or class may stand, which is then asked for again on going on.
_ASKED_FOR = ("cooling", "move", "own")


class _Unsavable(TypeError):
    """A function, or an object that only its own class can make."""


# Not None, which is a tree.
UNKNOWN: Any = object()

_LIKE = (
    "Pass like=, the parameters of one chain of the same structure, such as the params that the "
    "run began with."
)


def encode(value: Any, arrays: list[Any], within: str = "") -> Any:
    """Return what JSON can hold of ``value``; its arrays are appended to ``arrays``.

    Args:
        value: A tree of arrays, numbers, text, containers and the classes of the table.
        arrays: Collects the arrays.
        within: ``"parameters"``, ``"cooling"``, ``"move"`` or ``"own"`` (the user's own method)
            inside of one.
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return {"float": value.hex()}
    if isinstance(value, jax.Array | np.ndarray | np.generic):
        arrays.append(value)
        return {"array": len(arrays) - 1}
    if isinstance(value, StopReason):
        return {"reason": value.name}
    if isinstance(value, Parameters):
        return {"parameters": encode(value.tree, arrays, "parameters")}
    if isinstance(value, Chain):
        fields = (value._params, value.energy, value._best_params, value.best_energy)
        return {"chain": [encode(field, arrays) for field in fields]}
    if type(value) in _MADE_BY_NAME:
        return {"made": type(value).__name__, "fields": _fields(value, arrays, within)}
    if type(value) is dict:
        pairs = [[encode(key, arrays), encode(x, arrays, within)] for key, x in value.items()]
        return {"dict": pairs}
    if type(value) in (list, tuple):
        return {type(value).__name__: [encode(x, arrays, within) for x in value]}
    return _foreign(value, arrays, within)


def is_savable(value: Any, within: str) -> bool:
    """Return whether no part of ``value`` is a function, or of a class that only it can make."""
    try:
        encode(value, [], within)
    except _Unsavable:
        return False
    return True


def _fields(value: Any, arrays: list[Any], within: str) -> dict[str, Any]:
    named: Any = value  # a named tuple or a dataclass
    names = named._fields if isinstance(value, tuple) else vars(value)
    fields = {name: getattr(value, name) for name in names}
    encoded = {}
    for name, field in fields.items():
        asked_for = name in _ASKED_FOR
        try:
            encoded[name] = encode(field, arrays, name if asked_for else within)
        except _Unsavable as error:
            if not asked_for:
                raise
            encoded[name] = encode(NotSaved(str(error)), arrays)
    return encoded


def _foreign(value: Any, arrays: list[Any], within: str) -> Any:
    """Encode a user's node by the names of its children, or a leaf that cannot be saved."""
    children, _ = _one_level(value)
    name = type(value).__qualname__
    users = _users(value)
    leaf = len(children) == 1 and children[0][1] is value
    if within == "parameters" and leaf:
        return {"unsaved": getattr(value, "__name__", name)}
    if leaf or within in ("cooling", "own") or (within == "move" and isinstance(value, Move)):
        raise _Unsavable(getattr(users, "__name__", type(users).__qualname__))
    return {"node": name, "children": [[key, encode(x, arrays, within)] for key, x in children]}


def _users(value: Any) -> Any:
    """Return a function or object as the user passed it, of which the library made something."""
    value = as_given(value)
    if isinstance(value, Symmetric | Function):
        return value.function
    return value.move if isinstance(value, Unregistered) else value


def _one_level(node: Any) -> tuple[list[tuple[str, Any]], Any]:
    """Return the children of one node by name, and how to make it again from others."""
    children, treedef = jax.tree_util.tree_flatten_with_path(node, is_leaf=lambda x: x is not node)
    return [(jax.tree_util.keystr(path, simple=True), child) for path, child in children], treedef


class Decoder:
    """Make values of documents.

    Args:
        arrays: The arrays of the file.
        like: One chain's parameters, which the user's own nodes and functions are taken from;
            :data:`UNKNOWN` without them.
        path: What the parameters are called in a refusal.
    """

    def __init__(self, arrays: list[Any], like: Any):
        self.arrays, self.like = arrays, like

    def decode(self, document: Any, like: Any = UNKNOWN, path: str = "params") -> Any:
        """Return the value of a document.

        Args:
            document: What :func:`encode` returned.
            like: What stands at this place of the user's tree.
            path: Where that is.

        Raises:
            ValueError: ``like`` is needed and missing, or is unlike what was saved.
        """
        if not isinstance(document, dict):
            return document
        if "made" in document:
            return self._by_class(document, like)
        ((kind, content),) = [item for item in document.items() if item[0] != "children"]
        if kind == "parameters":
            return self._parameters(content)
        if kind == "chain":
            return _chain([self.decode(field) for field in content])
        if kind == "dict":
            pairs = [(self.decode(key), x) for key, x in content]
            branch = lambda key: like.get(key, UNKNOWN) if isinstance(like, dict) else UNKNOWN  # noqa: E731
            return {key: self.decode(x, branch(key), f"{path}[{key!r}]") for key, x in pairs}
        if kind in ("list", "tuple"):
            known = isinstance(like, list | tuple) and len(like) == len(content)
            likes = like if known else [UNKNOWN] * len(content)
            places = enumerate(zip(content, likes, strict=True))
            values = [self.decode(x, part, f"{path}[{i}]") for i, (x, part) in places]
            return values if kind == "list" else tuple(values)
        if kind == "node":
            return self._node(content, document["children"], like, path)
        return self._leaf(kind, content, like, path)

    def _leaf(self, kind: str, content: Any, like: Any, path: str) -> Any:
        if kind == "array":
            return self.arrays[content]
        if kind == "float":
            return float.fromhex(content)
        if kind == "reason":
            return StopReason[content]
        if like is UNKNOWN:
            raise ValueError(refusal(path, f"`like` to give {content}", "none", _LIKE))
        return like

    def _by_class(self, document: Any, like: Any) -> Any:
        cls = _CLASSES[document["made"]]
        fields: dict[str, Any] = dict(_SINCE.get(document["made"], {}))
        for name, field in document["fields"].items():
            name = str(_FORMER.get((document["made"], name), name))
            if name == "bounds" and "tuple" in (
                field or ()
            ):  # (lower, upper), each a prefix of params
                fields[name] = tuple(self.decode(side, like) for side in field["tuple"])
            else:
                fields[name] = self.decode(field, self.like if name == "move" else like)
        if issubclass(cls, tuple):
            return cls(**fields)
        instance = object.__new__(cls)  # unchecked, as JAX makes it: it was checked when it was new
        vars(instance).update(fields)
        return instance

    def _parameters(self, content: Any) -> Parameters:
        """Return parameters, of one chain or of many along a leading axis."""
        params = Parameters.of(self.decode(content, self.like))
        if self.like is UNKNOWN:
            return params
        given = Parameters.of(self.like)
        if given.structure != params.structure:
            expected = f"the saved structure {outline(params.tree)} with the same fixed leaves"
            raise ValueError(refusal("like", expected, outline(given.tree), _LIKE))
        places = zip(given.structure.paths(), params.leaves, given.leaves, strict=True)
        for path, saved, leaf in places:
            if saved.dtype != leaf.dtype or saved.shape[saved.ndim - leaf.ndim :] != leaf.shape:
                raise ValueError(refusal(f"like: {path}", describe(saved), describe(leaf), _LIKE))
        return params

    def _node(self, name: str, children: list[Any], like: Any, path: str) -> Any:
        """Return a user's node made like the one of ``like``."""
        if like is UNKNOWN or type(like).__qualname__ != name:
            got = "none" if like is UNKNOWN else type(like).__name__
            raise ValueError(refusal(path, f"`like` with a {name} here", got, _LIKE))
        parts, treedef = _one_level(like)
        if [key for key, _ in parts] != [key for key, _ in children]:
            expected = f"the fields {[key for key, _ in children]}"
            raise ValueError(refusal(path, expected, [key for key, _ in parts], _LIKE))
        places = zip(children, parts, strict=True)
        values = [self.decode(x, part, f"{path}.{key}") for (key, x), (_, part) in places]
        return treedef.unflatten(values)


def _chain(fields: list[Any]) -> Chain:
    return Chain.tree_unflatten(None, fields)


def loosely(document: Any) -> Any:
    """Return a document in which a user's nodes are dicts of their children by name."""
    if isinstance(document, list):
        return [loosely(part) for part in document]
    if not isinstance(document, dict):
        return document
    if "node" in document:
        return {"dict": [[key, loosely(child)] for key, child in document["children"]]}
    return {key: loosely(part) for key, part in document.items()}


_FORMAT, _VERSION = "jaxanneal.Result", 4
_DAMAGED = "Pass a file that Result.save wrote, whole and unchanged."
_OTHER_VERSION = "Read it with the jaxanneal that wrote it."

# In history these are what `observe` returned, whose structure nothing else knows.
_LOOSE = "history"


def save(result: Any, path: str | os.PathLike[str]) -> None:
    """Write a result; the energy and other functions are left out, the data is a digest."""
    path = as_path("Result.save: path", path, "Name a file to write.")
    fields = dict(vars(result))
    fields["params"] = Parameters.of(result.params)
    if result.state is not None:
        fields["state"] = _without_data(result.state)
        del fields["chains"]  # the state holds them, in another order
    arrays: list[Any] = []
    document = {name: encode(field, arrays) for name, field in fields.items()}
    header = {"format": _FORMAT, "version": _VERSION, "jaxanneal": __version__, "result": document}
    archive.write(path, header, arrays, fetch)


def _without_data(state: Continuation) -> Continuation:
    """Return what another call needs to go on, but for the energy, and with a digest of the data.

    Bounds and frozen leaves of a move that is left out go with it.
    """
    if isinstance(state.energy, NotSaved):
        return state
    energy = NotSaved(state.energy.computation.name)
    data = state.args if isinstance(state.args, str) else digest(state.args)
    return state._replace(energy=energy, args=data, box=state.box or _box_of(state.engine_state))


def without_functions(result: Any) -> dict[str, Any]:
    """Return the fields of a result as pickle takes them: without what no file holds either."""
    fields = dict(vars(result))
    fields["params"] = Parameters.of(result.params)
    if result.state is not None:
        arrays: list[Any] = []
        document = encode(_without_data(result.state), arrays)
        fields["state"] = Decoder(arrays, result.params).decode(document)
    return fields


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

    Raises:
        ValueError: The file is another one, damaged, of another version, or needs ``like``.
    """
    path = as_path("Result.load: path", path, _DAMAGED)
    named = str(path)
    try:
        with open(path, "rb") as file:
            header, arrays = archive.read(file, _FORMAT, _VERSION, named, _OTHER_VERSION)
    except archive.Damaged as error:
        got = f"a truncated or foreign file ({error})"
        text = refusal(named, f"a file of the format {_FORMAT}", got, _DAMAGED)
        raise ValueError(text) from error
    decoder = Decoder(arrays, UNKNOWN if like is None else like)
    document = header["result"]
    document[_LOOSE] = loosely(document[_LOOSE])
    fields = {name: decoder.decode(field) for name, field in document.items()}
    fields["params"] = fields["params"].tree
    if fields["state"] is not None:
        fields["chains"] = chains_by_slot(fields["state"].engine_state)
    return fields
