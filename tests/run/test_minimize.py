"""``minimize``: it finds known optima, keeps its limits, and says what it did."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import jaxanneal as ja
from jaxanneal._chain.parameters import Parameters
from jaxanneal._methods.population_search import PopulationSearch, Quench
from jaxanneal._run.limits import as_limits
from jaxanneal._run.minimize import _searches
from jaxanneal._run.problem import as_data, traced_energy
from jaxanneal._run.slopes import sloped

SHIFT = np.array([0.7, -1.3, 2.1, 0.4], np.float32)
START = np.full(4, 3.0, np.float32)
PAIRS = [(-5.0, 5.0)] * 4


def rastrigin(x, shift):
    return jnp.sum((x - shift) ** 2 + 10 * (1 - jnp.cos(2 * jnp.pi * (x - shift))))


def plateau(x, shift):
    """Return an energy of steps, without any slope."""
    return jnp.sum(jnp.floor(jnp.abs(x - shift) + 0.5))


def search(energy=rastrigin, params=START, **settings):
    settings = {"key": 0, "args": (SHIFT,), "bounds": (-5.0, 5.0), "progress": False} | settings
    return ja.minimize(energy, params, **settings)


@pytest.fixture(scope="module")
def alone():
    """What it does when nobody says anything."""
    return search()


def test_two_searches_that_agree_are_the_end(alone):
    np.testing.assert_allclose(alone.params, SHIFT, atol=1e-3)
    assert alone.energy < 1e-4
    assert alone.stop_reason is ja.StopReason.PATIENCE
    first, second = alone.searches
    assert first.energy < 1e-4 and second.energy < 1e-4
    assert first.method == "basin hopping"
    assert alone.evaluations == first.evaluations + second.evaluations
    assert alone.gradients == 64 * (first.steps + second.steps)
    lines = alone.summary().splitlines()
    assert [line.split()[:2] for line in lines if line.startswith("search")] == [
        ["search", "1"],
        ["search", "2"],
    ]


def test_the_end_of_a_descent_is_no_progress(alone):
    """Each search waits for 1,000 steps and twice those that its optimum took, not for ulps."""
    assert all(one.steps < 3000 for one in alone.searches)


def test_a_target_ends_it_and_scipy_reads_the_result():
    result = search(target=1e-3, bounds=PAIRS)
    assert result.stop_reason is ja.StopReason.TARGET
    known = result.to_scipy()
    assert known.success and known.fun == result.energy <= 1e-3
    np.testing.assert_array_equal(known.x, result.params)
    assert (known.nit, known.nfev, known.njev) == (
        result.steps,
        result.evaluations,
        result.gradients,
    )


def test_the_same_key_makes_the_same_search_and_another_one_another():
    results = [search(target=1e-3, key=key) for key in (1, 1, 2)]
    same, again, other = (np.asarray(result.chains.best_params) for result in results)
    np.testing.assert_array_equal(same, again)
    assert not np.array_equal(same, other)


@pytest.mark.parametrize("budget", [500, 20_000])
def test_a_budget_is_never_exceeded(budget):
    result = search(max_evaluations=budget, target=-1.0)
    assert 0.5 * budget < result.evaluations <= budget
    assert len(result.chains.energy) == min(64, budget // 100)
    assert result.stop_reason is ja.StopReason.EVALUATIONS
    assert not result.to_scipy().success


def test_without_a_slope_it_anneals():
    result = search(plateau, target=0.0)
    assert result.energy == 0.0
    assert result.gradients == 0
    assert {one.method for one in result.searches} == {"annealing of a population"}


def test_integers_and_flags_are_searched_within_their_bounds():
    def energy(p, shift):
        whole = (p["n"] - 3) ** 2 + jnp.sum(p["on"])
        return whole.astype(float) + jnp.sum((p["x"] - shift) ** 2)

    params = {"n": jnp.asarray(-7), "on": jnp.ones(5, bool), "x": jnp.asarray(START)}
    result = search(energy, params, bounds=(-9, 9), target=0.1)
    assert int(result.params["n"]) == 3
    assert not np.any(result.params["on"])


def test_the_first_chain_starts_where_the_user_says():
    result = search(lambda x, shift: jnp.sum(x**2), np.zeros(4, np.float32), target=0.0)
    assert result.energy == 0.0
    assert result.steps == 0


def test_without_bounds_starts_are_scattered_around():
    result = search(bounds=None, target=1e-3)
    assert result.energy <= 1e-3


def test_a_checkpoint_gives_the_search_again(tmp_path):
    results = [search(checkpoint=ja.Checkpoint(tmp_path / "run"), target=1e-3) for _ in range(2)]
    first, again = (jax.tree.leaves(result.chains) for result in results)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["search-0"]


def test_an_error_carries_the_best_of_all_searches(alone):
    class Broken:
        name = "a search"

        def search(self, limits, checkpoint, results):
            if not results:
                return alone
            raise RuntimeError("a broken simulator")

        def is_over(self, results):
            return False

    with pytest.raises(RuntimeError) as raised:
        _searches(Broken(), as_limits(100), None)
    assert raised.value.result.energy == alone.energy


REFUSALS = {
    "outside": ({"params": np.full(4, 9.0)}, "params: expected values in"),
    "integers": ({"params": jnp.arange(4), "bounds": (-jnp.inf, 9)}, "finite limits"),
    "pairs": ({"bounds": PAIRS[:3]}, "bounds"),
    "budget": ({"max_evaluations": 1}, "max_evaluations"),
    "energy": ({"energy": 3.0}, "energy: expected a function"),
    "args": ({"args": SHIFT}, "args: expected a tuple"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_wrong_is_refused_in_words(case):
    wrong, words = REFUSALS[case]
    with pytest.raises((TypeError, ValueError), match=words):
        search(**wrong)


def test_it_is_refused_under_jit():
    with pytest.raises(RuntimeError, match=r"ja\.minimize|minimize"):
        jax.jit(lambda x: search(params=x).energy)(START)


X = np.ones(4, np.float32)
CALLBACK = jax.ShapeDtypeStruct((), jnp.float32)
SLOPES = {
    "smooth": (lambda x: jnp.sum(x**2), [True]),
    "held back": (lambda x: lax.stop_gradient(jnp.sum(x**2)), [False]),
    "held back inside": (lambda x: jax.jit(lambda y: lax.stop_gradient(y).sum())(x), [False]),
    "rounded": (lambda x: jnp.sum(jnp.round(x) ** 2), [False]),
    "counted": (lambda x: jnp.sum(x > 0), [False]),
    "a callback": (
        lambda x: jax.pure_callback(np.sum, CALLBACK, x, vmap_method="sequential"),
        [False],
    ),
    "some": (lambda p: p[0] ** 2 + jnp.sign(p[1]) + p[2].astype(float), [True, False, False]),
}


@pytest.mark.parametrize("case", SLOPES)
def test_it_knows_which_parameters_an_energy_slopes_in(case):
    energy, expected = SLOPES[case]
    params = (jnp.ones(()), jnp.ones(()), jnp.asarray(1)) if case == "some" else X
    one, data = Parameters.of(params), as_data(())
    assert sloped(traced_energy(energy, one.tree, data), one, data.leaves) == expected


def test_records_change_no_number_of_a_population():
    """What chains see of each other may not depend on where a round is cut."""
    method = PopulationSearch(chains=8, cooling=Quench(10.0, 1e-6), replace_every=16)
    runs = [
        ja.anneal(rastrigin, START, key=0, args=(SHIFT,), method=method, steps=70, **settings)
        for settings in ({"record_every": 70}, {"record_every": 3})
    ]
    one, other = (np.asarray(result.chains.params) for result in runs)
    np.testing.assert_array_equal(one, other)
