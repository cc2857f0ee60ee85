"""Warnings in the name of the user's own line, however deep in the library they arise."""

import os
import pathlib
import sys
import warnings
from types import FrameType

import jax

# A user's function may be called by JAX, which we call.
_INSIDE = tuple(str(pathlib.Path(str(file)).parent) + os.sep for file in (__file__, jax.__file__))


def warn(text: str) -> None:
    """Warn of something in the line that called the library."""
    frame: FrameType | None = sys._getframe(1)
    level = 2  # warnings.warn counts this function as the first
    while frame is not None and frame.f_code.co_filename.startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)
