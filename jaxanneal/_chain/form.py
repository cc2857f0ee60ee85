"""What a trace computes as a key: equal for equal computations, whatever made them."""

import dataclasses
import functools
import hashlib
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal

from jaxanneal._chain.jaxprs import is_program

# Functions that hold functions are looked into so deep.
_DEEPEST = 8

_SCALARS = bool | int | float | complex


class _Identity:
    """A value that can be no key: equal to itself alone, and known in a text by its kind."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)

    def __repr__(self) -> str:
        return getattr(self.value, "__qualname__", type(self.value).__qualname__)


class _Code:
    """What a Python function does, known in a text by its name: files and lines may move."""

    def __init__(self, code: types.CodeType):
        self.code = code

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Code) and self.code == other.code

    def __hash__(self) -> int:
        return hash(self.code)

    def __repr__(self) -> str:
        return self.code.co_qualname


def form_of(jaxpr: Any) -> tuple[Any, ...]:
    """Return what a jaxpr computes as a key: its variables by number, whatever their names."""
    places: dict[Any, int] = {}

    def define(variables: Any) -> tuple[Any, ...]:
        places.update((variable, len(places) + i) for i, variable in enumerate(variables))
        return tuple(variable.aval for variable in variables)

    def use(atoms: Any) -> tuple[Any, ...]:
        is_value = lambda atom: isinstance(atom, Literal)  # noqa: E731
        return tuple((x.aval, _key(x.val)) if is_value(x) else places[x] for x in atoms)

    head = define(jaxpr.constvars), define(jaxpr.invars)
    body = []
    for equation in jaxpr.eqns:
        params = [(name, _key(value)) for name, value in sorted(equation.params.items())]
        used, context = use(equation.invars), repr(equation.ctx)
        body.append((equation.primitive, used, tuple(params), define(equation.outvars), context))
    return head, tuple(body), use(jaxpr.outvars)


def _key(value: Any) -> Any:
    """Return a value of an equation as a key: an array by its bytes."""
    if is_program(value):
        consts = tuple(_key(x) for x in getattr(value, "consts", ()))
        return form_of(getattr(value, "jaxpr", value)), consts
    if isinstance(value, tuple | list):
        return (type(value), *(_key(part) for part in value))
    if isinstance(value, dict):
        return tuple((name, _key(part)) for name, part in sorted(value.items(), key=repr))
    if isinstance(value, _SCALARS | jax.Array) or hasattr(value, "__array__"):
        return _number(value)
    return _host_key(value)


def _host_key(value: Any, depth: int = 0, of_jax: bool = False) -> Any:
    """Return what runs on the host as a key: a callback by its code and the objects that it uses.

    By identity alone a callback that is defined within an energy would be another one in each call.
    What its code looks up when it runs, such as a global, is no part of it.

    Args:
        value: The value.
        depth: Functions around it.
        of_jax: Whether one of JAX's own holds it, which makes containers anew in each trace.
    """

    def inner(*values: Any, holder: Any = None) -> tuple[Any, ...]:
        by_jax = of_jax if holder is None else _is_of_jax(holder)
        return tuple(_host_key(x, depth + 1, by_jax) for x in values)

    if depth > _DEEPEST:  # of functions that hold each other
        return _Identity(value)
    if isinstance(value, types.FunctionType):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        defaults = *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).items()
        used = inner(*cells, *defaults, holder=value)
        return _Code(value.__code__), _Identity(value.__globals__), *used
    if isinstance(value, types.MethodType):
        return *inner(value.__func__), _Identity(value.__self__)
    if isinstance(value, functools.partial):
        parts = inner(*value.args, *value.keywords.items(), holder=value.func)
        return type(value), *inner(value.func), *parts
    if isinstance(value, tuple) or (of_jax and isinstance(value, list)):
        return type(value), *inner(*value)
    if of_jax and isinstance(value, dict):
        return type(value), *inner(*value.items())
    if isinstance(value, _SCALARS):
        return _number(value)
    if not isinstance(value, type) and dataclasses.is_dataclass(value) and _is_of_jax(type(value)):
        return type(value), *inner(*(getattr(value, x.name) for x in dataclasses.fields(value)))
    by_value = isinstance(value, str | bytes) or _is_of_jax(type(value))
    try:
        hash(value)
    except TypeError:
        return _Identity(value)
    return value if by_value else _Identity(value)


def _is_of_jax(definition: Any) -> bool:
    """Return whether JAX has defined a function or class."""
    module = getattr(definition, "__module__", None) or ""
    return module.partition(".")[0] in ("jax", "jaxlib")


def _number(value: Any) -> Any:
    """Return numbers by type, shape and bytes: 0.0 is not -0.0, and NaN is NaN."""
    kind: Any = type(value) if isinstance(value, _SCALARS) else None
    if jnp.issubdtype(getattr(value, "dtype", None) or np.float32, jax.dtypes.prng_key):
        kind, value = str(jax.random.key_impl(value)), jax.random.key_data(value)
    array = np.asarray(value)
    return kind, array.dtype, array.shape, digest(np.ascontiguousarray(array).tobytes())


def digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
