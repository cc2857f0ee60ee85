"""Calls of every public function with sound, odd and wrong values, drawn by number."""

import collections
import dataclasses
import decimal
import fractions
import os
import pathlib
import tempfile
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import scipy.sparse
from odd_values import VALUES

import jaxanneal as ja

FLAT = np.float32([1.5, -0.5])
TREE = {"a": np.float32([1.5, -0.5]), "b": np.float32(0.25)}
MIXED = {"x": np.float32([1.5, -0.5]), "s": np.zeros(3, bool), "n": np.int32([1, 2])}
SLOPE = np.float32([1.0, 2.0])


def energy(params, *args):
    """Return the squared distance from 0.5 of whatever the parameters are."""
    leaves = [jnp.asarray(x).astype(jnp.float32) for x in jax.tree.leaves(params)]
    return sum((jnp.sum((x - 0.5) ** 2) for x in leaves), jnp.zeros(()))


def weighed(params, slope):
    return jnp.sum(slope * params**2)


def walled(params):
    """Return the same energy, which is NaN where the first leaf is above 1."""
    return jnp.where(jnp.any(jax.tree.leaves(params)[0] > 1.0), jnp.nan, energy(params))


def cold(params):
    return -energy(params)


def called(params):
    one = jax.ShapeDtypeStruct((), np.float32)
    return jax.pure_callback(lambda x: np.float32(1), one, params)


class Plain:
    """A class that JAX does not know."""

    def __init__(self, **fields):
        vars(self).update(fields)


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Point:
    x: Any
    y: Any


class Pair(NamedTuple):
    x: Any
    y: Any


class Cooler(Plain):
    """A method of one's own, with what a case gives in place of its members."""

    chains = 4

    def init(self):
        return jnp.asarray(1.0)

    def temperatures(self, state):
        return jnp.full(4, state)

    def exchange(self, key, state, energies):
        return state * 0.9


class Returning:
    """A move that proposes what a case gives."""

    def __init__(self, made):
        self.made = made

    def propose(self, key, params, factor):
        return self.made


class Told(Plain):
    """A move with the optional methods that a case gives."""

    def propose(self, key, params, factor):
        return nudged(key, params), 0.0


def nudged(key, params):
    return jax.tree.map(lambda x: x + 0.1 * jax.random.normal(key, x.shape, x.dtype), params)


def started(key):
    return jax.random.normal(key, (2,))


def optimizer(init=lambda params: (), update=lambda updates, state, params=None: (updates, state)):
    return optax.GradientTransformation(init, update)


def SA(**settings):
    return ja.SimulatedAnnealing(**{"chains": 4, "cooling": COLD, **settings})


def PT(**settings):
    given = {"temperatures": [0.1, 1.0], "ladders": 2, "adapt": False}
    return ja.ParallelTempering(**given | settings)


def resumed(energy, state, **settings):
    return ja.anneal(energy, state=state, **settings)


def rounds(energy, params, key, method, move, steps, args=()):
    """Make a round by the pure functions."""
    algorithm = ja.algorithm(energy, method, move, steps)
    state = algorithm.init(key, params, args)
    state, info = jax.jit(lambda state: algorithm.step(state, args))(state)
    return algorithm.refresh(state, args), info


def short_run(params=FLAT, **settings):
    given = {"key": 0, "steps": 12, "method": SA(), "move": HELD, "progress": False}
    return ja.anneal(energy, params, **given | settings)


def moved(scale=0.3, **settings):
    return short_run(move=ja.moves.Gaussian(scale, **settings))


def stepped(**settings):
    return short_run(np.int32([1, 1]), move=ja.moves.IntegerStep(**settings))


def per_leaf(moves):
    return short_run(TREE, move=ja.moves.PerLeaf(moves))


def annealed(**settings):
    return short_run(method=SA(**settings))


def hopped(**settings):
    return short_run(method=ja.BasinHopping(**{"chains": 4} | settings))


def tempered(**settings):
    return short_run(method=PT(**settings))


COLD = ja.cooling.Geometric(1.0, 0.1, 10)
HELD = ja.moves.Gaussian(0.3, bounds=(-2, 2))
PARTS = ja.moves.PerLeaf({"a": ja.moves.Gaussian(), "b": None})
FOLDER = tempfile.mkdtemp()


def fresh():
    return tempfile.mkdtemp(dir=FOLDER)


def settings_of(**kinds):
    """Return the kind of value of each setting; those without one are numbers."""
    return {name: kind or "number" for name, kind in kinds.items()}


_RUN = settings_of(energy="energy", params="params", key="key", args="args", move="move")
_LIMITS = settings_of(steps="", target="", patience="", block="count")
_GIVEN = {"energy": "energy", "params": "FLAT", "key": "0", "steps": "12", "method": "SA()"}
_GIVEN |= {"move": "HELD", "progress": "False"}
_PURE = {name: _GIVEN[name] for name in ("energy", "params", "key", "method", "move", "steps")}
_ANNEAL = _RUN | _LIMITS | settings_of(method="method", max_seconds="", record_every="")
_ANNEAL |= settings_of(observe="function", callback="callback", progress="flag")
_ANNEAL |= settings_of(checkpoint="checkpoint", sharding="sharding")
_SWEEP = (
    _RUN
    | _LIMITS
    | settings_of(over="over", repeats="count", draws="count", method="method", store="")
)
_COOL = settings_of(start="", end="", steps="")
_SA = settings_of(chains="count", cooling="cooling", min_temperature="", replace_every="")
_PT = settings_of(
    rungs="count", ladders="count", temperatures="", swap_every="", warmup="", scheme=""
)

_BH = settings_of(chains="count", descent_steps="", unit="", sizes="", longest_step="", coldest="")
_BH |= settings_of(hottest="", scale="", swap_every="", tolerance="", abandon="", favour="")

# Of each function how often it is drawn, the kinds of its settings, and what is given otherwise.
FUNCTIONS: dict[str, tuple[int, dict[str, str], dict[str, str]]] = {
    "ja.anneal": (6, _ANNEAL, _GIVEN),
    "resumed": (
        2,
        settings_of(state="state", method="method", steps="", block="count")
        | {name: name for name in ("energy", "args", "move")},
        {"energy": "energy", "state": "DONE.state", "steps": "12", "progress": "False"},
    ),
    "ja.calibrate": (1, _RUN, {"energy": "energy", "params": "FLAT", "key": "0", "move": "HELD"}),
    "ja.polish": (
        3,
        settings_of(params_or_result="params", optimizer="optimizer", bounds="bounds")
        | settings_of(energy="energy", args="args", steps="", top="count"),
        {"energy": "energy", "params_or_result": "FLAT", "steps": "4"},
    ),
    "ja.sweep": (3, _SWEEP, _GIVEN | {"over": "{'steps': [5, 10]}", "repeats": "1"}),
    "rounds": (2, _RUN | settings_of(method="method", steps=""), _PURE),
    "ja.init_chain": (
        1,
        settings_of(params="params", energy="energy", args="args"),
        {"params": "FLAT", "energy": "energy"},
    ),
    "ja.annealing_step": (
        1,
        settings_of(key="key", chain="chain", energy="energy", move="move", args="args")
        | settings_of(temperature="", factor=""),
        {"key": "0", "chain": "CHAIN", "temperature": "1.0", "energy": "energy", "move": "HELD"},
    ),
    "ja.accept": (
        1,
        settings_of(key="key", delta_energy="", temperature="", log_hastings=""),
        {"key": "0", "delta_energy": "0.5", "temperature": "1.0"},
    ),
    "ja.Checkpoint": (
        1,
        settings_of(directory="path", every_seconds="", keep=""),
        {"directory": "FOLDER"},
    ),
    "ja.Result.load": (1, settings_of(path="path", like="like"), {"path": "SAVED"}),
    "DONE.save": (1, settings_of(path="place"), {"path": "os.path.join(FOLDER, 'again')"}),
    "DONE.top": (1, settings_of(k=""), {"k": "2"}),
    "moved": (
        2,
        settings_of(scale="", bounds="bounds", fraction="", target_acceptance="", coordinates=""),
        {},
    ),
    "stepped": (1, settings_of(width="", bounds="bounds"), {}),
    "ja.moves.StudentT": (1, settings_of(df=""), {}),
    "annealed": (1, _SA, {}),
    "tempered": (1, _PT, {}),
    "hopped": (1, _BH, {}),
    "ja.cooling.Geometric": (1, _COOL, {"start": "1.0", "end": "0.1"}),
    "ja.cooling.Linear": (1, _COOL, {"start": "1.0", "end": "0.1"}),
    "ja.cooling.Logarithmic": (1, settings_of(c=""), {"c": "1.0"}),
    "per_leaf": (1, settings_of(moves="move"), {}),
}


class Case(NamedTuple):
    """A call, as one would write it."""

    function: str
    settings: dict[str, str]

    def __str__(self):
        return f"{self.function}({', '.join(f'{n}={v}' for n, v in self.settings.items())})"

    def values(self):
        return {name: valued(text) for name, text in self.settings.items()}


def changed(function, **settings):
    """Return a call with some settings exchanged."""
    return Case(function, FUNCTIONS[function][2] | settings)


def drawn(number):
    """Return the call of a number."""
    random = np.random.default_rng([23, number])
    shares = np.array([share for share, _, _ in FUNCTIONS.values()])
    function = list(FUNCTIONS)[random.choice(len(shares), p=shares / shares.sum())]
    _, kinds, _ = FUNCTIONS[function]
    names = random.permutation(list(kinds))[: 1 + (random.random() < 0.35)]
    return changed(function, **{str(n): str(random.choice(VALUES[kinds[n]])) for n in names})


class _Made(dict):
    """What is made once a case names it."""

    def __missing__(self, name):
        self[name] = _MAKERS[name]()
        return self[name]


def _file(name, content=None):
    """Return the path of a saved result, or of a file with a part of it."""
    path = pathlib.Path(FOLDER, name)
    if content is None:
        _made["DONE"].save(path)
    else:
        path.write_bytes(content)
    return str(path)


_MAKERS = {
    "DONE": short_run,
    "TEMPERED": lambda: short_run(method=PT()),
    "OTHER": lambda: short_run(TREE),
    "CHAIN": lambda: ja.init_chain(FLAT, energy=energy),
    "SAVED": lambda: _file("saved"),
    "DAMAGED": lambda: _file("half", pathlib.Path(_made["SAVED"]).read_bytes()[:3000]),
    "EMPTY": lambda: _file("empty", b""),
    "LOADED": lambda: ja.Result.load(_made["SAVED"]),
}
_made = _Made()


def valued(text):
    """Return the value of a text; what it names may be a module that no line here does."""
    assert all((collections, decimal, fractions, os, scipy.sparse))
    return eval(text, globals(), _made)
