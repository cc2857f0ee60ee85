"""The best distinct states of many chains."""

from typing import Any

import jax
import numpy as np

from jaxanneal._chain.chain import Chain
from jaxanneal._checks import count
from jaxanneal._engine.sharding import fetch


def distinct_best(chains: Chain, top: int) -> list[int]:
    """Return the chains with the lowest best energies, each state once, the best first.

    Chains that never had a finite energy are left out.
    """
    leaves = [fetch(leaf) for leaf in chains._best_params.leaves]
    energies = fetch(chains.best_energy)
    chosen: list[int] = []
    seen: set[bytes] = set()
    for chain in np.argsort(energies, kind="stable"):
        if not np.isfinite(energies[chain]):
            break
        state = b"".join(leaf[chain].tobytes() for leaf in leaves)
        if state not in seen:
            seen.add(state)
            chosen.append(int(chain))
        if len(chosen) == top:
            break
    return chosen


def best_states(chains: Chain, k: Any) -> Any:
    """Return the k best distinct states, or as many as there are, as the user's tree, stacked."""
    best = np.array(distinct_best(chains, count("k", k, 1, "Use 1 for the best state alone.")))
    return jax.tree.map(lambda x: x[best], chains._best_params).tree
