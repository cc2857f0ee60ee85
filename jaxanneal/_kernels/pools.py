"""Step sizes that chains share: learned from all chains at one temperature, once a period."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.factors import Choice, part_count, row_counts
from jaxanneal._chain.parameters import Parameters
from jaxanneal._chain.step_size import LOG_LIMITS, probe_weight
from jaxanneal._pytree import pytree_dataclass, replace

# Steps after which factors are learned at the latest, whatever the method: a multiple of it is
# where chains are looked at anyway.
PERIOD = 32

# Rows that have a factor of their own; of more, neighbours share one.
MOST = 2**14

# An acceptance probability is voices as a whole number up to this; the next means that a step tells
# nothing. Sums of whole numbers do not depend on blocks, devices or the order of the chains.
_WHOLE, NOTHING = 254, 255

# Errors of acceptance are added up as multiples of this.
_UNIT = 2.0**-16

# The gain after v visits is (1 + v)^-0.6. Where the temperature falls for ever it stays above
# 0.1 times the root of the number of chains, at most 1, and visits are forgotten by 1/32 a period.
_DECAY, _FLOOR, _KEPT = 0.6, 0.1, 31 / 32

# A factor that is visited more than so often in a period moves no farther for it.
_VISITS = 2.0


@pytree_dataclass
class Pools:
    """The factors of all pools; a pool has the chains at one temperature.

    Args:
        log_rows: Logarithms of the factors of rows, float ``[pools, rows]``.
        log_parts: Those of the parts of the move, float ``[pools, parts]``.
        row_visits: Steps that have moved the row alone, float ``[rows]``.
        part_visits: Steps in which the part took part beside others, float ``[parts]``.
        since: The step from which nothing was learned yet, int ``[]``.
    """

    log_rows: Any
    log_parts: Any
    row_visits: Any
    part_visits: Any
    since: Any

    def times(self, log_factor: float) -> "Pools":
        """Return the factors of all rows, on the host, times one; parts multiply those of rows."""
        dtype = self.log_rows.dtype
        return replace(self, log_rows=(np.asarray(self.log_rows) + log_factor).astype(dtype))

    def anew(self) -> "Pools":
        """Return the same on the host for all pools alike, their mean, to be learned from here."""

        def alike(x: np.ndarray) -> np.ndarray:
            return np.repeat(np.mean(x, axis=0, keepdims=True), x.shape[0], axis=0).astype(x.dtype)

        logs = alike(np.asarray(self.log_rows)), alike(np.asarray(self.log_parts))
        rows, parts, since = (
            np.zeros_like(np.asarray(x)) for x in (self.row_visits, self.part_visits, self.since)
        )
        return Pools(*logs, rows, parts, since)


def group_of_rows(count: int) -> np.ndarray:
    """Return which factor each of so many rows has, int ``[rows]``."""
    return (np.arange(count) * min(count, MOST) // max(count, 1)).astype(np.int32)


def first_pools(move: Any, params: Any, pools: int) -> Pools:
    """Return factors of 1.

    Args:
        move: A move of several factors.
        params: The tree of one chain.
        pools: Number of pools.
    """
    rows = min(sum(row_counts(Parameters.of(params))), MOST)
    parts, dtype = part_count(move, params), jax.dtypes.canonicalize_dtype(float)
    none = lambda *shape: np.zeros(shape, dtype)  # noqa: E731
    factors = none(pools, rows), none(pools, parts)
    return Pools(*factors, none(rows), none(parts), np.zeros((), np.int32))


def as_byte(log_acceptance: jax.Array, tells: jax.Array) -> jax.Array:
    """Return an acceptance probability as it is kept until it is learned from."""
    whole = jnp.round(jnp.exp(log_acceptance.astype(jnp.float32)) * _WHOLE)
    return jnp.where(tells, whole, NOTHING).astype(jnp.uint8)


def summed(kept: jax.Array, pool: jax.Array, pools: int) -> jax.Array:
    """Return sums over the chains of each pool, and how many tell, int ``[2, pools, PERIOD]``.

    Args:
        kept: What chains keep, ``uint8 [lanes, PERIOD]``.
        pool: The pool of each, int ``[lanes]``; ``pools`` for none.
        pools: Number of pools.
    """
    tells = kept != NOTHING
    values = jnp.where(tells, kept, 0).astype(jnp.int32), tells.astype(jnp.int32)
    add = lambda x: jax.ops.segment_sum(x, pool, num_segments=pools + 1)[:pools]  # noqa: E731
    return jnp.stack([add(values[0]), add(values[1])])


class Steps(NamedTuple):
    """What the steps of a period were.

    Args:
        choice: What each moved, ``[PERIOD, ...]``.
        step: The number of each, int ``[PERIOD]``.
        counts: Whether it was made since factors were learned, bool ``[PERIOD]``.
    """

    choice: Choice
    step: jax.Array
    counts: jax.Array


def learned(
    pools: Pools, sums: jax.Array, steps: Steps, throughout: bool, limit: jax.Array, rows: int
) -> Pools:
    r"""Return the factors after what was seen of some steps.

    Maths: :math:`\log f \leftarrow \log f + g_v \min(n, 2) (\alpha - \alpha^*)` for the mean error
    of n visits of all chains of the pool. A row that has hardly been visited follows what was seen
    of the others.

    Args:
        pools: The factors.
        sums: What :func:`summed` returned, of all devices.
        steps: What was done.
        throughout: Whether the temperature falls all the time, so that the gain keeps its floor.
        limit: Logarithm of the factor beyond which no step is wider.
        rows: Number of rows.

    Reference: Andrieu and Thoms, Statistics and Computing 18, 343 (2008), eq. (20).
    """
    choice, dtype = steps.choice, pools.log_rows.dtype
    error, tells, lanes = _errors(sums, steps)
    alone = choice.row >= 0
    group = jnp.asarray(group_of_rows(rows))[jnp.maximum(choice.row, 0)] if rows else choice.row
    of_row = _at(error, tells * alone[None].astype(jnp.int32), group, pools.log_rows.shape[1])
    parts = (choice.parts & ~alone[:, None]).astype(jnp.int32)
    of_part = error @ parts, tells @ parts
    floor = jnp.minimum(_FLOOR * jnp.sqrt(lanes), 1) if throughout else jnp.zeros(())
    gain = lambda v: jnp.maximum((1 + v.astype(jnp.float32)) ** -_DECAY, floor)[None]  # noqa: E731
    every = [jnp.sum(x, axis=1, keepdims=True) for x in of_row]
    strange = 1 / (1 + pools.row_visits.astype(jnp.float32))
    shared = gain(jnp.sum(pools.row_visits, keepdims=True)) * _step(*every) * strange[None]
    row_steps = gain(pools.row_visits) * _step(*of_row) + shared
    part_steps = gain(pools.part_visits) * _step(*of_part)
    ends = LOG_LIMITS[0], jnp.clip(limit.astype(dtype), *LOG_LIMITS)
    kept = _KEPT if throughout else 1.0
    visited = lambda old, x: old * kept + jnp.max(x[1], axis=0).astype(dtype)  # noqa: E731
    return Pools(
        jnp.clip(pools.log_rows + row_steps.astype(dtype), *ends),
        jnp.clip(pools.log_parts + part_steps.astype(dtype), *ends),
        visited(pools.row_visits, of_row),
        visited(pools.part_visits, of_part),
        pools.since,
    )


def _errors(sums: jax.Array, steps: Steps) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Return how far the acceptance of each step was off, whether it tells, of how many chains.

    The first two are whole numbers, ``[pools, PERIOD]``: a sum of floats at places that repeat
    depends on its order.
    """
    choice, voices = steps.choice, jnp.maximum(sums[1], 1).astype(jnp.float32)
    mean = sums[0].astype(jnp.float32) / (voices * _WHOLE)
    target = jnp.nan_to_num(choice.target.astype(jnp.float32))
    on, off = probe_weight(steps.step)
    error = jnp.where(choice.mixed[None], mean * (on - off * target)[None], mean - target[None])
    tells = (sums[1] > 0) & (steps.counts & ~jnp.isnan(choice.target))[None]
    error = jnp.round(jnp.where(tells, error, 0) / _UNIT).astype(jnp.int32)
    return error, tells.astype(jnp.int32), jnp.max(voices)


def _at(
    error: jax.Array, tells: jax.Array, row: jax.Array, rows: int
) -> tuple[jax.Array, jax.Array]:
    """Return errors and visits of each row, int ``[pools, rows]``."""
    none = jnp.zeros((error.shape[0], rows), jnp.int32)
    if not rows:
        return none, none
    return none.at[:, row].add(error * tells), none.at[:, row].add(tells)


def _step(error: jax.Array, visits: jax.Array) -> jax.Array:
    """Return the mean error, times the visits that count."""
    mean = error.astype(jnp.float32) * _UNIT / jnp.maximum(visits, 1).astype(jnp.float32)
    return mean * jnp.minimum(visits.astype(jnp.float32), _VISITS)
