"""Any pytree is a model: what is annealed, what is held fixed, and in which precision."""

import collections
import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja

Point = collections.namedtuple("Point", "x y")
METHOD = ja.SimulatedAnnealing(chains=4, cooling=ja.cooling.Geometric(1.0, 1e-4))
SHORT = {"key": 0, "method": METHOD, "steps": 400, "progress": False}


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Line:
    w: jax.Array
    b: jax.Array


def bowl(params):
    leaves = [leaf for leaf in jax.tree.leaves(params) if eqx.is_array(leaf)]
    return sum(jnp.sum((leaf.astype(jnp.float32) - 1.0) ** 2) for leaf in leaves)


@pytest.mark.parametrize(
    "params",
    [
        {
            "dict": {"w": jnp.zeros(2), "b": jnp.zeros(())},
            "tuple": (jnp.zeros(2), [jnp.zeros(1)]),
            "namedtuple": Point(jnp.zeros(2), np.zeros(1, np.float32)),
            "floats": [0.0, np.float32(0.0)],
        },
        Line(jnp.zeros(2), jnp.zeros(())),
        jnp.zeros(()),
        0.0,
    ],
    ids=["nested", "dataclass", "scalar", "float"],
)
def test_any_tree_is_annealed_and_keeps_its_structure(params):
    result = ja.anneal(bowl, params, **SHORT | {"steps": 4000})
    assert jax.tree.structure(result.params) == jax.tree.structure(params)
    for new, old in zip(jax.tree.leaves(result.params), jax.tree.leaves(params), strict=True):
        assert new.shape == np.shape(old) and new.dtype == jnp.float32
    assert result.energy < 0.05
    np.testing.assert_allclose(float(bowl(result.params)), result.energy, rtol=1e-5)


def network_energy(network, x):
    return jnp.mean(jax.vmap(network)(x) ** 2)


def test_an_equinox_module_keeps_its_functions():
    network = eqx.nn.MLP(2, 1, 4, 1, activation=jax.nn.tanh, key=jax.random.key(0))
    x = jnp.ones((3, 2))
    result = ja.anneal(network_energy, network, args=(x,), **SHORT)
    assert result.params.activation is network.activation
    assert result.energy < float(network_energy(network, x))
    assert "held fixed" in result.summary()


def test_a_module_passes_through_jit_vmap_and_scan_in_the_pure_step():
    network = eqx.nn.MLP(2, 1, 4, 1, activation=jax.nn.tanh, key=jax.random.key(0))
    x = jnp.ones((3, 2))
    chain = ja.init_chain(network, energy=network_energy, args=(x,))

    def step(chain, key):
        return ja.annealing_step(
            key, chain, 0.01, energy=network_energy, move=ja.moves.Gaussian(), args=(x,)
        )

    @jax.jit
    def run(keys):
        return jax.vmap(lambda row: jax.lax.scan(step, chain, row)[0])(keys)

    chains = run(jax.random.split(jax.random.key(1), (3, 50)))
    assert chains.energy.shape == (3,)
    assert np.all(chains.best_energy <= chain.energy)
    assert chains.params.activation is network.activation


@pytest.mark.slow
def test_python_integers_and_bools_are_held_fixed_with_a_warning_that_names_them():
    params = {"n": 3, "on": True, "w": jnp.zeros(1)}
    match = r"params\['n'\] = 3, params\['on'\] = True: held fixed"
    with pytest.warns(UserWarning, match=match) as caught:
        result = ja.anneal(bowl, params, **SHORT)
        ja.init_chain(params, energy=bowl)
        ja.sweep(bowl, params, key=0, over={"steps": [10]}, method=METHOD)
    # Each once, in the name of the line that called.
    assert [each.filename for each in caught] == [__file__] * 3
    assert result.params["n"] == 3 and result.params["on"] is True
    assert "2 other leaves held fixed" in result.summary()


@pytest.mark.parametrize("dtype", [jnp.float16, jnp.bfloat16])
def test_half_precision_parameters_have_float32_energies(dtype):
    result = ja.anneal(lambda p: jnp.sum((p - 1) ** 2), jnp.zeros(2, dtype), **SHORT)
    assert result.params.dtype == dtype
    assert result.chains.energy.dtype == jnp.float32
    assert result.energy < 0.05


def test_double_precision(float64):
    target = jnp.asarray(1.0 + 1e-12, jnp.float64)
    energy = lambda p, t: (p - t) ** 2  # noqa: E731
    method = ja.SimulatedAnnealing(chains=4, cooling=ja.cooling.Geometric(1.0, 1e-26))
    start = jnp.zeros((), jnp.float64)
    result = ja.anneal(energy, start, args=(target,), key=0, method=method, steps=6000)
    assert result.params.dtype == result.chains.energy.dtype == jnp.float64
    assert abs(float(result.params) - 1.0) < 1e-10


def mixed(p):
    return (
        (p["x"] - p["n"]) ** 2
        + jnp.abs(p["n"] - 3) * 1.0
        + jnp.sum((~p["s"]).astype(jnp.float32))
        + p["c"] ** 2
    )


def test_a_mixed_tree_moves_by_leaf_and_none_freezes():
    start = {"x": 0.0, "n": jnp.asarray(0), "s": jnp.zeros(1, bool), "c": 2.0}
    move = ja.moves.PerLeaf(
        {
            "x": ja.moves.Gaussian(0.5),
            "n": ja.moves.IntegerStep(1, bounds=(0, 5)),
            "s": ja.moves.Flip(),
            "c": None,
        }
    )
    energy = lambda p: mixed({**p, "n": p["n"].astype(jnp.float32)})  # noqa: E731
    result = ja.anneal(energy, start, key=0, method=METHOD, move=move, steps=4000)
    assert float(result.params["c"]) == 2.0
    assert int(result.params["n"]) == 3 and bool(result.params["s"][0])
    assert result.energy < 4.0 + 0.1


def test_seed_raw_and_typed_key_are_the_same_key():
    keys = (7, jax.random.key(7, impl="threefry2x32"), jax.random.PRNGKey(7))
    results = [ja.anneal(bowl, 0.0, **{**SHORT, "key": key}) for key in keys]
    assert len({result.energy for result in results}) == 1


def test_data_may_be_numpy_numbers_and_functions():
    def energy(p, x, power, function):
        return jnp.mean(function(p * x) ** power)

    args = (np.ones(3, np.float32), 2, jnp.sin)
    assert ja.anneal(energy, jnp.ones(()), args=args, **SHORT).energy < 1e-2
