"""What a function computes: its jaxpr, and apart from it the arrays that it closes over.

A program is kept by what the user's functions compute and not by which objects they are: a notebook
cell that is run again compiles nothing. What they close over is data of the program, never stale.
"""

import pickle
import re
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, jaxpr_as_fun

from jaxanneal._chain.calls import UNBATCHED
from jaxanneal._chain.form import digest, form_of
from jaxanneal._chain.jaxprs import as_data, equations, hides, kind_of, lifted, live_variables
from jaxanneal._checks import refusal
from jaxanneal._pytree import pytree_dataclass, static

# Where a function or object lies in memory, which is another place in every process.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+|\b0x[0-9a-fA-F]{6,}")


class Computation:
    """What a function computes of inputs of known shapes; two are equal if they compute the same.

    Args:
        jaxpr: The trace, with what the function closes over as its constants.
        outputs: The structure of what it returns.
        name: What the user's function is called, which is no part of what it computes.
    """

    def __init__(self, jaxpr: Any, outputs: Any, name: str):
        self._jaxpr, self._outputs, self.name = jaxpr, outputs, name
        self._form = (form_of(jaxpr), outputs)
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
        return any("callback" in equation.primitive.name for equation in equations(self._jaxpr))

    @property
    def reads(self) -> list[bool]:
        """Whether the outputs depend on each leaf of the inputs, as far as that is seen."""
        live = live_variables(self._jaxpr, [True] * len(self._jaxpr.outvars))
        return [variable in live for variable in self._jaxpr.invars]

    @property
    def digest(self) -> str:
        """A text that tells it apart from others in every process, callbacks excepted."""
        return digest(_ADDRESS.sub("", repr(self._form)).encode())


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
        closed, outputs = make(*jax.tree.map(kind_of, inputs))
        if hides(closed.jaxpr):
            closed = lifted(closed)
    pairs = zip(closed.consts, closed.jaxpr.constvars, strict=True)
    constants = tuple(as_data(constant, variable.aval) for constant, variable in pairs)
    return Traced(constants, Computation(closed.jaxpr, jax.tree.structure(outputs), name))


def batchable(name: str, traced: Traced) -> Traced:
    """Return a traced function, or refuse one whose callback cannot be called for many chains.

    Raises:
        TypeError: It says not how, or its calls are ordered.
    """
    for equation in equations(traced.computation._jaxpr):
        kind, params = equation.primitive.name, equation.params
        if "vmap_method" in params and params["vmap_method"] is None:
            raise TypeError(refusal(name, *UNBATCHED["vmap_method"]))
        if kind == "io_callback" and params.get("ordered"):
            raise TypeError(refusal(name, *UNBATCHED["ordered IO callback"]))
    return traced
