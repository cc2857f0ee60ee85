"""``Result.check`` of ladders: holes, too few rungs, too short a warm-up, steps of no size."""

import functools
import re

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

import jaxanneal as ja
from jaxanneal._diagnostics import check, check_ladder

# A ladder with a factor of ten between its halves, of which the harmonic energy bridges a little.
HOLE = np.r_[np.geomspace(0.05, 0.1, 4), np.geomspace(1.0, 2.0, 4)]


def harmonic(x):
    return 0.5 * jnp.sum(x**2)


@functools.cache
def tempered(ladder, coordinates=10, start=0.0, steps=6000, warmup=2000, target=None):
    """Run on a harmonic energy, without adaptation of the ladder."""
    method = ja.ParallelTempering(
        temperatures=ladder, ladders=16, adapt=False, warmup=warmup, swap_every=4
    )
    return ja.anneal(
        harmonic,
        np.full(coordinates, start, np.float32),
        key=0,
        method=method,
        steps=steps,
        target=target,
        move=ja.moves.Gaussian(),
    )


def hole_law(result):
    (doubt,) = [text for text in check.doubts(result) if "unevenly" in text]
    named = r"rungs 3 and 4 \(T = 0\.1 and 1\) accept 0\.\d+% of their swaps, the others \d\d%"
    assert re.search(named, doubt)
    rungs = int(re.search(r"geomspace\(0\.05, 2, (\d+)\)", doubt)[1])
    assert rungs == pytest.approx(1 + 2 * exact_barrier(10, 40.0), rel=0.1)
    assert "better temperatures=" in result.summary()


def test_a_hole_that_is_nearly_closed_is_named_with_the_remedy():
    hole_law(tempered(tuple(HOLE)))


def test_a_check_that_looks_at_the_mean_alone_misses_the_hole():
    with pytest.raises(ValueError, match="not enough"), pytest.MonkeyPatch.context() as patch:
        patch.setattr(check_ladder, "_uneven", lambda *_: [])
        hole_law(tempered(tuple(HOLE)))


def test_even_ladders_are_not_called_uneven():
    result = tempered(tuple(np.geomspace(0.1, 1.0, 8)))
    assert not any("unevenly" in text or "few" in text for text in check.doubts(result))


def exact_barrier(coordinates, ratio):
    """Return the barrier of a harmonic energy between temperatures of a ratio.

    Half the mean distance of two energies at one temperature, in units of it, per ln T: each is
    half a chi-square of as many degrees of freedom.
    """
    law = stats.gamma(coordinates / 2)
    inside = integrate.quad(lambda x: law.cdf(x) * law.sf(x), 0, coordinates + 60)[0]
    return inside * np.log(ratio)


@pytest.mark.parametrize(
    "coordinates, ratio, rungs",
    [pytest.param(50, 10.0, 4, marks=pytest.mark.slow), (10, 30.0, 4)],
)
def test_the_number_of_rungs_named_is_twice_the_exact_barrier(coordinates, ratio, rungs):
    """Within a tenth, however few the rungs are from which it is told."""
    result = tempered(tuple(np.geomspace(0.1, 0.1 * ratio, rungs)), coordinates)
    named = check_ladder.rungs_for(result.diagnostics)
    assert named == pytest.approx(1 + 2 * exact_barrier(coordinates, ratio), rel=0.1)


def test_a_run_within_its_warm_up_is_doubtful_unless_it_found_what_it_was_to_find():
    ladder = tuple(np.geomspace(0.1, 1.0, 4))
    short = tempered(ladder, steps=400, warmup=400)
    with pytest.warns(UserWarning, match="within its warm-up, after 400 of 400 moves"):
        short.check()
    assert re.search(r"warm-up +400 moves, not over yet", short.summary())
    longer = tempered(ladder, steps=440, warmup=400)
    assert not any("warm-up" in text for text in check.doubts(longer))
    assert re.search(r"warm-up +400 moves\n", longer.summary())
    ended = tempered(ladder, start=1.0, steps=400, warmup=400, target=2.5)
    assert ended.stop_reason is ja.StopReason.TARGET and ended.steps > 0
    assert not any("warm-up" in text for text in check.doubts(ended))


def test_steps_that_shrink_to_nothing_are_named():
    """An equality constraint refuses every step, however small."""

    def energy(x):
        return jnp.where(x == 0.25, 0.0, 1e6)

    method = ja.ParallelTempering(temperatures=[0.1, 0.2], warmup=3000, adapt=False)
    result = ja.anneal(
        energy, jnp.float32(0.25), key=0, method=method, move=ja.moves.Gaussian(), steps=4000
    )
    (doubt,) = [text for text in check.doubts(result) if "step-size factor" in text]
    assert "rungs 0 and 1" in doubt and "fraction=" in doubt
