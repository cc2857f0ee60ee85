"""The settings of one call that decide when it stops and what it shows, checked at once."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxanneal._checks import count, real, refusal, seconds
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
    target: Any,
    patience: Any,
    max_seconds: Any,
    record_every: Any,
    observe: Any,
    callback: Any,
    progress: Any,
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
            raise TypeError(refusal(name, "a function", repr(function), "Leave it out."))
    if progress is not None and not isinstance(progress, bool | np.bool_):
        raise TypeError(refusal("progress", "True, False or None", repr(progress), "Use None."))
    return Limits(
        steps,
        -math.inf
        if target is None
        else real("target", target, "an energy, not NaN", "Leave it out for no limit."),
        NEVER
        if patience is None
        else min(count("patience", patience, 1, "Give a number of steps."), NEVER),
        math.inf
        if max_seconds is None
        else seconds("max_seconds", max_seconds, "Leave it out for no limit."),
        None
        if record_every is None
        else min(count("record_every", record_every, 1, "Use 1 to record every step."), NEVER),
        observe,
        callback,
        progress if progress is None else bool(progress),
    )
