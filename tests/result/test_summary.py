"""The table of a run: at which evaluation its best state was first seen."""

import re

import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Flip, Gaussian

CHAINS = 8
METHOD = ja.SimulatedAnnealing(CHAINS, Geometric(1.0, 1e-3))


def bowl(x):
    return jnp.sum(x**2)


def ones(spins):
    return jnp.sum(spins).astype(float)


def seen(result):
    (line,) = [one for one in result.summary().splitlines() if one.startswith("best state seen")]
    return line.removeprefix("best state seen").strip()


@pytest.mark.parametrize("steps", [640, 700])
def test_the_best_state_was_seen_when_the_history_says(steps):
    """Looks are 64 moves apart, and each move is an evaluation of every chain."""
    start = np.ones(3, np.float32)
    result = ja.anneal(
        bowl, start, key=0, method=METHOD, move=Gaussian(), steps=steps, record_every=1
    )
    best = np.asarray(result.history.best_energy).min(axis=1)
    move = 1 + int(np.argmin(best))
    number = int(re.match(r"by evaluation ([\d,]+)", seen(result))[1].replace(",", ""))
    assert CHAINS * (1 + move) <= number <= min(CHAINS * (64 + move), result.evaluations)
    assert number % CHAINS == 0


def test_a_run_that_calibration_had_solved_says_so():
    """Eight ones are gone after a few moves of a greedy pilot."""
    result = ja.anneal(ones, np.ones(8, bool), key=0, move=Flip(), steps=2000)
    pilots = result.evaluations - 2000 * 64
    assert result.energy == 0 and seen(result) == f"by evaluation {pilots:,}, while calibrating"


def test_a_start_that_nothing_improves_was_the_best_state_seen():
    for method in (METHOD, None):  # without pilots, and with
        result = ja.anneal(ones, np.zeros(8, bool), key=0, move=Flip(), steps=200, method=method)
        assert seen(result) == "at the start"


def test_a_polished_result_has_no_moves_to_tell_of():
    assert "best state seen" not in ja.polish(bowl, np.ones(2, np.float32), steps=3).summary()
