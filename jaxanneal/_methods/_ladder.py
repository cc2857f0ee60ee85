"""Settings of a ladder, checked."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from jaxanneal._numbers import number, refusal


def as_ladder(path: str, temperatures: Any) -> jax.Array:
    """Return the temperatures of a ladder, or refuse what does not strictly increase."""
    remedy = "List the coldest first, for example jnp.geomspace(0.01, 1.0, 16)."
    expected = "finite values > 0 that strictly increase, [rungs]"

    def valid(x: np.ndarray) -> bool:
        good = bool(np.all(np.isfinite(x) & (x > 0)))
        # Compared in the precision of the run: two equal rungs would be one.
        rounded = x.astype(jax.dtypes.canonicalize_dtype(float))
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
