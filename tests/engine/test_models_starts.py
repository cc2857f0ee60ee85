"""Where chains start: a trained network, an initialiser, a stack, a tree of every kind of leaf."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxanneal as ja
from jaxanneal._engine.starts import stacked_tree

METHOD = ja.SimulatedAnnealing(chains=4, cooling=ja.cooling.Geometric(1e-3, 1e-6))
SHORT = {"key": 0, "method": METHOD, "steps": 200, "progress": False}
X = np.linspace(-2, 2, 16, dtype=np.float32)[:, None]


class Scaled(eqx.Module):
    """A module in a module, with a static field, a function, and an integer buffer."""

    inner: eqx.nn.MLP
    offset: jax.Array
    degree: jax.Array
    name: str = eqx.field(static=True)
    output: object = jnp.tanh

    def __call__(self, x):
        power = jnp.where(self.degree > 1, x**2, x)
        return self.output(self.inner(power) + self.offset)


def scaled(key):
    inner = eqx.nn.MLP(1, 1, 4, 1, activation=jax.nn.softplus, key=key)
    return Scaled(inner, jnp.zeros(1), jnp.asarray(1), "wave")


def wave_error(network, x):
    return jnp.mean((jax.vmap(network)(x) - jnp.sin(x)) ** 2)


def trained(network, steps=100):
    """Return the network after some steps of Adam, as a user has trained it."""
    free, held = eqx.partition(network, eqx.is_inexact_array)
    optimizer = optax.adam(1e-2)

    def one(carry, _):
        free, state = carry
        gradient = jax.grad(lambda free: wave_error(eqx.combine(free, held), X))(free)
        update, state = optimizer.update(gradient, state)
        return (optax.apply_updates(free, update), state), None

    with jax.numpy_dtype_promotion("standard"):  # Adam's bias correction needs it
        (free, _), _ = jax.lax.scan(one, (free, optimizer.init(free)), length=steps)
    return eqx.combine(free, held)


@pytest.mark.slow
def test_annealing_goes_on_from_a_trained_network_and_is_never_worse():
    network = trained(scaled(jax.random.key(0)))
    before = float(wave_error(network, X))
    with pytest.raises(TypeError, match=r"^params\.degree: expected .* natural move, got int32"):
        ja.anneal(wave_error, network, args=(X,), **SHORT)
    gaussian = ja.moves.Gaussian(scale=0.01)
    moves = jax.tree.map(lambda leaf: gaussian if eqx.is_inexact_array(leaf) else None, network)
    result = ja.anneal(wave_error, network, args=(X,), move=ja.moves.PerLeaf(moves), **SHORT)
    assert result.energy < before
    assert np.all(result.chains.best_energy <= np.float32(before) * (1 + 1e-5))
    assert int(result.params.degree) == 1 and result.params.name == "wave"
    assert result.params.inner.activation is network.inner.activation
    again = float(wave_error(result.params, X))
    np.testing.assert_allclose(again, result.energy, rtol=1e-4)
    wild = ja.SimulatedAnnealing(chains=4, cooling=lambda step: 1e3)  # every proposal is accepted
    settings = SHORT | {"method": wild, "move": ja.moves.PerLeaf(moves)}
    hot = ja.anneal(wave_error, network, args=(X,), **settings)
    assert hot.energy <= np.float32(before) * (1 + 1e-5)
    assert np.median(hot.chains.energy) > before


def line(params):
    return jnp.sum((params["w"] - 1.0) ** 2)


def draw(key, width):
    return {"w": jax.random.normal(key, (width,)), "made by": "draw"}


@pytest.mark.parametrize(
    "function",
    [functools.partial(draw, width=2), jax.jit(lambda key: {"w": jax.random.normal(key, (2,))})],
    ids=["partial", "jit"],
)
def test_an_initialiser_is_called_with_a_key_of_its_own_for_every_chain(function):
    state = ja.algorithm(line, METHOD, steps=10).init(0, function)
    starts = np.asarray(state.chains.params["w"])
    assert starts.shape == (4, 2) and len(np.unique(starts)) == 8
    assert ja.anneal(line, function, **SHORT).energy < line({"w": starts[0]})


def test_a_module_that_can_be_called_is_parameters_and_no_initialiser():
    network = eqx.nn.Linear(1, 1, key=jax.random.key(0))
    chains = ja.algorithm(wave_error, METHOD, steps=10).init(0, network, (X,)).chains
    assert chains.params.weight.shape == (4, 1, 1)


def test_chains_start_where_their_row_of_the_stack_says():
    rows = {"w": jnp.arange(8.0).reshape(4, 2)}
    state = ja.algorithm(line, METHOD, steps=10).init(0, ja.stacked(rows))
    np.testing.assert_array_equal(state.chains.params["w"], rows["w"])
    np.testing.assert_array_equal(state.chains.energy, jax.vmap(line)(rows))
    default = ja.anneal(line, ja.stacked({"w": jnp.ones((3, 2))}), key=0, steps=1)
    assert default.chains.energy.shape == (3,)


def test_a_list_of_trees_is_stacked_where_it_can_be_nothing_else():
    starts = [{"w": jnp.full(2, float(c)), "name": "net"} for c in range(4)]
    state = ja.algorithm(line, METHOD, steps=10).init(0, ja.stacked(starts))
    np.testing.assert_array_equal(state.chains.params["w"], [[c, c] for c in range(4)])
    polished = ja.polish(lambda x: (x - 1.0) ** 2, ja.stacked([0.0, 3.0, 5.0]), steps=1)
    assert polished.chains.energy.shape == (3,)


ROWS = [np.float32([0.0, 1.0, 2.0]), np.float32([3.0, 4.0, 5.0])]  # two starts, or three


@pytest.mark.parametrize(
    ("tree", "chains", "shape"),
    [
        (ROWS, 2, (2, 3)),
        (ROWS, 3, [(3,), (3,)]),
        (tuple(ROWS), 3, ((3,), (3,))),
        (tuple(ROWS), None, ((3,), (3,))),
        (ROWS[:1], None, [(3,)]),
        (ROWS[:1], 1, (1, 3)),
        ([ROWS[0], np.zeros((3, 2))], 2, [(3,), (3, 2)]),  # of two shapes: no list of starts
        ([jnp.zeros(3), jnp.zeros(3, int)], None, [(3,), (3,)]),  # of two dtypes
        ([0.0, 1.0], None, (2,)),
        ([{"a": ROWS[0], "b": 0.0}, {"a": ROWS[1], "b": 1.0}], None, {"a": (2, 3), "b": (2,)}),
    ],
)
def test_a_list_is_one_tree_or_starts_as_its_shapes_and_the_number_of_chains_say(
    tree, chains, shape
):
    assert jax.tree.map(np.shape, stacked_tree(ja.stacked(tree), chains)) == shape


@pytest.mark.parametrize("chains", [None, 2, 16])
def test_a_list_that_may_be_starts_and_one_tree_is_refused_and_each_remedy_works(chains):
    square = [row[:2] for row in ROWS]
    with pytest.raises(ValueError, match=r"^params: .* a list of 2 .* of 2: .*tree\.map.*tuple"):
        stacked_tree(ja.stacked(square), chains)
    with pytest.raises(ValueError, match=r"^params: expected starts of one meaning"):
        ja.anneal(lambda x: jnp.sum(x**2), ja.stacked(ROWS), key=0, steps=1)
    starts = ja.stacked(jax.tree.map(lambda *x: jnp.stack(x), *square))
    np.testing.assert_array_equal(stacked_tree(starts, chains), square)
    assert jax.tree.map(np.shape, stacked_tree(ja.stacked(tuple(square)), chains)) == ((2,), (2,))


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        ({"w": jnp.zeros((3, 2))}, r"^params\['w'\]: .* 4 chains, got float32\[3, 2\]\. Set"),
        (
            {"a": jnp.zeros(4), "b": {"c": jnp.zeros((5, 2))}},
            r"^params\['b'\]\['c'\]: expected a leading axis of 4 chains, got float32\[5, 2\]\.",
        ),
        (
            {"a": jnp.zeros(4), "w": 1.0},
            r"^params\['w'\]: .* got float32\[\]\. Give every leaf one",
        ),
    ],
)
def test_a_stack_with_another_leading_axis_is_refused_with_its_path(tree, text):
    with pytest.raises(ValueError, match=text):
        ja.anneal(line, ja.stacked(tree), **SHORT)


def test_strings_functions_none_and_empty_leaves_stay_and_every_other_leaf_moves():
    start = {
        "w": jnp.zeros(2),
        "scalar": 0.0,
        "spins": np.zeros(3, bool),
        "empty": jnp.zeros((0, 3)),
        "no counts": jnp.zeros(0, jnp.int32),
        "name": "net",
        "function": jnp.tanh,
        "none": None,
    }

    def mixed(p):
        return line(p) + p["scalar"] ** 2 + jnp.sum((~p["spins"]).astype(jnp.float32))

    method = ja.SimulatedAnnealing(chains=4, cooling=ja.cooling.Geometric(1.0, 1e-2))
    result = ja.anneal(mixed, start, **SHORT | {"method": method, "steps": 600})
    assert result.energy < 1 and np.all(result.params["spins"])  # each wrong spin costs 1
    for name in ("name", "function", "none"):
        assert result.params[name] is start[name]
    assert result.params["empty"].shape == (0, 3) and result.params["no counts"].shape == (0,)
    assert "2 other leaves held fixed" in result.summary()


def test_a_tree_without_a_number_to_move_is_refused():
    for tree in ({}, {"name": "net"}, jnp.zeros(0), ja.stacked({"w": jnp.zeros((4, 0))})):
        with pytest.raises(
            TypeError, match=r"^params: expected at least one parameter, got .*Pass"
        ):
            ja.anneal(line, tree, **SHORT)


def test_integers_that_would_wrap_are_refused():
    with pytest.raises(ValueError, match=r"^params: expected values that fit int32, got .*x64"):
        ja.anneal(lambda x: jnp.sum(x), np.array([2**40]), key=0, move=ja.moves.IntegerStep())


def test_an_open_end_of_integer_bounds_is_the_last_value_of_the_dtype():
    def energy(x):
        return -jnp.sum(x.astype(jnp.float32))

    move = ja.moves.IntegerStep(width=3, bounds=(250, None))
    result = ja.anneal(energy, np.uint8([251, 252]), key=0, move=move, steps=300)
    np.testing.assert_array_equal(result.params, [255, 255])
    assert np.asarray(result.chains.params).min() >= 250
    for bounds in ((0, 300), (-5, 20)):
        move = ja.moves.IntegerStep(bounds=bounds)
        with pytest.raises(ValueError, match=r"bounds\[[01]\]: expected values of uint8, .*wider"):
            ja.anneal(energy, np.uint8([10]), key=0, move=move)


def test_a_part_of_a_move_names_the_whole_path():
    tree = {"a": {"x": np.float32(1), "y": np.int32(2)}}
    move = ja.moves.PerLeaf({"a": ja.moves.Gaussian()})
    with pytest.raises(TypeError, match=r"^params\['a'\]\['y'\]: expected floating, got int32"):
        ja.anneal(lambda p: p["a"]["x"] ** 2, tree, key=0, move=move)
