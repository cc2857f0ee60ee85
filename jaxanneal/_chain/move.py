"""What a move is, and how a user's function becomes one."""

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxanneal._chain.calls import describe, outline, traced
from jaxanneal._chain.energy import as_array
from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import refusal, strong
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


@pytree_dataclass
class Unregistered:
    """A user's move that is no pytree: it is part of the structure."""

    move: Any = static()

    def propose(self, key: jax.Array, params: Any, factor: ArrayLike) -> tuple[Any, Any]:
        """Return the user's proposal."""
        return traced("move.propose", self.move.propose, key, params, factor)

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
    got = f"the class {move.__name__}" if isinstance(move, type) else repr(move)
    expected = "a move, or a symmetric function (key, params) -> params"
    raise TypeError(refusal("move", expected, got, "Pass for example ja.moves.Gaussian()."))


def target_of(move: Any, params: Any) -> Any:
    """Return the acceptance rate that a move adapts to, ``None`` for one that does not adapt."""
    target = getattr(move, "target", None)
    return traced("move.target", target, params) if callable(target) else None


def largest_factor_of(move: Any, params: Any) -> jax.Array:
    """Return the factor beyond which a move makes no wider steps, infinite where it tells none."""
    largest = getattr(move, "largest_factor", None)
    factor = traced("move.largest_factor", largest, params) if callable(largest) else jnp.inf
    return jnp.asarray(factor, float)


def is_mixed(move: Any, params: Any) -> bool:
    """Return whether a move that adapts has parts that no factor changes."""
    mixed = getattr(move, "mixed", None)
    return bool(traced("move.mixed", mixed, params)) if callable(mixed) else False


def check_of(move: Any, params: Any) -> None:
    """Let a move refuse the start of one chain; its numbers must be known."""
    check = getattr(move, "check", None)
    if callable(check):
        traced("move.check", check, params)


def propose(
    key: jax.Array, old: Parameters, move: Move, factor: ArrayLike
) -> tuple[Parameters, jax.Array]:
    """Ask the move for a proposal, and refuse one that is not made like the state."""
    returned = traced("move.propose", move.propose, key, old.tree, factor)
    if not isinstance(returned, tuple) or len(returned) != 2 or returned[1] is None:
        remedy = "Return (params, 0.0) if the move is symmetric."
        raise TypeError(
            refusal("move: propose", "(params, log_hastings)", describe(returned), remedy)
        )
    proposal, log_hastings = returned
    new = Parameters.of(proposal, path="proposal")
    remedy = "A move returns params of the same structure, shapes and dtypes."
    if new.structure != old.structure:
        expected = f"the structure {outline(old.tree)} with the same fixed leaves"
        raise TypeError(refusal("move", expected, outline(proposal), remedy))
    for path, a, b in zip(old.structure.paths(), old.leaves, new.leaves, strict=True):
        if a.shape != b.shape or a.dtype != b.dtype:
            raise TypeError(refusal(f"move: {path}", describe(a), describe(b), remedy))
    hastings = as_array(log_hastings)
    if hastings is None or hastings.shape != () or jnp.iscomplexobj(hastings):
        got = describe(log_hastings if hastings is None else hastings)
        remedy = "Sum it over what was drawn; 0.0 if the move is symmetric."
        raise TypeError(refusal("move: log_hastings", "one real scalar", got, remedy))
    return new, hastings
