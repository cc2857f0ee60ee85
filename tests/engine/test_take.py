"""Entries of arrays: the same from the host's memory as from a compiled program, and at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec
from laws import caught

from jaxanneal._engine.sharding import take, take_from_shard

TREE = {
    "f": jnp.arange(12.0).reshape(4, 3),
    "i": jnp.arange(4),
    "b": jnp.array([True, False, True, True]),
}


def kind(x):
    return x.dtype, x.shape, x.weak_type, x.sharding, x.committed


def same_law(take, index):
    found = take(TREE, index)
    expected = jax.jit(lambda tree: jax.tree.map(lambda x: x[index], tree))(TREE)
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    assert jax.tree.map(kind, found) == jax.tree.map(kind, expected)


@pytest.mark.parametrize("index", [2, np.array([3, 1]), jnp.array([0, 0, 2])])
def test_entries_are_those_of_a_compiled_program(index):
    same_law(take, index)
    caught(same_law, lambda tree, index: take(tree, index * 0), index)


def test_entries_stay_where_their_arrays_are_bound():
    place = NamedSharding(jax.make_mesh((1,), ("chains",)), PartitionSpec("chains"))
    bound = jax.device_put(TREE, place)  # an entry has no axis of chains
    found = take(bound, 1)
    jax.tree.map(np.testing.assert_array_equal, found, take(TREE, 1))
    assert all(x.committed for x in jax.tree.leaves(found))


def test_entries_may_be_of_traced_arrays():
    jax.tree.map(
        np.testing.assert_array_equal,
        jax.jit(lambda tree: take(tree, 1))(TREE),
        take(TREE, 1),
    )


def test_an_entry_is_no_view_of_memory_that_a_program_may_take_over():
    array = jnp.arange(8.0).reshape(4, 2)
    (kept,) = take_from_shard((array,), 1)
    jax.jit(lambda x: x + 100, donate_argnums=0)(array)
    np.testing.assert_array_equal(kept, [2.0, 3.0])
