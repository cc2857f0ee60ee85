"""Methods of the user's own: they run, go on, are saved and swept, and are refused in words."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import caught

import jaxanneal as ja
from jaxanneal._run import chunks
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Gaussian

START = {"x": np.float32([2, -2])}
MOVE = Gaussian(0.5)


def energy(p):
    return jnp.sum((p["x"] ** 2 - 1) ** 2)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class SpreadCooling:
    """Cool by the spread of the energies of all chains."""

    start: float = 1.0
    speed: float = 0.1
    chains: int = dataclasses.field(default=4, metadata={"static": True})
    exchange_every: int = 3

    def init(self):
        return {"temperature": jnp.asarray(self.start), "exchanges": 0}

    def temperatures(self, state):
        return state["temperature"]

    def exchange(self, key, state, energies):
        share = self.speed * state["temperature"] / (jnp.std(energies) + state["temperature"])
        cooled = state["temperature"] * jnp.exp(-share)
        return {"temperature": cooled, "exchanges": state["exchanges"] + 1}


class Halving:
    """Halve the temperature after every move: no pytree, and a state of its own class."""

    chains = 4

    def init(self):
        return {"step": jnp.zeros((), jnp.int32)}

    def temperatures(self, state):
        return jnp.full(4, 0.5) ** state["step"].astype(float)

    def exchange(self, key, state, energies):
        return {"step": state["step"] + 1}


def run(method, **settings):
    options = {"key": 0, "method": method, "move": MOVE, "steps": 30}
    return ja.anneal(energy, START, **options | settings)


def same(a, b):
    for one, other in zip(jax.tree.leaves(a.chains), jax.tree.leaves(b.chains), strict=True):
        np.testing.assert_array_equal(one, other)


def geometric_law(method):
    """Temperatures that follow a geometric cooling make the moves of that cooling, bit for bit."""
    cooled = ja.SimulatedAnnealing(4, Geometric(1.0, 0.5**29))
    np.testing.assert_allclose(run(method).history.temperature[:, 0], 0.5 ** np.arange(30.0))
    same(run(method), run(cooled))


def test_a_method_that_halves_the_temperature_is_the_cooling_that_does():
    geometric_law(Halving())


class Late(Halving):
    exchange_every = 2


def test_a_method_that_exchanges_late_is_caught():
    caught(geometric_law, Late())


def test_exchanges_fall_on_multiples_and_see_every_chain():
    seen = run(SpreadCooling(), record_every=1)
    changes = np.flatnonzero(np.diff(seen.history.temperature[:, 0])) + 1
    np.testing.assert_array_equal(seen.history.step[changes], np.arange(4, 31, 3))
    # By the formula, from the recorded energies.
    first, spread = 1.0, np.std(seen.history.energy[2])
    np.testing.assert_allclose(
        seen.history.temperature[3, 0], np.exp(-0.1 * first / (spread + first)), rtol=1e-6
    )


def test_new_numbers_compile_nothing(monkeypatch):
    traces = []

    def counted(p):
        traces.append(1)
        return energy(p)

    for calls, speed in enumerate((0.1, 0.2), 1):
        ja.anneal(counted, START, key=0, method=SpreadCooling(speed=speed), move=MOVE, steps=5)
        assert len(traces) == calls  # by which the energy is known
        monkeypatch.setattr(jax.stages.Lowered, "compile", lambda *_, **__: pytest.fail("compiled"))


@pytest.mark.parametrize("method", [SpreadCooling(), Halving()], ids=lambda m: type(m).__name__)
def test_a_run_goes_on_from_its_state_and_from_a_file(method, tmp_path):
    whole, first = run(method, steps=50), run(method)
    same(ja.anneal(energy, state=first.state, steps=20), whole)
    first.save(tmp_path / "run")
    loaded = ja.Result.load(tmp_path / "run")
    name = type(method).__name__
    with pytest.raises(ValueError, match=f"^method: expected method=, because {name} of the run"):
        ja.anneal(energy, state=loaded.state, steps=20)
    same(ja.anneal(energy, state=loaded.state, method=method, steps=20), whole)
    other = ja.SimulatedAnnealing(4, Geometric(1.0, 0.1))
    with pytest.raises(ValueError, match=r"^method: expected the structure of the run's own"):
        ja.anneal(energy, state=loaded.state, method=other, steps=20)


def test_a_checkpoint_goes_on_and_refuses_another_method(tmp_path):
    method = SpreadCooling()
    checkpoint = ja.Checkpoint(tmp_path, every_seconds=1e-9)
    run(method, checkpoint=checkpoint, callback=lambda progress: True)
    same(run(method, checkpoint=checkpoint), run(method))
    with pytest.raises(ValueError, match=r"method\.own\.speed|method"):
        run(SpreadCooling(speed=0.3), checkpoint=checkpoint)


def thirds(self, state):
    return jnp.full(4, 1 / 3) ** state["step"].astype(float)


@pytest.mark.parametrize("keep", ["checkpoint", "store"])
def test_another_method_of_the_same_name_is_another_call(keep, tmp_path):
    def kept(method):
        if keep == "checkpoint":
            return run(method, checkpoint=ja.Checkpoint(tmp_path))
        settings = {"method": method, "steps": 5, "repeats": 1, "store": str(tmp_path)}
        return ja.sweep(energy, START, key=0, over={"move.scale": [0.1]}, move=MOVE, **settings)

    kept(Halving())
    kept(Halving())
    with pytest.raises(ValueError, match=rf"^{keep} ?.*: expected .*what the method does = "):
        kept(type("Halving", (Halving,), {"temperatures": thirds})())


def test_everything_that_shows_a_run_shows_this_one():
    result = run(SpreadCooling(), observe=lambda p: p["x"], steps=2000).check()
    assert result.summary().splitlines()[2].split() == ["chains", "4"]
    assert result.history.observed.shape[1:] == (4, 2)
    assert result.to_xarray().sizes["chain"] == 4
    assert len(result.plot().axes) == 3


def test_numbers_of_a_method_are_swept():
    settings = {"method": SpreadCooling(), "move": MOVE, "steps": 30, "repeats": 1}
    dataset = ja.sweep(energy, START, key=0, over={"method.speed": [0.1, 0.2]}, **settings)
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(0), 1), 0)
    alone = run(SpreadCooling(speed=0.2), key=key)
    assert float(dataset.energy[1, 0]) == alone.energy


def test_the_pure_algorithm_takes_it():
    algorithm = ja.algorithm(energy, SpreadCooling(), MOVE)
    state, info = algorithm.step(algorithm.init(0, START))
    assert (int(state.step), info.temperatures.shape) == (3, (4,))


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Counted(Halving):
    start: float
    chains: int


class Unhashable(Halving):
    __hash__ = None


def changed(**members):
    return type("Changed", (Halving,), members)()


def no_exchange():
    return type("Half", (), {"chains": 4, "init": lambda self: 0, "temperatures": None})()


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (no_exchange, r"method: expected a method, got .* without exchange\. Write for example"),
        (
            lambda: Counted(1.0, 4),
            r"Counted\.chains: expected a static field, got a traced one\. Declare it with",
        ),
        (lambda: changed(chains=0), r"Changed\.chains: expected an integer >= 1, got 0\. Use 1"),
        (
            lambda: changed(temperatures=lambda self, state: jnp.ones(3)),
            r"method\.temperatures: expected a temperature for all chains, or one for each of 4, "
            r"got float32\[3\]\. Return for example jnp\.full",
        ),
        (
            lambda: changed(exchange=lambda self, key, state, energies: {"step": energies[0]}),
            r"method\.exchange: state\['step'\]: expected int32\[\], got float32\[\]\. exchange",
        ),
        (
            lambda: changed(exchange=lambda self, key, state, energies: state["step"]),
            r"method\.exchange: expected \{'step': 'int32\[\]'\}, got int32\[\]\. exchange returns",
        ),
        (
            lambda: changed(init=lambda self: {"step": "none"}),
            r"method\.init\(\)\['step'\]: expected an array, got str\. The state of a method",
        ),
    ],
)
def test_what_is_no_method_is_refused_before_anything_compiles(make, text):
    with pytest.raises((TypeError, ValueError), match=f"^{text}"):
        run(make())


def test_temperatures_that_are_none_end_a_run_and_keep_what_was_found():
    method = changed(temperatures=lambda self, state: 5.0 - state["step"].astype(float))
    text = r"^temperatures: expected finite temperatures >= 0, got -1\.0\. Keep them positive"
    with pytest.raises(ValueError, match=text) as raised:
        run(method)
    assert np.isfinite(raised.value.result.energy)


def wrong_for_a_while(self, state):
    step = state["step"].astype(float)
    return jnp.where((step > 9) & (step < 20), -1.0, 1.0)


@pytest.mark.parametrize("look", [0.0, 1e9])
def test_a_wrong_temperature_is_seen_in_chunks_of_any_length_and_never_saved(
    look, tmp_path, monkeypatch
):
    monkeypatch.setattr(chunks, "LOOK_SECONDS", look)
    monkeypatch.setattr(chunks, "GROWTH", 1000)
    method = changed(temperatures=wrong_for_a_while)
    checkpoint = ja.Checkpoint(tmp_path, every_seconds=1e-9)
    for _ in range(2):  # the second call goes on from what was sound, and fails again
        with pytest.raises(ValueError, match=r"^temperatures: expected .* got -1\.0"):
            run(method, steps=300, checkpoint=checkpoint)


def test_new_numbers_of_a_method_hold_from_where_a_run_goes_on():
    first = run(SpreadCooling(exchange_every=100))
    method = SpreadCooling(start=5.0, exchange_every=100)
    again = ja.anneal(energy, state=first.state, method=method, steps=5, record_every=1)
    np.testing.assert_array_equal(again.history.temperature, 1.0)  # its state has the old one
    method = Held(4.0)
    first = run(Held(1.0))
    again = ja.anneal(energy, state=first.state, method=method, steps=5, record_every=1)
    np.testing.assert_array_equal(again.history.temperature, 4.0)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Held:
    """Hold a temperature that no state knows, and the energies in a state."""

    temperature: float
    chains: int = dataclasses.field(default=4, metadata={"static": True})
    exchange_every: int = 100

    def init(self):
        return jnp.zeros(4)

    def temperatures(self, state):
        return jnp.full(4, self.temperature)

    def exchange(self, key, state, energies):
        return energies


@pytest.mark.usefixtures("float64")
def test_energies_are_given_in_the_precision_of_settings(tmp_path):
    method = dataclasses.replace(Held(1.0), exchange_every=2)
    kept = run(method, checkpoint=ja.Checkpoint(tmp_path))
    same(kept, run(method))
