"""Equilibrium of energies with closed forms or quadratures, moves of every kind: oracle (c)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import MANY, assert_mean, caught, evolve, normal

import jaxanneal as ja

CHAINS = 40_000  # standard errors: half a percent of a standard deviation


def harmonic(x):
    return 0.5 * jnp.sum(x**2)


def box_energy(x, slope=1.0):
    return slope * x


def mixed(params):
    """(x - m s)^2/2 + h s with m = 1 and h = 0.3."""
    spin = jnp.where(params["s"], 1.0, -1.0)
    return 0.5 * (params["x"] - spin) ** 2 + 0.3 * spin


def gamma_energy(x):
    """x - (k - 1) ln x with k = 3."""
    return x - 2 * jnp.log(x)


def held(scale, **kwargs):
    return ja.moves.Gaussian(scale=scale, target_acceptance=None, **kwargs)


def harmonic_law(energies, d, temperature):
    """Mean d T/2, heat capacity Var(E)/T^2 = d/2: E/T is Gamma distributed."""
    energies = np.asarray(energies, np.float64)
    assert_mean("mean E", energies, d * temperature / 2)
    heat = (energies - d * temperature / 2) ** 2 / temperature**2
    assert_mean("heat capacity", heat, d / 2)


def test_the_engine_holds_the_harmonic_law_and_records_states_not_proposals():
    """Twin 8: the energies of the proposals have mean (d/2)(T + s^2) = 11.25."""
    starts = np.float32(2**0.5) * normal(1, CHAINS, 10)
    method = ja.SimulatedAnnealing(chains=CHAINS, cooling=lambda step: 2.0)
    result = ja.anneal(
        harmonic,
        ja.stacked(starts),
        key=2,
        method=method,
        move=held(0.5),
        steps=20,
        record_every=10,
    )
    for energies in result.history.energy:
        harmonic_law(energies, 10, 2.0)
    done = evolve(3, starts, 2.0, energy=harmonic, move=held(0.5))
    proposals = 0.5 * np.sum(starts**2, axis=1) + done.delta_energy
    caught(harmonic_law, proposals, 10, 2.0)
    assert_mean("mean E of proposals", proposals, 11.25)


# Temperature, mean and variance of x for the energy x on [0, 1].
BOX = [(0.5, 0.3434824, 0.06898458), (0.1, 0.09995460, 0.009954596)]


def box_law(move, row, **twin):
    temperature, mean, variance = row
    uniform = np.random.default_rng(4).random(CHAINS)
    starts = -temperature * np.log1p(-uniform * -np.expm1(-1 / temperature))
    starts = starts.astype(np.float32)
    done = evolve(5, starts, temperature, energy=box_energy, move=move, moves=20, **twin)
    x = np.asarray(done.chains.params, np.float64)
    assert np.all((x >= 0) & (x <= 1))
    assert_mean("mean x", x, mean, MANY)
    assert_mean("Var x", (x - mean) ** 2, variance, MANY)


@pytest.mark.parametrize("row", BOX)
@pytest.mark.parametrize("kind", [ja.moves.Gaussian, ja.moves.Uniform])
def test_reflection_keeps_the_law_in_a_box(kind, row):
    box_law(kind(scale=0.4, bounds=(0.0, 1.0), target_acceptance=None), row)


CLIP = (
    (
        "jaxanneal.moves._perturbation.reflect",
        lambda start, step, low, up: jnp.clip(start + step, low, up),
    ),
)


@pytest.mark.parametrize("row", BOX)
def test_the_box_law_catches_proposals_clipped_to_the_bounds(row):
    """Twin 15, in one dimension."""
    caught(box_law, held(0.4, bounds=(0.0, 1.0)), row, twin=CLIP)


def flat_law(**twin):
    """Flat energy on [0, 1]: the variance is 1/12, where clipping gives 0.154917."""
    starts = np.random.default_rng(6).random(CHAINS, np.float32)
    move = held(0.5, bounds=(0.0, 1.0))
    done = evolve(7, starts, 1.0, energy=flat, move=move, moves=20, **twin)
    assert_mean("Var x", (np.asarray(done.chains.params, np.float64) - 0.5) ** 2, 1 / 12)


def flat(x):
    return 0 * x


def test_a_flat_energy_in_a_box_stays_uniform():
    flat_law()
    caught(flat_law, twin=CLIP)


def far_law(kind, **twin):
    """Steps of a million widths: a point of the box, and none of a coarse lattice in it."""
    starts = np.full(CHAINS, 0.5, np.float32)
    move = kind(scale=1e6, bounds=(0.0, 1.0), target_acceptance=None)
    done = evolve(12, starts, 1.0, energy=flat, move=move, moves=2, **twin)
    x = np.asarray(done.chains.params, np.float64)
    assert_mean("mean x", x, 0.5, MANY)
    assert_mean("Var x", (x - 0.5) ** 2, 1 / 12, MANY)
    assert np.mean(np.round(1024 * x) == 1024 * x) < 0.01
    assert np.unique(x).size > 0.95 * CHAINS


FAR = (("jaxanneal.moves._perturbation.step_between", lambda size, noise, low, up: size * noise),)


@pytest.mark.parametrize(
    "kind",
    [
        ja.moves.Gaussian,
        pytest.param(ja.moves.Laplace, marks=pytest.mark.slow),
        ja.moves.Uniform,
    ],
)
def test_steps_far_beyond_the_box_keep_their_digits(kind):
    far_law(kind)
    caught(far_law, kind, twin=FAR)


# Temperature, mean E, P(s = +1), mean x, Var x for m = 1, h = 0.3.
MIXED = (0.7, 0.2287620, 0.2979366, -0.4041267, 1.536682)
PER_LEAF = ja.moves.PerLeaf({"x": held(1.0), "s": ja.moves.Flip()})
ONLY_X = ja.moves.PerLeaf({"x": held(1.0), "s": None})


def mixed_law(energy=mixed, move=PER_LEAF):
    temperature, mean_energy, up, mean, variance = MIXED
    spin = np.random.default_rng(8).random(CHAINS) < up
    x = np.where(spin, 1, -1) + temperature**0.5 * normal(9, CHAINS)
    starts = {"x": x.astype(np.float32), "s": spin}
    done = evolve(10, starts, temperature, energy=energy, move=move, moves=20)
    x = np.asarray(done.chains.params["x"], np.float64)
    assert_mean("mean E", done.chains.energy, mean_energy, MANY)
    assert_mean("P(s = +1)", done.chains.params["s"], up, MANY)
    assert_mean("mean x", x, mean, MANY)
    assert_mean("Var x", (x - mean) ** 2, variance, MANY)
    return starts, done


def test_a_mixed_tree_keeps_its_law_with_a_move_for_each_leaf():
    starts, done = mixed_law()
    assert np.mean(starts["s"] != np.asarray(done.chains.params["s"])) > 0.1
    starts, done = mixed_law(move=ONLY_X)
    np.testing.assert_array_equal(starts["s"], done.chains.params["s"])
    caught(mixed_law, energy=lambda params: mixed(params) + 0.1 * params["x"])


class Multiplicative:
    """y = x exp(s z), with log q(x|y)/q(y|x) = ln(y/x)."""

    def propose(self, key, params, factor):
        del factor
        step = jax.random.normal(key, params.shape)
        return params * jnp.exp(step), step


# Twins 9, 10 and 11: what a wrong Hastings term samples has mean x of 2, 3 and 1.5.
RULES = {
    "right": (lambda delta, t, h: -delta / t + h, 2.5),
    "9: missing": (lambda delta, t, h: -delta / t, 2.0),
    "10: divided by T": (lambda delta, t, h: (-delta + h) / t, 3.0),
    "11: inverted": (lambda delta, t, h: -delta / t - h, 1.5),
}
SCALED = Multiplicative()


def gamma_law(**kernel):
    """Gamma with shape (k - 1)/T + 1 = 5 and scale T = 0.5; mean x 2.5, variance 1.25."""
    starts = np.random.default_rng(11).gamma(5.0, 0.5, CHAINS).astype(np.float32)
    kernel = {"move": SCALED, "moves": 40} | kernel
    done = evolve(12, starts, 0.5, energy=gamma_energy, **kernel)
    x = np.asarray(done.chains.params, np.float64)
    assert_mean("mean x", x, 2.5)
    assert_mean("Var x", (x - 2.5) ** 2, 1.25)


def test_a_multiplicative_move_with_its_hastings_term_keeps_the_gamma_law():
    gamma_law()


@pytest.mark.parametrize("name", RULES)
def test_the_gamma_law_catches_a_wrong_hastings_term(name):
    rules, rule = tuple(log for log, _ in RULES.values()), list(RULES).index(name)
    law = gamma_law if name == "right" else lambda **kernel: caught(gamma_law, **kernel)
    law(rules=rules, rule=rule)
    starts = np.random.default_rng(13).gamma(5.0, 0.5, CHAINS).astype(np.float32)
    kernel = {"energy": gamma_energy, "move": SCALED, "moves": 40, "rules": rules, "rule": rule}
    done = evolve(14, starts, 0.5, **kernel)
    assert_mean("mean x", done.chains.params, RULES[name][1])  # 40 moves forget the start


LADDER = np.array([0.25, 0.5, 1.0, 2.0])


def ladder_law(history, swap_rate, temperatures):
    """Mean energies d T/2 and swap rates 2/(1 + gamma) of d = 2, over independent ladders."""
    held = history.energy[~history.warmup]
    for rung, temperature in enumerate(temperatures):
        assert_mean(f"rung {rung}", held[:, :, rung].mean(axis=0), temperature, MANY)
    gamma = temperatures[1:] / temperatures[:-1]
    # 80,000 attempts a pair: standard error 0.0017 were they independent, and a round of 5 moves
    # leaves little of the correlation between two attempts.
    np.testing.assert_allclose(swap_rate, 2 / (1 + gamma), atol=0.012)


def test_tempering_end_to_end_holds_every_rung_at_its_temperature():
    method = ja.ParallelTempering(temperatures=LADDER, ladders=4000, swap_every=5, warmup=200)
    result = ja.anneal(
        harmonic,
        lambda key: jax.random.normal(key, (2,)),
        key=19,
        method=method,
        move=ja.moves.Gaussian(scale=0.3),
        steps=400,
        record_every=20,
    )
    ladder_law(result.history, result.diagnostics.swap_rate, LADDER)
    caught(ladder_law, result.history, result.diagnostics.swap_rate, LADDER[::-1])
    caught(ladder_law, result.history, result.diagnostics.swap_rate, LADDER * 1.1)
