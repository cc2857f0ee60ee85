"""The laws that suites sample, with what is exactly known of each at its coldest rung."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxanneal as ja
from benchmarks.workloads import ising as lattice_energy

_WARM = 200


class Target(NamedTuple):
    """An energy to sample on a ladder, and what is known of its coldest rung.

    Args:
        name: As the table shows it.
        energy: The energy of an array of parameters.
        observe: A number to record besides the energy, the slowest one known.
        exact: Mean energy and mean of ``observe`` at the coldest temperature.
        start: ``key -> params``.
        move: One coordinate or site after the other, or all at once.
        temperatures: Where the ladder begins, the coldest first; its ends stay.
        every: Moves between exchanges, about one sweep of the coordinates or sites.
        ladders: Independent ladders.
        exchanges: Swap phases of one repeat.
    """

    name: str
    energy: Callable[[jax.Array], jax.Array]
    observe: Callable[[jax.Array], jax.Array]
    exact: tuple[float, float]
    start: Callable[[jax.Array], jax.Array]
    move: Any
    temperatures: tuple[float, ...]
    every: int
    ladders: int
    exchanges: int

    @property
    def warm(self) -> int:
        """Return the swap phases of the warm-up: enough of them for a short repeat, too."""
        return max(self.exchanges, _WARM)

    @property
    def shape(self) -> tuple[int, ...]:
        return jax.eval_shape(self.start, jax.random.key(0)).shape

    @property
    def discrete(self) -> bool:
        return isinstance(self.move, ja.moves.Flip)


def ladder(cold: float, hot: float, rungs: int) -> tuple[float, ...]:
    """Return a geometric ladder."""
    return tuple(np.geomspace(cold, hot, rungs).tolist())


def harmonic(d: int, ratio: float, rungs: int, every: int, exchanges: int) -> Target:
    """Return |x|^2 / 2 in d dimensions."""
    return Target(
        f"harmonic d={d}",
        _harmonic,
        _first,
        (d / 2, 0.0),
        functools.partial(_normal, d=d, centre=0.0),
        ja.moves.Gaussian(scale=1.0),
        ladder(1.0, ratio, rungs),
        every,
        16,
        exchanges,
    )


def _harmonic(x: jax.Array) -> jax.Array:
    return 0.5 * jnp.sum(x**2)


def _first(x: jax.Array) -> jax.Array:
    return x[0]


def _normal(key: jax.Array, d: int, centre: float) -> jax.Array:
    return centre + jax.random.normal(key, (d,))


def double_well(exchanges: int) -> Target:
    """Return the asymmetric double well; all chains start in the upper well."""
    cold = 0.25
    return Target(
        "double well",
        _well,
        _right,
        quadrature(lambda x: 4 * (x**2 - 1) ** 2 + x / 2, cold),
        _upper_well,
        ja.moves.Gaussian(scale=1.0),
        ladder(cold, 2.0, 5),
        10,
        16,
        exchanges,
    )


def _well(x: jax.Array) -> jax.Array:
    return jnp.sum(4 * (x**2 - 1) ** 2 + 0.5 * x)


def _right(x: jax.Array) -> jax.Array:
    return (jnp.sum(x) > 0).astype(float)


def _upper_well(key: jax.Array) -> jax.Array:
    return 1 + 0.1 * jax.random.normal(key, (1,))


# Two normal laws of variance 1, four to either side of the origin; the barrier is about 8.
_SIDE, _LIGHT, _HEAVY = 4.0, math.log(0.3), math.log(0.7)


def mixture(d: int, rungs: int, every: int, exchanges: int) -> Target:
    """Return two normal laws on the diagonal, weights 0.3 and 0.7; all start in the lighter one."""
    energy, heavy = quadrature(_along, 1.0)
    return Target(
        f"mixture d={d}",
        _mixture,
        _right,
        (energy + (d - 1) / 2, heavy),
        functools.partial(_normal, d=d, centre=-_SIDE / math.sqrt(d)),
        ja.moves.Gaussian(scale=1.0),
        ladder(1.0, 10.0, rungs),
        every,
        16,
        exchanges,
    )


def _mixture(x: jax.Array) -> jax.Array:
    centre = _SIDE / math.sqrt(x.size)
    light = _LIGHT - 0.5 * jnp.sum((x + centre) ** 2)
    return -jnp.logaddexp(light, _HEAVY - 0.5 * jnp.sum((x - centre) ** 2))


def _along(x: np.ndarray) -> np.ndarray:
    light = _LIGHT - (x + _SIDE) ** 2 / 2
    return -np.logaddexp(light, _HEAVY - (x - _SIDE) ** 2 / 2)


def quadrature(
    energy: Callable[[np.ndarray], np.ndarray], temperature: float
) -> tuple[float, float]:
    """Return mean energy and probability of x > 0 in one dimension."""
    x = np.linspace(-12.0, 12.0, 480_001)  # 0 is a point of the grid: half of it is to the right
    energies = energy(x)
    weights = np.exp(-(energies - energies.min()) / temperature)
    weights /= weights.sum()
    return float(weights @ energies), float(weights @ ((x > 0) + 0.5 * (x == 0)))


def ising(side: int, cold: float, rungs: int, ladders: int, exchanges: int) -> Target:
    """Return the Ising model on a torus; one exchange a sweep; magnetisation 0 by symmetry."""
    return Target(
        f"Ising {side} x {side}",
        lattice_energy,
        _magnetisation,
        (ising_energy(side, cold), 0.0),
        functools.partial(_spins, side=side),
        ja.moves.Flip(),
        ladder(cold, 4.0, rungs),
        side**2,
        ladders,
        exchanges,
    )


def _magnetisation(spins: jax.Array) -> jax.Array:
    return 2 * jnp.mean(spins.astype(float)) - 1


def _spins(key: jax.Array, side: int) -> jax.Array:
    return jax.random.bernoulli(key, 0.5, (side, side))


def ising_energy(side: int, temperature: float) -> float:
    """Return the exact mean energy on a torus, from the partition function's slope."""
    step = 1e-4  # the slope's error is of the order of its square
    beta = 1 / temperature
    upper, lower = (ising_log_partition(side, beta + s * step) for s in (1, -1))
    return -(upper - lower) / (2 * step)


def ising_log_partition(side: int, coupling: float) -> float:
    """Return the logarithm of the partition function on a torus at J / T = ``coupling``.

    Reference: Kaufman, Phys. Rev. 76, 1232 (1949), eq. 81.
    """
    index = np.arange(2 * side)
    ratio = np.cosh(2 * coupling) / np.tanh(2 * coupling)
    gamma = np.arccosh(ratio - np.cos(np.pi * index / side))
    gamma[0] = 2 * coupling + math.log(math.tanh(coupling))  # changes its sign at Onsager's point
    half = side * gamma / 2
    log_cosh = np.log1p(np.exp(-2 * np.abs(half))) + np.abs(half)
    log_sinh = np.log1p(-np.exp(-2 * np.abs(half))) + np.abs(half)
    even, odd = slice(0, None, 2), slice(1, None, 2)
    terms = [log_cosh[odd].sum(), log_sinh[odd].sum(), log_cosh[even].sum(), log_sinh[even].sum()]
    signs = [1.0, 1.0, 1.0, np.sign(half[0])]
    top = max(terms)
    total = sum(sign * math.exp(term - top) for sign, term in zip(signs, terms, strict=True))
    return side**2 / 2 * math.log(2 * math.sinh(2 * coupling)) - math.log(2) + top + math.log(total)


def targets(quick: bool) -> Iterator[Target]:
    """Yield the laws, a few short ones if it has to be quick."""
    if quick:
        yield harmonic(2, 100.0, 8, 10, 200)
        yield double_well(200)
        yield ising(4, 1.5, 5, 16, 200)
        return
    yield harmonic(2, 100.0, 8, 10, 500)
    yield harmonic(10, 100.0, 14, 10, 300)
    yield harmonic(50, 10.0, 14, 50, 80)
    yield double_well(500)
    yield mixture(2, 6, 10, 500)
    yield mixture(10, 10, 10, 300)
    yield mixture(50, 16, 50, 80)
    yield ising(4, 1.5, 5, 16, 300)
    yield ising(8, 2.0, 8, 16, 150)
    yield ising(16, 2.0, 14, 4, 80)
