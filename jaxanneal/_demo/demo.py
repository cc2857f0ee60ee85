"""The main job: a network annealed on real data, beside the method with gradients."""

import pathlib
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

import jaxanneal as ja
from jaxanneal._demo import figure, network
from jaxanneal._demo.table import Budget, Row, table

_STAGES = {
    "all": ("SA", "PT", "polish", "Adam", "SA 0-1", "PT 0-1"),
    "sa": ("SA", "SA 0-1"),
    "pt": ("PT", "polish", "PT 0-1"),
    "adam": ("Adam",),
}
_RECORDS = 200
# A run that compiles, and the least and most of one that tells how fast the machine is: chunks of
# moves grow within a run, so that a shorter one would say too little.
_WARM_SECONDS, _LEAST_SECONDS, _MOST_SECONDS = 0.3, 0.7, 2.0

# The step of each leaf, in proportion to the weights it starts with; a common factor adapts.
_SCALE = {"w1": 0.01, "b1": 0.01, "w2": 0.014, "b2": 0.014}

# The 0-1 error is flat for small steps: about one weight in a thousand jumps by more than its size.
_JUMP = {"w1": 1.0, "b1": 1.0, "w2": 1.4, "b2": 1.4}
_JUMPING = 0.0012

# Temperatures, coldest first: of the cross-entropy, and of the 0-1 error (1 / 1437 is one image).
_SOFT, _DIRECT = (3e-6, 3e-4), (7e-4, 2e-3)
_RUNGS = 4


class Demo:
    """Run the stages one after the other.

    Args:
        deadline: When the command should end, by the monotonic clock.
        method: One of ``all``, ``sa``, ``pt``, ``adam``.
        seed: Seed of every stage.
        quiet: Whether to hide the progress.
    """

    def __init__(self, deadline: float, method: str, seed: int, quiet: bool):
        self.stages, self.seed, self.quiet = _STAGES[method], seed, quiet
        self.digits = network.load()
        self.budget = Budget(deadline, self.stages)
        self.measure = jax.jit(network.errors)
        self.rows: dict[str, Row] = {}

    def run(self) -> dict[str, Row]:
        """Run every stage and return its row."""
        for stage in self.stages:
            seconds = self.budget.next(stage)
            if stage == "Adam" and "PT" in self.rows:  # exactly what PT + polish had
                seconds = self.rows["PT + polish"].seconds
            self.say(f"{stage}, {seconds:.0f} s")
            row = self.stage(stage, seconds)
            row.train, row.test = (float(e) for e in self.measure(row.params, self.digits))
            self.rows[row.name] = row
        return self.rows

    def say(self, text: str) -> None:
        """Print, unless it is to be quiet."""
        if not self.quiet:
            print(text, flush=True)

    def stage(self, stage: str, seconds: float) -> Row:
        """Run one stage for so many seconds."""
        if stage == "Adam":
            return self.adam(seconds)
        if stage == "polish":
            return self.polish(self.rows["PT"], seconds)
        direct = stage.endswith("0-1")
        if stage.startswith("SA"):
            start, end = (2e-3, 3e-4) if direct else (1e-3, 1e-6)
            cooling = ja.cooling.Geometric(start, end)
            return self.anneal(stage, ja.SimulatedAnnealing(2, cooling), direct, seconds)
        ladder = jnp.geomspace(*(_DIRECT if direct else _SOFT), _RUNGS)
        return self.anneal(stage, ja.ParallelTempering(temperatures=ladder), direct, seconds)

    def anneal(self, name: str, method: Any, direct: bool, seconds: float) -> Row:
        """Anneal for so many seconds, so that the cooling ends when they are over."""
        options: dict[str, Any] = {
            "key": self.seed,
            "args": (self.digits, jnp.asarray(float(direct))),
            "method": method,
            "move": _move(direct),
            "observe": network.errors,
            "block": -(-method.chains // jax.local_device_count()),  # as many on every device
        }

        def run(steps: int, seconds: float, **more: Any) -> Any:
            settings = {"steps": steps, "max_seconds": seconds, "progress": False}
            return ja.anneal(network.energy, network.initialise, **settings | options | more)

        run(10**6, _WARM_SECONDS)
        probe = run(10**6, min(_MOST_SECONDS, max(_LEAST_SECONDS, seconds / 10)))
        seconds = max(0.3, seconds - _WARM_SECONDS - probe.seconds)
        steps = max(10, int(seconds * probe.steps / probe.seconds))
        every = max(1, steps // _RECORDS)
        result = run(steps, 1.2 * seconds, record_every=every, progress=not self.quiet)
        observed = np.asarray(result.history.observed)  # (records, chains or ladders, 2)
        time_of = result.history.step / max(result.steps, 1) * result.seconds
        curve = np.stack([time_of, observed[..., 0].min(axis=1), observed[..., 1].min(axis=1)])
        counts = result.evaluations, result.gradients
        return Row(name, result.params, result.energy, result.seconds, *counts, result, curve)

    def polish(self, tempered: Row, seconds: float) -> Row:
        """Descend from the best replicas for so many seconds."""
        optimizer = optax.adam(3e-3)
        options: dict[str, Any] = {
            "args": (self.digits, jnp.asarray(0.0)),
            "optimizer": optimizer,
            "top": 2,
        }
        energy, result_of_pt = network.energy, tempered.result
        ja.polish(energy, result_of_pt, steps=50, **options)  # compiles
        probe = ja.polish(energy, result_of_pt, steps=50, **options)
        steps = max(50, int(seconds / probe.seconds * 50))
        result = ja.polish(energy, result_of_pt, steps=steps, **options)
        total = tempered.seconds + result.seconds
        train, test = (float(e) for e in self.measure(result.params, self.digits))
        curve = np.concatenate([tempered.curve, [[total], [train], [test]]], axis=1)
        evaluations = tempered.evaluations + result.evaluations
        counts = evaluations, result.gradients
        return Row("PT + polish", result.params, result.energy, total, *counts, result, curve)

    def adam(self, seconds: float) -> Row:
        """Train one network by full-batch Adam for so many seconds."""
        optimizer = optax.adam(1e-2)
        loss = network.cross_entropy
        params = network.initialise(jax.random.key(self.seed))
        state = optimizer.init(params)

        def step(_: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            params, state = carry
            update, state = optimizer.update(jax.grad(loss)(params, self.digits), state, params)
            return optax.apply_updates(params, update), state

        @jax.jit
        def steps(params: Any, state: Any) -> tuple[Any, Any]:
            return jax.lax.fori_loop(0, 50, step, (params, state))

        jax.block_until_ready(steps(params, state))  # compiles
        self.measure(params, self.digits)
        began, gradients, spent, points = time.monotonic(), 0, 0.0, []
        while spent < seconds:
            params, state = jax.block_until_ready(steps(params, state))
            gradients += 50
            spent = time.monotonic() - began
            points.append([spent, *(float(e) for e in self.measure(params, self.digits))])
        value = float(loss(params, self.digits))
        return Row("Adam", params, value, spent, 0, gradients, None, np.array(points).T)


def _move(direct: bool) -> ja.moves.Gaussian:
    if direct:
        return ja.moves.Gaussian(_JUMP, fraction=_JUMPING, target_acceptance=None)
    return ja.moves.Gaussian(_SCALE)


def run(began: float, seconds: float, method: str, seed: int, out: str, quiet: bool) -> None:
    """Run the demo: print two tables, save a figure and the best parameters.

    Args:
        began: When the command began, by the monotonic clock.
        seconds: Wall clock of the whole command.
        method: One of ``all``, ``sa``, ``pt``, ``adam``.
        seed: Seed of every stage.
        out: Folder for the figure and the parameters.
        quiet: Whether to hide the progress.
    """
    folder = pathlib.Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    rows = Demo(began + seconds, method, seed, quiet).run()
    soft = [row for name, row in rows.items() if not name.endswith("0-1")]
    direct = [row for name, row in rows.items() if name.endswith("0-1")]
    print(table("Cross-entropy of a 64-32-10 network on 1,437 digits (360 to test)", soft))
    if direct:
        print()
        print(table("The 0-1 training error itself, which has no gradient", direct))
    weights = {
        f"{row.name}.{leaf}": np.asarray(x)
        for row in rows.values()
        for leaf, x in row.params.items()
    }
    np.savez(folder / "parameters.npz", allow_pickle=False, **weights)
    figure.save(rows, folder / "demo.png")
    print(f"\nSaved {folder / 'demo.png'} and {folder / 'parameters.npz'}", end="")
    print(f" after {time.monotonic() - began:.0f} s in all.")
