"""What needs a program of its own: the energy, the width of a block, devices, and records."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxanneal._chain.parameters import Parameters
from jaxanneal._engine.sharding import Axes, Spread, axes_of


class Layout(NamedTuple):
    """How a run records: chosen once per call.

    Args:
        summarise: Whether records hold a summary over chains.
        capacity: Records in the buffer.
    """

    summarise: bool
    capacity: int


class Data(NamedTuple):
    """What a program is given besides the state.

    Args:
        args: The arrays among the user's data.
        energy: The arrays that the energy closes over.
        observe: Those that ``observe`` closes over.
    """

    args: Any = ()
    energy: Any = ()
    observe: Any = ()


class Setup(NamedTuple):
    """The static part of a call; equal ones share a program, whatever their numbers.

    Args:
        energy: What the energy computes of constants, parameters and data.
        width: Chains per block.
        spread: The devices, ``None`` for one.
        observe: What to record of the same, or ``None``.
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

    def value_of(self, data: Data) -> Callable[[Parameters], jax.Array]:
        """Return the energy as a function of the parameters of one chain."""
        return lambda params: self.energy(data.energy, params, data.args)
