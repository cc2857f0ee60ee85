"""Checkpoints: a run that is cut short and called again is the run that was never cut short."""

import json
import os
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import caught
from runs import assert_same_run, eager, often, until

import jaxanneal as ja
from jaxanneal import StopReason
from jaxanneal._files import directory as directories
from jaxanneal._run import checkpoint
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Flip, Gaussian, IntegerStep, PerLeaf

TERRACES = np.float32([5, -7])


def terraces(x):
    return jnp.sum(jnp.round(4 * x) ** 2)


def fitted(params, x, y):
    return jnp.mean((jnp.tanh(params["w"] * x) + params["b"] - y) ** 2)


def slope(params, x, y):
    return {"w": params["w"]}


def mixed(params):
    low = jnp.sum(params["half"].astype(jnp.float32) ** 2)
    sites = jnp.sum(params["sites"].astype(jnp.float32))
    return low + sites + jnp.sum(params["counts"]).astype(jnp.float32) ** 2


def sine(step):
    return 1.1 + np.sin(step)  # the host's to evaluate: NumPy cannot be traced


def calibrated_ladder(**limits):
    x = np.linspace(-1, 1, 16, dtype=np.float32)
    method = ja.ParallelTempering(rungs=4, ladders=2)
    settings = {"observe": slope, "method": method, "steps": 90}
    start = {"w": 0.0, "b": 0.0, "name": "fixed"}
    return ja.anneal(fitted, start, key=3, args=(x, np.tanh(2 * x)), **settings | limits)


def mixed_by_a_schedule_of_the_host(**limits):
    start = {
        "half": jnp.ones(3, jnp.bfloat16),
        "sites": jnp.zeros(5, bool),
        "counts": jnp.zeros((), jnp.int32),
    }
    moves = {"half": Gaussian(0.5), "sites": Flip(), "counts": IntegerStep(bounds=(-5, 9))}
    settings = {"method": ja.SimulatedAnnealing(5, sine), "move": PerLeaf(moves), "block": 2}
    return ja.anneal(mixed, start, key=1, steps=80, record_every=7, **settings | limits)


def stopped_by_target(**limits):
    method = ja.SimulatedAnnealing(4, Geometric(16.0, 0.1, 100))
    settings = {"move": Gaussian(0.5), "target": 100.0, "method": method, "steps": 10_000}
    return ja.anneal(terraces, TERRACES, key=0, **settings | limits)


def gone_on_with(**limits):
    first = stopped_by_target(steps=50, target=None)
    return ja.anneal(terraces, state=first.state, steps=60, record_every=11, **limits)


# Those whose programs are their own stand among the slow tests.
RUNS = [
    pytest.param(calibrated_ladder, marks=pytest.mark.slow),
    pytest.param(mixed_by_a_schedule_of_the_host, marks=pytest.mark.slow),
    stopped_by_target,
    gone_on_with,
]


def resumed_law(run, directory, monkeypatch):
    """Cut a run short at three places, once by Ctrl-C, and call it again until its end."""
    expected = run()
    eager(monkeypatch)
    for step in (1, 23, 41):
        cut = run(checkpoint=ja.Checkpoint(directory), callback=until(step))
        assert (cut.stop_reason, cut.history.step[-1]) == (StopReason.CALLBACK, cut.steps)
        assert cut.steps < expected.steps
    monkeypatch.undo()
    found = run(checkpoint=ja.Checkpoint(directory))
    assert_same_run(found, expected)
    again = run(checkpoint=ja.Checkpoint(directory), callback=lambda _: pytest.fail("a move"))
    assert_same_run(again, expected)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.__name__)
def test_a_run_cut_short_and_called_again_is_the_uninterrupted_run(run, tmp_path, monkeypatch):
    resumed_law(run, tmp_path, monkeypatch)


@pytest.mark.parametrize("forgotten", ["recorded", "evaluations", "first"])
def test_a_checkpoint_that_forgets_a_number_is_caught(forgotten, tmp_path, monkeypatch):
    whole = checkpoint._unpacked

    def twin(*saved):
        kept = whole(*saved)
        zeros = jax.tree.map(lambda x: x * 0, getattr(kept, forgotten))
        return kept._replace(**{forgotten: zeros})

    monkeypatch.setattr(checkpoint, "_unpacked", twin)
    with pytest.MonkeyPatch.context() as inner:
        caught(resumed_law, gone_on_with, tmp_path, inner)


def test_a_calibration_cut_short_saves_nothing(tmp_path):
    settings = {"key": 0, "steps": 10**6, "max_seconds": 1e-9}
    found = ja.anneal(terraces, TERRACES, checkpoint=ja.Checkpoint(tmp_path), **settings)
    assert (found.stop_reason, found.steps) == (StopReason.TIME, 0)
    assert directories.names(tmp_path) == []


def test_time_is_that_of_each_call_and_seconds_those_of_the_run(tmp_path, monkeypatch):
    eager(monkeypatch)
    short = {"max_seconds": 0.2, "steps": 10**7, "target": None}
    first = stopped_by_target(checkpoint=often(tmp_path), **short)
    second = stopped_by_target(checkpoint=often(tmp_path), **short)
    assert first.stop_reason is second.stop_reason is StopReason.TIME
    assert 0 < first.steps < second.steps
    assert second.seconds > 0.35  # no move begins that would end too late


def test_only_the_newest_saves_are_kept(tmp_path, monkeypatch):
    eager(monkeypatch)
    for keep in (3, 1):
        stopped_by_target(checkpoint=often(tmp_path, keep=keep), callback=until(12))
        names = directories.names(tmp_path)
        assert len(names) == keep
        assert sorted(os.listdir(tmp_path)) == ["lock", *names[::-1]]
    with zipfile.ZipFile(tmp_path / names[0]) as save:  # for a reader without the library
        assert json.loads(save.read("header.json"))["fingerprint"]["target"] == "100.0"


def test_saves_take_less_than_one_percent_however_often_they_are_asked_for(tmp_path, monkeypatch):
    saves = checkpoint.Saves(often(tmp_path), directories.Directory(tmp_path), {})
    now = [100.0]
    monkeypatch.setattr(checkpoint.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(checkpoint, "_packed", lambda *_: ({}, []))
    monkeypatch.setattr(saves.held, "write", lambda *_: now.__setitem__(0, now[0] + 0.25))
    saves.save(None)
    now[0] += 24.7
    assert not saves.due
    now[0] += 0.1
    assert saves.due


@pytest.mark.usefixtures("two_devices")
def test_a_run_saved_on_two_devices_goes_on_on_one_and_back(tmp_path, monkeypatch):
    def run(devices, **changes):
        mesh = jax.make_mesh((devices,), ("chains",), devices=jax.devices()[:devices])
        return stopped_by_target(target=None, block=3, sharding=mesh, **changes)

    expected = run(1)  # 4 chains in 6 lanes
    eager(monkeypatch)
    for devices, step in ((2, 9), (1, 23)):
        run(devices, checkpoint=ja.Checkpoint(tmp_path), callback=until(step))
    monkeypatch.undo()
    assert_same_run(run(2, checkpoint=ja.Checkpoint(tmp_path)), expected)
