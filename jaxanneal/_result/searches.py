"""What the searches of ``minimize`` did, and a result as SciPy's optimisers return it."""

from typing import Any, NamedTuple

import jax
import numpy as np

from jaxanneal._checks import needing
from jaxanneal._engine.stop_reason import StopReason

_CUT_SHORT = (
    StopReason.TIME,
    StopReason.EVALUATIONS,
    StopReason.CALLBACK,
    StopReason.INTERRUPTED,
)


class Search(NamedTuple):
    """One search of ``minimize``.

    Args:
        method: What it searched by.
        chains: Number of chains.
        steps: Steps per chain.
        evaluations: Energy evaluations.
        gradients: Gradient evaluations.
        energy: The best energy that it found.
        stopped: Why it stopped.
    """

    method: str
    chains: int
    steps: int
    evaluations: int
    gradients: int
    energy: float
    stopped: str


def scipy_result(result: Any) -> Any:
    """Return a result as SciPy's optimisers do, see ``Result.to_scipy``."""
    with needing("to_scipy", "scipy"):
        from scipy.optimize import OptimizeResult
    leaf = isinstance(result.params, jax.Array | np.ndarray | np.generic)
    return OptimizeResult(
        x=np.asarray(result.params) if leaf else result.params,
        fun=result.energy,
        success=result.stop_reason not in _CUT_SHORT,
        message=result.stop_reason.value,
        nit=result.steps,
        nfev=result.evaluations,
        njev=result.gradients,
    )
