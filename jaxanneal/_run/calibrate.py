"""Calibration: the temperature range of a problem, from a short greedy run."""

from collections.abc import Generator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.callbacks import callback_errors
from jaxanneal._chain.chain import Chain, Energy
from jaxanneal._chain.keys import calibration_key
from jaxanneal._chain.step_size import first_factors, spread_factors
from jaxanneal._checks import refuse_tracing
from jaxanneal._engine.sharding import fetch
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._kernels.pools import Pools
from jaxanneal._methods.protocol import NEVER
from jaxanneal._run.driver import Driver
from jaxanneal._run.interrupt import Clock, interruptible
from jaxanneal._run.limits import PILOT, as_limits
from jaxanneal._run.problem import Problem
from jaxanneal._settings import known_settings

# Temperatures of pilots that accept nothing uphill, and everything: below and above every
# difference of energies, and yet of the same structure as any run, whose program they share.
_GREEDY, _BLIND = 1e-35, 1e35

# The end of the range as a fraction of the temperature at which the energy stands at its start.
_RATIO = 1e-4


class Calibration(NamedTuple):
    """What the pilots found.

    Args:
        start: Temperature to start from, in units of energy.
        end: Temperature to end at.
        rises: Energy of one trial move of each chain less that of its start, float ``[chains]``;
            infinite after a refused one, NaN where the start has no finite energy.
        reason: Why the pilots ended.
        pools: Step-size factors that chains share, if they do, as the last pilot left them.
    """

    start: float
    end: float
    rises: np.ndarray
    reason: StopReason
    pools: Any = ()

    def factors(self, temperatures: np.ndarray) -> np.ndarray:
        """Return logarithms of the chains' own first step-size factors, float ``[chains]``."""
        if isinstance(self.pools, Pools):
            return np.zeros(len(self.rises), temperatures.dtype)
        return first_factors(self.rises, temperatures)


class Pilot(NamedTuple):
    """A short run that is asked for, from the starts at one temperature.

    Args:
        log_factor: Logarithms of the step-size factors, float ``[chains]``.
        temperature: In units of energy.
        moves: Moves per chain.
        number: Its place among the pilots of one calibration, each of which has a key of its own.
        pools: Step-size factors that chains share, if they do.
    """

    log_factor: np.ndarray
    temperature: float
    moves: int
    number: int
    pools: Any = ()


class Seen(NamedTuple):
    """What became of a pilot: energies, factors and counts of its chains, and why it ended."""

    energy: np.ndarray
    best_energy: np.ndarray
    log_factor: np.ndarray
    nonfinite: np.ndarray
    reason: StopReason
    pools: Any = ()


def pilots(
    energies: np.ndarray, coordinates: int, moves: int, pools: Any = ()
) -> Generator[Pilot, Seen, Calibration]:
    """Make one trial move of every chain, descend greedily, and read the range off both.

    A generator, so that one run makes its pilots alone and many runs make theirs together.

    Args:
        energies: Energies of the starts, float ``[chains]``.
        coordinates: Number of parameters of one chain.
        moves: Moves of the greedy pilots together, 2 or more.
        pools: First step-size factors that chains share, if they do.

    Yields:
        The next pilot, whose best states those before it must not lose.
    """
    first = max(1, moves // 4)
    spread = spread_factors(len(energies))
    seen = yield Pilot(spread, _BLIND, 1, 0, pools)
    starts = np.asarray(energies, dtype=np.float64)
    rises = np.asarray(seen.energy, dtype=np.float64) - np.where(np.isfinite(starts), starts, 0)
    rises[np.asarray(seen.nonfinite) > 0] = np.inf
    rises[~np.isfinite(starts)] = np.nan
    if seen.reason is StopReason.STEPS:
        seen = yield Pilot(spread, _GREEDY, first, 1, pools)
    if seen.reason is StopReason.STEPS:  # again, with the step size that fell farthest
        fell = int(np.argmin(seen.best_energy))
        factor = np.full_like(spread, seen.log_factor[fell])
        if isinstance(pools, Pools):  # what one chain alone multiplied is now every chain's
            pools, factor = pools.times(float(factor[fell])), np.zeros_like(factor)
        seen = yield Pilot(factor, _GREEDY, moves - first, 2, pools)
    fall = float(np.mean(starts[np.isfinite(starts)])) - float(np.min(seen.best_energy))
    fall = min(fall, float(np.finfo(energies.dtype).max))  # of -3e38 and 3e38, in float32
    start, end = _range(fall if fall > 0 else _typical(rises), coordinates)
    pools = seen.pools.anew() if isinstance(seen.pools, Pools) else ()
    return Calibration(start, end, rises, seen.reason, pools)


def pilot(problem: Problem, driver: Driver, chains: Chain) -> tuple[Calibration, Chain]:
    """Make the pilots of one run; return what they found, and their chains with the best states.

    Args:
        problem: The problem.
        driver: Its driver, which counts the evaluations.
        chains: The evaluated starts.
    """
    count, best = problem.method.chains, chains
    pilot_runs = pilots(
        fetch(chains.energy)[:count],
        problem.coordinates,
        driver.limits.pilot_moves,
        problem.pools,
    )
    next_pilot = next(pilot_runs)
    while True:
        with driver.clock.preparing():
            method = pilot_method(problem.method, next_pilot)
            key = calibration_key(problem.key, next_pilot.number)
            own = next_pilot.log_factor, key, next_pilot.pools
            state = problem.state(method, chains, best, *own)
        state, _, reason = driver.run(state, method, next_pilot.moves, NEVER)
        best = state.chains
        fields = (best.energy, best.best_energy, state.log_factor, state.nonfinite)
        try:
            arrays, shared = (fetch(x)[:count] for x in fields), jax.tree.map(fetch, state.pools)
            next_pilot = pilot_runs.send(Seen._make((*arrays, reason, shared)))
        except StopIteration as end:
            return end.value, best


def pilot_method(method: Any, pilot: Pilot) -> Any:
    """Return the method of a pilot: of the same structure as any run, whose program it shares."""
    return method.calibrated(pilot.temperature, pilot.temperature).bind(pilot.moves)


def calibrated(method: Any, calibration: Calibration, steps: int) -> Any:
    """Return the method for a run of ``steps`` moves between the temperatures that were found."""
    return method.calibrated(calibration.start, calibration.end).bind(steps)


@jax.jit  # or each of its operations would be compiled by itself, for the first run of a process
def first_temperatures(method: Any) -> jax.Array:
    """Return the temperature of each chain at its first move, float ``[chains]``."""
    chain = jnp.arange(method.chains, dtype=jnp.int32)
    return method.temperatures_of(chain, method.init(), jnp.zeros((), jnp.int32))


def _range(fall: float, coordinates: int) -> tuple[float, float]:
    """Return the temperature range for a problem whose energy can fall by ``fall``.

    A harmonic energy of n coordinates has mean n T / 2 (equipartition), so at T = 2 fall / n it
    stands where it started. The start is the geometric mean of that and of ``fall`` itself, at
    which a barrier in one coordinate alone is crossed.
    """
    share = min(1.0, 2 / coordinates)
    return fall * share**0.5, fall * share * _RATIO


def _typical(rises: np.ndarray) -> float:
    """Return the size of an energy difference, for a start that nothing improves."""
    sizes = np.abs(rises[np.isfinite(rises) & (rises != 0)])
    return float(np.median(sizes)) if sizes.size else 1.0


@known_settings
def calibrate(
    energy: Energy,
    params: Any,
    *,
    key: Any = None,
    args: tuple[Any, ...] = (),
    move: Any = None,
) -> tuple[float, float]:
    r"""Find the temperature range of a problem from batched trial moves.

    Maths: 64 chains with step sizes spread over eight decades descend greedily for 512 moves in
    all, by :math:`\Delta`; with n coordinates and :math:`q = \min(1, 2/n)`, ``start`` is
    :math:`\Delta \sqrt q` and ``end`` is :math:`10^{-4} \Delta q`.
    Batching: write the energy for one chain.

    Args:
        energy: ``energy(params, *args) -> real scalar`` for one chain.
        params: One chain's parameters, a function ``key -> params``, or ``ja.stacked(tree)``.
        key: Int seed, typed key or raw ``uint32`` key; folded.
        args: Data, a tuple.
        move: A move or a symmetric function; ``None``: the natural move of each leaf's dtype.

    Returns:
        ``(start, end)``, temperatures in units of energy.

    Raises:
        TypeError: An input is of the wrong kind, before anything compiles.
        ValueError: An input is out of range, or no chain starts at a finite energy.
        RuntimeError: The call is made under ``jit`` or ``vmap``.

    Example:
        >>> import jaxanneal as ja
        >>> start, end = ja.calibrate(lambda x: 1e6 * (x - 2.0) ** 2, 0.0, key=0)
        >>> 1e6 < start < 1e7, 0 < end < start
        (True, True)

    Reference: this library; Ben-Ameur, Comput. Optim. Appl. 29, 369 (2004), is the alternative that
    asks for an acceptance rate instead.
    """
    refuse_tracing("calibrate", "Calibrate outside of them, and pass the temperatures in.")
    limits = as_limits(8 * PILOT, record_every=NEVER, progress=False)
    clock = Clock()
    with interruptible() as interruption, callback_errors():
        problem = Problem(energy, params, key, args, None, move, None, None, clock)
        driver = problem.prepare(limits, interruption)
        driver.compile_all()
        calibration, _ = pilot(problem, driver, problem.start(driver))
    return calibration.start, calibration.end
