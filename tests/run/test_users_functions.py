"""What a user's function raises keeps its type and says which argument it was; NumPy is fine."""

import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal import SimulatedAnnealing
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Gaussian, PerLeaf

ONE = np.ones(2, np.float32)
TREE = {"a": [1.0, np.zeros(3)], "w": ONE}
COLD = Geometric(1.0, 0.1, 10)


def square(x):
    return jnp.sum(x**2)


def scaled(x, factor):
    return factor * square(x)


def raising(*_):
    raise LookupError("no such entry")


def anneal(energy=square, params=ONE, **changes):
    method = SimulatedAnnealing(chains=4, cooling=COLD)
    return ja.anneal(energy, params, **({"key": 0, "steps": 10, "method": method} | changes))


def step(energy, args=(), move=None):
    chain = ja.init_chain(ONE, energy=square)
    move = Gaussian() if move is None else move
    return ja.annealing_step(jax.random.key(0), chain, 1.0, energy=energy, move=move, args=args)


def sweep(energy=square, over=None, **changes):
    over = {"steps": [10]} if over is None else over
    return ja.sweep(energy, changes.pop("params", ONE), key=0, over=over, **changes)


class Move:
    """A move without which nothing is said of what it adapts to."""

    def propose(self, key, params, factor):
        return raising()


class Targeted(Move):
    def target(self, params):
        return raising()


class Checked(Move):
    def check(self, params):
        return raising()


class Method:
    """A method whose parts fail one after the other."""

    chains = 4

    def __init__(self, *failing):
        self.failing = failing

    def init(self):
        return raising() if "init" in self.failing else jnp.zeros(3)

    def temperatures(self, state):
        return raising() if "temperatures" in self.failing else 1.0

    def exchange(self, key, state, energies):
        return raising() if "exchange" in self.failing else state


@jax.tree_util.register_pytree_node_class
class Strict:
    """A node that looks at its children whenever it is made."""

    def __init__(self, x):
        self.x = raising() if isinstance(x, jax.core.Tracer) else x

    def tree_flatten(self):
        return (self.x,), None

    @classmethod
    def tree_unflatten(cls, _, children):
        return cls(*children)


KEY = "key: key<jaxanneal>[]"
# Each row: the mistake, how the note says it was called, and what to do.
RAISED = [
    (lambda: anneal(raising, TREE), "energy(params)|params['a'][1]: float32[3]|one real scalar"),
    (lambda: anneal(raising, args=(ONE,)), "energy(params, args[0])|args[0]: float32[2]|one chain"),
    (lambda: anneal(params=raising), f"params(key)|{KEY}|ja.stacked(starts)"),
    (lambda: anneal(move=raising), f"move(key, params)|{KEY}, params: float32[2]|same shapes"),
    (
        lambda: anneal(lambda p: square(p["w"]), TREE, move=PerLeaf({"a": None, "w": raising})),
        f"move(key, params)|{KEY}, params: float32[2]|same shapes",
    ),
    (lambda: anneal(move=Move()), "move.propose(key, params, factor)|factor: float32[]|log_hast"),
    (lambda: anneal(move=Targeted()), "move.target(params)|params: float32[2]|leave it out"),
    (lambda: anneal(move=Checked()), "move.check(params)|params: float32[2]|leave it out"),
    (lambda: anneal(observe=raising), "observe(params)|params: float32[2]|returns arrays"),
    (
        lambda: anneal(method=SimulatedAnnealing(4, raising)),
        "cooling(step)|step: int|one temperature",
    ),
    (lambda: anneal(method=Method("init")), "method.init()||a pytree of arrays"),
    (
        lambda: anneal(method=Method("temperatures")),
        "method.temperatures(state)|state: float32[3]|like that of init",
    ),
    (
        lambda: anneal(method=Method("exchange")),
        "method.exchange(key, state, energies)|energies: float32[4]|like that of init",
    ),
    (lambda: ja.polish(raising, ONE), "energy(params)|params: float32[2]|one real scalar"),
    (lambda: ja.calibrate(raising, ONE, key=0), "energy(params)|params: float32[2]|one real"),
    (lambda: sweep(params=raising, over={"move.scale": [1.0]}), f"params(key)|{KEY}|ja.stacked"),
    (
        lambda: sweep(over={"move.scale": raising}, draws=2),
        "over['move.scale'](key)|key: key<fry>[]|one value",
    ),
    (lambda: ja.init_chain(ONE, energy=raising), "energy(params)|params: float32[2]|one real"),
    (lambda: step(raising), "energy(params)|params: float32[2]|one real scalar"),
    (lambda: step(square, move=raising), "move(key, params)|params: float32[2]|same shapes"),
    (
        lambda: ja.algorithm(raising, SimulatedAnnealing(4, COLD)).init(0, ONE),
        "energy(params)|params: float32[2]|one real scalar",
    ),
    (lambda: anneal(params=Strict(ONE)), "what makes the nodes of params|tracers|tree_unflatten"),
]


def noted_law(call, text):
    """An error is the user's own, with one note of the library that holds the parts of a text."""
    with pytest.raises(LookupError) as raised:
        call()
    assert str(raised.value) == "no such entry"
    notes = [note for note in raised.value.__notes__ if note.startswith("jaxanneal called ")]
    assert len(notes) == 1
    called, shapes, remedy = text.split("|")
    assert notes[0].startswith(f"jaxanneal called {called}")
    assert shapes in notes[0]
    assert remedy in notes[0]


@pytest.fixture
def nothing_compiles(monkeypatch):
    def compile_program(*_, **__):
        raise AssertionError("a program was compiled")

    monkeypatch.setattr(jax.stages.Lowered, "compile", compile_program)


@pytest.mark.usefixtures("nothing_compiles")
@pytest.mark.parametrize(("call", "text"), RAISED)
def test_an_error_of_a_users_function_says_which_argument_it_was(call, text):
    noted_law(call, text)


def test_without_its_note_an_error_is_not_told_apart(monkeypatch):
    monkeypatch.setattr("jaxanneal._chain.calls.annotate", lambda *_: None)
    with pytest.raises(AttributeError, match="__notes__"):
        noted_law(lambda: step(raising), "energy(params)|params|one real scalar")


def test_an_error_of_a_callback_says_so_beside_what_was_found():
    noted_law(lambda: anneal(callback=raising), "callback(progress)|progress.step: int|True to")


PURE = functools.partial(jax.pure_callback, lambda x: np.float32(0), jax.ShapeDtypeStruct((), "f"))
ORDERED = functools.partial(
    jax.experimental.io_callback, lambda x: 0, jax.ShapeDtypeStruct((), "f")
)
# Each row: the mistake, and path | expected | got | remedy.
REFUSED = [
    (lambda: anneal(scaled), "energy|as energy(params)|takes (x, factor)|Pass in args="),
    (lambda: anneal(args=(2.0,)), "energy|energy(params, args[0])|takes (x)|Pass in args="),
    (lambda: anneal(jax.jit(scaled)), "energy|as energy(params)|(x, factor)|Pass in args="),
    (lambda: ja.polish(scaled, ONE), "energy|as energy(params)|(x, factor)|Pass in args="),
    (lambda: ja.calibrate(scaled, ONE, key=0), "energy|energy(params)|(x, factor)|Pass in"),
    (lambda: sweep(scaled), "energy|as energy(params)|takes (x, factor)|Pass in args="),
    (lambda: sweep(square, args=(2.0,)), "energy|energy(params, args[0])|takes (x)|Pass in args="),
    (lambda: step(scaled), "energy|as energy(params)|takes (x, factor)|Pass in args="),
    (lambda: step(square, args=(2.0,)), "energy|energy(params, args[0])|takes (x)|Pass in args="),
    (lambda: ja.init_chain(ONE, energy=scaled), "energy|energy(params)|(x, factor)|Pass in"),
    (
        lambda: anneal(scaled, args=(2.0,), observe=square),
        "observe|observe(params, args[0])|takes (x)|Pass in args=",
    ),
    (lambda: anneal(move=lambda key: key), "move|move(key, params)|takes (key)|Let it take"),
    (lambda: anneal(params=lambda: ONE), "params|params(key)|takes ()|Let it take"),
    (
        lambda: anneal(method=SimulatedAnnealing(4, lambda: 1.0)),
        "cooling|cooling(step)|takes ()|Let it take",
    ),
    (lambda: anneal(PURE), "energy|for many chains|without vmap_method|sequential"),
    (
        lambda: anneal(functools.partial(ORDERED, ordered=True)),
        "energy|any order|ordered=True|Leave ordered out",
    ),
    (
        lambda: anneal(lambda x: square(x[0]), [ONE], move=lambda key, x: x[0]),
        "move|the structure [float32[2]]|float32[2]|same structure",
    ),
]


@pytest.mark.usefixtures("nothing_compiles")
@pytest.mark.parametrize(("call", "text"), REFUSED)
def test_a_function_that_takes_something_else_is_refused_with_both_signatures(call, text):
    parts = [re.escape(part) for part in text.split("|")]
    match = rf"(?s)^{parts[0]}: expected .*{parts[1]}.*, got .*{parts[2]}.*\. .*{parts[3]}"
    with pytest.raises(TypeError, match=match):
        call()


DTYPES = ["?", "i1", "i4", "i8", "u1", "u8", "f2", "f4", "f8", "g", ">f8", ">i4"]


def counted(p, numbers):
    return jnp.sum(p["x"] ** 2) + sum(jnp.sum(x.astype(jnp.float32)) for x in (p["k"], numbers))


@pytest.mark.parametrize("dtype", DTYPES)
def test_numpy_of_every_dtype_is_fine_where_jax_is(dtype):
    numbers = np.ones(2, dtype)
    move = PerLeaf({"x": lambda key, x: np.float32([2, 3]), "k": None})

    def start(key):
        return {"x": jax.random.normal(key, (2,)), "k": numbers}

    known = jax.dtypes.canonicalize_dtype(np.dtype(dtype.strip(">").replace("g", "f8")))
    init = ja.algorithm(counted, SimulatedAnnealing(4, COLD), move).init
    for params in (start, start(jax.random.key(0))):
        state = jax.eval_shape(lambda p=params: init(0, p, (numbers,)))
        leaf = state.chains.params["k"]
        assert (leaf.shape, leaf.dtype) == ((4, 2), known)
    assert float(ja.init_chain(ONE, energy=lambda x: numbers[0]).energy) == 1


def test_integers_that_jax_would_wrap_around_are_refused():
    with pytest.raises(ValueError, match=r"^args\[0\]\['n'\]: expected values that fit int32"):
        anneal(scaled, args=({"n": np.array([2**40])},))


def test_starts_that_numpy_draws_once_for_all_chains_are_told():
    init = ja.algorithm(square, SimulatedAnnealing(4, COLD), Gaussian()).init
    with pytest.warns(UserWarning, match="^params: all chains start at the same state") as noted:
        jax.eval_shape(lambda: init(0, lambda key: np.ones(2)))
    assert noted[0].filename == __file__
