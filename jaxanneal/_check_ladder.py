"""Whether a ladder is to be trusted: broken, coarse, too hot, or swapped faster than explored."""

import math

import numpy as np

from jaxanneal._diagnostics import Diagnostics
from jaxanneal._state import State

# Swaps tried of each pair before its rate says anything.
_TRIES = 100

# Pairs per unit of the barrier. The best number is 2 (every second swap refused), but the optimum
# is flat, and the barrier is measured.
_ENOUGH, _BEST = 1.75, 2.0

# A rejection rate above which it no longer tells how far apart two rungs are.
_FAR = 0.9

# So many times the rungs of today are named at most: what is farther is to be measured on the way
# there, and energies of the first moves, where no warm-up hides them, can make any number of it.
_AT_ONCE = 10

# A barrier below which all rungs sample about the same: nine of ten swaps over the whole ladder at
# once would be accepted.
_NONE = 0.1

# Records from which a split R-hat is looked at, and above which the halves of ladders disagree: in
# 100 independent energies of one ladder they do so by chance once in a thousand runs.
_RECORDS, _UNSETTLED = 100, 1.1

# Round trips, as a fraction of what the swap rates allow, below which exchanges do not find the
# rungs explored, and standard errors by which they must be below it.
_EXPLORED, _ERRORS = 0.6, 3

# What is left of a rung's energy from one exchange to the next where two thirds of the possible
# round trips and more are made.
LEFT_AT_MOST = 0.5


def broken(state: State, health: Diagnostics) -> list[str]:
    """Return where no swap was ever accepted, with the remedy."""
    if health.swap_rate is None or health.temperatures is None:
        return []
    tried = _tried(state)
    where = np.flatnonzero((tried >= _TRIES) & (health.swap_rate == 0))
    if where.size == 0:
        return []
    first, ladder = int(where[0]), health.temperatures
    return [
        f"the ladder is broken above {named('rung', where)}: no swap was accepted there (between "
        f"T = {ladder[first]:.3g} and {ladder[first + 1]:.3g} none of {tried[first]:,}). "
        f"Use more rungs, about ParallelTempering(rungs={rungs_for(health)}), or temperatures "
        "closer together."
    ]


def named(noun: str, where: np.ndarray) -> str:
    """Return the numbers of chains or rungs as a person would list them."""
    shown = [str(index) for index in where[:8]]
    if where.size > 8:
        shown.append(f"{where.size - 8} more")
    words = ", ".join(shown[:-1]) + " and " + shown[-1] if len(shown) > 1 else shown[0]
    return f"{noun}s {words}" if where.size > 1 else f"{noun} {words}"


def rungs_for(health: Diagnostics) -> int:
    r"""Return the number of rungs that the ladder should have: two pairs per unit of the barrier.

    Maths: a pair that refuses nearly everything has a barrier above its rejection rate; for normal
    energies it is :math:`\int \sqrt{C / \pi} \, d \ln T` with the heat capacity C at both rungs.
    That of a rung whose energy still drifts, by its R-hat, is no heat capacity, and left out.

    Reference: Syed et al., J. R. Stat. Soc. B 84, 321 (2022), section 5.3, for the number.
    """
    assert health.swap_rate is not None and health.heat_capacity is not None
    refused = 1 - health.swap_rate
    spread = np.sqrt(np.maximum(health.heat_capacity, 0) / np.pi)
    if health.rhat is not None:
        spread = np.where(health.rhat > _UNSETTLED, 0.0, spread)
    apart = np.diff(np.log(np.asarray(health.temperatures, np.float64)))
    normal = np.nan_to_num((spread[:-1] + spread[1:]) / 2 * apart, posinf=0.0)
    barrier = np.where(refused > _FAR, np.maximum(refused, normal), refused)
    wanted = math.ceil(_BEST * float(np.sum(barrier))) + 1
    return min(wanted, _AT_ONCE * len(spread))


def ladder_doubts(state: State, health: Diagnostics, records: int) -> list[str]:
    """Return what makes a sound ladder doubtful, each with its remedy.

    Args:
        state: The state after the run.
        health: Its diagnostics.
        records: Records after the warm-up.
    """
    if health.swap_rate is None or health.barrier is None or health.temperatures is None:
        return []
    if np.any(_tried(state) < _TRIES) or np.any(health.swap_rate == 0):
        return []
    pairs = len(health.swap_rate)
    found = few_rungs(state, health) + _unsettled(health, records, state.method.ladders)
    if health.barrier < _NONE:
        found.append(
            f"all {pairs + 1} rungs sample about the same: the barrier of the ladder is "
            f"{health.barrier:.2g}. It is too hot or too narrow. Use a coldest temperature far "
            f"below {health.temperatures[0]:.3g}, or leave temperatures out."
        )
    return found + _exploration(state, health)


def few_rungs(state: State, health: Diagnostics) -> list[str]:
    """Say so if neighbours refuse too many of their swaps, and how many rungs there should be.

    Nothing is said of rates of a few swaps: the number of rungs would be anything.
    """
    if health.swap_rate is None or health.barrier is None or np.any(_tried(state) < _TRIES):
        return []
    pairs = len(health.swap_rate)
    if pairs >= _ENOUGH * health.barrier:
        return []
    return [
        f"{pairs + 1} rungs are few for this ladder: neighbours refuse "
        f"{health.barrier / pairs:.0%} of their swaps. Use about "
        f"ParallelTempering(rungs={rungs_for(health)}), two pairs per unit of the barrier."
    ]


def _tried(state: State) -> np.ndarray:
    return np.asarray(state.exchange.attempts, dtype=np.int64) * state.method.ladders


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


def allowed_rate(swap_rate: np.ndarray, scheme: str) -> float:
    r"""Return the round trips per swap phase and ladder that swap rates allow.

    Maths: :math:`1 / (2 + 2 \sum_i r_i / (1 - r_i))` for rejection rates r, with ``"seo"`` twice
    the number of pairs in place of the first 2.

    Reference: Syed et al., J. R. Stat. Soc. B 84, 321 (2022), section 3.
    """
    with np.errstate(divide="ignore"):
        odds = float(np.sum((1 - swap_rate) / swap_rate))
    return 1 / ((2 if scheme == "deo" else 2 * len(swap_rate)) + 2 * odds)


def _exploration(state: State, health: Diagnostics) -> list[str]:
    """Say so if exchanges are faster than exploration, and how often there should be one."""
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
