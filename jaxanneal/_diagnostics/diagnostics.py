"""Diagnostics: what a run says about itself, from the counts in its state."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxanneal._chain.factors import row_counts
from jaxanneal._chain.parameters import Parameters
from jaxanneal._diagnostics.convergence import effective_sample_size, split_rhat
from jaxanneal._engine.history import History, Summary
from jaxanneal._engine.sharding import fetch
from jaxanneal._engine.state import State, trials_on_host
from jaxanneal._kernels.pools import Pools, group_of_rows
from jaxanneal._methods.ladder.free_energy import log_partition, log_partition_error, log_sums
from jaxanneal._methods.ladder.groups import as_integers, sizes_of, total
from jaxanneal._methods.ladder.ladders import Ladders
from jaxanneal._methods.protocol import Trials

# Recorded energies from which the effective sample size is found: a tenth of a second's work.
_DRAWS = 2**17


class Diagnostics(NamedTuple):
    """Hold the health of a run, counted after the warm-up.

    Where a run went on with other temperatures or other data, it is counted from there.

    Args:
        acceptance_rate: Accepted over all proposals, ``(chains,)``, in parallel tempering
            ``(rungs,)`` over all ladders, in basin hopping of the hops that ended.
        factor: Multiplies the move's scale, ``(chains,)`` or ``(rungs,)``; of a move with a factor
            for each coordinate their geometric mean.
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
        log_partition_error: Its standard error, from the differences between ladders, or between
            16 groups of more, ``(rungs,)``; ``None`` without a ladder, NaN with a single one.
        local_barrier: Rejection rate of each pair over the difference of its inverse temperatures,
            ``(rungs - 1,)``; ``None`` without a ladder.
        mean_energy: Mean energy at each rung over the swap phases after the warm-up, ``(rungs,)``;
            ``None`` without a ladder.
        heat_capacity: Variance of that energy over the squared temperature, ``(rungs,)``; ``None``
            without a ladder.
        autocorrelation: Correlation of a replica's energy after a swap phase with that before the
            next one, which the moves between them leave at each rung, ``(rungs,)``; ``None``
            without a ladder. Exchanges are faster than exploration where it is near 1.
        effective_sample_size: That of the energies recorded after the warm-up at each rung, all
            ladders together, ``(rungs,)``; of more than 131,072 energies every k-th record counts.
            ``None`` without a ladder, NaN where fewer than 4 were recorded, or only a summary.
        rhat: Split R-hat of the same over ladders, ``(rungs,)``; 1 where ladders agree.
        part_factors: Of a mixture the factors of its parts, which multiply those of the
            coordinates, ``(parts,)``, in parallel tempering ``(rungs, parts)``; ``None`` for a
            move of one factor.
        row_factors: As ``factors``, the arrays alone.
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
    log_partition_error: np.ndarray | None = None
    local_barrier: np.ndarray | None = None
    mean_energy: np.ndarray | None = None
    heat_capacity: np.ndarray | None = None
    autocorrelation: np.ndarray | None = None
    effective_sample_size: np.ndarray | None = None
    rhat: np.ndarray | None = None
    part_factors: np.ndarray | None = None
    row_factors: Parameters | None = None

    @property
    def factors(self) -> Any:
        """The step-size factor of every coordinate, a tree like one chain's parameters.

        In parallel tempering each array has a leading axis ``rungs``; ``None`` for a move of one
        factor.
        """
        return None if self.row_factors is None else self.row_factors.tree


def diagnose(state: State, history: History, since: int = 0) -> Diagnostics:
    """Return the diagnostics of a state, and of what was recorded on the way to it.

    Args:
        state: The state.
        history: What was recorded.
        since: The step from which the law of the chains has been what it is.
    """
    method, count = state.method, state.method.chains
    accepted = accepted_by(state, trials_on_host(state), since)
    rate = acceptance_rate(accepted, method.shape)
    order = np.asarray(method.order(state.exchange)) if method.has_rungs else np.arange(count)
    factor = np.exp(fetch(state.log_factor).astype(np.float64)[:count][order])
    factor = factor.reshape(method.shape)
    if isinstance(state.pools, Pools):
        return _shared(state, _diagnosed(state, history, rate, factor, order))
    return _diagnosed(state, history, rate, factor, order)


def _diagnosed(
    state: State, history: History, rate: np.ndarray, factor: np.ndarray, order: np.ndarray
) -> Diagnostics:
    """Return what all runs have."""
    method, count = state.method, state.method.chains
    nonfinite = fetch(state.nonfinite).astype(np.int64)[:count][order]
    if not method.has_rungs:
        return Diagnostics(rate, factor, nonfinite)
    factor = np.exp(np.log(factor).mean(axis=0))
    of_ladders = _swapped(state.exchange) | _explored(state.exchange) | _recorded(history)
    return Diagnostics(rate, factor, nonfinite, **of_ladders)


def _shared(state: State, health: Diagnostics) -> Diagnostics:
    """Return the same with the factors that chains share."""
    one, pools = jax.tree.map(lambda x: x[0], state.chains._params), state.pools
    log_rows, log_parts = (fetch(x).astype(np.float64) for x in (pools.log_rows, pools.log_parts))
    mean = np.exp(log_rows.mean(axis=1)) if log_rows.size else np.ones(len(log_rows))
    counts = row_counts(one)
    by_row, first, leaves = np.exp(log_rows)[:, group_of_rows(sum(counts))], 0, []
    for leaf, count in zip(one.leaves, counts, strict=True):
        own = by_row[:, first : first + count] if count else np.ones((len(by_row), 1))
        shape = (len(own), *(own.shape[1:] if leaf.ndim else ()), *[1] * (leaf.ndim - 1))
        leaves.append(np.broadcast_to(own.reshape(shape), (len(own), *leaf.shape)))
        first += count
    parts = np.exp(log_parts)
    if health.temperatures is None:
        leaves, parts = [leaf[0] for leaf in leaves], parts[0]
    return health._replace(
        factor=np.broadcast_to(mean, health.factor.shape).copy(),
        part_factors=parts,
        row_factors=one.with_leaves(leaves),
    )


class Accepted(NamedTuple):
    """What was accepted of how many moves.

    Args:
        trials: What was proposed in each slot.
        warm: Those of the warm-up, ``uint32 [3, rungs]`` as ``groups.summed`` makes it; none
            without a ladder.
        steps: Moves of each chain, int ``[]``.
        warm_steps: Those of the warm-up, int ``[]``.
    """

    trials: Trials
    warm: Any
    steps: Any
    warm_steps: Any


def accepted_by(state: State, trials: Trials, since: int = 0) -> Accepted:
    """Return what a run has accepted since a step, from which its state counts."""
    warm = state.exchange.warm_moves if state.method.has_rungs else ()
    return Accepted(trials, warm, state.step - since, state.method.warmup_end() - since)


def acceptance_rate(accepted: Accepted, shape: tuple[int, ...]) -> np.ndarray:
    """Return accepted over all proposals after the warm-up, by chain, or by rung over all ladders.

    Args:
        accepted: What was accepted.
        shape: Shape in which results list the slots.
    """
    number = np.asarray(accepted.trials.accepted, np.int64).reshape(shape)
    if accepted.trials.number is not None:
        return _ratio(number, np.asarray(accepted.trials.number, np.int64).reshape(shape))
    steps, warm_steps, ladders = int(accepted.steps), int(accepted.warm_steps), 1
    if len(shape) > 1:
        number, ladders = number.sum(axis=0), shape[0]
    if steps > warm_steps > 0:  # until the warm-up is over there is nothing else to report
        number, steps = number - total(accepted.warm), steps - warm_steps
    return _ratio(number, np.full(number.shape, steps * ladders))


def _swapped(ladders: Ladders) -> dict[str, Any]:
    """Return what the swaps say."""
    trips = np.asarray(ladders.round_trips, dtype=np.int64)
    sizes = sizes_of(len(trips))
    tried = as_integers(ladders.attempts).sum(axis=0)
    swap_rate = _ratio(as_integers(ladders.accepted).sum(axis=0), tried)
    temperatures = np.asarray(ladders.ladder.temperatures)
    beta = 1 / temperatures.astype(np.float64)
    sums = log_sums(ladders.weights, sizes)
    return {
        "temperatures": temperatures,
        "swap_rate": swap_rate,
        "barrier": float(np.sum(1 - swap_rate)),
        "round_trips": trips,
        "round_trip_rate": _ratio(trips, np.full(trips.shape, int(ladders.phases))),
        "log_partition": log_partition(sums),
        "log_partition_error": log_partition_error(sums),
        "local_barrier": (1 - swap_rate) / (beta[:-1] - beta[1:]),
    }


def _explored(ladders: Ladders) -> dict[str, Any]:
    """Return what the energies at each rung say."""
    seen, sizes = ladders.energies, sizes_of(len(ladders.energies.last))[:, None]
    mean, variance, change, phases = (
        np.asarray(x, np.float64) for x in (seen.mean, seen.variance, seen.change, seen.phases)
    )
    weight = np.where(phases > 0, sizes, 0)
    pooled = lambda x: np.sum(x * weight, axis=0) / np.sum(weight, axis=0)  # noqa: E731
    temperatures = np.asarray(ladders.ladder.temperatures, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        if int(ladders.warm_swaps) == 0:  # before the first swaps there were none
            change = np.where(phases > 1, change * phases / (phases - 1), np.nan)
        variance = pooled(variance) + pooled((mean - pooled(mean)) ** 2)
        return {
            "mean_energy": pooled(mean),
            "heat_capacity": variance / temperatures**2,
            "autocorrelation": 1 - pooled(change) / (2 * variance),
        }


def _recorded(history: History) -> dict[str, Any]:
    """Return how far the recorded energies of each rung can be trusted."""
    if isinstance(history.energy, Summary):
        unknown = np.full(history.energy.mean.shape[-1], np.nan)
        return {"effective_sample_size": unknown, "rhat": unknown}
    draws = np.asarray(history.energy)[~np.asarray(history.warmup)]
    draws = draws[:: max(1, -(-draws.size // _DRAWS))]
    return {"effective_sample_size": effective_sample_size(draws), "rhat": split_rhat(draws)}


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
