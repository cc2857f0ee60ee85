"""What a callback raises while a program runs arrives as it was raised, and says whose it was."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxanneal as ja
from jaxanneal._chain import callbacks
from jaxanneal._chain.callbacks import callback_errors
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Gaussian

START = np.ones(2, np.float32)
SCALAR = jax.ShapeDtypeStruct((), jnp.float32)


class MeshError(Exception):
    """An error of a library that JAX does not know."""


def invalid(x):
    try:
        return {}["mesh"]
    except KeyError as error:
        raise MeshError("the mesh is invalid:\n  an element is inverted") from error


def in_place(x):
    x = np.asarray(x)
    x[0] = 0
    return np.float32(0)


def hosted(function):
    return lambda x: jax.pure_callback(function, SCALAR, x, vmap_method="sequential")


def square(x):
    return jnp.sum(x**2)


def run(energy=square, **changes):
    method = ja.SimulatedAnnealing(chains=2, cooling=Geometric(1.0, 0.1, 10))
    settings = {"key": 0, "steps": 10, "method": method, "move": Gaussian()}
    return ja.anneal(energy, START, **settings | changes)


def shaken(key, x):
    return x + hosted(invalid)(x)


def arrives_law(call, name):
    """The user's own error arrives, with its cause and one note that names the argument."""
    with pytest.raises(MeshError) as raised:
        call()
    error = raised.value
    assert str(error).startswith("the mesh is invalid:\n  an element")
    assert isinstance(error.__cause__, KeyError)
    assert not isinstance(error.__context__, jax.errors.JaxRuntimeError)
    notes = [note for note in error.__notes__ if note.startswith("jaxanneal called ")]
    assert len(notes) == 1
    assert notes[0].startswith(f"jaxanneal called {name}, and a callback in it raised this")
    assert ("Return jnp.inf where" in notes[0]) == (name == "energy")


CALLS = {
    "energy": lambda: run(hosted(invalid)),
    "move": lambda: run(move=shaken),
    "observe": lambda: run(observe=hosted(invalid)),
    "callback": lambda: run(callback=lambda _: jax.block_until_ready(hosted(invalid)(START))),
}


@pytest.mark.parametrize("name", CALLS)
def test_an_error_in_a_callback_arrives_and_names_its_argument(name, capfd):
    arrives_law(CALLS[name], name)
    assert capfd.readouterr().err == ""  # it is not printed besides


def test_an_error_in_a_callback_arrives_from_every_other_verb():
    arrives_law(lambda: ja.calibrate(hosted(invalid), START, key=0), "energy")
    arrives_law(lambda: ja.init_chain(START, energy=hosted(invalid)), "energy")
    state = run().state
    arrives_law(lambda: ja.anneal(hosted(invalid), state=state, steps=5), "energy")


def test_what_is_not_heard_is_read_from_the_text(monkeypatch):
    monkeypatch.setattr(callbacks._Heard, "emit", lambda *_: None)
    with pytest.raises(RuntimeError, match=r"^MeshError: the mesh is invalid:\n  an element"):
        run(hosted(invalid))
    with pytest.raises(ValueError, match=r"^assignment destination is read-only\n.*np.array\(x\)"):
        run(hosted(in_place))
    with pytest.raises(RuntimeError, match=r"^MeshError"):  # a broken twin
        arrives_law(CALLS["energy"], "energy")


@pytest.mark.parametrize("returned", [None, np.ones(1, np.float32), "text"])
def test_what_a_callback_returns_is_refused_in_words(returned):
    match = (
        r"^energy: expected a callback that returns what its jax.ShapeDtypeStruct declares, got "
    )
    with pytest.raises(TypeError, match=match) as raised:
        run(hosted(lambda x: returned))
    assert raised.value.result.steps == 0


def test_an_error_that_is_no_callbacks_stays():
    full = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8 bytes.")
    with pytest.raises(jax.errors.JaxRuntimeError, match=r"^RESOURCE_EXHAUSTED") as raised:
        with callback_errors():
            raise full
    assert raised.value is full
