"""A time limit holds for slow energies: but for the first, no move begins that would end late."""

import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal import StopReason
from jaxanneal._run import chunks
from jaxanneal.cooling import Geometric

SECONDS = 0.125  # of one evaluation, by a clock that nothing else moves


class Simulator:
    """NumPy code that takes its time."""

    def __init__(self):
        self.now = 0.0

    def __call__(self, x):
        self.now += SECONDS
        return np.float32(np.sum((np.asarray(x) - 1) ** 2))


SIMULATOR = Simulator()


def simulated(x):
    shape = jax.ShapeDtypeStruct((), jnp.float32)
    return jax.pure_callback(SIMULATOR, shape, x, vmap_method="sequential")


def limited_law(monkeypatch, limit, cooling, rounds):
    """As many evaluations of all chains are made as fit, in any case the starts.

    How long a move takes the first one tells, which may end too late.
    """
    monkeypatch.setattr(time, "perf_counter", lambda: SIMULATOR.now)
    method = ja.SimulatedAnnealing(4, cooling)
    settings = {"key": 0, "method": method, "move": ja.moves.Gaussian(), "steps": 10**6}
    result = ja.anneal(simulated, np.zeros(2, np.float32), max_seconds=limit, **settings)
    assert result.stop_reason is StopReason.TIME
    assert result.evaluations == 4 * rounds
    assert result.seconds == 4 * SECONDS * rounds <= max(limit, 8 * SECONDS)
    assert np.isfinite(result.energy)
    assert result.history.step.tolist()[-1] == result.steps


COOLED = Geometric(1.0, 0.1, 1000)


@pytest.mark.parametrize("cooling", [None, COOLED], ids=["calibrated", "cooled"])
@pytest.mark.parametrize(("limit", "rounds"), [(0.3, 1), (0.5, 1), (0.9, 2), (1.4, 2), (20.3, 40)])
def test_no_move_begins_that_would_end_too_late(limit, rounds, cooling, monkeypatch):
    limited_law(monkeypatch, limit, cooling, rounds)


def test_without_a_forecast_a_run_ends_too_late(monkeypatch):
    nothing = property(lambda _: 0.0, lambda *_: None)
    monkeypatch.setattr(chunks.Pace, "seconds_per_move", nothing, raising=False)
    with pytest.raises(AssertionError):
        limited_law(monkeypatch, 1.4, COOLED, 2)
