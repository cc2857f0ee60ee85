"""Do the chains agree? How many of them came as near to the best state as the run resolves."""

import math
from typing import Any, NamedTuple

import numpy as np

from jaxanneal._chain.move import is_mixed
from jaxanneal._engine.history import Summary
from jaxanneal._engine.sharding import fetch

# Below so many moves chains have not been anywhere yet.
_MOVES = 100

# The part of the moves that counts as the end of a run.
_LATE = 0.1

# Records from which their lowest energy is that of a walk; of fewer its best energy is.
_RECORDS = 5

_ULPS = 8

# Energies that differ by this share of the typical difference of minima are those of one minimum.
_OF_MINIMA = 1e-3

# If another run like this one misses its best state with a larger probability, few chains have it.
_MISSED = 0.05


class Agreement(NamedTuple):
    """How many independent walks ended at the best energy.

    Args:
        agreeing: Those that did.
        walks: All of them: chains, or the ladders of parallel tempering.
        noun: What they are.
        within: Energy up to which two of them count as the same.
        median: Median of their best energies.
    """

    agreeing: int
    walks: int
    noun: str
    within: float
    median: float

    @property
    def missed(self) -> float:
        r"""Probability that another run like this one misses its best state.

        Maths: :math:`(1 - k/n)^n` if k of n walks came there, each of them by itself.
        """
        return (1 - self.agreeing / self.walks) ** self.walks

    def __str__(self) -> str:
        return (
            f"{self.agreeing:,} of {self.walks:,} {self.noun} came within {self.within:.2g} of the "
            "best energy"
        )


def agreement(result: Any) -> Agreement | None:
    """Return how far the chains agree, in parallel tempering the ladders.

    ``None`` where nothing can be said: of one chain alone, of few moves, of a polished result,
    whose starts were chosen to be distinct, and of chains that are replaced by copies of others,
    which agree whatever another run would find.
    """
    moves = _moves(result)
    if result.state is None or moves < _MOVES:
        return None
    method = result.state.engine_state.method
    if method.replaces:
        return None
    best = fetch(result.chains.best_energy).reshape(method.shape).astype(np.float64)
    if method.has_rungs:
        best = best.min(axis=1)
    if len(best) < 2 or not np.any(np.isfinite(best)):
        return None
    lowest, within = float(np.min(best)), accuracy(result, best)
    agreeing = int(np.count_nonzero(best <= lowest + within))
    noun, typical = "ladders" if method.has_rungs else "chains", float(np.median(within))
    return Agreement(agreeing, len(best), noun, typical, float(np.median(best)))


def accuracy(result: Any, best: np.ndarray) -> np.ndarray:
    r"""Return up to which difference the best energies of two chains are the same.

    Maths: the largest of how far the energy of a chain stood above its lowest on the mean over
    the last tenth of the run, :math:`\langle E \rangle - \min E` (about n T / 2 for a few harmonic
    coordinates at the temperature T, nothing for a discrete energy that is frozen), of how far its
    best energy still fell there, and of 8 units in the last place. Of all chains the median counts,
    of one that is hotter than the others its own. In basin hopping at least a thousandth of the
    typical difference of two minima, too.

    Args:
        result: A run.
        best: Best energy of each chain, or of each ladder, float64 ``[n]``.

    Returns:
        Float64 ``[n]``.
    """
    history = result.history
    late = history.step > history.step[-1] - _LATE * _moves(result)
    before = max(int(np.argmax(late)) - 1, 0)
    energy, record = _cold(history.energy), _cold(history.best_energy, lowest=True)
    with np.errstate(invalid="ignore"):
        few = isinstance(history.energy, Summary) or np.count_nonzero(late) < _RECORDS
        lowest = record[-1] if few else np.min(energy[late], axis=0)
        above = np.mean(energy[late], axis=0) - lowest
        fell = record[before] - record[-1]
    sizes = np.where(np.isfinite(above), above, 0), np.where(np.isfinite(fell), fell, 0)
    own = np.maximum(sizes[0], 0)
    typical = max(float(np.median(own)), float(np.median(sizes[1])))
    dtype = result.chains.best_energy.dtype
    finite = np.abs(best[np.isfinite(best)])
    rounding = _ULPS * float(np.median(np.spacing(finite.astype(dtype))))
    state = result.state.engine_state
    minima = _OF_MINIMA * float(state.method.difference(state.exchange))
    return np.broadcast_to(np.maximum(own, max(typical, rounding, minima)), best.shape)


def _cold(field: Any, lowest: bool = False) -> np.ndarray:
    """Return recorded energies by chain or ladder, float64 ``[records, n]``, of the coldest rung.

    Of a summary its median, ``[records, 1]``. With ``lowest`` that of the lowest rung.
    """
    values = np.asarray(field.median if isinstance(field, Summary) else field, np.float64)
    rungs = values.ndim - 1 == 1 if isinstance(field, Summary) else values.ndim - 1 == 2
    if isinstance(field, Summary):
        values = values if rungs else values[:, None]
        return _of_rungs(values, lowest)[:, None] if rungs else values
    return _of_rungs(values, lowest) if rungs else values


def _of_rungs(values: np.ndarray, lowest: bool) -> np.ndarray:
    return values.min(axis=-1) if lowest else values[..., 0]


def _moves(result: Any) -> int:
    """Return the moves of this call that were recorded."""
    if len(result.history.step) == 0 or result.state is None:
        return 0
    energy = result.history.energy
    records = len(energy.median if isinstance(energy, Summary) else energy)
    step = np.asarray(result.history.step)
    every = int(step[0]) if records == 1 else int(step[1] - step[0])
    return int(step[-1] - step[0]) + every


def agreement_doubts(result: Any) -> list[str]:
    """Say so if so few chains found the best state that another run might well miss it."""
    seen = agreement(result)
    if seen is None or seen.missed <= _MISSED:
        return []
    state = result.state.engine_state
    steps, descends = _rounded(4 * _moves(result)), bool(state.method.gradients)
    mixed = (
        " A step of PerLeaf moves all parts at once, and cold chains refuse small steps together "
        "with flips and whole ones: ja.polish(energy, result) makes the small ones alone."
    )
    return [
        f"the chains do not agree: {seen}, {result.energy:.6g}, and half of them stayed above "
        f"{seen.median:.6g}. Another run like this one would miss that state with a probability of "
        f"{seen.missed:.0%}, so there may be better ones. Run longer before you run more chains, "
        f"with steps={steps}{'' if descends else ' and a cooling as long'}."
        + (mixed if not descends and is_mixed(state.move, result.params) else "")
    ]


def _rounded(count: int) -> int:
    """Round up to two digits."""
    unit = 10 ** max(0, math.floor(math.log10(max(count, 1))) - 1)
    return -(-count // unit) * unit
