"""Swaps of neighbouring rungs: the rule, and all that a swap phase changes."""

import jax
import jax.numpy as jnp

from jaxanneal._chain import keys
from jaxanneal._methods.ladder.free_energy import log_weights, with_weights
from jaxanneal._methods.ladder.groups import counted_on, extremes, group_sums, grouped
from jaxanneal._methods.ladder.ladders import Ladders, at, journeys
from jaxanneal._methods.ladder.rung_energies import with_phase

_COIN = 0  # folded into the key of a swap phase for the coins of "seo"


def swap_phase(
    key: jax.Array, state: Ladders, step: jax.Array, energies: jax.Array, scheme: str
) -> tuple[Ladders, jax.Array]:
    """Let neighbours swap in all ladders.

    Args:
        key: The run key, folded.
        state: The ladders before.
        step: Moves so far, int ``[]``.
        energies: Energy of each replica, float ``[ladders, rungs]``.
        scheme: ``"deo"`` or ``"seo"``.

    Returns:
        The ladders after the swaps, and the probability of each, float ``[ladders, rungs - 1]``.
    """
    temperatures, by_rung = state.ladder.temperatures, at(energies, state.replica)
    acceptance = jnp.exp(log_swap_acceptance(temperatures, by_rung))
    key = keys.stream(key, keys.EXCHANGE, step)
    pair = jnp.arange(acceptance.shape[1], dtype=jnp.int32)
    tried = pair[None, :] % 2 == parity(key, state.swaps, len(acceptance), scheme)[:, None]
    accepted = tried & swap_decisions(key, acceptance)
    return after_phase(state, tried, accepted, energies, by_rung), acceptance


def parity(key: jax.Array, swaps: jax.Array, ladders: int, scheme: str) -> jax.Array:
    """Return which pairs of each ladder try in a phase: 0 for the even ones, 1 for the odd."""
    if scheme == "deo":
        return jnp.full(ladders, swaps % 2, jnp.int32)
    coin = jax.random.bits(jax.random.fold_in(key, _COIN), (ladders,), jnp.uint32)
    return (coin >> 31).astype(jnp.int32)


def after_phase(
    state: Ladders,
    tried: jax.Array,
    accepted: jax.Array,
    energies: jax.Array,
    by_rung: jax.Array,
) -> Ladders:
    """Return the ladders after a swap phase.

    Args:
        state: The ladders before.
        tried: Pairs that try to swap, bool ``[ladders, rungs - 1]``.
        accepted: Pairs that do, likewise.
        energies: Energy of each replica, float ``[ladders, rungs]``.
        by_rung: The same by rung, before the swaps.
    """
    shift = shift_of(accepted)
    rung = state.rung + at(shift, state.rung).astype(state.rung.dtype)
    journey, ended = journeys(state.journey, rung, rung != state.rung)
    both = (grouped(pairs.astype(jnp.int32), 0) for pairs in (tried, accepted))
    attempts, swapped = group_sums(*both)
    last = at(state.energies.last, state.replica)
    lowest, highest = extremes(by_rung)
    temperatures = state.ladder.temperatures
    # From the hotter rung the lowest energy has the largest weight, from the colder the highest.
    largest = log_weights(temperatures, lowest)[0], log_weights(temperatures, highest)[1]
    weights = log_weights(temperatures, by_rung)
    return Ladders(
        rung,
        exchanged(state.replica, shift),
        state.swaps + 1,
        counted_on(state.attempts, attempts),
        counted_on(state.accepted, swapped),
        journey,
        state.round_trips + ended,
        state.warm_swaps,
        state.warm_moves,
        with_weights(state.weights, weights, largest, state.phases),
        with_phase(state.energies, energies, by_rung, last, highest),
        state.ladder,
    )


def log_swap_acceptance(temperatures: jax.Array, energies: jax.Array) -> jax.Array:
    r"""Return the log-probability of each swap of neighbours.

    Maths: :math:`\min(0, (\beta_i - \beta_{i+1}) (E_i - E_{i+1}))`.

    Args:
        temperatures: Strictly increasing, float ``[rungs]``.
        energies: Energy of the replica at each rung, float ``[..., rungs]``.

    Returns:
        Float ``[..., rungs - 1]``; ``-inf`` where both energies are infinite.

    Reference: Swendsen and Wang, Phys. Rev. Lett. 57, 2607 (1986).
    """
    beta = 1 / temperatures.astype(energies.dtype)
    difference = energies[..., :-1] - energies[..., 1:]
    ratio = jnp.broadcast_to(beta[:-1] - beta[1:], difference.shape) * difference
    return jnp.where(jnp.isnan(ratio), -jnp.inf, jnp.minimum(ratio, 0))


def swap_decisions(key: jax.Array, acceptance: jax.Array) -> jax.Array:
    """Decide each pair of all ladders by a uniform number of its own; the key is consumed.

    The numbers of a ladder do not depend on how many come after it.

    Args:
        key: A key.
        acceptance: Probability of each swap, float ``[ladders, rungs - 1]``.
    """
    uniform = jax.random.uniform(key, acceptance.shape, acceptance.dtype)
    return 1 - uniform <= acceptance  # in (0, 1]: a probability of 0 is never accepted


def shift_of(accepted: jax.Array) -> jax.Array:
    """Return by how many rungs the replica at each rung moves, int8 ``[ladders, rungs]``."""
    moved = accepted.astype(jnp.int8)
    return jnp.pad(moved, ((0, 0), (0, 1))) - jnp.pad(moved, ((0, 0), (1, 0)))


def exchanged(values: jax.Array, shift: jax.Array) -> jax.Array:
    """Return values by rung after the swaps: a rung has its neighbour's or keeps its own."""
    up, down = jnp.roll(values, -1, axis=1), jnp.roll(values, 1, axis=1)
    return jnp.where(shift > 0, up, jnp.where(shift < 0, down, values))
