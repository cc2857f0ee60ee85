"""What the engine asks of a kernel; what is said here is right where a chain carries nothing."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from jaxanneal._chain.chain import Chain
from jaxanneal._chain.parameters import Parameters
from jaxanneal._pytree import pytree_dataclass


@pytree_dataclass
class Lane:
    """What one chain takes through the steps of a round.

    Args:
        chain: The chain.
        carried: What the kernel carries from step to step beside it.
        log_factor: Logarithm of its step-size factor, float ``[]``.
        accepted: Proposals accepted in this round, int8 ``[]``.
        nonfinite: Proposals without a finite energy so far, int ``[]``.
    """

    chain: Chain
    carried: Any
    log_factor: jax.Array
    accepted: jax.Array
    nonfinite: jax.Array


class Surroundings(NamedTuple):
    """What a chain sees of the run in one step.

    Args:
        step: Steps before this one, int ``[]``.
        number: The number of the chain, int ``[]``.
        temperature: Its temperature, float ``[]``.
        shared: What the method tells all chains, see ``Method.shared``.
        others: What all chains show of themselves, ``[chains, ...]``, for a kernel that asks for
            it; else ``None``.
        choice: The key by which all chains choose alike what moves in this step.
        factors: Step-size factors that chains share, of rows and of parts, for a kernel with pools;
            else ``None``.
    """

    step: jax.Array
    number: jax.Array
    temperature: jax.Array
    shared: Any = ()
    others: Any = None
    choice: Any = None
    factors: Any = None


class Kernel:
    """Make one step of one chain.

    A kernel is made of the method, the move and the parameters of a chain by ``Method.kernel``.
    Blocks, exchanges, history, checkpoints, devices and sweeps do not know which kernel runs.

    Args:
        asks_for_others: Whether a step looks at what other chains show of themselves.
        pools: Whether chains share step-size factors, see ``pools``.
    """

    asks_for_others = False
    pools = False

    def init(self, chain: Chain) -> Any:
        """Return what a chain carries before its first step."""
        return ()

    def step(
        self,
        key: jax.Array,
        lane: Lane,
        around: Surroundings,
        value_of: Callable[[Parameters], jax.Array],
    ) -> Lane:
        """Return the lane after one step.

        Args:
            key: Consumed.
            lane: The lane before.
            around: What it sees of the run.
            value_of: The energy as a function of the parameters.
        """
        raise NotImplementedError

    def shown(self, carried: Any) -> Any:
        """Return what a chain shows of itself to others, which is collected before each round.

        It may change at the end of a round of the method alone: where else a round is cut depends
        on records and on the clock.
        """
        raise NotImplementedError

    def refresh(self, carried: Any, chain: Chain) -> Any:
        """Return what a chain carries whose energies were evaluated again for other data."""
        return self.init(chain)
