"""Every bad problem is refused before a program compiles, with path, expected, got and remedy."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import sparse

import jaxanneal as ja
from jaxanneal import ParallelTempering, SimulatedAnnealing
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Flip, Gaussian, IntegerStep, Uniform

ONE, WHOLE, BITS = np.ones(2, np.float32), np.full(2, 7), np.zeros(2, bool)
KEY = np.array([0, 0], np.uint32)
NAN = float("nan")
ANY = lambda p: jnp.zeros(())  # noqa: E731


def square(x):
    return jnp.sum(x**2)


def attempt(energy=square, params=ONE, **changes):
    settings = {"key": 0, "steps": 10, "move": None, "method": cooled(Geometric(1.0, 0.1))}
    return ja.anneal(energy, params, **(settings | changes))


def cooled(cooling):
    return SimulatedAnnealing(chains=4, cooling=cooling)


def alone(key=KEY, chain=None, temperature=1.0, energy=square, move=None):
    chain = ja.init_chain(ONE, energy=square) if chain is None else chain
    return ja.annealing_step(key, chain, temperature, energy=energy, move=move or Gaussian())


def whole(method=None, params=ONE, move=None, key=0, args=(), **changes):
    method = cooled(Geometric(1.0, 0.1, 10)) if method is None else method
    return ja.algorithm(square, method, move, **changes).init(key, params, args)


def seeded(key):
    return np.random.default_rng(int(jax.random.bits(key))).normal(size=2)


def by_numpy(key):
    return np.sin(np.asarray(jax.random.normal(key, (2,))))


class Own:
    """A move that returns whatever it is made with."""

    def __init__(self, *made):
        self.made = made

    def propose(self, key, params, factor):
        return self.made[0] if len(self.made) == 1 else self.made


# Each row: the mistake, and path | expected | got | remedy, of which each is a part of the text.
TREES = [
    (lambda: attempt(params=None), "params|a value|None|state="),
    (lambda: attempt(params={}), "params|at least one parameter|{}|Pass arrays"),
    (lambda: attempt(params={"f": jnp.tanh, "s": "x"}), "params|at least one|'x'|held fixed"),
    (lambda: attempt(params=np.zeros(0)), "params|at least one parameter|[]|Pass arrays"),
    (lambda: attempt(params=seeded), "params|JAX can trace|uint32[]|pass ja.stacked(starts)"),
    (lambda: whole(params=seeded), "params|JAX can trace|uint32[]|pass ja.stacked(starts)"),
    (lambda: attempt(params=by_numpy), "params|JAX can trace|float32[2]|Draw with jax.random"),
    (lambda: ja.init_chain({}, energy=ANY), "params|at least one parameter|{}|Pass arrays"),
    (lambda: ja.polish(square, {}), "params|at least one floating leaf|[]|no gradient"),
    (lambda: ja.polish(ANY, WHOLE), "params|at least one floating leaf|int32|no gradient"),
    (lambda: attempt(params=ONE.astype(np.complex64)), "params|floating|complex64[2]|two real"),
    (lambda: attempt(args=(np.array(["a"]),)), "args[0]|numbers that JAX holds|<U1|to indices"),
    (lambda: attempt(args=({"n": 2**70},)), "args[0]['n']|numbers that JAX holds|int|to float"),
    (lambda: attempt(params={"s": np.array(["x"])}), "params['s']|floating|<U1[1]|through args"),
    (lambda: attempt(ANY, {"n": WHOLE}), "params['n']|natural move|int32[2]|bounds=(lower, upper)"),
    (lambda: attempt(ANY, {"s": BITS}, move=Gaussian()), "params['s']|floating|bool[2]|PerLeaf"),
    (lambda: whole(params=BITS, move=Gaussian()), "params|floating|bool[2]|PerLeaf"),
    (lambda: attempt(move=Flip()), "params|bool|float32[2]|PerLeaf"),
    (lambda: attempt(move=IntegerStep()), "params|an integer|float32[2]|PerLeaf"),
    (lambda: attempt(move=lambda k, x: x[:1]), "move: params|float32[2]|float32[1]|same structure"),
    (lambda: attempt(move=lambda k, x: x.astype(jnp.float16)), "move: params|32[2]|16[2]|dtypes"),
    (lambda: attempt(move=lambda k, x: {"a": x}), "move|structure|{'a': float32[2]}|same"),
    (lambda: attempt(move=lambda k, x: None), "move|the structure|None|same structure"),
    (lambda: attempt(move=Own(ONE, BITS)), "move: log_hastings|one real scalar|bool[2]|Sum it"),
    (lambda: attempt(move=Own(ONE, "text")), "move: log_hastings|one real scalar|str|Sum it"),
    (lambda: attempt(move=Own(ONE, 1j)), "move: log_hastings|one real scalar|complex64[]|Sum it"),
    (lambda: attempt(observe=lambda x: {"a": "text"}), "observe['a']|numbers|str|numbers for text"),
    (lambda: attempt(observe=lambda x: [x, object()]), "observe[1]|numbers|object|Return arrays"),
    (lambda: attempt(observe=lambda x: jax.random.key(0)), "observe|numbers|key<fry>[]|key_data"),
    (
        lambda: attempt(move=Own(ONE)),
        "move: propose|(params, log|float32[2]|(params, 0.0)",
    ),
    (lambda: attempt(move=Own(ONE, None)), "move: propose|log_hastings|tuple|(params, 0.0)"),
    (lambda: attempt(move=Own(ONE, 0.0, 1.0)), "move: propose|log_hastings|tuple|(params, 0.0)"),
    (lambda: alone(move=lambda k, x: x[:1]), "move: params|float32[2]|float32[1]|same structure"),
]

ENERGIES = [
    (lambda x: x, "energy|one real scalar|float32[2]|jnp.mean or jnp.sum"),
    (lambda x: x[:1], "energy|one real scalar|float32[1]|jnp.mean or jnp.sum"),
    (lambda x: jax.lax.complex(x[0], x[1]), "energy|one real scalar|complex64[]|modulus"),
    (lambda x: (jnp.sum(x), x), "energy|one real scalar|(float32[], float32[2])|observe="),
    (lambda x: None, "energy|one real scalar|None|observe="),
    (lambda x: {"loss": x[0]}, "energy|one real scalar|{'loss': float32[]}|observe="),
    (lambda x: np.sum(np.asarray(x)), "energy|JAX can trace|float32[2]|jax.pure_callback"),
    (lambda x: float(x[0]), "energy|JAX can trace|Concretization|jax.pure_callback"),
    (lambda x: x[0] if x[0] > 0 else x[1], "energy|JAX can trace|BoolConversion|jax.pure_callback"),
    (lambda x: np.zeros(1).__setitem__(0, x[0]), "energy|JAX can trace|Conc|jax.pure_callback"),
    (lambda x: jnp.sum(x[x > 0]), "energy|JAX can trace|NonConcrete|jax.pure_callback"),
]

KEYS = [
    (1.5, "key|an int seed|1.5|Pass key=0"),
    (True, "key|an int seed|True|Pass key=0"),
    ("0", "key|an int seed|'0'|Pass key=0"),
    (np.zeros(3, np.uint32), "key|a raw uint32 key|uint32[3]|Pass key=0"),
    (np.zeros(2, np.int32), "key|a raw uint32 key|int32[2]|Pass key=0"),
]


def refuses(kind, call, text):
    parts = [re.escape(part) for part in text.split("|")]
    match = rf"(?s)^\S*{parts[0]}: expected .*{parts[1]}.*, got .*{parts[2]}.*\. .*{parts[3]}"
    with pytest.raises(kind, match=match):
        call()


@pytest.fixture
def nothing_compiles(monkeypatch):
    def compile_program(*_, **__):
        raise AssertionError("a program was compiled")

    monkeypatch.setattr(jax.stages.Lowered, "compile", compile_program)


@pytest.mark.usefixtures("nothing_compiles")
@pytest.mark.parametrize(("call", "text"), TREES)
def test_kind_is_refused_before_compilation(call, text):
    refuses(TypeError, call, text)


@pytest.mark.usefixtures("nothing_compiles")
@pytest.mark.parametrize(("energy", "text"), ENERGIES)
def test_energy_that_is_no_real_scalar_is_refused_by_every_verb(energy, text):
    refuses(TypeError, lambda: attempt(energy), text)
    refuses(TypeError, lambda: attempt(energy, method=ParallelTempering()), text)
    refuses(TypeError, lambda: ja.calibrate(energy, ONE, key=0), text)
    refuses(TypeError, lambda: ja.polish(energy, ONE), text)
    refuses(TypeError, lambda: jax.jit(lambda x: ja.init_chain(x, energy=energy))(ONE), text)


@pytest.mark.usefixtures("nothing_compiles")
def test_move_or_observation_that_needs_the_numbers_is_refused():
    text = "|JAX can trace|TracerArrayConversionError|jax.numpy"
    refuses(TypeError, lambda: attempt(move=lambda key, x: np.asarray(x)), "move" + text)
    refuses(TypeError, lambda: attempt(observe=lambda x: np.asarray(x)), "observe" + text)


@pytest.mark.usefixtures("nothing_compiles")
@pytest.mark.parametrize(("key", "text"), KEYS)
def test_key_of_the_wrong_kind_is_refused_by_every_verb(key, text):
    for call in (attempt, whole, alone):
        refuses(TypeError, lambda call=call: call(key=key), text)
    refuses(TypeError, lambda: ja.calibrate(square, ONE, key=key), text)
    refuses(TypeError, lambda: ja.accept(key, 1.0, 1.0), text)


@pytest.mark.usefixtures("nothing_compiles")
def test_a_seed_that_does_not_fit_is_refused():
    refuses(ValueError, lambda: attempt(key=2**63), "key|64 bits|9223372036854775808|Pass key=0")


@pytest.mark.usefixtures("nothing_compiles")
def test_missing_and_batched_keys_are_refused():
    refuses(TypeError, lambda: attempt(key=None), "key|a value|None|state=")
    for call in (attempt, whole, alone):
        text = "key|one key|shape (3,)|jax.random.key(0)"
        refuses(TypeError, lambda c=call: c(key=jax.random.split(jax.random.key(0), 3)), text)


@pytest.mark.usefixtures("nothing_compiles")
def test_anneal_under_jit_or_vmap_is_refused():
    text = "anneal|outside jit and vmap|a tracer|ja.algorithm"
    refuses(RuntimeError, lambda: jax.jit(lambda x: attempt(params=x).energy)(ONE), text)
    refuses(RuntimeError, lambda: jax.jit(lambda: attempt().energy)(), text)
    batch = np.ones((3, 2))
    refuses(RuntimeError, lambda: jax.vmap(lambda x: attempt(params=x).energy)(batch), text)
    closed = lambda x: attempt(lambda p: jnp.sum(p * x)).energy  # noqa: E731
    set_by = lambda x: attempt(move=Gaussian(jnp.sum(x))).energy  # noqa: E731
    for call in (closed, set_by):
        refuses(RuntimeError, lambda call=call: jax.vmap(call)(batch), text)
    text = "calibrate|outside jit and vmap|a tracer|Calibrate outside"
    refuses(RuntimeError, lambda: jax.jit(lambda: ja.calibrate(square, ONE, key=0))(), text)


def test_start_without_a_finite_energy_shows_the_first_chain():
    text = "energy|a finite energy|non-finite values at params|finite parameters"
    refuses(ValueError, lambda: attempt(params=np.float32([NAN, 1.0])), text)
    text = "energy|a finite energy|NaN or inf in chain 0, at Array([-1.|key -> params"
    refuses(ValueError, lambda: attempt(lambda x: jnp.sum(jnp.log(x)), -ONE), text)


def test_state_goes_on_with_its_own_structure_only():
    first = attempt(move=Gaussian())

    def goes_on(**changes):
        return ja.anneal(square, state=first.state, steps=5, **changes)

    text = "method|run's own, SimulatedAnnealing(chains=4)|SimulatedAnnealing(chains=8)|ja.stacked"
    eight = SimulatedAnnealing(chains=8, cooling=Geometric(1.0, 0.1))
    refuses(ValueError, lambda: goes_on(method=eight), text)
    ladder = ParallelTempering(temperatures=[0.1, 1.0])
    refuses(ValueError, lambda: goes_on(method=ladder), "method|Simulated|Parallel|ja.stacked")
    refuses(ValueError, lambda: goes_on(move=Uniform()), "move|Gaussian|Uniform|ja.stacked")
    bounded = Gaussian(bounds=(-9, 9))
    refuses(
        ValueError, lambda: goes_on(move=bounded), "move|(bounds=None)|(bounds=(Array|ja.stacked"
    )
    polished = ja.polish(square, first, steps=1).state
    text = "params|a value|None|a polished result has no state"
    refuses(TypeError, lambda: ja.anneal(square, state=polished, steps=5), text)
    refuses(ValueError, lambda: goes_on(block=3), "block|4, as in the run|3|ja.stacked")


def test_a_node_that_gives_no_names_has_its_parts_by_number():
    """As of JAX's sparse arrays, whose parts are values and places."""
    start = sparse.BCOO.fromdense(np.eye(3, dtype=np.float32))
    match = (
        r"^params \(part 2\): expected a floating or bool leaf, which has a natural move, got int32"
    )
    with pytest.raises(TypeError, match=match):
        ja.anneal(lambda p: jnp.sum(p.data), start, key=0)
