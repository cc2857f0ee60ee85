"""Wall clock of one call, compilation apart."""

import time


class Clock:
    """Tell running from compiling."""

    def __init__(self) -> None:
        self.begin = time.perf_counter()
        self.compiling = 0.0
        self.earlier = 0.0  # seconds of earlier calls that this one goes on from by a checkpoint

    @property
    def seconds(self) -> float:
        """Seconds since the call began, without those spent compiling."""
        return time.perf_counter() - self.begin - self.compiling
