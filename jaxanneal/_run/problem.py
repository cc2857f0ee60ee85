"""A problem: the checked inputs of a call, and its first state."""

from typing import Any

import jax
import numpy as np

from jaxanneal._chain.calls import traced
from jaxanneal._chain.chain import Chain
from jaxanneal._chain.computation import Traced, batchable, trace
from jaxanneal._chain.energy import as_args, evaluate, recordable
from jaxanneal._chain.factors import shares_factors
from jaxanneal._chain.keys import as_key
from jaxanneal._chain.move import Move, as_move
from jaxanneal._chain.own_move import traced_move
from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import MOST, count, refusal, shown
from jaxanneal._engine import history
from jaxanneal._engine.blocks import default_width, equal_width, pad, padded_count
from jaxanneal._engine.compile import Program, compile_programs
from jaxanneal._engine.programs import (
    initialiser_program,
    observed_shapes,
    start_program,
    state_program,
)
from jaxanneal._engine.setup import Data, Setup
from jaxanneal._engine.sharding import (
    Spread,
    as_spread,
    by_chain,
    default_device,
    everywhere,
    lanes,
    take,
)
from jaxanneal._engine.starts import (
    Stacked,
    chain_count,
    check_start,
    initial_parameters,
    is_initialiser,
    one_chain,
    require_finite,
    traced_start,
)
from jaxanneal._engine.state import State
from jaxanneal._kernels.pools import first_pools
from jaxanneal._methods import SimulatedAnnealing
from jaxanneal._methods.own_method import MEMBERS, as_own
from jaxanneal._methods.protocol import Method
from jaxanneal._methods.schedule import Function, require_traceable, tabulate
from jaxanneal._pytree import shapes_of_one
from jaxanneal._run.chunks import on_device
from jaxanneal._run.driver import Driver
from jaxanneal._run.interrupt import Clock, Interruption
from jaxanneal._run.limits import Limits, within_budget
from jaxanneal.cooling import Geometric, Linear, Logarithmic
from jaxanneal.moves._per_leaf import natural_move

# Steps, evenly spread over a run, at which a user's schedule is looked at before it starts.
_PROBES = 4096


class Problem:
    """What is annealed, from where, and how; nothing is compiled until :meth:`prepare`.

    Args:
        energy: The user's energy.
        params: One chain's tree, an initialiser, or a stacked tree.
        key: The user's key.
        args: The user's data.
        method: The method, or ``None``.
        move: The move, or ``None``.
        block: Chains per block, or ``None``.
        sharding: A mesh or a sharding over the chain axis, or ``None``.
        clock: The call's clock.

    Raises:
        TypeError, ValueError: An input is not what it should be.
    """

    def __init__(
        self,
        energy: Any,
        params: Any,
        key: Any,
        args: Any,
        method: Any,
        move: Any,
        block: Any,
        sharding: Any,
        clock: Clock,
    ):
        self.clock, args = clock, as_data(args)
        require_energy(energy)
        _require(params, key)
        self.key = as_key(key)
        self.method: Any = as_method(method, params)
        # Where it runs, like the data: what a user has put elsewhere cannot be mixed.
        self.starts = jax.device_put(self._starts(params), default_device())
        one = one_chain(self.starts)
        self.move: Move = natural_move(one) if move is None else as_move(move)
        check_start(self.move, self.starts)
        self.move = traced_move(self.move, one)
        self.method = self.method.fitted(self.starts, self.move)
        self.width = as_width(block, self.method.chains, self.starts)
        self.spread = as_spread(sharding, -(-self.method.chains // self.width))
        self.args = everywhere(args, self.spread)
        self.energy = everywhere(traced_energy(energy, one, self.args), self.spread)
        self.data = Data(self.args.leaves, self.energy.constants)
        self.total = lanes(self.method.chains, self.width, self.spread)
        padded = jax.tree.map(lambda x: pad(x, self.total), self.starts)
        self.lanes = by_chain(padded, self.spread)

    def _starts(self, params: Any) -> Parameters:
        if not is_initialiser(params):
            return initial_parameters(params, self.key, self.method.chains)
        initialiser = traced_start(params, self.key, self.method.chains)
        program = initialiser_program(initialiser.computation, self.method.chains)
        self.clock.compiling += compile_programs(program.prepare(initialiser.constants, self.key))
        return program(initialiser.constants, self.key)

    @property
    def lanes_evaluated(self) -> int:
        """Evaluations that one move of all chains costs, padding included."""
        return padded_count(self.method.chains, self.width)

    def affordable(self, limits: Limits) -> Limits:
        """Return the limits of a run from its starts within its budget of evaluations."""
        calibrates = bool(self.method.needs_calibration)
        return within_budget(limits, self.lanes_evaluated, 1, calibrates)

    @property
    def start_program(self) -> Program:
        """The program that evaluates the starts."""
        return start_program(self.energy.computation, self.width, self.spread)

    def prepare(self, limits: Limits, interruption: Interruption) -> Driver:
        """Trace everything, so that a mistake shows before anything compiles.

        Args:
            limits: When the call stops, what it records.
            interruption: Whether somebody asked to stop.

        Returns:
            The driver, which compiles everything when it is told to.
        """
        method = self.bound(self.method, limits.steps)
        check_schedule(method, 0, limits.steps)
        start = self.start_program
        traced_start = start.prepare(self.lanes, self.data)
        chains = start.shapes(self.lanes, self.data)
        inputs = self._state_inputs(method, chains, chains, self._factors())
        make = state_program(self.spread)
        traced_make = make.prepare(*inputs)
        state = make.shapes(*inputs)
        call = make_call(self.energy, self.args, self.width, self.spread, state, limits)
        driver = Driver(*call, self.args, self.move, self.clock, interruption, 0)
        driver.traced = (driver.prepare(state), traced_start, traced_make)
        first = self.starts.with_leaves(take(list(self.starts.leaves), 0))
        driver.best = np.nan, first  # all that is known of a run before its start is evaluated
        return driver

    def start(self, driver: Driver) -> Chain:
        """Evaluate the start of every lane.

        Raises:
            ValueError: No chain starts at a finite energy.
        """
        chains = self.start_program(self.lanes, self.data)
        driver.evaluations += self.lanes_evaluated
        require_finite(chains, self.method.chains)
        with self.clock.preparing():
            driver.saw(chains)  # padding lanes are copies of the first
        return chains

    def state(
        self,
        method: Method,
        chains: Chain,
        best: Chain,
        log_factor: np.ndarray | None = None,
        key: jax.Array | None = None,
        pools: Any = None,
    ) -> State:
        """Return the state before the first move.

        Args:
            method: The method, with every number bound.
            chains: Where the chains start.
            best: Chains whose best states are already known.
            log_factor: Logarithm of the step-size factors, float ``[chains]``.
            key: The run key; ``None``: the problem's own.
            pools: First step-size factors that chains share; ``None``: those of the problem.
        """
        factors = self._factors() if log_factor is None else log_factor
        inputs = self._state_inputs(method, chains, best, factors, key, pools)
        return state_program(self.spread)(*inputs)

    def bound(self, method: Any, steps: int) -> Any:
        """Return the method bound to ``steps`` moves; a missing ladder is a placeholder."""
        known = method.calibrated(1.0, 1.0) if method.needs_calibration else method
        return known.bind(steps)

    @property
    def coordinates(self) -> int:
        """Number of parameters of one chain."""
        return sum(leaf.size for leaf in self.starts.leaves) // self.method.chains

    @property
    def pools(self) -> Any:
        """The first step-size factors that chains share, if they do."""
        return pools_of(self.move, self.starts, self.method)

    def _factors(self) -> np.ndarray:
        return np.zeros(self.method.chains, jax.dtypes.canonicalize_dtype(float))

    def _state_inputs(
        self,
        method: Any,
        chains: Any,
        best: Any,
        factors: np.ndarray,
        key: Any = None,
        pools: Any = None,
    ) -> tuple[Any, ...]:
        missing = self.total - factors.shape[0]
        factors = by_chain(np.concatenate([factors, np.repeat(factors[:1], missing)]), self.spread)
        pools = self.pools if pools is None else pools
        shared = (
            self.key if key is None else key,
            on_device(method, begins=True),
            self.move,
            pools,
        )
        key, method, move, pools = (
            shared if self.spread is None else everywhere(shared, self.spread)
        )
        return key, chains, best, method, move, factors, pools


def pools_of(move: Any, starts: Parameters, method: Any) -> Any:
    """Return the first step-size factors that chains share, if they do.

    Args:
        move: The move.
        starts: Where all chains start.
        method: The method.
    """
    if not shares_factors(move):
        return ()
    return first_pools(move, one_chain(starts), method.pools)


def _require(params: Any, key: Any) -> None:
    """Refuse a call without params or key, and a result in the place of params."""
    if params is None:
        remedy = (
            "Only a call with state= needs none; a polished result has no state, the run that it "
            "was polished from has."
        )
        raise TypeError(refusal("params", "a value", None, remedy))
    if key is None:
        remedy = "Pass key=0, or another seed or JAX key; only a call with state= needs none."
        raise TypeError(refusal("key", "a value", None, remedy))
    if hasattr(params.tree if isinstance(params, Stacked) else params, "stop_reason"):
        expected = "parameters, or a function key -> params"
        remedy = (
            "Pass result.params to start at its best state, ja.stacked(result.chains.params) at "
            "its chains; ja.anneal(energy, state=result.state) goes on."
        )
        raise TypeError(refusal("params", expected, "a Result", remedy))


def require_energy(energy: Any) -> None:
    """Refuse an energy that cannot be called."""
    if not callable(energy):
        remedy = "Pass the function itself, energy(params, *args) -> real scalar."
        raise TypeError(refusal("energy", "a function", type(energy).__name__, remedy))


def traced_energy(energy: Any, one: Any, args: Parameters) -> Traced:
    """Return what the energy computes of one chain and of the arrays of the data.

    Args:
        energy: The user's energy.
        one: The tree of one chain.
        args: The data, whose functions and texts are a part of what is computed.
    """
    require_energy(energy)
    value = lambda p, leaves: evaluate(energy, p.tree, args.structure.combine(leaves))  # noqa: E731
    name = getattr(energy, "__name__", type(energy).__name__)
    return batchable("energy", trace(value, Parameters.of(one), args.leaves, name=name))


def as_data(args: Any) -> Parameters:
    """Return the data of a call as parameters."""
    return Parameters.of_args(as_args(args))


def as_method(method: Any, params: Any) -> Any:
    """Return the method, by default simulated annealing with as many chains as there are starts.

    Args:
        method: A method of the library, an object of the user's own, or ``None``.
        params: What the user passed as ``params``.
    """
    if method is None:
        chains = chain_count(params)
        return SimulatedAnnealing() if chains is None else SimulatedAnnealing(chains=chains)
    missing = [name for name in MEMBERS if not hasattr(method, name)]
    if isinstance(method, Method) or not (missing or isinstance(method, type)):
        return method if isinstance(method, Method) else as_own(method)
    got = f"the class {method.__name__}" if isinstance(method, type) else shown(method)
    if 0 < len(missing) < len(MEMBERS):
        got += f" without {', '.join(missing)}"
    remedy = "Write for example method=ja.SimulatedAnnealing(chains=64)."
    raise TypeError(refusal("method", "a method", got, remedy))


def check_schedule(method: Any, first: int, steps: int) -> None:
    """Refuse a schedule with a temperature that is none, before anything compiles."""
    cooling = method.cooling
    if cooling is not None and not isinstance(cooling, Function):
        require_traceable(cooling)
    # The numbers of our own are checked already.
    if cooling is not None and not isinstance(cooling, Geometric | Linear | Logarithmic):
        last = first + steps - (not method.looks_ahead(first + steps))
        tabulate(cooling, np.linspace(first, last, _PROBES).round().astype(int))


def as_width(block: Any, chains: int, starts: Parameters) -> int:
    """Return the number of chains per block."""
    if block is None:
        each = sum(leaf.nbytes for leaf in starts.leaves) // chains
        return default_width(chains, each, default_device().platform)
    most = as_block(block)
    # Not cut to the number of chains: the width decides the last bits, and one chain alone in its
    # block is to equal the same chain among as many as the block holds.
    return most if most >= chains else equal_width(chains, most)


def as_block(block: Any) -> int:
    """Return the number of chains per block that was given."""
    return count("block", block, 1, "Leave it out for a width that suits the device.", MOST)


def traced_observe(observe: Any, one: Parameters, args: Parameters) -> Traced:
    """Return what ``observe`` returns for one chain and the arrays of the data, as arrays."""

    def see(params: Parameters, leaves: Any) -> Any:
        data = args.structure.combine(leaves)
        return recordable(traced("observe", observe, params.tree, *data))

    return batchable("observe", trace(see, one, args.leaves))


def make_call(
    energy: Traced, args: Parameters, width: int, spread: Spread | None, state: Any, limits: Limits
) -> tuple[Setup, Data, Limits]:
    """Return the static part of a call, for a state or its shapes, its data, and its thinning."""
    setup = Setup(energy.computation, width, spread)
    data = Data(args.leaves, energy.constants)
    if limits.observe is not None:
        one = shapes_of_one(state.chains._params)
        observe = everywhere(traced_observe(limits.observe, one, args), spread)
        setup = setup._replace(observe=observe.computation)
        data = data._replace(observe=observe.constants)
    observed = observed_shapes(setup, state, data)
    layout, every = history.layout(state, observed, limits.steps, limits.record_every)
    return setup._replace(layout=layout), data, limits._replace(record_every=every)
