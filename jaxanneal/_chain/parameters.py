"""Parameters: the array leaves of a user's tree, and what in that tree is held fixed."""

import numbers
import pickle
import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxanneal._chain.calls import annotate, rebuilding
from jaxanneal._chain.opaque import holds_tracers, paths_inside, remedy_for
from jaxanneal._checks import native, refusal, shown
from jaxanneal._pytree import path_text
from jaxanneal._warn import warn as warn_user

_NAMED = 4  # arrays of an object that a warning names
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

    def __reduce__(self) -> Any:
        fixed = tuple((index, _picklable(value)) for index, value in self.fixed)
        try:  # a tree, because what JAX pickles of a node of equinox is no longer equal to it
            example = jax.tree.unflatten(self.treedef, [0] * self.treedef.num_leaves)
        except Exception:  # of a node that checks its children
            return Structure, (self.treedef, fixed, self._paths)
        return _unpickled, (example, fixed, self._paths)

    def __deepcopy__(self, memo: Any) -> "Structure":
        return self

    def combine(self, leaves: tuple[Any, ...]) -> Any:
        """Return the user's tree with ``leaves`` as its parameters."""
        merged = list(leaves)
        for index, value in self.fixed:  # in rising order, so each insertion finds its place
            merged.insert(index, value)
        try:
            return jax.tree.unflatten(self.treedef, merged)
        except Exception as error:
            annotate(error, rebuilding("params"))
            raise

    def paths(self) -> tuple[str, ...]:
        """Return the path of each parameter, such as ``params['w']``."""
        if self._paths is not None:
            return self._paths
        marked = jax.tree.unflatten(self.treedef, list(range(self.treedef.num_leaves)))
        held = {index for index, _ in self.fixed}
        numbered = enumerate(jax.tree_util.tree_flatten_with_path(marked)[0])
        return tuple(f"params{path_text(path)}" for i, (path, _) in numbered if i not in held)


class Unpickled:
    """Stands for a function among parameters that pickle could not take."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, *_: Any) -> Any:
        """Refuse to be called.

        Raises:
            TypeError: Always.
        """
        remedy = "Use Result.save and ja.Result.load(path, like=params), which puts it back."
        got = "a result that was pickled without it"
        raise TypeError(refusal("params", f"the function {self.name}", got, remedy))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unpickled) and self.name == other.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __repr__(self) -> str:
        return f"Unpickled({self.name!r})"


def _unpickled(example: Any, fixed: Any, paths: Any) -> Structure:
    return Structure(jax.tree.structure(example), fixed, paths)


def _picklable(value: Any) -> Any:
    try:
        pickle.dumps(value)
    except Exception:  # each class has its own
        return Unpickled(getattr(value, "__name__", type(value).__name__))
    return value


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
        leaves, paths, fixed, surprising, opaque = [], [], [], [], {}
        for index, (where, leaf) in enumerate(pairs):
            name = path + path_text(where)
            if isinstance(leaf, jax.Array | np.ndarray | np.generic):
                leaves.append(_array(name, leaf))
            elif type(leaf) is float and _in_plain_containers(tree, where):
                leaves.append(jnp.asarray(leaf, dtype=float))
            else:
                fixed.append((index, leaf))
                if isinstance(leaf, numbers.Number) and not _in_module(tree, where):
                    surprising.append(f"{name} = {leaf!r}")
                elif warn and paths_inside(leaf):
                    opaque[name] = leaf
                continue
            paths.append(name)
        if warn and surprising:
            warn_user(
                f"{', '.join(surprising)}: held fixed, because Python integers and bools (and "
                "floats outside dicts, lists and tuples) are not parameters. Pass a JAX or NumPy "
                "array to have it annealed."
            )
        for name, leaf in opaque.items():
            _tell(name, leaf, bool(leaves))
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


def require_users(params: Any) -> None:
    """Refuse an object of the library in the place of parameters: its own numbers would move.

    Raises:
        TypeError: With what to pass.
    """
    kind = type(params)
    if kind.__module__.partition(".")[0] == "jaxanneal" and not isinstance(params, Parameters):
        remedy = "Pass arrays of your own; of a chain or a result its params."
        got = f"an object of the library, {kind.__name__}"
        if kind.__module__.startswith("jaxanneal._result"):
            got, remedy = "the state of a run", "Pass it as state= to go on from it."
        raise TypeError(refusal("params", "a tree of parameters", got, remedy))


def require_some(parameters: Parameters, params: Any) -> None:
    """Refuse a tree without parameters, ``params`` as the user passed it.

    Raises:
        TypeError: With what is held fixed in their place.
    """
    require_users(params)
    if any(leaf.size for leaf in parameters.leaves):
        return
    fixed = [leaf for _, leaf in parameters.structure.fixed]
    opaque = [leaf for leaf in fixed if paths_inside(leaf)]
    remedy = "Pass arrays; Python integers, bools, strings and functions are held fixed."
    if opaque:
        kind = type(opaque[0]).__name__
        remedy = f"JAX does not know the class {kind}, and holds it fixed. {remedy_for(opaque[0])}"
    raise TypeError(refusal("params", "at least one parameter", shown(params), remedy))


def _tell(path: str, leaf: Any, beside: bool) -> None:
    """Warn of an object that is held fixed with its arrays, beside parameters; refuse tracers."""
    inside, kind, remedy = paths_inside(leaf), type(leaf).__name__, remedy_for(leaf)
    if holds_tracers(leaf):
        expected = "a pytree, which JAX looks into"
        raise TypeError(refusal(path, expected, f"a {kind} that holds what was drawn", remedy))
    more = ", ..." if len(inside) > _NAMED else ""
    names = f" ({', '.join(inside[:_NAMED])}{more})" if inside[0] else ""
    if beside:
        warn_user(
            f"{path}: held fixed with the numbers in it{names}, because JAX does not know the "
            f"class {kind}. {remedy}"
        )


def require_kind(params: Any, kind: Any, expected: str, remedy: str) -> Parameters:
    """Return the parameters of one chain, or refuse a leaf of another kind of dtype."""
    parameters = Parameters.of(params)
    for path, leaf in zip(parameters.structure.paths(), parameters.leaves, strict=True):
        if not jnp.issubdtype(leaf.dtype, kind):
            raise TypeError(refusal(path, expected, f"{leaf.dtype}{list(leaf.shape)}", remedy))
    return parameters


def _array(path: str, leaf: Any) -> jax.Array:
    leaf = native(_unmasked(path, leaf))
    dtype = leaf.dtype
    kind = "V" if jnp.issubdtype(dtype, jax.dtypes.extended) else np.dtype(dtype).kind
    if kind not in _NUMBER and not jnp.issubdtype(dtype, jnp.floating):
        expected = "a floating, integer or bool array"
        remedy = "Pass what is no number through args, or leave it out."
        if jnp.issubdtype(dtype, jax.dtypes.prng_key):
            remedy = "A key cannot be annealed: pass it through args, or key= for the run's own."
        elif kind == "c":
            remedy = "Split complex numbers into two real leaves."
        elif kind in "USO":
            remedy = "Convert text to indices and objects to numbers, or pass them through args."
        raise TypeError(refusal(path, expected, f"{dtype}{list(np.shape(leaf))}", remedy))
    array = jnp.asarray(leaf)
    _require_fitting(path, leaf, array.dtype)
    return jax.lax.convert_element_type(array, array.dtype)  # drops a weak type


def _unmasked(path: str, leaf: Any) -> Any:
    """Return an array without a mask, or refuse one with masked entries."""
    if not isinstance(leaf, np.ma.MaskedArray):
        return leaf
    if np.ma.is_masked(leaf):
        remedy = "Pass leaf.filled(value), or leave the masked entries out."
        raise TypeError(refusal(path, "an array without a mask", "a masked one", remedy))
    return leaf.data


def _require_fitting(path: str, leaf: Any, dtype: Any) -> None:
    """Refuse integers of NumPy that JAX would wrap around: with 64 bits where it has 32."""
    if not isinstance(leaf, np.ndarray | np.generic) or leaf.dtype.kind not in "iu":
        return
    if leaf.dtype != dtype and not np.array_equal(leaf.astype(dtype), leaf):
        remedy = "Set jax_enable_x64, or shift the values."
        raise ValueError(refusal(path, f"values that fit {dtype}", str(leaf), remedy))


def children(node: Any) -> tuple[list[tuple[Any, Any]], Any]:
    """Return the children of a node, each with its key, and what the node is beside them."""
    # One level at a time as JAX sees it: a node may give its children any names, or none.
    return jax.tree_util.tree_flatten_with_path(node, is_leaf=lambda child: child is not node)


def _parents(tree: Any, path: tuple[Any, ...]) -> list[Any]:
    """Return the nodes on the way to a leaf, from the root down."""
    nodes, node = [], tree
    for key in path:
        nodes.append(node)
        node = next(child for where, child in children(node)[0] if where == (key,))
    return nodes


def _in_plain_containers(tree: Any, path: tuple[Any, ...]) -> bool:
    return all(isinstance(node, Mapping | list | tuple) for node in _parents(tree, path))


def _in_module(tree: Any, path: tuple[Any, ...]) -> bool:
    equinox = sys.modules.get("equinox")  # a module can be in the tree only if it was imported
    return equinox is not None and any(
        isinstance(node, equinox.Module) for node in _parents(tree, path)
    )


def _as_data(path: Any, leaf: Any) -> jax.Array:
    """Return an array or number of the data, or refuse what JAX has no dtype for."""
    where = "args" + path_text(path)
    leaf = native(_unmasked(where, leaf))
    try:
        array = jnp.asarray(leaf)
    except (TypeError, ValueError, OverflowError) as error:
        kind = getattr(leaf, "dtype", type(leaf).__name__)
        remedy = "Convert it: text to indices, large integers to float."
        raise TypeError(refusal(where, "numbers that JAX holds", kind, remedy)) from error
    _require_fitting(where, leaf, array.dtype)
    return array
