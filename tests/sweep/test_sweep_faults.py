"""What goes wrong in one configuration is told, and costs the others nothing."""

import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal._run.problem import Problem
from jaxanneal._sweep import batch, programs
from jaxanneal._sweep.batch import Batch

METHOD = ja.SimulatedAnnealing(chains=4, cooling=ja.cooling.Geometric(1.0, 1e-3))
SETTINGS = {"key": 0, "method": METHOD, "move": ja.moves.Gaussian(), "steps": 40, "repeats": 2}
START = jnp.ones(3)


def shifted(x, shift):
    return jnp.sum(x**2) + shift


def strict(x, limit):
    """Return an energy that a callback refuses where it is asked to."""

    def look(energy, limit):
        if limit < 0:
            raise ArithmeticError("the simulator gave up")
        return energy

    shape = jax.ShapeDtypeStruct((), jnp.float32)
    return jax.pure_callback(look, shape, jnp.sum(x**2), limit, vmap_method="sequential")


def as_without_the_wrong_law(dataset, energy, wrong, values):
    """Configurations that are right have the numbers that they have alone, the others an error."""
    for c, value in enumerate(values):
        errors = dataset.error.values[c].tolist()
        if c in wrong:
            assert all(errors) and np.isnan(dataset.energy.values[c]).all()
            continue
        assert errors == ["", ""]
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), c), 1)
        settings = {name: SETTINGS[name] for name in ("method", "move", "steps")}
        alone = ja.anneal(energy, START, key=key, args=(np.float32(value),), **settings)
        assert dataset.energy.values[c, 1] == alone.energy


def sweep(energy, values, **more):
    over = {"args.0": [np.float32(value) for value in values]}
    args = (np.float32(0),)
    return ja.sweep(energy, START, args=args, over=over, **SETTINGS | more)


def test_a_start_that_is_not_finite_costs_its_own_configuration_alone():
    values = [0.0, np.nan, 2.0]
    with pytest.warns(UserWarning, match=r"^2 of 6 runs of the sweep failed.*expected a finite"):
        dataset = sweep(shifted, values)
    as_without_the_wrong_law(dataset, shifted, [1], values)
    with pytest.raises(AssertionError):
        as_without_the_wrong_law(dataset, shifted, [2], values)


@pytest.mark.slow
def test_an_energy_that_raises_in_the_middle_costs_its_own_configuration_alone():
    values = [0.0, 1.0, -1.0, 2.0, 3.0]
    with pytest.warns(
        UserWarning, match=r"(?s)^2 of 10 runs of the sweep failed.*simulator gave up\n"
    ):
        dataset = sweep(strict, values)
    as_without_the_wrong_law(dataset, strict, [2], values)


def test_refused_numbers_and_shapes_cost_their_own_configurations_alone():
    over = {"move.fraction": [0.1, -1.0, 0.3]}
    with pytest.warns(UserWarning, match=r"Gaussian\.fraction: expected a number .*, got -1"):
        dataset = ja.sweep(shifted, START, args=(np.float32(0),), over=over, **SETTINGS)
    assert (dataset.error != "").values.tolist() == [[False] * 2, [True] * 2, [False] * 2]
    over = {"args.0": [np.float32(1), np.ones(2, np.float32)]}
    with pytest.warns(UserWarning, match="energy: expected one real scalar for one chain"):
        dataset = ja.sweep(shifted, START, args=(np.float32(0),), over=over, **SETTINGS)
    assert (dataset.error != "").values.tolist() == [[False] * 2, [True] * 2]


def test_where_all_are_refused_the_first_refusal_is_raised():
    with pytest.raises(ValueError, match=r"Gaussian\.scale: .*got -2"):
        over = {"move.scale": [-2.0, -1.0]}
        ja.sweep(shifted, START, args=(np.float32(0),), over=over, **SETTINGS)


def test_a_full_memory_halves_the_batch_and_changes_no_number(monkeypatch):
    values, tried = [0.0, 1.0, 2.0], []
    plain, honest = sweep(shifted, values), Batch.outcomes

    def overflowing(self):
        tried.append(len(self.rows))
        if len(self.rows) > 2:
            raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 99 bytes.")
        return honest(self)

    monkeypatch.setattr(Batch, "outcomes", overflowing)
    halved = sweep(shifted, values)
    assert tried == [8, 4, 2, 2, 2]
    # Elsewhere the last bits of an energy depend on how many runs there are in a batch.
    tolerance = 0.0 if jax.default_backend() == "cpu" else 1e-4
    np.testing.assert_allclose(halved.energy, plain.energy, rtol=tolerance)
    monkeypatch.setattr(batch, "is_overflow", lambda error: False)
    with pytest.warns(UserWarning, match="6 of 6 runs of the sweep failed"):  # a broken twin
        sweep(shifted, values)


def test_batches_are_made_to_the_free_memory(monkeypatch):
    problem = Problem(*(shifted, START, 0, (0.0,), METHOD, None, None, None), None)
    assert programs.free_bytes() > 2**20
    assert programs.first_size(problem, 5) == 8
    monkeypatch.setattr(programs, "free_bytes", lambda: 10_000)
    assert programs.first_size(problem, 500) == 2
    needs = type("Analysis", (), {"output_size_in_bytes": 9_000, "temp_size_in_bytes": 500})
    needs.alias_size_in_bytes = 100
    with pytest.raises(programs.TooLarge):
        programs.require_memory(needs, 2)
    programs.require_memory(needs, 1)  # smaller it cannot be


def test_ctrl_c_returns_what_is_known(monkeypatch, ctrl_c):
    pressed = []

    def interrupting(energy, limit):
        if limit == 2 and not pressed:
            pressed.append(os.kill(os.getpid(), signal.SIGINT))
        return energy

    def interrupted(x, limit):
        shape = jax.ShapeDtypeStruct((), jnp.float32)
        return jax.pure_callback(
            interrupting, shape, jnp.sum(x**2), limit, vmap_method="sequential"
        )

    monkeypatch.setattr(batch, "first_size", lambda problem, runs: 2)
    dataset = sweep(interrupted, [0.0, 2.0, 3.0], steps=64)
    assert dataset.stop_reason.values[:, 0].tolist() == ["STEPS", "INTERRUPTED", "INTERRUPTED"]
    assert np.isfinite(dataset.energy.values[0]).all()
    assert np.isnan(dataset.energy.values[1:]).all()
