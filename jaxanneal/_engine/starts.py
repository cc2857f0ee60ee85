"""Where chains start: one tree for all, a stacked tree, or an initialiser."""

import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain import keys
from jaxanneal._chain.calls import describe, traced
from jaxanneal._chain.chain import Chain
from jaxanneal._chain.computation import Traced, batchable, trace
from jaxanneal._chain.move import Move, check_of
from jaxanneal._chain.parameters import Parameters, require_some
from jaxanneal._checks import refusal, shown
from jaxanneal._engine.sharding import fetch, take
from jaxanneal._settings import known_settings
from jaxanneal._warn import warn


class Stacked:
    """A tree with a leading chain axis."""

    def __init__(self, tree: Any):
        self.tree = tree

    def __repr__(self) -> str:
        return f"ja.stacked({self.tree!r})"


Stacked.__name__ = "ja.stacked"  # as users know it


@known_settings
def stacked(tree: Any) -> Any:
    """Mark a tree that already has a leading chain axis, or a list of trees: a start per chain.

    Maths: chain c starts at ``tree[c]``.
    Batching: every array leaf is ``[chains, ...]``; those of the trees of a list are stacked.

    Args:
        tree: The starts of all chains, such as ``result.chains.params``, or a list of them, trees
            of one structure. A list of arrays with one leading axis could be either: then the
            method's number of chains tells, and where it does not, the list is refused. A tuple is
            always one tree.

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
    leaves = Parameters.of(stacked_tree(params, None)).leaves
    return leaves[0].shape[0] if leaves and leaves[0].ndim else None


def stacked_tree(params: Stacked, chains: int | None) -> Any:
    """Return the tree with a leading chain axis that was meant, made of a list of trees if it was.

    Args:
        params: What the user marked.
        chains: The number of chains, ``None`` where only the starts can tell it.

    Raises:
        ValueError: The list may be starts, and may be one tree.
    """
    tree = params.tree
    if type(tree) is not list or not tree:
        return tree
    first, *others = starts = [Parameters.of(one) for one in tree]
    kinds = [[(leaf.shape, leaf.dtype) for leaf in one.leaves] for one in starts]
    if any(one.structure != first.structure for one in others) or kinds != kinds[:1] * len(tree):
        return tree
    axes, count = {leaf.shape[:1] for leaf in first.leaves}, len(tree)
    if len(axes) == 1 and axes != {()}:  # it may be one tree
        ((axis,),) = axes
        is_known = chains is not None and (chains == axis) != (chains == count)
        if not is_known and (count > 1 or chains == axis):
            expected = "starts of one meaning"
            got = (
                f"a list of {count} alike with a leading axis of {axis}: {count} starts, or {axis}"
            )
            remedy = (
                "Write ja.stacked(jax.tree.map(lambda *x: jnp.stack(x), *starts)) for a list of "
                "starts, ja.stacked(tuple(tree)) for one tree, or pass a method with as many chains"
            )
            raise ValueError(refusal("params", expected, got, f"{remedy}."))
        if chains != count:
            return tree
    stacks = zip(*(one.leaves for one in starts), strict=True)
    return first.with_leaves(jnp.stack(stack) for stack in stacks).tree


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
        starts = Parameters.of(stacked_tree(params, chains), warn=True)
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
        starts = drawn(lambda key: start_of(params, key, chains), key, chains)
    else:
        one = Parameters.of(params, warn=True)
        starts = one.with_leaves(
            jnp.broadcast_to(leaf, (chains, *leaf.shape)) for leaf in one.leaves
        )
    require_some(starts, params.tree if isinstance(params, Stacked) else params)
    return starts


def start_of(initialiser: Any, key: jax.Array, chains: int) -> Parameters:
    """Return the start of one chain of many; the key is the user's to consume."""
    remedy = "Draw with jax.random from its key, or pass ja.stacked(starts), made outside."
    tree = traced("params", initialiser, key, remedy=remedy)
    if chains > 1:
        _warn_of_one_draw(tree)
    start = Parameters.of(tree, warn=True)
    require_some(start, tree)
    return start


def traced_start(initialiser: Any, key: jax.Array, chains: int) -> Traced:
    """Return what draws the start of one chain, as it was traced."""
    return batchable("params", trace(lambda key: start_of(initialiser, key, chains), key))


def drawn(start: Callable[[jax.Array], Parameters], key: jax.Array, chains: int) -> Parameters:
    """Return the starts of all chains, ``[chains, ...]``, each of a key of its own."""
    numbers = jnp.arange(chains, dtype=jnp.int32)
    return jax.vmap(lambda n: start(keys.stream(key, keys.START, n)))(numbers)


def _warn_of_one_draw(tree: Any) -> None:
    """Warn of starts that are NumPy's alone: drawn once, they are the same for all chains.

    Zeros are no draw: who returns them wants them.
    """
    leaves = [leaf for leaf in jax.tree.leaves(tree) if hasattr(leaf, "dtype")]
    drawn_in_jax = any(not isinstance(leaf, np.ndarray | np.generic) for leaf in leaves)
    if not drawn_in_jax and any(np.any(leaf) for leaf in leaves):
        warn(
            "params: all chains start at the same state, because NumPy is called once for all of "
            "them. Draw with jax.random from the key, or pass ja.stacked(starts), made outside."
        )


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
        got = f"NaN or inf in chain 0, at {shown(jax.tree.map(lambda x: x[0], parameters).tree)}"
        remedy = "Start where the energy is finite, or give an initialiser key -> params."
    raise ValueError(refusal("energy", "a finite energy in at least one chain", got, remedy))
