"""Parameters: the array leaves of a user's tree, and what in that tree is held fixed."""

import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from jaxanneal._checks import refusal
from jaxanneal._warn import warn as warn_user

_NUMBER = "biuf"  # NumPy kinds: bool, signed, unsigned, floating


class Structure:
    """What JAX treats as the shape of a tree: its nodes, and the leaves that are no parameters.

    Args:
        treedef: The nodes.
        fixed: Number and value of each leaf that is no parameter, in rising order.
        paths: Path of each parameter; ``None``: read off the nodes, which must bear any leaves.
    """

    __slots__ = ("_paths", "fixed", "treedef")

    def __init__(
        self,
        treedef: Any,
        fixed: tuple[tuple[int, Any], ...],
        paths: tuple[str, ...] | None = None,
    ):
        self.treedef = treedef
        self.fixed = fixed
        self._paths = paths

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Structure) or self.treedef != other.treedef:
            return False
        return len(self.fixed) == len(other.fixed) and all(
            i == j and _same(a, b) for (i, a), (j, b) in zip(self.fixed, other.fixed, strict=True)
        )

    def __hash__(self) -> int:
        return hash((self.treedef, tuple(i for i, _ in self.fixed)))

    def combine(self, leaves: tuple[Any, ...]) -> Any:
        """Return the user's tree with ``leaves`` as its parameters."""
        merged = list(leaves)
        for index, value in self.fixed:  # in rising order, so each insertion finds its place
            merged.insert(index, value)
        return jax.tree.unflatten(self.treedef, merged)

    def paths(self) -> tuple[str, ...]:
        """Return the path of each parameter, such as ``params['w']``."""
        if self._paths is not None:
            return self._paths
        marked = jax.tree.unflatten(self.treedef, list(range(self.treedef.num_leaves)))
        held = {index for index, _ in self.fixed}
        numbered = enumerate(jax.tree_util.tree_flatten_with_path(marked)[0])
        return tuple(
            f"params{jax.tree_util.keystr(path)}" for i, (path, _) in numbered if i not in held
        )


def _same(a: Any, b: Any) -> bool:
    try:
        return a is b or (type(a) is type(b) and bool(a == b))
    except Exception:  # a user's object may refuse to be compared
        return False


@jax.tree_util.register_pytree_with_keys_class
class Parameters:
    """A pytree whose leaves are the parameters alone; ``tree`` gives the user's tree back.

    Which leaves are parameters is decided once, by :meth:`of`. JAX may then fill them with tracers
    or sentinels, and a module that holds functions or strings passes through ``jit`` and ``scan``.
    """

    __slots__ = ("leaves", "structure")

    def __init__(self, leaves: tuple[Any, ...], structure: Structure):
        self.leaves = leaves
        self.structure = structure

    @classmethod
    def of(cls, tree: Any, path: str = "params", warn: bool = False) -> "Parameters":
        """Split ``tree``, turning every parameter into a JAX array of a strong dtype.

        Raises:
            TypeError: An array leaf is neither floating, integer nor bool.
        """
        if isinstance(tree, Parameters):
            return tree
        pairs, treedef = jax.tree_util.tree_flatten_with_path(tree)
        leaves, paths, fixed, surprising = [], [], [], []
        for index, (where, leaf) in enumerate(pairs):
            name = path + jax.tree_util.keystr(where)
            if isinstance(leaf, jax.Array | np.ndarray | np.generic):
                leaves.append(_array(name, leaf))
            elif type(leaf) is float and _in_plain_containers(tree, where):
                leaves.append(jnp.asarray(leaf, dtype=float))
            else:
                fixed.append((index, leaf))
                if isinstance(leaf, bool | int | float) and not _in_module(tree, where):
                    surprising.append(f"{name} = {leaf!r}")
                continue
            paths.append(name)
        if warn and surprising:
            warn_user(
                f"{', '.join(surprising)}: held fixed, because Python integers and bools (and "
                "floats outside dicts, lists and tuples) are not parameters. Pass a JAX or NumPy "
                "array to have it annealed."
            )
        return cls(tuple(leaves), Structure(treedef, tuple(fixed), tuple(paths)))

    @classmethod
    def of_args(cls, args: Any) -> "Parameters":
        """Split data: every array and number is a leaf, whatever else is structure."""
        pairs, treedef = jax.tree_util.tree_flatten_with_path(args)
        kinds = jax.Array | np.ndarray | np.generic | int | float | complex
        fixed = tuple((i, leaf) for i, (_, leaf) in enumerate(pairs) if not isinstance(leaf, kinds))
        leaves = tuple(_as_data(path, leaf) for path, leaf in pairs if isinstance(leaf, kinds))
        return cls(leaves, Structure(treedef, fixed))

    @property
    def tree(self) -> Any:
        """The user's tree."""
        return self.structure.combine(self.leaves)

    def with_leaves(self, leaves: Any) -> "Parameters":
        """Return the same structure around other leaves."""
        return Parameters(tuple(leaves), self.structure)

    def tree_flatten_with_keys(self):
        """Flatten for JAX, each leaf under its number."""
        keys = [(jax.tree_util.SequenceKey(i), leaf) for i, leaf in enumerate(self.leaves)]
        return keys, self.structure

    def tree_flatten(self):
        """Flatten for JAX."""
        return self.leaves, self.structure

    @classmethod
    def tree_unflatten(cls, structure, leaves):
        """Rebuild for JAX, without a look at the leaves."""
        return cls(tuple(leaves), structure)


def require_kind(params: Any, kind: Any, expected: str, remedy: str) -> Parameters:
    """Return the parameters of one chain, or refuse a leaf of another kind of dtype."""
    parameters = Parameters.of(params)
    for path, leaf in zip(parameters.structure.paths(), parameters.leaves, strict=True):
        if not jnp.issubdtype(leaf.dtype, kind):
            raise TypeError(refusal(path, expected, f"{leaf.dtype}{list(leaf.shape)}", remedy))
    return parameters


def _array(path: str, leaf: Any) -> jax.Array:
    dtype = leaf.dtype
    kind = "V" if jnp.issubdtype(dtype, jax.dtypes.extended) else np.dtype(dtype).kind
    if kind not in _NUMBER and not jnp.issubdtype(dtype, jnp.floating):
        expected = "a floating, integer or bool array"
        remedy = "Split complex numbers into two real leaves; pass keys and text through args."
        raise TypeError(refusal(path, expected, f"{dtype}{list(np.shape(leaf))}", remedy))
    array = jnp.asarray(leaf)
    if kind in "iu" and array.dtype != dtype and not np.array_equal(np.asarray(array), leaf):
        remedy = "Set jax_enable_x64, or shift the values."
        raise ValueError(refusal(path, f"values that fit {array.dtype}", str(leaf), remedy))
    return jax.lax.convert_element_type(array, array.dtype)  # drops a weak type


def _parents(tree: Any, path: tuple[Any, ...]) -> list[Any]:
    """Return the nodes on the way to a leaf, from the root down."""
    nodes, node = [], tree
    for key in path:
        nodes.append(node)
        node = next(child for where, child in _children(node)[0] if where == (key,))
    return nodes


def _in_plain_containers(tree: Any, path: tuple[Any, ...]) -> bool:
    return all(isinstance(node, Mapping | list | tuple) for node in _parents(tree, path))


def _in_module(tree: Any, path: tuple[Any, ...]) -> bool:
    equinox = sys.modules.get("equinox")  # a module can be in the tree only if it was imported
    return equinox is not None and any(
        isinstance(node, equinox.Module) for node in _parents(tree, path)
    )


def per_parameter(path: str, prefix: Any, parameters: Parameters) -> tuple[Any, ...]:
    """Return the leaf of ``prefix`` that belongs to each parameter, broadcast to its shape.

    Args:
        path: What ``prefix`` is called in an error, such as ``Gaussian.scale``.
        prefix: A pytree prefix of the user's tree, whose leaves are arrays.
        parameters: The parameters of one chain.

    Raises:
        ValueError: ``prefix`` is no prefix of the tree, or a leaf does not broadcast.
    """
    structure = parameters.structure
    # With the parameters themselves: a node that checks its children need not bear other leaves.
    held = {index for index, _ in structure.fixed}
    marked = Structure(structure.treedef, tuple((index, index) for index in sorted(held)))
    remedy = "Give one value for all parameters, or one for each branch of the tree."
    pairs = branches(path, prefix, marked.combine(parameters.leaves), remedy)
    spread = [value for value, branch in pairs for _ in jax.tree.leaves(branch)]
    values = [value for index, value in enumerate(spread) if index not in held]
    places = zip(values, parameters.leaves, structure.paths(), strict=True)
    return tuple(_broadcast(path, value, leaf, where) for value, leaf, where in places)


def branches(
    path: str, prefix: Any, tree: Any, remedy: str, is_leaf: Any = None, where: str = "params"
) -> list[tuple[Any, Any]]:
    """Return each leaf of a pytree prefix of a tree with the branch that it stands for.

    A list or tuple of numbers at an array of the tree is an array, unless ``is_leaf`` says what
    the leaves of the prefix are.

    Args:
        path: What ``prefix`` is called in an error.
        prefix: A pytree prefix of ``tree``.
        tree: The user's tree, or a branch of it.
        remedy: What to do about another tree.
        is_leaf: As in ``jax.tree.map``.
        where: What ``tree`` is called in an error.

    Raises:
        ValueError: It is no prefix.
    """
    if jax.tree_util.all_leaves([prefix], is_leaf):
        return [(prefix, tree)]
    if is_leaf is None and isinstance(prefix, list | tuple) and jax.tree_util.all_leaves([tree]):
        try:
            return [(_stacked(prefix), tree)]
        except (TypeError, ValueError):  # lists of several lengths, or of what is no number
            pass
    (given, kind), (own, own_kind) = _children(prefix), _children(tree)
    if kind != own_kind:
        expected = f"a scalar or a pytree prefix of {where}, {outline(tree)}"
        raise ValueError(refusal(path, expected, outline(prefix), remedy))
    places = zip(given, own, strict=True)
    named = ((jax.tree_util.keystr(key), part, branch) for (key, part), (_, branch) in places)
    return [
        pair
        for name, part, branch in named
        for pair in branches(path + name, part, branch, remedy, is_leaf, where + name)
    ]


def _stacked(numbers: Any) -> Any:
    """Return nested lists of numbers as an array."""
    if not isinstance(numbers, list | tuple):
        return numbers
    parts = [_stacked(part) for part in numbers]
    traced = any(isinstance(part, Tracer) for part in parts)
    return jnp.stack(parts) if traced else np.stack([np.asarray(part) for part in parts])


def _children(node: Any) -> tuple[list[tuple[Any, Any]], Any]:
    """Return the children of a node, each with its key, and what the node is beside them."""
    # One level at a time as JAX sees it: a node may give its children any names, or none.
    return jax.tree_util.tree_flatten_with_path(node, is_leaf=lambda child: child is not node)


def outline(node: Any) -> str:
    """Return what a node of a user's tree is, in words."""
    if node is None:
        return "None"
    if isinstance(node, jax.Array | np.ndarray | np.generic | int | float):
        return f"an array of shape {np.shape(node)}" if np.ndim(node) else "a number"
    kind = "a " + type(node).__name__
    if isinstance(node, Mapping):
        return f"{kind} with the keys {', '.join(map(repr, node))}"
    return f"{kind} of {len(node)}" if type(node) in (list, tuple) else kind


def _broadcast(path: str, value: Any, leaf: Any, where: str) -> Any:
    try:
        return jnp.broadcast_to(value, jnp.shape(leaf))
    except ValueError:
        expected = f"a shape that broadcasts to {where} of shape {jnp.shape(leaf)}"
        remedy = "Give a scalar, or an array of the parameter's own shape."
        raise ValueError(refusal(path, expected, jnp.shape(value), remedy)) from None


def _as_data(path: Any, leaf: Any) -> jax.Array:
    """Return an array or number of the data, or refuse what JAX has no dtype for."""
    try:
        return jnp.asarray(leaf)
    except (TypeError, ValueError, OverflowError) as error:
        where, kind = (
            "args" + jax.tree_util.keystr(path),
            getattr(leaf, "dtype", type(leaf).__name__),
        )
        remedy = "Convert it: text to indices, large integers to float."
        raise TypeError(refusal(where, "numbers that JAX holds", kind, remedy)) from error
