"""What ends a run from outside, Ctrl-C and SIGTERM, and the clock that tells its seconds."""

import contextlib
import math
import os
import signal
import threading
import time
from collections.abc import Iterator

# Of the process, as signals are. After SIGTERM no call begins, and a script that loops over runs
# ends; of two Ctrl-C in a row the second is meant for the script, whichever run it meets.
_TERMINATED = threading.Event()
_CTRL_C = [-math.inf]  # when the last one came
_IN_A_ROW = 2.0  # seconds


class Interruption:
    """Whether the user, or whoever ends processes, asked to stop; itself the handler of signals."""

    def __init__(self) -> None:
        self.requested = False

    def __call__(self, signum: int, frame: object) -> None:
        """Note a signal; raise at the second Ctrl-C, and end the process at a second SIGTERM."""
        again = self.requested
        if signum == signal.SIGINT:
            now = time.monotonic()
            again |= now - _CTRL_C[0] < _IN_A_ROW
            _CTRL_C[0] = now
        self.requested = True
        if again and signum == signal.SIGINT:
            raise KeyboardInterrupt
        if signum == signal.SIGTERM:
            _TERMINATED.set()
            if again:
                signal.signal(signum, signal.SIG_DFL)
                os.kill(os.getpid(), signum)


@contextlib.contextmanager
def interruptible() -> Iterator[Interruption]:
    """Note the first Ctrl-C or SIGTERM, so that a run ends between two chunks with its result.

    A second Ctrl-C, in the same run or within two seconds, raises at once; a second SIGTERM kills.
    A call within a call, such as in a callback, ends with it. Off the main thread, or where the
    application has its own handler, nothing is installed.

    Raises:
        SystemExit: SIGTERM came in an earlier call; with the status 143 that shells give it.
    """
    main = threading.current_thread() is threading.main_thread()
    outer = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    within = next((x for x in outer if main and isinstance(x, Interruption)), None)
    if within is not None:
        yield within
        return
    if _TERMINATED.is_set():
        raise SystemExit(128 + signal.SIGTERM)
    interruption = Interruption()
    replaced = {}
    if main:
        defaults = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        replaced = {n: old for n, old in defaults.items() if signal.getsignal(n) is old}
    for number in replaced:
        signal.signal(number, interruption)
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
