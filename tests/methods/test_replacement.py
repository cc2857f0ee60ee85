"""Simulated annealing whose chains are replaced by copies of better ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import assert_mean, broken, caught
from replaced import energy, going, method, run, same
from spread import mesh

import jaxanneal as ja
from jaxanneal._kernels.metropolis import Metropolis
from jaxanneal._methods.resampling import resampled
from jaxanneal._pytree import replace
from jaxanneal.cooling import Geometric, Linear

# What a replacement does to the chains of a run.


def before_and_after(twin=()):
    """Return the same run up to its only replacement, which is due at its last step, and with it.

    Its cooling falls at that step: until then the runs are the same.
    """
    steep = method(40, 64, Linear(9.0, 3.0, steps=40))
    with broken(twin):
        never = run(steps=40, method=replace(steep, replace_every=jnp.asarray(1000, jnp.int32)))
        return never, run(steps=40, method=steep)


def source_of(never, once):
    """Return the chain whose state each chain has, by the old chains' parameters."""
    equal = np.all(once.chains.params["x"][:, None] == never.chains.params["x"][None], axis=2)
    np.testing.assert_array_equal(equal.sum(axis=1), 1)
    return equal.argmax(axis=1)


def keeping_law(twin=()):
    """A replaced chain has another's state and step size, and the best state that it ever saw."""
    never, once = before_and_after(twin)
    source, old, new = source_of(never, once), never.chains, once.chains
    moved = source != np.arange(64)
    assert 5 < moved.sum() < 60
    alive = np.unique(source)
    np.testing.assert_array_equal(source[alive], alive)  # survivors stay where they are
    np.testing.assert_array_equal(new.energy, np.asarray(old.energy)[source])
    factor = never.diagnostics.factor
    np.testing.assert_array_equal(once.diagnostics.factor, factor[source])
    np.testing.assert_array_equal(new.best_energy, np.minimum(old.best_energy, new.energy))
    own = np.asarray(old.best_energy <= new.energy)[:, None]
    best = np.where(own, old.best_params["x"], new.params["x"])
    np.testing.assert_array_equal(new.best_params["x"], best)
    assert np.any(~own[moved]) and np.any(own[moved])


def test_a_replaced_chain_goes_on_from_another_and_keeps_its_best_state():
    keeping_law()


def losing_best(params, energy, best, best_energy):
    """A broken twin: a copy has the best state of where it goes on from."""
    return params, energy


def test_a_best_state_that_is_lost_is_caught():
    caught(keeping_law, (("jaxanneal._engine.round._lower", losing_best),))


def stale(tree, lane, axes):
    """A broken twin: a copy has the parameters of another chain, and its own energy."""
    params, energy, *rest = tree
    return params if axes else jax.tree.map(lambda x: x[lane], params), energy, *rest


def test_a_copy_with_an_energy_of_its_own_is_caught():
    caught(keeping_law, (("jaxanneal._engine.round.from_lanes", stale),))


class Counting(Metropolis):
    """A kernel that carries the number of the chain that a state began with."""

    def init(self, chain):
        return {"x": 2 * chain._params.leaves[0]}

    def step(self, key, lane, around, value_of):
        lane = super().step(key, lane, around, value_of)
        return replace(lane, carried=self.init(lane.chain))


@pytest.mark.parametrize("devices", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_copy_takes_along_what_its_kernel_carries(devices, monkeypatch):
    if jax.device_count() < devices:
        pytest.skip("needs two devices")

    def kernel(self, move, params):
        return Counting(move, self.adapting, self.adapts_throughout, params)

    patch = (("jaxanneal._methods.protocol.Method.kernel", kernel),)
    with broken(patch):
        seen = run(7, 13, steps=70, block=4, sharding=mesh(devices))
    state = seen.state.engine_state
    carried, params = state.carried["x"], state.chains._params.leaves[0]
    np.testing.assert_array_equal(carried, 2 * np.asarray(params))


@pytest.mark.slow
def test_padding_is_never_copied_nor_replaced():
    padded, never = (run(every, 5, block=8).state.engine_state.chains for every in (5, None))
    assert padded.energy.shape == (8,)
    assert not np.any(np.isin(padded.energy[:5], padded.energy[5:]))
    np.testing.assert_array_equal(padded.energy[5:], never.energy[5:])


# Exactness: a run of one replacement.

LEVELS = np.float32(np.random.default_rng(5).exponential(2.0, 20))


def exact_law(draw):
    """Chains drawn at T = 2 that never move are after one replacement drawn at T = 1.

    By ``test_resampling`` the mean share of a level is off by 1e-4 of it, far less than its error.
    """
    level, states = jnp.asarray(LEVELS), np.random.default_rng(2)
    weights = np.exp(-LEVELS / 2.0)
    cooling = Linear(2.0, 1.0, steps=1)
    held = ja.moves.IntegerStep(width=1, bounds=(0, 19))
    still = (("jaxanneal._chain.chain.accept", lambda *_, **__: jnp.zeros((), bool)),)
    shares = []
    with broken((*still, ("jaxanneal._methods.simulated_annealing.resampled", draw))):
        for seed in range(24):
            begun = states.choice(20, 4096, p=weights / weights.sum()).astype(np.int32)
            ended = ja.anneal(
                lambda s: level[s],
                ja.stacked(begun),
                key=seed,
                steps=1,
                move=held,
                method=ja.SimulatedAnnealing(4096, cooling, replace_every=1),
            )
            shares.append(np.bincount(ended.chains.params, minlength=20) / 4096)
    exact = np.exp(-LEVELS.astype(float))
    for number, share in enumerate(exact / exact.sum()):
        assert_mean(f"level {number}", [seen[number] for seen in shares], share, STUDENT)


# Of 24 runs the error is known by 23 degrees of freedom, see ``laws``: Student's t passes 8.4 as
# often as a normal number passes 5.5.
STUDENT = 8.4


def test_one_replacement_gives_the_ensemble_of_the_next_temperature():
    exact_law(resampled)


def late(key, energies, before, now):
    """A broken twin: by the temperature that the chains already have."""
    return resampled(key, energies, before, before)


def hot(key, energies, before, now):
    """A broken twin: as if the chains had been at an infinite temperature."""
    return resampled(key, energies, jnp.full_like(before, jnp.inf), now)


@pytest.mark.parametrize("twin", [late, pytest.param(hot, marks=pytest.mark.slow)])
def test_a_run_with_weights_of_other_temperatures_is_caught(twin):
    caught(exact_law, twin)


def test_a_hotter_cooling_replaces_nobody_until_it_has_fallen_again():
    cold = run(5)
    rising = Geometric(1e-2, 1.0, steps=200)
    reheated, never = (going(cold, 40, method=method(n, cooling=rising)) for n in (1, 9000))
    same(reheated, never)
    falling = Geometric(1.0, 1e-4, steps=200)
    cooled, never = (going(reheated, 40, method=method(n, cooling=falling)) for n in (1, 9000))
    assert np.any(cooled.chains.energy != never.chains.energy)


# Ends and odd energies.


@pytest.mark.parametrize("cooling", [Linear(1.0, 0.0), lambda step: 1.0 * (step < 50)])
def test_a_cooling_to_zero_leaves_copies_of_the_best(cooling):
    ended = run(10, 13, cooling, steps=100)
    assert np.all(np.isfinite(ended.history.energy)) and np.isfinite(ended.energy)
    assert min(len(np.unique(energies)) for energies in ended.history.energy) == 1
    ended.check()


def test_chains_without_a_finite_energy_become_copies_of_sound_ones():
    begun = np.float32([[5, 5, 5]] * 12 + [[1, 1, 1]])  # behind the wall but for the last
    frozen = {"cooling": Geometric(1e-6, 1e-6)}  # nor do they find out by moves
    still = ja.moves.Gaussian(1e-6, target_acceptance=None)
    ended = ja.anneal(
        energy,
        ja.stacked({"x": begun}),
        key=0,
        steps=10,
        move=still,
        record_every=1,
        method=ja.SimulatedAnnealing(13, **frozen, replace_every=5),
    )
    finite = np.isfinite(ended.history.energy).sum(axis=1)
    np.testing.assert_array_equal(finite, [1] * 4 + [13] * 6)
    assert np.all(np.isfinite(ended.chains.best_energy))


def test_chains_that_agree_because_they_are_copies_say_nothing_of_another_run():
    ended = run(5, steps=300)
    assert "agreement" not in str(ended.summary())
    assert "agreement" in str(run(None, steps=300).summary())
