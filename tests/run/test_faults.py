"""Fault drills: after each, what was found is kept, and a message says what to do."""

import os
import re
import resource
import signal
import subprocess
import sys
import threading
from contextlib import nullcontext

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import assert_same_run, eager, often, until

import jaxanneal as ja
from jaxanneal import StopReason
from jaxanneal._engine import programs
from jaxanneal._engine.chunk import Control
from jaxanneal._files import directory as directories
from jaxanneal._run import checkpoint, interrupt
from jaxanneal._run.interrupt import interruptible
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Gaussian

START = np.float32([5, -7])


def terraces(x):
    """Return an integer for every state, which no batch width can round."""
    return jnp.sum(jnp.round(4 * x) ** 2)


def run(energy=terraces, **settings):
    method = ja.SimulatedAnnealing(4, Geometric(16.0, 0.1, 100))
    given = {"key": 0, "move": Gaussian(0.5), "steps": 60, "method": method}
    return ja.anneal(energy, START, **given | settings)


@pytest.fixture(scope="module")
def whole():
    return run()


class Simulator:
    """NumPy code that fails after some calls."""

    def __init__(self):
        self.left = 10**9

    def __call__(self, x):
        self.left -= 1
        if self.left < 0:
            raise ZeroDivisionError("the simulator broke")
        return np.float32(np.sum(np.round(4 * np.asarray(x)) ** 2))


SIMULATOR = Simulator()


def simulated(x):
    shape = jax.ShapeDtypeStruct((), jnp.float32)
    return jax.pure_callback(SIMULATOR, shape, x, vmap_method="sequential")


def found_law(error, steps, whole_run, known):
    """Require of an error that it carries a sound result and says how to read it."""
    result = error.result
    assert (result.stop_reason, result.steps) == (StopReason.INTERRUPTED, steps)
    assert result.energy == float(terraces(result.params)) == result.chains.best_energy.min()
    assert result.history.step.tolist() == list(range(1, steps + 1))
    assert (result.state is not None) == whole_run
    note = error.__notes__[-1]
    what = "the run" if whole_run else "the best state"
    assert f"after {steps} steps with the best energy {result.energy:.8g}. Catch this" in note
    assert f"to read {what} until then from its attribute `result`" in note
    assert known in note
    assert "best energy" in result.summary()


def broken_energy_law(tmp_path, monkeypatch, whole):
    eager(monkeypatch)
    SIMULATOR.left = 4 * 31 + 2  # the starts, 30 steps of 4 chains, and half a step
    with pytest.raises(ZeroDivisionError, match=r"^the simulator broke") as raised:
        run(simulated, checkpoint=often(tmp_path))
    found_law(raised.value, 30, False, f"goes on from the last save in {tmp_path}")
    SIMULATOR.left = 10**9
    assert_same_run(run(simulated, checkpoint=often(tmp_path)), whole)
    assert "Return jnp.inf where a state is not allowed" in raised.value.__notes__[0]
    SIMULATOR.left = 4 * 31 + 2
    with pytest.raises(ZeroDivisionError) as raised:
        run(simulated)
    found_law(raised.value, 30, False, "Given checkpoint=ja.Checkpoint(directory), the same")
    SIMULATOR.left = 4  # the starts alone
    with pytest.raises(ZeroDivisionError) as raised:
        run(simulated)
    assert (raised.value.result.energy, raised.value.result.steps) == (float(terraces(START)), 0)
    SIMULATOR.left = 0
    with pytest.raises(ZeroDivisionError) as raised:
        run(simulated)
    start = raised.value.result
    np.testing.assert_array_equal(start.params, START)
    assert (np.isnan(start.energy), start.steps, start.evaluations) == (True, 0, 0)
    assert "ended at its start" in raised.value.__notes__[-1]
    assert "best energy" in start.summary()


def broken_callback_law(tmp_path, monkeypatch, whole):
    eager(monkeypatch)

    def callback(progress):
        if progress.step == 25:
            raise LookupError("no such file")

    with pytest.raises(LookupError, match="no such file") as raised:
        run(callback=callback, checkpoint=ja.Checkpoint(tmp_path))
    found_law(raised.value, 25, True, f"goes on from the last save in {tmp_path}")
    assert_same_run(run(checkpoint=ja.Checkpoint(tmp_path)), whole)
    with pytest.raises(LookupError) as raised:
        run(callback=callback)
    found_law(raised.value, 25, True, "Given checkpoint=")
    more = ja.anneal(terraces, state=raised.value.result.state, steps=35)
    np.testing.assert_array_equal(more.chains.params, whole.chains.params)


def overflowing(program, after):
    """Return a program call that has no memory after some chunks."""

    def call(self, *inputs):
        nonlocal after
        if len(inputs) == 4 and isinstance(inputs[-1], Control):
            after -= 1
            if after < 0:
                jax.tree.map(lambda x: x.delete(), [x for x in jax.tree.leaves(inputs[0])])
                raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating")
        return program(self, *inputs)

    return call


def memory_law(tmp_path, monkeypatch, whole):
    eager(monkeypatch)
    with monkeypatch.context() as small:
        small.setattr(programs.Program, "__call__", overflowing(programs.Program.__call__, 8))
        with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED") as raised:
            run(checkpoint=often(tmp_path))
    found_law(raised.value, 8, False, f"last save in {tmp_path}")
    assert raised.value.__notes__[0] == (
        "anneal: expected memory for 4 chains in blocks of 4, got less on this device. "
        "Use fewer chains, or a smaller block, such as block=2."
    )
    assert_same_run(run(checkpoint=often(tmp_path)), whole)


def huge(x):
    wide = jnp.arange(2**31 - 8, dtype=jnp.float32)[None] * jnp.arange(1e5)[:, None]
    return jnp.sum(jnp.sort(wide + x[0]))


def test_memory_that_really_is_not_there_names_the_remedy():
    with pytest.raises(
        jax.errors.JaxRuntimeError, match=r"RESOURCE_EXHAUSTED|Out of memory"
    ) as raised:
        run(huge)
    assert "Use fewer chains, or a smaller block, such as block=2." in raised.value.__notes__[0]


def storm(x):
    """Return NaN or an infinity wherever the state has left a small box."""
    bad = jnp.where(x[0] > 0, jnp.nan, jnp.where(x[1] > 0, jnp.inf, -jnp.inf))
    return jnp.where(jnp.all(jnp.abs(x - START) < 0.2), terraces(x), bad)


def test_a_storm_of_nan_costs_nothing_that_was_found(tmp_path, monkeypatch):
    expected = run(storm)
    assert np.isfinite(expected.energy)
    assert np.all(expected.diagnostics.nonfinite > 0)
    assert expected.energy == float(terraces(expected.params))
    eager(monkeypatch)
    run(storm, checkpoint=ja.Checkpoint(tmp_path), callback=until(20))
    assert_same_run(run(storm, checkpoint=ja.Checkpoint(tmp_path)), expected)
    with pytest.raises(ValueError, match="finite energy in at least one chain"):
        run(lambda x: x[0] * jnp.nan, checkpoint=ja.Checkpoint(tmp_path / "other"))


def signal_law(tmp_path, monkeypatch, whole, number=signal.SIGTERM):
    before = signal.getsignal(number)
    eager(monkeypatch)

    def callback(progress):
        if progress.step == 25:
            signal.raise_signal(number)

    found = run(callback=callback, checkpoint=ja.Checkpoint(tmp_path))
    assert (found.stop_reason, found.steps) == (StopReason.INTERRUPTED, 25)
    assert signal.getsignal(number) is before
    interrupt._TERMINATED.clear()
    assert_same_run(run(checkpoint=ja.Checkpoint(tmp_path)), whole)


def test_a_second_ctrl_c_raises_at_once(ctrl_c):
    with pytest.raises(KeyboardInterrupt), interruptible() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested
        signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def pressed(number=signal.SIGINT):
    """Return the callback of a run in which a signal comes at the first look."""
    return lambda progress: signal.raise_signal(number) if progress.step < 2 else None


def in_a_row_law(monkeypatch, pause, ends):
    """A Ctrl-C in a run that begins within two seconds of another one raises, with the result."""
    now = [100.0]
    monkeypatch.setattr(interrupt.time, "monotonic", lambda: now[0])
    assert run(callback=pressed()).stop_reason is StopReason.INTERRUPTED
    now[0] += pause
    if not ends:
        assert run(callback=pressed()).stop_reason is StopReason.INTERRUPTED
        return
    with pytest.raises(KeyboardInterrupt) as raised:
        run(callback=pressed())
    assert raised.value.result.steps > 0
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(("pause", "ends"), [(1.9, True), (2.1, False)])
def test_a_second_ctrl_c_within_two_seconds_ends_a_script_that_loops(
    pause, ends, monkeypatch, ctrl_c
):
    in_a_row_law(monkeypatch, pause, ends)
    with pytest.raises((KeyboardInterrupt, pytest.fail.Exception)):  # a law of other pauses
        in_a_row_law(monkeypatch, pause, not ends)


def test_after_sigterm_a_run_returns_and_no_call_begins():
    assert run(callback=pressed(signal.SIGTERM)).stop_reason is StopReason.INTERRUPTED
    over = {"move.scale": [0.1]}
    calls = [
        run,
        lambda: ja.polish(terraces, START),
        lambda: ja.calibrate(terraces, START, key=0),
        lambda: ja.sweep(terraces, START, key=0, over=over, move=Gaussian(0.5)),
    ]
    for call in calls:
        with pytest.raises(SystemExit) as raised:
            call()
        assert raised.value.code == 143
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_call_within_a_call_ends_with_it(ctrl_c):
    inner = []

    def callback(progress):
        signal.raise_signal(signal.SIGTERM)
        inner.append(ja.polish(lambda x: jnp.sum(x**2), START, steps=10))

    assert run(callback=callback).stop_reason is StopReason.INTERRUPTED
    assert (inner[0].stop_reason, inner[0].steps) == (StopReason.INTERRUPTED, 0)


LOOP = """
import os, signal
import jaxanneal as ja
for key in range(3):
    stop = lambda progress: os.kill(os.getpid(), signal.SIGTERM)
    method = ja.SimulatedAnnealing(2, ja.cooling.Geometric(1.0, 0.1))
    result = ja.anneal(lambda x: x**2, 1.0, key=key, method=method, callback=stop)
    print(key, result.stop_reason.name, flush=True)
"""


def test_sigterm_ends_a_script_that_loops_over_runs():
    assert printed_by(LOOP, code=143) == "0 INTERRUPTED\n"


def test_a_handler_of_the_application_stays():
    seen = []
    before = signal.signal(signal.SIGTERM, lambda *_: seen.append(1))
    try:
        run(callback=lambda _: signal.raise_signal(signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert seen


SECOND = """
import os, signal
from jaxanneal._run.interrupt import interruptible
with interruptible() as interruption:
    os.kill(os.getpid(), signal.SIGTERM)
    print(interruption.requested, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    print("still here")
"""


def printed_by(program, code=0):
    """Return what a program of its own process printed."""
    command = [sys.executable, "-W", "ignore", "-c", program]
    environment = os.environ | {"PYTHONPATH": os.path.dirname(os.path.dirname(ja.__file__))}
    made = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert made.returncode == code, made.stderr
    return made.stdout


def test_a_second_sigterm_kills_at_once():
    assert printed_by(SECOND, code=-signal.SIGTERM) == "True\n"


@pytest.fixture
def full_disk():
    """Let no file of this process grow: every write fails, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(full=True):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0 if full else soft, hard))

    yield fill
    fill(False)


def full_disk_law(tmp_path, monkeypatch, whole, full_disk):
    eager(monkeypatch)

    def callback(progress):
        if progress.step in (20, 40):
            full_disk(progress.step == 20)

    match = rf"^checkpoint {re.escape(str(tmp_path))}: expected a directory that takes a save, got "
    with pytest.warns(UserWarning, match=match) as noted:
        found = run(checkpoint=often(tmp_path), callback=callback)
    assert len(noted) == 1
    assert "goes on and tries again later; make room or name another" in str(noted[0].message)
    assert_same_run(found, whole)
    newest = directories.names(tmp_path)[0]
    with open(tmp_path / newest, "rb") as file:
        header, _ = checkpoint._read(file, tmp_path)
    assert header["step"] == 60  # again when there was room
    assert_same_run(run(checkpoint=often(tmp_path)), whole)
    assert sorted(os.listdir(tmp_path)) == ["lock", *directories.names(tmp_path)[::-1]]


def no_directory_law(tmp_path, monkeypatch, whole):
    (tmp_path / "file").write_text("")
    with pytest.warns(
        UserWarning, match=r"file.*: expected a directory that takes a save, got Not"
    ):
        found = run(checkpoint=ja.Checkpoint(tmp_path / "file" / "below"))
    assert_same_run(found, whole)


def second_run_law(tmp_path, monkeypatch, whole):
    refused = []

    def callback(progress):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    def second():
        try:
            run(checkpoint=ja.Checkpoint(tmp_path))
        except ValueError as error:
            refused.append(str(error))

    assert_same_run(run(checkpoint=ja.Checkpoint(tmp_path), callback=callback), whole)
    got = f"got one that process {os.getpid()} runs in. Wait until it ends, or give each run"
    assert refused
    assert refused[0].startswith(f"checkpoint {tmp_path}: expected a free directory, {got}")
    assert_same_run(run(checkpoint=ja.Checkpoint(tmp_path)), whole)  # let go of afterwards


LAWS = [broken_energy_law, broken_callback_law, memory_law, no_directory_law, second_run_law]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_after_a_fault_nothing_that_was_found_is_lost(law, tmp_path, monkeypatch, whole):
    law(tmp_path, monkeypatch, whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_and_sigterm_end_a_run_with_its_result(number, tmp_path, monkeypatch, whole, ctrl_c):
    signal_law(tmp_path, monkeypatch, whole, number)


def test_a_disk_that_fills_up_warns_once_and_the_run_goes_on(
    tmp_path, monkeypatch, whole, full_disk
):
    full_disk_law(tmp_path, monkeypatch, whole, full_disk)


def raising(self, error):
    raise AssertionError("a warning was enough") from error


def giving_up(self, error, honest=checkpoint.Saves.warn):
    honest(self, error)
    self.works = False


TWINS = {
    "an error leaves alone": (broken_energy_law, "_run.anneal.rescuing", lambda *_: nullcontext()),
    "an error closes nothing": (
        broken_callback_law,
        "_run.driver.RecordedRun.close",
        lambda *_: None,
    ),
    "no memory is an error as any": (memory_law, "_run.outcome.is_overflow", lambda _: False),
    "signals are not looked at": (signal_law, "_run.driver.Driver._host_reason", lambda _: None),
    "a full disk ends the run": (full_disk_law, "_run.checkpoint.Saves.warn", raising),
    "a full disk ends the saves": (full_disk_law, "_run.checkpoint.Saves.warn", giving_up),
    "no directory ends the run": (no_directory_law, "_run.checkpoint.Saves.warn", raising),
    "a directory is everybody's": (second_run_law, "_files.directory.lock", lambda _: True),
}


@pytest.mark.parametrize("name", TWINS)
def test_without_its_protection_a_drill_fails(name, tmp_path, monkeypatch, whole, full_disk):
    law, place, twin = TWINS[name]
    monkeypatch.setattr(f"jaxanneal.{place}", twin)
    more = (full_disk,) if law is full_disk_law else ()
    with pytest.raises((AssertionError, AttributeError, pytest.fail.Exception)):
        law(tmp_path, monkeypatch, whole, *more)
