"""What polish makes of trees and precisions, of the host's looks, and what it counts."""

import contextlib
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxanneal as ja
from jaxanneal._polish import polish
from jaxanneal._run import chunks

MATRIX = np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32)
STARTS = np.random.default_rng(1).normal(size=(6, 5)).astype(np.float32)


def bowl(x):
    return 0.5 * jnp.sum(x**2)


def quadratic(x, matrix):
    return jnp.sum((matrix @ x) ** 2)


def test_one_tree_may_hold_whatever_a_tree_may_hold():
    start = {"x": 3.0, "n": np.int32([2]), "on": np.array([True]), "f": jnp.square, "s": "text"}

    def energy(p):
        return jnp.sum(p["f"](p["x"] - p["n"].astype(jnp.float32)) * p["on"].astype(jnp.float32))

    found = ja.polish(energy, start, optax.sgd(0.5), steps=1)
    assert float(found.params["x"]) == 2.0 and found.energy == 0.0
    assert found.params["n"].dtype == np.int32 and bool(found.params["on"][0])
    assert found.params["f"] is jnp.square and found.params["s"] == "text"


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_descends_in_float32(dtype):
    # Steps of 1e-3 from 4.0 are below half an ulp of both: added in half precision they vanish.
    energy = lambda x: bowl(x.astype(jnp.float32))  # noqa: E731
    found = ja.polish(energy, jnp.full(3, 4.0, dtype), optax.adam(1e-3), steps=600)
    assert found.params.dtype == found.chains.params.dtype == dtype
    assert found.chains.energy.dtype == jnp.float32
    assert np.all(np.asarray(found.params, np.float32) < 3.5)
    assert found.energy == float(energy(found.params))


@pytest.mark.parametrize("optimizer", [None, pytest.param(optax.lbfgs(), marks=pytest.mark.slow)])
def test_double_precision(float64, optimizer):
    energy = lambda x, t: jnp.sum((x - t) ** 2)  # noqa: E731
    target = jnp.asarray([1.0 + 1e-12], jnp.float64)
    found = ja.polish(energy, jnp.zeros(1, jnp.float64), optimizer, steps=2000, args=(target,))
    assert found.params.dtype == found.chains.energy.dtype == jnp.float64
    assert abs(float(found.params[0]) - 1.0) < 1e-10
    mixed = lambda x, t: jnp.sum((x.astype(jnp.float64) - t) ** 2)  # noqa: E731
    single = ja.polish(mixed, jnp.zeros(1, jnp.float32), optimizer, steps=500, args=(target,))
    assert single.params.dtype == jnp.float32 and single.energy < 1e-4


def test_single_precision_stays_single_beside_double(float64):
    found = ja.polish(bowl, jnp.ones(2, jnp.float32), steps=3)
    assert found.params.dtype == found.chains.energy.dtype == jnp.float32
    assert ja.polish(bowl, found, steps=3).energy < found.energy


def chunk_law(changes, monkeypatch):
    """Looks of the host change no bit of what is found."""
    plain = ja.polish(quadratic, ja.stacked(STARTS), steps=40, args=(MATRIX,))
    for name, value in changes.items():
        monkeypatch.setattr(chunks, name, value)
    other = ja.polish(quadratic, ja.stacked(STARTS), steps=40, args=(MATRIX,))
    for one in ("chains", "history"):
        pairs = zip(*(jax.tree.leaves(getattr(r, one)) for r in (plain, other)), strict=True)
        for a, b in pairs:
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("changes", [{"LOOK_SECONDS": 0.0}, {"LOOK_SECONDS": 1e9, "GROWTH": 7}])
def test_chunks_change_no_bit(changes, monkeypatch):
    chunk_law(changes, monkeypatch)


class Impatient:
    """Ctrl-C after some looks of the host."""

    def __init__(self, looks):
        self.looks = looks

    @property
    def requested(self):
        self.looks -= 1
        return self.looks < 0


@pytest.mark.parametrize("looks", [0, 1, 4])
def test_an_interruption_returns_what_was_found(looks, monkeypatch):
    monkeypatch.setattr(chunks, "LOOK_SECONDS", 0.0)  # chunks of one step
    monkeypatch.setattr(polish, "interruptible", lambda: contextlib.nullcontext(Impatient(looks)))
    found = ja.polish(bowl, ja.stacked(np.float32([8.0, -4.0])), optax.sgd(0.25), steps=2000)
    assert found.stop_reason is ja.StopReason.INTERRUPTED
    assert (found.steps, found.gradients) == (looks, 2 * looks)
    np.testing.assert_array_equal(found.params, np.float32(-4 * 0.75**looks))
    assert found.history.energy.shape == (-(-looks // 2), 2)  # 2,000 steps in 1,000 records
    if looks:
        assert found.history.step[-1] == looks
        np.testing.assert_array_equal(found.history.energy[-1], found.chains.energy)


def test_a_gradient_of_zeros_is_told():
    steps = lambda x: jnp.sum(jnp.round(x) ** 2)  # noqa: E731
    text = r"^energy: expected a gradient that is not zero, got zeros at every step.*ja\.anneal"
    with pytest.warns(UserWarning, match=text):
        found = ja.polish(steps, np.float32([3.0]), steps=5)
    assert found.energy == 9.0 and float(found.params[0]) == 3.0
    with warnings.catch_warnings(action="error"):
        ja.polish(lambda x: steps(x) + 0.1 * bowl(x), np.float32([3.0]), steps=5)


def test_evaluations_and_gradients_are_those_that_were_made(monkeypatch):
    counted = []

    def energy(x):
        jax.debug.callback(lambda _: counted.append("energy"), x)
        return bowl(x)

    found = ja.polish(energy, ja.stacked(STARTS), optax.sgd(0.1), steps=7)
    jax.effects_barrier()
    assert len(counted) == found.evaluations + found.gradients == 6 * (3 + 7)
    counted.clear()
    searched = ja.polish(energy, STARTS[0], optax.lbfgs(), steps=3)
    jax.effects_barrier()
    # Batched, both branches of each step of the search are computed, one of them for nothing.
    assert searched.gradients > 3
    assert len(counted) >= searched.evaluations + searched.gradients
