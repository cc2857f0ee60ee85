"""What the library says is in the words of the user's tree; every test of all looks, too."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import wording

import jaxanneal as ja
from jaxanneal._checks import in_words, refusal
from jaxanneal._warn import warn

ONE = np.ones(2, np.float32)


def bounded(bounds):
    move = ja.moves.Gaussian(bounds=bounds)
    key, method = 0, ja.SimulatedAnnealing(2, ja.cooling.Geometric(1.0, 0.1))
    return ja.anneal(lambda x: jnp.sum(x["a"]), {"a": ONE}, key=key, method=method, move=move)


def wording_law():
    with pytest.raises(ValueError, match="a dict with the keys 'a'"):
        bounded(({"b": 0}, {"b": 2}))
    assert not wording.foreign_texts()


def test_a_text_about_a_tree_describes_it(monkeypatch):
    wording_law()
    words = lambda node: f"{jax.tree.structure(node)}, a dict with the keys 'a'"  # noqa: E731
    monkeypatch.setattr("jaxanneal._chain.prefix.outline", words)
    with pytest.raises(AssertionError, match="PyTreeDef"):
        wording_law()


@pytest.mark.parametrize("word", ["Parameters", "_Auto", "<object object", "at 0x7f", "PyTreeDef"])
def test_words_of_ours_are_heard_in_refusals_warnings_and_notes(word):
    wording.TEXTS.clear()
    jax.tree.map(refusal, "a", "b", word, "c")
    with pytest.warns(UserWarning):
        warn(word)
    assert wording.foreign(word)
    wording.TEXTS.clear()


def test_an_object_is_named_by_its_class_and_not_by_its_place():
    values = [object(), wording.foreign, ja.Result, lambda x: x, np.random.default_rng(0).normal]
    texts = [in_words(repr(value)) for value in values]
    assert texts[:3] == ["an object of class object", "the function foreign", "the class Result"]
    assert texts[3] == "the function <lambda>"
    assert not any("0x" in text for text in texts)


def test_a_key_among_the_parameters_is_told_where_keys_go():
    with pytest.raises(
        TypeError, match=r"params\['k'\].*A key cannot be annealed: pass it through"
    ):
        ja.init_chain({"k": jax.random.key(0), "w": ONE}, energy=lambda p: 0.0)
