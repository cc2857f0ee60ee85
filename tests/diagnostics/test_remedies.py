"""Remedies of ``check()``: the code in them is parsed, run, and makes the run better."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal._diagnostics import check, remedies
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Gaussian

START = np.ones(2, np.float32)


def square(x, offset=0.0):
    return jnp.sum(x**2) + offset


def wavy(x):
    return 10.0 * x.size + jnp.sum(x**2 - 10.0 * jnp.cos(2 * jnp.pi * x))


def inside(x):
    return jnp.where(jnp.all(jnp.abs(x) < 1e-3), jnp.sum(x**2), jnp.nan)


def stairs(x):
    return jnp.floor(1e-3 * jnp.sum(x**2))


def nano(x):
    return jnp.sum((x * 1e9 - 1) ** 2)


def flat(x):
    return jnp.where(jnp.all(jnp.abs(x) < 1), 0.0, -1.0) * 1.0


SETTINGS = ("temperatures", "swap_every", "steps", "method", "move", "cooling", "params", "warmup")


def settings_in(text, result):
    """Return what the code in a message sets, one dictionary of one setting each."""
    known = {"ja": ja, "jnp": jnp, "result": result}
    given = []
    for match in re.finditer(rf"\b({'|'.join(SETTINGS)})=(?=[\w\[(])", text):
        end, depth = match.end(), 0
        while end < len(text):
            depth += (text[end] in "([{") - (text[end] in ")]}")
            stop = text[end] in ",; )\n" or text[end : end + 2] == ". " or text[end:] == "."
            if depth < 0 or (depth == 0 and stop and text[end] not in ")]}"):
                break
            end += 1
        given.append({match[1]: eval(text[match.end() : end], known)})
    return given


def test_code_is_read_out_of_a_message():
    text = "Use steps=40, with move=ja.moves.Gaussian(bounds=(0, 1)), or bounds=(lower, upper)."
    first, second = settings_in(text, None)
    assert first == {"steps": 40} and second["move"].bounds[1] == 1
    assert not settings_in("Raise it from swap_every.", None)


SA = {"chains": 8, "cooling": Geometric(1.0, 0.01)}
PT = {"ladders": 8, "swap_every": 4, "warmup": 1000, "adapt": False}
HELD = Gaussian(0.3, target_acceptance=None)
ADAPTS = Gaussian(0.3)


def case(energy, kind, method, begin=START, steps=300, move=HELD, args=()):
    return locals()


def run(of, **changes):
    """Run a case with some settings changed, those of its method among them."""
    of = {**of, **{k: v for k, v in changes.items() if k in ("steps", "move")}}
    own = {k: v for k, v in changes.items() if k in ("temperatures", "swap_every", "cooling")}
    kinds = {"SA": ja.SimulatedAnnealing, "PT": ja.ParallelTempering}
    method = changes.get("method", kinds[of["kind"]](**{**of["method"], **own}))
    begin = changes.get("params", of["begin"])
    rest = {"key": 0, "args": of["args"], "move": of["move"], "steps": of["steps"]}
    return ja.anneal(of["energy"], begin, method=method, **rest)


def ladder(cold, hot, rungs, **changes):
    return {**PT, "temperatures": np.geomspace(cold, hot, rungs), **changes}


def accepted(result):
    return float(np.sum(np.asarray(result.state.engine_state.accepted)))


def lost(result):
    return -float(np.sum(result.diagnostics.nonfinite))


def low(result):
    return -float(np.median(np.asarray(result.chains.best_energy)))


def finite(result):
    return float(np.mean(np.isfinite(np.asarray(result.chains.energy))))


BELOW_NONE = np.float32([[0.1, 0.1], [np.nan, 0]] * 4)
HOLE = np.r_[np.geomspace(0.05, 0.1, 4), np.geomspace(1.0, 2.0, 4)]
# What is said, how often code is in it, the case, and what must have become larger; where nothing
# is named, what was said must not be said any more.
CASES = {
    "few rungs": ("rungs are few", 1, case(square, "PT", ladder(0.1, 1e2, 4), steps=4000), None),
    "broken": ("is broken", 1, case(square, "PT", ladder(0.1, 1e7, 2), steps=4000), None),
    "uneven": ("unevenly", 1, case(square, "PT", PT | {"temperatures": HOLE, "ladders": 16},
        np.zeros(5, np.float32), 6000, ADAPTS), None),
    "too hot": ("about the same", 1, case(square, "PT", ladder(1e3, 1.1e3, 4), steps=4000), None),
    "exchanges": (
        "faster than exploration",
        2,  # that of today, and the one to use
        case(square, "PT", ladder(0.1, 1, 7, swap_every=1), np.ones(10, np.float32), 4000, ADAPTS),
        None,
    ),
    "rounding, cooled": ("is rounding", 1, case(square, "SA", SA, args=(1e6,)), None),
    "rounding, a ladder": (
        "is rounding",
        1,
        case(square, "PT", ladder(0.1, 1e1, 4), steps=4000, args=(1e6,)),
        None,
    ),
    "stuck": ("accepted no proposal", 3, case(square, "SA", SA | {"cooling": Geometric(0.02, 0.01)},
        0 * START, move=Gaussian(30.0, target_acceptance=None)), accepted),
    "stuck, adapting": ("accepted no", 2, case(square, "SA", SA | {"cooling": Geometric(1e-9,
        1e-9)}, 0 * START, 150, ADAPTS), accepted),
    "never finite": ("never had", 1, case(square, "SA", SA, ja.stacked(BELOW_NONE)), finite),
    "not finite": ("had no finite energy", 1, case(inside, "SA", SA, 0 * START, move=Gaussian(
        2e-3, target_acceptance=None)), lost),
    "plateau": ("no energy ever changed", 1, case(stairs, "SA", SA), None),
    "walks away": ("at its upper limit", 1, case(flat, "SA", SA, steps=2000, move=ADAPTS), None),
    "nano": ("at its lower limit", 1, case(nano, "SA", SA, 0 * START, 4000, Gaussian(1e4)), None),
    "disagreement": ("do not agree", 1, case(wavy, "SA", {"chains": 16, "cooling": Geometric(
        10.0, 1e-3)}, 3.3 * START, 100, Gaussian(0.5)), low),
}  # fmt: skip


# Each makes two runs of a program of its own; a few stand for all where time counts.
QUICK = ("stuck", "not finite", "disagreement")
NAMES = [pytest.param(n, marks=[] if n in QUICK else [pytest.mark.slow]) for n in CASES]


@pytest.mark.parametrize("name", NAMES)
def test_every_remedy_makes_the_run_better(name):
    phrase, count, of, measure = CASES[name]
    before = run(of)
    (text,) = [x for x in check.failures(before) + check.doubts(before) if phrase in x]
    given = settings_in(text, before)
    assert len(given) == count, text
    for one in given[1:] if name == "exchanges" else given:
        after = run(of, **one)
        if measure is None:
            said = check.failures(after) + check.doubts(after)
            assert not any(phrase in x for x in said), (one, said)
        else:
            assert measure(after) > measure(before), one


def test_a_ladder_of_ones_own_keeps_its_ends():
    """Taken literally, a number of rungs alone would be a ladder between calibrated ends."""
    of = case(square, "PT", ladder(0.1, 1e2, 4), steps=4000)
    before = run(of)
    (one,) = settings_in(before.summary(), before)
    np.testing.assert_allclose(one["temperatures"][np.array([0, -1])], [0.1, 1e2], rtol=1e-6)
    assert len(one["temperatures"]) == 8
    after = run(of, **one)
    np.testing.assert_allclose(after.diagnostics.mean_energy[0], 0.1, rtol=0.1)  # d T / 2


@pytest.mark.slow
def test_steps_to_make_bring_a_ladder_that_still_falls_nearer_to_rest():
    method = ja.ParallelTempering(**ladder(0.1, 0.4, 4, warmup=0))
    far = np.full(2, 300.0, np.float32)
    before = ja.anneal(square, far, key=0, method=method, move=Gaussian(0.1), steps=4000)
    (text,) = [x for x in check.doubts(before) if "has not settled" in x]
    (one,) = settings_in(text, before)
    after = ja.anneal(square, state=before.state, **one)
    assert after.diagnostics.rhat[0] < before.diagnostics.rhat[0]


def test_steps_to_make_end_a_warm_up():
    of = case(square, "PT", ladder(0.1, 0.4, 4), steps=600)
    before = run(of)
    (text,) = check.doubts(before)
    longer, shorter = settings_in(text, before)
    after = ja.anneal(square, state=before.state, **longer)
    assert not any("warm-up" in x for x in check.doubts(after))
    of["method"] = of["method"] | shorter
    assert not any("warm-up" in x for x in check.doubts(run(of)))


@pytest.mark.parametrize(
    ("move", "inside", "less"),
    [
        (Gaussian(bounds=(-1, 1)), "narrow them", "scale=0.01, bounds=(-1, 1)"),
        (ja.moves.Flip(), "swap of a one and a zero", "Start elsewhere"),
        (
            ja.moves.IntegerStep(3),
            "IntegerStep(bounds=(lower, upper))",
            "shorter steps, move=ja.moves.IntegerStep()",
        ),
        (ja.moves.IntegerStep(bounds=(0, 3)), "finite penalty", "Start elsewhere"),
        (
            ja.moves.PerLeaf({"w": Gaussian(), "s": ja.moves.Flip(), "c": None}),
            "Flip in PerLeaf: One flip",
            "Gaussian in PerLeaf: Make",
        ),
        (lambda key, x: x, "Let the move propose allowed states", "nearer states"),
    ],
)
def test_remedies_name_what_the_move_that_is_there_has(move, inside, less):
    method = ja.SimulatedAnnealing(4)
    texts = remedies.keep_inside(move), remedies.move_less(move, method)
    assert inside in texts[0] and less.lower() in texts[1].lower()
    if isinstance(move, ja.moves.Flip):
        assert not any("bounds" in text or "scale" in text for text in texts)


def test_a_move_is_shown_as_the_code_that_makes_it():
    moves = [
        ja.moves.StudentT(df=1, scale={"a": 0.5, "b": [1.0, 2.0]}),
        Gaussian(0.25, bounds=(-1.0, None), fraction=0.5, target_acceptance=0.3),
        ja.moves.IntegerStep(3, bounds=(0, 7)),
    ]
    for move in moves:
        again = eval(remedies.code_of(move), {"ja": ja, "jnp": jnp})
        assert jax.tree.structure(again) == jax.tree.structure(move)
        same = functools.partial(np.testing.assert_allclose, rtol=1e-3)
        jax.tree.map(same, again, move)
    long = Gaussian(scale=np.full(100, 0.1))
    assert remedies.code_of(long) == "ja.moves.Gaussian(scale=...)"
