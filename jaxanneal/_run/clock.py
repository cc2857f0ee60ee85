"""Wall clock of one call, compilation apart."""

import contextlib
import time
from collections.abc import Iterator


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
