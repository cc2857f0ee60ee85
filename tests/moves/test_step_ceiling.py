"""Where nothing is refused step sizes grow only until they span their box, and soon fall again."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import programs_of_their_own

import jaxanneal as ja
from jaxanneal._chain.move import largest_factor_of
from jaxanneal._kernels import metropolis
from jaxanneal.moves import Flip, Gaussian, IntegerStep, Laplace, PerLeaf, StudentT, Uniform

BOX = {"a": np.float32([0.25, 0.5]), "b": np.float32(3.0)}
SIDES = ({"a": 0.0, "b": 2.0}, {"a": np.float32([1.0, 2.0]), "b": 4.0})
HOT, COLD = 1500, 1200


def ceiling_law(move, share=1.0, params=BOX):
    """Steps of the largest factor and of a hundred times that are the same, for the same draws."""
    largest = share * largest_factor_of(move, params)
    for seed in range(4):
        steps = [move.propose(jax.random.key(seed), params, f)[0] for f in (largest, 100 * largest)]
        for one, other in zip(*map(jax.tree.leaves, steps), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.parametrize("kind", [Gaussian, Uniform, Laplace, partial(StudentT, 5)])
def test_beyond_its_largest_factor_a_move_makes_the_same_steps_and_a_lower_one_fails(kind):
    move = kind(scale={"a": 0.1, "b": np.float32(0.5)}, bounds=SIDES)
    assert float(largest_factor_of(move, BOX)) == 40  # a turn of 4 over 0.1
    ceiling_law(move)
    ceiling_law(PerLeaf({"a": kind(0.1, (0.0, 1.0)), "b": Uniform(4.0, (2.0, 4.0))}))
    with pytest.raises(AssertionError):
        ceiling_law(move, 0.25)


def test_only_a_whole_box_ends_the_growth_and_steps_without_a_factor_do_not_count():
    largest = lambda move, params=BOX: float(largest_factor_of(move, params))  # noqa: E731
    assert largest(Gaussian()) == largest(Gaussian(bounds=(0.0, None))) == np.inf
    assert largest(Gaussian(bounds=({"a": 0.0, "b": -np.inf}, 4.0))) == np.inf
    assert largest(Gaussian({"a": 0.0, "b": 1.0}, bounds=(0.0, 4.0))) == 8  # "a" stands still
    mixed = {"x": np.float32(0.5), "n": np.int32(1), "on": np.array([True]), "held": np.float32(9)}
    parts = {"n": IntegerStep(bounds=(0, 3)), "on": Flip(), "held": None}
    assert largest(PerLeaf({"x": Gaussian(0.1, (0.0, 1.0)), **parts}), mixed) == pytest.approx(20)
    assert largest(PerLeaf({"x": Gaussian(0.1), **parts}), mixed) == np.inf
    assert largest(Gaussian(0.1, (-3e38, 3e38)), np.zeros(2, np.float32)) == np.inf


def bowl(x):
    return jnp.sum((x - 0.25) ** 2)


def other_bowl(x):
    """Return the same for the twin, which has a program of its own."""
    return bowl(x)


def quenched(step):
    return jnp.where(step < HOT, 1e6, 1e-3)


def recovery_law(energy):
    """After moves of which none is refused, cold ones are accepted again in good time."""
    method = ja.SimulatedAnnealing(8, quenched)
    move = Gaussian(0.1, bounds=(0.0, 1.0))
    start = np.full(3, 0.5, np.float32)
    settings = {"method": method, "move": move, "key": 0, "record_every": 100}
    result = ja.anneal(energy, start, steps=HOT + COLD, **settings)
    rate = np.mean(result.history.acceptance_rate, axis=1)
    assert np.all(rate[: HOT // 100] == 1)
    assert 0.2 < rate[-1] < 0.5  # the factor aims at 0.315


def test_a_quenched_box_recovers_and_the_twin_without_a_ceiling_fails():
    recovery_law(bowl)
    with programs_of_their_own(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            metropolis, "largest_factor_of", lambda move, params: jnp.asarray(jnp.inf, float)
        )
        with pytest.raises(AssertionError):
            recovery_law(other_bowl)
