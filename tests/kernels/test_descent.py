"""The descent that basin hopping makes, one value and gradient a step: what holds in each of them.

Trials alone are looked at, and what the descent says of itself: how it finds its way is its own.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import caught

from jaxanneal._kernels import descent
from jaxanneal._kernels.descent import Region
from jaxanneal._pytree import replace

D, STEPS = 6, 300
CURVATURES = np.geomspace(1, 1e4, D, dtype=np.float32)
TARGETS = np.float32([0.3, -0.2, 2.0, 0.1, -3.0, 0.4])  # of which two are outside of the box
BOX = np.float32([-1, 1])
OPEN = np.float32([-np.inf, np.inf])


def quadratic(x, lower, upper):
    return jnp.sum(CURVATURES * (x - TARGETS) ** 2)


def valley(x, lower, upper):
    """Rosenbrock (1960), of a few coordinates."""
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def holed(x, lower, upper):
    """A sum of cosines with NaN in one part of space, and an edge where the gradient alone is."""
    value = jnp.sum(x**2 + 1 - jnp.cos(6 * x)) + jnp.sum(jnp.sqrt(jnp.abs(x - 0.25)))
    return jnp.where(x[0] > 0.7, jnp.nan, value)


def guarded(x, lower, upper):
    """An energy that tells whether it was asked outside of the box."""
    inside = jnp.all((x >= lower) & (x <= upper))
    return jnp.where(inside, quadratic(x, lower, upper), -1e6)


ENERGIES = (quadratic, valley, holed, guarded)


def descents(step=descent.step):
    """Return a compiled loop over the steps of many descents, of each energy by its number."""

    @jax.jit
    def run(which, starts, box, unit):
        lower, upper = (jnp.full(D, limit) for limit in box)
        region = Region(lower, upper, jnp.full(D, unit), jnp.asarray(0.1, jnp.float32))

        def value(x):
            return jnp.stack([energy(x, lower, upper) for energy in ENERGIES])[which]

        def one(start):
            def advance(state, _):
                seen = jax.value_and_grad(value)(state.trial)
                new, fall = step(state, *seen, region)
                return new, (state.trial, seen[0], new.energy, new.position, fall)

            begun = descent.begin(start, jnp.zeros((), start.dtype), start.dtype)
            return jax.lax.scan(advance, begun, length=STEPS)[1]

        return jax.vmap(one)(starts)

    return lambda energy, starts, box, unit=2.0: jax.device_get(
        run(ENERGIES.index(energy), starts, box, np.float32(unit))
    )


RUN = descents()


def starts(n=16):
    return np.random.default_rng(0).uniform(-1, 1, (n, D)).astype(np.float32)


def falling_law(run, energy, box):
    """The energy of a descent never rises, it is that of its position, and trials stay inside."""
    trial, value, kept, position, fall = run(energy, starts(), box)
    first = value[:, :1]
    known = np.isfinite(first[:, 0])
    assert known.any()
    assert np.all(np.diff(kept[known], axis=1) <= 0)
    assert np.all(kept[known] <= first[known])
    assert np.all((trial >= box[0]) & (trial <= box[1]))
    assert np.all(np.isfinite(trial))
    assert np.all(fall[known] >= 0)
    # The position is one of the trials, and its energy the one that was seen there.
    for chain in np.flatnonzero(known)[:4]:
        place = np.flatnonzero((trial[chain] == position[chain, -1]).all(axis=1))
        assert place.size
        assert kept[chain, -1] in value[chain, place]


@pytest.mark.parametrize("energy", ENERGIES, ids=lambda x: x.__name__)
@pytest.mark.parametrize("box", [BOX, OPEN], ids=["box", "open"])
def test_a_descent_never_ends_above_its_start_nor_leaves_its_box(energy, box):
    falling_law(RUN, energy, box)


@pytest.mark.slow
def test_the_law_catches_a_descent_that_takes_every_step_and_one_without_limits():
    def greedy(state, energy, slope, region):
        return descent.step(
            replace(state, energy=jnp.full_like(energy, 1e30)), energy, slope, region
        )

    def open_ended(state, energy, slope, region):
        unlimited = region._replace(lower=region.lower - 9, upper=region.upper + 9)
        return descent.step(state, energy, slope, unlimited)

    caught(falling_law, descents(greedy), valley, OPEN)
    caught(falling_law, descents(open_ended), quadratic, BOX)


def test_a_minimum_on_a_limit_is_reached_exactly():
    _, _, kept, position, fall = RUN(guarded, starts(), BOX)
    expected = np.clip(TARGETS, *BOX)
    held = expected != TARGETS
    assert np.all(position[:, -1, held] == expected[held])
    np.testing.assert_allclose(position[:, -1], np.broadcast_to(expected, (16, D)), atol=1e-4)
    assert np.all(fall[:, -1] <= 1e-5 * kept[:, -1])


def test_a_minimum_of_condition_1e4_is_reached():
    """To rounding: a position is known to half the digits of the energy, whose least is 0 here."""
    _, _, kept, position, _ = RUN(quadratic, starts(), OPEN)
    assert np.all(kept[:, -1] <= 1e-8 * kept[:, 0])
    np.testing.assert_allclose(position[:, -1], np.broadcast_to(TARGETS, (16, D)), atol=2e-3)
    fast = np.argmax(kept < 1e-4 * kept[:, :1], axis=1)
    assert fast.max() < 80  # evaluations, of which steepest descent takes 1e4


def test_a_valley_is_followed_to_its_end():
    _, _, kept, position, _ = RUN(valley, starts(), OPEN)
    at_one = np.abs(position[:, -1] - 1).max(axis=1) < 1e-2
    other = np.abs(kept[:, -1] - 3.974) < 0.05  # Kok and Sandrock (2009): a second minimum, d = 6
    assert np.all(at_one | other)
    assert at_one.mean() > 0.5


@jax.jit
def in_units(unit, start):
    """Return the energies of a descent in a box of some width, of an energy as wide."""
    free = jnp.full(D, jnp.inf)
    region = Region(-free, free, jnp.full(D, unit), jnp.asarray(0.1, jnp.float32))

    def advance(state, _):
        value = lambda x: valley(x / unit, None, None)  # noqa: E731
        new, _ = descent.step(state, *jax.value_and_grad(value)(state.trial), region)
        return new, new.energy

    begun = descent.begin(start * unit, jnp.zeros(()), start.dtype)
    return jax.lax.scan(advance, begun, length=60)[1]


def test_units_alone_do_not_matter():
    """A box four times as wide around an energy as wide is the same descent, bit for bit."""
    one, four = (in_units(np.float32(unit), starts()[0]) for unit in (1, 4))
    np.testing.assert_array_equal(one, four)


def test_a_start_without_slope_leaves_the_scale_unknown():
    """Or the first step of the next descent would be as long as a step may be, or none at all."""
    region = Region(*(jnp.full(2, x) for x in (-9.0, 9.0, 1.0)), jnp.asarray(0.1))
    step = jax.jit(descent.step)
    begun = descent.begin(jnp.zeros(2), jnp.zeros(()), jnp.float32)
    still, fall = step(begun, jnp.asarray(1.0), jnp.zeros(2), region)
    assert float(still.scale) == float(fall) == 0
    again = descent.begin(jnp.ones(2), still.scale, jnp.float32)
    steep, _ = step(again, jnp.asarray(1.0), jnp.full(2, 1e12), region)
    np.testing.assert_allclose(steep.trial, 1 - 0.02, rtol=1e-5)
