"""Traces of JAX: what stands in them, and how to run one with its arrays taken from outside."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Literal, jaxpr_as_fun


def kind_of(x: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, x.dtype, weak_type=getattr(x, "weak_type", False))


def as_data(constant: Any, aval: Any) -> jax.Array:
    if isinstance(constant, jax.Array):
        return constant
    return jnp.asarray(np.array(constant), aval.dtype)  # a copy: the user may write to his own


def programs(equation: Any) -> Iterator[Any]:
    """Yield the jaxprs, closed or not, that an equation holds."""
    for value in equation.params.values():
        for part in value if isinstance(value, tuple | list) else (value,):
            if is_program(part):
                yield part


def is_program(value: Any) -> bool:
    return hasattr(value, "eqns") or (hasattr(value, "jaxpr") and hasattr(value, "consts"))


def equations(jaxpr: Any) -> Iterator[Any]:
    """Yield all equations of a jaxpr, those within others included."""
    for equation in jaxpr.eqns:
        yield equation
        for program in programs(equation):
            yield from equations(getattr(program, "jaxpr", program))


def live_variables(jaxpr: Any, needed: Sequence[bool]) -> set[Any]:
    """Return the variables that some of the outputs of a jaxpr depend on, or callbacks in it."""
    pairs = zip(jaxpr.outvars, needed, strict=True)
    live = {x for x, is_needed in pairs if is_needed and not isinstance(x, Literal)}
    for equation in reversed(jaxpr.eqns):
        outputs = [variable in live for variable in equation.outvars]
        if not (any(outputs) or equation.effects):
            continue
        used, flags = equation.invars, [True] * len(equation.invars)
        if equation.primitive.name == "jit":
            inner = equation.params["jaxpr"].jaxpr
            inside = live_variables(inner, outputs)
            flags = [variable in inside for variable in inner.invars]
        live |= {
            x for x, flag in zip(used, flags, strict=True) if flag and not isinstance(x, Literal)
        }
    return live


def hides(*jaxprs: Any) -> bool:
    """Return whether what jaxprs call closes over arrays, or has a rule for its derivative."""
    return any(
        equation.primitive.name.startswith("custom_")
        or any(getattr(program, "consts", ()) for program in programs(equation))
        for jaxpr in jaxprs
        for equation in equations(jaxpr)
    )


# What follows runs a trace with the arrays that it closes over anywhere taken from outside, and
# without rules for derivatives, which are new objects in each trace: nothing derives it any more.


def lifted(closed: Any) -> Any:
    """Return a trace that has all arrays that it closes over among its own constants."""
    arrays = {id(array): as_data(array, aval) for array, aval in _arrays(closed)}
    constants = list(arrays.values())

    def run(constants: Any, inputs: Any) -> Any:
        return _run(closed, dict(zip(arrays, constants, strict=True)), inputs)

    jaxpr = jax.make_jaxpr(run)(constants, [kind_of(aval) for aval in closed.in_avals]).jaxpr
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
            for program in programs(equation):
                yield from _arrays(program)


def _run(closed: Any, arrays: dict[int, Any], inputs: Sequence[Any]) -> list[Any]:
    """Run a trace, with an array for each that it and what it calls close over."""
    jaxpr = closed.jaxpr
    known = dict(zip(jaxpr.constvars, [arrays[id(x)] for x in closed.consts], strict=True))
    known |= dict(zip(jaxpr.invars, inputs, strict=True))
    read = lambda atom: atom.val if isinstance(atom, Literal) else known[atom]  # noqa: E731
    for equation in jaxpr.eqns:
        name, values = equation.primitive.name, [read(atom) for atom in equation.invars]
        inner = [getattr(program, "jaxpr", program) for program in programs(equation)]
        consts = any(getattr(program, "consts", ()) for program in programs(equation))
        if name in _OPENED and (name.startswith("custom_") or consts or hides(*inner)):
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
    if "ft_in" in params:  # JAX 0.12 has trees in the place of counts
        consts, carry, rows = (list(part) for part in params["ft_in"].update(values).unpack())
    else:
        fixed, count = params["num_consts"], params["num_carry"]
        consts, carry, rows = values[:fixed], values[fixed : fixed + count], values[fixed + count :]
    count = len(carry)

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
