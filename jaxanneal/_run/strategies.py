"""How ``minimize`` searches: by hopping where the energy slopes, elsewhere by a population."""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.keys import search_key
from jaxanneal._chain.parameters import Parameters
from jaxanneal._engine.programs import initialiser_program
from jaxanneal._engine.sharding import fetch
from jaxanneal._engine.starts import (
    Stacked,
    initial_parameters,
    is_initialiser,
    stacked,
    traced_start,
)
from jaxanneal._methods.basin_hopping import BasinHopping
from jaxanneal._methods.population_search import PopulationSearch, Quench
from jaxanneal._result.result import Result
from jaxanneal._run.anneal import Inputs, run_within
from jaxanneal._run.checkpoint import Checkpoint
from jaxanneal._run.limits import Limits
from jaxanneal._run.scatter import scattered

# A search by hopping ends after so many steps without a better energy, and so many times those that
# the best one took.
_PATIENCE, _GROWTH = 1000, 2

# What counts as a better energy there, as a share of the typical difference between minima: what is
# less is the end of a descent.
_LEAST = 1e-6

# Two searches agree to this share of what the energy fell, or of its size.
_OF_FALL, _OF_SIZE = 1e-5, 1e-6

# Greedy steps by which a population finds out how much minima differ: so many for each coordinate.
_GREEDY, _EACH, _MOST = 200, 8, 2000

# Temperatures of a round begin at that difference, and end at this share of it.
_COLD = 1e-8

# Steps of the first round, for the root of each coordinate; each of the others makes twice as many.
_ROUND = 250

# Steps after which chains see where others are, and bad ones go on from good ones.
_EVERY = 16

# Rounds in a row without a better energy, the last of them longer than all before.
_WAIT = 3


class Problem(NamedTuple):
    """What is minimised, as the user gave it, and what was learned of it before the first run.

    Args:
        energy: The energy.
        params: Where to start.
        args: The data.
        key: The key of the call.
        one: The parameters of one chain.
        within: The limits of each parameter.
        move: A move that stays within them.
        chains: Number of chains.
    """

    energy: Any
    params: Any
    args: Any
    key: jax.Array
    one: Parameters
    within: Any
    move: Any
    chains: int

    @property
    def coordinates(self) -> int:
        """Number of parameters of one chain."""
        return sum(leaf.size for leaf in self.one.leaves)

    def starts(self, key: jax.Array) -> Any:
        """Return new starts of all chains, for ``anneal``."""
        return scattered(self.params, self.one, self.within, key, self.chains)

    def drawn(self, key: jax.Array) -> Parameters:
        """Return the same as arrays, ``[chains, ...]``."""
        if is_initialiser(self.params):
            start = traced_start(self.params, key, self.chains)
            program = initialiser_program(start.computation, self.chains)
            program.prepare(start.constants, key)
            return program(start.constants, key)
        if isinstance(self.params, Stacked):
            return initial_parameters(self.params, None, self.chains)
        return initial_parameters(self.starts(key), None, self.chains)


class Hops:
    """Searches by basin hopping from new starts, until two agree."""

    name = "basin hopping"

    def __init__(self, problem: Problem):
        self.problem = problem

    def search(
        self, limits: Limits, checkpoint: Checkpoint | None, results: list[Result[Any]]
    ) -> Result[Any]:
        """Make one search, until it makes no progress."""
        problem, key = self.problem, search_key(self.problem.key, len(results))
        patience = {"patience": _PATIENCE, "patience_growth": _GROWTH}
        limits = limits._replace(**patience, least_share=_LEAST)
        method = BasinHopping(chains=problem.chains)
        inputs = (problem.energy, problem.starts(key), key, problem.args, method, problem.move)
        return run_within(limits, Inputs(*inputs), None, checkpoint)

    def is_over(self, results: list[Result[Any]]) -> bool:
        """Return whether two searches have found the best energy of all."""
        energies = np.array([result.energy for result in results])
        best = results[int(np.argmin(energies))]
        records = best.history.energy
        first = np.asarray(getattr(records, "median", records))[:1]
        finite = first[np.isfinite(first)]
        fall = float(np.median(finite)) - best.energy if finite.size else 0.0
        near = _OF_FALL * max(fall, 0.0) + _OF_SIZE * abs(best.energy)
        return int(np.count_nonzero(energies <= best.energy + near)) > 1


class Rounds:
    """Rounds of annealing that get longer, by chains that learn from each other.

    The first one is greedy and finds out how much the energies of minima differ. Half of the chains
    of each round go on from the one before, the other half from new starts.
    """

    name = "annealing of a population"

    def __init__(self, problem: Problem):
        self.problem = problem

    def search(
        self, limits: Limits, checkpoint: Checkpoint | None, results: list[Result[Any]]
    ) -> Result[Any]:
        """Make one round."""
        problem, index = self.problem, len(results)
        key = search_key(problem.key, index)
        if results:
            starts, hot = self._starts(results, key), _spread(results[0])
            steps = _ROUND * math.ceil(math.sqrt(problem.coordinates)) * 2 ** (index - 1)
        else:
            starts, hot = problem.starts(key), float(np.finfo(np.float32).tiny) / _COLD
            steps = min(max(_GREEDY, _EACH * problem.coordinates), _MOST)
        cooling = Quench(hot, _COLD * hot)  # bound to the steps that a budget allows
        method = PopulationSearch(chains=problem.chains, cooling=cooling, replace_every=_EVERY)
        limits = limits._replace(steps=steps, record_every=None)
        inputs = (problem.energy, starts, key, problem.args, method, problem.move)
        return run_within(limits, Inputs(*inputs), None, checkpoint)

    def is_over(self, results: list[Result[Any]]) -> bool:
        """Return whether the last rounds have found nothing better."""
        energies = [result.energy for result in results]
        return len(energies) > _WAIT and min(energies[-_WAIT:]) >= min(energies[:-_WAIT])

    def _starts(self, results: list[Result[Any]], key: jax.Array) -> Any:
        """Return the starts of a round: the best state, chains of the round before, new ones."""
        best = min(results, key=lambda result: result.energy)
        fresh, old = self.problem.drawn(key), results[-1].chains._params
        known = Parameters.of(best.params).leaves
        kept = max(self.problem.chains // 2, 1)
        leaves = []
        for new, last, first in zip(fresh.leaves, old.leaves, known, strict=True):
            mixed = np.array(fetch(new))
            mixed[:kept] = fetch(last)[:kept]
            mixed[0] = np.asarray(first)
            leaves.append(jnp.asarray(mixed))
        return stacked(self.problem.one.with_leaves(leaves).tree)


def _spread(result: Result[Any]) -> float:
    """Return by how much the energies differ where chains were left after greedy steps."""
    energies = fetch(result.chains.energy).astype(np.float64)
    known = energies[np.isfinite(energies)]
    apart = np.abs(known - np.roll(known, len(known) // 2 - 1 if len(known) > 2 else 1))
    least = 1e-7 * abs(float(np.median(known))) + float(np.finfo(np.float32).tiny) / _COLD
    return float(np.median(apart)) + least
