"""What a function computes: its jaxpr, and apart from it the arrays that it closes over.

A program is kept by what the user's functions compute and not by which objects they are: a notebook
cell that is run again compiles nothing. What they close over is data of the program, never stale.
"""

import dataclasses
import functools
import hashlib
import pickle
import re
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun

from jaxanneal._chain.calls import UNBATCHED
from jaxanneal._checks import refusal
from jaxanneal._pytree import pytree_dataclass, static

# Where a function or object lies in memory, which is another place in every process.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+|\b0x[0-9a-fA-F]{6,}")

# Functions that hold functions are looked into so deep.
_DEEPEST = 8

_SCALARS = bool | int | float | complex


class Computation:
    """What a function computes of inputs of known shapes; two are equal if they compute the same.

    Args:
        jaxpr: The trace, with what the function closes over as its constants.
        outputs: The structure of what it returns.
        name: What the user's function is called, which is no part of what it computes.
    """

    def __init__(self, jaxpr: Any, outputs: Any, name: str):
        self._jaxpr, self._outputs, self.name = jaxpr, outputs, name
        self._form = (_form(jaxpr), outputs)
        self._hash = hash(self._form)

    def __call__(self, constants: Sequence[Any], *inputs: Any) -> Any:
        """Return what the function returns, with these arrays for those that it closes over."""
        run = jaxpr_as_fun(ClosedJaxpr(self._jaxpr, tuple(constants)))
        return jax.tree.unflatten(self._outputs, run(*jax.tree.leaves(inputs)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Computation) and (
            self is other or (self._hash == other._hash and self._form == other._form)
        )

    def __hash__(self) -> int:
        return self._hash

    def __repr__(self) -> str:
        return f"Computation({self.digest})"

    def __deepcopy__(self, memo: Any) -> "Computation":
        return self  # nothing of it ever changes

    def __reduce__(self) -> Any:
        text = f"what {self.name or 'a function'} computes: a Result pickles without its functions"
        raise pickle.PicklingError(text)

    @property
    def calls_back(self) -> bool:
        """Whether it calls Python on the host, which no digest sees."""
        return any("callback" in equation.primitive.name for equation in _equations(self._jaxpr))

    @property
    def reads(self) -> list[bool]:
        """Whether the outputs depend on each leaf of the inputs, as far as that is seen."""
        live = _live(self._jaxpr, [True] * len(self._jaxpr.outvars))
        return [variable in live for variable in self._jaxpr.invars]

    @property
    def digest(self) -> str:
        """A text that tells it apart from others in every process, callbacks excepted."""
        return _digest(_ADDRESS.sub("", repr(self._form)).encode())


@pytree_dataclass
class Traced:
    """A function as it was traced: what it computes, and the arrays that it closes over, as data.

    Args:
        constants: These arrays.
        computation: What it computes.
    """

    constants: tuple[Any, ...]
    computation: Computation = static()

    def __call__(self, *inputs: Any) -> Any:
        """Return what the function returns, inputs being of the shapes that it was traced for."""
        return self.computation(self.constants, *inputs)


def trace(function: Callable[..., Any], *inputs: Any, name: str = "") -> Traced:
    """Trace a function; anew each time, because what it closes over may have changed.

    Args:
        function: A pure function, whose results are pytrees of arrays.
        inputs: Pytrees of arrays, or of their shapes.
        name: What the user's function is called.
    """
    # A function of its own: JAX keeps the traces of the user's, and with them what has changed.
    own = lambda *inputs: function(*inputs)  # noqa: E731
    with jax.disable_jit(False):
        make = jax.make_jaxpr(own, return_shape=True)
        closed, outputs = make(*jax.tree.map(_kind, inputs))
        if _hides(closed.jaxpr):
            closed = _lifted(closed)
    pairs = zip(closed.consts, closed.jaxpr.constvars, strict=True)
    constants = tuple(_as_data(constant, variable.aval) for constant, variable in pairs)
    return Traced(constants, Computation(closed.jaxpr, jax.tree.structure(outputs), name))


def batchable(name: str, traced: Traced) -> Traced:
    """Return a traced function, or refuse one whose callback cannot be called for many chains.

    Raises:
        TypeError: It says not how, or its calls are ordered.
    """
    for equation in _equations(traced.computation._jaxpr):
        kind, params = equation.primitive.name, equation.params
        if "vmap_method" in params and params["vmap_method"] is None:
            raise TypeError(refusal(name, *UNBATCHED["vmap_method"]))
        if kind == "io_callback" and params.get("ordered"):
            raise TypeError(refusal(name, *UNBATCHED["ordered IO callback"]))
    return traced


def _kind(x: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, x.dtype, weak_type=getattr(x, "weak_type", False))


def _as_data(constant: Any, aval: Any) -> jax.Array:
    if isinstance(constant, jax.Array):
        return constant
    return jnp.asarray(np.array(constant), aval.dtype)  # a copy: the user may write to his own


def _programs(equation: Any) -> Iterator[Any]:
    """Yield the jaxprs, closed or not, that an equation holds."""
    for value in equation.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if _is_program(part):
                yield part


def _is_program(value: Any) -> bool:
    return hasattr(value, "eqns") or (hasattr(value, "jaxpr") and hasattr(value, "consts"))


def _equations(jaxpr: Any) -> Iterator[Any]:
    """Yield all equations of a jaxpr, those within others included."""
    for equation in jaxpr.eqns:
        yield equation
        for program in _programs(equation):
            yield from _equations(getattr(program, "jaxpr", program))


def _live(jaxpr: Any, wanted: Sequence[bool]) -> set[Any]:
    """Return the variables that some of the outputs of a jaxpr depend on, or callbacks in it."""
    pairs = zip(jaxpr.outvars, wanted, strict=True)
    live = {x for x, is_wanted in pairs if is_wanted and not isinstance(x, Literal)}
    for equation in reversed(jaxpr.eqns):
        needed = [variable in live for variable in equation.outvars]
        if not (any(needed) or equation.effects):
            continue
        used, flags = equation.invars, [True] * len(equation.invars)
        if equation.primitive.name == "jit":
            inner = equation.params["jaxpr"].jaxpr
            inside = _live(inner, needed)
            flags = [variable in inside for variable in inner.invars]
        live |= {
            x for x, flag in zip(used, flags, strict=True) if flag and not isinstance(x, Literal)
        }
    return live


def _hides(*jaxprs: Any) -> bool:
    """Return whether what jaxprs call closes over arrays, or has a rule for its derivative."""
    return any(
        equation.primitive.name.startswith("custom_")
        or any(getattr(program, "consts", ()) for program in _programs(equation))
        for jaxpr in jaxprs
        for equation in _equations(jaxpr)
    )


# What follows runs a trace with the arrays that it closes over anywhere taken from outside, and
# without rules for derivatives, which are new objects in each trace: nothing derives it any more.


def _lifted(closed: Any) -> Any:
    """Return a trace that has all arrays that it closes over among its own constants."""
    arrays = {id(array): _as_data(array, aval) for array, aval in _arrays(closed)}
    constants = list(arrays.values())

    def run(constants: Any, inputs: Any) -> Any:
        return _run(closed, dict(zip(arrays, constants, strict=True)), inputs)

    jaxpr = jax.make_jaxpr(run)(constants, [_kind(aval) for aval in closed.in_avals]).jaxpr
    count = len(constants)
    return ClosedJaxpr(
        jaxpr.replace(constvars=jaxpr.invars[:count], invars=jaxpr.invars[count:]), constants
    )


def _arrays(closed: Any) -> Iterator[tuple[Any, Any]]:
    """Yield the arrays that a trace and what it calls close over, each with its kind."""
    pairs = zip(closed.consts, closed.jaxpr.constvars, strict=True)
    yield from ((constant, variable.aval) for constant, variable in pairs)
    for equation in closed.jaxpr.eqns:
        if equation.primitive.name in _OPENED:
            for program in _programs(equation):
                yield from _arrays(program)


def _run(closed: Any, arrays: dict[int, Any], inputs: Sequence[Any]) -> list[Any]:
    """Run a trace, with an array for each that it and what it calls close over."""
    jaxpr = closed.jaxpr
    known = dict(zip(jaxpr.constvars, [arrays[id(x)] for x in closed.consts], strict=True))
    known |= dict(zip(jaxpr.invars, inputs, strict=True))
    read = lambda atom: atom.val if isinstance(atom, Literal) else known[atom]  # noqa: E731
    for equation in jaxpr.eqns:
        name, values = equation.primitive.name, [read(atom) for atom in equation.invars]
        programs = [getattr(program, "jaxpr", program) for program in _programs(equation)]
        consts = any(getattr(program, "consts", ()) for program in _programs(equation))
        if name in _OPENED and (name.startswith("custom_") or consts or _hides(*programs)):
            outputs = _OPENED[name](equation.params, arrays, values)
        else:
            outputs = _one(jaxpr, equation, values)
        known |= dict(zip(equation.outvars, outputs, strict=True))
    return [read(atom) for atom in jaxpr.outvars]


def _one(jaxpr: Any, equation: Any, values: Sequence[Any]) -> list[Any]:
    """Run one equation as it is."""
    pairs = zip(equation.invars, values, strict=True)
    known = {atom: value for atom, value in pairs if not isinstance(atom, Literal)}
    alone = jaxpr.replace(
        constvars=[], invars=list(known), outvars=equation.outvars, eqns=[equation]
    )
    return jaxpr_as_fun(ClosedJaxpr(alone, ()))(*known.values())


def _call(name: str) -> Callable[..., list[Any]]:
    return lambda params, arrays, values: _run(params[name], arrays, values)


def _cond(params: Any, arrays: Any, values: Sequence[Any]) -> list[Any]:
    branch = lambda closed: lambda *operands: _run(closed, arrays, operands)  # noqa: E731
    index, *operands = values
    return jax.lax.switch(index, [branch(closed) for closed in params["branches"]], *operands)


def _while(params: Any, arrays: Any, values: Sequence[Any]) -> list[Any]:
    tested, turned = params["cond_nconsts"], params["body_nconsts"]
    of_test, of_body = values[:tested], values[tested : tested + turned]

    def test(carry: Any) -> Any:
        return _run(params["cond_jaxpr"], arrays, [*of_test, *carry])[0]

    def body(carry: Any) -> Any:
        return _run(params["body_jaxpr"], arrays, [*of_body, *carry])

    return jax.lax.while_loop(test, body, list(values[tested + turned :]))


def _scan(params: Any, arrays: Any, values: Sequence[Any]) -> list[Any]:
    fixed, count = params["num_consts"], params["num_carry"]
    consts, carry, rows = values[:fixed], values[fixed : fixed + count], values[fixed + count :]

    def body(carry: Any, row: Any) -> Any:
        outputs = _run(params["jaxpr"], arrays, [*consts, *carry, *row])
        return outputs[:count], outputs[count:]

    turns = {name: params[name] for name in ("length", "reverse", "unroll")}
    carry, rows = jax.lax.scan(body, list(carry), list(rows), **turns)
    return [*carry, *rows]


_OPENED: dict[str, Callable[..., list[Any]]] = {
    "jit": _call("jaxpr"),
    "custom_jvp_call": _call("call_jaxpr"),
    "custom_vjp_call": _call("call_jaxpr"),
    "cond": _cond,
    "while": _while,
    "scan": _scan,
}


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


def _form(jaxpr: Any) -> tuple[Any, ...]:
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
    if _is_program(value):
        consts = tuple(_key(x) for x in getattr(value, "consts", ()))
        return _form(getattr(value, "jaxpr", value)), consts
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
    return kind, array.dtype, array.shape, _digest(np.ascontiguousarray(array).tobytes())


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()
