"""Annealing whose chains learn from each other, for ``minimize``: it samples nothing."""

from typing import Any

from jaxanneal._chain.parameters import Parameters
from jaxanneal._kernels.population import Learning, Limits, OneLeaf
from jaxanneal._kernels.protocol import Kernel
from jaxanneal._methods.simulated_annealing import SimulatedAnnealing
from jaxanneal._pytree import pytree_subclass
from jaxanneal.moves._box import limits_of_move


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
