"""The fingerprint of a call: named texts, equal if and only if the call gives the same numbers.

What only decides when to stop looking or what to show is not in it: ``max_seconds``, ``callback``,
``progress``, the checkpoint's own numbers, and where the chains lie.
"""

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np

from jaxanneal._chain.energy import evaluate
from jaxanneal._chain.move import propose
from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import refusal
from jaxanneal._engine.compile import TRACED
from jaxanneal._engine.programs import Setup
from jaxanneal._engine.sharding import default_device, own
from jaxanneal._methods.protocol import NEVER
from jaxanneal._methods.schedule import Function, tabulate
from jaxanneal._run.limits import Limits
from jaxanneal._version import __version__

# So many numbers and letters are shown as they are, and of longer arrays and texts a digest.
_SHOWN, _LETTERS = 4, 120

# Steps of a schedule of the user's that are looked at, evenly spread over the run.
_PROBES = 1024

# Where a function or object lies in memory, which is another place in every process.
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+|\b0x[0-9a-fA-F]{6,}")

# Parts that differ and are named in a refusal: more would hide the first.
_NAMED = 4


def fingerprint(
    setup: Setup, state: Any, args: Parameters, limits: Limits, method: Any, origin: dict[str, str]
) -> dict[str, str]:
    """Return the parts of a call by name.

    Args:
        setup: The static part of the call.
        state: The state of the call, or its shapes.
        args: The data.
        limits: Of which steps, target, patience and thinning matter.
        method: The method before anything was calibrated.
        origin: Where the run begins: see :func:`from_start` and :func:`from_state`.
    """
    device = default_device()
    found = {
        "jaxanneal": __version__,
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,  # pyright: ignore[reportPrivateImportUsage]
        "numpy": np.__version__,
        "kind of device": f"{device.platform} {device.device_kind}",
    }
    found |= {name: str(getattr(jax.config, name)) for name in TRACED}
    found |= {"method": type(method).__name__, "chains": " x ".join(map(str, method.shape))}
    named = ("steps", "target", "patience", "record_every")
    found |= {name: _given(getattr(limits, name)) for name in named}
    found |= {"block": str(setup.width), "layout of the history": str(setup.layout)}
    found |= origin | numbers("method", method) | numbers("args", args.tree)
    cooling = method.cooling
    if isinstance(cooling, Function):
        steps = np.linspace(0, limits.steps - 1, _PROBES).round().astype(int)
        found["method.cooling at some steps"] = _shown(tabulate(cooling, steps))
    return found | _programs(setup, state, args)


def _given(limit: Any) -> str:
    """Return a limit as it was given: ``None`` where there is none."""
    return str(None if limit in (None, NEVER, -np.inf) else limit)


def from_start(key: jax.Array, starts: Parameters, move: Any) -> dict[str, str]:
    """Return the parts of a run that begins at starts ``[chains, ...]``."""
    return {"key": _shown(key)} | numbers("move", move) | numbers("params", starts.tree)


def from_state(state: Any, move: Any) -> dict[str, str]:
    """Return the parts of a run that goes on from a state."""
    return numbers("move", move) | numbers("state", state)


def numbers(name: str, tree: Any) -> dict[str, str]:
    """Return the structure of a tree and each of its leaves, by path."""
    leaves, treedef = jax.tree_util.tree_flatten_with_path(tree)
    found = {f"structure of {name}": _short(_bare(str(treedef)))}
    for path, leaf in leaves:
        found[name + jax.tree_util.keystr(path)] = _shown(leaf)
    return found


def require_same(directory: str, saved: dict[str, str], given: dict[str, str]) -> None:
    """Refuse to go on from the saves of another call.

    Raises:
        ValueError: With the parts that differ, as saved and as given.
    """
    differing = [name for name in {**given, **saved} if saved.get(name) != given.get(name)]
    if differing:
        expected = f"the call that was saved there, with {_listed(differing, saved)}"
        remedy = "Make that call again, or name another directory, or delete this one."
        got = _listed(differing, given)
        raise ValueError(refusal(f"checkpoint {directory}", expected, got, remedy))


def _listed(names: list[str], parts: dict[str, str]) -> str:
    more = f", and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(f"{name} = {parts.get(name, 'none')}" for name in names[:_NAMED]) + more


def _programs(setup: Setup, state: Any, args: Parameters) -> dict[str, str]:
    """Return digests of what the user's functions compute for one chain."""
    params = jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), state.chains._params
    )
    factor = jax.ShapeDtypeStruct((), state.log_factor.dtype)
    found = {
        "energy": _traced(lambda p, a: evaluate(setup.energy, p.tree, a.tree), params, args),
        "what the move does": _traced(propose, state.key, params, state.move, factor),
    }
    if setup.observe is not None:
        observe: Any = setup.observe
        found["observe"] = _traced(lambda p, a: observe(p.tree, *a.tree), params, args)
    return found


def _traced(function: Any, *inputs: Any) -> str:
    # Shapes alone: the text may also name the devices of an array.
    shapes = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype), inputs)
    closed = jax.make_jaxpr(function)(*shapes)
    sha = hashlib.blake2b(_bare(str(closed)).encode(), digest_size=16)
    for constant in _constants(closed):
        sha.update(_shown(constant).encode())
    return sha.hexdigest()


def _constants(program: Any) -> Iterator[Any]:
    """Yield the arrays that a traced function closes over, which its text does not show."""
    yield from getattr(program, "consts", ())
    inner = getattr(program, "jaxpr", program)
    for equation in inner.eqns:
        for value in equation.invars:
            if np.size(getattr(value, "val", ())):
                yield value.val
        for value in jax.tree.leaves(list(equation.params.values()), is_leaf=_is_program):
            if _is_program(value):
                yield from _constants(value)


def _is_program(value: Any) -> bool:
    return hasattr(value, "eqns") or hasattr(value, "jaxpr")


def _shown(leaf: Any) -> str:
    """Return a short text that tells a leaf apart."""
    if not hasattr(leaf, "dtype"):
        return _short(_bare(repr(leaf)))
    leaf = own(leaf)  # where processes share it, each has it
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return f"a key of {_shown(jax.random.key_data(leaf))} ({jax.random.key_impl(leaf)})"
    values = np.asarray(leaf)
    kind = f"{values.dtype.name}{list(values.shape)}"
    if values.size <= _SHOWN:
        return f"{kind} {values.tolist()}"
    return f"{kind} of digest {_digest(np.ascontiguousarray(values).reshape(-1).view(np.uint8))}"


def _short(text: str) -> str:
    if len(text) <= _LETTERS:
        return text
    return f"{text[:_LETTERS]}... of digest {_digest(text.encode())}"


def _digest(data: Any) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def _bare(text: str) -> str:
    return _ADDRESS.sub("", text)
