"""What a checkpoint refuses, a store refuses: functions are told apart by what they compute."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray

import jaxanneal as ja
from jaxanneal._pytree import pytree_dataclass
from jaxanneal._run import fingerprint
from jaxanneal._sweep.store import Store
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Gaussian

START = np.float32([3, 3, 3])


def bowl(x, *args):
    return jnp.sum(x**2)


def annealing(cooling=None):
    return ja.SimulatedAnnealing(chains=4, cooling=cooling or Geometric(1.0, 0.01))


def call(**changes):
    settings = {"energy": bowl, "params": START, "key": 0, "method": annealing(), "steps": 30}
    return settings | {"move": Gaussian()} | changes


def around(other):
    return jnp.asarray([100.0, 2, -3] if other else [1.0, 2, 3])


def jitted(other):
    target = around(other)
    return call(energy=jax.jit(lambda x: jnp.sum((x - target) ** 2)))


def branched(other):
    target = around(other)
    near = jax.jit(lambda x: jnp.sum((x - target) ** 2))
    return call(energy=lambda x: jax.lax.cond(x[0] > 0, near, lambda x: 0 * x[0], x))


def cooled(other):
    return call(method=annealing(lambda step: (0.5 if other else 1.0) * 0.9**step))


def cooled_by_a_class(other):
    rate = 0.5 if other else 0.9

    @pytree_dataclass
    class Cooling:
        start: jax.Array

        def __call__(self, step):
            return self.start * jnp.float32(rate) ** jnp.asarray(step, jnp.float32)

    return call(method=annealing(Cooling(jnp.float32(1))))


def moved(other):
    width = 2.0 if other else 0.1
    return call(move=lambda key, x: x + width * jax.random.normal(key, x.shape))


def moved_by_a_class(other):
    class Move:
        def propose(self, key, x, factor):
            return x + (2.0 if other else 0.1) * jax.random.normal(key, x.shape), 0.0

    return call(move=Move())


def adapted_otherwise(other):
    class Move:
        def propose(self, key, x, factor):
            return x + factor * jax.random.normal(key, x.shape), 0.0

        def target(self, x):
            return 0.5 if other else 0.25

    return call(move=Move())


def given_a_function(other):
    scale = 3.0 if other else 1.0
    return call(energy=lambda x, g: jnp.sum(g(x) ** 2), args=(lambda x: scale * x,))


def started(other):
    low = -5.0 if other else -1.0
    return call(params=lambda key: jax.random.uniform(key, (3,), jnp.float32, low, 1.0))


def another_of_many_moves(other):
    first, second = (moved(i)["move"] for i in (False, True))
    return call(over={"move": [first, second, second if other else first]})


def another_of_many_methods(other):
    methods = [cooled(False)["method"], cooled(other)["method"]]
    return call(over={"method": methods})


def another_of_many_args(other):
    functions = [given_a_function(i)["args"][0] for i in (False, other)]
    return call(energy=lambda x, g: jnp.sum(g(x) ** 2), args=(bowl,), over={"args.0": functions})


# The part that differs, by its name.
CALLS = {
    jitted: "energy",
    branched: "energy",
    cooled: "what the cooling does",
    cooled_by_a_class: "what the cooling does",
    moved: "what the move does",
    moved_by_a_class: "what the move does",
    adapted_otherwise: "what the move does",
    given_a_function: "energy",
    started: "params",
}
MANY = {
    another_of_many_moves: "what the move does",
    another_of_many_methods: "what the cooling does",
    another_of_many_args: "energy",
}


class Begun(BaseException):
    """Stands for a kill before the first run."""


def begin(directory, over=None, energy=bowl, params=START, **settings):
    """Make the store of a sweep without a run, or look at it; return what it says of itself."""

    def killed(self, places):
        raise Begun

    over = over or {"target": [-1.0]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "write", killed)
        with pytest.raises(Begun):
            ja.sweep(energy, params, over=over, repeats=1, store=directory, **settings)
    with xarray.open_zarr(directory) as dataset:
        return json.loads(dataset.attrs["jaxanneal_sweep"])


def told_apart_law(make, part, directory):
    """The same sweep, its functions made anew, goes on there; another one is refused by a part."""
    directory.mkdir()
    first = begin(directory / "store", **make(False))
    assert begin(directory / "store", **make(False)) == first
    match = rf"^store: expected the sweep .*with {part} = .*, got {part} = .*Make that call again"
    with pytest.raises(ValueError, match=match):
        begin(directory / "store", **make(True))


@pytest.mark.parametrize("make", [*CALLS, *MANY], ids=lambda make: make.__name__)
def test_sweeps_are_told_apart_by_what_functions_compute(make, tmp_path, monkeypatch):
    part = (CALLS | MANY)[make]
    told_apart_law(make, part, tmp_path / "whole")
    # A twin that goes by names, as stores did.
    for digest in ("cooling_digest", "move_digest", "program_digest", "traced_digest"):
        monkeypatch.setattr(fingerprint, digest, lambda *inputs: "a function of that name")
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        told_apart_law(make, part, tmp_path / "twin")


def test_constants_of_nested_functions_belong_to_an_energy(tmp_path, monkeypatch):
    forgetful = lambda traced: traced.computation.digest  # noqa: E731
    monkeypatch.setattr(fingerprint, "traced_digest", forgetful)  # a twin
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        told_apart_law(jitted, "energy", tmp_path / "twin")


@pytest.mark.parametrize(
    "make",
    # Stores are told apart by the same fingerprint, in all cases.
    [pytest.param(m, marks=[pytest.mark.slow] * (m not in (jitted, moved))) for m in CALLS],
    ids=lambda make: make.__name__,
)
def test_a_checkpoint_refuses_the_same(make, tmp_path):
    checkpoint = ja.Checkpoint(tmp_path)
    first = ja.anneal(**make(False), checkpoint=checkpoint)
    assert ja.anneal(**make(False), checkpoint=checkpoint).energy == first.energy
    match = rf"^checkpoint .*: expected the call .*, got {CALLS[make]}.* = .*Make that call again"
    with pytest.raises(ValueError, match=match):
        ja.anneal(**make(True), checkpoint=checkpoint)


def test_numbers_and_arrays_of_a_sweep_are_told_apart(tmp_path):
    first = begin(tmp_path / "first", **call())
    changes = {
        "over move.fraction": {"over": {"move.fraction": [0.1, 0.2]}},
        "args[0]": {"args": (np.float32(3),)},
        "move.scale": {"move": Gaussian(0.5)},
        "method.cooling.start": {"method": annealing(Geometric(2.0, 0.01))},
        "stacked params": {"params": ja.stacked(np.ones((4, 3), np.float32))},
        "block": {"block": 2},
    }
    for number, (name, change) in enumerate(changes.items()):
        other = begin(tmp_path / str(number), **call(**change))
        assert other.get(name) != first.get(name)


def test_functions_that_fail_cost_their_own_configurations_alone(tmp_path):
    settings = call(over={"move": [Gaussian(), lambda key, x: x[:2]]}, repeats=1)
    energy, params = settings.pop("energy"), settings.pop("params")
    with pytest.warns(UserWarning, match="1 of 2 runs of the sweep failed"):
        first = ja.sweep(energy, params, store=tmp_path / "store", **settings)
    assert [text != "" for text in first.error.values.reshape(-1)] == [False, True]
    with pytest.warns(UserWarning, match="1 of 2 runs of the sweep failed"):
        again = ja.sweep(energy, params, store=tmp_path / "store", **settings)
    np.testing.assert_array_equal(first.energy.values, again.energy.values)


def test_each_function_is_traced_once_for_its_store(tmp_path, monkeypatch):
    traced, honest = [], fingerprint.program_digest
    counted = lambda *inputs: traced.append(1) or honest(*inputs)  # noqa: E731
    monkeypatch.setattr(fingerprint, "program_digest", counted)
    over = {"steps": [10, 20, 30], "move.fraction": [0.1, 0.2], "args.0": np.arange(4.0)}
    begin(tmp_path / "store", **call(over=over, args=(0.0,)))
    assert len(traced) <= 2 + len(over["steps"])  # a cooling once for each length
