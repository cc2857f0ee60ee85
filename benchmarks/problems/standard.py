"""The problems of the suites `global` and `tuning`, shifted and rotated at random, always alike."""

import functools
import zlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import jaxanneal as ja
from benchmarks.problems import energies
from benchmarks.problems.problem import Problem, as_args

# The box of each family, and how it is written: as is usual.
_FAMILIES = {
    "Rastrigin": (energies.rastrigin, -5.12, 5.12),
    "Ackley": (energies.ackley, -32.768, 32.768),
    "Schwefel": (energies.schwefel, -500.0, 500.0),
    "Griewank": (energies.griewank, -600.0, 600.0),
    "Levy": (energies.levy, -10.0, 10.0),
    "Rosenbrock": (energies.rosenbrock, -5.0, 10.0),
    "Styblinski-Tang": (energies.styblinski_tang, -5.0, 5.0),
}
_DIMENSIONS = (2, 10, 30)
# The least energies of Wales and Doye, J. Phys. Chem. A 101, 5111 (1997).
LEAST = {7: -16.505384, 13: -44.326801, 26: -108.315616, 38: -173.928427}
# The three that are chosen once the defaults are frozen, functions without arguments.
CHOSEN_LATER: tuple[Callable[[], Problem], ...] = ()


def problems() -> list[Problem]:
    """Return all problems, the separable families first."""
    families = [family(name, d) for d in _DIMENSIONS for name in _FAMILIES]
    rotated = [_ellipsoid(10), _rotated_rastrigin(10), _gallagher(10)]
    rotated += [_weierstrass(10), _lunacek(10)]
    clusters = [lennard_jones(n) for n in LEAST]
    units = [unlike_units(10), _unlike_units_everywhere(10), _scaled(1e6), _scaled(1e-6)]
    others = [_mixed_leaves(), _rounded(10), _stairs(10)]
    return families + rotated + clusters + units + others + [chosen() for chosen in CHOSEN_LATER]


def family(name: str, d: int) -> Problem:
    """Return a problem of a separable family, its minimum within six tenths of the box."""
    energy, low, high = _FAMILIES[name]
    name = f"{name} d={d}"
    if energy is energies.schwefel:
        signs = _random(name).choice([-1.0, 1.0], d)
        place = energies.SCHWEFEL_PLACE * signs
        return _boxed(name, energy, (signs,), low, high, place)
    middle, half = (low + high) / 2, (high - low) / 2
    shift = middle + half * _random(name).uniform(-0.6, 0.6, d)
    return _boxed(name, energy, (shift,), low, high, shift)


def _boxed(
    name: str,
    energy: Callable[..., jax.Array],
    exact: tuple[Any, ...],
    low: float,
    high: float,
    place: np.ndarray,
    **known: Any,
) -> Problem:
    exact = tuple(np.asarray(x, np.float64) for x in exact)
    start = functools.partial(_uniform, d=place.size, low=low, high=high)
    return Problem(name, energy, exact, as_args(exact), start, (low, high), place, **known)


def _uniform(key: jax.Array, d: int, low: float, high: float) -> jax.Array:
    return jax.random.uniform(key, (d,), jnp.float32, low, high)


def _random(name: str) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(name.encode()))


def _rotation(random: np.random.Generator, d: int) -> np.ndarray:
    q, r = np.linalg.qr(random.normal(size=(d, d)))
    return q * np.sign(np.diag(r))


def _stretched(random: np.random.Generator, d: int, ratio: float) -> np.ndarray:
    """Return a rotation, a stretching of the axes from 1 to the root of ``ratio``, another one."""
    axes = ratio ** (0.5 * np.arange(d) / (d - 1))
    return _rotation(random, d) @ np.diag(axes) @ _rotation(random, d)


def _ellipsoid(d: int) -> Problem:
    name = f"ellipsoid d={d}"
    random = _random(name)
    shift = random.uniform(-4, 4, d)
    return _boxed(name, energies.ellipsoid, (shift, _rotation(random, d)), -5.0, 5.0, shift)


def _rotated_rastrigin(d: int) -> Problem:
    name = f"rotated Rastrigin d={d}"
    random = _random(name)
    shift = random.uniform(-4, 4, d)
    exact = (shift, _stretched(random, d, 10.0))
    return _boxed(name, energies.rotated_rastrigin, exact, -5.0, 5.0, shift)


def _weierstrass(d: int) -> Problem:
    name = f"Weierstrass d={d}"
    random = _random(name)
    shift = random.uniform(-4, 4, d)
    exact = (shift, _stretched(random, d, 0.01))
    return _boxed(name, energies.weierstrass, exact, -5.0, 5.0, shift)


def _lunacek(d: int) -> Problem:
    name = f"Lunacek d={d}"
    random = _random(name)
    signs = random.choice([-1.0, 1.0], d)
    exact = (signs, _stretched(random, d, 100.0))
    known = {"budget": 2_400_000, "seconds": 30.0}
    return _boxed(name, energies.lunacek, exact, -5.0, 5.0, 1.25 * signs, **known)


def _gallagher(d: int) -> Problem:
    """Return 101 peaks in a box, the highest with four fifths of it, of conditions up to 1e6."""
    name = f"Gallagher d={d}"
    random, others = _random(name), 100
    rotation, peaks = _rotation(random, d), random.uniform(-5, 5, (others + 1, d))
    peaks[0] *= 0.8
    steps = np.arange(others) / (others - 1)
    heights = np.concatenate([[10.0], 1.1 + 8 * steps])
    conditions = np.concatenate([[1000.0], random.permutation(1e6**steps)])
    axes = [c ** (0.5 * np.arange(d) / (d - 1)) / c**0.25 for c in conditions]
    widths = np.stack([random.permutation(axis) for axis in axes])
    exact = (rotation, peaks @ rotation.T, widths, heights)
    return _boxed(name, energies.gallagher, exact, -5.0, 5.0, peaks[0])


def lennard_jones(n: int, optimum: float | None = None) -> Problem:
    """Return a cluster of n atoms, which begins in a ball.

    Args:
        n: Atoms.
        optimum: The least energy, by default that of :data:`LEAST`.
    """
    radius = 1.2 * n ** (1 / 3)
    exact = (np.triu(np.ones((n, n)), 1),)
    large = {"budget": 10_000_000, "seconds": 60.0} if n > 13 else {}
    return Problem(
        f"Lennard-Jones {n}",
        energies.lennard_jones,
        exact,
        as_args(exact),
        functools.partial(_ball, n=n, radius=radius),
        (-radius, radius),
        optimum=LEAST[n] if optimum is None else optimum,
        tolerances=(1e-2,),
        hop=0.4,
        **large,
    )


def _ball(key: jax.Array, n: int, radius: float) -> jax.Array:
    direction, distance = jax.random.split(key)
    x = jax.random.normal(direction, (n, 3))
    x = x / jnp.linalg.norm(x, axis=1, keepdims=True)
    return radius * x * jax.random.uniform(distance, (n, 1)) ** (1 / 3)


def _units(d: int) -> np.ndarray:
    return 10.0 ** np.linspace(-3, 3, d)


def unlike_units(d: int) -> Problem:
    """Return a bowl in a box of one for all, whose coordinates matter from 1e-3 to 1e3."""
    name = f"unlike units d={d}"
    shift = _random(name).uniform(-0.6, 0.6, d)
    return _boxed(name, energies.unlike_units, (shift, _units(d)), -1.0, 1.0, shift)


def _unlike_units_everywhere(d: int) -> Problem:
    """Return the same without bounds, its minimum up to twice as far as the starts."""
    name = f"unlike units, no bounds d={d}"
    shift = _random(name).uniform(-2, 2, d)
    problem = _boxed(name, energies.unlike_units, (shift, _units(d)), -1.0, 1.0, shift)
    return problem._replace(bounds=None)


def _scaled(unit: float) -> Problem:
    """Return the ten-dimensional Rastrigin with energies in other units."""
    plain = family("Rastrigin", 10)
    exact = (*plain.exact, unit)
    name, energy = f"Rastrigin x 1e{np.log10(unit):.0f} d=10", energies.scaled_rastrigin
    return _boxed(name, energy, exact, -5.12, 5.12, plain.exact[0], unit=unit)


def _rounded(d: int) -> Problem:
    """Return Rastrigin with half of its coordinates rounded: no slope in them."""
    name = f"Rastrigin, half rounded d={d}"
    rounded = np.where(np.arange(d) < d // 2, 1.0, 0.0)
    shift = _random(name).uniform(-3, 3, d)
    shift = np.where(rounded == 1.0, np.round(shift), shift)
    return _boxed(name, energies.rounded_rastrigin, (shift, rounded), -5.12, 5.12, shift)


def _stairs(d: int) -> Problem:
    """Return steps of height 1, flat everywhere."""
    name = f"stairs d={d}"
    shift = _random(name).uniform(-3, 3, d)
    # Whole numbers: the next energy after the optimum is 1.
    known: dict[str, Any] = {"tolerances": (1e-2,)}
    return _boxed(name, energies.stairs, (shift,), -5.12, 5.12, shift, **known)


def _mixed_leaves() -> Problem:
    """Return five floats, three integers and two bools."""
    name, limit = "mixed leaves d=10", 5
    random = _random(name)
    shift, counts = random.uniform(-3, 3, 5), random.integers(-4, 5, 3)
    switches = random.integers(0, 2, 2)
    exact = tuple(np.asarray(x, np.float64) for x in (shift, counts, switches))
    steps = ja.moves.IntegerStep(bounds=(-limit, limit))
    return Problem(
        name,
        energies.mixed_leaves,
        exact,
        as_args(exact),
        functools.partial(_leaves, limit=limit),
        ({"x": -5.12, "k": -limit, "on": None}, {"x": 5.12, "k": limit, "on": None}),
        {"x": shift, "k": counts, "on": switches.astype(bool)},
        move=ja.moves.PerLeaf({"x": ja.moves.StudentT(), "k": steps, "on": ja.moves.Flip()}),
    )


def _leaves(key: jax.Array, limit: int) -> dict[str, jax.Array]:
    floats, integers, bools = jax.random.split(key, 3)
    return {
        "x": _uniform(floats, 5, -5.12, 5.12),
        "k": jax.random.randint(integers, (3,), -limit, limit + 1),
        "on": jax.random.bernoulli(bools, 0.5, (2,)),
    }
