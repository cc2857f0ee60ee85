"""Whether a sound ladder is doubtful: too hot, not settled, or swapped faster than explored."""

import math

import numpy as np

from jaxanneal._diagnostics.check_spacing import TRIES, allowed_rate, named, spacing_doubts, tried
from jaxanneal._diagnostics.diagnostics import Diagnostics
from jaxanneal._engine.state import State

# A barrier below which all rungs sample about the same: nine of ten swaps over the whole ladder at
# once would be accepted.
_NONE = 0.1

# A step-size factor below which a rung stands still: rounding swallows such steps.
_SHRUNK = 1e-6

# Records from which a split R-hat is looked at, and above which the halves of ladders disagree: in
# 100 independent energies of one ladder they do so by chance once in a thousand runs.
_RECORDS, _UNSETTLED = 100, 1.1

# Round trips, as a fraction of what the swap rates allow, below which exchanges do not find the
# rungs explored, and standard errors by which they must be below it.
_EXPLORED, _ERRORS = 0.6, 3

# What is left of a rung's energy from one exchange to the next where two thirds of the possible
# round trips and more are made.
LEFT_AT_MOST = 0.5


def ladder_doubts(state: State, health: Diagnostics, records: int) -> list[str]:
    """Return what makes a sound ladder doubtful, each with its remedy.

    Args:
        state: The state after the run.
        health: Its diagnostics.
        records: Records after the warm-up.
    """
    if health.swap_rate is None or health.barrier is None or health.temperatures is None:
        return []
    found = _shrunk(health)
    if np.any(tried(state) < TRIES) or np.any(health.swap_rate == 0):
        return found
    pairs = len(health.swap_rate)
    found += spacing_doubts(state, health) + _unsettled(health, records, state.method.ladders)
    if health.barrier < _NONE:
        found.append(
            f"all {pairs + 1} rungs sample about the same: the barrier of the ladder is "
            f"{health.barrier:.2g}. It is too hot or too narrow. Use a coldest temperature far "
            f"below {health.temperatures[0]:.3g}, or leave temperatures out."
        )
    return found + exploration_doubts(state, health)


def _shrunk(health: Diagnostics) -> list[str]:
    """Say so if no step was small enough to be accepted as often as the move asks for."""
    where = np.flatnonzero(health.factor < _SHRUNK)
    if where.size == 0:
        return []
    return [
        f"the step-size factor of {named('rung', where)} fell to {np.min(health.factor):.1g}: no "
        "step was small enough to be accepted as often as the move's target, and those that are "
        "left change next to nothing. Move fewer coordinates at once with fraction=, or set scale "
        "and target_acceptance=None."
    ]


def _unsettled(health: Diagnostics, records: int, ladders: int) -> list[str]:
    """Say so if the ladders, or the halves of the run, disagree about the coldest energies."""
    if health.rhat is None or records < _RECORDS or not health.rhat[0] > _UNSETTLED:
        return []
    who = "the two halves of the run" if ladders == 1 else f"the halves of {ladders:,} ladders"
    return [
        f"the energy at the coldest rung has not settled: {who} disagree (split R-hat "
        f"{health.rhat[0]:.3g} over {records:,} records; 1 where they agree). Make more steps, "
        "with state=result.state; until then trust no average of what was recorded there."
    ]


def exploration_doubts(state: State, health: Diagnostics) -> list[str]:
    """Say so if exchanges are faster than exploration, and how often there should be one."""
    if np.any(tried(state) < TRIES) or np.any(health.swap_rate == 0):
        return []
    assert health.swap_rate is not None and health.autocorrelation is not None
    assert health.round_trips is not None and health.temperatures is not None
    known = np.where(np.isfinite(health.autocorrelation), health.autocorrelation, 0.0)
    slowest = int(np.argmax(known))  # one slow rung is enough to hold up every trip
    every, again = int(state.method.swap_every), float(known[slowest])
    phases = int(state.exchange.phases) * state.method.ladders
    expected = phases * allowed_rate(health.swap_rate, state.method.scheme)
    made = int(np.sum(health.round_trips))
    if made + _ERRORS * (math.sqrt(made) + 1) >= _EXPLORED * expected:
        return []
    trips = (
        f"exchanges are faster than exploration: replicas made {made:,} round trips where "
        f"their swap rates allow {expected:,.0f}"
    )
    if again <= LEFT_AT_MOST:
        return [
            f"{trips}, although the energy at every rung is renewed from one exchange to the next. "
            f"Raise swap_every from {every} to about the number of coordinates or sites; if that "
            "does not help, the hottest rung is too cold to cross every barrier."
        ]
    # What is left of the energy falls by the same factor with every move, to a first guess.
    wanted = math.ceil(every * math.log(LEFT_AT_MOST) / math.log(min(again, 0.999)))
    return [
        f"{trips}, and {again:.0%} of the energy at T = {health.temperatures[slowest]:.3g} is left "
        f"from one exchange to the next. Raise swap_every from {every} to at least "
        f"{_rounded(wanted)}."
    ]


def _rounded(count: int) -> int:
    """Round up to two digits: more were not measured."""
    unit = 10 ** max(0, len(str(count)) - 2)
    return -(-count // unit) * unit
