"""Keys of any kind, the type that runs draw from, and that a draw depends on its key alone."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import enable_x64

import jaxanneal as ja
from jaxanneal._chain import keys as _keys
from jaxanneal._chain.generator import IMPLEMENTATION, bits, from_words

SEEDS = [0, 1, 7, 2**31, 2**32, 2**32 + 7, 2**63 - 1, -1, -7, -(2**63)]
NUMPY = [np.int64(-1), np.int32(-1), np.uint32(2**32 - 1), np.int64(2**40 + 7), np.int8(-3)]


def words(key):
    return tuple(int(word) for word in jax.random.key_data(key))


def seeds_law(as_key):
    """A seed makes the key of JAX's key and of its raw key."""
    for seed in [*SEEDS, *NUMPY]:
        typed, raw = jax.random.key(seed, impl="threefry2x32"), jax.random.PRNGKey(seed)
        made = [as_key(key) for key in (seed, typed, raw)]
        assert len({words(key) for key in made}) == 1
        assert words(jax.random.key(seed, impl=IMPLEMENTATION)) == words(made[0])
        assert _keys.as_key(made[0]) is made[0]


def of_64_bits(key):
    """Take all bits of a seed, whatever JAX does."""
    if not isinstance(key, int):
        return _keys.as_key(key)
    both = np.array([key >> 32 & 2**32 - 1, key & 2**32 - 1], np.uint32)
    return _keys.from_data(from_words(jnp.asarray(both)))


@pytest.mark.parametrize("double", [False, True])
def test_a_seed_its_threefry_key_and_its_raw_key_make_one_key(double):
    with enable_x64(double):
        seeds_law(_keys.as_key)
        distinct = {words(_keys.as_key(seed)) for seed in SEEDS}
        assert len(distinct) == len({seed % 2 ** (64 if double else 32) for seed in SEEDS})
        if not double:
            with pytest.raises(AssertionError):
                seeds_law(of_64_bits)


@pytest.mark.parametrize("seed", [2**63, -(2**63) - 1, 2**64, 10**30])
def test_a_seed_that_jax_does_not_take_is_refused(seed):
    with pytest.raises(OverflowError):
        jax.random.key(seed)
    with pytest.raises(ValueError, match=r"^key: expected a seed of at most 64 bits, got .*key=0"):
        _keys.as_key(seed)


def test_keys_of_other_kinds_make_keys_of_their_own():
    kinds = ("threefry2x32", "rbg", "unsafe_rbg")
    made = {words(_keys.as_key(jax.random.key(seed, impl=k))) for seed in SEEDS[:3] for k in kinds}
    assert len(made) == 9
    alone = jax.vmap(lambda key: ja.accept(key, 0.5, 1.0))
    keys = jax.random.split(jax.random.key(0, impl="rbg"), 8)
    np.testing.assert_array_equal(alone(keys), [ja.accept(key, 0.5, 1.0) for key in keys])


DRAWS = {
    "8 bits": lambda key: jax.random.bits(key, (5,), jnp.uint8),
    "16 bits": lambda key: jax.random.bits(key, (5, 3), jnp.uint16),
    "32 bits": lambda key: jax.random.bits(key, (), jnp.uint32),
    "uniform": lambda key: jax.random.uniform(key, (7,)),
    "normal": lambda key: jax.random.normal(key, (2, 3)),
    "integers": lambda key: jax.random.randint(key, (4,), -3, 9),
    "order": lambda key: jax.random.permutation(key, 6),
    "gamma": lambda key: jax.random.gamma(key, 2.0, (3,)),
    "split": lambda key: jax.random.key_data(jax.random.split(key, (2, 2))),
    "folded": lambda key: jax.random.key_data(jax.random.fold_in(key, 2**32 - 1)),
}


@pytest.mark.parametrize("name", DRAWS)
def test_a_draw_depends_on_its_key_alone(name):
    draw = DRAWS[name]
    keys = jax.random.split(_keys.as_key(3), (3, 2))
    eager = np.stack([[draw(key) for key in row] for row in keys])
    many = jax.jit(jax.vmap(jax.vmap(draw)))(keys)
    few = [jax.jit(jax.vmap(draw))(row) for row in keys]
    for other in (many, np.stack(few)):
        if eager.dtype.kind == "f":  # XLA may contract the formula, never the bits
            np.testing.assert_allclose(other, eager, rtol=1e-6)
        else:
            np.testing.assert_array_equal(other, eager)
    assert len({np.asarray(x).tobytes() for x in eager.reshape(6, -1)}) == 6


def test_the_words_of_a_draw_are_numbered_in_rows():
    key = _keys.as_key(5)
    flat = jax.random.bits(key, (24,), jnp.uint32)
    np.testing.assert_array_equal(jax.random.bits(key, (2, 3, 4), jnp.uint32).reshape(-1), flat)
    np.testing.assert_array_equal(jax.random.bits(key, (7,), jnp.uint32), flat[:7])
    np.testing.assert_array_equal(jax.random.bits(key, (7,), jnp.uint8), flat[:7] >> 24)
    np.testing.assert_array_equal(bits(jax.random.key_data(key), jnp.uint32(9)), flat[9])
    with enable_x64(True):
        wide = np.asarray(jax.random.bits(key, (7,), jnp.uint64))
    np.testing.assert_array_equal(wide & 0xFFFFFFFF, flat[:7])
    assert not set((wide >> 32).tolist()) & set(np.asarray(flat).tolist())


def test_more_words_than_counters_are_refused():
    with pytest.raises(ValueError, match=r"2\*\*32 draws from one key, got .*Split the key"):
        jax.jit(lambda key: jax.random.bits(key, (2**17, 2**16))[0, 0]).lower(_keys.as_key(0))


def test_folded_and_split_keys_are_all_different():
    key = _keys.as_key(0)
    numbers = jnp.arange(20_000)
    folded = jax.vmap(lambda n: jax.random.key_data(jax.random.fold_in(key, n)))(numbers)
    split = jax.random.key_data(jax.random.split(key, numbers.size))
    from_two = jax.vmap(lambda n: from_words(jnp.stack([jnp.uint32(1), n.astype(jnp.uint32)])))(
        numbers
    )
    rows = itertools.chain(*(np.asarray(x).tolist() for x in (folded, split, from_two)))
    assert len({tuple(row) for row in rows}) == 3 * numbers.size


def test_users_moves_and_initialisers_are_given_keys_of_the_run():
    seen = []

    def start(key):
        seen.append(str(jax.random.key_impl(key)))
        return jax.random.normal(key, (2,))

    def move(key, x):
        seen.append(str(jax.random.key_impl(key)))
        first, second = jax.random.split(key)
        sign = jax.random.rademacher(second, x.shape, jnp.float32)
        return x + 0.1 * sign * jax.random.exponential(first, x.shape)

    method = ja.SimulatedAnnealing(chains=4, cooling=ja.cooling.Geometric(1.0, 0.01))
    result = ja.anneal(lambda x: jnp.sum(x**2), start, key=1, method=method, move=move, steps=400)
    assert set(seen) == {str(IMPLEMENTATION)} and result.energy < 0.02
