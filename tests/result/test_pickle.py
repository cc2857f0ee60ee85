"""Results travel between processes: pickle takes what a file takes, and copies take everything."""

import copy
import dataclasses
import pickle
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from runs import assert_same_run

import jaxanneal as ja
from jaxanneal._chain.parameters import Parameters, Structure
from jaxanneal.moves import Gaussian

COOLED = ja.SimulatedAnnealing(4, ja.cooling.Geometric(1.0, 0.1, 40))
TARGET = np.float32([1, 2])
DISTANCE = lambda x, target: jnp.sum(jnp.round(4 * (x - target)) ** 2)  # noqa: E731
shake = lambda key, x: x + 0.25 * jax.random.normal(key, x.shape)  # noqa: E731


class Pair(NamedTuple):
    a: Any
    b: Any


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Registered:
    w: Any
    n: int = dataclasses.field(default=3, metadata={"static": True})


class Module(eqx.Module):
    w: Any
    activation: Any = jnp.tanh


def run(method=COOLED, move=None):
    settings = {"args": (TARGET,), "steps": 20, "observe": lambda x, _: {"x": x}}
    settings |= {"method": method, "move": Gaussian(0.5) if move is None else move}
    return ja.anneal(DISTANCE, np.zeros(2, np.float32), key=0, **settings)


def goes_on(state, **settings):
    return ja.anneal(DISTANCE, state=state, args=(TARGET,), steps=20, **settings)


def travelled_law(result, again):
    """What travelled has the same numbers, and goes on as if it had not travelled."""
    assert type(again) is ja.Result
    for name in ("params", "energy", "chains", "history", "diagnostics"):
        ours, theirs = (jax.tree.leaves(getattr(x, name)) for x in (result, again))
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a, b, strict=True)
    assert_same_run(goes_on(again.state), goes_on(result.state))


LADDER = ja.ParallelTempering(temperatures=[0.1, 1.0], warmup=10)


@pytest.mark.parametrize(
    "method",
    [COOLED, pytest.param(LADDER, marks=pytest.mark.slow)],
    ids=["annealing", "tempering"],
)
@pytest.mark.parametrize("travel", ["pickle", "copy", "deepcopy"])
def test_a_result_of_a_lambda_travels_and_goes_on(method, travel):
    ways = {"pickle": lambda x: pickle.loads(pickle.dumps(x)), "copy": copy.copy}
    result = run(method)
    travelled_law(result, ways.get(travel, copy.deepcopy)(result))


def test_copies_keep_functions_and_data_and_pickles_do_not():
    result = run()
    for again in (copy.copy(result), copy.deepcopy(result)):
        assert again.state.energy.computation is result.state.energy.computation
        smooth = ja.polish(lambda x, target: jnp.sum((x - target) ** 2), again, steps=2)
        assert smooth.gradients > 0  # with the data of the run
    loaded = pickle.loads(pickle.dumps(result))
    assert loaded.state.energy.what == "<lambda>"
    with pytest.raises(TypeError, match=r"^args: expected the data of the run, which no file"):
        ja.polish(DISTANCE, loaded, steps=2)
    again = pickle.loads(pickle.dumps(loaded))  # a second time
    travelled_law(result, again)


def test_without_leaving_functions_out_pickle_refuses(monkeypatch):
    monkeypatch.setattr("jaxanneal._result.document.without_functions", lambda x: dict(vars(x)))
    with pytest.raises(Exception, match="<lambda>"):
        pickle.dumps(run())


class Shaken:
    """A move of a class of the user's."""

    def propose(self, key, params, factor):
        return shake(key, params), 0.0


FALLING = lambda step: 0.9**step  # noqa: E731
# Each row: what holds a function or class of the user's, what is asked for, and its name.
ASKED = [
    ({"move": Shaken()}, "move", "Shaken"),
    ({"move": shake}, "move", "<lambda>"),
    pytest.param(
        {"method": ja.SimulatedAnnealing(4, FALLING)},
        "method",
        "<lambda>",
        marks=pytest.mark.slow,
    ),
]


@pytest.mark.parametrize(("given", "name", "what"), ASKED)
def test_what_is_asked_for_on_going_on_has_the_users_name(given, name, what, tmp_path):
    result = run(**given)
    result.save(tmp_path / "run")
    for state in (ja.Result.load(tmp_path / "run").state, pickle.loads(pickle.dumps(result)).state):
        with pytest.raises(ValueError, match=f"^{name}: expected {name}=, because {what} of the"):
            goes_on(state)
        assert goes_on(state, **given).energy == goes_on(result.state).energy


TREES = [
    {"x": TARGET, "p": Pair(TARGET, [np.float32(1), None])},
    Registered({"w": TARGET}),
    {"x": TARGET, "name": "run", "n": 3},
    Module(TARGET),
]


@pytest.mark.parametrize("tree", TREES, ids=lambda tree: type(tree).__name__)
def test_trees_of_every_kind_travel(tree):
    before = Parameters.of(tree)
    after = pickle.loads(pickle.dumps(before))
    assert after.structure.treedef == before.structure.treedef
    assert after.structure.paths() == before.structure.paths()
    assert type(after.tree) is type(tree)
    assert copy.deepcopy(before).structure is before.structure


def test_a_function_among_parameters_that_pickle_cannot_take_says_so():
    after = pickle.loads(pickle.dumps(Parameters.of(Module(TARGET)))).tree
    with pytest.raises(TypeError, match=r"^params: expected the function tanh, got .*like=params"):
        after.activation(after.w)
    again = pickle.loads(pickle.dumps(Parameters.of(after)))
    assert again.structure == Parameters.of(after).structure


def test_a_node_that_checks_its_children_travels_as_jax_has_it():
    structure = Parameters.of(Strict(TARGET)).structure
    assert pickle.loads(pickle.dumps(structure)) == structure
    assert isinstance(structure, Structure)


@jax.tree_util.register_pytree_node_class
class Strict:
    def __init__(self, w):
        if np.shape(w) != (2,):
            raise ValueError("w has two entries")
        self.w = w

    def tree_flatten(self):
        return (self.w,), None

    @classmethod
    def tree_unflatten(cls, _, children):
        return cls(*children)
