"""What a sweep returns: arrays over configurations and repeats, as an xarray Dataset."""

import dataclasses
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.parameters import Parameters
from jaxanneal._engine.starts import one_chain
from jaxanneal._engine.stop_reason import StopReason
from jaxanneal._sweep.batch import Outcome, Run
from jaxanneal._sweep.plan import Plan
from jaxanneal._version import __version__

_LONGEST_REASON = max(len(reason.name) for reason in StopReason)

_LONG_NAMES = {
    "energy": "best energy of the run",
    "steps": "moves per chain that were made",
    "evaluations": "energy evaluations",
    "acceptance_rate": "accepted over all proposals after the warm-up, mean over chains",
    "stop_reason": "why the run stopped",
    "error": "why there is no result, empty where there is one",
}


class Table:
    """What is known of each run, ``[configurations, repeats, ...]``.

    Args:
        plan: The configurations.
        starts: The starts of some configuration, which tell the shapes of its parameters;
            ``None`` where no configuration can be run.
    """

    def __init__(self, plan: Plan, starts: Parameters | None):
        self.plan = plan
        shape = len(plan.values), plan.repeats
        self.arrays: dict[str, np.ndarray] = {
            "energy": np.full(shape, np.nan),
            "steps": np.zeros(shape, np.int64),
            "evaluations": np.zeros(shape, np.int64),
            "acceptance_rate": np.full(shape, np.nan),
            "stop_reason": np.full(shape, "", f"<U{_LONGEST_REASON}"),
            "error": np.full(shape, "", object),
        }
        self.paths = [] if starts is None else _paths(starts)
        leaves = [] if starts is None else Parameters.of(one_chain(starts)).leaves
        for path, leaf in zip(self.paths, leaves, strict=True):
            floating = jnp.issubdtype(leaf.dtype, jnp.floating)
            # bfloat16 is known to JAX alone.
            kept = np.float32 if leaf.dtype == jnp.bfloat16 else leaf.dtype
            self.arrays[path] = np.full((*shape, *leaf.shape), np.nan if floating else 0, kept)

    def put(self, run: Run, outcome: Outcome) -> None:
        """Write down what became of a run."""
        place = run.job.number, run.repeat
        for name in ("energy", "steps", "evaluations", "acceptance_rate", "stop_reason", "error"):
            self.arrays[name][place] = getattr(outcome, name)
        for path, leaf in zip(self.paths, outcome.params, strict=False):  # none of a failed run
            self.arrays[path][place] = leaf

    def fail(self, configuration: int, error: str) -> None:
        """Write down that no run of a configuration can be made."""
        self.arrays["error"][configuration] = error

    @property
    def done(self) -> np.ndarray:
        """Which runs are over, bool ``[configurations, repeats]``."""
        return (self.arrays["stop_reason"] != "") | (self.arrays["error"] != "")

    def names(self) -> dict[str, str]:
        """Return what each array is called in the Dataset."""
        named = {name: name for name in self.arrays}
        if "steps" in self.plan.columns:  # that is the coordinate of those asked for
            named["steps"] = "steps_made"
        return named

    def variable(self, name: str, array: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
        """Return the dimensions of an array and its values over them."""
        own = [f"{name}_{axis}" for axis in range(array.ndim - 2)]
        dims = (*self.plan.dims, "repeat", *own)
        return dims, array.reshape(*self.plan.shape, *array.shape[1:])

    def dataset(self, xarray: Any) -> Any:
        """Return everything that is known as an ``xarray.Dataset``."""
        named = self.names()
        variables = {named[name]: self.variable(name, x) for name, x in self.arrays.items()}
        columns = self.plan.columns
        along = {name: name if self.plan.grid else "configuration" for name in columns}
        coordinates = {
            name: (along[name], labels(values, self.plan.grid)) for name, values in columns.items()
        }
        coordinates |= {"repeat": ("repeat", np.arange(self.plan.repeats))}
        if not self.plan.grid:
            coordinates["configuration"] = "configuration", np.arange(len(self.plan.values))
        versions = {"jaxanneal_version": __version__, "jax_version": jax.__version__}
        filled = xarray.Dataset(variables, coordinates, versions)
        for name, long_name in _LONG_NAMES.items():
            filled[named[name]].attrs["long_name"] = long_name
        return filled


def _paths(starts: Parameters) -> list[str]:
    """Return the name of each parameter, such as ``params.w.0``."""
    return [re.sub(r"\['?([^\]']*)'?\]", r".\1", path) for path in starts.structure.paths()]


_SHOWN = 6
_LONGEST = 80


def labels(values: list[Any], distinct: bool) -> np.ndarray:
    """Return the coordinate of a swept setting, one label for each value.

    Numbers stay numbers, ``None`` among them is NaN; other values are named by short texts.

    Args:
        values: The values.
        distinct: Whether texts must differ, because they stand along an axis of their own.
    """
    plain = [np.asarray(v).item() if _is_scalar(v) else v for v in values]
    given = [v for v in plain if v is not None]
    if given and all(isinstance(v, bool) for v in given) and len(given) == len(plain):
        return np.array(plain)
    if given and all(isinstance(v, int | float) and not isinstance(v, bool) for v in given):
        return np.array([np.nan if v is None else v for v in plain])
    texts: list[str] = []
    for value in plain:
        text = label(value)
        same = sum(other == text or other.startswith(f"{text} #") for other in texts)
        texts.append(f"{text} #{same + 1}" if same and distinct else text)
    return np.array(texts)


def label(value: Any) -> str:
    """Return a short text that says what a value is."""
    if isinstance(value, str):
        return value
    if isinstance(value, jax.Array | np.ndarray):
        return _array(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = ((f.name, getattr(value, f.name)) for f in dataclasses.fields(value) if f.init)
        shown = [f"{name}={label(x)}" for name, x in fields if _says_something(x)]
        return _short(f"{type(value).__name__}({', '.join(shown)})")
    if callable(value):
        return getattr(value, "__name__", type(value).__name__)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return _short(f"[{', '.join(label(x) for x in value)}]")
    if isinstance(value, dict):
        return _short(", ".join(f"{key}={label(x)}" for key, x in value.items()))
    return _short(repr(value))


def _is_scalar(value: Any) -> bool:
    return isinstance(value, jax.Array | np.ndarray | np.generic) and np.shape(value) == ()


def _says_something(value: Any) -> bool:
    """Return whether a field is worth showing: not what was left out, nor marks without content."""
    return value is not None and bool(jax.tree.leaves(value))


def _array(value: Any) -> str:
    flat = np.asarray(value).reshape(-1)
    if flat.size == 1 and flat.dtype.kind in "biuf":
        return f"{flat[0]:.6g}"
    kind = f"{value.dtype}[{','.join(str(n) for n in value.shape)}]"
    if flat.dtype.kind not in "biuf" or flat.size == 0:
        return kind
    if value.ndim == 1 and flat.size <= _SHOWN:
        return f"[{', '.join(f'{x:.6g}' for x in flat)}]"
    return f"{kind} {flat[0]:.6g}..{flat[-1]:.6g}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."
