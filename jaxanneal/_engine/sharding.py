"""Devices: blocks of chains spread over a mesh, and what they tell each other.

Every device runs the whole program on blocks of its own (``shard_map``). Energies, counts and step
sizes are gathered, because every device decides the exchanges for itself; parameters never are.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec, SingleDeviceSharding

from jaxanneal._checks import refusal

Axes = tuple[str, ...] | None

_PIECE = 2**26  # bytes that one process tells the others at a time

_REMEDY = (
    "Pass jax.make_mesh((4,), ('chains',)), or NamedSharding(mesh, PartitionSpec('chains')) to use "
    "some axes of a mesh."
)


class Spread(NamedTuple):
    """A mesh, and the axes of it over which chains are spread."""

    mesh: Mesh
    axes: tuple[str, ...]

    @property
    def devices(self) -> int:
        """Number of parts that the chains are split into."""
        return math.prod(self.mesh.shape[axis] for axis in self.axes)

    @property
    def chains(self) -> NamedSharding:
        """Sharding of what has a leading chain axis."""
        return NamedSharding(self.mesh, PartitionSpec(self.axes))

    @property
    def everywhere(self) -> NamedSharding:
        """Sharding of what every device holds."""
        return NamedSharding(self.mesh, PartitionSpec())


def as_spread(sharding: Any, blocks: int) -> Spread | None:
    """Return how chains are spread over devices; ``None`` for the default device alone.

    By default over as many local devices as make the fewest blocks on the busiest one, and no more.

    Args:
        sharding: A mesh, a sharding over the chain axis, or ``None``.
        blocks: Number of blocks.

    Raises:
        TypeError: It is neither.
        ValueError: It splits something else than the chain axis.
    """
    if sharding is None:
        if jax.config.jax_default_device is not None:  # pyright: ignore[reportAttributeAccessIssue]
            return None
        local = jax.local_devices()
        most = -(-blocks // len(local))
        used = local[: -(-blocks // most)]
        return None if len(used) == 1 else _over(np.array(used), ("chains",), ("chains",))
    if isinstance(sharding, SingleDeviceSharding):
        return _over(np.array(list(sharding.device_set)), ("chains",), ("chains",))
    if isinstance(sharding, Mesh):
        return _over(sharding.devices, sharding.axis_names, sharding.axis_names)
    if not isinstance(sharding, NamedSharding):
        expected = "a jax.sharding.Mesh or a sharding over the chain axis"
        raise TypeError(refusal("sharding", expected, type(sharding).__name__, _REMEDY))
    first, *others = (*sharding.spec, None)
    axes = (first,) if isinstance(first, str) else tuple(first or ())
    if not axes or any(others):
        expected = "a split of the leading axis alone, the chains'"
        raise ValueError(refusal("sharding", expected, sharding.spec, _REMEDY))
    return _over(sharding.mesh.devices, sharding.mesh.axis_names, axes)


def _over(devices: Any, names: Any, axes: Any) -> Spread:
    # Made again, because the axes of jax.make_mesh are explicit, and shard_map over plain arrays
    # wants automatic ones.
    return Spread(Mesh(devices, tuple(names)), tuple(axes))


def axes_of(spread: Spread | None) -> Axes:
    """Return the axes of the mesh over which chains are spread."""
    return None if spread is None else spread.axes


def lanes(chains: int, width: int, spread: Spread | None) -> int:
    """Return the number of lanes in whole blocks of ``width``, as many blocks on every device."""
    parts = width * (1 if spread is None else spread.devices)
    return -(-chains // parts) * parts


def default_device() -> Any:
    """Return the device that JAX would put a new array on."""
    chosen = jax.config.jax_default_device  # pyright: ignore[reportAttributeAccessIssue]
    if isinstance(chosen, str):  # the name of a platform
        return jax.local_devices(backend=chosen)[0]
    return chosen or jax.local_devices()[0]


def everywhere(tree: Any, spread: Spread | None) -> Any:
    """Return a tree on the device where a run takes place, or on all of them."""
    return _placed(tree, default_device() if spread is None else spread.everywhere)


def by_chain(tree: Any, spread: Spread | None) -> Any:
    """Return a tree whose leading axis is split where a run is spread."""
    return _placed(tree, default_device() if spread is None else spread.chains)


def _placed(tree: Any, where: Any) -> Any:
    if isinstance(where, NamedSharding) and not where.is_fully_addressable:
        return jax.tree.map(lambda x: _among_processes(x, where), tree)
    return jax.device_put(jax.tree.map(lambda x: x if here(x) else fetch(x), tree), where)


def _among_processes(array: Any, where: NamedSharding) -> jax.Array:
    """Return an array that every process has whole as one of them all."""
    if isinstance(array, jax.Array):
        if not array.is_fully_addressable:
            return jax.jit(lambda x: x, out_shardings=where)(array)
        if jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
            words = _among_processes(jax.random.key_data(array), where)
            return jax.random.wrap_key_data(words, impl=jax.random.key_impl(array))
    host = np.asarray(array)
    return jax.make_array_from_callback(host.shape, where, lambda index: host[index])


def gather(values: jax.Array, axes: Axes) -> jax.Array:
    """Return the values of all lanes on every device: inside of ``shard_map``."""
    return values if axes is None else jax.lax.all_gather(values, axes, tiled=True)


def lowest(values: jax.Array, axes: Axes) -> jax.Array:
    """Return the lowest value of all devices: inside of ``shard_map``."""
    return values if axes is None else jax.lax.pmin(values, axes)


def total(values: jax.Array, axes: Axes) -> jax.Array:
    """Return the sum of integers of all devices: inside of ``shard_map``."""
    return values if axes is None else jax.lax.psum(values, axes)


def from_owner(values: Any, owner: jax.Array, axes: Axes) -> Any:
    """Return values as the device that owns each one made it.

    Args:
        values: A tree of arrays ``[n, ...]``.
        owner: Which device knows each entry, int ``[n]``.
        axes: Axes over which chains are spread.
    """
    if axes is None:
        return values
    entry = jnp.arange(owner.shape[0])
    return jax.tree.map(lambda x: jax.lax.all_gather(x, axes)[owner, entry], values)


def from_lanes(tree: Any, lane: jax.Array, axes: Axes) -> Any:
    """Return the entries of other lanes, wherever those lie: inside of ``shard_map``.

    The shares of the devices go round, so that a device never holds more than one beside its own.

    Args:
        tree: Arrays of the lanes of this device, ``[lanes, ...]``.
        lane: The number among the lanes of all devices whose entry goes to each lane of this
            device, int ``[lanes]``.
        axes: Axes over which chains are spread.
    """
    if axes is None:
        return jax.tree.map(lambda x: x[lane], tree)
    count, here = lane.shape[0], jax.lax.axis_index(axes)
    devices = int(jax.lax.psum(1, axes))
    ring = [(i, (i - 1) % devices) for i in range(devices)]

    def turn(index: jax.Array, carry: tuple[Any, Any]) -> tuple[Any, Any]:
        share, entries = carry
        inside = lane - (here + index) % devices * count
        own = (inside >= 0) & (inside < count)
        place = jnp.clip(inside, 0, count - 1)

        def chosen(x: jax.Array, entry: jax.Array) -> jax.Array:
            return jnp.where(own.reshape(-1, *[1] * (x.ndim - 1)), x[place], entry)

        entries = jax.tree.map(chosen, share, entries)
        return jax.tree.map(lambda x: jax.lax.ppermute(x, axes, ring), share), entries

    return jax.lax.fori_loop(0, devices, turn, (tree, tree))[1]


def fetch(array: Any) -> np.ndarray:
    """Return an array that may be spread over devices and processes, on the host.

    Where it is spread over processes, all of them must ask for it.
    """
    if not here(array) and not array.is_fully_replicated:
        assert isinstance(array.sharding, NamedSharding)
        array = _gathering(NamedSharding(array.sharding.mesh, PartitionSpec()))(array)
    return np.asarray(own(array))


@functools.lru_cache(maxsize=8)
def _gathering(whole: NamedSharding) -> Any:
    """Return a function whose programs stay: a run is saved more than once."""
    return jax.jit(lambda x: x, out_shardings=whole)


def here(array: Any) -> bool:
    """Return whether this process can reach all of an array by itself."""
    return not isinstance(array, jax.Array) or array.is_fully_addressable


def own(array: Any) -> Any:
    """Return this process's copy of an array that all of them hold."""
    return array if here(array) else array.addressable_data(0)


def take_from_shard(arrays: tuple[jax.Array, ...], index: int) -> list[jax.Array]:
    """Return one entry of arrays whose leading axes may be split alike, as its device has it.

    Where they are spread over processes, all of those must ask for it, and get it.
    """
    for number, shard in enumerate(arrays[0].addressable_shards if here(arrays[0]) else ()):
        inside = index - (shard.index[0].start or 0)
        if 0 <= inside < shard.data.shape[0]:
            return take([x.addressable_shards[number].data for x in arrays], inside)
    return take(list(arrays), index)


def alone(spread: Spread | None) -> bool:
    """Return whether a run takes place in this process by itself."""
    return spread is None or spread.everywhere.is_fully_addressable


def agreed(numbers: list[int], spread: Spread | None) -> list[int]:
    """Return the numbers of the first process, where a run is spread over more than one.

    Clocks differ, and processes that make other numbers of rounds would wait forever.
    """
    if alone(spread):
        return numbers
    first_numbers = multihost_utils.broadcast_one_to_all(np.asarray(numbers, np.int32))
    return [int(x) for x in np.asarray(first_numbers)]


def from_first(make: Callable[[], bytes], spread: Spread | None) -> bytes:
    """Return on every process what the first one makes, the only one that makes anything.

    Raises:
        Exception: What it raises there; a ``ValueError`` with the same text elsewhere.
    """
    if alone(spread):
        return make()
    data, error = b"", None
    if jax.process_index() == 0:
        try:
            data = make()
        except Exception as failure:
            data, error = str(failure).encode(), failure
    data, failed = _from_first_process(data, error is not None, spread)
    if error is not None:
        raise error
    if failed:
        raise ValueError(data.decode())
    return data


def _from_first_process(data: bytes, failed: bool, spread: Spread | None) -> tuple[bytes, bool]:
    """Return the data of the first process, in pieces that no memory is too small for."""
    whole, rest, wrong = agreed([len(data) // _PIECE, len(data) % _PIECE, int(failed)], spread)
    pieces = []
    for index, length in enumerate([_PIECE] * whole + [rest] * (rest > 0)):
        piece = np.zeros(length, np.uint8)
        if jax.process_index() == 0:
            piece[:] = np.frombuffer(data, np.uint8, length, index * _PIECE)
        pieces.append(np.asarray(multihost_utils.broadcast_one_to_all(piece)).tobytes())
    return b"".join(pieces), bool(wrong)


def take(tree: Any, index: Any) -> Any:
    """Return ``x[index]`` of every array, on its device.

    Args:
        tree: Arrays, which may be traced.
        index: An integer, or integers ``[n]``.
    """
    if all(_on_host(x) for x in jax.tree.leaves(tree)):
        place = np.asarray(index)
        return jax.tree.map(lambda x: _beside(x, np.take(np.asarray(x), place, axis=0)), tree)
    return _compiled(tree, index)


def _beside(array: jax.Array, value: np.ndarray) -> jax.Array:
    """Return a value on an array's device, bound to it as the array is."""
    (device,) = array.devices()
    return jax.device_put(value, device if array.committed else None)


def _on_host(array: Any) -> bool:
    known = isinstance(array, jax.Array) and not isinstance(array, Tracer)
    return known and [device.platform for device in array.devices()] == ["cpu"]


@jax.jit  # all at once: by itself each array would be compiled for
def _compiled(tree: Any, index: Any) -> Any:
    return jax.tree.map(lambda x: x[index], tree)
