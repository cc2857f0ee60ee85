"""Runs of basin hopping: what must not change their numbers, walls, other data, and what they say.

One energy with numbers as data serves nearly all of them, so that its program is compiled once.
"""

import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import broken
from runs import assert_same_run, eager, often, own_lanes, plain, until

import jaxanneal as ja
from jaxanneal import StopReason
from jaxanneal.moves import Gaussian

# `test_hopping_laws` and `test_minimize` stand for these by default.
pytestmark = pytest.mark.slow

CHAINS, D, SIDE = 6, 3, 4.5
METHOD = ja.BasinHopping(chains=CHAINS)
BOX = Gaussian(bounds=(-SIDE, SIDE))


def bumps(x, numbers):
    """Rastrigin's energy of some height, shifted, with NaN beyond a wall."""
    value = jnp.sum((x - numbers["at"]) ** 2 + numbers["height"] * (1 - jnp.cos(2 * jnp.pi * x)))
    return jnp.where(x[0] > numbers["wall"], jnp.nan, value + numbers["offset"])


def data(height=10.0, wall=np.inf, offset=0.0, at=0.0):
    given = {"height": height, "wall": wall, "offset": offset, "at": at}
    return ({name: np.float32(value) for name, value in given.items()},)


def start(key):
    return jax.random.uniform(key, (D,), minval=-SIDE, maxval=SIDE)


def run(params=start, steps=150, **settings):
    given = {"key": 0, "args": data(), "method": METHOD, "move": BOX, "progress": False}
    return ja.anneal(bumps, params, steps=steps, **given | settings)


def onward(state, steps, **settings):
    return ja.anneal(
        bumps, state=state, steps=steps, **{"args": data(), "progress": False} | settings
    )


def assert_same_chains(one, other):
    """Compare chains and all that goes along with them bit for bit."""
    for a, b in zip(
        *(jax.tree.leaves((x.chains, own_lanes(x))) for x in (one, other)), strict=True
    ):
        np.testing.assert_array_equal(plain(a), plain(b), strict=True)


@pytest.fixture(scope="module")
def whole():
    return run()


def hops(result):
    return np.asarray(result.state.engine_state.carried.last.count)[:CHAINS]


def test_the_least_of_many_minima_is_reached():
    longer = run(steps=1000)
    assert longer.energy < 1e-6
    longer.check()


def test_a_run_counts_its_gradients_and_keeps_its_labels_a_permutation(whole):
    assert whole.gradients == 150 * CHAINS
    assert whole.evaluations == 151 * CHAINS
    assert hops(whole).min() > 3
    assert np.all(np.sort(whole.state.engine_state.exchange.rung) == np.arange(CHAINS))
    best = bumps(whole.params, *data())
    np.testing.assert_allclose(whole.energy, best, atol=1e-6)


def test_records_and_chunks_change_no_number(whole, monkeypatch):
    for every in (1, 3, 64):
        assert_same_chains(run(record_every=every), whole)
    eager(monkeypatch)
    assert_same_chains(run(), whole)


@pytest.mark.slow
def test_what_hops_take_of_others_may_not_depend_on_rounds(whole):
    """The twin shows where chains are, and not where they were when they last swapped."""
    shown = lambda self, carried: carried.descent.position  # noqa: E731
    with broken((("jaxanneal._kernels.hopping.Hopping.shown", shown),)):
        one, three = run(record_every=1), run(record_every=3)
    assert not np.array_equal(one.chains.params, three.chains.params)


@pytest.mark.parametrize("first", [1, 37, 75])
def test_n_steps_and_then_m_are_n_plus_m(first, whole):
    before = run(steps=first)
    assert_same_chains(onward(before.state, 150 - first), whole)
    assert_same_chains(onward(before.state, 150 - first, method=METHOD, move=BOX), whole)


def test_a_run_that_is_cut_short_goes_on_from_its_checkpoint(tmp_path, monkeypatch, whole):
    eager(monkeypatch)
    cut = run(checkpoint=often(tmp_path), callback=until(40))
    assert cut.stop_reason is StopReason.CALLBACK
    assert_same_run(run(checkpoint=often(tmp_path)), whole)


def test_files_and_pickles_go_on_bit_for_bit(tmp_path, whole):
    before = run(steps=60)
    before.save(tmp_path / "run")
    for state in (
        ja.Result.load(tmp_path / "run").state,
        pickle.loads(pickle.dumps(before)).state,
    ):
        assert_same_chains(onward(state, 90), whole)


def test_other_data_begin_anew_from_where_the_chains_are(whole):
    lower = onward(whole.state, 600, args=data(height=1.0, at=1.0))
    assert lower.energy < 1e-6
    np.testing.assert_allclose(lower.params, np.ones(D), atol=1e-3)
    one = onward(whole.state, 1, args=data(height=1.0, at=1.0))
    state = one.state.engine_state
    assert not bool(state.exchange.known)
    assert np.all(np.asarray(state.carried.first) | (hops(one) == 0))
    np.testing.assert_array_equal(one.chains.params, whole.chains.params)
    assert np.isnan(one.history.temperature).all()


def test_other_bounds_hold_from_the_first_step():
    narrow = Gaussian(bounds=(-1.5, 1.5))
    before = run(np.float32([0.4, 1.2, -1.4]), steps=17, args=data(at=3.0))
    inside = np.abs(before.chains.params).max() <= 1.5
    assert inside  # as yet: their descents are on the way out
    trial = before.state.engine_state.carried.descent.trial
    assert np.abs(trial).max() > 1.5
    after = onward(before.state, 60, args=data(at=3.0), move=narrow)
    for params in (after.chains.params, after.state.engine_state.carried.descent.trial):
        assert np.abs(params).max() <= 1.5


def test_a_run_goes_on_with_other_numbers_but_not_with_other_kinds_of_hops(whole):
    given = ja.BasinHopping(CHAINS, scale=2.0)
    before = run(steps=20, method=given)
    assert_same_chains(onward(before.state, 20, method=given), run(steps=40, method=given))
    hot = onward(before.state, 20, method=ja.BasinHopping(CHAINS, scale=200.0))
    assert float(hot.state.engine_state.exchange.scale) == 200
    assert hot.history.temperature[-1].max() == pytest.approx(100)
    with pytest.raises(ValueError, match=r"BasinHopping\.sizes: expected 4 values.*got 1\. For"):
        onward(whole.state, 9, method=ja.BasinHopping(CHAINS, sizes=[0.1]))
    with pytest.raises(ValueError, match="method: expected the structure of the run's own"):
        onward(whole.state, 9, method=ja.BasinHopping(CHAINS, scale=1.0))


@pytest.mark.slow
@pytest.mark.usefixtures("two_devices")
def test_two_devices_find_what_one_finds_and_padding_is_counted():
    mesh = jax.make_mesh((1,), ("chains",), devices=jax.devices()[:1])
    settings = {"block": 4, "steps": 90, "method": ja.BasinHopping(5)}
    settings["observe"] = lambda x, numbers: x + 0
    two, one = run(**settings), run(**settings, sharding=mesh)
    assert len(two.chains.energy.sharding.device_set) == 2
    assert_same_run(two, one)
    assert one.gradients == 90 * 6 and one.evaluations == 91 * 6  # two blocks of three
    np.testing.assert_array_equal(one.history.observed[-1], one.chains.params)


def test_a_part_of_space_without_an_energy_stops_one_descent_alone():
    starts = np.random.default_rng(0).uniform(-1, 1, (CHAINS, D)).astype(np.float32)
    starts[:, 0] = -np.abs(starts[:, 0]) - 0.2
    walled = starts.copy()
    walled[2, 0] = 3.0
    sound, holed = (
        run(ja.stacked(x), steps=4, args=data(wall=0.6)).state.engine_state
        for x in (starts, walled)
    )
    assert np.asarray(holed.nonfinite).tolist()[:CHAINS] != np.asarray(sound.nonfinite).tolist()
    others = [0, 1, 3, 4, 5]
    for a, b in zip(*(jax.tree.leaves(x.carried.descent) for x in (sound, holed)), strict=True):
        np.testing.assert_array_equal(np.asarray(a)[others], np.asarray(b)[others])
    late = run(ja.stacked(walled), args=data(wall=0.6), steps=1000)
    assert np.all(np.isfinite(late.chains.energy))  # it left, by its first finite energy
    assert np.all(late.chains.params[:, 0] <= 0.6)
    assert late.energy < 1e-6
    assert "points of descents refused" in late.summary()
    late.check()


def test_starts_without_a_finite_energy_are_refused():
    with pytest.raises(ValueError, match="energy: expected a finite energy in at least one chain"):
        run(steps=5, args=data(wall=-99.0))


def test_limits_hold_in_every_chain_and_are_attained():
    result = run(args=data(at=20.0, height=0.0))
    for params in (result.chains.params, result.chains.best_params):
        assert np.all(np.abs(params) <= SIDE)
    assert np.all(np.abs(result.state.engine_state.carried.descent.trial) <= SIDE)
    np.testing.assert_array_equal(result.params, np.full(D, SIDE, np.float32))
    result.check()


SOUND = {
    "one start for all": {"params": np.zeros(D, np.float32) + 2.0},
    "a start in the minimum": {"params": np.zeros(D, np.float32)},
    "a start on a limit that is best": {
        "params": np.full(D, SIDE, np.float32),
        "at": 20.0,
        "height": 0.0,
    },
    "one minimum": {"height": 0.0},
    "one minimum and one start": {"height": 0.0, "params": np.full(D, 0.3, np.float32)},
    "a large energy": {"offset": 1000.0},
    "in its first descents": {"steps": 4},
    "a wall": {"wall": 1.0},
}


@pytest.mark.parametrize("case", SOUND.values(), ids=SOUND)
def test_a_sound_run_raises_no_alarm(case):
    case = dict(case)
    settings = {name: case.pop(name) for name in ("params", "steps") if name in case}
    result = run(**{"steps": 1500} | settings, args=data(**case))
    result.check()  # a warning would be an error
    assert "check() finds no fault" in result.plot()._suptitle.get_text()
    assert np.all((result.diagnostics.acceptance_rate <= 1) | (hops(result) == 0))


def test_a_scale_is_found_from_one_start_as_from_many():
    """Where all chains descend into one minimum their hops tell how far apart minima are."""
    scales = [
        float(run(params, steps=1000).state.engine_state.exchange.scale)
        for params in (start, np.full(D, 2.1, np.float32))
    ]
    assert 1 / 3 < scales[1] / scales[0] < 3


@pytest.mark.slow
def test_a_chain_alone_finds_a_scale():
    alone = run(np.float32([2.1, 0, 1]), steps=300, method=ja.BasinHopping(1, coldest=0.5))
    assert 1 < float(alone.state.engine_state.exchange.scale) < 50


def test_temperatures_are_unknown_until_two_minima_were_seen(whole):
    unknown = np.isnan(whole.history.temperature)
    assert unknown[0].all() and not unknown[-1].any()
    assert np.all(unknown.all(axis=1) == unknown.any(axis=1))
    ratio = whole.history.temperature[-1].max() / whole.history.temperature[-1].min()
    assert ratio == pytest.approx(0.5 / 0.02, rel=1e-4)
    alike = run(args=data(height=0.0), steps=20)
    assert np.isnan(alike.history.temperature).all()
    assert "temperature" not in alike.summary()
    assert "no two minima were seen" in alike.summary()


def test_the_acceptance_rate_is_that_of_the_hops_that_ended(whole):
    state = whole.state.engine_state
    accepted = np.asarray(state.accepted) - 1  # the first descent apart
    assert not np.any(np.asarray(state.carried.first))
    np.testing.assert_allclose(whole.diagnostics.acceptance_rate, accepted / hops(whole))
    rates = run(record_every=1).history.acceptance_rate
    assert np.all(np.isnan(rates) | (rates == 0) | (rates == 1))  # one hop ends in a step, or none
    assert np.nansum(rates) == accepted.sum()
    assert np.count_nonzero(~np.isnan(rates)) == hops(whole).sum()


def test_progress_tells_the_rate_of_hops(monkeypatch, capfd):
    eager(monkeypatch)
    seen = []
    run(steps=40, callback=lambda progress: seen.append(progress), progress=True)
    rates = np.array([progress.acceptance_rate for progress in seen])
    assert np.isnan(rates[0]) and np.nanmax(rates) <= 1 and np.nanmin(rates) >= 0
    assert np.isnan(seen[0].temperatures).all() and np.all(seen[-1].temperatures > 0)
    assert "acc=" in capfd.readouterr().err


def test_a_run_stops_at_a_target_by_patience_and_within_a_budget():
    assert run(target=1e-3, steps=9000).stop_reason is StopReason.TARGET
    assert run(patience=128, steps=90_000).stop_reason is StopReason.PATIENCE
    budget = run(max_evaluations=CHAINS * 41)
    assert (budget.stop_reason, budget.steps) == (StopReason.EVALUATIONS, 40)


def test_a_result_says_what_the_method_did(whole, monkeypatch):
    rows = dict(line.split("  ", 1) for line in whole.summary().splitlines())
    rows = {name.strip(): value.strip() for name, value in rows.items()}
    assert rows["gradient evaluations"] == "900"
    assert rows["hops"].startswith(f"{hops(whole).sum():,}, ")
    assert float(rows["scale of energies"]) == pytest.approx(
        float(whole.state.engine_state.exchange.scale), rel=0.01
    )
    assert "step-size factor" not in rows
    axes = whole.plot().axes
    assert [x.get_title() for x in axes] == ["Energy", "Temperature", "Acceptance of hops"]
    xarray = whole.to_xarray()
    assert dict(xarray.energy.sizes) == {"record": 150, "chain": CHAINS}
    assert xarray.attrs["gradients"] == 900
    monkeypatch.setattr("jaxanneal._diagnostics.agreement._MISSED", -1.0)
    with pytest.warns(UserWarning, match=r"do not agree: \d of 6 .*with steps=\d+\.$"):
        whole.check()  # no cooling is to be longer: there is none


# Without bounds the units are those of the starts, of each run its own.
@pytest.mark.slow
@pytest.mark.parametrize("move", [BOX, pytest.param(None, marks=pytest.mark.slow)])
def test_a_sweep_is_its_runs(move):
    over = {"method.hottest": [0.3, 3.0]}
    shared = {"args": data(), "move": move, "steps": 60, "progress": False}
    table = ja.sweep(bumps, start, key=7, method=METHOD, over=over, repeats=2, **shared)
    assert not any(table.error.values.reshape(-1))
    for c, hottest in enumerate(over["method.hottest"]):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(7), c), 1)
        alone = run(key=key, method=ja.BasinHopping(CHAINS, hottest=hottest), **shared)
        assert float(table.energy[c, 1]) == alone.energy
        np.testing.assert_array_equal(table.params[c, 1], alone.params)
        rate = np.nanmean(alone.diagnostics.acceptance_rate)
        assert float(table.acceptance_rate[c, 1]) == pytest.approx(rate)


@pytest.mark.slow
def test_the_pure_functions_make_the_same_rounds_and_evaluate_again():
    algorithm = ja.algorithm(bumps, METHOD, BOX)

    @jax.jit
    def rounds(key, args):
        first = algorithm.init(key, start, args)
        state, infos = jax.lax.scan(lambda s, _: algorithm.step(s, args), first, length=30)
        return state, infos, algorithm.refresh(state, data(height=1.0))

    state, infos, fresh = rounds(jax.random.key(0), data())
    assert int(state.step) == 150 and float(infos.best_energy[-1]) < 1.0
    rates = np.asarray(infos.acceptance_rate)
    assert np.all(np.isnan(rates) | ((rates >= 0) & (rates <= 1))) and np.nanmean(rates) > 0
    assert np.isnan(np.asarray(infos.temperatures)[0]).all()
    assert np.all(fresh.carried.first) and not np.any(np.asarray(fresh.carried.last.count))
    np.testing.assert_array_equal(fresh.chains.params, state.chains.params)
