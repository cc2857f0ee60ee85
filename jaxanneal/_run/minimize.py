"""The best state, whatever it takes: searches from new starts until two of them agree."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.keys import as_key, search_key
from jaxanneal._checks import refuse_tracing
from jaxanneal._engine.starts import chain_count
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._methods import BasinHopping, SimulatedAnnealing
from jaxanneal._result.result import Result
from jaxanneal._result.searches import Search
from jaxanneal._run.anneal import Inputs, run_within
from jaxanneal._run.checkpoint import Checkpoint, as_checkpoint
from jaxanneal._run.limits import Limits, as_limits
from jaxanneal._run.problem import as_data, traced_energy
from jaxanneal._run.scatter import bounded_move, limits_within, one_of, scattered
from jaxanneal._run.slopes import sloped
from jaxanneal._settings import known_settings

Params = TypeVar("Params")

_CHAINS = 64

# A search by hopping ends after so many steps without a better energy, and so many times those that
# the best one took.
_PATIENCE, _GROWTH = 1000, 2

# What counts as a better energy there, as a share of the typical difference between minima: what is
# less is the end of a descent.
_LEAST = 1e-6
_HOPPING_STEPS, _RECORD_EVERY = 100_000, 50

# Searches without gradients: moves of the first one, each of the others makes twice as many.
_MOVES = 2000

# So many searches at most, where none finds what another has found.
_SEARCHES = 8

# Two searches agree to this share of what the energy fell, or of its size.
_OF_FALL, _OF_SIZE = 1e-5, 1e-6

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

    Maths: an energy with a gradient that tells something is searched by :class:`BasinHopping`, any
    other by :class:`SimulatedAnnealing` in runs that get longer. A search ends when it makes no
    progress: after 1,000 steps and twice those that its best energy took. Then another one begins
    from new starts, until two have found the same energy, and 8 are the most.
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
            apart, and each comes with an evaluation.
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
    and Vecchi, Science 220, 671 (1983).
    """
    refuse_tracing("minimize", "Call it outside of them.")
    limits = as_limits(
        _HOPPING_STEPS, target, None, max_seconds, max_evaluations, _RECORD_EVERY, progress=progress
    )
    key, checkpoint = as_key(key), as_checkpoint(checkpoint)
    one = one_of(params, key)
    within = limits_within(bounds, one)
    move = bounded_move(bounds, within, one)
    data = as_data(args)
    slopes = sloped(traced_energy(energy, one.tree, data), one, data.leaves)
    chains = chain_count(params) or _CHAINS
    floating = all(jnp.issubdtype(leaf.dtype, jnp.floating) for leaf in one.leaves)
    hops = floating and any(slopes)

    def search(index: int, limits: Limits, checkpoint: Checkpoint | None) -> Result[Any]:
        own = search_key(key, index)
        starts = scattered(params, one, within, own, chains)
        method = BasinHopping(chains=chains) if hops else SimulatedAnnealing(chains=chains)
        if hops:
            patience = {"patience": _PATIENCE, "patience_growth": _GROWTH}
            limits = limits._replace(**patience, least_share=_LEAST)
        else:
            limits = limits._replace(steps=_MOVES * 2**index, record_every=None)
        inputs = Inputs(energy, starts, own, args, method, move)
        return run_within(limits, inputs, None, checkpoint)

    return _best_of(_searches(search, limits, checkpoint))


def _searches(
    search: Callable[[int, Limits, Checkpoint | None], Result[Any]],
    limits: Limits,
    checkpoint: Checkpoint | None,
) -> list[Result[Any]]:
    """Search until there is a reason to stop, or two searches agree; return all results."""
    results: list[Result[Any]] = []
    for index in range(_SEARCHES):
        left = _left(limits, results)
        if left is None:
            break
        own = None if checkpoint is None else _inside(checkpoint, index)
        try:
            results.append(search(index, left, own))
        except BaseException as error:
            found = getattr(error, "result", None)
            if results:
                results += [] if found is None else [found]
                error.result = _best_of(results)  # pyright: ignore[reportAttributeAccessIssue]
            raise
        if results[-1].stop_reason in _ENDS or _agree(results):
            break
    return results


def _inside(checkpoint: Checkpoint, index: int) -> Checkpoint:
    """Return the checkpoint of one search, in a folder of its own."""
    return dataclasses.replace(checkpoint, directory=checkpoint.directory / f"search-{index}")


def _left(limits: Limits, results: list[Result[Any]]) -> Limits | None:
    """Return what earlier searches left of the limits, ``None`` where it is nothing."""
    seconds = limits.max_seconds - sum(result.seconds for result in results)
    budget = limits.max_evaluations
    if budget is not None:
        budget -= sum(result.evaluations for result in results)
        least = 8 * len(results[0].chains.energy) if results else 1
        if budget < least:
            return None
    if seconds <= 0:
        return None
    return limits._replace(max_seconds=seconds, max_evaluations=budget)


def _agree(results: list[Result[Any]]) -> bool:
    """Return whether two searches have found the best energy of all."""
    energies = np.array([result.energy for result in results])
    best = results[int(np.argmin(energies))]
    records = best.history.energy
    first = np.asarray(getattr(records, "median", records))[:1]
    finite = first[np.isfinite(first)]
    fall = float(np.median(finite)) - best.energy if finite.size else 0.0
    near = _OF_FALL * max(fall, 0.0) + _OF_SIZE * abs(best.energy)
    return int(np.count_nonzero(energies <= best.energy + near)) > 1


def _best_of(results: list[Result[Any]]) -> Result[Any]:
    """Return the result of the search that found the best state, with the counts of all."""
    energies = [math.inf if math.isnan(x.energy) else x.energy for x in results]
    best, last = results[int(np.argmin(energies))], results[-1]
    reason = last.stop_reason if last.stop_reason in _ENDS else StopReason.PATIENCE
    return dataclasses.replace(
        best,
        stop_reason=reason,
        evaluations=sum(x.evaluations for x in results),
        gradients=sum(x.gradients for x in results),
        seconds=sum(x.seconds for x in results),
        compile_seconds=sum(x.compile_seconds for x in results),
        searches=tuple(map(_account, results)),
    )


def _account(result: Result[Any]) -> Search:
    method = "basin hopping" if result.gradients else "simulated annealing"
    counts = (len(result.chains.energy), result.steps, result.evaluations, result.gradients)
    return Search(method, *counts, result.energy, result.stop_reason.value)
