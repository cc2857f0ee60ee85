"""Going on from a state: what other data, precisions and bounds change, and what they must not."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
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


def test_other_data_are_evaluated_again_and_may_have_another_precision(float64):
    state = first(np.float32([1, 2])).state
    result = ja.anneal(misfit, args=(np.float64([2, 1]),), state=state, steps=25)
    assert result.chains.energy.dtype == jnp.float64
    assert result.evaluations == 4 * (16 + 2 + 25)
    again = jax.vmap(misfit, (0, None))(result.chains.params, jnp.asarray([2.0, 1.0]))
    np.testing.assert_allclose(result.chains.energy, again)


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
    assert ended.state.state.exchange.phases == 10
    again = ja.anneal(misfit, method=ladder(450), steps=10, args=going["args"], state=ended.state)
    assert again.state.state.exchange.phases == 11  # over long since: what was counted stays
