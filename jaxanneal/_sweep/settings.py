"""Settings of a run by dotted names: which exist, and how one run's settings become another's."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

from jaxanneal._chain.move import Symmetric, Unregistered
from jaxanneal._checks import refusal, shown
from jaxanneal._methods.protocol import Method
from jaxanneal._methods.schedule import Function
from jaxanneal.cooling import Geometric

_UNSET: Any = object()

# Wrappers of a user's function: what is inside is no setting.
_CLOSED = (Function, Symmetric, Unregistered)

# A cooling that is calibrated by default is a geometric one.
_NATURAL_COOLING = {"start": None, "end": None, "steps": None}


class Settings(NamedTuple):
    """What one configuration runs with: everything that a dotted name can begin with."""

    method: Any
    move: Any
    args: Any
    steps: Any
    target: Any
    patience: Any
    max_evaluations: Any
    block: Any


class _Change:
    """What happens at one place: a new value, and then changes of its parts."""

    def __init__(self) -> None:
        self.value = _UNSET
        self.parts: dict[str, _Change] = {}


class Changes:
    """Exchange the values of dotted names in settings.

    A method or a move of the same values is made once, so that a grid makes few of them.

    Args:
        settings: The settings that all configurations begin with.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self._by_values: dict[Any, tuple[Any, Any]] = {}

    def __call__(self, values: Mapping[str, Any]) -> Settings:
        """Return the settings with some values exchanged.

        Raises:
            TypeError, ValueError: A value is refused, or a name does not exist there.
        """
        by_setting: dict[str, dict[str, Any]] = {}
        for name, value in values.items():
            by_setting.setdefault(name.partition(".")[0], {})[name] = value
        exchanged = {}
        for setting, own in by_setting.items():
            place = tuple((name, id(value)) for name, value in own.items())
            if (
                place not in self._by_values
            ):  # kept with its values, or their numbers could be others'
                new = getattr(changed(self.settings, own), setting)
                self._by_values[place] = new, own
            exchanged[setting] = self._by_values[place][0]
        return self.settings._replace(**exchanged)


def changed(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """Return settings with the values of some dotted names exchanged.

    All new parts of an object are set at once, through its constructor, which checks them together.

    Raises:
        TypeError, ValueError: A value is refused, or a name does not exist there.
    """
    root = _Change()
    for name, value in values.items():
        place = root
        for part in name.split("."):
            place = place.parts.setdefault(part, _Change())
        place.value = value
    exchanged = {
        name: _exchanged(getattr(settings, name), c, name) for name, c in root.parts.items()
    }
    return settings._replace(**exchanged)


def _exchanged(old: Any, change: _Change, path: str) -> Any:
    node = old if change.value is _UNSET else change.value
    if not change.parts:
        return node
    old_parts = parts(node, path)
    for name in change.parts:
        if name not in old_parts:
            raise _unknown(f"{path}.{name}", [f"{path}.{part}" for part in old_parts])
    new = {
        name: _exchanged(old_parts[name], c, f"{path}.{name}") for name, c in change.parts.items()
    }
    if node is None:
        return _natural_cooling(new)
    return _rebuilt(node, new)


def _natural_cooling(new: Mapping[str, Any]) -> Geometric:
    for name, other in (("start", "end"), ("end", "start")):
        if name not in new:
            remedy = "Give method=ja.SimulatedAnnealing(cooling=ja.cooling.Geometric(start, end))."
            got = f"`over` with method.cooling.{other} alone, and a cooling to be calibrated"
            raise ValueError(refusal(f"method.cooling.{name}", "a temperature", got, remedy))
    return Geometric(**new)


def _rebuilt(node: Any, new: dict[str, Any]) -> Any:
    if isinstance(node, Mapping):
        return type(node)({key: new.get(str(key), value) for key, value in node.items()})  # pyright: ignore[reportCallIssue]
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        return node._replace(**new)  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(node, list | tuple):
        return type(node)(new.get(str(index), value) for index, value in enumerate(node))
    method: Any = node  # of which another array may have another length
    count_of = method.count_of if isinstance(method, Method) else {}
    new = {count: None for name, count in count_of.items() if name in new} | new
    return dataclasses.replace(node, **new)


def parts(node: Any, path: str) -> dict[str, Any]:
    """Return the parts of a value that have names of their own."""
    if node is None:
        return dict(_NATURAL_COOLING) if path == "method.cooling" else {}
    if isinstance(node, Mapping):
        return {str(key): value for key, value in node.items()}
    if isinstance(node, tuple) and hasattr(node, "_fields"):
        return dict(zip(node._fields, node, strict=True))  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(node, list | tuple):
        return {str(index): value for index, value in enumerate(node)}
    if dataclasses.is_dataclass(node) and not isinstance(node, (type, *_CLOSED)):
        fields = [field.name for field in dataclasses.fields(node) if field.init]
        return {name: getattr(node, name) for name in fields if not name.startswith("_")}
    return {}


def names(settings: Settings) -> list[str]:
    """Return every dotted name that these settings have."""
    paths: list[str] = []

    def walk(node: Any, path: str) -> None:
        paths.append(path)
        for name, part in parts(node, path).items():
            walk(part, f"{path}.{name}")

    for name in Settings._fields:
        walk(getattr(settings, name), name)
    return paths


def require_known(given: list[str], settings: Settings) -> None:
    """Refuse names that no configuration can have.

    The parts of what is itself exchanged are looked at with each configuration.
    """
    known = names(settings)
    for name in given:
        if not isinstance(name, str):
            remedy = "Write for example over={'method.cooling.start': [1.0, 10.0]}."
            raise TypeError(refusal("over", "dotted names", shown(name), remedy))
        above = [name.rsplit(".", depth)[0] for depth in range(1, name.count(".") + 1)]
        if name not in known and not any(place in given for place in above):
            raise _unknown(name, known)


def _unknown(name: str, known: list[str]) -> ValueError:
    expected = f"one of the settings {', '.join(known)}" if known else "a value with named parts"
    return ValueError(refusal("over", expected, shown(name), "Correct the name."))
