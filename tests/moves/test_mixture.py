"""Mixtures: the law that they keep, factors of each coordinate's own, and the run around them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import assert_counts, broken, caught
from tables import boltzmann

import jaxanneal as ja
from jaxanneal._chain.factors import Factors
from jaxanneal._kernels import pools
from jaxanneal._methods.parallel_tempering import ParallelTempering
from jaxanneal._pytree import pytree_dataclass, replace
from jaxanneal.moves import Flip, Gaussian, IntegerStep, Mixture, PerLeaf, StudentT, Uniform

# Twenty cells of a box, two of them wells: how likely a step is refused depends on the cell.
CELLS = np.zeros((5, 4), np.float32)
CELLS[1, 2], CELLS[4, 0] = -3.0, -2.0
TEMPERATURES = np.float32([1.0, 1.6])
BOX = (0.0, jnp.array([5.0, 4.0]))
PARTS = (
    Gaussian(1.0, BOX, coordinates=1),
    StudentT(1.0, 0.5, BOX),
    Uniform(1.0, BOX, fraction=0.5),
)


def cells(x):
    place = jnp.clip(jnp.floor(x).astype(jnp.int32), 0, jnp.array([4, 3]))
    return jnp.asarray(CELLS)[place[0], place[1]]


@pytree_dataclass
class ByState(Mixture):
    """Broken: the part that is chosen depends on where the chain is."""

    def propose(self, key, params, factor):
        left = jnp.where(params[0] < 2.5, 1.0, 0.02)
        weights = jnp.stack([left, 1 - left, 0.0 * left])
        return Mixture.propose(replace(self, weights=weights), key, params, factor)


@pytree_dataclass
class AlwaysAdapting(ParallelTempering):
    """Broken: factors follow the states that are to be sampled."""

    def adapting(self, step):
        return step >= 0


def cell_law(mixture=Mixture, method=ParallelTempering):
    """From exact draws at two rungs: the counts in all cells, in 20,000 runs of 15 rounds."""
    random, runs = np.random.default_rng(1), 20_000
    laws = [boltzmann(CELLS.reshape(-1), T) for T in TEMPERATURES]
    cell = np.stack([random.choice(20, runs, p=law) for law in laws], axis=1)
    starts = np.stack([cell // 4, cell % 4], axis=2) + random.uniform(0, 1, (runs, 2, 2))
    tempering = method(temperatures=TEMPERATURES, swap_every=1, adapt=False, warmup=0)
    algorithm = ja.algorithm(cells, tempering, mixture(PARTS, [1.0, 1.0, 1.0]))

    def run(key, start):
        state = algorithm.init(key, ja.stacked(start))
        held = state.pools
        log_rows = jnp.log(jnp.array([[0.2, 3.0], [2.0, 0.7]]))
        log_parts = jnp.log(jnp.array([[1.0, 2.0, 0.5], [1.0, 0.6, 2.0]]))
        state = replace(state, pools=replace(held, log_rows=log_rows, log_parts=log_parts))
        state = jax.lax.scan(lambda s, _: (algorithm.step(s)[0], None), state, length=15)[0]
        order = tempering.order(state.exchange)
        return state.chains._params.leaves[0][:2][order], state.pools.log_rows - log_rows

    keys = jax.random.split(jax.random.key(3), runs)
    done, change = jax.jit(jax.vmap(run))(keys, starts.astype(np.float32))
    if method is ParallelTempering:
        assert not np.any(change)
    place = np.clip(np.floor(np.asarray(done)), 0, [4, 3]).astype(int)
    for rung, law in enumerate(laws):
        assert_counts(f"rung {rung}", 4 * place[:, rung, 0] + place[:, rung, 1], law)


def test_held_factors_of_each_coordinate_keep_the_law_of_twenty_cells():
    cell_law()


def test_weights_that_depend_on_the_state_are_caught():
    caught(cell_law, ByState)


def test_factors_that_adapt_while_sampling_are_caught():
    """By steps so large that the bias shows in 20,000 runs: held, they change nothing."""
    step = pools._step
    with broken((("jaxanneal._kernels.pools._step", lambda *seen: 20 * step(*seen)),)):
        caught(cell_law, method=AlwaysAdapting)


UNITS = np.float32([1e-3, 1.0, 30.0, 1e3])


def quadratic(x):
    return 0.5 * jnp.sum((x["a"] / UNITS) ** 2) + 0.5 * jnp.sum(x["m"] ** 2)


QUADRATIC = {"a": np.zeros(4, np.float32), "m": np.zeros((3, 2), np.float32)}
MIXTURE = Mixture([Gaussian(1.0, coordinates="row"), Gaussian(1.0)], [3.0, 1.0])


def constant(chains=64, temperature=1.0):
    return ja.SimulatedAnnealing(chains, ja.cooling.Geometric(temperature, temperature))


def test_each_coordinate_finds_its_own_step_and_the_parts_multiply_it():
    """On a harmonic energy the best steps are 2.43 widths of a coordinate (Sherlock, Roberts)."""
    run = ja.anneal(quadratic, QUADRATIC, key=0, move=MIXTURE, method=constant(), steps=6000)
    health = run.diagnostics
    np.testing.assert_allclose(health.factors["a"] / UNITS, 2.43, rtol=0.25)
    rows = health.factors["m"]
    assert rows.shape == (3, 2) and np.all(rows[:, 0] == rows[:, 1])
    np.testing.assert_allclose(rows, 1.6, rtol=0.3)
    # All ten coordinates at once: 2.38 / sqrt(10) of a width, in units of the rows' factors.
    assert health.part_factors.shape == (2,) and health.part_factors[0] == 1
    assert 0.15 < health.part_factors[1] < 0.6
    assert health.factor.shape == (64,)


def test_in_parallel_tempering_each_rung_has_its_own_and_holds_it_after_the_warm_up():
    method = ja.ParallelTempering(temperatures=[1.0, 100.0], ladders=16, warmup=3000)
    settings = {"key": 0, "move": MIXTURE, "method": method}
    run = ja.anneal(quadratic, QUADRATIC, steps=3000, **settings)
    factors = run.diagnostics.factors
    assert factors["a"].shape == (2, 4) and factors["m"].shape == (2, 3, 2)
    np.testing.assert_allclose(factors["a"][1] / factors["a"][0], 10, rtol=0.4)
    assert run.diagnostics.part_factors.shape == (2, 2)
    longer = ja.anneal(quadratic, state=run.state, steps=500)
    for one, other in zip(
        *(jax.tree.leaves(x.diagnostics.factors) for x in (run, longer)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


def same(one, other):
    parts = lambda run: (run.chains, run.state.engine_state.pools, run.energy)  # noqa: E731
    for a, b in zip(*(jax.tree.leaves(parts(run)) for run in (one, other)), strict=True):
        np.testing.assert_array_equal(a, b)


def bowl(x):
    """Exact in single precision, whatever the width of a batch."""
    return jnp.sum(jnp.round(16 * x["a"]) ** 2) / 256


START = {"a": np.float32([3.0, -5.0, 1.0])}


@pytest.mark.parametrize("method", [constant(40, 0.1), ja.ParallelTempering(5, 8, warmup=170)])
def test_neither_blocks_nor_chunks_nor_records_change_a_bit(method):
    if isinstance(method, ParallelTempering):
        method = replace(method, temperatures=jnp.geomspace(0.1, 10, 5))
    run = lambda steps=200, **other: ja.anneal(  # noqa: E731
        bowl, START, key=0, move=Mixture(MIXTURE.moves), method=method, steps=steps, **other
    )
    whole = run()
    same(whole, run(record_every=7))
    same(whole, run(block=8))
    first = run(77)
    same(whole, ja.anneal(bowl, state=first.state, steps=123))


@pytest.mark.slow
def test_save_checkpoint_and_sweep_know_it(tmp_path):
    settings = {"key": 0, "move": MIXTURE, "method": constant(8), "steps": 100}
    run = ja.anneal(quadratic, QUADRATIC, **settings)
    run.save(tmp_path / "run")
    loaded = ja.Result.load(tmp_path / "run")
    assert loaded.diagnostics.factors["m"].shape == (3, 2)
    same(
        ja.anneal(quadratic, state=loaded.state, steps=50),
        ja.anneal(quadratic, state=run.state, steps=50),
    )
    for _ in range(2):
        kept = ja.anneal(
            quadratic, QUADRATIC, **settings, checkpoint=ja.Checkpoint(tmp_path / "kept")
        )
        same(kept, run)
    assert "step-size factor" in run.summary()


@pytest.mark.slow
def test_a_sweep_over_weights_equals_each_run_alone():
    from jaxanneal._chain import keys

    over = {"move.weights": [np.float32([1, 1]), np.float32([9, 1])]}
    settings = {"move": MIXTURE, "method": ja.SimulatedAnnealing(8), "steps": 60}
    table = ja.sweep(quadratic, QUADRATIC, key=0, over=over, repeats=1, **settings)
    for index, weights in enumerate(over["move.weights"]):
        key = jax.random.fold_in(jax.random.fold_in(keys.as_key(0), index), 0)
        alone = ja.anneal(
            quadratic, QUADRATIC, key=key, **settings | {"move": Mixture(MIXTURE.moves, weights)}
        )
        assert float(table.energy[index, 0]) == alone.energy


MIXED = {"x": jnp.zeros(3), "on": jnp.zeros(4, bool), "n": jnp.int32(2)}


def spins(params):
    on = params["on"].astype(float)
    return jnp.sum((params["x"] - on[:3]) ** 2) + jnp.sum(on) + (params["n"].astype(float) - 3) ** 2


def nudged(key, params):
    return params | {"x": params["x"] + 0.1 * jax.random.normal(key, (3,))}


@pytest.mark.parametrize(
    "move",
    [
        PerLeaf({"x": MIXTURE, "on": Flip(), "n": IntegerStep(bounds=(0, 5))}),
        Mixture(
            [
                PerLeaf({"x": Gaussian(coordinates=1), "on": None, "n": None}),
                PerLeaf({"x": StudentT(), "on": Flip(), "n": IntegerStep(bounds=(0, 5))}),
                nudged,
            ]
        ),
        Mixture([Mixture([nudged, nudged]), PerLeaf({"x": None, "on": Flip(), "n": None})]),
    ],
    ids=["inside", "around", "nested"],
)
def test_it_works_inside_of_per_leaf_around_it_and_in_itself(move):
    run = ja.anneal(spins, MIXED, key=0, move=move, method=constant(16, 0.05), steps=600)
    assert run.energy < 1.2  # the integer stays at 2 in the last one
    new, hastings = move.propose(jax.random.key(0), MIXED, 1.0)
    assert jax.tree.structure(new) == jax.tree.structure(MIXED) and hastings == 0
    assert 0 < float(run.diagnostics.acceptance_rate.mean()) < 1


def test_flips_in_the_same_step_do_not_make_the_steps_of_floats_small():
    """Of every fourth step the factor is tiny: it tells how often the flip alone is accepted."""
    parts = [PerLeaf({"x": Gaussian(1.0), "on": Flip(), "n": None})]
    run = ja.anneal(spins, MIXED, key=0, move=Mixture(parts), method=constant(64, 0.5), steps=4000)
    best = 2.38 / np.sqrt(3) * np.sqrt(0.5 / 2)
    assert 0.5 * best < float(run.diagnostics.part_factors[0]) < 3 * best


def test_a_scale_that_is_held_stays():
    parts = [Gaussian(0.5, coordinates=1, target_acceptance=None), Gaussian(0.5)]
    run = ja.anneal(bowl, START, key=0, move=Mixture(parts), method=constant(8, 0.01), steps=400)
    assert np.all(run.diagnostics.factors["a"] == 1) and run.diagnostics.part_factors[1] < 0.5


def test_all_chains_choose_alike_and_a_chain_alone_by_its_key():
    move, x = Mixture([Gaussian(coordinates=1), Gaussian()]), jnp.zeros(5)
    moved = lambda key, factor: jnp.sum(move.propose(key, x, factor)[0] != 0)  # noqa: E731
    keys = jax.random.split(jax.random.key(0), 400)
    alone = np.asarray(jax.vmap(lambda key: moved(key, 1.0))(keys))
    assert {*alone.tolist()} == {1, 5} and 150 < np.sum(alone == 1) < 250
    factors = Factors(jax.random.key(3), jnp.ones(5), jnp.ones(2))
    together = np.asarray(jax.vmap(lambda key: moved(key, factors))(keys))
    assert len({*together.tolist()}) == 1


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Mixture([]), "Mixture.moves: expected at least one move, got none"),
        (lambda: Mixture(Gaussian()), "Mixture.moves: expected a list of moves"),
        (lambda: Mixture([1.0]), r"Mixture.moves\[0\]: expected a move, .* got 1.0"),
        (lambda: Mixture([Gaussian]), r"Mixture.moves\[0\]: expected a move"),
        (lambda: Mixture([Gaussian()], [1, 2]), "Mixture.weights: expected 1 finite values"),
        (lambda: Mixture([Gaussian()], [-1]), "Mixture.weights: expected 1 finite values >= 0"),
        (lambda: Mixture([Gaussian()] * 2, [0, 0]), "Mixture.weights: .*not all of them 0"),
        (lambda: Gaussian(coordinates="rows"), "coordinates: expected an integer >= 1 or 'row'"),
        (lambda: Mixture([], weight=1), "weight="),
        (
            lambda: ja.anneal(spins, MIXED, key=0, move=Mixture([Gaussian()])),
            r"params\['n'\]: expected floating",
        ),
    ],
)
def test_what_is_no_mixture_is_refused(make, text):
    with pytest.raises((TypeError, ValueError), match=text):
        make()
