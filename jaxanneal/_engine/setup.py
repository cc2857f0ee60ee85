"""What needs a program of its own: the energy, the width of a block, devices, and records."""

from typing import Any, NamedTuple

from jaxanneal._engine.sharding import Axes, Spread, axes_of


class Layout(NamedTuple):
    """How a run records: chosen once per call.

    Args:
        summarise: Whether records hold a summary over chains.
        capacity: Records in the buffer.
    """

    summarise: bool
    capacity: int


class Setup(NamedTuple):
    """The static part of a call; equal ones share a program, whatever their numbers.

    Args:
        energy: The user's energy.
        width: Chains per block.
        spread: The devices, ``None`` for one.
        observe: What to record of the parameters, or ``None``.
        layout: How the run records.
    """

    energy: Any
    width: int
    spread: Spread | None = None
    observe: Any = None
    layout: Layout = Layout(False, 1)

    @property
    def axes(self) -> Axes:
        """Axes of the mesh over which chains are spread."""
        return axes_of(self.spread)
