"""Laws of a run, bit for bit: energies are integers or products with powers of two, so exact."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxanneal as ja
from jaxanneal._engine import chunk, round
from jaxanneal._engine.blocks import over_chains
from jaxanneal._run import chunks
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Gaussian, IntegerStep

CHAINS, STEPS = 6, 200
START = {"a": np.float32([5, -7]), "b": np.float32(3)}
FREE, SCALED, SHIFTED = (np.float32(pair) for pair in ((1, 0), (2, 0), (1, 1024)))


def terraces(params, line):
    """Return an integer for every state, times a power of two, plus an integer."""
    height = jnp.sum(jnp.round(4 * params["a"]) ** 2) + jnp.round(4 * params["b"]) ** 2
    return line[0] * height + line[1]


heights = jax.jit(jax.vmap(terraces, (0, None)))


def terraces_of_pair(params, line):
    return terraces({"a": params[0], "b": params[1]}, line)


def valley(n, shift):
    return jnp.sum((n - shift) ** 2)


def quadratic(x, matrix):
    """Return an energy whose last bits depend on how many chains are multiplied at once."""
    return jnp.sum((matrix @ x) ** 2)


MATRIX = np.random.default_rng(0).normal(size=(5, 5)).astype(np.float32)


def cooled(temperature=16.0, chains=CHAINS):
    cooling = Geometric(temperature, temperature / 64, STEPS)
    return ja.SimulatedAnnealing(chains=chains, cooling=cooling)


def run(energy=terraces, params=START, line=FREE, method=None, steps=STEPS, **settings):
    method = cooled() if method is None else method
    settings = {"key": 1, "move": Gaussian(0.5)} | settings
    return ja.anneal(energy, params, args=(line,), method=method, steps=steps, **settings)


def same(a, b):
    """Compare all leaves bit for bit; keys by their data."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    for x, y in pairs:
        x, y = (jax.random.key_data(k) if is_key(k) else np.asarray(k) for k in (x, y))
        assert x.dtype == y.dtype
        np.testing.assert_array_equal(x, y)


def is_key(leaf):
    return isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def shift_law(anneal):
    """Add a constant to the energy: the chains stay, their energies rise by it."""
    once, shifted = anneal(FREE), anneal(SHIFTED)
    same(shifted.chains.params, once.chains.params)
    same(shifted.chains.best_energy, once.chains.best_energy + 1024)
    same(shifted.history.acceptance_rate, once.history.acceptance_rate)


def test_a_constant_in_the_energy_changes_no_chain_and_the_broken_twin_fails():
    shift_law(lambda line: run(line=line))
    with pytest.raises(AssertionError, match="Mismatched elements"):
        shift_law(lambda line: run(line=line * np.float32([1 + line[1], 1])))


def units_law(anneal):
    """Double energy and temperature: the chains stay, their energies double."""
    once, twice = anneal(FREE, 16.0), anneal(SCALED, 32.0)
    same(twice.chains.params, once.chains.params)
    same(twice.chains.best_energy, 2 * once.chains.best_energy)


def test_units_of_energy_change_no_chain_and_the_broken_twin_fails():
    units_law(lambda line, temperature: run(line=line, method=cooled(temperature)))
    with pytest.raises(AssertionError, match="Mismatched elements"):
        units_law(lambda line, temperature: run(line=line, method=cooled()))


def test_units_of_energy_change_no_ladder():
    def tempered(line, unit):
        temperatures = unit * np.float32([1, 4, 16])
        method = ja.ParallelTempering(temperatures=temperatures, ladders=2, warmup=100)
        return run(line=line, method=method)

    once, twice = tempered(FREE, 1), tempered(SCALED, 2)
    same(twice.chains.params, once.chains.params)
    same(twice.diagnostics.swap_rate, once.diagnostics.swap_rate)
    assert 0 < once.diagnostics.swap_rate.min() < 1


def test_energy_and_start_shifted_together_shift_the_chains():
    start, move = np.int32([9, -4, 2]), IntegerStep(width=3)
    here = run(valley, start, np.int32(0), move=move)
    there = run(valley, start + 1000, np.int32(1000), move=move)
    same(there.chains.params, here.chains.params + 1000)
    same(there.chains.energy, here.chains.energy)


def test_repacked_parameters_give_the_same_numbers():
    packed = run()
    pair = run(terraces_of_pair, (START["a"], START["b"]))
    same(pair.chains, packed.chains)
    same(pair.history, packed.history)


def test_permuted_starts_and_chain_numbers_give_the_permuted_result(monkeypatch):
    algorithm = ja.algorithm(terraces, cooled(), Gaussian(0.5))
    starts = {"a": np.float32(np.arange(12).reshape(6, 2)), "b": np.float32(np.arange(6))}
    order = np.array([3, 0, 5, 1, 4, 2])

    def evolve(starts, number):
        def all_steps(starts):
            state = algorithm.init(0, ja.stacked(starts), (FREE,))
            return jax.lax.scan(lambda s, _: algorithm.step(s, (FREE,)), state, length=STEPS)[0]

        with monkeypatch.context() as patch:
            patch.setattr(round, "numbers", lambda first, width: jnp.asarray(number, jnp.int32))
            return jax.jit(all_steps)(starts)

    straight = evolve(starts, np.arange(CHAINS))
    permuted = evolve(jax.tree.map(lambda x: x[order], starts), order)
    same(permuted.chains, jax.tree.map(lambda x: x[order], straight.chains))
    other = evolve(jax.tree.map(lambda x: x[order], starts), np.arange(CHAINS))  # the broken twin
    with pytest.raises(AssertionError, match="Mismatched elements"):
        same(other.chains, jax.tree.map(lambda x: x[order], straight.chains))


@pytest.mark.parametrize("longest", [round.LONGEST, 1024])
def test_a_round_of_any_length_counts_what_it_accepts(monkeypatch, longest):
    """Counted in 8 bits, which the broken twin lets overflow."""
    monkeypatch.setattr(chunk, "LONGEST", longest)
    method = ja.ParallelTempering(temperatures=[1.0, 2.0], swap_every=300, adapt=False)
    algorithm = ja.algorithm(lambda x: 0.0 * x, method, Gaussian(), steps=600)
    _, info = jax.jit(lambda key: algorithm.step(algorithm.init(key, 1.0)))(jax.random.key(0))
    assert int(info.step) == 300
    assert np.all(np.asarray(info.acceptance_rate) == 1) == (longest == round.LONGEST)


METHODS = {
    "geometric": cooled(),
    "optax": ja.SimulatedAnnealing(CHAINS, optax.exponential_decay(16.0, 50, 0.25)),
    "python": ja.SimulatedAnnealing(CHAINS, lambda step: 16.0 if step < 90 else 0.0),
    "tempering": ja.ParallelTempering(temperatures=[1, 4, 16], ladders=2, swap_every=7, warmup=100),
    "held": ja.ParallelTempering(temperatures=[1, 4, 16], ladders=2, swap_every=7, adapt=False),
}


def of_the_run(result):
    """Return the diagnostics but for those of the records of one call."""
    return result.diagnostics._replace(effective_sample_size=None, rhat=None)


@pytest.mark.parametrize("name", METHODS)
def test_n_and_then_m_steps_equal_both_together(name):
    together = run(method=METHODS[name])
    for n in (73, 100):
        first = run(method=METHODS[name], steps=n)
        second = ja.anneal(terraces, args=(FREE,), state=first.state, steps=STEPS - n)
        for field in ("chains", "log_factor", "nonfinite", "accepted", "exchange", "watch", "key"):
            same(
                getattr(second.state.engine_state, field),
                getattr(together.state.engine_state, field),
            )
        same(second.params, together.params)
        same(of_the_run(second), of_the_run(together))
        assert (second.energy, second.steps) == (together.energy, together.steps)
        assert second.evaluations == together.evaluations == CHAINS * (STEPS + 1)


@pytest.mark.parametrize("name", ["geometric", "optax", "tempering"])
def test_chunks_records_and_bars_change_no_bit(name, monkeypatch, capsys):
    plain = run(method=METHODS[name], record_every=10)
    shown = run(method=METHODS[name], record_every=10, progress=True, callback=lambda p: False)
    monkeypatch.setattr(chunks, "LOOK_SECONDS", 0.0)  # chunks of one step
    short = run(method=METHODS[name], record_every=10)
    monkeypatch.setattr(chunks, "LOOK_SECONDS", 1e9)
    monkeypatch.setattr(chunks, "GROWTH", 7)  # chunks of 1, 7, 49, ... steps
    long = run(method=METHODS[name], record_every=10)
    for other in (shown, short, long):
        same(other.chains, plain.chains)
        same(other.history, plain.history)
        same(other.diagnostics, plain.diagnostics)
    for every in (1, 7, 1000):
        same(run(method=METHODS[name], record_every=every).chains, plain.chains)


def test_a_chain_alone_in_its_block_equals_itself_beside_any_neighbours():
    starts = np.linspace(-2, 2, 30, dtype=np.float32).reshape(CHAINS, 5)

    def annealed(starts):
        method = cooled(chains=len(starts))
        chains = run(quadratic, ja.stacked(starts), MATRIX, method=method, block=3).chains
        return jax.tree.map(np.asarray, chains)

    among, alone = annealed(starts), annealed(starts[:1])
    same(jax.tree.map(lambda x: x[:1], among), alone)
    others = starts.copy()
    others[[0, 2, 3, 4]] += 1
    beside = annealed(others)
    for chain in (1, 5):
        same(*(jax.tree.map(lambda x, c=chain: x[c], chains) for chains in (among, beside)))


def test_a_jitted_step_equals_an_eager_one_to_rounding():
    settings = {"energy": quadratic, "args": (MATRIX,), "move": Gaussian(0.3, bounds=(-3, 3))}
    step = lambda key, chain: ja.annealing_step(key, chain, 2.0, **settings)  # noqa: E731
    eager = jitted = ja.init_chain(np.ones(5, np.float32), energy=quadratic, args=(MATRIX,))
    moved = 0
    for number in range(8):
        key = jax.random.key(number)
        (eager, info), (jitted, _) = step(key, eager), jax.jit(step)(key, jitted)
        moved += int(info.accepted)
        pairs = zip(jax.tree.leaves(eager), jax.tree.leaves(jitted), strict=True)
        for x, y in pairs:  # sums of 25 products agree to some ulp; another decision is off by 0.1
            np.testing.assert_allclose(x, y, rtol=1e-5)
    assert 0 < moved < 8


def test_the_best_energy_never_rises_and_belongs_to_the_best_state():
    for method in METHODS.values():
        result = run(method=method, record_every=1)
        assert len(result.history.step) == STEPS
        if "Tempering" not in type(method).__name__:  # there replicas travel between the rows
            assert np.all(np.diff(result.history.best_energy, axis=0) <= 0)
            assert np.all(result.history.best_energy <= result.history.energy)
        best = heights(result.chains.best_params, FREE)
        same(best, result.chains.best_energy)
        assert result.energy == float(terraces(result.params, FREE)) == float(np.min(best))
        lowest = np.min(result.history.best_energy.reshape(STEPS, -1), axis=1)
        assert np.all(np.diff(lowest) <= 0)


@pytest.mark.parametrize("name", ["geometric", "tempering"])
def test_a_step_evaluates_the_energy_once(name):
    seen = itertools.count()

    def look(x):
        for _ in range(x[..., 0].size):
            next(seen)
        return np.sum(x**2, axis=-1, dtype=np.float32)

    def counted(params, line):
        shape = jax.ShapeDtypeStruct((), jnp.float32)
        return jax.pure_callback(look, shape, params["a"], vmap_method="expand_dims")

    result = run(counted, method=METHODS[name], steps=20)
    assert next(seen) == result.evaluations == CHAINS * 21


@pytest.mark.parametrize("chains", [1, 4, 5, 9])
def test_a_block_has_the_same_bits_whatever_the_number_of_blocks(chains):
    starts = jnp.asarray(np.random.default_rng(2).normal(size=(13, 5)), jnp.float32)

    @jax.jit
    def energies(starts, matrix):
        return over_chains(lambda x: quadratic(x, matrix), starts, 4)

    same(energies(starts[:chains], MATRIX), energies(starts, MATRIX)[:chains])
