"""Models of Flax and Haiku, and dataclasses of other libraries: all are pytrees, so all anneal."""

import collections.abc
import dataclasses

import chex
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen, nnx
from flax.core import freeze

import jaxanneal as ja

METHOD = ja.SimulatedAnnealing(chains=4, cooling=ja.cooling.Geometric(1.0, 1e-4))
SHORT = {"key": 0, "method": METHOD, "steps": 200, "progress": False}
X = np.linspace(-1, 1, 12, dtype=np.float32).reshape(6, 2)


class Network(nnx.Module):
    def __init__(self, rngs):
        self.first = nnx.Linear(2, 3, rngs=rngs)
        self.last = nnx.Linear(3, 1, rngs=rngs)

    def __call__(self, x):
        return self.last(jnp.tanh(self.first(x)))


class Trained(nnx.Module):
    """With what is no parameter: running statistics, and the keys of a dropout."""

    def __init__(self, rngs):
        self.first = nnx.Linear(2, 3, rngs=rngs)
        self.norm = nnx.BatchNorm(3, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x):
        x = self.norm(self.first(x), use_running_average=True)
        return self.drop(x, deterministic=True)


def error(output):
    return jnp.mean((output - 1.0) ** 2)


@pytest.mark.slow
def test_the_state_of_an_nnx_model_is_annealed_and_polished():
    graph, start = nnx.split(Network(nnx.Rngs(0)))
    energy = lambda state, x: error(nnx.merge(graph, state)(x))  # noqa: E731
    result = ja.anneal(energy, start, args=(X,), **SHORT)
    assert jax.tree.structure(result.params) == jax.tree.structure(start)
    assert result.energy < 0.5 * float(energy(start, X))
    polished = ja.polish(energy, result, steps=50, args=(X,), top=2)
    assert polished.energy < result.energy
    again = error(nnx.merge(graph, polished.params)(X))
    # Outputs near 1 are rounded by 1e-7, so an error of 2e-7, the square of 5e-4, is by 1e-10.
    np.testing.assert_allclose(float(again), polished.energy, rtol=1e-4, atol=3e-10)


@pytest.mark.slow
def test_what_is_no_parameter_of_an_nnx_model_goes_with_the_data():
    graph, start, rest = nnx.split(Trained(nnx.Rngs(0)), nnx.Param, ...)

    def energy(params, x, rest):
        return error(nnx.merge(graph, params, rest)(x))

    algorithm = ja.algorithm(energy, METHOD, steps=50)

    @jax.jit
    def run(start, data):
        state = algorithm.init(jax.random.key(0), start, data)
        return jax.lax.scan(lambda state, _: algorithm.step(state, data), state, length=50)

    _, info = run(start, (X, rest))
    assert info.best_energy[-1] < float(energy(start, X, rest))
    with pytest.raises(TypeError, match=r"^params\['drop'\].*key.*: expected .* got key<"):
        ja.anneal(lambda p: 0.0, nnx.split(Trained(nnx.Rngs(0)))[1], **SHORT)


def test_an_nnx_module_itself_is_a_pytree_and_keeps_its_class():
    network = Network(nnx.Rngs(0))
    if jax.tree.leaves(network)[0] is network:  # Flax before 0.11
        with pytest.raises(TypeError, match=r"no pytree\. Pass .* nnx\.split\(model\)\[1\]"):
            ja.anneal(lambda model, x: error(model(x)), network, args=(X,), **SHORT)
        return
    result = ja.anneal(lambda model, x: error(model(x)), network, args=(X,), **SHORT)
    assert isinstance(result.params, Network)
    np.testing.assert_allclose(float(error(result.params(X))), result.energy, rtol=1e-4)


LAYER = linen.Dense(1)


def linen_energy(variables, x):
    return error(LAYER.apply(variables, x))


def test_linen_parameters_are_annealed_from_values_and_from_an_initialiser():
    values = LAYER.init(jax.random.key(0), X)
    for start in (freeze(values), lambda key: freeze(LAYER.init(key, X))):
        result = ja.anneal(linen_energy, start, args=(X,), **SHORT)
        assert set(result.params["params"]) == {"kernel", "bias"}
        assert result.energy < 0.1


def test_a_linen_module_instead_of_its_parameters_is_refused():
    text = r"^params: expected a pytree .* got the module Dense, .*Pass model\.init\(key, x\)"
    for verb in (ja.anneal, ja.calibrate):
        with pytest.raises(TypeError, match=text):
            verb(linen_energy, LAYER, key=0, args=(X,))


@jax.tree_util.register_pytree_node_class
class Flat(collections.abc.Mapping):
    """A mapping that names no paths, as Haiku's parameters do."""

    def __init__(self, items):
        self.items_ = dict(items)

    def __getitem__(self, name):
        return self.items_[name]

    def __iter__(self):
        return iter(self.items_)

    def __len__(self):
        return len(self.items_)

    def tree_flatten(self):
        return tuple(self.items_.values()), tuple(self.items_)

    @classmethod
    def tree_unflatten(cls, names, values):
        return cls(zip(names, values, strict=True))


def modules_energy(params, x):
    layer = params["linear"]
    return error(x @ layer["w"] + layer["b"])


@pytest.mark.slow
def test_trees_of_two_levels_are_annealed_with_a_scale_and_a_move_for_each_module():
    scaled = ja.moves.Gaussian({"linear": {"w": 0.1, "b": 0.5}})
    by_module = ja.moves.PerLeaf(Flat({"linear": ja.moves.Gaussian()}))
    for kind, move in ((dict, scaled), (Flat, by_module)):
        start = kind({"linear": kind({"w": jnp.zeros((2, 1)), "b": 0.0})})
        result = ja.anneal(modules_energy, start, args=(X,), move=move, **SHORT)
        assert type(result.params) is type(result.params["linear"]) is kind
        assert result.params["linear"]["b"].dtype == jnp.float32
        assert result.energy < 0.05


@chex.dataclass
class Checked:
    """A class that looks at its fields whenever JAX rebuilds it."""

    w: jax.Array
    b: jax.Array

    def __post_init__(self):
        assert not isinstance(self.w, int)


@flax.struct.dataclass
class Named:
    w: jax.Array
    b: jax.Array
    name: str = flax.struct.field(pytree_node=False, default="line")


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Frozen:
    w: jax.Array
    b: jax.Array
    power: int = dataclasses.field(metadata={"static": True}, default=2)


@pytest.mark.parametrize("kind", [Checked, Named, Frozen])
def test_dataclasses_of_other_libraries_are_annealed_with_bounds_of_their_own_kind(kind):
    start = kind(w=jnp.zeros(2), b=jnp.zeros(()))
    energy = lambda p: jnp.sum((p.w - 3.0) ** 2) + (p.b - 1.0) ** 2  # noqa: E731
    bounds = (-9.0, kind(w=jnp.full(2, 2.0), b=9.0))
    result = ja.anneal(energy, start, move=ja.moves.Gaussian(0.3, bounds), **SHORT)
    assert type(result.params) is kind
    assert jax.tree.structure(result.params) == jax.tree.structure(start)
    assert np.all(result.params.w <= 2.0) and np.all(result.params.w > 1.5)
