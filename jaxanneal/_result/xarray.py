"""A result in the containers of other libraries."""

import inspect
import warnings
from typing import Any

import jax
import numpy as np

from jaxanneal._checks import needing, refusal
from jaxanneal._engine.history import History, Summary
from jaxanneal._version import __version__
from jaxanneal._warn import warn

_FIELDS = ("temperature", "energy", "best_energy", "acceptance_rate")
_LONG_NAMES = {
    "step": "moves per chain",
    "temperature": "temperature of the last move",
    "energy": "current energy",
    "best_energy": "best energy of the chain so far",
    "acceptance_rate": "accepted over all proposals since the last record",
    "warmup": "whether the record belongs to the warm-up",
    "replica_at_rung": "number of the replica at the rung",
    "ladder_temperature": "temperature of the rung",
    "diagnostics.nonfinite": "proposals without a finite energy, of the chain that ended there",
}
_UNITS = {name: "energy" for name in (*_FIELDS[:3], "ladder_temperature")}


class Exports:
    """What a result is in other libraries, each of them an optional extra."""

    def to_xarray(self) -> Any:
        """Return the history and the diagnostics as an ``xarray.Dataset``.

        Maths: none.
        Batching: dimensions ``(record, chain)``, in parallel tempering ``(record, ladder, rung)``.

        Args: none.

        Returns:
            A Dataset over ``record`` with the coordinate ``step``; a summarised history has the
            dimension ``statistic`` instead of chains or ladders. What was observed is
            ``observed.<path>``.

        Raises: ImportError: xarray is missing.

        Example:
            >>> import jaxanneal as ja
            >>> dataset = ja.anneal(lambda x: x**2, 1.0, key=0, steps=100).to_xarray()
            >>> dict(dataset.energy.sizes)
            {'record': 100, 'chain': 64}

        Reference: Hoyer and Hamman, J. Open Res. Softw. 5, 10 (2017).
        """
        return _dataset(self)

    def to_arviz(self) -> Any:
        """Return the draws as what ``from_dict`` of the installed ArviZ makes of them.

        Group ``posterior`` holds what ``observe`` returned after the warm-up, or the energy alone
        if nothing was observed; ``sample_stats`` the energy, the best energy so far, the
        temperature, the acceptance rate, the step, and ``lp``, the log-density -energy / T without
        its constant. Groups ``warmup_posterior`` and ``warmup_sample_stats`` hold the warm-up.

        Only what was run at a constant temperature samples a distribution: parallel tempering
        after its warm-up does, a cooling does not.

        Warns where there is one ladder, for which ArviZ has no R-hat, and where nothing was
        observed.

        Maths: the density is exp(-energy / T), T the temperature of the coldest rung.
        Batching: dimensions ``(chain, draw)``: ladders, seen at their coldest rung, and records; of
        simulated annealing its chains.

        Args: none.

        Returns:
            An ``InferenceData`` of ArviZ 0.23, a ``DataTree`` of ArviZ 1.0 and later. Parts of a
            tree are named by their path, such as ``w.0``, and a lone array ``observed``.

        Raises:
            ImportError: ArviZ is missing.
            ValueError: The history is a summary over ladders (run with a larger ``record_every``),
                all of it is warm-up, or the run was one of ``polish``.

        Example:
            >>> import jaxanneal as ja
            >>> method = ja.ParallelTempering(ladders=4, temperatures=[1.0, 3.0], warmup=200)
            >>> settings = {"method": method, "steps": 700, "observe": lambda x: {"x": x}}
            >>> data = ja.anneal(lambda x: x**2, 1.0, key=0, **settings).to_arviz()
            >>> dict(data["posterior"].sizes), dict(data["warmup_posterior"].sizes)
            ({'chain': 4, 'draw': 500}, {'chain': 4, 'draw': 200})

        Reference: Kumar, Carroll, Hartikainen and Martin, J. Open Source Softw. 4, 1143 (2019).
        """
        return inference_data(self, _attributes(self))


def _dataset(result: Any) -> Any:
    """Return history and diagnostics as an ``xarray.Dataset``.

    Raises:
        ImportError: xarray is missing.
    """
    with needing("Result.to_xarray", "xarray"):
        import xarray
    health = result.diagnostics
    axes = ("chain",) if health.temperatures is None else ("ladder", "rung")
    variables = _recorded(result.history, axes) | _diagnosed(health, axes)
    coordinates: dict[str, Any] = {"step": ("record", np.asarray(result.history.step))}
    if health.temperatures is not None:
        coordinates["ladder_temperature"] = ("rung", np.asarray(health.temperatures))
    if any("statistic" in dims for dims, _ in variables.values()):
        coordinates["statistic"] = list(Summary._fields)
    dataset = xarray.Dataset(variables, coordinates, _attributes(result))
    for name, long_name in _LONG_NAMES.items():
        if name in dataset.variables:
            dataset[name].attrs["long_name"] = long_name
            if name in _UNITS:
                dataset[name].attrs["units"] = _UNITS[name]
    return dataset


def _recorded(history: Any, axes: tuple[str, ...]) -> dict[str, Any]:
    variables = {name: _variable(getattr(history, name), axes) for name in _FIELDS}
    variables["warmup"] = ("record",), np.asarray(history.warmup)
    if history.replica is not None:  # of a summary that of the first ladder
        variables["replica_at_rung"] = (
            ("record", *axes[-(history.replica.ndim - 1) :]),
            history.replica,
        )
    # What is observed is seen at each chain, or at the coldest rung of each ladder.
    leaves = jax.tree_util.tree_flatten_with_path(history.observed, is_leaf=_is_summary)[0]
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path, simple=True, separator=".")
        name = f"observed.{name}" if name else "observed"
        dims, values = _variable(leaf, axes[:1])
        own = [f"{name}_{axis}" for axis in range(values.ndim - len(dims))]
        variables[name] = (*dims, *own), values
    return variables


def _variable(field: Any, axes: tuple[str, ...]) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the dimensions of a field and its values."""
    if _is_summary(field):  # statistics stand where the chains or ladders stood
        return ("record", "statistic", *axes[1:]), np.stack(field, axis=1)
    return ("record", *axes), np.asarray(field)


def _is_summary(node: Any) -> bool:
    return isinstance(node, Summary)


def _diagnosed(health: Any, axes: tuple[str, ...]) -> dict[str, Any]:
    last = axes[-1:]
    variables = {
        "diagnostics.acceptance_rate": (last, health.acceptance_rate),
        "diagnostics.factor": (last, health.factor),
    }
    if health.temperatures is None:
        return variables | {"diagnostics.nonfinite": (last, health.nonfinite)}
    lost = health.nonfinite.reshape(len(health.round_trips), -1)
    by_rung = (
        *("log_partition", "log_partition_error", "mean_energy", "heat_capacity"),
        *("autocorrelation", "effective_sample_size", "rhat"),
    )
    named = {"swap_rate": "pair", "local_barrier": "pair", "round_trips": "ladder"}
    named |= {"round_trip_rate": "ladder"} | dict.fromkeys(by_rung, "rung")
    variables |= {
        f"diagnostics.{name}": ((of,), getattr(health, name)) for name, of in named.items()
    }
    return variables | {
        "diagnostics.nonfinite": (axes, lost),
        "diagnostics.barrier": ((), health.barrier),
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


_RESERVED = ("chain", "draw")  # names of ArviZ's dimensions


def inference_data(result: Any, attributes: dict[str, Any]) -> Any:
    """Return what the installed ArviZ's ``from_dict`` makes of the history.

    Args:
        result: The result.
        attributes: What is said of the run as a whole.

    Raises:
        ImportError: ArviZ is missing.
        ValueError: The run was polished, its history is a summary, or all of it is warm-up.
    """
    with needing("Result.to_arviz", "arviz"):
        import arviz
    history = _sampled(result)
    if not result.state.engine_state.method.has_rungs:
        warn(
            "Result.to_arviz: simulated annealing does not sample, its temperature falls: these "
            "are states on the way, no draws. To sample use method=ja.ParallelTempering()."
        )
    else:
        _warn_of_few(history)
    if history.observed is None:
        warn(
            "Result.to_arviz: nothing was observed, so the posterior holds the energy alone. Run "
            "with observe=lambda params, *args: params to have the parameters in it."
        )
    variables = {"posterior": _posterior(history), "sample_stats": _sample_stats(history)}
    warm = np.asarray(history.warmup)
    groups = {
        f"{prefix}{group}": {name: values[:, rows] for name, values in own.items()}
        for prefix, rows in (("", ~warm), ("warmup_", warm))
        if rows.any()
        for group, own in variables.items()
    }
    attributes = {"inference_library": "jaxanneal"} | attributes
    from_dict: Any = arviz.from_dict  # of two signatures the installed one
    with warnings.catch_warnings():  # more ladders than records are nothing to warn of here
        warnings.filterwarnings("ignore", "More chains|Found chain dimension to be longer")
        if "posterior" in inspect.signature(from_dict).parameters:  # before ArviZ 1.0
            return from_dict(**groups, save_warmup=True, attrs=attributes)
        return from_dict(groups, save_warmup=True, attrs={"/": attributes})


_FEWEST = 4  # draws of a ladder that ArviZ compares with others


def _warn_of_few(history: History) -> None:
    """Warn of draws that ArviZ has no R-hat for."""
    ladders, draws = history.energy.shape[1], int(np.sum(~np.asarray(history.warmup)))
    if ladders < 2 or draws < _FEWEST:
        many = f"{ladders} ladder{'s' * (ladders > 1)} of {draws} draw{'s' * (draws > 1)}"
        warn(
            f"Result.to_arviz: {many}. R-hat compares two ladders or more, of {_FEWEST} draws or "
            "more, and ArviZ says NaN of less. Use ja.ParallelTempering(ladders=4), more steps or "
            "a smaller record_every."
        )


def _sampled(result: Any) -> History:
    """Return the history of a run that ArviZ can read as draws, or refuse it."""
    history = result.history
    if result.state is None:
        raise ValueError(
            refusal(
                "Result.to_arviz",
                "a run of anneal",
                "one of polish, which descends and does not sample",
                "Call it on the result that you polished.",
            )
        )
    if isinstance(history.energy, Summary):
        raise ValueError(
            refusal(
                "Result.to_arviz",
                "a history of all chains",
                "their summary, because together they take more than 64 MB",
                "Run with a larger record_every=, or observe less.",
            )
        )
    if np.all(history.warmup):
        raise ValueError(
            refusal(
                "Result.to_arviz",
                "records after the warm-up",
                f"{len(history.step)} records, none after it",
                "Use more steps=, a shorter warmup= or a smaller record_every=.",
            )
        )
    return history


def _posterior(history: History) -> dict[str, np.ndarray]:
    """Return what was observed, each ``[chains, records, ...]``; the energy if nothing was."""
    if history.observed is None:
        return {"energy": _cold(history.energy)}
    variables = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(history.observed)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "observed"
        name = f"observed.{name}" if name in _RESERVED else name
        variables[name] = _plain(np.swapaxes(leaf, 0, 1))
    return variables


def _sample_stats(history: History) -> dict[str, np.ndarray]:
    fields = ("energy", "best_energy", "temperature", "acceptance_rate")
    variables = {name: _cold(getattr(history, name)) for name in fields}
    with np.errstate(divide="ignore", invalid="ignore"):  # at temperature 0
        variables["lp"] = -variables["energy"] / variables["temperature"]
    variables["step"] = np.broadcast_to(np.asarray(history.step), variables["energy"].shape)
    return variables


def _cold(field: Any) -> np.ndarray:
    """Return a field ``[chains, records]``; of a ladder what is at its coldest rung."""
    values = np.asarray(field)
    return _plain(np.swapaxes(values if values.ndim == 2 else values[:, :, 0], 0, 1))


def _plain(values: np.ndarray) -> np.ndarray:
    """Return the same values in a dtype that ArviZ can do statistics with."""
    if values.dtype == bool:  # it subtracts, which NumPy refuses for bools
        return values.astype(np.int8)
    narrow = values.dtype.kind == "V" or values.dtype == np.float16  # V: bfloat16 and the like
    return values.astype(np.float32) if narrow else values
