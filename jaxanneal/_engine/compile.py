"""A function compiled ahead of time, on one device or spread over many."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jaxlib.version
from jax.sharding import NamedSharding, PartitionSpec

from jaxanneal._engine.sharding import Spread, default_device

# Settings of JAX that a traced function may depend on, besides the shapes and dtypes of its inputs.
TRACED = (
    "jax_numpy_dtype_promotion",
    "jax_numpy_rank_promotion",
    "jax_enable_x64",
    "jax_default_matmul_precision",
    "jax_threefry_partitionable",
)


# How XLA calls it when memory is not enough, on every kind of device.
_NO_MEMORY = ("RESOURCE_EXHAUSTED", "Out of memory")


def is_overflow(error: BaseException) -> bool:
    """Return whether an error, or what caused it, says that the memory is full."""
    full = isinstance(error, MemoryError) or any(x in str(error) for x in _NO_MEMORY)
    return full or (error.__cause__ is not None and is_overflow(error.__cause__))


# Nothing that decides how arithmetic is compiled: energies are those that the user's own program of
# the same width gives, bit for bit. A GPU runs the moves between two looks as one graph, with loops
# and branches, and does not ask the host after each. Names of XLA's.
_CUDA = {
    "xla_gpu_enable_command_buffer": "FUSION,CUBLAS,CUBLASLT,CUDNN,CUSTOM_CALL,"
    "DYNAMIC_SLICE_FUSION,CONDITIONAL,WHILE",
    "xla_gpu_graph_min_graph_size": 1,
}
# The first version it was run with; some before abort on a second call (openxla/xla#35760).
_CUDA_SINCE = (0, 11, 2)


def compiler_options(
    device: Any, alone: bool, version: tuple[int, ...], flags: str
) -> dict[str, Any] | None:
    """Return what XLA is told besides the program.

    Args:
        device: Where the program is going to run.
        alone: Whether it runs there alone.
        version: That of jaxlib.
        flags: The user's ``XLA_FLAGS``, which come first.
    """
    cuda = device.platform == "gpu" and "cuda" in device.client.platform_version.lower()
    if not cuda or not alone or version < _CUDA_SINCE or any(name in flags for name in _CUDA):
        return None
    return _CUDA


class Keyed:
    """A value as a dictionary key: equal to another one of the same key, such as a digest or id."""

    def __init__(self, value: Any, key: Any):
        self.value, self.key = value, key
        self.__wrapped__ = value  # whose signature a refusal shows

    def __call__(self, *args: Any) -> Any:
        """Call the value."""
        return self.value(*args)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Keyed) and self.key == other.key

    def __hash__(self) -> int:
        return hash(self.key)


def hashable(function: Any) -> Any:
    """Return ``function``, by identity if it cannot be a dictionary key: a module with arrays."""
    try:
        hash(function)
    except TypeError:
        return Keyed(function, id(function))
    return function


class Compilation(NamedTuple):
    """A program that has been traced.

    Args:
        seconds: What tracing took.
        lower: Lowers, by the settings of JAX in the thread that calls it, and returns a function
            that compiles, in any thread; ``None`` where that is done.
    """

    seconds: float
    lower: Callable[[], Callable[[], None]] | None


def compile_programs(*programs: Compilation) -> float:
    """Compile programs, at the same time, and return how long that and tracing took.

    The one that takes longest comes first.
    """
    if all(program.lower is None for program in programs):
        return 0.0
    begin = time.perf_counter()
    lowered = (program.lower() for program in programs if program.lower is not None)
    with ThreadPoolExecutor(len(programs)) as pool:
        # One compiles while the next is lowered.
        for done in [pool.submit(compile_it) for compile_it in lowered]:
            done.result()
    return time.perf_counter() - begin + sum(program.seconds for program in programs)


class Program:
    """A function compiled ahead of time, so that compilation can be told from running.

    Args:
        function: The function; with ``spread`` every device calls it for its own chains.
        donate: Arguments whose buffers it takes over.
        spread: The devices, or ``None`` for one.
        takes: For each argument a prefix of its tree: ``True`` where chains lead, ``False`` where
            every device has the whole.
        returns: The same for the results.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        donate: tuple[int, ...] = (),
        spread: Spread | None = None,
        takes: Any = None,
        returns: Any = None,
    ):
        self._spread = spread
        if spread is None:
            self.jitted = jax.jit(function, donate_argnums=donate)
        else:
            takes, returns = (_specs(x, spread) for x in (takes, returns))
            on_each = jax.shard_map(
                function, mesh=spread.mesh, in_specs=takes, out_specs=returns, check_vma=False
            )
            placed = lambda specs: jax.tree.map(lambda s: NamedSharding(spread.mesh, s), specs)  # noqa: E731
            self.jitted = jax.jit(
                on_each,
                in_shardings=placed(takes),
                out_shardings=placed(returns),
                donate_argnums=donate,
            )
        self._compiled: dict[Any, Any] = {}
        self._shapes: dict[Any, Any] = {}

    def prepare(self, *inputs: Any) -> Compilation:
        """Trace for inputs of this kind, and return what is left to do.

        ``inputs`` may be abstract. Tracing is where a user's mistake shows, before any compilation.
        """
        kind = signature(inputs)
        if kind in self._compiled:
            return Compilation(0.0, None)
        begin = time.perf_counter()
        # Compiled whatever a user debugs: JAX refuses to do so ahead of time under disable_jit.
        with jax.disable_jit(False):
            traced = self.jitted.trace(*inputs)
        self._shapes[kind] = traced.out_info
        spent = time.perf_counter() - begin

        def lower() -> Callable[[], None]:
            with jax.disable_jit(False):
                lowered = traced.lower()
            options = own_options(self._spread)

            def compile_it() -> None:
                with jax.disable_jit(False):
                    self._compiled[kind] = lowered.compile(options)

            return compile_it

        return Compilation(spent, lower)

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


def own_options(spread: Spread | None) -> dict[str, Any] | None:
    """Return what XLA is told of every program of ours."""
    device = default_device() if spread is None else spread.mesh.devices.flat[0]
    version = jaxlib.version.__version_info__
    return compiler_options(device, spread is None, version, os.environ.get("XLA_FLAGS", ""))


def _specs(prefix: Any, spread: Spread) -> Any:
    return jax.tree.map(lambda x: PartitionSpec(spread.axes) if x else PartitionSpec(), prefix)


def signature(inputs: Any) -> Any:
    """Return what a compilation depends on: structure, shapes, dtypes, device and settings."""
    leaves, treedef = jax.tree.flatten(inputs)
    kinds = tuple((x.shape, x.dtype, getattr(x, "weak_type", False)) for x in leaves)
    return treedef, kinds, default_device(), tuple(getattr(jax.config, name) for name in TRACED)
