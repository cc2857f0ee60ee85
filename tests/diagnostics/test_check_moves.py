"""``Result.check`` of what never moved, never changed, walked away, or is noise."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal._diagnostics import check, check_moves, check_starts
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Flip, Gaussian, IntegerStep, PerLeaf

METHOD = ja.SimulatedAnnealing(8, Geometric(1.0, 1e-3))
START = np.zeros(3, np.float32)
TREE = {"a": np.zeros(2, np.float32), "b": np.ones(2, np.float32), "s": np.zeros(3, bool)}


def bowl(x):
    return jnp.sum((x - 1) ** 2)


def of_tree(p):
    return jnp.sum(p["a"] ** 2) + jnp.sum((p["b"] - 1) ** 2) + jnp.sum(p["s"].astype(float))


def run(energy, start, move=None, steps=1000, method=METHOD, **settings):
    return ja.anneal(energy, start, key=0, method=method, move=move, steps=steps, **settings)


def same(key, x):
    return x


def step_of(name):
    """Return a move that forgets all branches but one."""
    return lambda key, p: {**p, name: p[name] + 0.3 * jax.random.normal(key, p[name].shape)}


def told(result, *texts):
    found = check.failures(result) + check.doubts(result)
    return len(found) == 1 and all(text in found[0] for text in texts)


@pytest.mark.parametrize(
    ("energy", "start", "move", "texts"),
    [
        (bowl, START, same, ("no parameter ever moved, although 8,000", "returns its input")),
        (lambda x: 3.0 + 0 * x[0], START, Gaussian(), ("no energy ever changed: it was 3",)),
        (lambda x: jnp.floor(1e-9 * bowl(x)), START, Gaussian(bounds=(-5, 5)), ("first argument",)),
        (of_tree, TREE, step_of("a"), ("params['b'] and params['s'] never moved, in 1,000", "it")),
        (of_tree, TREE, PerLeaf({"a": Gaussian(), "b": same, "s": Flip()}), ("params['b'] never",)),
        (
            lambda x: (x[0] - 1) ** 2 + (1e-9 * x[1] - 1) ** 2,
            np.float32([0, 5e9]),
            Gaussian(),
            ("params[1] never moved", "below the rounding", "scale="),
        ),
    ],
    ids=["identity", "constant", "rounded", "forgotten", "a part", "a small step"],
)
def test_what_never_moves_or_changes_is_named_in_words_of_the_users_tree(
    energy, start, move, texts
):
    assert told(run(energy, start, move), *texts)


def test_a_check_that_sees_no_starts_misses_the_parameter(monkeypatch):
    result = run(of_tree, TREE, step_of("a"))
    assert told(result, "never moved")
    shown = [np.zeros_like(x, bool) for x in (TREE["a"], TREE["b"], TREE["s"])]
    monkeypatch.setattr(check_moves, "stood_still", lambda *_: shown)
    assert not told(result, "never moved")


@pytest.mark.parametrize(
    ("start", "move"),
    [
        (TREE, PerLeaf({"a": Gaussian(), "b": None, "s": Flip()})),
        pytest.param(
            TREE,
            PerLeaf({"a": Gaussian(), "b": Gaussian(0.0), "s": Flip()}),
            marks=pytest.mark.slow,
        ),
        pytest.param(TREE, None, marks=pytest.mark.slow),
    ],
    ids=["None in PerLeaf", "a scale of 0", "a discrete leaf that is back where it began"],
)
def test_what_is_held_on_purpose_or_came_back_is_not_told(start, move):
    assert not check.doubts(run(of_tree, start, move))


@pytest.mark.slow
def test_ties_at_the_bottom_of_a_discrete_energy_are_not_called_constant():
    """From the optimum, all that is accepted are ties; what is refused had another energy."""
    energy = lambda k: jnp.maximum(jnp.abs(k[0]) - 1, 0).astype(jnp.float32)  # noqa: E731
    cold = ja.SimulatedAnnealing(8, Geometric(1e-3, 1e-3))
    result = run(energy, np.zeros(1, np.int32), IntegerStep(bounds=(-4, 4)), method=cold)
    assert check_moves.constant_energy(result) == 0
    assert not check.doubts(result)


def test_moves_of_one_entry_at_a_time_have_to_be_many():
    def one(key, x):
        place, size = jax.random.randint(key, (), 0, x.size), jax.random.normal(key)
        return jnp.where(jnp.arange(x.size) == place, x + size, x)

    wide = run(lambda x: jnp.mean(x**2), np.ones(2000, np.float32), one, steps=200)
    assert any(np.any(still) for still in check_moves.stood_still(
        wide.state.engine_state, wide.state.begun))  # fmt: skip
    assert not any("never moved" in doubt for doubt in check.doubts(wide))


def test_a_look_back_is_kept_in_files_and_by_calls_that_go_on(tmp_path):
    result = run(of_tree, TREE, step_of("a"))
    more = ja.anneal(of_tree, state=result.state, steps=100)
    assert told(more, "params['b']", "in 1,100 moves")
    kept = run(of_tree, TREE, PerLeaf({"a": Gaussian(), "b": same, "s": Flip()}))
    kept.save(tmp_path / "run")
    loaded = ja.Result.load(tmp_path / "run")
    np.testing.assert_array_equal(loaded.state.begun.params.tree["b"], np.ones((8, 2)))
    assert not any("never" in text for text in check.failures(loaded))
    checkpoint = ja.Checkpoint(tmp_path / "checkpoint")
    for _ in range(2):  # the second call finds the finished run
        again = run(of_tree, TREE, step_of("a"), checkpoint=checkpoint)
    assert told(again, "params['b']")


@pytest.mark.slow
def test_a_step_size_that_nothing_stops_is_told_with_how_far_it_led():
    """Far out nothing changes, as with the 0-1 error of a network; in a box nothing is wrong."""
    flat = lambda x: jnp.where(jnp.all(jnp.abs(x) < 1), 0.0, -1.0)  # noqa: E731
    result = run(flat, START, Gaussian(), steps=2000)
    assert told(result, "upper limit, 1.2e+06", "plateau", "as large as", "bounds=(lower, upper)")
    assert not check.doubts(run(flat, START, Gaussian(bounds=(-9, 9)), steps=2000))
    ladders = ja.ParallelTempering(temperatures=[1.0, 2.0, 4.0], ladders=4, warmup=1500)
    tempered = run(flat, START, Gaussian(), 2000, ladders)
    assert any("factor of rungs 0, 1 and 2 stands at" in doubt for doubt in check.doubts(tempered))


def test_a_step_size_that_nothing_is_small_enough_for_is_told():
    result = run(lambda x: bowl(1e9 * x), START, Gaussian(1e4), steps=4000)
    found = check.doubts(result)
    assert any("lower limit, 1e-10" in x and "Make its scale much smaller" in x for x in found)


@pytest.mark.slow
def test_the_summary_shows_a_factor_only_for_moves_that_have_one():
    flips = run(lambda s: jnp.sum(s).astype(float), np.ones(3, bool))
    assert "step-size factor" not in flips.summary()
    assert "step-size factor" in run(bowl, START, Gaussian()).summary()
    assert "step-size factor" not in run(bowl, START, Gaussian(target_acceptance=None)).summary()


# Noise: a simulator whose answers differ. The chains begin in one state.


@functools.cache
def noisy(size):
    rng = np.random.default_rng(0)

    def simulator(x):
        return np.float32(np.sum(np.square(x)) + size * rng.normal())

    def energy(x):
        shape = jax.ShapeDtypeStruct((), jnp.float32)
        return jax.pure_callback(simulator, shape, x, vmap_method="sequential")

    return energy


START_OF_NOISE = np.full(2, 3.0, np.float32)


def test_noise_is_told_before_the_first_move_and_by_check():
    with pytest.warns(UserWarning, match=r"energy is noisy: 8 chains began .* args=\(jax") as seen:
        result = run(noisy(1.0), START_OF_NOISE, Gaussian(), steps=200)
    assert len(seen) == 1 and seen[0].filename == __file__
    assert told(result, "the energy is noisy", "luckiest")
    assert not any("do not agree" in doubt for doubt in check.doubts(result))  # noise is why


@pytest.mark.slow
def test_a_noise_below_every_temperature_and_a_single_chain_are_not_told():
    result = run(noisy(1e-4), START_OF_NOISE, Gaussian(), steps=200)
    assert check_starts.spread_of_one_state(result.state.begun) > 0
    assert not any("noisy" in doubt for doubt in check.doubts(result))
    alone = ja.SimulatedAnnealing(1, Geometric(1.0, 1e-3))
    assert not check.doubts(run(noisy(1.0), START_OF_NOISE, Gaussian(), 200, alone))


def test_starts_that_differ_and_rounding_are_no_noise():
    starts = run(bowl, ja.stacked(np.arange(24, dtype=np.float32).reshape(8, 3)), Gaussian())
    assert check_starts.spread_of_one_state(starts.state.begun) == 0
    begun = starts.state.begun
    alike = begun._replace(params=begun.params.with_leaves([np.ones((8, 3), np.float32)]))
    close = np.float32(1e6) + np.arange(8, dtype=np.float32) / 16  # an ulp each
    assert check_starts.spread_of_one_state(alike._replace(energy=close)) == 0
    assert check_starts.spread_of_one_state(alike._replace(energy=close + 100 * np.arange(8))) > 0


def test_a_twin_that_takes_the_first_energy_for_all_is_caught(monkeypatch):
    seen = check_starts.spread_of_one_state
    monkeypatch.setattr(
        check_starts,
        "spread_of_one_state",
        lambda begun: seen(begun._replace(energy=np.repeat(begun.energy[:1], 8))),
    )
    result = run(noisy(1.0), START_OF_NOISE, Gaussian(), steps=200)  # would raise its warning
    assert not any("noisy" in doubt for doubt in check.doubts(result))


def of_one(p):
    return jnp.sum(p["a"] ** 2)


UNREAD = "the energy does not depend on params['b']: what the result says of it is noise. "


def test_a_parameter_that_the_energy_does_not_read_is_told():
    energy = jax.jit(of_one)
    start = {"a": np.ones(2, np.float32), "b": np.zeros(2, np.float32)}
    assert told(run(energy, start, Gaussian()), UNREAD, "None in ja.moves.PerLeaf")
    held = run(energy, start, PerLeaf({"a": Gaussian(), "b": None}))
    assert check.failures(held) + check.doubts(held) == []


def test_what_goes_a_long_way_through_the_energy_is_read(monkeypatch):
    def winding(p):
        def step(carry, x):
            return jax.lax.cond(x > 0, lambda c: c + p["b"][0], lambda c: c, carry), x

        total, _ = jax.lax.scan(step, jnp.sum(p["a"] ** 2), jnp.arange(3.0))
        return total**2

    start = {"a": np.ones(2, np.float32), "b": np.zeros(2, np.float32)}
    result = run(winding, start, Gaussian())
    assert all(result.state.energy.computation.reads)
    monkeypatch.setattr("jaxanneal._chain.computation.live_variables", lambda jaxpr, needed: set())
    assert not any(result.state.energy.computation.reads)
