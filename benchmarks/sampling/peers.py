"""The peers of the suite `sampling`, each given the ladder and the step sizes that ours ended with.

Every one starts where the target says, is compiled ahead of time, and has a warm-up of as many
moves as ours, which is not timed.
"""

import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.sampling.samplers import Chunks, Ours, Part, Sampler
from benchmarks.targets import Target

Proposal = Callable[[jax.Array, jax.Array], jax.Array]


def peers(ours: Ours) -> Iterator[Sampler]:
    """Yield those that can sample the target."""
    every = ours.target.every
    yield _replica_exchange(ours, None)
    yield _replica_exchange(ours, every)
    yield _random_walk(ours)
    if not ours.target.discrete:
        yield _stretch(ours.target, ours.diagnostics.temperatures[0])


def _starts(target: Target, count: int) -> jax.Array:
    return jax.vmap(target.start)(jax.random.split(jax.random.key(1), count))


def flip(key: jax.Array, spins: jax.Array) -> jax.Array:
    """Flip one site, uniform over all: what our default move for bits does."""
    site = jax.random.randint(key, (), 0, spins.size)
    return (spins.reshape(-1) ^ (jnp.arange(spins.size) == site)).reshape(spins.shape)


def _replica_exchange(ours: Ours, every: int | None) -> Sampler:
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


def _tfp_kernel(ours: Ours, every: int | None) -> Any:
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


def _random_walk(ours: Ours) -> Sampler:
    """Return blackjax's random walk at the coldest temperature, as many chains as our replicas."""
    import blackjax

    target, chains = ours.target, len(ours.scales) * ours.target.ladders
    temperature = float(ours.diagnostics.temperatures[0])
    starts = _starts(target, chains)

    def log_density(x: jax.Array) -> jax.Array:
        return -target.energy(x) / temperature

    if target.discrete:
        kernel = blackjax.rmh(log_density, flip)
    else:
        scale = jnp.full(starts.shape[1:], ours.scales[0], starts.dtype)
        kernel = blackjax.additive_step_random_walk.normal_random_walk(log_density, scale)

    def step(state: Any, key: jax.Array) -> Any:
        return jax.vmap(kernel.step)(jax.random.split(key, chains), state)[0]

    carry = jax.vmap(kernel.init)(starts)
    chunks = Chunks(step, lambda state: state.position, None, carry, target, chains)
    given = "our coldest temperature and its step size, as many chains as our replicas, no ladder"
    return Sampler("blackjax random walk", given, chunks.compile_seconds, chunks.part)


def _stretch(target: Target, temperature: Any) -> Sampler:
    """Return emcee's stretch move at the coldest temperature, as many walkers as our replicas."""
    import emcee

    walkers, records = target.ladders * len(target.temperatures), max(2, target.exchanges // 8)
    energies = jax.jit(jax.vmap(target.energy))
    observe = jax.jit(jax.vmap(target.observe))

    def log_density(x: np.ndarray) -> np.ndarray:
        return -np.asarray(energies(np.asarray(x, np.float32)), np.float64) / float(temperature)

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
        found = -sampler.get_log_prob() * float(temperature)
        evaluations = sampler.iteration * target.every * walkers
        return Part(spent, evaluations, found, np.asarray(seen).reshape(found.shape), None)

    given = "our coldest temperature, as many walkers as our replicas, its default stretch move"
    return Sampler("emcee", given, compiling, part)
