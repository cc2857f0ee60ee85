"""Whether a sound ladder is doubtful: too hot, not settled, or swapped faster than explored."""

import math
import statistics

import numpy as np

from jaxanneal._diagnostics.diagnostics import Diagnostics
from jaxanneal._diagnostics.remedies import ladder
from jaxanneal._engine.state import State
from jaxanneal._methods.ladder.groups import as_integers

# A barrier below which all rungs sample about the same: nine of ten swaps over the whole ladder at
# once would be accepted.
_NONE = 0.1

# So far below the spread of its energies a ladder should reach that tells rungs apart nowhere.
_BELOW = 0.1

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
    texts = _shrunk(health)
    if np.any(tried(state) < TRIES) or np.any(health.swap_rate == 0):
        return texts
    pairs = len(health.swap_rate)
    texts += spacing_doubts(state, health) + _unsettled(state, health, records)
    if health.barrier < _NONE:
        hot = float(health.temperatures[-1])
        texts.append(
            f"all {pairs + 1} rungs sample about the same: the barrier of the ladder is "
            f"{health.barrier:.2g}. It is too hot or too narrow. Let it reach farther down, with "
            f"{ladder(_far_below(health), hot, pairs + 1)}, or leave temperatures out, and they "
            "are measured."
        )
    return texts + exploration_doubts(state, health)


def _far_below(health: Diagnostics) -> float:
    """Return a temperature far below the coldest, and below the spread of the energies there."""
    assert health.temperatures is not None and health.heat_capacity is not None
    spread = math.sqrt(max(float(np.nan_to_num(health.heat_capacity[0])), 0.0))  # over T
    return _BELOW * float(health.temperatures[0]) * (min(spread, 1.0) or _BELOW)


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


def _unsettled(state: State, health: Diagnostics, records: int) -> list[str]:
    """Say so if the ladders, or the halves of the run, disagree about the coldest energies."""
    if health.rhat is None or records < _RECORDS or not health.rhat[0] > _UNSETTLED:
        return []
    ladders = state.method.ladders
    who = "the two halves of the run" if ladders == 1 else f"the halves of {ladders:,} ladders"
    return [
        f"the energy at the coldest rung has not settled: {who} disagree (split R-hat "
        f"{health.rhat[0]:.3g} over {records:,} records; 1 where they agree). Make more steps, "
        f"with state=result.state and steps={_rounded(4 * int(state.step))}; until then trust no "
        "average of what was recorded there."
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
    round_trips = int(np.sum(health.round_trips))
    if round_trips + _ERRORS * (math.sqrt(round_trips) + 1) >= _EXPLORED * expected:
        return []
    trips = (
        f"exchanges are faster than exploration: replicas made {round_trips:,} round trips where "
        f"their swap rates allow {expected:,.0f}"
    )
    if again <= LEFT_AT_MOST:
        return [
            f"{trips}, although the energy at every rung is renewed from one exchange to the next. "
            f"Raise it from swap_every={every} to about the number of coordinates or sites, "
            f"swap_every={_sweep(state, every)}; if that does not help, the hottest rung is too "
            "cold to cross every barrier."
        ]
    # What is left of the energy falls by the same factor with every move, to a first guess.
    swap_every = math.ceil(every * math.log(LEFT_AT_MOST) / math.log(min(again, 0.999)))
    return [
        f"{trips}, and {again:.0%} of the energy at T = {health.temperatures[slowest]:.3g} is left "
        f"from one exchange to the next. Raise it from swap_every={every} to at least "
        f"swap_every={_rounded(swap_every)}."
    ]


def _sweep(state: State, every: int) -> int:
    """Return the number of coordinates of a chain, or more than now where that is not more."""
    leaves = state.chains._params.leaves
    return max(sum(leaf.size for leaf in leaves) // state.lanes, 4 * every)


def _rounded(count: int) -> int:
    """Round up to two digits: more were not measured."""
    unit = 10 ** max(0, len(str(count)) - 2)
    return -(-count // unit) * unit


# Swaps tried of each pair before its rate says anything.
TRIES = 100

# Pairs per unit of the barrier. The best number is 2 (every second swap refused), but the optimum
# is flat, and the barrier is measured.
_ENOUGH, _BEST = 1.75, 2.0

# So many times the round trips that even distances between the rungs would bring are too many.
_UNEVEN = 2.0

# A rejection rate above which it no longer tells how far apart two rungs are, and an acceptance
# rate below which it tells nothing.
_FAR, _RAREST = 0.9, 1e-3

# So many times the rungs of today are named at most: what is farther is to be measured on the way
# there, and energies of the first moves, where no warm-up hides them, can make any number of it.
_AT_ONCE = 10

# A split R-hat above which a rung still drifts.
_DRIFTS = 1.1

_NORMAL = statistics.NormalDist()


def broken(state: State, health: Diagnostics) -> list[str]:
    """Return where no swap was ever accepted, with the remedy."""
    if health.swap_rate is None or health.temperatures is None:
        return []
    swaps = tried(state)
    where = np.flatnonzero((swaps >= TRIES) & (health.swap_rate == 0))
    if where.size == 0:
        return []
    first, temperatures = int(where[0]), health.temperatures
    return [
        f"the ladder is broken above {named('rung', where)}: no swap was accepted there (between "
        f"T = {temperatures[first]:.3g} and {temperatures[first + 1]:.3g} none of "
        f"{swaps[first]:,}). Use more rungs between the same ends, {finer(health)}, and let "
        "adapt=True move them."
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

    Maths: the barrier between two rungs that accept a of their swaps is
    :math:`-\sqrt{2/\pi} \, \Phi^{-1}(a/2)`, which adds up for normal energies however far apart
    they are. Of a pair that refuses nearly everything the rate tells little, but the heat capacity
    C at both rungs does: :math:`\int \sqrt{C / \pi} \, d \ln T`. That of a rung whose energy
    still drifts, by its R-hat, is no heat capacity, and left out.

    Reference: Syed et al., J. R. Stat. Soc. B 84, 321 (2022), section 5.3, for the number.
    """
    assert health.swap_rate is not None and health.heat_capacity is not None
    spread = np.sqrt(np.maximum(health.heat_capacity, 0) / np.pi)
    if health.rhat is not None:
        spread = np.where(health.rhat > _DRIFTS, 0.0, spread)
    apart = np.diff(np.log(np.asarray(health.temperatures, np.float64)))
    normal = np.nan_to_num((spread[:-1] + spread[1:]) / 2 * apart, posinf=0.0)
    barrier = _distances(health.swap_rate)
    barrier = np.where(1 - health.swap_rate > _FAR, np.maximum(barrier, normal), barrier)
    rungs = math.ceil(_BEST * float(np.sum(barrier))) + 1
    return min(rungs, _AT_ONCE * len(spread))


def finer(health: Diagnostics) -> str:
    """Return the setting of a ladder with the ends of this one and the rungs that it needs."""
    assert health.temperatures is not None
    temperatures = health.temperatures
    rungs = max(rungs_for(health), len(temperatures))
    return ladder(float(temperatures[0]), float(temperatures[-1]), rungs)


def _distances(swap_rate: np.ndarray) -> np.ndarray:
    """Return the barrier between the rungs of each pair."""
    half = np.maximum(swap_rate, _RAREST) / 2
    return np.array([-math.sqrt(2 / math.pi) * _NORMAL.inv_cdf(a) for a in half])


def spacing_doubts(state: State, health: Diagnostics) -> list[str]:
    """Say so if neighbours refuse too many of their swaps, and how many rungs there should be.

    Nothing is said of rates of a few swaps: the number of rungs would be anything.
    """
    if health.swap_rate is None or health.barrier is None or np.any(tried(state) < TRIES):
        return []
    pairs = len(health.swap_rate)
    uneven = _uneven(health, state.method.scheme)
    if uneven or pairs >= _ENOUGH * health.barrier:
        return uneven
    return [
        f"{pairs + 1} rungs are few for this ladder: neighbours refuse "
        f"{health.barrier / pairs:.0%} of their swaps. Use two pairs per unit of the barrier, "
        f"{finer(health)}."
    ]


def _uneven(health: Diagnostics, scheme: str) -> list[str]:
    """Say so if a pair is so far apart that it holds up the replicas of the whole ladder."""
    assert health.swap_rate is not None and health.temperatures is not None
    rates, temperatures = health.swap_rate, health.temperatures
    mean = float(np.mean(_distances(rates))) * math.sqrt(math.pi / 2)
    even = allowed_rate(np.full(len(rates), 2 * _NORMAL.cdf(-mean)), scheme)
    more = even / max(allowed_rate(rates, scheme), 1e-12)
    if not more > _UNEVEN:
        return []
    far = int(np.argmin(rates))
    return [
        f"the rungs stand unevenly: rungs {far} and {far + 1} (T = {temperatures[far]:.3g} and "
        f"{temperatures[far + 1]:.3g}) accept {rates[far]:.2%} of their swaps, the others "
        f"{np.median(np.delete(rates, far)):.0%}; on even distances replicas would make about "
        f"{more:,.{0 if more >= 10 else 1}f} times as many round trips. "
        f"Use {finer(health)}, and let adapt=True move the rungs in a longer warmup, or give "
        "temperatures closer together there."
    ]


def tried(state: State) -> np.ndarray:
    """Return how many swaps of each pair were tried after the warm-up, int ``[rungs - 1]``."""
    return as_integers(state.exchange.attempts).sum(axis=0)


def allowed_rate(swap_rate: np.ndarray, scheme: str) -> float:
    r"""Return the round trips per swap phase and ladder that swap rates allow.

    Maths: :math:`1 / (2 + 2 \sum_i r_i / (1 - r_i))` for rejection rates r, with ``"seo"`` twice
    the number of pairs in place of the first 2.

    Reference: Syed et al., J. R. Stat. Soc. B 84, 321 (2022), section 3.
    """
    with np.errstate(divide="ignore"):
        odds = float(np.sum((1 - swap_rate) / swap_rate))
    return 1 / ((2 if scheme == "deo" else 2 * len(swap_rate)) + 2 * odds)
