"""The demo's problem: a 64-32-10 network on the scikit-learn digits, at a fixed split."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._checks import needing

_TRAIN = 1437
_SPLIT_SEED = 0


class Digits(NamedTuple):
    """Images as columns, pixels from 0 to 1, and one-hot labels.

    Args:
        x: Training images, float ``[64, train]``.
        y: Training labels, float ``[10, train]``.
        x_test: Test images, float ``[64, test]``.
        y_test: Test labels, float ``[10, test]``.
    """

    x: jax.Array
    y: jax.Array
    x_test: jax.Array
    y_test: jax.Array


def load() -> Digits:
    """Return the 1,797 digits: 1,437 to train on, 360 to test on.

    Raises:
        ImportError: scikit-learn is missing.
    """
    with needing("The demo", "demo"):
        from sklearn.datasets import load_digits
    loaded: Any = load_digits()
    pixels, target = np.asarray(loaded.data), np.asarray(loaded.target)
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(target))
    images = (pixels[order] / 16.0).astype(np.float32).T
    labels = np.eye(10, dtype=np.float32)[target[order]].T
    parts = images[:, :_TRAIN], labels[:, :_TRAIN], images[:, _TRAIN:], labels[:, _TRAIN:]
    return Digits(*(jnp.asarray(part) for part in parts))


def initialise(key: jax.Array) -> dict[str, jax.Array]:
    """Draw the weights of one network, each layer at one over the root of its inputs."""
    first, second = jax.random.split(key)
    return {
        "w1": jax.random.normal(first, (32, 64)) / 8.0,
        "b1": jnp.zeros(32),
        "w2": jax.random.normal(second, (10, 32)) / 32.0**0.5,
        "b2": jnp.zeros(10),
    }


def logits(params: Any, x: jax.Array) -> jax.Array:
    """Return the network's outputs, float ``[10, samples]``."""
    hidden = jnp.tanh(params["w1"] @ x + params["b1"][:, None])
    return params["w2"] @ hidden + params["b2"][:, None]


def error(params: Any, x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the fraction of images that get the wrong label; a tie counts as wrong."""
    z = logits(params, x)
    right = jnp.sum(z * y, axis=0)
    rivals = jnp.max(jnp.where(y > 0, -jnp.inf, z), axis=0)
    return jnp.mean((right <= rivals).astype(jnp.float32))


def cross_entropy(params: Any, digits: Digits) -> jax.Array:
    """Return the mean cross-entropy on the training images."""
    z = logits(params, digits.x)
    return jnp.mean(jax.nn.logsumexp(z, axis=0) - jnp.sum(z * digits.y, axis=0))


def energy(params: Any, digits: Digits, direct: jax.Array) -> jax.Array:
    """Return the cross-entropy (``direct`` 0) or the 0-1 error itself (1), by one program."""
    wrong = error(params, digits.x, digits.y)
    return direct * wrong + (1 - direct) * cross_entropy(params, digits)


def errors(params: Any, digits: Digits, direct: Any = None) -> jax.Array:
    """Return the training and the test error, float ``[2]``."""
    del direct
    train = error(params, digits.x, digits.y)
    return jnp.stack([train, error(params, digits.x_test, digits.y_test)])
