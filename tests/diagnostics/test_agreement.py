"""Do the chains agree? What is said of it in the summary, the figure and ``check()``, and when."""

import dataclasses
import functools

import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal._diagnostics import agreement as module
from jaxanneal._diagnostics import check
from jaxanneal._diagnostics.agreement import Agreement, agreement
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Gaussian

DIMENSIONS, END = 6, 1e-3


def bowl(x):
    return 0.5 * jnp.sum(x**2)


def two_wells(x):
    """A wide well at 0 whose floor is 1, and a narrow one at 3 whose floor is 0."""
    return jnp.minimum(1 + x[0] ** 2, 400 * (x[0] - 3) ** 2)


@functools.cache
def settled(chains=16, steps=2000, **settings):
    """Anneal a bowl down to a temperature, where it is held for most of the run."""
    method = ja.SimulatedAnnealing(chains, Geometric(1.0, END, steps=500))
    start = np.ones(DIMENSIONS, np.float32)
    return ja.anneal(bowl, start, key=0, method=method, move=Gaussian(), steps=steps, **settings)


def equipartition_law(result):
    """The mean energy above the floor is n T / 2, and the lowest of 200 records is near it."""
    seen = agreement(result)
    assert 0.5 < seen.within / (DIMENSIONS * END / 2) < 1.5
    assert seen.agreeing == seen.walks == 16


def test_what_counts_as_agreement_is_what_equipartition_allows_and_a_blind_twin_fails():
    equipartition_law(settled())
    with pytest.raises(AssertionError), pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "accuracy", lambda _, best: np.zeros(len(best)))
        equipartition_law(settled())


@pytest.mark.parametrize(("agreeing", "walks"), [(1, 64), (2, 64), (3, 64), (1, 2), (4, 4)])
def test_the_probability_of_missing_the_best_state_is_that_of_independent_walks(agreeing, walks):
    chosen = np.random.default_rng(0).integers(walks, size=(20_000, walks)) < agreeing
    missed = Agreement(agreeing, walks, "chains", 0.0, 0.0).missed
    assert missed == pytest.approx(np.mean(~chosen.any(axis=1)), abs=0.02)


def disagreement_law(chains_there, told):
    """Of chains that start in the narrow well, and stay, all others are in the wide one."""
    starts = np.zeros((64, 1), np.float32)
    starts[:chains_there] = 3.0
    method = ja.SimulatedAnnealing(64, Geometric(1e-2, 1e-4))
    result = ja.anneal(two_wells, ja.stacked(starts), key=0, method=method, move=Gaussian())
    seen = agreement(result)
    assert (seen.agreeing, seen.walks) == (chains_there, 64)
    text = f"{chains_there} of 64 chains came within"
    assert text in result.summary() and text in result.plot()._suptitle.get_text()
    found = [doubt for doubt in check.doubts(result) if "do not agree" in doubt]
    assert len(found) == told
    if told:
        (doubt,) = found
        assert text in doubt and f"probability of {seen.missed:.0%}" in doubt
        assert "steps=40000" in doubt and "Doubtful" in result.plot()._suptitle.get_text()
    else:
        assert "check() finds no fault" in result.plot()._suptitle.get_text()


@pytest.mark.parametrize(("chains_there", "told"), [(1, 1), (2, 1), (3, 0), (64, 0)])
def test_few_chains_at_the_best_state_are_told(chains_there, told):
    disagreement_law(chains_there, told)


def test_a_check_that_takes_all_chains_for_agreeing_is_caught():
    with pytest.raises(AssertionError), pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "accuracy", lambda _, best: np.full(len(best), np.inf))
        disagreement_law(1, 1)


@pytest.mark.slow
def test_ladders_agree_by_their_best_replica():
    method = ja.ParallelTempering(temperatures=[1e-3, 1e-2, 1e-1], ladders=4, swap_every=5)
    start = np.ones(DIMENSIONS, np.float32)
    result = ja.anneal(bowl, start, key=0, method=method, move=Gaussian(), steps=4000)
    seen = agreement(result)
    assert (seen.agreeing, seen.walks, seen.noun) == (4, 4, "ladders")
    assert "4 of 4 ladders came within" in result.plot()._suptitle.get_text()


def test_nothing_is_said_where_nothing_can_be():
    assert agreement(settled(1)) is None  # a chain alone
    assert agreement(settled(16, 50)) is None  # hardly anywhere yet
    assert agreement(settled(16, 2000, target=100.0)) is None  # no move at all
    polished = ja.polish(bowl, settled(), top=4, steps=3)
    assert agreement(polished) is None  # from states that were chosen to be distinct
    assert "agreement" not in polished.summary()


def test_a_target_that_was_reached_is_enough_whoever_reached_it():
    starts = np.float32([[3.0]] + [[0.0]] * 63)
    method = ja.SimulatedAnnealing(64, Geometric(1e-2, 1e-4))
    result = ja.anneal(
        two_wells, ja.stacked(starts), key=0, method=method, move=Gaussian(), target=1e-9
    )
    assert result.stop_reason is ja.StopReason.TARGET or result.steps == 10_000
    reached = dataclasses.replace(result, stop_reason=ja.StopReason.TARGET)
    assert not any("do not agree" in doubt for doubt in check.doubts(reached))


@pytest.mark.slow
def test_a_summary_over_chains_and_a_single_record_tell_it_too(monkeypatch):
    one = settled(16, 2000, record_every=2000)
    assert 0.5 < agreement(one).within / (DIMENSIONS * END / 2) < 1.5
    monkeypatch.setattr("jaxanneal._engine.history._BYTES", 2000)
    many = settled(17)
    assert many.history.energy.mean.ndim == 1
    assert agreement(many).agreeing == 17


def test_chains_of_a_method_of_ones_own_are_judged_at_their_own_temperatures():
    """Five temperatures without exchanges: the coldest alone comes to the floor, as it should."""

    class Held:
        chains = 5

        def init(self):
            return jnp.geomspace(1e-4, 1.0, 5)

        def temperatures(self, state):
            return state

        def exchange(self, key, state, energies):
            return state

    start = np.ones(DIMENSIONS, np.float32)
    result = ja.anneal(bowl, start, key=0, method=Held(), move=Gaussian(), steps=4000)
    assert np.ptp(np.asarray(result.chains.best_energy)) > 100 * 1e-4
    assert agreement(result).agreeing == 5 and not check.doubts(result)


@pytest.mark.slow
def test_a_mixed_move_that_cannot_refine_is_told_to_polish_which_does():
    """At the bottom of its switches every step flips one, and is refused with its small steps."""

    def energy(p):
        return jnp.sum((p["x"] - 0.5) ** 2) + jnp.sum(p["s"].astype(float))

    start = {"s": np.ones(3, bool), "x": np.zeros(3, np.float32)}
    result = ja.anneal(energy, start, key=0, steps=2000)
    (doubt,) = [text for text in check.doubts(result) if "do not agree" in text]
    assert "of PerLeaf moves all parts at once" in doubt
    polished = ja.polish(energy, result, steps=200)
    assert polished.energy < 0.1 * result.energy
