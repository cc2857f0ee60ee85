"""The settings of one call that decide when it stops and what it shows, checked at once."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxanneal._checks import count, real, refusal, seconds, shown
from jaxanneal._methods.protocol import NEVER


class Limits(NamedTuple):
    """When a call stops, and what it records and shows.

    Args:
        steps: Moves per chain in this call.
        target: Stop at this best energy or below; ``-inf`` never stops.
        patience: Stop after so many steps without improvement.
        max_seconds: Stop after so much wall clock.
        record_every: Moves between records, or ``None`` for as few as fit.
        observe: What to record of the parameters, or ``None``.
        callback: Called about every half second, or ``None``.
        progress: Whether to show a bar, ``None`` where there is someone to see it.
    """

    steps: int
    target: float
    patience: int
    max_seconds: float
    record_every: int | None
    observe: Callable[..., Any] | None
    callback: Callable[..., Any] | None
    progress: bool | None


def as_limits(
    steps: Any,
    target: Any = None,
    patience: Any = None,
    max_seconds: Any = None,
    record_every: Any = None,
    observe: Any = None,
    callback: Any = None,
    progress: Any = None,
) -> Limits:
    """Return the checked limits of a call.

    Raises:
        TypeError, ValueError: A setting is of the wrong kind or out of range.
    """
    steps = count("steps", steps, 1, "Pass the number of Metropolis moves per chain.")
    if steps >= NEVER:
        raise ValueError(refusal("steps", f"less than {NEVER}", steps, "Continue from the state."))
    for name, function in (("observe", observe), ("callback", callback)):
        if function is not None and not callable(function):
            raise TypeError(refusal(name, "a function", shown(function), "Leave it out."))
    if progress is not None and not isinstance(progress, bool | np.bool_):
        raise TypeError(refusal("progress", "True, False or None", shown(progress), "Use None."))
    if target is not None:
        target = real("target", target, "an energy, not NaN", "Leave it out for no limit.")
    if patience is not None:
        patience = min(count("patience", patience, 1, "Give a number of steps."), NEVER)
    if max_seconds is not None:
        max_seconds = seconds("max_seconds", max_seconds, "Leave it out for no limit.")
    if record_every is not None:
        every = count("record_every", record_every, 1, "Use 1 to record every step.")
        record_every = min(every, NEVER)
    return Limits(
        steps=steps,
        target=-math.inf if target is None else target,
        patience=NEVER if patience is None else patience,
        max_seconds=math.inf if max_seconds is None else max_seconds,
        record_every=record_every,
        observe=observe,
        callback=callback,
        progress=None if progress is None else bool(progress),
    )
