"""Verbs that loop on the host, and so cannot be part of another program."""

import threading
from typing import Any

import jax
from jax.extend import core

from jaxanneal._checks import refusal


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
    found = getattr(core, "get_opaque_trace_state", None)
    return (jax.core.get_opaque_trace_state if found is None else found)()  # pyright: ignore[reportAttributeAccessIssue]
