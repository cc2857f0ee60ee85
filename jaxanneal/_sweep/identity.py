"""What tells one sweep from another, so that a store never mixes two."""

import hashlib
import re
from typing import Any

import jax
import numpy as np

from jaxanneal._chain.energy import evaluate
from jaxanneal._chain.parameters import Parameters
from jaxanneal._engine.sharding import default_device
from jaxanneal._engine.starts import Stacked, is_initialiser, one_chain
from jaxanneal._sweep.jobs import Job
from jaxanneal._sweep.plan import Plan
from jaxanneal._sweep.settings import Settings
from jaxanneal._sweep.table import label
from jaxanneal._version import __version__

FORMAT = 4


def identity(job: Job, base: Settings, params: Any, plan: Plan, key: jax.Array) -> dict[str, str]:
    """Return a text for each thing that the numbers of a sweep depend on.

    Args:
        job: Some configuration, for the shapes that the energy sees.
        base: The settings of all configurations.
        params: What the user passed as ``params``.
        plan: The configurations.
        key: The user's key.
    """
    parts = {"format": str(FORMAT), "jaxanneal": __version__, "jax": jax.__version__}
    parts["platform"] = default_device().platform
    parts["key"] = f"{jax.random.key_impl(key)} {jax.random.key_data(key).tolist()}"
    parts["energy"] = _energy(job)
    parts["params"] = _function(params, key) if is_initialiser(params) else _told(params)
    parts |= {name: _told(getattr(base, name)) for name in Settings._fields}
    for name, values in plan.columns.items():
        parts[f"over {name}"] = _told(values)
    parts["configurations"] = f"{len(plan.values)}, {'a grid' if plan.grid else 'a list'}"
    return parts | {"repeats": str(plan.repeats)}


def _energy(job: Job) -> str:
    """Return the energy's name, and a digest of what it computes."""
    energy, data = job.problem.energy, job.problem.data
    one = Parameters.of(one_chain(job.problem.starts))

    def traced(one: Parameters, data: Parameters) -> jax.Array:
        return evaluate(energy, one.tree, data.tree)

    name = getattr(energy, "__qualname__", type(energy).__name__)
    try:
        return f"{name} {_program(traced, one, data)}"
    except Exception:  # it will be told where the runs are made
        return f"{name}, which cannot be traced"


def _function(params: Any, key: jax.Array) -> str:
    name = getattr(params, "__qualname__", type(params).__name__)
    return f"{name} {_program(lambda key: Parameters.of(params(key)), key)}"


def _program(function: Any, *inputs: Any) -> str:
    closed = jax.make_jaxpr(function)(*inputs)
    return _digest([_plain(str(closed.jaxpr)), *closed.consts])


def _told(value: Any) -> str:
    tree = value.tree if isinstance(value, Stacked) else value
    leaves, treedef = jax.tree.flatten(tree)
    shown = label(tree)
    return f"{_plain(shown)} {_digest([_plain(str(treedef)), *leaves])}"


def _plain(text: str) -> str:
    """Return a text without addresses in memory, which another process has elsewhere."""
    return re.sub(r"0x[0-9a-f]+", "", text)


def _digest(parts: list[Any]) -> str:
    sha = hashlib.sha256()
    for part in parts:
        if isinstance(part, jax.Array) and jax.numpy.issubdtype(part.dtype, jax.dtypes.extended):
            part = jax.random.key_data(part)
        if isinstance(part, jax.Array | np.ndarray | np.generic):
            array = np.asarray(part, order="C")
            sha.update(f"{array.dtype.name} {array.shape}".encode())
            sha.update(array.tobytes())
        else:
            sha.update(_plain(repr(part)).encode())
    return sha.hexdigest()[:12]
