"""Bounds as people write them: what has one meaning is taken, what has two is refused with both."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxanneal as ja
from jaxanneal._chain.parameters import Parameters
from jaxanneal.moves._bounds import as_bounds, limits_of
from jaxanneal.moves._box import as_box

TWO = np.float32([1.0, 6.0])
THREE = np.float32([1.0, 6.0, 0.0])


def read(bounds, params):
    """Return (low, high) of every number of the parameters, as a move reads them and as polish."""
    one = Parameters.of(params)
    sides = limits_of("bounds", as_bounds("bounds", bounds), one)
    box = as_box(bounds, None, one.with_leaves(leaf[None] for leaf in one.leaves))
    sides = [np.concatenate([np.ravel(x) for x in side]) for side in sides]
    for ours, polish in zip(sides, (box.lower, box.upper), strict=True):
        np.testing.assert_array_equal(ours, np.concatenate([np.ravel(x) for x in polish]))
    return [tuple(map(float, pair)) for pair in zip(*sides, strict=True)]


NONE = (-np.inf, np.inf)
TREE = {"x": 1.0, "y": np.float32([6.0, 7.0])}
FORMS = [
    (TWO, (0, 10), [(0, 10), (0, 10)]),
    (TWO, ([0.0, 5.0], [5.0, 10.0]), [(0, 5), (5, 10)]),  # a matrix that is its own transpose
    (TWO, [(0, 5), (5, 10)], [(0, 5), (5, 10)]),
    (TWO, [(0, 9), (0, 9)], [(0, 9), (0, 9)]),  # as (lower, upper) nothing would move
    (TWO, [(0, 5), (-3, 7)], [(0, 5), (-3, 7)]),  # as (lower, upper) 0 would be above -3
    (TWO, ((0, 0), (9, 9)), [(0, 9), (0, 9)]),  # as pairs nothing would move
    (TWO, (jnp.array([0.0, 2.0]), jnp.array([5.0, 10.0])), [(0, 5), (2, 10)]),
    (TWO, ([0.0, None], 10), [(0, 10), (-np.inf, 10)]),
    (THREE, [(0, 5), (None, 10), (-1, None)], [(0, 5), (-np.inf, 10), (-1, np.inf)]),
    (THREE, ((0, 5, -1), (2, 6, 1)), [(0, 2), (5, 6), (-1, 1)]),
    (THREE[:1], [(0, 5)], [(0, 5)]),
    (TREE, ({"x": 0, "y": [5, None]}, {"x": 2, "y": [9, 9]}), [(0, 2), (5, 9), (-np.inf, 9)]),
    (TREE, ({"x": None, "y": (5, 6)}, None), [NONE, (5, np.inf), (6, np.inf)]),
    ([1.0, TWO], ([0, [1, 2]], 9), [(0, 9), (1, 9), (2, 9)]),
    ((1.0, 6.0), ((0, 2), 10), [(0, 10), (2, 10)]),
    ((1.0, 6.0), ((jnp.array(0), jnp.array(2)), (jnp.array(5), jnp.array(9))), [(0, 5), (2, 9)]),
]


@pytest.mark.parametrize(("params", "bounds", "limits"), FORMS)
def test_a_form_of_one_meaning_has_that_meaning(params, bounds, limits):
    assert read(bounds, params) == limits


@pytest.mark.parametrize("params", [TWO, (1.0, 6.0), [1.0, 6.0], np.float32([[1.0, 6.0]])])
@pytest.mark.parametrize("bounds", [[(-1, 3), (2, 10)], ((-1.0, 3.0), (2.0, 10.0))])
def test_four_numbers_of_two_meanings_are_refused_with_both_and_each_remedy_works(params, bounds):
    move = ja.moves.Gaussian(bounds=bounds)
    with pytest.raises(ValueError, match=r"^Gaussian\.bounds: expected bounds of one") as caught:
        move.check(params)
    text = str(caught.value)
    assert re.search(r"params\[0\] in \[-1\.0, 2\.0\] and params\[1\] in \[3\.0, 10\.0\] as", text)
    assert re.search(r"params\[0\] in \[-1\.0, 3\.0\] and params\[1\] in \[2\.0, 10\.0\] as", text)
    meanings = [[(-1, 2), (3, 10)], [(-1, 3), (2, 10)]]
    remedies = re.findall(r"bounds=(\(.*?\)) for", text)
    for remedy, meaning in zip(remedies, meanings, strict=True):
        start = [np.float32(low) for low, _ in meaning]
        start = tuple(start) if isinstance(params, list | tuple) else np.stack(start)
        assert read(eval(remedy, {"jnp": jnp}), start) == meaning
    with pytest.raises(ValueError, match=r"bounds of one meaning"):
        move.propose(jax.random.key(0), params, 1.0)


def test_an_open_end_is_shown_as_each_meaning_has_it():
    with pytest.raises(ValueError, match=r"in \[0\.0, inf\] and .* in \[0\.0, 5\.0\] and .*-inf, "):
        ja.moves.Gaussian(bounds=[(0, 5), (None, None)]).check(TWO)


REFUSED = [
    (
        (1.0, 6.0, 0.0),
        [(0, 5), (5, 10), (-1, 1)],
        r"one flat array, got 3 pairs for a tuple of 3\.",
    ),
    (
        TREE,
        [(0, 5), (5, 10), (-1, 1)],
        r"flat array, got 3 pairs for a dict with the keys 'x', 'y'",
    ),
    (THREE, [(0, 5)] * 4, r"got 4 pairs for an array of shape \(3,\)\. Write lower and upper"),
    (np.ones((3, 3, 3), np.float32), [(0, 5)] * 3, r"3 pairs for an array of shape \(3, 3, 3\)"),
    (1.0, [(0, 5), (6, 10)], r"^m\[0\]: expected a shape that broadcasts to params of shape \(\)"),
    (
        TREE,
        ({"x": 0}, 5),
        r"^m\[0\]: .*a dict with the keys 'x', 'y', got a dict with the keys 'x'",
    ),
    (TREE, ({"x": 0, "y": {"z": 1}}, 5), r"^m\[0\]\['y'\]: .* of params\['y'\], an array of shape"),
    (TREE, ({"x": 0, "y": [1, [2]]}, 9), r"\['y'\], an array of shape \(2,\), got a list of 2\."),
    ([1.0, 6.0], ((0, 1, 2), 9), r"^m\[0\]: .*of params, a list of 2, got a tuple of 3\. Give one"),
    (THREE, ([0, 7, 0], [1, 3, 1]), r"^m: expected lower <= upper, got 7\.0 and 3\.0 at \[1\]\."),
    (
        TREE,
        (0, {"x": 9, "y": [5, -1]}),
        r"lower <= upper, got 0\.0 and -1\.0 at params\['y'\]\[1\]",
    ),
    (THREE, [(0, 5), (9, 7), (0, 1)], r"got 9\.0 and 7\.0 at \[1\]\. Swap them; equal limits hold"),
    (
        {"x": 3.0},
        (3, 3),
        r"^m: expected at least one parameter that they do not hold, .*PerLeaf and None",
    ),
    (
        THREE,
        {"x": (0, 5)},
        r"^m: expected \(lower, upper\), or a list of .*Write bounds=\(lower, up",
    ),
]


@pytest.mark.parametrize(("params", "bounds", "text"), REFUSED)
def test_other_forms_are_refused_in_words_of_the_users_tree(params, bounds, text):
    with pytest.raises((TypeError, ValueError), match=text.replace("^m", r"^Gaussian\.bounds")):
        ja.moves.Gaussian(bounds=bounds).check(params)
    with pytest.raises((TypeError, ValueError), match=text.replace("^m", "^bounds")) as caught:
        ja.polish(lambda p: 0.0, params, bounds=bounds)
    assert "PyTreeDef" not in str(caught.value)


def test_numbers_in_a_list_are_the_scale_of_an_array():
    lists, arrays = ([0.0, 0.5, 8.0], np.float32([0.0, 0.5, 8.0]))
    of_list, of_array = (
        ja.moves.Gaussian(scale=scale).propose(jax.random.key(1), THREE, 1.0)[0]
        for scale in (lists, arrays)
    )
    np.testing.assert_array_equal(of_list, of_array)
    with pytest.raises(ValueError, match=r"^Uniform\.scale: expected a shape that .*got \(2,\)\."):
        ja.moves.Uniform([0.1, 0.2]).propose(jax.random.key(1), THREE, 1.0)


@pytest.mark.slow
def test_pairs_of_a_branch_and_of_stacked_starts_also_from_a_file(tmp_path):
    move = ja.moves.PerLeaf({"v": ja.moves.Uniform(9.0, [(0, 1), (5, 6), (-2, 0)]), "b": None})
    start = {"v": np.tile(np.float32([0.5, 5.5, -1.0]), (4, 1)), "b": np.zeros(4)}
    method = ja.SimulatedAnnealing(4, ja.cooling.Geometric(1.0, 0.1))
    energy = lambda p: jnp.sum(p["v"])  # noqa: E731
    result = ja.anneal(energy, ja.stacked(start), key=0, method=method, move=move, steps=64)
    v = np.asarray(result.chains.params["v"])
    assert np.all((v >= np.float32([0, 5, -2])) & (v <= np.float32([1, 6, 0])))
    assert len(np.unique(v)) == 12
    result.save(tmp_path / "run")
    polished = ja.polish(energy, ja.Result.load(tmp_path / "run"), optax.sgd(10.0), steps=2)
    np.testing.assert_array_equal(polished.params["v"], [0, 5, -2])


def test_equal_limits_hold_an_entry_and_the_others_move_as_if_they_were_alone():
    held = ja.moves.Gaussian(0.5, ([1.0, 5.0, -9.0], [1.0, 10.0, 9.0]))
    new, _ = held.propose(jax.random.key(0), THREE, 1.0)
    assert new[0] == 1 and np.all(np.asarray(new)[1:] != THREE[1:])
    assert float(held.target(THREE)) == float(ja.moves.Gaussian().target(THREE[1:]))
    some = ja.moves.Gaussian(0.5, ([1.0, 5.0, -9.0], [1.0, 10.0, 9.0]), fraction=1e-6)
    for seed in range(9):  # one coordinate a step, and never the one that is held
        new, _ = some.propose(jax.random.key(seed), THREE, 1.0)
        assert new[0] == 1 and np.count_nonzero(np.asarray(new) != THREE) == 1
    half = ja.moves.StudentT(bounds=([0.1, 0.0], [0.1, 9.0]))
    new, _ = half.propose(jax.random.key(0), jnp.asarray([0.1, 1.0], jnp.bfloat16), 1.0)
    assert new[0] == jnp.asarray(0.1, jnp.bfloat16) and new[1] != 1


def chosen_law(move, start, expected):
    """How often each site of a start is moved, within 5 standard errors of its probability."""
    keys = jax.random.split(jax.random.key(0), 4096)
    new = jax.vmap(lambda key: move.propose(key, start, 1.0)[0])(keys)
    pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(new, start, strict=True)]
    rate = np.concatenate([np.mean(a != b, axis=0).ravel() for a, b in pairs])
    np.testing.assert_allclose(rate, expected, atol=5 * 0.5 / 64)


def test_a_site_of_two_values_always_flips_and_a_held_one_is_never_chosen():
    start = (jnp.asarray([0, 1, 0, 1], jnp.int8), jnp.asarray(-1, jnp.int32))
    wide = ja.moves.IntegerStep(width=3, bounds=((0, -1), (1, 0)))
    chosen_law(wide, start, [0.2] * 5)
    lower, upper = (np.int32([0, 1, 0, 0]), -1), (np.int32([0, 1, 1, 5]), 0)
    # The last site of the array has six values, and a step from 1 always leaves it.
    chosen_law(ja.moves.IntegerStep(bounds=(lower, upper)), start, [0, 0, 1 / 3, 1 / 3, 1 / 3])
    with pytest.raises(AssertionError):
        chosen_law(ja.moves.IntegerStep(bounds=(0, 2)), (start[0],), [0.25] * 4)
