"""Acceptance rate, jump and optimal step of a random walk on |x|^2/2: oracle (a)."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import MANY, assert_mean, caught, evolve, normal
from scipy import special, stats

import jaxanneal as ja
from jaxanneal.moves._perturbation import best_acceptance

# Dimension, step, temperature, acceptance rate, mean squared jump: closed forms in Student's t.
# Roberts, Gelman and Gilks (1997) for many dimensions; Sherlock and Roberts (2009) for each.
GAUSSIAN = [
    (1, 1.0, 1.0, 0.7048328, 0.4501849),
    (1, 2.4, 1.0, 0.4422841, 0.7441484),
    (2, 0.7, 1.0, 0.6696496, 0.5120502),
    (3, 1.0, 0.25, 0.1816901, 0.2267605),
    (10, 0.5, 2.0, 0.5884493, 1.379298),
    (50, 0.33, 1.0, 0.2488556, 1.304168),
    (100, 0.238, 1.0, 0.2368639, 1.315319),
]
UNIFORM = [(1.0, 1.0, 0.8045829), (2.0, 0.5, 0.5139350), (4.0, 1.0, 0.3904516)]
DRAWS = 2**23


def harmonic(x):
    return 0.5 * jnp.sum(x**2)


def one_step(move, d, temperature, **twin):
    chains = 2**18 if d <= 10 else 2**16
    starts = np.float32(temperature**0.5) * normal(1, chains, d)
    return starts, evolve(2, starts, temperature, energy=harmonic, move=move, **twin)


def acceptance_law(make_move, row, **twin):
    """Standard error of the rate: 0.001 for 2^18 chains, 0.0017 for 2^16."""
    d, s, temperature, rate, jump = row
    starts, done = one_step(make_move(s), d, temperature, **twin)
    assert_mean("acceptance", done.acceptance, rate, MANY)
    assert_mean("jump", np.sum(np.square(done.chains.params - starts), axis=1), jump, MANY)
    assert_mean("flow", done.acceptance - done.balance, 0.0, MANY)


@pytest.mark.parametrize("row", GAUSSIAN)
def test_a_gaussian_walk_accepts_and_jumps_as_the_closed_form(row):
    acceptance_law(held_gaussian, row)


@pytest.mark.parametrize(("s", "temperature", "rate"), UNIFORM)
def test_a_uniform_walk_accepts_as_the_closed_form(s, temperature, rate):
    move = ja.moves.Uniform(scale=s, target_acceptance=None)
    _, done = one_step(move, 1, temperature)
    assert_mean("acceptance", done.acceptance, rate)  # standard error 0.001


def held_gaussian(s):
    return ja.moves.Gaussian(scale=s, target_acceptance=None)


RULES = {
    "1: sign of dE": lambda delta, t, h: delta / t,
    "3: T ignored": lambda delta, t, h: -delta,
    "4: dE times T": lambda delta, t, h: -delta * t,
    "6: absolute dE": lambda delta, t, h: -jnp.abs(delta) / t,
    "root of T": lambda delta, t, h: -delta / jnp.sqrt(t),
    "right": lambda delta, t, h: -delta / t,
}


@pytest.mark.parametrize("name", RULES)
def test_the_acceptance_law_catches_a_wrong_rule(name):
    law = functools.partial(acceptance_law, held_gaussian, GAUSSIAN[3], rules=tuple(RULES.values()))
    rule = list(RULES).index(name)
    law(rule=rule) if name == "right" else caught(law, rule=rule)


@pytest.mark.parametrize("wrong", [lambda s: s**2, lambda s: s / 3**0.5, lambda s: 1.02 * s])
def test_the_acceptance_law_catches_a_wrong_scale(wrong):
    row = (3, 0.9, 0.25, student_rate(3, 0.9 / 0.5), student_jump(3, 0.9, 0.5))
    acceptance_law(held_gaussian, row)
    caught(acceptance_law, lambda s: held_gaussian(wrong(s)), row)


def student_rate(d, ratio):
    return 2 * stats.t.cdf(-ratio * d**0.5 / 2, d)


def student_jump(d, s, root):
    return 2 * d * s**2 * stats.t.cdf(-s * (d + 2) ** 0.5 / (2 * root), d + 2)


def test_one_key_for_the_step_and_the_decision_is_caught():
    """Twin 13: a normal of jax.random is a function of the uniform of the same key."""

    def step_one(key, x):
        return x + jax.random.normal(key, x.shape)

    def own_normal(s):
        return step_one

    acceptance_law(own_normal, GAUSSIAN[0])
    twin = (("jaxanneal._chain.keys.ACCEPTANCE", 0),)
    caught(acceptance_law, own_normal, GAUSSIAN[0], twin=twin)
    _, done = one_step(step_one, 1, 1.0, twin=twin)
    caught(assert_mean, "mean of x", done.chains.params, 0.0)


def test_an_asymmetric_proposal_promised_symmetric_breaks_the_balance_of_flows():
    """A = 2 P(dE < 0) + P(dE = 0) holds for every energy, if the proposal is symmetric."""

    def drift(key, x):
        return 0.8 * x + 0.5 * jax.random.normal(key, x.shape)

    _, done = one_step(held_gaussian(0.5), 2, 0.7)
    assert_mean("flow", done.acceptance - done.balance, 0.0)
    _, done = one_step(drift, 2, 0.7)
    caught(assert_mean, "flow", done.acceptance - done.balance, 0.0)


def test_the_mean_boltzmann_factor_of_small_steps_is_one():
    _, done = one_step(held_gaussian(0.3), 2, 0.7)
    assert_mean("factor", np.exp(-np.asarray(done.delta_energy) / 0.7), 1.0)
    caught(assert_mean, "factor", np.exp(-np.asarray(done.delta_energy)), 1.0)


def noise_law(noise):
    """Accept with 2 Phi(-r/2) for a step of length r: standard errors 1e-5 to 2e-4.

    The rate is right within 0.0005, and the moments to the sixth are within 1 %.
    """
    values = np.asarray(noise, np.float64)
    for d, s, temperature, exact, _ in GAUSSIAN:
        vectors = values[: values.size // d * d].reshape(-1, d)
        length = s / temperature**0.5 * np.sqrt(np.sum(vectors**2, axis=1))
        rates = 2 * special.ndtr(-length / 2)
        assert_mean(f"rate, d = {d}", rates, exact, MANY)
        assert abs(rates.mean() - exact) < 0.0005
    powers = values
    for order, moment in enumerate((0.0, 1.0, 0.0, 3.0, 0.0, 15.0), start=1):
        assert_mean(f"moment {order}", powers, moment, MANY)
        assert moment == 0 or abs(powers.mean() / moment - 1) < 0.01
        powers = powers * values


def test_gaussian_noise_is_normal_and_a_sum_of_four_bytes_is_not():
    draw = lambda key: held_gaussian(1.0).propose(key, jnp.zeros(DRAWS), 1.0)[0]  # noqa: E731
    noise_law(jax.jit(draw)(jax.random.key(3)))
    bytes_ = jax.random.bits(jax.random.key(4), (DRAWS // 16, 4), jnp.uint8)
    total = np.asarray(bytes_, np.float64).sum(axis=1) - 510
    caught(noise_law, total / np.sqrt(4 * (256**2 - 1) / 12))


def test_the_engine_counts_accepted_over_all_proposals():
    d, s, temperature, rate, _ = GAUSSIAN[3]
    starts = np.float32(temperature**0.5) * normal(5, 20_000, d)
    method = ja.SimulatedAnnealing(chains=20_000, cooling=lambda step: temperature)
    result = ja.anneal(
        harmonic, ja.stacked(starts), key=6, method=method, move=held_gaussian(s), steps=20
    )
    counted = result.diagnostics.acceptance_rate
    assert_mean("acceptance", counted, rate)  # standard error 0.0006
    assert_mean("recorded", result.history.acceptance_rate.mean(axis=0), rate)
    caught(assert_mean, "one proposal left out", counted * 20 / 19, rate)


# Dimension and acceptance rate at the step of the farthest jump: oracle (a).
BEST = [(1, 0.438862), (2, 0.350705), (3, 0.314963), (5, 0.283908), (10, 0.259301)]
BEST += [(20, 0.246646), (50, 0.238963), (100, 0.236389), (1000, 0.234068)]


@pytest.mark.parametrize(("d", "rate"), BEST)
def test_the_automatic_target_is_the_rate_of_the_farthest_jump(d, rate):
    assert abs(float(best_acceptance(d)) - rate) < 0.004
