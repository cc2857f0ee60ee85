"""What a result offers: best states, tables, pictures, datasets."""

import functools
import sys

import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal._diagnostics.check_ladder import allowed_rate
from jaxanneal._engine import history
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Gaussian

START = np.float32([5, -7])


def terraces(x, height=1.0):
    """Return an integer for every state, which no batch width can round."""
    return height * jnp.sum(jnp.round(4 * x) ** 2)


def bowl(x):
    return jnp.sum(x**2)


def look(x, height):
    return {"cell": jnp.round(x), "energy": terraces(x, height)}


@functools.cache
def cooled(**settings):
    method = ja.SimulatedAnnealing(10, Geometric(16.0, 0.1, 100))
    return run(method, **settings)


@functools.cache
def tempered(temperatures=(1, 4, 16), ladders=2, swap_every=5, **settings):
    method = ja.ParallelTempering(None, ladders, temperatures, swap_every, warmup=20)
    return run(method, **settings)


def run(method, params=START, height=1.0, **settings):
    """Run one of two programs, of annealing and of tempering."""
    settings = {"steps": 100, "record_every": 5, "observe": look} | settings
    settings |= {"key": 0, "move": Gaussian(0.5), "args": (height,)}
    return ja.anneal(terraces, params, method=method, **settings)


@pytest.fixture
def summarised(monkeypatch):
    monkeypatch.setattr(history, "_BYTES", 100)
    for cached_run in (cooled, tempered):
        cached_run.cache_clear()
    yield
    for cached_run in (cooled, tempered):
        cached_run.cache_clear()


def test_top_returns_the_best_distinct_states_stacked():
    result = cooled()
    best = np.asarray(result.chains.best_params)
    energies = np.asarray(result.chains.best_energy)
    top = np.asarray(result.top(4))
    np.testing.assert_array_equal(top, best[np.argsort(energies, kind="stable")[:4]])
    np.testing.assert_array_equal(top[0], result.params)
    assert result.top(100).shape == (10, 2)
    with pytest.warns(UserWarning, match="a gradient that is not zero"):  # terraces are flat
        polished = ja.polish(terraces, ja.stacked(result.top(3)), steps=1)
    assert polished.chains.energy.shape == (3,)


def test_top_counts_equal_states_once_and_leaves_out_what_is_not_finite():
    start = {"s": np.array([[True], [True], [False]]), "x": np.float32([1, 1, np.nan])}

    def energy(p):
        return jnp.where(p["s"][0], p["x"], jnp.nan)

    still = ja.SimulatedAnnealing(3, Geometric(1.0, 1.0))
    result = ja.anneal(
        energy, ja.stacked(start), key=0, method=still, move=lambda key, p: p, steps=1
    )
    assert {name: leaf.shape for name, leaf in result.top(3).items()} == {"s": (1, 1), "x": (1,)}


@pytest.mark.parametrize(("k", "kind"), [(0, ValueError), (-1, ValueError), (1.0, TypeError)])
def test_top_refuses_what_is_no_count(k, kind):
    with pytest.raises(kind, match=rf"^k: expected an integer >= 1, got {k}\. Use 1 for the best"):
        cooled().top(k)


def test_the_table_names_what_matters_as_text_and_as_html():
    result = tempered()
    text, html = result.summary(), result._repr_html_()
    lines = dict(line.split("  ", 1) for line in text.splitlines())
    for name in ("best energy", "stopped", "swap rate", "barrier", "round trips", "temperature"):
        assert name in lines
        assert f">{name}</th>" in html
    assert lines["chains"].strip() == "6: 2 ladders of 3 rungs"
    assert len({line.find(line.split("  ")[-1].strip()) for line in text.splitlines()[:3]}) == 1
    assert "nan" not in ja.polish(bowl, START, steps=5).summary()


def test_html_escapes_what_a_reason_says():
    assert "<script" not in cooled()._repr_html_()
    assert cooled().summary().count("\n") + 1 == cooled()._repr_html_().count("<tr>")


def test_barrier_and_round_trips_are_those_of_the_ladder():
    """Three rungs at the same energy always swap."""
    health = tempered(height=0.0, swap_every=1, steps=80).diagnostics
    assert health.barrier == 0
    # A replica goes a rung further with every phase and stands still for one at either end: it is
    # back after six phases, so 60 phases after the warm-up hold 10 trips of each.
    np.testing.assert_array_equal(health.round_trips, [30] * 2)
    np.testing.assert_array_equal(health.round_trip_rate, [0.5] * 2)
    assert allowed_rate(health.swap_rate, "deo") == 0.5
    assert cooled().diagnostics.barrier is None


def test_round_trips_do_not_depend_on_chunks_and_records():
    whole = tempered(steps=300, record_every=300, swap_every=3)
    parts = tempered(steps=7, record_every=1, swap_every=3)
    for steps in (30, 1, 262):
        settings = {"args": (1.0,), "observe": look, "record_every": 5}
        parts = ja.anneal(terraces, state=parts.state, steps=steps, **settings)
    recorded = ("effective_sample_size", "rhat")  # of one record, and of 54
    for name, value in whole.diagnostics._asdict().items():
        if name not in recorded:
            np.testing.assert_array_equal(value, getattr(parts.diagnostics, name))
    assert whole.diagnostics.round_trips.sum() > 0


def test_dataset_of_chains():
    result = cooled()
    data = result.to_xarray()
    assert dict(data.sizes) == {"record": 20, "chain": 10, "observed.cell_0": 2}
    np.testing.assert_array_equal(data.energy, result.history.energy)
    np.testing.assert_array_equal(data["observed.energy"], data.energy)
    assert data["observed.cell"].dims == ("record", "chain", "observed.cell_0")
    np.testing.assert_array_equal(data.step, result.history.step)
    assert data.energy.coords["step"].dims == ("record",)
    assert data.attrs["stop_reason"] == "STEPS"
    assert (data.attrs["steps"], data.attrs["evaluations"]) == (100, 10 * 101)
    assert data["diagnostics.acceptance_rate"].dims == ("chain",)
    assert data.energy.swap_dims(record="step").sel(step=50).shape == (10,)


def test_dataset_of_ladders():
    result = tempered()
    data = result.to_xarray()
    assert data.energy.dims == ("record", "ladder", "rung")
    np.testing.assert_array_equal(data.ladder_temperature, result.diagnostics.temperatures)
    np.testing.assert_array_equal(data["observed.energy"], data.energy[:, :, 0])
    assert data["diagnostics.swap_rate"].dims == ("pair",)
    assert data["diagnostics.round_trips"].dims == ("ladder",)
    np.testing.assert_array_equal(data.warmup, data.step <= 20)


def test_lost_proposals_of_a_ladder_stand_at_the_rung_where_their_replica_ended():
    method = ja.ParallelTempering(
        temperatures=[0.5, 1.0, 2.0, 4.0], ladders=2, adapt=False, swap_every=1
    )
    move = ja.moves.Gaussian(2.0, target_acceptance=None)
    inside = lambda x: jnp.where(jnp.abs(x) < 3.0, 0.5 * x**2, jnp.nan)  # noqa: E731
    result = ja.anneal(inside, 0.0, key=0, method=method, move=move, steps=77)
    lost = result.to_xarray()["diagnostics.nonfinite"]
    assert lost.dims == ("ladder", "rung") and "proposals" in lost.attrs["long_name"]
    by_replica = np.asarray(result.state.engine_state.nonfinite)[:8].reshape(2, 4)
    ended = np.asarray(result.history.replica[-1])
    assert len(np.unique(by_replica)) > 4 and np.any(ended != np.arange(4))
    np.testing.assert_array_equal(lost, np.take_along_axis(by_replica, ended, axis=1))


@pytest.mark.slow
def test_dataset_of_a_summary(summarised):
    for result, slots in ((cooled(), ()), (tempered(), ("rung",))):
        data = result.to_xarray()
        assert data.energy.dims == ("record", "statistic", *slots)
        np.testing.assert_array_equal(data.energy.sel(statistic="q75"), result.history.energy.q75)
        observed = data["observed.cell"]
        assert observed.dims == ("record", "statistic", "observed.cell_0")


def test_dataset_of_a_polished_result():
    data = ja.polish(bowl, START, steps=5).to_xarray()
    assert dict(data.energy.sizes) == {"record": 5, "chain": 1}


def labels(figure):
    return [axes.get_title().split(":")[0] for axes in figure.axes if axes.get_title()]


def drawn(figure):
    """Draw it: a warning of matplotlib's is an error here."""
    data = figure._repr_png_()
    assert data.startswith(b"\x89PNG")
    return figure


def test_pictures_show_energy_temperature_and_acceptance():
    assert labels(drawn(cooled().plot())) == ["Energy", "Temperature", "Acceptance of moves"]
    polished = ja.polish(bowl, START, steps=5).plot()
    assert labels(drawn(polished)) == ["Energy"]


def test_pictures_of_summaries_of_no_moves_and_of_infinite_energies(summarised):
    drawn(cooled().plot())
    drawn(cooled(target=1e9).plot())
    (overlap,) = [
        axes
        for axes in drawn(tempered().plot()).axes
        if axes.get_title() == "Energies of neighbouring rungs"
    ]
    assert "summarised" in overlap.texts[0].get_text()
    starts = np.float32([[np.nan, 0]] * 9 + [[1, 1]])
    drawn(run(ja.SimulatedAnnealing(10, Geometric(1.0, 0.1)), ja.stacked(starts), steps=20).plot())


def test_a_scale_is_logarithmic_only_where_all_is_positive():
    energy, temperature, _ = cooled().plot().axes
    assert temperature.get_yscale() == "log"
    assert energy.get_yscale() == ("log" if cooled().energy > 0 else "linear")
    ladder = tempered(temperatures=(1, 2, 4)).plot().axes[1]
    assert ladder.get_yscale() == "linear"


@pytest.mark.parametrize(
    ("verb", "package", "extra"),
    [
        ("plot", "matplotlib", "plot"),
        ("to_xarray", "xarray", "xarray"),
        ("to_arviz", "arviz", "arviz"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(verb, package, extra, monkeypatch):
    result = cooled()
    for name in [name for name in sys.modules if name.split(".")[0] == package]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "jaxanneal._plots.matplotlib", raising=False)
    with pytest.raises(ImportError, match=rf"needs {package}: pip install 'jaxanneal\[{extra}\]'"):
        getattr(result, verb)()
