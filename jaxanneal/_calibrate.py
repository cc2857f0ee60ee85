"""Calibration: the temperature range of a problem, from a short greedy run."""

from typing import Any, NamedTuple

import numpy as np

from jaxanneal._chain import Chain, Energy
from jaxanneal._driver import Clock, Driver
from jaxanneal._interrupt import interruptible
from jaxanneal._limits import as_limits
from jaxanneal._problem import Problem
from jaxanneal._result import StopReason
from jaxanneal.methods._protocol import NEVER

# Greedy, and yet of the same structure as any run: far below every difference of energies.
_GREEDY = 1e-35

# The end of the range as a fraction of its start.
_RATIO = 1e-4

_PILOT = 512


class Calibration(NamedTuple):
    """What a pilot run found.

    Args:
        start: Temperature to start from, in units of energy.
        end: Temperature to end at.
        best: The pilot's chains, whose best states must not be lost.
        log_factor: Logarithm of step-size factors to start with, float ``[chains]``.
        reason: Why the pilot ended.
    """

    start: float
    end: float
    best: Chain
    log_factor: np.ndarray
    reason: StopReason


def pilot(problem: Problem, driver: Driver, chains: Chain, steps: int) -> Calibration:
    """Descend greedily for a few moves, step sizes adapting, and read the range off the descent.

    Args:
        problem: The problem.
        driver: Its driver, which counts the evaluations.
        chains: The evaluated starts.
        steps: Moves of the run to come; a short run gets a short pilot.
    """
    moves = int(np.clip(steps // 8, 32, _PILOT))
    method = problem.method.calibrated(_GREEDY, _GREEDY).bind(moves)
    state = problem.state(method, chains, chains)
    state, _, reason = driver.run(state, method, moves, NEVER)
    count = problem.method.chains
    starts = np.asarray(chains.energy, dtype=np.float64)
    best = float(np.min(np.asarray(state.chains.best_energy)[:count]))
    start = float(np.mean(starts[np.isfinite(starts)])) - best
    if not start > 0:
        start = 1.0
    return Calibration(start, start * _RATIO, state.chains, problem._factors(), reason)


def calibrate(
    energy: Energy,
    params: Any,
    *,
    key: Any,
    args: tuple[Any, ...] = (),
    move: Any = None,
) -> tuple[float, float]:
    r"""Find the temperature range of a problem from batched trial moves.

    Maths: 64 chains descend greedily for 512 moves, with step sizes spread over eight decades;
    ``start`` is the mean energy of the starts less the best energy found, and ``end`` is
    :math:`10^{-4}` of it.
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

    Example:
        >>> import jaxanneal as ja
        >>> start, end = ja.calibrate(lambda x: 1e6 * (x - 2.0) ** 2, 0.0, key=0)
        >>> 1e6 < start < 1e7, 0 < end < start
        (True, True)

    Reference: this library; Ben-Ameur, Comput. Optim. Appl. 29, 369 (2004), is the alternative that
    asks for an acceptance rate instead.
    """
    limits = as_limits(8 * _PILOT, None, None, None, NEVER, None, None, False)
    clock = Clock()
    with interruptible() as interruption:
        problem = Problem(energy, params, key, args, None, move, None, clock)
        driver = problem.prepare(limits, interruption)
        found = pilot(problem, driver, problem.start(driver), limits.steps)
    return found.start, found.end
