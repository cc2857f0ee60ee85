"""What to do, in code that fits the user's own move and method."""

import inspect
from typing import Any

import jax
import numpy as np

from jaxanneal._methods import ParallelTempering, SimulatedAnnealing
from jaxanneal.moves._discrete import Flip, IntegerStep
from jaxanneal.moves._mixture import Mixture
from jaxanneal.moves._per_leaf import PerLeaf
from jaxanneal.moves._perturbation import Perturbation

# Numbers that a person would still copy from a message.
_MOST = 16

_PENALTY = "return a finite penalty that grows with the violation in place of inf or NaN"


def keep_inside(move: Any) -> str:
    """Return how proposals of a move get finite energies; ``None``: the points of descents."""
    if move is None:
        return f"Give the move bounds= around what is allowed, or {_PENALTY}."
    return _of_parts(move, _inside)


def move_less(move: Any, method: Any) -> str:
    """Return how proposals of a move get accepted."""
    hotter = f"Start hotter{_measured(method)}"
    return f"{hotter}, or {_lower(_of_parts(move, _less))}"


def move_more(move: Any) -> str:
    """Return how a chain leaves where all energies are the same."""
    if isinstance(move, Perturbation):
        wider = jax.tree.map(lambda x: 100 * np.asarray(x), move.scale)
        return f"Start elsewhere, or with wider steps, move={code_of(move, scale=wider)}."
    return "Start elsewhere, or let the move go farther."


def much_less(move: Any) -> str:
    """Return how steps get small that no factor makes small enough."""
    fewer = "or move fewer coordinates at once, with fraction="
    if not isinstance(move, Perturbation):
        return f"Make the scale= of its parts a millionth of what it is, {fewer}."
    scale = jax.tree.map(lambda x: np.asarray(x) * 1e-6, move.scale)
    return f"Make its scale much smaller, move={code_of(move, scale=scale)}, {fewer}."


def ladder(cold: float, hot: float, rungs: int) -> str:
    """Return the setting of a ladder that keeps its ends."""
    return f"temperatures=jnp.geomspace({cold:.4g}, {hot:.4g}, {rungs})"


def code_of(move: Any, **changes: Any) -> str:
    """Return the call that makes one of our moves with some other settings."""
    own = inspect.signature(type(move).__init__).parameters
    given = []
    for name, parameter in own.items():
        if name == "self":
            continue
        shown = _shown(changes.get(name, getattr(move, name)))
        if shown != _shown(parameter.default):
            given.append(f"{name}={shown}")
    return f"ja.moves.{type(move).__name__}({', '.join(given)})"


def _shown(value: Any) -> str:
    """Return a setting as code: a number, a short array, or a container of these."""
    if value is None or isinstance(value, str):
        return repr(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key!r}: {_shown(part)}" for key, part in value.items()) + "}"
    if isinstance(value, list | tuple):
        parts = ", ".join(map(_shown, value))
        return f"[{parts}]" if isinstance(value, list) else f"({parts})"
    if len(jax.tree.leaves(value)) == 0:
        return repr(value)
    array = np.asarray(value)
    if array.dtype == object or array.size > _MOST:
        return "..."
    if array.ndim:
        return f"jnp.array({np.array2string(array, separator=', ', precision=4)})"
    if not np.isfinite(array):
        return "None"  # a bound that is none
    return f"{float(array):.4g}" if np.issubdtype(array.dtype, np.floating) else repr(array.item())


def _of_parts(move: Any, remedy: Any) -> str:
    """Return the remedy of a move, of one made of others that of each kind of part."""
    if not isinstance(move, PerLeaf | Mixture):
        return remedy(move)
    name = type(move).__name__
    parts = [part for part in jax.tree.leaves(move.moves, is_leaf=_is_part) if _is_part(part)]
    kinds = {
        type(part): _of_parts(part, remedy) for part in parts if type(part).__name__ != "_Frozen"
    }
    texts = [f"of {kind.__name__} in {name}: {text}" for kind, text in kinds.items()]
    return "; ".join([texts[0][0].upper() + texts[0][1:], *texts[1:]])


def _is_part(node: Any) -> bool:
    return hasattr(node, "propose")


def _inside(move: Any) -> str:
    if isinstance(move, Perturbation):
        smaller = f"make its scale smaller, move={code_of(move, scale=_tenth(move.scale))}"
        if move.bounds is None:
            name = type(move).__name__
            return f"Keep the parameters inside with ja.moves.{name}(bounds=...), or {smaller}."
        return f"The bounds= hold states without a finite energy: narrow them, or {smaller}."
    if isinstance(move, IntegerStep) and move.bounds is None:
        return "Keep the integers inside with ja.moves.IntegerStep(bounds=(lower, upper))."
    if isinstance(move, Flip):
        return (
            "One flip at a time cannot cross states that are not allowed, such as other counts of "
            f"ones: {_PENALTY}, or pass move= a function (key, params) -> params of your own that "
            "goes from one allowed state to another, such as by a swap of a one and a zero."
        )
    return f"Let the move propose allowed states alone, or {_PENALTY}."


def _less(move: Any) -> str:
    if isinstance(move, Perturbation):
        if move.target_acceptance is None:
            adaptive = code_of(move, target_acceptance="auto")
            smaller = code_of(move, scale=_tenth(move.scale))
            return f"Let the scale adapt, move={adaptive}, or make it smaller, move={smaller}."
        return f"Make the move's scale smaller, move={code_of(move, scale=_tenth(move.scale))}."
    if isinstance(move, IntegerStep) and int(move.width) > 1:
        return f"Make shorter steps, move={code_of(move, width=1)}."
    if isinstance(move, Flip | IntegerStep):
        return "Start elsewhere: every state one step away has a higher energy."
    return "Let the move propose nearer states, with a step that fits the temperature."


def _tenth(scale: Any) -> Any:
    return jax.tree.map(lambda x: np.asarray(x) / 10, scale)


def _measured(method: Any) -> str:
    """Return the call whose temperatures are measured."""
    if isinstance(method, SimulatedAnnealing):
        return f", with method=ja.SimulatedAnnealing(chains={method.chains}), which measures how"
    if isinstance(method, ParallelTempering):
        sizes = f"rungs={method.rungs}, ladders={method.ladders}"
        return f", with method=ja.ParallelTempering({sizes}), which measures how"
    return ""


def _lower(text: str) -> str:
    return text[0].lower() + text[1:]
