"""Convergence: what correlated records of independent ladders are worth, by ranks.

Both numbers see the draws through their ranks, so that a heavy tail, or an infinite energy, cannot
spoil them, and both split each ladder in two, so that one ladder that drifts is found out too.
"""

import functools
import math
import statistics
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

_FEWEST = 4  # halves of fewer than two draws have no variance
_BLOCK = 2**21  # draws at a time: the transforms of more would fill the memory of a small machine


def effective_sample_size(draws: ArrayLike) -> np.ndarray:
    r"""Return how many independent draws would give the mean as well as these do.

    Maths: :math:`S / \tau` with :math:`\tau = -1 + 2 \sum_t \rho_t` of the rank-normalised draws,
    :math:`\rho_t = 1 - (W - \gamma_t) / V` for the mean autocovariance :math:`\gamma_t` of the half
    ladders, their variance W within and V in all; the sum ends before the first pair
    :math:`\rho_{2k} + \rho_{2k+1} \le 0`, and pairs never rise. At most :math:`S \log_{10} S`.
    Batching: over the trailing axes.

    Args:
        draws: ``[records, ladders, ...]``, real; equally spaced in time, after the warm-up. Of an
            odd number of records the middle one is left out.

    Returns:
        float64 ``[...]``. NaN below four records, where a draw is NaN, and where all draws are
        equal, which tell nothing (ArviZ counts them all there).

    Raises:
        ValueError: ``draws`` has fewer than two axes.

    Example:
        >>> import numpy as np
        >>> steps = np.random.default_rng(0).standard_normal((1000, 8))
        >>> 7000 < effective_sample_size(steps) < 9000
        np.True_
        >>> bool(effective_sample_size(np.cumsum(steps, axis=0)) < 100)
        True

    Reference: Vehtari, Gelman, Simpson, Carpenter and Bürkner, Bayesian Analysis 16, 667 (2021),
    section 3.2 and equation (14); Geyer, Statist. Sci. 7, 473 (1992), section 3.3.
    """
    return _by_cell(_bulk_size, draws)


def split_rhat(draws: ArrayLike) -> np.ndarray:
    r"""Return how much wider all ladders together are than each half of one: 1 if they agree.

    Maths: :math:`\hat R = \sqrt{V / W}` of the half ladders, W their variance within and V in all;
    the larger of that of the rank-normalised draws, which sees shifted ladders, and that of their
    rank-normalised distances from the median, which sees ladders of other widths.
    Batching: over the trailing axes.

    Args:
        draws: ``[records, ladders, ...]``, real, after the warm-up. Of an odd number of records the
            middle one is left out.

    Returns:
        float64 ``[...]``; above 1.01 do not trust the draws. One ladder compares its two halves.
        Infinite where each half stands still, but not all of them in the same place; NaN below
        four records, where a draw is NaN, and where all draws are equal.

    Raises:
        ValueError: ``draws`` has fewer than two axes.

    Example:
        >>> import numpy as np
        >>> normal = np.random.default_rng(0).standard_normal((1000, 4))
        >>> bool(split_rhat(normal) < 1.01), bool(split_rhat(normal + [0, 0, 0, 1]) > 1.1)
        (True, True)

    Reference: Vehtari, Gelman, Simpson, Carpenter and Bürkner, Bayesian Analysis 16, 667 (2021),
    section 4.
    """
    return _by_cell(_larger_rhat, draws)


def _by_cell(measure: Callable[[np.ndarray], np.ndarray], draws: ArrayLike) -> np.ndarray:
    """Return the measure of half ladders ``[cells, halves, records]`` for each trailing cell."""
    given = np.asarray(draws)
    if given.ndim < 2:
        raise ValueError(
            f"draws: expected [records, ladders, ...], got shape {given.shape}. "
            "For one ladder pass draws[:, None]."
        )
    records, ladders, *shape = given.shape
    cells = given.reshape(records, ladders, math.prod(shape))
    values = np.full(cells.shape[2], np.nan)
    if records < _FEWEST or ladders == 0:
        return values.reshape(shape)
    step = max(1, _BLOCK // (records * ladders))
    for first in range(0, cells.shape[2], step):
        block = np.moveaxis(cells[:, :, first : first + step], 0, -1).swapaxes(0, 1)
        half = records // 2
        halves = np.concatenate([block[..., :half], block[..., -half:]], axis=1).astype(float)
        sound = ~np.isnan(halves).any(axis=(1, 2))
        values[first : first + step][sound] = measure(halves[sound])
    return values.reshape(shape)


def _bulk_size(halves: np.ndarray) -> np.ndarray:
    scores = _normal_scores(halves)
    correlation = _correlation(scores)
    count, lags = scores[0].size, correlation.shape[-1]
    pairs = correlation[:, 0::2] + correlation[:, 1::2]
    # The pair at which the sum ends: the first that is not positive, or else the last.
    ended = pairs <= 0
    ended[:, -1] = True
    end = np.argmax(ended, axis=1)[:, None]
    falling = np.minimum.accumulate(pairs, axis=1)
    summed = np.sum(falling, axis=1, where=np.arange(lags // 2) < end)
    # Of that pair the even lag alone still counts, as in ArviZ, unless it is what ended it.
    last, even = (np.take_along_axis(x, end, axis=1)[:, 0] for x in (pairs, correlation[:, 0::2]))
    rest = np.where(last > 0, even, np.maximum(even, 0))
    # A bound on luck: antithetic draws may beat independent ones, but no estimate is that sharp.
    time = np.maximum(-1 + 2 * summed + rest, 1 / np.log10(count))
    return np.where(np.isnan(pairs[:, 0]), np.nan, count / time)


def _correlation(halves: np.ndarray) -> np.ndarray:
    """Return the autocorrelation of ladders that share one distribution, ``[cells, lags]``.

    An even number of lags, and none of the last two, which hold next to nothing but noise.
    """
    number = halves.shape[-1]
    lags = 2 * max(1, (number - 1) // 2)
    size = 1 << (number + lags - 1).bit_length()  # with zeros behind, or the ends would meet
    centred = halves - halves.mean(axis=-1, keepdims=True)
    power = np.abs(np.fft.rfft(centred, size)) ** 2
    covariance = np.fft.irfft(power.mean(axis=1), size)[:, :lags] / number
    within = covariance[:, :1] * number / (number - 1)
    whole = covariance[:, :1] + halves.mean(axis=-1).var(axis=1, ddof=1)[:, None]
    with np.errstate(invalid="ignore"):  # draws that are all equal: NaN
        correlation = 1 - (within - covariance) / whole
    correlation[:, 0] += 1 - correlation[:, 0]  # one by definition, but NaN stays NaN
    return correlation


def _larger_rhat(halves: np.ndarray) -> np.ndarray:
    median = np.median(halves, axis=(1, 2), keepdims=True)
    with np.errstate(invalid="ignore"):
        distance = np.abs(halves - median)
    distance[np.isnan(distance)] = 0  # an infinite draw at an infinite median
    # Two values at equal distances from the median leave the distances without an R-hat.
    return np.fmax(_rhat(_normal_scores(halves)), _rhat(_normal_scores(distance)))


def _rhat(halves: np.ndarray) -> np.ndarray:
    number = halves.shape[-1]
    within = halves.var(axis=-1, ddof=1).mean(axis=-1)
    between = halves.mean(axis=-1).var(axis=-1, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt((number - 1) / number + between / within)


def _normal_scores(halves: np.ndarray) -> np.ndarray:
    """Put in place of each draw the normal quantile of its rank among all of its cell."""
    flat = halves.reshape(len(halves), -1)
    order = np.argsort(flat, axis=1)
    rising = np.take_along_axis(flat, order, axis=1)
    count = flat.shape[1]
    place = np.arange(count)
    # Equal draws share the mean of their places; twice that is a whole number.
    new = np.ones((len(flat), count + 1), bool)
    new[:, 1:-1] = rising[:, 1:] != rising[:, :-1]
    first = np.maximum.accumulate(np.where(new[:, :-1], place, 0), axis=1)
    last = np.minimum.accumulate(np.where(new[:, 1:], place, count)[:, ::-1], axis=1)[:, ::-1]
    scores = np.empty(flat.shape)
    np.put_along_axis(scores, order, _quantiles(count)[first + last], axis=1)
    return scores.reshape(halves.shape)


@functools.lru_cache(maxsize=8)
def _quantiles(count: int) -> np.ndarray:
    """Return the scores of the places 0, 1/2, 1, ... of ``count`` draws (Blom's 3/8)."""
    normal = statistics.NormalDist()
    lower = [normal.inv_cdf((place / 2 + 0.625) / (count + 0.25)) for place in range(count - 1)]
    return np.array([*lower, 0.0, *(-score for score in reversed(lower))])
