"""Gradient descent of some chains side by side, each keeping its best state."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jaxanneal._chain.calls import outline, traced
from jaxanneal._chain.chain import Chain
from jaxanneal._chain.computation import Computation, Traced, trace
from jaxanneal._chain.energy import differentiated, evaluate
from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import refusal, shown, strong
from jaxanneal._engine.blocks import over_chains
from jaxanneal._engine.compile import Program
from jaxanneal._engine.history import RECORDS
from jaxanneal._pytree import pytree_dataclass


def as_optimizer(optimizer: Any) -> Any:
    """Return the optimiser, by default ``optax.adam(1e-2)``.

    Raises:
        TypeError: It is not an optax optimiser.
    """
    if optimizer is None:
        optimizer = optax.adam(1e-2)
    if not isinstance(optimizer, optax.GradientTransformation):
        remedy = "Write for example optimizer=optax.adam(1e-2)."
        raise TypeError(refusal("optimizer", "an optax optimiser", shown(optimizer), remedy))
    return optax.with_extra_args_support(optimizer)


_KEPT = 16  # programs

# Ulps within which two evaluations of one state may differ, by the order of their sums.
_ROUNDING = 8


@pytree_dataclass
class Descent:
    """One chain on its way down.

    Args:
        chain: The chain; its best state is what counts.
        position: The parameters that move, in the precision of the energy or finer: half precision
            would round small steps away.
        optimizer: The optimiser's state.
        going: Whether everything was finite so far, bool ``[]``.
        sloped: Whether any gradient was not zero, bool ``[]``.
        searched: Evaluations by line searches, as optax counts them, int ``[]``.
    """

    chain: Chain
    position: tuple[jax.Array, ...]
    optimizer: Any
    going: jax.Array
    sloped: jax.Array
    searched: jax.Array


@pytree_dataclass
class Records:
    """Energies of one chain over steps.

    Args:
        energy: Of the current state, float ``[records]``.
        best_energy: Of the best state so far, float ``[records]``.
    """

    energy: jax.Array
    best_energy: jax.Array


def traced_begin(optimizer: Any, free: tuple[bool, ...], chain: Any) -> Traced:
    """Return what makes one chain ready to descend, and an empty record, as it was traced."""

    def begin(chain: Chain) -> tuple[Descent, Records]:
        leaves = _free(chain._params.leaves, free)
        position = tuple(leaf.astype(_finer(leaf.dtype, chain.energy.dtype)) for leaf in leaves)
        with jax.numpy_dtype_promotion("standard"):  # optax's Adam needs it
            state = strong(traced("optimizer.init", optimizer.init, position))
        no, yes, none = jnp.asarray(False), jnp.asarray(True), jnp.zeros((), jnp.int32)
        empty = jnp.zeros(RECORDS, chain.energy.dtype)
        return Descent(chain, position, state, yes, no, none), Records(empty, empty)

    return trace(begin, chain)


def traced_step(
    energy: Any,
    optimizer: Any,
    free: tuple[bool, ...],
    descent: Any,
    limits: Any,
    args: Parameters,
) -> Traced:
    """Return one gradient step of one chain as it was traced: of the energy and the optimiser."""

    def step(descent: Descent, limits: Any, leaves: Any) -> Descent:
        return _step(descent, energy, args.structure.combine(leaves), optimizer, free, limits)

    return trace(step, descent, limits, args.leaves)


@functools.lru_cache(maxsize=_KEPT)
def begin_program(begin: Computation, width: int) -> Program:
    """Return the program that makes all chains ready to descend, and an empty record."""

    def begin_all(constants: Any, chains: Chain) -> tuple[Descent, Records]:
        return over_chains(lambda chain: begin(constants, chain), chains, width)

    return Program(begin_all)


@functools.lru_cache(maxsize=_KEPT)
def descent_program(step: Computation, width: int) -> Program:
    """Return the program that makes the steps from ``first`` up to ``end``, both traced."""

    def descend(
        descent: Descent,
        records: Records,
        limits: Any,
        constants: Any,
        args: Any,
        first: jax.Array,
        end: jax.Array,
        every: jax.Array,
    ) -> tuple[Descent, Records]:
        def one_step(index: jax.Array, carry: tuple[Descent, Records]) -> tuple[Descent, Records]:
            descent, records = carry
            descent = step(constants, descent, limits, args)
            # The step has looked at the state that `index` steps led to, its start included.
            row = jnp.maximum(index - 1, 0) // every
            seen = descent.chain.energy, descent.chain.best_energy
            rows = (records.energy.at[row].set(seen[0]), records.best_energy.at[row].set(seen[1]))
            return descent, Records(*rows)

        def all_steps(carry: tuple[Descent, Records]) -> tuple[Descent, Records]:
            return jax.lax.fori_loop(first, end, one_step, carry)

        return over_chains(all_steps, (descent, records), width)

    return Program(descend)


@functools.lru_cache(maxsize=1)
def settle_program() -> Program:
    """Return the program that chooses the best of each chain's start, best and last state.

    All three are evaluated by one program, so that their energies compare to the last bit. An
    energy that the starts are known by counts, too, where it is theirs to rounding; it may come
    from another program, and what is worse than it is no improvement.
    """

    def settle(known: jax.Array, start: Chain, best: Chain, last: Chain) -> Chain:
        again = start.best_energy
        known = known.astype(again.dtype)
        rounding = _ROUNDING * jnp.finfo(again.dtype).eps * jnp.abs(again)
        agrees = jnp.abs(known - again) <= rounding  # false for NaN
        limit = jnp.where(agrees, jnp.minimum(known, again), again)
        chosen = Chain(start._params, start.energy, start._best_params, limit)
        for other in (best, last):
            chosen = jax.vmap(_keep_best)(chosen, other._params, other.energy)
        energy = chosen.best_energy
        energy = jnp.where(energy < limit, energy, jnp.where(agrees, known, again))
        return Chain(last._params, last.energy, chosen._best_params, energy)

    return Program(settle)


def _finer(a: Any, b: Any) -> Any:
    return a if jnp.finfo(a).bits >= jnp.finfo(b).bits else b


def _free(leaves: Any, free: tuple[bool, ...]) -> tuple[jax.Array, ...]:
    return tuple(leaf for leaf, is_free in zip(leaves, free, strict=True) if is_free)


def _placed(params: Parameters, position: Any, free: tuple[bool, ...]) -> Parameters:
    """Return the parameters at a position, in their own dtypes."""
    rest = iter(position)
    pairs = zip(params.leaves, free, strict=True)
    return params.with_leaves(next(rest).astype(x.dtype) if moves else x for x, moves in pairs)


def _step(
    descent: Descent,
    energy: Any,
    args: Any,
    optimizer: Any,
    free: tuple[bool, ...],
    limits: Any,
) -> Descent:
    """Make one gradient step of one chain; a chain that has stopped stays where it is."""
    position, chain = descent.position, descent.chain

    def value_of(position: Any) -> jax.Array:
        return evaluate(energy, _placed(chain._params, position, free).tree, args)

    value, gradient = differentiated(value_of, position)
    with jax.numpy_dtype_promotion("standard"):  # optax's Adam needs it
        update = functools.partial(optimizer.update, value=value, grad=gradient, value_fn=value_of)
        inputs = gradient, descent.optimizer, position
        update, inner = _as_update(traced("optimizer.update", update, *inputs), *inputs)
        moved = jax.tree.map(lambda x, u: x + u, position, update)
    new = _project(moved, position, limits)
    # Judged before the projection, which would make a box's edge of an infinite step.
    going = descent.going & _finite([value, *gradient, *moved])
    pairs = zip(new, position, strict=True)
    position = tuple(jnp.where(going, a.astype(b.dtype), b) for a, b in pairs)
    inner = jax.tree.map(
        lambda a, b: jnp.where(going, jnp.asarray(a).astype(b.dtype), b), inner, descent.optimizer
    )
    seen = _keep_best(chain, chain._params, value)
    following = Chain(
        _placed(chain._params, position, free), seen.energy, seen._best_params, seen.best_energy
    )
    sloped = descent.sloped | jnp.any(jnp.stack([jnp.any(g != 0) for g in gradient]))
    searched = descent.searched + jnp.where(descent.going, _searched(inner), 0)
    return Descent(following, position, inner, going, sloped, searched)


def _as_update(returned: Any, gradient: Any, state: Any, _: Any) -> tuple[Any, Any]:
    """Return updates and state, or refuse what is not made like gradient and state before."""
    remedy = "An optax optimiser returns (updates, state), both made like those that it gets."
    if not isinstance(returned, tuple) or len(returned) != 2:
        expected = "(updates, state)"
        raise TypeError(refusal("optimizer: update", expected, outline(returned), remedy))
    for name, new, old in zip(("updates", "state"), returned, (gradient, state), strict=True):
        shapes = [[jnp.shape(leaf) for leaf in jax.tree.leaves(tree)] for tree in (new, old)]
        if jax.tree.structure(new) != jax.tree.structure(old) or shapes[0] != shapes[1]:
            path = f"optimizer: update: {name}"
            raise TypeError(refusal(path, outline(old), outline(new), remedy))
    return returned


def _project(moved: Any, position: Any, limits: Any) -> list[jax.Array]:
    """Return the nearest point of the box."""
    places = zip(moved, position, *limits, strict=True)
    return [jnp.clip(x, *(y.astype(old.dtype) for y in ends)) for x, old, *ends in places]


def _searched(state: Any) -> jax.Array:
    """Return the evaluations of the line searches in one update, each with its gradient."""
    counts = optax.tree_utils.tree_get_all_with_path(state, "num_linesearch_steps")
    return sum((jnp.asarray(steps, jnp.int32) for _, steps in counts), jnp.zeros((), jnp.int32))


def _finite(arrays: Any) -> jax.Array:
    return jnp.all(jnp.stack([jnp.all(jnp.isfinite(x)) for x in arrays]))


def _keep_best(chain: Chain, params: Parameters, value: jax.Array) -> Chain:
    """Return the chain at ``params``, with its best state; no infinite value is one."""
    better = (value < chain.best_energy) & jnp.isfinite(value)
    pairs = zip(params.leaves, chain._best_params.leaves, strict=True)
    best = params.with_leaves(jnp.where(better, a, b) for a, b in pairs)
    known = jnp.where(jnp.isfinite(value), value, jnp.inf)
    return Chain(params, known, best, jnp.where(better, value, chain.best_energy))
