"""What a function computes, apart from what it closes over: equal forms, and values that differ."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import caught

from jaxanneal._chain import computation
from jaxanneal._chain.computation import trace
from jaxanneal._engine import programs

X = np.float32([0.3, -0.2, 0.7])


def plain(a, b):
    return lambda x: jnp.sum((x - a) ** 2 * b)


def jitted_twice(a, b):
    return jax.jit(lambda x: jax.jit(lambda y: jnp.sum((y - a) ** 2 * b))(x * a))


def branches(a, b):
    left = jax.jit(lambda x: jnp.sum(x - a))
    return lambda x: jax.lax.cond(
        x[0] > jnp.take(a, 0), left, lambda x: jnp.sum(jax.nn.relu(x * b)), x
    )


def scanned(a, b):
    step = jax.jit(lambda c: c * a + b)
    return lambda x: jax.lax.scan(lambda c, i: (step(c), jax.nn.relu(c)), x, jnp.arange(3))[0].sum()


def looped(a, b):
    grow = jax.jit(lambda c: c + jnp.abs(a * b))
    return lambda x: jax.lax.while_loop(lambda c: c.sum() < jnp.abs(a).sum(), grow, x).sum()


def ruled(a, b):
    @jax.custom_vjp
    def rule(x):
        return jnp.sum(x * a)

    rule.defvjp(lambda x: (rule(x), None), lambda _, g: (g * a * b,))
    return lambda x: jax.value_and_grad(rule)(x)[1].sum() + rule(x)


def mapped(a, b):
    return lambda x: jax.lax.map(jax.jit(lambda y: y * jnp.sum(a) + jnp.dot(a, b)), x).sum()


def scalars(a, b):
    return lambda x: jnp.sum(x * jnp.take(a, 0)) + jnp.take(b, 1)


MAKERS = [plain, jitted_twice, branches, scanned, looped, ruled, mapped, scalars]
FIRST = np.float32([1, 2, 3]), np.float32([4, 5, 6])
SECOND = np.float32([-7, 2, 9]), np.float32([1, 0, 2])


def data_law(make, arrays):
    """What a function closes over is data: it computes the same, and of its own values."""
    for kind in (jnp.asarray, np.array):
        one, other = (trace(make(*map(kind, values)), X) for values in (arrays, SECOND))
        assert one.computation == other.computation
        assert hash(one.computation) == hash(other.computation)
        assert one.computation.digest == other.computation.digest
        for traced, values in ((one, arrays), (other, SECOND)):
            own = jax.jit(make(*map(jnp.asarray, values)))(X)
            np.testing.assert_array_equal(jax.jit(one.computation)(traced.constants, X), own)


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: make.__name__)
def test_arrays_that_a_function_closes_over_are_data_wherever_they_stand(make):
    data_law(make, FIRST)


@pytest.mark.parametrize("make", [jitted_twice, branches, ruled], ids=lambda make: make.__name__)
def test_the_law_catches_a_trace_that_hides_arrays_in_what_it_calls(make, monkeypatch):
    monkeypatch.setattr(computation, "hides", lambda *jaxprs: False)
    caught(data_law, make, FIRST)


def key(function):
    return trace(function, X).computation


def times(number):
    return lambda x: jnp.sum(x) * number


def test_numbers_of_python_belong_to_the_program():
    assert key(times(2.0)) == key(times(2.0)) != key(times(3.0))
    assert key(times(0.0)) != key(times(-0.0))
    assert key(times(np.nan)) == key(times(np.nan))
    table = tuple(range(2000))
    pick = lambda table: lambda x: jax.lax.reduce_precision(x[0], 8, len(set(table)) % 23)  # noqa: E731
    assert key(pick(table)) == key(pick(table)) != key(pick(table[1:]))


def test_shapes_and_dtypes_of_what_it_closes_over_belong_to_the_program():
    kinds = [jnp.ones(3), jnp.ones(1), jnp.ones(3, jnp.int32), jnp.ones(3, jnp.float16)]
    assert len({key(lambda x, a=a: jnp.sum(x * a.astype(x.dtype))) for a in kinds}) == len(kinds)


def test_a_function_that_changed_is_traced_anew():
    box = {"target": 1.0}
    energy = lambda x: jnp.sum((x - box["target"]) ** 2)  # noqa: E731
    before = trace(energy, X)
    box["target"] = 2.0
    after = trace(energy, X)
    assert before.computation != after.computation
    assert float(after(X)) == float(energy(X)) != float(before(X))


def test_an_array_that_is_written_to_later_is_no_part_of_the_trace():
    array = np.float32([1, 1, 1])
    traced = trace(lambda x: jnp.sum(x - array), X)
    before = float(traced(X))
    array[:] = 7
    assert float(traced(X)) == before


def host(function):
    out = jax.ShapeDtypeStruct((), np.float32)
    return lambda x: jax.pure_callback(function, out, x, vmap_method="sequential")


def test_callbacks_go_by_their_code_and_the_objects_that_they_use():
    def simulator(scale, table):
        def energy(x):
            def simulate(x):
                return np.float32(np.sum(x) * scale + table[0])

            return host(simulate)(x)

        return energy

    table = np.ones(1)
    one = simulator(2.0, table)
    assert key(one) == key(one) == key(simulator(2.0, table))  # made anew in each trace
    assert key(one) != key(simulator(3.0, table))
    assert key(one) != key(simulator(2.0, np.ones(1)))  # which may be written to
    assert key(one).calls_back and not key(times(2.0)).calls_back

    class Simulator:
        __hash__ = None  # pyright: ignore[reportAssignmentType]

        def run(self, x):
            return np.float32(0)

    first, second = Simulator(), Simulator()
    assert key(host(first.run)) == key(host(first.run)) != key(host(second.run))
    part = functools.partial(np.sum, axis=0)
    assert key(host(part)) == key(host(part)) == key(host(functools.partial(np.sum, axis=0)))
    assert key(host(part)) != key(host(functools.partial(np.sum, axis=1)))


def test_functions_that_hold_each_other_end():
    def one(x):
        return other(x) if x.sum() > 1e9 else np.float32(0)

    def other(x):
        return one(x)

    assert key(host(one)) == key(host(one))


def test_printing_from_an_energy_makes_no_new_program_of_it(capfd):
    def energy(x):
        jax.debug.print("{} {y}", x[0], y=x[1])
        jax.debug.callback(lambda x: None, x)
        return jnp.sum(x)

    assert key(energy) == key(energy)


def test_programs_that_are_used_no_more_are_dropped():
    functions = [x for x in vars(programs).values() if hasattr(x, "cache_info")]
    assert len(functions) >= 5
    assert all((x.cache_info().maxsize or 1e9) <= 64 for x in functions)
