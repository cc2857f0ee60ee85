"""What a move is, and how a user's function becomes one."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jax.typing import ArrayLike

from jaxanneal._chain.calls import describe, name_of, outline, traced
from jaxanneal._chain.energy import as_array
from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import refusal, shown, strong
from jaxanneal._pytree import pytree_dataclass, static


@runtime_checkable
class Move(Protocol):
    """Propose new parameters of one chain.

    A class of your own needs ``propose`` alone. Register it as a pytree to have its numbers traced;
    otherwise the object is static, and another object compiles again. Four optional methods:
    ``target(params)`` returns the acceptance rate that ``factor`` should adapt to (without it the
    factor stays 1), ``largest_factor(params)`` the factor beyond which steps are no wider, where
    there is one, ``mixed(params)`` whether a part of each step is as it is whatever the factor (a
    bool, ``False`` without it), and ``check(params)`` refuses a start before anything compiles.
    """

    def propose(self, key: jax.Array, params: Any, factor: Any) -> tuple[Any, Any]:
        """Return the proposal and log q(old|new) - log q(new|old) for one chain.

        Args:
            key: Consumed.
            params: One chain's parameters, the user's tree.
            factor: Multiplies the step size, float ``[]``.
        """
        ...


@pytree_dataclass
class Symmetric:
    """A user's function ``(key, params) -> params``, promised to be symmetric."""

    function: Callable[[jax.Array, Any], Any] = static()

    def propose(self, key: jax.Array, params: Any, factor: ArrayLike) -> tuple[Any, Any]:
        """Return the function's proposal with a Hastings term of zero."""
        del factor
        return traced("move", self.function, key, params), 0.0

    @property
    def __name__(self) -> str:
        return name_of(self.function)


@pytree_dataclass
class Unregistered:
    """A user's move that is no pytree: it is part of the structure."""

    move: Any = static()

    def propose(self, key: jax.Array, params: Any, factor: ArrayLike) -> tuple[Any, Any]:
        """Return the user's proposal."""
        return traced("move.propose", self.move.propose, key, params, factor)

    @property
    def __name__(self) -> str:
        return name_of(self.move)

    def __getattr__(self, name: str) -> Any:
        """Return an optional method of the user's move, if it has it."""
        if name == "move":  # of a copy that is not filled yet
            raise AttributeError(name)
        return getattr(self.move, name)


def as_move(move: Any) -> Move:
    """Return a pytree move made from a move or a symmetric function.

    Raises:
        TypeError: ``move`` is neither, or a move's class instead of an instance.
    """
    if not isinstance(move, type) and isinstance(move, Move):
        leaves = jax.tree.leaves(move)
        if len(leaves) == 1 and leaves[0] is move:
            return Unregistered(move)
        return strong(move)
    if callable(move) and not isinstance(move, type):
        return Symmetric(move)
    got = f"the class {move.__name__}" if isinstance(move, type) else shown(move)
    expected = "a move, or a symmetric function (key, params) -> params"
    raise TypeError(refusal("move", expected, got, "Pass for example ja.moves.Gaussian()."))


def target_of(move: Any, params: Any) -> Any:
    """Return the acceptance rate that a move adapts to, ``None`` for one that does not adapt.

    Raises:
        TypeError: It is no real scalar.
        ValueError: It is known not to lie between 0 and 1.
    """
    rate = _optional(move, "target", params)
    remedy = "Return a rate such as 0.234, or None for a move that does not adapt."
    valid = lambda x: 0 < x < 1  # noqa: E731
    return None if rate is None else _known("target", rate, "between 0 and 1", valid, remedy)


def largest_factor_of(move: Any, params: Any) -> jax.Array:
    """Return the factor beyond which a move makes no wider steps, infinite where it tells none."""
    factor = _optional(move, "largest_factor", params)
    if factor is None:
        return jnp.asarray(jnp.inf, float)
    remedy = "Leave it out where steps get wider without end."
    valid = lambda x: x >= 0  # noqa: E731
    return _known("largest_factor", factor, ">= 0", valid, remedy).astype(float)


def is_mixed(move: Any, params: Any) -> bool:
    """Return whether a move that adapts has parts that no factor changes."""
    mixed = _optional(move, "mixed", params)
    if mixed is None or isinstance(mixed, bool | np.bool_):
        return bool(mixed)
    raise TypeError(refusal("move: mixed", "True or False", describe(mixed), "Return a bool."))


def check_of(move: Any, params: Any) -> None:
    """Let a move refuse the start of one chain; its numbers must be known."""
    _optional(move, "check", params)


def _optional(move: Any, name: str, params: Any) -> Any:
    """Return what an optional method of a move says of one chain, ``None`` without the method."""
    method = getattr(move, name, None)
    if method is not None and not callable(method):
        remedy = f"Write it as def {name}(self, params), or give the attribute another name."
        raise TypeError(refusal(f"move: {name}", "a method", shown(method), remedy))
    return None if method is None else traced(f"move.{name}", method, params)


def _known(
    name: str, value: Any, expected: str, valid: Callable[[Any], Any], remedy: str
) -> jax.Array:
    """Return one real scalar, or refuse what is none, or is known to be out of range."""
    array = _real_scalar(name, value, remedy)
    if not isinstance(array, Tracer) and not valid(np.asarray(array)):
        raise ValueError(refusal(f"move: {name}", f"a number {expected}", array, remedy))
    return array


def _real_scalar(name: str, value: Any, remedy: str) -> jax.Array:
    array = as_array(value)
    if array is None or array.shape != () or not _is_real(array.dtype):
        got = describe(value if array is None else array)
        raise TypeError(refusal(f"move: {name}", "one real scalar", got, remedy))
    return array


def _is_real(dtype: Any) -> bool:
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_))


def proposal_of(key: jax.Array, params: Any, move: Move, factor: Any) -> tuple[Any, jax.Array]:
    """Return what a move proposes for a tree, and its Hastings term, one real scalar."""
    returned = traced("move.propose", move.propose, key, params, factor)
    if not isinstance(returned, tuple) or len(returned) != 2 or returned[1] is None:
        remedy = "Return (params, 0.0) if the move is symmetric."
        raise TypeError(
            refusal("move: propose", "(params, log_hastings)", describe(returned), remedy)
        )
    remedy = "Sum it over what was drawn; 0.0 if the move is symmetric."
    return returned[0], _real_scalar("log_hastings", returned[1], remedy)


def propose(
    key: jax.Array, old: Parameters, move: Move, factor: Any
) -> tuple[Parameters, jax.Array]:
    """Ask the move for a proposal, and refuse one that is not made like the state."""
    proposal, hastings = proposal_of(key, old.tree, move, factor)
    new = Parameters.of(proposal, path="proposal")
    remedy = "A move returns params of the same structure, shapes and dtypes."
    if new.structure != old.structure:
        expected = f"the structure {outline(old.tree)} with the same fixed leaves"
        raise TypeError(refusal("move", expected, outline(proposal), remedy))
    for path, a, b in zip(old.structure.paths(), old.leaves, new.leaves, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            raise TypeError(refusal(f"move: {path}", describe(a), describe(b), remedy))
    return new, hastings
