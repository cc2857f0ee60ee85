"""What basin hopping takes and refuses: mixed trees, precisions, settings, and what compiles."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal.moves import Flip, Gaussian, IntegerStep, PerLeaf

# `test_hopping_laws` and `test_minimize` stand for these by default.
pytestmark = pytest.mark.slow

CHAINS = 4


def tanh(x):
    return jnp.tanh(x)


TREE = {
    "function": tanh,
    "half": jnp.array([1.5, -2.0], jnp.float16),
    "brain": jnp.array([0.3, 0.7, -1.1], jnp.bfloat16),
    "matrix": np.float32([[1, 2], [3, -4], [0, 1]]),
    "scalar": np.float32(0.5),
    "empty": np.zeros((0, 3), np.float32),
    "counts": np.int32([4, 5]),
    "sites": np.array([True, False]),
    "frozen": np.float32([7, 8]),
    "name": "text",
}
PARTS = {
    "half": Gaussian(bounds=(-3, 0.1)),  # 0.1 is no float16, and the nearest one lies above it
    "brain": Gaussian(bounds=(0.1, 0.9)),
    "matrix": Gaussian(),
    "scalar": Gaussian(bounds=(0, np.inf)),
    "empty": Gaussian(),
    "counts": IntegerStep(),
    "sites": Flip(),
    "frozen": None,
    "function": None,
    "name": None,
}


def mixed(tree):
    """An energy whose minima in the limits are known: 0.1 where a leaf is drawn to a limit."""
    parts = [
        jnp.sum((tree["half"].astype(jnp.float32) - 1) ** 2),
        jnp.sum((tree["brain"].astype(jnp.float32) + 1) ** 2),
        jnp.sum((tree["function"](tree["matrix"]) - 0.5) ** 2),
        (tree["scalar"] + 1) ** 2,
        jnp.sum(tree["empty"]),
        jnp.sum(tree["counts"].astype(jnp.float32)) + jnp.sum(tree["sites"].astype(jnp.float32)),
        jnp.sum((tree["frozen"] - tree["scalar"]) ** 2),
    ]
    return sum(parts, jnp.zeros(()))


@pytest.mark.slow
def test_what_is_no_float_or_frozen_stays_bit_for_bit_and_each_leaf_keeps_its_dtype():
    start = TREE | {"half": jnp.array([-1.5, -2.0], jnp.float16)}
    start |= {"brain": jnp.array([0.3, 0.7, 0.5], jnp.bfloat16)}
    method = ja.BasinHopping(CHAINS)
    result = ja.anneal(mixed, start, key=0, method=method, move=PerLeaf(PARTS), steps=200)
    for params in (result.params, result.chains.params):
        assert jax.tree.structure(params) == jax.tree.structure(start)
        for name in ("counts", "sites", "frozen", "empty"):
            kept = np.broadcast_to(start[name], params[name].shape)
            np.testing.assert_array_equal(params[name], kept)
        for name in set(PARTS) - {"function", "name"}:
            assert params[name].dtype == start[name].dtype
    lowest = float(jnp.bfloat16(0.1))
    assert np.all(np.asarray(result.params["half"]) == np.float16(0.1))
    assert np.all(np.asarray(result.params["brain"], np.float32) == lowest)
    np.testing.assert_allclose(result.params["matrix"], np.full((3, 2), np.arctanh(0.5)), atol=1e-3)
    np.testing.assert_allclose(result.params["scalar"], 14 / 3, atol=1e-3)
    for name, (low, high) in {"half": (-3, np.float16(0.1)), "brain": (lowest, 0.9)}.items():
        seen = np.asarray(result.chains.params[name], np.float32)
        assert np.all((seen >= low) & (seen <= np.float32(high) * 1.01))
    assert result.energy == pytest.approx(float(mixed(result.params)), rel=1e-5)
    result.check()


def double(x):
    return jnp.sum((x.astype(jnp.float64) - 1e-9) ** 2) + 1e6


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_energy_in_double_precision_is_followed_in_it(float64, dtype):
    start = np.array([2.0, -1.0], dtype)
    result = ja.anneal(double, start, key=0, method=ja.BasinHopping(CHAINS), steps=60)
    assert result.chains.energy.dtype == np.float64
    assert result.params.dtype == dtype
    assert 0 <= result.energy - 1e6 < 1e-9
    result.check()


@pytest.mark.slow
def test_a_plateau_is_noticed():
    plateau = lambda x: jnp.sum(jnp.round(x * 1e-6))  # noqa: E731
    starts = ja.stacked(np.float32([[3], [5], [7], [9]]))
    result = ja.anneal(plateau, starts, key=0, method=ja.BasinHopping(CHAINS), steps=200)
    with pytest.warns(UserWarning, match=r"no energy ever changed.*ja.BasinHopping\(unit=...\)\.$"):
        result.check()


HALF_OF_NO_RANGE = Gaussian(bounds=(-3e38, 3e38))


def test_bounds_of_any_width_and_starts_of_any_size_have_units():
    """Whose width overflows counts as none."""
    starts = np.float32([[0, 3e38, 5, 1], [0, -3e38, 5, 2]])
    method = ja.BasinHopping(2)
    fitted = [
        method.fitted(ja._chain.parameters.Parameters.of(x), move).units[0]
        for x in (starts, starts[:, :1])
        for move in (
            HALF_OF_NO_RANGE,
            Gaussian(bounds=(-np.inf, 4e38)),
            Gaussian(bounds=(-2, 4e38)),
        )
    ]
    assert all(np.all(np.isfinite(unit) & (unit > 0)) for unit in fitted)
    assert fitted[0][3] == pytest.approx(np.sqrt(12) / 2)
    held = method.fitted(ja._chain.parameters.Parameters.of(starts[:, 2:]), Gaussian(bounds=(5, 5)))
    assert np.all(np.isfinite(held.units[0]) & (held.units[0] > 0))


WRONG = [
    ({"chains": 0}, "BasinHopping.chains: expected an integer >= 1, got 0. Use 1"),
    ({"chains": 2.0}, "BasinHopping.chains: expected an integer >= 1, got 2.0. Use 1"),
    ({"descent_steps": 0}, "BasinHopping.descent_steps: expected an integer from 1"),
    ({"descent_steps": 1.5}, "BasinHopping.descent_steps: expected an integer from 1"),
    ({"unit": 0.0}, "BasinHopping.unit: expected finite values > 0, got 0.0. Give"),
    ({"unit": {"a": -1.0}}, "BasinHopping.unit: expected finite values > 0, got -1.0. Give"),
    ({"unit": "x"}, "BasinHopping.unit: expected finite values > 0, got 'x'. Give"),
    ({"sizes": []}, "BasinHopping.sizes: expected finite values > 0, got []. Give"),
    ({"sizes": 0.1}, "BasinHopping.sizes: expected at least one value, [sizes], got (). Give"),
    ({"sizes": [0.1, np.nan]}, "BasinHopping.sizes: expected finite values > 0"),
    ({"longest_step": np.inf}, "BasinHopping.longest_step: expected finite values > 0"),
    ({"coldest": 0}, "BasinHopping.coldest: expected finite values > 0, got 0. Leave"),
    ({"coldest": 1.0}, "BasinHopping.hottest: expected at least coldest, 1, got 0.5. Swap"),
    ({"hottest": [1.0, 2.0]}, "BasinHopping.hottest: expected finite values > 0, a scalar"),
    ({"scale": -1}, "BasinHopping.scale: expected finite values > 0, got -1. Leave"),
    ({"swap_every": 2**31}, "BasinHopping.swap_every: expected an integer from 1"),
    ({"tolerance": 0.0}, "BasinHopping.tolerance: expected finite values > 0"),
    ({"abandon": 0}, "BasinHopping.abandon: expected a number > 0, got 0. Use inf"),
    ({"abandon": np.nan}, "BasinHopping.abandon: expected a number > 0, got nan. Use inf"),
    ({"favour": 1.1}, "BasinHopping.favour: expected a number from 0 to 1, got 1.1. Use 0"),
    ({"temperature": 1.0}, "BasinHopping: expected a setting of its own, got temperature="),
]


@pytest.mark.parametrize(("settings", "text"), WRONG, ids=lambda x: str(x)[:40])
def test_a_wrong_setting_is_refused_in_words(settings, text):
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(text)}"):
        ja.BasinHopping(**settings)


def called(x):
    one = jax.ShapeDtypeStruct((), np.float32)
    return jax.pure_callback(lambda y: np.float32(np.sum(y**2)), one, x, vmap_method="sequential")


def unrolled(x):
    return jax.lax.while_loop(lambda y: y > 1, lambda y: y / 2, jnp.sum(x**2))


def smooth(x):
    return jnp.sum(jnp.asarray(x).astype(float) ** 2)


REFUSED = [
    (called, np.ones(2, np.float32), {}, "energy: expected a function that JAX can differentiate"),
    (unrolled, np.ones(2, np.float32), {}, "energy: expected a function that JAX can differentia"),
    (
        smooth,
        np.ones(2, np.int32),
        {"move": IntegerStep()},
        "params: expected at least one floating leaf, got ",
    ),
    (smooth, np.ones(2, bool), {}, "params: expected at least one floating leaf, got "),
    (
        lambda tree: smooth(tree["x"]),
        {"x": np.float32(1), "n": np.int32(1)},
        {"move": PerLeaf({"x": None, "n": IntegerStep()})},
        "params: expected at least one floating leaf, got ",
    ),
    (smooth, np.ones(2, np.float32), {"method": {"unit": {"y": 1.0}}}, "BasinHopping.unit: "),
    (smooth, np.ones(2, np.float32), {"method": {"unit": np.ones(3)}}, "BasinHopping.unit: "),
]


@pytest.fixture
def compiled(monkeypatch):
    """Return the list of all programs that a test compiles."""
    programs, compile_program = [], jax.stages.Lowered.compile

    def counted(*args, **kwargs):
        programs.append("program")
        return compile_program(*args, **kwargs)

    monkeypatch.setattr(jax.stages.Lowered, "compile", counted)
    return programs


@pytest.mark.parametrize(("energy", "params", "settings", "text"), REFUSED)
def test_what_cannot_descend_is_refused_before_anything_compiles(
    energy, params, settings, text, compiled
):
    settings = dict(settings)
    method = ja.BasinHopping(CHAINS, **settings.pop("method", {}))
    with pytest.raises((TypeError, ValueError), match=f"^{re.escape(text)}") as error:
        ja.anneal(energy, params, key=0, method=method, **settings)
    assert re.search(r"expected .*, got .*\. \w.*\.$", str(error.value), re.DOTALL)
    assert not compiled


NUMBERS = [
    {},
    {"descent_steps": 7, "longest_step": 0.3, "unit": 3.0, "sizes": [0.1, 0.2]},
    {"coldest": 0.1, "hottest": 2, "scale": 5, "swap_every": 2, "tolerance": 1e-3},
    {"abandon": np.inf, "favour": 1, "hottest": np.float32(9), "scale": np.float64(0.1)},
]


def test_new_numbers_compile_nothing(compiled):
    given = {"unit": 1.0, "scale": 1.0, "sizes": [0.05, 0.5]}
    counts = []
    for number, changes in enumerate(NUMBERS):
        move = Gaussian(bounds=(-3.0 - number, 5.0))
        method = ja.BasinHopping(CHAINS, **given | changes)
        limits = {"steps": 20 + number, "target": -1.0 - number, "record_every": 1 + number}
        start = np.float32([1 + 0.1 * number, -1])
        result = ja.anneal(smooth, start, key=number, method=method, move=move, **limits)
        assert result.energy < 1e-3
        counts.append(len(compiled))
    assert counts[0] > 0
    assert set(counts) == {counts[0]}
