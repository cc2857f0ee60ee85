"""Settings of a ladder, checked."""

from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxanneal._checks import count, number, refusal

_RUNGS = 16


def as_rungs(path: str, rungs: Any, temperatures: Any) -> tuple[int, jax.Array | None]:
    """Return how many rungs there are, and their temperatures if they are given."""
    if temperatures is not None:
        temperatures = as_ladder(f"{path}.temperatures", temperatures)
        found = temperatures.shape[0]
        if rungs is not None and rungs != found:
            remedy = "Leave rungs out when temperatures are given."
            expected = f"{found}, as many as temperatures"
            raise ValueError(refusal(f"{path}.rungs", expected, rungs, remedy))
        rungs = found
    remedy = "One temperature alone is ja.SimulatedAnnealing with a constant cooling."
    return count(f"{path}.rungs", _RUNGS if rungs is None else rungs, 2, remedy), temperatures


def as_ladder(path: str, temperatures: Any) -> jax.Array:
    """Return the temperatures of a ladder, or refuse what does not strictly increase."""
    remedy = "List the coldest first, for example jnp.geomspace(0.01, 1.0, 16)."
    precision = jax.dtypes.canonicalize_dtype(float)
    expected = f"finite values > 0 that strictly increase as {precision}, [rungs]"

    def valid(x: np.ndarray) -> bool:
        good = bool(np.all(np.isfinite(x) & (x > 0)))
        # Compared in the precision of the run: two equal rungs would be one.
        rounded = x.astype(precision)
        return x.ndim == 1 and good and bool(np.all(np.diff(rounded) > 0))

    ladder = number(path, temperatures, expected, valid, remedy)
    if ladder.ndim != 1:
        raise ValueError(refusal(path, expected, f"shape {ladder.shape}", remedy))
    return ladder


def as_warmup(path: str, warmup: ArrayLike) -> jax.Array:
    """Return the length of a warm-up, int ``[]``."""
    remedy = "Use 0 for none; None is half the run."
    valid = lambda x: (x >= 0) & (x < 2**31)  # noqa: E731
    expected = "an integer from 0 to 2147483647"
    return number(path, warmup, expected, valid, remedy, int, scalar=True).astype(jnp.int32)


def as_bool(path: str, value: Any) -> bool:
    """Return a flag, or refuse what is none."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(refusal(path, "a bool", repr(value), "Use True or False."))
    return bool(value)


def as_scheme(path: str, scheme: Any) -> Literal["deo", "seo"]:
    """Return which pairs try to swap in a phase."""
    if scheme not in ("deo", "seo"):
        raise ValueError(refusal(path, "'deo' or 'seo'", repr(scheme), "Keep the default."))
    return scheme
