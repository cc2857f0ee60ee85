"""A run of a sweep is the run alone, bit for bit, whatever is varied beside it."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from laws import normal

import jaxanneal as ja
from jaxanneal._sweep import batch, driver, programs, sweep

X = normal(0, 30, 5)
Y = np.sin(X.sum(axis=1))
START = {"w": 0.3 * normal(1, 5, 4), "v": [normal(2, 4)]}
ANNEALING = ja.SimulatedAnnealing(chains=6, cooling=ja.cooling.Geometric(1.0, 1e-3))
GAUSSIAN = ja.moves.Gaussian(0.3)
# What a run is called with, and what it is called with in a sweep; one program for many tests.
SETTINGS = {"args": (X, Y), "method": ANNEALING, "move": GAUSSIAN, "steps": 70, "block": 4}


def energy(p, x, y):
    return jnp.mean((jnp.tanh(x @ p["w"]) @ p["v"][0] - y) ** 2)


def drawn(key):
    first, second = jax.random.split(key)
    v = 0.5 * jax.random.normal(second, (4,)) - 0.1
    return {"w": 0.3 * jax.random.normal(first, (5, 4)) + 0.01, "v": [v]}


def with_numbers(start, fraction, **other):
    """Return what a run alone gets for two swept numbers."""
    cooling = ja.cooling.Geometric(start, 1e-3)
    method = ja.SimulatedAnnealing(chains=6, cooling=cooling)
    move = ja.moves.Gaussian(0.3, fraction=fraction)
    return SETTINGS | {"method": method, "move": move} | other


def alone_law(dataset, runs, params=START, key=7, steps="steps"):
    """Compare a sweep with single runs: settings of each configuration, in row-major order."""
    shape = [n for dim, n in dataset.energy.sizes.items() if dim != "repeat"]
    assert (dataset.error == "").all(), dataset.error.values
    assert int(np.prod(shape)) == len(runs)
    for c, settings in enumerate(runs):
        place = np.unravel_index(c, shape)
        for r in range(dataset.sizes["repeat"]):
            folded = jax.random.fold_in(jax.random.fold_in(jax.random.key(key), c), r)
            alone = ja.anneal(energy, params, key=folded, **settings)
            got = {name: x.values[*place, r] for name, x in dataset.data_vars.items()}
            assert got["energy"] == alone.energy, (c, r)
            np.testing.assert_array_equal(got["params.w"], alone.params["w"])
            np.testing.assert_array_equal(got["params.v.0"], alone.params["v"][0])
            assert got[steps] == alone.steps
            assert got["evaluations"] == alone.evaluations
            assert got["stop_reason"] == alone.stop_reason.name
            rate = float(alone.diagnostics.acceptance_rate.mean())
            np.testing.assert_array_equal(got["acceptance_rate"], rate)


NUMBERS = {"method.cooling.start": [0.5, 2.0, 0.1], "move.fraction": [0.2, 1.0]}
GRID = [with_numbers(*pair) for pair in itertools.product(*NUMBERS.values())]


def numbers(**other):
    return ja.sweep(energy, START, key=7, over=NUMBERS, repeats=2, **SETTINGS | other)


def test_a_run_of_a_grid_of_numbers_is_the_run_alone(monkeypatch):
    alone_law(numbers(), GRID)
    honest = sweep.run_keys
    one_key = lambda key, c, r: honest(key, c, 0 * r)  # noqa: E731  the same for all repeats
    monkeypatch.setattr(sweep, "run_keys", one_key)
    with pytest.raises(AssertionError, match=r"\(0, 1\)"):
        alone_law(numbers(), GRID)
    column_major = lambda key, c, r: honest(key, c % 2 * 3 + c // 2, r)  # noqa: E731
    monkeypatch.setattr(sweep, "run_keys", column_major)
    with pytest.raises(AssertionError, match=r"\(1, 0\)"):
        alone_law(numbers(), GRID)


def test_every_kind_of_key_is_folded_as_its_owner_would_fold_it():
    seed = numbers()
    for key in (jax.random.key(7), jax.random.PRNGKey(7)):
        same = ja.sweep(energy, START, key=key, over=NUMBERS, repeats=2, **SETTINGS)
        np.testing.assert_array_equal(same.energy, seed.energy)
    rbg = jax.random.key(7, impl="rbg")
    other = ja.sweep(energy, START, key=rbg, over={"move.scale": [0.1]}, repeats=2, **SETTINGS)
    folded = jax.random.fold_in(jax.random.fold_in(rbg, 0), 1)
    settings = SETTINGS | {"move": ja.moves.Gaussian(0.1)}
    assert other.energy.values[0, 1] == ja.anneal(energy, START, key=folded, **settings).energy


def test_limits_and_lengths_may_differ_from_run_to_run():
    over = {"steps": [1, 64, 200], "target": [None, 0.45], "patience": [None, 64]}
    dataset = ja.sweep(energy, START, key=7, over=over, repeats=1, **SETTINGS)
    runs = [SETTINGS | dict(zip(over, v, strict=True)) for v in itertools.product(*over.values())]
    alone_law(dataset, runs, steps="steps_made")
    assert {"STEPS", "TARGET"} <= set(dataset.stop_reason.values.reshape(-1))
    assert dataset.steps.dims == ("steps",)  # the coordinate of those asked for
    assert np.isnan(dataset.target.values[0])


@pytest.mark.slow
def test_a_lowest_temperature_stops_each_run_where_it_stops_alone():
    method = ja.SimulatedAnnealing(6, ANNEALING.cooling, min_temperature=1.0)
    over = {"method.min_temperature": [2.0, 0.1, 1e-6]}
    dataset = ja.sweep(energy, START, key=7, over=over, repeats=1, **SETTINGS | {"method": method})
    runs = [
        SETTINGS | {"method": ja.SimulatedAnnealing(6, ANNEALING.cooling, min_temperature=limit)}
        for limit in over["method.min_temperature"]
    ]
    alone_law(dataset, runs)
    assert dataset.stop_reason.values[:, 0].tolist() == 2 * ["MIN_TEMPERATURE"] + ["STEPS"]


def test_a_calibrated_run_is_the_run_alone():
    method = ja.SimulatedAnnealing(chains=6)
    over = {"move.fraction": [0.1, 1.0], "target": [None, 0.4]}
    dataset = ja.sweep(energy, START, key=7, over=over, repeats=2, **SETTINGS | {"method": method})
    runs = [
        with_numbers(1.0, fraction, method=method, target=target)
        for fraction, target in itertools.product(*over.values())
    ]
    alone_law(dataset, runs)


@pytest.mark.slow
def test_data_may_be_swept():
    over = {"args.1": [Y, 2 * Y, Y + 1]}
    dataset = ja.sweep(energy, START, key=7, over=over, repeats=2, **SETTINGS)
    alone_law(dataset, [SETTINGS | {"args": (X, y)} for y in over["args.1"]])
    assert len(set(dataset["args.1"].values.tolist())) == 3  # each has a label of its own


def test_new_numbers_compile_nothing(monkeypatch):
    @chex.assert_max_traces(n=2)  # once a sweep, by which it is known
    def counted(x):
        counted.traces += 1
        return jnp.sum(x**2)

    counted.traces = 0
    start, settings = jnp.ones(3), {"method": ANNEALING, "steps": 20, "repeats": 3}
    ja.sweep(counted, start, key=0, over={"move.df": [0.1, 0.3, 1.0]}, **settings)
    assert counted.traces == 1
    monkeypatch.setattr(jax.stages.Lowered, "compile", lambda *_, **__: pytest.fail("compiled"))
    ja.sweep(counted, start, key=1, over={"move.df": [0.2, 0.5, 3.0]}, **settings | {"steps": 9})
    assert counted.traces == 2


@pytest.mark.slow
def test_ladders_are_the_ladders_alone():
    method = ja.ParallelTempering(rungs=4, ladders=2)
    settings = SETTINGS | {"method": method}
    over = {"method.swap_every": [3, 10], "move.scale": [1.0]}
    dataset = ja.sweep(energy, drawn, key=7, over=over, repeats=2, **settings)
    runs = [
        settings
        | {
            "method": ja.ParallelTempering(rungs=4, ladders=2, swap_every=every),
            "move": ja.moves.Gaussian(scale),
        }
        for every, scale in itertools.product(*over.values())
    ]
    alone_law(dataset, runs, params=drawn)
    temperatures = [[0.02, 0.1, 0.5]]
    over = {"method.temperatures": temperatures}
    dataset = ja.sweep(energy, START, key=7, over=over, repeats=2, **settings)
    methods = [ja.ParallelTempering(ladders=2, temperatures=t) for t in temperatures]
    alone_law(dataset, [SETTINGS | {"method": m} for m in methods])


@pytest.mark.slow
def test_counts_and_starts_of_any_kind_are_programs_of_their_own():
    over = {"method.chains": [1, 6], "move": [None]}
    dataset = ja.sweep(energy, drawn, key=7, over=over, repeats=1, **SETTINGS)
    runs = [
        SETTINGS | {"method": ja.SimulatedAnnealing(n, ANNEALING.cooling), "move": move}
        for n, move in itertools.product(*over.values())
    ]
    alone_law(dataset, runs, params=drawn)


@pytest.mark.slow
def test_schedules_that_the_host_evaluates_are_those_of_the_run_alone():
    schedules = [optax.cosine_decay_schedule(1.0, 150), optax.linear_schedule(1.0, 0.01, 99)]
    over = {"method.cooling": schedules, "steps": [100, 5000]}
    dataset = ja.sweep(energy, START, key=7, over=over, repeats=1, **SETTINGS)
    runs = [
        SETTINGS | {"method": ja.SimulatedAnnealing(6, schedule), "steps": steps}
        for schedule, steps in itertools.product(*over.values())
    ]
    alone_law(dataset, runs, steps="steps_made")


@pytest.mark.slow
def test_runs_of_a_batch_at_once_are_the_runs_to_rounding(monkeypatch):
    """As on a GPU, where a batch is one vmap."""
    plain = numbers(steps=1)
    accelerator = type("Device", (), {"platform": "gpu", "memory_stats": dict})()
    for module in (programs, driver, batch):
        monkeypatch.setattr(module, "default_device", lambda: accelerator)
    programs.mapped.cache_clear()
    at_once = numbers(steps=1)
    programs.mapped.cache_clear()
    assert (at_once.error == "").all()
    # One move: later the last bit of an energy may decide a proposal.
    np.testing.assert_allclose(at_once.energy, plain.energy, rtol=1e-5)
    np.testing.assert_array_equal(at_once.evaluations, plain.evaluations)
