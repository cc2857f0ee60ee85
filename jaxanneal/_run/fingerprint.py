"""The fingerprint of a call: named texts, equal if and only if the call gives the same numbers.

Checkpoints and the stores of sweeps are told apart by the same functions. What only decides when to
stop looking or what to show is not in it: ``max_seconds``, ``callback``, ``progress``, the
checkpoint's own numbers, and where the chains lie.
"""

import hashlib
import re
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

from jaxanneal._chain.calls import outline
from jaxanneal._chain.computation import Traced, trace
from jaxanneal._chain.own_move import OwnMove, as_given
from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import refusal
from jaxanneal._engine.compile import TRACED
from jaxanneal._engine.sharding import default_device, own
from jaxanneal._methods.own_method import Own, users_object
from jaxanneal._methods.protocol import NEVER
from jaxanneal._methods.schedule import Function, bind, tabulate
from jaxanneal._pytree import path_text, replace
from jaxanneal._version import __version__

# So many numbers and letters are shown as they are, and of longer arrays and texts a digest.
_SHOWN, _LETTERS = 4, 120

# What the parts are called that say what functions compute.
COOLING, MOVE = "what the cooling does", "what the move does"
METHOD = "what the method does"

# Ends the digest of a program that calls Python on the host, which no digest sees.
_CALLS_BACK = " with a callback"

# Steps of a schedule of the user's that are looked at, evenly spread over the run.
_PROBES = 1024

# Where a function or object lies in memory, which is another place in every process.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+|\b0x[0-9a-fA-F]{6,}")

# Parts that differ and are named in a refusal: more would hide the first.
_NAMED = 4


def fingerprint(driver: Any, method: Any, origin: dict[str, str], first: int = 0) -> dict[str, str]:
    """Return the parts of a call by name.

    Args:
        driver: The call's driver. Of its limits steps, target, patience and thinning matter.
        method: The method before anything was calibrated.
        origin: Where the run begins: see :func:`from_start` and :func:`from_state`.
        first: Step at which it begins.
    """
    setup, state, args, limits = driver.setup, driver.template, driver.args, driver.limits
    parts = environment()
    parts |= {
        "method": type(users_object(method)).__name__,
        "chains": " x ".join(map(str, method.shape)),
    }
    named = ("steps", "target", "patience", "max_evaluations", "record_every")
    parts |= {name: _given(getattr(limits, name)) for name in named}
    parts |= {"block": str(setup.width), "layout of the history": str(setup.layout)}
    parts |= origin | numbers("method", users_object(method)) | numbers("args", args.tree)
    parts[COOLING] = cooling_digest(method, first, limits.steps)
    parts[METHOD] = method_digest(method)
    parts["energy"] = traced_digest(driver.energy)
    parts[MOVE] = move_digest(state.move)
    if setup.observe is not None:
        parts["observe"] = traced_digest(Traced(driver.data.observe, setup.observe))
    return parts


def environment() -> dict[str, str]:
    """Return what the numbers of any call depend on besides its arguments."""
    device = default_device()
    versions = {
        "jaxanneal": __version__,
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,  # pyright: ignore[reportPrivateImportUsage]
        "numpy": np.__version__,
        "kind of device": f"{device.platform} {device.device_kind}",
    }
    return versions | {name: str(getattr(jax.config, name)) for name in TRACED}


def _given(limit: Any) -> str:
    """Return a limit as it was given: ``None`` where there is none."""
    return str(None if limit in (None, NEVER, -np.inf) else limit)


def from_start(key: jax.Array, starts: Parameters, move: Any) -> dict[str, str]:
    """Return the parts of a run that begins at starts ``[chains, ...]``."""
    given = numbers("move", as_given(move))
    return {"key": shown(key)} | given | numbers("params", starts.tree)


def from_state(state: Any, move: Any) -> dict[str, str]:
    """Return the parts of a run that goes on from a state."""
    state = replace(state, move=as_given(state.move))
    return numbers("move", as_given(move)) | numbers("state", state)


def numbers(name: str, tree: Any) -> dict[str, str]:
    """Return the structure of a tree and each of its leaves, by path."""
    leaves, treedef = jax.tree_util.tree_flatten_with_path(tree)
    structure = {f"structure of {name}": form(name, tree, treedef)}
    return structure | {name + path_text(path): shown(leaf) for path, leaf in leaves}


def form(name: str, tree: Any, treedef: Any) -> str:
    """Return a short text that tells a structure apart: in words, and a digest of what has none."""
    # What a run keeps is of classes of our own.
    words = "that of a run" if name == "state" else short(_bare(outline(tree, lambda _: "*")))
    text = _bare(str(treedef))
    # Dicts, lists and tuples are told apart by their words; other nodes may have more than those.
    return f"{words} of digest {_digest(text.encode())}" if "CustomNode" in text else words


def require_same(path: str, call: str, saved: dict[str, str], given: dict[str, str]) -> None:
    """Refuse to go on from what another call has saved.

    Args:
        path: What a refusal calls the place.
        call: The call that was saved, in words.
        saved: Its fingerprint.
        given: That of this call.

    Raises:
        ValueError: With the parts that differ, as saved and as given.
    """
    differing = [name for name in {**given, **saved} if saved.get(name) != given.get(name)]
    if differing:
        expected = f"{call}, with {_listed(differing, saved)}"
        remedy = "Make that call again, or name another directory, or delete this one."
        raise ValueError(refusal(path, expected, _listed(differing, given), remedy))


def _listed(names: list[str], parts: dict[str, str]) -> str:
    more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(f"{name} = {parts.get(name, 'none')}" for name in names[:_NAMED]) + more


def cooling_digest(method: Any, first: int, steps: int) -> str:
    """Return what tells a schedule apart besides its numbers: of a plain function some values."""
    cooling = bind(method.cooling, steps)
    if cooling is None:
        return "none"
    if isinstance(cooling, Function):
        probes = np.linspace(first, first + steps - 1, _PROBES).round().astype(int)
        return shown(tabulate(cooling, probes))
    step = jax.ShapeDtypeStruct((), np.int32)
    return program_digest(lambda cooling, step: cooling(step), cooling, step)


def method_digest(method: Any) -> str:
    """Return a digest of what a method of the user's own does; "none" for one of the library."""
    if not isinstance(method, Own):
        return "none"
    own = method.own
    return short(", ".join(map(traced_digest, (own.first, own.temperatures, own.exchange))))


def move_digest(move: Any) -> str:
    """Return a digest of what a move of the user's does; "none" for one of the library."""
    if not isinstance(move, OwnMove):
        return "none"
    parts = [traced_digest(x) for x in (move.proposal, move.rate, move.largest) if x is not None]
    return short(", ".join([*parts, f"mixed: {move.is_mixed}"]))


def program_digest(function: Any, *inputs: Any) -> str:
    """Return a digest of what a function computes, with the arrays that it closes over."""
    return traced_digest(trace(function, *inputs))


def traced_digest(traced: Traced) -> str:
    """Return a digest of a traced function and of the arrays that it closes over."""
    text = ", ".join([traced.computation.digest, *map(shown, traced.constants)])
    return _digest(text.encode()) + (_CALLS_BACK if traced.computation.calls_back else "")


def shown(leaf: Any) -> str:
    """Return a short text that tells a leaf apart."""
    if not hasattr(leaf, "dtype"):
        return short(_bare(repr(leaf)))
    leaf = own(leaf)  # where processes share it, each has it
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return f"a key of {shown(jax.random.key_data(leaf))} ({jax.random.key_impl(leaf)})"
    values = np.asarray(leaf)
    kind = f"{values.dtype.name}{list(values.shape)}"
    if values.size <= _SHOWN:
        return f"{kind} {values.tolist()}"
    return f"{kind} of digest {_digest(np.ascontiguousarray(values).reshape(-1).view(np.uint8))}"


def short(text: str) -> str:
    """Return a text as it is, or the beginning of a long one and a digest."""
    if len(text) <= _LETTERS:
        return text
    return f"{text[:_LETTERS]}... of digest {_digest(text.encode())}"


def _digest(data: Any) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _bare(text: str) -> str:
    return _ADDRESS.sub("", text)
