"""What is said of a run is not said of the pilots that calibrate it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal import StopReason
from jaxanneal._run import calibrate

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


class Watched:
    """A normal step that tells the words of the key it is given."""

    def __init__(self, seen):
        self.seen = seen

    def propose(self, key, x, factor):
        tell = lambda words: self.seen.append(tuple(words.tolist()))  # noqa: E731
        jax.debug.callback(tell, jax.random.key_data(key))
        return x + factor * jax.random.normal(key, x.shape), 0.0


def distinct_keys_law():
    """No two moves draw from one key, in the pilots and after them."""
    seen = []
    one = ja.SimulatedAnnealing(1)
    ja.anneal(terraces, START, key=3, args=(1.0,), method=one, move=Watched(seen), steps=96)
    jax.effects_barrier()
    assert len(seen) == 1 + 8 + 24 + 96  # three pilots, and the run
    assert len(set(seen)) == len(seen)


def test_no_key_serves_pilots_and_run_alike_and_the_twin_with_the_runs_own_is_caught(monkeypatch):
    distinct_keys_law()
    monkeypatch.setattr(calibrate, "calibration_key", lambda key, pilot: key)
    with pytest.raises(AssertionError):
        distinct_keys_law()
