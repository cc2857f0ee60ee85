"""Configurations as problems: each is checked as ``anneal`` does, what they share only once."""

import copy
from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxanneal._chain.computation import Traced
from jaxanneal._chain.move import as_move, check_of
from jaxanneal._chain.own_move import traced_move
from jaxanneal._engine.compile import signature
from jaxanneal._engine.setup import Data
from jaxanneal._engine.sharding import default_device, everywhere
from jaxanneal._engine.starts import one_chain
from jaxanneal._methods.protocol import NEVER
from jaxanneal._run.chunks import is_on_host, on_device
from jaxanneal._run.interrupt import Clock
from jaxanneal._run.limits import Limits, as_limits
from jaxanneal._run.problem import (
    Problem,
    as_block,
    as_data,
    as_method,
    check_schedule,
    traced_energy,
)
from jaxanneal._sweep.settings import Settings
from jaxanneal.moves._per_leaf import natural_move

# Data of more bytes than this is not copied for each run of a batch: a batch then shares one.
_COPIED_BYTES = 2**18


class Job(NamedTuple):
    """One configuration, ready to run.

    Args:
        number: Its place in row-major order, c.
        problem: Its checked inputs.
        limits: When its runs stop.
        bound: Its method bound to the run's length; a missing ladder is a placeholder.
        kind: What its program depends on.
    """

    number: int
    problem: Problem
    limits: Limits
    bound: Any
    kind: Any


class Jobs:
    """Make jobs of settings.

    Args:
        energy: The user's energy.
        params: One chain's tree, an initialiser, or a stacked tree.
        key: The user's key, for starts that are only looked at.
        clock: The call's clock.
    """

    def __init__(self, energy: Any, params: Any, key: Any, clock: Clock):
        self.energy, self.params, self.key, self.clock = energy, params, key, clock
        self._problems: dict[Any, Problem] = {}
        self._known: dict[Any, tuple[Any, Any]] = {}

    def _once(self, place: Any, held: Any, make: Callable[[], Any]) -> Any:
        """Return what was made at a place before.

        ``held`` is what the place is numbered by: let go of, its number could be another's.
        """
        if place not in self._known:
            self._known[place] = held, make()
        return self._known[place][1]

    def make(self, number: int, settings: Settings) -> Job:
        """Return the job of one configuration.

        Raises:
            TypeError, ValueError: As ``anneal`` would with these settings.
        """
        given = settings.steps, settings.target, settings.patience
        budget = {"max_evaluations": settings.max_evaluations}
        limits = as_limits(*given, **budget, record_every=NEVER, progress=False)
        problem = self._problem(settings)
        limits = problem.affordable(limits)
        bound, kind = self._bound(problem, limits.steps)
        parts = (problem.move, problem.data)
        kinds = [self._kind(part) for part in parts]
        kinds += [problem.energy.computation, problem.width, self._shared_data(problem)]
        return Job(number, problem, limits, bound, (kind, *kinds))

    def _bound(self, problem: Problem, steps: int) -> tuple[Any, Any]:
        """Return the method bound to the run's length, and what a program depends on of it."""

        def bind() -> tuple[Any, Any]:
            bound = problem.bound(problem.method, steps)
            self._check_schedule(bound, steps)
            return bound, signature(on_device(bound))

        return self._once(("bound", id(problem.method), steps), problem.method, bind)

    def _kind(self, part: Any) -> Any:
        return self._once(("kind", id(part)), part, lambda: signature(part))

    def _shared_data(self, problem: Problem) -> Any:
        """Return what tells batches apart that each share one copy of large data."""
        size = sum(leaf.nbytes for leaf in problem.data.args)
        return id(problem.data) if size > _COPIED_BYTES else None

    def _problem(self, settings: Settings) -> Problem:
        method = as_method(settings.method, self.params)
        if settings.block is not None:
            as_block(settings.block)
        place = method.chains, settings.block
        known = self._problems.get(place)
        if known is None:
            inputs = (self.energy, self.params, self.key, settings.args, method, settings.move)
            # A run of a sweep stays on one device, which naming the default says.
            with jax.default_device(default_device()):
                known = Problem(*inputs, settings.block, None, self.clock)
            self._problems[place] = known
            move, args = known.move, known.args
            self._once(("move", method.chains, id(settings.move)), settings.move, lambda: move)
            self._once(("args", _identity(settings.args)), settings.args, lambda: args)
            place = "energy", method.chains, signature(args)
            self._once(place, args, lambda energy=known.energy: energy)
        problem = copy.copy(known)
        problem.method, problem.args = method, self._args_of(settings.args)
        problem.energy = self._energy_of(problem)
        # One object for data that is the same: then a batch shares it.
        place = "data", id(problem.args), id(problem.energy)
        problem.data = self._once(
            place, problem, lambda: Data(problem.args.leaves, problem.energy.constants)
        )
        problem.move = self._move_of(settings.move, problem)
        problem.method = self._fitted(problem)
        return problem

    def _fitted(self, problem: Problem) -> Any:
        method, move = problem.method, problem.move
        place = "fitted", id(method), id(move), method.chains
        return self._once(place, (method, move), lambda: method.fitted(problem.starts, move))

    def _move_of(self, move: Any, problem: Problem) -> Any:
        count = problem.method.chains
        one = self._once(("one chain", count), None, lambda: one_chain(problem.starts))

        def check() -> Any:
            checked = natural_move(one) if move is None else as_move(move)
            check_of(checked, one)
            check_of(checked, problem.starts.tree)
            return traced_move(checked, one)

        return self._once(("move", count, id(move)), move, check)

    def _args_of(self, args: Any) -> Any:
        place = "args", _identity(args)
        return self._once(place, args, lambda: everywhere(as_data(args), None))

    def _energy_of(self, problem: Problem) -> Traced:
        """Return the energy for the data of a configuration, traced once for data of one kind."""
        args, count = problem.args, problem.method.chains
        one = self._once(("one chain", count), None, lambda: one_chain(problem.starts))
        energy = lambda: everywhere(traced_energy(self.energy, one, args), None)  # noqa: E731
        return self._once(("energy", count, signature(args)), args, energy)

    def _check_schedule(self, bound: Any, steps: int) -> None:
        cooling = bound.cooling
        if cooling is not None:
            own = id(cooling) if is_on_host(bound) else signature(cooling)
            place = "schedule", type(cooling), own, steps, bound.looks_ahead(steps)
            self._once(place, cooling, lambda: check_schedule(bound, 0, steps))


def _identity(args: Any) -> Any:
    if not isinstance(args, tuple):
        return id(args)
    return tuple(id(leaf) for leaf in jax.tree.leaves(args)), jax.tree.structure(args)
