"""What ends a run from outside, Ctrl-C and SIGTERM, and the clock that tells its seconds."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator


class Interruption:
    """Whether the user, or whoever ends processes, asked to stop."""

    def __init__(self) -> None:
        self.requested = False


@contextlib.contextmanager
def interruptible() -> Iterator[Interruption]:
    """Note the first Ctrl-C or SIGTERM, so that a run ends between two chunks.

    A second Ctrl-C raises at once, a second SIGTERM kills. Off the main thread, or where the
    application has its own handler, nothing is installed.
    """
    interruption = Interruption()

    def note(signum: int, frame: object) -> None:
        if interruption.requested:
            if signum == signal.SIGINT:
                raise KeyboardInterrupt
            signal.signal(signum, signal.SIG_DFL)
            os.kill(os.getpid(), signum)
        interruption.requested = True

    replaced = {}
    if threading.current_thread() is threading.main_thread():
        defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        replaced = {n: old for n, old in defaults.items() if signal.getsignal(n) is old}
    for number in replaced:
        signal.signal(number, note)
    try:
        yield interruption
    finally:
        for number, old in replaced.items():
            signal.signal(number, old)


class Clock:
    """Tell running from compiling."""

    def __init__(self) -> None:
        self.begin = time.perf_counter()
        self.compiling = 0.0
        self.earlier = 0.0  # seconds of earlier calls that this one goes on from by a checkpoint

    @contextlib.contextmanager
    def preparing(self) -> Iterator[None]:
        """Count what is done here as compiling.

        In a new process much of it is: JAX compiles each operation on the host once.
        """
        begin, before = time.perf_counter(), self.compiling
        try:
            yield
        finally:  # with the programs that were compiled meanwhile
            self.compiling = before + time.perf_counter() - begin

    @property
    def seconds(self) -> float:
        """Seconds since the call began, without those spent compiling."""
        return time.perf_counter() - self.begin - self.compiling
