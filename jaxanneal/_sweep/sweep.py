"""Sweeps: many configurations, each with repeats, in few compiled programs."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from jaxanneal._chain import keys
from jaxanneal._chain.calls import require_count, traced
from jaxanneal._chain.energy import as_args
from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import numbers_on_host, refusal, refuse_tracing
from jaxanneal._engine.starts import Stacked, is_initialiser, stacked_tree
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._methods.own_method import users_object
from jaxanneal._run.interrupt import Clock, Interruption, interruptible
from jaxanneal._run.problem import as_method, require_energy
from jaxanneal._run.progress import SweepBar
from jaxanneal._settings import known_settings
from jaxanneal._sweep.batch import Outcome, Run, by_structure, error_text, outcomes
from jaxanneal._sweep.driver import Interrupted
from jaxanneal._sweep.figure import register_accessor
from jaxanneal._sweep.fingerprint import sweep_fingerprint
from jaxanneal._sweep.jobs import Job, Jobs
from jaxanneal._sweep.plan import Plan, as_plan, run_keys, users_key
from jaxanneal._sweep.settings import Changes, Settings, names, require_known
from jaxanneal._sweep.store import Store, required, stored
from jaxanneal._sweep.table import Table
from jaxanneal._warn import warn
from jaxanneal.moves._per_leaf import adapting_scales, natural_move


@known_settings
def sweep(
    energy: Callable[..., Any],
    params: Any = None,
    *,
    key: Any = None,
    over: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    args: tuple[Any, ...] = (),
    method: Any = None,
    move: Any = None,
    steps: int = 10_000,
    repeats: int = 8,
    draws: int | None = None,
    target: float | None = None,
    patience: int | None = None,
    max_evaluations: int | None = None,
    block: int | None = None,
    store: Any = None,
    progress: bool | None = None,
) -> Any:
    r"""Run many configurations, each with repeats, in few compiled programs.

    Maths: repeat r of configuration c (in row-major order) is :func:`anneal` with the key
    ``jax.random.fold_in(jax.random.fold_in(key, c), r)``, where a seed is ``jax.random.key(seed)``:
    the same numbers bit for bit on a CPU with the same ``block``, to rounding elsewhere.
    Batching: runs of one structure are one program; numbers never make another, counts do.

    Args:
        energy: ``energy(params, *args) -> real scalar`` for one chain.
        params: One chain's parameters, a function ``key -> params``, or ``ja.stacked(tree)``.
        key: Int seed, typed key or raw ``uint32`` key; folded.
        over: What is varied. A dict of dotted names and sequences of values is a grid, with
            ``draws`` one of functions ``key -> value``; a list of dicts lists configurations.
            Names begin with ``method``, ``move``, ``args``, ``steps``, ``target``, ``patience``,
            ``max_evaluations`` or ``block``, such as ``"method.cooling.start"``, ``"move.scale"``
            or ``"args.0"``. A scale that adapts makes no difference, with a warning: hold it,
            ``target_acceptance=None``.
        args: Data, a tuple.
        method: As in :func:`anneal`.
        move: As in :func:`anneal`.
        steps: Metropolis moves per chain in each run.
        repeats: Runs of each configuration.
        draws: Number of random configurations; setting i of configuration c is drawn from
            ``fold_in(fold_in(key, c), 2**31 - 1 - i)``.
        target: Stop a run when its best energy is at or below this.
        patience: Stop a run when its best energy has not improved for so many steps.
        max_evaluations: Stop a run before more evaluations of the energy than this.
        block: Chains per block.
        store: A directory: what is known is written there batch by batch as Zarr; called again with
            the same arguments the sweep goes on. ``xarray.open_zarr`` reads it meanwhile.
        progress: Whether to show a bar; ``None``: on a terminal or in a notebook.

    Returns:
        An ``xarray.Dataset`` with the dimensions of the dotted names (``configuration`` for lists
        and draws) and ``repeat``. Variables: ``energy``, ``steps`` (``steps_made`` where ``steps``
        is varied), ``evaluations``, ``acceptance_rate``, ``stop_reason``, ``error`` (a
        configuration that fails does not stop the others) and the best parameters,
        ``params.<path>``. ``dataset.jaxanneal.plot()`` shows it. Ctrl-C and SIGTERM return what is
        known, as of :func:`anneal`; runs that were not made have the stop reason ``INTERRUPTED``.

    Raises:
        ImportError: xarray is missing, or Zarr with a ``store``.
        TypeError: An input is of the wrong kind, before anything compiles.
        ValueError: A name is unknown, every configuration is refused, or ``store`` holds another
            sweep, or one that runs.
        RuntimeError: The call is made under ``jit`` or ``vmap``.

    Example:
        >>> import jaxanneal as ja
        >>> method = ja.SimulatedAnnealing(chains=8, cooling=ja.cooling.Geometric(1.0, 1e-3))
        >>> over = {"method.cooling.start": [0.1, 1.0, 10.0], "move.scale": [0.1, 1.0]}
        >>> move = ja.moves.Gaussian(target_acceptance=None)  # the scale is held, and varied
        >>> settings = {"method": method, "move": move, "steps": 200, "repeats": 2}
        >>> dataset = ja.sweep(lambda x: (x**2 - 1) ** 2, 3.0, key=0, over=over, **settings)
        >>> dict(dataset.energy.sizes)
        {'method.cooling.start': 3, 'move.scale': 2, 'repeat': 2}

    Reference: Hoyer and Hamman, J. Open Res. Softw. 5, 10 (2017), for what it returns.
    """
    refuse_tracing("sweep", "Sweep outside of them; a sweep is compiled by itself.")
    xarray = required(store is not None)
    register_accessor(xarray)
    _require(energy, params, key, args)
    folded, clock = users_key(key), Clock()
    plan = as_plan(over, draws, repeats, folded)
    method = users_object(as_method(method, params))
    base = Settings(method, move, args, steps, target, patience, max_evaluations, block)
    base = _with_natural_move(base, params, plan)
    require_known(list(plan.columns), base)
    jobs, errors = _jobs(Jobs(energy, params, folded, clock), base, plan)
    _warn_of_scales(jobs)
    table = Table(plan, jobs[0].problem.starts)
    parts = functools.partial(sweep_fingerprint, jobs, base, params, plan, folded)
    with interruptible() as interruption, stored(store, table, parts, xarray) as kept:
        for configuration, error in errors.items():
            table.fail(configuration, error)
        _run(_runs(jobs, table, folded), table, params, interruption, clock, kept, progress)
    _warn(table)
    return table.dataset(xarray)


def _require(energy: Any, params: Any, key: Any, args: Any) -> None:
    require_energy(energy)
    require_count("energy", energy, (params, *as_args(args)))
    for name, value in (("params", params), ("key", key)):
        if value is None:
            raise TypeError(refusal(name, "a value", None, f"Pass {name}= to ja.sweep."))


def _with_natural_move(base: Settings, params: Any, plan: Plan) -> Settings:
    """Return settings with the move that ``None`` stands for, if a part of it may be named."""
    known = names(base)
    if base.move is not None or all(name in known for name in plan.columns):
        return base
    if isinstance(params, Stacked):
        tree = stacked_tree(params, base.method.chains)
        one = jax.tree.map(lambda x: x[0], Parameters.of(tree)).tree
    else:
        one = traced("params", params, keys.as_key(0)) if is_initialiser(params) else params
    return base._replace(move=natural_move(Parameters.of(one).tree))


def _jobs(maker: Jobs, base: Settings, plan: Plan) -> tuple[list[Job], dict[int, str]]:
    """Return the configurations that can be run, and what is wrong with the others.

    Raises:
        Exception: There is something wrong with every one: that of the first.
    """
    jobs, errors = [], {}
    first: Exception | None = None
    changed = Changes(base)
    for index, values in enumerate(plan.values):
        try:
            with numbers_on_host():
                jobs.append(maker.make(index, changed(values)))
        except Exception as error:  # of the user's initialiser, any
            first = first or error
            errors[index] = error_text(error)
    if first is not None and not jobs:
        raise first
    return jobs, errors


def _warn_of_scales(jobs: list[Job]) -> None:
    """Warn of moves that differ by what the adapted factor of the step size makes up for."""
    by_ratio: dict[Any, set[float]] = {}
    for job in jobs:
        scales = adapting_scales(job.problem.move)
        if scales.size and scales[0] > 0 and bool(job.bound.adapting(0)):
            ratios = tuple(np.round(scales / scales[0], 5).tolist())
            kind = jax.tree.structure(job.problem.move), ratios
            by_ratio.setdefault(kind, set()).add(float(scales[0]))
    if any(len(first) > 1 for first in by_ratio.values()):
        got = "scales of a move that differ by a factor alone, which the step size adapts away"
        remedy = "To vary them, hold the scale: target_acceptance=None in the move."
        warn(refusal("over", "settings that matter", got, remedy))


def _runs(jobs: list[Job], table: Table, key: jax.Array) -> list[Run]:
    """Return the runs that are still to be made, each with its key."""
    done = table.done
    places = [
        (job, r) for job in jobs for r in range(table.plan.repeats) if not done[job.number, r]
    ]
    if not places:
        return []
    numbers = np.array([(job.number, r) for job, r in places])
    words = run_keys(key, numbers[:, 0], numbers[:, 1])
    return [Run(job, r, own) for (job, r), own in zip(places, words, strict=True)]


def _run(
    runs: list[Run],
    table: Table,
    params: Any,
    interruption: Interruption,
    clock: Clock,
    store: Store | None,
    progress: bool | None,
) -> None:
    """Make the runs, and write down what is found batch by batch."""
    total = table.done.size
    with SweepBar(total, total - len(runs), progress) as bar:
        if store is not None:
            store.write(None)
        try:
            for group in by_structure(runs):
                for batch_outcomes in outcomes(group, params, interruption, clock):
                    _keep(batch_outcomes, table, store, bar)
        except Interrupted:
            table.arrays["stop_reason"][~table.done] = StopReason.INTERRUPTED.name


def _keep(
    outcomes: list[tuple[Run, Outcome]], table: Table, store: Store | None, bar: SweepBar
) -> None:
    for run, outcome in outcomes:
        table.put(run, outcome)
    if store is not None:
        store.write([(run.job.number, run.repeat) for run, _ in outcomes])
    energies = [outcome.energy for _, outcome in outcomes]
    bar.update(energies, sum(outcome.error != "" for _, outcome in outcomes))


def _warn(table: Table) -> None:
    errors = table.arrays["error"]
    wrong = np.flatnonzero((errors != "").reshape(-1))
    if wrong.size:
        first = errors.reshape(-1)[wrong[0]]
        warn(
            f"{wrong.size} of {errors.size} runs of the sweep failed: see `error` of the dataset. "
            f"The first says: {first}"
        )
