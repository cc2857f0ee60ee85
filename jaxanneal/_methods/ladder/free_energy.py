"""Free energies of a ladder by stepping stones: from each rung to its neighbour, both ways."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._methods.ladder.groups import group_sums, grouped, groups_of, shares
from jaxanneal._pytree import pytree_dataclass


@pytree_dataclass
class Weights:
    """Running means of weights that may be of any size.

    Args:
        log_largest: Logarithm of the largest weight so far, float ``[groups, rungs - 1]``.
        mean: Their mean over that, float ``[groups, rungs - 1]``: what is added falls with the
            count, so nothing is lost where a sum would outgrow its digits.
    """

    log_largest: jax.Array
    mean: jax.Array


def no_weights(ladders: int, rungs: int) -> Weights:
    """Return the means of nothing."""
    shape = (groups_of(ladders), rungs - 1)
    return Weights(jnp.full(shape, -jnp.inf, dtype=float), jnp.zeros(shape, dtype=float))


def log_weights(temperatures: jax.Array, energies: jax.Array) -> tuple[jax.Array, jax.Array]:
    r"""Return the logarithms of the weights that lead from each rung to its neighbour.

    Maths: with :math:`\delta = \beta_i - \beta_{i+1} > 0`,
    :math:`Z_i / Z_{i+1} = \langle e^{-\delta E} \rangle_{i+1}` and, the other way,
    :math:`Z_{i+1} / Z_i = \langle e^{\delta E} \rangle_i`.

    Args:
        temperatures: Strictly increasing, float ``[rungs]``.
        energies: Energy of the replica at each rung, float ``[ladders, rungs]``.

    Returns:
        Float ``[ladders, rungs - 1]``, twice: from the hotter rung, and from the colder one.

    Reference: Xie, Lewis, Fan, Kuo and Chen, Syst. Biol. 60, 150 (2011); Bennett, J. Comput. Phys.
    22, 245 (1976), section 2, for both directions.
    """
    energies = energies.astype(float)
    beta = 1 / temperatures.astype(energies.dtype)
    delta = jnp.broadcast_to(beta[:-1] - beta[1:], energies[:, 1:].shape)
    return -delta * energies[:, 1:], delta * energies[:, :-1]


def with_weights(
    before: Sequence[Weights],
    log_weight: Sequence[jax.Array],
    log_largest: Sequence[jax.Array],
    count: jax.Array,
) -> tuple[Weights, Weights]:
    """Return the means of ``count + 1`` weights from those of the first ``count``, both ways.

    Args:
        before: The means so far.
        log_weight: Logarithms of the weights of this phase, as :func:`log_weights` returns them.
        log_largest: The largest of each group of ladders, float ``[groups, rungs - 1]``, twice.
        count: Phases so far, int ``[]``.
    """
    # The weight of an infinite energy counts for nothing.
    sound = [jnp.where(jnp.isfinite(one), one, -jnp.inf) for one in log_weight]
    pairs = zip(before, log_largest, strict=True)
    largest = [jnp.maximum(old.log_largest, new) for old, new in pairs]
    top = [jnp.where(jnp.isfinite(one), one, 0) for one in largest]
    now = zip(sound, top, strict=True)
    sums = group_sums(*(jnp.exp(grouped(x, -jnp.inf) - y[None]) for x, y in now))
    each = shares(len(log_weight[0]), top[0].dtype)
    share = 1 / (count.astype(top[0].dtype) + 1)

    def joined(old: Weights, largest: jax.Array, top: jax.Array, new: jax.Array) -> Weights:
        mean = old.mean * jnp.exp(old.log_largest - top)
        return Weights(largest, mean + (new * each - mean) * share)

    hotter, colder = map(joined, before, largest, top, sums)
    return hotter, colder


def log_means(weights: Sequence[Weights]) -> np.ndarray:
    """Return the logarithms of the means, float64 ``[2, groups, rungs - 1]``."""
    with np.errstate(divide="ignore", invalid="ignore"):
        both = [np.log(np.asarray(x.mean, np.float64)) for x in weights]
        return np.stack(both) + np.stack([np.asarray(x.log_largest, np.float64) for x in weights])


def log_sums(weights: Sequence[Weights], sizes: np.ndarray) -> np.ndarray:
    """Return the logarithms of the means' sums over ladders, float64 ``[2, groups, rungs - 1]``.

    Args:
        weights: The means.
        sizes: Ladders in each group, int ``[groups]``.
    """
    return log_means(weights) + np.log(sizes)[:, None]


def log_partition(log_sums: np.ndarray) -> np.ndarray:
    """Return the log partition function of each rung, less that of the hottest.

    The geometric mean of both estimates: their biases have opposite signs.

    Args:
        log_sums: Logarithms of the mean weights, summed over the ladders of each group, float
            ``[2, groups, rungs - 1]``.

    Returns:
        Float ``[rungs]``, pooled over ladders; NaN where nothing was measured.
    """
    sums, top = _sums(log_sums)
    return _climbed(sums.sum(axis=1), top)


def log_partition_error(log_sums: np.ndarray) -> np.ndarray:
    r"""Return the standard error of :func:`log_partition`, from the differences between groups.

    Maths: the jackknife, :math:`\sqrt{(G-1)/G \sum_g (\theta_{-g} - \bar\theta)^2}` with the
    estimate of all groups of ladders but one.

    Args:
        log_sums: As in :func:`log_partition`.

    Returns:
        Float ``[rungs]``; NaN for a single ladder, which cannot tell, or where nothing was
        measured.

    Reference: Efron, The Jackknife, the Bootstrap and Other Resampling Plans (1982), chapter 3.
    """
    sums, top = _sums(log_sums)
    groups = sums.shape[1]
    if groups == 1:
        return np.full(sums.shape[2] + 1, np.nan)
    others = np.moveaxis(sums.sum(axis=1, keepdims=True) - sums, 1, 0)
    without = np.stack([_climbed(one, top) for one in others])
    with np.errstate(invalid="ignore"):
        return np.sqrt((groups - 1) * np.mean((without - without.mean(axis=0)) ** 2, axis=0))


def _sums(log_sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights of each group over the largest, and the logarithm of that."""
    given = np.asarray(log_sums, np.float64)
    with np.errstate(invalid="ignore"):
        top = np.max(given, axis=1)
        return np.exp(given - top[:, None]), top


def _climbed(sums: np.ndarray, top: np.ndarray) -> np.ndarray:
    """Return the log partition function from sums over groups, up to the ladders' number."""
    with np.errstate(all="ignore"):
        logs = np.log(sums) + top
        steps = (logs[0] - logs[1]) / 2  # in which the number of ladders cancels
        return np.append(np.cumsum(steps[::-1])[::-1], 0.0)
