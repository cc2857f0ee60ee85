"""How often a solver succeeds, and what a success costs."""

import math
from collections.abc import Sequence

import numpy as np

_DRAWS = 2000


def rate(solved: Sequence[bool], z: float = 1.96) -> str:
    """Return how many were solved, and Wilson's interval of the probability in per cent."""
    n, p = len(solved), sum(solved) / len(solved)
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    low, high = (max(0.0, 100 * (middle + sign * half)) for sign in (-1, 1))
    return f"{sum(solved)} of {n} ({low:.0f} to {high:.0f} %)"


def expected(costs: Sequence[float], solved: Sequence[bool]) -> float:
    """Return the expected cost of restarting until success: all costs over the successes.

    Reference: Hansen et al., Optim. Methods Softw. 36, 114 (2021), on COCO.
    """
    successes = sum(solved)
    return sum(costs) / successes if successes else math.inf


def interval(costs: Sequence[float], solved: Sequence[bool]) -> tuple[float, float]:
    """Return the 95 % bootstrap interval of the expected cost, infinite where few succeed."""
    random = np.random.default_rng(0)
    drawn = random.integers(len(costs), size=(_DRAWS, len(costs)))
    totals = np.asarray(costs, np.float64)[drawn].sum(axis=1)
    successes = np.asarray(solved, np.float64)[drawn].sum(axis=1)
    ratios = np.where(successes > 0, totals / np.maximum(successes, 1), np.inf)
    # Nearest draws: there is no number between a finite one and infinity.
    low, high = np.quantile(ratios, [0.025, 0.975], method="nearest")
    return float(low), float(high)
