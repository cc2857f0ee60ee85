"""``Result.save`` and ``load``: everything comes back, and a run goes on as if never saved."""

import collections
import dataclasses
import json
import os
import pickletools
import zipfile

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from laws import enable_x64

import jaxanneal as ja
from jaxanneal._engine import history
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Flip, Gaussian, IntegerStep, PerLeaf

X = np.linspace(-1, 1, 5, dtype=np.float32)
START = {"w": np.float32([1, -1]), "b": (np.float32(0.5), [np.float32(0)])}


def fit(p, x):
    return jnp.mean((p["w"][0] * x + p["w"][1] + p["b"][0] + p["b"][1][0] - x) ** 2)


def nudge(key, p):
    step = 0.1 * jax.random.normal(key, (2,))
    return {"w": p["w"] + step, "b": p["b"]}


GEOMETRIC = ja.SimulatedAnnealing(4, Geometric(1.0, 1e-3, steps=60))
LADDER = ja.ParallelTempering(temperatures=[0.01, 0.1, 1.0], ladders=2, swap_every=3, warmup=20)
BOUNDED = Gaussian({"w": 0.3, "b": 0.1}, (-2.0, {"w": 2.0, "b": 3.0}))

# Method, move, and what must be passed again because no file can hold it.
RUNS = {
    "geometric": (GEOMETRIC, BOUNDED, {}),
    "parts": (GEOMETRIC, PerLeaf({"w": Gaussian(), "b": (None, [Gaussian(0.2)])}), {}),
    "ladder": (LADDER, BOUNDED, {}),
    "optax": (
        ja.SimulatedAnnealing(4, optax.exponential_decay(1.0, 10, 0.5)),
        BOUNDED,
        {"method": ja.SimulatedAnnealing(4, optax.exponential_decay(1.0, 10, 0.5))},
    ),
    "own move": (GEOMETRIC, nudge, {"move": nudge}),
}


def run(method=GEOMETRIC, move=BOUNDED, params=START, steps=30, **settings):
    return ja.anneal(
        fit, params, key=3, args=(X,), method=method, move=move, steps=steps, **settings
    )


def passed_through(result, folder, like=None):
    path = folder / "a run"
    result.save(path)
    assert os.listdir(folder) == ["a run"]
    return ja.Result.load(path, like)


def assert_same(a, b):
    """Compare type, dtype and bits of every leaf."""
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        assert isinstance(x, jax.Array) == isinstance(y, jax.Array)
        if isinstance(x, jax.Array) and jnp.issubdtype(x.dtype, jax.dtypes.prng_key):
            assert x.dtype == y.dtype
            x, y = jax.random.key_data(x), jax.random.key_data(y)
        assert getattr(x, "dtype", type(x)) == getattr(y, "dtype", type(y))
        assert np.asarray(x).tobytes() == np.asarray(y).tobytes()


def assert_same_result(a, b):
    names = [field.name for field in dataclasses.fields(a) if field.name != "state"]
    for name in names:
        assert_same(getattr(a, name), getattr(b, name))


@pytest.mark.parametrize(("method", "move", "again"), RUNS.values(), ids=RUNS.keys())
def test_going_on_from_a_file_is_going_on(method, move, again, tmp_path):
    first = run(method, move)
    loaded = passed_through(first, tmp_path)
    assert_same_result(first, loaded)
    one, other = (
        ja.anneal(fit, state=state, args=(X,), steps=35, **again)
        for state in (first.state, loaded.state)
    )
    assert (one.evaluations, one.steps) == (other.evaluations, other.steps)
    assert_same(one.state.engine_state, other.state.engine_state)
    assert_same(one.history, other.history)
    again_saved = passed_through(loaded, tmp_path)
    assert_same_result(first, again_saved)


@pytest.mark.parametrize("name", ["optax", "own move"])
def test_what_no_file_can_hold_is_asked_for(name, tmp_path):
    method, move, again = RUNS[name]
    loaded = passed_through(run(method, move), tmp_path)
    ((argument, _),) = again.items()
    text = (
        rf"^{argument}: expected {argument}=, because .* was not saved.*, got None\. Pass the same"
    )
    with pytest.raises(ValueError, match=text):
        ja.anneal(fit, state=loaded.state, args=(X,), steps=5)


def test_a_schedule_of_another_kind_is_refused_after_loading(tmp_path):
    loaded = passed_through(run(GEOMETRIC), tmp_path)
    with pytest.raises(ValueError, match=r"^method: expected the structure of the run"):
        ja.anneal(fit, state=loaded.state, args=(X,), method=LADDER, steps=5)


def test_other_data_is_noticed_after_loading(tmp_path):
    first = run()
    loaded = passed_through(first, tmp_path)
    same, other = (
        ja.anneal(fit, state=loaded.state, args=(x,), steps=1) for x in (jnp.asarray(X), X + 1)
    )
    assert same.evaluations == first.evaluations + 4
    assert other.evaluations == first.evaluations + 4 + 2 * 4  # current and best again


def test_observed_and_summarised_history_comes_back(tmp_path, monkeypatch):
    Pair = collections.namedtuple("Pair", "mean sign")

    def look(p, x):
        return Pair(jnp.mean(p["w"]), {"up": p["w"] > 0})

    monkeypatch.setattr(history, "_BYTES", 100)
    first = run(observe=look, record_every=10)
    loaded = passed_through(first, tmp_path)
    assert_same(first.history._replace(observed=None), loaded.history._replace(observed=None))
    assert_same(first.history.observed._asdict(), loaded.history.observed)


def test_every_dtype_and_kind_of_key_survives(float64, tmp_path):
    dtypes = ("bfloat16", "float16", "float64", "int64", "bool")
    params = {name: jnp.ones(2, name) for name in dtypes}
    move = PerLeaf(
        {
            name: Flip() if name == "bool" else IntegerStep() if "int" in name else Gaussian()
            for name in dtypes
        }
    )

    def energy(p):
        return sum(jnp.sum(leaf.astype(float) ** 2) for leaf in p.values())

    key = jax.random.key(0)
    first = ja.anneal(energy, params, key=key, method=GEOMETRIC, move=move, steps=8)
    loaded = passed_through(first, tmp_path)
    assert_same_result(first, loaded)
    assert_same(first.state.engine_state, loaded.state.engine_state)
    with enable_x64(False), pytest.raises(ValueError, match=r"^jax_enable_x64: .*update"):
        ja.Result.load(tmp_path / "a run")


@jax.tree_util.register_dataclass
@dataclasses.dataclass
class Line:
    slope: jax.Array
    rest: dict


class Net(eqx.Module):
    weight: jax.Array
    activation: object
    name: str = eqx.field(static=True)


def of_line(p):
    return p.slope**2 + jnp.sum(p.rest["x"] ** 2)


def of_net(p):
    return jnp.sum(p.activation(p.weight) ** 2)


OWN = {
    "dataclass": (of_line, Line(jnp.float32(1), {"x": jnp.ones(2)}), "Line"),
    "module": (of_net, Net(jnp.ones(3), jnp.tanh, "net"), "Net"),
    "function in a dict": (lambda p: p["f"](p["x"]), {"x": jnp.float32(1), "f": jnp.abs}, "abs"),
}


@pytest.mark.parametrize(("energy", "params", "name"), OWN.values(), ids=OWN.keys())
def test_own_nodes_and_functions_need_a_like(energy, params, name, tmp_path):
    first = ja.anneal(energy, params, key=0, method=GEOMETRIC, move=Gaussian(), steps=8)
    loaded = passed_through(first, tmp_path, params)
    assert_same_result(first, loaded)
    one, other = (ja.anneal(energy, state=r.state, steps=4) for r in (first, loaded))
    assert_same(one.chains, other.chains)
    for like, got in ((None, "none"), ([1.0], "list")):
        text = rf"^params.*: expected `like`.*{name}.*, got {got}\. Pass like=, the parameters"
        if got == "none" or name != "abs":
            with pytest.raises(ValueError, match=text):
                ja.Result.load(tmp_path / "a run", like)


def test_a_like_that_is_unlike_is_refused(tmp_path):
    first = ja.anneal(of_net, OWN["module"][1], key=0, method=GEOMETRIC, move=Gaussian(), steps=8)
    first.save(tmp_path / "a run")
    wrong = Net(jnp.ones(4), jnp.tanh, "net")
    with pytest.raises(
        ValueError, match=r"^like: params\.weight: expected float32\[3\], got .*4\]"
    ):
        ja.Result.load(tmp_path / "a run", wrong)


def test_a_polished_result_comes_back(tmp_path):
    first = ja.polish(fit, START, steps=3, args=(X,))
    assert_same_result(first, passed_through(first, tmp_path))


def test_damaged_foreign_and_other_files_are_refused(tmp_path):
    path, result = tmp_path / "run", run()
    result.save(path)
    whole = path.read_bytes()
    for data in (whole[:-100], b"", b"PK", b"text"):
        path.write_bytes(data)
        with pytest.raises(
            ValueError, match=r"run: expected .*jaxanneal.Result, got a trunc.*Pass"
        ):
            ja.Result.load(path)
    for place in np.linspace(0, len(whole) - 1, 24).astype(int):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(ValueError, match=r"run: expected .*Result, got a truncated or foreign"):
            ja.Result.load(path)
    np.savez(tmp_path / "other.npz", x=X)
    with pytest.raises(ValueError, match=r"expected a file of the format jaxanneal.Result, got"):
        ja.Result.load(tmp_path / "other.npz")
    for other in (1, 99):
        with zipfile.ZipFile(path, "w") as archive:
            header = {
                "format": "jaxanneal.Result",
                "version": other,
                "jaxanneal": "9",
                "arrays": [],
            }
            archive.writestr("header.json", json.dumps(header))
        with pytest.raises(
            ValueError, match=rf"version 4, got version {other}, by jaxanneal 9\. R"
        ):
            ja.Result.load(path)


def as_before(path):
    """Write a result again as version 4 had it at first: the header in front, and no checksum."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    header = json.loads(members.pop("header.json"))
    assert header.pop("sealed") and header["version"] == 4
    fields = header["result"]["state"]["fields"]
    fields["state"] = fields.pop("engine_state")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("header.json", json.dumps(header))
        for name, member in members.items():
            with archive.open(name, "w", force_zip64=True) as file:
                file.write(member)


def test_files_of_before_are_read(tmp_path):
    result, path = run(LADDER), tmp_path / "run"
    result.save(path)
    as_before(path)
    assert path.read_bytes()[-2:] == b"\0\0"  # no comment
    loaded = ja.Result.load(path)
    assert_same_result(result, loaded)
    one, other = (ja.anneal(fit, state=r.state, args=(X,), steps=9) for r in (result, loaded))
    assert_same(one.state.engine_state, other.state.engine_state)
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"jaxanneal.Result", b"jaxanneal.Resulu", 1))
    with pytest.raises(ValueError, match=r"got a truncated or foreign file \(BadZipFile: Bad CRC"):
        ja.Result.load(path)


def test_a_file_holds_neither_pickle_nor_data_and_is_replaced_at_once(tmp_path, monkeypatch):
    path, result = tmp_path / "run", run()
    result.save(path)
    before = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            with pytest.raises(ValueError):
                list(pickletools.genops(archive.read(name)[:2]))
    assert X.tobytes() not in before

    def crash(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(OSError, match="disk full"):
        result.save(path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["run"]
