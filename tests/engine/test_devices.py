"""Where a run takes place changes no bit of it, and chains do not travel."""

import os
import re
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import spread
from jax.sharding import NamedSharding, PartitionSpec
from spread import START, annealed, digest, digests, energy, mesh

import jaxanneal as ja
from jaxanneal._engine import compile, round
from jaxanneal._engine import programs as _programs


def processes(count, *devices):
    """Return what every process of one run printed: its digests."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    script = [sys.executable, spread.__file__]
    runs = [
        subprocess.Popen(
            [*script, *map(str, (count, rank, port, *devices))], stdout=subprocess.PIPE, text=True
        )
        for rank in range(count)
    ]
    printed = [run.communicate(timeout=540)[0] for run in runs]
    assert [run.returncode for run in runs] == [0] * count
    lines = [re.findall(r"^digest (.+)$", text, re.M) for text in printed]
    return [[tuple(line.split()) for line in found] for found in lines]


@pytest.mark.slow
@pytest.mark.usefixtures("two_devices")
@pytest.mark.parametrize("method", ["SA", "PT"])
def test_two_devices_find_what_one_finds_and_go_on_from_each_other(method):
    one, two = annealed(method, mesh(1)), annealed(method, None)
    assert len(two.chains.energy.sharding.device_set) == 2
    assert digest(one) == digest(two)
    np.testing.assert_array_equal(one.chains.energy, two.chains.energy)
    jax.tree.map(np.testing.assert_array_equal, one.chains.params, two.chains.params)
    there = annealed(method, mesh(2), 100, state=one.state)
    back = annealed(method, mesh(1), 100, state=two.state)
    assert digest(there) == digest(back)


@pytest.mark.slow
@pytest.mark.usefixtures("two_devices")
def test_the_law_catches_a_device_that_hears_of_its_own_chains_alone(monkeypatch):
    _programs.chunk_program.cache_clear()
    deaf = lambda values, axes: jnp.concatenate([values, values])  # noqa: E731
    with monkeypatch.context() as patched:
        patched.setattr(round, "gather", lambda x, axes: x if axes is None else deaf(x, axes))
        broken = annealed("PT", mesh(2), 60)
    _programs.chunk_program.cache_clear()
    assert digest(broken) != digest(annealed("PT", mesh(1), 60))


@pytest.mark.usefixtures("two_devices")
def test_blocks_that_do_not_divide_leave_devices_without_one():
    method = ja.SimulatedAnnealing(3, ja.cooling.Geometric(1.0, 0.01))
    data = (np.ones((4, 12), np.float32),)
    options = {"key": 0, "method": method, "steps": 50, "block": 4, "args": data}
    one = ja.anneal(energy, START, sharding=mesh(1), **options)
    two = ja.anneal(energy, START, sharding=mesh(2), **options)
    assert digest(one) == digest(two)


@pytest.mark.slow
@pytest.mark.usefixtures("two_devices")
def test_some_axes_of_a_mesh_and_the_device_of_the_user():
    both = jax.make_mesh((1, 2), ("other", "chains"))
    named = NamedSharding(both, PartitionSpec("chains"))
    expected = digest(annealed("SA", mesh(1), 60))
    assert digest(annealed("SA", named, 60)) == expected
    with jax.default_device(jax.devices()[1]):
        run = annealed("SA", None, 60)
    assert run.params["w"].devices() == {jax.devices()[1]}
    assert digest(run) == expected
    whole = annealed("SA", None, 60, block=64)  # one block uses one device
    assert whole.chains.energy.devices() == {jax.devices()[0]}


@pytest.mark.parametrize(
    ("given", "error", "text"),
    [
        (
            4,
            TypeError,
            r"sharding: expected a jax.sharding.Mesh or .*, got int\. Pass jax.make_mesh",
        ),
        (
            "rows",
            ValueError,
            "sharding: expected a split of the leading axis alone, .*, got .*None",
        ),
    ],
)
def test_what_is_no_split_of_chains_is_refused(given, error, text):
    given = NamedSharding(mesh(1), PartitionSpec(None, "chains")) if given == "rows" else given
    with pytest.raises(error, match=text):
        annealed("SA", given)


@pytest.mark.slow
@pytest.mark.usefixtures("two_devices")
def test_devices_tell_each_other_energies_and_labels_alone(monkeypatch):
    programs, prepare = [], compile.Program.prepare

    def noted(program, *inputs):
        programs.append((program, inputs))
        return prepare(program, *inputs)

    monkeypatch.setattr(compile.Program, "prepare", noted)
    annealed("PT", mesh(2), 20)
    chunk, inputs = next(made for made in programs if len(made[1]) == 4)
    text = chunk._compiled[compile.signature(inputs)].as_text()
    calls = re.findall(r"= (.*?) (?:all-gather|all-reduce|all-to-all|collective-permute)\(", text)
    assert calls
    sizes = [np.prod([int(n) for n in shape.split(",") if n] or [1]) for shape in shapes_of(calls)]
    best = 2 * START["w"].size  # the one best state, as each device knows it
    assert max(sizes) == best < 40 * START["w"].size  # the replicas' parameters


def shapes_of(calls):
    return [shape for call in calls for shape in re.findall(r"\[([\d,]*)\]", call)]


def test_host_devices_come_before_jax_starts():
    ja.use_host_devices(2)  # as many as there are
    with pytest.raises(RuntimeError, match=r"a call before JAX has started.* got 2 CPU devices"):
        ja.use_host_devices(3)
    with pytest.raises(ValueError, match="n: expected an integer >= 1, got 0"):
        ja.use_host_devices(0)
    program = "import jax, jaxanneal; jaxanneal.use_host_devices(); print(len(jax.devices('cpu')))"
    out = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert int(out.stdout) == len(os.sched_getaffinity(0))


@pytest.mark.slow
@pytest.mark.usefixtures("two_devices")
def test_one_to_eight_devices_and_two_processes_find_the_same():
    expected = tuple(digests(1))
    assert processes(1, 8, 4, 3, 1) == [[expected] * 4]
    assert processes(2, 4) == [[expected]] * 2
