"""What tells one sweep from another, so that a store never mixes two: texts as of checkpoints."""

from collections.abc import Callable
from typing import Any

import jax

from jaxanneal._chain.keys import as_key
from jaxanneal._chain.parameters import Parameters
from jaxanneal._engine.compile import signature
from jaxanneal._engine.starts import Stacked, is_initialiser, one_chain
from jaxanneal._run.fingerprint import (
    COOLING,
    MOVE,
    cooling_digest,
    energy_digest,
    environment,
    move_digest,
    numbers,
    program_digest,
    short,
    shown,
)
from jaxanneal._sweep.jobs import Job
from jaxanneal._sweep.plan import Plan
from jaxanneal._sweep.settings import Settings

FORMAT = "5"


def identity(
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
    for name in ("steps", "target", "patience", "block"):
        parts[name] = shown(getattr(base, name))
    parts["repeats"] = str(plan.repeats)
    parts["configurations"] = f"{len(plan.values)}, {'a grid' if plan.grid else 'a list'}"
    for name, values in plan.columns.items():
        structure, *leaves = numbers("", values).values()
        parts[f"over {name}"] = short(", ".join([*leaves, structure]))
    for name in ("method", "move", "args"):
        parts |= numbers(name, getattr(base, name))
    return parts | _starts(params, key) | _functions(jobs) | environment()


def _starts(params: Any, key: jax.Array) -> dict[str, str]:
    if is_initialiser(params):
        return {"params": program_digest(lambda key: Parameters.of(params(key)), as_key(key))}
    if isinstance(params, Stacked):
        return numbers("stacked params", Parameters.of(params.tree).tree)
    return numbers("params", Parameters.of(params).tree)


def _functions(jobs: list[Job]) -> dict[str, str]:
    """Return what the functions of all configurations compute, each traced once."""
    key, one = as_key(0), Parameters.of(one_chain(jobs[0].problem.starts))

    def energy(job: Job) -> str:
        try:
            return energy_digest(job.problem.energy, one, job.problem.data)
        except Exception as error:  # which the runs tell of
            return f"cannot be traced: {type(error).__name__}"

    def move(job: Job) -> str:
        return move_digest(key, one, job.problem.move)

    def cooling(job: Job) -> str:
        return cooling_digest(job.bound, 0, job.limits.steps)

    return {
        "energy": _of_each(jobs, lambda job: (job.problem.data,), energy),
        MOVE: _of_each(jobs, lambda job: (job.problem.move,), move),
        COOLING: _of_each(
            jobs, lambda job: (getattr(job.bound, "cooling", None), job.limits.steps), cooling
        ),
    }


def _of_each(
    jobs: list[Job], inputs: Callable[[Job], tuple[Any, ...]], digest: Callable[[Job], str]
) -> str:
    """Return the digests of all configurations, or the one that all of them share.

    Args:
        jobs: The configurations.
        inputs: Returns a pytree, whose numbers are known otherwise, and more on which one depends.
        digest: Returns the digest of one configuration.
    """
    by_object: dict[Any, str] = {}
    by_kind: dict[Any, str] = {}
    digests = []
    for job in jobs:
        tree, *others = inputs(job)
        place = id(tree), *others
        if place not in by_object:  # the jobs hold the objects, or numbers could come again
            kind = signature(tree), *others
            by_object[place] = by_kind.get(kind) or by_kind.setdefault(kind, digest(job))
        digests.append(f"{by_object[place]} of configuration {job.number}")
    distinct = set(by_object.values())
    return distinct.pop() if len(distinct) == 1 else short(", ".join(digests))
