"""What samples are worth: effective numbers, standard errors, and the theory of round trips."""

import numpy as np


def effective_samples(draws: np.ndarray) -> float:
    r"""Return how many independent draws tell the mean as well.

    Maths: :math:`S / (1 + 2 \sum_t \rho_t)`, S draws in all. The autocorrelations come from the
    spread within and between half chains, so chains that disagree count for little, and are summed
    in pairs as long as a pair's sum is positive, made monotone. Where draws alternate (lag one at
    -0.5) this gives about a tenth too much.

    Args:
        draws: Float ``[draws, chains]``.

    Returns:
        The effective number; 0 where all draws are equal, which tell nothing about their spread.

    Reference: Vehtari, Gelman, Simpson, Carpenter and Buerkner, Bayesian Analysis 16, 667 (2021),
    eq. 10 to 14; Geyer, Statistical Science 7, 473 (1992).
    """
    halves = _halves(draws)
    total, within = _variances(halves)
    if total == 0:
        return 0.0
    covariance = _autocovariance(halves).mean(axis=1)
    rho = 1 - (within - covariance * len(halves) / (len(halves) - 1)) / total
    rho[0] = 1.0
    pairs = rho[: len(rho) // 2 * 2].reshape(-1, 2).sum(axis=1)
    negative = np.flatnonzero(pairs <= 0)
    kept = pairs[: negative[0]] if negative.size else pairs
    time = 2 * np.minimum.accumulate(kept).sum() - 1
    time = max(time, 1 / np.log10(halves.size))  # antithetic draws tell more, but not for ever
    return float(halves.size / time)


def standard_error(draws: np.ndarray) -> float:
    """Return the standard error of the mean of ``[draws, chains]``; infinite for equal draws."""
    effective = effective_samples(draws)
    return float(np.sqrt(_variances(_halves(draws))[0] / effective)) if effective else np.inf


def _halves(draws: np.ndarray) -> np.ndarray:
    draws = np.asarray(draws, np.float64)
    half = len(draws) // 2
    return np.concatenate([draws[:half], draws[len(draws) - half :]], axis=1)


def _variances(halves: np.ndarray) -> tuple[float, float]:
    """Return the estimate of the law's variance from both spreads, and the spread within."""
    n = len(halves)
    within = halves.var(axis=0, ddof=1).mean()
    return float((n - 1) / n * within + halves.mean(axis=0).var(ddof=1)), float(within)


def _autocovariance(halves: np.ndarray) -> np.ndarray:
    """Return the autocovariances ``[lags, chains]``, by a transform padded against wrapping."""
    n = len(halves)
    power = np.abs(np.fft.rfft(halves - halves.mean(axis=0), 2 * n, axis=0)) ** 2
    return np.fft.irfft(power, 2 * n, axis=0)[:n] / n


def theory(swap_rate: np.ndarray, scheme: str = "deo") -> float:
    """Return the round trips per swap phase of all replicas of a ladder that explores ideally.

    Reference: Syed, Bouchard-Cote, Deligiannidis and Doucet, J. R. Stat. Soc. B 84, 321 (2022).
    """
    rate = np.asarray(swap_rate, np.float64)
    if np.any(rate <= 0):
        return 0.0
    barrier = np.sum((1 - rate) / rate)
    return float(1 / (2 * (1 if scheme == "deo" else rate.size) + 2 * barrier))


def autocorrelation(energies: np.ndarray, first: int) -> float:
    """Return how much a replica's energy remembers from one exchange to the next.

    An end of the ladder has no partner in every other phase: what is recorded there after such a
    phase is the energy of the replica that was there after the phase before.

    Args:
        energies: Recorded after every exchange of deterministic even-odd swaps, float
            ``[records, ladders, rungs]``.
        first: Number of the first of these exchanges, from 0: even ones try the coldest pair.

    Returns:
        The larger correlation of the two ends, over all ladders.
    """
    rungs = energies.shape[2]
    # The last rung has a partner in the phases that try pair (rungs - 2, rungs - 1).
    return max(_idle(energies[:, :, 0], first, 1), _idle(energies[:, :, -1], first, rungs % 2 ^ 1))


def _idle(energies: np.ndarray, first: int, parity: int) -> float:
    after = np.arange(1, len(energies))
    after = after[(first + after) % 2 == parity]
    x, y = energies[after - 1].ravel(), energies[after].ravel()
    return float(np.corrcoef(x, y)[0, 1])
