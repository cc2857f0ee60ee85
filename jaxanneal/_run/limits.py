"""The settings of one call that decide when it stops and what it shows, checked at once."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from jaxanneal._checks import count, real, refusal, seconds, shown
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._methods.protocol import NEVER

PILOT = 512  # moves of the greedy pilots of a calibration, at most


class Limits(NamedTuple):
    """When a call stops, and what it records and shows.

    Args:
        steps: Moves per chain in this call.
        target: Stop at this best energy or below; ``-inf`` never stops.
        patience: Stop after so many steps without improvement.
        max_seconds: Stop after so much wall clock.
        max_evaluations: Stop before more evaluations of the energy than this; ``None``: never.
        record_every: Moves between records, or ``None`` for as few as fit.
        observe: What to record of the parameters, or ``None``.
        callback: Called about every half second, or ``None``.
        progress: Whether to show a bar, ``None`` where there is someone to see it.
        pilot_moves: Moves of the greedy pilots of a calibration.
        patience_growth: Add to the patience so many times the steps that the best energy took.
        least_share: What counts as a better energy, see ``Control``.
        is_cut: Whether ``steps`` are as many as the budget of evaluations allows, not as asked for.
    """

    steps: int
    target: float
    patience: int
    max_seconds: float
    max_evaluations: int | None
    record_every: int | None
    observe: Callable[..., Any] | None
    callback: Callable[..., Any] | None
    progress: bool | None
    pilot_moves: int
    patience_growth: int = 0
    least_share: float = 0.0
    is_cut: bool = False

    def reason(self, reason: StopReason) -> StopReason:
        """Return why a run ended that says so of its steps."""
        return StopReason.EVALUATIONS if self.is_cut and reason is StopReason.STEPS else reason


def as_limits(
    steps: Any,
    target: Any = None,
    patience: Any = None,
    max_seconds: Any = None,
    max_evaluations: Any = None,
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
    _require_shown(observe, callback, progress)
    if target is not None:
        target = real("target", target, "an energy, not NaN", "Leave it out for no limit.")
    if patience is not None:
        patience = min(count("patience", patience, 1, "Give a number of steps."), NEVER)
    if max_seconds is not None:
        max_seconds = seconds("max_seconds", max_seconds, "Leave it out for no limit.")
    if max_evaluations is not None:
        remedy = "Leave it out for no limit."
        max_evaluations = count("max_evaluations", max_evaluations, 1, remedy)
    if record_every is not None:
        every = count("record_every", record_every, 1, "Use 1 to record every step.")
        record_every = min(every, NEVER)
    return Limits(
        steps=steps,
        target=-math.inf if target is None else target,
        patience=NEVER if patience is None else patience,
        max_seconds=math.inf if max_seconds is None else max_seconds,
        max_evaluations=max_evaluations,
        record_every=record_every,
        observe=observe,
        callback=callback,
        progress=None if progress is None else bool(progress),
        pilot_moves=int(np.clip(steps // 8, 32, PILOT)),
    )


def _require_shown(observe: Any, callback: Any, progress: Any) -> None:
    for name, function in (("observe", observe), ("callback", callback)):
        if function is not None and not callable(function):
            raise TypeError(refusal(name, "a function", shown(function), "Leave it out."))
    if progress is not None and not isinstance(progress, bool | np.bool_):
        raise TypeError(refusal("progress", "True, False or None", shown(progress), "Use None."))


def within_budget(limits: Limits, each: int, before: int, calibrates: bool) -> Limits:
    """Return limits with as many moves as the budget of evaluations allows.

    So a cooling or a warm-up is bound to the moves that are made, and nothing is evaluated beyond
    the budget. A calibration gets a quarter of the moves at most.

    Args:
        limits: The limits, as they were asked for.
        each: Evaluations that one move of all chains costs.
        before: Evaluations of all chains before the first move.
        calibrates: Whether pilots find the temperatures first.

    Raises:
        ValueError: The budget allows no move.
    """
    if limits.max_evaluations is None:
        return limits
    moves, least = limits.max_evaluations // each - before, 4 if calibrates else 1
    if moves < least:
        expected = f"at least {(before + least) * each:,}, for {each:,} chains and their start"
        got, chains = limits.max_evaluations, limits.max_evaluations // (before + least)
        remedy = f"Use fewer chains, {chains} for this budget." if chains else "Raise it."
        raise ValueError(refusal("max_evaluations", expected, got, remedy))
    pilot_moves = min(limits.pilot_moves, max(2, moves // 4))
    if calibrates:
        moves -= 1 + pilot_moves
    if moves >= limits.steps:
        return limits._replace(pilot_moves=pilot_moves)
    return limits._replace(steps=moves, pilot_moves=pilot_moves, is_cut=True)
