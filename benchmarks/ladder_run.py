"""Parallel tempering of ours as a run that goes on, repeat by repeat."""

from typing import Any, NamedTuple

import numpy as np

import jaxanneal as ja
from benchmarks.targets import Target


class Part(NamedTuple):
    """What one stretch of sampling gave.

    Args:
        seconds: Wall clock without compilation.
        evaluations: Energy evaluations.
        energies: Energy of the coldest rung, or of chains at its temperature, ``[draws, chains]``.
        observed: What the target observes of these, ``[draws, chains]``.
        round_trips: Round trips of all ladders, ``None`` where there are no ladders.
    """

    seconds: float
    evaluations: int
    energies: np.ndarray
    observed: np.ndarray
    round_trips: int | None


class LadderRun:
    """A run of parallel tempering that goes on after a warm-up of its own.

    Args:
        target: What to sample.
        scheme: ``"deo"`` or ``"seo"``.
        record_every: Moves between records; ``None``: one after every exchange.
    """

    def __init__(self, target: Target, scheme: Any = "deo", record_every: int | None = None):
        self.target, self.every = target, target.every
        self.moves = target.exchanges * self.every
        method = ja.ParallelTempering(
            temperatures=target.temperatures,
            ladders=target.ladders,
            swap_every=self.every,
            warmup=target.warm * self.every,
            scheme=scheme,
        )
        self.options: dict[str, Any] = {"progress": False, "observe": target.observe}
        self.options["record_every"] = record_every or self.every
        start: dict[str, Any] = {"params": target.start, "key": 0, "method": method}
        start |= {"move": target.move, "steps": target.warm * self.every}
        warmed = ja.anneal(target.energy, **start, **self.options)
        # Once more, so that what only a continued run compiles is compiled.
        self.result = ja.anneal(target.energy, state=warmed.state, steps=self.every, **self.options)
        self.compile_seconds = warmed.compile_seconds + self.result.compile_seconds

    @property
    def diagnostics(self) -> Any:
        """Return the diagnostics; no field is missing, as there is a ladder."""
        return self.result.diagnostics

    @property
    def scales(self) -> np.ndarray:
        """Return the step size at each rung."""
        scale = 1.0 if self.target.discrete else float(self.target.move.scale)
        return scale * np.asarray(self.diagnostics.factor)

    def part(self, seconds: float = 0.0) -> Part:
        """Make one repeat."""
        del seconds
        before = self.result
        trips = self.diagnostics.round_trips.sum()
        self.result = after = ja.anneal(
            self.target.energy, state=before.state, steps=self.moves, **self.options
        )
        trips = int(self.diagnostics.round_trips.sum() - trips)
        evaluations, history = after.evaluations - before.evaluations, after.history
        return Part(after.seconds, evaluations, history.energy[:, :, 0], history.observed, trips)
