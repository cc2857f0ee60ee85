"""A setting in the wrong place is refused with its right one, and no signature changes."""

import doctest
import importlib
import inspect
import pickle
import re

import jax.numpy as jnp
import pytest

import jaxanneal as ja
from jaxanneal._settings import PLACES

PUBLIC = {
    name: getattr(ja, name)
    for name in ja.__all__
    if callable(getattr(ja, name)) and name not in ("Chain", "Result", "StepInfo", "StopReason")
}
PUBLIC |= {f"moves.{name}": getattr(ja.moves, name) for name in ja.moves.__all__ if name != "Move"}
PUBLIC |= {f"cooling.{name}": getattr(ja.cooling, name) for name in ja.cooling.__all__}

# What a call is given to work on, and no setting.
INPUTS = set("self energy params params_or_result key chain temperature delta_energy".split())
INPUTS |= {"log_hastings", "factor", "tree", "n"}


@pytest.mark.parametrize("name", PUBLIC)
def test_every_setting_has_a_place_and_an_unknown_one_is_refused(name):
    settings = set(inspect.signature(PUBLIC[name]).parameters) - INPUTS
    assert settings <= set(PLACES)
    short = name.rpartition(".")[2]
    with pytest.raises(TypeError, match=rf"^{short}: expected a setting of its own, got typo=\. "):
        PUBLIC[name](typo=1)


@pytest.mark.parametrize("setting", PLACES)
def test_the_place_that_a_refusal_names_has_the_setting(setting):
    _, place = PLACES[setting]
    calls = re.findall(r"ja\.([\w.]+)\(", place)
    assert setting in inspect.signature(PUBLIC[calls[-1]]).parameters


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (
            lambda: ja.anneal(None, None, bounds=(0, 1)),
            r"^anneal: .*, got bounds=\. bounds .* of the move: move=ja\.moves\.Gaussian\(bounds=",
        ),
        (
            lambda: ja.SimulatedAnnealing(start=1.0),
            r"^SimulatedAnnealing: .* the cooling: .*ja\.cooling\.Geometric\(start=\.\.\., end=",
        ),
        (lambda: ja.anneal(None, None, temperatures=[1]), r"method=ja\.ParallelTempering\(temp"),
        (lambda: ja.moves.Gaussian(steps=1), r"^Gaussian: .* of the run: ja\.anneal\(.*, steps="),
        (lambda: ja.anneal(None, None, step=1), r"^anneal: .*, got step=\. Did you mean steps\?$"),
        (lambda: ja.polish(None, None, chain=1), r"Did you mean chains, method=ja\.Simulated"),
        (lambda: ja.moves.Flip(bounds=1), r"^Flip: .* of the move: move=ja\.moves\.Gaussian"),
        (lambda: ja.anneal(jnp.sum, jnp.ones(2)), r"^key: expected a value, .*Pass key=0, or"),
        (lambda: ja.calibrate(jnp.sum, jnp.ones(2)), r"^key: expected a value, .*Pass key=0, or"),
        (lambda: ja.anneal(jnp.sum, key=0), r"^params: .*a polished result has no state, the run"),
    ],
)
def test_a_refusal_says_where_the_setting_lives(call, text):
    with pytest.raises(TypeError, match=text):
        call()


def test_a_result_in_the_place_of_params_is_refused_with_what_to_pass():
    polished = ja.polish(lambda x: jnp.sum(x**2), jnp.ones(2), steps=1)
    for params in (polished, ja.stacked(polished)):
        with pytest.raises(TypeError, match=r"^params: .*a Result\. Pass result\.params .*state="):
            ja.anneal(jnp.sum, params, key=0)


@pytest.mark.parametrize("name", PUBLIC)
def test_name_signature_document_and_pickle_stay(name):
    public = PUBLIC[name]
    assert pickle.loads(pickle.dumps(public)) is public
    function = public.__init__ if isinstance(public, type) else public
    own = inspect.unwrap(function)
    assert own is not function and inspect.signature(own) == inspect.signature(function)
    module = importlib.import_module(public.__module__)
    examples = [test.name for test in doctest.DocTestFinder().find(module)]
    assert f"{public.__module__}.{public.__name__}" in examples
