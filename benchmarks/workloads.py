"""What is measured: energies with their data, where chains start, how many, and how they anneal."""

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

import jaxanneal as ja


class Workload(NamedTuple):
    """An energy, one chain's start, its data, and how many chains.

    Args:
        name: As the table shows it.
        chains: Number of chains.
        energy: The energy.
        start: ``key -> params``.
        args: The data.
    """

    name: str
    chains: int
    energy: Callable[..., Any]
    start: Callable[[jax.Array], Any]
    args: tuple[Any, ...]


def network_energy(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the mean cross-entropy of an MLP with one tanh layer."""
    hidden = jnp.tanh(x @ params["w1"] + params["b1"])
    log_p = jax.nn.log_softmax(hidden @ params["w2"] + params["b2"])
    return -jnp.mean(jnp.take_along_axis(log_p, y[:, None], axis=1))


def rastrigin(x: jax.Array) -> jax.Array:
    """Return Rastrigin's function, which costs next to nothing."""
    return 10.0 * x.size + jnp.sum(x**2 - 10.0 * jnp.cos(2 * jnp.pi * x))


def ising(spins: jax.Array) -> jax.Array:
    """Return the energy of an Ising model on a torus."""
    s = jnp.where(spins, 1.0, -1.0)
    return -jnp.sum(s * jnp.roll(s, 1, 0)) - jnp.sum(s * jnp.roll(s, 1, 1))


def _network_start(key: jax.Array, hidden: int) -> dict[str, jax.Array]:
    first, second = jax.random.split(key)
    return {
        "w1": 0.1 * jax.random.normal(first, (64, hidden)),
        "b1": jnp.zeros(hidden),
        "w2": 0.1 * jax.random.normal(second, (hidden, 10)),
        "b2": jnp.zeros(10),
    }


def network(chains: int, hidden: int, samples: int) -> Workload:
    """Return an MLP 64-H-10 on the first samples of the digits."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    x = jnp.asarray(digits.data[:samples] / 16.0, jnp.float32)
    y = jnp.asarray(digits.target[:samples], jnp.int32)
    start = functools.partial(_network_start, hidden=hidden)
    return Workload(f"MLP {chains}, {hidden}, {samples}", chains, network_energy, start, (x, y))


def workloads(quick: bool, large: bool = False) -> Iterator[Workload]:
    """Yield the workloads: a few of them if it has to be quick, large ones, too, for a GPU."""
    yield network(64, 32, 1437)
    yield network(64, 32, 100)
    yield Workload("Rastrigin 4096, d=10", 4096, rastrigin, uniform_start, ())
    if quick:
        return
    yield network(1024, 8, 100)
    yield network(256, 32, 32)
    yield network(4096, 8, 100)
    yield network(1, 32, 1437)
    yield Workload("Ising 64 x 64, 64", 64, ising, _spin_start, ())
    if large:
        yield network(65536, 8, 100)
        yield network(4096, 32, 1437)
        yield Workload("Rastrigin 1048576, d=10", 2**20, rastrigin, uniform_start, ())
        yield Workload("Ising 64 x 64, 4096", 4096, ising, _spin_start, ())


def uniform_start(key: jax.Array) -> jax.Array:
    return jax.random.uniform(key, (10,), minval=-5.0, maxval=5.0)


def _spin_start(key: jax.Array) -> jax.Array:
    return jax.random.bernoulli(key, 0.5, (64, 64))


def annealing(chains: int) -> ja.SimulatedAnnealing:
    """Return simulated annealing of so many chains, which hardly cools in the steps measured."""
    return ja.SimulatedAnnealing(chains, ja.cooling.Geometric(1e-2, 1e-4, steps=10**6))


def energy_loop(energy: Any, params: Any, args: Any, steps: Any) -> tuple[Any, jax.Array]:
    """Evaluate chains again and again; every parameter is touched, or XLA would do it once."""
    axes = (0, *(None for _ in args))

    def body(_: Any, carry: tuple[Any, jax.Array]) -> tuple[Any, jax.Array]:
        params, total = carry
        values = jax.vmap(energy, in_axes=axes)(params, *args)
        return jax.tree.map(lambda x: _touch(x, values), params), total + values

    zero = jnp.zeros(jax.tree.leaves(params)[0].shape[0])
    return jax.lax.fori_loop(0, steps, body, (params, zero))


def _touch(x: jax.Array, values: jax.Array) -> jax.Array:
    one = values.reshape((-1, *(1 for _ in x.shape[1:])))
    if x.dtype == jnp.bool_:
        return x ^ (one != one)
    return x + 1e-30 * one
