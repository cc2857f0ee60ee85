"""What no engine can do without: bare energies, moves written by hand, copies of states, swaps."""

import time
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.random_walk import flip
from benchmarks.step.methods import RUNGS, Program, tempering
from benchmarks.step.tables import BARE, COPY, HAND, SWAPS
from benchmarks.workloads import Workload, energy_loop
from jaxanneal._chain.generator import words
from jaxanneal._chain.keys import MOVE, as_key, stream
from jaxanneal._engine.compile import own_options
from jaxanneal._methods.protocol import Seen
from jaxanneal.moves import _noise

# For each step that is timed: on a CPU one phase alone would be lost beside the call.
_PHASES = 100


def bare(workload: Workload, starts: Any) -> dict[str, Program]:
    """Return the bare evaluations; the one with our flags is missing where there are none."""
    energy, args = workload.energy, workload.args
    began = time.perf_counter()
    batched = jax.jit(jax.vmap(energy, in_axes=(0, *(None for _ in args))))
    batched = batched.lower(starts, *args).compile()
    compiling = time.perf_counter() - began

    def calls(steps: int) -> None:
        for _ in range(steps):
            values = batched(starts, *args)
        jax.block_until_ready(values)

    looped = jax.jit(lambda params, steps: energy_loop(energy, params, args, steps)[1])

    def scan(steps: int) -> None:
        jax.block_until_ready(looped(starts, jnp.asarray(steps)))

    evaluations, options = [calls, scan], own_options(None)
    if options is not None:
        flagged = looped.lower(starts, jnp.asarray(1)).compile(options)
        evaluations.append(lambda steps: jax.block_until_ready(flagged(starts, jnp.asarray(steps))))
    return {x: Program(f, compiling) for x, f in zip(BARE, evaluations, strict=False)}


def floors(workload: Workload, starts: Any) -> Iterator[tuple[str, Program]]:
    """Yield what is timed beside the bare energies, where there are enough chains for a ladder."""
    yield COPY, _copying(starts)
    if workload.chains >= RUNGS:
        yield HAND, _by_hand(workload, starts)
        yield SWAPS, _swaps(workload.chains)


def _by_hand(workload: Workload, starts: Any) -> Program:
    """Return the moves of a ladder as a loop for this one energy.

    A proposal from the same noise, its energy, Metropolis' rule, the choice of the new state and of
    the best one. No exchange, no step size that adapts, no record, no other move or method.
    """
    ladder = tempering(workload.chains, 1).temperatures
    temperatures = jnp.tile(ladder, workload.chains // ladder.shape[0])
    run = as_key(0)
    keys = jax.vmap(lambda n: stream(run, MOVE, n))(jnp.arange(workload.chains))

    def move(step: jax.Array, key: jax.Array, temperature: jax.Array, chain: Any) -> Any:
        state, energy, best, best_energy = chain
        proposal_key, key = jax.random.split(jax.random.fold_in(key, step))
        new = _proposed(proposal_key, state)
        value = workload.energy(new, *workload.args)
        log_u = jnp.log1p(-jax.random.uniform(key, dtype=value.dtype))
        accepted, better = value - energy <= -temperature * log_u, value < best_energy
        return (
            jax.tree.map(lambda x, y: jnp.where(accepted, x, y), new, state),
            jnp.where(accepted, value, energy),
            jax.tree.map(lambda x, y: jnp.where(better, x, y), new, best),
            jnp.where(better, value, best_energy),
        )

    def loop(chains: Any, first: jax.Array, steps: jax.Array) -> Any:
        one = lambda step, chains: jax.vmap(move, (None, 0, 0, 0))(step, keys, temperatures, chains)  # noqa: E731
        return jax.lax.fori_loop(first, first + steps, one, chains)

    energies = jax.vmap(lambda params: workload.energy(params, *workload.args))(starts)
    carry = [jax.tree.map(jnp.copy, (starts, energies, starts, energies)), 0]
    began = time.perf_counter()
    one, none = jnp.asarray(1), jnp.asarray(0)
    compiled = jax.jit(loop, donate_argnums=0).lower(carry[0], none, one).compile()
    compiling = time.perf_counter() - began

    def moves(steps: int) -> None:
        carry[0] = compiled(carry[0], jnp.asarray(carry[1]), jnp.asarray(steps))
        carry[1] += steps
        jax.block_until_ready(carry[0])

    return Program(moves, compiling)


def _proposed(key: jax.Array, state: Any) -> Any:
    """Return a proposal: noise on every coordinate, or one spin turned over."""
    leaves, tree = jax.tree.flatten(state)
    if all(leaf.dtype == jnp.bool_ for leaf in leaves):
        (spins,) = leaves
        return jax.tree.unflatten(tree, [flip(key, spins)])
    new, first = [], 0
    for leaf in leaves:
        new.append(leaf + 0.01 * _noise.normal(words(key, first, leaf.shape)))
        first += leaf.size
    return jax.tree.unflatten(tree, new)


def _copying(starts: Any) -> Program:
    """Return a loop that reads and writes all states, and does nothing else."""

    def again(x: jax.Array) -> jax.Array:
        return ~x if x.dtype == jnp.bool_ else -x

    @jax.jit
    def loop(tree: Any, steps: jax.Array) -> Any:
        return jax.lax.fori_loop(0, steps, lambda _, tree: jax.tree.map(again, tree), tree)

    return Program(lambda steps: jax.block_until_ready(loop(starts, jnp.asarray(steps))), 0.0)


def _swaps(chains: int) -> Program:
    """Return swap phases, some for each step."""
    each = _PHASES if jax.default_backend() == "cpu" else 1
    method, key = tempering(chains, 1), as_key(0)
    ladders, factors, none = method.init(), jnp.zeros(chains), jnp.zeros(chains, jnp.int32)

    def phase(step: jax.Array, carry: tuple[Any, jax.Array]) -> tuple[Any, jax.Array]:
        ladders, energies = carry
        ladders = method.after_round(key, ladders, step, Seen(energies, factors, none)).state
        return ladders, energies * 1.0001  # other energies, or what they decide is hoisted

    @jax.jit
    def loop(ladders: Any, steps: jax.Array) -> Any:
        energies = jnp.linspace(1e-4, 1e-2, chains)
        return jax.lax.fori_loop(1, steps + 1, phase, (ladders, energies))[0].round_trips

    began = time.perf_counter()
    compiled = loop.lower(ladders, jnp.asarray(1)).compile()
    compiling = time.perf_counter() - began

    def phases(steps: int) -> None:
        jax.block_until_ready(compiled(ladders, jnp.asarray(each * steps)))

    return Program(phases, compiling, runs=1 / each)
