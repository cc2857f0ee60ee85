"""What is inside its bounds keeps its bits; what is outside is folded at the wall it crossed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import enable_x64

import jaxanneal as ja
from jaxanneal.moves._bounds import reflect

KINDS = [ja.moves.Gaussian, ja.moves.Uniform, ja.moves.Laplace, ja.moves.StudentT]
DTYPES = [jnp.float32, jnp.float64, jnp.float16, jnp.bfloat16]
MANY = 2048


def boxes(dtype):
    """Return boxes of every width up to that of all floats, about zero and on one side of it."""
    largest = float(jnp.finfo(dtype).max)
    widths = [1.0, 64.0, largest**0.3, largest**0.5, largest**0.9, largest / 2, largest]
    sides = [(-w, w) for w in widths] + [(0.0, w) for w in widths] + [(-1.0, w) for w in widths]
    ends = [(0.0, np.inf), (-np.inf, 4.0), (-np.inf, np.inf), (0.25, 0.25)]
    return sides + ends


def points(dtype, low, high):
    """Return starts in a box, near its walls and far from them, and steps of every size."""
    draw, largest = np.random.default_rng(0), float(jnp.finfo(dtype).max)
    ends = max(low, -largest), min(high, largest)
    start = np.where(draw.random(MANY) < 0.5, ends[0], ends[1]) * draw.random(MANY)
    near = np.exp(draw.normal(size=MANY) * 3) * draw.choice([-1, 1], MANY)
    start = np.where(draw.random(MANY) < 0.5, start, near)
    size = np.exp(draw.uniform(-9, np.log(largest), MANY)) * draw.choice([-1.0, 1.0], MANY)
    turn = 2 * (high / 2 - low / 2)  # half the width, which may be more than the largest float
    step = np.clip(size, -turn, turn)
    return tuple(jnp.asarray(x, dtype) for x in (np.clip(start, *ends), step))


def reflection_law(fold, dtype):
    """Bits inside, bounds always, and a mirror at the wall that was crossed."""
    for low, high in boxes(dtype):
        start, step = points(dtype, low, high)
        lower, upper = jnp.asarray(low, dtype), jnp.asarray(high, dtype)
        new, plain = fold(start, step, lower, upper), start + step
        inside = (lower <= plain) & (plain <= upper)
        np.testing.assert_array_equal(new[inside], plain[inside])
        np.testing.assert_array_equal(fold(start, 0 * step, lower, upper), start)
        finite = jnp.isfinite(plain) | jnp.isfinite(lower) & jnp.isfinite(upper)
        assert bool(jnp.all((lower <= new) & (new <= upper) | ~finite)), (low, high)
        # From where it ends a step leads back, the same one or its opposite: the move is symmetric.
        back = [np.asarray(fold(new, s * step, lower, upper), np.float64) for s in (-1, 1)]
        with np.errstate(over="ignore"):
            error = np.min([np.abs(b - np.asarray(start, np.float64)) for b in back], axis=0)
        ulp = 8 * float(jnp.finfo(dtype).eps)
        rounding = sum(ulp * np.abs(np.asarray(x, np.float64)) for x in (start, step, new))
        assert np.all((error <= rounding) | ~np.asarray(finite)), (low, high)


def about_the_far_wall(start, step, lower, upper):
    """Fold everything by one triangle wave, as if it were all outside: the twin."""
    width = jnp.where(jnp.isfinite(upper - lower), upper - lower, 1)
    folded = lower + jnp.abs(width - jnp.abs(width - jnp.abs(start + step - lower)))
    both = jnp.isfinite(lower) & jnp.isfinite(upper)
    return jnp.where(both, jnp.clip(folded, lower, upper), start + step)


@pytest.mark.parametrize(
    "dtype", [jnp.float32, pytest.param(jnp.float64, id="double", marks=pytest.mark.slow)]
)
def test_reflection_changes_no_bit_inside_and_the_twin_about_the_far_wall_does(dtype):
    with enable_x64(dtype == jnp.float64):
        reflection_law(reflect, dtype)
        with pytest.raises(AssertionError, match="Mismatched elements"):
            reflection_law(about_the_far_wall, dtype)


def test_a_point_beyond_a_wall_is_as_far_inside_it():
    """Powers of two, whose differences are exact: a millionth of a unit beyond a wall at zero."""
    tiny, wide = jnp.float32(2.0**-20), jnp.float32(2.0**100)
    for low, high, start, step, end in [
        (0.0, wide, tiny, -3 * tiny, 2 * tiny),
        (-wide, 0.0, -tiny, 3 * tiny, -2 * tiny),
        (0.0, np.inf, tiny, -3 * tiny, 2 * tiny),
        (0.0, 1.0, 0.25, 1.0, 0.75),
        (0.0, 1.0, 0.25, 1.875, 0.125),  # both walls
        (0.0, 1.0, 0.75, -1.875, 0.875),
    ]:
        place = [jnp.float32(x) for x in (start, step, low, high)]
        assert float(reflect(*place)) == float(end)


def wide_box_law(kind, dtype, scale, far, fold=None):
    """A move in a box takes the steps of the move without one, but for those that leave it."""
    with pytest.MonkeyPatch.context() as patch:
        if fold is not None:
            patch.setattr("jaxanneal.moves._perturbation.reflect", fold)
        start = jnp.full(MANY + (fold is not None), 0.3, dtype)  # a twin is traced by itself
        for low, high in far:
            new, free = (
                move.propose(jax.random.key(3), start, 1.0)[0]
                for move in (kind(scale=scale, bounds=(low, high)), kind(scale=scale))
            )
            assert new.dtype == dtype and bool(jnp.all((new >= low) & (new <= high)))
            inside = (free >= low) & (free <= high)
            assert bool(jnp.any(inside))
            # Whether product and sum are rounded once or twice is for the compiler to choose.
            ulp = 4 * float(jnp.finfo(dtype).eps)
            np.testing.assert_allclose(
                *(np.asarray(x[inside], np.float64) for x in (new, free)), rtol=ulp, atol=ulp
            )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("kind", KINDS)
def test_in_a_wide_box_a_move_is_the_move_without_one(kind, dtype):
    with enable_x64(dtype == jnp.float64):
        largest = float(jnp.finfo(dtype).max)
        far = [(-largest, largest), (-(largest**0.75), largest**0.75), (0.0, largest / 4)]
        wide_box_law(kind, dtype, 0.5, far)


def test_the_law_of_wide_boxes_catches_a_fold_about_the_far_wall():
    twin = about_the_far_wall
    with pytest.raises(AssertionError):
        wide_box_law(ja.moves.Gaussian, jnp.float32, 0.5, [(-1e8, 1e8)], twin)


def test_steps_that_pass_the_largest_float_end_inside():
    """A Cauchy step of 1e30 times a scale of 1e25, in boxes up to the width of all floats."""
    start = jnp.linspace(-0.9, 0.9, MANY, dtype=jnp.float32)
    for low, high in [(-1.0, 1.0), (-1e30, 1e30), (-3e38, 3e38)]:
        move = ja.moves.StudentT(df=0.05, scale=1e25, bounds=(low, high))
        for seed in range(3):
            new = move.propose(jax.random.key(seed), start, 1.0)[0]
            assert bool(jnp.all((new >= low) & (new <= high)))


def test_student_t_is_cauchy_unless_its_degrees_of_freedom_are_given():
    start, key = jnp.zeros(9), jax.random.key(2)
    new, cauchy, other = (
        move.propose(key, start, 1.0)[0]
        for move in (
            ja.moves.StudentT(bounds=(-1, 1)),
            ja.moves.StudentT(df=1, bounds=(-1, 1)),
            ja.moves.StudentT(df=2, bounds=(-1, 1)),
        )
    )
    np.testing.assert_array_equal(new, cauchy)
    assert np.any(np.asarray(new) != other)
