"""Going on from a state: what other data, precisions and bounds change, and what they must not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import enable_x64

import jaxanneal as ja
from jaxanneal._run import resume
from jaxanneal.moves import Gaussian

METHOD = ja.SimulatedAnnealing(4, ja.cooling.Geometric(1.0, 0.01, steps=40))
START = np.float32([3, -2])


def misfit(x, data):
    return jnp.nansum((x.astype(data.dtype) - data) ** 2)


def first(data, steps=15):
    move = Gaussian(0.5, bounds=(-9, 9))
    return ja.anneal(misfit, START, key=0, args=(data,), method=METHOD, move=move, steps=steps)


def test_missing_values_in_the_data_are_the_same_data():
    data = np.float32([1, np.nan])
    together = first(data, steps=40)
    second = ja.anneal(misfit, args=(data.copy(),), state=first(data).state, steps=25)
    assert second.evaluations == together.evaluations == 4 * 41
    np.testing.assert_array_equal(second.chains.params, together.chains.params)


def same_values(x, data):
    return jnp.nansum(jnp.square(data - x.astype(data.dtype)))


def steeper(x, data):
    return 2 * misfit(x, data)  # of other values even where the best states are the same


def file_law(energy, before, folder):
    """Going on from a file with any energy is going on without the file, in every number."""
    before.save(folder / "run")
    states = before.state, ja.Result.load(folder / "run").state
    here, there = (
        ja.anneal(energy, args=(np.float32([1, 2]),), state=state, steps=10) for state in states
    )
    assert here.evaluations == there.evaluations
    for a, b in zip(jax.tree.leaves(here.chains), jax.tree.leaves(there.chains), strict=True):
        np.testing.assert_array_equal(a, b)


def test_an_energy_of_other_values_is_noticed_after_loading_and_the_trusting_twin_fails(tmp_path):
    before = first(np.float32([1, 2]))
    file_law(misfit, before, tmp_path)
    file_law(steeper, before, tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(resume, "_agree", lambda *energies: True)
        with pytest.raises(AssertionError):
            file_law(steeper, before, tmp_path)


def test_a_function_of_the_same_values_goes_on_bit_for_bit_after_loading(tmp_path):
    before = first(np.float32([1, 2]))
    before.save(tmp_path / "run")
    state = ja.Result.load(tmp_path / "run").state
    after = ja.anneal(same_values, args=(np.float32([1, 2]),), state=state, steps=25)
    assert after.evaluations == 4 * 41


@pytest.mark.parametrize(
    ("known", "again", "same"),
    [
        ([1.0, 4.0], [1.0, 4.0 + 1e-5], True),
        ([1.0, 4.0], [1.0, 4.0 + 1e-3], False),
        ([0.0, 4.0, 9.0], [1e-6, 4.0, 9.0], True),  # by cancellation
        ([np.inf, 4.0], [np.inf, 4.0], True),
        ([np.inf, 4.0], [7.0, 4.0], False),
        ([7.0, 4.0], [np.inf, 4.0], False),
        ([np.inf, np.inf], [np.inf, 0.0], False),
    ],
)
def test_energies_agree_to_rounding(known, again, same):
    assert resume._agree(np.float32(known), np.float32(again)) is same
    assert not resume._agree(np.float32(known), np.float64(again))


def test_other_data_are_evaluated_again_and_may_have_another_precision(float64):
    state = first(np.float32([1, 2])).state
    result = ja.anneal(misfit, args=(np.float64([2, 1]),), state=state, steps=25)
    assert result.chains.energy.dtype == jnp.float64
    assert result.evaluations == 4 * (16 + 2 + 25)
    again = jax.vmap(misfit, (0, None))(result.chains.params, jnp.asarray([2.0, 1.0]))
    np.testing.assert_allclose(result.chains.energy, again)


def test_a_run_goes_on_in_its_own_precision_only(tmp_path):
    data = np.float32([1, 2])
    first(data).save(tmp_path / "run")
    with (
        enable_x64(True),
        pytest.raises(ValueError, match=r"state: .* float64, got float32\. Set "),
    ):
        ja.anneal(misfit, args=(data,), state=ja.Result.load(tmp_path / "run").state, steps=25)
    with enable_x64(True):
        double = first(data).state
    with pytest.raises(
        ValueError, match=r"state: .* are float32, got float64\. Set jax_enable_x64"
    ):
        ja.anneal(misfit, args=(data,), state=double, steps=25)


def test_bounds_that_exclude_where_the_chains_are_are_refused():
    data = np.float32([1, 2])
    state = first(data).state
    with pytest.raises(ValueError, match=r"params: expected values in \[7.0, 9.0\], got .* Start"):
        ja.anneal(misfit, args=(data,), state=state, move=Gaussian(0.5, bounds=(7, 9)))


def test_a_warm_up_moved_behind_the_present_step_ends_there():
    def ladder(warmup):
        return ja.ParallelTempering(temperatures=[1.0, 4.0], warmup=warmup)

    settings = {"key": 0, "args": (np.float32([1, 2]),), "move": Gaussian(0.5)}
    begun = ja.anneal(misfit, START, method=ladder(1000), steps=400, **settings)
    going = {"args": settings["args"], "state": begun.state}
    ended = ja.anneal(misfit, method=ladder(200), steps=100, **going)
    assert not ended.history.warmup.any()
    np.testing.assert_array_equal(ended.diagnostics.factor, begun.diagnostics.factor)
    rates = ended.history.acceptance_rate[:, 0].mean(axis=0)  # records of one step each
    np.testing.assert_allclose(ended.diagnostics.acceptance_rate, rates, rtol=1e-6)
    assert ended.state.engine_state.exchange.phases == 10
    again = ja.anneal(misfit, method=ladder(450), steps=10, args=going["args"], state=ended.state)
    assert again.state.engine_state.exchange.phases == 11  # over long since: what was counted stays
