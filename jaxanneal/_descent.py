"""Gradient descent of some chains side by side, each keeping its best state."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxanneal._blocks import over_chains
from jaxanneal._chain import Chain, init_chain
from jaxanneal._energy import evaluate
from jaxanneal._history import RECORDS
from jaxanneal._parameters import Parameters
from jaxanneal._program import Program
from jaxanneal._pytree import pytree_dataclass


@pytree_dataclass
class Descent:
    """One chain on its way down.

    Args:
        chain: The chain; its best state is what counts.
        optimizer: The optimiser's state.
        going: Whether its gradients were finite so far, bool ``[]``.
    """

    chain: Chain
    optimizer: Any
    going: jax.Array


@functools.lru_cache(maxsize=16)
def descent_program(energy: Any, optimizer: optax.GradientTransformation) -> Program:
    """Return the program that descends from stacked starts, for a traced number of steps."""
    extended = optax.with_extra_args_support(optimizer)

    def descend(
        starts: Parameters, limits: Any, data: Parameters, steps: jax.Array, every: jax.Array
    ) -> tuple[Chain, Descent, jax.Array]:
        width = starts.leaves[0].shape[0]
        args = data.tree
        chains = over_chains(lambda p: init_chain(p, energy=energy, args=args), starts, width)

        def begin(chain: Chain) -> Descent:
            inner = extended.init(_floating(chain._params))
            return Descent(chain, inner, jnp.asarray(True))

        def one_step(index: jax.Array, carry: tuple[Descent, jax.Array]) -> Any:
            descent, energies = carry
            move = lambda d: _step(d, energy, args, extended, limits)  # noqa: E731
            descent = over_chains(move, descent, width)
            return descent, energies.at[index // every].set(descent.chain.energy)

        with jax.numpy_dtype_promotion("standard"):  # optax's Adam needs it
            descent = over_chains(begin, chains, width)
            energies = jnp.zeros((RECORDS, width), chains.energy.dtype)
            descent, energies = jax.lax.fori_loop(0, steps, one_step, (descent, energies))
            final = over_chains(lambda d: _settle(d, energy, args), descent, width)
        return chains, final, energies

    return Program(descend)


def _floating(params: Parameters) -> list[jax.Array]:
    return [leaf for leaf in params.leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]


def _with_floating(params: Parameters, values: list[jax.Array]) -> Parameters:
    rest = iter(values)
    return params.with_leaves(
        next(rest) if jnp.issubdtype(leaf.dtype, jnp.floating) else leaf for leaf in params.leaves
    )


def _step(descent: Descent, energy: Any, args: Any, optimizer: Any, limits: Any) -> Descent:
    """Make one gradient step of one chain; a chain that has stopped stays where it is."""
    chain = descent.chain
    params = chain._params

    def value_of(values: list[jax.Array]) -> jax.Array:
        return evaluate(energy, _with_floating(params, values).tree, args)

    now = _floating(params)
    value, gradient = jax.value_and_grad(value_of)(now)
    sound = jnp.all(jnp.stack([jnp.all(jnp.isfinite(g)) for g in gradient])) & jnp.isfinite(value)
    going = descent.going & sound
    update, inner = optimizer.update(
        gradient, descent.optimizer, now, value=value, grad=gradient, value_fn=value_of
    )
    box = [
        pair
        for pair, leaf in zip(zip(*limits, strict=True), params.leaves, strict=True)
        if jnp.issubdtype(leaf.dtype, jnp.floating)
    ]
    new = [
        jnp.clip(x + u, low.astype(x.dtype), high.astype(x.dtype)).astype(x.dtype)
        for x, u, (low, high) in zip(now, update, box, strict=True)
    ]
    kept = _keep_best(chain, params, value)
    moved = [jnp.where(going, a, b) for a, b in zip(new, now, strict=True)]
    inner = jax.tree.map(lambda a, b: jnp.where(going, a, b), inner, descent.optimizer)
    following = Chain(
        _with_floating(params, moved), kept.energy, kept._best_params, kept.best_energy
    )
    return Descent(following, inner, going)


def _settle(descent: Descent, energy: Any, args: Any) -> Descent:
    """Evaluate the last state of one chain, which no gradient step has looked at yet."""
    chain = descent.chain
    value = evaluate(energy, chain.params, args)
    return Descent(_keep_best(chain, chain._params, value), descent.optimizer, descent.going)


def _keep_best(chain: Chain, params: Parameters, value: jax.Array) -> Chain:
    better = value < chain.best_energy  # false for NaN
    pairs = zip(params.leaves, chain._best_params.leaves, strict=True)
    best = params.with_leaves(jnp.where(better, a, b) for a, b in pairs)
    return Chain(params, value, best, jnp.where(better, value, chain.best_energy))
