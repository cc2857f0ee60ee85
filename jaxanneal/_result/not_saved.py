"""What a file cannot hold: functions, and data that is told apart without being kept."""

import hashlib

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.parameters import Parameters
from jaxanneal._pytree import pytree_dataclass, static


@pytree_dataclass
class NotSaved:
    """Stands for a user's function or object after loading, until the user gives it again."""

    what: str = static()


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
