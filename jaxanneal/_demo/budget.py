"""How the demo shares its wall clock among its stages."""

import time

# Shares of the time that is left for running, and the seconds that compiling each stage takes.
_SHARES = {"SA": 0.15, "PT": 0.22, "polish": 0.04, "Adam": 0.26, "SA 0-1": 0.14, "PT 0-1": 0.19}
_COMPILING = {"SA": 3.0, "PT": 3.0, "polish": 3.0, "Adam": 2.0, "SA 0-1": 2.0, "PT 0-1": 2.0}
_FIGURE_SECONDS = 2.0


class Budget:
    """The wall clock of the whole command, shared among the stages that are still to come.

    How long a machine compiles is learnt from the stages that are over.
    """

    def __init__(self, deadline: float, stages: tuple[str, ...]):
        self.deadline, self.left = deadline, list(stages)
        self._expected = self._took = 0.0  # seconds of compiling so far
        self._begun: tuple[str, float, float] | None = None

    def next(self, stage: str) -> float:
        """Return the seconds that ``stage`` may run, compilation apart."""
        now = time.monotonic()
        if self._begun is not None:
            name, began, seconds = self._begun
            self._expected += _COMPILING[name]
            self._took += max(0.0, now - began - seconds)
        slower = max(1.0, self._took / self._expected) if self._expected else 1.0
        compiling = slower * (sum(_COMPILING[name] for name in self.left) + _FIGURE_SECONDS)
        usable = self.deadline - now - compiling
        share = _SHARES[stage] / sum(_SHARES[name] for name in self.left)
        self.left.remove(stage)
        seconds = max(0.5, share * usable)
        self._begun = stage, now, seconds
        return seconds
