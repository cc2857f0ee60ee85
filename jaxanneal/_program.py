"""Compiled programs: one for each structure of a problem, whatever its numbers."""

import functools
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jaxanneal import _engine, _history, _state
from jaxanneal._chain import Chain
from jaxanneal._history import History, Layout, Recorder
from jaxanneal._parameters import Parameters
from jaxanneal._start import initial_parameters

# Programs kept, and with them the energies that they were made from.
_KEPT = 64

# Settings of JAX that a traced function may depend on, besides the shapes and dtypes of its inputs.
TRACED = (
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_threefry_partitionable",
)


class ByIdentity:
    """An unhashable callable, such as a module with arrays: the same object is the same program."""

    def __init__(self, function: Callable[..., Any]):
        self.function = function

    def __call__(self, *args: Any) -> Any:
        """Call the function."""
        return self.function(*args)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and self.function is other.function

    def __hash__(self) -> int:
        return id(self.function)


def hashable(function: Any) -> Any:
    """Return ``function``, wrapped if it cannot be a dictionary key."""
    try:
        hash(function)
    except TypeError:
        return ByIdentity(function)
    return function


class Program:
    """A function compiled ahead of time, so that compilation can be told from running."""

    def __init__(self, function: Callable[..., Any], donate: tuple[int, ...] = ()):
        self.jitted = jax.jit(function, donate_argnums=donate)
        self._compiled: dict[Any, Any] = {}
        self._shapes: dict[Any, Any] = {}

    def prepare(self, *inputs: Any) -> Callable[[], float]:
        """Trace for inputs of this kind; the returned function compiles, and says how long it took.

        ``inputs`` may be abstract. Tracing is where a user's mistake shows, before any compilation.
        """
        kind = signature(inputs)
        if kind in self._compiled:
            return lambda: 0.0
        begin = time.perf_counter()
        # Compiled whatever a user debugs: JAX refuses to do so ahead of time under disable_jit.
        with jax.disable_jit(False):
            traced = self.jitted.trace(*inputs)
        self._shapes[kind] = traced.out_info
        spent = time.perf_counter() - begin

        def compile_it() -> float:
            begin = time.perf_counter()
            with jax.disable_jit(False):
                self._compiled[kind] = traced.lower().compile()
            return spent + time.perf_counter() - begin

        return compile_it

    def shapes(self, *inputs: Any) -> Any:
        """Return the shapes of the results; inputs of this kind must have been traced."""
        return self._shapes[signature(inputs)]

    def memory(self, *inputs: Any) -> Any:
        """Return XLA's memory analysis; inputs of this kind must have been compiled."""
        return self._compiled[signature(inputs)].memory_analysis()

    def __call__(self, *inputs: Any) -> Any:
        """Run; inputs of this kind must have been compiled."""
        with jax.disable_jit(False):
            return self._compiled[signature(inputs)](*inputs)


def signature(inputs: Any) -> Any:
    """Return what a compilation depends on: structure, shapes, dtypes, device and settings."""
    leaves, treedef = jax.tree.flatten(inputs)
    kinds = tuple((x.shape, x.dtype, getattr(x, "weak_type", False)) for x in leaves)
    return treedef, kinds, default_device(), tuple(getattr(jax.config, name) for name in TRACED)


def default_device() -> Any:
    """Return the device that JAX would put a new array on."""
    chosen = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(chosen, str):  # the name of a platform
        return jax.local_devices(backend=chosen)[0]
    return chosen or jax.local_devices()[0]


class Setup(NamedTuple):
    """The static part of a call: everything that needs a program of its own."""

    energy: Any
    observe: Any
    width: int
    layout: Layout


@functools.lru_cache(maxsize=_KEPT)
def initialiser_program(function: Any, chains: int) -> Program:
    """Return the program that makes the starts of all chains from the run key."""
    return Program(lambda key: initial_parameters(function, key, chains))


@functools.lru_cache(maxsize=_KEPT)
def start_program(energy: Any, width: int) -> Program:
    """Return the program that evaluates the starts of all chains."""

    def start(chains: Parameters, args: Parameters) -> Chain:
        return _state.start_chains(chains, energy, args.tree, width)

    return Program(start)


@functools.lru_cache(maxsize=_KEPT)
def state_program(width: int) -> Program:
    """Return the program that makes the state of a run from evaluated starts.

    It copies, because the run takes over the buffers of its state, and the starts are the user's.
    """

    def make(
        key: jax.Array, chains: Chain, best: Chain, method: Any, move: Any, log_factor: jax.Array
    ) -> _state.State:
        count = method.chains
        kept = jax.tree.map(lambda x: x[:count], best)
        merged = Chain(chains._params, chains.energy, kept._best_params, kept.best_energy)
        inputs = (key, merged, method, move, log_factor[:count])
        key, merged, method, move, log_factor = jax.tree.map(jnp.copy, inputs)
        return _state.start(key, merged, method, move, width, log_factor)

    return Program(make)


@functools.lru_cache(maxsize=1)
def copy_program() -> Program:
    """Return the program that copies a state, so that a run may take over the copy."""
    return Program(lambda state: jax.tree.map(jnp.copy, state))


@functools.lru_cache(maxsize=_KEPT)
def refresh_program(energy: Any, width: int) -> Program:
    """Return the program that evaluates a state again for other data."""

    def refresh(state: _state.State, args: Parameters) -> _state.State:
        return _state.refresh(state, args.tree, energy, width)

    return Program(refresh)


@functools.lru_cache(maxsize=_KEPT)
def chunk_program(setup: Setup) -> Program:
    """Return the program that runs a chunk; it takes over the buffers of state and recorder."""
    energy, observe, width, layout = setup

    def chunk(
        state: _state.State, recorder: Recorder, args: Parameters, control: _engine.Control
    ) -> tuple[_state.State, Recorder, _engine.Report]:
        data = args.tree

        def record(recorder: Recorder, state: _state.State) -> Recorder:
            return _history.record(recorder, state, data, observe, layout, width)

        return _engine.chunk(state, recorder, data, control, energy, width, record, layout.capacity)

    return Program(chunk, donate=(0, 1))


def row_shapes(setup: Setup, state: Any, args: Parameters) -> History:
    """Return the shapes of one record of the history."""

    def row(state: _state.State, args: Parameters) -> History:
        return _history.make_row(
            state.step, state.accepted, state, args.tree, setup.observe, setup.layout, setup.width
        )

    return jax.eval_shape(row, state, args)


def observed_shapes(observe: Any, state: Any, args: Parameters, width: int) -> Any:
    """Return the shapes of what ``observe`` returns at one record."""

    def observed(state: _state.State, args: Parameters) -> Any:
        return _history.observe_slots(observe, state, args.tree, width)

    return jax.eval_shape(observed, state, args)
