"""A result in the containers of other libraries."""

from typing import Any

import jax
import numpy as np

from jaxanneal._history import Summary
from jaxanneal._version import __version__

_FIELDS = ("temperature", "energy", "best_energy", "acceptance_rate")
_LONG_NAMES = {
    "step": "moves per chain",
    "temperature": "temperature of the last move",
    "energy": "current energy",
    "best_energy": "best energy of the chain so far",
    "acceptance_rate": "accepted over all proposals since the last record",
    "warmup": "whether the record belongs to the warm-up",
    "ladder_temperature": "temperature of the rung",
}
_UNITS = {name: "energy" for name in (*_FIELDS[:3], "ladder_temperature")}


def dataset(result: Any) -> Any:
    """Return history and diagnostics as an ``xarray.Dataset``.

    Raises:
        ImportError: xarray is missing.
    """
    try:
        import xarray
    except ImportError as error:
        remedy = "Result.to_xarray needs xarray: pip install 'jaxanneal[xarray]'."
        raise ImportError(remedy) from error
    health = result.diagnostics
    slots = ("chain",) if health.temperatures is None else ("ladder", "rung")
    variables = _recorded(result.history, slots) | _diagnosed(health, slots)
    coordinates: dict[str, Any] = {"step": ("record", np.asarray(result.history.step))}
    if health.temperatures is not None:
        coordinates["ladder_temperature"] = ("rung", np.asarray(health.temperatures))
    if any("statistic" in dims for dims, _ in variables.values()):
        coordinates["statistic"] = list(Summary._fields)
    made = xarray.Dataset(variables, coordinates, _attributes(result))
    for name, long_name in _LONG_NAMES.items():
        if name in made.variables:
            made[name].attrs["long_name"] = long_name
            if name in _UNITS:
                made[name].attrs["units"] = _UNITS[name]
    return made


def _recorded(history: Any, slots: tuple[str, ...]) -> dict[str, Any]:
    found = {name: _variable(getattr(history, name), slots) for name in _FIELDS}
    found["warmup"] = ("record",), np.asarray(history.warmup)
    # What is observed is seen at each chain, or at the coldest rung of each ladder.
    leaves = jax.tree_util.tree_flatten_with_path(history.observed, is_leaf=_is_summary)[0]
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        name = f"observed.{name}" if name else "observed"
        dims, values = _variable(leaf, slots[:1])
        own = [f"{name}_{axis}" for axis in range(values.ndim - len(dims))]
        found[name] = (*dims, *own), values
    return found


def _variable(field: Any, slots: tuple[str, ...]) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the dimensions of a field and its values."""
    if _is_summary(field):  # statistics stand where the chains or ladders stood
        return ("record", "statistic", *slots[1:]), np.stack(field, axis=1)
    return ("record", *slots), np.asarray(field)


def _is_summary(node: Any) -> bool:
    return isinstance(node, Summary)


def _diagnosed(health: Any, slots: tuple[str, ...]) -> dict[str, Any]:
    last = slots[-1:]
    found = {
        "diagnostics.acceptance_rate": (last, health.acceptance_rate),
        "diagnostics.factor": (last, health.factor),
    }
    if health.temperatures is None:
        return found | {"diagnostics.nonfinite": (last, health.nonfinite)}
    lost = health.nonfinite.reshape(len(health.round_trips), -1)
    return found | {
        "diagnostics.nonfinite": (("ladder", "replica"), lost),
        "diagnostics.swap_rate": (("pair",), health.swap_rate),
        "diagnostics.barrier": ((), health.barrier),
        "diagnostics.round_trips": (("ladder",), health.round_trips),
        "diagnostics.round_trip_rate": (("ladder",), health.round_trip_rate),
    }


def _attributes(result: Any) -> dict[str, Any]:
    """Return what a netCDF file can hold of the run as a whole."""
    return {
        "energy": result.energy,
        "stop_reason": result.stop_reason.name,
        "steps": result.steps,
        "evaluations": result.evaluations,
        "gradients": result.gradients,
        "seconds": result.seconds,
        "compile_seconds": result.compile_seconds,
        "jaxanneal_version": __version__,
        "jax_version": jax.__version__,
    }
