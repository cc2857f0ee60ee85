"""Ladders in whole runs: rates after the warm-up, round trips, bad ladders and what is held."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest
from laws import broken, caught

import jaxanneal as ja
from jaxanneal.moves import Flip, Gaussian


def slow(*problems):
    """Return problems whose turn comes with the slow tests."""
    return [pytest.param(problem, marks=pytest.mark.slow) for problem in problems]


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
TEN = np.ones(10)


@functools.cache
def run(problem, warm=0.5):
    """Adapt for half of the run, then sample for the other half."""
    energy, start, move, ladder, every = PROBLEMS[problem]
    steps = 2 * PHASES * every
    method = ja.ParallelTempering(
        temperatures=ladder, ladders=LADDERS, swap_every=every, warmup=round(warm * steps)
    )
    return ja.anneal(energy, start, key=1, method=method, move=move, steps=steps)


def equal_rates_law(problem, **settings):
    """16,384 tries of each pair: standard error 0.004, also where they are not independent."""
    rates = run(problem, **settings).diagnostics.swap_rate
    assert np.max(np.abs(rates - rates.mean())) < 0.05, rates


@pytest.mark.parametrize("problem", ["double well", *slow("harmonic d=6", "Ising 4 x 4")])
def test_all_pairs_swap_equally_often_after_the_warm_up(problem):
    equal_rates_law(problem)


@pytest.mark.slow
def test_the_law_of_equal_rates_catches_a_ladder_that_does_not_move():
    caught(equal_rates_law, "harmonic d=6", warm=0.0)


def round_trip_law(problem, part):
    """Syed et al. (2022): 1/(2 + 2 sum r/(1 - r)) trips per phase where exploration is ideal."""
    health = run(problem).diagnostics
    odds = np.sum((1 - health.swap_rate) / health.swap_rate)
    assert np.mean(health.round_trip_rate) > part / (2 + 2 * odds)
    assert np.mean(health.round_trip_rate) < 1.1 / (2 + 2 * odds)


@pytest.mark.parametrize("problem", ["harmonic d=6", *slow("harmonic d=3", "Ising 8 x 8")])
def test_replicas_make_two_thirds_of_the_round_trips_that_ideal_exploration_would(problem):
    round_trip_law(problem, 0.65)


def held_law(twin=()):
    """After the warm-up neither the temperatures nor the step sizes move, bit for bit."""
    # A new energy for a twin, or it would run the law's own program.
    energy = functools.partial(harmonic) if twin else harmonic
    method = ja.ParallelTempering(temperatures=(0.1, 0.2, 2.0), ladders=2, warmup=640)
    with broken(twin):
        first = ja.anneal(energy, np.ones(2), key=1, method=method, steps=640)
        then = ja.anneal(energy, state=first.state, steps=640)
    assert first.diagnostics.temperatures[1] != np.float32(0.2)
    for name in ("temperatures", "factor"):
        np.testing.assert_array_equal(
            getattr(first.diagnostics, name), getattr(then.diagnostics, name)
        )


def test_after_the_warm_up_temperatures_and_step_sizes_are_held():
    held_law()


def test_the_law_of_holding_catches_step_sizes_that_adapt_while_sampling():
    method = "jaxanneal._methods.parallel_tempering.ParallelTempering"
    caught(held_law, ((f"{method}.adapting", lambda self, step: step >= 0),))


def test_what_was_adapted_stays_and_other_temperatures_hold_from_here_on():
    given = (0.1, 0.2, 2.0)
    method = ja.ParallelTempering(temperatures=given, ladders=2, warmup=320)
    first = ja.anneal(harmonic, np.ones(2), key=1, method=method, steps=320)
    adapted = first.diagnostics.temperatures

    def after(method):
        return ja.anneal(harmonic, state=first.state, method=method, steps=10).diagnostics

    np.testing.assert_array_equal(after(None).temperatures, adapted)
    np.testing.assert_array_equal(after(method).temperatures, adapted)
    other = ja.ParallelTempering(temperatures=(0.1, 0.3, 2.0), ladders=2, warmup=320)
    np.testing.assert_array_equal(after(other).temperatures, np.float32([0.1, 0.3, 2.0]))


def bad(temperatures, energy=harmonic, start=TEN, move=None, adapt=False):
    method = ja.ParallelTempering(
        temperatures=temperatures, ladders=8, swap_every=16, warmup=3200, adapt=adapt
    )
    return ja.anneal(energy, start, key=1, method=method, move=move or Gaussian(), steps=9600)


def test_two_rungs_far_apart_are_told_how_many_there_should_be():
    """The barrier is c_d ln 8 = 1.2305 * 2.0794 = 2.559 (oracle (b)), two pairs per unit of it."""
    with pytest.warns(UserWarning, match=r"2 rungs are few.*geomspace\(0\.1, 0\.8, 7\)"):
        bad((0.1, 0.8)).check()


@pytest.mark.slow
def test_a_hole_between_rungs_is_named_and_the_ladder_closes_it_where_it_may_move():
    holed = (0.1, 0.15, 0.2, 20.0, 30.0)
    with pytest.raises(RuntimeError, match=r"broken above rung 2.*geomspace\(0\.1, 30, 1\d\)"):
        bad(holed).check()
    rates = bad(holed, adapt=True).diagnostics.swap_rate
    assert np.ptp(rates) < 0.1


def test_a_ladder_a_hundred_times_too_hot_is_called_so():
    with pytest.warns(UserWarning, match=r"all 4 rungs sample about the same.*too hot"):
        bad((150.0, 200.0, 250.0, 300.0), ising, spins(4), Flip()).check()


@pytest.mark.slow
def test_exchanges_faster_than_exploration_name_the_moves_between_them():
    """Harmonic, d = 10: a replica keeps its energy for many moves, and every one is an exchange."""
    method = ja.ParallelTempering(temperatures=np.geomspace(0.1, 1, 7), ladders=32, swap_every=1)
    result = ja.anneal(harmonic, np.ones(10), key=1, method=method, move=Gaussian(), steps=4000)
    again = float(np.max(result.diagnostics.autocorrelation))
    wanted = round(np.log(0.5) / np.log(again))
    with pytest.warns(UserWarning, match="faster than exploration.*from swap_every=1 to") as found:
        result.check()
    (text,) = [str(one.message) for one in found if "swap_every" in str(one.message)]
    assert abs(int(text.split("swap_every=")[-1].rstrip(".")) - wanted) <= 2 and 5 <= wanted <= 20
