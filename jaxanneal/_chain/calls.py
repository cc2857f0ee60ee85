"""Calls of a user's functions: what one raises keeps its type, and says which argument raised."""

import contextlib
import inspect
from collections.abc import Callable
from typing import Any

import jax

from jaxanneal._checks import in_words, refusal
from jaxanneal._pytree import path_text

_UNTRACEABLE = (
    jax.errors.ConcretizationTypeError,
    jax.errors.TracerArrayConversionError,
    jax.errors.TracerIntegerConversionError,
    jax.errors.NonConcreteBooleanIndexError,
)

_STATE = "States are made like that of init, of arrays; write it with jax.numpy."
# What each argument is called with, and what most mistakes in it ask for.
_INPUTS: dict[str, tuple[tuple[str, ...], str]] = {
    "energy": (
        ("params",),
        "It gets one chain's parameters, without an axis of chains, and returns one real scalar: "
        "call it by yourself with arrays of these shapes.",
    ),
    "observe": (
        ("params",),
        "It gets what energy gets, for one chain, and returns arrays: call it by yourself.",
    ),
    "params": (
        ("key",),
        "It draws the start of one chain with jax.random from its key; pass starts that are made "
        "otherwise as ja.stacked(starts).",
    ),
    "move": (
        ("key", "params"),
        "It gets a key and one chain's parameters, and returns parameters of the same shapes.",
    ),
    "move.propose": (
        ("key", "params", "factor"),
        "It gets one chain's parameters, and returns (params, log_hastings).",
    ),
    "cooling": (
        ("step",),
        "It gets the step, an integer from 0 on, and returns one temperature.",
    ),
    "method.init": ((), "It returns the first state, a pytree of arrays."),
    "method.temperatures": (("state",), _STATE),
    "method.exchange": (("key", "state", "energies"), _STATE),
    "callback": (
        ("progress",),
        "It gets how far the run is, on the host, and returns True to stop it.",
    ),
    "optimizer.init": (("params",), "It is an optax optimiser, such as optax.adam(1e-2)."),
    "optimizer.update": (
        ("updates", "state", "params"),
        "It is an optax optimiser, such as optax.adam(1e-2).",
    ),
    "over": (("key",), "With draws= it draws one value with jax.random."),
}
_OF_A_MOVE = "It gets one chain's parameters; leave it out of the class where nothing needs it."
for _method in ("target", "largest_factor", "mixed", "check"):
    _INPUTS[f"move.{_method}"] = ("params",), _OF_A_MOVE

_BEGIN = "jaxanneal called "
_SHOWN = 8  # arrays that a note lists

# What JAX says of a callback that it cannot batch, and what is to be written.
UNBATCHED = {
    "vmap_method": (
        "a callback that says how it is called for many chains",
        "jax.pure_callback without vmap_method",
        'Write vmap_method="sequential" for a function of one chain, or "broadcast_all" for one '
        "that takes arrays with a leading axis of chains.",
    ),
    "ordered IO callback": (
        "a callback that may be called for many chains in any order",
        "jax.experimental.io_callback with ordered=True",
        'Leave ordered out, or use jax.pure_callback with vmap_method="sequential".',
    ),
}

_REMEDY = "Write it with jax.numpy, or wrap NumPy code or a simulator in jax.pure_callback."


def traced(name: str, function: Callable[..., Any], *inputs: Any, remedy: str = _REMEDY) -> Any:
    """Call a user's function; what it raises gets a note of the argument and its inputs.

    Args:
        name: The argument, such as ``energy`` or ``move.propose``.
        function: What the user passed; one of the library's own raises as it is.
        inputs: What it is called with.
        remedy: What to do where it needs numbers that JAX does not know yet.

    Raises:
        TypeError: It cannot be traced or batched, or does not take so many inputs.
        Exception: What it raises otherwise, with the note.
    """
    if _is_ours(function):
        return function(*inputs)
    try:
        return function(*inputs)
    except Exception as error:
        # NumPy hides it: an item assignment raises a ValueError of its own from it.
        cause = error if isinstance(error, _UNTRACEABLE) else error.__cause__
        if isinstance(cause, _UNTRACEABLE):
            got = f"{type(cause).__name__}: {str(cause).splitlines()[0].rstrip('.')}"
            text = refusal(
                name.partition(".propose")[0], "a function that JAX can trace", got, remedy
            )
            raise TypeError(text) from error
        for words, text in UNBATCHED.items():
            if isinstance(error, NotImplementedError | ValueError) and words in str(error):
                raise TypeError(refusal(name, *text)) from error
        if isinstance(error, TypeError):
            require_count(name, function, inputs)
        annotate(error, _called(name, inputs))
        raise


def annotate(error: BaseException, note: str) -> None:
    """Add a note that says which argument raised an error, unless it has one."""
    if notes_of(error):
        return
    with contextlib.suppress(Exception):  # an exception may refuse attributes
        error.add_note(note)


def notes_of(error: BaseException) -> list[str]:
    """Return the note of the argument that raised an error, if it has one."""
    return [note for note in getattr(error, "__notes__", ()) if note.startswith(_BEGIN)]


def rebuilding(name: str) -> str:
    """Return the note of an error in a class of the user's that JAX makes again of tracers."""
    return (
        f"{_BEGIN}what makes the nodes of {name} again: JAX does so with tracers and other "
        "placeholders. Check and convert where such an object is made, not in tree_unflatten."
    )


def at_run_time(name: str, remedy: str) -> str:
    """Return the note of an error that a callback raised while the compiled program ran."""
    return f"{_BEGIN}{name}, and a callback in it raised this on the host. {remedy}"


def describe(value: Any) -> str:
    """Return the dtype and shape of an array, or the type of anything else."""
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"{value.dtype}{list(value.shape)}"
    return type(value).__name__


def name_of(value: Any) -> str:
    """Return the name of a function, or of the class of an object."""
    return getattr(value, "__name__", type(value).__name__)


def outline(tree: Any, leaf: Callable[[Any], str] = describe) -> str:
    """Return a tree in the user's words, with dtypes and shapes in place of its arrays.

    Args:
        tree: Any tree, of nodes of any class.
        leaf: Returns what stands for a leaf.
    """
    if tree is None:
        return "None"
    # One level at a time as JAX sees it: a node may give its children any names, or none.
    nodes = jax.tree_util.tree_flatten_with_path(tree, is_leaf=lambda x: x is not tree)[0]
    if len(nodes) == 1 and nodes[0][1] is tree:
        return leaf(tree)
    if hasattr(tree, "__name__"):  # stands for a function or an object of the user's
        return tree.__name__
    if not nodes and type(tree) not in (dict, list, tuple):
        return in_words(repr(tree))
    parts = [(jax.tree_util.keystr(path, simple=True), outline(x, leaf)) for path, x in nodes]
    if type(tree) is dict:
        keys = (path[0].key for path, _ in nodes)
        return f"{{{', '.join(f'{key!r}: {x}' for key, (_, x) in zip(keys, parts, strict=True))}}}"
    if type(tree) in (list, tuple):
        inside = ", ".join(x for _, x in parts)
        comma = "," if type(tree) is tuple and len(parts) == 1 else ""
        return f"[{inside}]" if type(tree) is list else f"({inside}{comma})"
    return f"{type(tree).__name__}({', '.join(f'{name}={x}' for name, x in parts)})"


def _is_ours(function: Any) -> bool:
    return str(getattr(function, "__module__", "")).partition(".")[0] == "jaxanneal" and (
        inspect.isroutine(function)
    )


def _inputs(name: str, inputs: tuple[Any, ...]) -> tuple[list[str], str]:
    """Return what the inputs are called, and the remedy."""
    places, remedy = _INPUTS[name.partition("[")[0]]
    return [*places, *(f"args[{i}]" for i in range(len(inputs) - len(places)))], remedy


def _called(name: str, inputs: tuple[Any, ...]) -> str:
    names, remedy = _inputs(name, inputs)
    leaves = [
        f"{place}{path_text(path)}: {describe(leaf)}"
        for place, value in zip(names, inputs, strict=True)
        for path, leaf in jax.tree_util.tree_leaves_with_path(value)
    ]
    more = f", and {len(leaves) - _SHOWN} more" if len(leaves) > _SHOWN else ""
    shown = f" with {', '.join(leaves[:_SHOWN])}{more}" if leaves else ""
    return f"{_BEGIN}{name}({', '.join(names)}){shown}. {remedy}"


def require_count(name: str, function: Any, inputs: tuple[Any, ...]) -> None:
    """Refuse a function that does not take so many inputs, with both signatures."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):  # such as of functions written in C
        return
    try:
        signature.bind(*inputs)
    except TypeError:
        bare = [p.replace(annotation=p.empty) for p in signature.parameters.values()]
        takes = signature.replace(parameters=bare, return_annotation=signature.empty)
        remedy = "Let it take them all."
        if name in ("energy", "observe"):
            remedy = "Pass in args= what it takes after params, a tuple of as many entries."
        called = f"{name}({', '.join(_inputs(name, inputs)[0])})"
        expected = f"a function that can be called as {called}"
        raise TypeError(refusal(name, expected, f"one that takes {takes}", remedy)) from None
