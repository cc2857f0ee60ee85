"""The ground class: frozen dataclasses that are pytrees, with static fields that fix shapes."""

import dataclasses
from typing import Any, TypeVar, dataclass_transform

import jax

T = TypeVar("T")


def static(**kwargs: Any) -> Any:
    """Declare a dataclass field that is structure (a count, a callable, a flag), not a number."""
    return dataclasses.field(metadata={"static": True}, **kwargs)


class Unseen:
    """A value that goes along with a structure and is no part of it: equal to any other."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unseen)

    def __hash__(self) -> int:
        return hash(Unseen)

    def __repr__(self) -> str:
        return "Unseen"


@dataclass_transform(
    eq_default=False, frozen_default=True, field_specifiers=(dataclasses.field, static)
)
def pytree_dataclass(cls: type[T]) -> type[T]:
    """Make ``cls`` a frozen dataclass whose fields are pytree children with named paths.

    Fields declared with :func:`static` become part of the tree structure. Rebuilding an object
    never runs its constructor again, because JAX fills in tracers, ``None`` and sentinels.
    """
    own = any("__init__" in vars(parent) for parent in cls.__mro__ if parent is not object)
    # == on arrays has no truth value, so objects compare by identity
    frozen = dataclasses.dataclass(frozen=True, eq=False, init=not own)(cls)
    fields = dataclasses.fields(frozen)  # pyright: ignore[reportArgumentType]
    names = tuple(f.name for f in fields if not f.metadata.get("static"))
    statics = tuple(f.name for f in fields if f.metadata.get("static"))

    def flatten_with_keys(self):
        keys = [(jax.tree_util.GetAttrKey(name), getattr(self, name)) for name in names]
        return keys, tuple(getattr(self, name) for name in statics)

    def flatten(self):
        aux = tuple(getattr(self, name) for name in statics)
        return [getattr(self, name) for name in names], aux

    def unflatten(aux, children):
        self = object.__new__(frozen)  # not made(...): JAX fills in tracers and None, unchecked
        vars(self).update(zip(names, children, strict=True))
        vars(self).update(zip(statics, aux, strict=True))
        return self

    jax.tree_util.register_pytree_with_keys(frozen, flatten_with_keys, unflatten, flatten)
    return frozen


def pytree_subclass(cls: type[T]) -> type[T]:
    """Do the same for a class that keeps the constructor of its parent, as type checkers see it."""
    return pytree_dataclass(cls)


def path_text(path: Any) -> str:
    """Return the path of a leaf as a refusal shows it, after the name of the tree.

    A node whose class gives its children no names has them by number.
    """
    nameless = jax.tree_util.FlattenedIndexKey
    return "".join(
        f" (part {key.key + 1})" if isinstance(key, nameless) else jax.tree_util.keystr((key,))
        for key in path
    )


def shapes_of_one(tree: Any) -> Any:
    """Return the shapes of one of many that lie along a leading axis."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), tree)


def replace(tree: T, **changes: Any) -> T:
    """Return ``tree`` with some fields exchanged, without running its constructor."""
    new = object.__new__(type(tree))
    vars(new).update(vars(tree))
    vars(new).update(changes)
    return new
