"""What a run hands to the call that goes on from it."""

from typing import Any, NamedTuple

from jaxanneal._chain.parameters import Parameters
from jaxanneal._engine.state import State
from jaxanneal._result.box import Box


class Continuation(NamedTuple):
    """What another call needs to go on: the state, and what it was made with.

    Args:
        engine_state: The state of all chains.
        method: The method as the host knows it: with the user's own schedule.
        energy: The energy function, told apart from another one; not saved in a file.
        args: The data, compared by value; after loading, a digest of it.
        width: Chains per block: part of the run's identity.
        evaluations: Energy evaluations so far.
        box: Bounds and frozen leaves of a move that was not saved in a file, for polish.
    """

    engine_state: State
    method: Any
    energy: Any
    args: Parameters | str
    width: int
    evaluations: int
    box: Box | None = None
