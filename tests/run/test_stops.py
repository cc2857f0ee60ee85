"""Why runs stop, what they record on the way, and energies that are not finite."""

import _thread
import contextlib
import signal
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import caught

import jaxanneal as ja
from jaxanneal import StopReason
from jaxanneal._engine import history
from jaxanneal._run import anneal
from jaxanneal._run.interrupt import Interruption, interruptible
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Gaussian

START = np.float32([5, -7])
FOREVER = {"steps": 10**8, "max_seconds": 60.0}  # the limit only guards the test


def terraces(x, height=1.0):
    """Return an integer for every state, which no batch width can round."""
    return height * jnp.sum(jnp.round(4 * x) ** 2)


def patchy(x, cliff):
    """Return NaN above 1, -inf below -1, and with a cliff of infinity nothing finite beside 0."""
    valley = jnp.where(x == 0, 0.0, x**2 + cliff)
    return jnp.where(x > 1, jnp.nan, jnp.where(x < -1, -jnp.inf, valley))


def look(x, height):
    cell = jnp.round(x).astype(jnp.int32)
    return {"energy": terraces(x, height), "right": x > 0, "cell": cell}


def cooled(min_temperature=1e-6):
    return ja.SimulatedAnnealing(4, Geometric(16.0, 0.1, 100), min_temperature)


LADDER = ja.ParallelTempering(temperatures=[1, 4, 16], ladders=2, warmup=20)


def run(method=None, params=START, height=1.0, steps=100, **settings):
    """Run one of few programs: all of these settings are numbers but the method's kind."""
    method = cooled() if method is None else method
    settings = {"key": 0, "move": Gaussian(0.5), "observe": look} | settings
    return ja.anneal(terraces, params, args=(height,), method=method, steps=steps, **settings)


def lost(params, cliff, scale, steps=100):
    move = Gaussian(scale, target_acceptance=None)
    settings = {"args": (cliff,), "method": cooled(), "move": move, "steps": steps}
    return ja.anneal(patchy, params, key=0, **settings)


def test_steps_are_made_and_counted():
    result = run(steps=70)
    assert (result.stop_reason, result.steps, result.evaluations) == (StopReason.STEPS, 70, 4 * 71)


def test_target_is_looked_at_every_64_steps_and_at_the_end():
    at_start = run(target=1e6)
    assert (at_start.stop_reason, at_start.steps) == (StopReason.TARGET, 0)
    on_the_way = run(target=1000.0, steps=640)  # below the start, 1184, and easy
    assert (on_the_way.stop_reason, on_the_way.steps) == (StopReason.TARGET, 64)
    at_the_end = run(target=1000.0, steps=40)
    assert (at_the_end.stop_reason, at_the_end.steps) == (StopReason.TARGET, 40)
    never = run(target=-1.0, steps=70)
    assert (never.stop_reason, never.steps) == (StopReason.STEPS, 70)


def last_record_law(run):
    """A run that ends where it began has one record: of its start, and of what pilots found."""
    result = run()
    assert (result.stop_reason, result.steps) == (StopReason.TARGET, 0)
    history = result.history
    assert (history.step.tolist(), history.energy.shape[0]) == ([0], 1)
    assert np.all(history.energy == 1184)
    assert history.best_energy.min() == result.energy
    assert np.all(np.isnan(history.acceptance_rate))  # of no moves


def test_a_run_that_ends_where_it_began_records_that():
    last_record_law(lambda: run(target=1e6))
    last_record_law(lambda: calibrated(target=1000.0))
    first = run(steps=64)
    more = ja.anneal(terraces, state=first.state, args=(1.0,), steps=9, target=1e6, observe=look)
    assert more.history.step.tolist() == [64]
    np.testing.assert_array_equal(more.history.energy, first.history.energy[-1:])


def test_a_callback_that_raises_before_the_first_move_leaves_one_record():
    def callback(progress):
        raise LookupError

    with pytest.raises(LookupError) as raised:
        run(target=1e6, callback=callback)
    assert raised.value.result.history.step.tolist() == [0]


def test_patience_counts_steps_without_progress():
    result = run(height=0.0, patience=100, steps=10_000)
    assert (result.stop_reason, result.steps) == (StopReason.PATIENCE, 128)
    assert run(height=0.0, patience=100, steps=99).stop_reason is StopReason.STEPS


def test_progress_since_the_last_multiple_of_64_counts_at_the_end():
    far = 100 * START
    first = run(params=far, steps=64)
    result = run(params=far, steps=100, patience=36)
    assert result.energy < first.energy
    assert result.stop_reason is StopReason.STEPS


@pytest.mark.parametrize("host", [False, True])
def test_min_temperature_stops_before_the_first_move_that_cold(host):
    halved = Geometric(1.0, 2.0**-10, 10)
    cooling = (lambda step: 2.0**-step) if host else halved
    result = run(ja.SimulatedAnnealing(4, cooling, min_temperature=1 / 8))
    assert (result.stop_reason, result.steps) == (StopReason.MIN_TEMPERATURE, 3)
    assert result.history.temperature.min() == 0.25


def test_time_stops_a_run_and_a_calibration():
    result = run(steps=10**8, max_seconds=0.3)
    assert result.stop_reason is StopReason.TIME
    assert 0 < result.steps < 10**8
    assert result.history.step[-1] == result.steps
    pilot = calibrated(max_seconds=1e-9, steps=10**6)
    assert (pilot.stop_reason, pilot.steps) == (StopReason.TIME, 0)
    assert pilot.energy == float(terraces(pilot.params)) <= 1184


def calibrated(**settings):
    return ja.anneal(terraces, START, key=0, **settings)


def test_callback_sees_the_run_and_stops_it():
    seen = []
    result = run(LADDER, callback=lambda progress: seen.append(progress) or len(seen) == 2)
    assert result.stop_reason is StopReason.CALLBACK
    assert len(seen) == 2
    last = seen[-1]
    assert (last.step, last.steps) == (result.steps, 100)
    assert last.best_energy == result.energy
    assert last.temperatures.shape == (2, 3)
    assert 0 <= last.acceptance_rate <= 1
    assert 0 < seen[0].seconds <= last.seconds
    assert last.evaluations == result.evaluations == 6 * (1 + result.steps)


def test_ctrl_c_returns_what_was_found_and_gives_the_handler_back(ctrl_c):
    timer = threading.Timer(0.1, _thread.interrupt_main)

    def callback(progress):  # by the first look the call listens: sooner would end the process
        if timer.ident is None:
            timer.start()

    result = run(callback=callback, **FOREVER)
    timer.join()
    assert result.stop_reason is StopReason.INTERRUPTED
    assert result.history.step[-1] == result.steps > 0
    assert result.energy == float(terraces(result.params))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("how", ["raised", "signalled"])
def test_ctrl_c_inside_a_callback_returns_what_was_found(how, ctrl_c):
    def callback(progress):
        if how == "raised":
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    result = run(callback=callback, **FOREVER)
    assert result.stop_reason is StopReason.INTERRUPTED
    assert result.history.step[-1] == result.steps > 0


def test_ctrl_c_during_a_calibration_returns_the_start(ctrl_c, monkeypatch):
    timer = threading.Timer(0.0, _thread.interrupt_main)
    pilot = anneal.pilot

    def interrupted(*inputs):
        timer.start()
        timer.join()
        return pilot(*inputs)

    monkeypatch.setattr(anneal, "pilot", interrupted)
    result = calibrated(**FOREVER)
    assert (result.stop_reason, result.steps) == (StopReason.INTERRUPTED, 0)
    assert result.energy <= 1184


def ignored_law(listening):
    """Whoever starts a program may have it ignore Ctrl-C, as a script does its background jobs."""
    with listening() as interruption:
        signal.raise_signal(signal.SIGINT)
    assert not interruption.requested
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


@contextlib.contextmanager
def always_listening():
    """Listen whatever was there before: a broken twin."""
    interruption = Interruption()
    before = signal.signal(signal.SIGINT, lambda *_: setattr(interruption, "requested", True))
    yield interruption
    signal.signal(signal.SIGINT, before)


def test_an_ignored_ctrl_c_stays_ignored(ctrl_c):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    ignored_law(interruptible)
    caught(ignored_law, always_listening)
    result = run(callback=lambda _: signal.raise_signal(signal.SIGINT))
    assert (result.stop_reason, result.steps) == (StopReason.STEPS, 100)


def test_a_run_off_the_main_thread_gives_the_same_bits():
    results = []
    thread = threading.Thread(target=lambda: results.append(run()))
    thread.start()
    thread.join()
    np.testing.assert_array_equal(results[0].chains.params, run().chains.params)


def test_history_is_bounded_and_ends_with_the_last_step():
    result = run(steps=2500)
    np.testing.assert_array_equal(result.history.step, [*range(3, 2500, 3), 2500])
    result = run(steps=20, record_every=7)
    np.testing.assert_array_equal(result.history.step, [7, 14, 20])
    assert result.history.energy.shape == (3, 4)
    more = ja.anneal(
        terraces, state=result.state, args=(1.0,), steps=9, record_every=7, observe=look
    )
    np.testing.assert_array_equal(more.history.step, [21, 28, 29])
    np.testing.assert_array_equal(more.history.energy[-1], more.chains.energy)
    exact = run(LADDER, steps=40, record_every=1)
    np.testing.assert_array_equal(exact.history.warmup, np.arange(1, 41) <= 20)
    assert exact.history.energy.shape == (40, 2, 3)


@pytest.mark.parametrize("kind", ["chains", "ladders"])
def test_a_history_that_would_not_fit_is_summarised_over_chains_or_ladders(kind, monkeypatch):
    method = cooled() if kind == "chains" else LADDER
    full = run(method, record_every=5).history
    monkeypatch.setattr(history, "_BYTES", 100)
    short = run(method, record_every=5).history
    for name in ("energy", "best_energy", "acceptance_rate", "temperature"):
        values, summary = getattr(full, name), getattr(short, name)
        assert summary.mean.shape == ((20,) if kind == "chains" else (20, 3))
        np.testing.assert_array_equal(summary.min, values.min(axis=1))
        np.testing.assert_array_equal(summary.max, values.max(axis=1))
        for part, quantile in (("q25", 0.25), ("median", 0.5), ("q75", 0.75)):
            expected = np.quantile(values, quantile, axis=1)  # float32 interpolation: 2 ulp
            np.testing.assert_allclose(getattr(summary, part), expected, rtol=3e-7)
        np.testing.assert_allclose(summary.mean, values.mean(axis=1), rtol=3e-7)
    np.testing.assert_array_equal(short.step, full.step)


def test_a_default_history_whose_summary_would_not_fit_is_thinned(monkeypatch):
    # Four summaries, of 4 fields and an energy, 4 bytes each, 2 integers and 2 bools.
    monkeypatch.setattr(history, "_BYTES", 4 * len(history.Summary._fields) * (5 * 4 + 2 * 4 + 2))
    short = run().history
    np.testing.assert_array_equal(short.step, [25, 50, 75, 100])
    assert short.observed["right"].mean.shape == (4, 2)
    every_tenth = run(record_every=10).history
    assert every_tenth.energy.mean.shape == (10,)  # what is asked for is kept


def test_observe_sees_every_chain_or_the_coldest_rungs():
    single = run(record_every=10).history
    np.testing.assert_array_equal(single.observed["energy"], single.energy)
    assert {name: (leaf.dtype, leaf.shape) for name, leaf in single.observed.items()} == {
        "energy": (np.float32, (10, 4)),
        "right": (np.bool_, (10, 4, 2)),
        "cell": (np.int32, (10, 4, 2)),
    }
    tempered = run(LADDER, record_every=10).history
    np.testing.assert_array_equal(tempered.observed["energy"], tempered.energy[:, :, 0])


def test_energies_that_are_not_finite_are_refused_and_counted():
    result = lost(np.float32(0.9), 0.0, scale=2.0)
    assert np.all(result.diagnostics.nonfinite > 0)
    assert np.all(np.isfinite(result.chains.energy))
    assert np.all(np.abs(result.chains.params) <= 1)
    assert 0 <= result.energy == float(patchy(result.params, 0.0)) < 0.81
    refused = f"{result.diagnostics.nonfinite.sum():,} proposals refused, in 4 chains"
    assert refused in result.summary()
    stuck = lost(np.float32(0), np.inf, scale=0.5, steps=50)
    np.testing.assert_array_equal(stuck.diagnostics.nonfinite, [50] * 4)
    np.testing.assert_array_equal(stuck.chains.params, np.zeros(4))


def test_chains_that_start_without_a_finite_energy_leave_by_their_first_finite_proposal():
    starts = ja.stacked(np.float32([0.5, 1.5, -1.5, np.nan]))
    begun = lost(starts, 0.0, scale=1.0, steps=1)
    assert np.isfinite(begun.chains.energy[0])
    assert np.all(np.isfinite(begun.chains.energy) | (np.asarray(begun.chains.energy) == np.inf))
    result = lost(starts, 0.0, scale=1.0)
    assert np.all(np.isfinite(result.chains.energy[:3]))
    assert result.chains.energy[3] == np.inf  # NaN plus noise is NaN
    assert jax.tree.all(jax.tree.map(lambda x: bool(np.isfinite(x)), result.params))
