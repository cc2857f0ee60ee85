"""A sweep on disk: nothing is run twice, nothing is lost, and nothing is mixed."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time
import warnings

import jax.numpy as jnp
import numpy as np
import pytest
import xarray

import jaxanneal as ja
from jaxanneal._sweep import batch
from jaxanneal._sweep import store as _store
from jaxanneal._sweep.batch import Batch
from jaxanneal._sweep.store import Store

METHOD = ja.SimulatedAnnealing(chains=4, cooling=ja.cooling.Geometric(1.0, 1e-3))
OVER = {"method.cooling.start": [0.5, 2.0, 8.0], "move.fraction": [0.1, 1.0]}
START = {"x": np.ones(3, np.float32), "on": np.zeros((), bool)}
MOVE = ja.moves.PerLeaf({"x": ja.moves.Gaussian(), "on": ja.moves.Flip()})


def bowl(p):
    return jnp.sum(p["x"] ** 2) + jnp.where(p["on"], 0.0, 1.0)


def sweep(store=None, **more):
    over = {name.replace("move.fraction", "move.moves.x.fraction"): v for name, v in OVER.items()}
    settings = {"key": 0, "method": METHOD, "move": MOVE, "steps": 30, "repeats": 2, "over": over}
    return ja.sweep(bowl, START, store=store, **settings | more)


def same_law(one, other):
    assert set(one.data_vars) == set(other.data_vars)
    for name in one.data_vars:
        np.testing.assert_array_equal(one[name].values, other[name].values, err_msg=str(name))
        assert one[name].dims == other[name].dims
    for name in one.coords:
        np.testing.assert_array_equal(one[name].values, other[name].values)


@pytest.fixture
def batches(monkeypatch):
    """Count the runs of each batch, two at a time; the third batch may be told to die."""
    made, honest = [], Batch.outcomes
    made_to_die = []

    def counted(self):
        if len(made) == 2 and made_to_die:
            raise KeyboardInterrupt
        made.append(len(self.runs))
        return honest(self)

    monkeypatch.setattr(Batch, "outcomes", counted)
    monkeypatch.setattr(batch, "first_size", lambda problem, runs: 2)
    return made, made_to_die


def test_a_killed_sweep_goes_on_where_it_was(tmp_path, batches):
    made, made_to_die = batches
    plain = sweep()
    assert made == [2] * 6
    made.clear()
    made_to_die.append(True)
    with pytest.raises(KeyboardInterrupt):
        sweep(tmp_path / "store")
    made_to_die.clear()
    with xarray.open_zarr(tmp_path / "store") as there:  # as anyone could while it runs
        known = there.stop_reason.values != ""
        assert known.sum() == 4
        np.testing.assert_array_equal(there.energy.values[known], plain.energy.values[known])
    made.clear()
    resumed = sweep(tmp_path / "store")
    assert made == [2] * 4
    same_law(resumed, plain)
    made.clear()
    same_law(sweep(tmp_path / "store"), plain)
    assert made == []
    same_law(xarray.open_zarr(tmp_path / "store").load().drop_attrs(), plain)


def test_a_store_that_says_done_too_early_is_caught(tmp_path, monkeypatch):
    plain, honest = sweep(), Store.write

    def hasty(self, places):  # a broken twin: it marks more than there is
        self.table.arrays["stop_reason"][...] = "STEPS"
        honest(self, None)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", hasty)
        with pytest.raises(KeyboardInterrupt):
            sweep(tmp_path / "store")
    with pytest.raises(AssertionError, match=r"energy|steps"):
        same_law(sweep(tmp_path / "store"), plain)


@pytest.mark.parametrize(
    "other, differs",
    [
        (
            {"key": 1},
            r"key = a key of uint32\[2\] \[0, 0\] .*, got key = a key of uint32\[2\] \[0, 1\]",
        ),
        ({"steps": 31}, "steps = 30, got steps = 31"),
        ({"repeats": 3}, "repeats = 2, got repeats = 3"),
        ({"method": ja.SimulatedAnnealing(5, METHOD.cooling)}, "structure of method = "),
        (
            {"over": {"steps": [3]}},
            r"over steps = none, .*, got .*over steps = 3, \[\*\]",
        ),
    ],
)
def test_the_store_of_another_sweep_is_refused_with_what_differs(tmp_path, other, differs):
    directory = tmp_path / "store"
    assert _made_without_runs(directory)
    match = (
        rf"^store: expected the sweep that was saved in .*store, with .*{differs}.*Make that call"
    )
    with pytest.raises(ValueError, match=match):
        sweep(directory, **other)


def _made_without_runs(directory):
    """Make the store of the sweep, as a call that is killed at once leaves it."""

    def killed(self, places):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            sweep(directory)
    with xarray.open_zarr(directory) as there:
        return json.loads(there.attrs["jaxanneal_sweep"])


def test_data_and_energies_are_told_apart_by_what_they_compute(tmp_path):
    mine = _made_without_runs(tmp_path / "one")
    assert mine == _made_without_runs(tmp_path / "two")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(START, "x", np.ones(3, np.float32) * 2)
        assert _made_without_runs(tmp_path / "three")["params['x']"] != mine["params['x']"]
        patch.setitem(globals(), "bowl", lambda p: 2 * bowl_of(p))
        assert _made_without_runs(tmp_path / "four")["energy"] != mine["energy"]


bowl_of = bowl


def test_a_store_of_before_is_refused_with_a_remedy(tmp_path):
    _made_without_runs(tmp_path / "store")
    about = tmp_path / "store" / ".zattrs"
    about.write_text(about.read_text().replace('format\\": \\"5', 'format\\": \\"4'))
    os.unlink(tmp_path / "store" / ".zmetadata")
    match = (
        r"^store: expected format 5, got 4 in .*store\. Go on with the jaxanneal that wrote it, or"
    )
    with pytest.raises(ValueError, match=match), warnings.catch_warnings(action="ignore"):
        sweep(tmp_path / "store")


def test_what_is_no_store_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"^store: expected the store of a sweep, or no directory"):
        sweep(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    with pytest.raises(TypeError, match=r"^store: expected a path, got 3"):
        sweep(3)


def test_a_disk_that_fails_does_not_cost_the_sweep(tmp_path, monkeypatch):
    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    plain = sweep()
    monkeypatch.setattr(xarray.Dataset, "to_zarr", full)
    with pytest.warns(UserWarning, match=r"^store: cannot be made .*No space left"):
        same_law(sweep(tmp_path / "store"), plain)


def refused_while_it_runs_law(directory, plain):
    """A second sweep on the store of one that runs is refused, and may have it afterwards."""
    honest, refused = Store.write, []

    def meanwhile(self, places):
        patch.undo()
        with pytest.raises(ValueError) as raised:
            sweep(directory)
        refused.append(str(raised.value))
        honest(self, places)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "write", meanwhile)
        same_law(sweep(directory), plain)
    expected = f"store: expected a free directory, got {directory}, where another sweep runs. Wait"
    assert refused[0].startswith(expected)
    same_law(sweep(directory), plain)


def test_a_second_sweep_on_one_store_is_refused(tmp_path, monkeypatch):
    plain = sweep()
    refused_while_it_runs_law(tmp_path / "store", plain)
    monkeypatch.setattr(_store, "lock", lambda handle: True)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):  # a broken twin
        refused_while_it_runs_law(tmp_path / "twin", plain)


CHILD = """
import sys
import jax
sys.path.insert(0, sys.argv[2])
# As in the tests, or it would be another call.
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
import test_sweep_store as own
own.batch._FIRST, own.batch._GROWTH = 2, 1
own.sweep(sys.argv[1], repeats=10, steps=20_000)
"""


@pytest.mark.slow
def test_a_sweep_killed_at_any_moment_ends_as_if_it_had_not_been(tmp_path):
    here = pathlib.Path(__file__).parent
    command = [sys.executable, "-c", CHILD, str(tmp_path / "store"), str(here)]
    environment = {
        **os.environ,
        "PYTHONPATH": f"{here.parents[1]}:{os.environ.get('PYTHONPATH', '')}",
    }
    known = 0
    for seconds in (0.3, 0.1):
        child = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while known == _known(tmp_path / "store") and child.poll() is None:
            time.sleep(0.05)
        time.sleep(seconds)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        known = _known(tmp_path / "store")
        assert known
    plain, resumed = (
        sweep(store, repeats=10, steps=20_000) for store in (None, tmp_path / "store")
    )
    assert known < resumed.energy.size
    same_law(resumed, plain)


def _known(directory):
    try:
        with xarray.open_zarr(directory) as there:
            return int((there.stop_reason.values != "").sum())
    except Exception:  # it is being made
        return 0
