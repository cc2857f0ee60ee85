"""Ctrl-C that ends a run with its result, instead of a traceback without one."""

import contextlib
import signal
import threading
from collections.abc import Iterator


class Interruption:
    """Whether the user asked to stop."""

    def __init__(self) -> None:
        self.requested = False


@contextlib.contextmanager
def interruptible() -> Iterator[Interruption]:
    """Note the first Ctrl-C, so that a run ends between two chunks; a second one raises at once.

    Off the main thread, or where the application has its own handler, nothing is installed.
    """
    interruption = Interruption()
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield interruption
        return

    def note(signum: int, frame: object) -> None:
        if interruption.requested:
            raise KeyboardInterrupt
        interruption.requested = True

    signal.signal(signal.SIGINT, note)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
