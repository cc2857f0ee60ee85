"""What a run hands to the call that goes on from it."""

import hashlib
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.parameters import Parameters
from jaxanneal._engine.starts import Begun
from jaxanneal._engine.state import State
from jaxanneal._pytree import pytree_dataclass, static
from jaxanneal.moves._box import Box


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
        begun: Where some of the chains began; ``None`` of a result saved without it.
        since: The step from which reports count: that at which a call went on with other
            temperatures or data, if one did.
    """

    engine_state: State
    method: Any
    energy: Any
    args: Parameters | str
    width: int
    evaluations: int
    box: Box | None = None
    begun: Begun | None = None
    since: int = 0


@pytree_dataclass
class NotSaved:
    """Stands for a user's function or object after loading, until the user gives it again."""

    what: str = static()

    @property
    def __name__(self) -> str:
        return self.what


def digest(data: Parameters) -> str:
    """Return a number that tells data apart: of paths, dtypes, shapes, values and fixed text.

    Functions among the data are left out, as the energy is.
    """
    sha = hashlib.sha256()
    for path, leaf in zip(data.structure.paths(), data.leaves, strict=True):
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            path += str(jax.random.key_impl(leaf))
            leaf = jax.random.key_data(leaf)
        values = np.asarray(leaf, order="C")
        sha.update(f"{path} {values.dtype.name} {values.shape}".encode())
        sha.update(values.tobytes())
    fixed = [(i, x) for i, x in data.structure.fixed if isinstance(x, str | bytes | bool)]
    sha.update(repr(fixed).encode())
    return sha.hexdigest()
