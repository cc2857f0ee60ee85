"""What the starts of some chains show at the end of a run: noise, and what never moved."""

from collections.abc import Callable
from typing import Any

import numpy as np

from jaxanneal._engine.starts import Begun
from jaxanneal._warn import warn

# Units in the last place by which lanes of one program may differ in the energy of one state.
_ROUNDING = 64

# Unequal energies of one state matter from so small a part of the first temperature on: no run
# cools by less than this, nor does rounding that matters less deserve a word before it begins.
_OF_THE_FIRST = 1e-3


def warn_of_noise(begun: Begun, temperatures: Callable[[], Any]) -> None:
    """Warn before the first move if chains that begin in one state have unequal energies.

    Args:
        begun: Where some of the chains begin.
        temperatures: Returns those of the first move.
    """
    if spread_of_one_state(begun) > 0:  # or nothing more is looked at, nor compiled
        for doubt in noise_doubts(begun, _OF_THE_FIRST * float(np.min(temperatures()))):
            warn(doubt)


def noise_doubts(begun: Begun | None, least: float) -> list[str]:
    """Say so if chains that began in one state had energies that differ by more than ``least``."""
    if begun is None or not spread_of_one_state(begun) > least:
        return []
    low, high = np.min(begun.energy), np.max(begun.energy)
    return [
        f"the energy is noisy: {len(begun.energy)} chains began with the same parameters, and "
        f"their energies are from {low:.6g} to {high:.6g}. Chains stick to lucky draws, and the "
        "best energy is the luckiest, not that of the best parameters. Make the energy a "
        "deterministic function of params and args: draw its noise from a key that is the same in "
        "every evaluation, args=(jax.random.key(0),), seed a simulator with a fixed number, and "
        "average over several draws; or, if it only loses its digits, return it in float64."
    ]


def spread_of_one_state(begun: Begun) -> float:
    """Return by how much the energies of chains that began in one state differ, 0 for rounding.

    Of one chain alone, of starts that differ, and of starts that nobody has evaluated: 0.
    """
    energies = begun.energy
    if len(energies) < 2 or not np.all(np.isfinite(energies)) or not begun.alike:
        return 0.0
    spread = float(np.max(energies)) - float(np.min(energies))
    rounding = _ROUNDING * float(np.spacing(np.max(np.abs(energies))))
    return spread if spread > rounding else 0.0
