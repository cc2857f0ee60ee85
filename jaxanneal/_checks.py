"""Checks of numeric settings: each returns the converted value or says what to do instead."""

import contextlib
import contextvars
import os
import pathlib
import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.extend import core
from jax.typing import ArrayLike

# How Python shows what has no words of its own: by where it lies in memory.
_OBJECT = re.compile(r"<(?:[\w.]|<locals>)*?(\w+) object at 0x[0-9a-fA-F]+>")
_NAME = r"(?:[\w.]|<locals>)*?(\w+|<lambda>)"
_FUNCTION = re.compile(rf"<(?:bound )?(function|method) {_NAME} at 0x\w+>")
_CLASS = re.compile(rf"<class '{_NAME}'>")
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")


def refusal(path: str, expected: str, got: object, remedy: str) -> str:
    """Return the text of every refusal: path, expected, got, remedy."""
    return in_words(f"{path}: expected {expected}, got {got}. {remedy}")


def in_words(text: str) -> str:
    """Return a text without addresses, which say nothing and differ from process to process."""
    text = _CLASS.sub(r"the class \1", _OBJECT.sub(r"an object of class \1", text))
    return _ADDRESS.sub("", _FUNCTION.sub(r"the \1 \2", text))


def shown(value: Any) -> str:
    """Return a value as a refusal shows it."""
    text = in_words(repr(value))
    return text if len(text) <= 200 else text[:200] + "..."


def host_array(value: Any, dtype: Any = None) -> Any:
    """Return a NumPy array, typed like the JAX array that it becomes inside a program."""
    with np.errstate(over="ignore"):  # beyond the range of the dtype it is infinite
        return np.asarray(value, dtype)


_ON_HOST = contextvars.ContextVar("on_host", default=False)


@contextlib.contextmanager
def numbers_on_host() -> Iterator[None]:
    """Make settings of NumPy arrays: a sweep makes thousands, and stacks them before they run.

    A program takes either, but putting a number on a device costs more than checking it.
    """
    token = _ON_HOST.set(True)
    try:
        yield
    finally:
        _ON_HOST.reset(token)


def native(value: Any) -> Any:
    """Return a NumPy array in a dtype that JAX takes: of the machine's byte order, 64 bits wide."""
    if not isinstance(value, np.ndarray | np.generic) or value.dtype.kind not in "biufc":
        return value
    wide = {"f": np.float64, "c": np.complex128}.get(value.dtype.kind)
    if wide is not None and value.dtype.itemsize > np.dtype(wide).itemsize:
        return value.astype(wide)
    return value if value.dtype.isnative else value.astype(value.dtype.newbyteorder("="))


def setting(value: Any, dtype: Any = None) -> Any:
    """Return a numeric setting as an array of a strong dtype, where settings are kept."""
    value = native(value)
    if not _ON_HOST.get() or isinstance(value, Tracer):
        return jnp.asarray(value, dtype=dtype)
    array = np.asarray(value, None if dtype is None else jax.dtypes.canonicalize_dtype(dtype))
    return array.astype(jax.dtypes.canonicalize_dtype(array.dtype), copy=False)


def number(
    path: str,
    value: ArrayLike,
    expected: str,
    valid: Callable[[np.ndarray], Any],
    remedy: str,
    dtype: Any = float,
    scalar: bool = False,
) -> jax.Array:
    """Return ``value`` as an array of one strong dtype, or refuse it if it is known to be wrong.

    A tracer is converted without a look at its value, so that settings can be swept under ``vmap``.
    """
    if scalar and np.shape(value) != ():
        raise ValueError(refusal(path, f"{expected}, a scalar", value, remedy))
    if isinstance(value, Tracer):
        return jnp.asarray(value, dtype=dtype)
    try:
        array = np.asarray(value)
        kinds = "biu" if dtype is int else "biuf"
        known = array.dtype.kind in kinds or array.dtype.name in ("bfloat16", "float16")
        if array.dtype.kind == "b" or not known:
            raise TypeError
    except (TypeError, ValueError):
        raise TypeError(refusal(path, expected, shown(value), remedy)) from None
    exact = array.astype(np.float64)
    with np.errstate(over="ignore"):
        kept = exact if dtype is int else exact.astype(jax.dtypes.canonicalize_dtype(dtype))
    # In the precision of the run, too: there 1e-50 is no longer positive, nor 1e40 finite.
    if not (np.all(valid(exact)) and np.all(valid(kept))):
        raise ValueError(refusal(path, expected, value, remedy))
    # One strong dtype, or 10, 10.0 and np.float32(10) would each be a new trace.
    return setting(kept if dtype is float else value, dtype)


def positive(path: str, value: ArrayLike, remedy: str, scalar: bool = False) -> jax.Array:
    """Return ``value`` as a float array of finite numbers > 0."""
    valid = lambda x: np.isfinite(x) & (x > 0) if x.size else False  # noqa: E731
    return number(path, value, "finite values > 0", valid, remedy, scalar=scalar)


def at_least_one(path: str, value: ArrayLike, remedy: str) -> jax.Array:
    """Return ``value`` as an integer array of numbers >= 1 that fit 32 bits."""
    expected = "an integer from 1 to 2147483647"
    valid = lambda x: (x >= 1) & (x < 2**31)  # noqa: E731
    return number(path, value, expected, valid, remedy, int, scalar=True).astype(jnp.int32)


# Of what lies in arrays there are no more than 32 bits count.
MOST = 2**31 - 1


def count(path: str, value: Any, minimum: int, remedy: str, most: int | None = None) -> int:
    """Return a static count as a Python integer of at least ``minimum``, and no more than most."""
    expected = f"an integer >= {minimum}"
    if isinstance(value, bool | np.bool_) or not isinstance(value, int | np.integer):
        raise TypeError(refusal(path, expected, shown(value), remedy))
    if value < minimum:
        raise ValueError(refusal(path, expected, value, remedy))
    if most is not None and value > most:
        raise ValueError(refusal(path, f"an integer <= {most}", value, remedy))
    return int(value)


def as_path(path: str, value: Any, remedy: str) -> pathlib.Path:
    """Return the path of a file or directory, or refuse what is none."""
    if not isinstance(value, str | os.PathLike) or not isinstance(os.fspath(value), str):
        raise TypeError(refusal(path, "a path", shown(value), "Pass it as text or a pathlib.Path."))
    if not os.fspath(value):
        raise ValueError(refusal(path, "a path", "an empty text", remedy))
    if "\0" in os.fspath(value):
        raise ValueError(refusal(path, "a path", shown(value), "Leave out the zero character."))
    return pathlib.Path(value)


def real(path: str, value: Any, expected: str, remedy: str) -> float:
    """Return a static number as a Python float that is not NaN."""
    try:
        if isinstance(value, str | bytes | bool | np.bool_):  # float takes them, too
            raise TypeError
        number = float(value)
    except (TypeError, ValueError):
        raise TypeError(refusal(path, expected, shown(value), remedy)) from None
    if np.isnan(number):
        raise ValueError(refusal(path, expected, value, remedy))
    return number


def seconds(path: str, value: Any, remedy: str, finite: bool = False) -> float:
    """Return static seconds > 0, infinite ones too unless they must be finite."""
    expected = "finite seconds > 0" if finite else "seconds > 0"
    number = real(path, value, expected, remedy)
    if number <= 0 or (finite and np.isinf(number)):
        raise ValueError(refusal(path, expected, value, remedy))
    return number


def strong(tree: Any) -> Any:
    """Return ``tree`` with every number an array of a strong dtype (a weak one would retrace)."""

    def convert(leaf: Any) -> Any:
        if isinstance(leaf, bool | int | float):
            return setting(leaf, type(leaf))
        if _ON_HOST.get() and isinstance(leaf, np.ndarray | np.generic):
            return setting(leaf)
        if isinstance(leaf, np.ndarray | np.generic | jax.Array):
            array = jnp.asarray(native(leaf))
            return jax.lax.convert_element_type(array, array.dtype)
        return leaf

    return jax.tree.map(convert, tree)


@contextlib.contextmanager
def needing(what: str, extra: str) -> Iterator[None]:
    """Raise an ImportError that names the extra which brings what is not found in this context."""
    try:
        yield
    except ImportError as error:
        package = str(error.name).partition(".")[0]
        remedy = f"{what} needs {package}: pip install 'jaxanneal[{extra}]'."
        raise ImportError(remedy) from error


def refuse_tracing(verb: str, remedy: str) -> None:
    """Refuse a call under ``jit``, ``vmap`` or ``grad``, whether or not an input depends on them.

    The inputs alone do not tell: an energy or a setting may close over a tracer.

    Raises:
        RuntimeError: The call is made under a transformation.
    """
    outside: list[Any] = []
    thread = threading.Thread(target=lambda: outside.append(_trace_state()))  # it has none
    thread.start()
    thread.join()
    if _trace_state() != outside[0]:
        raise RuntimeError(refusal(verb, "a call outside jit and vmap", "a tracer", remedy))


def _trace_state() -> Any:
    # Where jax 0.7 had it; later it moved.
    trace_state = getattr(core, "get_opaque_trace_state", None)
    return (jax.core.get_opaque_trace_state if trace_state is None else trace_state)()  # pyright: ignore[reportAttributeAccessIssue]
