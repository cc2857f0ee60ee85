"""What a run returns."""

import dataclasses
import enum
from typing import Any, Generic, NamedTuple, TypeVar

import jax
import numpy as np

from jaxanneal._chain import Chain
from jaxanneal._diagnostics import Diagnostics
from jaxanneal._history import History, Summary
from jaxanneal._parameters import Parameters
from jaxanneal._state import State

Params = TypeVar("Params")


class StopReason(enum.Enum):
    """Say why a run stopped.

    Maths: none.
    Batching: one reason for all chains.

    Args:
        value: One of the texts below.

    Returns:
        A member: ``STEPS``, ``TARGET``, ``MIN_TEMPERATURE``, ``PATIENCE``, ``TIME``, ``CALLBACK``
        or ``INTERRUPTED``.

    Raises:
        ValueError: ``value`` is none of the texts.

    Example:
        >>> import jaxanneal as ja
        >>> ja.anneal(lambda x: x**2, 1.0, key=0, steps=64, target=0.5).stop_reason.name
        'TARGET'

    Reference: none; SciPy's ``OptimizeResult.message`` plays the same part.
    """

    STEPS = "all steps were made"
    TARGET = "the best energy reached the target"
    MIN_TEMPERATURE = "the temperature reached min_temperature"
    PATIENCE = "the best energy has not improved for `patience` steps"
    TIME = "max_seconds were over"
    CALLBACK = "the callback returned True"
    INTERRUPTED = "the run was interrupted (Ctrl-C)"


class Continuation(NamedTuple):
    """What another call needs to go on: the state, and what it was made with.

    Args:
        state: The state of all chains.
        method: The method as the host knows it: with the user's own schedule.
        energy: The energy function, told apart from another one.
        args: The data, compared by value.
        width: Chains per block: part of the run's identity.
        evaluations: Energy evaluations so far.
    """

    state: State
    method: Any
    energy: Any
    args: Parameters
    width: int
    evaluations: int


@dataclasses.dataclass(frozen=True, eq=False)
class Result(Generic[Params]):
    r"""Hold the best state that any chain ever saw, and everything else about a run.

    Maths: ``params`` is :math:`\arg\min E` over all proposals of all chains, calibration included.
    Batching: ``chains`` has a leading axis of chains (in parallel tempering by ladder, then rung).

    Args:
        params: The best state, the user's tree.
        energy: Its energy, float.
        chains: Every chain: ``params``, ``energy``, ``best_params``, ``best_energy``.
        history: Records of this call.
        diagnostics: Acceptance rates, step-size factors, non-finite counts, swap rates.
        stop_reason: Why the run stopped.
        steps: Moves per chain, earlier calls included.
        evaluations: Energy evaluations, start, calibration and earlier calls included.
        gradients: Gradient evaluations.
        seconds: Wall clock of this call without compilation.
        compile_seconds: Wall clock of tracing and compilation in this call.
        state: To go on from: ``ja.anneal(energy, state=result.state, ...)``.
        fixed: Leaves of the tree that were held fixed, a count.

    Returns:
        A frozen object with these attributes.

    Raises:
        Nothing.

    Example:
        >>> import jaxanneal as ja
        >>> result = ja.anneal(lambda p: (p["x"] - 2.0) ** 2, {"x": 0.0}, key=0, steps=1000)
        >>> round(float(result.params["x"]), 1), result.steps
        (2.0, 1000)

    Reference: Kirkpatrick, Gelatt and Vecchi, Science 220, 671 (1983).
    """

    params: Params
    energy: float
    chains: Chain
    history: History
    diagnostics: Diagnostics
    stop_reason: StopReason
    steps: int
    evaluations: int
    gradients: int
    seconds: float
    compile_seconds: float
    state: Any
    fixed: int = 0

    def summary(self) -> str:
        """Return a readable table of the run."""
        rows = [
            ("best energy", f"{self.energy:.8g}"),
            ("stopped", self.stop_reason.value),
            ("chains", f"{self.chains.energy.shape[0]:,}"),
            ("parameters per chain", _parameters(self.params, self.fixed)),
            ("steps per chain", f"{self.steps:,}"),
            ("energy evaluations", f"{self.evaluations:,}"),
        ]
        if self.gradients:
            rows.append(("gradient evaluations", f"{self.gradients:,}"))
        rows.append(("seconds", f"{self.seconds:.3g} (and {self.compile_seconds:.3g} compiling)"))
        rows += self._health()
        width = max(len(name) for name, _ in rows)
        return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)

    def _health(self) -> list[tuple[str, str]]:
        health = self.diagnostics
        rows = []
        if len(self.history.step):
            rows.append(("temperature", _range(_extremes(self.history.temperature))))
        rows.append(("acceptance rate", _range(health.acceptance_rate)))
        rows.append(("step-size factor", _range(health.factor)))
        if health.swap_rate is not None:
            rows.append(("swap rate", _range(health.swap_rate)))
        lost = int(np.sum(health.nonfinite))
        if lost:
            chains = int(np.count_nonzero(health.nonfinite))
            rows.append(
                ("non-finite energies", f"{lost:,} proposals refused, in {chains:,} chains")
            )
        return rows


def _parameters(params: Any, fixed: int) -> str:
    sizes = [leaf.size for leaf in jax.tree.leaves(params) if hasattr(leaf, "size")]
    text = f"{sum(sizes):,} in {len(sizes)} leaves"
    return f"{text}; {fixed} other leaves held fixed" if fixed else text


def _extremes(field: Any) -> np.ndarray:
    if isinstance(field, Summary):
        return np.array([np.min(field.min), np.max(field.max)])
    return np.asarray(field)


def _range(values: Any) -> str:
    known = np.asarray(values, dtype=np.float64)
    known = known[np.isfinite(known)]
    if known.size == 0:
        return "not measured"
    low, high = known.min(), known.max()
    return (
        f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}, median {np.median(known):.3g}"
    )
