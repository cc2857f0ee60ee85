"""Basin hopping: visits to minima follow the Boltzmann weights of their energies, and so do swaps.

On a ring of equal wells with levels every hop has the same reach from every well, so Metropolis
between minima keeps the Boltzmann law of the levels. Runs start from exact draws of it, and the
law of the well after a number of hops is looked at, of independent runs.
"""

import jax
import jax.numpy as jnp
import numpy as np
from laws import assert_counts, assert_mean, broken, caught

import jaxanneal as ja
from jaxanneal._chain.chain import log_acceptance
from jaxanneal._methods.ladder.swaps import log_swap_acceptance
from jaxanneal._pytree import replace

LEVELS = np.float32([0, 0.5, 1.0, 0.2, 0.8])
TEMPERATURE = 0.5
WEIGHTS = np.exp(-LEVELS / TEMPERATURE)
RUNS, HOPS, STEPS = 20_000, 4, 30  # a hop takes two steps or three

# The library's rule of acceptance, and twins of it: every minimum, and twice the temperature.
RULES = [
    log_acceptance,
    lambda delta, temperature: jnp.where(jnp.isfinite(delta), 0.0, -jnp.inf),
    lambda delta, temperature: log_acceptance(delta, 2 * temperature),
]


def ring(x):
    well = jnp.round(x)
    return 10 * (x - well) ** 2 + jnp.asarray(LEVELS)[well.astype(int) % LEVELS.size]


def hopping(**settings):
    given = {"coldest": 0.5, "hottest": 0.5, "scale": 1.0, "favour": 0.0, "abandon": np.inf}
    return ja.BasinHopping(**given | settings)


# One chain of a run: a crossover and a difference lead back to where it is.
ALONE = hopping(chains=1, unit=1.0, longest_step=1.0, swap_every=1, tolerance=1e-4)


@jax.jit
def wells_after_hops(keys, starts, rule):
    """Return the well of each run after so many hops, and the hops and acceptances of all steps."""
    algorithm = ja.algorithm(ring, ALONE)

    def accept(delta, temperature):
        return jnp.stack([one(delta, temperature) for one in RULES])[rule]

    def one_run(key, start):
        def advance(carry, _):
            state, well = carry
            state, _ = algorithm.step(state)
            over = (state.carried.last.count[0] >= HOPS) & (well < 0)
            here = jnp.round(state.chains.params[0]).astype(int) % LEVELS.size
            return (state, jnp.where(over, here, well)), None

        first = (algorithm.init(key, start), jnp.asarray(-1))
        (state, well), _ = jax.lax.scan(advance, first, length=STEPS)
        return well, state.carried.last.count[0], state.accepted[0]

    with broken((("jaxanneal._kernels.hopping.log_acceptance", accept),)):
        return jax.vmap(one_run)(keys, starts)


def boltzmann_law(rule, seed=3):
    """A false alarm has the probability 4e-7."""
    drawn = np.random.default_rng(0).choice(LEVELS.size, RUNS, p=WEIGHTS / WEIGHTS.sum())
    keys = jax.random.split(jax.random.key(seed), RUNS)
    wells, hops, accepted = wells_after_hops(keys, drawn.astype(np.float32), rule)
    assert np.all(np.asarray(wells) >= 0)  # that many hops have ended
    assert np.all(
        np.asarray(accepted) <= np.asarray(hops) + 1
    )  # the first descent is accepted, too
    assert np.mean(np.asarray(wells) != drawn) > 0.1  # they travel
    assert_counts("wells", wells, WEIGHTS)


def test_visits_follow_the_boltzmann_weights_and_broken_acceptance_does_not():
    boltzmann_law(0)
    caught(boltzmann_law, 1)
    caught(boltzmann_law, 2)


CHAINS, DRAWS = 4, 40_000
LADDER = hopping(chains=CHAINS, coldest=0.5, hottest=4.0)
ENERGIES = np.float32([1.3, 0.2, 2.0, 0.9])


def ratio(cold, hot, a, b):
    """Return the logarithm of the ratio of the weights after a swap and before it."""
    return (1 / cold - 1 / hot) * (a - b)


# The right one and twins, numbered as in oracle (f).
RATIOS = {
    "right": ratio,
    "20: sign": lambda cold, hot, a, b: -ratio(cold, hot, a, b),
    "22: one beta": lambda cold, hot, a, b: (a - b) / cold,
    "23: always": lambda cold, hot, a, b: 0 * a,
    "24: only downhill": lambda cold, hot, a, b: jnp.where(b < a, 0, -jnp.inf),
}


@jax.jit
def swapped(swaps, first, rule):
    """Return the labels after a swap phase of many equal ladders, int ``[draws, chains]``."""

    def by_rule(temperatures, energies):
        own = log_swap_acceptance(temperatures, energies)
        neighbours = (temperatures[:-1], temperatures[1:], energies[:-1], energies[1:])
        twins = [jnp.minimum(one(*neighbours), 0) for one in RATIOS.values()]
        return jnp.stack([own, *twins])[rule]

    state = replace(LADDER.init(), swaps=swaps)
    keys = jax.random.split(jax.random.key(5), DRAWS)
    with broken((("jaxanneal._methods.basin_hopping.log_swap_acceptance", by_rule),)):
        return jax.vmap(lambda key: LADDER._swapped(key, state, jnp.asarray(ENERGIES), first))(keys)


def swap_law(rule):
    """Each pair whose turn it is swaps with the probability of Metropolis' rule, no other one."""
    temperatures = 0.5 * 8 ** np.linspace(0, 1, CHAINS)
    idle = jnp.zeros(CHAINS, bool)
    for phase in (0, 1):
        new = jax.device_get(swapped(np.int32(phase), idle, rule))
        assert np.all(np.sort(new.rung, axis=1) == np.arange(CHAINS))
        assert np.all(new.before == np.arange(CHAINS))
        assert np.all(new.swaps == phase + 1)
        for pair in range(CHAINS - 1):
            rises = new.rung[:, pair] == pair + 1
            assert np.all(rises == (new.rung[:, pair + 1] == pair))
            gain = ratio(*temperatures[pair : pair + 2], *ENERGIES[pair : pair + 2])
            exact = min(1.0, np.exp(gain)) if pair % 2 == phase else 0.0
            if 0 < exact < 1:
                assert_mean(f"pair {pair}", rises, exact)
            else:
                assert np.all(rises == exact)


def test_neighbours_swap_by_the_rule_of_metropolis_and_twins_do_not():
    swap_law(0)
    swap_law(1)
    for rule in range(2, 1 + len(RATIOS)):
        caught(swap_law, rule)


def test_a_chain_in_its_first_descent_does_not_swap():
    new = jax.device_get(swapped(np.int32(0), jnp.array([False, True, False, False]), 0))
    assert np.all(new.rung[:, :2] == [0, 1])
    assert np.any(new.rung[:, 2] == 3)
