"""Settings of every test: strict promotion, two devices, fresh trace counters."""

import math
import signal

import chex
import jax
import pytest
import wording
from laws import enable_x64

from jaxanneal._run import interrupt

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture(autouse=True)
def fresh_trace_counter():
    """Forget traces of other tests: chex shares a counter between functions of equal source."""
    chex.clear_trace_counter()


wording.record_texts()


@pytest.fixture(autouse=True)
def users_words():
    """Fail a test that provoked a text in other words than a user's."""
    wording.TEXTS.clear()
    yield
    foreign = wording.foreign_texts()
    assert not foreign, foreign


@pytest.fixture(autouse=True)
def no_signals():
    """Forget the signals of a test: one that ends a script would end the next test."""
    yield
    interrupt._TERMINATED.clear()
    interrupt._CTRL_C[0] = -math.inf


@pytest.fixture
def two_devices():
    """Leave a test out where JAX has one device, such as one GPU."""
    if jax.device_count() < 2:
        pytest.skip("needs two devices; with JAX_PLATFORMS=cpu there are two everywhere")


@pytest.fixture
def ctrl_c():
    """Let Ctrl-C raise, as in a terminal: a script's background job and nohup ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def float64():
    """Give one test double precision, which no other test sees."""
    with enable_x64(True):
        yield
