"""A polished result keeps the bounds and frozen leaves of its run, through files as well."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxanneal as ja
from jaxanneal._result import document
from jaxanneal.moves import Gaussian, PerLeaf

METHOD = ja.SimulatedAnnealing(4, ja.cooling.Geometric(1.0, 0.1))
DOWN = optax.sgd(0.5)  # of `far`, one step to the minimum
START = {"x": np.float32([0.5, 0.5]), "y": np.float32(0.5), "n": np.int32(2)}


def far(params):
    """Return an energy that falls towards 3 in every floating leaf."""
    return jnp.sum((params["x"] - 3.0) ** 2) + (params["y"] - 3.0) ** 2


def shake(key, x):
    return jnp.clip(x + 0.1 * jax.random.normal(key, x.shape), 0.0, 1.0)


def annealed(move):
    return ja.anneal(far, START, key=0, method=METHOD, move=PerLeaf(move), steps=5)


def reloaded(result, folder):
    result.save(folder / "result")
    return ja.Result.load(folder / "result")


def kept_law(result, x, y, **settings):
    """What a polish of this result reaches, its integer leaf untouched."""
    found = ja.polish(far, result, DOWN, steps=3, **settings)
    np.testing.assert_array_equal(found.params["x"], np.float32(x))
    np.testing.assert_array_equal(found.params["y"], np.float32(y))
    assert int(found.params["n"]) == 2


@pytest.mark.slow
def test_a_second_polish_keeps_bounds_and_frozen_leaves_and_the_forgetful_twin_fails(tmp_path):
    run = annealed({"x": Gaussian(0.1, bounds=(0.0, np.float32([1, 2]))), "y": None, "n": None})
    once = ja.polish(far, run, DOWN, steps=3)
    for result in (run, once, reloaded(once, tmp_path), ja.polish(far, once, DOWN, steps=3)):
        kept_law(result, [1, 2], 0.5)
    kept_law(once, [3, 3], 0.5, bounds=(-9.0, 9.0))
    wide = ja.polish(far, run, DOWN, steps=3, bounds=(-9.0, 2.5))
    kept_law(wide, [2.5, 2.5], 0.5)  # the bounds that it was polished in, not the run's
    with pytest.raises(AssertionError):
        kept_law(dataclasses.replace(once, box=None), [1, 2], 0.5)


@pytest.mark.slow
def test_bounds_beside_a_move_that_no_file_can_hold_are_saved_and_the_twin_fails(tmp_path):
    run = annealed({"x": Gaussian(0.1, bounds=(0.0, 1.0)), "y": shake, "n": None})
    loaded = reloaded(run, tmp_path)
    for result in (run, loaded, reloaded(loaded, tmp_path)):
        kept_law(result, [1, 1], 3.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document, "_box_of", lambda state: None)
        with pytest.raises(TypeError, match="at least one floating leaf"):
            kept_law(reloaded(run, tmp_path), [1, 1], 3.0)
