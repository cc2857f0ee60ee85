"""Moves of exactly so many coordinates: which ones, how far, and the law that they keep."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import assert_counts, caught, enable_x64, evolve
from tables import boltzmann

import jaxanneal as ja
from jaxanneal.moves import Gaussian, Laplace, PerLeaf, StudentT, Uniform

KINDS = [Gaussian, Uniform, Laplace, StudentT]
TREE = {"w": jnp.full((2, 3), 0.5), "b": jnp.float32(0.5), "h": jnp.full(2, 0.5)}
HELD = ({"w": 0.0, "b": 0.5, "h": [0.0, 0.5]}, {"w": 1.0, "b": 0.5, "h": [1.0, 0.5]})

# Twenty cells of a box, each of an energy of its own.
CELLS = np.random.default_rng(0).uniform(0, 2, (5, 4)).astype(np.float32)
T = 0.7


def which(move, params, count=4000):
    """Return which coordinates move, bool ``[draws, coordinates]``."""
    keys = jax.random.split(jax.random.key(1), count)
    moved = jax.jit(jax.vmap(lambda key: move.propose(key, params, 1.0)[0]))(keys)
    changed = jax.tree.map(lambda new, old: np.asarray(new) != np.asarray(old), moved, params)
    return np.concatenate([x.reshape(count, -1) for x in jax.tree.leaves(changed)], axis=1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_exactly_so_many_move_each_as_often_as_the_others(kind, count):
    moved = which(kind(1.0, coordinates=count), TREE)
    assert np.all(moved.sum(axis=1) == count)
    share = moved.mean(axis=0)  # standard error 0.008; 72 comparisons
    np.testing.assert_allclose(share, count / 9, atol=0.042)


@pytest.mark.parametrize("count", [1, 3, 7, 9])
def test_equal_bounds_hold_the_others(count):
    moved = which(Uniform(0.3, HELD, coordinates=count), TREE)
    free = np.array([False, True, False, *[True] * 6])
    assert not moved[:, ~free].any()
    assert np.all(moved.sum(axis=1) == min(count, 7))
    np.testing.assert_allclose(moved[:, free].mean(axis=0), min(count, 7) / 7, atol=0.042)


def test_pairs_are_chosen_evenly_too():
    moved = which(Gaussian(coordinates=2), jnp.zeros(5))
    pairs = [(i, j) for i in range(5) for j in range(i)]
    assert_counts(
        "pairs", np.array([pairs.index((b, a)) for a, b in map(np.flatnonzero, moved)]), np.ones(10)
    )


def test_the_target_follows_the_count():
    target = lambda **settings: float(Gaussian(**settings).target(jnp.zeros(10)))  # noqa: E731
    assert target(coordinates=1) == pytest.approx(0.4389, abs=1e-3)
    assert target(coordinates=3) == pytest.approx(0.3150, abs=4e-3)
    assert target(coordinates=10) == target()
    assert float(Gaussian(coordinates=3, target_acceptance=0.1).target(jnp.zeros(10))) == (
        pytest.approx(0.1)
    )
    move = Gaussian(bounds=(0.0, jnp.array([1.0, 0.0])), coordinates=2)
    assert float(move.target(jnp.zeros(2))) == pytest.approx(0.4389, abs=1e-3)  # one of them held


def test_bad_counts_are_refused():
    refused = partial(pytest.raises, (TypeError, ValueError))
    for bad in (0, -1, 1.5, "all", True):
        with refused(match=r"Gaussian\.coordinates: expected an integer"):
            Gaussian(coordinates=bad)
    with refused(match=r"StudentT\.coordinates: expected one rule .* got fraction=0.5"):
        StudentT(fraction=0.5, coordinates=2)
    with refused(match=r"Uniform\.coordinates: expected an integer <= 3, got 4\. Leave it out"):
        ja.anneal(lambda x: jnp.sum(x**2), jnp.zeros(3), key=0, move=Uniform(coordinates=4))
    with refused(match=r"anneal: .*coordinates is a setting of the move"):
        ja.anneal(lambda x: jnp.sum(x**2), jnp.zeros(3), key=0, coordinates=1)


def test_half_and_double_precision_move_as_many():
    half = which(StudentT(3.0, coordinates=2), {"h": jnp.full(6, 0.5, jnp.bfloat16)}, 500)
    assert np.all(half.sum(axis=1) <= 2) and half.sum() > 900  # a step may round to none
    with enable_x64(True):
        for count in (1, 3):
            double = which(Gaussian(coordinates=count), {"x": jnp.zeros(4, jnp.float64)}, 500)
            assert np.all(double.sum(axis=1) == count)


def cells(x):
    place = jnp.clip(jnp.floor(x).astype(int), 0, jnp.array([4, 3]))
    return jnp.asarray(CELLS)[place[0], place[1]]


def nearest_cells(key, x):
    """Broken: the coordinate that moves depends on where the chain is."""
    own = jnp.where(x[0] < x[1], jnp.array([True, False]), jnp.array([False, True]))
    return jnp.where(own, jnp.mod(x + jax.random.normal(key), jnp.array([5.0, 4.0])), x)


def cell_law(move):
    """From draws of the law: the counts in all twenty cells after 20 moves."""
    random, chains = np.random.default_rng(2), 40_000
    law = boltzmann(CELLS.reshape(-1), T)
    cell = random.choice(20, chains, p=law)
    starts = np.stack([cell // 4, cell % 4], axis=1) + random.uniform(0, 1, (chains, 2))
    done = evolve(3, starts.astype(np.float32), T, energy=cells, move=move, moves=20)
    place = np.clip(np.floor(np.asarray(done.chains.params)), 0, [4, 3]).astype(int)
    assert_counts("cells", 4 * place[:, 0] + place[:, 1], law)


@pytest.mark.parametrize("kind", [Gaussian, StudentT])
def test_the_law_of_twenty_cells_is_kept_and_a_choice_by_the_state_is_caught(kind):
    bounds = (0.0, jnp.array([5.0, 4.0]))
    for count in (1, 2):
        cell_law(kind(scale=1.0, bounds=bounds, coordinates=count))
    caught(cell_law, nearest_cells)


def test_it_works_in_a_part_of_a_tree():
    move = PerLeaf({"w": Gaussian(coordinates=2), "b": None, "h": Uniform(coordinates=1)})
    moved = which(move, TREE, 200)
    assert np.all(moved[:, 1:3].sum(axis=1) == 1) and np.all(moved[:, 3:].sum(axis=1) == 2)
    assert not moved[:, 0].any()
