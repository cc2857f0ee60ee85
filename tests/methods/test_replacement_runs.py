"""Replacement does not depend on how a run is cut, where it takes place, or how it is called."""

import pickle
import re

import jax
import numpy as np
import optax
import pytest
from laws import broken, caught
from replaced import MOVE, energy, going, method, run, same, start
from runs import assert_same_run, eager, often, until
from spread import mesh

import jaxanneal as ja
from jaxanneal.cooling import Geometric

# `test_replacement` stands for these by default.
pytestmark = pytest.mark.slow

# Where a run takes place, and how it is cut, changes nothing.


def test_never_replacing_is_the_run_without_the_setting():
    never = run(None)
    same(run(10**6), never)
    assert never.state.engine_state.exchange == ()


def test_replacing_changes_the_run_from_the_first_time_that_it_is_due():
    with_it, without = run(7), run(None)
    energies = [np.asarray(x.history.energy) for x in (with_it, without)]
    np.testing.assert_array_equal(energies[0][:6], energies[1][:6])
    assert np.any(energies[0][6] != energies[1][6])
    assert np.mean(with_it.chains.energy) < np.mean(without.chains.energy)


@pytest.mark.parametrize("every", [1, 7, 64, 90])
def test_chunks_records_and_looks_change_nothing(every, monkeypatch):
    whole = run(every)
    assert_same_run(run(every, record_every=1), whole)
    same(run(every, record_every=11), whole)
    eager(monkeypatch)
    assert_same_run(run(every), whole)


COOLINGS = {
    "ours": Geometric(5.0, 0.01, steps=120),
    "optax": optax.exponential_decay(5.0, 10, 0.8),
    "plain": lambda step: 5.0 * 0.95 ** float(step),
}


@pytest.mark.parametrize("cooling", COOLINGS)
def test_a_run_goes_on_as_if_it_had_not_ended(cooling, monkeypatch, tmp_path):
    given = method(10, 13, COOLINGS[cooling])
    whole = run(steps=120, method=given)
    first = run(steps=60, method=given)  # ends where a replacement is due
    same(going(first, 60), whole)
    eager(monkeypatch)  # the tables of the host's temperatures begin anew at every look
    same(run(steps=120, method=given), whole)
    first.save(tmp_path / "run")
    again = {} if cooling == "ours" else {"method": given}
    loaded = ja.Result.load(tmp_path / "run")
    same(going(loaded, 60, **again), whole)


def test_long_tables_of_a_schedule_know_the_step_after_their_moves():
    plain = lambda step: 5.0 * 0.999 ** float(step)  # noqa: E731
    settings = {"record_every": 9000, "steps": 9000}
    ours = Geometric(5.0, 5.0 * 0.999**8999, steps=8999)
    every = method(4095, 13, plain), method(4095, 13, ours)
    ended = [run(method=given, **settings) for given in every]
    temperatures = [float(x.state.engine_state.exchange) for x in ended]
    np.testing.assert_allclose(temperatures, 5.0 * 0.999**8190, rtol=1e-3)


def test_a_schedule_that_ends_with_the_run_is_asked_for_one_more_step_if_that_is_due():
    temperatures = list(np.geomspace(5.0, 0.01, 90))
    listed = lambda step: temperatures[int(step)]  # noqa: E731
    assert run(7, 13, listed).steps == 90
    with pytest.raises(Exception, match="cooling"):
        run(10, 13, listed)


def test_pickled_and_saved_methods_and_results_keep_the_setting(tmp_path):
    ended = run(7)
    for kept in (pickle.loads(pickle.dumps(ended)), saved(ended, tmp_path / "a")):
        assert int(kept.state.method.replace_every) == 7
        same(going(kept, 50), going(ended, 50))
    assert int(pickle.loads(pickle.dumps(method(7))).replace_every) == 7


def saved(result, path):
    result.save(path)
    return ja.Result.load(path)


def test_a_checkpoint_goes_on_as_if_nothing_had_happened(tmp_path, monkeypatch):
    whole = run(7)
    eager(monkeypatch)
    run(7, checkpoint=often(tmp_path), callback=until(33))
    assert_same_run(run(7, checkpoint=often(tmp_path)), whole)
    with pytest.raises(ValueError, match=r"method\.replace_every = int32\[\] 7"):
        run(8, checkpoint=often(tmp_path))


def test_another_number_goes_on_and_another_structure_is_refused_in_words():
    with_it, without = run(7), run(None)
    other = going(with_it, 40, method=method(5))
    same(other, going(with_it, 40, method=method(5, cooling=Geometric(5.0, 0.01))))
    assert other.state.method.replace_every == 5
    text = "method: expected the structure of the run's own, .*replace_every=None.*, got "
    with pytest.raises(ValueError, match=text + r".*replace_every=.*ja\.stacked"):
        going(without, 40, method=method(5))
    with pytest.raises(ValueError, match=r"expected .*replace_every=.*, got .*replace_every=None"):
        going(with_it, 40, method=method(None))


# Other doors.


@pytest.mark.slow
def test_rounds_of_the_pure_functions_end_with_a_replacement():
    given = method(7, cooling=Geometric(5.0, 0.01, steps=89))
    pure = ja.algorithm(energy, given, MOVE)
    rounds = jax.jit(lambda state: jax.lax.scan(lambda s, _: pure.step(s), state, length=12))
    state, info = rounds(pure.init(0, start))
    np.testing.assert_array_equal(info.step, np.arange(7, 85, 7))
    ended = run(method=given, steps=84)
    np.testing.assert_allclose(state.chains.energy[:13], ended.chains.energy, rtol=1e-5)


@pytest.mark.slow
def test_a_sweep_takes_the_setting_as_an_axis():
    over = {"method.replace_every": [5, 9, None]}
    settings = {"method": method(7), "move": MOVE, "steps": 60, "repeats": 1}
    table = ja.sweep(energy, start, key=3, over=over, **settings)
    found = [float(x) for x in np.asarray(table.energy).reshape(-1)]
    key = jax.random.key(3)
    for number, every in enumerate(over["method.replace_every"]):
        own = jax.random.fold_in(jax.random.fold_in(key, number), 0)
        assert found[number] == float(run(every, key=own, steps=60).energy)


def test_new_numbers_compile_nothing(monkeypatch):
    run(7)
    monkeypatch.setattr(jax.stages.Lowered, "compile", lambda *_, **__: pytest.fail("compiled"))
    run(8)


@pytest.mark.slow
def test_calibration_finds_the_same_range_with_replacement_as_without():
    ends = []
    for every in (None, 3):
        natural = ja.SimulatedAnnealing(13, replace_every=every)
        ended = ja.anneal(energy, start, key=0, steps=20, method=natural)
        ends.append(ended.history.temperature[[0, -1], 0])
    np.testing.assert_array_equal(*ends)


@pytest.mark.parametrize(
    ("value", "error"), [(0, ValueError), (-1, ValueError), (1.5, TypeError), ("3", TypeError)]
)
def test_what_is_no_count_is_refused(value, error):
    text = re.escape("SimulatedAnnealing.replace_every: expected an integer from 1 to 2147483647")
    with pytest.raises(error, match=text + ".*Leave it out"):
        method(value)


# Devices.


@pytest.mark.usefixtures("two_devices")
@pytest.mark.parametrize(
    ("chains", "block"),
    [(13, 4), *(pytest.param(*x, marks=pytest.mark.slow) for x in [(12, 3), (3, 4), (64, 16)])],
)
def test_two_devices_copy_what_one_copies(chains, block):
    settings = {"block": block, "steps": 70}
    one, two = (run(7, chains, **settings, sharding=mesh(n)) for n in (1, 2))
    assert_same_run(two, one)
    same(going(two, 50, sharding=mesh(1)), going(one, 50, sharding=mesh(2)))


@pytest.mark.slow
@pytest.mark.usefixtures("two_devices")
def test_a_device_that_copies_its_own_chains_alone_is_caught():
    near = lambda tree, lane, axes: jax.tree.map(lambda x: x[lane % x.shape[0]], tree)  # noqa: E731
    whole = run(7, 12, block=3, sharding=mesh(1))
    with broken((("jaxanneal._engine.round.from_lanes", near),)):
        apart = run(7, 12, block=3, sharding=mesh(2))
    caught(assert_same_run, apart, whole)


@pytest.mark.slow
@pytest.mark.usefixtures("two_devices")
def test_a_mesh_of_two_axes_copies_what_one_device_copies():
    both = jax.make_mesh((2, 1), ("a", "b"))
    assert_same_run(run(7, 13, block=4, sharding=both), run(7, 13, block=4, sharding=mesh(1)))
