"""Configurations as problems: each is checked as ``anneal`` does, what they share only once."""

import copy
from typing import Any, NamedTuple

import jax

from jaxanneal._chain.move import as_move, check_of
from jaxanneal._engine.compile import signature
from jaxanneal._engine.sharding import default_device, everywhere
from jaxanneal._engine.starts import one_chain
from jaxanneal._methods.protocol import NEVER
from jaxanneal._run.chunks import is_on_host, on_device
from jaxanneal._run.interrupt import Clock
from jaxanneal._run.limits import Limits, as_limits
from jaxanneal._run.problem import Problem, as_data, as_method, check_schedule
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
        self._data: dict[Any, tuple[Any, Any]] = {}
        # By the number of an object, and with it: alone, its number could become another's.
        self._checked: dict[Any, Any] = {}
        self._methods: dict[Any, Any] = {}
        self._kinds: dict[Any, Any] = {}
        self._one: dict[int, Any] = {}

    def make(self, number: int, settings: Settings) -> Job:
        """Return the job of one configuration.

        Raises:
            TypeError, ValueError: As ``anneal`` would with these settings.
        """
        limits = as_limits(
            settings.steps, settings.target, settings.patience, None, NEVER, None, None, False
        )
        problem = self._problem(settings)
        bound, kind = self._bound(problem, limits.steps)
        parts = (problem.move, problem.data)
        kinds = [self._kind(part) for part in parts]
        kinds += [problem.width, self._shared_data(problem)]
        return Job(number, problem, limits, bound, (kind, *kinds))

    def _bound(self, problem: Problem, steps: int) -> tuple[Any, Any]:
        """Return the method bound to the run's length, and what a program depends on of it."""
        place = id(problem.method), steps
        if place not in self._methods:
            bound = problem.bound(problem.method, steps)
            self._check_schedule(bound, steps)
            bound_and_kind = bound, signature(on_device(bound))
            self._methods[place] = problem.method, bound_and_kind
        return self._methods[place][1]

    def _kind(self, part: Any) -> Any:
        if id(part) not in self._kinds:
            self._kinds[id(part)] = part, signature(part)
        return self._kinds[id(part)][1]

    def _shared_data(self, problem: Problem) -> Any:
        """Return what tells batches apart that each share one copy of large data."""
        size = sum(leaf.nbytes for leaf in problem.data.leaves)
        return id(problem.data) if size > _COPIED_BYTES else None

    def _problem(self, settings: Settings) -> Problem:
        method = as_method(settings.method, self.params)
        place = method.chains, settings.block
        known = self._problems.get(place)
        if known is None:
            inputs = (self.energy, self.params, self.key, settings.args, method, settings.move)
            # A run of a sweep stays on one device, which naming the default says.
            with jax.default_device(default_device()):
                known = Problem(*inputs, settings.block, None, self.clock)
            self._problems[place], args = known, _identity(settings.args)
            self._checked[method.chains, id(settings.move)] = settings.move, known.move
            # One object for data that is the same: then a batch shares it.
            known.data = self._data.setdefault(args, (settings.args, known.data))[1]
            return known
        problem = copy.copy(known)
        problem.method, problem.data = method, self._data_of(settings.args)
        problem.move = self._move_of(settings.move, problem)
        return problem

    def _move_of(self, move: Any, problem: Problem) -> Any:
        place = problem.method.chains, id(move)
        if place not in self._checked:
            checked = natural_move(self._one_chain(problem)) if move is None else as_move(move)
            check_of(checked, self._one_chain(problem))
            check_of(checked, problem.starts.tree)
            self._checked[place] = move, checked
        return self._checked[place][1]

    def _one_chain(self, problem: Problem) -> Any:
        count = problem.method.chains
        if count not in self._one:
            self._one[count] = one_chain(problem.starts)
        return self._one[count]

    def _data_of(self, args: Any) -> Any:
        place = _identity(args)
        if place not in self._data:
            self._data[place] = args, everywhere(as_data(args), None)
        return self._data[place][1]

    def _check_schedule(self, bound: Any, steps: int) -> None:
        cooling = bound.cooling
        if cooling is None:
            return
        own = id(cooling) if is_on_host(bound) else signature(cooling)
        place = type(cooling), own, steps
        if place not in self._checked:
            check_schedule(bound, 0, steps)
            self._checked[place] = cooling


def _identity(args: Any) -> Any:
    if not isinstance(args, tuple):
        return id(args)
    return tuple(id(leaf) for leaf in jax.tree.leaves(args)), jax.tree.structure(args)
