"""Small networks that gradients alone find hard: where annealing gives polish a good start.

The suite anneals and then polishes, and restarts the same gradient descent at random for as many
seconds, and for as much work. A row is one solver with one seed: ``solved`` and
``solved_at_equal_work`` say whether it did it, and the table how many of the seeds did.
"""

import functools
import math
import statistics
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

import jaxanneal as ja
from benchmarks import report
from benchmarks.networks.tasks import Task, tasks
from benchmarks.rows import new_row
from benchmarks.success import rate

HEAD = """## networks: a good starting point for gradients

Small networks that gradients from random starts rarely or never fit. `anneal + polish`: parallel
tempering with its defaults (16 rungs, 2 ladders), then Adam at 0.01 from the 8 best distinct
states. `random + polish`: batches of 16 random starts, each with the same Adam for as many steps,
until the wall clock (or the work, at three evaluations a gradient) of `anneal + polish` is used up,
the last batch in full. Weights start normal with deviation gain over the root of the inputs; gain 1
for annealing. Solved: mean squared error below 0.001 (sine: two waves, 64 points), or no error
(deep: XOR; spirals: Lang and Witbrock's 194 points). 20 seeds, Wilson's intervals at 95 %.

Where gradients go astray (frequencies of sine units, plateaus of deep narrow networks) annealing
first is worth its time; where they find their way, as on the spirals, restarts win.
"""

_SEEDS, _QUICK_SEEDS = 20, 2
_QUICK_TASKS = ("sine 1-2-1", "spirals 2-8-8-1")
_BATCH, _TOP, _RUNGS, _LADDERS = 16, 8, 16, 2
# A gradient costs about three evaluations: one forward pass, and twice as much backward.
_GRADIENT = 3
_OPTIMIZER = optax.adam(1e-2)


class Outcome(NamedTuple):
    """What one solver did with one seed.

    Args:
        solved: Whether it solved the task.
        energy: The best energy.
        seconds: Wall clock without compilation.
        evaluations: Energy evaluations.
        gradients: Gradient evaluations.
    """

    solved: bool
    energy: float
    seconds: float
    evaluations: int
    gradients: int

    @property
    def work(self) -> int:
        return self.evaluations + _GRADIENT * self.gradients

    def with_another(self, other: "Outcome") -> "Outcome":
        return Outcome(
            self.solved or other.solved,
            min(self.energy, other.energy),
            self.seconds + other.seconds,
            self.evaluations + other.evaluations,
            self.gradients + other.gradients,
        )


def run(quick: bool) -> Iterator[dict[str, Any]]:
    """Solve every task with every solver, in turn for each seed; yield a row for each."""
    for task in tasks():
        if not quick:
            yield from compare(task, _SEEDS)
        elif task.name in _QUICK_TASKS:  # the others compile for longer than they run
            yield from compare(task._replace(moves=500, steps=200), _QUICK_SEEDS)


def compare(task: Task, seeds: int) -> Iterator[dict[str, Any]]:
    """Compare annealing + polish with restarts of polish alone at its wall clock and its work."""
    solved = jax.jit(jax.vmap(task.solved, in_axes=(0, *(None for _ in task.args))))
    annealed(task, solved, 0)  # compiles
    gains = {f"random (gain {gain}) + polish": gain for gain in (1, 3, 10)}
    for gain in gains.values():
        restarted(task, solved, gain, 0, 0)
    for seed in range(seeds):
        ours = annealed(task, solved, seed)
        yield _row(task, "anneal + polish", seed, ours, ours, 0)
        for solver, gain in gains.items():
            clock, work, batches = _restarts(task, solved, gain, seed, ours)
            yield _row(task, solver, seed, clock, work, batches)


def annealed(task: Task, solved: Callable[..., jax.Array], seed: int) -> Outcome:
    """Anneal with parallel tempering, everything else left to the defaults, then polish."""
    method = ja.ParallelTempering(rungs=_RUNGS, ladders=_LADDERS)
    options = {"args": task.args, "method": method, "steps": task.moves, "progress": False}
    run = ja.anneal(task.energy, task.start, key=seed, **options)
    best = ja.polish(task.energy, run, _OPTIMIZER, task.steps, task.args, _TOP)
    both = bool(jnp.any(solved(best.chains.best_params, *task.args)))
    seconds = run.seconds + best.seconds
    evaluations = run.evaluations + best.evaluations
    return Outcome(both, best.energy, seconds, evaluations, best.gradients)


def restarted(
    task: Task, solved: Callable[..., jax.Array], gain: int, seed: int, batch: int
) -> Outcome:
    """Polish a batch of random starts with the same optimiser."""
    key = jax.random.fold_in(jax.random.key(seed), batch)
    starts = _starts(task.start, key, jnp.asarray(gain, jnp.float32))
    best = ja.polish(task.energy, ja.stacked(starts), _OPTIMIZER, task.steps, task.args)
    any_one = bool(jnp.any(solved(best.chains.best_params, *task.args)))
    return Outcome(any_one, best.energy, best.seconds, best.evaluations, best.gradients)


@functools.partial(jax.jit, static_argnums=0)
def _starts(start: Callable[..., Any], key: jax.Array, gain: jax.Array) -> Any:
    return jax.vmap(lambda k: start(k, gain))(jax.random.split(key, _BATCH))


def _restarts(
    task: Task, solved: Callable[..., jax.Array], gain: int, seed: int, limit: Outcome
) -> tuple[Outcome, Outcome, int]:
    """Restart until wall clock and work of ``limit`` are used up, the last batch in full.

    Returns:
        The outcomes within its wall clock and within its work, and the batches of the first.
    """
    total = Outcome(False, math.inf, 0.0, 0, 0)
    clock = work = total
    batch = batches = 0
    while clock.seconds < limit.seconds or work.work < limit.work:
        another = restarted(task, solved, gain, seed, batch)
        batch += 1
        if clock.seconds < limit.seconds:
            clock, batches = clock.with_another(another), batch
        if work.work < limit.work:
            work = work.with_another(another)
    return clock, work, batches


def _row(
    task: Task, solver: str, seed: int, clock: Outcome, work: Outcome, batches: int
) -> dict[str, Any]:
    return new_row(
        "networks",
        task.name,
        solver,
        seed=seed,
        solved=clock.solved,
        energy=clock.energy,
        seconds=clock.seconds,
        evaluations=clock.evaluations,
        gradients=clock.gradients,
        solved_at_equal_work=work.solved,
        energy_at_equal_work=work.energy,
        work=work.work,
        restarts=batches * _BATCH,
        moves=task.moves if solver == "anneal + polish" else 0,
        steps=task.steps,
    )


def line(row: dict[str, Any]) -> str:
    """Return one row as a line of text."""
    return (
        f"{row['problem']:<18} {row['solver']:<26} seed {row['seed']:2d}   "
        f"solved {row['solved']!s:<5} ({row['solved_at_equal_work']!s:<5} at equal work)   "
        f"energy {row['energy']:.2g}   {row['seconds']:6.2f} s"
    )


def table(rows: list[dict[str, Any]]) -> list[str]:
    """Return the table of success rates, with 95 % Wilson intervals."""
    latest = {(row["problem"], row["solver"], row["seed"]): row for row in rows}
    lines = []
    for problem, solver in dict.fromkeys((p, s) for p, s, _ in latest):
        those = [row for (p, s, _), row in latest.items() if (p, s) == (problem, solver)]
        cells = [rate([row[key] for row in those]) for key in ("solved", "solved_at_equal_work")]
        seconds = statistics.median(row["seconds"] for row in those)
        lines.append([problem, solver, *cells, f"{seconds:.1f}"])
    columns = "network | solver | solved at equal wall clock | solved at equal work | seconds"
    return report.markdown(columns, lines)
