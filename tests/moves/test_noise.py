"""Noise made of words: the exact law of the normal, the laws of the others, and their symmetry."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import caught, enable_x64
from scipy import special, stats

import jaxanneal as ja
from jaxanneal._chain import generator
from jaxanneal._chain import keys as _keys
from jaxanneal.moves import _noise

COUNT = 2**21


def drawn(number, count=COUNT):
    key = jax.random.fold_in(_keys.as_key(1), number)
    return jax.random.bits(key, (count,), jnp.uint32)


def exact_law(normal):
    """All pairs of sums of two bytes, each with its probability: no sampling."""
    one, two = np.meshgrid(np.arange(511), np.arange(511), indexing="ij")
    ways = 256 - np.abs(np.arange(511) - 255)
    chance = np.outer(ways, ways).reshape(-1) / 2.0**32
    byte = lambda total, k: np.clip(total - 255 * k, 0, 255)  # noqa: E731
    word = byte(two, 0) | byte(two, 1) << 8 | byte(one, 0) << 16 | byte(one, 1) << 24
    z = np.asarray(normal(jnp.asarray(word.reshape(-1), jnp.uint32)), np.float64)
    assert len(np.unique(z)) > 200_000
    for order, moment in enumerate((0, 1, 0, 3, 0, 15), start=1):
        assert abs(np.sum(chance * z**order) - moment) < 2e-6 * max(moment, 1)
    assert abs(np.sum(chance * z**8) / 105 - 1) < 0.01
    order = np.argsort(z)
    middle = np.cumsum(chance[order]) - chance[order] / 2
    assert np.max(np.abs(middle - special.ndtr(z[order]))) < 0.0005
    rate = np.sum(chance * 2 * special.ndtr(-2.4 * np.abs(z) / 2))
    assert abs(rate - 2 * stats.t.cdf(-1.2, 1)) < 0.0005


def test_the_normal_has_its_moments_and_the_plain_sum_of_bytes_has_not():
    exact_law(_noise.normal)

    def plain(bits):
        total = sum((bits >> shift & 255).astype(jnp.float32) for shift in (0, 8, 16, 24))
        return (total - 510) / (4 * (256**2 - 1) / 12) ** 0.5

    caught(exact_law, plain)


def student(df):
    return lambda bits: _noise.student(bits, drawn(1, bits.size), jnp.float32(df))


LAWS = {
    "uniform": (_noise.uniform, stats.uniform(-1, 2)),
    "laplace": (_noise.laplace, stats.laplace()),
    "t 0.3": (student(0.3), stats.t(0.3)),
    "t 1": (student(1.0), stats.t(1)),
    "t 5": (student(5.0), stats.t(5)),
    "t 1e6": (student(1e6), stats.norm()),
}


def distribution_law(noise, law):
    """Kolmogorov's distance of 2^21 numbers, and of the absolute values of the smallest."""
    values = np.asarray(noise(drawn(0)), np.float64)
    assert np.all(np.isfinite(values))
    assert stats.kstest(values, law.cdf).pvalue > 5e-7
    edge = law.ppf(0.5 + 0.0005)
    inner = np.abs(values[np.abs(values) < edge])
    near = lambda x: (2 * law.cdf(x) - 1) / 0.001  # noqa: E731
    assert stats.kstest(inner, near).pvalue > 5e-7


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "t 5")) for n in LAWS]
)
def test_noise_has_its_distribution_and_a_scaled_one_has_not(name):
    noise, law = LAWS[name]
    distribution_law(noise, law)
    caught(distribution_law, lambda bits: 1.03 * noise(bits), law)


def symmetry_law(noise):
    """A word and its complement give two numbers of opposite sign: symmetric to the last bit."""
    bits = drawn(2)
    np.testing.assert_array_equal(noise(~bits), -noise(bits))


def test_noise_is_symmetric_to_the_last_bit():
    symmetry_law(_noise.normal)
    symmetry_law(_noise.uniform)
    sized = lambda bits: _noise.laplace(bits) * jnp.where(bits & 0x80, -1, 1)  # noqa: E731
    assert np.all(np.asarray(sized(drawn(2))) >= 0)
    radius = drawn(3)
    symmetry_law(lambda bits: _noise.student(radius, bits, jnp.float32(1)))
    caught(symmetry_law, lambda bits: bits.astype(jnp.float32) * 2.0**-31 - 1)


def test_the_two_words_of_a_coordinate_are_independent():
    """Radius and angle of a t: 16 x 16 cells of their upper bits, at 1e-6."""
    seen = []

    class Spy(ja.moves.StudentT):
        def noise(self, draw):
            seen.extend(np.asarray(draw(number)) for number in range(2))
            return super().noise(draw)

    with jax.disable_jit():
        Spy(df=1).propose(_keys.as_key(3), jnp.zeros(2**20), 1.0)
    cells = (seen[0] >> 28).astype(int) << 4 | (seen[1] >> 28).astype(int)
    assert stats.chisquare(np.bincount(cells, minlength=256)).pvalue > 1e-6
    same = (seen[0] >> 28).astype(int) << 4 | (seen[0] >> 28).astype(int)
    assert stats.chisquare(np.bincount(same, minlength=256)).pvalue < 1e-6


def test_coordinates_have_the_same_noise_however_they_are_packed():
    key, move = jax.random.key(2), ja.moves.Gaussian(scale=1.0)
    whole, _ = move.propose(key, jnp.zeros(24), 1.0)
    parts, _ = move.propose(key, {"a": jnp.zeros((2, 3)), "b": jnp.zeros((3, 6))}, 1.0)
    np.testing.assert_array_equal(jnp.concatenate([parts["a"].ravel(), parts["b"].ravel()]), whole)
    words = generator.words(_keys.as_key(key), 0, (24,))
    np.testing.assert_allclose(whole, _noise.normal(words), rtol=1e-6)


def test_double_precision_gets_the_noise_of_double_precision():
    """No step of 2^18 comes twice, of the levels of single precision many do."""
    with enable_x64(True):
        for move in (ja.moves.Gaussian(1.0), ja.moves.StudentT(1.0, 1.0), ja.moves.Laplace(1.0)):
            new, _ = move.propose(jax.random.key(4), jnp.zeros(2**18), 1.0)
            assert new.dtype == jnp.float64 and np.unique(new).size == 2**18
    new, _ = ja.moves.Gaussian(1.0).propose(jax.random.key(4), jnp.zeros(2**18), 1.0)
    assert np.unique(new).size < 0.7 * 2**18


def fraction_law(move):
    """Each coordinate moves with its probability, one at least: standard error 0.001 of 0.2."""
    keys = jax.random.split(jax.random.key(5), 2**15)
    start = {"a": jnp.zeros((2, 2)), "b": jnp.zeros(1)}
    new, _ = jax.jit(jax.vmap(lambda key: move.propose(key, start, 1.0)))(keys)
    moved = np.concatenate([new["a"].reshape(-1, 4), new["b"]], axis=1) != 0
    counts = np.bincount(moved.sum(axis=1), minlength=6)
    law = stats.binom(5, 0.2).pmf(np.arange(6))
    law = np.array([0, law[0] + law[1], *law[2:]])
    assert counts[0] == 0
    assert stats.chisquare(counts[1:], law[1:] * 2**15).pvalue > 5e-7
    alone = moved[moved.sum(axis=1) == 1].sum(axis=0)
    assert stats.chisquare(alone).pvalue > 5e-7


def test_a_fraction_of_coordinates_moves_and_the_only_one_is_any_of_them():
    fraction_law(ja.moves.Gaussian(1.0, fraction=0.2))
    caught(fraction_law, ja.moves.Gaussian(1.0, fraction=0.21))
    caught(fraction_law, ja.moves.Gaussian(1.0))
