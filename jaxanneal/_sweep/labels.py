"""Labels of the values of a setting: numbers where they are numbers, short text where not."""

import dataclasses
from typing import Any

import jax
import numpy as np

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
    found: list[str] = []
    for value in plain:
        text = label(value)
        same = sum(other == text or other.startswith(f"{text} #") for other in found)
        found.append(f"{text} #{same + 1}" if same and distinct else text)
    return np.array(found)


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
