"""The words of the generator are random enough: laws that a weak generator fails.

Each law counts words, or parts of them, in cells that all have one probability; the words are
taken in the order of a run, beside their neighbours in every direction. A standard battery
(dieharder) over the same words is in benchmarks/results.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import caught
from scipy import stats

from benchmarks.bits import words
from jaxanneal._chain import generator
from jaxanneal._chain import keys as _keys

# Of all comparisons of a test together; each test says how many they are.
FALSE_ALARM = 1e-6
CHAINS, STEPS = 64, 4096

FIRST, SECOND = jnp.uint32(generator._FIRST), jnp.uint32(generator._SECOND)


def one_round(key, counter):
    """A hash with one multiplication."""
    x = (counter ^ key[0] ^ key[1]) * FIRST
    return x ^ (x >> 15)


def no_last_shift(key, counter):
    """The low bits of a product depend on the low bits of its factors alone."""
    x = counter ^ key[0]
    x = (x ^ (x >> 16)) * FIRST ^ key[1]
    return (x ^ (x >> 15)) * SECOND


def congruence(key, counter):
    """A linear congruential generator, entered at its state number ``counter``."""
    return key[0] + counter * jnp.uint32(0x9E3779B9) * jnp.uint32(1664525)


def permutation(key, counter):
    """Two rounds and no more: no word comes twice."""
    x = counter ^ key[0]
    x = (x ^ (x >> 16)) * FIRST ^ key[1]
    x = (x ^ (x >> 15)) * SECOND
    return x ^ (x >> 15)


def added(key, word, use):
    """A key derived by a sum: neighbours draw one sequence, shifted."""
    return key[0] + word, key[1] + jnp.uint32(use) + 0 * word


def same_cells(what, cells, count, comparisons):
    """Compare the numbers in ``count`` cells of one probability by chi-square."""
    cells = np.asarray(cells).reshape(-1)
    mean = cells.size / count
    assert mean > 10
    square = np.sum((np.bincount(cells, minlength=count) - mean) ** 2) / mean
    freedom = count - 1
    # Too even is as wrong as too uneven.
    chance = 2 * min(stats.chi2.sf(square, freedom), stats.chi2.cdf(square, freedom))
    assert chance * comparisons > FALSE_ALARM, f"{what}: {square:.0f} for {freedom}, p = {chance}"


def pairs_law(what, first, second, comparisons):
    """Two words are independent: cells of a byte of one by a byte of the other."""
    for low in (0, 13, 24):
        a, b = ((np.asarray(x) >> low & 255).astype(np.int64) for x in (first, second))
        same_cells(f"{what}, bits from {low}", a << 8 | b, 2**16, 3 * comparisons)


@functools.cache
def run_words(bits=None, derived=None):
    """Return the words of a run, ``[steps, chains, 16]``, with broken parts if they are given."""
    with pytest.MonkeyPatch.context() as patch:
        for name, part in (("bits", bits), ("_derived", derived)):
            if part is not None:
                patch.setattr(generator, name, part)
        jax.clear_caches()  # JAX keeps how a draw was lowered
        made = np.asarray(words(_keys.as_key(0), jnp.asarray(0), CHAINS, STEPS))
    jax.clear_caches()
    return made


def order_law(**twin):
    """Uniform, and independent of the next word, coordinate, chain and step."""
    made = run_words(**twin)
    for low in range(0, 32, 4):
        same_cells(f"bits from {low}", made >> low & 15, 16, 50)
    same_cells("upper half", made >> 16, 2**16, 50)
    flat = made.reshape(-1)
    for lag in (1, 2, 15, 16, 1024):
        pairs_law(f"words {lag} apart", flat[lag:], flat[:-lag], 16)
    for lag in (1, 2, 32):
        pairs_law(f"chains {lag} apart", made[:, lag:], made[:, :-lag], 16)
        pairs_law(f"steps {lag} apart", made[lag:], made[:-lag], 16)


@pytest.mark.slow
def test_words_in_the_order_of_a_run_are_uniform_and_independent():
    """42 comparisons, fewer than 50."""
    order_law()


@pytest.mark.slow
@pytest.mark.parametrize("twin", [one_round, no_last_shift, congruence])
def test_the_order_law_catches_a_weak_hash(twin):
    caught(order_law, bits=twin)


@pytest.mark.slow
def test_the_order_law_catches_keys_that_are_sums():
    caught(order_law, derived=added)


def lattice_law(bits):
    """Successive words fill a cube, whichever five bits of each are taken."""
    made = draw(bits, 7, 2**21).astype(np.int64)
    for low in (0, 7, 15, 27):
        part = made >> low & 31
        same_cells(f"cube {low}", part[:-2] << 10 | part[1:-1] << 5 | part[2:], 2**15, 5)
    # Serial correlation at a lag of one to 16: standard error 1 / sqrt(n).
    x = made / 2.0**31 - 1
    for lag in range(1, 17):
        r = np.mean(x[lag:] * x[:-lag]) * 3
        assert abs(r) * len(x) ** 0.5 < 5.8, f"lag {lag}: correlation {r}"


def draw(bits, seed, count):
    key = jax.random.key_data(_keys.as_key(seed))
    return np.asarray(jax.jit(bits)(key, jnp.arange(count, dtype=jnp.uint32)))


def test_words_of_one_key_lie_on_no_lattice():
    lattice_law(generator.bits)
    for twin in (one_round, congruence):
        caught(lattice_law, twin)


def repeats_law(bits):
    """Of n words n(n-1)/2 pairs are equal with probability 2^-32: a birthday problem."""
    count, found = 2**18, 0
    for seed in range(8):
        found += count - np.unique(draw(bits, seed, count)).size
    mean = 8 * count * (count - 1) / 2**33
    chance = 2 * min(stats.poisson.sf(found - 1, mean), stats.poisson.cdf(found, mean))
    assert chance > FALSE_ALARM, f"{found} for {mean}"


def test_words_of_one_key_repeat_as_often_as_chance_has_it():
    repeats_law(generator.bits)
    caught(repeats_law, permutation)


def avalanche_law(function, inputs):
    """Change one bit of the input: every bit of the output changes with probability 1/2."""
    before = np.asarray(jax.jit(function)(inputs))
    for bit in range(32):
        after = np.asarray(jax.jit(function)(inputs ^ jnp.uint32(1 << bit)))
        for out in range(32):
            share = np.mean((before ^ after) >> out & 1)
            off = 2 * abs(share - 0.5) * before.size**0.5
            # 1,024 comparisons; and each within 2 % whatever the number of draws.
            assert off < 6.2, f"bit {bit} to bit {out}: {share}"


SAMPLE = np.random.default_rng(0).integers(0, 2**32, 2**15, dtype=np.uint32)
KEYS = {
    "counter": lambda bits, x: bits((jnp.uint32(12345), jnp.uint32(54321)), x),
    "first word": lambda bits, x: bits((x, jnp.uint32(54321)), jnp.arange(x.size, dtype=x.dtype)),
}


@pytest.mark.parametrize("name", KEYS)
def test_each_bit_of_counter_and_key_reaches_every_bit_of_a_word(name):
    avalanche_law(functools.partial(KEYS[name], generator.bits), SAMPLE)
    caught(avalanche_law, functools.partial(KEYS[name], one_round), SAMPLE)


def folded(x, derived=generator._derived):
    first, second = derived((jnp.uint32(7), jnp.uint32(9)), x, generator._FOLD)
    return jnp.stack([first, second])


def test_each_bit_of_what_is_folded_in_reaches_every_bit_of_a_key():
    avalanche_law(folded, SAMPLE)
    caught(avalanche_law, functools.partial(folded, derived=added), SAMPLE)


def uses_law(split, fold_in, bits):
    """What a key draws, splits into and is folded into: numbers with nothing in common."""
    keys = jax.random.split(_keys.as_key(4), 64)
    number = jnp.arange(2**14)
    data = lambda keys: jax.random.key_data(keys)[..., 0]  # noqa: E731
    made = {
        "split": jax.vmap(lambda key: data(split(key, number.size)))(keys),
        "folded": jax.vmap(lambda key: data(jax.vmap(lambda n: fold_in(key, n))(number)))(keys),
        "drawn": jax.vmap(lambda key: bits(key, number.shape))(keys),
        "by folded": jax.vmap(lambda key: bits(fold_in(key, 0), number.shape))(keys),
        "by split": jax.vmap(lambda key: bits(split(key, 2)[0], number.shape))(keys),
        "by seed": jax.vmap(lambda n: bits(jax.random.fold_in(_keys.as_key(0), n), number.shape))(
            jnp.arange(64)
        ),
    }
    names = list(made)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            pairs_law(f"{a} and {b}", made[a], made[b], 15)


@pytest.mark.slow
def test_draws_splits_and_folds_of_a_key_have_nothing_in_common():
    """45 comparisons."""
    bits = lambda key, shape: jax.random.bits(key, shape, jnp.uint32)  # noqa: E731
    uses_law(jax.random.split, jax.random.fold_in, bits)
    as_split = lambda key, n: jax.random.split(key, 2**14)[n]  # noqa: E731
    caught(uses_law, jax.random.split, as_split, bits)


def seeds_law(as_key):
    """Draws of adjacent seeds have nothing in common."""
    keys = jnp.stack([as_key(seed) for seed in range(65)])
    made = jax.vmap(lambda key: jax.random.bits(key, (2**14,), jnp.uint32))(keys)
    pairs_law("seeds", made[1:], made[:-1], 2)
    pairs_law("first words", made[:, 1:], made[:, :-1], 2)


def test_adjacent_seeds_have_nothing_in_common():
    seeds_law(_keys.as_key)
    # A twin whose keys are the seeds themselves: words of adjacent counters, shuffled.
    caught(seeds_law, lambda seed: _keys.from_data(jnp.array([seed, 0], jnp.uint32)))
