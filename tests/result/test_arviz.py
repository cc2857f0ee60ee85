"""Results in ArviZ, whichever of its two containers the installed one has."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import caught

import jaxanneal as ja
from jaxanneal._diagnostics.convergence import effective_sample_size, split_rhat
from jaxanneal._engine import history as _history
from jaxanneal._result import xarray as xarray_exports
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Gaussian


@pytest.fixture(scope="module")
def az():
    import arviz
    import matplotlib

    matplotlib.use("Agg")
    return arviz


def energy(p):
    return jnp.sum(p["x"] ** 2) / 2 + jnp.sum(p["y"] ** 4)


def look(p):
    # Whole 64ths, whose distances from a median float32 holds: ArviZ takes them in it.
    return {"x": jnp.round(p["x"] * 64) / 64, "y": p["y"], "far": p["x"] > 1}


@functools.cache
def tempered(observe=look, steps=400, warmup=100, **settings):
    method = ja.ParallelTempering(temperatures=[1, 4], ladders=3, swap_every=5, warmup=warmup)
    return run(method, observe, steps, **settings)


@functools.cache
def cooled(observe=look, steps=20, **settings):
    return run(ja.SimulatedAnnealing(30, Geometric(4.0, 0.5, 20)), observe, steps, **settings)


def run(method, observe, steps, record_every=2):
    return ja.anneal(
        energy,
        {"x": np.float32([1, -1]), "y": np.float32(1)},
        key=0,
        method=method,
        move=Gaussian(1.0),
        steps=steps,
        record_every=record_every,
        observe=observe,
    )


def faithful_law(result):
    """Compare every group with the history, bit for bit."""
    data, history = result.to_arviz(), result.history
    ladder = result.diagnostics.temperatures is not None
    for group, rows in (("", ~history.warmup), ("warmup_", history.warmup)):
        if not rows.any():
            assert f"{group}posterior" not in data
            continue
        posterior, stats = (data[group + name] for name in ("posterior", "sample_stats"))
        for name, values in history.observed.items():
            assert posterior[name].dims[:2] == ("chain", "draw")
            np.testing.assert_array_equal(posterior[name], np.swapaxes(values[rows], 0, 1))
        for name in ("energy", "best_energy", "temperature", "acceptance_rate"):
            field = getattr(history, name)[rows]
            expected = field[:, :, 0] if ladder else field
            assert stats[name].dims == ("chain", "draw")
            np.testing.assert_array_equal(stats[name], expected.T)
        np.testing.assert_array_equal(stats["step"], stats["step"] * 0 + history.step[rows])
        density = -stats["energy"].values / stats["temperature"].values
        np.testing.assert_array_equal(stats["lp"], density)


def test_draws_and_statistics_are_those_of_the_history():
    faithful_law(tempered())
    with pytest.warns(UserWarning, match=r"annealing does not sample.*ja\.ParallelTempering"):
        faithful_law(cooled())


@pytest.mark.parametrize(
    ("part", "broken"),
    [
        ("_cold", lambda field: np.asarray(field)[..., -1].T),  # the hottest rung
        ("_cold", lambda field: np.asarray(field)[:, :, 0][::-1].T),  # the last record first
        ("_plain", lambda values: values[::-1]),  # the ladders in another order
        ("_RESERVED", ("x",)),
    ],
)
def test_a_container_that_holds_something_else_is_caught(part, broken, monkeypatch):
    monkeypatch.setattr(xarray_exports, part, broken)
    with pytest.raises((AssertionError, KeyError)):
        faithful_law(tempered())


def test_the_container_is_that_of_the_installed_arviz(az):
    data = tempered().to_arviz()
    name = "DataTree" if int(az.__version__.split(".")[0]) else "InferenceData"
    assert type(data).__name__ == name
    assert data.attrs["inference_library"] == "jaxanneal"
    assert data.attrs["stop_reason"] == "STEPS"
    assert dict(data["posterior"]["x"].sizes) == {"chain": 3, "draw": 150, "x_dim_0": 2}
    assert data["warmup_posterior"].sizes["draw"] == 50


def summary_law(az, data, draws):
    """Compare the columns of ArviZ's table with the numbers of this library."""
    table = az.summary(data, var_names=["x"], round_to="none")
    for column, measure in (("ess_bulk", effective_sample_size), ("r_hat", split_rhat)):
        np.testing.assert_allclose(np.asarray(table[column], float), measure(draws), rtol=1e-6)


def test_its_summary_shows_the_sizes_and_rhats_of_the_coldest_rung(az):
    result = tempered()
    x = result.history.observed["x"]
    kept = x[~result.history.warmup]
    data = result.to_arviz()
    summary_law(az, data, kept)
    caught(summary_law, az, data, x)  # the warm-up among the draws
    assert set(az.summary(data).index) == {"x[0]", "x[1]", "y", "far[0]", "far[1]"}


@pytest.mark.filterwarnings("ignore:Passing a dict or None as alias_mapping")  # ArviZ 0.23 does
@pytest.mark.parametrize("picture", ["plot_trace", "plot_rank"])
def test_its_pictures_draw(picture, az):
    import matplotlib.pyplot as plt

    getattr(az, picture)(tempered().to_arviz(), var_names=["x", "y"])
    assert plt.get_fignums()
    plt.close("all")


def observing(change):
    """Return a result with the same draws in another tree."""
    result = tempered()
    history = result.history._replace(observed=change(result.history.observed))
    return dataclasses.replace(result, history=history)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        (lambda p: p["x"], {"observed"}),
        (lambda p: {"w": [p["x"], {"b": p["y"]}]}, {"w.0", "w.1.b"}),
        (lambda p: {"chain": p["y"], "draw": p["y"]}, {"observed.chain", "observed.draw"}),
    ],
)
def test_variables_are_named_by_their_paths(change, names):
    assert set(observing(change).to_arviz()["posterior"].data_vars) == names


def test_without_observe_the_energy_alone_is_sampled():
    result = observing(lambda p: None)
    with pytest.warns(UserWarning, match=r"^Result\.to_arviz: nothing was observed.*observe=lam"):
        posterior = result.to_arviz()["posterior"]
    assert set(posterior.data_vars) == {"energy"}
    kept = result.history.energy[~result.history.warmup]
    np.testing.assert_array_equal(posterior["energy"], kept[:, :, 0].T)


def few_law(ladders, records, text):
    """Ladders and draws that no R-hat can be told of are counted, with what to run instead."""
    result = tempered()
    cut = jax.tree.map(lambda x: x[-records:], result.history)
    fewer = cut._replace(
        energy=cut.energy[:, :ladders],
        best_energy=cut.best_energy[:, :ladders],
        temperature=cut.temperature[:, :ladders],
        acceptance_rate=cut.acceptance_rate[:, :ladders],
        observed=jax.tree.map(lambda x: x[:, :ladders], cut.observed),
    )
    text = rf"^Result\.to_arviz: {text}\. R-hat compares two.*ParallelTempering\(ladders=4\)"
    with pytest.warns(UserWarning, match=text) as noted:
        dataclasses.replace(result, history=fewer).to_arviz()
    assert len(noted) == 1


@pytest.mark.parametrize(
    ("ladders", "records", "text"),
    [(1, 150, "1 ladder of 150 draws"), (3, 3, "3 ladders of 3 draws"), (2, 1, "2 .* of 1 draw")],
)
def test_what_arviz_has_no_rhat_of_is_counted(ladders, records, text):
    few_law(ladders, records, text)
    with pytest.raises(pytest.fail.Exception, match="DID NOT WARN"):
        few_law(2, 4, "2 ladders of 4 draws")


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_half_precision_is_widened_without_a_change(dtype, az):
    result = observing(lambda p: jax.tree.map(lambda x: x.astype(dtype), p))
    data = result.to_arviz()
    kept = result.history.observed["y"][~result.history.warmup]
    assert data["posterior"]["y"].dtype == np.float32
    np.testing.assert_array_equal(data["posterior"]["y"], kept.T.astype(np.float32))
    summary_law(az, data, result.history.observed["x"][~result.history.warmup])


REFUSALS = [
    (
        lambda: ja.polish(energy, tempered(), steps=2),
        "a run of anneal, got one of polish.* Call it on the result that you polished",
    ),
    (
        lambda: tempered(steps=50),
        "records after the warm-up, got 25 records, none after it.* shorter warmup=",
    ),
    (
        lambda: cooled(record_every=1),
        "a history of all chains, got their summary.* larger record_every=",
    ),
]


@pytest.mark.parametrize(("make", "text"), REFUSALS)
def test_what_holds_no_draws_is_refused_with_the_remedy(make, text, monkeypatch):
    if "summary" in text:
        monkeypatch.setattr(_history, "_BYTES", 100)
    with pytest.raises(ValueError, match=rf"^Result\.to_arviz: expected {text}"):
        make().to_arviz()
