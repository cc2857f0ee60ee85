"""Whatever call is drawn ends in a refusal of four parts before it compiles, or in a sound result.

A case that fails runs again as ``python tests/fuzz.py NUMBER NUMBER+1``.
"""

import jax
import pytest
from fuzz import outcome
from laws import broken
from odd_calls import changed, drawn

from jaxanneal._checks import refusal

_CASES, _EACH = 500, 25


def faults(cases):
    """Return what is wrong with the outcomes of calls."""
    found = {str(case): outcome(case)[1] for case in cases}
    return {case: fault for case, fault in found.items() if fault}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(0, _CASES, _EACH))
def test_every_call_is_refused_or_gives_a_sound_result(first):
    assert not faults(map(drawn, range(first, first + _EACH)))


# Some that are refused, of each function a few; of the drawn ones another list of values would make
# others.
REFUSED = [
    changed("moved", target_acceptance="1", scale="np.float32(2.0)"),
    changed("ja.anneal", max_seconds='"1"'),
    changed("ja.moves.StudentT", df="True"),
    changed("ja.anneal", key="[0, 0]", sharding='jax.make_mesh((1,), ("chains",))'),
    changed("ja.init_chain", energy="int", args="1.0"),
    changed("tempered", rungs='"2"', warmup="1"),
    changed("ja.anneal", key="np.array(True)"),
    changed("tempered", scheme="jax.random.key(0)", warmup="np.array(0.5)"),
    changed("ja.anneal", max_seconds="0"),
    changed("ja.anneal", progress="jnp.array(False)", observe="lambda: 0"),
    changed("rounds", steps="0.3"),
    changed("ja.anneal", energy="lambda p: jnp.round(energy(p)).astype(int)", observe='"x"'),
    changed("ja.sweep", store="np.float32(2.0)"),
    changed("moved", bounds="(object(), 1)"),
    changed("ja.cooling.Linear", steps="object()"),
    changed("ja.polish", energy="lambda p: np.float64(1.0)", args='("x",)'),
    changed("rounds", move="lambda: 0", steps="2**31 - 1"),
    changed("ja.polish", optimizer="optax.adam"),
    changed("ja.accept", delta_energy="fractions.Fraction(1, 2)"),
    changed("ja.Checkpoint", directory='""'),
    changed("ja.moves.StudentT", df="object()"),
    changed("annealed", chains="np.float64(2.0)"),
    changed("rounds", key="1.0", move="None"),
    changed("ja.cooling.Linear", steps="np.longdouble(0.5)"),
    changed("ja.accept", temperature="True", log_hastings="3.0"),
    changed("ja.calibrate", energy="np.linalg.norm", params="ja.stacked([FLAT] * 4)"),
    changed("ja.calibrate", energy="lambda p: np.array([[1.0]])"),
    changed("ja.sweep", over='{"key": [0, 1]}'),
    changed("ja.init_chain", params="int"),
    changed("ja.sweep", draws="True"),
    changed("stepped", width="jnp.array([0.5, 1.0])"),
    changed("per_leaf", moves="lambda k: k"),
    changed("ja.polish", bounds="(FLAT, FLAT)"),
    changed("annealed", chains="jnp.array(2)"),
    changed("ja.Result.load", path='"\\0"', like='np.array(["x"])'),
    changed("ja.Checkpoint", every_seconds="np.float16(0.5)", keep="object()"),
    changed("ja.cooling.Logarithmic", c='float("nan")'),
    changed("stepped", bounds="range(2)", width="-0.5"),
    changed("ja.cooling.Geometric", steps="1e-50"),
    changed("per_leaf", moves="Returning((FLAT, 1j))"),
    changed("ja.cooling.Logarithmic", c="jax.random.key(0)"),
    changed("ja.cooling.Geometric", steps="np.float64(0.5)"),
    changed("ja.Result.load", path='"\\0"'),
    changed("resumed", energy="sum", state="None"),
]


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_a_wrong_call_is_refused_before_anything_compiles(case):
    error, fault = outcome(case)
    assert isinstance(error, Exception)
    assert not fault


def test_a_check_that_is_missing_shows(monkeypatch):
    case = changed("ja.anneal", steps='"1"')
    assert not faults([case])
    monkeypatch.setattr("jaxanneal._run.limits.count", lambda path, value, *_: value)
    assert "is a raw TypeError" in faults([case])[str(case)]


def test_a_refusal_that_comes_late_shows(monkeypatch):
    def late(_):
        jax.jit(lambda x: x + 1).lower(1.0).compile()
        raise ValueError(refusal("params", "a box", "another one", "Start inside."))

    case = changed("ja.anneal")
    monkeypatch.setattr("jaxanneal._run.problem.require_energy", late)
    assert "comes after a compilation" in faults([case])[str(case)]


@pytest.mark.slow
def test_a_wall_that_is_missing_shows():
    case = changed("ja.anneal", energy="cold")
    assert not faults([case])
    missing = "jaxanneal.moves._perturbation.reflect", lambda start, step, *_: start + step
    with broken((missing,)):
        assert "is outside" in faults([case])[str(case)]
