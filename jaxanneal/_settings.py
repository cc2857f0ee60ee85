"""Where a setting lives: who writes it in another place is told, by the name that it has there."""

import difflib
import functools
import inspect
import types
from typing import Any, TypeVar

from jaxanneal._checks import refusal

_T = TypeVar("_T")

_RUN = (
    "steps target patience max_seconds max_evaluations record_every observe callback progress "
    "checkpoint block"
)

# By the names of the settings: whose they are, and how they are written there.
_PLACES = {
    "scale bounds fraction coordinates target_acceptance": (
        "the move",
        "move=ja.moves.Gaussian({}=...)",
    ),
    "df": ("the move StudentT", "move=ja.moves.StudentT({}=...)"),
    "width": ("the move IntegerStep", "move=ja.moves.IntegerStep({}=...)"),
    "moves": ("the moves PerLeaf and Mixture", "move=ja.moves.PerLeaf(...)"),
    "weights": ("the move Mixture", "move=ja.moves.Mixture([...], {}=...)"),
    "start end": (
        "the cooling",
        "method=ja.SimulatedAnnealing(cooling=ja.cooling.Geometric(start=..., end=...))",
    ),
    "c": ("a cooling", "method=ja.SimulatedAnnealing(cooling=ja.cooling.Logarithmic({}=...))"),
    "chains cooling min_temperature replace_every": (
        "the method SimulatedAnnealing",
        "method=ja.SimulatedAnnealing({}=...)",
    ),
    "rungs ladders temperatures swap_every adapt warmup scheme": (
        "the method ParallelTempering",
        "method=ja.ParallelTempering({}=...)",
    ),
    "descent_steps unit sizes longest_step coldest hottest tolerance abandon favour": (
        "the method BasinHopping",
        "method=ja.BasinHopping({}=...)",
    ),
    "every_seconds keep directory": ("checkpoints", "checkpoint=ja.Checkpoint(directory, ...)"),
    f"key args method move {_RUN} sharding state": (
        "the run",
        "ja.anneal(energy, params, key=0, {}=...)",
    ),
    "optimizer top": ("polish", "ja.polish(energy, result, {}=...)"),
    "over repeats draws store": ("sweep", "ja.sweep(energy, params, key=0, over=..., {}=...)"),
}

PLACES = {name: place for names, place in _PLACES.items() for name in names.split()}


def known_settings(target: _T) -> _T:
    """Let a public function or class refuse a setting that it does not have, saying whose it is.

    Its signature stays what it is, for ``help`` and for type checkers.
    """
    if isinstance(target, type):
        target.__init__ = _checked(target.__name__, target.__init__)
        return target
    return _checked(target.__name__, target)  # pyright: ignore[reportAttributeAccessIssue]


def _checked(name: str, function: Any) -> Any:
    known = dict.fromkeys(inspect.signature(function).parameters)

    def checked(*args: Any, **kwargs: Any) -> Any:
        if not kwargs.keys() <= known.keys():
            refuse(name, known, next(setting for setting in kwargs if setting not in known))
        return function(*args, **kwargs)

    refuse = _refuse  # a variable of the closure: the copy has the globals of the user's function
    # With the function's own globals doctest still takes it for one of its module.
    scope = getattr(function, "__globals__", globals())
    copy = types.FunctionType(checked.__code__, scope, function.__name__, None, checked.__closure__)
    return functools.update_wrapper(copy, function)


def _refuse(name: str, known: dict[str, None], setting: str) -> None:
    """Refuse a setting that is not one of those known.

    Raises:
        TypeError: Always.
    """
    own = [other for other in known if other != "self"]
    if setting in PLACES:
        owner, place = PLACES[setting]
        remedy = f"{setting} is a setting of {owner}: {place.format(setting)}."
    else:
        close = difflib.get_close_matches(setting, [*own, *PLACES], 1)
        where = f", {PLACES[close[0]][1].format(close[0])}" if close and close[0] not in own else ""
        remedy = f"Did you mean {close[0]}{where}?" if close else f"It has {', '.join(own)}."
    raise TypeError(refusal(name, "a setting of its own", f"{setting}=", remedy))
