"""``Result.check``: what raises, what warns, and above all what passes in silence."""

import dataclasses
import functools
import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal._diagnostics import check, check_ladder
from jaxanneal._pytree import replace
from jaxanneal.cooling import Geometric, Linear
from jaxanneal.moves import Gaussian

HELD = Gaussian(0.3, target_acceptance=None)
UP, DOWN = np.ones((4, 4), bool), np.zeros((4, 4), bool)


def square(x, offset=0.0):
    return jnp.sum(x**2) + offset


def rastrigin(x):
    return 10.0 * x.size + jnp.sum(x**2 - 10.0 * jnp.cos(2 * jnp.pi * x))


def ising(spins):
    s = jnp.where(spins, 1.0, -1.0)
    return -jnp.sum(s * jnp.roll(s, 1, 0)) - jnp.sum(s * jnp.roll(s, 1, 1))


def inside(x):
    return jnp.where(jnp.all(jnp.abs(x) < 1e-3), jnp.sum(x**2), jnp.nan)


def cooled(start=1.0, end=0.01, chains=8):
    return ja.SimulatedAnnealing(chains, Geometric(start, end))


def run(energy, params, method, steps=300, move=HELD, **settings):
    return ja.anneal(energy, params, key=0, method=method, steps=steps, move=move, **settings)


def shifted(params, method, offset=0.0, **settings):
    """Run on the harmonic energy; one program serves all of these."""
    return run(square, params, method, args=(offset,), **settings)


@functools.cache
def tempered(ratio, offset=0.0, steps=4000):
    """Run four rungs on the harmonic energy, d = 2; one program serves all of these."""
    ladder = 0.1 * ratio ** np.linspace(0, 1, 4)
    method = ja.ParallelTempering(
        temperatures=ladder, ladders=8, swap_every=4, warmup=steps // 2, adapt=False
    )
    move = Gaussian(target_acceptance=0.35)
    return run(square, np.ones(2, np.float32), method, steps, move, args=(offset,))


DEFAULT = {"key": 0, "steps": 2000}
SOUND = {
    "default": lambda: ja.anneal(square, np.ones(2), **DEFAULT),
    "default, a start at the bottom": lambda: ja.anneal(square, np.zeros(2), **DEFAULT),
    "a discrete ground state": lambda: ja.anneal(ising, UP, **DEFAULT),
    "frozen at the end": lambda: ja.anneal(ising, DOWN, method=cooled(4, 1e-3, 64), **DEFAULT),
    "short and cold": lambda: shifted(np.zeros(2), cooled(1e-9, 1e-9), steps=50),
    "one move": lambda: shifted(np.ones(2), cooled(), steps=1),
    "no move": lambda: shifted(np.zeros(2), cooled(), target=1.0),
    "target on the way": lambda: shifted(np.ones(2), cooled(), target=0.5, steps=640),
    "default ladder": lambda: ja.anneal(
        rastrigin, np.full(2, 3.3), key=1, steps=4000, method=ja.ParallelTempering()
    ),
    "a discrete ladder": lambda: ja.anneal(
        ising, UP, key=0, steps=4000, method=ja.ParallelTempering()
    ),
    "a short ladder": lambda: tempered(1e4, steps=20),
    "a fine ladder": lambda: tempered(4),
    "polished": lambda: ja.polish(square, ja.stacked(np.ones((3, 2))), steps=5),
    "polished off the domain": lambda: ja.polish(inside, np.float32([5e-4, 5e-4]), steps=5),
}


SLOW = ["a discrete ladder"]  # beside a default ladder and a discrete run
CASES = [
    pytest.param(make, id=name, marks=[pytest.mark.slow] * (name in SLOW))
    for name, make in SOUND.items()
]


@pytest.mark.parametrize("make", CASES)
def test_sound_run_passes_in_silence_and_is_returned(make):
    """Warnings are errors here."""
    result = make()
    assert result.check() is result


def raises(result, *texts):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pytest.raises(RuntimeError, match="(?s)" + ".*".join(map(re.escape, texts))):
            result.check()


def test_chains_that_never_moved_are_named_with_the_remedy():
    frozen = shifted(np.zeros(2), cooled(1e-12, 1e-12))
    raises(frozen, "chains 0, 1, 2, 3, 4, 5, 6 and 7 of 8", "accepted no proposal", "Start hotter")
    starts = np.full((8, 2), 1e-4)
    starts[5] = 1.0  # every way that is short enough for the others leads it up

    def fixed_step(key, x):
        far = jnp.any(jnp.abs(x) > 0.5)
        return jnp.where(far, x + 100.0, x + 1e-6 * jax.random.normal(key, x.shape))

    result = run(square, ja.stacked(starts.astype(np.float32)), cooled(), move=fixed_step)
    raises(result, "chain 5 of 8", "Start hotter", "let the move propose nearer states")


def test_a_run_that_moved_and_then_froze_is_not_stuck():
    """What the last records show is no ground to call it stuck."""
    result = SOUND["frozen at the end"]()
    assert np.all(result.history.acceptance_rate[-1] == 0)
    assert np.all(np.asarray(result.chains.energy) == -32)


def test_chains_without_a_finite_energy_are_named_with_the_remedy():
    starts = np.zeros((8, 2), np.float32)
    starts[[1, 3]] = np.nan
    result = shifted(ja.stacked(starts), cooled())
    raises(result, "chains 1 and 3 of 8", "never had a finite energy", "initialiser")
    assert len(check.failures(result)) == 1  # that they proposed none either follows from it


def test_proposals_without_a_finite_energy_raise_or_warn_with_the_remedy():
    lost = run(inside, np.zeros(2), cooled(), move=Gaussian(1.0, target_acceptance=None))
    raises(lost, "chains 0", "proposed nothing with a finite energy", "bounds=")
    some = run(inside, np.zeros(2), cooled(), move=Gaussian(2e-3, target_acceptance=None))
    with pytest.warns(UserWarning, match=r"of 2,400 proposals had no finite energy.*bounds="):
        assert some.check() is some


def test_a_broken_ladder_is_named_with_the_remedy():
    raises(tempered(1e24), "broken above rungs 0 and 1", "Use more rungs between the same ends")


def test_a_coarse_ladder_warns_with_the_number_of_rungs():
    """Harmonic, d = 2: the rejection rate is (g - 1)/(g + 1) for a ratio g (oracle (b)).

    That is tanh(ln(g) / 2): between all rungs the barrier is ln(1000) / 2, two pairs per unit of
    which are 6.9, and one rung more.
    """
    result = tempered(10.0**3)
    assert result.diagnostics.barrier == pytest.approx(3 * 9 / 11, abs=0.1)
    with pytest.warns(UserWarning, match=r"4 rungs are few.*two pairs per unit.*0\.1, 100, 8\)"):
        result.check()


def test_exchanges_faster_than_exploration_warn():
    fine = tempered(4)
    few = fine.diagnostics._replace(round_trips=fine.diagnostics.round_trips // 8)
    with pytest.warns(UserWarning, match=r"faster than exploration.*from swap_every=4 to"):
        dataclasses.replace(fine, diagnostics=few).check()


def test_one_slow_rung_names_its_temperature_and_the_moves_between_exchanges():
    """0.95 to the power of 13.5 is a half: 14 exchanges, of 4 moves each, make 55 moves."""
    fine = tempered(4)
    few = fine.diagnostics._replace(
        round_trips=fine.diagnostics.round_trips // 8, autocorrelation=np.array([0.95, 0, 0.1, 0])
    )
    named = r"95% of the energy at T = 0\.1 is left.*Raise it from .* at least swap_every=55\."
    with pytest.warns(UserWarning, match=named):
        dataclasses.replace(fine, diagnostics=few).check()


def settled_law(result):
    """Of a sound run whose ladders are then made to disagree, only the latter is doubtful."""
    assert result.check() is result
    health = result.diagnostics
    for rhat, told in ((1.05, False), (1.3, True), (np.inf, True), (np.nan, False)):
        coldest = health._replace(rhat=np.r_[rhat, health.rhat[1:]])
        found = check.doubts(dataclasses.replace(result, diagnostics=coldest))
        assert told == any("has not settled" in text for text in found), (rhat, found)
    hot = health._replace(rhat=np.r_[health.rhat[:1], np.full(3, 2.0)])
    assert not check.doubts(dataclasses.replace(result, diagnostics=hot))


def test_ladders_that_disagree_when_cold_warn_and_a_twin_without_r_hat_is_caught():
    settled_law(tempered(4))
    with pytest.raises(AssertionError), pytest.MonkeyPatch.context() as patch:
        patch.setattr(check_ladder, "_unsettled", lambda *_: [])
        settled_law(tempered(4))


def test_a_run_that_still_falls_is_not_settled_and_one_with_few_records_is_not_judged():
    far = functools.partial(fallen, np.full(2, 300.0, np.float32))
    (doubt,) = [text for text in check.doubts(far()) if "has not settled" in text]
    assert re.search(r"the halves of 8 ladders disagree \(split R-hat .* Make more steps", doubt)
    assert not any("settled" in text for text in check.doubts(far(record_every=50)))  # 80 records


def fallen(start, **settings):
    """Run a ladder without warm-up from afar; its moves are small."""
    method = ja.ParallelTempering(
        temperatures=0.1 * 4 ** np.linspace(0, 1, 4), ladders=8, swap_every=4, warmup=0, adapt=False
    )
    move = Gaussian(0.1, target_acceptance=0.35)  # of no consequence without a warm-up
    return run(square, start, method, 4000, move, args=(0.0,), **settings)


def test_the_rungs_to_use_are_not_named_after_a_few_swaps_nor_from_a_fall():
    short, fell = tempered(1e3, steps=200), fallen(np.full(2, 1e4, np.float32))
    assert "better" not in short.summary() and "better temperatures=" in tempered(1e3).summary()
    wild = fell.diagnostics._replace(swap_rate=np.full(3, 0.01), rhat=np.ones(4))
    falling = wild._replace(rhat=np.full(4, 2.0))
    assert check_ladder.rungs_for(wild) == 40  # of four: ten times as many at most
    assert check_ladder.rungs_for(falling) == 14  # 2 * 3 * 2.06 (0.01 of swaps), and one


@pytest.mark.parametrize("kind", ["cooled", "ladder"])
def test_a_temperature_below_rounding_warns(kind):
    """float32 at 1e6: one unit in the last place is 0.0625, eight are 0.5."""
    start = np.full(2, 0.3, np.float32)
    result = shifted(start, cooled(1.0, 1e-3), 1e6) if kind == "cooled" else tempered(4, 1e6)
    with pytest.warns(UserWarning, match=r"below 0\.5, .*as float32.*subtract a constant"):
        result.check()


def test_greedy_ends_and_whole_numbers_are_not_lost_in_rounding():
    greedy = ja.SimulatedAnnealing(8, Linear(1.0, 0.0))
    shifted(np.full(2, 0.3, np.float32), greedy, 1e6).check()

    def errors(x):
        return 1e6 + jnp.sum(jnp.round(10 * x) ** 2)

    run(errors, np.ones(2), cooled(100.0, 1e-3)).check()


def test_a_temperature_below_rounding_of_float32_is_fine_in_float64(float64):
    shifted(np.full(2, 0.3), cooled(1.0, 1e-3), 1e6).check()


def test_every_status_names_a_remedy():
    state = shifted(np.zeros(2), cooled()).state.engine_state
    verbs = ("Start", "Keep", "make", "let")
    failures = [status for status in check.Status if status]
    texts = [check.text_of(status, state) for status in failures]
    assert len(set(texts)) == 3
    assert all(any(verb in text for verb in verbs) for text in texts)


def test_a_chain_keeps_every_reason():
    state = shifted(np.zeros(2), cooled()).state.engine_state
    chains, none = state.chains, np.full(8, np.inf, np.float32)
    hopeless = ja.Chain(chains.params, none, chains.best_params, none)
    bad = replace(state, chains=hopeless, accepted=np.zeros(8, np.int32))
    both = check.Status.NEVER_FINITE | check.Status.STUCK
    assert list(check.status_of(bad)) == [both] * 8
