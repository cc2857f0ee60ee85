"""The draws of a run in the container of ArviZ, which summarises and plots them."""

import inspect
import warnings
from typing import Any

import jax
import numpy as np

from jaxanneal._checks import refusal
from jaxanneal._engine.history import History, Summary
from jaxanneal._methods import ParallelTempering
from jaxanneal._warn import warn

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
    try:
        import arviz
    except ImportError as error:
        remedy = "Result.to_arviz needs arviz: pip install 'jaxanneal[arviz]'."
        raise ImportError(remedy) from error
    history = _sampled(result)
    if not isinstance(result.state.state.method, ParallelTempering):
        warn(
            "Result.to_arviz: simulated annealing does not sample, its temperature falls: these "
            "are states on the way, no draws. To sample use method=ja.ParallelTempering()."
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
    found = {}
    for path, leaf in jax.tree_util.tree_flatten_with_path(history.observed)[0]:
        name = jax.tree_util.keystr(path, simple=True, separator=".") or "observed"
        name = f"observed.{name}" if name in _RESERVED else name
        found[name] = _plain(np.swapaxes(leaf, 0, 1))
    return found


def _sample_stats(history: History) -> dict[str, np.ndarray]:
    fields = ("energy", "best_energy", "temperature", "acceptance_rate")
    found = {name: _cold(getattr(history, name)) for name in fields}
    with np.errstate(divide="ignore", invalid="ignore"):  # at temperature 0
        found["lp"] = -found["energy"] / found["temperature"]
    found["step"] = np.broadcast_to(np.asarray(history.step), found["energy"].shape)
    return found


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
