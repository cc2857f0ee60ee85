"""Settings of JAX itself: each is honoured, also after a run without it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from laws import enable_x64

import jaxanneal as ja

START = np.float32([3, -2])
METHOD = ja.SimulatedAnnealing(4, ja.cooling.Geometric(1.0, 0.01))


def bowl(x):
    return jnp.sum(x.astype(float) ** 2)


def run(start=START):
    return ja.anneal(bowl, start, key=0, method=METHOD, steps=20)


def test_double_precision_after_single_is_another_program():
    assert run().chains.energy.dtype == jnp.float32
    with enable_x64(True):
        method = ja.SimulatedAnnealing(4, ja.cooling.Geometric(1.0, 0.01))
        double = ja.anneal(bowl, START, key=0, method=method, steps=20)
    assert double.chains.energy.dtype == jnp.float64


def test_matrix_products_have_the_precision_that_is_asked_for_now():
    seen = []

    def energy(x):
        seen.append(jax.config.jax_default_matmul_precision)
        return jnp.sum(x**2)

    for precision in (None, "highest"):
        with jax.default_matmul_precision(precision):
            ja.anneal(energy, START, key=0, method=METHOD, steps=2)
    assert set(seen) == {None, "highest"}


def test_the_default_device_may_be_named_by_its_platform():
    with jax.default_device("cpu"):
        assert run().energy == run().energy


@pytest.mark.usefixtures("two_devices")
def test_a_run_takes_place_on_the_default_device_wherever_its_inputs_are():
    first, second = jax.devices()[:2]
    plain = run()
    for default, other in ((first, second), (second, first)):
        with jax.default_device(default):
            result = run(jax.device_put(START, other))
            assert result.params.devices() == {default}
            np.testing.assert_array_equal(result.chains.params, plain.chains.params)
            more = ja.anneal(bowl, state=plain.state, steps=5)
            assert more.params.devices() == {default}


@pytest.mark.parametrize("name", ["disable_jit", "debug_nans", "checking_leaks"])
def test_a_run_gives_the_same_bits_while_debugging(name):
    plain = run()
    with getattr(jax, name)(True) if name != "checking_leaks" else jax.checking_leaks():
        debugged = run()
    np.testing.assert_array_equal(debugged.chains.params, plain.chains.params)
