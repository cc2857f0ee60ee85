"""The hard small networks of the suite `networks`, and their data."""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np


class Task(NamedTuple):
    """A network and its data.

    Args:
        name: As the table shows it.
        energy: The loss, which annealing and gradients minimise alike.
        solved: ``(params, *args) -> bool``: what counts as success.
        start: ``(key, gain) -> params``: weights normal with deviation gain / sqrt(inputs).
        args: The data.
        moves: Metropolis moves per chain.
        steps: Gradient steps per start.
    """

    name: str
    energy: Callable[..., jax.Array]
    solved: Callable[..., jax.Array]
    start: Callable[..., Any]
    args: tuple[Any, ...]
    moves: int
    steps: int


def outputs(params: Any, x: jax.Array, activation: Callable[..., jax.Array]) -> jax.Array:
    """Return the output of a dense network for each row of ``x``."""
    for weights, bias in params[:-1]:
        x = activation(x @ weights + bias[None])
    weights, bias = params[-1]
    return (x @ weights + bias[None])[:, 0]


def cross_entropy(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    z = outputs(params, x, jnp.tanh)
    return jnp.mean(jax.nn.softplus(z) - y * z)


def no_errors(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.all((outputs(params, x, jnp.tanh) > 0) == (y > 0.5))


def squared_error(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    return jnp.mean((outputs(params, x, jnp.sin) - y) ** 2)


def fits(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    return squared_error(params, x, y) < 1e-3


def network(*sizes: int) -> Callable[..., Any]:
    """Return the initialiser of a dense network of these layers."""

    def start(key: jax.Array, gain: Any = 1.0) -> Any:
        keys = jax.random.split(key, len(sizes) - 1)
        pairs = zip(keys, sizes[:-1], sizes[1:], strict=True)
        return [
            (gain * jax.random.normal(k, (m, n)) / math.sqrt(m), jnp.zeros(n)) for k, m, n in pairs
        ]

    return start


def spirals() -> tuple[jax.Array, jax.Array]:
    """Return the two spirals of Lang and Witbrock (1988): 97 points each, scaled to radius 1."""
    index = np.arange(97)
    angle, radius = index * np.pi / 16, (104 - index) / 104
    one = np.stack([radius * np.sin(angle), radius * np.cos(angle)], axis=1)
    labels = np.repeat([1.0, 0.0], 97)
    return jnp.asarray(np.concatenate([one, -one]), jnp.float32), jnp.asarray(labels, jnp.float32)


def waves() -> tuple[jax.Array, jax.Array]:
    """Return 64 points of a sum of two sines, which two sine units can represent exactly."""
    x = np.linspace(-1.0, 1.0, 64)
    y = np.sin(5 * np.pi * x) + 0.5 * np.sin(9 * np.pi * x)
    return jnp.asarray(x[:, None], jnp.float32), jnp.asarray(y, jnp.float32)


def xor() -> tuple[jax.Array, jax.Array]:
    x = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    return jnp.asarray(x), jnp.asarray([0.0, 1.0, 1.0, 0.0])


def tasks() -> Iterator[Task]:
    """Yield the hard small networks: sine units, a deep narrow one, two spirals."""
    yield Task("sine 1-2-1", squared_error, fits, network(1, 2, 1), waves(), 8_000, 2_000)
    yield Task("sine 1-4-1", squared_error, fits, network(1, 4, 1), waves(), 8_000, 2_000)
    deep = network(2, *[2] * 30, 1)
    yield Task("deep 2-(2x30)-1", cross_entropy, no_errors, deep, xor(), 4_000, 2_000)
    start = network(2, 8, 8, 1)
    yield Task("spirals 2-8-8-1", cross_entropy, no_errors, start, spirals(), 2_000, 5_000)
