"""What draws samples in the suite `sampling`: parts of a run, and how one is made and timed."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import jaxanneal as ja
from benchmarks.targets import Target

OURS = "jaxanneal"


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


class Sampler(NamedTuple):
    """A way to sample, compiled and warmed up.

    Args:
        name: As the table shows it.
        given: What it was told, beside the energy.
        compile_seconds: Seconds that compiling took.
        part: Goes on for about so many seconds; ours makes one repeat, however long it takes.
    """

    name: str
    given: str
    compile_seconds: float
    part: Callable[[float], Part]


class Ours:
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
        self.options: dict[str, Any] = {
            "progress": False,
            "record_every": record_every or self.every,
            "observe": target.observe,
        }
        start: dict[str, Any] = {"params": target.start, "key": 0, "method": method}
        start |= {"move": target.move, "steps": target.warm * self.every}
        found = ja.anneal(target.energy, **start, **self.options)
        # Once more, so that what only a continued run compiles is compiled.
        self.result = ja.anneal(target.energy, state=found.state, steps=self.every, **self.options)
        self.compile_seconds = found.compile_seconds + self.result.compile_seconds

    @property
    def diagnostics(self) -> Any:
        """Return what the ladder says of itself; no field is missing, as there is a ladder."""
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
        self.result = found = ja.anneal(
            self.target.energy, state=before.state, steps=self.moves, **self.options
        )
        trips = int(self.diagnostics.round_trips.sum() - trips)
        evaluations = found.evaluations - before.evaluations
        return Part(
            found.seconds, evaluations, found.history.energy[:, :, 0], found.history.observed, trips
        )

    def sampler(self) -> Sampler:
        """Return this run as one of the samplers."""
        given = f"a geometric ladder to begin with, swap_every={self.every}, a warm-up"
        return Sampler(OURS, given, self.compile_seconds, self.part)


class Chunks:
    """A compiled program that makes a fixed number of records and can be called again.

    Args:
        step: ``(carry, key) -> carry``: one move of all chains.
        cold: ``carry -> params``: those to be recorded, ``[chains, ...]``.
        trips: ``carry -> int``: round trips so far, or ``None``.
        carry: What the first move starts from.
        target: What is sampled.
        replicas: Energy evaluations of one move.
    """

    def __init__(
        self,
        step: Callable[[Any, jax.Array], Any],
        cold: Callable[[Any], jax.Array],
        trips: Callable[[Any], jax.Array] | None,
        carry: Any,
        target: Target,
        replicas: int,
    ):
        self.records = max(2, target.exchanges // 8)
        self.carry, self.trips, self.calls = carry, trips, 0
        self.evaluations = self.records * target.every * replicas

        def record(carry: Any, key: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array]]:
            move = lambda i, c: step(c, jax.random.fold_in(key, i))  # noqa: E731
            carry = jax.lax.fori_loop(0, target.every, move, carry)
            params = cold(carry)
            return carry, (jax.vmap(target.energy)(params), jax.vmap(target.observe)(params))

        def chunk(carry: Any, number: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array]]:
            key = jax.random.fold_in(jax.random.key(0), number)
            return jax.lax.scan(record, carry, jax.random.split(key, self.records))

        began = time.perf_counter()
        self.run = jax.jit(chunk).lower(carry, jnp.asarray(0)).compile()
        self.compile_seconds = time.perf_counter() - began
        for _ in range(-(-target.warm // self.records)):  # the warm-up, as long as ours
            self._one()

    def _one(self) -> tuple[jax.Array, jax.Array]:
        self.carry, drawn = self.run(self.carry, jnp.asarray(self.calls))
        self.calls += 1
        return jax.block_until_ready(drawn)

    def part(self, seconds: float) -> Part:
        """Make chunks until so many seconds are used up, the last one in full."""
        before = 0 if self.trips is None else int(self.trips(self.carry))
        drawn, spent, began = [], 0.0, time.perf_counter()
        while not drawn or spent < seconds:
            drawn.append(self._one())
            spent = time.perf_counter() - began
        energies, observed = (np.concatenate(x) for x in zip(*drawn, strict=True))
        trips = None if self.trips is None else int(self.trips(self.carry)) - before
        return Part(spent, len(drawn) * self.evaluations, energies, observed, trips)
