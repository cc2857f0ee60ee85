"""What the ladders of a run hold: which replica stands where, and what the swaps did so far."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._methods.ladder.adaptation import Ladder
from jaxanneal._methods.ladder.free_energy import Weights, no_weights
from jaxanneal._methods.ladder.groups import groups_of, no_counts, summed
from jaxanneal._methods.ladder.rung_energies import RungEnergies, no_energies
from jaxanneal._pytree import pytree_dataclass, replace

# Added to how far a replica is on its round trip, once a swap after warm-up has moved it.
_MOVED = 4


@pytree_dataclass
class Ladders:
    """Which replica stands at which rung, and what the swaps did so far.

    Args:
        rung: Rung of each replica, int ``[ladders, rungs]``, of 8 or 16 bits where they suffice.
        replica: Replica at each rung, likewise: the inverse permutations.
        swaps: Swap phases so far, int ``[]``: its parity is that of the next phase.
        attempts: Swaps tried after warm-up, in two words: ``uint32 [2, groups, rungs - 1]``.
        accepted: Those accepted, likewise.
        journey: How far each replica is on its round trip, int8 ``[ladders, rungs]``: 0 before it
            was ever at the coldest rung, 1 on its way up, 2 on its way back down; and 4 more once
            it has moved after warm-up.
        round_trips: Round trips of all replicas that ended after warm-up, int ``[ladders]``.
        warm_swaps: Swap phases up to the end of the warm-up, int ``[]``.
        warm_moves: Proposals accepted at each rung of all ladders up to then, ``uint32 [3, rungs]``
            as :func:`summed` makes it.
        weights: Mean weights between neighbours after warm-up, from the hotter rung and from the
            colder one.
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
    warm_swaps: jax.Array
    warm_moves: jax.Array
    weights: tuple[Weights, Weights]
    energies: RungEnergies
    ladder: Ladder

    @property
    def phases(self) -> jax.Array:
        """Swap phases after warm-up, int ``[]``."""
        return self.swaps - self.warm_swaps


def first_ladders(ladders: int, ladder: Ladder) -> Ladders:
    """Return every replica at the rung of its own number."""
    rungs = ladder.temperatures.shape[0]
    kind = next(x for x in (jnp.int8, jnp.int16, jnp.int32) if rungs <= jnp.iinfo(x).max)
    labels = jnp.tile(jnp.arange(rungs, dtype=kind), (ladders, 1))
    zero, none = jnp.zeros((), jnp.int32), no_counts(groups_of(ladders), rungs - 1)
    # The first replica sets out at once, or its trip would depend on when it is first looked at.
    journey = (labels == 0).astype(jnp.int8)
    trips = jnp.zeros(ladders, jnp.int32)
    weights, energies = no_weights(ladders, rungs), no_energies(ladders, rungs)
    both, warm = (weights, weights), jnp.zeros((3, rungs), jnp.uint32)
    return Ladders(
        labels, labels, zero, none, none, journey, trips, zero, warm, both, energies, ladder
    )


def journeys(journey: jax.Array, rung: jax.Array, moved: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Follow the replicas between the ends of their ladders.

    A round trip leads from the coldest rung to the hottest and back. Looking again where nothing
    has moved changes nothing, so chunks and records leave no trace.

    Args:
        journey: How far each replica was, int ``[ladders, rungs]``.
        rung: The rung where each replica is now, int ``[ladders, rungs]``.
        moved: Whether it has just moved there, bool ``[ladders, rungs]``.

    Returns:
        How far each is now, and the number of round trips that have just ended, int ``[ladders]``.

    Reference: Katzgraber, Trebst, Huse and Troyer, J. Stat. Mech. P03018 (2006).
    """
    cold, hot, place = rung == 0, rung == rung.shape[1] - 1, journey % _MOVED
    ended = jnp.sum(cold & (place == 2), axis=1, dtype=jnp.int32)
    place = jnp.where(cold, 1, jnp.where(hot & (place == 1), 2, place))
    return jnp.where(moved | (journey >= _MOVED), place + _MOVED, place), ended


def has_moved(state: Ladders) -> np.ndarray:
    """Return whether there was a swap at each rung after warm-up, bool ``[ladders * rungs]``.

    A rung whose replica has not moved since had no other one.
    """
    return (np.asarray(state.journey) >= _MOVED).reshape(-1)[np.asarray(places(state.replica))]


def carried(state: Ladders, given: jax.Array | None, old: jax.Array | None) -> Ladders:
    """Return the ladders as a call takes them over that was ``given`` temperatures.

    What was adapted stays; temperatures other than the ``old`` ones hold from here on.
    """
    if given is None or same_temperatures(given, old):
        return state
    return replace(state, ladder=replace(state.ladder, temperatures=given))


def same_temperatures(given: jax.Array | None, old: jax.Array | None) -> bool:
    """Return whether temperatures are those that held before; unknown ones are."""
    known = given is not None and old is not None
    return not known or np.array_equal(np.asarray(given), np.asarray(old))


def under_new_law(state: Ladders, energies: np.ndarray) -> Ladders:
    """Return the ladders with nothing known of the temperatures and energies until now.

    Args:
        state: The ladders.
        energies: Energy of each replica now, float ``[ladders, rungs]``.
    """
    new = restarted(state, jnp.zeros(energies.size, jnp.int32))
    last = jnp.asarray(energies, new.energies.last.dtype)
    ladder = new.ladder  # the round of the warm-up that goes on has seen nothing yet either
    ladder = replace(
        ladder,
        acceptance=jnp.zeros_like(ladder.acceptance),
        phases=jnp.zeros_like(ladder.phases),
    )
    return replace(new, energies=replace(new.energies, last=last), ladder=ladder)


def restarted(state: Ladders, accepted: jax.Array) -> Ladders:
    """Return the ladders with all that is reported counted from here on.

    Args:
        state: The ladders.
        accepted: Proposals accepted so far at each rung, int ``[ladders * rungs]``.
    """
    zero = jax.tree.map(jnp.zeros_like, state)
    none = [Weights(jnp.full_like(x.mean, -jnp.inf), jnp.zeros_like(x.mean)) for x in state.weights]
    energies = replace(zero.energies, last=state.energies.last)
    return replace(
        state,
        attempts=zero.attempts,
        accepted=zero.accepted,
        journey=state.journey % _MOVED,
        round_trips=zero.round_trips,
        warm_swaps=state.swaps,
        warm_moves=summed(accepted.reshape(state.rung.shape)),
        weights=(none[0], none[1]),
        energies=energies,
    )


@jax.jit  # all at once: by itself each operation would be compiled, where a result is made
def places(labels: jax.Array) -> jax.Array:
    """Return labels of each ladder as places in one list of all, int ``[ladders * rungs]``."""
    ladders, rungs = labels.shape
    first = jnp.arange(ladders, dtype=jnp.int32)[:, None] * rungs
    return (first + labels.astype(jnp.int32)).reshape(-1)


def at(values: jax.Array, labels: jax.Array) -> jax.Array:
    """Return the values that stand at labels, ``[ladders, rungs]`` all of them."""
    return values.reshape(-1)[places(labels)].reshape(labels.shape)
