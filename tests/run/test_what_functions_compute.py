"""A call uses what its functions compute now, and compiles nothing where that is the same."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal.cooling import Geometric

START = np.zeros(2, np.float32)
METHOD = ja.SimulatedAnnealing(4, Geometric(1.0, 1e-3))
MOVE = ja.moves.Gaussian(0.3)
SETTINGS = {"key": 0, "method": METHOD, "move": MOVE, "steps": 200, "progress": False}


@pytest.fixture
def compiled(monkeypatch):
    """Return the list of the programs that were compiled."""
    programs, compile_program = [], jax.stages.Lowered.compile

    def counted(*args, **kwargs):
        programs.append(1)
        return compile_program(*args, **kwargs)

    monkeypatch.setattr(jax.stages.Lowered, "compile", counted)
    return programs


def run(energy, **changes):
    return ja.anneal(energy, START, **(SETTINGS | changes))


def cell():
    """Define everything anew, as a cell of a notebook does that is run again."""
    target = jnp.asarray([1.0, 2.0])

    def energy(x):
        return jnp.sum((x - target) ** 2)

    @jax.tree_util.register_dataclass
    @dataclasses.dataclass(frozen=True)
    class Shake:
        size: float

        def propose(self, key, params, factor):
            return params + self.size * jax.random.normal(key, params.shape), 0.0

    class Cooling:
        def __call__(self, step):
            return 0.5 * 0.98**step

    class Halving:
        chains = 4

        def init(self):
            return {"temperature": jnp.ones(())}

        def temperatures(self, state):
            return jnp.full(4, state["temperature"])

        def exchange(self, key, state, energies):
            return {"temperature": 0.98 * state["temperature"]}

    return types.SimpleNamespace(
        energy=energy,
        move=Shake(0.3),
        cooled=ja.SimulatedAnnealing(4, Cooling()),
        own=Halving(),
        observe=lambda x: x - target,
        start=lambda key: target + jax.random.normal(key, (2,)),
        shake=lambda key, x: x + 0.1 * jax.random.normal(key, x.shape),
    )


def calls(defined):
    """Return all calls that a user's functions have a part in."""
    yield run(defined.energy, observe=defined.observe)
    yield run(defined.energy, move=defined.move, method=defined.cooled)
    yield run(defined.energy, move=defined.shake, method=defined.own)
    yield ja.anneal(defined.energy, defined.start, **SETTINGS)
    yield ja.polish(defined.energy, START, steps=5)


def test_a_cell_that_is_run_again_compiles_nothing_and_gives_the_same(compiled):
    first = list(calls(cell()))
    before = len(compiled)
    again = list(calls(cell()))
    assert len(compiled) == before > 0
    for one, other in zip(first, again, strict=True):
        assert one.energy == other.energy
        jax.tree.map(np.testing.assert_array_equal, one.history, other.history)


class Model:
    def __init__(self, target):
        self.target = target

    def energy(self, x):
        return jnp.sum((x - self.target) ** 2)

    def __call__(self, x):
        return self.energy(x)


TARGET = 1.0


def of_a_global(x):
    return jnp.sum((x - TARGET) ** 2)


def changing(kind):
    """Return an energy and a function that sets its target."""
    model, box = Model(jnp.ones(2)), [jnp.ones(2)]
    if kind == "global":
        return of_a_global, lambda value: globals().update(TARGET=jnp.full(2, value))
    if kind == "closure":
        return lambda x: jnp.sum((x - box[0]) ** 2), lambda value: box.__setitem__(
            0, jnp.full(2, value)
        )
    if kind == "array written to":
        array = np.ones(2, np.float32)
        return lambda x: jnp.sum((x - array) ** 2), lambda value: array.fill(value)
    energy = model if kind == "callable object" else model.energy
    return energy, lambda value: setattr(model, "target", jnp.full(2, value))


KINDS = ["global", "closure", "array written to", "callable object", "bound method"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_changed_between_two_calls_is_used_and_compiles_nothing(kind, compiled):
    energy, target = changing(kind)
    target(2.0)
    first = run(energy)
    before = len(compiled)
    target(-3.0)
    second = run(energy)
    polished = ja.polish(energy, second, steps=50)
    np.testing.assert_allclose(first.params, 2.0, atol=0.2)
    np.testing.assert_allclose(second.params, -3.0, atol=0.2)
    np.testing.assert_allclose(second.energy, energy(second.params), rtol=1e-6)
    np.testing.assert_allclose(polished.params, -3.0, atol=0.2)
    on = ja.anneal(energy, state=first.state, steps=400)
    np.testing.assert_allclose(on.energy, energy(on.params), rtol=1e-6)
    np.testing.assert_allclose(on.params, -3.0, atol=0.3)
    assert len(compiled) - before <= 6  # of polish, and what takes the state over: no energy's own


def test_a_number_of_python_that_changed_is_another_program(compiled):
    model = Model(1.0)
    first = run(model.energy)
    model.target = 4.0
    before = len(compiled)
    second = run(model.energy)
    assert len(compiled) > before
    np.testing.assert_allclose((first.params[0], second.params[0]), (1.0, 4.0), atol=0.2)


def test_a_state_goes_on_with_what_the_energy_is_now():
    box = [jnp.ones(2)]
    energy = lambda x: jnp.sum((x - box[0]) ** 2)  # noqa: E731
    first = run(energy)
    evaluations = first.evaluations
    same = ja.anneal(lambda x: jnp.sum((x - box[0]) ** 2), state=first.state, steps=10)
    assert same.evaluations == evaluations + 4 * 10  # the same energy: nothing is evaluated again
    box[0] = jnp.full(2, 9.0)
    other = ja.anneal(energy, state=first.state, steps=10)
    assert other.evaluations == evaluations + 4 * 10 + 2 * 4
    np.testing.assert_allclose(other.energy, energy(other.params), rtol=1e-6)


def test_moves_cooling_and_observe_use_what_they_close_over_now(compiled):
    size, start, shift = [jnp.ones(())], [jnp.ones(())], [jnp.zeros(2)]

    def energy(x):
        return jnp.sum(x**2)

    def observed():
        return run(
            energy,
            move=lambda key, x: x + size[0] * jax.random.normal(key, x.shape),
            method=ja.SimulatedAnnealing(4, lambda step: float(start[0]) + 0.0 * step),
            observe=lambda x: x + shift[0],
            steps=20,
        )

    first = observed()
    before = len(compiled)
    size[0], start[0], shift[0] = jnp.float32(1e-3), jnp.float32(7), jnp.zeros(2) + 100
    second = observed()
    assert len(compiled) == before
    assert second.history.temperature[0, 0] == 7.0 != first.history.temperature[0, 0]
    assert np.all(second.history.observed > 90) and np.all(first.history.observed < 90)
    assert np.ptp(second.history.energy) < 1e-2 < np.ptp(first.history.energy)


def test_functions_among_the_data_are_a_part_of_the_energy(compiled):
    def energy(x, activation):
        return jnp.sum((activation(x) - 1.0) ** 2)

    double, triple = (lambda x: 2.0 * x), (lambda x: 3.0 * x)
    first = run(energy, args=(double,))
    before = len(compiled)
    assert run(energy, args=(lambda x: 2.0 * x,)).energy == first.energy
    assert len(compiled) == before
    np.testing.assert_allclose(run(energy, args=(triple,)).params, 1 / 3, atol=0.1)


def test_a_move_of_the_result_is_the_object_that_was_given():
    moves = [lambda key, x: x + 0.1, lambda key, x: x + 0.1]
    results = [run(lambda x: jnp.sum(x**2), move=move, steps=5) for move in moves]
    from jaxanneal._chain.own_move import as_given

    given = [as_given(result.state.engine_state.move).function for result in results]
    assert given == moves


def test_a_method_of_an_equinox_module_compiles_once(compiled):
    equinox = pytest.importorskip("equinox")

    class Module(equinox.Module):
        y: jax.Array

        def loss(self, x):
            return jnp.sum((x - self.y) ** 2)

    run(Module(jnp.arange(2.0)).loss)
    before = len(compiled)
    result = run(Module(jnp.arange(2.0) - 5).loss)
    assert len(compiled) == before
    np.testing.assert_allclose(result.params, [-5.0, -4.0], atol=0.2)


@pytest.mark.slow
def test_a_callback_that_changed_is_used():
    def simulated(target):
        def simulate(x):
            return np.float32(np.sum((np.asarray(x) - target) ** 2))

        out = jax.ShapeDtypeStruct((), np.float32)
        return lambda x: jax.pure_callback(simulate, out, x, vmap_method="sequential")

    for target in (1.0, 3.0):
        result = run(simulated(target))
        np.testing.assert_allclose(result.params, target, atol=0.2)


def test_a_sweep_uses_what_its_functions_compute_now(compiled):
    pytest.importorskip("xarray")
    box = [jnp.ones(2)]
    settings = {k: v for k, v in SETTINGS.items() if k not in ("key", "move")}

    def swept():
        energy = lambda x: jnp.sum((x - box[0]) ** 2)  # noqa: E731
        move = lambda key, x: x + 0.3 * jax.random.normal(key, x.shape)  # noqa: E731
        over = {"method.cooling.start": [0.5, 1.0]}
        return ja.sweep(energy, START, key=0, over=over, repeats=2, move=move, **settings)

    first = swept()
    before = len(compiled)
    box[0] = jnp.zeros(2) - 3
    second = swept()
    assert len(compiled) == before
    for dataset, target in ((first, 1.0), (second, -3.0)):
        np.testing.assert_allclose(dataset["params"].values, target, atol=0.3)
