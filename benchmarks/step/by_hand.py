"""The moves of a ladder as a loop written by hand for one energy: what no engine can do without.

A proposal from the same noise, its energy, Metropolis' rule, the choice of the new state and of the
best one. No exchange, no step size that adapts, no record, no other move or method.
"""

import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.step.swaps import tempering
from benchmarks.workloads import Workload
from jaxanneal._chain import keys as _keys
from jaxanneal._chain.generator import words
from jaxanneal.moves import _noise


def by_hand(workload: Workload, starts: Any) -> tuple[Callable[[int], None], float]:
    """Return a function that makes moves of all chains, and compile seconds."""
    ladder = tempering(workload.chains, 1).temperatures
    temperatures = jnp.tile(ladder, workload.chains // ladder.shape[0])
    run = _keys.as_key(0)
    keys = jax.vmap(lambda n: _keys.stream(run, _keys.MOVE, n))(jnp.arange(workload.chains))

    def move(step: jax.Array, key: jax.Array, temperature: jax.Array, chain: Any) -> Any:
        state, energy, best, best_energy = chain
        proposal_key, key = jax.random.split(jax.random.fold_in(key, step))
        new = proposed(proposal_key, state)
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
    held = [jax.tree.map(jnp.copy, (starts, energies, starts, energies)), 0]
    began = time.perf_counter()
    one, none = jnp.asarray(1), jnp.asarray(0)
    compiled = jax.jit(loop, donate_argnums=0).lower(held[0], none, one).compile()
    compiling = time.perf_counter() - began

    def moves(steps: int) -> None:
        held[0] = compiled(held[0], jnp.asarray(held[1]), jnp.asarray(steps))
        held[1] += steps
        jax.block_until_ready(held[0])

    return moves, compiling


def proposed(key: jax.Array, state: Any) -> Any:
    """Return a proposal: noise on every coordinate, or one spin turned over."""
    leaves, tree = jax.tree.flatten(state)
    if all(leaf.dtype == jnp.bool_ for leaf in leaves):
        (spins,) = leaves
        site = jax.random.randint(key, (), 0, spins.size)
        turned = jnp.arange(spins.size).reshape(spins.shape) == site
        return jax.tree.unflatten(tree, [spins ^ turned])
    new, first = [], 0
    for leaf in leaves:
        new.append(leaf + 0.01 * _noise.normal(words(key, first, leaf.shape)))
        first += leaf.size
    return jax.tree.unflatten(tree, new)
