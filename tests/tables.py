"""The small state spaces of oracle (f), their exact laws, and broken rules of acceptance."""

import jax.numpy as jnp
import numpy as np

# Table A: three bits, state 4 b2 + 2 b1 + b0. Table B: the integers 0 to 5.
TABLE_A, T_A = (0.0, 1.3, 0.7, 2.1, 1.1, 0.4, 1.9, 0.2), 0.8
TABLE_B, T_B = (0.0, 0.3, 0.9, 0.4, 0.1, 0.6), 0.7


def boltzmann(energies, temperature):
    weights = np.exp(-np.array(energies) / temperature)
    return weights / weights.sum()


def single_flips():
    flips = np.zeros((8, 8))
    for state in range(8):
        flips[state, state ^ np.array([1, 2, 4])] = 1 / 3
    return flips


def integer_steps(width, bounded):
    """Return the proposals of uniform steps up to ``width``, bounded to 0..5."""
    proposals = np.zeros((6, 6))
    for state in range(6):
        for step in (*range(-width, 0), *range(1, width + 1)):
            proposals[state, int(bounded(jnp.asarray(state + step), 0, 5))] += 0.5 / width
    return proposals


def mirror(value, lower, upper):
    """Reflect at the bound itself."""
    low = lower + jnp.abs(value - lower)
    return upper - jnp.abs(upper - low)


def energy_a(bits):
    return jnp.asarray(TABLE_A, float)[number_of(bits)]


def number_of(bits):
    return bits.astype(int) @ jnp.asarray([1, 2, 4])


def energy_b(x):
    return jnp.asarray(TABLE_B, float)[x]


def bits_of(states):
    return (np.asarray(states)[:, None] >> np.arange(3) & 1).astype(bool)


def exact_states(energies, temperature, seed, chains):
    law = boltzmann(energies, temperature)
    return np.random.default_rng(seed).choice(len(law), chains, p=law)


# Twin, and the mean energy of what it samples.
RULES = {
    "1: sign of dE": (lambda delta, t, h: jnp.minimum(delta / t, 0), 1.57724),
    "3: T ignored": (lambda delta, t, h: jnp.minimum(-delta, 0), 0.528408),
    "4: dE times T": (lambda delta, t, h: jnp.minimum(-delta * t, 0), 0.597624),
    "6: absolute dE": (lambda delta, t, h: -jnp.abs(delta) / t, 0.962500),
}
