"""Where chains start: one tree for all, a stacked tree, or an initialiser."""

import sys
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain import keys
from jaxanneal._chain.chain import Chain
from jaxanneal._chain.energy import describe, traced
from jaxanneal._chain.move import Move, check_of
from jaxanneal._chain.parameters import Parameters
from jaxanneal._checks import refusal
from jaxanneal._engine.sharding import fetch, take


class Stacked:
    """A tree with a leading chain axis."""

    def __init__(self, tree: Any):
        self.tree = tree


def stacked(tree: Any) -> Any:
    """Mark a tree that already has a leading chain axis, one start for each chain.

    Maths: chain c starts at ``tree[c]``.
    Batching: every array leaf is ``[chains, ...]``.

    Args:
        tree: The starts of all chains, such as ``result.chains.params``.

    Returns:
        A marker to pass as ``params``.

    Raises:
        Nothing; the axis is checked where the number of chains is known.

    Example:
        >>> import jaxanneal as ja
        >>> starts = ja.stacked({"x": jnp.linspace(-3.0, 3.0, 8)})
        >>> method = ja.SimulatedAnnealing(chains=8)
        >>> result = ja.anneal(lambda p: p["x"] ** 2, starts, key=0, method=method, steps=100)
        >>> result.chains.params["x"].shape
        (8,)

    Reference: none.
    """
    return Stacked(tree)


def chain_count(params: Any) -> int | None:
    """Return the number of chains that ``params`` itself fixes, if it does."""
    if not isinstance(params, Stacked):
        return None
    leaves = Parameters.of(params.tree).leaves
    return leaves[0].shape[0] if leaves and leaves[0].ndim else None


def is_initialiser(params: Any) -> bool:
    """Return whether ``params`` is a plain function: a callable that is itself a pytree leaf.

    Raises:
        TypeError: It is a Flax module that is no pytree; called with a key, it would only fail.
    """
    leaves = jax.tree.leaves(params)
    if not (callable(params) and len(leaves) == 1 and leaves[0] is params):
        return False
    for name in ("flax.linen", "flax.nnx"):  # params can be a module only if it was imported
        flax = sys.modules.get(name)
        if flax is not None and isinstance(params, flax.Module):
            expected = "a pytree of arrays, or a function key -> params"
            got = f"the module {type(params).__name__}, which is no pytree"
            remedy = "Pass model.init(key, x) with flax.linen, nnx.split(model)[1] with flax.nnx."
            raise TypeError(refusal("params", expected, got, remedy))
    return True


def initial_parameters(params: Any, key: Any, chains: int) -> Parameters:
    """Return the starts of all chains, ``[chains, ...]``.

    Raises:
        TypeError: There is no parameter.
        ValueError: A stacked tree disagrees with the number of chains.
    """
    if isinstance(params, Stacked):
        starts = Parameters.of(params.tree, warn=True)
        for path, leaf in zip(starts.structure.paths(), starts.leaves, strict=True):
            if leaf.ndim == 0 or leaf.shape[0] != chains:
                expected = f"a leading axis of {chains} chains"
                remedy = (
                    f"Set chains={leaf.shape[0]}, or stack other starts."
                    if leaf.ndim
                    else "Give every leaf one entry for each chain; the tree alone starts them all."
                )
                raise ValueError(refusal(path, expected, describe(leaf), remedy))
    elif is_initialiser(params):
        remedy = "Draw with jax.random from its key, or pass ja.stacked(starts), made outside."
        start = lambda key: Parameters.of(traced("params", params, key, remedy=remedy))  # noqa: E731
        numbers = jnp.arange(chains, dtype=jnp.int32)
        starts = jax.vmap(lambda n: start(keys.stream(key, keys.START, n)))(numbers)
    else:
        one = Parameters.of(params, warn=True)
        starts = one.with_leaves(
            jnp.broadcast_to(leaf, (chains, *leaf.shape)) for leaf in one.leaves
        )
    if not any(leaf.size for leaf in starts.leaves):
        remedy = "Pass arrays; Python integers, bools, strings and functions are held fixed."
        raise TypeError(refusal("params", "at least one parameter", _shown(params), remedy))
    return starts


def check_start(move: Move, starts: Parameters) -> None:
    """Let the move refuse the starts, before anything compiles."""
    check_of(move, one_chain(starts))  # first, so that a message shows the shapes of one chain
    check_of(move, starts.tree)


def one_chain(starts: Parameters) -> Any:
    """Return the tree of the first chain."""
    return starts.with_leaves(take(list(starts.leaves), 0)).tree


# As many chains are enough to see a parameter stand still, or an energy that is noise.
_BEGUN = 8


class Begun(NamedTuple):
    """Where some chains of a run began, for a look back at its end.

    Args:
        lanes: Their numbers, spread over all chains, int ``[n]``.
        params: Their starts, on the host, ``[n, ...]``.
        energy: Their energies, float ``[n]``; NaN where nobody has seen them.
    """

    lanes: np.ndarray
    params: Parameters
    energy: np.ndarray

    @property
    def alike(self) -> bool:
        """Whether these chains began in one and the same state, to the last bit."""
        return all(np.all(leaf == leaf[:1]) for leaf in self.params.leaves)

    def seen(self, energies: np.ndarray) -> "Begun":
        """Return the same with the energies of all lanes known."""
        return self._replace(energy=energies[self.lanes])


def begun(starts: Parameters, chains: int) -> Begun:
    """Return where chains begin, of starts ``[chains, ...]``."""
    count = min(chains, _BEGUN)
    lanes = np.linspace(0, chains - 1, count).round().astype(np.int32)
    leaves = [fetch(leaf) for leaf in take(list(starts.leaves), lanes)]
    return Begun(lanes, starts.with_leaves(leaves), np.full(count, np.nan))


def require_finite(chains: Chain, count: int) -> None:
    """Refuse a start at which none of the first ``count`` chains has a finite energy.

    Raises:
        ValueError: With the first chain's parameters that are not finite, if there are any.
    """
    if np.any(np.isfinite(fetch(chains.energy)[:count])):
        return
    parameters = chains._params
    strange = []
    for path, leaf in zip(parameters.structure.paths(), parameters.leaves, strict=True):
        if jnp.issubdtype(leaf.dtype, jnp.floating) and not bool(jnp.all(jnp.isfinite(leaf[0]))):
            strange.append(path)
    if strange:
        got = f"chain 0 with non-finite values at {', '.join(strange)}"
        remedy = "Start from finite parameters."
    else:
        got = f"NaN or inf in chain 0, at {_shown(jax.tree.map(lambda x: x[0], parameters).tree)}"
        remedy = "Start where the energy is finite, or give an initialiser key -> params."
    raise ValueError(refusal("energy", "a finite energy in at least one chain", got, remedy))


def _shown(tree: Any) -> str:
    text = repr(tree.tree if isinstance(tree, Stacked) else tree)
    return text if len(text) <= 200 else text[:200] + "..."
