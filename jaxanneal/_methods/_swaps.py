"""Swaps of neighbouring rungs: what the ladders hold, and the rule of a swap."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._methods._equal_rejection import Ladder
from jaxanneal._methods._free_energy import Weights, no_weights, with_weights
from jaxanneal._methods._rung_energies import RungEnergies, no_energies, with_phase
from jaxanneal._pytree import pytree_dataclass, replace


@pytree_dataclass
class Ladders:
    """Which replica stands at which rung, and what the swaps did so far.

    Args:
        rung: Rung of each replica, int ``[ladders, rungs]``.
        replica: Replica at each rung, int ``[ladders, rungs]``: the inverse permutations.
        swaps: Swap phases so far, int ``[]``: its parity is that of the next phase.
        attempts: Swaps tried after warm-up, int ``[ladders, rungs - 1]``.
        accepted: Swaps accepted after warm-up, int ``[ladders, rungs - 1]``.
        journey: How far each replica is on its round trip, int ``[ladders, rungs]``: 0 before it
            was ever at the coldest rung, 1 on its way up, 2 on its way back down.
        round_trips: Round trips of all replicas that ended after warm-up, int ``[ladders]``.
        phases: Swap phases after warm-up, int ``[]``.
        weights: Mean weights between neighbours after warm-up.
        energies: What the energies at each rung said after warm-up.
        ladder: The temperatures, one ladder for all.
    """

    rung: jax.Array
    replica: jax.Array
    swaps: jax.Array
    attempts: jax.Array
    accepted: jax.Array
    journey: jax.Array
    round_trips: jax.Array
    phases: jax.Array
    weights: Weights
    energies: RungEnergies
    ladder: Ladder


def first_ladders(ladders: int, ladder: Ladder) -> Ladders:
    """Return every replica at the rung of its own number."""
    rungs = ladder.temperatures.shape[0]
    labels = jnp.tile(jnp.arange(rungs, dtype=jnp.int32), (ladders, 1))
    none = jnp.zeros((ladders, rungs - 1), jnp.int32)
    zero = jnp.zeros((), jnp.int32)
    # The first replica sets out at once, or its trip would depend on when it is first looked at.
    journey = (labels == 0).astype(jnp.int32)
    trips = jnp.zeros(ladders, jnp.int32)
    weights, energies = no_weights(ladders, rungs), no_energies(ladders, rungs)
    return Ladders(
        labels, labels, zero, none, none, journey, trips, zero, weights, energies, ladder
    )


def journeys(journey: jax.Array, rung: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Follow the replicas between the ends of their ladders.

    A round trip leads from the coldest rung to the hottest and back. Looking again where nothing
    has moved changes nothing, so chunks and records leave no trace.

    Args:
        journey: How far each replica was, int ``[ladders, rungs]``.
        rung: The rung where each replica is now, int ``[ladders, rungs]``.

    Returns:
        How far each is now, and the number of round trips that have just ended, int ``[ladders]``.

    Reference: Katzgraber, Trebst, Huse and Troyer, J. Stat. Mech. P03018 (2006).
    """
    cold, hot = rung == 0, rung == rung.shape[1] - 1
    ended = jnp.sum((cold & (journey == 2)).astype(jnp.int32), axis=1)
    return jnp.where(cold, 1, jnp.where(hot & (journey == 1), 2, journey)), ended


def carried(state: Ladders, given: jax.Array | None, old: jax.Array | None) -> Ladders:
    """Return the ladders as a call takes them over that was ``given`` temperatures.

    What was adapted stays; temperatures other than the ``old`` ones hold from here on.
    """
    if given is None or old is None or np.array_equal(np.asarray(given), np.asarray(old)):
        return state
    return replace(state, ladder=replace(state.ladder, temperatures=given))


def restarted(state: Ladders) -> Ladders:
    """Return the ladders with all that is reported counted from here on."""
    zero = jax.tree.map(jnp.zeros_like, state)
    counts = ("attempts", "accepted", "round_trips", "phases")
    weights = Weights(jnp.full_like(state.weights.mean, -jnp.inf), zero.weights.mean)
    energies = replace(zero.energies, last=state.energies.last)
    fresh = {name: getattr(zero, name) for name in counts}
    return replace(state, weights=weights, energies=energies, **fresh)


@jax.jit  # all at once: by itself each operation would be compiled, where a result is made
def places(replica: jax.Array) -> jax.Array:
    """Return the replicas at all rungs as places in one list, int ``[ladders * rungs]``."""
    ladders, rungs = replica.shape
    first = jnp.arange(ladders, dtype=jnp.int32)[:, None] * rungs
    return (first + replica).reshape(-1)


def after_phase(
    state: Ladders,
    due: jax.Array,
    tried: jax.Array,
    accepted: jax.Array,
    energies: jax.Array,
    log_weights: jax.Array,
) -> Ladders:
    """Return the ladders after a swap phase, or after a round without one.

    Args:
        state: The ladders before.
        due: Whether this is a swap phase, bool ``[]``.
        tried: Pairs that try to swap, bool ``[ladders, rungs - 1]``.
        accepted: Pairs that do, bool ``[ladders, rungs - 1]``.
        energies: Energy at each rung before the swaps, float ``[ladders, rungs]``.
        log_weights: Logarithms of the weights between neighbours before the swaps, float
            ``[2, ladders, rungs - 1]``.
    """
    shift = shift_of(accepted)
    rung = state.rung + jnp.take_along_axis(shift, state.rung, 1, "clip")
    journey, ended = journeys(state.journey, rung)
    swapped = exchanged(energies, shift)
    counted = (
        with_weights(state.weights, log_weights, state.phases),
        with_phase(state.energies, energies, swapped, state.phases),
    )
    weights, known = jax.tree.map(
        lambda new, old: jnp.where(due, new, old), counted, (state.weights, state.energies)
    )
    return Ladders(
        rung,
        exchanged(state.replica, shift),
        state.swaps + due.astype(jnp.int32),
        state.attempts + tried.astype(jnp.int32),
        state.accepted + accepted.astype(jnp.int32),
        journey,
        state.round_trips + ended,
        state.phases + due.astype(jnp.int32),
        weights,
        known,
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


def swap_decisions(key: jax.Array, log_ratio: jax.Array) -> jax.Array:
    """Decide each pair of one ladder by a uniform number of its own; the key is consumed."""
    uniform = jax.random.uniform(key, log_ratio.shape, log_ratio.dtype)
    return 1 - uniform <= jnp.exp(log_ratio)  # in (0, 1]: a probability of 0 is never accepted


def shift_of(accepted: jax.Array) -> jax.Array:
    """Return by how many rungs the replica at each rung moves, int ``[ladders, rungs]``."""
    moved = accepted.astype(jnp.int32)
    return jnp.pad(moved, ((0, 0), (0, 1))) - jnp.pad(moved, ((0, 0), (1, 0)))


def exchanged(values: jax.Array, shift: jax.Array) -> jax.Array:
    """Return values by rung after the swaps: a rung has its neighbour's or keeps its own."""
    up, down = jnp.roll(values, -1, axis=1), jnp.roll(values, 1, axis=1)
    return jnp.where(shift > 0, up, jnp.where(shift < 0, down, values))
