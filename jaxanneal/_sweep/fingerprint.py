"""What tells one sweep from another, so that a store never mixes two: texts as of checkpoints."""

from collections.abc import Callable
from typing import Any

import jax

from jaxanneal._chain.keys import as_key
from jaxanneal._chain.parameters import Parameters
from jaxanneal._engine.starts import Stacked, is_initialiser
from jaxanneal._run import fingerprint
from jaxanneal._run.fingerprint import numbers, short, shown
from jaxanneal._sweep.jobs import Job
from jaxanneal._sweep.plan import Plan
from jaxanneal._sweep.settings import Settings

FORMAT = "5"


def sweep_fingerprint(
    jobs: list[Job], base: Settings, params: Any, plan: Plan, key: jax.Array
) -> dict[str, str]:
    """Return a text for each thing that the numbers of a sweep depend on.

    Args:
        jobs: The configurations that can be run.
        base: The settings of all configurations.
        params: What the user passed as ``params``.
        plan: The configurations.
        key: The user's key.
    """
    parts = {"format": FORMAT, "key": shown(key)}
    for name in ("steps", "target", "patience", "max_evaluations", "block"):
        parts[name] = shown(getattr(base, name))
    parts["repeats"] = str(plan.repeats)
    parts["configurations"] = f"{len(plan.values)}, {'a grid' if plan.grid else 'a list'}"
    for name, values in plan.columns.items():
        structure, *leaves = numbers("", values).values()
        parts[f"over {name}"] = short(", ".join([*leaves, structure]))
    for name in ("method", "move", "args"):
        parts |= numbers(name, getattr(base, name))
    return parts | _starts(params, key) | _functions(jobs) | fingerprint.environment()


def _starts(params: Any, key: jax.Array) -> dict[str, str]:
    if is_initialiser(params):
        program = lambda key: Parameters.of(params(key))  # noqa: E731
        return {"params": fingerprint.program_digest(program, as_key(key))}
    if isinstance(params, Stacked):
        return numbers("stacked params", Parameters.of(params.tree).tree)
    return numbers("params", Parameters.of(params).tree)


def _functions(jobs: list[Job]) -> dict[str, str]:
    """Return what the functions of all configurations compute."""
    energies, moves = ([(getattr(job.problem, n), 0) for job in jobs] for n in ("energy", "move"))
    methods, runs = ([(job.bound, n * job.limits.steps) for job in jobs] for n in (0, 1))
    return {
        "energy": _of_each(energies, lambda energy, _: fingerprint.traced_digest(energy)),
        fingerprint.MOVE: _of_each(moves, lambda move, _: fingerprint.move_digest(move)),
        fingerprint.METHOD: _of_each(methods, lambda method, _: fingerprint.method_digest(method)),
        fingerprint.COOLING: _of_each(
            runs, lambda method, steps: fingerprint.cooling_digest(method, 0, steps)
        ),
    }


def _of_each(inputs: list[tuple[Any, int]], digest: Callable[[Any, int], str]) -> str:
    """Return the digests of all configurations, or the one that all of them share.

    Args:
        inputs: Of each configuration a pytree, whose numbers are known otherwise, and the length of
            its runs.
        digest: Returns the digest of both.
    """
    by_object: dict[Any, str] = {}
    for tree, steps in inputs:
        if (id(tree), steps) not in by_object:
            try:
                by_object[id(tree), steps] = digest(tree, steps)
            except Exception as error:  # the runs tell of it, each of its own
                by_object[id(tree), steps] = f"none, but {type(error).__name__}"
    if len(set(by_object.values())) == 1:
        return by_object.popitem()[1]
    each = (f"{index}: {by_object[id(tree), n]}" for index, (tree, n) in enumerate(inputs))
    return short(", ".join(each))
