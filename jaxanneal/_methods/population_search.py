"""Annealing whose chains learn from each other, for ``minimize``: it samples nothing."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from jaxanneal._chain.parameters import Parameters
from jaxanneal._kernels.population import Learning, Limits, OneLeaf
from jaxanneal._kernels.protocol import Kernel
from jaxanneal._methods.simulated_annealing import SimulatedAnnealing
from jaxanneal._pytree import pytree_subclass
from jaxanneal.cooling import Geometric
from jaxanneal.moves._box import limits_of_move

# The knee of the cooling: this share of the steps comes to this share of the start, where states
# are settled; the others come to the end, where each is refined.
_KNEE_STEPS, _KNEE = 0.7, 1e-3


@pytree_subclass
class Quench(Geometric):
    """Cool in two stages: slowly to a thousandth of the start, then fast to the end."""

    def __call__(self, step: ArrayLike) -> jax.Array:
        """Return the temperature at ``step``."""
        assert self.steps is not None
        done = jnp.minimum(jnp.asarray(step).astype(self.steps.dtype) / self.steps, 1.0)
        slow = jnp.minimum(done / _KNEE_STEPS, 1.0)
        fast = jnp.maximum(done - _KNEE_STEPS, 0.0) / (1 - _KNEE_STEPS)
        return self.start * _KNEE**slow * (self.end / (_KNEE * self.start)) ** fast


@pytree_subclass
class PopulationSearch(SimulatedAnnealing):
    """Anneal chains that also take blocks over from each other and add each other's differences.

    Args: those of :class:`SimulatedAnnealing`; ``replace_every`` is the round after which chains
        see where others are.
    """

    def kernel(self, move: Any, params: Any) -> Kernel:
        """Return what makes one step of one chain."""
        one = Parameters.of(params)
        lower, upper, held = limits_of_move(move, one)
        assert self.replace_every is not None
        alone = move if len(one.leaves) == 1 else OneLeaf(move)
        inner = super().kernel(alone, params)
        return Learning(inner, Limits(lower, upper), held, self.replace_every)
