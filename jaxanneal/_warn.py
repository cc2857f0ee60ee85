"""Warnings in the name of the user's own line, however deep in the library they arise."""

import pathlib
import sys
import warnings
from types import FrameType

_OWN = str(pathlib.Path(__file__).parent)


def warn(text: str) -> None:
    """Warn of something in the line that called the library."""
    frame: FrameType | None = sys._getframe(1)
    level = 2  # warnings.warn counts this function as the first
    while frame is not None and frame.f_code.co_filename.startswith(_OWN):
        frame, level = frame.f_back, level + 1
    warnings.warn(text, stacklevel=level)
