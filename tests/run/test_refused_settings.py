"""Every bad setting is refused before a program compiles, with path, expected, got and remedy."""

import dataclasses
import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jaxanneal as ja
from jaxanneal import ParallelTempering, SimulatedAnnealing
from jaxanneal.cooling import Geometric, Linear, Logarithmic
from jaxanneal.moves import Flip, Gaussian, IntegerStep, PerLeaf, StudentT, Uniform

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


class Lopsided:
    """A move whose Hastings term is a vector."""

    def propose(self, key, params, factor):
        return params, jnp.zeros(2)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class ByMath:
    """A schedule that is a pytree, which no host evaluates, and yet asks for the number itself."""

    start: float

    def __call__(self, step):
        return self.start * math.exp(-step)


# Each row: the mistake, and path | expected | got | remedy, of which each is a part of the text.
TEMPERATURES = [
    (lambda: Geometric(-1, 1), "Geometric.start|finite values > 0|-1|typical energy change"),
    (lambda: Geometric(1, NAN), "Geometric.end|finite values > 0|nan|use 1e-6"),
    (lambda: Geometric(1e40, 1), "Geometric.start|finite values > 0|1e+40|typical energy change"),
    (lambda: Geometric(1, 1, 0), "Geometric.steps|a number >= 1|0|Leave it out"),
    (lambda: Linear(-1, 0), "Linear.start|finite values > 0|-1|typical energy change"),
    (lambda: Linear(1, -1), "Linear.end|finite values >= 0|-1|Use 0"),
    (lambda: Logarithmic(0), "Logarithmic.c|finite values > 0|0|deepest local minimum"),
    (lambda: Geometric(1, 0.1)(3), "Geometric.steps|a number of steps|None|Give steps="),
    (lambda: SimulatedAnnealing(min_temperature=-1), ".min_temperature|values > 0|-1|Leave it out"),
    (
        lambda: attempt(method=cooled(lambda k: -1.0)),
        "cooling|>= 0 at step 0|-1.0|returns a",
    ),
    (lambda: attempt(method=cooled(lambda k: 5.0 - k)), "cooling|>= 0 at step 6|-1.0|every step"),
    (lambda: attempt(method=cooled(lambda k: NAN)), "cooling|finite temperatures|nan|every step"),
    (lambda: alone(temperature=-1.0), "temperature|a finite number >= 0|-1.0|Use 0"),
    (lambda: alone(temperature=NAN), "temperature|a finite number >= 0|nan|Use 0"),
    (lambda: alone(temperature=ONE), "temperature|a finite number >= 0|float32[2]|jax.vmap"),
    (lambda: ja.accept(KEY, 1.0, -1.0), "temperature|a finite number >= 0|-1.0|Use 0"),
    (lambda: ja.accept(KEY, ONE, 1.0), "delta_energy|a scalar|float32[2]|jax.vmap"),
    (lambda: ParallelTempering(temperatures=[-1, 1]), ".temperatures|> 0|[-1, 1]|coldest first"),
    (lambda: ParallelTempering(temperatures=[1, NAN]), ".temperatures|finite|nan|coldest first"),
    (lambda: ParallelTempering(temperatures=[1, 1]), ".temperatures|strictly|[1, 1]|coldest"),
    (lambda: ParallelTempering(temperatures=[2, 1]), ".temperatures|increase|[2, 1]|coldest"),
    (lambda: ParallelTempering(temperatures=[1, 1 + 1e-9]), ".temperatures|increase|[1|coldest"),
    (lambda: ParallelTempering(temperatures=[[1, 2]]), ".temperatures|[rungs]|[[1, 2]]|coldest"),
    (lambda: ParallelTempering(3, temperatures=[1, 2]), "ParallelTempering.rungs|2, as|3|Leave"),
    (lambda: ParallelTempering(1), "ParallelTempering.rungs|an integer >= 2|1|SimulatedAnnealing"),
    (lambda: ParallelTempering(temperatures=[1.0]), ".rungs|an integer >= 2|1|SimulatedAnnealing"),
    (lambda: whole(ParallelTempering()), "ParallelTempering.temperatures|a ladder|None|Give them"),
    (lambda: whole(SimulatedAnnealing()), "SimulatedAnnealing.cooling|a schedule|None|calibrate"),
    (lambda: whole(cooled(Geometric(1, 0.1))), "steps|the length|None|Pass steps="),
]

COUNTS = [
    (lambda: ParallelTempering(ladders=0), "ParallelTempering.ladders|an integer >= 1|0|Use 1"),
    (lambda: ParallelTempering(swap_every=0), ".swap_every|an integer from 1|0|Use 1"),
    (lambda: ParallelTempering(swap_every=[1, 2]), ".swap_every|a scalar|[1, 2]|Use 1"),
    (lambda: ParallelTempering(warmup=-1), "ParallelTempering.warmup|from 0|-1|Use 0"),
    (lambda: ParallelTempering(scheme="x"), "ParallelTempering.scheme|'deo' or 'seo'|'x'|Keep"),
    (lambda: SimulatedAnnealing(0), "SimulatedAnnealing.chains|an integer >= 1|0|Use 1"),
    (lambda: attempt(steps=0), "steps|an integer >= 1|0|number of Metropolis moves"),
    (lambda: attempt(steps=2**31), "steps|less than 2147483647|2147483648|Continue"),
    (lambda: attempt(target=NAN), "target|an energy, not NaN|nan|Leave it out"),
    (lambda: attempt(patience=0), "patience|an integer >= 1|0|number of steps"),
    (lambda: attempt(max_seconds=0), "max_seconds|seconds > 0|0|Leave it out"),
    (lambda: attempt(max_seconds=NAN), "max_seconds|seconds > 0|nan|Leave it out"),
    (lambda: attempt(record_every=0), "record_every|an integer >= 1|0|Use 1"),
    (lambda: attempt(block=0), "block|an integer >= 1|0|Leave it out"),
    (
        lambda: attempt(params=ja.stacked(np.ones((3, 2)))),
        "params|axis of 4|[3, 2]|chains=3",
    ),
    (lambda: attempt(params=ja.stacked(np.ones(()))), "params|axis of 4|float32[]|Give every leaf"),
    (lambda: whole(steps=0), "steps|an integer >= 1|0|number of moves"),
    (lambda: ja.polish(square, ONE, steps=0), "steps|an integer >= 1|0|gradient steps"),
    (lambda: ja.polish(square, ONE, top=0), "top|an integer >= 1|0|Use 1"),
    (lambda: ja.polish(square, ja.stacked(1.0)), "params|a leading axis|float32[]|Give every leaf"),
]

MOVES = [
    (lambda: Gaussian(-1), "Gaussian.scale|finite values >= 0|-1|typical size of a step"),
    (lambda: Gaussian({"w": NAN}), "Gaussian.scale['w']|finite values >= 0|nan|typical size"),
    (lambda: Gaussian(fraction=0), "Gaussian.fraction|a number in (0, 1]|0|Use 1.0"),
    (lambda: Gaussian(fraction=1.1), "Gaussian.fraction|a number in (0, 1]|1.1|Use 1.0"),
    (lambda: Gaussian(fraction=[0.1]), "Gaussian.fraction|a scalar|[0.1]|Use 1.0"),
    (lambda: Uniform(target_acceptance=1.5), "Uniform.target_acceptance|0 and 1|1.5|None to hold"),
    (lambda: Uniform(target_acceptance="x"), "Uniform.target_acceptance|'auto'|'x'|None to hold"),
    (lambda: Gaussian(bounds=(1, 0)), "Gaussian.bounds|lower <= upper|1.0 and 0.0|Swap them"),
    (lambda: attempt(move=Gaussian(bounds=(1, 1))), "bounds|that they do not hold|equal|PerLeaf"),
    (lambda: Gaussian(bounds=(NAN, 1)), "Gaussian.bounds[0]|not NaN|nan|bounds=(lower, upper)"),
    (lambda: StudentT(df=0), "StudentT.df|finite values > 0|0|df=1 is Cauchy"),
    (lambda: IntegerStep(0), "IntegerStep.width|an integer >= 1|0|smallest step"),
    (lambda: IntegerStep(bounds=(0.5, 2)), "IntegerStep.bounds[0]|integers|0.5|shift the variable"),
    (lambda: PerLeaf({"a": None}), "PerLeaf|at least one move|{'a': None}|at least one branch"),
    (lambda: attempt(move=Gaussian(bounds=(2, 3))), "params|values in [2.0, 3.0]|1.0|Start inside"),
    (lambda: whole(move=Gaussian(bounds=(2, 3))), "params|values in [2.0, 3.0]|1.0|Start inside"),
    (lambda: ja.polish(square, ONE, bounds=(2, 3)), "params|in [2.0, 3.0]|1.0|Start inside"),
    (lambda: attempt(move=Gaussian({"w": 1.0})), "Gaussian.scale|a pytree prefix|'w'|one for each"),
    (lambda: attempt(move=Gaussian(np.ones(3))), "Gaussian.scale|of shape (2,)|(3,)|own shape"),
    (lambda: attempt(move=Gaussian(bounds=({"w": 0}, 2))), "Gaussian.bounds[0]|prefix|'w'|one for"),
    (lambda: attempt(ANY, WHOLE, move=IntegerStep(bounds=(0, 5))), "params|[0, 5]|7|Start inside"),
    (lambda: attempt(ANY, {"w": ONE}, move=PerLeaf({"v": Flip()})), "PerLeaf|prefix|'v'|or None"),
]

WRONG_KINDS = [
    (lambda: attempt(energy=3), "energy|a function|int|Pass the function itself"),
    (lambda: alone(energy=3), "energy|a function|int|Pass the function itself"),
    (lambda: ja.init_chain(ONE, energy=3), "energy|a function|int|Pass the function itself"),
    (lambda: alone(chain=ONE), "chain|a Chain|ndarray|ja.init_chain"),
    (lambda: attempt(args=ONE), "args|a tuple|ndarray|args=(x,)"),
    (lambda: whole(args=ONE), "args|a tuple|ndarray|args=(x,)"),
    (lambda: ja.polish(square, ONE, args=[ONE]), "args|a tuple|list|args=(x,)"),
    (lambda: ja.calibrate(square, ONE, key=0, args=ONE), "args|a tuple|ndarray|args=(x,)"),
    (lambda: ja.init_chain(ONE, energy=square, args=ONE), "args|a tuple|ndarray|args=(x,)"),
    (lambda: attempt(method="sa"), "method|a method|'sa'|method=ja.SimulatedAnnealing"),
    (lambda: attempt(method=SimulatedAnnealing), "method|a method|the class Simulated|Write"),
    (
        lambda: attempt(method=cooled(Geometric([1, 2], 1))),
        "cooling|one real|float32[2]|share",
    ),
    (lambda: attempt(method=cooled(lambda k: ONE)), "cooling|one real temperature|array|share one"),
    (lambda: attempt(method=cooled(ByMath(1.0))), "cooling|JAX can trace|Concretization|jnp.exp"),
    (lambda: whole(cooled(lambda k: math.exp(-k / 3))), "cooling|JAX can trace|float|jnp.exp"),
    (lambda: whole(cooled(lambda k: 1.0 if k < 3 else 0.1)), "cooling|trace|Bool|jnp.where"),
    (lambda: whole(cooled(lambda k: jnp.ones(4))), "cooling|one real temp|float32[4]|share one"),
    (lambda: attempt(method=cooled(lambda k: None)), "cooling|one real temp|None|share one"),
    (lambda: attempt(method=cooled(lambda k: object())), "cooling|one real temp|object|share one"),
    (lambda: whole(cooled(lambda k: "hot")), "cooling|one real temperature|'hot'|share one"),
    (lambda: cooled("slow"), "SimulatedAnnealing.cooling|step -> temperature|'slow'|an optax"),
    (lambda: cooled(Geometric), ".cooling|step -> temperature|the class Geometric|Use ja.cooling"),
    (lambda: SimulatedAnnealing(1.5), "SimulatedAnnealing.chains|an integer >= 1|1.5|Use 1"),
    (lambda: SimulatedAnnealing(True), "SimulatedAnnealing.chains|an integer >= 1|True|Use 1"),
    (lambda: ParallelTempering(adapt=1), "ParallelTempering.adapt|a bool|1|True or False"),
    (lambda: attempt(steps=1.5), "steps|an integer >= 1|1.5|number of Metropolis moves"),
    (lambda: attempt(target="low"), "target|an energy|'low'|Leave it out"),
    (lambda: attempt(target="0.5"), "target|an energy|'0.5'|Leave it out"),
    (lambda: attempt(target=True), "target|an energy|True|Leave it out"),
    (lambda: attempt(observe=3), "observe|a function|3|Leave it out"),
    (lambda: attempt(callback=3), "callback|a function|3|Leave it out"),
    (lambda: attempt(progress=1), "progress|True, False or None|1|Use None"),
    (lambda: attempt(state=3), "state|a run's state|int|state=result.state"),
    (lambda: attempt(move="g"), "move|a move, or a symmetric|'g'|ja.moves.Gaussian()"),
    (lambda: attempt(move=Gaussian), "move|a move|the class Gaussian|ja.moves.Gaussian()"),
    (lambda: Gaussian("a"), "Gaussian.scale|finite values >= 0|'a'|typical size"),
    (lambda: Gaussian(None), "Gaussian.scale|finite values >= 0|None|typical size"),
    (lambda: Gaussian(bounds=1.0), "Gaussian.bounds|a list of (low, high) pairs|1.0|bounds=("),
    (lambda: IntegerStep(1.5), "IntegerStep.width|an integer >= 1|1.5|smallest step"),
    (lambda: PerLeaf({"a": 3}), "PerLeaf['a']|or None|3|ja.moves.Flip()"),
    (lambda: ja.polish(square, ONE, optax.adam), "optimizer|an optax|function|optax.adam(1e-2)"),
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
@pytest.mark.parametrize(("call", "text"), TEMPERATURES + COUNTS + MOVES)
def test_value_is_refused_before_compilation(call, text):
    refuses(ValueError, call, text)


@pytest.mark.usefixtures("nothing_compiles")
@pytest.mark.parametrize(("call", "text"), WRONG_KINDS)
def test_kind_is_refused_before_compilation(call, text):
    refuses(TypeError, call, text)
