"""What compiles: a structure once, and no number ever again; and what an import may do."""

import os
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from laws import caught, programs_of_their_own

import jaxanneal as ja
from jaxanneal._engine import compile
from jaxanneal._engine.compile import Program
from jaxanneal.cooling import Geometric
from jaxanneal.moves import Gaussian, IntegerStep, Mixture, StudentT

X = np.linspace(-1, 1, 8, dtype=np.float32)
START = {"w": np.float32([1, -1]), "b": np.float32(0.5)}
TRACES = []


def fit(params, x, height):
    TRACES.append("energy")
    line = params["w"][0] * x + params["w"][1] * x**2 + params["b"]
    return height * jnp.mean((line - x) ** 2)


def count_sites(n):
    TRACES.append("energy")
    return jnp.sum(n * n)


@pytest.fixture
def work(monkeypatch):
    """Return a function that says how many programs were compiled and how often energies traced."""
    compiled, compile_program = [], jax.stages.Lowered.compile

    def counted(*args, **kwargs):
        compiled.append("program")
        return compile_program(*args, **kwargs)

    monkeypatch.setattr(jax.stages.Lowered, "compile", counted)
    TRACES.clear()
    return lambda: (len(compiled), len(TRACES))


def compiles_once(work, call, numbers):
    """Call with other numbers: whatever the first call compiled serves them all.

    The energy is traced in each call, once: what it closes over may have changed.
    """
    call(**numbers[0])
    compiled, traced = work()
    assert min(compiled, traced) > 0
    for calls, changes in enumerate(numbers[1:], 1):
        call(**changes)
        assert work() == (compiled, traced + calls), changes


def annealed(**changes):
    cooling = changes.pop("cooling", Geometric(1.0, 0.01))
    limit = changes.pop("min_temperature", 1e-6)
    settings = {
        "params": START,
        "key": 0,
        "args": (X, 1.0),
        "method": ja.SimulatedAnnealing(4, cooling, limit),
        "move": changes.pop("move", bounded()),
        "steps": 40,
    }
    return ja.anneal(fit, **(settings | changes))


def bounded(scale=0.1, bounds=(-9.0, 9.0), fraction=1.0, target=0.3):
    return Gaussian(scale, bounds, fraction, target)


def test_simulated_annealing_compiles_nothing_for_new_numbers(work):
    numbers = [
        {},
        {"steps": 17},
        {"key": 5},
        {"key": jax.random.key(3)},
        {"key": jax.random.PRNGKey(3)},
        {"cooling": Geometric(2, np.float32(1))},
        {"min_temperature": 1},
        {"move": bounded(scale=1)},
        {"move": bounded(scale=np.float16(0.5))},
        {"move": bounded(bounds=(-8, np.int32(7)))},
        {"move": bounded(fraction=0.5)},
        {"move": bounded(target=0.2)},
        {"target": 1e-9, "patience": 30, "max_seconds": 60.0},
        {"record_every": 7},
        {"callback": lambda progress: False},
        {"args": (X + 1, 2.0)},
        {"args": (jnp.asarray(X), 3.5)},
        {"params": {"w": np.zeros(2, np.float32), "b": np.float32(1)}},
        {"params": {"w": jnp.zeros(2), "b": 0.25}},
        {"params": ja.stacked({"w": np.zeros((4, 2), np.float32), "b": np.zeros(4, np.float32)})},
    ]
    compiles_once(work, annealed, numbers)


def test_schedules_of_the_host_share_one_program_which_is_another_structure(work):
    annealed()
    before = work()
    schedules = [
        optax.exponential_decay(1.0, 10, 0.5),
        optax.exponential_decay(2.0, 20, 0.25),
        optax.cosine_decay_schedule(1.0, 40),
        optax.linear_schedule(1.0, 0.0, 40),
        lambda step: 1.0 if step < 20 else 0.1,
        lambda step: [1.0] * 40 and 0.5,
    ]
    compiles_once(work, annealed, [{"cooling": schedule} for schedule in schedules])
    assert work() > before  # the counters see what they should


def told_law(options):
    """What XLA is told depends on the device, and gives way to the user."""

    def told(platform, version="", alone=True, jaxlib=(0, 11, 2), flags=""):
        client = types.SimpleNamespace(platform_version=version)
        device = types.SimpleNamespace(platform=platform, client=client)
        return options(device, alone, jaxlib, flags)

    cuda = "gpu", "PJRT C API\ncuda 13000"
    assert told(*cuda)
    jax.jit(lambda x: 2 * x).lower(1.0).compile(told(*cuda))  # XLA knows these names
    assert told("cpu") is None
    assert told(*cuda, flags="--xla_gpu_enable_command_buffer=") is None
    assert told(*cuda, jaxlib=(0, 11, 1)) is None
    assert told(*cuda, alone=False) is None
    assert told("gpu", "rocm 70000") is None
    assert told("tpu") is None


def test_what_xla_is_told_depends_on_the_device_and_gives_way_to_the_user():
    told_law(compile.compiler_options)
    caught(told_law, lambda *_: None)
    caught(told_law, lambda *_: compile._CUDA)


def own_program_law(method, energy):
    """The user's own program of a block's width gives the energies of a run; exactly on a CPU."""
    starts = np.random.default_rng(0).standard_normal((16, 30), np.float32)
    result = ja.anneal(
        energy, ja.stacked(starts), key=0, args=(MATRIX,), method=method, steps=60, block=16
    )
    own = jax.jit(jax.vmap(energy, in_axes=(0, None)))
    found = result.chains
    rounding = 0.0 if jax.default_backend() == "cpu" else 1e-5
    for params, known in ((found.params, found.energy), (found.best_params, found.best_energy)):
        np.testing.assert_allclose(own(params, MATRIX), known, rtol=rounding)


MATRIX = np.random.default_rng(1).standard_normal((30, 30), np.float32)
ENERGIES = {
    "rastrigin": lambda x, a: 300.0 + jnp.sum(x**2 - 10 * jnp.cos(2 * jnp.pi * x)),
    "regression": lambda x, a: jnp.mean((a @ x) ** 2),
    "quadratic": lambda x, a: x @ a @ x,
}
SIXTEEN = {
    "annealing": ja.SimulatedAnnealing(16, Geometric(1.0, 0.01)),
    "tempering": ja.ParallelTempering(temperatures=[0.01, 0.1, 0.5, 1.0], ladders=4),
}


@pytest.mark.parametrize(
    ("method", "energy"),
    [("annealing", "rastrigin"), ("annealing", "regression"), ("tempering", "quadratic")],
)
def test_energies_are_those_of_the_users_own_program(method, energy):
    own_program_law(SIXTEEN[method], ENERGIES[energy])


@pytest.mark.skipif("jax.default_backend() != 'cpu'", reason="an option of XLA's for a CPU")
def test_another_level_of_optimisation_gives_other_energies(monkeypatch):
    level = {"xla_backend_optimization_level": 2}
    monkeypatch.setattr(compile, "compiler_options", lambda *_: level)
    another = lambda x, a: jnp.mean((a @ x) ** 2)  # noqa: E731
    with programs_of_their_own():
        caught(own_program_law, SIXTEEN["annealing"], another)


def test_every_program_is_compiled_with_what_xla_is_told(monkeypatch):
    monkeypatch.setattr(compile, "compiler_options", lambda *_: {"no_such_option": 1})
    with pytest.raises(Exception, match="No such compile option: 'no_such_option'"):
        ja.anneal(lambda x: x**2, 1.0, key=0, steps=1, progress=False)


def tempered(temperatures=(0.01, 0.1, 1.0), swap_every=5, warmup=20, **changes):
    method = ja.ParallelTempering(3, 2, temperatures, swap_every, warmup=warmup)
    settings = {"args": (X, 1.0), "move": StudentT(df=changes.pop("df", 3)), "steps": 40}
    return ja.anneal(fit, START, key=0, method=method, **(settings | changes))


def test_parallel_tempering_compiles_nothing_for_new_numbers(work):
    numbers = [
        {},
        {"temperatures": np.array([1, 2, 3])},
        {"temperatures": jnp.asarray([0.1, 0.2, 0.4])},
        {"temperatures": None},  # calibrated: the pilots share the program of the run
        {"swap_every": 3},
        {"swap_every": np.int64(11)},
        {"warmup": 0},
        {"warmup": None},
        {"steps": 23, "record_every": 4, "target": -1.0},
        {"df": 1.0},
    ]
    compiles_once(work, tempered, numbers)


def test_integer_moves_compile_nothing_for_new_numbers(work):
    def walked(width, bounds):
        method = ja.SimulatedAnnealing(4, Geometric(1.0, 0.1))
        move = IntegerStep(width, bounds)
        return ja.anneal(count_sites, np.int32([3, 4]), key=0, method=method, move=move, steps=20)

    numbers = [(1, (-9, 9)), (np.int64(2), (-8, 8)), (3, (-9.0, np.int16(5)))]
    compiles_once(work, walked, [{"width": width, "bounds": pair} for width, pair in numbers])


def test_a_mixture_compiles_nothing_for_new_weights_or_parts(work):
    def walked(weights, count):
        method = ja.SimulatedAnnealing(4, Geometric(1.0, 0.1))
        move = Mixture([Gaussian(coordinates=count), StudentT()], weights)
        return ja.anneal(fit, START, key=0, args=(X, 1.0), method=method, move=move, steps=20)

    numbers = [(None, 1), ([3, 1], 1), (np.float64([0.0, 1.0]), 2)]
    compiles_once(work, walked, [{"weights": w, "count": k} for w, k in numbers])


def test_as_many_coordinates_as_you_like_compile_once(work):
    def walked(count):
        method = ja.SimulatedAnnealing(4, Geometric(1.0, 0.1))
        move = Gaussian(coordinates=count)
        return ja.anneal(fit, START, key=0, args=(X, 1.0), method=method, move=move, steps=20)

    compiles_once(work, walked, [{"count": count} for count in (1, np.int64(2), 3)])


def test_going_on_compiles_at_most_the_copy_of_the_state(work):
    first = annealed()
    again = ja.anneal(fit, state=first.state, args=(X, 1.0), steps=10)
    before = work()
    ja.anneal(fit, state=again.state, args=(X, 1.0), steps=25, move=bounded(scale=0.2))
    ja.anneal(fit, state=first.state, args=(X, 1.0), steps=5, record_every=2)
    assert tuple(np.subtract(work(), before)) == (0, 2)  # an energy is traced once a call


def test_going_on_with_other_data_compiles_no_energy_again(work):
    first = annealed()
    before = work()
    ja.anneal(fit, state=first.state, args=(X, 2.0), steps=10)
    programs, traces = np.subtract(work(), before)
    assert traces == programs == 1  # that which takes the evaluated states over


def test_arrays_of_the_user_are_never_given_away():
    starts = {"w": jnp.ones((4, 2)), "b": jnp.arange(4.0)}
    x, key = jnp.asarray(X), jax.random.key(0)
    move = bounded(scale=jnp.asarray(0.1))
    first = annealed(params=ja.stacked(starts), args=(x, 1.0), key=key, move=move)
    kept = jax.tree.map(np.array, first.chains.params)
    more = [ja.anneal(fit, state=first.state, args=(x, 1.0), steps=9) for _ in range(2)]
    np.testing.assert_array_equal(*(result.chains.params["w"] for result in more))
    ja.polish(fit, first, args=(x, 1.0), steps=3)
    held = (starts, x, key, move, first.chains, first.params, first.state.engine_state)
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(held))
    np.testing.assert_array_equal(starts["b"], np.arange(4.0))
    jax.tree.map(np.testing.assert_array_equal, first.chains.params, kept)


class Noted(Exception):
    """Ends a call before anything is compiled for the machine of the tests."""


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
@pytest.mark.parametrize("kind", ["SimulatedAnnealing", "ParallelTempering"])
def test_the_chunk_lowers_for_accelerators(platform, kind, monkeypatch):
    prepare = Program.prepare

    def noted(program, *inputs):
        if len(inputs) == 4:  # the chunk
            raise Noted(program, inputs)
        return prepare(program, *inputs)

    monkeypatch.setattr(Program, "prepare", noted)
    ladder = ja.ParallelTempering(temperatures=[0.1, 1.0], ladders=2)
    cooled = ja.SimulatedAnnealing(4, Geometric(1.0, 0.01), 1e-6)
    with pytest.raises(Noted) as raised:
        annealed(method=cooled if kind == "SimulatedAnnealing" else ladder, observe=_first_weight)
    program, inputs = raised.value.args
    lowered = program.jitted.trace(*inputs).lower(lowering_platforms=(platform,))
    assert "stablehlo.while" in lowered.as_text()
    assert "custom_call" not in lowered.as_text()  # nothing that only a CPU could run


def _first_weight(params, *_):
    return params["w"][0]


def test_import_starts_no_backend_and_brings_no_optional_package():
    code = (
        "import sys, jaxanneal\n"
        "from jax._src import xla_bridge\n"
        "optional = ('matplotlib', 'sklearn', 'equinox', 'xarray', 'arviz', 'pandas', 'IPython')\n"
        "print(len(xla_bridge._backends), [name for name in optional if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == "0 []"


def test_a_ladder_that_moves_compiles_no_program_of_its_own(work):
    """As many as any other structure does, and none for other numbers."""

    def compiled(adapt, **settings):
        before = work()
        method = ja.ParallelTempering(3, 2, (0.1, 0.2, 1.0), adapt=adapt, warmup=20, **settings)
        annealed(method=method)
        return tuple(np.subtract(work(), before))

    tempered()  # with other moves: it evaluates the same starts
    assert compiled(True) == compiled(False, scheme="seo") > (0, 0)
    assert compiled(True, swap_every=3) == (0, 1)  # the trace by which the energy is known


COUNTED = """
import contextlib
import jax, jax.numpy as jnp
import jaxanneal as ja
from jaxanneal._run.interrupt import Clock

programs, preparing, counted, own = [], [], [], Clock.preparing

@contextlib.contextmanager
def watched(clock):
    preparing.append(clock)
    with own(clock):
        yield
    preparing.pop()

def note(event, seconds, **_):
    if event.endswith("backend_compile_duration"):
        programs.append(seconds)
        if not preparing:
            counted.append(seconds)

Clock.preparing = watched

jax.monitoring.register_event_duration_secs_listener(note)
ladder = ja.ParallelTempering(ladders=2, temperatures=[0.1, 1.0])
ladder.temperatures.block_until_ready()
programs.clear(), counted.clear()
start = lambda key: {"w": jax.random.normal(key, (3,)), "b": jnp.ones(2), "c": jnp.ones(())}
energy = lambda p: jnp.sum(p["w"] ** 2) + jnp.sum(p["b"] ** 2) + p["c"] ** 2
ja.anneal(energy, start, key=0, method=ladder, steps=8, progress=False)
print(len(programs))
programs.clear()
ja.anneal(energy, start, key=0, steps=8, progress=False)
print(len(programs))
print(len(counted))
"""


def few_law(number):
    """Four programs, and the key, the order of the results and the like at once each."""
    assert 4 <= number <= 10


def test_a_first_result_neither_waits_for_single_operations_nor_counts_their_compilation():
    found = subprocess.run(
        [sys.executable, "-c", COUNTED], capture_output=True, text=True, check=True
    )
    number, calibrated, counted = map(int, found.stdout.split())
    few_law(number)
    few_law(calibrated)
    caught(few_law, 11)  # with the first state of all, the best start and the results
    assert counted == 0  # in result.seconds, and so against max_seconds


CACHED = """
import hashlib, jax, jax.numpy as jnp, numpy as np
import jaxanneal as ja

hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name.endswith("cache_hits")))
ladder = ja.ParallelTempering(ladders=2, temperatures=[0.1, 0.5, 1.0], swap_every=2)
energy = lambda x: jnp.sum(jnp.tanh(x) ** 2) + jnp.sum(x**4)
result = ja.anneal(energy, jnp.ones(5), key=0, method=ladder, steps=200, progress=False)
leaves = jax.tree.leaves((result.chains, result.history))
print(sum(hits), hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in leaves)).hexdigest())
"""


@pytest.mark.slow
def test_a_run_from_the_compilation_cache_of_jax_is_the_same_bit_for_bit(tmp_path):
    always = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    cache = always | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path)}
    none = {"JAX_COMPILATION_CACHE_DIR": ""}  # nor the user's own
    found = []
    for place in (none, cache, cache):
        command = [sys.executable, "-c", CACHED]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=os.environ | place
        )
        found.append(done.stdout.split())
    hits, digests = zip(*found, strict=True)
    assert hits[:2] == ("0", "0") and int(hits[2]) >= 4, hits
    assert len(set(digests)) == 1, digests
