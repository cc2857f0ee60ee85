"""What a checkpoint refuses: other calls, damaged saves, settings that are none."""

import os
import re

import jax.numpy as jnp
import numpy as np
import pytest
from runs import assert_same_run, eager, often, until

import jaxanneal as ja
from jaxanneal._files import archive
from jaxanneal._files import directory as directories
from jaxanneal._run import fingerprint
from jaxanneal.cooling import Geometric, Linear
from jaxanneal.moves import Gaussian, Uniform

HIDDEN = np.arange(9, dtype=np.float32)


def energy(params, x):
    return jnp.sum((params["w"] - x) ** 2)


def energy_with(constant):
    return lambda params, x: energy(params, x) + jnp.sum(jnp.asarray(constant))


def run(function=energy, **settings):
    given = {
        "params": {"w": np.float32([1, 2, 3])},
        "key": 0,
        "args": (np.float32([5, 6, 7]),),
        "method": ja.SimulatedAnnealing(4, Geometric(2.0, 0.1)),
        "move": Gaussian(0.3),
        "steps": 40,
        "progress": False,
    }
    return ja.anneal(function, **given | settings)


def downward(step):
    return 2.0 - 0.01 * step


def steeper(step):
    return 2.0 - 0.02 * step


CHANGES = {
    "key": {"key": 1},
    "steps": {"steps": 41},
    "target": {"target": 0.0},
    "patience": {"patience": 9},
    "record_every": {"record_every": 2},
    "block": {"block": 2},
    "args[0]": {"args": (np.float32([5, 6, 8]),)},
    "structure of args": {"args": (np.float32([5, 6, 7]), "more")},
    "params['w']": {"params": {"w": np.float32([1, 2, 4])}},
    "move.scale": {"move": Gaussian(0.4)},
    "structure of move": {"move": Uniform(0.3)},
    "method.cooling.start": {"method": ja.SimulatedAnnealing(4, Geometric(3.0, 0.1))},
    "structure of method": {"method": ja.SimulatedAnnealing(4, Linear(2.0, 0.1))},
    "observe": {"observe": lambda params, x: params["w"]},
    "chains": {"method": ja.SimulatedAnnealing(8, Geometric(2.0, 0.1))},
    "method": {"method": ja.ParallelTempering(temperatures=[0.1, 0.2], ladders=2)},
}

# As the user would have given them, not as the engine holds them.
SHOWN = {
    "key": r"key = a key of uint32\[2\] \[\d+, \d+\] .*, got key = a key of uint32",
    "target": r"target = None, got target = 0\.0\.",
    "patience": r"patience = None, got patience = 9\.",
    "chains": r"with chains = 4, .*got chains = 8, ",
    "method": r"method = SimulatedAnnealing, chains = 4, .*got method = ParallelTempering, "
    r"chains = 2 x 2",
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Return a directory with a finished run, and its result."""
    directory = tmp_path_factory.mktemp("finished")
    return directory, run(checkpoint=ja.Checkpoint(directory))


@pytest.mark.parametrize("name", CHANGES)
def test_another_call_is_refused_by_the_name_of_what_differs(name, finished):
    where = re.escape(f"checkpoint {finished[0]}: expected the call that was saved there, with ")
    known = re.escape(name)
    match = rf"^{where}.*{known} = .*, got .*{known} = .*\. Make that call again, or name another"
    function = (lambda p, x, _: energy(p, x)) if name == "structure of args" else energy
    with pytest.raises(ValueError, match=match):
        run(function, checkpoint=ja.Checkpoint(finished[0]), **CHANGES[name])


@pytest.mark.parametrize("name", SHOWN)
def test_a_refusal_shows_what_was_given(name, finished):
    with pytest.raises(ValueError, match=SHOWN[name]):
        run(checkpoint=ja.Checkpoint(finished[0]), **CHANGES[name])


def fingerprint_law(function, directory):
    run(function, checkpoint=ja.Checkpoint(directory))
    with pytest.raises(ValueError, match=r"energy = .*, got energy ="):
        run(energy_with(HIDDEN + 1), checkpoint=ja.Checkpoint(directory))


def test_an_energy_with_other_constants_is_another_energy(tmp_path, monkeypatch):
    fingerprint_law(energy_with(HIDDEN), tmp_path / "whole")
    forgetful = lambda traced: traced.computation.digest  # noqa: E731
    monkeypatch.setattr(fingerprint, "traced_digest", forgetful)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        fingerprint_law(energy_with(HIDDEN), tmp_path / "twin")


def test_schedules_of_the_host_are_told_apart_by_their_values(tmp_path):
    method = ja.SimulatedAnnealing(4, downward)
    run(method=method, checkpoint=ja.Checkpoint(tmp_path))
    with pytest.raises(ValueError, match="what the cooling does = "):
        run(method=ja.SimulatedAnnealing(4, steeper), checkpoint=ja.Checkpoint(tmp_path))


def test_another_state_to_go_on_from_is_another_call(finished, tmp_path):
    first, given = finished[1], {"args": (np.float32([5, 6, 7]),)}
    ja.anneal(energy, state=first.state, steps=20, checkpoint=ja.Checkpoint(tmp_path), **given)
    other = ja.anneal(energy, state=first.state, steps=1, **given)
    with pytest.raises(ValueError, match=r"state\.step = int32\[\] 40, .*got .*int32\[\] 41"):
        ja.anneal(energy, state=other.state, steps=20, checkpoint=ja.Checkpoint(tmp_path), **given)


def test_what_changes_no_number_may_change(finished):
    directory, result = finished
    saved = directories.names(directory)
    free = {"max_seconds": 100.0, "callback": lambda _: pytest.fail("a move"), "progress": True}
    found = run(checkpoint=ja.Checkpoint(str(directory), every_seconds=1, keep=1), **free)
    assert_same_run(found, result)
    assert directories.names(directory) == saved


def damage(path, how):
    """Truncate, change or empty a save."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes({"truncated": data[: len(data) // 2], "changed": data, "emptied": b""}[how])


@pytest.mark.parametrize("how", ["truncated", "changed", "emptied"])
def test_damaged_saves_are_passed_over_and_refused_where_none_is_whole(
    how, tmp_path, monkeypatch, finished
):
    eager(monkeypatch)
    run(checkpoint=often(tmp_path, keep=3), callback=until(5))
    newest, older, oldest = directories.names(tmp_path)
    damage(tmp_path / newest, how)
    damage(tmp_path / older, how)
    monkeypatch.undo()
    match = rf"expected whole saves, got {newest} \(.*; {older} \(.*The run goes on from {oldest}"
    with pytest.warns(UserWarning, match=match):
        found = run(checkpoint=ja.Checkpoint(tmp_path, keep=1))
    assert_same_run(found, finished[1])
    (last,) = directories.names(tmp_path)
    damage(tmp_path / last, how)
    match = rf"expected a save that is whole, got {last} \(.*\)\. Put back a copy of the directory"
    with pytest.raises(ValueError, match=match):
        run(checkpoint=ja.Checkpoint(tmp_path))


@pytest.mark.parametrize("other", [2, 6])
def test_another_version_is_refused_with_a_remedy(tmp_path, other):
    header = {"format": "jaxanneal.Checkpoint", "version": other, "jaxanneal": "9"}
    archive.write(tmp_path / "save_000001.jaxanneal", header, [np.ones(3)])
    match = (
        rf"^checkpoint {re.escape(str(tmp_path))}/save_000001\.jaxanneal: expected version 5, got "
        rf"version {other}, by jaxanneal 9\. Go on with the jaxanneal that wrote it, or name"
    )
    with pytest.raises(ValueError, match=match):
        run(checkpoint=ja.Checkpoint(tmp_path))


def test_the_directories_that_orbax_wrote_are_refused_with_a_remedy(tmp_path):
    (tmp_path / "save_000007" / "arrays").mkdir(parents=True)
    (tmp_path / "lock").write_text("1")
    match = (
        rf"^checkpoint {re.escape(str(tmp_path))}: expected saves in single files, .* got "
        r"save_000007, a directory that an older jaxanneal wrote with orbax\. Go on with the "
        r"jaxanneal that wrote it, or name another directory to start anew\."
    )
    with pytest.raises(ValueError, match=match):
        run(checkpoint=ja.Checkpoint(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["lock", "save_000007"]


def test_what_a_killed_save_left_is_removed(tmp_path):
    (tmp_path / ".save_000001.jaxanneal.half").write_bytes(b"half")
    run(checkpoint=ja.Checkpoint(tmp_path))
    assert sorted(os.listdir(tmp_path)) == ["lock", "save_000001.jaxanneal"]


@pytest.mark.parametrize(
    "make, error, match",
    [
        (lambda: ja.Checkpoint(3), TypeError, r"Checkpoint\.directory: expected a path, got 3\."),
        (lambda: ja.Checkpoint(""), ValueError, r"Checkpoint\.directory: .* empty text\. Name"),
        (
            lambda: ja.Checkpoint("x", every_seconds=0),
            ValueError,
            r"Checkpoint\.every_seconds: expected finite seconds > 0, got 0\. Use 60",
        ),
        (lambda: ja.Checkpoint("x", np.inf), ValueError, r"every_seconds: .* got inf\."),
        (lambda: ja.Checkpoint("x", np.nan), ValueError, r"every_seconds: .* got nan\."),
        (lambda: ja.Checkpoint("x", "60"), TypeError, r"every_seconds: .* got '60'\."),
        (lambda: ja.Checkpoint("x", True), TypeError, r"every_seconds: .* got True\."),
        (lambda: ja.Checkpoint("x", keep=0), ValueError, r"keep: expected an integer >= 1, got 0"),
        (lambda: ja.Checkpoint("x", keep=2.0), TypeError, r"keep: expected an integer >= 1"),
        (
            lambda: run(checkpoint="x"),
            TypeError,
            r"checkpoint: expected a ja\.Checkpoint, got 'x'\. Pass checkpoint=ja\.Checkpoint\(",
        ),
    ],
)
def test_settings_that_are_none_are_refused(make, error, match):
    with pytest.raises(error, match=match):
        make()
