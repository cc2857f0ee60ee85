"""Double wells, whose barrier a chain must cross, against quadratures: oracle (c)."""

import jax.numpy as jnp
import numpy as np
import pytest
from laws import MANY, assert_mean, caught, evolve

import jaxanneal as ja
from jaxanneal._methods.ladder.swaps import log_swap_acceptance

CHAINS = 40_000  # standard errors: half a percent of a standard deviation


def symmetric_well(x):
    return (x**2 - 1) ** 2


def tilted_well(x):
    return 4 * (x**2 - 1) ** 2 + 0.5 * x


# Energy, temperature, mean E, heat capacity, P(x > 0), mean x, mean x^2: quadratures.
WELLS = [
    (symmetric_well, 0.1, 0.05247724, 0.5596105, 0.5, 0.0, 0.9725228),
    (symmetric_well, 0.25, 0.1448291, 0.6234751, 0.5, 0.0, 0.9176709),
    (symmetric_well, 0.5, 0.2728638, 0.4018644, 0.5, 0.0, 0.8521362),
    (symmetric_well, 1.0, 0.4172545, 0.2229077, 0.5, 0.0, 0.8327455),
    (tilted_well, 0.25, -0.3569431, 0.8230709, 0.01890196, -0.9664606, 1.014255),
    (tilted_well, 0.5, -0.1134349, 1.018730, 0.1251357, -0.7472249, 0.9895564),
    (tilted_well, 1.0, 0.3541928, 0.8317371, 0.2824347, -0.4292167, 0.9337127),
    (tilted_well, 2.0, 0.9818669, 0.4627757, 0.3931841, -0.2099646, 0.8598491),
]


def well_draws(energy, temperature, seed, draws=CHAINS):
    grid = np.linspace(-3.5, 3.5, 200_001)
    weight = np.exp(-np.asarray(energy(grid)) / temperature)
    cumulative = np.cumsum(weight) / weight.sum()
    points = np.interp(np.random.default_rng(seed).random(draws), cumulative, grid)
    return points.astype(np.float32)


def well_law(row, move):
    energy, temperature, mean_energy, heat, up, mean, square = row
    starts = well_draws(energy, temperature, 15)
    done = evolve(16, starts, temperature, energy=energy, move=move, moves=30)
    x = np.asarray(done.chains.params, np.float64)
    spread = (np.asarray(done.chains.energy, np.float64) - mean_energy) ** 2
    assert_mean("mean E", done.chains.energy, mean_energy, MANY)
    assert_mean("heat capacity", spread / temperature**2, heat, MANY)
    assert_mean("P(x > 0)", x > 0, up, MANY)
    assert_mean("mean x", x, mean, MANY)
    assert_mean("mean x^2", x**2, square, MANY)
    assert np.mean((x > 0) != (starts > 0)) > 0.2 * min(up, 1 - up)  # the barrier is crossed


@pytest.mark.parametrize("row", WELLS)
def test_a_double_well_keeps_its_law_and_both_sides_are_visited(row):
    well_law(row, ja.moves.Gaussian(scale=1.0, target_acceptance=None))


def test_the_double_well_catches_a_walk_that_never_crosses():
    caught(well_law, WELLS[4], ja.moves.Gaussian(scale=0.05, target_acceptance=None))


@pytest.mark.parametrize(
    ("energy", "cold", "hot", "rate"),
    [
        (symmetric_well, 0.1, 0.25, 0.690603),
        (symmetric_well, 0.25, 0.5, 0.759537),
        (symmetric_well, 0.5, 1.0, 0.811929),
        (tilted_well, 0.25, 0.5, 0.699938),
        (tilted_well, 0.5, 1.0, 0.672004),
        (tilted_well, 1.0, 2.0, 0.714999),
    ],
)
def test_swaps_between_double_wells_are_accepted_as_often_as_they_should(energy, cold, hot, rate):
    draws = [energy(well_draws(energy, t, seed)) for seed, t in ((17, cold), (18, hot))]
    pairs = jnp.stack([jnp.asarray(x) for x in draws], axis=-1)
    alpha = np.exp(log_swap_acceptance(jnp.asarray([cold, hot]), pairs))
    assert_mean("swap rate", alpha, rate)
    turned = np.exp(log_swap_acceptance(jnp.asarray([hot, cold]), pairs))
    caught(assert_mean, "swap rate of temperatures in the wrong order", turned, rate)
