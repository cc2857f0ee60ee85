"""What may be varied, by which names, and what is refused before anything runs."""

import contextlib
import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import enable_x64

import jaxanneal as ja
from jaxanneal._sweep import sweep
from jaxanneal._sweep.plan import as_plan, run_keys, users_key
from jaxanneal._sweep.settings import Changes, Settings, changed, names
from jaxanneal._sweep.table import labels

KEY = jax.random.key(3)
COOLING = ja.cooling.Geometric(1.0, 1e-3)
BASE = Settings(
    method=ja.SimulatedAnnealing(chains=4, cooling=COOLING),
    move=ja.moves.PerLeaf({"w": ja.moves.Gaussian(), "b": [ja.moves.StudentT(df=1)]}),
    args=(np.zeros(3), {"rate": 0.5}),
    steps=10,
    target=None,
    patience=None,
    max_evaluations=None,
    block=None,
)


def bowl(x):
    return jnp.sum(x**2)


def run(over, **settings):
    settings = {"key": KEY, "steps": 8, "repeats": 1, "method": BASE.method} | settings
    return ja.sweep(bowl, jnp.ones(2), over=over, **settings)


def row_major_law(plan):
    """The last name of a grid varies fastest, as in the arrays of the dataset."""
    assert [tuple(row.values()) for row in plan.values] == [(1, 3), (1, 4), (2, 3), (2, 4)]
    assert (plan.dims, plan.shape) == (("a", "b"), (2, 2))


def test_a_grid_is_row_major_in_the_order_of_the_names():
    row_major_law(as_plan({"a": [1, 2], "b": [3, 4]}, None, 1, KEY))
    plan = as_plan({"a": [1, 2], "b": [3, 4]}, None, 1, KEY)
    with pytest.raises(AssertionError):
        row_major_law(plan._replace(values=sorted(plan.values, key=lambda row: row["b"])))


def test_names_reach_every_number_and_constructors_check_the_new_one():
    new = changed(
        BASE,
        {
            "method.cooling.start": 5.0,
            "method.chains": 2,
            "move.moves.w.scale": 0.7,
            "move.moves.b.0.df": 3.0,
            "args.1.rate": 0.9,
            "steps": 20,
        },
    )
    assert (float(new.method.cooling.start), new.method.chains, new.steps) == (5.0, 2, 20)
    assert float(new.method.cooling.end) == float(COOLING.end)
    assert float(new.move.moves["w"].scale) == np.float32(0.7)
    assert float(new.move.moves["b"][0].df) == 3.0
    assert new.args[1] == {"rate": 0.9}
    assert new.args[0] is BASE.args[0]
    with pytest.raises(ValueError, match=r"^Geometric\.start: expected .*> 0, got -1"):
        changed(BASE, {"method.cooling.start": -1.0})


def test_parts_of_what_is_itself_exchanged_are_those_of_the_new_value():
    other = ja.moves.Uniform(0.1, bounds=(-1.0, 1.0))
    new = changed(BASE, {"move": other, "move.scale": 0.5})
    assert isinstance(new.move, ja.moves.Uniform)
    assert float(new.move.scale) == 0.5
    ladder = ja.ParallelTempering(rungs=6)
    longer = changed(BASE, {"method": ladder, "method.temperatures": [0.1, 1.0]})
    assert longer.method.rungs == 2


def test_dataclasses_of_users_have_names_too():
    @dataclasses.dataclass(frozen=True)
    class Step:
        size: float

        def propose(self, key, params, factor):
            return params + self.size * factor, 0.0

    assert changed(BASE, {"move": Step(1.0), "move.size": 2.0}).move.size == 2.0


def test_what_has_the_same_values_is_made_once():
    change = Changes(BASE)
    starts, scales = [0.5, 2.0], [0.1, 0.2]
    made = [
        change({"method.cooling.start": a, "move.moves.w.scale": b}) for a in starts for b in scales
    ]
    assert len({id(new.method) for new in made}) == len({id(new.move) for new in made}) == 2


@pytest.mark.parametrize("name", ["method.cooling.begin", "moves.scale", "method.temperatures"])
def test_an_unknown_name_is_refused_with_the_names_that_exist(name):
    with pytest.raises(ValueError, match=r"^over: expected one of .*move\.scale.*got 'm") as found:
        run({name: [1.0]})
    assert name in str(found.value)
    assert "method.cooling.start" in names(BASE)


def test_half_a_cooling_is_refused_with_the_remedy():
    remedy = r"^method\.cooling\.end: expected a temperature, .*cooling=ja\.cooling\.Geometric"
    with pytest.raises(ValueError, match=remedy):
        run({"method.cooling.start": [1.0]}, method=None)
    both = {"method.cooling.start": 2.0, "method.cooling.end": 0.1}
    cooling = changed(BASE._replace(method=ja.SimulatedAnnealing()), both).method.cooling
    assert (float(cooling.start), float(cooling.end)) == (2.0, np.float32(0.1))


@pytest.mark.parametrize(
    "over, more, message",
    [
        ({}, {}, r"^over: expected at least one setting"),
        (
            {"move.scale": 0.1},
            {},
            r"^over\['move\.scale'\]: expected a sequence of values, got 0\.1",
        ),
        ({"move.scale": "abc"}, {}, r"^over\['move\.scale'\]: expected a sequence of values"),
        ({"move.scale": []}, {}, r"^over\['move\.scale'\]: expected at least one value"),
        (
            {"move.scale": [0.1]},
            {"draws": 3},
            r"^over\['move\.scale'\]: expected a function of a key",
        ),
        ({"move.scale": abs}, {"draws": 0}, r"^draws: expected an integer >= 1, got 0"),
        ([{"steps": 1}], {"draws": 3}, r"^draws: expected None with a list"),
        ([{}], {}, r"^over: expected dicts of at least one setting each"),
        (3, {}, r"^over: expected a dict of dotted names"),
        ({3: [1]}, {}, r"^over: expected dotted names, got 3"),
        ({"steps": [1]}, {"repeats": 0}, r"^repeats: expected an integer >= 1, got 0"),
        ({"steps": [1]}, {"key": None}, r"^key: expected a value"),
        ({"steps": [0]}, {}, r"^steps: expected an integer >= 1, got 0"),
    ],
)
def test_what_is_no_sweep_is_refused(over, more, message):
    with pytest.raises((TypeError, ValueError), match=message):
        run(over, **more)


def test_draws_are_drawn_with_keys_that_no_run_has():
    seen = []

    def draw(key):
        seen.append(tuple(jax.random.key_data(key).tolist()))
        return 10 ** jax.random.uniform(key)

    plan = as_plan({"a": draw, "b": draw}, 4, 3, KEY)
    assert (len(plan.values), plan.dims) == (4, ("configuration",))
    assert all(isinstance(row["a"], float) for row in plan.values)
    expected = jax.random.fold_in(jax.random.fold_in(KEY, 2), 2**31 - 1)
    assert plan.values[2]["a"] == float(10 ** jax.random.uniform(expected))
    runs = [jax.random.fold_in(jax.random.fold_in(KEY, c), r) for c in range(4) for r in range(3)]
    keys = {*seen, *(tuple(jax.random.key_data(key).tolist()) for key in runs)}
    assert len(keys) == 2 * 4 + 3 * 4


@pytest.mark.parametrize("double", [False, True])
def test_the_runs_of_a_seed_are_those_of_its_key(double):
    with enable_x64(double):
        one = np.zeros(1, int)
        for seed in (5, 5 + 2**32, -1, 2**31, -(2**40)):
            of_seed, of_key = (
                run_keys(users_key(s), one, one) for s in (seed, jax.random.key(seed))
            )
            np.testing.assert_array_equal(of_seed, of_key)


def test_lists_and_draws_have_a_dimension_of_configurations():
    move = ja.moves.Gaussian(target_acceptance=None)
    listed = run([{"move.scale": 0.5}, {"steps": 4}], move=move, repeats=2)
    assert dict(listed.energy.sizes) == {"configuration": 2, "repeat": 2}
    assert np.isnan(listed["move.scale"].values).tolist() == [False, True]
    assert listed.steps_made.values[:, 0].tolist() == [8, 4]
    over = {"method.cooling.start": lambda key: jax.random.uniform(key) + 1}
    drawn = run(over, draws=3, move=ja.moves.Gaussian())
    assert drawn["method.cooling.start"].dims == ("configuration",)
    assert ((drawn["method.cooling.start"] >= 1) & (drawn.error == "").all("repeat")).all()


def test_what_is_no_number_has_a_readable_label():
    moves = [ja.moves.Gaussian(0.1), ja.moves.Gaussian(0.1), ja.moves.StudentT(df=1), None]
    found = labels(moves, distinct=True).tolist()
    assert found[0].startswith("Gaussian(scale=0.1")
    assert found[1] == f"{found[0]} #2"
    assert found[2].startswith("StudentT(") and found[3] == "None"
    assert labels([1, 2.5, None], True).tolist()[:2] == [1.0, 2.5]
    assert labels([True, False], True).dtype == bool
    assert labels(["deo", "seo"], True).tolist() == ["deo", "seo"]
    assert labels([np.float32([1, 2]), [0.1, 0.2]], True).tolist() == ["[1, 2]", "[0.1, 0.2]"]
    assert labels([bowl, np.zeros((3, 4), np.float32)], True).tolist()[0] == "bowl"


ADAPTS = r"^over: .* differ by a factor alone, which the step size adapts away\. .*acceptance=None"


@pytest.mark.parametrize(
    ("over", "settings", "adapts"),
    [
        ({"move.scale": [0.1, 1.0]}, {"move": ja.moves.Gaussian()}, True),
        ({"move.scale": [0.1, 1.0]}, {}, True),  # of the natural move
        ({"move": [ja.moves.Gaussian(0.1), ja.moves.Gaussian(0.2)]}, {}, True),
        ({"move.moves.w.scale": [0.1, 0.2]}, {"move": {"w": 0.1, "b": None}}, True),
        ({"move.scale": [{"w": 0.1, "b": 0.2}, {"w": 0.2, "b": 0.4}]}, {"params": 2}, True),
        ({"move.moves.w.scale": [0.1, 0.2]}, {"move": {"w": 0.1, "b": 0.1}}, False),
        ({"move.scale": [{"w": 0.1, "b": 0.2}, {"w": 0.1, "b": 0.4}]}, {"params": 2}, False),
        ({"move.scale": [0.1, 1.0]}, {"move": ja.moves.Gaussian(target_acceptance=None)}, False),
        ({"move.scale": [0.1, 1.0]}, {"method": ja.ParallelTempering(2, adapt=False)}, False),
        ({"move": [ja.moves.Gaussian(0.1), ja.moves.Uniform(0.2)]}, {}, False),
    ],
)
def test_a_sweep_over_scales_that_adapt_is_told(over, settings, adapts, monkeypatch):
    """Only the ratios of scales that one factor multiplies say anything."""
    monkeypatch.setattr(sweep, "_run", lambda *_: None)
    both = {"w": np.float32(1), "b": np.float32(1)}
    tree = "params" in settings or isinstance(settings.get("move"), dict)
    call = {"method": BASE.method, "move": None} | settings
    if isinstance(call["move"], dict):
        parts = call["move"].items()
        kinds = {name: None if s is None else ja.moves.Gaussian(s) for name, s in parts}
        call["move"] = ja.moves.PerLeaf(kinds)
    elif tree:
        call["move"] = ja.moves.Gaussian()
    call["params"] = both if tree else np.ones(2, np.float32)
    expected = pytest.warns(UserWarning, match=ADAPTS) if adapts else contextlib.nullcontext()
    with expected:
        ja.sweep(lambda p: jnp.zeros(()), key=0, over=over, steps=4, repeats=1, **call)
