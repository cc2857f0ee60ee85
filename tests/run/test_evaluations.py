"""Evaluations are counted as they are made, and a budget of them is never exceeded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import caught

import jaxanneal as ja
from jaxanneal._engine import blocks
from jaxanneal._engine.blocks import default_width, equal_width, padded_count
from jaxanneal.cooling import Geometric

COOLED = Geometric(1.0, 0.01)
START = np.zeros(2, np.float32)
MOVE = ja.moves.Gaussian(0.3)
CALLS = []


def simulate(x):
    CALLS.append(1)
    return np.float32(np.sum((np.asarray(x) - 1.0) ** 2))


def energy(x):
    out = jax.ShapeDtypeStruct((), np.float32)
    return jax.pure_callback(simulate, out, x, vmap_method="sequential")


def annealing(chains, cooling=COOLED):
    return ja.SimulatedAnnealing(chains, cooling)


def run(method, **changes):
    settings = {"key": 0, "move": MOVE, "steps": 20, "progress": False} | changes
    return ja.anneal(energy, START, method=method, **settings)


def widths_law(width_of):
    """Blocks of equal width: as few as there can be, and less than one lane of each is padding."""
    for chains in [*range(1, 200), 1023, 1025, 4097, 99_999]:
        for most in (1, 4, 64, 1000):
            width = width_of(chains, most)
            count = padded_count(chains, width) // width
            assert width <= most and count == -(-chains // most)
            assert padded_count(chains, width) - chains < count


def test_blocks_are_of_equal_width_and_hardly_padded():
    widths_law(equal_width)
    caught(widths_law, lambda chains, most: min(chains, most))
    assert default_width(1025, 8, "cpu") == 513
    assert [default_width(n, 8, "cpu") for n in (1, 64, 1024, 2048)] == [1, 64, 1024, 1024]


def counted_law(make):
    """What a result says is what was called."""
    CALLS.clear()
    result = make()
    jax.effects_barrier()
    assert result.evaluations == len(CALLS)
    return result


MADE = {
    "one block": lambda: run(annealing(4)),
    "padded blocks": lambda: run(annealing(7), block=4),
    "a block wider than the chains": lambda: run(annealing(3), block=4),
    "calibrated": lambda: run(annealing(6, None), block=4),
    "tempering": lambda: run(ja.ParallelTempering(temperatures=[0.01, 0.1, 1.0])),
    "within a budget": lambda: run(annealing(7), block=4, max_evaluations=100),
}


NAMES = [pytest.param(n, marks=[pytest.mark.slow] * (n == "tempering")) for n in MADE]


@pytest.mark.parametrize("name", NAMES)
def test_every_evaluation_is_counted(name):
    counted_law(MADE[name])


def test_evaluations_of_padding_are_not_forgotten(monkeypatch):
    twin = lambda chains, width: chains if width != 4 else -(-chains // width) * width  # noqa: E731
    assert counted_law(MADE["padded blocks"]).evaluations == 8 * 21
    monkeypatch.setattr("jaxanneal._run.driver.padded_count", lambda chains, width: chains)
    caught(counted_law, MADE["padded blocks"])
    assert blocks.padded_count(7, 4) == twin(7, 4)


def test_what_goes_on_counts_on():
    first = run(annealing(7), block=4)
    CALLS.clear()
    second = ja.anneal(energy, state=first.state, steps=10)
    assert second.evaluations - first.evaluations == len(CALLS) == 8 * 10
    third = ja.anneal(energy, state=first.state, steps=500, max_evaluations=90)
    assert third.evaluations - first.evaluations == 88
    assert third.stop_reason is ja.StopReason.EVALUATIONS


def budget_law(method, budget, **changes):
    """No more than the budget, as many as fit, and the cooling reaches its end within it."""
    CALLS.clear()
    result = run(method, steps=10_000, max_evaluations=budget, **changes)
    each = padded_count(result.chains.energy.shape[0], result.state.width)
    assert budget - each < result.evaluations == len(CALLS) <= budget
    assert result.stop_reason is ja.StopReason.EVALUATIONS
    assert "max_evaluations" in result.summary()
    return result


@pytest.mark.parametrize("budget", [40, 41, 403])
def test_a_budget_is_used_and_never_exceeded(budget):
    result = budget_law(annealing(7), budget, block=4)
    np.testing.assert_allclose(result.history.temperature[-1], 0.01, rtol=1e-5)
    caught(budget_law, annealing(7), 2000, block=4, target=1e9)  # which ends for another reason


@pytest.mark.parametrize("budget", [20, 21, 100, 500])
def test_a_calibration_is_a_part_of_the_budget(budget):
    result = budget_law(annealing(4, None), budget)
    assert 4 <= result.steps * 4 <= 0.8 * budget + 4


def test_a_budget_that_is_not_reached_changes_nothing():
    whole, free = run(annealing(4), max_evaluations=10**12), run(annealing(4))
    assert whole.stop_reason is ja.StopReason.STEPS
    jax.tree.map(np.testing.assert_array_equal, whole.history, free.history)


@pytest.mark.parametrize(
    ("method", "budget", "text"),
    [
        (annealing(64), 100, r"expected at least 128, for 64 chains .*, got 100\. .* 50 for this"),
        (annealing(64, None), 300, r"expected at least 320, .* got 300\. Use fewer chains, 60 for"),
        (annealing(2), 1, r"expected at least 4, for 2 chains and their start, got 1\. Raise it"),
        (annealing(2), 0, r"expected an integer >= 1, got 0"),
        (annealing(2), 1.5, r"expected an integer >= 1, got 1\.5"),
    ],
)
def test_a_budget_for_no_move_is_refused(method, budget, text, monkeypatch):
    monkeypatch.setattr(jax.stages.Lowered, "compile", lambda *_, **__: pytest.fail("compiled"))
    with pytest.raises((TypeError, ValueError), match=rf"^max_evaluations: {text}"):
        run(method, max_evaluations=budget)


def test_a_run_with_a_budget_goes_on_from_its_checkpoint(tmp_path):
    settings = {"checkpoint": ja.Checkpoint(tmp_path), "max_evaluations": 100}
    first, again = (run(annealing(4), steps=999, **settings) for _ in range(2))
    assert first.stop_reason is again.stop_reason is ja.StopReason.EVALUATIONS
    assert first.evaluations == again.evaluations == 100
    with pytest.raises(ValueError, match=r"max_evaluations = 100, .*got .*max_evaluations = 200"):
        run(annealing(4), steps=999, **settings | {"max_evaluations": 200})


@pytest.mark.parametrize(
    "cooling",
    [pytest.param(COOLED, marks=pytest.mark.slow), None],
    ids=["given", "calibrated"],
)
def test_runs_of_a_sweep_keep_the_same_budget(cooling):
    pytest.importorskip("xarray")
    method = annealing(7, cooling)
    settings = {"method": method, "move": MOVE, "steps": 500, "block": 4, "progress": False}
    smooth = lambda x: jnp.sum((x - 1.0) ** 2)  # noqa: E731
    over = {"max_evaluations": [120, 200]}
    dataset = ja.sweep(smooth, START, key=3, over=over, repeats=1, **settings)
    key = jax.random.key(3)
    for c, budget in enumerate(over["max_evaluations"]):
        own = jax.random.fold_in(jax.random.fold_in(key, c), 0)
        alone = ja.anneal(smooth, START, key=own, max_evaluations=budget, **settings)
        made = dataset.isel(max_evaluations=c, repeat=0)
        assert int(made.evaluations) == alone.evaluations <= budget
        assert float(made.energy) == alone.energy
        assert str(made.stop_reason.values) == "EVALUATIONS" == alone.stop_reason.name


def test_polish_counts_its_padding():
    result = ja.polish(lambda x: jnp.sum(x**2), ja.stacked(np.ones((3, 2), np.float32)), steps=4)
    assert (result.evaluations, result.gradients) == (9, 12)
