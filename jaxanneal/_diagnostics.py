"""Diagnostics: what a run says about itself, from the counts in its state."""

from typing import Any, NamedTuple

import numpy as np

from jaxanneal._methods import ParallelTempering
from jaxanneal._methods._free_energy import log_partition
from jaxanneal._state import State


class Diagnostics(NamedTuple):
    """Hold the health of a run, counted after the warm-up.

    Args:
        acceptance_rate: Accepted over all proposals, ``(chains,)``, in parallel tempering
            ``(rungs,)`` over all ladders.
        factor: Multiplies the move's scale, ``(chains,)`` or ``(rungs,)``.
        nonfinite: Proposals without a finite energy, of the whole run, int ``(chains,)``, in the
            order of the result's chains.
        temperatures: Temperature of each rung, ``(rungs,)``; ``None`` without a ladder.
        swap_rate: Accepted over tried swaps of neighbouring rungs, ``(rungs - 1,)``; ``None``
            without a ladder, NaN where none was tried.
        barrier: Sum of the rejection rates of all pairs, which tends to the communication barrier
            of the ladder as it is refined; a ladder needs about twice as many pairs. ``None``
            without a ladder.
        round_trips: Trips from the coldest rung to the hottest and back that ended after the
            warm-up, of all replicas of a ladder, int ``(ladders,)``; ``None`` without a ladder.
        round_trip_rate: These over the swap phases after the warm-up, ``(ladders,)``; ``None``
            without a ladder.
        log_partition: Logarithm of each rung's partition function less that of the hottest, by
            stepping stones both ways over the swap phases after the warm-up, ``(rungs,)``;
            ``None`` without a ladder, NaN where there was no such phase.
    """

    acceptance_rate: np.ndarray
    factor: np.ndarray
    nonfinite: np.ndarray
    temperatures: np.ndarray | None = None
    swap_rate: np.ndarray | None = None
    barrier: float | None = None
    round_trips: np.ndarray | None = None
    round_trip_rate: np.ndarray | None = None
    log_partition: np.ndarray | None = None


def diagnose(state: State) -> Diagnostics:
    """Return the diagnostics of a state."""
    method, count = state.method, state.method.chains
    accepted = np.asarray(state.accepted, dtype=np.int64)
    step, warm = int(state.step), int(method.warmup_end())
    if step > warm > 0:  # until the warm-up is over there is nothing else to report
        accepted, moves = accepted - np.asarray(state.warm_accepted), step - warm
    else:
        moves = step
    rate = _ratio(accepted, np.full(count, moves)).reshape(method.shape)
    order = np.asarray(method.order(state.exchange))
    factor = np.exp(np.asarray(state.log_factor, dtype=np.float64)[:count][order])
    factor = factor.reshape(method.shape)
    nonfinite = np.asarray(state.nonfinite, dtype=np.int64)[:count][order]
    if not isinstance(method, ParallelTempering):
        return Diagnostics(rate, factor, nonfinite)
    ladders = state.exchange
    swap_rate = _swap_rate(ladders)
    trips = np.asarray(ladders.round_trips, dtype=np.int64)
    return Diagnostics(
        rate.mean(axis=0),
        np.exp(np.log(factor).mean(axis=0)),
        nonfinite,
        np.asarray(method.temperatures),
        swap_rate,
        float(np.sum(1 - swap_rate)),
        trips,
        _ratio(trips, np.full(trips.shape, int(ladders.phases))),
        log_partition(np.asarray(ladders.log_means)),
    )


def _swap_rate(ladders: Any) -> np.ndarray:
    accepted = np.asarray(ladders.accepted, dtype=np.int64).sum(axis=0)
    return _ratio(accepted, np.asarray(ladders.attempts, dtype=np.int64).sum(axis=0))


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
