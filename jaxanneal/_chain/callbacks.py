"""Errors that a callback raises while a compiled program runs: XLA makes a text of them."""

import builtins
import contextlib
import logging
import os
from collections.abc import Callable, Iterator
from typing import Any

import jax

from jaxanneal._chain.calls import annotate, at_run_time
from jaxanneal._checks import refusal

# Where JAX logs what a callback raised, before XLA makes a text of it.
_LOGGER = logging.getLogger("jax._src.callback")

_TRACEBACK, _FRAME = "Traceback (most recent call last):\n", '  File "'
# The file of JAX that looks at what a callback returned.
_OF_JAX = os.path.join(os.path.dirname(str(jax.__file__)), "_src", "callback.py")


class _Heard(logging.Handler):
    """Keep the errors that are logged. Without a handler they are printed beside being raised."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.errors: list[BaseException] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the error of a record."""
        if record.exc_info is not None and record.exc_info[1] is not None:
            self.errors.append(record.exc_info[1])


@contextlib.contextmanager
def callback_errors(argument: Callable[[], str] = lambda: "energy") -> Iterator[None]:
    """Raise what a callback raised, with a note, in place of XLA's error about it.

    Args:
        argument: Returns which argument calls back; asked for after an error alone.

    Raises:
        TypeError: A callback returned something else than it declares.
        BaseException: What it raised.
    """
    heard = _Heard()
    _LOGGER.addHandler(heard)
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        text = str(error)
        own = _heard(text, heard.errors) or _read(text)
        if own is None and _TRACEBACK not in text:  # it is no callback's
            raise
        name = argument()
        if own is None:
            expected = "a callback that returns what its jax.ShapeDtypeStruct declares"
            got = _last(text)[1].rstrip(".")
            raise TypeError(refusal(name, expected, got, "Return such an array.")) from None
        annotate(own, at_run_time(name, _remedy(name, own)))
        context = own.__context__  # the user's own, which raising here would replace
        try:
            raise own
        finally:
            own.__context__ = context
    finally:
        _LOGGER.removeHandler(heard)


def _remedy(name: str, error: BaseException) -> str:
    if "read-only" in str(error) or "immutable" in str(error):
        return "The arrays that it gets cannot be written to: copy them, x = np.array(x)."
    if "energy" in name:
        return "Return jnp.inf where a state is not allowed: the chain stays where it is."
    return "Call it by yourself with arrays of the same shapes."


def _heard(text: str, errors: list[BaseException]) -> BaseException | None:
    """Return the error that XLA's text is about; those of other threads are heard, too."""
    about = (e for e in reversed(errors) if type(e).__name__ in text and str(e) in text)
    return next(about, None)


def _read(text: str) -> BaseException | None:
    """Make the error of a callback anew from XLA's text.

    ``None`` where JAX raised it, because of what the callback returned.
    """
    frame, message = _last(text)
    if not frame or _OF_JAX in frame:
        return None
    kind, _, said = message.partition(": ")
    known: Any = getattr(builtins, kind, None)
    if isinstance(known, type) and issubclass(known, BaseException):
        return known(said)
    return RuntimeError(message)


def _last(text: str) -> tuple[str, str]:
    """Return the last frame of a traceback, and what was raised there."""
    lines = text.rpartition(_TRACEBACK)[2].splitlines()
    frames = [i for i, line in enumerate(lines) if line.startswith(_FRAME)]
    last = frames[-1] if frames else -1
    after = next((i for i in range(last + 1, len(lines)) if lines[i][:1] != " "), len(lines))
    return (lines[last] if frames else ""), "\n".join(lines[after:])
