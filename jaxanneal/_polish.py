"""Polish: gradient descent from the best states of a run, with any optax optimiser."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jaxanneal._chain import Energy
from jaxanneal._clock import Clock
from jaxanneal._descent import Descent, descent_program
from jaxanneal._diagnostics import Diagnostics
from jaxanneal._distinct import distinct_best
from jaxanneal._history import History, default_record_every
from jaxanneal._numbers import count, refusal
from jaxanneal._parameters import Parameters, per_parameter
from jaxanneal._problem import as_data, as_energy
from jaxanneal._result import Result
from jaxanneal._start import (
    Stacked,
    chain_count,
    initial_parameters,
    one_chain,
    require_finite,
)
from jaxanneal._stop_reason import StopReason
from jaxanneal.moves._bounds import as_bounds, check_bounds
from jaxanneal.moves._perturbation import Perturbation


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
    program = descent_program(energy, optax.adam(1e-2) if optimizer is None else optimizer)
    inputs = (starts, limits, data, *numbers)
    clock.compiling += program.prepare(*inputs)()
    first, descent, energies = program(*inputs)
    require_finite(first)
    return _result(descent, np.asarray(energies), starts, steps, clock)


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
