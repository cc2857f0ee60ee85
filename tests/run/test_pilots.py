"""What is said of a run is not said of the pilots that calibrate it."""

import jax.numpy as jnp
import numpy as np

import jaxanneal as ja
from jaxanneal import StopReason

START = np.float32([5, -7])


def terraces(x, height):
    """Return an integer for every state, which no batch width can round."""
    return height * jnp.sum(jnp.round(4 * x) ** 2)


def run(height, min_temperature, key, **settings):
    method = ja.SimulatedAnnealing(16, min_temperature=min_temperature)
    return ja.anneal(terraces, START, key=key, args=(height,), method=method, **settings)


def test_patience_does_not_end_a_calibration():
    result = run(0.0, 1e-30, key=0, steps=10_000, patience=100)
    assert (result.stop_reason, result.steps) == (StopReason.PATIENCE, 128)


def test_energies_of_any_size_are_calibrated():
    cliff = lambda x: jnp.where(jnp.abs(x) < 1, -3e38, 3e38)  # noqa: E731
    start, end = ja.calibrate(cliff, 1.5, key=0)
    assert 0 < end < start < np.inf
    assert ja.anneal(cliff, 1.5, key=0, steps=64, target=-1e300).energy == np.float32(-3e38)


def test_min_temperature_does_not_end_a_calibration():
    result = run(1.0, 1.0, key=1, steps=200)
    assert (result.stop_reason, result.energy) == (StopReason.MIN_TEMPERATURE, 0)
    assert 0 < result.steps < 200
    assert result.history.temperature.min() > 1.0
