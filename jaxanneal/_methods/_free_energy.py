"""Free energies of a ladder by stepping stones: from each rung to its neighbour, both ways."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._pytree import pytree_dataclass


@pytree_dataclass
class Weights:
    """Running means of weights that may be of any size.

    Args:
        log_largest: Logarithm of the largest weight so far, float ``[2, ladders, rungs - 1]``.
        mean: Their mean over that, float ``[2, ladders, rungs - 1]``: what is added falls with the
            count, so nothing is lost where a sum would outgrow its digits.
    """

    log_largest: jax.Array
    mean: jax.Array


def no_weights(ladders: int, rungs: int) -> Weights:
    """Return the means of nothing."""
    shape = (2, ladders, rungs - 1)
    return Weights(jnp.full(shape, -jnp.inf, dtype=float), jnp.zeros(shape, dtype=float))


def log_weights(temperatures: jax.Array, energies: jax.Array) -> jax.Array:
    r"""Return the logarithms of the weights that lead from each rung to its neighbour.

    Maths: with :math:`\delta = \beta_i - \beta_{i+1} > 0`,
    :math:`Z_i / Z_{i+1} = \langle e^{-\delta E} \rangle_{i+1}` and, the other way,
    :math:`Z_{i+1} / Z_i = \langle e^{\delta E} \rangle_i`.

    Args:
        temperatures: Strictly increasing, float ``[rungs]``.
        energies: Energy of the replica at each rung, float ``[ladders, rungs]``.

    Returns:
        Float ``[2, ladders, rungs - 1]``: from the hotter rung, and from the colder one.

    Reference: Xie, Lewis, Fan, Kuo and Chen, Syst. Biol. 60, 150 (2011); Bennett, J. Comput. Phys.
    22, 245 (1976), section 2, for both directions.
    """
    energies = energies.astype(float)
    beta = 1 / temperatures.astype(energies.dtype)
    delta = jnp.broadcast_to(beta[:-1] - beta[1:], energies[:, 1:].shape)
    return jnp.stack([-delta * energies[:, 1:], delta * energies[:, :-1]])


def with_weights(before: Weights, log_weight: jax.Array, count: jax.Array) -> Weights:
    """Return the means of ``count + 1`` weights from those of the first ``count``."""
    top = before.log_largest
    above = log_weight - top
    larger = above > 0  # false of NaN, the weight of an infinite energy, which counts for nothing
    ratio = jnp.exp(-jnp.abs(above))  # the one exponential that both ways need
    ratio = jnp.where(jnp.isnan(ratio), 0, ratio)
    mean, weight = jnp.where(larger, before.mean * ratio, before.mean), jnp.where(larger, 1, ratio)
    # A share, not a division: of that XLA makes a product, but not in every program.
    share = 1 / (count.astype(mean.dtype) + 1)
    mean = mean + (weight - mean) * share
    return Weights(jnp.where(larger, log_weight, top), mean)


def log_means(weights: Weights) -> np.ndarray:
    """Return the logarithms of the means, float64 ``[2, ladders, rungs - 1]``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = np.log(np.asarray(weights.mean, np.float64))
        return mean + np.asarray(weights.log_largest, np.float64)


def log_partition(log_means: np.ndarray) -> np.ndarray:
    """Return the log partition function of each rung, less that of the hottest.

    The geometric mean of both estimates: their biases have opposite signs.

    Args:
        log_means: Logarithms of the mean weights, float ``[2, ladders, rungs - 1]``.

    Returns:
        Float ``[rungs]``, pooled over ladders; NaN where nothing was measured.
    """
    sums, top = _sums(log_means)
    return _climbed(sums.sum(axis=1), top)


def log_partition_error(log_means: np.ndarray) -> np.ndarray:
    r"""Return the standard error of :func:`log_partition`, from the differences between ladders.

    Maths: the jackknife, :math:`\sqrt{(L-1)/L \sum_l (\theta_{-l} - \bar\theta)^2}` with the
    estimate of all ladders but one.

    Args:
        log_means: Logarithms of the mean weights, float ``[2, ladders, rungs - 1]``.

    Returns:
        Float ``[rungs]``; NaN for a single ladder, which cannot tell, or where nothing was
        measured.

    Reference: Efron, The Jackknife, the Bootstrap and Other Resampling Plans (1982), chapter 3.
    """
    sums, top = _sums(log_means)
    ladders = sums.shape[1]
    if ladders == 1:
        return np.full(sums.shape[2] + 1, np.nan)
    others = np.moveaxis(sums.sum(axis=1, keepdims=True) - sums, 1, 0)
    without = np.stack([_climbed(one, top) for one in others])
    with np.errstate(invalid="ignore"):
        return np.sqrt((ladders - 1) * np.mean((without - without.mean(axis=0)) ** 2, axis=0))


def _sums(log_means: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of each ladder over the largest, and the logarithm of that."""
    means = np.asarray(log_means, np.float64)
    with np.errstate(invalid="ignore"):
        top = np.max(means, axis=1)
        return np.exp(means - top[:, None]), top


def _climbed(sums: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Return the log partition function from sums over ladders, up to the ladders' number."""
    with np.errstate(all="ignore"):
        logs = np.log(sums) + top
        steps = (logs[0] - logs[1]) / 2  # in which the number of ladders cancels
        return np.append(np.cumsum(steps[::-1])[::-1], 0.0)
