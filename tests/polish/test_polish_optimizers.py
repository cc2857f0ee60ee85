"""Any optax optimiser polishes, whatever its state holds; and what is compiled for which."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxanneal as ja
from jaxanneal._chain.parameters import Parameters
from jaxanneal._polish.descent import as_optimizer, traced_begin, traced_step

STARTS = np.random.default_rng(0).normal(size=(4, 2)).astype(np.float32)
TRACES = []


def key_of(optimizer):
    """Return what a call of polish computes with an optimiser."""
    transformation, chain = as_optimizer(optimizer), ja.init_chain(STARTS[0], energy=quadratic)
    begin = traced_begin(transformation, (True,), chain)
    descent, limits = jax.eval_shape(begin, chain)[0], ((np.float32(-9),), (np.float32(9),))
    data = Parameters.of_args(())
    step = traced_step(quadratic, transformation, (True,), descent, limits, data)
    return begin.computation, step.computation


def quadratic(x):
    return jnp.sum(x**2)


def rosenbrock(x):
    TRACES.append("energy")
    return 100.0 * (x[1] - x[0] ** 2) ** 2 + (1.0 - x[0]) ** 2


OPTIMIZERS = {
    "adam": lambda: optax.adam(1e-2),
    "momentum": lambda: optax.sgd(1e-4, momentum=0.9),
    "adamw": lambda: optax.adamw(1e-2),
    "rmsprop": lambda: optax.rmsprop(1e-3),
    "clipped": lambda: optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-2)),
    "scheduled": lambda: optax.adam(optax.cosine_decay_schedule(1e-2, 100)),
    "hyperparameters": lambda: optax.inject_hyperparams(optax.adam)(learning_rate=1e-2),
    "value": lambda: optax.polyak_sgd(),
    "plateau": lambda: optax.chain(optax.adam(1e-2), optax.contrib.reduce_on_plateau()),
    "counters": lambda: optax.apply_if_finite(optax.adam(1e-2), 3),
    "keys": lambda: optax.chain(optax.add_noise(0.01, 0.5, 0), optax.adam(1e-2)),
    "backtracking": lambda: optax.chain(
        optax.sgd(1.0), optax.scale_by_backtracking_linesearch(20, store_grad=True)
    ),
    "lbfgs": lambda: optax.lbfgs(),
}
# Their trees of state are what differs; a few stand for all where time counts.
SLOW = ("adamw", "rmsprop", "hyperparameters", "plateau", "keys", "backtracking", "lbfgs")
CASES = [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in OPTIMIZERS]


@pytest.mark.parametrize("name", CASES)
def test_every_optimiser_descends(name):
    found = ja.polish(rosenbrock, ja.stacked(STARTS), OPTIMIZERS[name](), steps=100)
    begin = np.array([float(rosenbrock(x)) for x in STARTS])
    assert np.all(found.chains.best_energy <= 0.9 * begin)
    assert np.all(found.diagnostics.nonfinite == 0)


@pytest.mark.parametrize("name", CASES)
def test_an_equal_optimiser_is_the_same_key_and_another_is_not(name):
    keys = {name: key_of(make()) for name, make in OPTIMIZERS.items()}
    assert key_of(OPTIMIZERS[name]()) == keys[name]
    assert hash(key_of(OPTIMIZERS[name]())) == hash(keys[name])
    assert [other for other in keys if keys[other] == keys[name]] == [name]


def test_optimisers_are_told_apart_by_what_they_compute():
    same = [key_of(optax.sgd(rate)) for rate in (1, 1.0)]
    other = [key_of(optax.sgd(rate)) for rate in (0.1, jnp.full((), 0.1))]
    assert len({*same, *other}) == 1 + len(other)
    assert key_of(optax.sgd(jnp.full((), 0.2))) == other[-1]  # an array is data


def by_callback(rate):
    """Return gradient descent whose steps are made on the host."""

    def update(gradient, state, params=None):
        step = lambda g: np.float32(-rate) * g  # noqa: E731
        host = lambda g: jax.pure_callback(step, g, g, vmap_method="sequential")  # noqa: E731
        return jax.tree.map(host, gradient), state

    return optax.GradientTransformation(lambda params: optax.EmptyState(), update)


def test_what_an_optimiser_computes_on_the_host_is_its_own():
    first, second = by_callback(0.0), by_callback(0.5)
    assert key_of(first) == key_of(first) == key_of(by_callback(0.0)) != key_of(second)
    moved = [float(ja.polish(bowl, 2.0, each, steps=1).energy) for each in (first, second)]
    assert moved == [2.0, 0.5]


def bowl(x):
    return 0.5 * x**2


def test_an_optimiser_for_the_leaves_that_move_is_read_with_these():
    start = {"x": np.float32([1.0]), "held": np.float32([3.0])}
    move = ja.moves.PerLeaf({"x": ja.moves.Gaussian(), "held": None})
    both = lambda p: jnp.sum(p["x"] ** 2 + p["held"] ** 2)  # noqa: E731
    run = ja.anneal(both, start, key=0, move=move, steps=20)
    masked = optax.masked(optax.sgd(0.1), (True,))
    polished = ja.polish(both, run, masked, steps=50)
    assert polished.energy <= run.energy and polished.params["held"] == 3.0


def test_an_optimiser_may_hold_itself_and_what_has_no_hash():
    def make():
        settings = {"rates": [0.1, 0.2]}

        def update(gradient, state, params=None):
            assert update is not None and settings
            return jax.tree.map(lambda g: -settings["rates"][0] * g, gradient), state

        return optax.GradientTransformation(lambda params: optax.EmptyState(), update)

    assert key_of(make()) == key_of(make())
    found = ja.polish(lambda x: 0.5 * x**2, 1.0, make(), steps=1)
    assert float(found.params) == np.float32(1.0) - np.float32(0.1)


def test_lbfgs_solves_rosenbrock_in_few_steps_with_every_chain():
    found = ja.polish(rosenbrock, ja.stacked(STARTS), optax.lbfgs(), steps=40)
    assert np.all(found.chains.best_energy < 1e-6)
    np.testing.assert_allclose(found.params, [1.0, 1.0], atol=1e-4)
    # Each step evaluates once, and its line search at least once more.
    assert 2 * 4 * 40 <= found.gradients < 8 * 4 * 40


def polished(**changes):
    settings = {"optimizer": optax.adam(1e-2), "steps": 20, "bounds": (-9.0, 9.0)} | changes
    starts = settings.pop("starts", STARTS)
    data = settings.pop("data", np.float32(1.0))
    return ja.polish(scaled, ja.stacked(starts), args=(data,), **settings)


def scaled(x, data):
    return data * rosenbrock(x)


def test_new_numbers_and_equal_optimisers_compile_nothing():
    before = len(TRACES)
    polished(optimizer=None)
    once = len(TRACES) - before
    for changes in (
        {},
        {"optimizer": None},
        {"optimizer": optax.adam(learning_rate=1e-2)},
        {"steps": 7},
        {"steps": 3000},
        {"bounds": (-8, np.float16(8))},
        {"bounds": None},
        {"data": np.float32(2.0)},
        {"starts": STARTS + 0.5},
        {"starts": jnp.asarray(STARTS)},
    ):
        before, found = len(TRACES), polished(**changes)
        assert found.compile_seconds == 0.0 and len(TRACES) - before == once, changes
    assert polished(optimizer=optax.adam(2e-2)).compile_seconds > 0.0


@pytest.mark.parametrize("promotion", ["standard", "strict"])
def test_both_kinds_of_promotion(promotion):
    with jax.numpy_dtype_promotion(promotion):
        assert ja.polish(lambda x: x**2, 1.0, steps=3).energy < 1.0


def test_an_energy_without_a_hash_is_the_same_program():
    class Energy:
        __hash__ = None

        def __call__(self, x):
            return x**2

    energy = Energy()
    assert ja.polish(energy, 1.0, steps=2).energy < 1.0
    assert ja.polish(energy, 1.0, steps=2).compile_seconds == 0.0


def untraceable(x):
    out = jax.ShapeDtypeStruct((), np.float32)
    return jax.pure_callback(lambda y: np.float32(y) ** 2, out, x, vmap_method="sequential")


def endless(x):
    return jax.lax.while_loop(lambda y: y > 1.0, lambda y: 0.5 * y, x)


@pytest.mark.parametrize("energy", [untraceable, endless])
def test_an_energy_without_a_derivative_is_refused(energy):
    text = r"^energy: expected a function that JAX can differentiate, got ValueError: .*custom_jvp"
    with pytest.raises(TypeError, match=text):
        ja.polish(energy, np.float32(3.0), steps=1)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: ja.polish(rosenbrock, lambda key: STARTS[0]), r"^params_or_result: .*Call it: ja"),
        (lambda: ja.polish(lambda x: x, STARTS[0]), r"^energy: .*scalar.*float32\[2\].*Reduce"),
        (lambda: ja.polish(lambda x: jnp.sum(x) * jnp.inf, STARTS[0]), r"^energy: .*finite energy"),
        (lambda: ja.polish(rosenbrock, STARTS[0], optax.MultiSteps(optax.adam(1.0), 2)), "^optimi"),
        (lambda: jax.jit(lambda x: ja.polish(rosenbrock, x).energy)(STARTS[0]), "^polish: .*jit.*"),
        (lambda: jax.jit(lambda: ja.polish(rosenbrock, STARTS[0]).energy)(), "^polish: .*outside"),
        (lambda: ja.polish(3, STARTS[0]), r"^energy: expected a function, got int\. Pass the"),
        (lambda: ja.polish(rosenbrock, STARTS[0], steps=1.5), r"^steps: .*integer >= 1, got 1\.5"),
    ],
)
def test_mistakes_are_refused_with_path_and_remedy(call, text):
    with pytest.raises((RuntimeError, TypeError, ValueError), match=text):
        call()
