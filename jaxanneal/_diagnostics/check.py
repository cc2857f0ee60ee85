"""Whether a run is to be trusted: a Status per chain, and doubts about the whole."""

import enum
from typing import Any

import numpy as np

from jaxanneal._diagnostics.agreement import agreement_doubts
from jaxanneal._diagnostics.check_ladder import broken, ladder_doubts, named
from jaxanneal._diagnostics.check_moves import factor_doubts, still_doubts, unread_doubts
from jaxanneal._diagnostics.check_starts import noise_doubts
from jaxanneal._diagnostics.remedies import keep_inside, ladder, move_less
from jaxanneal._engine.history import Summary
from jaxanneal._engine.sharding import fetch
from jaxanneal._engine.state import State
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._methods.ladder.ladders import has_moved
from jaxanneal._warn import warn

# Without an acceptance in so many moves a chain is stuck, whatever the others do; earlier if all of
# them are, or if at the others' rate it would have accepted so many (e^-20 by chance).
_MOVES, _MOVES_OF_ALL, _EXPECTED = 1000, 100, 20

_ULPS = 8

# Temperatures that have to end hotter begin at so many times that.
_DECADE = 10

# Reasons to stop of a run that was to find low energies, and did as well as it was asked to.
_FOUND = (StopReason.TARGET, StopReason.PATIENCE, StopReason.MIN_TEMPERATURE)


class Status(enum.Flag):
    """What went wrong in a chain, which keeps every reason."""

    SOUND = 0
    NEVER_FINITE = enum.auto()
    ONLY_NONFINITE = enum.auto()
    STUCK = enum.auto()


def text_of(status: Status, state: Any) -> str:
    """Return what is wrong with a chain, and what to do with the user's own move and method."""
    if status is Status.NEVER_FINITE:
        return (
            "never had a finite energy. Start where the energy is finite, with an initialiser "
            "key -> params, ja.stacked(starts), or where others were best, params=result.params."
        )
    if status is Status.ONLY_NONFINITE:
        return f"proposed nothing with a finite energy. {_keep_inside(state)}"
    return f"accepted no proposal at all. {move_less(state.given_move, state.method)}"


def _keep_inside(state: Any) -> str:
    """Return how a run gets finite energies."""
    return keep_inside(None if state.method.gradients else state.given_move)


def status_of(state: State, since: int = 0) -> np.ndarray:
    """Return the :class:`Status` of each chain, in the order of the results, object ``[chains]``.

    A chain at the bottom of a discrete energy refuses everything when it is cold; it is stuck only
    if it never moved, nor swapped in parallel tempering, and others know a better state or never
    moved either. A chain that descends may be on its way for long, and is not stuck.
    """
    method, moves = state.method, int(state.step)
    order = np.asarray(method.order(state.exchange))
    accepted = np.asarray(state.accepted, dtype=np.int64)
    pooled = accepted.reshape(method.shape).mean(axis=0)  # at the same temperature
    pooled = np.broadcast_to(pooled, method.shape).reshape(-1)
    long = (moves >= _MOVES) | (pooled >= _EXPECTED)
    energies, best = (fetch(x)[order] for x in (state.chains.energy, state.chains.best_energy))
    long &= energies > np.min(best)
    long |= np.all(accepted == 0) & (moves >= _MOVES_OF_ALL)
    lost = fetch(state.nonfinite)[order]
    stuck = (accepted == 0) & long
    if method.has_rungs:
        stuck &= ~has_moved(state.exchange)
    if method.gradients:
        stuck &= lost >= moves
    status = np.full(method.chains, Status.SOUND)
    for one, where in (
        (Status.NEVER_FINITE, ~np.isfinite(best)),
        (Status.ONLY_NONFINITE, stuck & (lost >= moves)),
        (Status.STUCK, stuck & (lost < moves)),
    ):
        status[where] |= one
    return status


def require_trust(result: Any) -> None:
    """Warn of doubts, and raise the failures."""
    for doubt in doubts(result):
        warn(doubt)
    reasons = failures(result)
    if reasons:
        raise RuntimeError("The run is not to be trusted: " + "\n".join(reasons))


def failures(result: Any) -> list[str]:
    """Return why a result is not to be trusted, each with its remedy."""
    if result.state is None:  # polished: descent makes no moves
        status = np.full(result.chains.best_energy.shape, Status.SOUND)
        status[~np.isfinite(fetch(result.chains.best_energy))] = Status.NEVER_FINITE
        return _status_texts(status, None, len(status))
    state = result.state.engine_state
    status = status_of(state, result.state.since)
    texts = _status_texts(status, state, state.method.shape[-1])
    return texts + broken(state, result.diagnostics)


def _status_texts(status: np.ndarray, state: State | None, rungs: int) -> list[str]:
    texts = []
    for one in (Status.NEVER_FINITE, Status.ONLY_NONFINITE, Status.STUCK):
        where = np.flatnonzero([one in _first_of(each) for each in status])
        if where.size:
            ladder = f" ({rungs} to a ladder)" if rungs < len(status) else ""
            texts.append(f"{named('chain', where)} of {len(status)}{ladder} {text_of(one, state)}")
    return texts


def _first_of(status: Status) -> Status:
    """Return what is to be done first: a chain without a finite energy proposed none either."""
    return Status.NEVER_FINITE if Status.NEVER_FINITE in status else status


def doubts(result: Any) -> list[str]:
    """Return what makes a sound result doubtful, each with its remedy."""
    if result.state is None or result.steps == 0:
        return []
    # Of what follows from another doubt nothing is said.
    causes = _warming(result) or still_doubts(result) or factor_doubts(result)
    causes = causes or noise_doubts(result.state.begun, _coldest(result)[0])
    if not causes and result.stop_reason is not StopReason.TARGET:
        causes = agreement_doubts(result)
    texts = causes + unread_doubts(result) + _rounding(result) + _lost(result)
    records = int(np.count_nonzero(~np.asarray(result.history.warmup)))
    return texts + ladder_doubts(result.state.engine_state, result.diagnostics, records)


def _warming(result: Any) -> list[str]:
    """Say so if a run is over before its warm-up, unless it has found what it was to find."""
    state = result.state.engine_state
    moves, warm = int(state.step), int(state.method.warmup_end())
    if moves > warm or warm == 0 or result.stop_reason in _FOUND:
        return []
    return [
        f"the run ended within its warm-up, after {moves:,} of {warm:,} moves: its best states "
        "count, but no rate, sample or average does yet. Make more steps, with state=result.state "
        f"and steps={warm}, or give ParallelTempering a shorter warmup={max(1, moves // 2)}."
    ]


def _coldest(result: Any) -> tuple[float, np.ndarray]:
    """Return the coldest temperature at the end, and the energies there."""
    temperatures = result.diagnostics.temperatures
    if temperatures is None:
        cooled = result.history.temperature
        cooled = cooled.min if isinstance(cooled, Summary) else cooled
        coldest = float(np.min(cooled[-1])) if len(cooled) else 0.0
        energies = fetch(result.chains.energy)
    else:
        coldest = float(temperatures[0])
        shape = result.state.engine_state.method.shape
        energies = fetch(result.chains.energy).reshape(shape)[:, 0]
    return coldest, energies[np.isfinite(energies)]


def _rounding(result: Any) -> list[str]:
    coldest, energies = _coldest(result)
    if energies.size == 0 or _counts(result.history) or coldest == 0:  # greedy on purpose
        return []
    limit = _ULPS * float(np.median(np.spacing(np.abs(energies))))
    if result.state.engine_state.method.gradients:
        return _minima_alike(result, energies, limit)
    if coldest >= limit:
        return []
    return [
        f"the coldest temperature, {coldest:.3g}, is below {limit:.3g}, which is {_ULPS} units in "
        f"the last place of the energy ({np.median(energies):.6g} as {energies.dtype}): what is "
        f"accepted there is rounding. End hotter{_hotter(result, 2 * limit)}, subtract a constant "
        "from the energy, or return it in float64 (with jax_enable_x64)."
    ]


def _minima_alike(result: Any, energies: np.ndarray, limit: float) -> list[str]:
    """Say so if even the hottest chain sees no difference of minima but rounding.

    The coldest ones only descend, and may well stand below it.
    """
    cooled = result.history.temperature
    last = np.asarray((cooled.max if isinstance(cooled, Summary) else cooled)[-1:])
    hottest = float(np.max(last, initial=-np.inf))
    if not hottest < limit:  # NaN where no two minima were seen
        return []
    return [
        f"the hottest temperature, {hottest:.3g}, is below {limit:.3g}, which is {_ULPS} units in "
        f"the last place of the energy ({np.median(energies):.6g} as {energies.dtype}): the "
        "differences of minima are rounding. Subtract a constant from the energy, or return it in "
        "float64 (with jax_enable_x64)."
    ]


def _hotter(result: Any, limit: float) -> str:
    """Return the setting of temperatures that end at a limit, and begin well above it."""
    temperatures = result.diagnostics.temperatures
    if temperatures is not None:
        hot = max(float(temperatures[-1]), _DECADE * limit)
        return f", with {ladder(limit, hot, len(temperatures))}"
    cooled = result.history.temperature
    first = float(np.max((cooled.max if isinstance(cooled, Summary) else cooled)[0]))
    return f", with cooling=ja.cooling.Geometric({max(first, _DECADE * limit):.4g}, {limit:.4g})"


def _counts(history: Any) -> bool:
    """Return whether all recorded energies are whole numbers, which are exact."""
    parts = history.energy[:5] if isinstance(history.energy, Summary) else (history.energy,)
    values = np.concatenate([np.ravel(part) for part in parts])
    values = values[np.isfinite(values)]
    return bool(np.all((values == np.round(values)) & (np.abs(values) < 2**23)))


def _lost(result: Any) -> list[str]:
    lost = int(np.sum(result.diagnostics.nonfinite))
    proposals = result.steps * len(result.diagnostics.nonfinite)
    state = result.state.engine_state
    if 2 * lost <= proposals or not np.any(state.accepted):
        return []  # where none was accepted, that is a failure
    noun = "points of descents" if state.method.gradients else "proposals"
    return [
        f"{lost:,} of {proposals:,} {noun} had no finite energy and were refused. "
        f"{_keep_inside(state)}"
    ]
