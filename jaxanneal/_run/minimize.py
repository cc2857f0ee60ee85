"""The best state, whatever it takes: searches from new starts until two of them agree."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.keys import as_key
from jaxanneal._checks import refuse_tracing
from jaxanneal._engine.starts import chain_count
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._result.result import Result
from jaxanneal._result.searches import Search
from jaxanneal._run.checkpoint import Checkpoint, as_checkpoint
from jaxanneal._run.limits import Limits, as_limits
from jaxanneal._run.problem import as_data, traced_energy
from jaxanneal._run.scatter import bounded_move, limits_within, one_of
from jaxanneal._run.slopes import sloped
from jaxanneal._run.strategies import Hops, Problem, Rounds
from jaxanneal._settings import known_settings

Params = TypeVar("Params")

_CHAINS = 64

# Steps of each chain that a budget of evaluations should allow: rather fewer chains than fewer.
_STEPS_EACH = 100

_HOPPING_STEPS, _RECORD_EVERY = 100_000, 50

# So many searches at most, where none finds what another has found.
_SEARCHES = 8

# Steps that must be left of a budget for another search.
_LEAST_STEPS = 8

_ENDS = (StopReason.TARGET, StopReason.TIME, StopReason.EVALUATIONS, StopReason.INTERRUPTED)


@known_settings
def minimize(
    energy: Callable[..., Any],
    params: Callable[[jax.Array], Params] | Params,
    *,
    key: Any,
    args: tuple[Any, ...] = (),
    bounds: Any = None,
    target: float | None = None,
    max_evaluations: int | None = None,
    max_seconds: float | None = None,
    progress: bool | None = None,
    checkpoint: Checkpoint | None = None,
) -> Result[Params]:
    r"""Return the best state that can be found, for who wants an answer and no method.

    Maths: an energy of floating parameters with a gradient that tells something is searched by
    :class:`BasinHopping`. A search ends when it makes no progress, after 1,000 steps and twice
    those that its best energy took; then another one begins from new starts, until two have found
    the same energy. Any other is annealed in rounds that get longer, by chains that take blocks
    over from each other and add each other's differences, which samples nothing, until three rounds
    in a row find nothing better. Of either there are 8 at most.
    Batching: write the energy for one chain.

    Args:
        energy: ``energy(params, *args) -> real scalar``, traceable by JAX. To maximise, negate.
        params: Where to start: the first chain begins there, the others are scattered in the
            bounds, and where there are none around it. Or a function ``key -> params``, or
            ``ja.stacked(tree)``.
        key: Int seed, typed key or raw ``uint32`` key; folded.
        args: Data, a tuple.
        bounds: ``(lower, upper)``, each a scalar or pytree prefix of params; for one flat array
            also SciPy's list of (low, high) pairs. Integer leaves need them.
        target: Stop when the best energy is at or below this.
        max_evaluations: Stop before more evaluations of the energy than this; gradients are counted
            apart, and each comes with an evaluation. Of a small budget there are fewer chains.
        max_seconds: Stop after so much wall clock, compilation apart.
        progress: Whether to show a bar; ``None``: on a terminal or in a notebook.
        checkpoint: ``ja.Checkpoint(directory)``: every search is saved in a folder of its own
            there, and the same call goes on from the last save.

    Returns:
        A :class:`Result`: the best state of all searches, the chains and the history of the search
        that found it; counts and seconds are those of all. ``summary()`` says what was done.

    Raises:
        TypeError: An input is of the wrong kind, before anything compiles.
        ValueError: An input is out of range, or no chain starts at a finite energy.
        RuntimeError: The call is made under ``jit`` or ``vmap``.

    Example:
        >>> import jax.numpy as jnp
        >>> import jaxanneal as ja
        >>> energy = lambda x: jnp.sum(x**2 + 10 * (1 - jnp.cos(2 * jnp.pi * x)))
        >>> result = ja.minimize(energy, jnp.full(4, 3.0), key=0, bounds=(-5.0, 5.0), target=1e-4)
        >>> bool(result.energy <= 1e-4)
        True

    Reference: Wales and Doye, J. Phys. Chem. A 101, 5111 (1997), for hopping; Kirkpatrick, Gelatt
    and Vecchi, Science 220, 671 (1983), and ter Braak, Statistics and Computing 16, 239 (2006), for
    the rest.
    """
    refuse_tracing("minimize", "Call it outside of them.")
    limits = as_limits(
        _HOPPING_STEPS, target, None, max_seconds, max_evaluations, _RECORD_EVERY, progress=progress
    )
    key, checkpoint = as_key(key), as_checkpoint(checkpoint)
    one, data = one_of(params, key), as_data(args)
    within = limits_within(bounds, one)
    move = bounded_move(bounds, within, one)
    slopes = sloped(traced_energy(energy, one.tree, data), one, data.leaves)
    chains = chain_count(params) or _affordable(limits)
    problem = Problem(energy, params, args, key, one, within, move, chains)
    floating = all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in one.leaves)
    strategy = Hops(problem) if floating and any(slopes) else Rounds(problem)
    return _best_of(*_searches(strategy, limits, checkpoint), strategy.name)


def _affordable(limits: Limits) -> int:
    """Return the number of chains for a budget."""
    if limits.max_evaluations is None:
        return _CHAINS
    return min(_CHAINS, max(1, limits.max_evaluations // _STEPS_EACH))


def _searches(
    strategy: Any, limits: Limits, checkpoint: Checkpoint | None
) -> tuple[list[Result[Any]], StopReason]:
    """Search until there is a reason to stop; return all results, and the reason."""
    results: list[Result[Any]] = []
    for index in range(_SEARCHES):
        left = _left(limits, results)
        if isinstance(left, StopReason):
            return results, left
        own = None if checkpoint is None else _inside(checkpoint, index)
        try:
            results.append(strategy.search(left, own, results))
        except BaseException as error:
            rescued = getattr(error, "result", None)
            if results:
                results += [] if rescued is None else [rescued]
                everything = _best_of(results, StopReason.INTERRUPTED, strategy.name)
                error.result = everything  # pyright: ignore[reportAttributeAccessIssue]
            raise
        if results[-1].stop_reason in _ENDS:
            return results, results[-1].stop_reason
        if strategy.is_over(results):
            break
    return results, StopReason.PATIENCE


def _inside(checkpoint: Checkpoint, index: int) -> Checkpoint:
    """Return the checkpoint of one search, in a folder of its own."""
    return dataclasses.replace(checkpoint, directory=checkpoint.directory / f"search-{index}")


def _left(limits: Limits, results: list[Result[Any]]) -> Limits | StopReason:
    """Return what earlier searches left of the limits, or which of them is used up."""
    seconds = limits.max_seconds - sum(result.seconds for result in results)
    budget = limits.max_evaluations
    if budget is not None:
        budget -= sum(result.evaluations for result in results)
        least = _LEAST_STEPS * len(results[0].chains.energy) if results else 1
        if budget < least:
            return StopReason.EVALUATIONS
    if seconds <= 0:
        return StopReason.TIME
    return limits._replace(max_seconds=seconds, max_evaluations=budget)


def _best_of(results: list[Result[Any]], reason: StopReason, method: str) -> Result[Any]:
    """Return the result of the search that found the best state, with the counts of all."""
    energies = [math.inf if math.isnan(result.energy) else result.energy for result in results]
    best = results[int(np.argmin(energies))]
    return dataclasses.replace(
        best,
        stop_reason=reason,
        evaluations=sum(result.evaluations for result in results),
        gradients=sum(result.gradients for result in results),
        seconds=sum(result.seconds for result in results),
        compile_seconds=sum(result.compile_seconds for result in results),
        searches=tuple(_account(result, method) for result in results),
    )


def _account(result: Result[Any], method: str) -> Search:
    counts = (len(result.chains.energy), result.steps, result.evaluations, result.gradients)
    return Search(method, *counts, result.energy, result.stop_reason.value)
