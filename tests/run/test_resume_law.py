"""Going on under another law: what is reported counts from where temperatures or data changed."""

import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal._methods.parallel_tempering import ParallelTempering
from jaxanneal._run import resume
from jaxanneal.moves import Gaussian

COORDINATES, STEPS = 2, 8000
LADDER, COLDER = np.float32([1, 1.5, 2.25]), np.float32([0.5, 0.75, 1.125])
START, MOVE = np.zeros(COORDINATES, np.float32), Gaussian(1.0, target_acceptance=None)


def harmonic(x, offset=0.0):
    return 0.5 * jnp.sum(x**2) + offset


def ladders(temperatures, warmup=0):
    return ParallelTempering(
        temperatures=temperatures, ladders=8, adapt=False, warmup=warmup, swap_every=5
    )


def first(offset=0.0, steps=STEPS, temperatures=LADDER, **settings):
    settings = {"method": ladders(temperatures), "move": MOVE} | settings
    return ja.anneal(harmonic, START, key=0, args=(offset,), steps=steps, **settings)


def exact(temperatures, offset):
    """log Z of each rung less that of the hottest: d/2 ln T - c/T."""
    beta = 1 / np.float64(temperatures)
    free = -COORDINATES / 2 * np.log(beta) - offset * beta
    return free - free[-1]


def law_of_data(offset=10.0):
    """Within four standard errors of eight ladders: one run in a hundred would miss (t, 7 df)."""
    before = first()
    after = ja.anneal(harmonic, state=before.state, args=(offset,), steps=STEPS)
    health = after.diagnostics
    error = health.log_partition_error[:2]
    off = np.abs(health.log_partition - exact(LADDER, offset))[:2]
    assert np.all(off < 4 * error) and np.all(error < 0.05)
    np.testing.assert_allclose(health.mean_energy, offset + LADDER, rtol=0.02)  # d T / 2
    np.testing.assert_allclose(health.heat_capacity, COORDINATES / 2, rtol=0.15)
    rates = after.history.acceptance_rate.mean(axis=(0, 1))
    np.testing.assert_allclose(health.acceptance_rate, rates, rtol=1e-4)
    assert after.state.engine_state.exchange.phases == STEPS // 5
    assert not after.check().state.since == 0


def test_other_data_count_anew_and_a_twin_that_counts_on_is_caught(monkeypatch):
    law_of_data()
    monkeypatch.setattr(resume, "_counted_anew", lambda state, *_: state)
    with pytest.raises(AssertionError):
        law_of_data()


def test_the_same_law_counts_on():
    before = first()
    more = ja.anneal(harmonic, state=before.state, args=(0.0,), steps=STEPS)
    same = ja.anneal(harmonic, state=before.state, args=(0.0,), steps=STEPS, method=ladders(LADDER))
    for result in (more, same):
        assert result.state.since == 0
        assert result.state.engine_state.exchange.phases == 2 * STEPS // 5
    np.testing.assert_array_equal(more.diagnostics.mean_energy, same.diagnostics.mean_energy)


def test_other_temperatures_count_anew_and_a_warm_up_leaves_the_way_there_out():
    """The chains come from twice the temperature; the warm-up ends 2,000 moves later."""
    before = first()
    method = ladders(COLDER, warmup=STEPS + 2000)
    after = ja.anneal(harmonic, state=before.state, args=(0.0,), steps=STEPS, method=method)
    health = after.diagnostics
    off = np.abs(health.log_partition - exact(COLDER, 0.0))[:2]
    assert np.all(off < 4 * health.log_partition_error[:2])
    np.testing.assert_allclose(health.mean_energy, COLDER, rtol=0.03)
    late = ~after.history.warmup
    rates = after.history.acceptance_rate[late].mean(axis=(0, 1))
    np.testing.assert_allclose(health.acceptance_rate, rates, rtol=1e-4)
    at_once = ja.anneal(
        harmonic, state=before.state, args=(0.0,), steps=STEPS, method=ladders(COLDER)
    )
    rates = at_once.history.acceptance_rate.mean(axis=(0, 1))
    np.testing.assert_allclose(at_once.diagnostics.acceptance_rate, rates, rtol=1e-4)
    np.testing.assert_allclose(at_once.diagnostics.mean_energy, COLDER, rtol=0.03)


def test_the_change_before_the_first_swap_is_that_of_the_new_energies():
    """What the moves leave of an energy is not measured against one of another law."""
    after = ja.anneal(harmonic, state=first(steps=100).state, args=(1e4,), steps=50)
    change = np.asarray(after.state.engine_state.exchange.energies.change)
    assert np.all(change < 1e3)  # 1e4 squared, over ten phases, would be 1e7


@pytest.mark.slow
def test_chains_of_annealing_and_what_is_saved_count_from_there_too(tmp_path):
    cooled = ja.SimulatedAnnealing(24, ja.cooling.Geometric(1.0, 0.1, steps=200))
    before = first(steps=200, method=cooled)
    after = ja.anneal(harmonic, state=before.state, args=(5.0,), steps=200)
    rates = after.history.acceptance_rate.mean(axis=0)
    np.testing.assert_allclose(after.diagnostics.acceptance_rate, rates, rtol=1e-4)
    after.save(tmp_path / "run")
    loaded = ja.Result.load(tmp_path / "run").state
    more = [
        ja.anneal(harmonic, state=state, args=(5.0,), steps=100) for state in (loaded, after.state)
    ]
    assert [one.state.since for one in more] == [200, 200]
    total = (200 * rates + 100 * more[1].history.acceptance_rate.mean(axis=0)) / 300
    for one in more:
        np.testing.assert_allclose(one.diagnostics.acceptance_rate, total, rtol=1e-4)


@pytest.mark.slow
def test_a_ladder_that_still_warms_up_forgets_what_it_saw_of_other_temperatures():
    adapts = {"ladders": 8, "swap_every": 5, "warmup": 4000}
    before = first(steps=300, method=ParallelTempering(temperatures=LADDER, **adapts))
    assert int(before.state.engine_state.exchange.ladder.phases) > 0
    method = ParallelTempering(temperatures=COLDER, **adapts)
    after = ja.anneal(harmonic, state=before.state, args=(0.0,), steps=5, method=method)
    assert int(after.state.engine_state.exchange.ladder.phases) == 1
    np.testing.assert_array_equal(after.diagnostics.temperatures, COLDER)
