"""The peers of the suite `sampling`, each with the ladder and the step sizes that ours ended with.

Every one starts where the target says, is compiled ahead of time, and has a warm-up of as many
moves as ours, which is not timed.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.ladder_run import LadderRun, Part
from benchmarks.random_walk import flip, random_walk
from benchmarks.targets import Target


class Sampler(NamedTuple):
    """A way to sample, compiled and warmed up.

    Args:
        name: As the table shows it.
        given: The settings that it has, beside the energy, in words.
        compile_seconds: Seconds that compiling took.
        part: Goes on for about so many seconds; ours makes one repeat, however long it takes.
    """

    name: str
    given: str
    compile_seconds: float
    part: Callable[[float], Part]


class Chunks:
    """A compiled program that makes a fixed number of records and can be called again.

    Args:
        step: ``(carry, key) -> carry``: one move of all chains.
        cold: ``carry -> params``: those to be recorded, ``[chains, ...]``.
        trips: ``carry -> int``: round trips so far, or ``None``.
        carry: What the first move starts from.
        target: What is sampled.
        replicas: Energy evaluations of one move.
    """

    def __init__(
        self,
        step: Callable[[Any, jax.Array], Any],
        cold: Callable[[Any], jax.Array],
        trips: Callable[[Any], jax.Array] | None,
        carry: Any,
        target: Target,
        replicas: int,
    ):
        self.records = max(2, target.exchanges // 8)
        self.carry, self.trips, self.calls = carry, trips, 0
        self.evaluations = self.records * target.every * replicas

        def record(carry: Any, key: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array]]:
            move = lambda i, c: step(c, jax.random.fold_in(key, i))  # noqa: E731
            carry = jax.lax.fori_loop(0, target.every, move, carry)
            params = cold(carry)
            return carry, (jax.vmap(target.energy)(params), jax.vmap(target.observe)(params))

        def chunk(carry: Any, number: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array]]:
            key = jax.random.fold_in(jax.random.key(0), number)
            return jax.lax.scan(record, carry, jax.random.split(key, self.records))

        began = time.perf_counter()
        self.run = jax.jit(chunk).lower(carry, jnp.asarray(0)).compile()
        self.compile_seconds = time.perf_counter() - began
        for _ in range(-(-target.warm // self.records)):  # the warm-up, as long as ours
            self._one()

    def _one(self) -> tuple[jax.Array, jax.Array]:
        self.carry, drawn = self.run(self.carry, jnp.asarray(self.calls))
        self.calls += 1
        return jax.block_until_ready(drawn)

    def part(self, seconds: float) -> Part:
        """Make chunks until so many seconds are used up, the last one in full."""
        before = 0 if self.trips is None else int(self.trips(self.carry))
        drawn, spent, began = [], 0.0, time.perf_counter()
        while not drawn or spent < seconds:
            drawn.append(self._one())
            spent = time.perf_counter() - began
        energies, observed = (np.concatenate(x) for x in zip(*drawn, strict=True))
        trips = None if self.trips is None else int(self.trips(self.carry)) - before
        return Part(spent, len(drawn) * self.evaluations, energies, observed, trips)


def peers(ours: LadderRun) -> Iterator[Sampler]:
    """Yield those that can sample the target."""
    every = ours.target.every
    yield _replica_exchange(ours, None)
    yield _replica_exchange(ours, every)
    yield _random_walk(ours)
    if not ours.target.discrete:
        yield _stretch(ours.target, ours.diagnostics.temperatures[0])


def _starts(target: Target, count: int) -> jax.Array:
    return jax.vmap(target.start)(jax.random.split(jax.random.key(1), count))


def _replica_exchange(ours: LadderRun, every: int | None) -> Sampler:
    """Return TFP's kernel in a loop that counts round trips, which TFP does not.

    Args:
        ours: The run whose ladder and step sizes it gets.
        every: Moves between exchanges, even and odd in turn; ``None``: the documented default, an
            exchange after every move, even or odd by a coin.
    """
    target, rungs = ours.target, len(ours.scales)

    def step(carry: Any, key: jax.Array) -> Any:
        state, results, journey, trips = carry
        state, results = kernel.one_step(state, results, seed=jax.random.key_data(key))
        journey, ended = travelled(journey, results.is_swap_accepted_adjacent)
        return state, results, journey, trips + ended

    with warnings.catch_warnings():
        # TFP asks for integers of 64 bits, and says each time that it gets 32.
        warnings.filterwarnings("ignore", "Explicitly requested dtype", UserWarning)
        kernel, starts = _tfp_kernel(ours, every), _starts(target, target.ladders)
        journey = jnp.zeros((rungs, target.ladders), jnp.int32).at[0].set(1)
        carry = (starts, kernel.bootstrap_results(starts), journey, jnp.zeros((), jnp.int32))
        replicas = rungs * target.ladders
        chunks = Chunks(step, lambda c: c[0], lambda c: c[3], carry, target, replicas)
    name = "TFP" if every is None else "TFP, exchanges as ours"
    given = "our ladder and step sizes, an exchange after every move, even or odd by a coin"
    if every is not None:
        given = f"our ladder and step sizes, an exchange every {every} moves, even and odd in turn"
    return Sampler(name, given, chunks.compile_seconds, chunks.part)


def _tfp_kernel(ours: LadderRun, every: int | None) -> Any:
    """Return ``ReplicaExchangeMC`` around a random walk, or around flips of one site."""
    from tensorflow_probability.substrates import jax as tfp

    energy, event = ours.target.energy, ours.target.shape

    def log_density(x: jax.Array) -> jax.Array:
        flat = jax.vmap(energy)(x.reshape((-1, *event)))
        return -flat.reshape(x.shape[: x.ndim - len(event)])

    def flips(parts: list[jax.Array], seed: jax.Array) -> list[jax.Array]:
        flat = parts[0].reshape((-1, *event))
        keys = jax.random.split(seed, len(flat))
        return [jax.vmap(flip)(keys, flat).reshape(parts[0].shape)]

    scale = jnp.asarray(ours.scales, jnp.float32).reshape(-1, *(1 for _ in (0, *event)))
    walk = flips if ours.target.discrete else tfp.mcmc.random_walk_normal_fn(scale=scale)
    # A little more than 1 / every: TFP rounds its inverse up.
    even_odd = tfp.mcmc.even_odd_swap_proposal_fn((1 + 1e-6) / (every or 1))
    return tfp.mcmc.ReplicaExchangeMC(
        target_log_prob_fn=log_density,
        inverse_temperatures=1 / jnp.asarray(ours.diagnostics.temperatures, jnp.float32),
        make_kernel_fn=lambda f: tfp.mcmc.RandomWalkMetropolis(f, new_state_fn=walk),
        **({} if every is None else {"swap_proposal_fn": even_odd}),
    )


def travelled(journey: jax.Array, accepted: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Follow what stands at each rung through one phase of swaps.

    Args:
        journey: 0 before its first visit to the coldest rung, 1 on its way up, 2 on its way down,
            int ``[rungs, ladders]``.
        accepted: Pairs that swapped, bool ``[rungs - 1, ladders]``, no two of them neighbours.

    Returns:
        The journeys after the swaps, and how many round trips have just ended.
    """
    swapped = accepted.astype(jnp.int32)
    none = jnp.zeros_like(swapped[:1])
    up, down = (jnp.concatenate(x) for x in ((swapped, none), (none, swapped)))
    place = jnp.arange(journey.shape[0])[:, None] + up - down
    journey = jnp.take_along_axis(journey, place, axis=0)
    ended = jnp.sum((journey[0] == 2).astype(jnp.int32))
    hot = jnp.where(journey[-1] == 1, 2, journey[-1])
    return journey.at[-1].set(hot).at[0].set(1), ended


def _random_walk(ours: LadderRun) -> Sampler:
    """Return blackjax's random walk at the coldest temperature, as many chains as our replicas."""
    target, chains = ours.target, len(ours.scales) * ours.target.ladders
    temperature, scale = float(ours.diagnostics.temperatures[0]), float(ours.scales[0])

    def log_density(x: jax.Array) -> jax.Array:
        return -target.energy(x) / temperature

    step, carry = random_walk(log_density, _starts(target, chains), scale)
    chunks = Chunks(step, lambda state: state.position, None, carry, target, chains)
    given = "our coldest temperature and its step size, as many chains as our replicas, no ladder"
    return Sampler("blackjax random walk", given, chunks.compile_seconds, chunks.part)


def _stretch(target: Target, temperature: Any) -> Sampler:
    """Return emcee's stretch move at the coldest temperature, as many walkers as our replicas."""
    import emcee

    walkers, records = target.ladders * len(target.temperatures), max(2, target.exchanges // 8)
    energies_of = jax.jit(jax.vmap(target.energy))
    observe = jax.jit(jax.vmap(target.observe))

    def log_density(x: np.ndarray) -> np.ndarray:
        return -np.asarray(energies_of(np.asarray(x, np.float32)), np.float64) / float(temperature)

    starts = np.asarray(_starts(target, walkers), np.float64)
    began = time.perf_counter()
    for count in (walkers, walkers // 2):  # the start, and the half that moves
        log_density(starts[:count])
    compiling = time.perf_counter() - began
    sampler = emcee.EnsembleSampler(walkers, starts.shape[1], log_density, vectorize=True)
    first = emcee.State(starts, random_state=np.random.RandomState(0).get_state())
    held = [sampler.run_mcmc(first, target.warm, thin_by=target.every)]

    def part(seconds: float) -> Part:
        sampler.reset()
        spent, began = 0.0, time.perf_counter()
        while sampler.iteration == 0 or spent < seconds:
            held[0] = sampler.run_mcmc(held[0], records, thin_by=target.every)
            spent = time.perf_counter() - began
        drawn = sampler.get_chain()
        seen = observe(np.asarray(drawn.reshape(-1, drawn.shape[2]), np.float32))
        energies = -sampler.get_log_prob() * float(temperature)
        evaluations = sampler.iteration * target.every * walkers
        return Part(spent, evaluations, energies, np.asarray(seen).reshape(energies.shape), None)

    given = "our coldest temperature, as many walkers as our replicas, its default stretch move"
    return Sampler("emcee", given, compiling, part)
