"""The 4 x 4 Ising model against the enumeration of its 65,536 states: oracle (d)."""

import jax.numpy as jnp
import numpy as np
import pytest
from laws import MANY, MANY_OF_GROUPS, assert_mean, caught, evolve

import jaxanneal as ja
from jaxanneal._methods.ladder.free_energy import log_means
from jaxanneal._methods.ladder.swaps import log_swap_acceptance

CHAINS, MOVES = 20_000, 64
CRITICAL = 2 / np.log(1 + 2**0.5)  # Onsager (1944)

# Temperature: energy per site, mean |m|, heat capacity per site, mean m^2, Binder's ratio U, and
# acceptance rate of single flips.
TABLE = {
    1.5: (-1.95064256, 0.986173298, 0.20034987, 0.97530249, 0.6639587, 0.01359885),
    2.0: (-1.75538029, 0.918943267, 0.60553266, 0.86892168, 0.6448108, 0.07697386),
    CRITICAL: (-1.56562379, 0.843860445, 0.78326683, 0.76135891, 0.6171993, 0.1467403),
    3.0: (-1.01706963, 0.601291326, 0.60313471, 0.45098814, 0.4805407, 0.3794059),
}
LEVELS = {0: 20524, 4: 13568, 8: 6688, 12: 1728, 16: 424, 20: 64, 24: 32, 32: 2}
STATES = (np.arange(2**16)[:, None] >> np.arange(16) & 1).astype(bool).reshape(-1, 4, 4)
FLIP = ja.moves.Flip()


def ising(up, bonds=((1, 0), (0, 1)), sign=-1):
    """Minus the sum over bonds to the right and lower neighbour, periodic."""
    spins = jnp.where(up, 1, -1)
    return sign * sum(jnp.sum(spins * jnp.roll(spins, shift, (0, 1))) for shift in bonds)


def doubled_bonds(up):
    return ising(up, ((1, 0), (0, 1), (-1, 0), (0, -1)))


def antiferromagnet(up):
    """Wrong sign of J."""
    return ising(up, sign=1)


def open_edges(up):
    spins = jnp.where(up, 1, -1)
    return -jnp.sum(spins[1:] * spins[:-1]) - jnp.sum(spins[:, 1:] * spins[:, :-1])


def exact_energies():
    spins = np.where(STATES, 1, -1)
    return -sum(np.sum(spins * np.roll(spins, 1, axis), axis=(1, 2)) for axis in (1, 2))


def draws(temperature, seed):
    weights = np.exp(-(exact_energies() + 32) / temperature)
    chosen = np.random.default_rng(seed).choice(2**16, CHAINS, p=weights / weights.sum())
    return STATES[chosen]


def ising_law(temperature, energy=ising, move=FLIP, **twin):
    site_energy, absolute, heat, square, binder, rate = TABLE[temperature]
    starts = draws(temperature, 1)
    done = evolve(2, starts, temperature, energy=energy, move=move, moves=MOVES, **twin)
    energies = np.asarray(done.chains.energy, np.float64) / 16
    m = np.where(np.asarray(done.chains.params), 1, -1).mean(axis=(1, 2))
    assert_mean("energy per site", energies, site_energy, MANY)
    variance = 16 * (energies - site_energy) ** 2 / temperature**2
    assert_mean("heat capacity per site", variance, heat, MANY)
    assert_mean("absolute magnetisation", np.abs(m), absolute, MANY)
    assert_mean("square of m", m**2, square, MANY)
    assert_mean("fourth power of m", m**4, 3 * square**2 * (1 - binder), MANY)
    assert_mean("acceptance", done.acceptance, rate, MANY)
    assert_mean("flow", done.acceptance - done.balance, 0.0, MANY)


def test_the_energy_has_the_levels_of_the_enumeration():
    levels, counts = np.unique(exact_energies(), return_counts=True)
    found = dict(zip(levels.tolist(), counts.tolist(), strict=True))
    assert found == LEVELS | {-level: count for level, count in LEVELS.items()}
    np.testing.assert_array_equal(exact_energies()[:64], [int(ising(s)) for s in STATES[:64]])


@pytest.mark.parametrize("temperature", TABLE)
def test_single_flips_keep_the_law_of_the_enumeration(temperature):
    ising_law(temperature)


@pytest.mark.parametrize("energy", [doubled_bonds, open_edges, antiferromagnet])
def test_the_ising_law_catches_a_wrong_energy(energy):
    caught(ising_law, 2.0, energy=energy)


def test_the_ising_law_catches_sites_that_flip_twice_or_in_pairs():
    def twice(key, up):
        flipped = FLIP.propose(key, up, 1.0)[0]
        return FLIP.propose(key, flipped, 1.0)[0]

    def row(key, up):
        flipped = FLIP.propose(key, up, 1.0)[0]
        return flipped ^ jnp.roll(flipped ^ up, 1)

    caught(ising_law, 3.0, move=twice)
    caught(ising_law, 3.0, move=row)


RULES = (lambda delta, t, h: -delta, lambda delta, t, h: -delta / t - 0.05)


@pytest.mark.parametrize("rule", range(len(RULES)))
def test_the_ising_law_catches_a_wrong_rule(rule):
    caught(ising_law, 2.0, rules=RULES, rule=rule)


@pytest.mark.parametrize(
    ("cold", "hot", "rate", "ties"),
    [
        (1.5, 2.0, 0.7409904, 0.619321),
        (2.0, CRITICAL, 0.7917212, 0.374840),
        (CRITICAL, 3.0, 0.4901630, 0.146044),
    ],
)
def test_swaps_between_equal_energies_are_always_accepted(cold, hot, rate, ties):
    """A = 2 P(E_cold > E_hot) + P(E_cold = E_hot), and the last is large."""
    weights = [np.exp(-(exact_energies() + 32) / t) for t in (cold, hot)]
    random = np.random.default_rng(3)
    pair = [exact_energies()[random.choice(2**16, CHAINS, p=w / w.sum())] for w in weights]
    both = jnp.stack(pair, axis=-1).astype(float)
    alpha = np.exp(log_swap_acceptance(jnp.asarray([cold, hot]), both))[:, 0]
    tie = pair[0] == pair[1]
    assert_mean("swap rate", alpha, rate, MANY)
    assert_mean("ties", tie, ties, MANY)
    assert_mean("flow", alpha - 2 * (pair[0] > pair[1]) - tie, 0.0, MANY)
    caught(assert_mean, "ties refused", np.where(tie, 0, alpha), rate, MANY)


LADDER = np.array([1.5, 2.0, CRITICAL, 3.0])


def ladder_law(energies):
    for rung, temperature in enumerate(TABLE):
        exact = 16 * TABLE[temperature][0]
        assert_mean(f"rung {rung}", energies[:, rung], exact, MANY)


def test_tempering_keeps_the_law_of_every_rung():
    """Standard errors: 0.1 to 0.8 % of the mean energy for 5,000 ladders."""
    starts = np.stack([draws(t, 4 + i)[:5000] for i, t in enumerate(LADDER)], axis=1)
    method = ja.ParallelTempering(temperatures=LADDER, ladders=5000, swap_every=8, warmup=0)
    params = ja.stacked(starts.reshape(-1, 4, 4))
    result = ja.anneal(ising, params, key=5, method=method, steps=64, record_every=32)
    for energies in result.history.energy:
        ladder_law(energies)
        caught(ladder_law, energies[:, ::-1])
    rates = (0.7409904, 0.7917212, 0.4901630)
    # 20,000 attempts of each pair: standard error 0.0035, were they independent.
    np.testing.assert_allclose(result.diagnostics.swap_rate, rates, atol=0.025)
    log_z = np.array([22.11701391, 17.10536712, 15.52191546, 13.28103346])
    from_hotter, from_colder = np.exp(log_means(result.state.engine_state.exchange.weights))
    for pair, step in enumerate(log_z[:-1] - log_z[1:]):
        assert_mean(f"Z ratio {pair}", from_hotter[:, pair], np.exp(step), MANY_OF_GROUPS)
        assert_mean(f"inverse {pair}", from_colder[:, pair], np.exp(-step), MANY_OF_GROUPS)
    np.testing.assert_allclose(result.diagnostics.log_partition, log_z - log_z[-1], atol=0.03)
