"""What is held fixed although it holds arrays is named, with what to pass instead."""

import argparse
import dataclasses
import functools
import types
import warnings
from fractions import Fraction
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal._chain import opaque

ONE, TWO = np.float32(1), np.zeros(2, np.float32)


@dataclasses.dataclass
class Layer:
    w: Any
    rate: Any = 3
    name: str = "layer"


class Model:
    def __init__(self, w):
        self.w, self.activation, self.label = w, jnp.tanh, "model"


class Slotted:
    __slots__ = ("missing", "w")

    def __init__(self, w):
        self.w = w


class Series:
    def __array__(self):
        return np.zeros(3)


class Callable(Layer):
    """A dataclass whose floats are settings, as those of a flax module are."""

    def __call__(self, x):
        return x


REGISTER = "jax.tree_util.register_dataclass"
# Each row: what is held fixed, the paths in it, and the remedy.
HELD = [
    (Layer(TWO), "(.w)", f"{REGISTER}(Layer), or pass a dict"),
    (Layer({"a": [TWO, ONE]}), "(.w['a'][0], .w['a'][1])", f"{REGISTER}(Layer)"),
    (Layer(0.5), "(.w)", f"{REGISTER}(Layer)"),
    (Layer(Model(Layer(TWO))), "(.w.w.w)", f"{REGISTER}(Layer)"),
    (Layer([TWO] * 5), "(.w[0], .w[1], .w[2], .w[3], ...)", f"{REGISTER}(Layer)"),
    (Callable(TWO), "(.w)", f"{REGISTER}(Callable)"),
    (types.SimpleNamespace(a=TWO), "(.a)", "Pass a dict, vars(namespace), or a dataclass"),
    (argparse.Namespace(a=jnp.ones(2)), "(.a)", f"a dataclass registered with {REGISTER}"),
    (Model(TWO), "(.w)", f"a dict of its arrays, or a dataclass registered with {REGISTER}"),
    (Slotted(TWO), "(.w)", f"a dict of its arrays, or a dataclass registered with {REGISTER}"),
    (functools.partial(jnp.add, TWO), "(.args[0])", "Pass a dict of its arrays"),
    (Series(), "the numbers in it, because", "Pass numpy.asarray of it"),
    ({0.5, 1.5}, "(.items[0], .items[1])", "Pass a list"),
]
SETTINGS = [Layer(np.zeros(0)), Callable(0.5), Model(0.5), Slotted(3), jnp.tanh, jax.jit(jnp.sin)]
SETTINGS += [functools.partial(jnp.add, 2.0), "text", {1, 2}, jax.nn.relu, np, Layer]


def energy(p):
    return p["x"] ** 2


def told_law(start, inside, remedy):
    """Whatever starts a chain warns once of what is held fixed, by its path in the tree."""
    with pytest.warns(UserWarning, match=r"^params\['p'\]: held fixed with the numbers") as noted:
        start()
    assert len(noted) == 1
    text = str(noted[0].message)
    assert inside in text
    assert text.endswith(f"{remedy}.") or f" {remedy}" in text


@pytest.mark.parametrize(("leaf", "inside", "remedy"), HELD)
def test_an_object_with_arrays_beside_parameters_is_told(leaf, inside, remedy):
    told_law(lambda: ja.init_chain({"x": ONE, "p": leaf}, energy=energy), inside, remedy)
    with pytest.raises(TypeError, match="holds it fixed") as raised:
        ja.init_chain({"p": leaf}, energy=energy)
    assert remedy in str(raised.value)


@pytest.mark.parametrize("leaf", SETTINGS)
def test_settings_and_functions_are_held_fixed_without_a_word(leaf):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert ja.init_chain({"x": ONE, "p": leaf}, energy=energy).params["p"] is leaf


def test_every_start_of_a_run_is_told_and_the_blind_twin_fails(monkeypatch):
    method = ja.SimulatedAnnealing(2, ja.cooling.Geometric(1.0, 0.1))
    init = ja.algorithm(energy, method, ja.moves.Gaussian(), steps=10).init
    layer = Layer(TWO)
    starts = [
        {"x": ONE, "p": layer},
        ja.stacked({"x": np.ones(2, np.float32), "p": layer}),
        lambda key: {"x": jax.random.normal(key), "p": layer},
    ]
    for start in starts:
        told_law(lambda start=start: jax.eval_shape(lambda: init(0, start)), "(.w)", REGISTER)
    monkeypatch.setattr("jaxanneal._chain.parameters.paths_inside", lambda leaf: [])
    with pytest.raises(pytest.fail.Exception, match="DID NOT WARN"):
        told_law(lambda: jax.eval_shape(lambda: init(0, starts[0])), "(.w)", REGISTER)


def test_an_object_that_an_initialiser_draws_into_is_refused():
    method = ja.SimulatedAnnealing(2, ja.cooling.Geometric(1.0, 0.1))
    start = lambda key: {"x": jax.random.normal(key), "p": Layer(jax.random.normal(key))}  # noqa: E731
    match = r"^params\['p'\]: expected a pytree, .*, got a Layer that holds what was drawn\. Regis"
    with pytest.raises(TypeError, match=match):
        ja.anneal(energy, start, key=0, method=method, steps=5)


def test_an_object_that_holds_itself_ends():
    loop = types.SimpleNamespace()
    loop.itself, loop.a = loop, TWO
    assert opaque.paths_inside(loop)[0] == ".a"


@pytest.mark.parametrize("number", [3, True, 1 + 2j, Fraction(1, 2)])
def test_pythons_own_numbers_are_told(number):
    with pytest.warns(UserWarning, match=r"^params\['p'\] = .*: held fixed, because Python"):
        ja.init_chain({"x": ONE, "p": number}, energy=energy)
