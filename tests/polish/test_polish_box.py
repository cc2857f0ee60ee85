"""Polish stays in its box: bounds given or those of the run's move, and frozen leaves."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxanneal as ja
from jaxanneal._chain.parameters import Parameters
from jaxanneal._polish import descent
from jaxanneal.moves import Flip, Gaussian, IntegerStep, PerLeaf, StudentT
from jaxanneal.moves._box import as_box

METHOD = ja.SimulatedAnnealing(4, ja.cooling.Geometric(1.0, 0.1))
MIXED = {
    "x": np.float32([0.5, 0.5]),
    "y": np.float32(0.5),
    "held": np.float32(0.5),
    "n": np.int32([2]),
    "on": np.array([True]),
}


def far(params):
    """Return an energy that falls towards 3 in every floating leaf, whatever the others are."""
    floating = [x for x in jax.tree.leaves(params) if jnp.issubdtype(x.dtype, jnp.floating)]
    return sum((jnp.sum((x.astype(float) - 3.0) ** 2) for x in floating), jnp.zeros(()))


def annealed(params, move):
    return ja.anneal(far, params, key=0, method=METHOD, move=move, steps=5)


def farther(params):
    """Return the same for the twin, which has a program of its own."""
    return far(params)


def box_law(params, lower, upper, energy=far, **settings):
    """Every state that polish holds is inside, and what wants to leave ends on the edge."""
    found = ja.polish(energy, params, optax.sgd(0.3), steps=20, **settings)
    states = (found.params, found.chains.params, found.chains.best_params)
    for leaf in jax.tree.leaves(states):
        assert np.all(np.asarray(leaf) >= lower) and np.all(np.asarray(leaf) <= upper)
    assert np.all(np.asarray(jax.tree.leaves(found.params)) == upper)


def test_bounds_given_or_of_the_move_hold_and_the_twin_without_projection_fails():
    start = np.float32([0.25, 0.5])
    box_law(start, -1.0, 1.0, bounds=(-1.0, 1.0))
    run = annealed(start, Gaussian(0.1, bounds=(-1.0, 1.0)))
    box_law(run, -1.0, 1.0)
    box_law(run, -np.inf, 2.0, bounds=(None, 2.0))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(descent, "_project", lambda moved, position, limits: moved)
        with pytest.raises(AssertionError):
            box_law(start, -1.0, 1.0, farther, bounds=(-1.0, 1.0))


@pytest.mark.parametrize(
    "optimizer", [optax.adam(0.1), pytest.param(optax.lbfgs(), marks=pytest.mark.slow)]
)
def test_bounds_by_leaf_hold_for_any_optimiser(optimizer):
    start = {"a": np.float32([0.5, 0.5]), "b": np.float32(0.5)}
    bounds = ({"a": 0.0, "b": -np.inf}, {"a": np.float32([1.0, 2.0]), "b": None})
    found = ja.polish(far, start, optimizer, steps=100, bounds=bounds)
    np.testing.assert_array_equal(found.params["a"], np.float32([1, 2]))
    np.testing.assert_allclose(found.params["b"], 3.0, atol=1e-2)


@pytest.mark.slow
def test_moves_by_leaf_give_their_bounds_and_what_they_freeze_stays():
    parts = {
        "x": Gaussian(0.1, bounds=(0.0, np.float32([1.0, 2.0]))),
        "y": StudentT(1),
        "held": None,
        "n": IntegerStep(bounds=(0, 5)),
        "on": Flip(),
    }
    run = annealed(MIXED, PerLeaf(parts))
    found = ja.polish(far, run, optax.sgd(0.5), steps=3)
    np.testing.assert_array_equal(found.params["x"], np.float32([1, 2]))
    assert float(found.params["y"]) == 3.0
    for name in ("held", "n", "on"):
        np.testing.assert_array_equal(found.params[name], run.params[name])
    assert float(found.params["held"]) == 0.5
    wider = ja.polish(far, run, optax.sgd(0.5), steps=3, bounds=(-9.0, 9.0))
    np.testing.assert_array_equal(wider.params["x"], np.float32([3, 3]))
    assert float(wider.params["held"]) == 0.5


def test_moves_within_moves_and_modules_give_their_bounds():
    class Layer(eqx.Module):
        weight: jax.Array
        bias: jax.Array
        activation: object
        size: int

    layer = Layer(jnp.full(2, 0.5), jnp.full(2, 0.5), jnp.tanh, 2)
    inner = PerLeaf([Gaussian(0.1, bounds=(0.0, 1.0)), None])
    parts = PerLeaf({"layer": Gaussian(0.1, bounds=(-1.0, 2.0)), "rest": inner})
    start = {"layer": layer, "rest": [jnp.full(1, 0.5), jnp.full(1, 0.5)]}
    starts = Parameters.of(start)
    box = as_box(None, parts, starts.with_leaves(leaf[None] for leaf in starts.leaves))
    assert box.free == (True, True, True, False)
    assert [float(side[0]) for side in box.lower] == [-1.0, -1.0, 0.0]
    assert [float(side[0]) for side in box.upper] == [2.0, 2.0, 1.0]


def test_bounds_concern_only_what_moves():
    # 2 and True lie outside of [0, 1/2] or on its edge, but they stay where they are.
    start = {"x": np.float32([0.25]), "n": np.int32([2]), "on": np.array([False])}
    found = ja.polish(far, start, optax.sgd(0.5), steps=1, bounds=(0.125, 0.5))
    assert float(found.params["x"][0]) == 0.5 and int(found.params["n"][0]) == 2


def test_an_infinite_step_stops_a_chain_instead_of_reaching_the_edge():
    start = ja.stacked(np.float32([[0.5]]))
    found = ja.polish(far, start, optax.sgd(1e38), steps=3, bounds=(0.0, 1.0))
    assert found.diagnostics.nonfinite[0] == 1 and float(found.params[0]) == 0.5


def test_half_precision_bounds_are_in_its_own_dtype():
    start = jnp.full(1, 0.1, jnp.bfloat16)
    found = ja.polish(far, start, optax.sgd(0.5), steps=1, bounds=(0.1, 0.3))
    assert found.params[0] == jnp.asarray(0.3, jnp.bfloat16)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: (np.float32([2.0]), (0.0, 1.0)), r"^params: .*\[0\.0, 1\.0\], got 2\.0\. Start"),
        (
            lambda: (np.float32([0.5]), 1.0),
            r"^bounds: expected \(lower, .*, got 1\.0\. Write bounds",
        ),
        (lambda: (np.float32([0.5]), (1.0, 0.0)), r"^bounds: expected lower <= upper, got 1"),
        (lambda: ({"a": np.float32(0)}, ({"b": 0.0}, 1.0)), r"^bounds\[0\]: .*prefix.*Give one"),
    ],
)
def test_bad_bounds_are_refused(make, text):
    params, bounds = make()
    with pytest.raises((TypeError, ValueError), match=text):
        ja.polish(far, params, steps=1, bounds=bounds)
