"""Ladders in whole runs: rates after the warm-up, round trips, bad ladders and what is held."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from laws import caught

import jaxanneal as ja
from jaxanneal.moves import Flip, Gaussian


def harmonic(x):
    return jnp.sum(x**2) / 2


def double_well(x):
    return 4 * (x**2 - 1) ** 2 + 0.5 * x


def ising(up):
    spins = jnp.where(up, 1, -1)
    return -sum(jnp.sum(spins * jnp.roll(spins, 1, axis)) for axis in (0, 1))


def spins(side):
    return np.arange(side * side).reshape(side, side) % 3 == 0


# Energy, start, move, ladder, moves between swaps: about one sweep on the lattice.
PROBLEMS = {
    "harmonic d=3": (harmonic, np.ones(3), Gaussian(), np.linspace(0.1, 5, 8), 10),
    "harmonic d=6": (harmonic, np.ones(6), Gaussian(), np.linspace(0.1, 5, 10), 10),
    "double well": (double_well, 1.0, Gaussian(), (0.2, 0.3, 0.4, 1.0, 3.0), 10),
    "Ising 4 x 4": (ising, spins(4), Flip(), (1.5, 1.7, 1.9, 2.5, 3.0), 16),
    "Ising 8 x 8": (ising, spins(8), Flip(), (2.5, 2.7, 3.0, 3.2, 4.0, 5.0), 64),
}
LADDERS, PHASES = 32, 1024


@functools.cache
def run(problem, adapt=True):
    """Adapt for half of the run, then sample for the other half."""
    energy, start, move, ladder, every = PROBLEMS[problem]
    steps = 2 * PHASES * every
    method = ja.ParallelTempering(
        temperatures=ladder, ladders=LADDERS, swap_every=every, adapt=adapt, warmup=steps // 2
    )
    return ja.anneal(energy, start, key=1, method=method, move=move, steps=steps)


def equal_rates_law(problem, adapt=True):
    """16,384 tries of each pair: standard error 0.004, also where they are not independent."""
    rates = run(problem, adapt).diagnostics.swap_rate
    assert np.max(np.abs(rates - rates.mean())) < 0.05, rates


@pytest.mark.parametrize("problem", ["harmonic d=6", "double well", "Ising 4 x 4"])
def test_all_pairs_swap_equally_often_after_the_warm_up(problem):
    equal_rates_law(problem)


def test_the_law_of_equal_rates_catches_a_ladder_that_does_not_move():
    caught(equal_rates_law, "harmonic d=6", adapt=False)


def round_trip_law(problem, part):
    """Syed et al. (2022): 1/(2 + 2 sum r/(1 - r)) trips per phase where exploration is ideal."""
    health = run(problem).diagnostics
    odds = np.sum((1 - health.swap_rate) / health.swap_rate)
    assert np.mean(health.round_trip_rate) > part / (2 + 2 * odds)
    assert np.mean(health.round_trip_rate) < 1.1 / (2 + 2 * odds)


@pytest.mark.parametrize("problem", ["harmonic d=3", "harmonic d=6", "Ising 8 x 8"])
def test_replicas_make_two_thirds_of_the_round_trips_that_ideal_exploration_would(problem):
    round_trip_law(problem, 0.65)
