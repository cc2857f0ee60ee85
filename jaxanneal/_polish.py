"""Polish: gradient descent from the best states of a run, with any optax optimiser."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxanneal._blocks import over_chains
from jaxanneal._chain import Chain, Energy, init_chain
from jaxanneal._diagnostics import Diagnostics
from jaxanneal._driver import Clock
from jaxanneal._energy import evaluate
from jaxanneal._history import History, default_record_every
from jaxanneal._numbers import count, refusal
from jaxanneal._parameters import Parameters, per_parameter
from jaxanneal._problem import as_data, as_energy
from jaxanneal._program import Program
from jaxanneal._pytree import pytree_dataclass
from jaxanneal._result import Result, StopReason
from jaxanneal._start import (
    Stacked,
    chain_count,
    initial_parameters,
    one_chain,
    require_finite,
)
from jaxanneal.moves._bounds import as_bounds, check_bounds
from jaxanneal.moves._perturbation import Perturbation

_RECORDS = 1000


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


def polish(
    energy: Energy,
    params_or_result: Any,
    optimizer: optax.GradientTransformation | None = None,
    steps: int = 500,
    args: tuple[Any, ...] = (),
    top: int = 8,
    bounds: tuple[Any, Any] | None = None,
) -> Result[Any]:
    r"""Descend by gradients from the best chains, and never return a worse state than was given.

    Maths: :math:`x \leftarrow \mathrm{clip}(x + u(\nabla E(x)))` with the update u of an optax
    optimiser; the best state of each chain is kept. A chain whose gradient is not finite stops.
    Batching: the chains run side by side.

    Args:
        energy: ``energy(params, *args) -> real scalar``, differentiable by JAX.
        params_or_result: A :class:`Result`, one tree, or ``ja.stacked(tree)``.
        optimizer: Any optax optimiser; ``None``: ``optax.adam(1e-2)``.
        steps: Gradient steps, >= 1.
        args: Data passed to the energy, a tuple.
        top: Start from this many of the best distinct states.
        bounds: ``(lower, upper)``, each a scalar or prefix; by default those of the result's move.

    Returns:
        A :class:`Result` of these chains; ``gradients`` counts them, and ``state`` is ``None``.
        Integer and bool leaves stay as they were.

    Raises:
        TypeError: An input is of the wrong kind, or no leaf is floating.
        ValueError: An input is out of range, or no start has a finite energy.

    Example:
        >>> import jaxanneal as ja
        >>> float(ja.polish(lambda x: (x - 1.0) ** 2, 3.0, steps=1000).params.round(3))
        1.0

    Reference: Kingma and Ba, ICLR (2015), for the default optimiser.
    """
    energy, data, clock = as_energy(energy), as_data(args), Clock()
    if optimizer is not None and not isinstance(optimizer, optax.GradientTransformation):
        remedy = "Write for example optimizer=optax.adam(1e-2)."
        raise TypeError(refusal("optimizer", "an optax optimiser", repr(optimizer), remedy))
    steps = count("steps", steps, 1, "Pass the number of gradient steps.")
    starts = _starts(params_or_result, count("top", top, 1, "Use 1 for the best state alone."))
    limits = _limits(params_or_result, bounds, starts)
    check_bounds("bounds", limits, starts)
    numbers = (np.asarray(steps, np.int32), np.asarray(default_record_every(steps), np.int32))
    program = _program(energy, optax.adam(1e-2) if optimizer is None else optimizer)
    inputs = (starts, limits, data, *numbers)
    clock.compiling += program.prepare(*inputs)()
    first, descent, energies = program(*inputs)
    require_finite(first)
    return _result(descent, np.asarray(energies), starts, steps, clock)


def distinct_best(chains: Chain, top: int) -> list[int]:
    """Return the chains with the lowest best energies, each state once, the best first."""
    leaves = [np.asarray(leaf) for leaf in chains._best_params.leaves]
    chosen: list[int] = []
    seen: set[bytes] = set()
    for chain in np.argsort(np.asarray(chains.best_energy), kind="stable"):
        state = b"".join(leaf[chain].tobytes() for leaf in leaves)
        if state not in seen:
            seen.add(state)
            chosen.append(int(chain))
        if len(chosen) == top:
            break
    return chosen


def _starts(given: Any, top: int) -> Parameters:
    """Return the starts, stacked."""
    if isinstance(given, Result):
        best = np.array(distinct_best(given.chains, top))
        starts = jax.tree.map(lambda x: x[best], given.chains._best_params)
    elif isinstance(given, Stacked):
        found = chain_count(given)
        starts = initial_parameters(given, None, 1 if found is None else found)
    else:
        one = Parameters.of(given, warn=True)
        starts = one.with_leaves(leaf[None] for leaf in one.leaves)
    if not any(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in starts.leaves):
        got = [str(leaf.dtype) for leaf in starts.leaves]
        remedy = "Integer and bool leaves have no gradient; use ja.anneal alone."
        raise TypeError(refusal("params", "at least one floating leaf", got, remedy))
    return starts


def _limits(given: Any, bounds: Any, starts: Parameters) -> list[tuple[Any, ...]]:
    if bounds is None and isinstance(given, Result) and given.state is not None:
        move = given.state.state.move
        bounds = move.bounds if isinstance(move, Perturbation) else None
    pair = as_bounds("bounds", bounds) or (jnp.asarray(-jnp.inf), jnp.asarray(jnp.inf))
    one = Parameters.of(one_chain(starts))
    return [per_parameter(f"bounds[{side}]", pair[side], one) for side in range(2)]


@functools.lru_cache(maxsize=16)
def _program(energy: Any, optimizer: optax.GradientTransformation) -> Program:
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
            energies = jnp.zeros((_RECORDS, width), chains.energy.dtype)
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


def _result(
    descent: Descent, energies: np.ndarray, starts: Parameters, steps: int, clock: Clock
) -> Result[Any]:
    chains = descent.chain
    found = np.asarray(chains.best_energy)
    best, number = int(np.argmin(found)), len(found)
    every = default_record_every(steps)
    records = -(-steps // every)
    energy = energies[:records]
    step = np.minimum(np.arange(1, records + 1) * every, steps)
    none = np.zeros(number)
    # Gradient descent has no temperature; what a run measures of its moves is not defined here.
    unknown = np.full(energy.shape, np.nan)
    history = History(
        step, unknown, energy, np.minimum.accumulate(energy), unknown, np.zeros(records, bool), None
    )
    return Result(
        params=jax.tree.map(lambda x: x[best], chains._best_params).tree,
        energy=float(found[best]),
        chains=chains,
        history=history,
        diagnostics=Diagnostics(none * np.nan, none * np.nan, none.astype(int), None, None),
        stop_reason=StopReason.STEPS,
        steps=steps,
        evaluations=2 * number,
        gradients=steps * number,
        seconds=clock.seconds,
        compile_seconds=clock.compiling,
        state=None,
        fixed=len(starts.structure.fixed),
    )
